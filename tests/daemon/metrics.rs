//! The metrics by listener and text file: every one that the contract names, and what happens when they cannot be shown.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;

use crate::files::Targets;
use crate::host::Host;
use crate::promtool::promtool;

fn ask(address: SocketAddr, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

pub(crate) fn scrape(address: SocketAddr) -> Option<String> {
    ask(address, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").filter(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// The metrics with the names of their labels, sorted.
fn names(text: &str) -> BTreeSet<String> {
    let name = |line: &str| {
        let (name, labels) = line.split_once(['{', ' ']).unwrap();
        let labels = if line.contains('{') { labels.split_once('}').unwrap().0 } else { "" };
        // Values may hold commas, keys no quotes.
        let keys: Vec<&str> = labels.split('"').step_by(2).map(|key| key.trim_matches([',', '='])).collect();
        let keys: Vec<&str> = keys.into_iter().filter(|key| !key.is_empty()).collect();
        format!("{name}{{{}}}", keys.join(","))
    };
    text.lines().filter(|line| line.starts_with("renewd_")).map(name).collect()
}

fn check_info(answer: &str) {
    let info = answer.lines().find(|line| line.starts_with("renewd_certificate_info{")).unwrap();
    let issuer = "issuer=\"CN=Simulated Issuing CA, O=Simulated Trust AG, C=CH\"";
    assert!(info.contains(issuer) && info.contains("key=\"ecdsa-p256\"") && info.ends_with(" 1"), "{info}");
}

/// renewd-metrics(7) has each metric that is shown, and no other.
fn check_manual(wanted: &[&str]) {
    let page = include_str!("../../src/cli/pages/renewd-metrics.7.md");
    for name in wanted {
        let name = name.split('{').next().unwrap();
        let told = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(page.contains(&format!("`{told}")), "{told} is not in renewd-metrics(7)");
    }
    // Not known here: no CA names a list, nothing is probed, nobody is told, no test fails, and the credential does not tell its end.
    let unseen = [
        "renewd_ca_revoked",
        "renewd_certificate_served",
        "renewd_notify_runs_total",
        "renewd_hook_test_failures_total",
        "renewd_credential_not_after_timestamp_seconds",
    ];
    for told in page.split('`').filter(|told| told.starts_with("renewd_")) {
        let name = told.split('{').next().unwrap();
        let is_shown = unseen.contains(&name) || wanted.iter().any(|wanted| wanted.starts_with(name));
        assert!(is_shown, "{name} of renewd-metrics(7) is shown nowhere");
    }
}

/// An address that was free a moment ago.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn every_metric_of_the_contract_is_shown_to_whoever_asks() {
    let mut host = Host::with_www();
    let address = free_address();
    host.configure(
        &format!(
            "[metrics]\nlisten = \"{address}\"\n[hook.tell]\ncommand = [\"/bin/true\"]\nbefore = [\"/bin/false\"]\n"
        ),
        "",
    );
    host.entry("www", "hooks = [\"tell\"]\n");
    host.start();
    host.wait_state("www", "valid");
    let answer = host.until("a scrape", || scrape(address));
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer}");
    assert!(answer.ends_with("# EOF\n"), "{answer}");
    let wanted = [
        "renewd_api_request_duration_seconds_bucket{le,endpoint}",
        "renewd_api_request_duration_seconds_count{endpoint}",
        "renewd_api_request_duration_seconds_sum{endpoint}",
        "renewd_api_requests_total{endpoint,status}",
        "renewd_api_state{state}",
        "renewd_build_info{version}",
        "renewd_certificate_chain_not_after_timestamp_seconds{name}",
        "renewd_certificate_failures{name}",
        "renewd_certificate_info{name,issuer,profile,key}",
        "renewd_certificate_not_after_timestamp_seconds{name}",
        "renewd_certificate_not_before_timestamp_seconds{name}",
        "renewd_certificate_renew_at_timestamp_seconds{name}",
        "renewd_certificate_state{name,state}",
        "renewd_certificates_earliest_not_after_timestamp_seconds{}",
        "renewd_certificates_not_served{}",
        "renewd_certificates{state}",
        "renewd_clock_offset_seconds{}",
        "renewd_config_loaded{}",
        "renewd_hook_runs_total{hook,result}",
        "renewd_hook_vetoes_total{hook,result}",
        "renewd_inventory_certificates{}",
        "renewd_inventory_files{state}",
        "renewd_last_pass_timestamp_seconds{}",
        "renewd_log_lines_lost_total{}",
        "renewd_submissions_total{result}",
    ];
    assert_eq!(names(&answer), wanted.map(str::to_owned).into());
    check_info(&answer);
    check_manual(&wanted);
    for line in [
        "renewd_certificate_state{name=\"www\",state=\"valid\"} 1",
        "renewd_certificate_state{name=\"www\",state=\"failing\"} 0",
        "renewd_submissions_total{result=\"issued\"} 1",
        "renewd_submissions_total{result=\"rejected\"} 0",
        "renewd_hook_runs_total{hook=\"tell\",result=\"ok\"} 1",
        "renewd_hook_vetoes_total{hook=\"tell\",result=\"overruled\"} 1",
        "renewd_api_requests_total{endpoint=\"issue\",status=\"201\"} 1",
        "renewd_api_state{state=\"ok\"} 1",
        "renewd_inventory_files{state=\"loaded\"} 1",
        "renewd_config_loaded 1",
        "renewd_certificates{state=\"valid\"} 1",
        "renewd_certificates{state=\"failing\"} 0",
        "renewd_certificates_not_served 0",
        "renewd_log_lines_lost_total 0",
    ] {
        assert!(answer.contains(&format!("{line}\n")), "{line}\n{answer}");
    }
    host.write("certs.d/bad.toml", "nonsense");
    host.until("the refused file is counted", || {
        scrape(address)?.contains("renewd_inventory_files{state=\"refused\"} 1\n").then_some(())
    });
    assert!(ask(address, "GET / HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().starts_with("HTTP/1.1 404"));
    assert!(ask(address, "POST /metrics HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().starts_with("HTTP/1.1 405"));
}

/// By the same numbers without a line for each certificate.
#[test]
fn without_each_certificate_the_numbers_are_left() {
    let mut host = Host::with_www();
    host.entry("mail", "");
    let address = free_address();
    host.configure(&format!("[metrics]\nlisten = \"{address}\"\nper_certificate = false\n"), "");
    host.start();
    host.wait_state("www", "valid");
    host.wait_state("mail", "valid");
    let answer = host.until("a scrape", || scrape(address));
    let ends = ["www", "mail"].map(|name| host.certificate(name)["not_after"].as_str().unwrap().to_owned());
    let first = ends.iter().min().unwrap().parse::<jiff::Timestamp>().unwrap().as_second();
    for line in [
        "renewd_inventory_certificates 2",
        "renewd_certificates{state=\"valid\"} 2",
        "renewd_certificates{state=\"rejected\"} 0",
        &format!("renewd_certificates_earliest_not_after_timestamp_seconds {first}"),
    ] {
        assert!(answer.contains(&format!("{line}\n")), "{line}\n{answer}");
    }
    assert!(!answer.contains("renewd_certificate_"), "{answer}");
    assert!(!names(&answer).iter().any(|name| name.contains("name")), "{answer}");
}

#[test]
fn a_busy_port_is_a_problem_and_holds_nothing_back() {
    let mut host = Host::with_www();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    host.configure(&format!("[metrics]\nlisten = \"{}\"\n", taken.local_addr().unwrap()), "");
    host.start();
    host.wait_state("www", "valid");
    let problem = host.until("the problem", || host.status()["problems"].as_array()?.first().cloned());
    assert_eq!(problem["code"], "metrics-listener-failed", "{problem}");
    assert!(problem["message"].as_str().unwrap().contains("in use"), "{problem}");
}

#[test]
fn the_text_file_is_written_and_a_folder_that_takes_none_is_a_problem() {
    let (mut host, targets) = (Host::with_www(), Targets::new());
    let file = targets.path("renewd.prom");
    host.configure(&format!("[metrics]\ntextfile = {:?}\n", file.display().to_string()), "");
    host.start();
    let text = host.until("the text file", || fs::read_to_string(&file).ok());
    assert!(text.contains("renewd_build_info{version="), "{text}");
    if let Some(said) = promtool(&["check", "metrics"], &text) {
        assert_eq!(said, Ok(()), "{text}");
        let bad = text.replace("renewd_submissions_total", "renewd_submissions");
        assert!(promtool(&["check", "metrics"], &bad).unwrap().is_err(), "a counter has to end in _total");
    }
    host.end(rustix::process::Signal::TERM);
    let missing = targets.path("missing").join("renewd.prom");
    host.configure(&format!("[metrics]\ntextfile = {:?}\n", missing.display().to_string()), "");
    host.start();
    host.wait_state("www", "valid");
    let problem = host.until("the problem", || host.status()["problems"].as_array()?.first().cloned());
    assert_eq!(problem["code"], "metrics-textfile-failed", "{problem}");
}

/// Whoever may write to the folder of the text file could lead what renewd writes and sweeps there astray.
#[test]
fn a_text_file_in_a_folder_of_others_is_refused_by_name() {
    let (mut host, targets) = (Host::with_www(), Targets::new());
    let folder = targets.path("open");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let file = folder.join("renewd.prom");
    host.configure(&format!("[metrics]\ntextfile = {:?}\n", file.display().to_string()), "");
    host.start();
    host.wait_state("www", "valid");
    let problem = host.until("the problem", || host.status()["problems"].as_array()?.first().cloned());
    assert_eq!(problem["code"], "metrics-textfile-failed", "{problem}");
    let told = format!("everybody may write to {} above it; chmod o-w", folder.display());
    assert!(problem["message"].as_str().unwrap().contains(&told), "{problem}");
    assert!(!file.exists());
    let said = host.says(&["check"]);
    assert!(said.code != 0 && said.err.contains(&told), "{}{}", said.out, said.err);
}
