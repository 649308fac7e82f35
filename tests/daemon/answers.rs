//! Answers that cannot be read as they come: what was issued is installed all the same, nothing is asked for twice, and
//! what is odd is told.

use rustix::process::Signal;

use crate::host::Host;
use crate::simulator::{CertificateStatus, Endpoint, Fault, FaultKind, Issuance, ProfileSpec, RetryAfter, Seats};

/// Each of these makes the certificate in the answer unreadable, or leaves it out.
#[test]
fn what_the_answer_does_not_show_is_fetched_before_another_is_asked_for() {
    for kind in [FaultKind::HtmlCertificate, FaultKind::SerialOnly] {
        let host = Host::with_www();
        host.fault_once(kind.clone());
        let said = host.says(&["once"]);
        assert_eq!(said.code, 0, "{kind:?}: {}", said.err);
        host.live_serial("www");
        assert_eq!((host.submissions(), host.simulator.issued().len()), (1, 1), "{kind:?}");
    }
}

#[test]
fn what_has_neither_number_nor_certificate_is_found_by_its_key() {
    let host = Host::with_www();
    host.fault_once(FaultKind::HtmlCertificate);
    host.fault_once(FaultKind::NoSerial);
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    host.live_serial("www");
    assert_eq!((host.submissions(), host.simulator.issued().len()), (1, 1));
}

/// Just issued, a number may be unknown elsewhere; our key is the better name.
#[test]
fn what_is_not_found_by_its_number_is_found_by_its_key() {
    let host = Host::with_www();
    host.fault_once(FaultKind::SerialOnly);
    for endpoint in [Endpoint::Details, Endpoint::Formats] {
        host.simulator.fault(Fault::new(FaultKind::Status(404, RetryAfter::Absent)).at(endpoint));
    }
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    host.live_serial("www");
    assert_eq!((host.submissions(), host.simulator.issued().len()), (1, 1));
}

#[test]
fn the_pkcs7_serves_where_the_chain_is_broken() {
    let host = Host::with_www();
    host.simulator.change_profile(&host.profile, |profile| profile.shows_issuer = false);
    host.fault_once(FaultKind::MissingChain);
    host.simulator.fault(Fault::new(FaultKind::Pkcs7Alone).at(Endpoint::Formats));
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    host.live_serial("www");
    assert_eq!(host.submissions(), 1);
}

#[test]
fn what_cannot_be_read_is_told_and_keeps_nothing_back() {
    for (kind, words) in [
        (FaultKind::LeadingText, "subject=CN = www.example.com"),
        (FaultKind::BrokenCa, "a PEM block \"CERTIFICATE\" is damaged"),
    ] {
        let host = Host::with_www();
        host.fault_once(kind.clone());
        let said = host.says(&["once"]);
        assert_eq!(said.code, 0, "{kind:?}: {}", said.err);
        assert!(said.err.contains("part of what TLM sent could not be read"), "{kind:?}: {}", said.err);
        assert!(said.err.contains(words), "{kind:?}: {}", said.err);
    }
}

