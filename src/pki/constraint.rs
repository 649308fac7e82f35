//! Name constraints (RFC 5280 section 4.2.1.10): whether the names of a certificate lie within what a CA above it may
//! speak for. Compares as OpenSSL does; says which name it was.

use x509_parser::asn1_rs::{Any, Class, FromDer, Sequence, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_X509_EXT_NAME_CONSTRAINTS, OID_X509_EXT_SUBJECT_ALT_NAME};
use x509_parser::x509::X509Name;

use super::certificate::CertificateError;
use super::name;
use crate::core::wanted::subject::SubjectAttribute;

/// The name constraints of a CA.
#[derive(Debug, Default)]
pub(super) struct Constraints<'a> {
    permitted: Vec<GeneralName<'a>>,
    excluded: Vec<GeneralName<'a>>,
}

/// A name that a CA may not speak for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// It lies outside of what is permitted, or within what is excluded.
    Outside(String),
    /// It is of a kind that is constrained and that nobody can compare.
    Incomparable(String),
}

impl<'a> Constraints<'a> {
    /// The constraints of a CA; `None`: it has none.
    pub(super) fn of(ca: &X509Certificate<'a>) -> Result<Option<Self>, CertificateError> {
        let malformed = CertificateError::Malformed("nameConstraints");
        match ca.get_extension_unique(&OID_X509_EXT_NAME_CONSTRAINTS) {
            Ok(None) => Ok(None),
            Ok(Some(extension)) => Self::read(extension.value).map(Some).ok_or(malformed),
            Err(_) => Err(malformed),
        }
    }

    fn read(der: &'a [u8]) -> Option<Self> {
        let ([], sequence) = Sequence::from_der(der).ok()? else { return None };
        let (mut rest, mut found) = (borrowed(sequence), Self::default());
        while !rest.is_empty() {
            let (after, part) = Any::from_der(rest).ok()?;
            let subtrees = match (part.class(), part.tag()) {
                (Class::ContextSpecific, Tag(0)) => &mut found.permitted,
                (Class::ContextSpecific, Tag(1)) => &mut found.excluded,
                (_, _) => return None,
            };
            subtrees.extend(bases(part.data)?);
            rest = after;
        }
        Some(found)
    }

    /// Whether only DNS names and addresses are constrained, which every TLS client compares.
    pub(super) fn are_of_hosts(&self) -> bool {
        let is_host = |base: &GeneralName<'_>| matches!(base, GeneralName::DNSName(_) | GeneralName::IPAddress(_));
        self.permitted.iter().chain(&self.excluded).all(is_host)
    }

    /// Checks every name of `certificate`: the subject, the addresses in it, the alternative names, and for a leaf
    /// without DNS names the common names that are spelled like one.
    pub(super) fn check(&self, certificate: &X509Certificate<'_>, is_leaf: bool) -> Result<(), Violation> {
        let alternative = alternative_names(certificate);
        let subject = certificate.subject();
        let has_subject = subject.iter().next().is_some();
        if has_subject {
            self.check_name(&GeneralName::DirectoryName(subject.clone()))?;
        }
        for email in of_kind(subject, SubjectAttribute::Email) {
            self.check_name(&GeneralName::RFC822Name(&email))?;
        }
        alternative.iter().try_for_each(|name| self.check_name(name))?;
        let has_dns = alternative.iter().any(|name| matches!(name, GeneralName::DNSName(_)));
        for host in of_kind(subject, SubjectAttribute::CommonName).filter(|name| is_leaf && !has_dns && is_host(name)) {
            self.check_name(&GeneralName::DNSName(&host))?;
        }
        Ok(())
    }

    fn check_name(&self, name: &GeneralName<'_>) -> Result<(), Violation> {
        let outside = || Violation::Outside(shown(name));
        let compared = |bases: &[GeneralName<'_>]| -> Result<Vec<bool>, Violation> {
            let of_kind = bases.iter().filter(|base| is_of_form(base, name));
            of_kind.map(|base| is_within(name, base).ok_or_else(|| Violation::Incomparable(shown(name)))).collect()
        };
        let permitted = compared(&self.permitted)?;
        if !permitted.is_empty() && !permitted.contains(&true) {
            return Err(outside());
        }
        if compared(&self.excluded)?.contains(&true) { Err(outside()) } else { Ok(()) }
    }
}

/// The names in a list of subtrees. Each subtree is one name: `minimum` and `maximum` are not used with any form.
fn bases(mut der: &[u8]) -> Option<Vec<GeneralName<'_>>> {
    let mut found = Vec::new();
    while !der.is_empty() {
        let (rest, subtree) = Sequence::from_der(der).ok()?;
        let ([], base) = Any::from_der(borrowed(subtree)).ok()? else { return None };
        let base = GeneralName::try_from(base).ok()?;
        if matches!(base, GeneralName::Invalid(..)) {
            return None;
        }
        found.push(base);
        der = rest;
    }
    Some(found)
}

fn borrowed(sequence: Sequence<'_>) -> &[u8] {
    match sequence.content {
        std::borrow::Cow::Borrowed(content) => content,
        std::borrow::Cow::Owned(_) => &[],
    }
}

fn alternative_names<'c, 'a>(certificate: &'c X509Certificate<'a>) -> &'c [GeneralName<'a>] {
    let found = certificate.get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME).ok().flatten();
    match found.map(|extension| extension.parsed_extension()) {
        Some(ParsedExtension::SubjectAlternativeName(names)) => &names.general_names,
        Some(_) | None => &[],
    }
}

