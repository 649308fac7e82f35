//! Each fault does what it says, as often as it was ordered.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use x509_parser::parse_x509_certificate;
use x509_parser::prelude::X509Certificate;

use crate::caller::{Answer, Caller, ISSUE};
use crate::simulator::faults::DEFAULT;
use crate::simulator::{Endpoint, ErrorShape, Fault, FaultKind, ProfileSpec, RetryAfter, certificate, clock};

const VERSION: &str = "/mpki/api/v1/version";

fn caller_with(kind: FaultKind) -> Caller {
    let caller = Caller::new(ProfileSpec::default());
    caller.simulator.fault(Fault::new(kind).once());
    caller
}

fn blocks(answer: &Answer) -> Vec<Vec<u8>> {
    pem::parse_many(answer.str("certificate")).unwrap().into_iter().map(pem::Pem::into_contents).collect()
}

/// Issues under the fault and judges the leaf; the next one is sound again.
#[track_caller]
fn spoilt(kind: FaultKind, is_spoilt: impl Fn(&X509Certificate<'_>) -> bool) {
    let caller = caller_with(kind.clone());
    caller.get(VERSION);
    for expected in [true, false] {
        let answer = caller.issue();
        assert_eq!(answer.status, 201, "{}", answer.text);
        let chain = blocks(&answer);
        let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
        assert_eq!(is_spoilt(&leaf), expected, "{kind:?}");
    }
}

fn names(leaf: &X509Certificate<'_>) -> usize {
    leaf.subject_alternative_name().unwrap().unwrap().value.general_names.len()
}

#[test]
fn a_certificate_has_the_ordered_defect() {
    let now = clock::now();
    spoilt(FaultKind::MissingName, |leaf| names(leaf) == 2);
    spoilt(FaultKind::ExtraName, |leaf| names(leaf) == 4);
    spoilt(FaultKind::Expired, |leaf| leaf.validity().not_after.timestamp() < now);
    let later = FaultKind::NotYetValid(Duration::from_secs(300));
    spoilt(later, |leaf| leaf.validity().not_before.timestamp() >= now + 300);
    spoilt(FaultKind::MissingClientAuth, |leaf| !leaf.extended_key_usage().unwrap().unwrap().value.client_auth);
    spoilt(FaultKind::ForeignIssuer, |leaf| leaf.issuer().to_string().contains("Foreign"));
}

#[test]
fn a_certificate_has_a_strangers_key() {
    let caller = caller_with(FaultKind::WrongKey);
    let chain = blocks(&caller.issue());
    let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
    assert_ne!(leaf.public_key().raw, caller.simulator.issued()[0].spki);
}

#[test]
fn a_signature_is_damaged() {
    let caller = caller_with(FaultKind::BadSignature);
    for is_sound in [false, true] {
        let chain = blocks(&caller.issue());
        let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
        let (_, issuer) = parse_x509_certificate(&chain[1]).unwrap();
        assert_eq!(leaf.verify_signature(Some(issuer.public_key())).is_ok(), is_sound);
    }
}

#[test]
fn the_chain_is_shuffled_missing_or_foreign() {
    let position = |kind: FaultKind| {
        let caller = caller_with(kind);
        let chain = blocks(&caller.issue());
        let leaf = caller.simulator.issued().remove(0).der;
        (chain.iter().position(|der| *der == leaf).unwrap(), chain.len(), chain)
    };
    assert_eq!(position(FaultKind::ShuffledChain).0, 1);
    assert_eq!(position(FaultKind::MissingChain).1, 1);
    let (_, _, chain) = position(FaultKind::ForeignChain);
    let (_, issuer) = parse_x509_certificate(&chain[1]).unwrap();
    assert!(issuer.subject().to_string().contains("Foreign"));
}

#[test]
fn a_certificate_is_written_in_another_way() {
    let certificate = |kind: FaultKind| caller_with(kind).issue().str("certificate").to_owned();
    assert!(!certificate(FaultKind::BareBase64).contains("BEGIN"));
    assert!(certificate(FaultKind::Crlf).contains("-----\r\nMII"));
    assert!(certificate(FaultKind::TrailingData).ends_with("and something else\n"));
    assert!(certificate(FaultKind::LeadingText).starts_with("subject="));
    assert!(certificate(FaultKind::Pkcs7Certificate).starts_with("-----BEGIN PKCS7-----"));
    assert!(!certificate(FaultKind::BarePkcs7).contains('-'));
    assert!(certificate(FaultKind::X509Label).contains("-----BEGIN X509 CERTIFICATE-----"));
    assert!(certificate(FaultKind::EscapedLines).contains("-----\\nMII"));
    assert!(!certificate(FaultKind::UrlSafeBase64).contains(['+', '/', '=']));
    let answer = caller_with(FaultKind::BrokenCa).issue();
    assert_eq!(answer.json["ca_certs"][0], Value::Null);
    assert!(answer.json["ca_certs"][1]["pem"].as_str().unwrap().contains("M!I"));
    assert_eq!(caller_with(FaultKind::NoSerial).issue().json.get("serial_number"), None);
    assert_eq!(caller_with(FaultKind::SerialOnly).issue().json.get("certificate"), None);
    assert!(certificate(FaultKind::HtmlCertificate).starts_with("<!DOCTYPE html>"));
}

#[test]
fn formats_lack_pkcs7_and_words_change_case() {
    let caller = Caller::new(ProfileSpec::default());
    let serial = caller.issued();
    caller.simulator.fault(Fault::new(FaultKind::NoPkcs7));
    caller.simulator.fault(Fault::new(FaultKind::OtherCaseStatus));
    assert_eq!(caller.get(&format!("{ISSUE}/{serial}/additional-formats")).json.get("pkcs7"), None);
    assert_eq!(caller.get(&format!("{ISSUE}/{serial}")).str("status"), "ISSUED");
    caller.simulator.clear_faults();
    caller.simulator.fault(Fault::new(FaultKind::Pkcs7Alone));
    assert_eq!(caller.get(&format!("{ISSUE}/{serial}/additional-formats")).json["x509_cert_chain"][0], Value::Null);
}

#[test]
fn statuses_come_with_their_retry_after() {
    let cases = [(401, "invalid_api_key"), (403, "no_access"), (410, "invalid_request"), (429, "client_error")];
    for (status, code) in cases.into_iter().chain([(500, "internal_server_error"), (503, "service_unavailable")]) {
        let caller = caller_with(FaultKind::Status(status, RetryAfter::Seconds(7)));
        let answer = caller.issue();
        assert_eq!((answer.status, answer.code(), answer.header("retry-after")), (status, code, Some("7")));
        assert_eq!(caller.simulator.issued().len(), 0);
    }
    let caller = caller_with(FaultKind::Status(503, RetryAfter::DateIn(60)));
    assert!(caller.issue().header("retry-after").unwrap().ends_with(" GMT"));
    let caller = caller_with(FaultKind::Status(502, RetryAfter::Absent));
    let answer = caller.issue();
    assert_eq!((answer.header("retry-after"), &answer.json), (None, &Value::Null));
}

#[test]
fn a_page_or_a_redirect_comes_in_place_of_an_answer() {
    let caller = caller_with(FaultKind::Html);
    let page = caller.issue();
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html;charset=utf-8")));
    let caller = caller_with(FaultKind::Redirect);
    let redirect = caller.issue();
    assert_eq!((redirect.status, redirect.header("location").is_some()), (302, true));
    assert_eq!(caller.simulator.issued().len(), 0);
}

#[test]
fn errors_have_each_shape() {
    let cases = [
        (ErrorShape::List, "/errors/0/code"),
        (ErrorShape::Single, "/error/code"),
        (ErrorShape::Status, "/error/status"),
        (ErrorShape::Bare, "/code"),
        (ErrorShape::Numeric, "/description"),
        (ErrorShape::Problem, "/detail"),
        (ErrorShape::Map, "/errors/request/0"),
    ];
    for (shape, pointer) in cases {
        let caller = caller_with(FaultKind::Shape(shape));
        let answer = caller.get("/mpki/api/v2/profile/none");
        assert!(answer.json.pointer(pointer).is_some_and(Value::is_string), "{shape:?}: {}", answer.text);
    }
    let text = |shape| caller_with(FaultKind::Shape(shape)).get("/mpki/api/v2/profile/none").text;
    assert!(text(ErrorShape::Xml).contains("<faultstring>User has no access"));
    assert!(text(ErrorShape::Text).starts_with("User has no access"));
}

#[test]
fn a_connection_ends_before_or_after_the_work() {
    for (kind, issued) in [(FaultKind::Reset, 0), (FaultKind::LostReply, 1)] {
        let caller = caller_with(kind);
        let failed = caller.send(caller.request("POST", ISSUE, &caller.body()));
        assert!(failed.is_err(), "{failed:?}");
        assert_eq!(caller.simulator.issued().len(), issued);
        assert_eq!(caller.simulator.requests().pop().unwrap().status, 0);
    }
}

#[test]
fn bodies_are_truncated_cut_off_slow_or_huge() {
    let truncated = caller_with(FaultKind::Truncated).issue();
    assert_eq!((truncated.status, truncated.json), (201, Value::Null));
    let caller = caller_with(FaultKind::CutOff);
    assert!(caller.send(caller.keyed("GET", VERSION)).is_err());
    let started = Instant::now();
    let slow = caller_with(FaultKind::Drip(Duration::from_millis(5))).get(VERSION);
    assert_eq!(slow.str("version"), "1.2893.0");
    assert!(started.elapsed() >= Duration::from_millis(5 * u64::try_from(slow.text.len()).unwrap()));
    assert!(caller_with(FaultKind::Bom).get(VERSION).text.starts_with('\u{feff}'));
    assert_eq!(caller_with(FaultKind::Gzip).get(VERSION).json, Value::Null);
    assert!(caller_with(FaultKind::Oversized(3)).get(VERSION).text.len() > 3 << 20);
}

#[test]
fn answers_are_late() {
    for kind in [FaultKind::Latency(Duration::from_millis(50)), FaultKind::LateReply(Duration::from_millis(50))] {
        let caller = caller_with(kind);
        let started = Instant::now();
        caller.get(VERSION);
        assert!(started.elapsed() >= Duration::from_millis(50));
    }
}

#[test]
fn the_date_is_off_or_absent() {
    let caller = Caller::new(ProfileSpec::default());
    let date = || {
        let answer = caller.get(VERSION);
        let text = answer.header("date").map(str::to_owned)?;
        let instant = jiff::fmt::rfc2822::parse(&text).unwrap();
        Some(instant.timestamp().as_second() - clock::now())
    };
    assert!(date().unwrap().abs() <= 2);
    caller.simulator.fault(Fault::new(FaultKind::DateShifted(-3600)).once());
    assert!((date().unwrap() + 3600).abs() <= 2);
    caller.simulator.fault(Fault::new(FaultKind::DateAbsent).once());
    assert_eq!(date(), None);
}

#[test]
fn a_fault_is_met_at_its_endpoint_so_many_times() {
    let caller = Caller::new(ProfileSpec::default());
    let fault = Fault::new(FaultKind::Status(500, RetryAfter::Absent)).at(Endpoint::Version);
    caller.simulator.fault(fault.times(2));
    let statuses = |count: usize| (0..count).map(|_| caller.get(VERSION).status).collect::<Vec<_>>();
    assert_eq!(caller.get("/mpki/api/v1/hello").status, 200);
    assert_eq!(statuses(3), [500, 500, 200]);
    caller.simulator.fault(Fault::new(FaultKind::Html));
    caller.simulator.clear_faults();
    assert_eq!(caller.get(VERSION).json, json!({"version": "1.2893.0"}));
}

#[track_caller]
fn parses(text: &str, kind: FaultKind, endpoint: Option<Endpoint>, times: Option<u32>) {
    let fault: Fault = text.parse().unwrap();
    assert_eq!((fault.kind, fault.endpoint, fault.times), (kind, endpoint, times), "{text}");
}

#[test]
fn faults_are_parsed_from_flags() {
    parses("html", FaultKind::Html, None, None);
    parses("latency=500:search", FaultKind::Latency(Duration::from_millis(500)), Some(Endpoint::Search), None);
    parses("status=429+10:issue:3", FaultKind::Status(429, RetryAfter::Seconds(10)), Some(Endpoint::Issue), Some(3));
    parses("status=503@60:2", FaultKind::Status(503, RetryAfter::DateIn(60)), None, Some(2));
    parses("date-shifted=-3600", FaultKind::DateShifted(-3600), None, None);
    parses("shape=bare", FaultKind::Shape(ErrorShape::Bare), None, None);
    for (name, kind) in DEFAULT.clone() {
        parses(name, kind, None, None);
    }
    for wrong in ["", "htm", "latency", "latency=x", "status=200", "status=429+", "html:nowhere", "shape=round"] {
        assert!(wrong.parse::<Fault>().is_err(), "{wrong:?}");
    }
}

#[test]
fn serial_numbers_keep_their_leading_zero() {
    let serials: Vec<_> = (0..400).map(|_| certificate::hex(&certificate::random_serial())).collect();
    assert!(serials.iter().all(|serial| serial.len() == 32));
    assert!(serials.iter().any(|serial| serial.starts_with('0')));
}
