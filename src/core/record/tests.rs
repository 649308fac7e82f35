//! The fold: what each event leaves behind.

use super::super::event::HookStep;
use super::super::example::{DAY, HOUR, SECOND, START, failure, record, submitting};
use super::super::name::{Attempt, Digest, Generation, RequestId, SerialNumber};
use super::*;
use crate::core::known::validation::DomainValidation;
use crate::core::text::Text;

fn pending(attempt: u64) -> Event {
    Event::Pending { attempt: Attempt(attempt), request_id: RequestId("r".to_owned()), dv_details: None }
}

fn installed(attempt: u64) -> Event {
    Event::Installed {
        attempt: Attempt(attempt),
        generation: Generation(7),
        serial_number: SerialNumber("0A".to_owned()),
        fingerprint: Digest([0; 32]),
        not_after: START + 90 * DAY,
        hooks: vec!["nginx".parse().unwrap()],
        issuer: None,
        chain_end: None,
        replaces: None,
    }
}

#[test]
fn a_request_goes_through_its_stages_and_an_install_ends_it() {
    let mut record = record(&[(START, submitting(1))]);
    let stage = |record: &Record| record.request.as_deref().map(|request| request.stage.clone());
    assert_eq!(stage(&record), Some(Stage::Submitted { looks: 0, looked_at: None }));
    record.apply(START + SECOND, &pending(1));
    assert!(matches!(stage(&record), Some(Stage::Pending { polls: 0, .. })));
    record.apply(START + HOUR, &Event::Issued { attempt: Attempt(1), serial_number: SerialNumber("0A".to_owned()) });
    assert!(matches!(stage(&record), Some(Stage::Issued { waits_until: None, .. })));
    record.apply(START + HOUR, &installed(1));
    assert_eq!((stage(&record), record.generation), (None, Some(Generation(7))));
    assert!(record.hooks.values().all(|hook| hook.done_at.is_none()) && record.hooks.len() == 1, "the hook is owed");
    assert_eq!(record.next_attempt(), Attempt(2));
}

#[test]
fn what_was_certainly_refused_does_not_count_and_keeps_its_key() {
    let refused = Event::NotAccepted { attempt: Attempt(1), failure: failure(FailureClass::RequestRefused) };
    let record = record(&[(START, submitting(1)), (START, refused)]);
    assert_eq!(record.submissions_in_a_day(START), 0);
    assert_eq!(record.request.as_ref().map(|request| &request.stage), Some(&Stage::Prepared));
    assert_eq!(record.trouble.count, 1);
}

#[test]
fn a_submission_counts_for_a_day_and_one_from_a_wrong_clock_does_not() {
    let lost = |attempt| Event::AnswerLost { attempt: Attempt(attempt), failure: failure(FailureClass::ApiNoAnswer) };
    let record = record(&[(START, submitting(1)), (START, lost(1))]);
    assert_eq!(record.submissions_in_a_day(START + DAY - SECOND), 1);
    assert_eq!(record.submissions_in_a_day(START + DAY), 0);
    assert_eq!(record.submissions_in_a_day(START - HOUR), 1, "a small step back frees nothing");
    assert_eq!(record.submissions_in_a_day(START - 2 * DAY), 0, "a large one does not stall for ever");
}

#[test]
fn a_lost_key_lets_its_request_go() {
    let lost = Event::Failed { failure: failure(FailureClass::KeyLost) };
    let record = record(&[(START, submitting(1)), (START, pending(1)), (START + HOUR, lost)]);
    assert_eq!(record.request, None);
    assert!(record.abandoned.contains_key(&Attempt(1)), "its other files are still to be removed");
    assert_eq!((record.trouble.count, record.submissions_in_a_day(START + HOUR)), (1, 1));
}

#[test]
fn a_refusal_of_the_gate_stays_in_view_until_the_operator_or_an_install() {
    let asked = (START, Event::RenewalAsked { reissue: false });
    let refused = Event::GateRefused { attempt: Attempt(1), why: vec![Text::new("wrong key")], ends_no_later: false };
    let mut record = record(&[asked, (START + SECOND, submitting(1)), (START + SECOND, refused)]);
    assert_eq!(record.stopped.as_deref().map(|stop| stop.failure.class), Some(FailureClass::GateRefused));
    assert_eq!(record.renewal_asked, Some(START), "what was asked for has not come");
    record.apply(START + HOUR, &submitting(2));
    record.apply(START + HOUR, &installed(2));
    assert_eq!((record.stopped.clone(), record.renewal_asked), (None, None));
}

