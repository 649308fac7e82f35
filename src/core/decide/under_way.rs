//! Going on with a request: each stage has its next step, or what it waits for.

use std::time::Duration;

use super::{
    Action, Choice, FEW_TRIES, FIRST_LOOK, LONGEST_WAIT, LOOK_UP_SPAN, MANY_TRIES, SMALL_STEP, Submission, TRIES_SPAN,
    World,
};
use crate::core::backoff;
use crate::core::name::{ProfileId, ProfileRef, RequestId, SerialNumber};
use crate::core::reason::Reason;
use crate::core::record::{Request, Stage, UNKNOWN_SPAN};
use crate::core::request::compose;
use crate::core::schedule::Schedule;
use crate::core::time::Timestamp;

impl<'a> World<'a> {
    /// Goes on with a request in flight.
    pub(super) fn go_on(&self, request: &Request, schedule: Option<&Schedule>) -> Choice {
        if self.is_outdated(request) {
            return self.act(Action::Abandon(request.attempt), Reason::Abandoning);
        }
        match &request.stage {
            Stage::Prepared => self.submit_again(request, schedule),
            Stage::Submitted { looks, looked_at } => self.look_up(request, *looks, *looked_at, schedule),
            Stage::Pending { request_id, polls, polled_at, unknown, not_found_at, dv_details } => {
                let next = self.next_pickup(request, (*polls, *polled_at), unknown.map(|(first, _)| first));
                let failure = self.record.trouble.last.as_deref().map(|(failure, _)| failure.clone());
                let (id, dv_details) = (request_id.clone(), dv_details.clone());
                let reason = Reason::Pending { request_id: id, since: request.since, next, failure, dv_details };
                if next > self.now {
                    return self.wait(reason, next);
                }
                self.act(self.pick_up(request, request_id, not_found_at.is_some()), reason)
            }
            Stage::Issued { serial_number, waits_until } => match waits_until.filter(|until| *until > self.now) {
                Some(until) => self.wait(Reason::NotYetValid(until), until),
                None => self.install(request, serial_number, false, schedule),
            },
            Stage::Held { serial_number, why, lack, usages, profile_version } => {
                let emergency_at = schedule.map(|schedule| schedule.emergency_at);
                let emergency = self.is_live(request) || emergency_at.is_none_or(|at| at <= self.now);
                let is_new = *usages != self.entry.usages || (lack.is_signature() && self.says_else(*profile_version));
                if emergency || is_new {
                    return self.install(request, serial_number, emergency, schedule);
                }
                let reason = Reason::Held { why: why.clone(), lack: *lack, until: emergency_at };
                self.wait(reason, emergency_at.unwrap_or(self.now + LONGEST_WAIT))
            }
        }
    }

    /// Whether the profile says something else than it did then, or an older version did not note what: it may show the
    /// issuing CA now.
    pub(super) fn says_else(&self, version: Option<u64>) -> bool {
        self.reading.profile.as_ref().is_some_and(|profile| version != Some(profile.version()))
    }

    /// Whether the entry, or a profile that changed its key type, asks for something else than the request.
    pub(super) fn is_outdated(&self, request: &Request) -> bool {
        if !self.entry.asks(&request.asked) {
            return true;
        }
        if self.wanted_profile().is_some_and(|wanted| *wanted != request.profile) {
            return true;
        }
        let Some(profile) = &self.reading.profile else { return false };
        let unsent = !request.may_be_accepted();
        unsent && compose(self.entry, profile).is_ok_and(|wish| wish.key != request.key)
    }

