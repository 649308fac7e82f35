//! Decisions at the second before, at and after each bound; each reason by at least one case.

use std::sync::Arc;

use super::super::event::{Event, Lack, RollbackBy};
use super::super::example::{
    DAY, HOUR, MINUTE, SECOND, START, entry, failure, global_state, installed, live, profile, read, record, rename,
    submitting,
};
use super::super::failure::{Failure, RetryHint};
use super::super::name::{Digest, ProfileId};
use super::super::record::Checked;
use super::*;
use crate::core::known::cached_profile::FailedRead;
use crate::core::known::issuer::{ChainEnd, Issuer, IssuerPin, ServedChain};
use crate::core::name::{Generation, HookName, ProfileRef, RequestId, SerialNumber};
use crate::core::wanted::entry::SubjectFrom;

/// A world in which nothing is due: each case changes one thing.
struct Case {
    entry: Entry,
    observed: Observed,
    reading: CachedProfile,
    record: Record,
    global: GlobalState,
    deploy: Deploy,
    now: Timestamp,
}

impl Case {
    /// The ordinary certificate, this long after its start, the profile just read.
    fn after(offset: Duration) -> Self {
        let now = START + offset;
        Self {
            entry: entry(),
            observed: live(90 * DAY),
            reading: read(profile(), now),
            record: Record::default(),
            global: global_state(),
            deploy: Deploy::Open,
            now,
        }
    }

    /// Nothing is installed.
    fn bare() -> Self {
        Self { observed: Observed::Absent, ..Self::after(DAY) }
    }

    fn events(mut self, events: &[(Timestamp, Event)]) -> Self {
        self.record = record(events);
        self
    }

    fn decide(&self) -> Decision {
        let Self { entry, observed, reading, record, global, deploy, now } = self;
        decide(&World { entry, observed, reading, record, global, deploy: *deploy, now: *now })
    }

    /// What is done and said.
    fn told(&self) -> (String, String) {
        let decision = self.decide();
        (decision.action.as_str().to_owned(), decision.reason.to_string())
    }
}

#[track_caller]
fn check(case: &Case, action: &str, part: &str) {
    let (found, reason) = case.told();
    assert_eq!(found, action, "{reason}");
    assert!(reason.contains(part), "{part:?} is not in {reason:?}");
}

fn method(case: &Case) -> Method {
    let decision = case.decide();
    let Action::Submit(submission) = decision.action else { panic!("{decision:?}") };
    submission.method
}

fn fail(class: FailureClass, retry: Option<RetryHint>) -> Event {
    Event::Failed { failure: Failure { retry, ..failure(class) } }
}

fn pending(at: Timestamp) -> Vec<(Timestamp, Event)> {
    let request_id = RequestId("r-1".to_owned());
    vec![(at, submitting(1)), (at, Event::Pending { attempt: Attempt(1), request_id, dv_details: None })]
}

#[test]
fn renewal_begins_at_its_instant_and_not_a_second_before() {
    check(&Case::after(60 * DAY - SECOND), "wait", "not due until");
    check(&Case::after(60 * DAY), "submit", "due: ");
    check(&Case::after(90 * DAY), "submit", "due: ");
    check(&Case::after(90 * DAY + SECOND), "submit", "due: ");
    let decision = Case::after(DAY).decide();
    assert_eq!(decision.renew_at, Some(START + 60 * DAY));
    assert!(decision.wake_at <= START + DAY + 6 * HOUR, "it looks again now and then");
}

#[test]
fn short_and_long_lives_are_renewed_in_their_last_third() {
    for lifetime in [HOUR, 47 * DAY, 3650 * DAY] {
        let mut case = Case::after(lifetime * 2 / 3 - SECOND);
        case.observed = live(lifetime);
        case.reading = read(Profile { renewal_window_days: None, ..profile() }, case.now);
        check(&case, "wait", "not due until");
        case.now = case.now + 2 * SECOND;
        check(&case, "submit", "due: ");
    }
}

#[test]
fn what_is_due_at_once_is() {
    check(&Case::bare(), "submit", "nothing is installed");
    let change = |change: &dyn Fn(&mut Case)| {
        let mut case = Case::after(DAY);
        change(&mut case);
        case
    };
    let differing = |differs| Observed::Installed(Box::new(Installed { differs, ..installed(90 * DAY) }));
    check(&change(&|case| case.observed = Observed::Damaged(Box::new(Text::new("no PEM")))), "submit", "no PEM");
    check(
        &change(&|case| case.observed = differing(Some(Box::new(Text::new("names added: x"))))),
        "submit",
        "names added: x",
    );
    check(&change(&|case| case.reading.profile.as_mut().unwrap().id.0 = "q".into()), "submit", "profile");
    let revoked = Checked { serial_number: SerialNumber("0A".to_owned()), revoked: true, standing: None, at: START };
    check(&change(&|case| case.record.checked = Some(Box::new(revoked.clone()))), "submit", "revoked");
    check(&change(&|case| case.record.renewal_asked = Some(START)), "submit", "requested");
}

#[test]
fn what_cannot_be_read_is_never_a_reason_to_submit() {
    let case = Case { observed: Observed::Unreadable(Box::new(Text::new("EIO"))), ..Case::after(89 * DAY) };
    check(&case, "wait", "EIO");
    let drifted = Installed { drift: vec![Text::new("key.pem has mode 0644")].into(), ..installed(90 * DAY) };
    check(&Case { observed: Observed::Installed(Box::new(drifted)), ..Case::after(DAY) }, "repair", "mode 0644");
}

#[test]
fn what_others_renewed_is_judged_before_anything_is_asked_for() {
    let drift = vec![Text::new("www.crt: its content changed")];
    let renewed =
        |renewed_elsewhere| Installed { drift: drift.clone().into(), renewed_elsewhere, ..installed(90 * DAY) };
    let due = |observed| Case { observed: Observed::Installed(Box::new(observed)), ..Case::after(89 * DAY) };
    check(&due(renewed(true)), "repair", "www.crt");
    check(&due(renewed(false)), "submit", "due: ");
}

#[test]
fn a_profile_is_read_before_a_submission_if_the_last_reading_is_over_an_hour_old() {
    let mut case = Case::bare();
    case.reading.read_at = Some(case.now - HOUR + SECOND);
    check(&case, "submit", "nothing is installed");
    case.reading.read_at = Some(case.now - HOUR);
    check(&case, "read-profile", "reading its profile");
    let until = case.now + MINUTE;
    let failed = FailedRead { failure: failure(FailureClass::ApiUnreachable), count: 1, until };
    case.reading.failure = Some(failed);
    case.observed = live(90 * DAY);
    case.now = START + 70 * DAY;
    case.reading.failure.as_mut().unwrap().until = case.now + MINUTE;
    check(&case, "wait", "could not be read");
    case.now = START + 82 * DAY;
    case.reading.failure.as_mut().unwrap().until = case.now + MINUTE;
    check(&case, "submit", "due: ");
}

#[test]
fn a_misfit_is_told_and_nothing_is_sent() {
    let mut case = Case::bare();
    case.reading.profile.as_mut().unwrap().status = "Suspended".to_owned();
    check(&case, "wait", "not Active");
    check(&case, "wait", "renewd sends nothing until the entry or the profile changes");
}

