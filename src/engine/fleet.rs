//! The certificates under management, and when each is looked at next. An event costs O(log n): nothing here passes
//! over all of them, but where something concerns all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::decide::{Action, Decision};
use crate::core::name::{CertName, ProfileRef};
use crate::core::reason::{Reason, State};
use crate::core::time::Timestamp;

use super::admission::Urgency;
use super::managed::{Decided, Indexed, Managed, TRIAL_PATIENCE, Work};

/// All of them.
#[derive(Debug, Default)]
pub struct Fleet {
    certificates: BTreeMap<CertName, Box<Managed>>,
    /// When each is looked at next.
    queue: BTreeSet<(Timestamp, CertName)>,
    /// Who waits for a place among the running requests.
    waiting: BTreeSet<Urgency>,
    /// How many are in each state.
    states: BTreeMap<State, usize>,
    /// Those that may be in trouble: all but the ones that are valid and wait for their renewal time.
    needing_attention: BTreeSet<CertName>,
    /// For how many something is being done, and for how many of these it is a repair.
    busy: usize,
    healing: usize,
}

impl Fleet {
    /// The certificates in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Managed> {
        self.certificates.values().map(|managed| &**managed)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.certificates.len()
    }

    /// The certificates with their names.
    pub fn names(&self) -> impl Iterator<Item = &CertName> {
        self.certificates.keys()
    }

    /// The profiles that the certificates are asked of.
    pub fn profiles(&self) -> impl Iterator<Item = &ProfileRef> + Clone {
        self.certificates.values().map(|managed| managed.profile())
    }

    /// The profiles that the certificates name, fallbacks as well.
    pub fn named_profiles(&self) -> impl Iterator<Item = &ProfileRef> {
        self.iter().flat_map(|managed| managed.entry.profiles())
    }

    /// What is left of the certificate in force that ends first.
    #[must_use]
    pub fn least_left(&self, now: Timestamp) -> Option<Duration> {
        let ends = self.iter().filter_map(|managed| Some(managed.observed.installed()?.ends_at()));
        ends.filter(|end| *end > now).min().map(|end| end.since(now))
    }

    /// One certificate.
    #[must_use]
    pub fn one(&self, name: &CertName) -> Option<&Managed> {
        self.certificates.get(name).map(|managed| &**managed)
    }

    /// Changes one certificate.
    pub fn change<R>(&mut self, name: &CertName, change: impl FnOnce(&mut Managed) -> R) -> Option<R> {
        let managed = self.certificates.get_mut(name)?;
        let before = managed.indexed();
        // Its place in the line follows what it is lined up by.
        let is_in_line = !self.waiting.is_empty() && self.waiting.remove(&managed.urgency());
        let result = change(managed);
        let after = managed.indexed();
        if is_in_line {
            self.waiting.insert(managed.urgency());
        }
        if before != after {
            self.reindex(name, Some(before), Some(after));
        }
        Some(result)
    }

    /// Changes what was decided for one certificate.
    pub fn amend(&mut self, name: &CertName, change: impl FnOnce(&mut Decision)) {
        self.change(name, |managed| {
            let mut decision = managed.decision().into_owned();
            change(&mut decision);
            managed.decided = Decided::new(decision);
        });
    }

    /// Holds a certificate back until `wake_at`.
    pub fn hold_back(&mut self, name: &CertName, reason: Reason, mut wake_at: Timestamp) {
        self.amend(name, |decision| {
            // A pending request keeps its own reason: it is no less pending, and is asked for when that ends. What is
            // looked at beside a wait is no reason for another one: that may end before.
            if let Reason::Pending { next, .. } = &mut decision.reason {
                *next = wake_at;
            } else if matches!(decision.action, Action::CheckStatus(_)) && decision.reason.state() != State::Valid {
                wake_at = wake_at.min(decision.wake_at);
            // The certificate itself waits for nobody.
            } else if !matches!(decision.action, Action::RevokeSuperseded(_)) || reason.state() == State::Valid {
                decision.reason = reason;
            }
            (decision.action, decision.wake_at) = (Action::Wait, wake_at);
        });
        self.wake(name, wake_at);
    }

    /// Those that were held back while a trial was under way.
    #[must_use]
    pub fn waiting_for_trial(&self, now: Timestamp) -> Vec<CertName> {
        let waits = |managed: &&Managed| {
            let decision = managed.decision();
            matches!(decision.reason, Reason::ApiDown { .. }) && decision.wake_at <= now + TRIAL_PATIENCE
        };
        self.iter().filter(waits).map(|managed| managed.entry.name.clone()).collect()
    }

    /// Counts a certificate otherwise than before.
    fn reindex(&mut self, name: &CertName, before: Option<Indexed>, after: Option<Indexed>) {
        if let Some(Indexed { state, needs_attention }) = before {
            if let Some(count) = self.states.get_mut(&state) {
                *count -= 1;
            }
            if needs_attention {
                self.needing_attention.remove(name);
            }
        }
        if let Some(Indexed { state, needs_attention }) = after {
            *self.states.entry(state).or_default() += 1;
            if needs_attention {
                self.needing_attention.insert(name.clone());
            }
        }
    }

    /// How many certificates are in each state, where there are any.
    pub fn states(&self) -> impl Iterator<Item = (State, usize)> {
        self.states.iter().map(|(state, count)| (*state, *count)).filter(|(_, count)| *count > 0)
    }

    /// The certificates that may be in trouble, in order of their names.
    pub fn needing_attention(&self) -> impl Iterator<Item = &Managed> {
        self.needing_attention.iter().filter_map(|name| self.one(name))
    }

    /// Takes a certificate under management, to be looked at now.
    pub fn add(&mut self, managed: Managed, now: Timestamp) {
        let name = managed.entry.name.clone();
        self.remove(&name);
        self.reindex(&name, None, Some(managed.indexed()));
        self.certificates.insert(name.clone(), Box::new(managed));
        self.wake(&name, now);
    }

    /// Takes certificates under management, in order of their names and none of them there yet. They wait to be decided
    /// for. At once, it takes less memory than one after the other: the tree has no gaps.
    pub fn fill(&mut self, certificates: Vec<Managed>) {
        for managed in &certificates {
            self.reindex(&managed.entry.name, None, Some(managed.indexed()));
        }
        let named = certificates.into_iter().map(|managed| (managed.entry.name.clone(), Box::new(managed)));
        self.certificates.append(&mut named.collect());
    }

    /// Something is being done for a certificate now: what was decided.
    pub fn begin(&mut self, name: &CertName) {
        let Some(managed) = self.certificates.get_mut(name).filter(|managed| !managed.is_busy()) else { return };
        let is_repair = matches!(managed.decision().action, Action::Repair { .. });
        managed.work = if is_repair { Work::Repair } else { Work::Other };
        self.busy += 1;
        self.healing += usize::from(managed.work == Work::Repair);
    }

    /// What was being done for a certificate is done.
    pub fn end(&mut self, name: &CertName) {
        let Some(managed) = self.certificates.get_mut(name).filter(|managed| managed.is_busy()) else { return };
        self.busy -= 1;
        self.healing -= usize::from(managed.work == Work::Repair);
        managed.work = Work::None;
    }

    /// Whether something is being done for any.
    #[must_use]
    pub const fn is_busy(&self) -> bool {
        self.busy > 0
    }

    /// Whether half-done installs are being finished.
    #[must_use]
    pub const fn is_healing(&self) -> bool {
        self.healing > 0
    }

    /// Lets a certificate go.
    pub fn remove(&mut self, name: &CertName) -> Option<Managed> {
        self.end(name);
        let managed = self.certificates.remove(name)?;
        self.reindex(name, Some(managed.indexed()), None);
        self.waiting.remove(&managed.urgency());
        if let Some(at) = managed.wake_at {
            self.queue.remove(&(at, name.clone()));
        }
        Some(*managed)
    }

    /// Looks at a certificate at `at`, and not at the time that was set before.
    pub fn wake(&mut self, name: &CertName, at: Timestamp) {
        let Some(managed) = self.certificates.get_mut(name) else { return };
        if let Some(before) = managed.wake_at.replace(at) {
            self.queue.remove(&(before, name.clone()));
        }
        self.queue.insert((at, name.clone()));
    }

    /// Sees to it that every certificate is looked at, and that nobody gets a place before that.
    pub fn wake_all(&mut self, at: Timestamp) {
        self.waiting.clear();
        let names: Vec<CertName> = self.names().cloned().collect();
        names.iter().for_each(|name| self.wake(name, at));
    }

    /// Those that wait until the clock is right.
    #[must_use]
    pub fn waiting_for_clock(&self) -> Vec<CertName> {
        let waits = |managed: &&Managed| matches!(managed.decision().reason, Reason::ClockWrong { .. });
        self.iter().filter(waits).map(|managed| managed.entry.name.clone()).collect()
    }

    /// Takes the next certificate that is due to be looked at.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<CertName> {
        if self.queue.first().is_none_or(|(at, _)| *at > now) {
            return None;
        }
        let (_, name) = self.queue.pop_first()?;
        if let Some(managed) = self.certificates.get_mut(&name) {
            managed.wake_at = None;
        }
        Some(name)
    }

    /// When the next certificate is due to be looked at.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.queue.first().map(|(at, _)| *at)
    }

    /// Lets a certificate wait for a place.
    pub fn line_up(&mut self, name: &CertName) {
        if let Some(managed) = self.certificates.get(name) {
            self.waiting.insert(managed.urgency());
        }
    }

    /// The first in the line, and whether it is in its emergency stage.
    #[must_use]
    pub fn first_in_line(&self) -> Option<(CertName, bool)> {
        self.waiting.first().map(|urgency| (urgency.name.clone(), !urgency.relaxed))
    }

    /// Takes the first out of the line.
    pub fn leave_line(&mut self) {
        self.waiting.pop_first();
    }

    /// Takes a certificate out of the line, before its decision changes.
    pub fn step_out(&mut self, name: &CertName) {
        if let Some(managed) = self.certificates.get(name) {
            self.waiting.remove(&managed.urgency());
        }
    }

    /// Whether nobody waits for a place.
    #[must_use]
    pub fn line_is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::core::compact::boxed_default::BoxedDefault;
    use crate::core::example::bare;
    use crate::core::known::observed::{Installed, Observed};
    use crate::core::name::{Digest, Generation, SerialNumber};
    use crate::core::record::Record;
    use crate::core::wanted::usage::Usage;

    #[test]
    fn nobody_stands_in_the_line_twice() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let entry = Arc::new(bare("www"));
        let ends_at = |not_after| {
            Observed::Installed(Box::new(Installed {
                generation: Generation(1),
                attempt: None,
                serial_number: SerialNumber("0A".to_owned()),
                fingerprint: Digest([0; 32]),
                spki: Digest([0; 32]),
                not_before: Timestamp::default(),
                not_after,
                key: None,
                usages: Usage::list(Vec::new()),
                profile: None,
                differs: None,
                drift: BoxedDefault::new(),
                renewed_elsewhere: false,
                is_refreshed: false,
                chain: Arc::default(),
                remarks: BoxedDefault::new(),
            }))
        };
        let mut fleet = Fleet::default();
        let name = entry.name.clone();
        fleet.add(Managed::new(entry, ends_at(now), Record::default(), now), now);
        fleet.line_up(&name);
        fleet.change(&name, |managed| managed.observed = ends_at(now + Duration::from_secs(60)));
        fleet.line_up(&name);
        assert_eq!(fleet.first_in_line(), Some((name, false)));
        fleet.leave_line();
        assert!(fleet.line_is_empty());
    }
}