#[test]
fn the_operators_word_ends_every_wait() {
    let full = Event::Failed { failure: failure(FailureClass::DiskFull) };
    let mut record =
        record(&[(START, full), (START, Event::Failed { failure: failure(FailureClass::ApiUnreachable) })]);
    assert_eq!((record.disk.count, record.trouble.count), (1, 1));
    record.apply(START + SECOND, &Event::RenewalAsked { reissue: false });
    assert_eq!((record.disk.count, record.trouble.count), (0, 0));
}

#[test]
fn a_pickup_that_is_unknown_three_times_over_an_hour_is_lost() {
    let unknown = || Event::PickupUnknown { attempt: Attempt(1), failure: failure(FailureClass::NotFound) };
    let at = |offset: Duration| (START + offset, unknown());
    let begun = [(START, submitting(1)), (START, pending(1))];
    let is_lost = |times: &[Duration]| {
        let events: Vec<_> = begun.iter().cloned().chain(times.iter().map(|offset| at(*offset))).collect();
        matches!(record(&events).request.as_ref().unwrap().stage, Stage::Submitted { .. })
    };
    assert!(!is_lost(&[Duration::ZERO, HOUR]));
    assert!(!is_lost(&[Duration::ZERO, SECOND, HOUR - SECOND]));
    assert!(is_lost(&[Duration::ZERO, SECOND, HOUR]));
}

#[test]
fn a_pending_request_that_is_looked_up_stays_pending_until_a_pickup_shows_it_lost() {
    let looked_up = |failure| Event::LookedUp { attempt: Attempt(1), failure };
    let failure = || failure(FailureClass::ApiUnavailable);
    let begun = [(START, submitting(1)), (START, pending(1))];
    let mut record = record(&begun);
    let not_found_at = |record: &Record| {
        let Stage::Pending { not_found_at, .. } = record.request.as_ref().unwrap().stage else { panic!() };
        not_found_at
    };
    record.apply(START + SECOND, &looked_up(Some(failure())));
    assert_eq!((not_found_at(&record), record.trouble.count), (None, 1));
    record.apply(START + HOUR, &looked_up(None));
    assert_eq!((not_found_at(&record), record.trouble.count), (Some(START + HOUR), 1));
    let waiting = Event::Polled { attempt: Attempt(1), dv_details: None };
    let mut again = record.clone();
    again.apply(START + 2 * HOUR, &waiting);
    assert_eq!((not_found_at(&again), again.trouble.count), (None, 0));
    record.apply(START + 2 * HOUR, &Event::AnswerLost { attempt: Attempt(1), failure: failure() });
    let request = record.request.as_ref().unwrap();
    assert_eq!(request.stage, Stage::Submitted { looks: 0, looked_at: None });
    assert!(request.may_be_accepted() && request.since == START + 2 * HOUR && record.trouble.count == 1);
}

#[test]
fn an_unknown_event_changes_nothing() {
    let mut record = record(&[(START, submitting(1)), (START, pending(1))]);
    let before = record.clone();
    record.apply(START + HOUR, &Event::Unknown);
    assert_eq!(record, before);
}

#[test]
fn a_renewal_refused_for_a_revocation_tells_of_it() {
    let serial_number = SerialNumber("0A".to_owned());
    let method = Method::Renew { serial_number: serial_number.clone(), fingerprint: Digest([0; 32]) };
    let Event::Submitting { attempt, asked, profile, profile_version, key, spki, expiring, demands, .. } =
        submitting(1)
    else {
        panic!("no submission")
    };
    let renewing = Event::Submitting { attempt, method, asked, profile, profile_version, key, spki, expiring, demands };
    let refused = Event::NotAccepted { attempt: Attempt(1), failure: failure(FailureClass::CertificateRevoked) };
    let record = record(&[(START, renewing), (START, refused)]);
    assert_eq!(record.checked.as_deref(), Some(&Checked { serial_number, revoked: true, standing: None, at: START }));
    assert_eq!((record.stopped.clone(), record.submissions.len()), (None, 0), "a new one is asked for");
}

