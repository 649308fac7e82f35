//! What was replaced, second by second: when it is revoked, and everything that puts it off.

use super::super::super::example::{
    DAY, HOUR, MINUTE, SECOND, START, entry, failure, global_state, installed, profile, read, record, submitting,
};
use super::super::super::failure::Failure;
use super::super::super::name::{Attempt, Digest, Generation, SerialNumber};
use super::super::super::text::Text;
use super::super::{Decision, GlobalState, decide};
use super::*;
use crate::core::event::{HookStep, RollbackBy, Withdrawal};
use crate::core::known::observed::Observed;
use crate::core::known::served::{AddressProbe, ServedLeaf};
use crate::core::wanted::entry::{Entry, Probe};
use crate::core::wanted::window::{Deploy, Freeze};

/// When the new one became live, and was seen to be in service.
const LIVE: Timestamp = Timestamp::from_seconds(1_800_000_000 + 86_400);
const SEEN: Timestamp = Timestamp::from_seconds(1_800_000_000 + 86_400 + 6);

/// An entry that wants the one before revoked after seven days, and what happened to it.
struct Case {
    entry: Entry,
    installed: Installed,
    global: GlobalState,
    events: Vec<(Timestamp, Event)>,
}

fn case(more: &[(Timestamp, Event)]) -> Case {
    let mut entry = entry();
    entry.hooks = vec!["nginx".parse().unwrap()];
    entry.revoke_superseded = Some(7 * DAY);
    let installed = installed(90 * DAY);
    let first = [install(LIVE, 0, Some(old(1, START + 40 * DAY))), done(LIVE + 4 * SECOND), in_service(SEEN, true)];
    Case { entry, installed, global: global_state(), events: [&first[..], more].concat() }
}

impl Case {
    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn probed(self) -> Self {
        let probe = Probe { address: "h:443".to_owned(), server_name: None, starttls: None };
        self.with(|case| case.entry.probes = vec![probe].into())
    }

    fn decide(&self, now: Timestamp) -> Decision {
        let (observed, reading) = (Observed::Installed(Box::new(self.installed.clone())), read(profile(), now));
        let (entry, global, record) = (&self.entry, &self.global, &record(&self.events));
        let (deploy, ask) = (Deploy::Open, Deploy::Open);
        decide(&World { entry, observed: &observed, reading: &reading, record, other: None, global, deploy, ask, now })
    }

    /// The second before, the instant itself and the second after.
    #[track_caller]
    fn revokes_at(&self, at: Timestamp, serial: &str) {
        let before = self.decide(at - SECOND);
        assert_eq!((&before.action, before.wake_at), (&Action::Wait, at), "{}", before.reason);
        assert_eq!(before.reason.state(), State::Valid, "{}", before.reason);
        for now in [at, at + SECOND] {
            let decision = self.decide(now);
            let Action::RevokeSuperseded(certificate) = &decision.action else { panic!("{decision:?}") };
            assert_eq!(certificate.serial_number.0, serial);
            assert!(decision.reason.to_string().contains(serial) && decision.reason.state() == State::Valid);
        }
    }

    /// Whatever else is done at these instants, nothing is revoked.
    #[track_caller]
    fn never_revokes(&self) {
        for days in [0, 7, 8, 20, 39, 41, 59] {
            let decision = self.decide(SEEN + DAY * days);
            assert!(!matches!(decision.action, Action::RevokeSuperseded(_)), "day {days}: {}", decision.reason);
        }
    }
}

fn old(byte: u8, not_after: Timestamp) -> Box<Replaced> {
    let serial_number = SerialNumber(format!("0B{byte:02X}"));
    Box::new(Replaced { serial_number, fingerprint: Digest([byte; 32]), not_after })
}

fn install(at: Timestamp, byte: u8, replaces: Option<Box<Replaced>>) -> (Timestamp, Event) {
    let event = Event::Installed {
        attempt: Attempt(1),
        generation: Generation(2),
        serial_number: SerialNumber("0A".to_owned()),
        fingerprint: Digest([byte; 32]),
        not_after: START + 90 * DAY,
        hooks: vec!["nginx".parse().unwrap()],
        issuer: None,
        chain_end: None,
        replaces,
    };
    (at, event)
}

fn done(at: Timestamp) -> (Timestamp, Event) {
    (at, Event::HookDone { hook: "nginx".parse().unwrap(), generation: Generation(2), output: None })
}

