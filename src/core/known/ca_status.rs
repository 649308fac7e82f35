//! Which CA certificates are served, when each is asked after at its issuer, and which of them are revoked. Asks nobody:
//! says what is due, is told what came of it, and holds nothing back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::observed::Installed;
use super::revocation::{CaStanding, Revocation};
use crate::core::name::{CertName, Digest, Generation, SerialNumber};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;

/// A set that is live, whose chain is served.
#[derive(Clone, Debug)]
pub struct LiveSet {
    /// What is wanted.
    pub entry: Arc<Entry>,
    /// Which generation is live; 0: what was found at the entry's paths.
    pub generation: Generation,
    /// The fingerprint of its leaf.
    pub leaf: Digest,
}

/// A set that serves a CA certificate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Holder {
    /// Of which certificate.
    pub name: CertName,
    /// Its generation.
    pub generation: Generation,
    /// The fingerprint of its leaf.
    pub leaf: Digest,
}

impl Holder {
    /// Whether `installed` still is that set.
    #[must_use]
    pub fn is(&self, installed: &Installed) -> bool {
        (self.generation, self.leaf) == (installed.generation, installed.fingerprint)
    }
}

/// A CA certificate, as those that serve it have it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedCa {
    /// SHA-256 of its DER.
    pub fingerprint: Digest,
    /// Its subject.
    pub subject: Text,
    /// Its serial number.
    pub serial_number: SerialNumber,
}

/// A CA certificate that is asked after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ca {
    /// Which.
    #[serde(flatten)]
    pub served: ServedCa,
    /// What its issuer said last; `None`: nothing yet.
    pub standing: Option<CaStanding>,
    /// Who serves it, where it is revoked.
    pub holders: BTreeSet<Holder>,
    /// When it is asked after next.
    next: Timestamp,
    /// How often in a row nothing could be learnt.
    failures: u32,
}

impl Ca {
    /// Its revocation, where it is revoked.
    #[must_use]
    pub const fn revocation(&self) -> Option<&Revocation> {
        match &self.standing {
            Some(CaStanding::Revoked(revocation)) => Some(revocation),
            Some(CaStanding::NotRevoked) | None => None,
        }
    }

    /// What is to be said of a revoked one that is served with the certificates `names`.
    #[must_use]
    pub fn remark(&self, names: &[&CertName]) -> Option<String> {
        let Revocation { at, reason } = self.revocation()?;
        let ServedCa { subject, serial_number, .. } = &self.served;
        let first: Vec<&str> = names.iter().take(NAMED).map(|name| name.as_str()).collect();
        let first = match (first.as_slice(), names.len().saturating_sub(NAMED)) {
            ([], _) => return None,
            (first, 0) => first.join(", "),
            (first, more) => format!("{} and {more} more", first.join(", ")),
        };
        let (served, them) = match names.len() {
            1 => (format!("1 certificate ({first}) is"), "it"),
            several => (format!("{several} certificates ({first}) are"), "them"),
        };
        let (state, since) = if reason.is_hold() { ("suspended", "on hold since") } else { ("revoked", "revoked at") };
        // The names come before the subject: of a text that is too long the end is cut.
        Some(format!(
            "{served} served with a {state} CA certificate, {since} {at} ({reason}): {subject}, serial number \
             {serial_number}; TLS clients that check revocation reject {them}"
        ))
    }
}

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// Read which CA certificates are served.
    Chains {
        /// With these certificates; `None`: with all.
        names: Option<BTreeSet<CertName>>,
        /// Those of which it is noted who serves them.
        revoked: BTreeSet<Digest>,
    },
    /// Ask after this CA certificate.
    Status(Digest),
}

/// What came of asking after a CA certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What its issuer says.
    Told(CaStanding),
    /// It names nobody who could be asked.
    NobodyToAsk,
    /// Nothing could be learnt.
    Unknown(Text),
}

