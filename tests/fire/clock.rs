//! The clock of a running daemon jumps: years, hours, a second. Nothing is asked for again because of it, a clock that is
//! evidently wrong is said to be, nothing stalls, and all is well when it is set right.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::host::Host;
use crate::process::{Process, in_state};
use crate::simulator::{Fault, FaultKind};
use crate::tools::WallClock;

/// Five certificates, valid.
struct Site {
    host: Host,
    clock: WallClock,
    process: Process,
}

impl Site {
    fn new() -> Option<Self> {
        let host = Host::with_www();
        let clock = WallClock::new(&host)?;
        (0..4).for_each(|number| host.entry(&format!("site-{number}"), ""));
        let process = Process::start(&host, &clock.environment());
        host.until("all are valid", || (in_state(&host.status(), "valid") == 5).then_some(()));
        // Last of all, so that nothing is asked for behind the test's back.
        host.until("the end of the key is asked for", || {
            (host.simulator.count("GET", "/account/api/v1/user/me") == 1).then_some(())
        });
        Some(Self { host, clock, process })
    }

    /// Moves the daemon's clock, and the API's with it where that is meant; the daemon is woken, as it would be by itself
    /// within half a minute.
    fn jump(&self, seconds: i64, with_api: bool) {
        self.host.simulator.clear_faults();
        if with_api {
            self.host.simulator.fault(Fault::new(FaultKind::DateShifted(seconds)));
        }
        self.clock.set(seconds);
        self.process.signal(Signal::HUP);
        self.host.until("the new time is seen", || {
            let at: jiff::Timestamp = self.host.status()["at"].as_str()?.parse().ok()?;
            let now = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
            (at.duration_since(now).unsigned_abs() < Duration::from_secs(5)).then_some(())
        });
    }

    /// Looks for so long, and the daemon has asked for nothing and used little time.
    #[track_caller]
    fn is_steady(&self, time: Duration) {
        let (before, begun) = (self.process.processor_time(), Instant::now());
        while begun.elapsed() < time {
            assert_eq!(self.host.submissions(), 5, "{:#}", self.host.status());
            std::thread::sleep(Duration::from_millis(200));
        }
        let used = self.process.processor_time() - before;
        assert!(used < time / 2, "{used:?} of {time:?} used");
    }

    fn all_are_valid(&self) {
        self.host.until("all are valid again", || {
            let status = self.host.status();
            (in_state(&status, "valid") == 5 && status["clock"]["state"] == "ok").then_some(())
        });
    }

    /// It is not stalled: a new certificate is asked for, once.
    fn goes_on(self) {
        self.host.entry("new", "");
        self.process.signal(Signal::HUP);
        self.host.wait_state("new", "valid");
        assert_eq!((self.host.submissions(), self.host.simulator.issued().len()), (6, 6));
        assert_eq!(self.process.end(Signal::TERM), Some(0));
    }
}

fn is_said_wrong(status: &Value) -> bool {
    let why = |found: &Value| found["reason"].as_str().is_some_and(|why| why.contains("clock"));
    status["clock"]["state"] == "wrong" && status["healthy"] == false
        || status["certificates"].as_array().is_some_and(|all| all.iter().all(why))
}

const TEN_YEARS: i64 = 3653 * 86_400;

#[test]
fn ten_years_forward_and_backward_reissue_nothing_and_heal() {
    for years in [TEN_YEARS, -TEN_YEARS] {
        let Some(site) = Site::new() else { return };
        site.jump(years, false);
        site.host.until("the clock is said to be wrong", || is_said_wrong(&site.host.status()).then_some(()));
        assert_eq!(site.host.says(&["status"]).code, 1);
        site.is_steady(Duration::from_secs(3));
        site.jump(0, false);
        site.all_are_valid();
        site.is_steady(Duration::from_secs(1));
        site.goes_on();
    }
}

#[test]
fn a_wrong_clock_at_the_start_reissues_nothing_and_heals() {
    for years in [TEN_YEARS, -TEN_YEARS] {
        let Some(mut site) = Site::new() else { return };
        assert_eq!(site.process.end(Signal::TERM), Some(0));
        site.clock.set(years);
        site.process = Process::start(&site.host, &site.clock.environment());
        site.host.until("the clock is said to be wrong", || is_said_wrong(&site.host.status()).then_some(()));
        site.is_steady(Duration::from_secs(3));
        site.jump(0, false);
        site.all_are_valid();
        site.goes_on();
    }
}

#[test]
fn a_suspend_reissues_nothing_and_what_became_due_is_done() {
    let Some(site) = Site::new() else { return };
    for hours in [8, 72] {
        site.jump(hours * 3600, true);
        site.all_are_valid();
        site.is_steady(Duration::from_secs(1));
    }
    // Beyond the renewal time of all: each is renewed once. The API signs by a clock that has not jumped.
    let longer = Duration::from_secs(175 * 86_400);
    site.host.simulator.change_profile(&site.host.profile, |profile| profile.lifetime = longer);
    site.jump(85 * 86_400, true);
    site.host.until("all are renewed", || {
        let status = site.host.status();
        let all = status["certificates"].as_array()?;
        all.iter().all(|found| found["generation"] == 2 && found["state"] == "valid").then_some(())
    });
    assert_eq!((site.host.submissions(), site.host.simulator.issued().len()), (10, 10));
}

#[test]
fn what_waits_for_its_turn_when_the_clock_jumps_is_decided_anew_at_once() {
    let host = Host::with_www();
    let Some(clock) = WallClock::new(&host) else { return };
    (1..30).for_each(|number| host.entry(&format!("site-{number}"), ""));
    // One a second, once the first twenty have left.
    host.configure("", "requests_per_minute = 60\nstatus_check_interval = \"off\"\n");
    let process = Process::start(&host, &clock.environment());
    host.until("the first have left", || (host.submissions() >= 18).then_some(()));
    let site = Site { host, clock, process };
    site.jump(2 * 3600, true);
    let host = &site.host;
    host.until("all are valid", || (in_state(&host.status(), "valid") == 30).then_some(()));
    let journal = host.read(&host.path("state/journal"));
    assert!(journal.contains("clock-set"), "{journal}");
    assert_eq!((host.submissions(), host.simulator.issued().len()), (30, 30));
    assert_eq!(site.process.end(Signal::TERM), Some(0));
}

#[test]
fn a_leap_second_is_nothing() {
    let Some(site) = Site::new() else { return };
    let asked = site.host.simulator.requests().len();
    for seconds in [1, 0, -1, 0] {
        site.clock.set(seconds);
        site.is_steady(Duration::from_secs(1));
        assert_eq!(site.host.status()["clock"]["state"], "ok");
    }
    assert_eq!(site.host.simulator.requests().len(), asked, "nobody is asked anything");
    assert!(!site.host.log().contains("the clock was set"), "{}", site.host.log());
    site.goes_on();
}
