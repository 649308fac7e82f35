//! The exact request of each endpoint: method, path, query, headers, body.

use renewd::api::{Page, RevocationReason, SearchQuery, Tlm};
use renewd::core::failure::FailureClass;
use renewd::core::name::{ProfileId, RequestId, SerialNumber};
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::{OtherName, OtherSans, OtherValue, Sans, Validity, ValidityUnit, Value};
use renewd::core::wanted::subject::SubjectAttribute;
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::server::{KEY, PROFILE, client, credential, issue_request, profile, renew_request, serial, settings};

/// Runs `ask` against a server that answers everything with `{}`, and gives the one request that came.
async fn sent(ask: impl AsyncFn(&renewd::api::Client)) -> Request {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(json!({}))).mount(&server).await;
    ask(&client(&server.uri())).await;
    let mut requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1, "one method, one request");
    requests.remove(0)
}

/// The whole request: method, path and query, every header, the body. `version` alone needs no key.
#[track_caller]
fn check(request: &Request, method: &str, target: &str, body: Option<serde_json::Value>) {
    let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
    assert_eq!(request.method.as_str(), method);
    assert_eq!(format!("{}{query}", request.url.path()), target);
    let length = request.body.len().to_string();
    let mut expected =
        vec![("accept", "application/json"), ("user-agent", concat!("renewd/", env!("CARGO_PKG_VERSION")))];
    if body.is_some() {
        expected.extend([("content-length", length.as_str()), ("content-type", "application/json")]);
    }
    if !target.ends_with("/version") {
        expected.push(("x-api-key", KEY));
    }
    let mut headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    headers.retain(|(name, value)| *name != "host" || !value.starts_with("127.0.0.1:"));
    headers.sort_unstable();
    expected.sort_unstable();
    assert_eq!(headers, expected);
    let sent: Option<serde_json::Value> = (!request.body.is_empty()).then(|| request.body_json().unwrap());
    assert_eq!(sent, body);
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_certificate_is_revoked_by_its_serial_number_with_a_reason() {
    let revoke = async |tlm: &renewd::api::Client, thumbprint| {
        drop(tlm.revoke(&SerialNumber("0f6f".to_owned()), thumbprint, RevocationReason::KeyCompromise).await);
    };
    let body = || Some(json!({"revocation_reason": "key_compromise"}));
    let request = sent(async |tlm| revoke(tlm, None).await).await;
    check(&request, "PUT", "/mpki/api/v1/certificate/0F6F/revoke", body());
    let request = sent(async |tlm| revoke(tlm, Some("AB12")).await).await;
    check(&request, "PUT", "/mpki/api/v1/certificate/0F6F/revoke?thumbprint_sha256=AB12", body());
}

/// 204 without a body is done; a word that it was done before is a class of its own, whatever its status.
#[tokio::test]
async fn what_is_revoked_is_revoked() {
    let word = json!({"errors": [{"code": "x", "message": "Certificate already has been revoked"}]});
    for (answer, expected) in [
        (ResponseTemplate::new(204), Ok(())),
        (ResponseTemplate::new(400).set_body_json(&word), Err(FailureClass::CertificateRevoked)),
        (ResponseTemplate::new(409).set_body_json(&word), Err(FailureClass::CertificateRevoked)),
        (ResponseTemplate::new(404), Err(FailureClass::NotFound)),
        (ResponseTemplate::new(403), Err(FailureClass::ApiForbidden)),
    ] {
        let server = MockServer::start().await;
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let tlm = client(&server.uri());
        let answered = tlm.revoke(&SerialNumber("0F6F".to_owned()), None, RevocationReason::Superseded).await;
        assert_eq!(answered.map_err(|failure| failure.class), expected);
    }
}

#[tokio::test]
async fn profiles_are_listed_by_page() {
    let request = sent(async |tlm| drop(tlm.profiles(Page::FIRST.next()).await)).await;
    check(&request, "GET", "/mpki/api/v2/profile?offset=100&limit=100", None);
}

#[tokio::test]
async fn a_page_is_never_larger_than_the_api_allows() {
    let request = sent(async |tlm| drop(tlm.profiles(Page { offset: 0, limit: 5000 }).await)).await;
    check(&request, "GET", "/mpki/api/v2/profile?offset=0&limit=100", None);
}

#[tokio::test]
async fn a_profile_by_its_id() {
    let request = sent(async |tlm| drop(tlm.profile(&profile()).await)).await;
    check(&request, "GET", &format!("/mpki/api/v2/profile/{PROFILE}"), None);
}

#[tokio::test]
async fn the_least_request_for_a_certificate_has_no_empty_parts() {
    let request = sent(async |tlm| drop(tlm.issue(&issue_request()).await)).await;
    let body = json!({
        "profile": {"id": PROFILE}, "seat": {"seat_id": "www.example.com"}, "csr": issue_request().csr,
        "delivery_format": "x509", "include_ca_chain": true,
    });
    check(&request, "POST", "/mpki/api/v1/certificate", Some(body));
}

#[tokio::test]
async fn the_fullest_request_for_a_certificate() {
    let value = |text: &str| Value::String(text.to_owned());
    let full = renewd::api::IssueRequest {
        csr: issue_request().csr.replace('\n', "\r\n"),
        subject: [
            (SubjectAttribute::CommonName, vec!["www.example.com".to_owned()]),
            (SubjectAttribute::PostalCode, vec!["8001".to_owned()]),
            (SubjectAttribute::OrganizationUnits, vec!["Web".to_owned()]),
            (SubjectAttribute::State, Vec::new()),
        ]
        .into(),
        names: Sans {
            dns_names: vec!["www.example.com".to_owned(), "example.com".to_owned()],
            ip_addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()].into(),
            others: OtherSans {
                user_principal_names: vec!["host@corp.example".to_owned()],
                registered_ids: vec!["1.2.3".to_owned()],
                directory_names: vec!["CN=host,O=Example".to_owned()],
                guids: vec!["1b671a64-40d5-491e-99b0-da01ff1f3341".to_owned()],
                other_names: vec![OtherName {
                    oid: "1.2.4".to_owned(),
                    values: vec![
                        OtherValue { label: "site".to_owned(), value: "ZRH".to_owned() },
                        OtherValue { label: String::new(), value: "x".to_owned() },
                    ],
                }],
            }
            .into(),
            ..Sans::default()
        },
        seat_email: Some("pki@example.com".to_owned()),
        custom_values: [("user_id".to_owned(), Value::Integer(42))].into(),
        cert_owner_ids: vec!["owner".to_owned()],
        validity: Some(Validity { unit: ValidityUnit::Days, duration: 90 }),
        tags: vec![value("web")],
        custom_attributes: vec![Value::Table([("id".to_owned(), Value::Integer(7))].into())],
        ca_attributes: [("skip_domain_validation".to_owned(), Value::Bool(true))].into(),
        ..issue_request()
    };
    let request = sent(async |tlm| drop(tlm.issue(&full).await)).await;
    let body = json!({
        "profile": {"id": PROFILE}, "seat": {"seat_id": "www.example.com", "email": "pki@example.com"},
        "csr": issue_request().csr, "cert_owner_ids": ["owner"], "validity": {"unit": "days", "duration": 90}, "delivery_format": "x509", "include_ca_chain": true,
        "attributes": {
            "subject": {"common_name": "www.example.com", "postal_code": "8001", "organization_units": ["Web"]},
            "extensions": {"san": {
                "dns_names": ["www.example.com", "example.com"], "ip_addresses": ["192.0.2.1", "2001:db8::1"],
                "user_principal_names": ["host@corp.example"], "registered_ids": ["1.2.3"],
                "directory_name": "CN=host,O=Example",
                "other_names": {
                    "guid": ["1b671a64-40d5-491e-99b0-da01ff1f3341"],
                    "raw_other_names": [{"oid": "1.2.4", "values": [{"label": "site", "value": "ZRH"}, {"value": "x"}]}],
                },
            }},
            "custom_values": {"user_id": 42},
        },
        "tags": ["web"], "custom_attributes": [{"id": 7}], "ca_attributes": {"skip_domain_validation": true},
    });
    check(&request, "POST", "/mpki/api/v1/certificate", Some(body));
}

