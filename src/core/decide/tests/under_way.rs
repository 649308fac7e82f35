//! Requests under way: pending, lost, picked up, issued, held, given up.

use super::*;

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

/// After an hour of not knowing a request TLM is asked once more, which decides; where that is not answered, it has its pause.
#[test]
fn the_pickup_that_decides_has_its_pause_where_it_fails() {
    let since = START + 60 * DAY;
    let unknown = Event::PickupUnknown { attempt: Attempt(1), failure: failure(FailureClass::RequestRefused) };
    let failed = Event::Failed { failure: failure(FailureClass::ApiBadAnswer) };
    let mut events = pending(since);
    events.extend([MINUTE, 20 * MINUTE, 58 * MINUTE].map(|offset| (since + offset, unknown.clone())));
    let decides_at = since + MINUTE + HOUR;
    let case = |now, events: &[(Timestamp, Event)]| {
        Case { now, reading: read(profile(), now), ..Case::after(Duration::ZERO) }.events(events)
    };
    check(&case(decides_at - SECOND, &events), "wait", "has been pending at TLM");
    check(&case(decides_at, &events), "pick-up", "has been pending at TLM");
    events.push((decides_at, failed));
    let after = case(decides_at + SECOND, &events);
    check(&after, "wait", "the last pickup failed");
    assert!(after.decide().wake_at > decides_at + MINUTE, "{}", after.decide().wake_at);
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
fn what_a_request_brought_need_not_outlive_itself() {
    let own = Installed { attempt: Some(Attempt(1)), ..installed(90 * DAY) };
    assert_eq!(own.to_outlive(Attempt(1)), None);
    assert_eq!(own.to_outlive(Attempt(2)), Some(START + 90 * DAY));
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
