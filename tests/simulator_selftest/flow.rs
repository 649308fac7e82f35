//! What a right request brings, from the first certificate to its renewal and revocation.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use serde_json::{Value, json};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

use crate::caller::{self, Caller, ISSUE, csr, p256};
use crate::simulator::{AttributeSpec, Issuance, ProfileSpec, clock};

const DAY: i64 = 86_400;

fn ders(text: &str) -> Vec<CertificateDer<'static>> {
    let blocks = pem::parse_many(text).unwrap();
    blocks.into_iter().map(|block| CertificateDer::from(block.into_contents())).collect()
}

/// The leaf verifies by the chain to the root, for servers and for clients.
fn verify(chain: &[CertificateDer<'_>], root: &CertificateDer<'_>) {
    let leaf = EndEntityCert::try_from(&chain[0]).unwrap();
    let anchor = anchor_from_trusted_cert(root).unwrap();
    for usage in [KeyUsage::server_auth(), KeyUsage::client_auth()] {
        let algorithms = webpki::ALL_VERIFICATION_ALGS;
        leaf.verify_for_usage(
            algorithms,
            std::slice::from_ref(&anchor),
            &chain[1..],
            UnixTime::now(),
            usage,
            None,
            None,
        )
        .unwrap();
    }
}

#[test]
fn a_certificate_holds_what_was_asked_for_and_verifies() {
    for rsa_issuer in [false, true] {
        let caller = Caller::new(ProfileSpec { rsa_issuer, ..ProfileSpec::default() });
        let key = p256();
        let mut body = caller::body(&caller.profile, &csr(&key, &[("common_name", "www.example.com")]));
        body["attributes"]["extensions"]["san"]["emails"] = json!(["root@example.com"]);
        body["attributes"]["extensions"]["san"]["uris"] = json!(["https://example.com/"]);
        let answer = caller.post(ISSUE, &body);
        assert_eq!((answer.status, answer.str("delivery_format")), (201, "x509"));
        let chain = ders(answer.str("certificate"));
        assert_eq!(chain.len(), 3);
        verify(&chain, &chain[2]);
        let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
        assert_eq!(leaf.subject().to_string(), "CN=www.example.com");
        assert_eq!(leaf.public_key().subject_public_key.data.as_ref(), key.public_key_raw());
        let lifetime = leaf.validity().not_after.timestamp() - leaf.validity().not_before.timestamp();
        assert_eq!(lifetime, 90 * DAY + 60);
        let names = &leaf.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(names.len(), 5);
        assert!(
            names.contains(&GeneralName::DNSName("example.com"))
                && names.contains(&GeneralName::IPAddress(&[192, 0, 2, 1]))
        );
        let serial: String = leaf.raw_serial().iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(answer.str("serial_number"), serial);
    }
}

#[test]
fn several_units_and_fixed_values_stand_in_the_subject() {
    let mut profile = ProfileSpec::default();
    profile.subject.retain(|attribute| attribute.key != "organization_name");
    profile.subject.push(AttributeSpec::fixed("organization_name", "Fixed AG"));
    let caller = Caller::new(profile);
    caller.simulator.change_variants(|variants| variants.subject_rule = crate::simulator::SubjectRule::BodyWins);
    let mut body = caller.body();
    body["attributes"]["subject"]["organization_units"] = json!(["One", "Two", "Three"]);
    let answer = caller.post(ISSUE, &body);
    let chain = ders(answer.str("certificate"));
    let (_, leaf) = parse_x509_certificate(&chain[0]).unwrap();
    assert_eq!(leaf.subject().to_string(), "O=Fixed AG, OU=One, OU=Two, OU=Three, CN=www.example.com");
}

#[test]
fn details_and_formats_describe_it() {
    let caller = Caller::new(ProfileSpec::default());
    let serial = caller.issued();
    let details = caller.get(&format!("{ISSUE}/{serial}"));
    assert_eq!((details.status, details.str("status"), details.str("serial_number")), (200, "issued", serial.as_str()));
    assert_eq!(details.json["profile"]["id"], json!(caller.profile));
    assert_eq!(details.json["seat"]["seat_id"], json!("www.example.com"));
    assert_eq!((details.str("thumbprint").len(), details.str("signature_algorithm")), (64, "EC"));
    assert!(details.str("valid_to").ends_with('Z') && !details.str("certificate").contains("BEGIN"));
    let formats = caller.get(&format!("{ISSUE}/{serial}/additional-formats"));
    let chain = formats.json["x509_cert_chain"].as_array().unwrap();
    let names: Vec<&str> = chain.iter().map(|item| item["common_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["www.example.com", "Simulated Issuing CA", "Simulated Root CA"]);
    let pem: String = chain.iter().map(|item| item["cert_blob"].as_str().unwrap()).collect();
    verify(&ders(&pem), &ders(&caller.simulator.issuing_root_pem())[0]);
    assert!(formats.str("pkcs7").starts_with("-----BEGIN PKCS7-----\n"));
}

#[test]
fn unknown_serial_numbers_are_not_found() {
    let caller = Caller::new(ProfileSpec::default());
    caller.issued();
    for path in ["00", "00/additional-formats"] {
        let answer = caller.get(&format!("{ISSUE}/{path}"));
        assert_eq!((answer.status, answer.code()), (404, "entity_not_found"));
    }
    assert_eq!(caller.renew("00").status, 404);
}

#[test]
fn a_profile_shows_its_policy_and_issuers() {
    let caller = Caller::new(ProfileSpec { lifetime: Duration::from_secs(20), ..ProfileSpec::default() });
    let answer = caller.get(&format!("/mpki/api/v2/profile/{}", caller.profile));
    assert_eq!((answer.status, answer.str("status")), (200, "Active"));
    let certificate = &answer.json["certificate"];
    assert_eq!(certificate["validity"], json!({"unit": "minutes", "duration": 1}));
    let serial = certificate["issuer"]["serial_number"].as_str().unwrap();
    assert!(serial.bytes().all(|digit| digit.is_ascii_digit()), "{serial} is decimal");
    assert_eq!(certificate["issuer"]["chain"][0]["root"], json!(true));
    assert_eq!(answer.json["cert_delivery_format"], json!("x509"));
    assert_eq!(answer.json["certificate_delivery_format"], json!("pkcs7"));
    let missing = caller.get("/mpki/api/v2/profile/914bfbc2-b2e2-11ef-a370-fe7b3e6ed6dd");
    assert_eq!((missing.status, missing.code()), (403, "no_access"));
}

#[test]
fn a_pending_request_is_approved_rejected_or_forgotten() {
    let issuance = Issuance::Pending { approve_after: None };
    let caller = Caller::new(ProfileSpec { issuance, ..ProfileSpec::default() });
    let submit = || {
        let answer = caller.issue();
        assert_eq!((answer.status, answer.json.get("certificate")), (201, None));
        answer.str("request_id").to_owned()
    };
    let (first, second, third) = (submit(), submit(), submit());
    assert_eq!(caller.simulator.pending(), [first.clone(), second.clone(), third.clone()]);
    let waiting = caller.pick_up(&first);
    assert_eq!((waiting.status, waiting.json), (200, json!({"status": "PENDING"})));
    assert!(caller.simulator.approve(&first));
    assert!(caller.simulator.reject(&second, "no"));
    caller.simulator.forget(&third);
    assert!(!caller.simulator.approve(&first) && !caller.simulator.reject(&first, "late"));
    let issued = caller.pick_up(&first);
    assert_eq!((issued.status, issued.str("status")), (200, "ISSUED"));
    assert_eq!(ders(issued.str("certificate")).len(), 3);
    assert_eq!(caller.pick_up(&second).json, json!({"status": "REJECTED"}));
    assert_eq!(caller.pick_up(&third).status, 404);
}

#[test]
fn an_approval_comes_by_itself_after_its_time() {
    let issuance = Issuance::Pending { approve_after: Some(Duration::from_millis(1)) };
    let caller = Caller::new(ProfileSpec { issuance, ..ProfileSpec::default() });
    let id = caller.issue().str("request_id").to_owned();
    let started = std::time::Instant::now();
    while caller.pick_up(&id).str("status") == "PENDING" {
        assert!(started.elapsed() < Duration::from_secs(10));
    }
    assert_eq!((caller.simulator.pending().len(), caller.simulator.issued().len()), (0, 1));
}

#[test]
fn pickup_wants_the_right_profile() {
    let issuance = Issuance::Microsoft;
    let caller = Caller::new(ProfileSpec { issuance, ..ProfileSpec::default() });
    let id = caller.issue().str("request_id").to_owned();
    let path = format!("/mpki/api/v1/certificate-pickup/{id}");
    assert_eq!(caller.post(&path, &json!({})).code(), "invalid_input_field");
    assert_eq!(caller.post(&path, &json!({"profile": {"id": "other"}})).status, 404);
    assert_eq!(caller.pick_up("no-such-request").status, 404);
    assert_eq!(caller.pick_up(&id).str("status"), "ISSUED");
}

#[test]
fn renewal_adds_the_remainder_and_happens_once() {
    let window = Some(Duration::from_secs(91 * 86_400));
    let caller = Caller::new(ProfileSpec { renewal_window_override: window, ..ProfileSpec::default() });
    let serial = caller.issued();
    let answer = caller.renew(&serial);
    assert_eq!(answer.status, 200, "{}", answer.text);
    let [old, new] = caller.simulator.issued().try_into().unwrap();
    assert_eq!((new.not_after - old.not_after, old.renewed, new.renews.as_deref()), (90 * DAY, true, Some(&*serial)));
    assert_eq!((old.subject, old.names, old.seat), (new.subject, new.names, new.seat));
    let again = caller.renew(&serial);
    assert_eq!(again.status, 400);
    assert!(again.message().contains("already renewed"));
}

#[test]
fn renewal_is_refused_too_early_when_revoked_and_for_another_subject() {
    let caller = Caller::new(ProfileSpec::default());
    let serial = caller.issued();
    let early = caller.renew(&serial);
    let opens = clock::zulu(caller.simulator.issued()[0].not_after - 30 * DAY);
    let expected = format!("Failed to renew the specified certificate: renewal is not permitted until {opens}[UTC]");
    assert_eq!((early.status, early.message()), (400, expected.as_str()));
    let always = Some(Duration::from_secs(365 * 86_400));
    caller.simulator.change_profile(&caller.profile, |profile| profile.renewal_window_override = always);
    let other = json!({"csr": csr(&p256(), &[("common_name", "other.example.com")])});
    assert!(caller.post(&format!("{ISSUE}/{serial}/renew"), &other).message().contains("subject DN"));
    assert!(caller.simulator.revoke(&serial));
    assert!(caller.renew(&serial).message().contains("revoked"));
    assert_eq!(caller.simulator.issued().len(), 1);
}

#[test]
fn a_duplicate_is_refused_while_one_is_valid() {
    let caller = Caller::new(ProfileSpec { allows_duplicates: false, ..ProfileSpec::default() });
    let serial = caller.issued();
    let refused = caller.issue();
    assert_eq!((refused.status, refused.code()), (400, "duplicate_error"));
    assert!(caller.simulator.revoke(&serial));
    caller.issued();
}

#[test]
fn revocation_and_suspension() {
    let caller = Caller::new(ProfileSpec::default());
    let serial = caller.issued();
    let path = format!("{ISSUE}/{serial}/revoke");
    let put = |reason: &str| caller.send(caller.request("PUT", &path, &json!({"revocation_reason": reason}))).unwrap();
    let status = || caller.get(&format!("{ISSUE}/{serial}")).str("status").to_owned();
    assert_eq!(put("boredom").code(), "invalid_input_field");
    assert_eq!((put("certificate_hold").status, status().as_str()), (204, "suspended"));
    assert_eq!((caller.send(caller.keyed("DELETE", &path)).unwrap().status, status().as_str()), (204, "issued"));
    assert_eq!((put("superseded").status, status().as_str()), (204, "revoked"));
    assert_eq!(put("superseded").message(), "Certificate already has been revoked");
}

#[test]
fn search_filters_and_pages() {
    let caller = Caller::new(ProfileSpec::default());
    let serials = [caller.issued(), caller.issued(), caller.issued()];
    assert!(caller.simulator.revoke(&serials[1]));
    let search = |query: &str| caller.get(&format!("/mpki/api/v1/certificate-search?{query}")).json;
    let today = clock::day(clock::now() - 60);
    let profile = format!("profile_id={}", caller.profile);
    let cases: [(&str, u64); 10] = [
        ("", 3),
        ("status=issued", 2),
        ("status=revoked", 1),
        ("seat_id=www.example.com&common_name=www.example.com", 3),
        ("seat_id=other", 0),
        (&profile, 3),
        (&format!("valid_from={today}_9999-12-31"), 3),
        (&format!("valid_to={today}_"), 3),
        (&format!("valid_from={today}_{today}"), 3),
        ("valid_to=_2020-01-01", 0),
    ];
    for (query, total) in cases {
        assert_eq!(search(query)["total"], json!(total), "{query}");
    }
    let page = search("limit=2");
    assert_eq!((page["has_more"].clone(), page["items"].as_array().unwrap().len()), (json!(true), 2));
    let page = search("limit=2&offset=2");
    assert_eq!(
        (page["has_more"].clone(), page["items"][0]["serial_number"].clone()),
        (json!(false), json!(serials[2]))
    );
    assert_eq!(search("offset=50")["items"], Value::Array(Vec::new()));
}

#[test]
fn the_supporting_endpoints_answer() {
    let caller = Caller::new(ProfileSpec::default());
    assert_eq!(caller.get("/account/api/v1/user/me").json["roles"], json!(["EM_EPKI_USER_&_CERT_MANAGER"]));
    let hello = caller.get("/mpki/api/v1/hello").text;
    assert_eq!(hello, "Hello from DigiCert ONE - Trust Lifecycle Manager REST API!");
    let version = caller.send(caller.bare("GET", "/mpki/api/v1/version")).unwrap();
    assert_eq!((version.status, version.str("version")), (200, "1.2893.0"));
    let unknown = caller.get("/mpki/api/v9/profile");
    assert_eq!((unknown.status, unknown.header("content-type")), (200, Some("text/html;charset=utf-8")));
}

#[test]
fn the_validity_of_a_request_counts_where_the_profile_allows_it() {
    let caller = Caller::new(ProfileSpec { allows_validity_override: true, ..ProfileSpec::default() });
    let mut body = caller.body();
    for (unit, duration, seconds) in [("minutes", 5, 300), ("hours", 1, 3660), ("days", 7, 7 * DAY + 60)] {
        body["validity"] = json!({"unit": unit, "duration": duration});
        assert_eq!(caller.post(ISSUE, &body).status, 201);
        let record = caller.simulator.issued().pop().unwrap();
        assert_eq!(record.not_after - record.not_before, seconds, "{unit}");
    }
}