fn of_kind(name: &X509Name<'_>, wanted: SubjectAttribute) -> impl Iterator<Item = String> {
    name::values(name).filter(move |(kind, _)| *kind == Some(wanted)).map(|(_, value)| value)
}

/// Whether a constraint is on names of this form: other names of different types are different forms.
fn is_of_form(base: &GeneralName<'_>, name: &GeneralName<'_>) -> bool {
    match (base, name) {
        (GeneralName::OtherName(one, _), GeneralName::OtherName(other, _)) => one == other,
        (_, _) => kind(base) == kind(name),
    }
}

/// The number of the choice that a name is.
fn kind(name: &GeneralName<'_>) -> u32 {
    match name {
        GeneralName::OtherName(..) => 0,
        GeneralName::RFC822Name(_) => 1,
        GeneralName::DNSName(_) => 2,
        GeneralName::X400Address(_) => 3,
        GeneralName::DirectoryName(_) => 4,
        GeneralName::EDIPartyName(_) => 5,
        GeneralName::URI(_) => 6,
        GeneralName::IPAddress(_) => 7,
        GeneralName::RegisteredID(_) => 8,
        GeneralName::Invalid(tag, _) => tag.0,
    }
}

/// Whether `name` lies within `base`, which is of the same kind; `None`: it cannot be said.
fn is_within(name: &GeneralName<'_>, base: &GeneralName<'_>) -> Option<bool> {
    match (name, base) {
        (GeneralName::DNSName(name), GeneralName::DNSName(base)) => Some(is_dns_within(name, base)),
        (GeneralName::RFC822Name(name), GeneralName::RFC822Name(base)) => is_email_within(name, base),
        (GeneralName::URI(name), GeneralName::URI(base)) => is_uri_within(name, base),
        (GeneralName::IPAddress(name), GeneralName::IPAddress(base)) => is_address_within(name, base),
        (GeneralName::DirectoryName(name), GeneralName::DirectoryName(base)) => Some(name::starts_with(name, base)),
        (_, _) => None,
    }
}

/// The base itself and all below it; with a dot before it only what is below.
fn is_dns_within(name: &str, base: &str) -> bool {
    let (name, base) = (name.to_ascii_lowercase(), base.to_ascii_lowercase());
    match name.strip_suffix(&base) {
        Some(rest) => rest.is_empty() || base.is_empty() || base.starts_with('.') || rest.ends_with('.'),
        None => false,
    }
}

/// One mailbox, all of one host, or with a dot before it all of the hosts below.
fn is_email_within(name: &str, base: &str) -> Option<bool> {
    let (local, host) = name.rsplit_once('@')?;
    Some(match base.rsplit_once('@') {
        Some((wanted, base)) => (wanted.is_empty() || wanted == local) && base.eq_ignore_ascii_case(host),
        None => is_host_within(host, base),
    })
}

/// By the host alone.
fn is_uri_within(name: &str, base: &str) -> Option<bool> {
    let (_, rest) = name.split_once(':')?;
    let host = rest.strip_prefix("//")?.split([':', '/']).next().filter(|host| !host.is_empty())?;
    Some(is_host_within(host, base))
}

/// One host, or with a dot before it all below it.
fn is_host_within(host: &str, base: &str) -> bool {
    if base.starts_with('.') {
        host.len() > base.len() && is_dns_within(host, base)
    } else {
        host.eq_ignore_ascii_case(base)
    }
}

/// An address and a mask; one of the other family is never within.
fn is_address_within(name: &[u8], base: &[u8]) -> Option<bool> {
    if ![4, 16].contains(&name.len()) || ![8, 32].contains(&base.len()) {
        return None;
    }
    let (address, mask) = base.split_at(base.len() / 2);
    let is_equal = |((name, base), mask): ((&u8, &u8), &u8)| (name ^ base) & mask == 0;
    Some(name.len() == address.len() && name.iter().zip(address).zip(mask).all(is_equal))
}

/// What OpenSSL takes for a host in a common name: labels of letters, digits, `-` and `_`, with a dot.
fn is_host(name: &str) -> bool {
    let is_inner = |c: u8| c.is_ascii_alphanumeric() || c == b'-' || c == b'_';
    let is_label = |label: &str| {
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(is_inner)
    };
    name.contains('.') && name.split('.').all(is_label)
}

fn shown(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(name) | GeneralName::RFC822Name(name) | GeneralName::URI(name) => (*name).to_owned(),
        GeneralName::DirectoryName(name) => format!("the name {}", name::full(name)),
        GeneralName::IPAddress(octets) => address(octets),
        GeneralName::OtherName(oid, _) => format!("a name of the kind {oid}"),
        GeneralName::RegisteredID(oid) => format!("the registered id {oid}"),
        GeneralName::X400Address(_) | GeneralName::EDIPartyName(_) | GeneralName::Invalid(..) => {
            "a name of a kind that is rarely used".to_owned()
        }
    }
}

fn address(octets: &[u8]) -> String {
    let four = <[u8; 4]>::try_from(octets).map(std::net::IpAddr::from);
    let sixteen = <[u8; 16]>::try_from(octets).map(std::net::IpAddr::from);
    four.or(sixteen).map_or_else(|_| "an address of no family".to_owned(), |address| address.to_string())
}

#[cfg(test)]
mod tests;
