//! Every variant of an answer that the API is known to give, decoded to the same thing.

use renewd::api::{Answer, Client, Page, Pickup, SearchQuery, Tlm};
use renewd::core::failure::{Accepted, Failure, FailureClass};
use renewd::core::known::profile::{Origin, Profile};
use renewd::core::known::standing::TlmState;
use renewd::core::known::validation::DomainValidation;
use renewd::core::name::{ProfileId, RequestId, SerialNumber};
use renewd::core::text::Text;
use renewd::core::wanted::entry::{Validity, ValidityUnit};
use renewd::core::wanted::key::KeyType;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::server::{KEY, PROFILE, client, issue_request, profile, renew_request, serial};

async fn ask<T>(status: u16, body: Value, ask: impl AsyncFnOnce(Client) -> T) -> T {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(status).set_body_json(body)).mount(&server).await;
    ask(client(&server.uri())).await
}

async fn read_profile(change: Value) -> Profile {
    let mut body = json!({"id": PROFILE, "name": "Web", "status": "Active"});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    ask(200, body, async |tlm| tlm.profile(&profile()).await).await.unwrap()
}

#[tokio::test]
async fn an_answer_about_another_profile_is_none() {
    let body = json!({"id": PROFILE.to_ascii_uppercase(), "name": "Web"});
    assert!(ask(200, body.clone(), async |tlm| tlm.profile(&profile()).await).await.is_ok());
    let another = ProfileId("7f606454-e011-4cfb-af90-5a13232bbd8f".into());
    let failure = ask(200, body, async |tlm| tlm.profile(&another).await).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::ApiBadAnswer);
    assert!(failure.message.as_str().ends_with(&format!("it is about the profile {PROFILE}")), "{failure}");
}

async fn read_keys(change: Value) -> Vec<KeyType> {
    read_profile(change).await.keys
}

#[tokio::test]
async fn the_full_profile_of_the_tutorial() {
    let body: Value = serde_json::from_str(include_str!("profiles.json")).unwrap();
    let profiles = ask(200, body, async |tlm| tlm.profiles(Page::FIRST).await).await.unwrap().profiles;
    let [profile] = profiles.as_slice() else { panic!("{profiles:?}") };
    assert_eq!(&*profile.id.0, PROFILE);
    assert_eq!((profile.status.as_str(), profile.enrollment_method.as_str()), ("Active", "rest_api"));
    assert_eq!(profile.authentication_method, "third_party_app");
    assert_eq!(profile.renewal_window_days, Some(30));
    assert!(!profile.allows_duplicates && profile.allows_validity && profile.escrows_keys);
    assert_eq!(profile.validity, Some(Validity { unit: ValidityUnit::Days, duration: 365 }));
    assert_eq!(profile.keys, [KeyType::Rsa2048]);
    assert_eq!(profile.issuers.len(), 2);
    let subject: Vec<_> =
        profile.subject.iter().map(|found| (found.key.as_str(), found.mandatory, found.origin.clone())).collect();
    let street = Origin::Fixed("1 Example Street".to_owned());
    assert_eq!(
        subject,
        [
            ("common_name", true, Origin::Request),
            ("domain_component", true, Origin::Request),
            ("organization_name", true, Origin::Elsewhere),
            ("street_address", true, street),
            ("country", true, Origin::Request),
        ]
    );
    let san: Vec<_> = profile.san.iter().map(|found| (found.key.as_str(), found.origin.clone())).collect();
    assert_eq!(san, [("emails", Origin::Request), ("user_principal_names", Origin::Elsewhere)]);
}

