//! One certificate under management: what is wanted, seen, known of its past, and decided.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::core::code::Code;
use crate::core::decide::{Action, Decision, GlobalState, OtherProfile, World, decide};
use crate::core::health;
use crate::core::known::cached_profile::CachedProfile;
use crate::core::known::observed::{Installed, Observed};
use crate::core::known::served::{ProbeRecord, Served};
use crate::core::name::ProfileRef;
use crate::core::reason::{Cause, Reason, State};
use crate::core::record::Record;
use crate::core::remark::Remark;
use crate::core::schedule::Schedule;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::core::wanted::window::{Deploy, DeployWindow, Freeze};

use super::admission::Urgency;
use super::breaker::Breaker;
use super::calendar;
use super::io::Step;
use super::profiles::ProfileCache;

/// One certificate under management.
#[derive(Clone, Debug)]
pub struct Managed {
    /// What is wanted.
    pub entry: Arc<Entry>,
    /// What was last seen on the disk.
    pub observed: Observed,
    /// What is known of its past.
    pub record: Record,
    pub(super) decided: Decided,
    pub(super) work: Work,
    pub(super) wake_at: Option<Timestamp>,
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
pub(super) const TRIAL_PATIENCE: Duration = Duration::from_secs(60);

/// What was decided last, in as little memory as it takes for a certificate that waits for its renewal time.
#[derive(Clone, Debug)]
pub(super) enum Decided {
    Nothing { since: Timestamp },
    NotDue { renew_at: Timestamp, window: Duration, wake_at: Timestamp },
    Other(Box<Decision>),
}

impl Decided {
    fn not_due(renew_at: Timestamp, window: Duration, wake_at: Timestamp) -> Decision {
        let (action, reason) = (Action::Wait, Reason::NotDue { renew_at, window });
        Decision { action, reason, wake_at, renew_at: Some(renew_at), emergency: false, hook: None }
    }

    pub(super) fn new(decision: Decision) -> Self {
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
pub(super) struct Indexed {
    pub(super) state: State,
    pub(super) needs_attention: bool,
}

/// What is being done for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    None,
    /// Files are being put back as they should be.
    Repair,
    /// Anything else.
    Other,
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

    /// Why it asks nobody now, whatever it waits for itself: the API as a whole is down, or TLM limits the rate.
    #[must_use]
    pub fn blocked(&self, breaker: &Breaker, paused_until: Option<Timestamp>, now: Timestamp) -> Option<Blocked> {
        if let Some((why, until)) = breaker.blocks(self.is_urgent(now)) {
            return Some(Blocked { reason: Reason::ApiDown { why, until }, until });
        }
        let until = paused_until.filter(|_| !self.is_urgent(now))?;
        Some(Blocked { reason: Reason::RateLimited { until }, until })
    }

    /// When it is decided for again after it was held back: when that ends, or its emergency stage begins. A trial that is
    /// on its way wakes everybody when it succeeds.
    #[must_use]
    pub fn held_until(&self, blocked: &Blocked, reading: &CachedProfile, now: Timestamp) -> Timestamp {
        let until = if blocked.until > now { blocked.until } else { now + TRIAL_PATIENCE };
        let emergency_at = self.emergency_at(reading).filter(|at| *at > now);
        emergency_at.map_or(until, |at| until.min(at))
    }

    /// Whether the request that it waits to send leaves during a pause: also where that began to be so since it was decided.
    #[must_use]
    pub fn may_leave_in_pause(&self, reading: &CachedProfile, now: Timestamp) -> bool {
        let ends_at = self.observed.installed().map(Installed::ends_at);
        let is_emergency =
            || self.emergency_at(reading).is_some_and(|at| at <= now) && ends_at.is_some_and(|at| at > now);
        self.is_urgent(now) || is_emergency()
    }

    fn emergency_at(&self, reading: &CachedProfile) -> Option<Timestamp> {
        let installed = self.observed.installed()?;
        Some(Schedule::of(&self.entry, reading.profile.as_ref(), installed).emergency_at)
    }

    /// The profile that it is asked of.
    #[must_use]
    pub fn profile(&self) -> &ProfileRef {
        self.fallback().filter(|_| self.record.asks_fallback()).unwrap_or(&self.entry.profile)
    }

    /// The entry's fallback, where it has one.
    #[must_use]
    pub fn fallback(&self) -> Option<&ProfileRef> {
        self.entry.fallback.as_deref()
    }

    /// That the fallback is asked, and why.
    pub(super) fn asked_of_fallback(&self) -> Option<Remark> {
        let turn = self.record.turn.as_deref().filter(|turn| turn.is_fallback)?;
        let (fallback, at, why) = (self.fallback()?, turn.at, &turn.why);
        let message = format!("asked of the fallback profile {fallback} since {at}, as its own could not issue: {why}");
        Some(Remark::new(Code::FallbackAsked, &message))
    }

    /// The entry as it is asked for: of the profile whose turn it is.
    #[must_use]
    pub fn asked_entry(&self) -> Arc<Entry> {
        let profile = self.profile();
        if *profile == self.entry.profile {
            return Arc::clone(&self.entry);
        }
        let mut entry = Entry::clone(&self.entry);
        entry.profile = profile.clone();
        Arc::new(entry)
    }

    /// Decides anew.
    pub fn decide(&mut self, profiles: &ProfileCache, global: &GlobalState, now: Timestamp) {
        let deploy = self.deploy(&global.freezes, now);
        self.closed = match (&self.entry.deploy_window, deploy) {
            // An instant that a freeze puts off holds no longer than the freeze, which may be taken back.
            (Some(window), Deploy::Closed(opens)) if global.freezes.is_empty() => {
                Some(Box::new((DeployWindow::clone(window), now, opens)))
            }
            (Some(_), Deploy::Closed(_) | Deploy::Open | Deploy::Frozen(_) | Deploy::Unplaced) | (None, _) => None,
        };
        let entry = self.asked_entry();
        self.decided = Decided::new(decide(&self.world(&entry, deploy, profiles, global, now)));
    }

    fn world<'w>(
        &'w self,
        entry: &'w Entry,
        deploy: Deploy,
        profiles: &'w ProfileCache,
        global: &'w GlobalState,
        now: Timestamp,
    ) -> World<'w> {
        let (observed, record) = (&self.observed, &self.record);
        let ask = calendar::deploy(entry.request_window.as_deref(), now);
        let other = self.fallback().map(|fallback| {
            let profile = if record.asks_fallback() { &self.entry.profile } else { fallback };
            OtherProfile { profile, reading: profiles.reading(profile) }
        });
        let reading = profiles.reading(&entry.profile);
        World { entry, observed, reading, record, other, global, deploy, ask, now }
    }

