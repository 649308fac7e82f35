//! The certificates under management, and when each is looked at next. An event costs O(log n): nothing here passes
//! over all of them, but where something concerns all.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::core::decide::{Action, Decision, GlobalState, World, decide};
use crate::core::health;
use crate::core::known::cached_profile::CachedProfile;
use crate::core::known::observed::Installed;
use crate::core::known::observed::Observed;
use crate::core::known::served::ProbeRecord;
use crate::core::known::served::Served;
use crate::core::name::{CertName, ProfileRef};
use crate::core::reason::{Cause, Reason, State};
use crate::core::record::Record;
use crate::core::schedule::Schedule;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::core::wanted::window::Deploy;
use crate::core::wanted::window::DeployWindow;
use crate::engine::admission::Urgency;
use crate::engine::breaker::Breaker;

use super::calendar;

/// One certificate under management.
#[derive(Clone, Debug)]
pub struct Managed {
    /// What is wanted.
    pub entry: Arc<Entry>,
    /// What was last seen on the disk.
    pub observed: Observed,
    /// What is known of its past.
    pub record: Record,
    decided: Decided,
    work: Work,
    wake_at: Option<Timestamp>,
    /// Between which instants its deploy window is known to be closed: the calendar is asked once.
    closed: Option<Box<(DeployWindow, Timestamp, Timestamp)>>,
}

/// Why a certificate asks nobody, and until when.
#[derive(Clone, Debug, PartialEq)]
pub struct Blocked {
    /// Why.
    pub reason: Reason,
    /// When that ends.
    pub until: Timestamp,
}

/// When a trial that is under way is asked after again.
const TRIAL_PATIENCE: Duration = Duration::from_secs(60);

/// What was decided last, in as little memory as it takes for a certificate that waits for its renewal time.
#[derive(Clone, Debug)]
enum Decided {
    Nothing { since: Timestamp },
    NotDue { renew_at: Timestamp, window: Duration, wake_at: Timestamp },
    Other(Box<Decision>),
}

impl Decided {
    fn not_due(renew_at: Timestamp, window: Duration, wake_at: Timestamp) -> Decision {
        let (action, reason) = (Action::Wait, Reason::NotDue { renew_at, window });
        Decision { action, reason, wake_at, renew_at: Some(renew_at), emergency: false, hook: None }
    }

    fn new(decision: Decision) -> Self {
        if let Reason::NotDue { renew_at, window } = decision.reason
            && Self::not_due(renew_at, window, decision.wake_at) == decision
        {
            return Self::NotDue { renew_at, window, wake_at: decision.wake_at };
        }
        Self::Other(Box::new(decision))
    }

    fn get(&self) -> Cow<'_, Decision> {
        match self {
            Self::Nothing { since } => Cow::Owned(Decision {
                action: Action::Wait,
                reason: Reason::Due(Cause::Absent),
                wake_at: *since,
                renew_at: None,
                emergency: false,
                hook: None,
            }),
            Self::NotDue { renew_at, window, wake_at } => Cow::Owned(Self::not_due(*renew_at, *window, *wake_at)),
            Self::Other(decision) => Cow::Borrowed(decision),
        }
    }
}

/// What a certificate counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Indexed {
    state: State,
    needs_attention: bool,
}

/// What is being done for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    None,
    /// Files are being put back as they should be.
    Repair,
    /// Anything else.
    Other,
}

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

impl Managed {
    /// A certificate that was just seen for the first time.
    #[must_use]
    pub fn new(entry: Arc<Entry>, observed: Observed, record: Record, now: Timestamp) -> Self {
        let decided = Decided::Nothing { since: now };
        Self { entry, observed, record, decided, work: Work::None, wake_at: None, closed: None }
    }

