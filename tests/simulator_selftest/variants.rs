//! Each point on which the sources disagree can be switched.

use std::time::Duration;

use serde_json::{Value, json};

use crate::caller::{self, Caller, ISSUE, csr, p256};
use crate::simulator::{
    AttributeSpec, ChainOrder, DateStyle, Excess, Issuance, MeShape, ProfileList, ProfileSpec, Refusal, RenewedExpiry,
    Seats, SubjectRule, UnknownPath, Variants,
};

fn caller_with(change: impl FnOnce(&mut Variants)) -> Caller {
    let caller = Caller::new(ProfileSpec::default());
    caller.simulator.change_variants(change);
    caller
}

#[test]
fn profile_lists_and_spellings() {
    let list = "/mpki/api/v2/profile";
    assert!(
        caller_with(|variants| variants.profile_list = ProfileList::Wrapped).get(list).json["items"][0].is_object()
    );
    assert!(caller_with(|variants| variants.profile_list = ProfileList::Nested).get(list).json[0][0].is_object());
    let caller = caller_with(|variants| {
        let spelling = &mut variants.profile_spelling;
        spelling.singular_source = true;
        spelling.lower_case_sources = true;
        spelling.fields_array = true;
        spelling.prefixed_curves = true;
        spelling.no_allowed_key_sizes = true;
        spelling.duplicate_certificate_allowed = true;
    });
    caller
        .simulator
        .change_profile(&caller.profile, |profile| profile.subject.push(AttributeSpec::fixed("title", "x")));
    let profile = caller.get(list).json[0].clone();
    let attributes = &profile["certificate"]["subject"]["attributes"];
    assert_eq!(attributes[0]["source"][0]["source"], json!("rest_request"));
    assert!(attributes.as_array().unwrap().iter().any(|item| item["source"][0]["source"] == json!("fixed_value")));
    assert!(profile["fields"].is_array() && profile["duplicate_certificate_allowed"] == json!(true));
    assert_eq!(profile["private_key_attributes"]["key_size"], json!("P-256"));
    assert_eq!((profile.get("allowed_key_sizes"), profile.get("duplicate_cert_policy")), (None, None));
}

#[test]
fn pages_are_capped_odd_or_always_the_same() {
    let list = "/mpki/api/v2/profile";
    let count = |caller: &Caller, path: &str| caller.get(path).json.as_array().unwrap().len();
    let caller = caller_with(|variants| variants.profile_cap = Some(1));
    caller.simulator.add_profile(ProfileSpec::default());
    assert_eq!(count(&caller, &format!("{list}?limit=100")), 1);
    let caller = caller_with(|variants| (variants.odd_profiles, variants.ignores_offset) = (true, true));
    assert_eq!(count(&caller, &format!("{list}?offset=50")), 3);
    let caller = caller_with(|variants| (variants.odd_items, variants.search_cap) = (true, Some(1)));
    caller.issued();
    caller.issued();
    let found = caller.get("/mpki/api/v1/certificate-search").json;
    assert_eq!((found["items"][0].clone(), found["items"].as_array().unwrap().len()), (Value::Null, 4));
}

#[test]
fn what_is_pending_says_what_it_waits_for() {
    let caller = caller_with(|variants| variants.dv_details = true);
    caller.simulator.change_profile(&caller.profile, |profile| {
        profile.issuance = Issuance::Pending { approve_after: None };
    });
    assert_eq!(caller.issue().json["dv_details"]["dcv_method"], "dns-txt-token");
}

#[test]
fn refusals_have_the_numbers_that_are_set() {
    let caller = caller_with(|variants| {
        variants.refusals.unknown_serial = Refusal::nameless(400);
        variants.refusals.duplicate = Refusal::of(409, "duplicate_certificate");
    });
    let answer = caller.get(&format!("{ISSUE}/00"));
    assert_eq!((answer.status, answer.code()), (400, ""));
    caller.simulator.change_profile(&caller.profile, |profile| profile.allows_duplicates = false);
    caller.issued();
    let answer = caller.issue();
    assert_eq!((answer.status, answer.code()), (409, "duplicate_certificate"));
}

#[test]
fn unknown_paths() {
    for (variant, status, is_json) in [(UnknownPath::Page404, 404, false), (UnknownPath::Json404, 404, true)] {
        let answer = caller_with(|variants| variants.unknown_path = variant).get("/nowhere");
        assert_eq!((answer.status, answer.json.is_object()), (status, is_json));
    }
}

