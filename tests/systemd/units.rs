//! The unit files as systemd reads them.

use std::fs;

use crate::host::{Host, UNITS, shipped};
use crate::machine;

/// The units as they are loaded, a template with an instance.
fn loaded() -> Vec<String> {
    UNITS.map(|unit| unit.replace("@.", "@second.")).to_vec()
}

#[test]
fn systemd_finds_nothing_to_say_of_any_unit() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    host.write("/etc/renewd/hooks/second", 0o755, "#!/bin/sh\n");
    for unit in loaded() {
        let said = host.run(&["systemd-analyze", "verify", "--man=no", &unit]);
        assert_eq!((said.code, said.out + &said.err), (0, String::new()), "{unit}");
    }
}

/// The examples, each where its comment says; the path unit works as it says.
#[test]
fn the_examples_are_good_and_the_one_without_polkit_works() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    for (example, place) in [
        ("fixed-targets.conf", "renewd.service.d/fixed-targets.conf"),
        ("fixed-targets.conf", "renewd-heal.service.d/fixed-targets.conf"),
        ("heal-instance.conf", "renewd-heal.service.d/cloud.conf"),
        ("renewd-touch.path", "renewd-touch.path"),
    ] {
        let text = fs::read_to_string(shipped("examples").join(example)).unwrap();
        host.write(&format!("/etc/systemd/system/{place}"), 0o644, &text);
    }
    let service = "[Service]\nType=oneshot\nExecStart=/usr/bin/touch /run/reloaded\n";
    host.write("/etc/systemd/system/renewd-touch.service", 0o644, service);
    host.sh("systemctl daemon-reload");
    for unit in ["renewd.service", "renewd-heal.service", "renewd-touch.path"] {
        let said = host.run(&["systemd-analyze", "verify", "--man=no", unit]);
        assert_eq!((said.code, said.out + &said.err), (0, String::new()), "{unit}");
    }
    host.configure("[hook.nginx]\ncommand = [\"/usr/bin/touch\", \"/run/renewd/nginx\"]\n");
    host.entry("www", "hooks = [\"nginx\"]");
    host.sh("systemctl start renewd-touch.path");
    host.start();
    host.until("the path unit saw it", |host| (host.run(&["test", "-e", "/run/reloaded"]).code == 0).then_some(()));
}

#[test]
fn every_service_of_renewds_user_is_exposed_less_than_two() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    // What runs as root is the operator's own program, and a timer runs nothing.
    let is_meant = |unit: &&String| !["hook", "alert", ".timer"].iter().any(|part| unit.contains(part));
    for unit in loaded().iter().filter(is_meant) {
        let said = host.run(&["systemd-analyze", "security", "--threshold=19", unit]);
        let figure = said.out.lines().last().unwrap_or_default();
        println!("{figure}");
        assert_eq!(said.code, 0, "{figure}{}", said.err);
    }
}

/// A line that the others of its kind lack: a section, a key, a value.
fn settings(unit: &str) -> Vec<String> {
    let text = fs::read_to_string(shipped(unit)).unwrap();
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn the_second_service_differs_in_its_paths_alone() {
    let of_template = |line: &String| {
        line.replace("/etc/renewd/%i/", "/etc/renewd/")
            .replace("--config /etc/renewd/renewd.toml ", "")
            .replace("renewd-%i", "renewd")
            .replace("=renewd/%i", "=renewd")
            .replace(" (%i)", "")
    };
    let second: Vec<String> = settings("renewd@.service").iter().map(of_template).collect();
    let mut first = settings("renewd.service");
    first.retain(|line| !line.contains("renewd-heal.service"));
    assert_eq!(second, first);
}

#[test]
fn healing_has_the_sandbox_of_the_service() {
    let heal = settings("renewd-heal.service");
    let of_service = settings("renewd.service");
    let begin = of_service.iter().position(|line| line.starts_with("ProtectSystem=")).unwrap();
    let end = of_service.iter().position(|line| line == "[Install]").unwrap();
    let network = "RestrictAddressFamilies=";
    let missing: Vec<&String> =
        of_service[begin..end].iter().filter(|line| !line.starts_with(network) && !heal.contains(line)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_line_of_the_service_has_its_reason() {
    let text = fs::read_to_string(shipped("renewd.service")).unwrap();
    let mut reason = false;
    let mut silent = Vec::new();
    for line in text.lines() {
        match line.chars().next() {
            Some('#') => reason = true,
            None => reason = false,
            _ if line.starts_with('[') || line.starts_with("Description=") || line.starts_with("Documentation=") => {}
            _ if !reason => silent.push(line),
            _ => {}
        }
    }
    assert!(silent.is_empty(), "{silent:?}");
}

/// Where nobody else looks: a healthy host alerts nobody; of one that is not, the journal has a line, or its own program knows.
#[test]
fn the_daily_look_alerts_where_something_is_wrong() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    host.sh("systemctl start renewd-status.timer renewd-status.service");
    host.write("/etc/renewd/certs.d/bad.toml", 0o644, "naem = 1\n");
    host.until("it is refused", |host| (host.run(&["renewd", "status"]).code == 1).then_some(()));
    assert_ne!(host.run(&["systemctl", "start", "renewd-status.service"]).code, 0);
    host.until("a line of the journal", |host| {
        let said = host.run(&["journalctl", "--no-pager", "-t", "renewd-alert", "-p", "alert"]).out;
        said.contains("renewd-status.service failed").then_some(())
    });
    host.write("/etc/renewd/hooks/alert", 0o755, "#!/bin/sh\necho \"$1\" > /run/alerted\n");
    assert_ne!(host.run(&["systemctl", "start", "renewd-status.service"]).code, 0);
    host.until("the program ran", |host| {
        (host.run(&["cat", "/run/alerted"]).out == "renewd-status.service\n").then_some(())
    });
}
