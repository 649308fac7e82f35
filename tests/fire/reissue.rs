//! A mass revocation: `renewd renew --all --reissue`, and the process killed again and again while it goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use rustix::process::Signal;

use crate::host::Host;
use crate::process::{Process, in_state};
use crate::simulator::{Endpoint, Fault, FaultKind};
use crate::tools::WallClock;

const CERTIFICATES: usize = 16;

/// Whether each certificate is replaced, or its lost answer looked up in vain.
fn settled(host: &Host, lost_too: bool) -> Option<()> {
    let status = host.status();
    let all = status["certificates"].as_array()?;
    let is_settled = |found: &serde_json::Value| {
        let is_replaced = found["generation"] == 2 && found["state"] == "valid";
        is_replaced || lost_too && found["reason_code"] == "answer-lost"
    };
    (all.len() == CERTIFICATES && all.iter().all(is_settled)).then_some(())
}

#[test]
fn a_reissue_of_all_goes_on_after_each_kill_and_replaces_each_once() {
    let host = Host::with_www();
    let Some(clock) = WallClock::new(&host) else { return };
    host.configure("", "requests_per_minute = 100000\nmax_concurrent_requests = 3\n");
    (1..CERTIFICATES).for_each(|number| host.entry(&format!("site-{number:02}"), ""));
    let process = Process::start(&host, &clock.environment());
    host.until("all are valid", || (in_state(&host.status(), "valid") == CERTIFICATES).then_some(()));
    // What is asked for is done at once, and told late: whoever is killed then has lost an answer.
    let slowly = |ahead: i64| {
        host.simulator.clear_faults();
        host.simulator.fault(Fault::new(FaultKind::DateShifted(ahead)));
        host.simulator.fault(Fault::new(FaultKind::LateReply(Duration::from_millis(300))).at(Endpoint::Issue));
    };
    slowly(0);
    // The command only watches what comes of its word: the daemon has it in its journal.
    let mut command = host.begin(&["renew", "--all", "--reissue"]);
    let mut killed = process;
    for share in [CERTIFICATES + 3, CERTIFICATES + 8, CERTIFICATES + 12] {
        host.until("some are replaced", || (host.submissions() >= share).then_some(()));
        assert_eq!(killed.end(Signal::KILL), None);
        assert!(host.submissions() < 2 * CERTIFICATES, "killed too late to show anything");
        killed = Process::start(&host, &clock.environment());
    }
    command.kill().unwrap();
    command.wait().unwrap();
    host.until("all are replaced, or looked up in vain", || settled(&host, true));
    // Beyond the ten minutes after which a request that never left is repeated.
    slowly(660);
    clock.set(660);
    killed.signal(Signal::HUP);
    host.until("all are replaced", || settled(&host, false));
    let mut issued: BTreeMap<String, usize> = BTreeMap::new();
    for record in host.simulator.issued() {
        *issued.entry(record.common_name).or_default() += 1;
    }
    assert!(issued.values().all(|times| *times == 2), "each was replaced once: {issued:?}");
    assert_eq!(issued.len(), CERTIFICATES);
    assert_eq!(killed.end(Signal::TERM), Some(0));
}