#[test]
fn the_method_follows_duplicates_and_the_entry() {
    let case = |wanted, allows_duplicates, observed: Observed| {
        let mut case = Case { observed, ..Case::after(70 * DAY) };
        case.entry.request_method = wanted;
        case.reading.profile.as_mut().unwrap().allows_duplicates = allows_duplicates;
        case
    };
    let renew = Method::Renew { serial_number: SerialNumber("0A".to_owned()), fingerprint: Digest([0; 32]) };
    assert_eq!(method(&case(RequestMethod::Auto, true, live(90 * DAY))), Method::New);
    assert_eq!(method(&case(RequestMethod::Auto, false, live(90 * DAY))), renew);
    assert_eq!(method(&case(RequestMethod::New, false, live(90 * DAY))), Method::New);
    assert_eq!(method(&case(RequestMethod::Renew, true, live(90 * DAY))), renew);
    assert_eq!(method(&case(RequestMethod::Auto, false, Observed::Absent)), Method::New);
    assert_eq!(method(&case(RequestMethod::Auto, false, live(60 * DAY))), Method::New, "an expired one is not renewed");
}

#[test]
fn a_pending_request_is_polled_on_its_own_ladder() {
    let since = START + 60 * DAY;
    let case = |offset| Case { now: since + offset, ..Case::after(60 * DAY) }.events(&pending(since));
    check(&case(29 * SECOND), "wait", "request r-1 has been pending");
    check(&case(30 * SECOND), "pick-up", "request r-1 has been pending");
    check(&case(80 * DAY), "pick-up", "pending");
    // An operator's word is followed a moment after the last look, and once.
    let asked = |offset, at: Timestamp| {
        let mut case = case(offset);
        case.record.asked_after = Some(at);
        case
    };
    check(&asked(10 * SECOND, since + 10 * SECOND), "pick-up", "request r-1 has been pending");
    check(&asked(2 * SECOND, since + SECOND), "wait", "request r-1 has been pending");
    assert_eq!(asked(2 * SECOND, since + SECOND).decide().wake_at, since + 5 * SECOND);
    check(&asked(10 * SECOND, since - SECOND), "wait", "request r-1 has been pending");
    let mut failed = asked(20 * SECOND, since + SECOND);
    failed.record.apply(since + 5 * SECOND, &fail(FailureClass::ApiUnavailable, None));
    check(&failed, "wait", "request r-1 has been pending");
    check(&asked(10 * SECOND, since + DAY), "wait", "request r-1 has been pending");
    let mut busy = case(30 * SECOND);
    busy.global.clock_wrong = Some(Some(3600));
    check(&busy, "pick-up", "pending");
}

#[test]
fn an_entry_that_changes_abandons_its_request() {
    let mut case = Case { now: START + 61 * DAY, ..Case::after(Duration::ZERO) }.events(&pending(START + 60 * DAY));
    rename(&mut case.entry, |naming| naming.names.dns_names.push("new.example.com".to_owned()));
    check(&case, "abandon", "no longer wanted: giving it up");
}

#[test]
fn an_abandoned_key_is_kept_for_ninety_days() {
    let abandoned = |offset| {
        let mut case = Case::after(offset);
        case.record.abandoned.insert(Attempt(1), START);
        case.record.stopped = None;
        case.observed = live(3650 * DAY);
        case
    };
    check(&abandoned(90 * DAY - SECOND), "wait", "not due");
    let mut over = abandoned(90 * DAY);
    over.record.abandoned.insert(Attempt(2), START);
    check(&over, "forget-key", "removing");
    assert_eq!(over.decide().action, Action::ForgetKeys(vec![Attempt(1), Attempt(2)]), "all at once");
}

/// Whatever is waited for, the emergency stage ends the wait, and lets none begin that is longer than a tenth of the rest.
#[test]
fn no_wait_outlasts_the_emergency_stage() {
    let emergency = START + 81 * DAY;
    let far = Some(RetryHint::At(START + 89 * DAY));
    let refused = |at, class, hint| {
        let mut case = Case { now: at, reading: read(profile(), at), ..Case::after(Duration::ZERO) };
        case.reading.profile.as_mut().unwrap().allows_duplicates = false;
        case.events(&[(at, fail(class, hint))])
    };
    let gate = |at| {
        let why = vec![Text::new("no")];
        let refused = Event::GateRefused { attempt: Attempt(1), why, ends_no_later: false };
        Case { now: at, reading: read(profile(), at), ..Case::after(Duration::ZERO) }
            .events(&[(at, submitting(1)), (at, refused)])
    };
    for case in [
        refused(emergency - HOUR, FailureClass::RenewalTooEarly, far),
        refused(emergency - HOUR, FailureClass::ApiUnavailable, Some(RetryHint::After(6 * HOUR))),
        gate(emergency - HOUR),
    ] {
        let decision = case.decide();
        assert_eq!((&decision.action, decision.wake_at), (&Action::Wait, emergency), "{}", decision.reason);
    }
    let left = 10 * HOUR;
    for case in [
        refused(START + 90 * DAY - left, FailureClass::RenewalTooEarly, Some(RetryHint::At(START + 90 * DAY - HOUR))),
        gate(START + 90 * DAY - left),
    ] {
        let decision = case.decide();
        assert_eq!(decision.wake_at, case.now + left / 10, "{}", decision.reason);
    }
}

/// An answer of TLM that is not known is not known better after a later try was refused.
#[test]
fn what_may_have_been_accepted_once_is_looked_up_before_each_later_try() {
    let since = START + 60 * DAY;
    let lost = Event::AnswerLost { attempt: Attempt(1), failure: failure(FailureClass::ApiNoAnswer) };
    let refused = Event::NotAccepted { attempt: Attempt(1), failure: failure(FailureClass::ApiUnavailable) };
    let later = since + HOUR;
    let case = Case { now: later + HOUR, reading: read(profile(), later + HOUR), ..Case::after(Duration::ZERO) }
        .events(&[(since, submitting(1)), (since, lost), (later, submitting(1)), (later, refused)]);
    let Action::Submit(submission) = case.decide().action else { panic!("{:?}", case.told()) };
    assert!(submission.prepared && submission.look_up);
    assert_eq!(case.record.request.as_ref().map(|request| request.first_sent), Some(since));
}

#[test]
fn a_lost_answer_is_looked_up_and_after_ten_minutes_submitted_again_with_the_same_key() {
    let since = START + 60 * DAY;
    let lost = Event::AnswerLost { attempt: Attempt(1), failure: failure(FailureClass::ApiNoAnswer) };
    let case = |offset| {
        let now = since + offset;
        Case { now, reading: read(profile(), now), ..Case::after(Duration::ZERO) }
            .events(&[(since, submitting(1)), (since, lost.clone())])
    };
    check(&case(4 * SECOND), "wait", "TLM may have issued a certificate");
    check(&case(5 * SECOND), "look-up", "TLM may have issued a certificate");
    let again = case(10 * MINUTE);
    let Action::Submit(submission) = again.decide().action else { panic!("{:?}", again.told()) };
    assert!(submission.prepared && submission.attempt == Attempt(1), "the same key and CSR");
    let mut blind = case(MINUTE);
    blind.global.can_search = false;
    check(&blind, "wait", "TLM may have issued a certificate");
}

#[test]
fn a_lost_answer_is_not_looked_up_for_more_than_a_tenth_of_what_is_left() {
    let since = START + 40 * MINUTE;
    let lost = Event::AnswerLost { attempt: Attempt(1), failure: failure(FailureClass::ApiNoAnswer) };
    let case = |offset| {
        let now = since + offset;
        Case { now, observed: live(60 * MINUTE), reading: read(profile(), now), ..Case::after(Duration::ZERO) }
            .events(&[(since, submitting(1)), (since, lost.clone())])
    };
    check(&case(MINUTE), "look-up", "TLM may have issued a certificate");
    check(&case(2 * MINUTE), "submit", "due");
}

