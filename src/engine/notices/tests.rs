//! What is told when, with time that passes as fast as a test likes.

use super::*;
use crate::core::event::HookStep;
use crate::core::failure::{Failure, FailureClass};
use crate::core::wanted::hook::HookRun;

const START: Timestamp = Timestamp::from_seconds(1_800_000_000);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A host with one notification, its world, and time that passes as fast as a test likes.
struct Host {
    notices: Notices,
    wanted: BTreeMap<HookName, Notify>,
    seen: Seen,
    now: Now,
}

fn ops() -> HookName {
    "ops".parse().unwrap()
}

fn notify(on: &[Occasion]) -> Notify {
    let run = HookRun::Command(vec!["/bin/tell".to_owned()]);
    let run =
        Hook { name: ops(), run, user: None, timeout: MINUTE, min_interval: Duration::ZERO, test: None, before: None };
    Notify { run, on: on.iter().copied().collect(), gather: MINUTE }
}

fn certificate(name: &str) -> Subject {
    Subject::new(What::Certificate, name)
}

impl Host {
    fn new() -> Self {
        Self::with(Occasion::ALL)
    }

    fn with(on: &[Occasion]) -> Self {
        let now = Now { wall: START, steady: Duration::ZERO };
        Self { notices: Notices::default(), wanted: [(ops(), notify(on))].into(), seen: Seen::default(), now }
    }

    fn amiss(&mut self, name: &str, occasion: Occasion) {
        let condition = Condition { code: "x".into(), message: Text::new("amiss"), remedy: Text::new("mend") };
        self.seen.conditions.insert((certificate(name), occasion), condition);
    }

    fn well(&mut self, name: &str) {
        self.seen.conditions.retain(|(subject, _), _| *subject != certificate(name));
    }

    fn live(&mut self, name: &str, live: Live) {
        self.seen.live.insert(name.parse().unwrap(), live);
    }

    fn pass(&mut self, span: Duration) {
        self.now = Now { wall: self.now.wall + span, steady: self.now.steady + span };
    }

    /// What a look has somebody told, a word each: its kind, `still` before what is repeated, and the name.
    fn look(&mut self) -> Vec<String> {
        let (calls, _) = self.notices.look(&self.seen, &self.wanted, self.now, false);
        assert!(calls.len() < 2, "one call tells it all");
        let shown = |change: Change| {
            let still = if change.is_repeated { "still " } else { "" };
            format!("{still}{} {}", change.occasion, change.subject.name)
        };
        calls.into_iter().flat_map(|call| call.changes).map(shown).collect()
    }

    /// What is told when the gathering is over.
    fn told(&mut self) -> Vec<String> {
        let told = self.look();
        if !told.is_empty() {
            return told;
        }
        self.pass(MINUTE);
        self.look()
    }

    #[track_caller]
    fn tells(&mut self, expected: &[&str]) {
        assert_eq!(self.told(), expected);
        if !expected.is_empty() {
            self.end(&Ended::Done(None));
        }
    }

    fn end(&mut self, ended: &Ended) {
        self.notices.ended(&ops(), ended, self.now);
    }

    fn fails(&mut self) {
        self.end(&Ended::Failed(
            Failure::new(FailureClass::HookFailed, "notification ops ended with 1"),
            HookStep::Run,
        ));
    }

    /// The daemon is killed, and starts with what was kept.
    fn restart(&mut self) {
        let kept = serde_json::to_vec(&self.notices.kept()).unwrap();
        self.notices = Notices::new(Text::new("host"), serde_json::from_slice(&kept).unwrap());
        self.now.steady = Duration::ZERO;
    }
}

#[test]
fn what_happens_within_a_minute_is_told_by_one_call() {
    let mut host = Host::new();
    host.amiss("www", Occasion::Failing);
    assert_eq!(host.look(), [""; 0]);
    assert_eq!(host.notices.next_by_steady(), Some(MINUTE), "it is told a minute after the first");
    host.pass(MINUTE / 2);
    host.amiss("mail", Occasion::Failing);
    host.amiss("db", Occasion::Expiring);
    assert_eq!(host.look(), [""; 0]);
    host.pass(MINUTE / 2);
    host.tells(&["expiring db", "failing mail", "failing www"]);
    host.tells(&[]);
}

