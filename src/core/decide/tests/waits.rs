//! What keeps a request from being sent, and until when: ladders, hints, the budget, the clock, refusals.

use super::chain::{chain_that_ends, limited_case};
use super::*;

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
