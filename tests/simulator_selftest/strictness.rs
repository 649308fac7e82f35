//! Each wrong request gets the error that the API would give.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::caller::{self, Caller, ISSUE, csr, key_of, p256};
use crate::simulator::{Access, AttributeSpec, CertificateStatus, ProfileSpec, Source};

#[track_caller]
fn refused(caller: &Caller, body: &Value, status: u16, code: &str, part_of_message: &str) {
    let answer = caller.post(ISSUE, body);
    assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.text);
    assert!(answer.message().contains(part_of_message), "{}", answer.text);
    assert_eq!(caller.simulator.issued().len(), 0, "nothing is issued");
}

fn with(body: &Value, pointer: &str, value: Value) -> Value {
    let mut body = body.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = body.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    if value.is_null() {
        parent.remove(name).unwrap();
    } else {
        parent.insert(name.to_owned(), value);
    }
    body
}

#[test]
fn a_body_of_the_wrong_shape_is_refused() {
    let caller = Caller::new(ProfileSpec::default());
    let body = caller.body();
    let input = "invalid_input_field";
    let subject = "/attributes/subject";
    let san = "/attributes/extensions/san";
    let long = "x".repeat(65);
    let cases = [
        ("/profile", Value::Null, 400, input, "'profile.id' is required"),
        ("/profile/id", json!("d6743d9a-fb67-4a64-a33e-8a3229d28cc4"), 403, "no_access", "no access"),
        ("/profile/name", json!("TLS"), 400, input, "Unrecognized field 'name'"),
        ("/seat", Value::Null, 400, input, "'seat.seat_id' is required"),
        ("/seat/seat_id", json!(7), 400, input, "Wrong input"),
        ("/csr", Value::Null, 400, input, "'csr' is required"),
        ("/csr", json!("%%%"), 400, "mandatory_attribute_unavailable", "unable to decode base64"),
        ("/csr", json!("AAAA"), 400, "mandatory_attribute_unavailable", "malformed"),
        ("/commonName", json!("x"), 400, input, "Unrecognized field 'commonName'"),
        ("/validity", json!({"unit": "days", "duration": 1}), 400, input, "does not allow overriding"),
        ("/validity", json!({"unit": "weeks", "duration": 1}), 400, input, "Wrong input"),
        ("/delivery_format", json!("pem"), 400, input, "Wrong input"),
        ("/delivery_format", json!("pkcs12"), 400, input, "Wrong input"),
        ("/include_ca_chain", json!("yes"), 400, input, "Wrong input"),
        ("/attributes/san", json!({}), 400, input, "Unrecognized field 'san'"),
        ("/attributes/subject/common_name", Value::Null, 400, "mandatory_attribute_unavailable", "'common_name'"),
        ("/attributes/subject/common_name", json!(["x"]), 400, input, "Wrong input"),
        ("/attributes/subject/common_name", json!(long), 400, input, "between 1 and 64"),
        ("/attributes/subject/common_name", json!("other.example.com"), 400, "invalid_request", "does not match"),
        (&format!("{subject}/pseudonym"), json!("x"), 400, "invalid_request", "'pseudonym' is not configured"),
        (&format!("{subject}/cn"), json!("x"), 400, input, "Unrecognized field 'cn'"),
        (&format!("{subject}/country"), json!("ch"), 400, input, "ISO 3166"),
        (&format!("{subject}/country"), json!("CHE"), 400, input, "between 1 and 2"),
        (&format!("{subject}/postal_code"), json!(8000), 400, input, "Wrong input"),
        (&format!("{subject}/organization_units"), json!("one"), 400, input, "Wrong input"),
        (&format!("{san}/dns_names"), json!("www.example.com"), 400, input, "Wrong input"),
        (&format!("{san}/dns_names"), json!(["a b"]), 400, input, "not valid for 'dns_names'"),
        (&format!("{san}/ip_addresses"), json!(["192.0.2.256"]), 400, input, "not valid for 'ip_addresses'"),
        (&format!("{san}/emails"), json!(["nobody"]), 400, input, "not valid for 'emails'"),
        (&format!("{san}/uris"), json!(["nothing"]), 400, input, "not valid for 'uris'"),
        ("/tags", json!("web"), 400, input, "Wrong input"),
        ("/tags", json!([{"name": "web"}]), 400, input, "Wrong input"),
        ("/custom_attributes", json!({"id": 7}), 400, input, "Wrong input"),
        ("/ca_attributes", json!({"order": 7}), 400, input, "Unrecognized field 'order'"),
        ("/ca_attributes", json!({"renewal_of_order_id": "7"}), 400, input, "Wrong input"),
        ("/ca_attributes", json!({"skip_domain_validation": "true"}), 400, input, "Wrong input"),
        ("/ca_attributes", json!({"dcv_method": "e-mail"}), 400, input, "Wrong input"),
        (&format!("{san}/user_principal_names"), json!(["x@y"]), 400, "invalid_request", "not configured"),
    ];
    for (pointer, value, status, code, message) in cases {
        refused(&caller, &with(&body, pointer, value), status, code, message);
    }
}

