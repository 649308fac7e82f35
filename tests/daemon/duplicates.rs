//! Where TLM refuses a second certificate, another host may serve the first: what TLM holds is named, and revoking it
//! comes last.

use std::fmt::Write as _;

use rustix::process::Signal;
use serde_json::Value;

use crate::host::Host;
use crate::simulator::{Endpoint, Fault, FaultKind, ProfileSpec, RetryAfter};

const SEAT: &str = "www.example.com";

fn strict() -> Host {
    let host = Host::new(ProfileSpec { allows_duplicates: false, ..ProfileSpec::default() });
    host.entry("www", "");
    host
}

/// A certificate for the same seat and names that another host serves.
fn elsewhere(host: &Host) -> String {
    host.simulator.issue_elsewhere(&host.profile, SEAT, &["www.example.com", "alt.www.example.com"])
}

/// The text names it with seat and issue time, and revoking comes after what is harmless.
#[track_caller]
fn check_named(text: &str, serial: &str, held: &str) {
    for part in [serial, &format!("(seat {SEAT}, issued 20"), held] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let (allow, revoke) = (text.find("allow duplicate"), text.find("revoke"));
    assert!(allow.is_some() && allow < revoke, "revoking comes last: {text}");
}

/// What `check --online` warns of.
fn warnings(host: &Host) -> Vec<Value> {
    let said = host.says(&["check", "--online", "--json"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["check"] == "duplicate").cloned().collect()
}

fn refuse_searches(host: &Host) {
    host.simulator.fault(Fault::new(FaultKind::Status(403, RetryAfter::Absent)).at(Endpoint::Search));
}

#[test]
fn a_refused_duplicate_names_what_another_host_may_serve() {
    let mut host = strict();
    let serial = elsewhere(&host);
    host.start();
    let reason = host.wait_state("www", "rejected")["reason"].as_str().unwrap().to_owned();
    check_named(&reason, &serial, "another host may serve it");
    assert!(reason.contains("; stopped until the entry or the profile changes"), "{reason}");
    check_named(&host.log(), &serial, "another host may serve it");
    assert_eq!(host.end(Signal::TERM), Some(0));
    for arguments in [&["status", "www"][..], &["history", "www"]] {
        check_named(&host.says(arguments).out.replace('\n', " "), &serial, "another host may serve it");
    }
}

#[test]
fn a_certificate_that_was_renewed_elsewhere_names_the_newer_one() {
    let host = strict();
    assert_eq!(host.says(&["once"]).code, 0);
    let (own, newer) = (host.live_serial("www"), elsewhere(&host));
    host.simulator.change(|state| state.certificate_mut(&own).unwrap().renewed = true);
    assert_eq!(host.says(&["renew", "www"]).code, 1);
    let www = host.certificate("www");
    assert_eq!(www["last_error"]["code"], "already-renewed", "{www:#}");
    check_named(www["reason"].as_str().unwrap(), &newer, "and 1 more");
    host.simulator.revoke(&newer);
    assert_eq!(host.says(&["renew", "www"]).code, 1);
    check_named(host.certificate("www")["reason"].as_str().unwrap(), &own, "installed here");
}

#[test]
fn a_search_that_shows_nothing_is_said() {
    let host = strict();
    elsewhere(&host);
    refuse_searches(&host);
    assert_eq!(host.says(&["once"]).code, 1);
    let reason = host.certificate("www")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("could not be searched for") && reason.contains("only as a last resort"), "{reason}");
}

#[test]
fn check_online_warns_of_what_another_host_may_serve_and_of_nothing_else() {
    let host = strict();
    assert!(warnings(&host).is_empty(), "nothing is held");
    let serial = elsewhere(&host);
    let found = warnings(&host);
    assert_eq!((found.len(), found[0]["state"].as_str()), (1, Some("warning")), "{found:#?}");
    let told = format!("{}; {}", found[0]["message"].as_str().unwrap(), found[0]["remedy"].as_str().unwrap());
    check_named(&told, &serial, "nothing usable is installed here");
    host.simulator.change_profile(&host.profile, |profile| profile.allows_duplicates = true);
    assert!(warnings(&host).is_empty(), "duplicates are allowed");
    assert_eq!(host.says(&["once"]).code, 0);
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    host.simulator.change_profile(&host.profile, |profile| profile.allows_duplicates = false);
    let found = warnings(&host);
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains(&serial) && message.contains("this host has another one installed"), "{message}");
    assert!(!message.contains("more"), "the generation before is this host's own: {message}");
    host.simulator.revoke(&serial);
    assert!(warnings(&host).is_empty(), "it is revoked");
}

#[test]
fn check_online_says_what_it_did_not_search_for() {
    let host = strict();
    let mut file = String::new();
    for number in 0..24 {
        write!(
            file,
            "[[certificate]]\nname = \"c{number:02}\"\nprofile = {:?}\ncommon_name = \"c{number}.example.com\"\n",
            host.profile
        )
        .unwrap();
    }
    host.write("certs.d/many.toml", &file);
    let found = warnings(&host);
    assert_eq!(host.simulator.count("GET", "/mpki/api/v1/certificate-search"), 20);
    let message = found[0]["message"].as_str().unwrap();
    assert!(message.contains("for c20, c21, c22, c23, www: one run makes 20 searches"), "{message}");
    refuse_searches(&host);
    host.simulator.clear_requests();
    let found = warnings(&host);
    assert_eq!((found.len(), host.simulator.count("GET", "/mpki/api/v1/certificate-search")), (1, 1));
    assert!(found[0]["message"].as_str().unwrap().contains("the search failed"), "{found:#?}");
}