#[test]
fn what_came_and_went_within_the_minute_is_not_told() {
    let mut host = Host::new();
    host.amiss("www", Occasion::Failing);
    assert_eq!(host.look(), [""; 0]);
    host.pass(MINUTE / 2);
    host.well("www");
    host.tells(&[]);
    assert_eq!(host.notices.next_by_steady(), None, "and nothing is waited for");
}

#[test]
fn what_lasts_is_repeated_daily_by_one_call_and_told_when_it_is_mended() {
    let mut host = Host::new();
    host.amiss("www", Occasion::Failing);
    host.tells(&["failing www"]);
    host.pass(5 * HOUR);
    host.amiss("mail", Occasion::NotServed);
    host.tells(&["not-served mail"]);
    for _ in 0..3 {
        host.pass(Duration::from_secs(86_400) - 6 * HOUR);
        host.tells(&[]);
        host.pass(6 * HOUR);
        host.tells(&["still failing www", "still not-served mail"]);
    }
    host.well("www");
    host.tells(&["mended www"]);
    host.well("mail");
    host.tells(&["mended mail"]);
    assert_eq!(host.notices.next_by_wall(), None, "nothing is left to repeat");
}

/// Killed between the change and the call, in the call, and after it.
#[test]
fn a_change_is_told_at_least_once_across_restarts() {
    let mut host = Host::new();
    host.amiss("www", Occasion::Failing);
    assert_eq!(host.look(), [""; 0]);
    host.restart();
    assert_eq!(host.told(), ["failing www"]);
    host.restart();
    host.tells(&["failing www"]);
    host.restart();
    host.tells(&[]);
    host.well("www");
    assert_eq!(host.told(), ["mended www"]);
    host.restart();
    host.tells(&["mended www"]);
    host.restart();
    host.tells(&[]);
}

/// Nobody knows whether a call that was cut off told somebody.
#[test]
fn what_a_failed_call_told_of_is_told_to_be_mended() {
    let mut host = Host::new();
    host.amiss("www", Occasion::Failing);
    assert_eq!(host.told(), ["failing www"]);
    host.fails();
    host.well("www");
    host.pass(2 * MINUTE);
    host.tells(&["mended www"]);
    assert_eq!(host.notices.failing().count(), 0);
}

#[test]
fn a_failed_call_is_repeated_on_the_ladder_and_is_a_problem_until_one_succeeds() {
    let mut host = Host::new();
    host.amiss("www", Occasion::Failing);
    for (failures, minutes) in [(1, 1), (2, 2), (3, 5), (4, 10)] {
        assert_eq!(host.told(), ["failing www"]);
        host.fails();
        let message = host.notices.failing().next().unwrap().1.message.to_string();
        assert_eq!(message.contains(&format!("({failures} times in a row)")), failures > 1, "{message}");
        assert!(message.contains("notification ops ended with 1") && message.contains("1 change is not reported"));
        let wait = host.notices.next_by_steady().unwrap() - host.now.steady;
        assert!(wait >= (minutes * MINUTE * 8 / 10).max(MINUTE) && wait <= minutes * MINUTE * 12 / 10, "{wait:?}");
        assert_eq!(host.look(), [""; 0], "not before");
        host.pass(wait);
    }
    host.tells(&["failing www"]);
    assert_eq!(host.notices.failing().count(), 0);
}

#[test]
fn a_changed_command_is_tried_at_once_and_one_that_is_gone_is_forgotten() {
    let mut host = Host::new();
    host.amiss("www", Occasion::Failing);
    assert_eq!(host.told(), ["failing www"]);
    host.fails();
    host.wanted.get_mut(&ops()).unwrap().run.run = HookRun::Command(vec!["/bin/other".to_owned()]);
    host.tells(&["failing www"]);
    host.wanted.clear();
    assert_eq!(host.look(), [""; 0]);
    assert!(host.notices.is_empty());
}

