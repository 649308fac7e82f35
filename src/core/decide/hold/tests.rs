//! Holds and request windows, second by second: what is put off, what goes on, and what ends it.

use std::time::Duration;

use crate::core::decide::{Action, Decision, World, decide};
use crate::core::event::{Event, RollbackBy};
use crate::core::example::{
    DAY, HOUR, SECOND, START, entry, failure, global_state, live, profile, read, record, submitting,
};
use crate::core::failure::FailureClass;
use crate::core::known::observed::Observed;
use crate::core::name::{Attempt, Generation, RequestId, SerialNumber};
use crate::core::reason::State;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::window::Deploy;

/// A certificate of 90 days: due after 60, in its emergency stage after 81.
struct Case {
    observed: Observed,
    events: Vec<(Timestamp, Event)>,
    ask: Deploy,
    looks_every: Option<Duration>,
}

impl Case {
    fn of(events: &[(Timestamp, Event)]) -> Self {
        Self { observed: live(90 * DAY), events: events.to_vec(), ask: Deploy::Open, looks_every: None }
    }

    fn with(&self, more: &[(Timestamp, Event)]) -> Self {
        let events = [&self.events, more].concat();
        Self { observed: self.observed.clone(), events, ask: self.ask, looks_every: self.looks_every }
    }

    fn decide(&self, now: Timestamp) -> (Decision, bool, bool) {
        let (entry, reading, record, mut global) =
            (entry(), read(profile(), now), record(&self.events), global_state());
        global.status_check_interval = self.looks_every;
        let world = World {
            entry: &entry,
            observed: &self.observed,
            reading: &reading,
            record: &record,
            other: None,
            global: &global,
            deploy: Deploy::Open,
            ask: self.ask,
            now,
        };
        (decide(&world), world.may_ask(), world.may_switch())
    }

    #[track_caller]
    fn check(&self, now: Timestamp, action: &str, state: State, part: &str) -> (Timestamp, String) {
        let (decision, ..) = self.decide(now);
        let reason = decision.reason.to_string();
        assert_eq!((decision.action.as_str(), decision.reason.state()), (action, state), "{reason}");
        assert!(reason.contains(part), "{part:?} is not in {reason:?}");
        assert!(action != "wait" || decision.wake_at > now, "{reason}");
        (decision.wake_at, reason)
    }
}

fn hold(until: Option<Timestamp>, why: Option<&str>, even_emergency: bool) -> Event {
    Event::HoldBegun { until, why: why.map(Text::new), even_emergency }
}

fn pending(at: Timestamp) -> [(Timestamp, Event); 2] {
    let request_id = RequestId("r-1".to_owned());
    [(at, submitting(1)), (at, Event::Pending { attempt: Attempt(1), request_id, dv_details: None })]
}

fn issued(at: Timestamp) -> [(Timestamp, Event); 2] {
    [(at, submitting(1)), (at, Event::Issued { attempt: Attempt(1), serial_number: SerialNumber("0C".to_owned()) })]
}

fn revoked() -> Event {
    Event::StatusChecked { serial_number: SerialNumber("0A".to_owned()), revoked: true, standing: None }
}

/// When the certificate is due, and when its emergency stage begins.
const DUE: Timestamp = Timestamp::from_seconds(1_800_000_000 + 60 * 86_400);

fn emergency() -> Timestamp {
    START + 81 * DAY
}

