//! Probes, the way back, holds and deploy windows, second by second.

use super::super::super::event::{Event, HookStep, RollbackBy};
use super::super::super::example::{
    DAY, HOUR, MINUTE, SECOND, START, entry, failure, global_state, live, profile, read, record, submitting,
};
use super::super::super::failure::FailureClass;
use super::super::super::name::{Attempt, Digest, Generation, SerialNumber};
use super::super::super::text::Text;
use super::super::{Decision, decide};
use super::*;
use crate::core::compact::boxed_default::BoxedDefault;
use crate::core::known::observed::Observed;
use crate::core::known::served::{AddressProbe, ServedLeaf};
use crate::core::wanted::entry::Probe;

const AT: Timestamp = Timestamp::from_seconds(1_800_000_000 + 86_400);

fn told(at: Timestamp, rollback: bool, deploy: Deploy, events: &[(Timestamp, Event)]) -> Decision {
    let mut entry = entry();
    entry.hooks = vec!["nginx".parse().unwrap()];
    entry.probes = vec![Probe { address: "h:443".to_owned(), server_name: None, starttls: None }].into();
    entry.rollback = rollback;
    let (observed, reading, record, global) = (live(90 * DAY), read(profile(), at), record(events), global_state());
    decide(&World {
        entry: &entry,
        observed: &observed,
        reading: &reading,
        record: &record,
        other: None,
        global: &global,
        deploy,
        ask: Deploy::Open,
        now: at,
    })
}

#[track_caller]
fn check(at: Timestamp, events: &[(Timestamp, Event)], action: &str, state: State, part: &str) {
    check_with(at, false, Deploy::Open, events, action, state, part);
}

#[track_caller]
fn check_with(
    at: Timestamp,
    rollback: bool,
    deploy: Deploy,
    events: &[(Timestamp, Event)],
    action: &str,
    state: State,
    part: &str,
) {
    let decision = told(at, rollback, deploy, events);
    let reason = decision.reason.to_string();
    assert_eq!((decision.action.as_str(), decision.reason.state()), (action, state), "{reason}");
    assert!(reason.contains(part), "{part:?} is not in {reason:?}");
    assert!(decision.action != Action::Wait || decision.wake_at > at, "{reason}");
}

fn install(at: Timestamp) -> (Timestamp, Event) {
    let event = Event::Installed {
        attempt: Attempt(1),
        generation: Generation(2),
        serial_number: SerialNumber("0A".to_owned()),
        fingerprint: Digest([0; 32]),
        not_after: START + 90 * DAY,
        hooks: vec!["nginx".parse().unwrap()],
        issuer: None,
        chain_end: None,
        replaces: None,
    };
    (at, event)
}

fn done(at: Timestamp) -> (Timestamp, Event) {
    (at, Event::HookDone { hook: "nginx".parse().unwrap(), generation: Generation(2), output: None })
}

fn failed(at: Timestamp, generation: u64) -> (Timestamp, Event) {
    let failure = failure(FailureClass::HookFailed);
    (
        at,
        Event::HookFailed {
            hook: "nginx".parse().unwrap(),
            generation: Generation(generation),
            failure,
            step: HookStep::Run,
        },
    )
}

/// What a probe showed: our certificate, another one, or nothing.
fn seen(at: Timestamp, leaf: Result<u8, &str>) -> (Timestamp, Event) {
    let leaf = leaf
        .map(|byte| ServedLeaf { fingerprint: Digest([byte; 32]), what: Text::new("serial number 0B") })
        .map_err(Text::new);
    let sights = vec![AddressProbe { address: Text::new("h:443"), leaf }];
    (at, Event::Probed { fingerprint: Digest([0; 32]), sights })
}

#[test]
fn valid_means_served() {
    check(AT, &[install(AT - SECOND)], "wait", State::Deploying, "hook nginx scheduled");
    check(AT, &[install(AT - MINUTE), done(AT - SECOND)], "probe", State::Deploying, "whether it is served");
    let ours = [install(AT - MINUTE), done(AT - 2 * SECOND), seen(AT - SECOND, Ok(0))];
    check(AT, &ours, "wait", State::Valid, "not due until");
    check(AT + HOUR - 2 * SECOND, &ours, "wait", State::Valid, "not due until");
    check(AT + HOUR - SECOND, &ours, "probe", State::Valid, "not due until");
    // After a restart nothing is known of what is served, whatever the hooks did.
    check(AT, &[install(AT - HOUR), done(AT - HOUR)], "probe", State::Deploying, "whether it is served");
}

