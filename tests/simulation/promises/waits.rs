//! Promise 9: a reason names what is really waited for; and no wait outlasts the emergency stage.

use std::mem::{Discriminant, discriminant};
use std::time::Duration;

use renewd::core::decide::{Action, Decision};
use renewd::core::failure::FailureClass;
use renewd::core::name::{CertName, ProfileRef};
use renewd::core::reason::Reason;
use renewd::core::schedule::Schedule;
use renewd::core::time::Timestamp;
use renewd::engine::managed::Managed;

use crate::tlm::{Endpoint, Weather};
use crate::world::World;

use super::MINUTE;

/// Since when a reason names what is not so.
pub(super) type Untrue = Option<(Discriminant<Reason>, Timestamp)>;

impl World {
    /// No wait outlasts its use, and none ends later than its reason says.
    pub(super) fn wait_in_vain(&self, managed: &Managed) -> Option<String> {
        let (decision, wall) = (managed.decision(), self.wall());
        if decision.action != Action::Wait {
            return None;
        }
        // Under credentials that have ended nothing leaves, however near the end is.
        let is_barred = self.daemon.as_ref().is_some_and(|daemon| daemon.engine.api().breaker().blocks(true).is_some());
        if is_barred {
            return None;
        }
        // While a trial is under way it is that which is waited for.
        if matches!(decision.reason, Reason::ApiDown { until, .. } if until <= wall) {
            return None;
        }
        if let Some(until) = named(&decision.reason).filter(|until| decision.wake_at > *until + MINUTE) {
            return Some(format!("looks again at {}, and says {until}: {}", decision.wake_at, decision.reason));
        }
        let latest = self.latest(managed, &decision)?;
        let reason = &decision.reason;
        (decision.wake_at > latest).then(|| {
            format!("waits until {}, and is to be tried by {latest}; it is {wall}: {reason}", decision.wake_at)
        })
    }

    /// When something is tried again at the latest: as the emergency stage begins, and then each tenth of what is left.
    fn latest(&self, managed: &Managed, decision: &Decision) -> Option<Timestamp> {
        let is_bounded = match &decision.reason {
            Reason::BackOff { .. }
            | Reason::Pending { .. }
            | Reason::AnswerLost { .. }
            | Reason::TooEarly { .. }
            | Reason::ApiDown { .. }
            | Reason::RateLimited { .. }
            | Reason::ProfileUnread { .. }
            | Reason::Unfit { .. }
            | Reason::Held { .. }
            | Reason::HeldBack { .. }
            | Reason::RolledBack { .. }
            | Reason::Vetoed { .. }
            | Reason::ClosedWindow { .. }
            | Reason::Frozen { .. }
            | Reason::RequestWindowClosed { .. }
            | Reason::DiskTrouble { .. } => true,
            Reason::OnHold(held) => !held.hold.even_emergency,
            // What a CA's end cuts short is asked for ever more rarely, and what was refused for the sake of what is
            // installed when that ends.
            Reason::Stopped { failure, .. } => failure.class == FailureClass::GateRefused,
            _ => false,
        };
        let installed = managed.observed.installed().filter(|_| is_bounded)?;
        let profile = self.daemon.as_ref()?.engine.profiles().reading(managed.profile()).profile.as_ref();
        let (now, emergency_at) = (self.began(managed), Schedule::of(&managed.entry, profile, installed).emergency_at);
        // That the emergency stage begins makes no lost answer come sooner.
        if now < emergency_at && !matches!(decision.reason, Reason::AnswerLost { .. }) {
            return Some(emergency_at.max(now + MINUTE) + SECOND);
        }
        let left = installed.ends_at().since(now);
        (!left.is_zero()).then(|| now + (left / 10).max(MINUTE) + SECOND)
    }

    /// When a wait that goes on now began at the latest: what failed up to a minute ahead, by a clock that was set back
    /// since, counts as if it had failed then, since nobody can tell so small a step from none.
    fn began(&self, managed: &Managed) -> Timestamp {
        let (wall, record) = (self.wall(), &managed.record);
        let failed = [&record.trouble, &record.disk].into_iter().filter_map(|streak| Some(streak.last.as_deref()?.1));
        failed.filter(|at| *at <= wall + MINUTE).chain([wall]).max().unwrap_or(wall)
    }

    /// What a reason names is so, but for the time that it takes to notice that it is over.
    pub(super) fn audit_reason(&mut self, name: &CertName) {
        let (now, is_awake) = (self.now, self.asleep_until <= self.now);
        let managed = self.daemon.as_ref().filter(|_| is_awake).and_then(|daemon| daemon.engine.fleet().one(name));
        let untrue = managed.filter(|managed| !managed.is_busy()).and_then(|managed| {
            let reason = managed.decision().reason.clone();
            Some((discriminant(&reason), self.patience(name, managed, &reason)?))
        });
        let account = self.ledger.account(name);
        let since = account.untrue.filter(|(kind, _)| untrue.is_some_and(|(other, _)| other == *kind));
        account.untrue = untrue.map(|(kind, _)| (kind, since.map_or(now, |(_, since)| since)));
        if let (Some((_, since)), Some((_, patience))) = (since, untrue)
            && since + patience < now
        {
            let reason = self.reason(name);
            self.breaks(9, format!("{name}: says what has not been so since {since}: {reason}"));
        }
    }

