//! The API down, refusing, limiting, lying, silent: nothing is lost, nothing is asked for twice, and the status says
//! what is wrong.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::host::{BOUND, Host, ISSUE};
use crate::simulator::{ConnectProxy, Endpoint, Fault, FaultKind, ProxyFailure, RetryAfter};

#[test]
fn an_api_that_is_down_at_the_start_is_said_and_recovered_from() {
    let mut host = Host::with_www();
    host.simulator.stop();
    host.start();
    let www = host.wait_state("www", "failing");
    assert_eq!(www["last_error"]["code"], "api-unreachable");
    assert!(www["reason"].as_str().unwrap().contains("next attempt at"), "{www}");
    host.simulator.restart();
    host.signal(Signal::HUP);
    host.wait_state("www", "valid");
    assert_eq!(host.submissions(), 1);
}

#[test]
fn an_outage_in_the_middle_is_recovered_from_by_itself() {
    let mut host = Host::with_www();
    let unavailable = FaultKind::Status(503, RetryAfter::Seconds(0));
    host.simulator.fault(Fault::new(unavailable).at(Endpoint::Issue).once());
    host.start();
    let begun = Instant::now();
    assert!(host.simulator.wait_for(|state| state.count("POST", ISSUE) == 2, 3 * BOUND));
    // Whatever the answer says, no sooner than the ladder has it.
    assert!(begun.elapsed() >= Duration::from_secs(50), "{:?}", begun.elapsed());
    host.wait_state("www", "valid");
    assert_eq!(host.simulator.count("POST", ISSUE), 2);
}

#[test]
fn an_outage_costs_a_few_requests_however_many_are_due() {
    let mut host = Host::with_www();
    host.simulator.fault(Fault::new(FaultKind::Status(503, RetryAfter::Absent)).at(Endpoint::Issue));
    for number in 0..30 {
        host.entry(&format!("site-{number}"), "");
    }
    host.start();
    host.until("everybody knows", || {
        let status = host.status();
        let told = |found: &&serde_json::Value| found["reason"].as_str().is_some_and(|why| why.contains(" 503"));
        let count = status["certificates"].as_array()?.iter().filter(told).count();
        (count == 31).then_some(())
    });
    let status = host.status();
    assert_eq!(status["api"]["state"], "unreachable", "{status:#}");
    let sent = host.submissions();
    // Eight places, and who got one of a first failure before the second showed that it is the API.
    assert!((2..=12).contains(&sent), "{sent} submissions for 31 certificates: those under way when it showed");
}

/// What the API answers to the submission, the code under which it is told, and what the message names.
#[test]
fn each_failure_is_told_by_its_class_and_nothing_is_installed() {
    let table = [
        (FaultKind::Status(500, RetryAfter::Absent), "api-unavailable", "500"),
        (FaultKind::Status(502, RetryAfter::Absent), "api-unavailable", "502"),
        (FaultKind::Status(429, RetryAfter::Seconds(3000)), "api-rate-limited", "429"),
        (FaultKind::Status(429, RetryAfter::DateIn(3000)), "api-rate-limited", "429"),
        (FaultKind::Status(403, RetryAfter::Absent), "api-forbidden", "403"),
        (FaultKind::Status(400, RetryAfter::Absent), "request-refused", "400"),
        (FaultKind::Html, "api-bad-answer", "HTML"),
        (FaultKind::Redirect, "api-bad-answer", "redirect"),
    ];
    for (kind, code, named) in table {
        let host = Host::with_www();
        host.simulator.fault(Fault::new(kind.clone()).at(Endpoint::Issue));
        assert_eq!(host.says(&["once"]).code, 1, "{kind:?}");
        let www = host.certificate("www");
        assert_eq!(www["last_error"]["code"], code, "{kind:?}: {www}");
        let message = www["last_error"]["message"].as_str().unwrap();
        assert!(message.to_lowercase().contains(&named.to_lowercase()), "{kind:?}: {message}");
        assert!(!host.live("www").exists());
        let again = host.submissions();
        assert_eq!(host.says(&["once"]).code, 1);
        assert_eq!(host.submissions(), again, "{kind:?}: the back-off holds across a restart");
    }
}