#[tokio::test]
async fn a_renewal_names_the_certificate_in_its_path() {
    let renewal = renewd::api::RenewRequest {
        serial_number: SerialNumber("0f6f55".to_owned()),
        thumbprint: Some("FE0E".to_owned()),
        validity: Some(Validity { unit: ValidityUnit::Years, duration: 1 }),
        ..renew_request()
    };
    let request = sent(async |tlm| drop(tlm.renew(&renewal).await)).await;
    let body = json!({
        "csr": renewal.csr, "validity": {"unit": "years", "duration": 1}, "delivery_format": "x509",
        "include_ca_chain": true,
    });
    check(&request, "POST", "/mpki/api/v1/certificate/0F6F55/renew?thumbprint_sha256=FE0E", Some(body));
}

#[tokio::test]
async fn a_pickup_names_the_profile_in_its_body() {
    let request = RequestId("11b0a8e0-0000".to_owned());
    let request = sent(async |tlm| drop(tlm.pick_up(&request, &profile()).await)).await;
    let body = json!({"profile": {"id": PROFILE}});
    check(&request, "POST", "/mpki/api/v1/certificate-pickup/11b0a8e0-0000", Some(body));
}

#[tokio::test]
async fn details_and_formats_of_a_certificate() {
    let request = sent(async |tlm| drop(tlm.details(&serial(), None).await)).await;
    check(&request, "GET", "/mpki/api/v1/certificate/0F6F55", None);
    let request = sent(async |tlm| drop(tlm.details(&serial(), Some("FE0E")).await)).await;
    check(&request, "GET", "/mpki/api/v1/certificate/0F6F55?thumbprint_sha256=FE0E", None);
    let request = sent(async |tlm| drop(tlm.formats(&serial(), None).await)).await;
    check(&request, "GET", "/mpki/api/v1/certificate/0F6F55/additional-formats", None);
    let request = sent(async |tlm| drop(tlm.formats(&serial(), Some("FE0E")).await)).await;
    check(&request, "GET", "/mpki/api/v1/certificate/0F6F55/additional-formats?thumbprint_sha256=FE0E", None);
}