    /// Whether nothing was decided for it yet.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        matches!(self.decided, Decided::Nothing { .. })
    }

    /// What was decided last.
    #[must_use]
    pub fn decision(&self) -> Cow<'_, Decision> {
        self.decided.get()
    }

    /// Whether something is being done for it.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.work != Work::None
    }

    /// Whether it ends so soon that no outage holds it back: it is its own trial, on its own ladder.
    #[must_use]
    pub fn is_urgent(&self, now: Timestamp) -> bool {
        self.decision().emergency && self.observed.installed().is_some_and(|installed| installed.ends_at() > now)
    }

    /// Whether its requests leave during a pause, so many a minute.
    #[must_use]
    pub fn passes_pause(&self, now: Timestamp) -> bool {
        self.is_urgent(now) || self.record.renewal_asked.is_some()
    }

    /// Why it asks nobody now, whatever it waits for itself: the API as a whole is down, or TLM limits the rate.
    #[must_use]
    pub fn blocked(&self, breaker: &Breaker, paused_until: Option<Timestamp>, now: Timestamp) -> Option<Blocked> {
        if let Some((why, until)) = breaker.blocks(self.is_urgent(now)) {
            return Some(Blocked { reason: Reason::ApiDown { why, until }, until });
        }
        let until = paused_until.filter(|_| !self.passes_pause(now))?;
        Some(Blocked { reason: Reason::RateLimited { until }, until })
    }

    /// When it is decided for again after it was held back: when that ends, or its emergency stage begins. A trial that is
    /// on its way wakes everybody when it succeeds.
    #[must_use]
    pub fn held_until(&self, blocked: &Blocked, reading: &CachedProfile, now: Timestamp) -> Timestamp {
        let until = if blocked.until > now { blocked.until } else { now + TRIAL_PATIENCE };
        let schedule =
            self.observed.installed().map(|installed| Schedule::of(&self.entry, reading.profile.as_ref(), installed));
        let emergency_at = schedule.map(|schedule| schedule.emergency_at).filter(|at| *at > now);
        emergency_at.map_or(until, |at| until.min(at))
    }

    /// Decides anew.
    pub fn decide(&mut self, reading: &CachedProfile, global: &GlobalState, now: Timestamp) {
        let deploy = self.deploy(now);
        self.closed = match (&self.entry.deploy_window, deploy) {
            (Some(window), Deploy::Closed(opens)) => Some(Box::new((DeployWindow::clone(window), now, opens))),
            (Some(_), Deploy::Open | Deploy::Unplaced) | (None, _) => None,
        };
        let (entry, observed, record) = (&*self.entry, &self.observed, &self.record);
        self.decided = Decided::new(decide(&World { entry, observed, reading, record, global, deploy, now }));
    }

    /// What its deploy window says at `now`.
    #[must_use]
    pub fn deploy(&self, now: Timestamp) -> Deploy {
        match (self.closed.as_deref(), self.entry.deploy_window.as_deref()) {
            (Some((known, from, opens)), Some(window)) if known == window && *from <= now && now < *opens => {
                Deploy::Closed(*opens)
            }
            (_, window) => calendar::deploy(window, now),
        }
    }

    /// What the last probe of the installed certificate saw, where it saw anything.
    #[must_use]
    pub fn seen(&self) -> Option<Served> {
        Some(self.last_look()?.served).filter(|served| *served != Served::Unknown)
    }

    /// The last probe of the installed certificate.
    #[must_use]
    pub fn last_look(&self) -> Option<&ProbeRecord> {
        let fingerprint = self.observed.installed()?.fingerprint;
        self.record.probe.as_deref().filter(|seen| seen.fingerprint == fingerprint)
    }

    fn indexed(&self) -> Indexed {
        let reason = &self.decision().reason;
        // Nothing is known yet of a new one, and something will be at once.
        Indexed {
            state: reason.state(),
            needs_attention: !self.is_new() && !health::is_steady(reason, &self.observed, &self.record),
        }
    }

    fn urgency(&self) -> Urgency {
        Urgency {
            relaxed: !self.decision().emergency,
            not_after: self.observed.installed().map_or(Timestamp::default(), Installed::ends_at),
            name: self.entry.name.clone(),
        }
    }
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

    /// The profiles that the certificates name.
    pub fn profiles(&self) -> impl Iterator<Item = &ProfileRef> + Clone {
        self.certificates.values().map(|managed| &managed.entry.profile)
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
    pub fn hold_back(&mut self, name: &CertName, reason: Reason, wake_at: Timestamp) {
        self.amend(name, |decision| {
            // A pending request keeps its own reason: it is no less pending.
            if decision.reason.state() != State::Pending {
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
    use std::mem::size_of;

    use super::*;
    use crate::core::compact::boxed_default::BoxedDefault;
    use crate::core::compact::packed_names::Naming;
    use crate::core::compact::settings::EntrySettings;
    use crate::core::name::{Digest, Generation, SerialNumber};
    use crate::core::wanted::entry::Source;
    use crate::core::wanted::entry::Usage;

    /// Of a hundred thousand, each byte is a tenth of a megabyte; what is rare goes behind a pointer.
    #[test]
    fn a_certificate_in_order_takes_little_memory() {
        let sizes = [size_of::<Managed>(), size_of::<Record>(), size_of::<Installed>(), size_of::<Entry>()];
        assert!(sizes.iter().zip([160, 72, 208, 80]).all(|(size, most)| *size <= most), "{sizes:?}");
        let not_due = Decided::not_due(Timestamp::from_seconds(1), Duration::from_secs(1), Timestamp::from_seconds(2));
        let decided = Decided::new(not_due.clone());
        assert!(matches!(decided, Decided::NotDue { .. }) && *decided.get() == not_due);
        let emergency = Decision { emergency: true, ..not_due };
        let decided = Decided::new(emergency.clone());
        assert!(matches!(decided, Decided::Other(_)) && *decided.get() == emergency);
    }

    fn entry(name: &str) -> Arc<Entry> {
        Arc::new(Entry {
            name: name.parse().unwrap(),
            source: Source { file: "certs.d/www.toml".into(), line: 1 },
            naming: Naming::default().into(),
            probes: BoxedDefault::new(),
            files: BoxedDefault::new(),
            terms: Arc::new(EntrySettings::new(ProfileRef::new("Web"))),
        })
    }

    #[test]
    fn nobody_stands_in_the_line_twice() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let entry = entry("www");
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
