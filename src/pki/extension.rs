//! The extensions that decisions need. One that is there twice or does not parse is an error, never an absence.

use std::net::IpAddr;

use x509_parser::asn1_rs::{Any, FromDer as _, Oid, Tag};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, GeneralName, KeyUsage, NSCertType, ParsedExtension,
};
use x509_parser::oid_registry::{
    OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, OID_X509_EXT_BASIC_CONSTRAINTS, OID_X509_EXT_CERT_TYPE,
    OID_X509_EXT_EXTENDED_KEY_USAGE, OID_X509_EXT_KEY_USAGE, OID_X509_EXT_SUBJECT_ALT_NAME,
    OID_X509_EXT_SUBJECT_KEY_IDENTIFIER,
};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use super::certificate::CertificateError;
use super::{name, oid};
use crate::core::wanted::dn::{self, Attribute};
use crate::core::wanted::entry::{OtherName, OtherSans, OtherValue, Sans};
use crate::core::wanted::usage::Usage;

/// basicConstraints.
pub(super) fn basic_constraints(
    certificate: &X509Certificate<'_>,
) -> Result<Option<BasicConstraints>, CertificateError> {
    let what = "basicConstraints";
    match parsed(certificate, &OID_X509_EXT_BASIC_CONSTRAINTS, what)? {
        None => Ok(None),
        Some(ParsedExtension::BasicConstraints(constraints)) => Ok(Some(constraints.clone())),
        Some(_) => Err(CertificateError::Malformed(what)),
    }
}

/// keyUsage.
pub(super) fn key_usage(certificate: &X509Certificate<'_>) -> Result<Option<KeyUsage>, CertificateError> {
    let what = "keyUsage";
    match parsed(certificate, &OID_X509_EXT_KEY_USAGE, what)? {
        None => Ok(None),
        Some(ParsedExtension::KeyUsage(usage)) => Ok(Some(*usage)),
        Some(_) => Err(CertificateError::Malformed(what)),
    }
}

/// The extended key usages; empty: no such extension.
pub(super) fn usages(certificate: &X509Certificate<'_>) -> Result<Vec<Usage>, CertificateError> {
    let what = "extendedKeyUsage";
    let usages = match parsed(certificate, &OID_X509_EXT_EXTENDED_KEY_USAGE, what)? {
        None => return Ok(Vec::new()),
        Some(ParsedExtension::ExtendedKeyUsage(extended)) => listed(extended),
        Some(_) => Vec::new(),
    };
    if usages.is_empty() {
        return Err(CertificateError::Malformed(what));
    }
    Ok(usages.into_boxed_slice().into_vec())
}

/// The subject alternative names, with those of other kinds described.
pub(super) fn names(certificate: &X509Certificate<'_>) -> Result<(Sans, Vec<String>), CertificateError> {
    let what = "subjectAltName";
    match parsed(certificate, &OID_X509_EXT_SUBJECT_ALT_NAME, what)? {
        None => Ok((Sans::default(), Vec::new())),
        Some(ParsedExtension::SubjectAlternativeName(found)) => Ok(sorted_by_kind(&found.general_names)),
        Some(_) => Err(CertificateError::Malformed(what)),
    }
}

/// Netscape's certificate type, which OpenSSL still obeys.
pub(super) fn netscape_type(certificate: &X509Certificate<'_>) -> Option<NSCertType> {
    match parsed(certificate, &OID_X509_EXT_CERT_TYPE, "nsCertType") {
        Ok(Some(ParsedExtension::NSCertType(found))) => Some(*found),
        Ok(_) | Err(_) => None,
    }
}

/// What the key identifiers say of whether `issuer` is the certificate of the issuer of `child`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// Both name one key.
    Same,
    /// They name different keys.
    OtherKey,
    /// They name another certificate of the same name, by its serial number.
    OtherSerial,
    /// They name another certificate of the same name, by its issuer.
    OtherIssuer,
    /// They say nothing.
    Silent,
}

/// Compares the authorityKeyIdentifier of `child`, with serial number and issuer where it has them, with `issuer`.
pub(super) fn hint(child: &X509Certificate<'_>, issuer: &X509Certificate<'_>) -> Hint {
    let Some(named) = issuer_id(child) else { return Hint::Silent };
    let key = named.key_identifier.as_ref().map(|id| id.0).zip(own_key_id(issuer)).map(|(named, own)| named == own);
    let is_other_serial = named.authority_cert_serial.is_some_and(|serial| bare(serial) != bare(issuer.raw_serial()));
    let is_other_issuer = issuer_of(named).is_some_and(|named| !name::same(named, issuer.issuer()));
    match key {
        Some(false) => Hint::OtherKey,
        _ if is_other_serial => Hint::OtherSerial,
        _ if is_other_issuer => Hint::OtherIssuer,
        Some(true) => Hint::Same,
        None => Hint::Silent,
    }
}

/// Whether both certificates name the same key of an issuer, or one of them names none.
pub(super) fn is_issuer_key_same(one: &X509Certificate<'_>, other: &X509Certificate<'_>) -> bool {
    let key = |certificate| issuer_id(certificate).and_then(|id| id.key_identifier.as_ref()).map(|id| id.0);
    match (key(one), key(other)) {
        (Some(one), Some(other)) => one == other,
        (_, _) => true,
    }
}

fn issuer_of<'c, 'a>(id: &'c AuthorityKeyIdentifier<'a>) -> Option<&'c X509Name<'a>> {
    let names = id.authority_cert_issuer.iter().flatten();
    names.filter_map(|name| if let GeneralName::DirectoryName(name) = name { Some(name) } else { None }).next()
}