#[test]
fn an_operator_has_hooks_and_probe_run_once_more_and_loses_no_set_by_it() {
    let asked = |hooks: &[&str]| Event::DeployAsked {
        generation: Generation(2),
        hooks: hooks.iter().map(|hook| hook.parse().unwrap()).collect(),
    };
    let served = [install(AT - HOUR), done(AT - HOUR), seen(AT - MINUTE, Ok(0))];
    let with = |more: &[(Timestamp, Event)]| [&served[..], more].concat();
    let word = (AT - 4 * SECOND, asked(&["nginx"]));
    check(AT, &with(std::slice::from_ref(&word)), "run-hook", State::Deploying, "hook nginx");
    let ran = with(&[word.clone(), done(AT - SECOND)]);
    check(AT, &ran, "probe", State::Deploying, "whether it is served");
    check(AT, &with(&[word.clone(), done(AT - 2 * SECOND), seen(AT, Ok(0))]), "wait", State::Valid, "not due until");
    // Where there is no hook, it is looked at all the same.
    check(AT, &with(&[(AT - 4 * SECOND, asked(&[]))]), "probe", State::Deploying, "whether it is served");
    let broken = with(&[word, failed(AT - SECOND, 2)]);
    check_with(AT + SECOND, true, Deploy::Open, &broken, "probe", State::Failing, "hook nginx");
    let new = [install(AT - 4 * SECOND), failed(AT - SECOND, 2)];
    check_with(AT + SECOND, true, Deploy::Open, &new, "roll-back", State::Failing, "");
}

#[test]
fn what_is_not_served_gets_its_hooks_again_three_times_and_then_an_alarm_alone() {
    let mut events = vec![install(AT), done(AT + SECOND), seen(AT + 2 * SECOND, Ok(9))];
    let mut now = AT + 2 * SECOND;
    check(now + SECOND, &events, "wait", State::Deploying, "h:443 still serves serial number 0B");
    // A server may take a moment: it is looked at once more before the hooks run again.
    check(now + 5 * SECOND, &events, "probe", State::Deploying, "");
    now = now + 5 * SECOND;
    events.push(seen(now, Ok(9)));
    for _ in 0..3 {
        now = told(now, false, Deploy::Open, &events).wake_at;
        check(now, &events, "repeat-hooks", State::Deploying, "hooks and probe run again");
        events.extend([(now, Event::HooksAgain { generation: Generation(2) }), done(now + SECOND)]);
        now = now + 2 * SECOND;
        check(now, &events, "probe", State::Deploying, "");
        events.push(seen(now, Ok(9)));
    }
    now = told(now, false, Deploy::Open, &events).wake_at;
    check(now, &events, "probe", State::Deploying, "but not served since");
    events.push(seen(now, Ok(0)));
    check(now + SECOND, &events, "wait", State::Valid, "not due until");
}

#[test]
fn an_address_that_shows_nothing_is_looked_at_again_and_costs_no_hook() {
    let mut events = vec![install(AT), done(AT + SECOND)];
    let mut now = AT + 2 * SECOND;
    for _ in 0..6 {
        events.push(seen(now, Err("refused")));
        now = told(now, false, Deploy::Open, &events).wake_at;
        check(now, &events, "probe", State::Deploying, "h:443 presents no certificate: refused");
    }
}

#[test]
fn outside_its_window_no_hook_runs_again() {
    let events = [install(AT), done(AT + SECOND), seen(AT + 2 * SECOND, Ok(9)), seen(AT + 9 * SECOND, Ok(9))];
    let (later, closed) = (AT + HOUR, Deploy::Closed(AT + DAY));
    check_with(later, false, Deploy::Open, &events, "repeat-hooks", State::Deploying, "");
    check_with(later, false, closed, &events, "probe", State::Deploying, "");
}

