//! What happens to the request in flight, folded: it leaves, is answered or lost, and ends.

use super::{FailureStreak, Record, Request, Stage, Stop, UNKNOWN_SPAN, UNKNOWN_TIMES};
use crate::core::event::Event;
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::validation::DomainValidation;
use crate::core::text::Text;
use crate::core::time::Timestamp;

impl Record {
    pub(super) fn submitting(&mut self, event: &Event, at: Timestamp) {
        let Event::Submitting { attempt, method, asked, profile, profile_version, key, spki, expiring, demands } =
            event
        else {
            return;
        };
        self.send(Request {
            attempt: *attempt,
            method: method.clone(),
            asked: asked.clone(),
            profile: profile.clone(),
            profile_version: *profile_version,
            key: *key,
            spki: *spki,
            expiring: *expiring,
            demands: *demands,
            stage: Stage::Submitted { looks: 0, looked_at: None },
            since: at,
            first_sent: at,
            is_unsure: false,
            unclear_refusals: 0,
        });
    }

    /// Folds what happens to a request after it left.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are folded elsewhere")]
    pub(super) fn advance(&mut self, at: Timestamp, event: &Event) {
        match event {
            Event::LookedUp { failure, .. } => self.looked_up(failure.as_ref(), at),
            Event::Pending { request_id, dv_details, .. } => {
                self.trouble = FailureStreak::default();
                let (request_id, dv_details) = (request_id.clone(), dv_details.clone());
                self.enter(
                    at,
                    Stage::Pending {
                        request_id,
                        polls: 0,
                        polled_at: None,
                        unknown: None,
                        not_found_at: None,
                        dv_details,
                    },
                );
            }
            Event::Polled { dv_details, .. } => self.polled(dv_details.as_deref(), at),
            Event::PickupUnknown { failure, .. } => self.pickup_unknown(failure, at),
            Event::Issued { serial_number, .. } => {
                self.trouble = FailureStreak::default();
                self.enter(at, Stage::Issued { serial_number: serial_number.clone(), waits_until: None });
            }
            Event::Waits { until, .. } => {
                if let Some(Request { stage: Stage::Issued { waits_until, .. }, .. }) = self.request.as_deref_mut() {
                    *waits_until = Some(*until);
                }
            }
            Event::Held { why, lack, usages, profile_version, .. } => {
                if let Some(serial_number) = self.request.as_deref().and_then(Request::serial_number).cloned() {
                    let (why, usages) = (why.clone(), usages.clone());
                    let (lack, profile_version) = (*lack, *profile_version);
                    self.enter(at, Stage::Held { serial_number, why, lack, usages, profile_version });
                }
            }
            Event::GateRefused { why, ends_no_later, .. } => {
                let why: Vec<_> = why.iter().map(Text::as_str).collect();
                let class = if *ends_no_later { FailureClass::EndsNoLater } else { FailureClass::GateRefused };
                self.stop(Failure::new(class, why.join("; ")), at);
            }
            Event::Rejected { why, .. } => {
                let message = format!("an administrator rejected the request: {why}");
                self.stop(Failure::new(FailureClass::RequestRejected, message), at);
            }
            // What it met says nothing of what is asked for in its place.
            Event::Abandoned { attempt } => {
                self.trouble = FailureStreak::default();
                self.request = None;
                self.abandoned.insert(*attempt, at);
            }
            _ => {}
        }
    }

    pub(super) fn enter(&mut self, at: Timestamp, stage: Stage) {
        if let Some(request) = &mut self.request {
            request.stage = stage;
            request.since = at;
        }
    }

    fn send(&mut self, request: Request) {
        let before = self.request.as_deref().filter(|before| before.attempt == request.attempt);
        let request = Request {
            first_sent: before.map_or(request.first_sent, |before| before.first_sent.min(request.first_sent)),
            is_unsure: before.is_some_and(Request::may_be_accepted),
            unclear_refusals: before.map_or(0, |before| before.unclear_refusals),
            ..request
        };
        self.attempts = self.attempts.max(request.attempt.0);
        self.count_submission(request.since);
        self.stopped = None;
        self.request = Some(Box::new(request));
    }

    pub(super) fn stop(&mut self, failure: Failure, at: Timestamp) {
        let Some(request) = self.request.take() else { return };
        self.trouble.add(failure.clone(), at);
        self.abandoned.insert(request.attempt, at);
        let Request { asked, demands, profile_version, .. } = *request;
        self.stopped = Some(Box::new(Stop { failure, at, asked, demands, profile_version }));
    }

    /// A pending request stays pending: one that waits for an approval has no certificate yet, so that the next pickup
    /// decides.
    fn looked_up(&mut self, failure: Option<&Failure>, at: Timestamp) {
        let Some(request) = self.request.as_deref_mut() else { return };
        match (&mut request.stage, failure) {
            (Stage::Submitted { looks, looked_at }, _) => (*looks, *looked_at) = (looks.saturating_add(1), Some(at)),
            (Stage::Pending { not_found_at, .. }, None) => *not_found_at = Some(at),
            (Stage::Pending { .. }, Some(failure)) => self.trouble.add(failure.clone(), at),
            (Stage::Prepared | Stage::Issued { .. } | Stage::Held { .. }, _) => {}
        }
    }

    /// What TLM does not tell of by the request's id is looked for by its key; what the pickups met delays no other way.
    pub(super) fn lose_sight(&mut self, at: Timestamp) {
        if matches!(self.request.as_deref(), Some(Request { stage: Stage::Pending { .. }, .. })) {
            self.trouble.count = 0;
        }
        self.enter(at, Stage::Submitted { looks: 0, looked_at: None });
        if let Some(request) = &mut self.request {
            request.is_unsure = true;
        }
    }

    fn polled(&mut self, dv_details: Option<&DomainValidation>, at: Timestamp) {
        self.trouble = FailureStreak::default();
        if let Some(Request {
            stage: Stage::Pending { polls, polled_at, unknown, not_found_at, dv_details: known, .. },
            ..
        }) = self.request.as_deref_mut()
        {
            if let Some(dv_details) = dv_details {
                *known = Some(Box::new(dv_details.clone()));
            }
            *polls = polls.saturating_add(1);
            *polled_at = Some(at);
            (*unknown, *not_found_at) = (None, None);
        }
    }

    fn pickup_unknown(&mut self, failure: &Failure, at: Timestamp) {
        self.trouble.add(failure.clone(), at);
        if let Some(Request { stage: Stage::Pending { polled_at, unknown, .. }, .. }) = self.request.as_deref_mut() {
            let (first, count) = unknown.unwrap_or((at, 0));
            *unknown = Some((first, count + 1));
            *polled_at = Some(at);
            if count + 1 >= UNKNOWN_TIMES && first + UNKNOWN_SPAN <= at {
                self.lose_sight(at);
            }
        }
    }
}