#[test]
fn validity_and_the_ca() {
    let caller = caller_with(|variants| variants.forbidden_validity = Excess::Ignored);
    let mut body = caller.body();
    body["validity"] = json!({"unit": "days", "duration": 1});
    assert_eq!(caller.post(ISSUE, &body).status, 201);
    let record = caller.simulator.issued().remove(0);
    assert_eq!(record.not_after - record.not_before, 90 * 86_400 + 60);
    let century = Duration::from_secs(100 * 365 * 86_400);
    caller.simulator.change_profile(&caller.profile, |profile| profile.lifetime = century);
    caller.issued();
    caller.simulator.change_variants(|variants| variants.overlong_validity = Excess::Refused);
    assert_eq!(caller.issue().status, 400);
}

#[test]
fn subjects_and_seats() {
    let request = csr(&p256(), &[("common_name", "csr.example.com")]);
    for (rule, name) in [(SubjectRule::BodyWins, "www.example.com"), (SubjectRule::CsrWins, "csr.example.com")] {
        let caller = caller_with(|variants| variants.subject_rule = rule);
        let mut body = caller.body();
        body["csr"] = json!(request);
        assert_eq!(caller.post(ISSUE, &body).status, 201);
        assert_eq!(caller.simulator.issued()[0].common_name, name);
    }
    let seats = [
        (Seats::Only(vec!["other".to_owned()]), 404),
        (Seats::Only(vec!["www.example.com".to_owned()]), 201),
        (Seats::EqualCommonName, 201),
        (Seats::OneName, 201),
    ];
    for (seats, status) in seats {
        assert_eq!(caller_with(|variants| variants.seats = seats).issue().status, status);
    }
    let caller = caller_with(|variants| variants.seats = Seats::OneName);
    caller.issued();
    caller.issued();
    let mut body = caller::body(&caller.profile, &csr(&p256(), &[("common_name", "other.example.com")]));
    body["attributes"]["subject"]["common_name"] = json!("other.example.com");
    assert_eq!(caller.post(ISSUE, &body).status, 404);
    body["seat"]["seat_id"] = json!("other.example.com");
    assert_eq!(caller.post(ISSUE, &body).status, 201);
}

#[test]
fn chains() {
    let chain = |order: ChainOrder| {
        let caller = caller_with(|variants| variants.chain_order = order);
        let blocks = pem::parse_many(caller.issue().str("certificate")).unwrap();
        let leaf = caller.simulator.issued().remove(0).der;
        blocks.iter().position(|block| block.contents() == leaf).unwrap()
    };
    let orders = [ChainOrder::LeafFirst, ChainOrder::RootFirst, ChainOrder::LeafInTheMiddle];
    assert_eq!(orders.map(chain), [0, 2, 1]);
    let answer = caller_with(|variants| variants.separate_chain = true).issue();
    assert_eq!(answer.json["ca_certs"].as_array().unwrap().len(), 2);
    assert_eq!(answer.str("certificate").matches("BEGIN").count(), 1);
}

#[test]
fn statuses_and_empty_fields() {
    let caller = caller_with(|variants| {
        variants.issue_status = 200;
        variants.renew_status = 201;
        variants.upper_case_formats = true;
        variants.pending_has_empty_fields = true;
        variants.pickup_has_companions = true;
        variants.renewed_expiry = RenewedExpiry::FromNow;
    });
    let profile = caller.profile.as_str();
    let answer = caller.issue();
    assert_eq!((answer.status, answer.str("delivery_format")), (200, "X509"));
    let serial = answer.str("serial_number");
    caller.simulator.change_profile(profile, |profile| {
        profile.renewal_window_override = Some(Duration::from_secs(365 * 86_400));
        profile.issuance = Issuance::Pending { approve_after: None };
    });
    let renewed = caller.renew(serial);
    assert_eq!((renewed.status, renewed.str("serial_number")), (201, ""));
    let id = renewed.str("request_id");
    assert_eq!(caller.pick_up(id).json, json!({"status": "PENDING", "id": id}));
    assert!(caller.simulator.approve(id));
    let [old, new] = caller.simulator.issued().try_into().unwrap();
    assert!(new.not_after - old.not_after < 60);
    caller.simulator.change_variants(|variants| variants.renew_may_pend = false);
    assert!(caller.renew(&new.serial).json.get("certificate").is_some());
}