#[test]
fn a_hook_that_fails_brings_the_old_generation_back_and_the_new_one_is_tried_again() {
    let mut events = vec![install(AT), failed(AT + SECOND, 2)];
    let now = AT + 2 * SECOND;
    check_with(now, false, Deploy::Open, &events, "probe", State::Failing, "next attempt at");
    check_with(now, true, Deploy::Open, &events, "roll-back", State::Failing, "the previous generation");
    let hooks = vec!["nginx".parse().unwrap()];
    let (from, to) = (Generation(2), Generation(1));
    events.push((now, Event::RolledBack { from, to, by: RollbackBy::Hook, hooks: hooks.clone() }));
    // The hook of the old generation may fail as well: there is nothing further to go back to.
    check_with(now + SECOND, true, Deploy::Open, &events, "wait", State::Failing, "next attempt with 2 at");
    events.push(failed(now + SECOND, 1));
    check_with(now + 2 * SECOND, true, Deploy::Open, &events, "probe", State::Failing, "next attempt with 2 at");
    events.push(seen(now + 2 * SECOND, Ok(0)));
    let next = now + backoff::wait(&"www".parse().unwrap(), 1, Some(90 * DAY));
    check_with(next, true, Deploy::Closed(next + DAY), &events, "wait", State::Failing, "next attempt with 2 at");
    check_with(next, true, Deploy::Open, &events, "forward", State::Failing, "next attempt with 2");
    // Long before that the window of renewal may open: nothing is asked for all the same.
    events.push((next, Event::Forward { generation: from, hooks: hooks.clone(), stays: false }));
    check_with(next + SECOND, true, Deploy::Open, &events, "wait", State::Deploying, "scheduled for");
    let mut again = events.clone();
    again.push(failed(next + 5 * SECOND, 2));
    check_with(next + 6 * SECOND, true, Deploy::Open, &again, "roll-back", State::Failing, "");
    events.push(done(next + 5 * SECOND));
    check_with(next + 7 * SECOND, true, Deploy::Open, &events, "probe", State::Deploying, "");
}

#[test]
fn where_there_is_no_way_back_the_hook_is_tried_on() {
    let refused = Event::RollbackRefused { from: Generation(2), failure: failure(FailureClass::NoWayBack) };
    let events = [install(AT), failed(AT + SECOND, 2), (AT + 2 * SECOND, refused)];
    check_with(AT + 3 * SECOND, true, Deploy::Open, &events, "probe", State::Failing, "next attempt at");
}

#[test]
fn what_is_served_while_a_hook_fails_is_looked_at_and_runs_no_hook() {
    let mut events = vec![install(AT), failed(AT + SECOND, 2)];
    let mut now = AT + SECOND;
    for _ in 0..3 {
        check(now, &events, "probe", State::Failing, "next attempt at");
        events.push(seen(now, Ok(9)));
        check(now, &events, "wait", State::Failing, "next attempt at");
        now = told(now, false, Deploy::Open, &events).wake_at;
    }
    // The ladder of the hook goes on meanwhile, and once it ran, its server has as long as any other.
    let ladder = AT + SECOND + backoff::wait(&"www".parse().unwrap(), 1, None);
    check(ladder, &events, "run-hook", State::Failing, "next attempt at");
    events.push(done(ladder));
    check(ladder + SECOND, &events, "probe", State::Deploying, "");
    events.push(seen(ladder + SECOND, Ok(9)));
    check(ladder + 6 * SECOND, &events, "probe", State::Deploying, "");
}

#[test]
fn near_the_end_of_the_old_one_a_failing_hook_still_has_its_pauses() {
    let hooks = vec!["nginx".parse().unwrap()];
    let (from, to) = (Generation(2), Generation(1));
    let (end, start) = (START + 90 * DAY, START + 90 * DAY - HOUR);
    let back = Event::RolledBack { from, to, by: RollbackBy::Hook, hooks };
    let events = [install(start), failed(start + SECOND, 2), (start + SECOND, back), seen(start + SECOND, Ok(0))];
    let closed = Deploy::Closed(end + DAY);
    check_with(start + 2 * SECOND, true, closed, &events, "wait", State::Failing, "next attempt with 2 at");
    check_with(start + 2 * MINUTE, true, closed, &events, "forward", State::Failing, "next attempt with 2 at");
    // Its end ends the pause.
    let last = end - 10 * SECOND;
    let late: Vec<_> = events.iter().map(|(_, event)| (last, event.clone())).collect();
    check_with(last + SECOND, true, closed, &late, "wait", State::Failing, "next attempt with 2 at");
    check_with(end, true, closed, &late, "forward", State::Failing, "next attempt with 2 at");
}

