//! What the gate reads of a leaf, and what is wrong with the leaf by itself.

use std::net::IpAddr;
use std::time::Duration;

use super::{Demand, Set, TOLERANCE, path};
use crate::core::code::Code;
use crate::core::known::issuer::ServedChain;
use crate::core::known::observed::Leaf;
use crate::core::remark::Remark;
use crate::core::text::Text;
use crate::core::time::{Span, Timestamp};
use crate::core::wanted::entry::{Sans, SubjectFrom};
use crate::core::wanted::subject::{Subject, SubjectAttribute, same_value};
use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::chain::Chain;
use crate::pki::{extension, leaf, name, strict};

/// A leaf with what the gate reads of it.
pub(super) struct Read {
    pub(super) facts: Leaf,
    other_names: Vec<String>,
    is_ca: bool,
    signs: bool,
    encoding: Option<String>,
    names_itself: bool,
}

impl Read {
    pub(super) fn of(certificate: &Certificate) -> Result<Self, CertificateError> {
        let parsed = certificate.parsed()?;
        Ok(Self {
            facts: leaf::read(certificate)?,
            other_names: extension::names(&parsed)?.1,
            is_ca: extension::basic_constraints(&parsed)?.is_some_and(|constraints| constraints.ca),
            encoding: strict::defect(&parsed),
            names_itself: name::same(parsed.subject(), parsed.issuer()),
            signs: extension::key_usage(&parsed)?.is_none_or(|usage| usage.digital_signature()),
        })
    }

    /// The CAs are judged at the instant at which the set would be installed.
    pub(super) fn judged_at(&self, now: Timestamp) -> Timestamp {
        let soon = self.facts.not_before > now && self.facts.not_before <= now + TOLERANCE;
        if soon { self.facts.not_before } else { now }
    }

    /// Every defect of the leaf by itself.
    pub(super) fn defects(&self, demand: &Demand<'_>) -> Vec<Text> {
        let mut defects = Vec::new();
        if self.is_ca {
            defects.push("it is the certificate of a CA, where that of an end entity was asked for".to_owned());
        }
        defects.extend(self.encoding.clone());
        defects.extend(self.missing_names(demand));
        if let Some(extra) = self.extra_names(demand).filter(|_| demand.exact_names) {
            defects.push(format!("it has names that were not asked for, which exact_names refuses: {extra}"));
        }
        if let Some(extra) = self.unasked_common_names(demand).filter(|_| demand.exact_names) {
            defects.push(format!("it has a common name that was not asked for, which exact_names refuses: {extra}"));
        }
        if demand.subject_from == SubjectFrom::Request {
            defects.extend(self.missing_attributes(demand.subject));
        }
        defects.extend(self.outside_validity(demand));
        defects.iter().map(|defect| Text::new(defect)).collect()
    }

    /// What is wrong with a leaf that a CA of its own name issued.
    pub(super) fn self_named(&self) -> Option<Text> {
        let why = "its subject is the name of its issuer: TLS clients treat it as self-signed";
        self.names_itself.then(|| Text::new(why))
    }

    fn missing_names(&self, demand: &Demand<'_>) -> Option<String> {
        let mut missing = demand.names.missing_in(&self.facts.names);
        if let Some(wanted) = demand.common_name
            && !self.has_common_name(wanted, demand.subject_from)
            && !missing.iter().any(|name| name.eq_ignore_ascii_case(wanted))
        {
            missing.push(format!("{wanted} (the common name)"));
        }
        if missing.is_empty() {
            return None;
        }
        Some(format!("names are missing: {}; it has {}", missing.join(", "), self.names_shown()))
    }

    /// As the common name, or as a subject alternative name where it is a host's. A CA that writes the subject need
    /// not take any other.
    fn has_common_name(&self, wanted: &str, subject_from: SubjectFrom) -> bool {
        let found = self.facts.common_name.as_deref();
        let there = found.is_some_and(|there| same_value(wanted, there));
        match as_host(wanted) {
            Some(host) => {
                there || host.missing_in(&self.facts.names).is_empty() || found.and_then(as_host) == Some(host)
            }
            None => there || subject_from == SubjectFrom::Ca,
        }
    }

    fn names_shown(&self) -> String {
        let common_name = self.facts.common_name.iter().map(|name| format!("{name} (the common name)"));
        let all: Vec<_> = common_name.chain(self.facts.names.missing_in(&Sans::default())).collect();
        if all.is_empty() { "none".to_owned() } else { all.join(", ") }
    }

    /// The names that were not asked for. The common name may stand among the alternative names.
    fn extra_names(&self, demand: &Demand<'_>) -> Option<String> {
        let mut asked = demand.names.clone();
        if let Some(host) = demand.common_name.and_then(as_host) {
            asked.dns_names.extend(host.dns_names);
            asked.ip_addresses.extend(host.ip_addresses.iter().copied());
        }
        let mut extra = self.facts.names.missing_in(&asked);
        extra.extend(self.other_names.iter().cloned());
        (!extra.is_empty()).then(|| extra.join(", "))
    }

    /// The common names that nobody asked for under any name. Where the CA writes the subject, only one that looks like a
    /// host's counts.
    fn unasked_common_names(&self, demand: &Demand<'_>) -> Option<String> {
        let further = self.facts.subject.get(&SubjectAttribute::CommonName).into_iter().flatten();
        let is_counted = |name: &&String| {
            !name.trim().is_empty() && (demand.subject_from == SubjectFrom::Request || as_host(name).is_some())
        };
        let unasked = self.facts.common_name.iter().chain(further).filter(is_counted);
        let unasked: Vec<_> = unasked.filter(|name| !is_asked(name, demand)).map(|name| format!("{name:?}")).collect();
        (!unasked.is_empty()).then(|| unasked.join(", "))
    }