#[test]
fn a_signing_request_must_be_signed_by_its_own_key() {
    let caller = Caller::new(ProfileSpec::default());
    let mut der = pem::parse(csr(&p256(), &[("common_name", "www.example.com")])).unwrap().into_contents();
    let end = der.len() - 1;
    der[end] ^= 1;
    let body = with(&caller.body(), "/csr", json!(STANDARD.encode(&der)));
    refused(&caller, &body, 400, "mandatory_attribute_unavailable", "signature");
    der[end] ^= 1;
    der.push(0);
    let body = with(&caller.body(), "/csr", json!(STANDARD.encode(&der)));
    refused(&caller, &body, 400, "mandatory_attribute_unavailable", "trailing data");
}

/// A signing request that names these hosts.
fn csr_with_names(names: &[&str]) -> String {
    let mut params =
        rcgen::CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "www.example.com");
    params.serialize_request(&p256()).unwrap().pem().unwrap()
}

#[test]
fn the_names_of_a_signing_request_agree_with_those_that_count() {
    let caller = Caller::new(ProfileSpec::default());
    let all = ["www.example.com", "example.com", "192.0.2.1"];
    let less = csr_with_names(&all[..2]);
    let more = csr_with_names(&[&all[..], &["other.example.com"]].concat());
    for wrong in [&less, &more] {
        refused(&caller, &with(&caller.body(), "/csr", json!(wrong)), 400, "invalid_request", "alternative names");
    }
    let body = with(&caller.body(), "/csr", json!(csr_with_names(&["192.0.2.1", "example.com", "www.example.com"])));
    let issued = caller.post(ISSUE, &body);
    assert_eq!(issued.status, 201, "in any order: {}", issued.text);
    let window = Some(Duration::from_secs(365 * 86_400));
    caller.simulator.change_profile(&caller.profile, |profile| profile.renewal_window_override = window);
    let path = format!("{ISSUE}/{}/renew", issued.str("serial_number"));
    let answer = caller.post(&path, &json!({"csr": less}));
    assert_eq!((answer.status, answer.json["errors"][0]["field"].as_str()), (400, Some("csr")), "{}", answer.text);
    caller.simulator.change_variants(|variants| variants.csr_names_must_match = false);
    assert_eq!(caller.post(&path, &json!({"csr": less})).status, 200);
}

#[test]
fn only_what_is_in_force_is_renewed() {
    let caller = Caller::new(ProfileSpec::default());
    let serial = caller.issued();
    caller.simulator.change(|state| state.issued[0].not_after = 1_000_000_000);
    assert!(caller.renew(&serial).message().ends_with("certificate is expired"));
    let serial = caller.issued();
    assert!(caller.renew(&serial).message().contains("renewal is not permitted until 20"));
    caller.simulator.change_variants(|variants| variants.too_early_names_date = false);
    assert!(caller.renew(&serial).message().ends_with("certificate is not within its renewal window"));
    assert!(caller.simulator.revoke(&serial));
    assert!(caller.renew(&serial).message().ends_with("certificate is revoked"));
    caller.simulator.change(|state| state.issued[1].status = CertificateStatus::Suspended);
    assert!(caller.renew(&serial).message().ends_with("certificate is suspended"));
}