    /// The profile that the entry asks for: as it was last read, else as the entry itself says. Of a name alone nothing
    /// is known before that.
    pub(super) fn wanted_profile(&self) -> Option<&'a ProfileId> {
        match (&self.reading.profile, &self.entry.profile) {
            (Some(profile), _) => Some(&profile.id),
            (None, ProfileRef::Id(id)) => Some(id),
            (None, ProfileRef::Name(_)) => None,
        }
    }

    pub(super) fn submit_again(&self, request: &Request, schedule: Option<&Schedule>) -> Choice {
        let cause = match self.cause(schedule) {
            Some(cause) => cause,
            // What brought it about is over, such as a clock that ran ahead: key and CSR wait for the next time.
            None if request.stage == Stage::Prepared => return self.keep(schedule),
            // Somebody else renewed it meanwhile, say: what TLM may have issued was looked for long enough.
            None => return self.act(Action::Abandon(request.attempt), Reason::Abandoning),
        };
        if let Some(choice) = self.held(schedule) {
            return choice;
        }
        if let Some(choice) = self.obstacle().or_else(|| self.closed_request_window(&cause, schedule)) {
            return choice;
        }
        match self.profile_for_submission(&cause) {
            Err(choice) => choice,
            Ok(profile) => match compose(self.entry, profile) {
                Err(failure) => self.unfit(failure, &cause),
                Ok(_) => self.act(
                    Action::Submit(Submission {
                        attempt: request.attempt,
                        prepared: true,
                        look_up: request.may_be_accepted() && self.global.can_search,
                        method: self.method(profile),
                        key: request.key,
                        expiring: cause.is_expiry(),
                        is_last_try: request.unclear_refusals >= MANY_TRIES,
                        known: self.known_refusal(),
                    }),
                    Reason::Due(cause),
                ),
            },
        }
    }

    /// A lost answer is looked up for ten minutes; then the same key and CSR are submitted again.
    pub(super) fn look_up(
        &self,
        request: &Request,
        looks: u32,
        looked_at: Option<Timestamp>,
        schedule: Option<&Schedule>,
    ) -> Choice {
        // Of a certificate that lives for minutes that would be a good part.
        let tenth = self.left_at(request.since).map_or(LOOK_UP_SPAN, |left| (left / 10).max(SMALL_STEP));
        let give_up = self.after(request.since, LOOK_UP_SPAN.min(tenth));
        if self.now >= give_up {
            return self.submit_again(request, schedule);
        }
        let due = match looked_at {
            None => self.after(request.since, FIRST_LOOK),
            Some(at) => self.after(at, backoff::wait(&self.entry.name, looks, self.left())),
        };
        let next = if self.global.can_search {
            self.asked_after(looked_at.unwrap_or(request.since), due).min(give_up)
        } else {
            give_up
        };
        let came = self.record.trouble.last.as_deref().filter(|(_, at)| *at >= request.since);
        let failure = came.map(|(failure, _)| failure.clone());
        let reason = Reason::AnswerLost { since: request.since, next, failure };
        if next > self.now {
            return self.wait(reason, next);
        }
        self.act(Action::LookUp(request.attempt), reason)
    }

    /// When a pending request is asked about next.
    fn next_pickup(
        &self,
        request: &Request,
        (polls, polled_at): (u32, Option<Timestamp>),
        unknown_since: Option<Timestamp>,
    ) -> Timestamp {
        let interval = backoff::poll(self.global.first_poll, polls);
        let polled_at = polled_at.unwrap_or(request.since);
        let due = self.bounded(polled_at, self.after(polled_at, interval));
        // All trouble is of this request, which began without any; its instants are of clocks that may have been set back.
        let failed = self.record.trouble.last.is_some();
        let retry = failed.then(|| self.retry_at(&self.record.trouble)).flatten().unwrap_or(due);
        let failed_at = self.record.trouble.last.as_deref().map(|(_, at)| *at);
        // Once TLM has claimed for long enough not to know it, one more pickup decides. Where that one fails, the ladder counts.
        let is_ahead = |at: &Timestamp| *at > polled_at && failed_at.is_none_or(|failed_at| failed_at < *at);
        let decides = unknown_since.map(|first| self.after(first, UNKNOWN_SPAN)).filter(is_ahead);
        let next = decides.map_or(due.max(retry), |at| due.max(retry).min(at));
        self.asked_after(failed_at.map_or(polled_at, |at| at.max(polled_at)), next)
    }

    /// The next question about a pending request. In the emergency stage nobody waits for pickups alone: the search may
    /// know what they do not tell. It knows nothing of a request that waits for an approval, and in an outage nothing
    /// answers: only a pickup that fails after TLM answered a search, or gave the profile, makes the request count as lost.
    fn pick_up(&self, request: &Request, request_id: &RequestId, is_not_found: bool) -> Action {
        let schedule = self.schedule();
        let in_emergency = schedule.as_ref().is_none_or(|schedule| schedule.emergency_at <= self.now);
        // Each request of the same day is given more pickups than the one before: it may wait for the same administrator.
        let sent = u32::try_from(self.record.submissions_in_a_day(self.now)).unwrap_or(u32::MAX);
        let was_patient = self.record.trouble.count >= FEW_TRIES.saturating_mul(sent);
        let keeps_failing = in_emergency && was_patient && self.is_last_try(request, schedule.is_some());
        let failed_at = self.record.trouble.last.as_deref().map(|(_, at)| *at);
        let is_answered = is_not_found || self.reading.read_at.is_some_and(|read| Some(read) > failed_at);
        if keeps_failing && !is_answered {
            // An outage or a pause takes the reading back, and a pickup on its own ladder may be the first to see its end.
            let is_unread = self.reading.failure.as_ref().is_none_or(|failed| failed.until <= self.now);
            let may_read = is_unread && !self.global.api_is_blocked;
            // Pickups take turns with whichever of the others may be asked.
            if self.global.can_search && !self.record.trouble.count.is_multiple_of(2) {
                return Action::LookUp(request.attempt);
            }
            if may_read {
                return Action::ReadProfile(self.entry.profile.clone());
            }
        }
        let decides = keeps_failing && is_answered;
        Action::PickUp { attempt: request.attempt, request_id: request_id.clone(), decides }
    }

    /// The next look at a request, where an operator had it asked after since the last one: soon, and not at each word.
    fn asked_after(&self, last: Timestamp, next: Timestamp) -> Timestamp {
        let is_asked = self.record.asked_after.is_some_and(|asked| last <= asked && asked <= self.now);
        if is_asked { next.min(self.after(last, FIRST_LOOK)) } else { next }
    }

    /// Installing goes on whatever the clock and the budget say; only what failed before waits for its ladder.
    pub(super) fn install(
        &self,
        request: &Request,
        serial_number: &SerialNumber,
        emergency: bool,
        schedule: Option<&Schedule>,
    ) -> Choice {
        if let Some(choice) = self.back_off().or_else(|| Some(self.unless_revoked(self.not_switched(schedule)?))) {
            return choice;
        }
        let in_emergency = schedule.is_some_and(|schedule| schedule.emergency_at <= self.now);
        let install = Action::Install {
            attempt: request.attempt,
            serial_number: serial_number.clone(),
            emergency,
            is_last_try: self.is_last_try(request, in_emergency),
        };
        self.act(install, Reason::Installing)
    }

    /// Whether TLM had its chances to give what is missing of a certificate that it issued.
    pub(super) fn is_last_try(&self, request: &Request, in_emergency: bool) -> bool {
        let tries = if in_emergency { FEW_TRIES } else { MANY_TRIES };
        let span = if in_emergency { Duration::ZERO } else { TRIES_SPAN };
        self.record.trouble.count >= tries && self.after(request.since, span) <= self.now
    }

    /// Whether the switch took place, and the process died before that was on record: then it is only finished.
    pub(super) fn is_live(&self, request: &Request) -> bool {
        self.observed.installed().is_some_and(|live| live.attempt == Some(request.attempt))
    }
}
