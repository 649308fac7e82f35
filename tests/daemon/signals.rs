//! Signals that are meant for another program, or come before anybody hears them, end nothing.

use std::process::Command;

use rustix::process::Signal;

use crate::host::Host;

#[test]
fn signals_that_mean_nothing_to_it_end_nothing() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    let pid = host.pid();
    for signal in [
        Signal::USR1,
        Signal::USR2,
        Signal::PIPE,
        Signal::ALARM,
        Signal::VTALARM,
        Signal::PROF,
        Signal::IO,
        Signal::WINCH,
        Signal::URG,
        Signal::CHILD,
        Signal::CONT,
        Signal::XFSZ,
        Signal::STKFLT,
        Signal::POWER,
    ] {
        host.signal(signal);
    }
    // The real-time ones, of which the C library keeps the first two for itself.
    let real_time = format!("for signal in $(seq 34 64); do kill -$signal {pid} || exit; done");
    assert!(Command::new("sh").args(["-c", &real_time]).status().unwrap().success());
    host.entry("two", "");
    host.wait_state("two", "valid");
    assert_eq!(host.pid(), pid);
    assert!(!host.log().contains("reloading"), "{}", host.log());
    assert_eq!(host.end(Signal::TERM), Some(0));
}

/// As soon as the lock is there: the daemon reads and heals, and hears orders only after that.
#[test]
fn a_reload_that_comes_too_early_is_done_and_ends_nothing() {
    for _ in 0..5 {
        let mut host = Host::with_www();
        host.start_unanswered();
        let caught = || {
            let status = std::fs::read_to_string(format!("/proc/{}/status", host.pid())).unwrap_or_default();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim().to_owned();
            (u64::from_str_radix(&mask, 16).ok()? & 1 != 0).then_some(())
        };
        host.until("it hears", caught);
        host.signal(Signal::HUP);
        host.until("it reloads", || host.log().contains("reloading").then_some(()));
        host.wait_state("www", "valid");
        assert_eq!(host.end(Signal::TERM), Some(0));
    }
}
