//! The gate (promise 1): whether what came may replace what is live. A pure function; every defect has its own message,
//! which names what was found and what was expected. Nothing is installed that did not pass here.

use std::net::IpAddr;
use std::time::Duration;

use super::certificate::{Certificate, CertificateError};
use super::chain::{self, Chain};
use super::{extension, leaf};
use crate::core::code::Code;
use crate::core::entry::{Sans, SubjectFrom, Usage};
use crate::core::name::Digest;
use crate::core::observed::Leaf;
use crate::core::remark::Remark;
use crate::core::subject::{Subject, SubjectAttribute, same_value};
use crate::core::text::Text;
use crate::core::time::{Span, Timestamp};

/// A `not_before` that lies ahead by no more than this is waited for: clocks of CAs and hosts differ.
pub const TOLERANCE: Duration = Duration::from_secs(600);

/// What came.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Everything that came, in any order.
    pub certificates: &'a [Certificate],
    /// SHA-256 of our public key (SPKI).
    pub key: Digest,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// The common name.
    pub common_name: Option<&'a str>,
    /// The subject alternative names.
    pub names: &'a Sans,
    /// The subject attributes as they were sent; a common name among them is not looked at.
    pub subject: &'a Subject,
    /// With [`SubjectFrom::Ca`] the subject is not compared; the names are.
    pub subject_from: SubjectFrom,
    /// Refuse names that were not asked for.
    pub exact_names: bool,
    /// The extended key usages that are wanted: the entry's, else those of the installed leaf.
    pub usages: &'a [Usage],
    /// The certificates of CAs that the profile shows; they are trusted.
    pub issuers: &'a [Certificate],
    /// The end of the installed certificate, where expiry was the reason to renew.
    pub must_outlive: Option<Timestamp>,
    /// The present.
    pub now: Timestamp,
}

/// A set that may be installed, or may be later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The leaf.
    pub leaf: Certificate,
    /// What the leaf says.
    pub facts: Leaf,
    /// From the leaf's issuer upward, without leaf and root.
    pub chain: Vec<Certificate>,
    /// The root, where it is known.
    pub root: Option<Certificate>,
    /// What is worth telling and no reason to refuse.
    pub remarks: Vec<Remark>,
}

/// The gate's word.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// It may be installed.
    Accepted(Box<Set>),
    /// It is good, but for its validity that begins within [`TOLERANCE`]: to be judged again then.
    NotYetValid {
        /// When the validity begins.
        until: Timestamp,
        /// The set.
        set: Box<Set>,
    },
    /// It lacks only wanted usages, or has a signature that cannot be judged: kept staged.
    Held {
        /// What it lacks.
        why: Text,
        /// The set.
        set: Box<Set>,
    },
    /// It must not be installed: every defect.
    Refused(Vec<Text>),
}

/// Judges what came against what was asked for.
pub fn judge(candidate: &Candidate<'_>, demand: &Demand<'_>) -> Verdict {
    let Some(leaf) = ours(candidate) else { return Verdict::Refused(vec![nobody(candidate)]) };
    let certificate = match Read::of(leaf) {
        Ok(read) => read,
        Err(error) => return Verdict::Refused(vec![Text::new(&error.to_string())]),
    };
    let mut defects = certificate.defects(demand);
    let at = certificate.judged_at(demand.now);
    let chain = chain::build(leaf, candidate.certificates, demand.issuers, at)
        .map_err(|obstacles| defects.extend(obstacles.iter().map(|obstacle| Text::new(&obstacle.to_string()))));
    let unjudged = chain.as_ref().ok().and_then(|chain| chain.unjudged.as_ref());
    let unjudged = unjudged.map(|what| format!("{what} has an algorithm that renewd cannot judge"));
    let doubts: Vec<String> = missing_usages(&certificate.facts, demand.usages).into_iter().chain(unjudged).collect();
    match chain {
        Ok(chain) if defects.is_empty() => verdict(certificate.set(leaf, chain, demand), &doubts, demand.now),
        Ok(_) | Err(()) => {
            defects.extend(doubts.iter().map(|doubt| Text::new(doubt)));
            Verdict::Refused(defects)
        }
    }
}

fn verdict(set: Set, doubts: &[String], now: Timestamp) -> Verdict {
    let set = Box::new(set);
    if set.facts.not_before > now {
        return Verdict::NotYetValid { until: set.facts.not_before, set };
    }
    if doubts.is_empty() { Verdict::Accepted(set) } else { Verdict::Held { why: Text::new(&doubts.join("; ")), set } }
}

