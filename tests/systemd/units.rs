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

#[test]
fn every_service_of_renewds_user_is_exposed_less_than_two() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    for unit in loaded().iter().filter(|unit| !unit.contains("hook")) {
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
