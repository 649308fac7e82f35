//! The gate (promise 1): whether what came may replace what is live. A pure function; every defect has its own message,
//! which names what was found and what was expected. Nothing is installed that did not pass here.

pub mod anew;
mod path;
mod read;

use std::cmp::Reverse;
use std::time::Duration;

use read::Read;

use super::certificate::Certificate;
use super::chain::{self, Aim, Chain};
use super::purpose::{self, Purpose};
use super::{extension, name, served};
use crate::core::code::Code;
use crate::core::event::Lack;
use crate::core::known::issuer::{ChainEnd, Issuer, IssuerPin};
use crate::core::known::observed::Leaf;
use crate::core::name::Digest;
use crate::core::remark::Remark;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::{Sans, SubjectFrom};
use crate::core::wanted::subject::Subject;
use crate::core::wanted::usage::Usage;

/// A `not_before` that lies ahead by no more than this is waited for: clocks of CAs and hosts differ.
pub const TOLERANCE: Duration = Duration::from_secs(600);
/// So many certificates with our key are judged.
const MOST_LEAVES: usize = 8;

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
    /// Refuse names that were not asked for, a common name among them.
    pub exact_names: bool,
    /// The extended key usages that are wanted: the entry's, else those of the installed leaf.
    pub usages: &'a [Usage],
    /// The certificates of CAs that the profile shows; they are trusted.
    pub issuers: &'a [Certificate],
    /// The CA that must be on the path.
    pub pin: Option<&'a IssuerPin>,
    /// Who issued the installed certificate, where that is known.
    pub installed_issuer: Option<&'a Issuer>,
    /// The validity that was asked for.
    pub validity_asked: Option<Duration>,
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
    /// Who issued the leaf.
    pub issuer: Issuer,
    /// The CA of the chain that ends first.
    pub chain_end: Option<ChainEnd>,
    /// What is worth telling and no reason to refuse; of a set that is held also why.
    pub remarks: Vec<Remark>,
}

impl Set {
    /// Whether a CA of its path is why it serves no longer than until `installed`.
    #[must_use]
    pub fn is_limited_by_ca(&self, installed: Timestamp) -> bool {
        path::limit(self.chain_end.as_ref(), self.chain.iter().chain(&self.root), self.facts.not_after, installed)
            .is_some()
    }
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
        /// Of which kind that is.
        lack: Lack,
        /// The set.
        set: Box<Set>,
    },
    /// It must not be installed: every defect.
    Refused(Vec<Text>),
}

/// Judges what came against what was asked for.
pub fn judge(candidate: &Candidate<'_>, demand: &Demand<'_>) -> Verdict {
    let mut verdicts = ours(candidate).into_iter().map(|leaf| judge_leaf(leaf, candidate, demand));
    let Some(first) = verdicts.next() else { return Verdict::Refused(vec![nobody(candidate)]) };
    let is_refused = |verdict: &Verdict| matches!(verdict, Verdict::Refused(_));
    if is_refused(&first) { verdicts.find(|other| !is_refused(other)).unwrap_or(first) } else { first }
}

fn judge_leaf(leaf: &Certificate, candidate: &Candidate<'_>, demand: &Demand<'_>) -> Verdict {
    let read = match Read::of(leaf) {
        Ok(read) => read,
        Err(error) => return Verdict::Refused(vec![Text::new(&error.to_string())]),
    };
    let mut defects = read.defects(demand);
    let purpose = Purpose::of(demand.usages, &read.facts.usages);
    let aim = Aim {
        anchors: demand.issuers,
        at: read.judged_at(demand.now),
        purpose,
        pin: demand.pin,
        is_leaf_sound: defects.is_empty(),
    };
    match chain::build(leaf, candidate.certificates, &aim) {
        Ok(chain) => {
            let doubts = doubts(&read.facts, &chain, demand.usages, purpose);
            defects.extend(read.self_named());
            defects.extend(path::unpinned(&chain, demand.pin));
            let served = served::of_chain(leaf, &chain);
            defects.extend(path::ends_no_later(&chain, &served, read.facts.not_after, demand.must_outlive));
            if defects.is_empty() {
                return verdict(read.set(leaf, (chain, served), demand), doubts, demand.now);
            }
            defects.extend(doubts.into_iter().map(|doubt| doubt.message));
        }
        Err(obstacles) => {
            defects.extend(obstacles.iter().map(|obstacle| Text::new(&obstacle.to_string())));
            defects.extend(missing_usages(&read.facts, demand.usages).map(|missing| Text::new(&missing)));
        }
    }
    Verdict::Refused(defects)
}