fn in_service(at: Timestamp, in_service: bool) -> (Timestamp, Event) {
    (at, Event::ServiceSeen { fingerprint: Digest([0; 32]), in_service })
}

fn seen(at: Timestamp, leaf: Result<u8, &str>) -> (Timestamp, Event) {
    let leaf = leaf.map(|byte| ServedLeaf { fingerprint: Digest([byte; 32]), what: Text::new("another") });
    let sights = vec![AddressProbe { address: Text::new("h:443"), leaf: leaf.map_err(Text::new) }];
    (at, Event::Probed { fingerprint: Digest([0; 32]), sights })
}

fn not_revoked(at: Timestamp, class: FailureClass) -> (Timestamp, Event) {
    let failure: Failure = failure(class);
    (at, Event::RevocationFailed { serial_number: SerialNumber("0B01".to_owned()), failure })
}

#[test]
fn what_was_replaced_is_revoked_when_the_new_one_was_in_service_for_so_long_and_not_before() {
    case(&[]).revokes_at(SEEN + 7 * DAY, "0B01");
    case(&[]).with(|case| case.entry.revoke_superseded = None).never_revokes();
    case(&[]).with(|case| case.entry.revoke_superseded = Some(HOUR)).revokes_at(SEEN + HOUR, "0B01");
}

#[test]
fn with_a_probe_only_while_it_sees_the_new_one() {
    let due = SEEN + 7 * DAY;
    let look = due - 30 * MINUTE;
    case(&[seen(look, Ok(0))]).probed().revokes_at(due, "0B01");
    // After a restart it has to be seen again; where nothing is seen, nothing is revoked, and the span goes on.
    assert_eq!(case(&[]).probed().decide(due).action, Action::Probe);
    case(&[seen(look, Err("refused"))]).probed().never_revokes();
    let again = [seen(look, Err("refused")), seen(due - SECOND, Ok(0))];
    assert!(matches!(case(&again).probed().decide(due).action, Action::RevokeSuperseded(_)));
    // Another one was seen: that goes on record, and the span begins anew.
    let other = case(&[seen(look, Ok(1))]).probed().decide(look + SECOND);
    assert_eq!(other.action, Action::Recognise(Box::new(in_service(look, false).1)));
    let later = [in_service(look, false), in_service(look + MINUTE, true), seen(look + 7 * DAY, Ok(0))];
    case(&later).probed().revokes_at(look + MINUTE + 7 * DAY, "0B01");
}

#[test]
fn service_begins_when_hooks_are_done_and_the_probe_sees_it() {
    let begins = |events: &[(Timestamp, Event)], probed: bool| {
        let case = case(&[]).with(|case| case.events = events.to_vec());
        let case = if probed { case.probed() } else { case };
        let decision = case.decide(LIVE + 10 * SECOND);
        matches!(decision.action, Action::Recognise(event) if *event == in_service(LIVE, true).1)
    };
    let live = install(LIVE, 0, Some(old(1, START + 40 * DAY)));
    let ran = done(LIVE + 5 * SECOND);
    let sight = |leaf| seen(LIVE + 7 * SECOND, leaf);
    assert!(!begins(std::slice::from_ref(&live), false), "its hook is owed");
    assert!(begins(&[live.clone(), ran.clone()], false));
    assert!(!begins(&[live.clone(), ran.clone()], true), "nobody looked");
    assert!(begins(&[live.clone(), ran.clone(), sight(Ok(0))], true));
    assert!(!begins(&[live.clone(), ran.clone(), sight(Ok(1))], true));
    assert!(!begins(&[live.clone(), ran.clone(), sight(Err("refused"))], true));
    assert!(!begins(&[live.clone(), sight(Ok(0))], true), "its hook is owed");
    assert!(!begins(&[live.clone(), ran.clone(), in_service(LIVE + 8 * SECOND, true)], false), "once is enough");
    let hook = "nginx".parse().unwrap();
    let failed = Event::HookFailed {
        hook,
        generation: Generation(2),
        failure: failure(FailureClass::HookFailed),
        step: HookStep::Run,
    };
    assert!(!begins(&[live, (LIVE + 5 * SECOND, failed), sight(Ok(0))], true), "its hook waits for its ladder");
    assert!(!begins(&[install(LIVE, 0, None), ran], false), "nothing was replaced");
}

