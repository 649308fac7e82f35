//! Requests that TLM approves later: one key, one request, however often the daemon ends meanwhile.

use rustix::process::Signal;

use crate::host::Host;
use crate::simulator::{Issuance, ProfileSpec};

fn waiting() -> Host {
    let issuance = Issuance::Pending { approve_after: None };
    let host = Host::new(ProfileSpec { issuance, ..ProfileSpec::default() });
    host.entry("www", "");
    host
}

#[test]
fn a_pending_request_survives_restarts_and_kills() {
    let mut host = waiting();
    host.start();
    let before = host.wait_state("www", "pending");
    assert_eq!(host.says(&["status"]).code, 0, "pending is healthy");
    assert_eq!(host.end(Signal::TERM), Some(0));
    host.start();
    assert_eq!(host.end(Signal::KILL), None);
    let id = host.simulator.pending().pop().unwrap();
    assert_eq!(before["request_id"], id);
    assert!(host.simulator.approve(&id));
    let said = host.says(&["once", "--wait", "60s"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!((host.submissions(), host.simulator.issued().len()), (1, 1));
    assert_eq!(host.live_serial("www"), host.simulator.issued()[0].serial);
    let left: Vec<_> = std::fs::read_dir(host.path("state/pending/www")).into_iter().flatten().collect();
    assert!(left.is_empty(), "the key is kept in the generation alone: {left:?}");
}

#[test]
fn once_ends_with_1_while_a_request_is_pending_and_waits_if_told_to() {
    let host = waiting();
    let said = host.says(&["once"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("www: pending: request "), "{}", said.err);
    let id = host.simulator.pending().pop().unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| host.says(&["once", "--wait", "60s"]));
        assert!(
            host.simulator
                .wait_for(|state| state.count("POST", "/mpki/api/v1/certificate-pickup") > 0, crate::host::BOUND)
        );
        assert!(host.simulator.approve(&id));
        assert_eq!(waits.join().unwrap().code, 0);
    });
    assert_eq!(host.submissions(), 1);
}

#[test]
fn a_rejected_request_stops_until_the_operator_says_so() {
    let mut host = waiting();
    host.simulator.change_variants(|variants| variants.pickup_has_companions = true);
    host.says(&["once"]);
    let id = host.simulator.pending().pop().unwrap();
    assert!(host.simulator.reject(&id, "wrong department"));
    assert_eq!(host.says(&["once", "--wait", "60s"]).code, 1);
    host.start();
    let www = host.wait_state("www", "rejected");
    assert!(www["reason"].as_str().unwrap().contains("wrong department"), "{www}");
    assert_eq!(host.says(&["status"]).code, 1);
    assert_eq!(host.submissions(), 1);
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    host.wait_state("www", "pending");
    assert_eq!(host.submissions(), 2);
}

#[test]
fn an_entry_that_changes_while_pending_gets_a_new_request_and_never_the_old_answer() {
    let host = waiting();
    host.says(&["once"]);
    let old = host.simulator.pending().pop().unwrap();
    host.entry("www", "dns_names = [\"www.example.com\", \"new.example.com\"]\n");
    host.says(&["once"]);
    assert!(host.simulator.approve(&old));
    let new = host.simulator.pending().pop().unwrap();
    assert!(host.simulator.approve(&new));
    assert_eq!(host.says(&["once", "--wait", "60s"]).code, 0);
    let serial = host.live_serial("www");
    let issued = host.simulator.issued();
    let installed = issued.iter().find(|record| record.serial == serial).unwrap();
    assert!(format!("{:?}", installed.names).contains("new.example.com"), "{installed:?}");
}
