//! When `status` exits with 1, condition by condition.

use std::sync::Arc;

use super::super::decide::{GlobalState, World, decide};
use super::super::event::{Event, HookStep, Lack};
use super::super::example::{
    DAY, HOUR, SECOND, START, entry, failure, global_state, installed, live, profile, read, record, submitting,
};
use super::super::failure::FailureClass;
use super::super::name::{Attempt, Digest, Generation, RequestId, SerialNumber};
use super::super::remark::Remarks;
use super::super::text::Text;
use super::*;
use crate::core::known::issuer::{ChainEnd, Issuer, ServedChain};
use crate::core::known::observed::Installed;

#[track_caller]
fn check(observed: &Observed, events: &[(Timestamp, Event)], now: Timestamp, expected: Option<&str>) {
    let mut entry = entry();
    entry.hooks = vec!["nginx".parse().unwrap()];
    let (reading, record, global): (_, _, GlobalState) = (read(profile(), now), record(events), global_state());
    let decision = decide(&World {
        entry: &entry,
        observed,
        reading: &reading,
        record: &record,
        other: None,
        global: &global,
        deploy: crate::core::wanted::window::Deploy::Open,
        ask: crate::core::wanted::window::Deploy::Open,
        now,
    });
    let found = problem(&entry, observed, &record, reading.profile.as_ref(), &decision, now);
    assert_eq!(found.map(Code::as_str), expected, "{}", decision.reason);
}

/// What an operator puts off is told from its first second on, and is no trouble of its own before it is urgent.
#[test]
fn a_hold_hides_no_trouble_and_is_late_by_the_operators_word() {
    let (at, live) = (START + DAY, live(90 * DAY));
    let hold = |even_emergency| (at, Event::HoldBegun { until: Some(START + 89 * DAY), why: None, even_emergency });
    for (now, usual, firm) in [
        (at, "certificate-held", "certificate-held"),
        (START + 80 * DAY, "certificate-held", "certificate-held"),
        (START + 81 * DAY, "hold-overridden", "certificate-held"),
        (START + 89 * DAY, "renewal-overdue", "renewal-overdue"),
        (START + 90 * DAY + SECOND, "certificate-expired", "certificate-expired"),
    ] {
        check(&live, &[hold(false)], now, Some(usual));
        check(&live, &[hold(true)], now, Some(firm));
    }
    let hook = || "nginx".parse().unwrap();
    let owed = (at, Event::DeployAsked { generation: Generation(0), hooks: vec![hook()] });
    let failed = Event::HookFailed {
        hook: hook(),
        generation: Generation(0),
        failure: failure(FailureClass::HookFailed),
        step: HookStep::Run,
    };
    check(&live, &[owed, (at, failed), hold(false)], at + SECOND, Some("hook-failing"));
    check(&Observed::Absent, &[hold(false)], at, Some("certificate-held"));
    let revoked = Event::StatusChecked { serial_number: SerialNumber("0A".into()), revoked: true, standing: None };
    check(&live, &[hold(false), (at, revoked)], at + HOUR, Some("hold-overridden"));
}

#[test]
fn each_condition_has_its_code() {
    let live = live(90 * DAY);
    check(&live, &[], START + DAY, None);
    check(&live, &[], START + 74 * DAY, None);
    check(&live, &[], START + 75 * DAY, Some("renewal-overdue"));
    check(&live, &[], START + 90 * DAY, Some("renewal-overdue"));
    check(&live, &[], START + 90 * DAY + SECOND, Some("certificate-expired"));
    let refused = Event::Failed { failure: failure(FailureClass::RequestRefused) };
    check(&live, &[(START + 61 * DAY, refused)], START + 61 * DAY, Some("certificate-failing"));
    let rejected = Event::Rejected { attempt: Attempt(1), why: Text::new("no") };
    let at = START + 61 * DAY;
    check(&live, &[(at, submitting(1)), (at, rejected)], at, Some("certificate-rejected"));
    let issued = Event::Issued { attempt: Attempt(1), serial_number: SerialNumber("0B".to_owned()) };
    let held = Event::Held {
        attempt: Attempt(1),
        why: Text::new("no usage"),
        lack: Lack::Usage,
        usages: None,
        profile_version: None,
    };
    check(&live, &[(at, submitting(1)), (at, issued), (at, held)], at, Some("certificate-staged"));
}