    fn missing_attributes<'a>(&'a self, sent: &'a Subject) -> impl Iterator<Item = String> + 'a {
        unmatched(sent, &self.facts.subject).map(|(attribute, value)| {
            let found = self.facts.subject.get(&attribute);
            let found = found.map_or("none".to_owned(), |values| format!("{:?}", values.join(", ")));
            format!("subject attribute {attribute}: {value:?} was sent, it has {found}")
        })
    }

    fn outside_validity(&self, demand: &Demand<'_>) -> Option<String> {
        let Leaf { not_before, not_after, .. } = self.facts;
        let now = demand.now;
        if now.seconds() > not_after.seconds() {
            return Some(format!("it expired at {not_after}, {} ago", Span(now.since(not_after))));
        }
        if not_before > now + TOLERANCE {
            return Some(format!("it is not valid before {not_before}, in {}", Span(not_before.since(now))));
        }
        let installed = demand.must_outlive.filter(|installed| not_after <= *installed)?;
        Some(format!("it expires at {not_after}, no later than the installed one, which expires at {installed}"))
    }

    fn remarks(&self, demand: &Demand<'_>) -> Vec<Remark> {
        let names = self
            .extra_names(demand)
            .map(|extra| Remark::new(Code::ExtraNames, &format!("it has names that were not asked for: {extra}")));
        let common_name = self.unasked_common_names(demand).map(|extra| {
            Remark::new(Code::UnaskedCommonName, &format!("it has a common name that was not asked for: {extra}"))
        });
        let is_compared = demand.subject_from == SubjectFrom::Request;
        let attributes = unmatched(&self.facts.subject, demand.subject).filter(|_| is_compared);
        let attributes = attributes.map(|(attribute, value)| {
            Remark::new(Code::ExtraSubject, &format!("its subject has {attribute} {value:?}, which was not sent"))
        });
        let usage = (!self.signs).then(|| {
            Remark::new(Code::NoDigitalSignature, "its key usage does not allow digital signatures, as TLS 1.3 needs")
        });
        let validity = demand.validity_asked.and_then(|asked| self.shortened(asked));
        names.into_iter().chain(common_name).chain(attributes).chain(usage).chain(validity).collect()
    }

    /// A validity that is shorter than asked for, by more than CAs round.
    fn shortened(&self, asked: Duration) -> Option<Remark> {
        let given = self.facts.not_after.since(self.facts.not_before);
        let rounding = (asked / 100).max(DAY.min(asked / 10));
        let why = || format!("it is valid for {}, where {} was asked for", Span(given), Span(asked));
        (given + rounding < asked).then(|| Remark::new(Code::ValidityShortened, &why()))
    }

    pub(super) fn set(self, leaf: &Certificate, (chain, served): (Chain, ServedChain), demand: &Demand<'_>) -> Set {
        let ServedChain { issuer, end: chain_end } = served;
        let mut remarks = self.remarks(demand);
        remarks.extend(path::remarks(&chain, &issuer, demand));
        remarks.extend(chain_end.as_ref().and_then(|end| path::ends_first(end, self.facts.not_after)));
        let (chain, root) = (chain.intermediates, chain.root);
        Set { leaf: leaf.clone(), facts: self.facts, chain, root, issuer, chain_end, remarks }
    }
}

/// Whether a common name was asked for, as such or as another name.
fn is_asked(name: &str, demand: &Demand<'_>) -> bool {
    let host = as_host(name);
    let sent = demand.subject.get(&SubjectAttribute::CommonName).into_iter().flatten().map(String::as_str);
    let mut wanted = demand.common_name.into_iter().chain(sent);
    wanted.any(|wanted| same_value(wanted, name) || (host.is_some() && as_host(wanted) == host))
        || demand.names.missing_in(&Sans::default()).iter().any(|wanted| wanted.eq_ignore_ascii_case(name))
        || host.is_some_and(|host| host.missing_in(demand.names).is_empty())
}

/// The attribute values of `one` that `other` lacks, but for common names.
fn unmatched<'a>(one: &'a Subject, other: &'a Subject) -> impl Iterator<Item = (SubjectAttribute, &'a str)> {
    let is_there = |attribute: SubjectAttribute, value: &str| {
        other.get(&attribute).is_some_and(|values| values.iter().any(|there| same_value(value, there)))
    };
    one.iter()
        .filter(|(attribute, _)| **attribute != SubjectAttribute::CommonName)
        .flat_map(|(attribute, values)| values.iter().map(move |value| (*attribute, value.as_str())))
        .filter(move |(attribute, value)| !is_there(*attribute, value))
}

/// A common name that is an address or a DNS name with a dot, as a subject alternative name: in A-label form.
fn as_host(name: &str) -> Option<Sans> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Some(Sans { ip_addresses: vec![address].into(), ..Sans::default() });
    }
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
    let (wildcard, host) = name.strip_prefix("*.").map_or(("", name), |host| ("*.", host));
    let host = if host.is_ascii() { host.to_ascii_lowercase() } else { a_labels(host)? };
    let is_host = host.contains('.') && host.split('.').all(is_label);
    is_host.then(|| Sans { dns_names: vec![format!("{wildcard}{host}")], ..Sans::default() })
}

fn a_labels(name: &str) -> Option<String> {
    match url::Host::parse(name).ok()? {
        url::Host::Domain(name) => Some(name),
        url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
    }
}

const DAY: Duration = Duration::from_secs(86_400);
