//! `renewd deploy`: hooks and probe of what is installed, without a request; and that it, `renew` and `rollback` wait for what
//! they began and end with the truth.

use std::fs;
use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::Value;

use crate::host::{Host, Said};
use crate::simulator::{Endpoint, Fault, FaultKind, RetryAfter};

const HOOKS: &str = "hooks = [\"tell\"]\n";

/// With a hook that notes its runs, and fails while there is a file `broken`.
fn with_hook(more: &str) -> Host {
    let host = Host::with_www();
    let folder = host.path("").display().to_string();
    let script = format!("echo ran >> {folder}runs; test ! -e {folder}broken");
    host.configure(&format!("[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n"), "");
    host.entry("www", &format!("{HOOKS}{more}"));
    host
}

fn runs(host: &Host) -> usize {
    fs::read_to_string(host.path("runs")).unwrap_or_default().lines().count()
}

#[track_caller]
fn has(said: &Said, code: i32, parts: &[&str]) {
    assert_eq!(said.code, code, "{said:?}");
    assert!(parts.iter().all(|part| said.out.contains(part)), "{parts:?}: {said:?}");
}

#[test]
fn hooks_run_now_and_nothing_is_requested() {
    for is_up in [true, false] {
        let mut host = with_hook("");
        if is_up {
            host.start();
            host.wait_state("www", "valid");
        } else {
            assert_eq!(host.says(&["once"]).code, 0);
        }
        let asked = || host.simulator.requests().iter().filter(|call| call.method != "GET").count();
        let (before, serial) = (asked(), host.live_serial("www"));
        let said = host.says(&["deploy", "www"]);
        has(&said, 0, &["www: deployed"]);
        if is_up {
            has(&said, 0, &["www: hook tell ran for generation 1"]);
        }
        assert_eq!((runs(&host), asked()), (2, before), "{said:?}");
        fs::write(host.path("broken"), "").unwrap();
        let said = host.says(&["deploy", "www"]);
        has(&said, 1, &["hook tell", "fix: ", "renewd explain hook-failed"]);
        fs::remove_file(host.path("broken")).unwrap();
        // What had failed waits for no ladder.
        has(&host.says(&["deploy", "www"]), 0, &["www: deployed"]);
        let json: Value = serde_json::from_str(&host.says(&["deploy", "www", "--json"]).out).unwrap();
        assert_eq!(json["certificates"][0]["outcome"], "deployed", "{json:#}");
        assert_eq!((host.live_serial("www"), asked()), (serial, before));
        let history = host.says(&["history", "www"]).out;
        assert!(
            history.contains("deploy-asked") && history.contains("an operator requested that generation 1"),
            "{history}"
        );
    }
}

/// A certificate that is due, with an API that is gone, is deployed all the same.
#[test]
fn an_api_that_is_gone_keeps_nobody_from_deploying() {
    for is_up in [true, false] {
        let mut host = with_hook("");
        assert_eq!(host.says(&["once"]).code, 0);
        host.entry("www", &format!("{HOOKS}dns_names = [\"www.example.com\", \"new.example.com\"]\n"));
        host.simulator.stop();
        if is_up {
            host.start();
            host.wait_state("www", "failing");
        }
        has(&host.says(&["deploy", "www"]), 0, &["www: deployed"]);
        assert_eq!(runs(&host), 2);
    }
}

#[test]
fn what_cannot_be_deployed_is_said() {
    let mut host = Host::with_www();
    host.simulator.fault(Fault::new(FaultKind::Status(503, RetryAfter::Absent)).at(Endpoint::Profile));
    let refused = |host: &Host, name: &str, why: &str| {
        let said = host.says(&["deploy", name]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains(why), "{said:?}");
    };
    refused(&host, "www", "www: no certificate is installed yet");
    refused(&host, "nosuch", "no certificate named \"nosuch\"");
    host.start();
    host.wait_state("www", "failing");
    refused(&host, "www", "www: no certificate is installed yet; `renewd status www` says what it waits for");
    refused(&host, "nosuch", "no certificate named \"nosuch\"");
}

/// Nobody listens there.
fn dead_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn a_probe_that_does_not_see_it_is_the_truth() {
    let mut host = with_hook(&format!("probe = \"{}\"\n", dead_address()));
    host.start();
    host.until("the hook ran", || (runs(&host) == 1).then_some(()));
    host.until("it was probed", || host.certificate("www")["probe"].is_object().then_some(()));
    has(&host.says(&["deploy", "www"]), 1, &["not served: ", "renewd explain not-served"]);
    host.end(Signal::TERM);
    has(&host.says(&["deploy", "www"]), 1, &["not served since", "renewd explain not-served"]);
}

/// One way for all three: the steps, the hook's failure as the end, and at once where nobody waits.
#[test]
fn renew_and_rollback_wait_for_the_hooks_and_end_with_the_truth() {
    let mut host = with_hook("");
    host.start();
    host.wait_state("www", "valid");
    has(
        &host.says(&["renew", "www"]),
        0,
        &["www: TLM issued", "www: generation 2 is live", "www: hook tell ran", "www: replaced"],
    );
    has(&host.says(&["rollback", "www"]), 0, &["generation 1 is live again", "www: hook tell ran", "www: deployed"]);
    assert_eq!(runs(&host), 3);
    fs::write(host.path("broken"), "").unwrap();
    has(&host.says(&["renew", "www"]), 1, &["www: generation 3 is live", "hook", "renewd explain hook-failed"]);
    has(&host.says(&["rollback", "www"]), 1, &["is live again", "hook tell", "renewd explain hook-failed"]);
    has(&host.says(&["renew", "www", "--no-wait"]), 0, &["replacing 1 certificate now"]);
    host.until("the daemon did it", || (host.certificate("www")["generation"] == 4).then_some(()));
    fs::remove_file(host.path("broken")).unwrap();
    has(&host.says(&["deploy", "www", "--no-wait"]), 0, &["deploying 1 certificate again"]);
    host.wait_state("www", "valid");
    has(&host.says(&["rollback", "www", "--no-wait"]), 0, &["is live again"]);
    host.end(Signal::TERM);
    fs::write(host.path("broken"), "").unwrap();
    has(&host.says(&["renew", "www"]), 1, &["hook"]);
    has(&host.says(&["rollback", "www"]), 1, &["hook tell", "renewd explain hook-failed"]);
}

/// The set was in use before: what a hook says now takes it back no more.
#[test]
fn a_hook_that_fails_in_a_deploy_takes_no_set_back() {
    let mut host = with_hook("rollback = true\n");
    host.start();
    host.wait_state("www", "valid");
    has(&host.says(&["renew", "www"]), 0, &["www: replaced"]);
    fs::write(host.path("broken"), "").unwrap();
    has(&host.says(&["deploy", "www"]), 1, &["hook tell"]);
    let www = host.certificate("www");
    assert_eq!((&www["generation"], &www["hooks"][0]["state"]), (&2.into(), &"failing".into()), "{www:#}");
}
