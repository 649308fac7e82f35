//! A process that is stopped, and one that is killed: systemd starts it anew, and it goes on where it was.

use crate::host::{Host, RENEWD};
use crate::machine;

#[test]
fn a_process_that_hangs_is_killed_by_the_watchdog_and_started_anew() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    host.drop_in("WatchdogSec=6s\nRestartSec=1s");
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

/// As after a crash in the middle of an install: the service that reads the file finds it whole, with TLM out of reach.
#[test]
fn what_is_half_done_is_healed_before_the_services_start() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    let example = std::fs::read_to_string(crate::host::shipped("examples/fixed-targets.conf")).unwrap();
    for unit in ["renewd", "renewd-heal"] {
        host.write(&format!("/etc/systemd/system/{unit}.service.d/fixed-targets.conf"), 0o644, &example);
    }
    // Wanted, so that one transaction starts both, as at boot.
    let reads = "[Unit]\nWants=renewd-heal.service\n[Service]\nType=oneshot\nExecStart=/bin/cp /etc/ssl/www/www.pem /run/read\n";
    host.write("/etc/systemd/system/nginx.service", 0o644, reads);
    host.sh("systemctl daemon-reload && install -d -o renewd -g renewd -m 0755 /etc/ssl/www");
    host.entry("www", "[certificate.files]\nfullchain = \"/etc/ssl/www/www.pem\"");
    host.start();
    host.wait_state("www", "valid");
    host.sh("systemctl stop renewd tlm-sim && rm /etc/ssl/www/www.pem");
    host.sh("systemctl start nginx");
    assert_eq!(host.property("renewd-heal.service", "Result"), "success");
    host.sh("cmp /run/read /var/lib/renewd/certs/www/live/fullchain.pem");
}