/// The request is pending since a time that lies ahead by the clock as it is now: each failure has its pause all the same.
#[test]
fn a_pickup_that_fails_has_its_pause_after_the_clock_was_set_back() {
    let (since, now) = (START + 62 * DAY, START + 61 * DAY);
    let request_id = RequestId("r-1".to_owned());
    let pending = Event::Pending { attempt: Attempt(1), request_id, dv_details: None };
    let failed = Event::Failed { failure: failure(FailureClass::ApiBadAnswer) };
    let case = Case { now, reading: read(profile(), now), ..Case::after(Duration::ZERO) }.events(&[
        (since, submitting(1)),
        (since, pending),
        (now - SECOND, failed),
    ]);
    check(&case, "wait", "the last pickup failed");
    assert!(case.decide().wake_at > now + 30 * SECOND);
}

/// A pickup may never be answered: before the emergency stage TLM has time, and from then on the search and another request
/// are the way out.
#[test]
fn a_pickup_that_goes_on_failing_is_given_up_in_the_emergency_stage() {
    let failed = Event::Failed { failure: failure(FailureClass::ApiBadAnswer) };
    let unknown = Event::PickupUnknown { attempt: Attempt(1), failure: failure(FailureClass::RequestRefused) };
    let case = |days: u32, event: &Event, count: usize, observed: Observed| {
        let now = START + days * DAY;
        let mut events = pending(now - 12 * HOUR);
        // All in the same minute: an hour has not passed since TLM did not know it first.
        events.extend(std::iter::repeat_n((now - 11 * HOUR, event.clone()), count));
        Case { now, observed, reading: read(profile(), now - 12 * HOUR), ..Case::after(Duration::ZERO) }.events(&events)
    };
    let asks = |case: &Case, look_up: bool| {
        check(case, if look_up { "look-up" } else { "pick-up" }, "has been pending at TLM");
        matches!(case.decide().action, Action::PickUp { decides: true, .. })
    };
    let installed = || Case::after(Duration::ZERO).observed;
    for event in [&failed, &unknown] {
        assert!(!asks(&case(70, event, 21, installed()), false));
        assert!(!asks(&case(85, event, 2, installed()), false));
        assert!(!asks(&case(85, event, 3, installed()), true));
        assert!(!asks(&case(85, event, 5, Observed::Absent), false));
        assert!(!asks(&case(85, event, 7, Observed::Absent), true));
        let mut forbidden = case(85, event, 3, installed());
        forbidden.global.can_search = false;
        for mut unheard in [forbidden, case(85, event, 4, installed())] {
            check(&unheard, "read-profile", "has been pending at TLM");
            unheard.global.api_is_blocked = true;
            assert!(!asks(&unheard, false), "in an outage no profile is read");
            unheard.global.api_is_blocked = false;
            let failure = Some(FailedRead {
                failure: failure(FailureClass::ApiBadAnswer),
                count: 1,
                until: unheard.now + SECOND,
            });
            let reading = CachedProfile { failure, ..unheard.reading.clone() };
            assert!(!asks(&Case { reading, ..unheard }, false), "nothing answers");
        }
        let now = START + 85 * DAY;
        let mut answered = case(85, event, 3, installed());
        answered.record.apply(now - HOUR, &Event::LookedUp { attempt: Attempt(1), failure: None });
        assert!(asks(&answered, false), "the search answered");
        let read_since = Case { reading: read(profile(), now - HOUR), ..case(85, event, 3, installed()) };
        assert!(asks(&read_since, false), "the profile was read since");
    }
}

/// A clock that ran ahead had it submitted, and TLM refused it; the clock is right again.
#[test]
fn a_refused_request_waits_where_nothing_is_due_any_more() {
    let refused = Event::NotAccepted { attempt: Attempt(1), failure: failure(FailureClass::RequestRefused) };
    let case = |offset| {
        let now = START + offset;
        Case { now, reading: read(profile(), now), ..Case::after(Duration::ZERO) }
            .events(&[(START + 10 * DAY, submitting(1)), (START + 10 * DAY, refused.clone())])
    };
    check(&case(20 * DAY), "wait", "not due until");
    let due = case(70 * DAY);
    let Action::Submit(submission) = due.decide().action else { panic!("{:?}", due.told()) };
    assert!(submission.prepared && submission.attempt == Attempt(1), "the same key and CSR");
}

/// Somebody else renewed it while its answer was lost.
#[test]
fn a_lost_answer_is_given_up_where_nothing_is_due_any_more() {
    let since = START + 10 * DAY;
    let lost = Event::AnswerLost { attempt: Attempt(1), failure: failure(FailureClass::ApiNoAnswer) };
    let case = |offset| {
        let now = since + offset;
        Case { now, reading: read(profile(), now), ..Case::after(Duration::ZERO) }
            .events(&[(since, submitting(1)), (since, lost.clone())])
    };
    check(&case(5 * SECOND), "look-up", "TLM may have issued a certificate");
    check(&case(10 * MINUTE), "abandon", "no longer wanted");
    let mut asked = case(10 * MINUTE);
    asked.record.renewal_asked = Some(since + MINUTE);
    check(&asked, "submit", "an operator requested it");
}

#[test]
fn failures_wait_on_the_ladder_and_never_longer_than_a_tenth_of_what_is_left() {
    let at = START + 70 * DAY;
    let case = |offset, count: u32, class| {
        let now = at + offset;
        let events: Vec<_> = (0..count).map(|_| (at, fail(class, None))).collect();
        Case { now, reading: read(profile(), now), ..Case::after(Duration::ZERO) }.events(&events)
    };
    check(&case(47 * SECOND, 1, FailureClass::RequestRefused), "wait", "failed: it said no");
    check(&case(73 * SECOND, 1, FailureClass::RequestRefused), "submit", "due: ");
    check(&case(4 * HOUR, 12, FailureClass::RequestRefused), "wait", "failed 12 times");
    check(&case(8 * HOUR, 12, FailureClass::RequestRefused), "submit", "due: ");
    let end = START + 90 * DAY;
    let late = Case { now: end - 9 * HOUR, reading: read(profile(), end - 9 * HOUR), ..Case::after(Duration::ZERO) };
    let late =
        late.events(&(0..12).map(|_| (end - 10 * HOUR, fail(FailureClass::RequestRefused, None))).collect::<Vec<_>>());
    check(&late, "submit", "due: ");
}

#[test]
fn a_hint_wins_and_an_outage_that_ended_ends_the_wait() {
    let at = START + 70 * DAY;
    let hint = RetryHint::After(2 * HOUR);
    let mut case = Case { now: at + HOUR, reading: read(profile(), at + HOUR), ..Case::after(Duration::ZERO) }
        .events(&[(at, fail(FailureClass::ApiUnavailable, Some(hint)))]);
    check(&case, "wait", "next attempt at");
    case.global.api_recovered_at = Some(at + MINUTE);
    check(&case, "submit", "due: ");
    // What was refused for a profile ends with no outage, and with an operator's good look at the API.
    let mut case = Case { now: at + HOUR, reading: read(profile(), at + HOUR), ..Case::after(Duration::ZERO) }
        .events(&[(at, fail(FailureClass::ApiForbidden, Some(hint)))]);
    case.global.api_recovered_at = Some(at + MINUTE);
    check(&case, "wait", "next attempt at");
    case.global.api_checked_at = Some(at - MINUTE);
    check(&case, "wait", "next attempt at");
    case.global.api_checked_at = Some(at + MINUTE);
    check(&case, "submit", "due: ");
    case.global.api_checked_at = Some(case.now + DAY);
    check(&case, "wait", "next attempt at");
    let early = START + 75 * DAY;
    for hint in [RetryHint::At(early), RetryHint::After(5 * DAY)] {
        let case = Case::after(70 * DAY).events(&[(START + 70 * DAY, fail(FailureClass::RenewalTooEarly, Some(hint)))]);
        check(&case, "wait", "TLM allows renewal from");
        assert_eq!(case.decide().wake_at, early);
    }
    // Counted from when it was told by a clock that ran ahead, and was set right.
    let ahead = (START + 71 * DAY, fail(FailureClass::RenewalTooEarly, Some(RetryHint::After(5 * DAY))));
    check(&Case::after(70 * DAY).events(&[ahead]), "submit", "due: ");
}

