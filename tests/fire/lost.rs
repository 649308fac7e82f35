//! Answers that never arrive although the API did what was asked: the connection is cut, the time is over, the process
//! is gone. One certificate is issued; where nobody may search, no more than the budget.

use std::time::Duration;

use rustix::process::Signal;

use crate::host::{BOUND, Host};
use crate::process::{Process, in_state};
use crate::simulator::{Endpoint, Fault, FaultKind, RetryAfter};
use crate::tools::WallClock;

/// What makes an answer get lost, while the daemon goes on.
const LOSSES: [FaultKind; 4] = [
    FaultKind::LostReply,
    FaultKind::CutOff,
    FaultKind::Truncated,
    // Longer than the time-out.
    FaultKind::LateReply(Duration::from_secs(4)),
];

fn host() -> Host {
    let host = Host::with_www();
    host.configure("", "timeout = \"1s\"\n");
    host
}

#[test]
fn an_answer_that_is_lost_on_the_way_costs_no_second_certificate() {
    for kind in LOSSES {
        let host = host();
        host.simulator.fault(Fault::new(kind.clone()).at(Endpoint::Issue).once());
        let process = Process::start(&host, &[]);
        host.wait_state("www", "valid");
        assert_eq!((host.submissions(), host.simulator.issued().len()), (1, 1), "{kind:?}");
        host.live_serial("www");
        assert_eq!(process.end(Signal::TERM), Some(0));
    }
}

#[test]
fn answers_lost_in_an_outage_cost_no_second_certificate() {
    let host = Host::with_www();
    let Some(clock) = WallClock::new(&host) else { return };
    host.configure("", "timeout = \"2s\"\nrequests_per_minute = 6000\n");
    (0..9).for_each(|number| host.entry(&format!("site-{number}"), ""));
    host.simulator.fault(Fault::new(FaultKind::LostReply).at(Endpoint::Issue).times(10));
    let process = Process::start(&host, &clock.environment());
    host.until("the API counts as gone", || (host.status()["api"]["state"] == "unreachable").then_some(()));
    let lost = host.submissions();
    assert!((2..=10).contains(&lost) && host.simulator.issued().len() == lost, "{lost} were lost");
    host.simulator.clear_faults();
    // Beyond the next trial, and beyond the ten minutes after which a request is repeated: looked up once more first.
    let later = 45 * 60;
    host.simulator.fault(Fault::new(FaultKind::DateShifted(later)));
    clock.set(later);
    process.signal(Signal::HUP);
    host.until("all are valid", || (in_state(&host.status(), "valid") == 10).then_some(()));
    assert_eq!((host.submissions(), host.simulator.issued().len()), (10, 10));
    assert_eq!(process.end(Signal::TERM), Some(0));
}

#[test]
fn a_kill_between_request_and_answer_costs_no_second_certificate() {
    let host = Host::with_www();
    // Again and again: each new certificate is asked for because the entry got one more name.
    for round in 1..=3 {
        let late = FaultKind::LateReply(Duration::from_secs(20));
        host.simulator.fault(Fault::new(late).at(Endpoint::Issue).once());
        let process = Process::start(&host, &[]);
        assert!(host.simulator.wait_for(|state| state.issued.len() == round, BOUND));
        assert_eq!(process.end(Signal::KILL), None);
        let process = Process::start(&host, &[]);
        let www = host.wait_state("www", "valid");
        assert_eq!((host.submissions(), host.simulator.issued().len()), (round, round));
        assert_eq!(www["generation"], round);
        host.live_serial("www");
        process.end(Signal::KILL);
        host.entry("www", &format!("dns_names = [\"www.example.com\", \"alt-{round}.example.com\"]\n"));
    }
}

#[test]
fn where_nobody_may_search_lost_answers_cost_no_more_than_the_budget() {
    let host = Host::with_www();
    let Some(clock) = WallClock::new(&host) else { return };
    let misbehave = |later: i64| {
        host.simulator.clear_faults();
        host.simulator.fault(Fault::new(FaultKind::DateShifted(later)));
        host.simulator.fault(Fault::new(FaultKind::Status(403, RetryAfter::Absent)).at(Endpoint::Search));
        if later < DAY {
            host.simulator.fault(Fault::new(FaultKind::LostReply).at(Endpoint::Issue));
        }
    };
    misbehave(0);
    let mut process = Process::start(&host, &clock.environment());
    let mut spent = 0;
    for round in 0..40 {
        host.until("the wait is said", || {
            let www = host.certificate("www");
            let is_spent = www["reason_code"] == "budget-spent";
            (host.submissions() > spent && www["reason_code"] == "answer-lost" || is_spent).then_some(())
        });
        spent = host.submissions();
        if host.certificate("www")["reason_code"] == "budget-spent" {
            break;
        }
        assert!(round < 20, "it goes on for ever: {spent} submissions");
        // Killed every other time, too: the budget holds across it.
        if round % 2 == 0 {
            assert_eq!(process.end(Signal::KILL), None);
            process = Process::start(&host, &clock.environment());
        }
        // Beyond every wait, and six of it are within a day.
        let later = (round + 1) * 7200;
        misbehave(later);
        clock.set(later);
        process.signal(Signal::HUP);
    }
    assert_eq!(spent, 6, "as many as `max_submissions_per_day` allows, and no more");
    let issued = host.simulator.issued();
    assert!(issued.iter().all(|record| record.spki == issued[0].spki), "the same key each time");
    let later = DAY + 14400;
    misbehave(later);
    clock.set(later);
    process.signal(Signal::HUP);
    host.wait_state("www", "valid");
    assert_eq!(host.submissions(), 7);
}

const DAY: i64 = 86_400;