#[test]
fn each_doubt_puts_it_off() {
    let due = SEEN + 7 * DAY;
    let hold = Event::HoldBegun { until: None, why: None, even_emergency: false };
    let back = |by| Event::RolledBack { from: Generation(3), to: Generation(2), by, hooks: Vec::new() };
    case(&[(LIVE + DAY, hold.clone())]).never_revokes();
    case(&[(LIVE + DAY, back(RollbackBy::Operator))]).never_revokes();
    case(&[(LIVE + DAY, back(RollbackBy::Hook))]).never_revokes();
    case(&[(LIVE + DAY, submitting(2))]).never_revokes();
    let redeployed = Event::DeployAsked { generation: Generation(2), hooks: vec!["nginx".parse().unwrap()] };
    case(&[(LIVE + DAY, redeployed)]).never_revokes();
    case(&[]).with(|case| case.installed.drift = vec![Text::new("a file is gone")].into()).never_revokes();
    case(&[]).with(|case| case.installed.fingerprint = Digest([1; 32])).never_revokes();
    case(&[]).with(|case| case.installed.serial_number = SerialNumber("0B01".to_owned())).never_revokes();
    case(&[]).with(|case| case.global.clock_wrong = Some(None)).never_revokes();
    case(&[]).with(|case| case.global.clock_is_compared = false).never_revokes();
    case(&[]).with(|case| case.global.api_is_blocked = true).never_revokes();
    case(&[]).with(|case| case.global.asks_nobody = true).never_revokes();
    case(&[]).with(|case| case.global.journal_too_new = true).never_revokes();
    // What is over puts nothing off, and a freeze switches nothing in.
    case(&[(LIVE + DAY, hold), (LIVE + 2 * DAY, Event::HoldReleased)]).revokes_at(due, "0B01");
    let frozen = Freeze::Dates { from: START, until: START + 80 * DAY };
    case(&[]).with(|case| case.global.freezes = [frozen].into()).revokes_at(due, "0B01");
}

#[test]
fn a_clock_that_was_not_compared_is_compared_first() {
    let due = SEEN + 7 * DAY;
    let serial_number = SerialNumber("0A".to_owned());
    let checked = Event::StatusChecked { serial_number: serial_number.clone(), revoked: false, standing: None };
    let uncompared = |more: &[(Timestamp, Event)]| {
        let before = [&[(due - HOUR, checked.clone())], more].concat();
        case(&before).with(|case| {
            (case.global.clock_is_compared, case.global.status_check_interval) = (false, Some(DAY));
        })
    };
    assert_eq!(uncompared(&[]).decide(due - SECOND).action, Action::Wait);
    let decision = uncompared(&[]).decide(due);
    assert_eq!((decision.action, decision.reason.state()), (Action::CheckStatus(serial_number), State::Valid));
    let vain = uncompared(&[(due, Event::StatusUnread)]).decide(due + MINUTE);
    assert_eq!((vain.action, vain.wake_at), (Action::Wait, due + MINUTE + HOUR), "not each minute");
}

#[test]
fn a_generation_that_is_live_once_more_begins_anew() {
    let forward = Event::Forward { generation: Generation(2), hooks: Vec::new(), stays: false };
    let back = Event::RolledBack { from: Generation(2), to: Generation(1), by: RollbackBy::Hook, hooks: Vec::new() };
    let events = [(LIVE + DAY, back), (LIVE + 2 * DAY, forward)];
    let decision = case(&events).decide(LIVE + 8 * DAY);
    assert_eq!(decision.action, Action::Recognise(Box::new(in_service(LIVE, true).1)));
    let again = [&events[..], &[in_service(LIVE + 3 * DAY, true)]].concat();
    case(&again).revokes_at(LIVE + 10 * DAY, "0B01");
}

#[test]
fn a_clock_that_was_set_back_begins_the_span_anew() {
    let now = SEEN - HOUR;
    let decision = case(&[]).decide(now);
    assert_eq!(decision.action, Action::Recognise(Box::new(in_service(now, true).1)));
    let wrong = case(&[]).with(|case| case.global.clock_wrong = Some(Some(-3600))).decide(now);
    assert!(!matches!(wrong.action, Action::Recognise(_)), "by a wrong clock nothing begins: {wrong:?}");
}

