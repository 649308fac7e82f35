//! Promise 1 with the real binary: each single defect of an answer is refused by its own message, the old set stays
//! live, and nothing is asked for again.

use std::time::Duration;

use crate::host::Host;
use crate::simulator::{FaultKind, ProfileSpec};

#[track_caller]
fn refuses(kind: FaultKind, message: &str) {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let old = host.live_serial("www");
    host.fault_once(kind.clone());
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 1, "{kind:?}");
    let www = host.certificate("www");
    let reason = www["reason"].as_str().unwrap();
    assert!(reason.contains(message), "{kind:?}: {reason}");
    assert_eq!(host.live_serial("www"), old, "{kind:?}");
    assert_eq!(host.says(&["status"]).code, 1, "{kind:?}");
    host.says(&["once"]);
    assert_eq!(host.submissions(), 2, "{kind:?} is not asked for again at once");
}

#[test]
fn each_defect_is_refused_with_its_own_message() {
    refuses(FaultKind::WrongKey, "public key");
    refuses(FaultKind::MissingName, "alt.www.example.com");
    refuses(FaultKind::Expired, "expired");
    refuses(FaultKind::BadSignature, "signature");
}

#[test]
fn a_missing_subject_attribute_is_refused() {
    let host = Host::with_www();
    host.entry("www", "subject = { organization_name = \"Example AG\" }\n");
    host.fault_once(FaultKind::MissingSubject);
    assert_eq!(host.says(&["once"]).code, 1);
    let www = host.certificate("www");
    assert!(www["reason"].as_str().unwrap().contains("organization_name"), "{www}");
    assert!(!host.live("www").exists());
}

#[test]
fn a_lacking_usage_is_held_until_the_entry_accepts_it() {
    let host = Host::with_www();
    host.entry("www", "usages = [\"server_auth\", \"client_auth\"]\n");
    host.fault_once(FaultKind::MissingClientAuth);
    assert_eq!(host.says(&["once"]).code, 0, "nothing valid is installed: it is installed, loudly");
    let old = host.live_serial("www");
    host.fault_once(FaultKind::MissingClientAuth);
    assert_eq!(host.says(&["renew", "www"]).code, 1);
    let www = host.certificate("www");
    assert_eq!(www["state"], "staged");
    assert!(www["reason"].as_str().unwrap().contains("client_auth"), "{www}");
    assert_eq!((host.live_serial("www"), host.says(&["status"]).code), (old.clone(), 1));
    host.entry("www", "usages = [\"server_auth\"]\n");
    assert_eq!(host.says(&["once"]).code, 0);
    assert_ne!(host.live_serial("www"), old);
    assert_eq!(host.submissions(), 2, "what was held is installed, nothing is asked for again");
}

#[test]
fn a_validity_that_begins_later_is_waited_for() {
    let host = Host::with_www();
    host.fault_once(FaultKind::NotYetValid(Duration::from_secs(4)));
    let said = host.says(&["once", "--wait", "20s"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(host.submissions(), 1);
    host.live_serial("www");
}

#[test]
fn what_is_only_unusual_is_taken() {
    let unusual = [
        FaultKind::ShuffledChain,
        FaultKind::MissingChain,
        FaultKind::BareBase64,
        FaultKind::Crlf,
        FaultKind::ForeignChain,
        FaultKind::ExtraName,
        FaultKind::TrailingData,
        FaultKind::LeadingText,
        FaultKind::X509Label,
        FaultKind::EscapedLines,
        FaultKind::UrlSafeBase64,
        FaultKind::Pkcs7Certificate,
        FaultKind::BarePkcs7,
        FaultKind::BrokenCa,
        FaultKind::NoSerial,
        FaultKind::Bom,
    ];
    for kind in unusual {
        let host = Host::new(ProfileSpec::default());
        host.entry("www", "");
        host.fault_once(kind.clone());
        let said = host.says(&["once"]);
        assert_eq!(said.code, 0, "{kind:?}: {}", said.err);
        host.live_serial("www");
        assert_eq!(host.submissions(), 1, "{kind:?}");
    }
}