#[test]
fn a_hold_lasts_until_the_operator_the_emergency_or_a_revocation() {
    let back =
        Event::RolledBack { from: Generation(3), to: Generation(2), by: RollbackBy::Operator, hooks: Vec::new() };
    let events = [(AT, back), seen(AT, Ok(0))];
    let check = |at: Timestamp, more: &[(Timestamp, Event)], action: &str, state: State, part: &str| {
        let all = [&events[..], &[seen(at - SECOND, Ok(0))], more].concat();
        check(at, &all, action, state, part);
    };
    check(START + 70 * DAY, &[], "wait", State::Held, "held at generation 2");
    check(START + 81 * DAY - SECOND, &[], "wait", State::Held, "approaching expiry");
    check(START + 81 * DAY, &[], "submit", State::Due, "expires at");
    let asked = (START + 40 * DAY, Event::RenewalAsked { reissue: false });
    check(START + 40 * DAY + SECOND, &[asked], "submit", State::Due, "an operator requested");
    let revoked = Event::StatusChecked { serial_number: SerialNumber("0A".to_owned()), revoked: true, standing: None };
    check(START + 40 * DAY, &[(START + 40 * DAY, revoked)], "submit", State::Due, "revoked");
}

#[test]
fn what_was_issued_waits_for_its_window_but_never_into_the_emergency() {
    let issued = Event::Issued { attempt: Attempt(1), serial_number: SerialNumber("0C".to_owned()) };
    let at = START + 62 * DAY;
    let events = [(at, submitting(1)), (at, issued), seen(at, Ok(0))];
    check_with(at + SECOND, false, Deploy::Open, &events, "install", State::Due, "installing it");
    let closed = Deploy::Closed(at + DAY);
    check_with(at + SECOND, false, closed, &events, "wait", State::Staged, "when the deploy window opens at");
    let shut = "stays closed until its time zone can be read";
    check_with(at + SECOND, false, Deploy::Unplaced, &events, "wait", State::Staged, shut);
    let late = START + 81 * DAY;
    let closed = Deploy::Closed(late + DAY);
    check_with(
        late - SECOND,
        false,
        closed,
        &[&events[..], &[seen(late - 2 * SECOND, Ok(0))]].concat(),
        "wait",
        State::Staged,
        "or at",
    );
    check_with(late, false, closed, &events, "install", State::Due, "");
    let revoked = Event::StatusChecked { serial_number: SerialNumber("0A".to_owned()), revoked: true, standing: None };
    let events = [&events[..], &[(at, revoked)]].concat();
    check_with(at + SECOND, false, closed, &events, "install", State::Due, "");
}

#[test]
fn a_first_certificate_waits_for_no_window() {
    let (mut entry, mut absent) = (entry(), record(&[(AT, submitting(1))]));
    entry.probes = BoxedDefault::new();
    absent.apply(AT, &Event::Issued { attempt: Attempt(1), serial_number: SerialNumber("0C".to_owned()) });
    let (reading, global) = (read(profile(), AT), global_state());
    let decision = decide(&World {
        entry: &entry,
        observed: &Observed::Absent,
        reading: &reading,
        record: &absent,
        other: None,
        global: &global,
        deploy: Deploy::Closed(AT + DAY),
        ask: Deploy::Open,
        now: AT + SECOND,
    });
    assert_eq!(decision.action.as_str(), "install", "{}", decision.reason);
}