#[test]
fn a_failure_is_tried_again_on_a_ladder_of_its_own_and_a_missing_right_after_a_day() {
    let due = SEEN + 7 * DAY;
    let first = case(&[not_revoked(due, FailureClass::ApiUnavailable)]);
    let next = first.decide(due + SECOND);
    assert_eq!((next.action, next.reason.state()), (Action::Wait, State::Valid));
    assert!(next.wake_at >= due + MINUTE && next.wake_at <= due + 72 * SECOND, "{}", next.wake_at.since(due).as_secs());
    first.revokes_at(next.wake_at, "0B01");
    let forbidden = case(&[not_revoked(due, FailureClass::ApiForbidden)]);
    assert!(matches!(forbidden.decide(due + HOUR).action, Action::Wait));
    forbidden.revokes_at(due + DAY, "0B01");
    // An operator looked into it since, and had TLM asked.
    let asked = case(&[not_revoked(due, FailureClass::ApiForbidden)]);
    let asked = asked.with(|case| case.global.api_checked_at = Some(due + MINUTE));
    assert!(matches!(asked.decide(due + 2 * MINUTE).action, Action::RevokeSuperseded(_)));
    // None of it is trouble of the renewals.
    let record = record(&case(&[not_revoked(due, FailureClass::ApiUnavailable)]).events);
    assert_eq!((record.trouble.count, record.disk.count, record.revocation.count), (0, 0, 1));
}

#[test]
fn what_ends_before_that_is_left_to_its_end() {
    let ends_at = |not_after| case(&[]).with(|case| case.events[0] = install(LIVE, 0, Some(old(1, not_after))));
    ends_at(SEEN + 7 * DAY).never_revokes();
    ends_at(SEEN + 7 * DAY + SECOND * 2).revokes_at(SEEN + 7 * DAY, "0B01");
    let wait = ends_at(SEEN + 7 * DAY).decide(SEEN + 7 * DAY - MINUTE);
    assert!(wait.wake_at > SEEN + 7 * DAY, "nobody wakes for it: {}", wait.wake_at);
    // What fails until its end is over by then.
    let failing = case(&[not_revoked(START + 40 * DAY - MINUTE, FailureClass::ApiForbidden)]);
    assert_eq!(failing.decide(START + 40 * DAY).action, Action::Wait);
    let ended = record(&[install(LIVE, 0, Some(old(1, LIVE)))]);
    assert_eq!(ended.superseded, Vec::new(), "it had ended when it was replaced");
}

#[test]
fn what_tlm_says_of_it_ends_it() {
    let (due, serial_number) = (SEEN + 7 * DAY, SerialNumber("0B01".to_owned()));
    for outcome in [Withdrawal::Revoked, Withdrawal::Already, Withdrawal::Unknown] {
        let revoked = Event::SupersededRevoked { serial_number: serial_number.clone(), outcome };
        let case = case(&[not_revoked(due, FailureClass::ApiUnavailable), (due + MINUTE, revoked)]);
        case.never_revokes();
        let record = record(&case.events);
        let is_noted = record.revoked.contains(&serial_number);
        assert_eq!(is_noted, outcome != Withdrawal::Unknown, "nobody goes back to what is revoked: {outcome:?}");
        assert!(record.superseded.is_empty() && record.in_service.is_none() && record.revocation.count == 0);
    }
}

#[test]
fn those_replaced_before_wait_for_the_last_and_are_bounded() {
    let end = START + 80 * DAY;
    let second = [install(LIVE + 3 * DAY, 0, Some(old(2, end))), done(LIVE + 3 * DAY + 4 * SECOND)];
    let both = case(&[&second[..], &[in_service(LIVE + 3 * DAY + 5 * SECOND, true)]].concat());
    both.revokes_at(LIVE + 10 * DAY + 5 * SECOND, "0B01");
    let revoked =
        Event::SupersededRevoked { serial_number: SerialNumber("0B01".to_owned()), outcome: Withdrawal::Revoked };
    let rest = both.with(|case| case.events.push((LIVE + 11 * DAY, revoked)));
    assert!(
        matches!(&rest.decide(LIVE + 11 * DAY).action, Action::RevokeSuperseded(next) if next.serial_number.0 == "0B02")
    );
    let many: Vec<_> = (1..20).map(|byte| install(LIVE + SECOND * u32::from(byte), 0, Some(old(byte, end)))).collect();
    let kept = record(&many);
    let kept: Vec<u8> = kept.superseded.iter().map(|one| one.fingerprint.0[0]).collect();
    assert_eq!(kept, (12..20).collect::<Vec<u8>>(), "the latest eight");
    // What is live again is not what was replaced.
    assert_eq!(record(&[install(LIVE, 0, Some(old(1, end))), install(LIVE + DAY, 1, None)]).superseded, Vec::new());
}
