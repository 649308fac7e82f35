//! Renewals: by age, by the operator's word, by each way that TLM knows.

use std::time::Duration;

use crate::host::Host;
use crate::simulator::ProfileSpec;

/// Certificates of 20 s, renewed about 13 s after they begin.
fn short() -> ProfileSpec {
    ProfileSpec {
        lifetime: Duration::from_secs(20),
        renewal_window_days: None,
        renewal_period_days: None,
        renewal_window_override: Some(Duration::from_secs(7)),
        ..ProfileSpec::default()
    }
}

#[test]
fn a_certificate_is_renewed_inside_its_window_with_a_new_key() {
    let mut host = Host::new(short());
    host.entry("www", "");
    host.start();
    host.wait_state("www", "valid");
    let (serial, key) = (host.live_serial("www"), host.read(&host.live("www").join("privkey.pem")));
    host.until("a second generation is live", || (host.certificate("www")["generation"] == 2).then_some(()));
    assert_ne!(host.live_serial("www"), serial);
    assert_ne!(host.read(&host.live("www").join("privkey.pem")), key);
    let issued = host.simulator.issued();
    assert_eq!(issued.len(), 2);
    let age = issued[1].not_before - issued[0].not_before;
    assert!((13..=18).contains(&age), "renewed after {age} s of 20");
}

#[test]
fn reuse_key_keeps_the_key() {
    let host = Host::with_www();
    host.entry("www", "reuse_key = true\n");
    assert_eq!(host.says(&["once"]).code, 0);
    let key = host.read(&host.live("www").join("privkey.pem"));
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(host.simulator.issued().len(), 2);
    assert_eq!(host.read(&host.live("www").join("privkey.pem")), key);
    host.live_serial("www");
}

#[test]
fn without_duplicates_the_renewal_goes_by_post_renew() {
    for method in ["auto", "renew"] {
        let mut host = Host::new(ProfileSpec { allows_duplicates: false, ..short() });
        host.entry("www", &format!("request_method = {method:?}\n"));
        host.start();
        host.until("a second generation is live", || (host.certificate("www")["generation"] == 2).then_some(()));
        let first = host.simulator.issued()[0].serial.clone();
        assert_eq!(host.simulator.count("POST", &format!("/mpki/api/v1/certificate/{first}/renew")), 1, "{method}");
        host.live_serial("www");
    }
}

#[test]
fn a_refused_duplicate_says_what_to_do_and_stops() {
    let mut host = Host::new(ProfileSpec { allows_duplicates: false, ..ProfileSpec::default() });
    host.entry("www", "");
    assert_eq!(host.says(&["once"]).code, 0);
    std::fs::remove_dir_all(host.path("state")).unwrap();
    host.start();
    let www = host.wait_state("www", "rejected");
    let reason = www["reason"].as_str().unwrap();
    let old = host.simulator.issued()[0].serial.clone();
    for part in ["duplicate", &format!("TLM holds serial number {old}"), "only as a last resort"] {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert_eq!(www["last_error"]["code"], "duplicate-refused");
    assert!(host.simulator.revoke(&old));
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    host.wait_state("www", "valid");
    assert_eq!(host.live_serial("www"), host.simulator.issued()[1].serial);
}

#[test]
fn a_revoked_certificate_is_replaced() {
    let mut host = Host::with_www();
    host.configure("", "status_check_interval = \"off\"\n");
    assert_eq!(host.says(&["once"]).code, 0);
    let old = host.live_serial("www");
    assert!(host.simulator.revoke(&old));
    // The first look comes within an interval of `not_before`, which lies a minute back.
    host.configure("", "status_check_interval = \"60s\"\n");
    host.start();
    host.until("the revoked one is replaced", || (host.certificate("www")["generation"] == 2).then_some(()));
    assert_ne!(host.live_serial("www"), old);
}

#[test]
fn new_names_in_the_entry_bring_a_new_certificate() {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    host.entry("www", "dns_names = [\"www.example.com\", \"new.example.com\"]\n");
    let plan = host.says(&["plan"]);
    assert!(plan.out.contains("submit") && plan.out.contains("new.example.com"), "{}", plan.out);
    assert_eq!(host.says(&["once"]).code, 0);
    assert_eq!(host.simulator.issued().len(), 2);
    assert_eq!(host.live_serial("www"), host.simulator.issued()[1].serial);
}

/// A window at every hour, in a zone that nobody knows: what is issued waits, and the status says for what.
#[test]
fn a_window_whose_time_zone_cannot_be_read_stays_shut_and_says_so() {
    let mut host = Host::with_www();
    host.entry("www", "deploy_window = \"00:00-24:00\"\n");
    host.environment.push(("TZ".to_owned(), "Nowhere/Atall".to_owned()));
    host.start();
    host.wait_state("www", "valid");
    let serial = host.live_serial("www");
    host.says(&["renew", "www"]);
    let www = host.wait_state("www", "staged");
    assert!(www["reason"].as_str().unwrap().contains("stays closed until its time zone can be read"), "{www:#}");
    let problems = host.status()["problems"].as_array().unwrap().clone();
    let told = problems.iter().find(|problem| problem["code"] == "time-zone-unreadable").unwrap();
    assert!(told["message"].as_str().unwrap().contains("Nowhere/Atall"), "{told:#}");
    assert_eq!((host.live_serial("www"), host.submissions()), (serial, 2));
}
