//! The handle: outage, keys, records, waiting, and an end that does not hang.

use std::thread;
use std::time::{Duration, Instant};

use crate::caller::{Caller, ISSUE};
use crate::simulator::{Access, Options, ProfileSpec, Simulator};

const LIST: &str = "/mpki/api/v2/profile";

#[test]
fn an_outage_keeps_the_state() {
    let mut caller = Caller::new(ProfileSpec::default());
    let serial = caller.issued();
    caller.simulator.stop();
    // The first one may go out on the connection that was cut.
    assert!(caller.send(caller.keyed("GET", LIST)).is_err());
    assert!(caller.send(caller.keyed("GET", LIST)).unwrap_err().is_connect());
    caller.simulator.restart();
    assert_eq!(caller.get(&format!("{ISSUE}/{serial}")).status, 200);
}

#[test]
fn keys_are_added_revoked_and_restored() {
    let caller = Caller::new(ProfileSpec::default());
    let (first, second) = (caller.simulator.api_key(), caller.simulator.add_key());
    let (head, tail) = second.split_once('_').unwrap();
    assert_eq!((head.len(), tail.len()), (26, 64));
    let status = |key: &str| caller.send(caller.bare("GET", LIST).header("X-API-Key", key)).unwrap().status;
    caller.simulator.revoke_key(&first);
    assert_eq!((status(&first), status(&second)), (401, 200));
    caller.simulator.restore_key(&first);
    assert_eq!(status(&first), 200);
}

#[test]
fn a_client_certificate_stands_in_for_the_key() {
    let caller = Caller::new(ProfileSpec::default());
    caller.simulator.require(Access::ClientCertificate);
    assert_eq!(caller.get(LIST).status, 401);
    let caller = caller.identified();
    assert_eq!(caller.send(caller.bare("GET", LIST)).unwrap().status, 200);
}

#[test]
fn calls_are_recorded() {
    let caller = Caller::new(ProfileSpec::default());
    caller.issued();
    caller.get("/mpki/api/v2/profile?limit=5");
    let [issue, list] = caller.simulator.requests().try_into().unwrap();
    assert_eq!((issue.method.as_str(), issue.path.as_str(), issue.status), ("POST", ISSUE, 201));
    assert_eq!(issue.body["profile"]["id"], caller.profile.as_str());
    assert_eq!((list.query.as_str(), list.body.is_null()), ("limit=5", true));
    assert_eq!((caller.simulator.count("POST", ISSUE), caller.simulator.count("GET", ISSUE)), (1, 0));
    caller.simulator.clear_requests();
    assert_eq!(caller.simulator.requests().len(), 0);
}

#[test]
fn a_condition_is_waited_for_with_a_bound() {
    let caller = Caller::new(ProfileSpec::default());
    thread::scope(|scope| {
        let simulator = &caller.simulator;
        let waiter = scope.spawn(|| simulator.wait_for(|state| state.issued.len() == 1, Duration::from_secs(20)));
        caller.issued();
        assert!(waiter.join().unwrap());
    });
    assert!(!caller.simulator.wait_for(|state| state.issued.len() == 2, Duration::from_millis(20)));
}

#[test]
fn the_end_does_not_wait_for_clients() {
    let simulator = Simulator::start(Options::default());
    let idle = std::net::TcpStream::connect(("127.0.0.1", simulator.port())).unwrap();
    let started = Instant::now();
    drop(simulator);
    assert!(started.elapsed() < Duration::from_secs(2));
    drop(idle);
}