#[test]
fn a_generation_that_the_journal_has_not_got_goes_on_record_and_owes_its_hooks() {
    let installed = |generation| {
        let Observed::Installed(mut installed) = live(90 * DAY) else { panic!("nothing is installed") };
        (installed.generation, installed.attempt) = (Generation(generation), Some(Attempt(1)));
        Observed::Installed(installed)
    };
    let hooks = || vec!["nginx".parse().unwrap()];
    let look = |observed: &Observed, rollback, events: &[(Timestamp, Event)], action: &str| {
        let mut entry = entry();
        (entry.hooks, entry.rollback) = (hooks(), rollback);
        let (reading, record, global) = (read(profile(), AT), record(events), global_state());
        let world = World {
            entry: &entry,
            observed,
            reading: &reading,
            record: &record,
            other: None,
            global: &global,
            deploy: Deploy::Open,
            ask: Deploy::Open,
            now: AT,
        };
        let decision = decide(&world);
        assert_eq!(decision.action.as_str(), action, "{}", decision.reason);
        decision.action
    };
    let check = |generation, rollback, events: &[(Timestamp, Event)], action: &str| {
        look(&installed(generation), rollback, events, action)
    };
    let before = AT - HOUR;
    // The journal is gone, or a take-over was cut off.
    for events in [&[][..], &[install(before), done(before)]] {
        let Action::Recognise(event) = check(3, false, events, "recognise") else { panic!() };
        assert!(matches!(*event, Event::Adopted { generation: Generation(3), .. }), "{event:?}");
    }
    // A refresh was cut off: its manifest says so, and where the journal is gone, nothing is known.
    let refreshed = |generation, events: &[(Timestamp, Event)]| {
        let Observed::Installed(mut live) = installed(generation) else { panic!() };
        live.is_refreshed = true;
        let Action::Recognise(event) = look(&Observed::Installed(live), false, events, "recognise") else { panic!() };
        *event
    };
    let event = refreshed(3, &[install(before), done(before)]);
    assert!(matches!(event, Event::ChainRefreshed { generation: Generation(3), .. }), "{event:?}");
    assert!(matches!(refreshed(3, &[]), Event::Adopted { .. }));
    assert!(matches!(refreshed(1, &[install(before), done(before)]), Event::RolledBack { .. }));
    // Somebody went back: that is held, and nothing is asked for.
    let Action::Recognise(event) = check(1, false, &[install(before), done(before)], "recognise") else { panic!() };
    let Event::RolledBack { from, to, by, .. } = *event else { panic!("{event:?}") };
    assert_eq!((from, to, by), (Generation(2), Generation(1), RollbackBy::Operator));
    // It is held whatever was asked for before; what is asked for now, after it, is asked for all the same.
    for (asked_at, then) in [(before + SECOND, "wait"), (AT, "submit")] {
        let asked = (asked_at, Event::RenewalAsked { reissue: false });
        let events = [install(before), done(before), asked];
        let Action::Recognise(event) = check(1, false, &events, "recognise") else { panic!() };
        check(1, false, &[&events[..], &[(AT, *event), done(AT)]].concat(), then);
    }
    // The way back after a failed hook, and the way forward again, are only finished.
    check(1, true, &[install(before), failed(before + SECOND, 2)], "roll-back");
    let back = Event::RolledBack { from: Generation(2), to: Generation(1), by: RollbackBy::Hook, hooks: hooks() };
    check(2, true, &[install(before), failed(before, 2), (before + SECOND, back)], "forward");
    // What the request in flight brought is finished by that; what is on record, and files at fixed paths, are no news.
    check(3, false, &[(before, submitting(1)), (before, issued())], "install");
    check(2, false, &[install(before), done(before)], "wait");
    check(0, false, &[], "wait");
}

fn issued() -> Event {
    Event::Issued { attempt: Attempt(1), serial_number: SerialNumber("0A".to_owned()) }
}