#[test]
fn refusals_stop_until_something_changes() {
    let at = START + 70 * DAY;
    let stopped = |event: Event, offset| {
        let now = at + offset;
        Case { now, reading: read(profile(), now), ..Case::after(Duration::ZERO) }
            .events(&[(at, submitting(1)), (at, event)])
    };
    let attempt = Attempt(1);
    let gate = || Event::GateRefused { attempt, why: vec![Text::new("wrong key")], ends_no_later: false };
    check(&stopped(gate(), DAY - SECOND), "wait", "wrong key");
    check(&stopped(gate(), DAY), "submit", "due: ");
    let rejected = || Event::Rejected { attempt, why: Text::new("no") };
    check(&stopped(rejected(), 15 * DAY), "wait", "rejected the request: no");
    let mut changed = stopped(rejected(), HOUR);
    rename(&mut changed.entry, |naming| naming.names.dns_names.push("new.example.com".to_owned()));
    check(&changed, "submit", "due: ");
    let mut changed = stopped(rejected(), HOUR);
    changed.reading.profile.as_mut().unwrap().renewal_window_days = Some(31);
    check(&changed, "submit", "due: ");
    let duplicate = Event::NotAccepted { attempt, failure: failure(FailureClass::DuplicateRefused) };
    check(&stopped(duplicate.clone(), 10 * DAY), "wait", "duplicate-refused");
    check(&stopped(duplicate.clone(), 21 * DAY), "submit", "due: ");
    // It was revoked, as the operator was told, and whatever else it is replaced for.
    let mut revoked = stopped(duplicate.clone(), 10 * DAY);
    let other = Installed { differs: Some(Box::new(Text::new("names added"))), ..installed(90 * DAY) };
    let serial_number = other.serial_number.clone();
    revoked.record.checked = Some(Box::new(Checked { serial_number, revoked: true, standing: None, at: revoked.now }));
    revoked.observed = Observed::Installed(Box::new(other));
    check(&revoked, "submit", "due: ");
    // Where nothing is installed, nothing says when it ends.
    let bare = |offset| {
        let now = START + DAY + offset;
        Case { now, reading: read(profile(), now), ..Case::bare() }
            .events(&[(START + DAY, submitting(1)), (START + DAY, duplicate.clone())])
    };
    check(&bare(DAY - SECOND), "wait", "duplicate-refused");
    check(&bare(DAY), "submit", "due: ");
    // What TLM refuses while the leaf lives is tried again when the chain ends, and then when the leaf does.
    let refused = |offset, after| {
        let mut case = limited_case(offset);
        [submitting(1), duplicate.clone()].iter().for_each(|event| case.record.apply(START + after, event));
        case
    };
    check(&refused(50 * DAY, 20 * DAY), "wait", "duplicate-refused");
    check(&refused(50 * DAY + SECOND, 20 * DAY), "submit", "due: ");
    check(&refused(60 * DAY, 50 * DAY + SECOND), "wait", "duplicate-refused");
}

#[test]
fn the_budget_holds_back_what_is_beyond_it_but_not_the_operators_word() {
    let now = START + 70 * DAY;
    let spent = |count: u64| {
        let mut case = Case { now, reading: read(profile(), now), ..Case::after(Duration::ZERO) };
        case.record.submissions =
            (0..count).map(|n| now - HOUR - MINUTE * u32::try_from(n).unwrap()).rev().collect::<Vec<_>>().into();
        case
    };
    check(&spent(5), "submit", "due: ");
    check(&spent(6), "wait", "all 6 submissions of 24 hours are used");
    assert_eq!(spent(6).decide().wake_at, now - HOUR - 5 * MINUTE + DAY);
    let mut asked = spent(6);
    asked.record.renewal_asked = Some(now);
    check(&asked, "submit", "due: ");
    asked.record.submissions.push(now);
    check(&asked, "wait", "are used");
}

#[test]
fn short_lives_get_three_times_the_submissions_that_they_need() {
    // Lives an hour, is renewed every 40 minutes, so 36 times a day.
    let now = START + 50 * MINUTE;
    let mut case = Case { now, observed: live(HOUR), reading: read(profile(), now), ..Case::after(Duration::ZERO) };
    case.record.submissions = (0..107).map(|n| now - DAY + SECOND * (n + 1)).collect::<Vec<_>>().into();
    check(&case, "submit", "due: ");
    case.record.submissions.push(now - SECOND);
    check(&case, "wait", "all 108 submissions");
    // A chain that ends in an hour gives no such right.
    let now = START + 50 * MINUTE;
    let chain = chain_that_ends(START + HOUR);
    case.observed = Observed::Installed(Box::new(Installed { chain, ..installed(90 * DAY) }));
    case.record.submissions = (0..6).map(|n| now - HOUR + SECOND * (n + 1)).collect::<Vec<_>>().into();
    check(&case, "wait", "all 6 submissions");
}

#[test]
fn what_forbids_submissions_says_so_and_installs_go_on() {
    let mut case = Case::bare();
    case.global.clock_wrong = Some(Some(3600));
    check(&case, "wait", "this host's clock is 1 h behind");
    case.global.clock_wrong = None;
    case.global.journal_too_new = true;
    check(&case, "wait", "newer renewd");
    let issued = Event::Issued { attempt: Attempt(1), serial_number: SerialNumber("0B".to_owned()) };
    let case = case.events(&[(START, submitting(1)), (START, issued)]);
    check(&case, "install", "issued");
}

#[test]
fn an_unjudged_signature_is_judged_again_when_the_profile_says_something_else() {
    let held = |lack, version| {
        let why = Text::new("its signature cannot be judged");
        let profile_version = version;
        let held = Event::Held { attempt: Attempt(1), why, lack, usages: None, profile_version };
        let issued = Event::Issued { attempt: Attempt(1), serial_number: SerialNumber("0B".to_owned()) };
        let events = [(START + 60 * DAY, submitting(1)), (START + 60 * DAY, issued), (START + 60 * DAY, held)];
        Case::after(61 * DAY).events(&events)
    };
    let version = held(Lack::Signature, None).reading.profile.as_ref().unwrap().version();
    check(&held(Lack::Signature, Some(version)), "wait", "the profile shows the issuing CA");
    check(&held(Lack::Signature, Some(version + 1)), "install", "issued");
    check(&held(Lack::Signature, None), "install", "issued");
    check(&held(Lack::Both, Some(version)), "wait", "accepts the usages");
    check(&held(Lack::Both, Some(version + 1)), "install", "issued");
    check(&held(Lack::Usage, Some(version + 1)), "wait", "the entry accepts that (key `usages`)");
}