/// What was found in the chains that are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The CA certificates, each once.
    pub cas: BTreeMap<Digest, ServedCa>,
    /// Who serves those that were asked for.
    pub holders: Vec<(Digest, Holder)>,
    /// Whose chains could not be read: nothing is known of them that was not known before.
    pub unread: BTreeSet<CertName>,
}

/// The watch over the CA certificates that are served. One look at a time.
#[derive(Clone, Debug, Default)]
pub struct CaWatch {
    interval: Option<Duration>,
    cas: BTreeMap<Digest, Ca>,
    /// When all chains are read next.
    chains_at: Timestamp,
    /// Certificates whose sets changed since, and when their chains are read.
    changed: BTreeSet<CertName>,
    changed_at: Timestamp,
    is_looking: bool,
}

impl CaWatch {
    /// A watch that asks after each CA once in an `interval` (`None`: never), and begins with what is `kept`.
    #[must_use]
    pub fn new(interval: Option<Duration>, kept: Vec<Ca>, now: Timestamp) -> Self {
        let mut watch = Self { interval, ..Self::default() };
        let Some(interval) = interval else { return watch };
        watch.chains_at = now + interval / 4 / FIRST_PART;
        for mut ca in kept {
            ca.next = ca.next.max(first_look(interval, &ca.served.fingerprint, now)).min(now + interval);
            watch.cas.insert(ca.served.fingerprint, ca);
        }
        watch
    }

    /// Takes another interval.
    pub fn set_interval(&mut self, interval: Option<Duration>, now: Timestamp) {
        if interval != self.interval {
            let is_looking = self.is_looking;
            let kept = std::mem::take(&mut self.cas).into_values().collect();
            *self = Self { is_looking, ..Self::new(interval, kept, now) };
        }
    }

    /// The CAs, in order of their fingerprints.
    pub fn cas(&self) -> impl Iterator<Item = &Ca> {
        self.cas.values()
    }

    /// The subjects of those whose standing is known, and whether `is_revoked` says so of their fingerprint.
    pub fn judged(&self, is_revoked: impl Fn(Digest) -> bool) -> Vec<(Text, bool)> {
        let judged = self.cas().filter(|ca| ca.standing.is_some());
        judged.map(|ca| (ca.served.subject.clone(), is_revoked(ca.served.fingerprint))).collect()
    }

    /// One CA.
    #[must_use]
    pub fn ca(&self, fingerprint: &Digest) -> Option<&Ca> {
        self.cas.get(fingerprint)
    }

    /// Takes what is due now, if something is; what comes of it has to be told.
    pub fn due(&mut self, now: Timestamp) -> Option<Look> {
        if self.is_looking {
            return None;
        }
        let look = self.next_look(now)?;
        self.is_looking = true;
        if let Look::Chains { .. } = look {
            self.changed.clear();
        }
        Some(look)
    }

    fn next_look(&self, now: Timestamp) -> Option<Look> {
        let interval = self.interval?;
        // After a step of the clock nothing waits longer than it would have.
        let is_due = |at: Timestamp| at <= now || at > now + interval;
        let revoked = || self.cas().filter(|ca| ca.revocation().is_some()).map(|ca| ca.served.fingerprint).collect();
        if is_due(self.chains_at) {
            return Some(Look::Chains { names: None, revoked: revoked() });
        }
        if !self.changed.is_empty() && is_due(self.changed_at) {
            return Some(Look::Chains { names: Some(self.changed.clone()), revoked: revoked() });
        }
        self.cas().find(|ca| is_due(ca.next)).map(|ca| Look::Status(ca.served.fingerprint))
    }

    /// When something is due next; `None`: nothing before what is looked at now is known.
    #[must_use]
    pub fn next_due(&self) -> Option<Timestamp> {
        self.interval.filter(|_| !self.is_looking)?;
        let changed = (!self.changed.is_empty()).then_some(self.changed_at);
        [Some(self.chains_at), changed].into_iter().flatten().chain(self.cas().map(|ca| ca.next)).min()
    }

