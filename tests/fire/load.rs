//! An API that is slow, refuses, floods or never answers: memory and processor time stay small, whatever needs no API
//! goes on, what others need of it too, and all is well when it answers again.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::host::{BOUND, Host, ISSUE};
use crate::hostile::{Harm, Hostile};
use crate::process::{Process, in_state};
use crate::simulator::{Endpoint, Fault, FaultKind, RetryAfter};
use crate::tools::WallClock;

/// The time-out of a request to a hostile server.
const TIMEOUT: Duration = Duration::from_secs(2);
const CERTIFICATES: usize = 700;
/// How many requests may be under way.
const AT_ONCE: usize = 100;
/// In KiB.
const MOST_MEMORY: u64 = 64 << 10;

/// The most memory that a process ever had, in KiB.
fn peak_memory(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[track_caller]
fn is_modest(what: &str, process: &Process, begun: Instant, reading: Duration) {
    let (memory, used, time) = (peak_memory(process), process.processor_time(), begun.elapsed());
    println!("{what}: {} MiB at most, {used:?} of {time:?} used", memory >> 10);
    assert!(memory < MOST_MEMORY, "{what}: {memory} KiB");
    assert!(used < Duration::from_secs(1) + time / 4 + reading, "{what}: {used:?} of {time:?} used");
}

fn all_valid(host: &Host, count: usize) {
    host.until("all are valid", || (in_state(&host.status(), "valid") == count).then_some(()));
}

#[test]
fn a_hostile_server_costs_little_and_nothing_else() {
    for harm in Harm::ALL {
        let host = Host::with_www();
        host.configure("", &format!("timeout = \"{}s\"\n", TIMEOUT.as_secs()));
        let hostile = Hostile::start(host.simulator.port(), harm);
        let config = host.read(&host.path("renewd.toml"));
        host.write("renewd.toml", &config.replace(&host.simulator.url(), &hostile.url()));
        assert_eq!(host.says(&["once"]).code, 0);
        let serial = host.live_serial("www");
        hostile.begin();
        host.entry("new", "");
        let begun = Instant::now();
        let process = Process::start(&host, &[]);
        let why = host.until("it is said", || {
            Some(host.certificate("new")["reason"].as_str()?.to_owned()).filter(|why| why.contains("(api-"))
        });
        println!("{harm:?}: {why}");
        assert!(why.contains("next attempt at"), "{harm:?}: {why}");
        // What needs no API is done meanwhile.
        fs::remove_file(host.live("www").join("chain.pem")).unwrap();
        process.signal(Signal::HUP);
        host.until("the file is put back", || host.live("www").join("chain.pem").exists().then_some(()));
        assert_eq!(host.certificate("www")["state"], "valid", "{harm:?}");
        assert_eq!(host.live_serial("www"), serial);
        let met = hostile.met();
        assert!((1..30).contains(&met), "{harm:?}: {met} connections");
        // What is sent without end is read as fast as it comes, until the time-out of each request.
        let reading =
            if matches!(harm, Harm::Interim) { TIMEOUT * u32::try_from(met).unwrap() } else { Duration::ZERO };
        is_modest(&format!("{harm:?}, {met} connections"), &process, begun, reading);
        hostile.end();
        host.until("new is valid", || {
            // A trial that is still under way may meet the end of the hostile server.
            process.signal(Signal::HUP);
            std::thread::sleep(Duration::from_millis(500));
            (host.certificate("new")["state"] == "valid").then_some(())
        });
        assert_eq!(host.simulator.issued().len(), 2);
        assert_eq!(process.end(Signal::TERM), Some(0));
    }
}

#[test]
fn one_answer_of_a_gigabyte_and_one_that_never_comes_hold_back_nobody_else() {
    for kind in [FaultKind::Oversized(1024), FaultKind::Latency(Duration::from_secs(600))] {
        let host = Host::with_www();
        host.configure("", "timeout = \"20s\"\nrequests_per_minute = 6000\n");
        host.simulator.fault(Fault::new(kind.clone()).at(Endpoint::Issue).once());
        let begun = Instant::now();
        (0..9).for_each(|number| host.entry(&format!("site-{number}"), ""));
        let process = Process::start(&host, &[]);
        host.until("all others are valid", || (in_state(&host.status(), "valid") >= 9).then_some(()));
        assert!(begun.elapsed() < Duration::from_secs(20), "they waited for it: {:?}", begun.elapsed());
        if kind == FaultKind::Oversized(1024) {
            // Looked up, for it was issued.
            all_valid(&host, 10);
            assert_eq!((host.submissions(), host.simulator.issued().len()), (10, 10));
        }
        is_modest(&format!("{kind:?}"), &process, begun, Duration::ZERO);
        assert_eq!(process.end(Signal::TERM), Some(0));
    }
}

#[test]
fn a_slow_api_is_waited_for() {
    let host = Host::with_www();
    host.configure("", "timeout = \"5s\"\nmax_concurrent_requests = 8\n");
    // A tenth of half a minute each.
    host.simulator.fault(Fault::new(FaultKind::Latency(Duration::from_secs(3))));
    (0..19).for_each(|number| host.entry(&format!("site-{number:02}"), ""));
    let begun = Instant::now();
    let process = Process::start(&host, &[]);
    all_valid(&host, 20);
    assert_eq!((host.submissions(), host.simulator.issued().len()), (20, 20));
    is_modest("a slow API", &process, begun, Duration::ZERO);
    assert_eq!(process.end(Signal::TERM), Some(0));
}

#[test]
fn refusals_for_the_rate_are_few_and_end_in_certificates() {
    let host = Host::with_www();
    let Some(clock) = WallClock::new(&host) else { return };
    host.configure("", &format!("requests_per_minute = 100000\nmax_concurrent_requests = {AT_ONCE}\n"));
    (1..CERTIFICATES).for_each(|number| host.entry(&format!("site-{number:04}"), ""));
    // Whoever asks is told to come back at once, and refused again.
    host.simulator.fault(Fault::new(FaultKind::Status(429, RetryAfter::Seconds(0))).at(Endpoint::Issue));
    let begun = Instant::now();
    let process = Process::start(&host, &clock.environment());
    assert!(host.simulator.wait_for(|state| state.count("POST", ISSUE) > 0, 2 * BOUND));
    std::thread::sleep(Duration::from_secs(2));
    let (refused, before) = (host.submissions(), process.processor_time());
    std::thread::sleep(Duration::from_secs(3));
    let (later, used, memory) = (host.submissions(), process.processor_time() - before, peak_memory(&process));
    println!("{later} refusals, {} MiB at most, then {used:?} in three seconds", memory >> 10);
    assert!(memory < MOST_MEMORY, "{memory} KiB");
    // Those under way when the first refusal came; after that one a minute, whatever was said.
    let minutes = usize::try_from(begun.elapsed().as_secs() / 60).unwrap();
    assert!(later <= AT_ONCE * (1 + minutes), "{later} in {:?}", begun.elapsed());
    assert!(later > refused || used < Duration::from_secs(1), "{used:?}");
    host.simulator.clear_faults();
    clock.set(120);
    process.signal(Signal::HUP);
    host.until("certificates come", || (in_state(&host.status(), "valid") > 100).then_some(()));
    assert_eq!(process.end(Signal::TERM), Some(0));
}