#[test]
fn what_is_valid_only_later_is_a_problem() {
    let early = Installed { not_before: START + DAY, ..installed(90 * DAY) };
    check(&Observed::Installed(Box::new(early)), &[], START, Some("not-yet-valid"));
}

#[test]
fn pending_is_healthy_until_a_day_without_a_certificate() {
    let request_id = RequestId("r".to_owned());
    let events =
        [(START, submitting(1)), (START, Event::Pending { attempt: Attempt(1), request_id, dv_details: None })];
    check(&Observed::Absent, &events, START + DAY - SECOND, None);
    check(&Observed::Absent, &events, START + DAY, Some("first-issuance-overdue"));
    check(&live(90 * DAY), &events, START + 70 * DAY, None);
}

#[test]
fn a_hook_may_be_owed_for_an_hour_and_may_not_fail() {
    let installed = Event::Installed {
        attempt: Attempt(1),
        generation: Generation(1),
        serial_number: SerialNumber("0A".to_owned()),
        fingerprint: Digest([0; 32]),
        not_after: START + 90 * DAY,
        hooks: vec!["nginx".parse().unwrap()],
        issuer: None,
        chain_end: None,
        replaces: None,
    };
    check(&live(90 * DAY), &[(START, installed.clone())], START + HOUR - SECOND, None);
    check(&live(90 * DAY), &[(START, installed.clone())], START + HOUR, Some("hook-overdue"));
    let hook = "nginx".parse().unwrap();
    let failed = Event::HookFailed {
        hook,
        generation: Generation(1),
        failure: failure(FailureClass::HookFailed),
        step: HookStep::Run,
    };
    check(&live(90 * DAY), &[(START, installed), (START, failed)], START + SECOND, Some("certificate-failing"));
}

/// The ordinary certificate with a chain that ends 50 days after the start.
fn short_chain() -> Observed {
    let end = ChainEnd { at: START + 50 * DAY, subject: Text::new("CN=Issuing CA"), spki: Digest([9; 32]) };
    let issuer = Issuer { subject: Text::new("CN=Issuing CA"), spki: Some(Digest([9; 32])) };
    let chain = Arc::new(ServedChain { issuer, end: Some(end) });
    Observed::Installed(Box::new(Installed { chain, ..installed(90 * DAY) }))
}

#[test]
fn a_chain_that_ends_first_is_as_bad_as_a_leaf() {
    check(&short_chain(), &[], START + 34 * DAY, None);
    check(&short_chain(), &[], START + 35 * DAY, Some("renewal-overdue"));
    check(&short_chain(), &[], START + 50 * DAY + SECOND, Some("certificate-expired"));
}

#[test]
fn what_is_worth_knowing_is_told_while_it_is_so() {
    let told = |observed: &Observed| -> Vec<String> {
        let remarks = remarks(&entry(), observed, Some(&profile()));
        remarks.iter().map(|remark| format!("{}: {}", remark.code, remark.message)).collect()
    };
    let live = live(90 * DAY);
    assert_eq!(told(&Observed::Absent), [""; 0]);
    assert_eq!(told(&live), [""; 0]);
    let endless = Installed { not_after: Timestamp::NEVER, ..installed(90 * DAY) };
    assert_eq!(told(&Observed::Installed(Box::new(endless))), [""; 0], "no window is a tenth of that");
    let short = told(&short_chain());
    assert!(short.first().is_some_and(|told| told.starts_with("chain-ends-first: ") && told.contains("Issuing CA")));
    let noted = Remarks::at(START, vec![Remark::new(Code::ExtraNames, "it has x.example, too")]);
    let noted = Installed { remarks: noted.into(), ..installed(90 * DAY) };
    assert_eq!(told(&Observed::Installed(Box::new(noted))), ["extra-names: it has x.example, too"]);
}
