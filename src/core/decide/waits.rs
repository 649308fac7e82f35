//! What keeps a request from being sent now, and until when: failures on their ladder, hints, TLM's own window, the budget,
//! the clock. No wait outlasts its use.

use super::super::failure::{Failure, FailureClass, RetryHint, Scope};
use super::super::reason::Reason;
use super::super::record::{BUDGET_SPAN, FailureStreak};
use super::super::time::Timestamp;
use super::super::{backoff, schedule};
use super::{AFTER_GATE, Choice, LONGEST_WAIT, RECHECK, SMALL_STEP, World};

/// When TLM lets a certificate be renewed.
enum WindowOpens {
    /// Nobody says so.
    Unknown,
    /// Then.
    At(Timestamp),
    /// When nothing is left to renew: its chain ends before.
    TooLate,
}

impl World<'_> {
    /// What stands against a submission for reasons of time, clock, journal or budget.
    pub(super) fn obstacle(&self) -> Option<Choice> {
        if self.global.journal_too_new {
            return Some(self.wait(Reason::JournalTooNew, self.now + LONGEST_WAIT));
        }
        if let Some(offset) = self.global.clock_wrong {
            return Some(self.wait(Reason::ClockWrong { offset }, self.now + RECHECK));
        }
        self.back_off().or_else(|| self.budget())
    }

    pub(super) fn back_off(&self) -> Option<Choice> {
        let (failure, at) = self.record.trouble.last.as_deref()?;
        // A changed entry is a new start; a profile may read differently each time, and keeps to the ladder.
        if self.record.stopped.as_deref().is_some_and(|stop| stop.failure == *failure && self.is_edited(stop)) {
            return None;
        }
        let until = self.retry_at(&self.record.trouble)?;
        if until <= self.now {
            return None;
        }
        let reason = match (failure.class, self.window_opens(failure, *at)) {
            (FailureClass::RenewalTooEarly, WindowOpens::At(opens)) => Reason::TooEarly { until, opens: Some(opens) },
            (FailureClass::RenewalTooEarly, WindowOpens::Unknown) => Reason::TooEarly { until, opens: None },
            _ => Reason::BackOff { failure: failure.clone(), failures: self.record.trouble.count, until },
        };
        Some(self.wait(reason, until))
    }

    /// When something that failed is tried again.
    pub(super) fn retry_at(&self, trouble: &FailureStreak) -> Option<Timestamp> {
        let (failure, at) = trouble.last.as_deref()?;
        let by_outage = matches!(failure.class.scope(), Scope::Outage | Scope::Key);
        let by_profile = failure.class.scope() == Scope::Profile;
        let is_over = |over: Option<Timestamp>| over.is_some_and(|over| over <= self.now + SMALL_STEP && over > *at);
        if by_outage && is_over(self.global.api_recovered_at)
            || (by_outage || by_profile) && is_over(self.global.api_checked_at)
        {
            return None;
        }
        if self.is_remedied(failure.class) {
            return None;
        }
        let left = self.left_at(*at);
        let ladder = |count| self.after(*at, backoff::wait(&self.entry.name, count, left));
        let until = match (failure.retry, failure.class) {
            (hint, FailureClass::RenewalTooEarly) => match (self.window_opens(failure, *at), hint, left) {
                (WindowOpens::At(instant), ..) => instant,
                (WindowOpens::Unknown, None, Some(left)) => self.after(*at, AFTER_GATE.min(left / 10).max(SMALL_STEP)),
                (WindowOpens::Unknown | WindowOpens::TooLate, ..) => ladder(trouble.count),
            },
            (Some(hint), _) => self.after(*at, backoff::hinted(hint.instant(*at), *at, left).since(*at)),
            // Nothing failed but the time that was decided by: at once, unless the clock goes on jumping.
            (None, FailureClass::ClockSet) => self.after(*at, backoff::prompt(trouble.count)),
            (None, _) => {
                // Whatever the API did before, two hours in which it answers are enough (promise 5).
                let count = if by_outage { trouble.count.min(OUTAGE_STEPS) } else { trouble.count };
                ladder(count)
            }
        };
        Some(self.bounded(*at, until))
    }

    /// No wait that began at `since` outlasts its use: it ends when the emergency stage begins, and after that with a
    /// tenth of what was left.
    pub(super) fn bounded(&self, since: Timestamp, until: Timestamp) -> Timestamp {
        let Some(schedule) = self.schedule() else { return until };
        if since < schedule.emergency_at {
            return until.min(schedule.emergency_at.max(since + SMALL_STEP));
        }
        self.left_at(since).map_or(until, |left| until.min(since + (left / 10).max(SMALL_STEP)))
    }

    /// A wait whose begin is not known ends when the emergency stage begins, where that lies ahead.
    pub(super) fn before_emergency(&self, until: Timestamp) -> Timestamp {
        let begins = self.schedule().map(|schedule| schedule.emergency_at).filter(|at| *at > self.now);
        begins.map_or(until, |at| until.min(at))
    }

    /// When TLM lets the installed certificate be renewed, after it refused that as too early. An instant that is over by
    /// our clock, and not by TLM's, says nothing.
    fn window_opens(&self, failure: &Failure, at: Timestamp) -> WindowOpens {
        let told = match failure.retry {
            Some(RetryHint::At(instant)) => Some(instant),
            Some(RetryHint::After(span)) => Some(self.after(at, span)),
            None => None,
        };
        let instant = match told {
            Some(instant) => Some(instant).filter(|instant| *instant > at),
            None => self.window_of_profile(),
        };
        let is_too_late = |instant| self.observed.installed().is_none_or(|installed| instant >= installed.ends_at());
        match instant {
            None => WindowOpens::Unknown,
            Some(instant) if is_too_late(instant) => WindowOpens::TooLate,
            Some(instant) => WindowOpens::At(instant),
        }
    }

    /// Whether what was refused names what helps, and that is what comes next: a new request in place of the renewal of
    /// a revoked certificate, or of one whose key is lost. It is followed at once.
    fn is_remedied(&self, class: FailureClass) -> bool {
        let is_revoked = || self.observed.installed().is_some_and(|installed| self.is_revoked(installed));
        (class == FailureClass::CertificateRevoked && is_revoked())
            || (class == FailureClass::KeyLost && self.record.request.is_none())
    }

    /// The start of TLM's renewal window for the installed certificate.
    fn window_of_profile(&self) -> Option<Timestamp> {
        let window = self.reading.profile.as_ref()?.renewal_window()?;
        Some(self.observed.installed()?.not_after - window).filter(|start| *start > self.now)
    }

    fn budget(&self) -> Option<Choice> {
        // The operator's word comes on top, once.
        let is_unspent = |asked: Timestamp| self.record.submissions.iter().all(|at| *at < asked);
        if self.record.renewal_asked.is_some_and(is_unspent) {
            return None;
        }
        let limit = self.budget_limit();
        let used = self.record.submissions_in_a_day(self.now);
        if used < limit as usize {
            return None;
        }
        let mut counted: Vec<_> = self.record.submissions_at(self.now).collect();
        counted.sort_unstable();
        let frees = counted.iter().rev().nth((limit as usize).saturating_sub(1));
        let until = frees.map_or(self.now, |at| (*at).min(self.now)) + BUDGET_SPAN;
        Some(self.wait(Reason::BudgetSpent { limit, until }, until))
    }

    /// The configured limit, or three times what the lifetime needs in a day where that is more: the leaf's own, since a
    /// chain that ends soon is no reason to ask more often.
    fn budget_limit(&self) -> u32 {
        let Some(installed) = self.observed.installed() else { return self.global.submissions_per_day };
        let lifetime = installed.not_after.since(installed.not_before);
        let window = schedule::window(self.entry, self.reading.profile.as_ref(), lifetime);
        let interval = lifetime.saturating_sub(window).as_millis().max(1);
        let thrice_needed = u32::try_from((BUDGET_SPAN.as_millis() * 3).div_ceil(interval)).unwrap_or(u32::MAX);
        self.global.submissions_per_day.max(thrice_needed)
    }
}

/// The step of the ladder that waits for an hour.
const OUTAGE_STEPS: u32 = 6;