fn verdict(mut set: Set, doubts: Vec<Remark>, now: Timestamp) -> Verdict {
    let why: Vec<_> = doubts.iter().map(|doubt| doubt.message.as_str()).collect();
    let why = Text::new(&why.join("; "));
    let lacks = |code| doubts.iter().any(|doubt| doubt.code == code);
    let lack = match (lacks(Code::UsageMissing), lacks(Code::SignatureUnjudged)) {
        (true, true) => Some(Lack::Both),
        (true, false) => Some(Lack::Usage),
        (false, true) => Some(Lack::Signature),
        (false, false) => None,
    };
    set.remarks.splice(0..0, doubts);
    let set = Box::new(set);
    match lack {
        _ if set.facts.not_before > now => Verdict::NotYetValid { until: set.facts.not_before, set },
        Some(lack) => Verdict::Held { why, lack, set },
        None => Verdict::Accepted(set),
    }
}

/// What keeps a set from being installed before the emergency stage: usages that it lacks or that its CAs withhold, and a
/// signature that nobody can judge.
fn doubts(facts: &Leaf, chain: &Chain, wanted: &[Usage], purpose: Purpose) -> Vec<Remark> {
    let missing = missing_usages(facts, wanted).map(|why| Remark::new(Code::UsageMissing, &why));
    missing.into_iter().chain(path::withheld(chain, wanted, purpose)).chain(path::unvouched(chain)).collect()
}

/// The certificates with our public key. Of several, as after a renewal with the same key, the one that ends last comes
/// first; one that signed itself, or a CA's, only where there is no other.
fn ours<'a>(candidate: &Candidate<'a>) -> Vec<&'a Certificate> {
    let rank = |certificate: &&Certificate| {
        let parsed = certificate.parsed().ok()?;
        let is_ca = extension::basic_constraints(&parsed).ok().flatten().is_some_and(|constraints| constraints.ca);
        let is_self_issued = name::same(parsed.subject(), parsed.issuer());
        Some((!is_ca, !is_self_issued, parsed.validity().not_after.timestamp()))
    };
    let is_ours = |certificate: &&Certificate| certificate.spki() == candidate.key;
    let mut ours: Vec<_> = candidate.certificates.iter().filter(is_ours).collect();
    ours.sort_by_key(|certificate| Reverse(rank(certificate)));
    ours.truncate(MOST_LEAVES);
    ours
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

/// No such extension allows every usage, and `any` every one but those of TLS, whose clients do not take it.
fn missing_usages(facts: &Leaf, wanted: &[Usage]) -> Option<String> {
    if facts.usages.is_empty() {
        return None;
    }
    let stands_for = |usage: &Usage| purpose::has_any(&facts.usages) && !purpose::is_of_tls(usage);
    let missing = wanted.iter().filter(|usage| !facts.usages.contains(usage) && !stands_for(usage));
    let missing: Vec<_> = missing.map(ToString::to_string).collect();
    let there: Vec<_> = facts.usages.iter().map(ToString::to_string).collect();
    (!missing.is_empty()).then(|| format!("usages are missing: {}; it has {}", missing.join(", "), there.join(", ")))
}

#[cfg(test)]
mod suite;
#[cfg(test)]
mod tests;
