//! `max_concurrent_requests` and `requests_per_minute`, as TLM sees them.
//!
//! A request is under way at TLM at least from its arrival until the delay of its answer is over, so what overlaps there
//! is no more than what truly does. A request may arrive late, but never before it was sent: what is counted from an
//! instant before the first one was sent holds however slow the machine is.

use std::thread;
use std::time::{Duration, SystemTime};

use rustix::process::Signal;

use crate::host::Host;
use crate::simulator::{Fault, FaultKind, ProfileSpec, Recorded};

const DELAY: Duration = Duration::from_millis(700);

/// The most that were under way at once.
fn most_at_once(calls: &[Recorded]) -> usize {
    let under_way = |at: SystemTime| move |call: &&Recorded| call.at <= at && at < call.at + DELAY;
    calls.iter().map(|call| calls.iter().filter(under_way(call.at)).count()).max().unwrap()
}

/// Two rounds of requests with every place taken: certificates that are missing may have all of them, those that are
/// replaced before their time not the two that are kept.
fn all_places_are_used_and_no_more(limit: usize, relaxed: usize) {
    let mut host = Host::with_www();
    let names: Vec<String> = (1..2 * limit).map(|number| format!("site-{number}")).collect();
    names.iter().for_each(|name| host.entry(name, ""));
    host.configure("", &format!("requests_per_minute = 100000\nmax_concurrent_requests = {limit}\n"));
    host.simulator.fault(Fault::new(FaultKind::LateReply(DELAY)));
    host.start();
    host.until("all are valid", || (all_valid(&host) == 2 * limit).then_some(()));
    assert_eq!(host.submissions(), 2 * limit);
    assert_eq!(most_at_once(&host.simulator.requests()), limit, "missing, with {limit} places");
    host.simulator.clear_requests();
    let names: Vec<&str> = ["renew", "www"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let said = host.says(&names);
    assert_eq!((said.code, host.submissions()), (0, 2 * limit), "{}", said.err);
    assert_eq!(most_at_once(&host.simulator.requests()), relaxed, "replaced, with {limit} places");
}

fn all_valid(host: &Host) -> usize {
    let status = host.status();
    let all = status["certificates"].as_array().cloned().unwrap_or_default();
    all.iter().filter(|certificate| certificate["state"] == "valid").count()
}

#[test]
fn as_many_requests_are_under_way_at_once_as_are_allowed() {
    thread::scope(|scope| {
        let cases = [(1, 1), (2, 2), (5, 3)];
        let cases = cases.map(|(limit, relaxed)| scope.spawn(move || all_places_are_used_and_no_more(limit, relaxed)));
        cases.into_iter().for_each(|case| case.join().unwrap());
    });
}

#[test]
fn the_reading_of_profiles_takes_places_too() {
    const PROFILES: usize = 5;
    let mut host = Host::with_www();
    for number in 1..PROFILES {
        let profile =
            host.simulator.add_profile(ProfileSpec { name: format!("Profile {number}"), ..ProfileSpec::default() });
        host.entry(&format!("site-{number}"), &format!("profile = {profile:?}\n"));
    }
    host.configure("", "requests_per_minute = 100000\nmax_concurrent_requests = 2\n");
    host.simulator.fault(Fault::new(FaultKind::LateReply(DELAY)));
    host.start();
    host.until("all are valid", || (all_valid(&host) == PROFILES).then_some(()));
    let calls = host.simulator.requests();
    let readings = calls.iter().filter(|call| call.path.contains("/profile")).count();
    assert_eq!((readings, most_at_once(&calls)), (PROFILES, 2));
}

#[test]
fn requests_keep_to_one_burst_and_then_to_their_pace() {
    const DUE: u32 = 40;
    const BURST: u32 = 20;
    const PLACES: u32 = 3;
    /// As many as hold places.
    const LATE: u32 = PLACES;
    const INTERVAL: Duration = Duration::from_millis(200);
    /// The daemon's clock counts milliseconds.
    const TICK: Duration = Duration::from_millis(2);
    let mut host = Host::with_www();
    host.configure("", &format!("requests_per_minute = 300\nmax_concurrent_requests = {PLACES}\n"));
    host.start();
    host.wait_state("www", "valid");
    host.until("nothing else is to be asked", || (host.simulator.count("GET", "/account") == 1).then_some(()));
    host.simulator.clear_requests();
    let begun = SystemTime::now();
    (0..DUE).for_each(|number| host.entry(&format!("site-{number:02}"), ""));
    host.signal(Signal::HUP);
    host.until("all are asked for", || (host.submissions() == DUE as usize).then_some(()));
    let mut arrived: Vec<SystemTime> = host.simulator.requests().into_iter().map(|call| call.at).collect();
    arrived.sort();
    // Counted from one, the first that the burst does not cover waits one interval, the next two.
    for (number, at) in (1_u32..).zip(&arrived) {
        let waited = INTERVAL * number.saturating_sub(BURST);
        assert!(*at + TICK >= begun + waited, "request {number} came {:?} after the first was due", since(*at, begun));
    }
    // In a window that begins later, those count as well that had been sent before it and were late.
    for (first, from) in (1_u32..).zip(&arrived) {
        for (last, until) in (first..).zip(&arrived[first as usize - 1..]) {
            let waited = INTERVAL * (last - first + 1).saturating_sub(BURST + LATE);
            let window = since(*until, *from);
            assert!(window + TICK >= waited, "requests {first} to {last} came within {window:?}");
        }
    }
}

fn since(later: SystemTime, earlier: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap()
}