/// The bytes of an integer without the zeros before it.
fn bare(integer: &[u8]) -> &[u8] {
    let start = integer.iter().position(|byte| *byte != 0).unwrap_or(integer.len());
    integer.get(start..).unwrap_or_default()
}

fn own_key_id<'a>(certificate: &X509Certificate<'a>) -> Option<&'a [u8]> {
    match parsed(certificate, &OID_X509_EXT_SUBJECT_KEY_IDENTIFIER, "subjectKeyIdentifier") {
        Ok(Some(ParsedExtension::SubjectKeyIdentifier(id))) => Some(id.0),
        Ok(_) | Err(_) => None,
    }
}

fn issuer_id<'c, 'a>(certificate: &'c X509Certificate<'a>) -> Option<&'c AuthorityKeyIdentifier<'a>> {
    match parsed(certificate, &OID_X509_EXT_AUTHORITY_KEY_IDENTIFIER, "authorityKeyIdentifier") {
        Ok(Some(ParsedExtension::AuthorityKeyIdentifier(id))) => Some(id),
        Ok(_) | Err(_) => None,
    }
}

/// An extension that may be there once.
pub(super) fn parsed<'c, 'a>(
    certificate: &'c X509Certificate<'a>,
    oid: &Oid<'_>,
    what: &'static str,
) -> Result<Option<&'c ParsedExtension<'a>>, CertificateError> {
    let found = certificate.get_extension_unique(oid).map_err(|_| CertificateError::Malformed(what))?;
    Ok(found.map(|extension| extension.parsed_extension()))
}

fn listed(extended: &ExtendedKeyUsage<'_>) -> Vec<Usage> {
    let flags = [
        (extended.server_auth, "server_auth"),
        (extended.client_auth, "client_auth"),
        (extended.code_signing, "code_signing"),
        (extended.email_protection, "email_protection"),
        (extended.time_stamping, "time_stamping"),
        (extended.ocsp_signing, "ocsp_signing"),
        (extended.any, "any"),
    ];
    let named = flags.into_iter().filter(|(there, _)| *there).map(|(_, name)| name.to_owned());
    let others = extended.other.iter().map(Oid::to_id_string);
    named.chain(others).map(Usage::from).collect()
}

fn sorted_by_kind(found: &[GeneralName<'_>]) -> (Sans, Vec<String>) {
    let mut names = Sans::default();
    let mut others = Vec::new();
    for name in found {
        match name {
            GeneralName::DNSName(dns) => names.dns_names.push(a_labels(dns)),
            GeneralName::RFC822Name(email) => names.emails.push((*email).to_owned()),
            GeneralName::URI(uri) => names.uris.push((*uri).to_owned()),
            GeneralName::IPAddress(octets) if address(octets).is_some() => names.ip_addresses.extend(address(octets)),
            GeneralName::OtherName(oid, value) if oid::decode(oid.as_bytes()).is_some() => {
                other_name(oid, value, &mut names.others);
            }
            GeneralName::DirectoryName(found) => names.others.directory_names.push(directory_name(found)),
            GeneralName::RegisteredID(oid) if oid::decode(oid.as_bytes()).is_some() => {
                names.others.registered_ids.extend(oid::decode(oid.as_bytes()));
            }
            GeneralName::OtherName(..)
            | GeneralName::X400Address(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_)
            | GeneralName::Invalid(..) => others.push(name.to_string()),
        }
    }
    (names, others)
}

/// A DNS name in lower case and A-labels, in which some CAs do not write it.
fn a_labels(name: &str) -> String {
    let plain = name.to_ascii_lowercase();
    match url::Host::parse(&plain) {
        Ok(url::Host::Domain(labels)) if !plain.is_ascii() => labels,
        Ok(_) | Err(_) => plain,
    }
}

/// A name of another type, under a kind of its own where it is a user principal name or a GUID.
fn other_name(oid: &Oid<'_>, value: &[u8], names: &mut OtherSans) {
    let Some(oid) = oid::decode(oid.as_bytes()) else { return };
    let inner = Any::from_der(value).ok().and_then(|(_, outer)| Any::from_der(outer.data).ok());
    let text = inner.as_ref().and_then(|(_, inner)| name::text_of(inner));
    let guid =
        inner.as_ref().filter(|(_, inner)| inner.tag() == Tag::OctetString).and_then(|(_, inner)| guid(inner.data));
    match (oid.as_str(), text, guid) {
        (OtherSans::USER_PRINCIPAL_NAME, Some(name), _) => names.user_principal_names.push(name),
        (OtherSans::GUID, _, Some(guid)) => names.guids.push(guid),
        (_, text, _) => {
            let values = text.into_iter().map(|value| OtherValue { label: String::new(), value }).collect();
            names.other_names.push(OtherName { oid, values });
        }
    }
}

/// Sixteen bytes as Microsoft writes a GUID: the first three parts the other way round.
fn guid(bytes: &[u8]) -> Option<String> {
    let [a, b, c, d, e, f, g, h, rest @ ..] = <[u8; 16]>::try_from(bytes).ok()?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let [i, j, node @ ..] = rest;
    Some(format!("{}-{}-{}-{}-{}", hex(&[d, c, b, a]), hex(&[f, e]), hex(&[h, g]), hex(&[i, j]), hex(&node)))
}

/// As text (RFC 4514, which begins with what stands last).
fn directory_name(found: &X509Name<'_>) -> String {
    let attribute = |found: &AttributeTypeAndValue<'_>| {
        let oid = oid::decode(found.attr_type().as_bytes())?;
        Some(Attribute { oid, value: name::text(found.attr_value()) })
    };
    let mut attributes: Vec<Attribute> = found.iter_attributes().filter_map(attribute).collect();
    attributes.reverse();
    dn::written(&attributes)
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from)).ok()
}