#[test]
fn only_what_is_wanted_is_told() {
    let mut host = Host::with(&[Occasion::Expiring]);
    host.amiss("www", Occasion::Failing);
    host.tells(&[]);
    host.amiss("www", Occasion::Expiring);
    host.tells(&["expiring www"]);
    host.well("www");
    host.tells(&[]);
    host.amiss("www", Occasion::Expiring);
    host.tells(&["expiring www"]);
}

/// A certificate that fails and is tried again is due for a moment: nothing is mended by that.
#[test]
fn what_is_being_worked_on_is_not_mended() {
    let mut host = Host::new();
    host.amiss("www", Occasion::Failing);
    host.tells(&["failing www"]);
    host.well("www");
    host.seen.unsettled.insert(certificate("www"));
    host.pass(HOUR);
    host.tells(&[]);
    host.seen.unsettled.clear();
    host.amiss("www", Occasion::Failing);
    host.tells(&[]);
    host.well("www");
    host.tells(&["mended www"]);
}

#[test]
fn another_cause_is_told_and_the_first_one_again_when_it_comes_back() {
    let mut host = Host::new();
    host.amiss("www", Occasion::Failing);
    host.tells(&["failing www"]);
    host.well("www");
    host.amiss("www", Occasion::NotServed);
    host.tells(&["not-served www"]);
    host.amiss("www", Occasion::Failing);
    host.tells(&["failing www"]);
    host.well("www");
    host.tells(&["mended www"]);
}

#[test]
fn what_is_live_at_first_is_no_news_and_each_new_one_is() {
    let leaf = |number: u8, is_served| Live::Leaf(Digest([number; 32]), is_served);
    let mut host = Host::new();
    host.live("www", leaf(1, true));
    host.live("new", Live::Absent);
    host.live("odd", Live::Unknown);
    host.tells(&[]);
    host.restart();
    host.live("www", leaf(2, false));
    host.live("new", leaf(3, true));
    host.live("odd", leaf(4, true));
    host.tells(&["renewed new"]);
    host.live("www", leaf(2, true));
    assert_eq!(host.told(), ["renewed www"]);
    host.restart();
    host.tells(&["renewed www"]);
    host.restart();
    host.tells(&[]);
    host.seen.live.remove(&"www".parse::<CertName>().unwrap());
    host.tells(&[]);
    host.live("www", leaf(9, true));
    host.tells(&[]);
}

#[test]
fn a_step_of_the_clock_tells_nothing_twice() {
    let mut host = Host::new();
    host.amiss("www", Occasion::Failing);
    host.tells(&["failing www"]);
    host.now.wall = START - 300 * 24 * HOUR;
    host.tells(&[]);
    host.pass(23 * HOUR);
    host.tells(&[]);
    host.pass(HOUR);
    host.tells(&["still failing www"]);
    host.now.wall = START + 300 * 24 * HOUR;
    host.tells(&["still failing www"]);
    host.now.wall = START;
    host.tells(&[]);
}

#[test]
fn a_pass_tells_at_once_and_tries_once() {
    let mut host = Host::new();
    host.amiss("www", Occasion::Failing);
    let at_once = |host: &mut Host| host.notices.look(&host.seen, &host.wanted, host.now, true).0.len();
    assert_eq!(at_once(&mut host), 1);
    host.fails();
    assert_eq!(at_once(&mut host), 0);
    host.restart();
    assert_eq!(at_once(&mut host), 1);
}

/// It would tell of itself what it cannot tell.
#[test]
fn a_failing_notification_is_told_by_the_others_alone() {
    let mut host = Host::new();
    let condition = Condition { code: "x".into(), message: Text::new("fails"), remedy: Text::new("mend") };
    for name in ["ops", "pager"] {
        host.seen.conditions.insert((Subject::new(What::Notify, name), Occasion::Failing), condition.clone());
    }
    host.tells(&["failing pager"]);
}