#[test]
fn every_revoked_certificate_is_remembered_and_one_that_is_good_again_is_not() {
    let checked = |serial: &str, revoked| Event::StatusChecked {
        serial_number: SerialNumber(serial.to_owned()),
        revoked,
        standing: None,
    };
    let events = [(START, checked("0A", true)), (START, checked("0B", false)), (START, checked("0C", true))];
    let mut record = record(&events);
    let serials = |record: &Record| record.revoked.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(serials(&record), ["0A", "0C"]);
    record.apply(START, &checked("0A", false));
    assert_eq!(serials(&record), ["0C"]);
    (0..100).for_each(|number| record.apply(START, &checked(&format!("1{number:02}"), true)));
    assert_eq!((record.revoked.len(), record.revoked[0].to_string().as_str()), (16, "184"));
}

#[test]
fn a_clock_that_is_behind_frees_no_submission() {
    let mut record = Record { submissions: vec![START, START + HOUR].into(), ..Record::default() };
    record.forget_submissions(START - DAY * 400);
    assert_eq!(record.submissions_in_a_day(START + HOUR * 2), 2, "the clock was set right");
    record.forget_submissions(START + DAY);
    assert_eq!(*record.submissions, [START + HOUR]);
    record.forget_submissions(START + DAY * 2);
    assert_eq!(record, Record::default());
}

#[test]
fn what_has_to_be_published_stays_with_the_request_until_another_answer_says_more() {
    let validation = |value: &str| {
        Some(Box::new(DomainValidation { method: Some("dns-txt-token".into()), random_value: Some(value.into()) }))
    };
    let dv_details = |record: &Record| match record.request.as_deref().map(|request| request.stage.clone()) {
        Some(Stage::Pending { dv_details, .. }) => dv_details,
        _ => None,
    };
    let mut record = Record::default();
    record.apply(START, &submitting(1));
    let request_id = RequestId("r".to_owned());
    record.apply(START, &Event::Pending { attempt: Attempt(1), request_id, dv_details: validation("one") });
    assert_eq!(dv_details(&record), validation("one"));
    record.apply(START, &Event::Polled { attempt: Attempt(1), dv_details: None });
    assert_eq!(dv_details(&record), validation("one"));
    record.apply(START, &Event::Polled { attempt: Attempt(1), dv_details: validation("two") });
    assert_eq!(dv_details(&record), validation("two"));
}

#[test]
fn a_status_of_an_older_journal_is_read_and_a_new_one_kept_with_its_word() {
    let old = r#"{"event":"status-checked","serial_number":"0A","revoked":false}"#;
    let old: Event = serde_json::from_str(old).unwrap();
    assert!(matches!(&old, Event::StatusChecked { standing: None, revoked: false, .. }), "{old:?}");
    let standing = Standing::read("SUSPENDED", Some("certificate_hold".into()), Some(START));
    let new = Event::StatusChecked {
        serial_number: SerialNumber("0A".to_owned()),
        revoked: false,
        standing: Some(Box::new(standing.clone())),
    };
    let written = serde_json::to_value(&new).unwrap();
    assert_eq!((&written["state"], &written["reason"]), (&"suspended".into(), &"certificate_hold".into()));
    assert_eq!(serde_json::from_value::<Event>(written).unwrap(), new);
    let mut record = Record::default();
    record.apply(START, &new);
    assert_eq!(record.checked.as_deref().and_then(|checked| checked.standing.as_deref()), Some(&standing));
    record.apply(START, &old);
    assert_eq!(record.checked.as_deref().map(|checked| checked.standing.is_some()), Some(false));
}