    /// Whether what was decided before may be done by now: a hold, a freeze or the end of a window may have come since.
    #[must_use]
    pub fn may(&self, step: Step, profiles: &ProfileCache, global: &GlobalState, now: Timestamp) -> bool {
        let entry = self.asked_entry();
        let world = self.world(&entry, self.deploy(&global.freezes, now), profiles, global, now);
        match step {
            Step::Ask => world.may_ask(),
            Step::Switch => world.may_switch(),
            Step::Exchange => world.may_exchange(),
            Step::Overrule => world.may_overrule(),
            Step::Revoke => {
                matches!(&self.decision().action, Action::RevokeSuperseded(decided) if world.may_revoke(decided))
            }
        }
    }

    /// What its deploy window and the freezes say at `now`.
    #[must_use]
    pub fn deploy(&self, freezes: &[Freeze], now: Timestamp) -> Deploy {
        if !freezes.is_empty() {
            return calendar::switch(self.entry.deploy_window.as_deref(), freezes, now);
        }
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

    pub(super) fn indexed(&self) -> Indexed {
        let reason = &self.decision().reason;
        // Nothing is known yet of a new one, and something will be at once.
        Indexed {
            state: reason.state(),
            needs_attention: !self.is_new() && !health::is_steady(reason, &self.observed, &self.record),
        }
    }

    pub(super) fn urgency(&self) -> Urgency {
        Urgency {
            relaxed: !self.decision().emergency,
            not_after: self.observed.installed().map_or(Timestamp::default(), Installed::ends_at),
            name: self.entry.name.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;
    use crate::core::example::bare;

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

    #[test]
    fn what_is_known_of_a_window_holds_for_no_other_and_not_before_it_was_asked() {
        let now: Timestamp = Timestamp::from_seconds(1_800_000_000); // 08:00
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let with = |window: &str| {
            let mut entry = bare("www");
            let window = DeployWindow { zone: Some("UTC".to_owned()), ..DeployWindow::parse(window).unwrap() };
            entry.deploy_window = Some(window.into());
            Arc::new(entry)
        };
        let mut managed = Managed::new(with("02:00-05:00"), Observed::Absent, Record::default(), now);
        let opens = now + hours(18);
        managed.closed = managed.entry.deploy_window.as_deref().map(|window| Box::new((window.clone(), now, opens)));
        assert_eq!(managed.deploy(&[], now + hours(1)), Deploy::Closed(opens));
        assert_eq!(managed.deploy(&[], now - hours(5)), Deploy::Open, "the clock was set back");
        assert_eq!(managed.deploy(&[], opens), Deploy::Open);
        managed.entry = with("07:00-09:00");
        assert_eq!(managed.deploy(&[], now), Deploy::Open, "another window");
    }
}