#[test]
fn what_lacks_a_usage_is_held_until_accepted_or_the_emergency_stage() {
    let held = |offset| {
        let why = Text::new("it lacks client_auth");
        let events = [
            (START + 60 * DAY, submitting(1)),
            (START + 60 * DAY, Event::Issued { attempt: Attempt(1), serial_number: SerialNumber("0B".to_owned()) }),
            (
                START + 60 * DAY,
                Event::Held { attempt: Attempt(1), why, lack: Lack::Usage, usages: None, profile_version: None },
            ),
        ];
        Case::after(offset).events(&events)
    };
    check(&held(81 * DAY - SECOND), "wait", "it lacks client_auth");
    check(&held(81 * DAY), "install", "issued");
    let mut accepted = held(61 * DAY);
    accepted.entry.usages = Some(Vec::new());
    check(&accepted, "install", "issued");
    check(&Case { observed: Observed::Absent, ..held(61 * DAY) }, "install", "issued");
}

#[test]
fn a_hook_is_owed_a_few_seconds_after_the_install_and_repeated_on_its_ladder() {
    let hook: HookName = "nginx".parse().unwrap();
    let generation = super::super::name::Generation(1);
    let done = Event::Installed {
        attempt: Attempt(1),
        generation,
        serial_number: SerialNumber("0A".to_owned()),
        fingerprint: Digest([0; 32]),
        not_after: START + 90 * DAY,
        hooks: vec![hook.clone()],
        issuer: None,
        chain_end: None,
    };
    let failed = Event::HookFailed { hook: hook.clone(), generation, failure: failure(FailureClass::HookFailed) };
    let case = |offset, events: &[(Timestamp, Event)]| {
        let mut case = Case::after(offset).events(events);
        case.entry.hooks = vec![hook.clone()];
        case
    };
    check(&case(2 * SECOND, &[(START, done.clone())]), "wait", "hook nginx scheduled");
    check(&case(3 * SECOND, &[(START, done.clone())]), "run-hook", "hook nginx scheduled");
    let events = [(START, done), (START + 3 * SECOND, failed)];
    check(&case(40 * SECOND, &events), "wait", "it said no");
    check(&case(90 * SECOND, &events), "run-hook", "it said no");
}

#[test]
fn the_state_at_tlm_is_looked_at_once_in_the_interval() {
    let mut case = Case::after(DAY);
    case.global.status_check_interval = Some(DAY);
    check(&case, "check-status", "not due until");
    case.record.checked = Some(Box::new(Checked {
        serial_number: SerialNumber("0A".to_owned()),
        revoked: false,
        standing: None,
        at: case.now - DAY + SECOND,
    }));
    check(&case, "wait", "not due until");
    case.record.checked = None;
    case.global.api_is_blocked = true;
    check(&case, "wait", "not due until");
    (case.global.api_is_blocked, case.global.can_check) = (false, false);
    check(&case, "wait", "not due until");
}

/// Promise 12: a clock that was set back stalls nothing for longer than the wait itself, and reissues nothing.
#[test]
fn a_clock_that_was_set_back_stalls_nothing() {
    let year = 365 * DAY;
    let ahead = START + 70 * DAY + year;
    let now = START + 70 * DAY;
    let case = |events: &[(Timestamp, Event)]| {
        Case { now, reading: read(profile(), now), ..Case::after(Duration::ZERO) }.events(events)
    };
    check(&case(&[(ahead, fail(FailureClass::RequestRefused, None))]), "submit", "due: ");
    check(&case(&[(ahead, fail(FailureClass::ApiRateLimited, Some(RetryHint::After(HOUR))))]), "submit", "due: ");
    check(&case(&pending(ahead)), "pick-up", "pending");
    let lost = Event::AnswerLost { attempt: Attempt(1), failure: failure(FailureClass::ApiNoAnswer) };
    check(&case(&[(ahead, submitting(1)), (ahead, lost)]), "submit", "due: ");
    check(&case(&[(ahead, fail(FailureClass::DiskFull, None))]), "submit", "due: ");
    let mut idle = case(&[]);
    idle.now = START + DAY;
    idle.record.submissions = vec![ahead; 6].into();
    check(&idle, "wait", "not due until");
}

/// Promise 12: what did not leave because the clock was set is decided anew at once; where the clock goes on jumping,
/// once a minute.
#[test]
fn a_request_that_a_step_of_the_clock_held_back_is_decided_anew_at_once() {
    let at = START + 70 * DAY;
    let case = |times: usize, offset| {
        let now = at + offset;
        let events = vec![(at, fail(FailureClass::ClockSet, None)); times];
        Case { now, reading: read(profile(), now), ..Case::after(Duration::ZERO) }.events(&events)
    };
    check(&case(1, Duration::ZERO), "submit", "due: ");
    check(&case(3, Duration::ZERO), "submit", "due: ");
    check(&case(4, 59 * SECOND), "wait", "failed 4 times");
    check(&case(4, 60 * SECOND), "submit", "due: ");
    check(&case(99, 60 * SECOND), "submit", "due: ");
}

#[test]
fn an_outage_is_waited_for_an_hour_at_most_and_a_refusal_longer() {
    let at = START + 70 * DAY;
    let case = |class| {
        let now = at + 2 * HOUR;
        let events: Vec<_> = (0..12).map(|_| (at, fail(class, None))).collect();
        Case { now, reading: read(profile(), now), ..Case::after(Duration::ZERO) }.events(&events)
    };
    check(&case(FailureClass::ApiUnavailable), "submit", "due: ");
    check(&case(FailureClass::RequestRefused), "wait", "failed 12 times");
}

#[test]
fn a_recovery_from_before_the_clock_was_set_back_ends_no_wait() {
    let at = START + 70 * DAY;
    let mut case = Case { now: at + SECOND, reading: read(profile(), at), ..Case::after(Duration::ZERO) }
        .events(&[(at, fail(FailureClass::ApiUnavailable, None))]);
    case.global.api_recovered_at = Some(at + 300 * DAY);
    check(&case, "wait", "failed: it said no");
    case.global.api_recovered_at = Some(at + SECOND);
    check(&case, "submit", "due: ");
}

#[test]
fn an_instant_that_is_over_by_our_clock_alone_is_waited_for_on_the_ladder() {
    let at = START + 70 * DAY;
    let case = |offset| {
        [RetryHint::At(at - MINUTE), RetryHint::After(Duration::ZERO)].map(|hint| {
            Case { now: at + offset, reading: read(profile(), at), ..Case::after(Duration::ZERO) }
                .events(&[(at, fail(FailureClass::RenewalTooEarly, Some(hint)))])
        })
    };
    for over in case(SECOND) {
        check(&over, "wait", "TLM refuses the renewal as too early; next attempt at");
    }
    case(2 * MINUTE).iter().for_each(|over| check(over, "submit", "due: "));
}

#[test]
fn a_failing_hook_does_not_put_the_renewal_off() {
    let mut case = Case::after(60 * DAY - HOUR);
    let hook: HookName = "web".parse().unwrap();
    case.entry.hooks = vec![hook.clone()];
    let generation = crate::core::name::Generation(1);
    let installed = Event::Installed {
        attempt: Attempt(1),
        generation,
        serial_number: SerialNumber("0A".to_owned()),
        fingerprint: Digest([0; 32]),
        not_after: START + 90 * DAY,
        hooks: vec![hook.clone()],
        issuer: None,
        chain_end: None,
    };
    let failed = Event::HookFailed { hook, generation, failure: failure(FailureClass::HookFailed) };
    let mut events = vec![(START, installed)];
    events.extend((0..12).map(|_| (case.now, failed.clone())));
    let case = case.events(&events);
    assert_eq!(case.decide().wake_at, START + 60 * DAY, "{:?}", case.told());
}

