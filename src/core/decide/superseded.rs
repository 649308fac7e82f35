//! What was replaced is revoked where the entry says so (`revoke_superseded`): last of all that is done for a certificate,
//! and only while what took its place is in service. A revocation cannot be taken back, so that each doubt puts it off.

use std::time::Duration;

use super::{AFTER_GATE, Action, Choice, SMALL_STEP, STATUS_RETRY, World};
use crate::core::event::Event;
use crate::core::failure::FailureClass;
use crate::core::known::observed::Installed;
use crate::core::known::replaced::Replaced;
use crate::core::known::served::Served;
use crate::core::reason::{Reason, State};
use crate::core::time::Timestamp;

impl<'a> World<'a> {
    /// Where nothing else is to be done: notes since when the installed certificate is in service, and has revoked what it
    /// replaced once that is long enough.
    pub(super) fn revoke_superseded(&self, waiting: Choice) -> Choice {
        let wanted = self.entry.revoke_superseded.filter(|_| !self.record.superseded.is_empty());
        let (Some(span), Some(installed)) = (wanted, self.observed.installed()) else { return waiting };
        if waiting.0 != Action::Wait {
            return waiting;
        }
        if let Some(event) = self.service_news(installed) {
            return self.act(Action::Recognise(Box::new(event)), waiting.1);
        }
        if waiting.1.state() != State::Valid {
            return waiting;
        }
        let Some((at, certificate)) = self.next_revocation(span, installed) else { return waiting };
        let (_, reason, until) = *waiting;
        if at > self.now {
            return self.wait(reason, until.min(at));
        }
        // A clock that is not compared tells no span: any answer of TLM tells the time as well.
        if !self.global.clock_is_compared {
            let was_vain = self.record.status_unread_at.is_some_and(|at| self.after(at, STATUS_RETRY) > self.now);
            if self.global.status_check_interval.is_none() || !self.global.can_check || was_vain {
                return self.wait(reason, until.min(self.now + STATUS_RETRY));
            }
            return self.act(Action::CheckStatus(installed.serial_number.clone()), reason);
        }
        let reason = Reason::RevokingSuperseded(certificate.serial_number.clone());
        self.act(Action::RevokeSuperseded(Box::new(certificate.clone())), reason)
    }

    /// What is to go on record of the installed certificate's service: that it began, or that another one is seen. By a
    /// clock that is wrong, or was not compared since it was set, nothing begins: it may be behind.
    fn service_news(&self, installed: &Installed) -> Option<Event> {
        let fingerprint = installed.fingerprint;
        match (self.in_service_since(installed), self.is_in_service(installed)) {
            (None, Some(true)) if self.is_time_known() && !self.is_rolled_back() => {
                Some(Event::ServiceSeen { fingerprint, in_service: true })
            }
            (Some(_), Some(false)) => Some(Event::ServiceSeen { fingerprint, in_service: false }),
            (_, Some(_) | None) => None,
        }
    }

    /// Since when it is on record as in service. An instant that lies ahead is from before the clock was set back: the wait
    /// begins anew, since nobody knows how much of it was.
    fn in_service_since(&self, installed: &Installed) -> Option<Timestamp> {
        let (fingerprint, since) = self.record.in_service.as_deref()?;
        Some(*since).filter(|since| *fingerprint == installed.fingerprint && *since <= self.now + SMALL_STEP)
    }

    /// Whether clients are shown the installed certificate, as far as the hooks and the probe tell; `None`: it is not known.
    fn is_in_service(&self, installed: &Installed) -> Option<bool> {
        let is_deployed = self.owed_hook().is_none();
        if self.entry.probes.is_empty() {
            return is_deployed.then_some(true);
        }
        let seen = self.record.probe.as_deref().filter(|seen| seen.fingerprint == installed.fingerprint)?;
        match seen.served {
            Served::Yes => is_deployed.then_some(true),
            Served::No => Some(false),
            Served::Unknown => None,
        }
    }

    fn is_time_known(&self) -> bool {
        self.global.clock_wrong.is_none() && self.global.clock_is_compared
    }

    fn is_rolled_back(&self) -> bool {
        self.record.rolled_back.as_deref().is_some_and(|back| !back.forward)
    }

    /// What is revoked next, and when; `None`: nothing, as things stand. It waits while an operator holds anything, while an
    /// older generation is live, while the files are not as they should be, and while TLM is not to be asked.
    fn next_revocation(&self, span: Duration, installed: &Installed) -> Option<(Timestamp, &'a Replaced)> {
        let is_put_off = self.record.has_hold(self.now)
            || self.is_rolled_back()
            || self.record.request.is_some()
            || !installed.drift.is_empty()
            || self.global.clock_wrong.is_some()
            || self.global.journal_too_new
            || self.global.asks_nobody
            || self.global.api_is_blocked;
        if is_put_off || self.is_in_service(installed) != Some(true) {
            return None;
        }
        let due = self.in_service_since(installed)? + span;
        let at = self.revocation_retry_at().map_or(due, |retry_at| due.max(retry_at));
        let is_live = |one: &Replaced| one.is(&installed.serial_number, installed.fingerprint);
        let next = self.record.superseded.iter().find(|one| !is_live(one) && one.not_after > at.max(self.now))?;
        Some((at, next))
    }

    /// When it is tried again after it failed: on a ladder of its own, and after a day where the key lacks the right, unless
    /// an operator had TLM asked since.
    fn revocation_retry_at(&self) -> Option<Timestamp> {
        let (failure, at) = self.record.revocation.last.as_deref()?;
        let until = self.retry_at(&self.record.revocation)?;
        Some(if failure.class == FailureClass::ApiForbidden { self.after(*at, AFTER_GATE) } else { until })
    }

    /// Whether what was decided to be revoked may be revoked now: it waited for its turn.
    #[must_use]
    pub fn may_revoke(&self, certificate: &Replaced) -> bool {
        let (action, ..) = *self.choose(self.schedule().as_ref());
        matches!(action, Action::RevokeSuperseded(due) if *due == *certificate)
    }
}

#[cfg(test)]
mod tests;
