//! A process that is stopped, and one that is killed: systemd starts it anew, and it goes on where it was.

use crate::host::{Host, RENEWD};
use crate::machine;

#[test]
fn a_process_that_hangs_is_killed_by_the_watchdog_and_started_anew() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    host.drop_in("WatchdogSec=40s\nRestartSec=1s");
    host.entry("www", "");
    host.start();
    host.wait_state("www", "valid");
    let pid = host.main_pid();
    host.sh(&format!("kill -STOP {pid}"));
    host.until("it is started anew", |_| (![0, pid].contains(&host.main_pid())).then_some(()));
    host.until("it is ready", |host| (host.property(RENEWD, "ActiveState") == "active").then_some(()));
    assert!(host.log(RENEWD).contains("Watchdog timeout"), "{}", host.log(RENEWD));
    assert_eq!(host.wait_state("www", "valid")["generation"], 1);
    assert_eq!(host.submissions(), 1);
}

#[test]
fn a_process_that_is_killed_is_started_anew() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    host.sh(&format!("kill -KILL {}", host.main_pid()));
    host.until("it is started anew", |host| {
        let of_unit = |property: &str| host.property(RENEWD, property);
        (of_unit("NRestarts") == "1" && of_unit("ActiveState") == "active").then_some(())
    });
    assert_eq!(host.wait_state("www", "valid")["generation"], 1);
    assert_eq!(host.submissions(), 1);
}