#[test]
fn a_profile_that_does_not_fit_and_cannot_be_read_again_is_waited_for() {
    let mut case = Case::after(89 * DAY);
    let read_at = case.now - 2 * HOUR;
    case.reading = read(Profile { status: "Suspended".to_owned(), ..profile() }, read_at);
    let until = case.now + 5 * MINUTE;
    case.reading.failure = Some(FailedRead { failure: failure(FailureClass::ApiUnavailable), count: 1, until });
    check(&case, "wait", "Suspended");
    assert_eq!(case.decide().wake_at, until);
}

/// Somebody may have mended it since: near the end that is looked at more often than each hour.
#[test]
fn a_profile_that_does_not_fit_is_read_again_within_a_tenth_of_what_is_left() {
    let case = |since_reading: Duration| {
        let mut case = Case::after(90 * DAY - HOUR);
        case.reading = read(Profile { status: "Suspended".to_owned(), ..profile() }, case.now - since_reading);
        case
    };
    check(&case(5 * MINUTE), "wait", "Suspended");
    check(&case(7 * MINUTE), "read-profile", "reading its profile");
}

/// It is by the emergency stage that the last reading serves.
#[test]
fn a_profile_that_cannot_be_read_is_waited_for_until_the_emergency_stage_at_the_longest() {
    let case = |offset| {
        let now = START + offset;
        let mut case = Case { reading: read(profile(), now - 2 * HOUR), ..Case::after(offset) };
        let failure = failure(FailureClass::ApiUnavailable);
        case.reading.failure = Some(FailedRead { failure, count: 9, until: now + HOUR });
        case.global.clock_is_compared = true;
        case
    };
    let before = case(81 * DAY - 10 * MINUTE);
    check(&before, "wait", "could not be read");
    assert_eq!(before.decide().wake_at, START + 81 * DAY);
    check(&case(81 * DAY), "submit", "due");
}

#[test]
fn what_a_request_brought_need_not_outlive_itself() {
    let own = Installed { attempt: Some(Attempt(1)), ..installed(90 * DAY) };
    assert_eq!(own.to_outlive(Attempt(1)), None);
    assert_eq!(own.to_outlive(Attempt(2)), Some(START + 90 * DAY));
}

#[test]
fn what_was_renewed_already_is_asked_about_before_it_is_renewed_once_more() {
    let at = START + 70 * DAY;
    let single = crate::core::known::profile::Profile { allows_duplicates: false, ..profile() };
    let serial_number = SerialNumber("0A".to_owned());
    let by_renewal = Method::Renew { serial_number: serial_number.clone(), fingerprint: Digest([0; 32]) };
    let Event::Submitting { attempt, asked, profile: id, key, spki, expiring, demands, .. } = submitting(1) else {
        panic!("it submits")
    };
    let sent = Event::Submitting {
        attempt,
        method: by_renewal,
        asked,
        profile: id,
        profile_version: single.version(),
        key,
        spki,
        expiring,
        demands,
    };
    let refused = Event::NotAccepted { attempt, failure: failure(FailureClass::AlreadyRenewed) };
    let case = |now, more: &[(Timestamp, Event)]| {
        let events = [&[(at, sent.clone()), (at, refused.clone())], more].concat();
        Case { now, reading: read(single.clone(), now), ..Case::after(Duration::ZERO) }.events(&events)
    };
    let later = at + HOUR;
    check(&case(later, &[]), "wait", "stopped until");
    let renew = (later, Event::RenewalAsked { reissue: false });
    check(&case(later + SECOND, std::slice::from_ref(&renew)), "check-status", "checking its state");
    let told = |revoked| {
        (later + SECOND, Event::StatusChecked { serial_number: serial_number.clone(), revoked, standing: None })
    };
    let revoked = case(later + 2 * SECOND, &[renew.clone(), told(true)]);
    check(&revoked, "submit", "TLM reports the certificate as revoked");
    assert_eq!(method(&revoked), Method::New);
    let unchanged = case(later + 2 * SECOND, &[renew, told(false)]);
    assert!(matches!(method(&unchanged), Method::Renew { .. }));
    // Without a word of the operator the revocation is seen by the daily look.
    let mut daily = case(later + 2 * DAY, &[]);
    daily.global.status_check_interval = Some(DAY);
    check(&daily, "check-status", "stopped until");
    daily.global.api_is_blocked = true;
    check(&daily, "wait", "stopped until");
    check(&case(later + 2 * DAY, &[told(true)]), "submit", "revoked");
    // Of what TLM tells nothing, it may be: a new request is tried each day, and as the emergency stage begins.
    let unread = (later, Event::StatusUnread);
    check(&case(at + DAY - SECOND, std::slice::from_ref(&unread)), "wait", "stopped until");
    let untold = case(at + DAY, std::slice::from_ref(&unread));
    check(&untold, "submit", "due");
    assert_eq!(method(&untold), Method::New);
    check(&case(at + DAY, &[(later, Event::StatusUnread), told(false)]), "wait", "stopped until");
    let mut forbidden = case(at + DAY, &[]);
    forbidden.global.can_check = false;
    assert_eq!(method(&forbidden), Method::New);
    forbidden.entry.request_method = RequestMethod::Renew;
    assert!(matches!(method(&forbidden), Method::Renew { .. }));
}

/// The ordinary certificate, of generation 3, whose chain ends 50 days after the start.
fn limited_by_its_chain() -> Installed {
    Installed { generation: Generation(3), chain: chain_that_ends(START + 50 * DAY), ..installed(90 * DAY) }
}

fn chain_that_ends(at: Timestamp) -> Arc<ServedChain> {
    Arc::new(ServedChain {
        issuer: Issuer { subject: Text::new("CN=Issuing CA"), spki: Some(Digest([9; 32])) },
        end: Some(ca(at)),
    })
}

fn ca(at: Timestamp) -> ChainEnd {
    ChainEnd { at, subject: Text::new("CN=Issuing CA"), spki: Digest([9; 32]) }
}

fn limited_case(offset: Duration) -> Case {
    let observed = Observed::Installed(Box::new(limited_by_its_chain()));
    let case = Case { observed, ..Case::after(offset) };
    // Generation 3 is the one on record.
    let adopted = Event::Adopted {
        generation: Generation(3),
        serial_number: SerialNumber("0A".to_owned()),
        fingerprint: Digest([0; 32]),
        not_after: START + 90 * DAY,
        hooks: Vec::new(),
        issuer: None,
        chain_end: None,
    };
    case.events(&[(START, adopted)])
}

#[test]
fn a_chain_that_ends_first_is_renewed_by_its_own_end() {
    check(&limited_case(20 * DAY - SECOND), "wait", "not due until");
    check(&limited_case(20 * DAY), "submit", "the CA certificate CN=Issuing CA in its chain");
    check(&limited_case(50 * DAY + SECOND), "submit", "expired at");
    let decision = limited_case(45 * DAY).decide();
    assert!(decision.emergency && !limited_case(45 * DAY - SECOND).decide().emergency);
}