#[test]
fn a_client_certificate_comes_without_a_key() {
    let caller = Caller::new(ProfileSpec::default()).identified();
    caller.simulator.require(Access::ClientCertificate);
    let list = "/mpki/api/v2/profile";
    assert_eq!(caller.send(caller.bare("GET", list)).unwrap().status, 200);
    assert_eq!(caller.get(list).status, 401, "a key beside it");
    caller.simulator.change_variants(|variants| variants.key_beside_certificate = true);
    assert_eq!(caller.get(list).status, 200);
}

#[test]
fn a_body_has_a_length_where_that_is_required() {
    let caller = Caller::new(ProfileSpec::default());
    caller.simulator.change_variants(|variants| variants.requires_content_length = true);
    assert_eq!(caller.issue().status, 201);
    let chunked = caller.request("POST", ISSUE, &caller.body()).header("transfer-encoding", "chunked");
    let answer = caller.send(chunked).unwrap();
    assert_eq!(answer.status, 411, "{}", answer.text);
}

#[test]
fn the_three_spellings_of_a_signing_request_are_taken() {
    let caller = Caller::new(ProfileSpec::default());
    let pem = csr(&p256(), &[("common_name", "www.example.com")]);
    let bare: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    for spelling in [pem.clone(), pem.replace(['\r', '\n'], ""), bare, pem.replace('\n', "\r\n")] {
        let answer = caller.post(ISSUE, &with(&caller.body(), "/csr", json!(spelling)));
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
}

#[test]
fn only_the_key_sizes_of_the_profile_are_taken() {
    let sizes = vec!["2048".to_owned()];
    let caller = Caller::new(ProfileSpec { key_sizes: sizes, ..ProfileSpec::default() });
    refused(&caller, &caller.body(), 400, "invalid_request", "CSR key length 256 does not match 2048");
    for bits in [256, 384, 521, 2048] {
        caller.simulator.change_profile(&caller.profile, |profile| profile.key_sizes = vec![bits.to_string()]);
        let request = csr(&key_of(bits), &[("common_name", "www.example.com")]);
        let answer = caller.post(ISSUE, &with(&caller.body(), "/csr", json!(request)));
        assert_eq!(answer.status, 201, "{bits}: {}", answer.text);
    }
}

#[test]
fn the_profile_says_which_attributes_come() {
    let subject = vec![
        AttributeSpec::mandatory("common_name"),
        AttributeSpec { source: Source::Unsaid, ..AttributeSpec::mandatory("organization_name") },
        AttributeSpec::fixed("country", "CH"),
    ];
    let san = vec![AttributeSpec::mandatory("dns_names")];
    let caller = Caller::new(ProfileSpec { subject, san, ..ProfileSpec::default() });
    let complete = [("common_name", "www.example.com"), ("organization_name", "Example AG")];
    let mut body = caller::body(&caller.profile, &csr(&p256(), &complete));
    body["attributes"]["extensions"]["san"] = json!({"dns_names": ["www.example.com"]});
    refused(&caller, &body, 400, "mandatory_attribute_unavailable", "'organization_name'");
    body["attributes"]["subject"]["organization_name"] = json!("Example AG");
    let fixed = with(&body, "/attributes/subject/country", json!("CH"));
    refused(&caller, &fixed, 400, "invalid_request", "'country' has a fixed value");
    let two = with(&body, "/attributes/extensions/san/dns_names", json!(["a.example.com", "b.example.com"]));
    refused(&caller, &two, 400, "invalid_input_field", "Multiple values");
    let none = with(&body, "/attributes/extensions", Value::Null);
    refused(&caller, &none, 400, "mandatory_attribute_unavailable", "'dns_names'");
    let answer = caller.post(ISSUE, &body);
    assert_eq!(answer.status, 201, "{}", answer.text);
    let record = caller.simulator.issued().remove(0);
    assert!(record.subject.contains(&("country".to_owned(), "CH".to_owned())), "{:?}", record.subject);
}

#[test]
fn only_a_usable_profile_issues() {
    let caller = Caller::new(ProfileSpec::default());
    let profile = caller.profile.as_str();
    caller.simulator.change_profile(profile, |profile| profile.status = "Suspended".to_owned());
    refused(&caller, &caller.body(), 400, "invalid_request", "deleted or suspended Profile");
    caller.simulator.change_profile(profile, |profile| profile.status = "Deleted".to_owned());
    refused(&caller, &caller.body(), 410, "invalid_request", &format!("Profile with id {profile} was deleted"));
    caller.simulator.change_profile(profile, |profile| {
        profile.status = "Active".to_owned();
        profile.enrollment_method = "scep".to_owned();
    });
    refused(&caller, &caller.body(), 400, "invalid_request", "does not support issuance");
    caller.simulator.change_profile(profile, |profile| {
        profile.enrollment_method = "rest_api".to_owned();
        profile.bound_keys = vec![1];
    });
    refused(&caller, &caller.body(), 403, "access_denied", "not bound");
}

#[test]
fn the_headers_must_be_right() {
    let caller = Caller::new(ProfileSpec::default());
    let list = "/mpki/api/v2/profile";
    let key = caller.simulator.api_key();
    let body = caller.body().to_string();
    let typed = |kind: &str| caller.keyed("POST", ISSUE).header("content-type", kind).body(body.clone());
    let json = "application/json";
    let cases = [
        ("no key", caller.bare("GET", list), 401, "invalid_api_key"),
        ("wrong key", caller.bare("GET", list).header("x-api-key", "x"), 401, "invalid_api_key"),
        ("bearer", caller.bare("GET", list).bearer_auth(&key), 401, "invalid_api_key"),
        (
            "accept",
            caller.bare("GET", list).header("x-api-key", &key).header("accept", "text/xml"),
            406,
            "invalid_request",
        ),
        ("no type", caller.keyed("POST", ISSUE).body(body.clone()), 415, "invalid_request"),
        ("text", typed("text/plain"), 415, "invalid_request"),
        ("no JSON", caller.keyed("POST", ISSUE).header("content-type", json).body("{"), 400, "invalid_request"),
        ("a list", caller.keyed("POST", ISSUE).header("content-type", json).body("[]"), 400, "invalid_input_field"),
        ("method", caller.keyed("DELETE", ISSUE), 405, "invalid_request"),
    ];
    for (case, request, status, code) in cases {
        let answer = caller.send(request).unwrap();
        assert_eq!((answer.status, answer.code()), (status, code), "{case}: {}", answer.text);
    }
    assert_eq!(caller.send(typed("application/json; charset=utf-8")).unwrap().status, 201);
    caller.simulator.change_variants(|variants| variants.requires_user_agent = true);
    assert_eq!(caller.get(list).status, 400);
}

#[test]
fn lists_have_bounds() {
    let caller = Caller::new(ProfileSpec::default());
    for _ in 0..24 {
        caller.simulator.add_profile(ProfileSpec::default());
    }
    let cases = [("", 20), ("?limit=100", 25), ("?offset=20&limit=20", 5), ("?offset=40", 0)];
    for (query, count) in cases {
        let answer = caller.get(&format!("/mpki/api/v2/profile{query}"));
        assert_eq!(answer.json.as_array().unwrap().len(), count, "{query}");
    }
    let cases = [
        ("?limit=101", "pagination_limit_exceeded"),
        ("?limit=0", "invalid_input_field"),
        ("?offset=-1", "invalid_input_field"),
        ("?offset=9950&limit=100", "pagination_limit_exceeded"),
        ("?page=2", "invalid_input_field"),
    ];
    for (query, code) in cases {
        for path in ["/mpki/api/v2/profile", "/mpki/api/v1/certificate-search"] {
            let answer = caller.get(&format!("{path}{query}"));
            assert_eq!((answer.status, answer.code()), (400, code), "{path}{query}");
        }
    }
    for path in [format!("/mpki/api/v2/profile/{}?limit=1", caller.profile), "/account/api/v1/user/me?x=1".to_owned()] {
        assert_eq!(caller.get(&path).code(), "invalid_input_field", "{path}");
    }
    caller.simulator.change_variants(|variants| variants.profile_limit = 10);
    assert_eq!(caller.get("/mpki/api/v2/profile?limit=11").json["errors"][0]["max_limit"], json!(10));
    assert_eq!(caller.get("/mpki/api/v2/profile?limit=10").json.as_array().unwrap().len(), 10);
    let search = "/mpki/api/v1/certificate-search";
    for query in
        ["?status=ISSUED", "?valid_from=2026-11-24", "?valid_from=_", "?valid_from=2026-11-24_", "?valid_to=yesterday_"]
    {
        assert_eq!(caller.get(&format!("{search}{query}")).code(), "invalid_input_field", "{query}");
    }
}
