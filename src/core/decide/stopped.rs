//! What TLM refused: how long that stands in the way, what lifts it, and how the state of the installed certificate is asked
//! after meanwhile.

use std::time::Duration;

use super::{AFTER_GATE, Action, Choice, LONGEST_WAIT, World};
use crate::core::event::Method;
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::profile::Profile;
use crate::core::reason::Reason;
use crate::core::record::Stop;
use crate::core::schedule::Schedule;
use crate::core::time::Timestamp;

impl World<'_> {
    /// What ended the last request: until the entry or the profile changes; after the gate, for a day; and what TLM
    /// refused for the sake of a certificate, until that one is out of the way.
    pub(super) fn stopped(&self, schedule: Option<&Schedule>) -> Option<Choice> {
        let stop = self.record.stopped.as_deref()?;
        let by_installed = matches!(stop.failure.class, FailureClass::AlreadyRenewed | FailureClass::DuplicateRefused);
        // Whatever else it is replaced for by now: to revoke it is what the operator was told.
        if by_installed && self.observed.installed().is_some_and(|installed| self.is_revoked(installed)) {
            return None;
        }
        if self.is_lifted(stop) {
            return None;
        }
        let class = stop.failure.class;
        // What ends later than it is the fallback's: nothing has to outlive that.
        let is_over = || self.observed.installed().is_some_and(|installed| self.is_of_fallback(installed));
        let until = if class == FailureClass::GateRefused || class == FailureClass::EndsNoLater && is_over() {
            Some(self.bounded(stop.at, self.after(stop.at, AFTER_GATE)))
        } else if class == FailureClass::EndsNoLater {
            Some(self.after_no_later_end(stop.at, schedule))
        } else if class == FailureClass::RequestRejected {
            None
        } else {
            Some(self.out_of_the_way(stop.at))
        };
        if until.is_some_and(|until| until <= self.now) {
            return None;
        }
        let reason = Reason::Stopped { failure: stop.failure.clone(), until };
        Some(self.wait(reason, until.unwrap_or(self.now + LONGEST_WAIT)))
    }

    /// When what TLM refused a replacement for at `at` is out of the way: when it ends. Where it is not here, or TLM does not
    /// tell its state, that may be any day, and nothing here says when.
    fn out_of_the_way(&self, at: Timestamp) -> Timestamp {
        // Nor does the end of the fallback's say when.
        let installed = self.observed.installed().filter(|installed| !self.is_of_fallback(installed));
        let Some(installed) = installed else { return self.after(at, AFTER_GATE) };
        let end = if at > installed.ends_at() { installed.not_after } else { installed.ends_at() };
        let end = end + Duration::from_secs(1);
        if self.is_state_untold(at) { end.min(self.bounded(at, self.after(at, AFTER_GATE))) } else { end }
    }

    /// Whether TLM does not tell the state of what is installed, since it refused to replace it at `at`: it may be revoked,
    /// so that nothing stands in the way any more.
    pub(super) fn is_state_untold(&self, at: Timestamp) -> bool {
        let told_at = self.record.checked.as_deref().map(|checked| checked.at);
        !self.global.can_check
            || self.record.status_unread_at.is_some_and(|unread| unread > at && told_at < Some(unread))
    }

    /// When a certificate is asked for again after a CA of its path kept what came from ending later: each new one is cut
    /// at the same end. Once when the emergency stage begins; then each time that half of what was left is over, at most
    /// daily.
    fn after_no_later_end(&self, at: Timestamp, schedule: Option<&Schedule>) -> Timestamp {
        match self.observed.installed().zip(schedule) {
            Some((_, schedule)) if at < schedule.emergency_at => schedule.emergency_at,
            Some((installed, _)) => self.after(at, AFTER_GATE.max(installed.ends_at().since(at) / 2)),
            None => self.after(at, AFTER_GATE),
        }
    }

    /// A certificate that TLM said was renewed already is asked about before it is renewed once more: the operator may
    /// have revoked it, as the refusal told.
    pub(super) fn look_before_renewing_again(&self, method: &Method) -> Option<Choice> {
        let (refused, at) = self.record.already_renewed.as_deref()?;
        let Method::Renew { serial_number, .. } = method else { return None };
        let seen = self.record.checked.as_deref().is_some_and(|checked| checked.at > *at)
            || self.record.status_unread_at.is_some_and(|unread| unread > *at);
        if seen || !self.global.can_check || !refused.same(serial_number) {
            return None;
        }
        Some(self.act(Action::CheckStatus(serial_number.clone()), Reason::CheckingStatus))
    }

    /// What the operator was told to do where TLM refuses for the sake of the installed certificate is to revoke it, and a
    /// revocation waits for no hold and no window: whether it came is looked at as often as ever, and at once where a
    /// replacement was asked for.
    pub(super) fn unless_revoked(&self, waiting: Choice) -> Choice {
        let Some(installed) = self.observed.installed().filter(|_| waiting.0 == Action::Wait) else { return waiting };
        let is_blocked = self.global.api_is_blocked && self.record.renewal_asked.is_none();
        if is_blocked || self.check_at(installed).is_none_or(|at| at > self.now) {
            return waiting;
        }
        // Should the look have to wait, what it is beside goes on in its time.
        Box::new((Action::CheckStatus(installed.serial_number.clone()), waiting.1, waiting.2))
    }

    /// Whether the entry or the profile says something else than when the last request ended.
    fn is_lifted(&self, stop: &Stop) -> bool {
        let is_other = |profile: &Profile| profile.version() != stop.profile_version;
        self.is_edited(stop) || self.reading.profile.as_ref().is_some_and(is_other)
    }

    /// Whether the entry says something else than when the last request ended.
    pub(super) fn is_edited(&self, stop: &Stop) -> bool {
        !self.entry.asks(&stop.asked) || stop.demands.is_some_and(|demands| demands != self.entry.demands())
    }

    /// Near the end of the validity a refusal may come each minute: what TLM holds is not searched for each time.
    pub(super) fn known_refusal(&self) -> Option<Box<Failure>> {
        let (failure, at) = self.record.trouble.last.as_deref()?;
        let is_explained = matches!(failure.class, FailureClass::AlreadyRenewed | FailureClass::DuplicateRefused);
        let count = self.record.trouble.count;
        let is_news = count < FIRST || count.is_multiple_of(ONCE_IN);
        (is_explained && !is_news && self.after(*at, KNOWN_FOR) > self.now).then(|| Box::new(failure.clone()))
    }
}

/// How long what was searched for stands; of the refusals in a row the first few are searched for, and then one of many.
const KNOWN_FOR: Duration = Duration::from_secs(3600);
const FIRST: u32 = 3;
const ONCE_IN: u32 = 30;