#[test]
fn nothing_is_asked_for_before_the_hold_ends() {
    assert_eq!(DUE, START + 60 * DAY);
    let free = Case::of(&[]);
    free.check(DUE, "submit", State::Due, "expires at");
    let until = DUE + 5 * HOUR;
    let held = Case::of(&[(START + DAY, hold(Some(until), Some("  the\nmigration "), false))]);
    held.check(START + DAY, "wait", State::Held, "held by an operator since");
    let ends = format!("the hold ends at {until} or by `renewd release`");
    let (wake_at, reason) = held.check(DUE, "wait", State::Held, &ends);
    assert!(reason.ends_with("; reason: the migration"), "{reason}");
    assert_eq!(wake_at, until, "it is over at that instant");
    assert_eq!(held.check(until - SECOND, "wait", State::Held, "").0, until);
    held.check(until, "submit", State::Due, "expires at");
    let for_good = Case::of(&[(START + DAY, hold(None, None, false))]);
    let (_, reason) = for_good.check(DUE, "wait", State::Held, "`renewd release` ends the hold");
    assert!(reason.ends_with(&format!("as does revocation or approaching expiry ({})", emergency())), "{reason}");
    for_good.with(&[(DUE, Event::HoldReleased)]).check(DUE, "submit", State::Due, "expires at");
    let renewed = for_good.with(&[(DUE, Event::RenewalAsked { reissue: false })]);
    renewed.check(DUE + SECOND, "submit", State::Due, "an operator requested it");
    // The later word counts: what was asked for before waits.
    let held_again = renewed.with(&[(DUE + SECOND, hold(None, None, false))]);
    held_again.check(DUE + 2 * SECOND, "wait", State::Held, "");
    let (_, may_ask, may_switch) = held_again.decide(DUE + 2 * SECOND);
    assert!(!may_ask && !may_switch, "nor what was decided before");
}

#[test]
fn an_emergency_ends_a_hold_unless_it_is_to_outlast_it() {
    let at = START + DAY;
    let held = |even_emergency| Case::of(&[(at, hold(None, None, even_emergency))]);
    let (usual, firm) = (held(false), held(true));
    assert_eq!(usual.check(emergency() - SECOND, "wait", State::Held, "").0, emergency());
    usual.check(emergency(), "submit", State::Due, "expires at");
    firm.check(emergency() - SECOND, "wait", State::Held, "nothing else, not even its emergency stage");
    firm.check(emergency(), "wait", State::Held, "although the certificate is about to expire");
    let revoked = [(at + HOUR, revoked())];
    usual.with(&revoked).check(at + HOUR, "submit", State::Due, "revoked");
    firm.with(&revoked).check(at + HOUR, "wait", State::Held, "or revoked");
    let of = |case: &Case, observed| Case { observed, ..case.with(&[]) };
    let damaged = || Observed::Damaged(Box::new(Text::new("no PEM")));
    of(&usual, damaged()).check(at + HOUR, "submit", State::Due, "unusable");
    of(&firm, damaged()).check(at + HOUR, "wait", State::Held, "");
    // What was never there is missed by nobody yet.
    of(&usual, Observed::Absent).check(at + HOUR, "wait", State::Held, "`renewd release` ends the hold");
}

/// A request under way at TLM goes on, and what it brings is kept; it is not sent again, and nothing is switched in.
#[test]
fn what_is_under_way_is_collected_and_waits() {
    let at = DUE + HOUR;
    let order = (at, hold(None, None, false));
    let waits = Case::of(&pending(at)).with(std::slice::from_ref(&order));
    let (wake_at, _) = waits.check(at + SECOND, "wait", State::Held, "held by an operator");
    assert!(wake_at <= at + 30 * SECOND, "it is polled as ever");
    waits.check(at + 30 * SECOND, "pick-up", State::Held, "held by an operator");
    let issued = Case::of(&issued(at));
    issued.check(at + SECOND, "install", State::Due, "installing");
    let held = issued.with(std::slice::from_ref(&order));
    held.check(at + SECOND, "wait", State::Held, "a new certificate is issued and waits for that");
    held.with(&[(at + HOUR, Event::HoldReleased)]).check(at + HOUR, "install", State::Due, "installing");
    held.check(emergency(), "install", State::Due, "installing");
    let lost = Event::AnswerLost { attempt: Attempt(1), failure: failure(FailureClass::ApiNoAnswer) };
    let lost = Case::of(&[(at, submitting(1)), (at, lost), order.clone()]);
    lost.check(at + 5 * SECOND, "look-up", State::Held, "held by an operator");
    lost.check(at + HOUR, "wait", State::Held, "held by an operator");
    let refused = Event::NotAccepted { attempt: Attempt(1), failure: failure(FailureClass::ApiUnavailable) };
    let prepared = [(at, submitting(1)), (at, refused)];
    Case::of(&prepared).check(at + 2 * HOUR, "submit", State::Due, "");
    Case::of(&prepared).with(&[order]).check(at + 2 * HOUR, "wait", State::Held, "");
    let back = RollbackBy::Operator;
    let back = Event::RolledBack { from: Generation(3), to: Generation(2), by: back, hooks: Vec::new() };
    Case::of(&prepared).with(&[(at, back)]).check(at + 2 * HOUR, "wait", State::Held, "rolled back by an operator");
}