/// A hook that ended renewd itself, or the machine, does not run at once at each start.
#[test]
fn a_hook_that_goes_on_ending_renewd_has_failed() {
    let hook: HookName = "nginx".parse().unwrap();
    let begun = |at| (at, Event::HookBegun { hook: hook.clone(), generation: Generation(7) });
    let done = Event::HookDone { hook: hook.clone(), generation: Generation(7), output: None };
    let count = |events: &[(Timestamp, Event)]| {
        let mut record = record(&[&[(START, submitting(1)), (START, installed(1))], events].concat());
        record.cut_off_hooks();
        let hook = record.hooks.get(&hook).unwrap();
        (hook.trouble.count, hook.trouble.last.as_deref().map(|(_, at)| *at))
    };
    assert_eq!(count(&[]), (0, None));
    assert_eq!(count(&[begun(START)]), (0, None), "renewd may have been restarted");
    assert_eq!(count(&[begun(START), begun(START + HOUR)]), (1, Some(START + HOUR)));
    assert_eq!(count(&[begun(START), begun(START), begun(START + HOUR)]), (2, Some(START + HOUR)));
    assert_eq!(count(&[begun(START), (START + SECOND, done)]), (0, None));
}

/// After a way back runs what may have shown the newer set, and nothing else.
#[test]
fn a_way_back_owes_only_the_hooks_that_may_have_shown_the_newer_set() {
    let hook: HookName = "nginx".parse().unwrap();
    let live =
        |generation| Event::Forward { generation: Generation(generation), hooks: vec![hook.clone()], stays: false };
    let begun = |generation| Event::HookBegun { hook: hook.clone(), generation: Generation(generation) };
    let done = |generation| Event::HookDone { hook: hook.clone(), generation: Generation(generation), output: None };
    let failed = |step| Event::HookFailed {
        hook: hook.clone(),
        generation: Generation(7),
        failure: failure(FailureClass::HookFailed),
        step,
    };
    let owes = |by, events: &[Event]| {
        let hooks = vec![hook.clone()];
        let back = Event::RolledBack { from: Generation(7), to: Generation(6), by, hooks };
        let events = [&[live(6), begun(6), done(6), live(7)], events, &[back]].concat();
        let events: Vec<_> = events.into_iter().map(|event| (START, event)).collect();
        record(&events).hooks.get(&hook).unwrap().done_at.is_none()
    };
    let by_hook = |events: &[Event]| owes(RollbackBy::Hook, events);
    assert!(!by_hook(&[begun(7), failed(HookStep::Test)]) && !by_hook(&[]), "its service never saw the newer one");
    assert!(by_hook(&[begun(7), failed(HookStep::Run)]) && by_hook(&[begun(7), done(7)]), "it may have");
    assert!(by_hook(&[begun(7)]), "it runs still");
    assert!(by_hook(&[begun(7), begun(7), failed(HookStep::Test)]), "nobody saw how the first run ended");
    assert!(by_hook(&[begun(7), failed(HookStep::Run), begun(7), failed(HookStep::Test)]), "nor is it forgotten");
    assert!(owes(RollbackBy::Operator, &[begun(7), failed(HookStep::Test)]), "an operator's way back runs them all");
}

/// Who goes back wants no replacement that was asked for before.
#[test]
fn a_rollback_ends_an_open_renewal() {
    let back = |by| Event::RolledBack { from: Generation(7), to: Generation(6), by, hooks: Vec::new() };
    let open = |by| {
        let events = [(START, Event::RenewalAsked { reissue: true }), (START + SECOND, back(by))];
        let record = record(&events);
        (record.renewal_asked.is_some(), record.reissue)
    };
    assert_eq!(open(RollbackBy::Operator), (false, false));
    assert_eq!(open(RollbackBy::Hook), (true, true));
}

/// Only refusals that a search could not explain count, and none of what an outage brought before.
#[test]
fn refusals_that_stay_unclear_are_counted_and_spend_nothing() {
    let attempt = Attempt(1);
    let unclear = || Event::RefusalUnclear { attempt, failure: failure(FailureClass::ApiUnavailable) };
    let down = Event::NotAccepted { attempt, failure: failure(FailureClass::ApiUnavailable) };
    let mut events = Vec::new();
    for event in [down, unclear(), unclear()] {
        events.extend([(START, submitting(1)), (START, event)]);
    }
    let record = record(&events);
    let request = record.request.as_deref().unwrap();
    assert_eq!((request.unclear_refusals, &request.stage), (2, &Stage::Prepared));
    assert_eq!((record.submissions_in_a_day(START), record.trouble.count), (0, 3));
}