/// The certificate with our public key. Of several, as after a renewal with the same key, the one that ends last; a CA
/// only where there is no other.
fn ours<'a>(candidate: &Candidate<'a>) -> Option<&'a Certificate> {
    let rank = |certificate: &&Certificate| {
        let parsed = certificate.parsed().ok()?;
        let is_ca = extension::basic_constraints(&parsed).ok().flatten().is_some_and(|constraints| constraints.ca);
        Some((!is_ca, parsed.validity().not_after.timestamp()))
    };
    let is_ours = |certificate: &&Certificate| certificate.spki() == candidate.key;
    candidate.certificates.iter().filter(is_ours).max_by_key(rank)
}

fn nobody(candidate: &Candidate<'_>) -> Text {
    let labels: Vec<_> = candidate.certificates.iter().map(|certificate| certificate.label().to_string()).collect();
    if labels.is_empty() {
        return Text::new("no certificate came");
    }
    Text::new(&format!(
        "no certificate for our public key came (SPKI {}), only for other keys: {}",
        candidate.key,
        labels.join(", ")
    ))
}

/// A leaf with what the gate reads of it.
struct Read {
    facts: Leaf,
    other_names: Vec<String>,
    is_ca: bool,
    signs: bool,
}

impl Read {
    fn of(certificate: &Certificate) -> Result<Self, CertificateError> {
        let parsed = certificate.parsed()?;
        Ok(Self {
            facts: leaf::read(certificate)?,
            other_names: extension::names(&parsed)?.1,
            is_ca: extension::basic_constraints(&parsed)?.is_some_and(|constraints| constraints.ca),
            signs: extension::key_usage(&parsed)?.is_none_or(|usage| usage.digital_signature()),
        })
    }

    /// The CAs are judged at the instant at which the set would be installed.
    fn judged_at(&self, now: Timestamp) -> Timestamp {
        let soon = self.facts.not_before > now && self.facts.not_before <= now + TOLERANCE;
        if soon { self.facts.not_before } else { now }
    }

    /// Every defect of the leaf by itself.
    fn defects(&self, demand: &Demand<'_>) -> Vec<Text> {
        let mut defects = Vec::new();
        if self.is_ca {
            defects.push("it is the certificate of a CA, where that of an end entity was asked for".to_owned());
        }
        defects.extend(self.missing_names(demand));
        if let Some(extra) = self.extra_names(demand).filter(|_| demand.exact_names) {
            defects.push(format!("it has names that were not asked for, which exact_names refuses: {extra}"));
        }
        if demand.subject_from == SubjectFrom::Request {
            defects.extend(self.missing_attributes(demand.subject));
        }
        defects.extend(self.outside_validity(demand));
        defects.iter().map(|defect| Text::new(defect)).collect()
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
        Some(format!("it ends at {not_after}, no later than the installed one, which ends at {installed}"))
    }

    fn remarks(&self, demand: &Demand<'_>) -> Vec<Remark> {
        let names = self.extra_names(demand).map(|extra| format!("it has names that were not asked for: {extra}"));
        let is_compared = demand.subject_from == SubjectFrom::Request;
        let attributes = unmatched(&self.facts.subject, demand.subject).filter(|_| is_compared);
        let attributes =
            attributes.map(|(attribute, value)| format!("its subject has {attribute} {value:?}, which was not sent"));
        let usage =
            (!self.signs).then(|| "its key usage does not allow digital signatures, as TLS 1.3 needs".to_owned());
        names.into_iter().chain(attributes).chain(usage).map(|remark| Remark::new(Code::ExtraNames, &remark)).collect()
    }

    fn set(self, leaf: &Certificate, chain: Chain, demand: &Demand<'_>) -> Set {
        let remarks = self.remarks(demand);
        Set { leaf: leaf.clone(), facts: self.facts, chain: chain.intermediates, root: chain.root, remarks }
    }
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

/// No such extension, or `any`, allows every usage.
fn missing_usages(facts: &Leaf, wanted: &[Usage]) -> Option<String> {
    let any = Usage::parse("any");
    if facts.usages.is_empty() || facts.usages.iter().any(|usage| Some(usage) == any.as_ref()) {
        return None;
    }
    let missing: Vec<_> =
        wanted.iter().filter(|usage| !facts.usages.contains(usage)).map(ToString::to_string).collect();
    let there: Vec<_> = facts.usages.iter().map(ToString::to_string).collect();
    (!missing.is_empty()).then(|| format!("usages are missing: {}; it has {}", missing.join(", "), there.join(", ")))
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

#[cfg(test)]
mod tests;