#[tokio::test]
async fn a_search_filters_by_what_is_known() {
    let query = SearchQuery {
        profile: Some(profile()),
        seat: Some("a b&c".to_owned()),
        common_name: Some("*.example.com".to_owned()),
        valid_from: Some(Timestamp::from_seconds(1_795_478_399)),
    };
    let request = sent(async |tlm| drop(tlm.search(&query, Page::FIRST).await)).await;
    let target = format!(
        "/mpki/api/v1/certificate-search?profile_id={PROFILE}&seat_id=a+b%26c&common_name=*.example.com&status=issued\
         &valid_from=2026-11-23_9999-12-31&offset=0&limit=100"
    );
    check(&request, "GET", &target, None);
    let request = sent(async |tlm| drop(tlm.search(&SearchQuery::default(), Page::FIRST).await)).await;
    check(&request, "GET", "/mpki/api/v1/certificate-search?status=issued&offset=0&limit=100", None);
}

#[tokio::test]
async fn the_caller_and_the_version() {
    let request = sent(async |tlm| drop(tlm.me().await)).await;
    check(&request, "GET", "/account/api/v1/user/me", None);
    let request = sent(async |tlm| drop(tlm.version().await)).await;
    check(&request, "GET", "/mpki/api/v1/version", None);
}

#[tokio::test]
async fn an_id_cannot_leave_its_segment() {
    let request = sent(async |tlm| drop(tlm.profile(&ProfileId("../a/b?c#d%2e é".into())).await)).await;
    check(&request, "GET", "/mpki/api/v2/profile/..%2Fa%2Fb%3Fc%23d%252e%20%C3%A9", None);
    for id in ["", ".", ".."] {
        let failure = client("http://127.0.0.1:1").profile(&ProfileId(id.into())).await.unwrap_err();
        assert_eq!(failure.class.code(), "internal", "{id:?}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_key_that_was_refused() {
    let server = MockServer::start().await;
    let slow = ResponseTemplate::new(401).set_delay(std::time::Duration::from_millis(200));
    Mock::given(any()).respond_with(slow).mount(&server).await;
    let mut two = settings(&server.uri());
    two.credentials.push(credential("second", "another-key"));
    let tlm = renewd::api::Client::new(two).unwrap();
    let id = profile();
    let in_flight = tlm.profile(&id);
    let switch = async {
        while server.received_requests().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        tlm.use_next_key()
    };
    let (answer, switched) = tokio::join!(in_flight, switch);
    assert!(switched);
    let failure = answer.unwrap_err();
    assert!(failure.message.as_str().contains("the API did not accept the credential api-key"), "{failure}");
}

#[tokio::test]
async fn the_next_key_takes_over_when_told_so() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(401)).mount(&server).await;
    let mut two = settings(&server.uri());
    two.credentials.push(credential("second", "another-key"));
    let tlm = renewd::api::Client::new(two).unwrap();
    for (name, key) in [("api-key", KEY), ("second", "another-key"), ("api-key", KEY)] {
        assert_eq!(tlm.active_credential(), name);
        let failure = tlm.profile(&profile()).await.unwrap_err();
        assert!(
            failure.message.as_str().contains(&format!("the API did not accept the credential {name}")),
            "{failure}"
        );
        let requests = server.received_requests().await.unwrap();
        assert_eq!(header(requests.last().unwrap(), "x-api-key"), Some(key));
        assert!(tlm.use_next_key());
    }
    assert!(!client(&server.uri()).use_next_key(), "a single key has no successor");
}

#[tokio::test]
async fn a_base_url_may_have_a_path() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    drop(client(&format!("{}/tlm/", server.uri())).me().await);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.last().unwrap().url.path(), "/tlm/account/api/v1/user/me");
}

#[test]
fn a_url_that_cannot_be_trusted_is_refused() {
    #[track_caller]
    fn check(url: &str, expected: &str) {
        let failure = renewd::api::Client::new(settings(url)).unwrap_err();
        assert!(failure.message.as_str().contains(expected), "{url}: {failure}");
    }
    check("http://one.digicert.com", "neither https nor http to a loopback address");
    check("http://127.0.0.1.example.com", "neither https nor http to a loopback address");
    check("ftp://127.0.0.1", "neither https nor http to a loopback address");
    check("https://user:secret@one.digicert.com", "it contains a user or a password");
    check("https://one.digicert.com/?a=b", "it has a query or a fragment");
    check("one.digicert.com", "cannot use the URL");
    let mut none = settings("https://one.digicert.com");
    none.credentials.clear();
    let failure = renewd::api::Client::new(none).unwrap_err();
    assert!(failure.message.as_str().contains("neither an API key nor a client identity"), "{failure}");
}