#[test]
fn what_ends_no_later_for_the_cas_sake_is_not_asked_for_again_and_again() {
    let refused = |at: Timestamp, ends_no_later| {
        let gate = Event::GateRefused { attempt: Attempt(1), why: vec![Text::new("it ends no later")], ends_no_later };
        vec![(at, submitting(1)), (at, gate)]
    };
    let at = START + 20 * DAY;
    let after = |offset: Duration, ends_no_later: bool, refused_at: Timestamp| {
        let mut case = limited_case(offset);
        refused(refused_at, ends_no_later).iter().for_each(|(at, event)| case.record.apply(*at, event));
        case
    };
    // Until the emergency stage of the chain begins, at 45 days; then until half of what is left is over, at most daily.
    check(&after(22 * DAY, true, at), "wait", "ends-no-later");
    check(&after(45 * DAY - SECOND, true, at), "wait", "ends-no-later");
    check(&after(45 * DAY, true, at), "submit", "");
    check(&after(47 * DAY + 12 * HOUR - SECOND, true, START + 45 * DAY), "wait", "ends-no-later");
    check(&after(47 * DAY + 12 * HOUR, true, START + 45 * DAY), "submit", "");
    check(&after(50 * DAY, true, START + 49 * DAY + HOUR), "wait", "ends-no-later");
    check(&after(51 * DAY, true, START + 50 * DAY + HOUR), "wait", "ends-no-later");
    check(&after(51 * DAY + HOUR, true, START + 50 * DAY + HOUR), "submit", "expired at");
    // Any other refusal is tried again after a day.
    check(&after(21 * DAY - SECOND, false, at), "wait", "gate-refused");
    check(&after(21 * DAY, false, at), "submit", "");
    // The profile says something new.
    let mut changed = after(22 * DAY, true, at);
    changed.reading.profile.as_mut().unwrap().issuers.push("another".to_owned());
    check(&changed, "submit", "");
}

#[test]
fn what_is_refused_is_asked_for_anew_once_the_entry_says_something_else() {
    let refused = |change: &dyn Fn(&mut Entry)| {
        let why = vec![Text::new("it is issued by another CA")];
        let gate = Event::GateRefused { attempt: Attempt(1), why, ends_no_later: false };
        let at = START + 70 * DAY;
        let mut case = Case::after(70 * DAY + HOUR).events(&[(at, submitting(1)), (at, gate)]);
        change(&mut case.entry);
        case
    };
    check(&refused(&|_| {}), "wait", "gate-refused");
    check(&refused(&|entry| entry.renew_before = Some(DAY * 30)), "wait", "gate-refused");
    let pin = || Some(Box::new(IssuerPin::Subject("CN=Another CA".to_owned())));
    let changes: [&dyn Fn(&mut Entry); 6] = [
        &|entry| entry.issuer = pin(),
        &|entry| entry.exact_names = !entry.exact_names,
        &|entry| entry.usages = Some(Vec::new()),
        &|entry| entry.subject_from = SubjectFrom::Ca,
        &|entry| entry.request_method = RequestMethod::New,
        &|entry| rename(entry, |naming| naming.own_seat = Some("another".to_owned())),
    ];
    for change in changes {
        check(&refused(change), "submit", "due: ");
    }
    // What failed then is no reason to wait now, though it is the last that is known.
    let mut waiting = refused(changes[0]);
    waiting.now = START + 70 * DAY;
    waiting.reading = read(profile(), waiting.now);
    check(&waiting, "submit", "due: ");
    let mut by_profile = refused(&|_| {});
    by_profile.now = START + 70 * DAY;
    let changed = crate::core::known::profile::Profile { renewal_window_days: Some(31), ..profile() };
    by_profile.reading = read(changed, by_profile.now);
    check(&by_profile, "wait", "next attempt at");
    // What an older version noted says nothing of it.
    let mut old = refused(changes[0]);
    old.record.stopped.as_mut().unwrap().demands = None;
    check(&old, "wait", "gate-refused");
}

#[test]
fn what_waits_for_tlm_does_not_keep_the_chain_from_its_refresh() {
    let case = |events: &[(Timestamp, Event)]| {
        let mut case = limited_case(21 * DAY);
        case.reading.profile.as_mut().unwrap().cas = vec![ca(START + 3650 * DAY)];
        events.iter().for_each(|(at, event)| case.record.apply(*at, event));
        case
    };
    let polled = |at: Timestamp| {
        let mut events = pending(at);
        events.push((at, Event::Polled { attempt: Attempt(1), dv_details: None }));
        events
    };
    let just_polled = case(&polled(START + 21 * DAY));
    check(&just_polled, "refresh-chain", "CN=Issuing CA");
    check(&case(&polled(START + 20 * DAY)), "pick-up", "pending");
    let mut held = just_polled;
    let (from, to) = (Generation(4), Generation(3));
    held.record.apply(held.now, &Event::RolledBack { from, to, by: RollbackBy::Operator, hooks: Vec::new() });
    check(&held, "wait", "pending");
}

#[test]
fn a_chain_is_refreshed_from_the_profile_without_a_new_certificate() {
    let case = |offset: Duration, shown: &[ChainEnd]| {
        let mut case = limited_case(offset);
        case.reading.profile.as_mut().unwrap().cas = shown.to_vec();
        case
    };
    let (old, new) = (ca(START + 50 * DAY), ca(START + 3650 * DAY));
    for offset in [DAY, 20 * DAY, 46 * DAY, 50 * DAY + SECOND] {
        check(&case(offset, &[old.clone(), new.clone()]), "refresh-chain", "CN=Issuing CA");
    }
    check(&case(DAY, std::slice::from_ref(&old)), "wait", "not due until");
    let stranger = ChainEnd { spki: Digest([8; 32]), ..new.clone() };
    check(&case(DAY, &[stranger]), "wait", "not due until");
    // It is a switch like any other: outside of its window it waits, and nothing waits for it.
    let mut closed = case(DAY, std::slice::from_ref(&new));
    closed.deploy = Deploy::Closed(START + 2 * DAY);
    check(&closed, "wait", "not due until");
    closed.now = START + 46 * DAY;
    check(&closed, "refresh-chain", "");
    // What came to nothing is not tried again before the profile changes, or a day went by.
    let mut kept = case(2 * DAY, std::slice::from_ref(&new));
    let profile_version = kept.reading.profile.as_ref().unwrap().version();
    kept.record.apply(START + DAY, &Event::ChainKept { profile_version });
    check(&kept, "refresh-chain", "");
    kept.now = START + 2 * DAY - SECOND;
    check(&kept, "wait", "not due until");
    kept.reading.profile.as_mut().unwrap().issuers.push("another".to_owned());
    check(&kept, "refresh-chain", "");
    let mut adopted = case(DAY, std::slice::from_ref(&new));
    adopted.observed = Observed::Installed(Box::new(Installed { generation: Generation(0), ..limited_by_its_chain() }));
    check(&adopted, "refresh-chain", "");
    let mut asked = case(DAY, &[new]);
    asked.record.renewal_asked = Some(START);
    check(&asked, "submit", "requested");
}

/// A world whose profile was never read.
fn unread(reference: ProfileRef, renew_before: Option<Duration>) -> Case {
    let mut case = Case { reading: CachedProfile::default(), ..Case::after(DAY) };
    (case.entry.profile, case.entry.renew_before) = (reference, renew_before);
    case
}

