//! Issued at once, and then nothing more: no request without a reason.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;

use crate::host::{Host, ISSUE};

#[test]
fn a_certificate_is_asked_for_once_and_installed_whole() {
    let mut host = Host::with_www();
    host.start();
    let www = host.wait_state("www", "valid");
    assert_eq!(host.live_serial("www"), www["serial_number"]);
    assert_eq!((www["generation"].as_u64(), www["last_error"].is_null()), (Some(1), true));
    let mode = |file: &str| std::fs::metadata(host.live("www").join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(["privkey.pem", "cert.pem", "chain.pem", "fullchain.pem"].map(mode), [0o600, 0o644, 0o644, 0o644]);
    assert_eq!(host.says(&["status"]).code, 0);
    let calls = host.simulator.requests().into_iter().map(|call| format!("{} {}", call.method, call.path));
    // That the end of the key is asked for comes on top, once.
    let calls: Vec<_> = calls.filter(|call| call != "GET /account/api/v1/user/me").collect();
    assert_eq!(calls, [format!("GET /mpki/api/v2/profile/{}", host.profile), format!("POST {ISSUE}")]);
    assert_eq!(host.end(Signal::TERM), Some(0));
}

#[test]
fn a_second_pass_with_nothing_due_asks_for_nothing() {
    let mut host = Host::with_www();
    host.entry("mail", "");
    let first = host.says(&["once"]);
    assert_eq!((first.code, host.submissions()), (0, 2), "{}", first.err);
    host.simulator.clear_requests();
    assert_eq!(host.says(&["once"]).code, 0);
    host.start();
    host.wait_state("www", "valid");
    host.wait_state("mail", "valid");
    // The reading of the profile is all that goes out: of the pass, none of the start, which knows it, and of a reload.
    assert_eq!(host.simulator.count("GET", "/mpki/api/v2/profile"), 1);
    host.signal(Signal::HUP);
    host.until("the profile is read", || (host.simulator.count("GET", "/mpki/api/v2/profile") >= 2).then_some(()));
    assert_eq!(host.simulator.requests().iter().filter(|call| call.method != "GET").count(), 0);
}

#[test]
fn every_key_type_that_the_profile_takes_is_made_on_the_host() {
    for (key, bits) in [
        ("ecdsa-p256", 256),
        ("ecdsa-p384", 384),
        ("ecdsa-p521", 521),
        ("rsa-2048", 2048),
        ("ml-dsa-44", 44),
        ("ml-dsa-65", 65),
        ("ml-dsa-87", 87),
    ] {
        let sizes = ["256", "384", "521", "2048", "MLDSA-44", "MLDSA-65", "MLDSA-87"].map(str::to_owned).to_vec();
        let host = Host::new(crate::simulator::ProfileSpec { key_sizes: sizes, ..Default::default() });
        host.entry("www", &format!("key = {key:?}\n"));
        let said = host.says(&["once"]);
        assert_eq!(said.code, 0, "{key}: {}", said.err);
        assert_eq!(host.simulator.issued()[0].key_bits, bits, "{key}");
        let pem = host.read(&host.live("www").join("privkey.pem"));
        assert!(pem.starts_with("-----BEGIN PRIVATE KEY-----"), "{key}");
    }
}

#[test]
fn no_secret_is_ever_shown() {
    let mut host = Host::with_www();
    host.configure("[log]\nlevel = \"trace\"\n", "");
    host.start();
    host.wait_state("www", "valid");
    let key = host.read(&host.live("www").join("privkey.pem"));
    let body = key.lines().nth(1).unwrap();
    let secret = host.simulator.api_key();
    let tail = secret.split('_').nth(1).unwrap();
    let arguments = host.read(&std::path::PathBuf::from(format!("/proc/{}/cmdline", host.pid())));
    // Another user than root, even its own, may not read it at all.
    let environment = fs::read_to_string(format!("/proc/{}/environ", host.pid())).unwrap_or_default();
    let journal = host.read(&host.path("state/journal"));
    for text in [host.log(), host.status().to_string(), arguments, environment, journal] {
        assert!(!text.contains(tail) && !text.contains(body), "a secret in {text}");
    }
    assert!(host.log().contains("TRACE"), "the log was not at its loudest");
}
