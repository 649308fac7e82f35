//! Whether anything in the world stands against a renewal, and what the daemon says that it waits for.

use renewd::core::failure::{FailureClass, Scope};
use renewd::core::name::{CertName, ProfileId, ProfileRef};
use renewd::core::reason::Reason;
use renewd::core::record::Stage;
use renewd::core::schedule;
use renewd::core::time::Timestamp;
use renewd::engine::managed::Managed;

use crate::tlm::{Endpoint, Fate, Listing, Mode, Weather};
use crate::world::World;

use super::{DAY, MINUTE, SLACK, TWO_HOURS};

impl World {
    /// Since when the certificate ought to be replaced.
    pub(super) fn due_at(&self, name: &CertName) -> Option<Timestamp> {
        let entry = self.inventory.get(name)?;
        let Some(live) = self.disk.live.get(name).filter(|live| !live.damaged) else {
            return Some(Timestamp::default());
        };
        let differs = live.manifest.as_ref().is_some_and(|(asked, _)| !entry.asks(asked));
        if differs {
            return Some(Timestamp::default());
        }
        if self.now < self.window_opens(name)? {
            return None;
        }
        let (schedule, _) = self.schedule(name)?;
        (schedule.renew_at <= self.now).then_some(schedule.renew_at)
    }

    fn window_opens(&self, name: &CertName) -> Option<Timestamp> {
        let (entry, certificate) = (self.inventory.get(name)?, &self.disk.live.get(name)?.certificate);
        let lifetime = certificate.lifetime();
        Some(certificate.not_after - schedule::window(entry, self.profile_in_force(entry), lifetime))
    }

    /// Until when an audit of a certificate that is not due can find nothing.
    pub(super) fn quiet_until(&self, name: &CertName) -> Option<Timestamp> {
        Some(self.window_opens(name)? - TWO_HOURS)
    }

    /// Whether nothing in the world stands against a renewal of this certificate.
    pub(super) fn is_fine(&self, name: &CertName) -> bool {
        let Some(ProfileRef::Id(id)) = self.inventory.get(name).map(|entry| &entry.profile) else { return false };
        // Where the fallback has its turn, the own profile may have refused for reasons of its own.
        self.is_fair_of(name, id)
            && self.is_fair(name)
            && self.tlm.profiles.get(id).is_some_and(|state| state.mode == Mode::Immediate)
            && !self.is_too_early(name)
            && !self.tlm.open_requests(name).any(|(id, request)| match request.fate {
                // What is answered in words for ever counts as long as anybody waits for it.
                Fate::Says(_) if !self.ledger.accounts.get(name).is_some_and(|own| own.open.contains_key(id)) => false,
                fate => self.is_worked_on(name, fate, request.certificate.is_some()),
            })
    }

    /// Whether TLM lets the installed certificate be renewed only later than its profile says.
    fn is_too_early(&self, name: &CertName) -> bool {
        let live = self.disk.live.get(name).filter(|_| self.tlm.odd.window.is_some());
        live.is_some_and(|live| self.tlm.is_too_early(&live.certificate, self.now))
    }

    /// The profile that a certificate is asked of.
    pub(super) fn asked_profile(&self, name: &CertName) -> Option<&ProfileId> {
        let managed = self.daemon.as_ref().and_then(|daemon| daemon.engine.fleet().one(name));
        let profile = managed.map(Managed::profile).or_else(|| Some(&self.inventory.get(name)?.profile))?;
        if let ProfileRef::Id(id) = profile { Some(id) } else { None }
    }

    /// Whether nothing stands against a request for this certificate.
    pub(super) fn is_fair(&self, name: &CertName) -> bool {
        self.asked_profile(name).is_some_and(|id| self.is_fair_of(name, id))
    }

    fn is_fair_of(&self, name: &CertName, id: &ProfileId) -> bool {
        let Some(state) = self.tlm.profiles.get(id).filter(|_| !self.tlm.forbidden.contains(id)) else { return false };
        let Some(daemon) = &self.daemon else { return false };
        let fails = |endpoint| self.tlm.part_fails(endpoint, id, name);
        self.tlm.weather == Weather::Fine
            && self.tlm.refused_keys.contains(&false)
            && ![Endpoint::Profile, Endpoint::Create, Endpoint::PickUp].into_iter().any(fails)
            && self.tlm.lost_replies == 0
            && self.tlm.defects.is_empty()
            && self.tlm.odd.numbers.is_empty()
            && !self.tlm.refused.contains(name)
            && state.profile.status == "Active"
            && self.disk.fault.is_none()
            && !self.disk.unreadable
            && self.skew.unsigned_abs() < MINUTE.as_millis() as u64 * 9
            && self.tlm.odd.clock.unsigned_abs() < MINUTE.as_millis() as u64 * 9
            && self.asleep_until <= self.now
            && daemon.engine.fleet().one(name).is_some()
            && daemon.engine.api().paused_until(self.wall()).is_none_or(|until| until.since(self.wall()) > DAY)
    }