#[test]
fn serial_numbers() {
    let caller = caller_with(|variants| variants.serials_collide = true);
    let serial = caller.issued();
    let path = format!("{ISSUE}/{serial}");
    assert!(caller.get(&path).message().starts_with("Collision occurred!"));
    let thumbprint = crate::simulator::certificate::thumbprint(&caller.simulator.issued()[0].der);
    assert_eq!(caller.get(&format!("{path}?thumbprint_sha256={thumbprint}")).status, 200);
    caller.simulator.change_variants(|variants| variants.serials_collide = false);
    let lower = format!("{ISSUE}/{}", serial.to_lowercase());
    caller.simulator.change(|state| state.issued[0].serial = "0ABC".to_owned());
    assert_eq!((caller.get(&lower).status, caller.get(&format!("{ISSUE}/0abc")).status), (404, 404));
    caller.simulator.change_variants(|variants| variants.serial_in_any_case = true);
    assert_eq!(caller.get(&format!("{ISSUE}/0abc")).status, 200);
    caller.simulator.change_variants(|variants| variants.strips_leading_zeros = true);
    assert_eq!(caller.get(&format!("{ISSUE}/ABC")).str("serial_number"), "ABC");
}

#[test]
fn details_dates_and_search() {
    let caller = caller_with(|variants| {
        variants.details_in_pem = true;
        variants.has_more = false;
        variants.upper_case_status = true;
    });
    let path = format!("{ISSUE}/{}", caller.issued());
    assert!(caller.get(&path).str("certificate").starts_with("-----BEGIN CERTIFICATE-----"));
    let search = caller.get("/mpki/api/v1/certificate-search?status=ISSUED").json;
    assert_eq!((search["total"].clone(), search.get("has_more")), (json!(1), None));
    assert_eq!(search["items"][0]["status"], json!("ISSUED"));
    let end = caller.simulator.issued()[0].not_after;
    let styles = [
        (DateStyle::Offset, Some(".000+00:00")),
        (DateStyle::NoZone, Some(".000000")),
        (DateStyle::DateOnly, Some("-")),
        (DateStyle::EpochMillis, None),
    ];
    for (style, mark) in styles {
        caller.simulator.change_variants(|variants| variants.dates = style);
        let date = caller.get(&path).json["valid_to"].clone();
        match mark {
            Some(mark) => assert!(date.as_str().unwrap().contains(mark), "{date}"),
            None => assert_eq!(date, json!(end * 1000)),
        }
    }
}

#[test]
fn who_calls_and_hello() {
    let me = |shape: MeShape| caller_with(|variants| variants.me = shape).get("/account/api/v1/user/me").json;
    let role = Value::from("EM_EPKI_USER_&_CERT_MANAGER");
    assert_eq!(me(MeShape::RoleObjects)["roles"][0]["name"], role);
    assert_eq!(me(MeShape::NoRoles).get("roles"), None);
    assert_eq!(me(MeShape::Nested)["user"]["permissions"][0], role);
    let caller = caller_with(|variants| {
        variants.hello_checks_key = false;
        variants.old_hello = true;
    });
    let hello = caller.send(caller.bare("GET", "/mpki/api/v1/hello")).unwrap();
    assert_eq!(hello.text, "Hello from DigiCert ONE - Enterprise PKI Manager REST API!");
}

#[test]
fn rates_and_the_life_of_a_request() {
    let caller = caller_with(|variants| variants.rate_limit = Some((2, Duration::from_secs(60))));
    let list = || caller.get("/mpki/api/v2/profile");
    assert_eq!([list().status, list().status], [200, 200]);
    let refused = list();
    assert_eq!((refused.status, refused.code(), refused.header("retry-after")), (429, "client_error", Some("10")));
    let caller = caller_with(|variants| variants.request_lifetime = Some(Duration::ZERO));
    let issuance = Issuance::Pending { approve_after: None };
    caller.simulator.change_profile(&caller.profile, |profile| profile.issuance = issuance);
    let id = caller.issue().str("request_id").to_owned();
    assert_eq!(caller.pick_up(&id).status, 404);
    caller.simulator.change_variants(|variants| variants.request_lifetime = None);
    caller.simulator.change_profile(&caller.profile, |profile| {
        profile.issuance = Issuance::Pending { approve_after: Some(Duration::ZERO) };
        profile.rejects = true;
    });
    let id = caller.issue().str("request_id").to_owned();
    assert_eq!(caller.pick_up(&id).str("status"), "REJECTED");
}