#[test]
fn in_the_emergency_stage_the_newer_generation_stays_whatever_its_hook_says() {
    let late = START + 82 * DAY;
    let hooks = vec!["nginx".parse().unwrap()];
    let (from, to) = (Generation(2), Generation(1));
    let back = Event::RolledBack { from, to, by: RollbackBy::Hook, hooks: hooks.clone() };
    let mut events = vec![install(AT), failed(late - DAY, 2), (late - HOUR, back)];
    let decision = told_live(1, 90 * DAY, late, &events);
    assert_eq!(decision.action, Action::Forward { generation: from, stays: true }, "{}", decision.reason);
    events.extend([(late, Event::Forward { generation: from, hooks, stays: true }), failed(late + SECOND, 2)]);
    let decision = told_live(2, 180 * DAY, late + 2 * SECOND, &events);
    assert_eq!(decision.action, Action::Wait, "{}", decision.reason);
    assert_eq!(decision.reason.state(), State::Failing, "{}", decision.reason);
}

fn told_live(generation: u64, lifetime: Duration, at: Timestamp, events: &[(Timestamp, Event)]) -> Decision {
    told_in(generation, None, lifetime, Deploy::Open, at, events)
}

fn told_in(
    generation: u64,
    attempt: Option<Attempt>,
    lifetime: Duration,
    deploy: Deploy,
    at: Timestamp,
    events: &[(Timestamp, Event)],
) -> Decision {
    let Observed::Installed(mut installed) = live(lifetime) else { panic!("nothing is installed") };
    (installed.generation, installed.attempt) = (Generation(generation), attempt);
    let mut entry = entry();
    (entry.hooks, entry.rollback) = (vec!["nginx".parse().unwrap()], true);
    let (reading, record, global) = (read(profile(), at), record(events), global_state());
    decide(&World {
        entry: &entry,
        observed: &Observed::Installed(installed),
        reading: &reading,
        record: &record,
        other: None,
        global: &global,
        deploy,
        ask: Deploy::Open,
        now: at,
    })
}

#[test]
fn a_hook_that_ran_by_a_clock_ahead_is_over() {
    let events = [install(AT), done(AT + 400 * DAY), seen(AT, Ok(0))];
    check(AT + MINUTE, &events, "wait", State::Valid, "not due until");
}

#[test]
fn what_is_live_already_is_finished_whatever_the_window_says() {
    let events = [(AT, submitting(1)), (AT, issued())];
    let live = told_in(7, Some(Attempt(1)), 90 * DAY, Deploy::Closed(AT + DAY), AT + SECOND, &events);
    assert_eq!(live.action.as_str(), "install", "{}", live.reason);
    let before = told_in(0, None, 90 * DAY, Deploy::Closed(AT + DAY), AT + SECOND, &events);
    assert_eq!(before.reason.state(), State::Staged, "{}", before.reason);
}

/// A newer certificate of the CA that is found waits for the window, and for the operator's hold to end, as any set does.
#[test]
fn a_repair_switches_nothing_in_that_any_other_set_would_wait_for() {
    let Observed::Installed(mut drifted) = live(90 * DAY) else { panic!() };
    (drifted.generation, drifted.drift) = (Generation(2), vec![Text::new("chain.pem changed")].into());
    let back = |from, to| {
        let (by, hooks) = (RollbackBy::Operator, Vec::new());
        (AT - HOUR, Event::RolledBack { from: Generation(from), to: Generation(to), by, hooks })
    };
    let mut check = |renewed_elsewhere, deploy, now, events: &[(Timestamp, Event)], expected| {
        let (reading, record, global) = (read(profile(), now), record(events), global_state());
        drifted.renewed_elsewhere = renewed_elsewhere;
        let observed = Observed::Installed(drifted.clone());
        let (entry, reading, ask) = (entry(), &reading, Deploy::Open);
        let world = World {
            entry: &entry,
            observed: &observed,
            reading,
            record: &record,
            other: None,
            global: &global,
            deploy,
            ask,
            now,
        };
        assert_eq!(decide(&world).action, Action::Repair { refreshes: expected });
    };
    for elsewhere in [false, true] {
        check(elsewhere, Deploy::Open, AT, &[install(AT - DAY), done(AT - DAY)], true);
        check(elsewhere, Deploy::Closed(AT + DAY), AT, &[install(AT - DAY), done(AT - DAY)], false);
        check(elsewhere, Deploy::Open, AT, &[back(3, 2)], false);
    }
    check(true, Deploy::Closed(AT + 90 * DAY), START + 85 * DAY, &[install(AT - DAY), done(AT - DAY)], true);
}