#[test]
fn an_answer_that_is_lost_is_looked_up_and_costs_no_second_certificate() {
    for kind in [FaultKind::LostReply, FaultKind::CutOff, FaultKind::Truncated] {
        let host = Host::with_www();
        host.simulator.fault(Fault::new(kind.clone()).at(Endpoint::Issue).once());
        let said = host.says(&["once", "--wait", "20s"]);
        assert_eq!(said.code, 0, "{kind:?}: {}", said.err);
        assert_eq!((host.simulator.issued().len(), host.submissions()), (1, 1), "{kind:?}");
        host.live_serial("www");
    }
}

#[test]
fn a_stop_while_a_request_is_under_way_loses_nothing() {
    let mut host = Host::with_www();
    let late = FaultKind::LateReply(Duration::from_secs(20));
    host.simulator.fault(Fault::new(late).at(Endpoint::Issue).once());
    host.start();
    assert!(host.simulator.wait_for(|state| !state.issued.is_empty(), BOUND));
    let begun = Instant::now();
    assert_eq!(host.end(Signal::TERM), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let said = host.says(&["once", "--wait", "20s"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!((host.simulator.issued().len(), host.submissions()), (1, 1));
    host.live_serial("www");
}

#[test]
fn a_refused_key_is_unhealthy_and_a_second_key_takes_over() {
    let mut host = Host::with_www();
    let first = host.simulator.api_key();
    host.simulator.revoke_key(&first);
    host.start();
    host.until("the API is unauthorised", || (host.status()["api"]["state"] == "unauthorised").then_some(()));
    let said = host.says(&["status"]);
    assert_eq!(said.code, 1);
    assert!(said.out.contains("api-unauthorised"), "{}", said.out);
    host.end(Signal::TERM);
    let second = host.simulator.add_key();
    host.write("second-key", &second);
    let keys = ["api-key", "second-key"].map(|name| host.path(name));
    host.configure("", &format!("api_key_file = {keys:?}\n"));
    host.start();
    host.wait_state("www", "valid");
    assert_eq!(host.submissions(), 1);
}

#[test]
fn a_new_key_in_the_file_is_read_at_reload() {
    let mut host = Host::with_www();
    let first = host.simulator.api_key();
    host.simulator.revoke_key(&first);
    host.start();
    host.until("the API is unauthorised", || (host.status()["api"]["state"] == "unauthorised").then_some(()));
    host.write("api-key", &host.simulator.add_key());
    host.signal(Signal::HUP);
    host.wait_state("www", "valid");
}

#[test]
fn a_wrong_clock_stops_submissions_and_says_so() {
    let mut host = Host::with_www();
    host.simulator.fault(Fault::new(FaultKind::DateShifted(3600)));
    host.start();
    host.until("the clock is wrong", || (host.status()["clock"]["state"] == "wrong").then_some(()));
    let www = host.wait_state("www", "due");
    assert!(www["reason"].as_str().unwrap().contains("clock"), "{www}");
    assert_eq!((host.submissions(), host.says(&["status"]).code), (0, 1));
    let asks = || host.simulator.count("GET", "/account/api/v1/user/me");
    host.until("the end of the key is asked for", || (asks() == 1).then_some(()));
    // Nobody sets this host's clock, as it is right: the API is asked once more.
    host.simulator.clear_faults();
    host.wait_state("www", "valid");
    assert_eq!(host.status()["clock"]["state"], "ok");
}

#[test]
fn one_answer_with_a_wrong_date_ends_no_pass() {
    let host = Host::with_www();
    host.fault_once(FaultKind::DateShifted(3600));
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("this host's clock is wrong"), "{}", said.err);
    host.live_serial("www");
}

#[test]
fn the_proxy_is_used_and_named_when_it_fails() {
    let host = Host::with_www();
    let proxy = ConnectProxy::start(Some(("fleet", "s3cret-word")));
    host.configure("", &format!("proxy = {:?}\n", proxy.url()));
    assert_eq!(host.says(&["once"]).code, 1);
    let failing = host.certificate("www");
    assert!(failing["reason"].as_str().unwrap().contains("proxy"), "{failing}");
    host.write("proxy-credentials", "fleet:s3cret-word\n");
    let file = host.path("proxy-credentials");
    host.configure("", &format!("proxy = {:?}\nproxy_credentials_file = {file:?}\n", proxy.url()));
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    host.live_serial("www");
    proxy.fail(Some(ProxyFailure::Html));
    assert_eq!(host.says(&["renew", "www"]).code, 1);
    let failing = host.certificate("www");
    assert!(failing["last_error"]["message"].as_str().unwrap().contains("proxy"), "{failing}");
    assert!(!format!("{failing}").contains("s3cret-word"));
}