#[test]
fn a_release_ends_the_hold_of_a_rollback_as_well() {
    let by = RollbackBy::Operator;
    let back = (START + DAY, Event::RolledBack { from: Generation(3), to: Generation(2), by, hooks: Vec::new() });
    let held = Case::of(&[back]);
    held.check(START + 2 * DAY, "wait", State::Held, "`renewd release` or `renewd renew` ends that");
    let released = held.with(&[(START + 2 * DAY, Event::HoldReleased)]);
    released.check(START + 2 * DAY, "wait", State::Valid, "not due until");
    released.check(DUE, "submit", State::Due, "expires at");
}

/// Somebody has to look for the revocation that ends a hold.
#[test]
fn a_held_certificate_is_asked_after_as_ever() {
    let by = RollbackBy::Operator;
    let back = Event::RolledBack { from: Generation(3), to: Generation(2), by, hooks: Vec::new() };
    for order in [hold(None, None, false), back] {
        let checked = Event::StatusChecked { serial_number: SerialNumber("0A".into()), revoked: false, standing: None };
        let case = Case { looks_every: Some(DAY), ..Case::of(&[(DUE, order), (DUE, checked)]) };
        assert_eq!(case.check(DUE + 23 * HOUR, "wait", State::Held, "held").0, DUE + DAY);
        case.check(DUE + DAY, "check-status", State::Held, "held");
    }
    let case = Case { looks_every: Some(DAY), ..Case::of(&issued(DUE)) };
    let held = case.with(&[(DUE, hold(None, None, false))]);
    held.check(DUE + DAY, "check-status", State::Held, "held");
}

#[test]
fn a_request_waits_for_its_window_but_never_into_the_emergency() {
    let opens = DUE + DAY;
    let closed = Case { ask: Deploy::Closed(opens), ..Case::of(&[]) };
    closed.check(DUE - SECOND, "wait", State::Valid, "not due until");
    let (wake_at, _) = closed.check(DUE, "wait", State::Due, &format!("when the request window opens at {opens}"));
    assert_eq!(wake_at, opens);
    Case::of(&[]).check(DUE, "submit", State::Due, "");
    let late = Case { ask: Deploy::Closed(emergency() + DAY), ..Case::of(&[]) };
    let sooner = format!("or at {}, shortly before the installed one expires", emergency());
    assert_eq!(late.check(emergency() - SECOND, "wait", State::Due, &sooner).0, emergency());
    late.check(emergency(), "submit", State::Due, "expires at");
    let unplaced = Case { ask: Deploy::Unplaced, ..Case::of(&[]) };
    unplaced.check(DUE, "wait", State::Due, "until its time zone can be read");
    unplaced.check(emergency(), "submit", State::Due, "");
    // An operator, a revocation and a certificate that is not there do not wait; nor does what is under way.
    let asked = [(DUE, Event::RenewalAsked { reissue: false })];
    closed.with(&asked).check(DUE + SECOND, "submit", State::Due, "an operator requested it");
    closed.with(&[(DUE, revoked())]).check(DUE, "submit", State::Due, "revoked");
    Case { observed: Observed::Absent, ..closed.with(&[]) }.check(DUE, "submit", State::Due, "nothing is installed");
    closed.with(&issued(DUE)).check(DUE + SECOND, "install", State::Due, "installing");
    closed.with(&pending(DUE)).check(DUE + 30 * SECOND, "pick-up", State::Pending, "");
    let (decision, may_ask, _) = closed.with(&asked).decide(DUE + SECOND);
    assert!(may_ask && matches!(decision.action, Action::Submit(_)));
}
