//! Decisions at the second before, at and after each bound; each reason by at least one case.

use std::sync::Arc;

use super::super::event::{Event, HookStep, Lack, RollbackBy};
use super::super::example::{
    DAY, HOUR, MINUTE, SECOND, START, entry, failure, global_state, installed, live, profile, read, record, rename,
    submitting,
};
use super::super::failure::{Failure, FailureClass, RetryHint};
use super::super::name::{Digest, ProfileId};
use super::super::record::Checked;
use super::*;
use crate::core::known::cached_profile::FailedRead;
use crate::core::known::issuer::{ChainEnd, Issuer, IssuerPin, ServedChain};
use crate::core::name::{Generation, HookName, ProfileRef, RequestId, SerialNumber};
use crate::core::wanted::entry::SubjectFrom;

mod chain;
mod fallback;
mod under_way;
mod waits;

/// A world in which nothing is due: each case changes one thing.
#[derive(Clone)]
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
        decide(&World {
            entry,
            observed,
            reading,
            record,
            other: None,
            global,
            deploy: *deploy,
            ask: Deploy::Open,
            now: *now,
        })
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
        replaces: None,
    };
    let failed = Event::HookFailed {
        hook: hook.clone(),
        generation,
        failure: failure(FailureClass::HookFailed),
        step: HookStep::Run,
    };
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
        replaces: None,
    };
    let failed =
        Event::HookFailed { hook, generation, failure: failure(FailureClass::HookFailed), step: HookStep::Run };
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

#[test]
fn a_certificate_that_is_installed_before_its_time_is_not_called_valid() {
    let mut case = Case::after(Duration::ZERO);
    let from = START + DAY;
    case.observed = Observed::Installed(Box::new(Installed { not_before: from, ..installed(90 * DAY) }));
    check(&case, "wait", &format!("valid only from {from}"));
    case.now = from - SECOND;
    check(&case, "wait", "not due until");
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