/// What the API answers to the submission, and what is said of it.
#[test]
fn what_came_in_place_of_an_answer_is_said_and_looked_up() {
    for (kind, words) in [
        (FaultKind::Status(500, RetryAfter::Absent), "500 internal_server_error"),
        (FaultKind::Html, "HTML page (200"),
        (FaultKind::Gzip, "compressed as \"gzip\""),
    ] {
        let host = Host::with_www();
        host.simulator.fault(Fault::new(kind.clone()).at(Endpoint::Issue));
        assert_eq!(host.says(&["once"]).code, 1, "{kind:?}");
        let reason = host.certificate("www")["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains(words), "{kind:?}: {reason}");
        assert!(reason.contains("TLM may have issued a certificate: next search, or submission, at"), "{reason}");
        assert!(!reason.contains("lost"), "{reason}");
        let told = host.says(&["history", "www"]).out;
        assert!(
            told.contains("renewd does not know whether TLM issued a certificate") && told.contains(words),
            "{told}"
        );
    }
}

#[test]
fn what_somebody_has_to_publish_is_shown_until_it_is_issued() {
    let mut host = Host::new(ProfileSpec { issuance: Issuance::Pending { approve_after: None }, ..Default::default() });
    host.simulator.change_variants(|variants| variants.dv_details = true);
    host.entry("www", "");
    host.start();
    let check = |host: &Host| {
        let www = host.wait_state("www", "pending");
        let reason = www["reason"].as_str().unwrap();
        assert!(reason.contains("waiting for domain validation: publish _p9f3kq2x by dns-txt-token"), "{reason}");
        let request = &www["request"];
        assert_eq!((&request["id"], request["method"].as_str()), (&www["request_id"], Some("new")), "{request}");
        assert_eq!(request["dv_details"]["dcv_method"], "dns-txt-token", "{request}");
        assert_eq!(request["dv_details"]["dcv_random_value"], "_p9f3kq2x", "{request}");
    };
    check(&host);
    host.end(Signal::TERM);
    host.start();
    check(&host);
    assert!(host.says(&["status", "www"]).out.contains("validation     waiting for domain validation: publish _p9f3"));
    assert!(host.says(&["history", "www"]).out.contains("publish _p9f3kq2x by dns-txt-token"));
    assert!(host.simulator.approve(&host.simulator.pending()[0]));
    assert_eq!(host.end(Signal::TERM), Some(0));
    let said = host.says(&["once", "--wait", "20s"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(host.certificate("www")["request"].is_null());
}

#[test]
fn profiles_are_read_to_the_last_whatever_their_pages_hold() {
    for switch in ["profile-capped", "profile-odd", "profile-list=wrapped", "profile-limit=50"] {
        let host = Host::new(ProfileSpec::default());
        for number in 0..150 {
            host.simulator.add_profile(ProfileSpec { name: format!("Web {number}"), ..ProfileSpec::default() });
        }
        host.simulator.change_variants(|variants| variants.set(switch).unwrap());
        host.entry("www", "profile = \"Web 149\"\n");
        let said = host.says(&["once"]);
        assert_eq!(said.code, 0, "{switch}: {}", said.err);
        let listed = host.says(&["profiles"]);
        assert!(listed.out.contains("Web 149"), "{switch}: {}", listed.out);
        let checked = host.says(&["check", "--online"]);
        let is_odd = switch == "profile-odd";
        assert_eq!(listed.err.contains("cannot be read: a profile without `id`"), is_odd, "{switch}: {}", listed.err);
        assert_eq!(
            checked.out.contains("a profile cannot be read, and was skipped"),
            is_odd,
            "{switch}: {}",
            checked.out
        );
    }
    let host = Host::with_www();
    host.simulator.change_variants(|variants| variants.ignores_offset = true);
    assert_eq!(host.says(&["profiles"]).code, 0, "the same page again is the end");
    assert!(host.simulator.count("GET", "/mpki/api/v2/profile") <= 3);
}

#[test]
fn odd_items_of_a_search_hide_nothing() {
    for switch in ["search-odd", "search-capped"] {
        let host = Host::with_www();
        host.simulator.change_variants(|variants| variants.set(switch).unwrap());
        assert_eq!(host.says(&["once"]).code, 0);
        host.simulator.fault(Fault::new(FaultKind::LostReply).at(Endpoint::Issue).once());
        host.says(&["renew", "www"]);
        let said = host.says(&["once", "--wait", "20s"]);
        assert_eq!(said.code, 0, "{switch}: {}", said.err);
        assert_eq!((host.submissions(), host.simulator.issued().len()), (2, 2), "{switch}");
        assert_eq!(host.live_serial("www"), host.simulator.issued()[1].serial, "{switch}");
    }
}

#[test]
fn a_missing_seat_is_named_and_the_certificate_comes_as_soon_as_it_is_there() {
    let host = Host::with_www();
    host.simulator.change_variants(|variants| variants.seats = Seats::Only(vec!["other".to_owned()]));
    assert_eq!(host.says(&["once"]).code, 1);
    let www = host.certificate("www");
    assert_eq!(www["last_error"]["code"], "seat-not-found", "{www}");
    assert!(www["reason"].as_str().unwrap().contains("create the seat \"www.example.com\" in TLM"), "{www}");
    host.simulator.change_variants(|variants| variants.seats = Seats::Automatic);
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    host.live_serial("www");
}

#[test]
fn words_in_whatever_shape_reach_the_status() {
    for shape in ["numeric", "problem", "map", "xml", "text"] {
        let host = Host::with_www();
        host.simulator.change_variants(|variants| {
            variants.set(&format!("error-shape={shape}")).unwrap();
            variants.seats = Seats::EqualCommonName;
        });
        host.entry("www", "seat = \"another\"\n");
        assert_eq!(host.says(&["once"]).code, 1);
        let reason = host.certificate("www")["reason"].as_str().unwrap().to_owned();
        assert!(reason.to_lowercase().contains("seat"), "{shape}: {reason}");
    }
}

/// A host whose certificate stands so at TLM from its first look on.
fn standing(status: CertificateStatus, reason: Option<&str>) -> (Host, String) {
    let mut host = Host::with_www();
    host.configure("", "status_check_interval = \"off\"\n");
    assert_eq!(host.says(&["once"]).code, 0);
    let serial = host.live_serial("www");
    host.simulator.change(|state| {
        let record = state.certificate_mut(&serial).unwrap();
        (record.status, record.revocation_reason) = (status, reason.map(str::to_owned));
    });
    // The first look comes within an interval of `not_before`, which lies a minute back.
    host.configure("", "status_check_interval = \"60s\"\n");
    host.start();
    (host, serial)
}

#[test]
fn a_certificate_on_hold_is_a_problem_and_is_not_replaced() {
    let (host, serial) = standing(CertificateStatus::Suspended, Some("certificate_hold"));
    let words = format!("TLM reports {serial} as suspended (certificate_hold)");
    host.until("it is on record", || host.says(&["history", "www"]).out.contains(&words).then_some(()));
    let (status, problem) = (host.status(), "certificate-suspended");
    assert_eq!(
        (&status["healthy"], status["problems"][0]["code"].as_str()),
        (&false.into(), Some(problem)),
        "{status}"
    );
    for command in [&["status"][..], &["status", "www"]] {
        let said = host.says(command).out;
        assert!(said.contains(problem) && said.contains("resume the certificate in TLM"), "{command:?}: {said}");
    }
    assert_eq!(host.submissions(), 1, "it is not replaced");
}

#[test]
fn a_state_that_renewd_does_not_know_is_told_and_makes_nothing_unhealthy() {
    let (host, _) = standing(CertificateStatus::Other("frozen"), None);
    host.until("the word is told", || {
        let said = host.says(&["status", "www"]).out;
        (said.contains("certificate-state-odd") && said.contains("\"frozen\"")).then_some(())
    });
    assert_eq!((host.says(&["status"]).code, host.submissions()), (0, 1));
}