#[tokio::test]
async fn a_list_of_profiles_in_each_envelope() {
    let item = json!({"id": PROFILE.to_ascii_uppercase()});
    for list in [
        json!([item]),
        json!([[item]]),
        json!({"items": [item], "total": 1}),
        json!({"total": 9, "offset": 0, "data": [item]}),
        json!({"profiles": [item], "links": []}),
    ] {
        let profiles = ask(200, list, async |tlm| tlm.profiles(Page::FIRST).await).await.unwrap().profiles;
        assert_eq!(profiles.iter().map(|found| &*found.id.0).collect::<Vec<_>>(), [PROFILE]);
    }
    let empty = ask(200, json!([]), async |tlm| tlm.profiles(Page::FIRST).await).await.unwrap();
    assert_eq!((empty.profiles.len(), empty.received), (0, 0));
    for wrong in [json!({"a": [], "b": []}), json!({"profiles": {}}), json!("x"), json!({})] {
        assert!(ask(200, wrong.clone(), async |tlm| tlm.profiles(Page::FIRST).await).await.is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_profile_that_cannot_be_read_takes_no_other_with_it() {
    let page = json!([{"id": PROFILE}, null, {"name": format!("no id, but {KEY}")}, "x", [{"id": "second"}]]);
    let page = ask(200, page, async |tlm| tlm.profiles(Page::FIRST).await).await.unwrap();
    assert_eq!(page.profiles.iter().map(|found| &*found.id.0).collect::<Vec<_>>(), [PROFILE, "second"]);
    let broken: Vec<_> = page.broken.iter().map(|what| what.as_str()).collect();
    let nameless = "a profile without `id`: {\"name\":\"no id, but ***\"}";
    assert_eq!(broken, ["a profile without `id`: null", nameless, "a profile without `id`: \"x\""]);
    assert_eq!(page.received, 5);
}

#[tokio::test]
async fn key_sizes_in_every_spelling() {
    let p256 = vec![KeyType::EcdsaP256];
    assert_eq!(read_keys(json!({"private_key_attributes": {"key_size": "P-256"}})).await, p256);
    assert_eq!(read_keys(json!({"private_key_attributes": {"key_size": "256"}})).await, p256);
    assert_eq!(read_keys(json!({"private_key_attributes": {"key_size": 256}})).await, p256);
    let both = [KeyType::Rsa3072, KeyType::Rsa2048];
    let sizes = json!({"private_key_attributes": {"key_size": "3072"}, "allowed_key_sizes": ["2048", 3072]});
    assert_eq!(read_keys(sizes).await, both);
    let nested = json!({"private_key_attributes": {"key_size": "3072", "allowed_key_sizes": ["2048"]}});
    assert_eq!(read_keys(nested).await, both);
    let other = read_profile(json!({"private_key_attributes": {"key_size": "1024"}})).await;
    assert_eq!((other.keys, other.unknown_keys), (vec![], vec![Text::new("1024")]));
}

#[tokio::test]
async fn the_signature_algorithm_names_the_family_where_no_size_does() {
    let family = async |algorithm: &str| read_keys(json!({"signature_algorithm": algorithm})).await.first().copied();
    assert_eq!(family("SHA384_WITH_ECDSA").await, Some(KeyType::EcdsaP256));
    assert_eq!(family("sha256WithRSAPSS").await, Some(KeyType::Rsa2048));
    assert_eq!(family("sha3_256WithRSA").await, Some(KeyType::Rsa2048));
    assert_eq!(family("MATCH_ISSUER").await, None);
    let issuer_signs_rsa =
        json!({"signature_algorithm": "SHA256_WITH_RSA", "private_key_attributes": {"key_size": "P-384"}});
    assert_eq!(read_keys(issuer_signs_rsa).await, [KeyType::EcdsaP384]);
}

#[tokio::test]
async fn the_first_renewal_window_above_zero_counts() {
    let check = async |window: Value, alias: Value, expected: Option<u32>| {
        let change = json!({"renewal_window_days": window, "renewal_period_days": alias});
        assert_eq!(read_profile(change.clone()).await.renewal_window_days, expected, "{change}");
    };
    check(json!(30), json!(20), Some(30)).await;
    check(json!(20), json!(30), Some(20)).await;
    check(json!(30), json!(0), Some(30)).await;
    check(json!(0), json!(30), Some(30)).await;
    // Nothing but 0 is kept, so that it can be told, and is no window.
    check(json!(0), json!(0), Some(0)).await;
    let nothing = read_profile(json!({"renewal_window_days": 0, "renewal_period_days": null})).await;
    assert_eq!(nothing.renewal_window(), None);
    check(json!(null), json!(20), Some(20)).await;
    check(json!(" 15 "), json!(20), Some(15)).await;
    check(json!("15 days"), json!(20), Some(15)).await;
    check(json!("15D"), json!(20), Some(15)).await;
    check(json!("15 weeks"), json!(20), Some(20)).await;
    check(json!(30.0), json!(20), Some(30)).await;
    check(json!("30.0"), json!(20), Some(30)).await;
    for odd in [json!(-1), json!(0.5), json!("-1"), json!("soon")] {
        check(odd.clone(), json!(0), Some(0)).await;
        check(odd.clone(), json!(null), None).await;
        let told = read_profile(json!({"renewal_window_days": odd, "renewal_period_days": null})).await;
        let said = odd.as_str().map_or_else(|| odd.to_string(), str::to_owned);
        assert_eq!(told.odd_window, Some(Text::new(&said)));
    }
    for unsaid in [json!("0"), json!(-5), json!("-5"), json!(0.5), json!(""), json!("soon"), json!("inf"), json!([])] {
        check(unsaid.clone(), json!("20"), Some(20)).await;
        check(json!(20), unsaid, Some(20)).await;
    }
    check(json!(99_999_999_999_u64), json!(20), Some(u32::MAX)).await;
    check(json!("1e300"), json!(20), Some(u32::MAX)).await;
    assert_eq!(read_profile(json!({})).await.renewal_window_days, None);
}

#[tokio::test]
async fn the_allowed_list_in_every_form() {
    let allowed = async |change| {
        let names = read_profile(change).await.allowed_names;
        names.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        allowed(json!({"allowed_list": ["*.digicert.com", "10.0.0.0/8"]})).await,
        ["*.digicert.com", "10.0.0.0/8"]
    );
    assert_eq!(allowed(json!({"allowed_list": "a.com, b.com;c.com"})).await, ["a.com", "b.com", "c.com"]);
    assert_eq!(allowed(json!({"allowed_list": [{"value": "a.com"}, {"x": 1}]})).await, ["a.com", "(of another form)"]);
    assert_eq!(allowed(json!({"allowed_list": ["a.com"], "allowed_fqdn_regex": "^b"})).await, ["a.com", "regex: ^b"]);
    for nothing in [json!({}), json!({"allowed_list": null}), json!({"allowed_list": [], "allowed_fqdn_regex": ""})] {
        assert!(allowed(nothing).await.is_empty());
    }
}

#[tokio::test]
async fn custom_values_are_listed_or_placeholders_of_templates() {
    let values = async |change| {
        let values = read_profile(change).await.custom_values;
        values.iter().map(|value| (value.key.clone(), value.mandatory)).collect::<Vec<_>>()
    };
    let source = json!([{"source": "REST Request", "mandatory": true}]);
    let listed = json!({"attributes": [{"type": "User_Id", "sources": source}, {"type": "site", "mandatory": false}]});
    let expected = [("User_Id".to_owned(), true), ("site".to_owned(), false)];
    assert_eq!(values(json!({"certificate": {"custom_values": listed}})).await, expected);
    assert_eq!(values(json!({"certificate": {"extensions": {"custom_values": listed}}})).await, expected);
    let template = json!([{"oid": "1.2.8.8", "template": {"type": "SEQUENCE", "value": [{"value": "${user_id}"}, "${a}-${b}", "${"]}}]);
    let found = values(json!({"certificate": {"extensions": {"custom_extensions": template}}})).await;
    assert_eq!(found, ["user_id", "a", "b"].map(|key| (key.to_owned(), false)));
    assert!(values(json!({})).await.is_empty());
}

#[tokio::test]
async fn policies_under_either_name() {
    let duplicates = async |change| read_profile(change).await.allows_duplicates;
    assert!(duplicates(json!({"duplicate_cert_policy": true})).await);
    assert!(duplicates(json!({"duplicate_certificate_allowed": "true"})).await);
    assert!(!duplicates(json!({"duplicate_cert_policy": false, "duplicate_certificate_allowed": true})).await);
    assert!(!duplicates(json!({})).await);
    let escrow = async |enabled: bool, mode: &str| {
        let policy = json!({"key_escrow_enabled": enabled, "key_escrow_deployment_mode": mode});
        read_profile(json!({"key_escrow_policy": policy})).await.escrows_keys
    };
    assert!(escrow(true, "cloud").await && escrow(true, "CLOUD").await);
    assert!(!escrow(false, "CLOUD").await && !escrow(true, "LOCAL").await);
    let validity = async |unit: &str| {
        read_profile(json!({"certificate": {"validity": {"unit": unit, "duration": "2"}}})).await.validity
    };
    assert_eq!(validity("YEARS").await, Some(Validity { unit: ValidityUnit::Years, duration: 2 }));
    assert_eq!(validity("eons").await, None);
}

#[tokio::test]
async fn sources_of_an_attribute() {
    let origin = async |attribute: Value| {
        let change = json!({"certificate": {"subject": {"attributes": [attribute]}}});
        let found = read_profile(change).await.subject.remove(0);
        (found.mandatory, found.origin)
    };
    for word in ["REST Request", "rest_request", "ENTERED_BY_USER_DURING_ENROLLMENT", "from_csr", "REST_REQUEST"] {
        let attribute = json!({"type": "State", "sources": [{"mandatory": true, "source": word}]});
        assert_eq!(origin(attribute).await, (true, Origin::Request), "{word}");
    }
    let fixed = Origin::Fixed("CH".to_owned());
    for word in ["FIXED_VALUE", "fixed_value"] {
        for key in ["source", "sources"] {
            let attribute = json!({"type": "country", key: [{"source": word, "value": "CH"}]});
            assert_eq!(origin(attribute).await, (false, fixed.clone()));
        }
    }
    let lone = json!({"type": "country", "sources": {"source": "fixed_value", "value": "CH"}});
    assert_eq!(origin(lone).await.1, fixed);
    let elsewhere = json!({"type": "x", "sources": [{"mandatory": true, "source": "UPLOADED_BY_ADMIN"}]});
    assert_eq!(origin(elsewhere).await, (false, Origin::Elsewhere));
    let mixed = json!({"type": "x", "sources": [{"source": "AD_ATTRIBUTE"}, {"source": "from_csr"}]});
    assert_eq!(origin(mixed).await.1, Origin::Request);
    assert_eq!(origin(json!({"type": "x", "mandatory": "true", "sources": []})).await, (true, Origin::Request));
}

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";

async fn issued(body: Value) -> Vec<String> {
    let Answer::Issued(issued) = ask(201, body, async |tlm| tlm.issue(&issue_request()).await).await.unwrap() else {
        panic!("pending")
    };
    assert_eq!(issued.serial_number, serial());
    issued.certificates
}

#[tokio::test]
async fn a_certificate_in_each_delivery() {
    let windows = PEM.replace('\n', "\r\n");
    let chain = format!("{PEM}{PEM}");
    for certificate in [PEM, "MIIB", &windows, &chain] {
        assert_eq!(issued(json!({"serial_number": "0F6F55", "certificate": certificate})).await, [certificate]);
    }
    let beside = json!({"serial_number": "0F6F55", "certificate": PEM, "ca_certs": [{"pem": "a"}, "b", {}, null, " "]});
    assert_eq!(issued(beside).await, [PEM, "a", "b", "{}"], "that a member holds nothing is not passed over");
    for member in [json!({"cert_blob": "a"}), json!({"certificate": "a"}), json!({"odd": "-----BEGIN x"}), json!(["a"])]
    {
        let text = if member.get("odd").is_some() { "-----BEGIN x" } else { "a" };
        let body = json!({"serial_number": "0F6F55", "certificate": {"pem": PEM}, "ca_certs": member});
        assert_eq!(issued(body).await, [PEM, text]);
    }
    assert!(issued(json!({"serial_number": "0F6F55"})).await.is_empty(), "issued, and to be fetched");
    let with_request =
        json!({"serial_number": "0F6F55", "certificate": PEM, "request_id": "r1", "pkcs12_password": "p"});
    assert_eq!(issued(with_request).await, [PEM]);
}

/// A certificate that can be read.
fn real_pem() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(["www.example.com".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
}

#[tokio::test]
async fn a_certificate_is_found_wherever_it_stands() {
    let (pem, other) = (real_pem(), real_pem());
    for (body, expected) in [
        (json!({"certificate_pem": pem}), vec![&pem]),
        (json!({"certificatePem": pem}), vec![&pem]),
        (json!({"x509": pem, "ca_chain": other}), vec![&pem, &other]),
        (json!({"pem": [pem, other]}), vec![&pem, &other]),
        (json!({"certificate": {"pem": "", "value": pem}}), vec![&pem]),
        (json!({"certificate": {"pem": "see below", "body": pem}}), vec![&pem]),
        (json!({"certificate": {"data": {"chain": other, "leaf": pem}}}), vec![&other, &pem]),
        (json!({"certificate": json!({"pem": pem}).to_string()}), vec![&pem]),
        (json!({"certificate": json!([pem, other]).to_string()}), vec![&pem, &other]),
    ] {
        let mut body = body;
        body["serial_number"] = json!("0F6F55");
        assert_eq!(issued(body.clone()).await.iter().collect::<Vec<_>>(), expected, "{body}");
        body["request_id"] = json!("r1");
        assert_eq!(issued(body.clone()).await.iter().collect::<Vec<_>>(), expected, "{body}");
    }
}

#[tokio::test]
async fn an_answer_in_an_envelope_is_the_answer() {
    let inner = json!({"serial_number": "0F6F55", "certificate": PEM});
    for body in [
        json!({"data": inner}),
        json!({"success": true, "result": inner}),
        json!({"status": "success", "code": 0, "message": "ok", "data": {"response": inner}}),
        json!({"data": inner.to_string()}),
        json!(inner.to_string()),
    ] {
        assert_eq!(issued(body.clone()).await, [PEM], "{body}");
        assert!(matches!(pick_up(body.clone()).await.unwrap(), Pickup::Issued(_)), "{body}");
    }
    let waiting = json!({"status": "success", "data": {"status": "PENDING"}});
    assert_eq!(pick_up(waiting).await.unwrap(), Pickup::Pending(None));
    let waiting = json!({"status": "PENDING", "data": {"id": "r1"}});
    assert_eq!(pick_up(waiting).await.unwrap(), Pickup::Pending(None));
    let plain = json!({"serial_number": "0F6F55", "certificate": PEM, "data": {"certificate": "another"}});
    assert_eq!(issued(plain).await, [PEM]);
    let found = ask(200, json!({"result": {"items": [{"serial_number": "02"}], "total": 1}}), async |tlm| {
        tlm.search(&SearchQuery::default(), Page::FIRST).await
    });
    assert_eq!(found.await.unwrap().items.len(), 1);
    assert_eq!(read_profile(json!({"id": null, "data": {"id": PROFILE}})).await.id, profile());
}

#[tokio::test]
async fn what_a_success_says_of_an_error_is_told() {
    let body = json!({"errors": [{"code": "c", "message": format!("not today, {KEY}")}]});
    let failure = ask(201, body, async |tlm| tlm.issue(&issue_request()).await).await.unwrap_err();
    assert_eq!((failure.class, failure.accepted), (FailureClass::ApiBadAnswer, Accepted::Unknown), "{failure}");
    let words = "neither a certificate nor a `request_id`; it says: c: not today, ***";
    assert!(failure.message.as_str().ends_with(words), "{failure}");
}

#[tokio::test]
async fn json_may_be_padded() {
    let body = json!({"serial_number": "0F6F55", "certificate": PEM}).to_string();
    for padded in [format!("{body}\0"), format!("{body}\n\0\0 \n"), format!("\0{body}"), format!("\0 \0{body}\0")] {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(201).set_body_raw(padded.clone(), "application/json");
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let answer = client(&server.uri()).issue(&issue_request()).await;
        assert!(matches!(answer, Ok(Answer::Issued(_))), "{padded:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_request_may_have_to_wait() {
    let pending = Answer::Pending(RequestId("r1".to_owned()), None);
    for body in [
        json!({"request_id": "r1"}),
        json!({"request_id": "r1", "serial_number": "", "certificate": ""}),
        json!({"request_id": "r1", "serial_number": null, "certificate": null}),
        json!({"request_id": "r1", "certificate": "PENDING", "ca_certs": [{"pem": PEM}]}),
        json!({"request_id": "r1", "certificate": {}, "x509_cert_chain": [{"common_name": "x", "cert_blob": null}]}),
        json!({"request_id": "r1", "certificate": ["N/A", null]}),
    ] {
        for status in [200, 201] {
            let answer = ask(status, body.clone(), async |tlm| tlm.issue(&issue_request()).await).await;
            assert_eq!(answer.unwrap(), pending);
            let answer = ask(status, body.clone(), async |tlm| tlm.renew(&renew_request()).await).await;
            assert_eq!(answer.unwrap(), pending);
        }
    }
}

#[tokio::test]
async fn what_stands_in_the_place_of_a_request_id_is_none() {
    for word in [json!("null"), json!(false), json!(0), json!("none"), json!("-"), json!("."), json!(".."), json!(" ")]
    {
        let body = json!({"request_id": word, "serial_number": "0F:6F:55", "certificate": null});
        let answer = ask(201, body.clone(), async |tlm| tlm.issue(&issue_request()).await).await.unwrap();
        let Answer::Issued(issued) = answer else { panic!("{body}: {answer:?}") };
        assert_eq!((issued.serial_number.0.as_str(), issued.certificates.len()), ("0F6F55", 0), "{body}");
        let alone = json!({"request_id": word, "serial_number": "0x"});
        let failure = ask(201, alone, async |tlm| tlm.issue(&issue_request()).await).await.unwrap_err();
        assert_eq!(failure.class, FailureClass::ApiBadAnswer, "{failure}");
    }
}

#[tokio::test]
async fn what_is_no_serial_number_or_request_id_goes_no_further() {
    for wrong in ["../renew", "0F\u{1b}[31m", "no hex", &"F".repeat(129)] {
        let body = json!({"serial_number": wrong, "certificate": PEM});
        let answer = ask(201, body, async |tlm| tlm.issue(&issue_request()).await).await.unwrap();
        let Answer::Issued(issued) = answer else { panic!("{answer:?}") };
        assert_eq!((issued.serial_number.0.as_str(), issued.certificates.len()), ("", 1), "the certificate counts");
    }
    for wrong in ["a b", "r\u{1b}[31m", &"r".repeat(129)] {
        let failure =
            ask(201, json!({"request_id": wrong}), async |tlm| tlm.issue(&issue_request()).await).await.unwrap_err();
        assert_eq!((failure.class, failure.accepted), (FailureClass::ApiBadAnswer, Accepted::Unknown), "{failure}");
    }
}

async fn pick_up(body: Value) -> Result<Pickup, Failure> {
    ask(200, body, async |tlm| tlm.pick_up(&RequestId("r1".to_owned()), &profile()).await).await
}

#[tokio::test]
async fn a_pickup_in_each_state() {
    for body in [
        json!({"status": "ISSUED", "serial_number": "0F6F55", "certificate": PEM}),
        json!({"status": "issued", "serial_number": "0F6F55", "certificate": PEM}),
        json!({"serial_number": "0F6F55", "certificate": PEM}),
    ] {
        assert!(matches!(pick_up(body).await.unwrap(), Pickup::Issued(_)));
    }
    for status in [
        "PENDING",
        "pending",
        "pending_second_approval",
        "IN_PROGRESS",
        "In Progress",
        "in-progress",
        "Processing",
        "APPROVED",
        "created",
        "Waiting for approval",
        "Queued",
    ] {
        assert_eq!(pick_up(json!({"id": "r1", "status": status})).await.unwrap(), Pickup::Pending(None), "{status}");
    }
    // What is decided and there is issued; what TLM itself calls pending is not, whatever it shows.
    for (status, is_issued) in [("APPROVED", true), ("Created", true), ("PENDING", false), ("In Progress", false)] {
        let pickup = pick_up(json!({"status": status, "serial_number": "0F6F55", "certificate": PEM})).await.unwrap();
        assert_eq!(matches!(pickup, Pickup::Issued(_)), is_issued, "{status}");
        let placeholder = json!({"status": status, "certificate": "not yet", "ca_certs": [{"pem": PEM}]});
        assert_eq!(pick_up(placeholder).await.unwrap(), Pickup::Pending(None), "{status}");
    }
    let failure = pick_up(json!({"id": "r1"})).await.unwrap_err();
    assert_eq!(failure.class.code(), "api-bad-answer", "no word at all");
}

#[tokio::test]
async fn what_has_to_be_published_comes_along_with_a_pending_answer() {
    let details = json!({"dcv_method": "dns-txt-token", "dcv_random_value": format!("\u{1b}[1m_a1b2 {KEY}")});
    let check = |found: Option<DomainValidation>| {
        let found = found.unwrap();
        assert_eq!(found.method.as_ref().map(|text| text.as_str()), Some("dns-txt-token"));
        assert_eq!(found.random_value.as_ref().map(|text| text.as_str()), Some("[1m_a1b2 ***"));
        assert_eq!(found.to_string(), "waiting for domain validation: publish [1m_a1b2 *** by dns-txt-token");
    };
    for details in [
        details.clone(),
        json!([details]),
        json!([{"dcv_method": " "}, details, details]),
        json!({"www.example.com": details}),
        json!({"www.example.com": [details], "example.com": details}),
        json!({"domains": [details], "expires": "2027-01-31"}),
        json!({"method": "dns-txt-token", "values": [format!("\u{1b}[1m_a1b2 {KEY}")]}),
    ] {
        let body = json!({"request_id": "r1", "dv_details": details});
        let answer = ask(201, body, async |tlm| tlm.issue(&issue_request()).await).await.unwrap();
        let Answer::Pending(_, found) = answer else { panic!("{answer:?}") };
        check(found);
        let Pickup::Pending(found) = pick_up(json!({"status": "PENDING", "dv_details": details})).await.unwrap() else {
            panic!("not pending")
        };
        check(found);
    }
    for nothing in [json!({}), json!(null), json!([]), json!({"dcv_method": " "}), json!("x"), json!({"a": {"b": [1]}})]
    {
        let body = json!({"status": "PENDING", "dv_details": nothing});
        assert_eq!(pick_up(body).await.unwrap(), Pickup::Pending(None), "{nothing}");
    }
}

#[tokio::test]
async fn what_each_of_several_domains_has_to_publish_is_named() {
    let shown = async |details: Value| {
        let body = json!({"status": "PENDING", "dv_details": details});
        let Pickup::Pending(Some(found)) = pick_up(body).await.unwrap() else { panic!("nothing") };
        found.to_string()
    };
    let one = |value: &str| json!({"dcv_method": "dns-txt-token", "dcv_random_value": value});
    let both = "waiting for domain validation: publish _1 (b.com), _2 (a.com) by dns-txt-token";
    let named = |domain: &str, value: &str| json!({"domain": domain, "method": "dns-txt-token", "token": value});
    assert_eq!(shown(json!([named("b.com", "_1"), named("a.com", "_2")])).await, both);
    let sorted = "waiting for domain validation: publish _2 (a.com), _1 (b.com) by dns-txt-token";
    assert_eq!(shown(json!({"b.com": one("_1"), "a.com": one("_2")})).await, sorted);
    let nameless = "waiting for domain validation: publish _1, _2 by dns-txt-token";
    assert_eq!(shown(json!([one("_1"), one("_2")])).await, nameless);
    let bare = "waiting for domain validation: publish _2 (a.com), _1 (b.com)";
    assert_eq!(shown(json!({"b.com": "_1", "a.com": "_2", "note": "soon"})).await, bare);
    let methods = json!([one("_1"), {"method": "http-token"}]);
    assert_eq!(shown(methods).await, "waiting for domain validation: publish _1 by dns-txt-token, http-token");
}

#[tokio::test]
async fn a_word_that_is_not_known_is_told_as_it_came() {
    for word in ["EXPIRED", "Locked"] {
        let answer = pick_up(json!({"status": word, "serial_number": "0F6F55"})).await.unwrap();
        let words = format!("`status` \"{word}\", which renewd does not know, without a certificate");
        assert_eq!(answer, Pickup::Unknown(Text::new(&words)));
    }
    let issued = Text::new("`status` \"ISSUED\" without a certificate");
    assert_eq!(pick_up(json!({"status": "ISSUED"})).await.unwrap(), Pickup::Unknown(issued));
}

#[tokio::test]
async fn a_rejected_pickup_is_never_a_success() {
    for status in ["REJECTED", "rejected"] {
        let body = json!({
            "status": status, "certificate": PEM, "pkcs12_password": "hidden", "reject_reason": format!("no {KEY}"),
            "comments": "ask first",
        });
        let Pickup::Rejected(remarks) = pick_up(body).await.unwrap() else { panic!("not rejected") };
        assert_eq!(remarks.as_str(), "comments: ask first; reject_reason: no ***");
    }
    for status in ["DECLINED", "denied", "CANCELLED", "canceled", "Rejected ", "REJECTED_BY_ADMIN"] {
        let body = json!({"status": status, "certificate": PEM});
        assert_eq!(pick_up(body).await.unwrap(), Pickup::Rejected(Text::new("")), "{status}");
    }
}

#[tokio::test]
async fn the_reason_of_a_rejection_is_told_wherever_it_stands() {
    for (more, told) in [
        (json!({"rejection": {"by": "Ann", "text": "no"}}), "by: Ann; text: no"),
        (json!({"errors": [{"code": "c", "message": "m"}, {"message": "n"}]}), "message: m; message: n"),
        (json!({"reasons": ["a", ["b"]]}), "reasons: a; reasons: b"),
        (json!({"approval": {"steps": [{"comment": format!("no {KEY}")}]}}), "comment: no ***"),
        (json!({"status": {"name": "REJECTED", "reason": "no"}}), "reason: no"),
        (json!({"profile": {"description": "Web"}, "pkcs12_password": "hidden"}), ""),
    ] {
        let mut body = json!({"status": "REJECTED"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(pick_up(body).await.unwrap(), Pickup::Rejected(Text::new(told)), "{more}");
    }
}

#[tokio::test]
async fn details_of_a_certificate() {
    let body: Value = serde_json::from_str(include_str!("details.json")).unwrap();
    let asked = SerialNumber("f6F55555658A989F0F463A4DA0D807F".to_owned());
    let details = ask(200, body.clone(), async |tlm| tlm.details(&asked, None).await).await.unwrap();
    let other = ask(200, body, async |tlm| tlm.details(&serial(), None).await).await.unwrap_err();
    assert_eq!(other.class, FailureClass::ApiBadAnswer);
    assert!(
        other.message.as_str().ends_with("it is about the certificate 0F6F55555658A989F0F463A4DA0D807F"),
        "{other}"
    );
    assert_eq!(details.serial_number.0, "0F6F55555658A989F0F463A4DA0D807F");
    assert_eq!(details.standing.state, TlmState::Issued);
    assert_eq!(&*details.profile.unwrap().0, "7f606454-e011-4cfb-af90-5a13232bbd8f");
    assert_eq!(details.certificate.as_deref(), Some("MIIB"));
    assert_eq!(details.thumbprint.as_deref(), Some("FE0EFDC64AA55565556152850D2B84B46EF433444A28970F6A2A7F510A7A8880"));
    let standing = async |more: Value| {
        let mut body = json!({"serial_number": "0F6F55"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(200, body, async |tlm| tlm.details(&serial(), None).await).await.unwrap().standing.to_string()
    };
    assert_eq!(standing(json!({"status": "REVOKED"})).await, "revoked");
    assert_eq!(standing(json!({"status": "expired"})).await, "expired");
    assert_eq!(standing(json!({"status": "Suspended"})).await, "suspended");
    assert_eq!(standing(json!({"status": "pending"})).await, "in the state \"pending\" (unknown to renewd)");
    assert_eq!(standing(json!({})).await, "in a state that TLM does not name");
    let revocation = json!({"reason": "key_compromise", "revocation_date": "2026-11-24T10:00:00Z", "comments": "x"});
    let told = "revoked since 2026-11-24T10:00:00Z (key_compromise)";
    assert_eq!(standing(json!({"status": "revoked", "revocation": revocation})).await, told);
    let hold = json!({"reason": "certificate_hold", "revocation_date": "2026-11-24"});
    let told = "suspended since 2026-11-24T00:00:00Z (certificate_hold)";
    assert_eq!(standing(json!({"status": "revoked", "revocation": hold})).await, told);
    for held in [json!(6), json!("6"), json!("certificateHold"), json!({"code": 6, "name": "CERTIFICATE_HOLD"})] {
        let told = standing(json!({"status": "revoked", "revocation": {"reason": held}})).await;
        assert!(told.starts_with("suspended ("), "{told}");
    }
    for (status, told) in [
        (json!({"name": "issued"}), "issued"),
        (json!({"code": 2, "value": "REVOKED"}), "revoked"),
        (json!({"status": {"label": "Suspended"}}), "suspended"),
        (json!(["expired"]), "expired"),
        (json!([{"name": "issued"}, "issued", null]), "issued"),
        (json!(["issued", "revoked"]), "in the state \"issued, revoked\" (unknown to renewd)"),
        (json!({"code": 7}), "in the state \"7\" (unknown to renewd)"),
        (json!({"odd": [{"x": "locked"}]}), "in the state \"locked\" (unknown to renewd)"),
        (json!({}), "in a state that TLM does not name"),
    ] {
        assert_eq!(standing(json!({"status": status})).await, told, "{status}");
    }
    assert_eq!(
        standing(json!({"serial_number": null, "data": {"serial_number": "0F6F55", "status": "issued"}})).await,
        "issued"
    );
    let nameless = json!({"certificate": "MIIB", "status": "issued"});
    let details = ask(200, nameless, async |tlm| tlm.details(&serial(), None).await).await.unwrap();
    assert_eq!(details.serial_number, serial(), "it is what was asked for");
    assert!(ask(200, json!({}), async |tlm| tlm.details(&serial(), None).await).await.is_err());
}

#[tokio::test]
async fn formats_of_a_certificate() {
    let read = async |body: Value| ask(200, body, async |tlm| tlm.formats(&serial(), None).await).await;
    let chain = json!([{"common_name": "www", "cert_blob": "leaf"}, {"common_name": "CA", "cert_blob": "root"}]);
    let formats = read(json!({"pkcs7": "p7", "x509_cert_chain": chain})).await.unwrap();
    assert_eq!((formats.chain, formats.pkcs7), (vec!["leaf".to_owned(), "root".to_owned()], Some("p7".to_owned())));
    assert!(read(json!({"pkcs7": "p7"})).await.unwrap().chain.is_empty());
    assert!(read(json!({"x509_cert_chain": [], "pkcs7": null})).await.unwrap().pkcs7.is_none());
    assert!(read(json!({"chain": []})).await.is_err());
}

#[tokio::test]
async fn a_search_says_whether_more_follows() {
    let more = async |mut body: Value, limit: u32| {
        body["items"] = json!([{"serial_number": "01", "status": "ISSUED"}, {"serial_number": "02"}]);
        let page = Page { offset: 2, limit };
        ask(200, body, async |tlm| tlm.search(&SearchQuery::default(), page).await).await.unwrap().has_more
    };
    assert!(more(json!({"has_more": true}), 10).await);
    assert!(!more(json!({"has_more": false, "total": 9}), 2).await);
    assert!(more(json!({"total": 5}), 10).await);
    assert!(!more(json!({"total": "4"}), 2).await);
    assert!(more(json!({}), 2).await);
    assert!(!more(json!({}), 3).await);
    let past_the_end = json!({"items": [], "total": 9, "has_more": true});
    let page = ask(200, past_the_end, async |tlm| tlm.search(&SearchQuery::default(), Page::FIRST).await).await;
    assert!(!page.unwrap().has_more, "an empty page is the last one");
    let odd = json!({"items": [null, {"status": "issued"}, {"certificate": "MIIB"}, "x", {"serial_number": "02"}]});
    let page = ask(200, odd, async |tlm| tlm.search(&SearchQuery::default(), Page::FIRST).await).await.unwrap();
    let found: Vec<_> = page.items.iter().map(|item| item.serial_number.0.as_str()).collect();
    assert_eq!((found.as_slice(), page.received), (["", "02"].as_slice(), 5), "what cannot be read ends nothing");
}

#[tokio::test]
async fn the_callers_roles_wherever_they_are() {
    let body = json!({
        "id": "u1", "roles": [{"id": 1, "name": "EM_EPKI_USER_&_CERT_MANAGER"}, "READER"],
        "access": {"user_permissions": ["VIEW_EM_CERTIFICATE", "READER"]}, "name": "someone",
    });
    let me = ask(200, body, async |tlm| tlm.me().await).await.unwrap();
    assert_eq!(me.roles, ["1", "EM_EPKI_USER_&_CERT_MANAGER", "READER", "VIEW_EM_CERTIFICATE"]);
}

#[tokio::test]
async fn the_version_is_clean_text() {
    let version = ask(200, json!({"version": "1.2893.0\u{1b}[0m"}), async |tlm| tlm.version().await).await;
    assert_eq!(version.unwrap(), "1.2893.0[0m");
}