#[test]
fn another_profile_is_told_by_its_id_alone_and_what_cannot_be_told_is_said() {
    let (own, other) = (ProfileRef::Id(ProfileId("p".into())), ProfileRef::Id(ProfileId("q".into())));
    let due = unread(other.clone(), None).decide();
    assert_eq!(due.action, Action::ReadProfile(other.clone()));
    assert_eq!(due.reason, Reason::ReadingProfile { profile: other.clone(), cause: Cause::OtherProfile });
    check(&unread(own.clone(), Some(20 * DAY)), "wait", "not due until");
    check(&unread(own, None), "wait", "not due until");
    check(&unread(ProfileRef::Name("Web".to_owned()), Some(20 * DAY)), "wait", "cannot tell: profile never read");
    let mut adopted = unread(ProfileRef::Name("Web".to_owned()), Some(20 * DAY));
    adopted.observed = Observed::Installed(Box::new(Installed { profile: None, ..installed(90 * DAY) }));
    check(&adopted, "wait", "not due until");
    // Who looked and found no such profile has something to fix.
    let mut missing = unread(ProfileRef::Name("Web".to_owned()), None);
    let (failure_of_it, until) = (failure(FailureClass::ProfileNotFound), missing.now + MINUTE);
    missing.reading.failure = Some(FailedRead { failure: failure_of_it, count: 1, until });
    check(&missing, "wait", "profile-not-found");
    let mut failed = unread(ProfileRef::Name("Web".to_owned()), None);
    let until = failed.now + MINUTE;
    failed.reading.failure = Some(FailedRead { failure: failure(FailureClass::ApiUnreachable), count: 1, until });
    check(&failed, "wait", &format!("next attempt at {until}"));
    let mut pending = unread(other, None).events(&pending(START + DAY));
    check(&pending, "abandon", "no longer wanted");
    pending.entry.profile = ProfileRef::Name("Web".to_owned());
    check(&pending, "wait", "pending");
}

/// A renewal that TLM refused in this way, at this instant.
fn refused_renewal(at: Timestamp, failure: Failure) -> Vec<(Timestamp, Event)> {
    let renew = Method::Renew { serial_number: SerialNumber("0A".to_owned()), fingerprint: Digest([0; 32]) };
    let mut submitting = submitting(1);
    if let Event::Submitting { method, .. } = &mut submitting {
        *method = renew;
    }
    vec![(at, submitting), (at, Event::NotAccepted { attempt: Attempt(1), failure })]
}

#[test]
fn a_refusal_that_names_its_remedy_is_followed_in_the_same_second() {
    let at = START + 70 * DAY;
    let case = |retry, class| {
        let mut case = Case::after(70 * DAY).events(&refused_renewal(at, Failure { retry, ..failure(class) }));
        case.reading.profile.as_mut().unwrap().allows_duplicates = false;
        case
    };
    let revoked = case(None, FailureClass::CertificateRevoked);
    check(&revoked, "submit", "revoked");
    assert_eq!(method(&revoked), Method::New);
    check(&case(None, FailureClass::RequestRefused), "wait", "failed: ");
    let early = |ahead| case(Some(RetryHint::At(at + ahead)), FailureClass::RenewalTooEarly);
    let at_its_instant = early(5 * SECOND).decide();
    assert_eq!((at_its_instant.action, at_its_instant.wake_at), (Action::Wait, at + 5 * SECOND));
    let too_late = early(30 * DAY).decide();
    assert!(too_late.wake_at <= at + 2 * MINUTE, "{} helps nobody", too_late.reason);
    check(&early(30 * DAY), "wait", "failed: ");
    let mut lost = case(None, FailureClass::RequestRefused);
    lost.record.apply(at, &fail(FailureClass::KeyLost, None));
    check(&lost, "submit", "due: ");
}

#[test]
fn an_entry_that_changed_does_not_wait_for_what_the_old_one_met() {
    let at = START + 70 * DAY;
    let mut case = Case::after(70 * DAY).events(&refused_renewal(at, failure(FailureClass::ProfileNotFound)));
    check(&case, "wait", "failed: ");
    case.entry.profile = ProfileRef::Id(ProfileId("q".into()));
    case.reading = read(Profile { id: ProfileId("q".into()), ..profile() }, at);
    check(&case, "abandon", "no longer wanted");
    case.record.apply(at, &Event::Abandoned { attempt: Attempt(1) });
    check(&case, "submit", "another profile");
}

#[test]
fn a_certificate_that_is_installed_before_its_time_is_not_called_valid() {
    let mut case = Case::after(Duration::ZERO);
    let from = START + DAY;
    case.observed = Observed::Installed(Box::new(Installed { not_before: from, ..installed(90 * DAY) }));
    check(&case, "wait", &format!("valid only from {from}"));
    case.now = from - SECOND;
    check(&case, "wait", "not due until");
}

/// TLM counts from the end of the leaf; where the chain ends before that, waiting for it means an outage.
#[test]
fn a_renewal_that_tlm_allows_only_after_the_chain_has_ended_is_no_quiet_wait() {
    let refused = |hint| {
        let mut case = limited_case(45 * DAY);
        case.reading = read(Profile { allows_duplicates: false, ..profile() }, case.now);
        case.record.apply(case.now, &fail(FailureClass::RenewalTooEarly, hint));
        case
    };
    let end = START + 50 * DAY;
    for hint in [None, Some(RetryHint::At(end + HOUR))] {
        let case = refused(hint);
        check(&case, "wait", "failed: ");
        let wake_at = case.decide().wake_at;
        assert!(wake_at <= case.now + 2 * MINUTE, "{wake_at}");
    }
    let opens = end - DAY;
    check(&refused(Some(RetryHint::At(opens))), "wait", &format!("TLM allows renewal from {opens}"));
}

/// What TLM does not give of a certificate that it issued is waited for so often, over so long, and near the end less.
#[test]
fn an_issued_certificate_is_judged_by_what_came_after_many_tries() {
    let is_last = |at: Timestamp, tries: u32, waited: Duration| {
        let issued = Event::Issued { attempt: Attempt(1), serial_number: SerialNumber("0C".to_owned()) };
        let mut events = vec![(at, submitting(1)), (at, issued)];
        events.extend((0..tries).map(|_| (at, fail(FailureClass::ApiUnavailable, None))));
        let now = at + waited;
        let case = Case { now, reading: read(profile(), now), ..Case::after(Duration::ZERO) }.events(&events);
        let Action::Install { is_last_try, .. } = case.decide().action else { panic!("{:?}", case.told()) };
        is_last_try
    };
    let calm = START + 62 * DAY;
    assert!(!is_last(calm, 5, 12 * HOUR) && is_last(calm, 6, 12 * HOUR));
    let late = START + 89 * DAY;
    assert!(!is_last(late, 2, 3 * HOUR) && is_last(late, 3, 3 * HOUR));
}

/// Whoever asks has changed something in TLM, perhaps; where that cannot be read, the last reading is better than none.
#[test]
fn the_operators_word_goes_by_the_last_reading_where_no_newer_one_is_to_be_had() {
    let now = START + 10 * DAY;
    let case = |class, is_asked: bool| {
        let failed = FailedRead { failure: failure(class), count: 1, until: now + HOUR };
        let reading = CachedProfile { read_at: None, failure: Some(failed), ..read(profile(), now) };
        let asked = (now, Event::RenewalAsked { reissue: false });
        let events = if is_asked { vec![asked] } else { Vec::new() };
        Case { now: if is_asked { now } else { START + 65 * DAY }, reading, ..Case::after(Duration::ZERO) }
            .events(&events)
    };
    check(&case(FailureClass::ApiUnavailable, true), "submit", "an operator requested");
    check(&case(FailureClass::ProfileNotFound, true), "wait", "could not be read");
    let mut due = case(FailureClass::ApiUnavailable, false);
    due.reading.failure.as_mut().unwrap().until = due.now + HOUR;
    check(&due, "wait", "could not be read");
}
