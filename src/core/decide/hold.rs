//! What an operator puts off: holds, and the hours in which a certificate is asked for. An emergency breaks both: the last
//! tenth of the validity, a revocation, files that are unusable.

use super::deploy::ZONE_RECHECK;
use super::{Action, Choice, LONGEST_WAIT, World};
use crate::core::known::observed::Observed;
use crate::core::reason::{Cause, OnHold, Reason};
use crate::core::record::Stage;
use crate::core::schedule::Schedule;
use crate::core::time::Timestamp;
use crate::core::wanted::window::Deploy;

impl World<'_> {
    /// Whether an operator's hold, where there is one, is one that gives way now. Nothing that is not there yet is urgent.
    pub(super) fn is_emergency(&self, schedule: Option<&Schedule>) -> bool {
        match self.observed {
            Observed::Absent | Observed::Unreadable(_) => false,
            Observed::Damaged(_) => true,
            Observed::Installed(installed) => {
                self.is_revoked(installed) || schedule.is_none_or(|schedule| schedule.emergency_at <= self.now)
            }
        }
    }

    /// The wait for the end of an operator's hold.
    pub(super) fn on_hold(&self, schedule: Option<&Schedule>) -> Option<Choice> {
        let hold = self.record.hold_at(self.now)?;
        let in_emergency = self.is_emergency(schedule);
        if in_emergency && !hold.even_emergency {
            return None;
        }
        let emergency_at = schedule.map(|schedule| schedule.emergency_at).filter(|at| *at > self.now);
        let stage = self.record.request.as_deref().map(|request| &request.stage);
        let reason = Reason::OnHold(Box::new(OnHold {
            hold: hold.clone(),
            gives_way: emergency_at.filter(|_| !hold.even_emergency),
            in_emergency,
            is_issued: matches!(stage, Some(Stage::Issued { .. } | Stage::Held { .. })),
        }));
        // One that holds on all the same is told otherwise from the emergency stage on.
        let ends = [hold.until, emergency_at].into_iter().flatten().fold(self.now + LONGEST_WAIT, Timestamp::min);
        Some(self.wait(reason, self.or_next_look(ends)))
    }

    /// The wait for the end of a hold of either kind: nothing is asked for meanwhile.
    pub(super) fn held(&self, schedule: Option<&Schedule>) -> Option<Choice> {
        let by_rollback = || self.kept_back(schedule).filter(|_| self.record.is_held_by_rollback());
        self.on_hold(schedule).or_else(by_rollback)
    }

    /// What goes on for a request under way is done during a hold, too, and is told as what it waits for. Only what is live
    /// already is finished.
    pub(super) fn told_as_held(&self, main: Choice, schedule: Option<&Schedule>) -> Choice {
        let Some(held) = self.on_hold(schedule) else { return main };
        let (action, reason, wake_at) = *main;
        if action == Action::Wait {
            return self.wait(held.1, wake_at.min(held.2));
        }
        let reason = if matches!(action, Action::Install { .. }) { reason } else { held.1 };
        Box::new((action, reason, wake_at))
    }

    /// Why a new set is not switched in now, if it is not. What is live already is finished.
    pub(super) fn not_switched(&self, schedule: Option<&Schedule>) -> Option<Choice> {
        if self.record.request.as_deref().is_some_and(|request| self.is_live(request)) {
            return None;
        }
        self.kept_back(schedule).or_else(|| self.closed_window(schedule)).or_else(|| self.vetoed(schedule))
    }

    /// Whether a new set may be switched in now: what came before the switch took its time.
    #[must_use]
    pub fn may_switch(&self) -> bool {
        self.not_switched(self.schedule().as_ref()).is_none()
    }

    /// Whether a newer generation may be tried again now, or a better chain be put in place: what came before took its time.
    #[must_use]
    pub fn may_exchange(&self) -> bool {
        let schedule = self.schedule();
        self.on_hold(schedule.as_ref()).or_else(|| self.closed_window(schedule.as_ref())).is_none()
    }

    /// Whether a program that says no is overruled: there is no time left to wait, or nothing to keep.
    #[must_use]
    pub fn may_overrule(&self) -> bool {
        !self.keeps_to_window(self.schedule().as_ref())
    }

    /// Whether a request may leave now: it waited for its turn.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        self.held(self.schedule().as_ref()).is_none()
    }

    /// Why a certificate that is due is not asked for now: its request window is closed, and nothing is urgent. The
    /// operator's word does not wait for it.
    pub(super) fn closed_request_window(&self, cause: &Cause, schedule: Option<&Schedule>) -> Option<Choice> {
        let (opens, look_at) = match self.ask {
            Deploy::Open => return None,
            Deploy::Closed(opens) | Deploy::Frozen(opens) => (Some(opens), opens),
            Deploy::Unplaced => (None, self.now + ZONE_RECHECK),
        };
        if self.record.renewal_asked.is_some() {
            return None;
        }
        let emergency_at = schedule.filter(|_| self.keeps_to_window(schedule))?.emergency_at;
        let reason = Reason::RequestWindowClosed { cause: cause.clone(), opens, emergency_at };
        Some(self.wait(reason, self.or_next_look(look_at.min(emergency_at))))
    }

    /// A wait that a revocation ends is interrupted by the next look for one.
    pub(super) fn or_next_look(&self, until: Timestamp) -> Timestamp {
        let look_at = self.observed.installed().and_then(|installed| self.check_at(installed));
        look_at.filter(|at| *at > self.now && !self.global.api_is_blocked).map_or(until, |at| until.min(at))
    }
}

#[cfg(test)]
mod tests;