    /// How long a reason may be told that names what is not so; `None`: it is, or nobody can know.
    fn patience(&self, name: &CertName, managed: &Managed, reason: &Reason) -> Option<Duration> {
        let is_fine = self.tlm.weather == Weather::Fine && self.tlm.refused_keys.contains(&false);
        // Through a pause that TLM asked for nothing is read, tried or compared.
        let is_paused = self.daemon.as_ref()?.engine.api().paused_until(self.wall()).is_some();
        let (is_so, patience) = match reason {
            // A trial each half hour, of another profile each time.
            Reason::ApiDown { .. } => {
                let unread = self.tlm.parts.iter().filter(|part| part.endpoint == Endpoint::Profile).count() as u32;
                let is_so = !is_fine || is_paused || !self.tlm.forbidden.is_empty();
                (is_so, HOUR * (2 + unread))
            }
            Reason::RateLimited { .. } => (!is_fine, HOUR * 7),
            Reason::ClockWrong { .. } => (!self.clocks_agree() || !self.tlm.dates || !is_fine || is_paused, HOUR),
            Reason::DiskTrouble { .. } => (self.disk.fault.is_some(), HOUR * 8),
            Reason::Drifted(_) => (self.disk.fault.is_some(), HOUR * 2),
            Reason::Unreadable(_) => (self.disk.unreadable, HOUR),
            Reason::ProfileUnread { profile, .. } => (!self.is_readable(profile), HOUR * 8),
            Reason::ReadingProfile { profile, .. } => (!self.is_readable(profile) || is_paused, HOUR * 2),
            Reason::Pending { request_id, .. } => {
                let request = self.tlm.requests.get(request_id);
                let goes_on = request.is_some_and(|r| self.is_worked_on(name, r.fate, r.certificate.is_some()));
                (goes_on || !self.is_fair(name), HOUR * 3)
            }
            // Looked for during ten minutes, and then asked for again, unless something stands against that, which is
            // said then.
            Reason::AnswerLost { .. } => (!self.is_fair(name), HOUR),
            Reason::HookOwed { hook, .. } => (managed.entry.hooks.contains(hook), HOUR),
            Reason::Vetoed { hook, .. } => (self.is_vetoed(name, hook), HOUR * 8),
            Reason::Frozen { until, .. } => (self.is_frozen_until(name, *until), HOUR),
            Reason::ClosedWindow { .. } => (managed.entry.deploy_window.is_some(), HOUR),
            Reason::RequestWindowClosed { .. } => (managed.entry.request_window.is_some(), HOUR),
            Reason::OnHold(_) => (self.is_held(name), MINUTE),
            Reason::Due(_) | Reason::Queued(_) | Reason::Installing | Reason::Abandoning | Reason::Unrecorded(_) => {
                (!is_fine || self.disk.fault.is_some(), HOUR * 2)
            }
            _ => return None,
        };
        (!is_so).then_some(patience)
    }

    /// Whether a profile can be read, as far as TLM goes.
    fn is_readable(&self, profile: &ProfileRef) -> bool {
        let ProfileRef::Id(id) = profile else { return false };
        let nobody = "nobody".parse().expect("a name");
        self.tlm.refused_keys.contains(&false)
            && self.tlm.weather == Weather::Fine
            && self.tlm.profiles.contains_key(id)
            && !self.tlm.forbidden.contains(id)
            && !self.tlm.part_fails(Endpoint::Profile, id, &nobody)
    }
}

/// The instant that ends the wait, where a reason names one.
fn named(reason: &Reason) -> Option<Timestamp> {
    match reason {
        Reason::BackOff { until, .. }
        | Reason::DiskTrouble { until, .. }
        | Reason::ApiDown { until, .. }
        | Reason::RateLimited { until }
        | Reason::ProfileUnread { until, .. }
        | Reason::Unfit { until, .. }
        | Reason::TooEarly { until, .. }
        | Reason::BudgetSpent { until, .. }
        | Reason::Pending { next: until, .. }
        | Reason::AnswerLost { next: until, .. }
        | Reason::Vetoed { next: until, .. }
        | Reason::NotServed { next: until, .. }
        | Reason::RolledBack { next: until, .. }
        | Reason::HookOwed { at: until, .. }
        | Reason::NotYetValid(until)
        | Reason::NotDue { renew_at: until, .. } => Some(*until),
        Reason::Held { until, .. } | Reason::HeldBack { until, .. } => *until,
        _ => None,
    }
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