    /// Whether the certificate waits for what the API, the operator or the budget imposed.
    pub(super) fn is_excused(&self, name: &CertName) -> bool {
        let Some(managed) = self.daemon.as_ref().and_then(|daemon| daemon.engine.fleet().one(name)) else {
            return true;
        };
        if self.disk.live.get(name).is_none_or(|live| live.damaged) {
            // Promise 5 is about the time between `renew_at` and `not_after`.
            return true;
        }
        if managed.record.rolled_back.as_ref().is_some_and(|rolled_back| !rolled_back.forward) {
            return true;
        }
        let fails = |endpoint| self.asked_profile(name).is_some_and(|id| self.tlm.part_fails(endpoint, id, name));
        // What they alone can give is waited for, and done without after some hours.
        if matches!(self.tlm.odd.listing, Listing::OneFails(_) | Listing::Silent) {
            return true;
        }
        if [Endpoint::Search, Endpoint::Details, Endpoint::Formats].into_iter().any(fails) {
            return true;
        }
        // A hook that fails is what it says then.
        let failed = managed.record.trouble.last.as_deref().map(|(failure, _)| failure.class);
        if failed == Some(FailureClass::RenewalTooEarly) {
            return true;
        }
        match &managed.decision().reason {
            Reason::ClosedWindow { .. }
            | Reason::Vetoed { .. }
            | Reason::Frozen { .. }
            | Reason::RequestWindowClosed { .. } => !self.is_past_waiting(name),
            Reason::OnHold(_) => self.is_held(name),
            Reason::TooEarly { .. }
            | Reason::BudgetSpent { .. }
            | Reason::Stopped { .. }
            | Reason::Pending { .. }
            | Reason::NotYetValid(_)
            | Reason::DiskTrouble { .. } => true,
            // A journal from a time when the clock was ahead, and no `Date` to say which of the two is right.
            Reason::ClockWrong { .. } => !self.tlm.dates,
            Reason::Held { until, .. } => until.is_some_and(|until| until > self.wall()),
            Reason::BackOff { failure, .. } | Reason::ProfileUnread { failure, .. } => {
                failure.retry.is_some() || !matches!(failure.class.scope(), Scope::Outage | Scope::Key)
            }
            _ => false,
        }
    }

    /// Whether only the operator, or the end of the old certificate, can end the wait.
    pub(super) fn is_stopped(&self, name: &CertName) -> bool {
        let Some(managed) = self.daemon.as_ref().and_then(|daemon| daemon.engine.fleet().one(name)) else {
            return true;
        };
        let refused = managed.record.trouble.last.as_deref().is_some_and(|(failure, _)| {
            matches!(failure.class, FailureClass::DuplicateRefused | FailureClass::AlreadyRenewed)
        });
        let set_aside = managed.record.rolled_back.as_ref().is_some_and(|rolled_back| !rolled_back.forward);
        let unclear =
            managed.record.request.as_deref().is_some_and(|request| (1..=6).contains(&request.unclear_refusals));
        match &managed.decision().reason {
            // What a search alone can tell is waited for during some tries.
            _ if unclear && !self.search_works(name) => true,
            // It was put off until now, maybe.
            _ if self.is_just_urgent(name) => true,
            // A request so young is not stuck, whatever was waited for before it.
            Reason::Pending { since, .. } | Reason::AnswerLost { since, .. } if *since + TWO_HOURS > self.wall() => {
                true
            }
            // As long as the hook fails on the newer one; the operator's word holds until he takes it back.
            _ if refused || set_aside => true,
            Reason::Stopped { failure, until } => {
                failure.class != FailureClass::GateRefused && until.is_none_or(|until| until > self.wall())
            }
            Reason::TooEarly { until, .. } => *until > self.wall(),
            // What an operator puts off is watched by what he said.
            Reason::OnHold(_) => self.is_held(name),
            Reason::Frozen { until, .. } | Reason::Vetoed { next: until, .. } => {
                *until + SLACK > self.wall() && !self.is_past_waiting(name)
            }
            Reason::ClosedWindow { opens, .. } | Reason::RequestWindowClosed { opens, .. } => {
                // A freeze may last longer than it takes a window to open again.
                let is_soon = |opens: Timestamp| opens.since(self.wall()) <= DAY || !self.freezes.is_empty();
                opens.is_some_and(|opens| opens + SLACK > self.wall() && is_soon(opens)) && !self.is_past_waiting(name)
            }
            // A program that says no is asked again.
            Reason::Installing => managed.entry.hooks.iter().any(|hook| self.is_vetoed(name, hook)),
            Reason::ClockWrong { .. } => !self.tlm.dates,
            Reason::Held { until, .. } => until.is_some_and(|until| until > self.wall()),
            // Submissions by a clock that was ahead, and that no `Date` showed to be wrong, count when they come to pass.
            Reason::BudgetSpent { .. } => self.ledger.clock_set_at.is_some_and(|at| at + DAY * 15 > self.now),
            _ => false,
        }
    }

    fn search_works(&self, name: &CertName) -> bool {
        let Some(profile) = self.asked_profile(name) else { return false };
        !matches!(self.tlm.odd.listing, Listing::OneFails(_) | Listing::Silent)
            && !self.tlm.part_fails(Endpoint::Search, profile, name)
    }

    pub(super) fn reason(&self, name: &CertName) -> String {
        let managed = self.daemon.as_ref().and_then(|daemon| daemon.engine.fleet().one(name));
        managed.map_or_else(String::new, |managed| {
            let stage = managed.record.request.as_ref().map(|request| match &request.stage {
                Stage::Prepared => "prepared",
                Stage::Submitted { .. } => "submitted",
                Stage::Pending { .. } => "pending",
                Stage::Issued { .. } => "issued",
                Stage::Held { .. } => "held",
            });
            let (action, reason) = (managed.decision().action.as_str(), &managed.decision().reason);
            let busy = if managed.is_busy() { "busy, " } else { "" };
            format!("{busy}{action}, {reason} (request {})", stage.unwrap_or("none"))
        })
    }
}