    /// Another set of this certificate is live.
    pub fn changed(&mut self, name: &CertName, now: Timestamp) {
        let Some(interval) = self.interval else { return };
        let soon = now + (interval / 4 / FIRST_PART).min(SOON);
        if self.changed.is_empty() {
            self.changed_at = soon;
        }
        if self.changed.len() < MOST_CHANGED {
            self.changed.insert(name.clone());
        } else {
            self.chains_at = self.chains_at.min(soon);
        }
    }

    /// Notes which CA certificates are served: with these certificates, or, without `names`, with all.
    pub fn served(&mut self, names: Option<&BTreeSet<CertName>>, found: Found, now: Timestamp) {
        self.is_looking = false;
        let Some(interval) = self.interval else { return };
        if names.is_none() {
            let is_whole = found.unread.is_empty();
            self.cas.retain(|fingerprint, _| !is_whole || found.cas.contains_key(fingerprint));
            self.chains_at = now + interval;
        }
        let is_asked = |name: &CertName| names.is_none_or(|names| names.contains(name));
        let is_read = |holder: &Holder| is_asked(&holder.name) && !found.unread.contains(&holder.name);
        self.cas.values_mut().for_each(|ca| ca.holders.retain(|holder| !is_read(holder)));
        for (fingerprint, served) in found.cas {
            let next = first_look(interval, &fingerprint, now);
            let new = || Ca { served, standing: None, holders: BTreeSet::new(), next, failures: 0 };
            self.cas.entry(fingerprint).or_insert_with(new);
        }
        for (fingerprint, holder) in found.holders {
            if let Some(ca) = self.cas.get_mut(&fingerprint) {
                ca.holders.insert(holder);
            }
        }
    }

    /// Notes what came of asking after a CA certificate; whether that is another standing than before.
    pub fn note(&mut self, fingerprint: &Digest, outcome: &Outcome, now: Timestamp) -> bool {
        self.is_looking = false;
        let (Some(interval), Some(ca)) = (self.interval, self.cas.get_mut(fingerprint)) else { return false };
        ca.failures = if matches!(outcome, Outcome::Unknown(_)) { ca.failures.saturating_add(1) } else { 0 };
        ca.next = now + if ca.failures == 0 { interval } else { ladder(interval, ca.failures) };
        let Outcome::Told(standing) = outcome else { return false };
        let before = ca.standing.replace(*standing);
        let is_new = before != Some(*standing);
        if ca.revocation().is_none() {
            ca.holders.clear();
        } else if is_new {
            // Who serves it is not known yet.
            self.chains_at = now;
        }
        is_new && (before.is_some() || *standing != CaStanding::NotRevoked)
    }
}

/// The first look lies within a part of the interval, after the chains were read, at a point that the fingerprint gives.
fn first_look(interval: Duration, fingerprint: &Digest, now: Timestamp) -> Timestamp {
    let part = interval / FIRST_PART;
    let spread = ((part / 2).as_millis() * u128::from(fingerprint.prefix())) >> 64;
    now + part / 2 + Duration::from_millis(u64::try_from(spread).unwrap_or(0))
}

/// The wait after so many failures in a row (from 1): twice as long each time, up to the interval.
fn ladder(interval: Duration, failures: u32) -> Duration {
    (interval / FIRST_PART).saturating_mul(1 << failures.saturating_sub(1).min(16)).min(interval)
}

/// Of a day an hour.
const FIRST_PART: u32 = 24;
/// So many names are given one by one.
const NAMED: usize = 3;
/// Sets that change within so short a time are read together.
const SOON: Duration = Duration::from_secs(60);
/// Of more changes than that all chains are read.
const MOST_CHANGED: usize = 1000;

#[cfg(test)]
mod tests;
