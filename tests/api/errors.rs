//! Every documented error of the API, and the class that follows from it.

use std::time::Duration;

use renewd::api::{Page, SearchQuery, Tlm};
use renewd::core::failure::{Accepted, Failure, FailureClass, RetryHint};
use renewd::core::name::RequestId;
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::server::{client, issue_request, profile, renew_request, serial};

#[derive(Clone, Copy, Debug)]
enum Ask {
    Profiles,
    Profile,
    Issue,
    Renew,
    PickUp,
    Details,
    Formats,
    Search,
    Me,
}

async fn failure(ask: Ask, answer: ResponseTemplate) -> Failure {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    let tlm = client(&server.uri());
    match ask {
        Ask::Profiles => tlm.profiles(Page::FIRST).await.unwrap_err(),
        Ask::Profile => tlm.profile(&profile()).await.unwrap_err(),
        Ask::Issue => tlm.issue(&issue_request()).await.unwrap_err(),
        Ask::Renew => tlm.renew(&renew_request()).await.unwrap_err(),
        Ask::PickUp => tlm.pick_up(&RequestId("r1".to_owned()), &profile()).await.unwrap_err(),
        Ask::Details => tlm.details(&serial(), None).await.unwrap_err(),
        Ask::Formats => tlm.formats(&serial(), None).await.unwrap_err(),
        Ask::Search => tlm.search(&SearchQuery::default(), Page::FIRST).await.unwrap_err(),
        Ask::Me => tlm.me().await.unwrap_err(),
    }
}

async fn check(ask: Ask, status: u16, code: &str, message: &str, expected: FailureClass) -> Failure {
    let body = json!({"errors": [{"code": code, "message": message}]});
    let found = failure(ask, ResponseTemplate::new(status).set_body_json(body)).await;
    assert_eq!(found.class, expected, "{ask:?} {status} {message}: {found}");
    assert!(found.message.as_str().contains(&format!("{status} {code}: ")), "{found}");
    let unsure = status >= 500 && status != 503 && matches!(ask, Ask::Issue | Ask::Renew);
    assert_eq!(found.accepted, if unsure { Accepted::Unknown } else { Accepted::No }, "{ask:?} {status}");
    found
}

#[tokio::test]
async fn errors_of_the_credential_and_of_the_permissions() {
    let text = "Access to the requested resource requires a valid access token.";
    check(Ask::Issue, 401, "invalid_api_key", text, FailureClass::ApiUnauthorised).await;
    check(Ask::Profile, 401, "authentication_error", text, FailureClass::ApiUnauthorised).await;
    check(Ask::Issue, 403, "access_denied", "no permission", FailureClass::ApiForbidden).await;
    let text = "User has no access to the Business unit with id = x or such Business unit does not exist";
    check(Ask::Profile, 403, "no_access", text, FailureClass::ApiForbidden).await;
}

#[tokio::test]
async fn errors_of_the_request_itself() {
    let refused = FailureClass::RequestRefused;
    check(Ask::Issue, 400, "invalid_request", "malformed", refused).await;
    check(Ask::Issue, 400, "invalid_input_field", "Wrong input or input format.", refused).await;
    check(Ask::Issue, 400, "mandatory_attribute_unavailable", "\"organization_name\" is missing", refused).await;
    check(Ask::Issue, 400, "x", "CSR key length 4096 does not match 2048", refused).await;
    check(Ask::Search, 400, "pagination_limit_exceeded", "too deep", refused).await;
    check(Ask::Issue, 422, "x", "not now", refused).await;
    check(Ask::PickUp, 400, "x", "wrong profile", refused).await;
    let text = "Collision occurred! Please specify additional parameter: thumbprint_sha256";
    check(Ask::Renew, 400, "x", text, refused).await;
}

#[tokio::test]
async fn a_seat_that_is_missing_is_named() {
    let text = "Could not find seat with identifier = xxx using subject.common_name as seat id mapping";
    for (ask, status, code, text, seat) in [
        (Ask::Issue, 404, "entity_not_found", text, "\"www.example.com\" "),
        (Ask::Issue, 400, "invalid_request", text, "\"www.example.com\" "),
        (Ask::Issue, 404, "seat_not_found", "nothing there", "\"www.example.com\" "),
        (Ask::Issue, 422, "x", "Seat www does not exist in profile Web", "\"www.example.com\" "),
        (Ask::Renew, 404, "entity_not_found", text, "\"xxx\" "),
        (Ask::Renew, 404, "entity_not_found", "seat not found", ""),
        (Ask::Search, 404, "entity_not_found", "Seat not found", ""),
        (Ask::Issue, 404, "x", "Seat www cannot be found", "\"www.example.com\" "),
        (Ask::Issue, 404, "x", "There is no such seat: www", "\"www.example.com\" "),
        (Ask::Issue, 404, "x", "Seat www is unknown", "\"www.example.com\" "),
        (Ask::Issue, 400, "x", "Seat is not registered in this business unit", "\"www.example.com\" "),
        (Ask::Issue, 404, "SeatNotFound", "nothing there", "\"www.example.com\" "),
        (Ask::Issue, 404, "seat-not-found", "nothing there", "\"www.example.com\" "),
    ] {
        let found = check(ask, status, code, text, FailureClass::SeatNotFound).await;
        assert!(found.message.as_str().ends_with(&format!("; create the seat {seat}in TLM")), "{found}");
    }
    check(Ask::Details, 404, "entity_not_found", text, FailureClass::NotFound).await;
    check(Ask::Issue, 400, "x", "the seat already has a certificate", FailureClass::DuplicateRefused).await;
    check(Ask::Issue, 403, "no_access", text, FailureClass::ApiForbidden).await;
    let license = "User license does not exist for seat type USER_SEAT";
    check(Ask::Issue, 400, "x", license, FailureClass::RequestRefused).await;
    check(Ask::Issue, 400, "x", "Business unit of the seat was not found", FailureClass::RequestRefused).await;
}

#[tokio::test]
async fn errors_of_the_profile() {
    let text = "Enrollment creation and Certificate issuance/renewal for deleted or suspended Profile are not \
                supported. Please contact system Administrator.";
    check(Ask::Issue, 400, "x", text, FailureClass::ProfileUnusable).await;
    check(Ask::Renew, 400, "x", text, FailureClass::ProfileUnusable).await;
    let text = "Profile with id d6743d9a was deleted";
    check(Ask::Issue, 410, "x", text, FailureClass::ProfileNotFound).await;
    check(Ask::Profile, 410, "x", text, FailureClass::ProfileNotFound).await;
    let text = "Profile not found in allowed businessUnits: x";
    check(Ask::Issue, 400, "entity_not_found", text, FailureClass::ProfileNotFound).await;
    check(Ask::Profile, 404, "resource_not_found", "x", FailureClass::ProfileNotFound).await;
}

#[tokio::test]
async fn what_is_not_known_is_not_found() {
    for ask in [Ask::PickUp, Ask::Details, Ask::Formats, Ask::Renew] {
        check(ask, 404, "resource_not_found", "no such thing", FailureClass::NotFound).await;
        check(ask, 410, "x", "gone", FailureClass::NotFound).await;
    }
    for ask in [Ask::Profiles, Ask::Search, Ask::Me] {
        check(ask, 404, "x", "no such path", FailureClass::ApiBadAnswer).await;
    }
}

#[tokio::test]
async fn a_renewal_that_is_not_possible() {
    let text = "Failed to renew the specified certificate: renewal is not permitted until 2021-12-07T11:56:37Z[UTC]";
    let early = check(Ask::Renew, 400, "x", text, FailureClass::RenewalTooEarly).await;
    assert_eq!(early.retry, Some(RetryHint::After(Duration::ZERO)), "it is over by the server's clock");
    for text in ["renewal is too early", "The certificate is not within its renewal window", "outside renewal period"] {
        let early = check(Ask::Renew, 400, "x", text, FailureClass::RenewalTooEarly).await;
        assert_eq!(early.retry, None);
    }
    let already = FailureClass::AlreadyRenewed;
    check(Ask::Renew, 400, "x", "The certificate has already been renewed", already).await;
    check(Ask::Renew, 400, "x", "certificate is already renewed or revoked", already).await;
    let revoked = FailureClass::CertificateRevoked;
    check(Ask::Renew, 409, "x", "Certificate already has been revoked", revoked).await;
    check(Ask::Renew, 400, "x", "a revoked certificate cannot be renewed", revoked).await;
    check(Ask::Renew, 400, "x", "The certificate is expired or revoked", revoked).await;
    check(Ask::Issue, 400, "x", "Certificate already has been revoked", FailureClass::RequestRefused).await;
    check(Ask::Renew, 400, "CERTIFICATE_REVOKED", "cannot renew", revoked).await;
    check(Ask::Renew, 400, "CERT_ALREADY_RENEWED", "x", already).await;
    for text in [
        "Only certificates that are neither expired nor revoked can be renewed",
        "Certificate has not been revoked, but renewal failed",
        "The API token was revoked for this profile",
    ] {
        check(Ask::Renew, 400, "not_renewable", text, FailureClass::RequestRefused).await;
    }
}

#[tokio::test]
async fn a_duplicate_is_told_by_its_words() {
    let duplicate = FailureClass::DuplicateRefused;
    check(Ask::Issue, 400, "x", "Duplicate certificates are not allowed by the profile", duplicate).await;
    check(Ask::Issue, 409, "DUPLICATE_CERTIFICATE", "no", duplicate).await;
    check(Ask::Renew, 422, "x", "A valid certificate already exists for this seat", duplicate).await;
    let nickname = "Nickname www already exists";
    check(Ask::Issue, 400, "duplicate_error", nickname, FailureClass::RequestRefused).await;
    check(Ask::Issue, 400, "x", "Duplicate value in dns_names", FailureClass::RequestRefused).await;
    check(Ask::Issue, 400, "duplicate_dns_name", "www.example.com is listed", FailureClass::RequestRefused).await;
    check(Ask::Issue, 400, "x", "The certificate request contains a duplicate SAN", FailureClass::RequestRefused).await;
    for text in [
        "A valid certificate is already present for this seat",
        "Another active certificate exists with the same common name",
        "Only one certificate is allowed per seat",
        "Multiple certificates are not allowed for this profile",
        "Enrollment with same subject exists already",
        "Certificate is not unique",
    ] {
        check(Ask::Issue, 400, "x", text, duplicate).await;
    }
    check(Ask::Details, 400, "duplicate_x", "certificate", FailureClass::RequestRefused).await;
}

#[tokio::test]
async fn errors_of_the_server() {
    for ask in [Ask::Issue, Ask::Renew, Ask::PickUp, Ask::Search] {
        for status in [500, 502, 503, 504] {
            check(ask, status, "InternalServerError", "x", FailureClass::ApiUnavailable).await;
        }
    }
}

#[tokio::test]
async fn retry_after_is_handed_on() {
    let limited = |after: &str| ResponseTemplate::new(429).insert_header("Retry-After", after);
    let found = failure(Ask::Issue, limited("10")).await;
    assert_eq!(found.class, FailureClass::ApiRateLimited);
    assert_eq!(found.retry, Some(RetryHint::After(Duration::from_secs(10))));
    let found = failure(Ask::Issue, limited("Sun, 06 Nov 1994 08:49:37 GMT")).await;
    assert_eq!(found.retry, Some(RetryHint::After(Duration::ZERO)), "it is over by the server's clock");
    // By its own clock, whatever that shows.
    let by_its_clock = limited("Sun, 06 Nov 1994 08:49:37 GMT").insert_header("Date", "Sun, 06 Nov 1994 08:48:07 GMT");
    assert_eq!(failure(Ask::Issue, by_its_clock).await.retry, Some(RetryHint::After(Duration::from_secs(90))));
    let found = failure(Ask::Issue, limited("later")).await;
    assert_eq!(found.retry, None);
    let found = failure(Ask::Me, ResponseTemplate::new(503).insert_header("Retry-After", "5")).await;
    assert_eq!(
        (found.class, found.retry),
        (FailureClass::ApiUnavailable, Some(RetryHint::After(Duration::from_secs(5))))
    );
}

#[tokio::test]
async fn every_error_shape_reaches_the_message() {
    let shapes = [
        (r#"{"errors":[{"code":"c1","message":"m1","field":"f1"},{"message":"m2"}]}"#, "400 c1: m1 (field f1); m2"),
        (r#"{"error":{"code":"c1","message":"m1"}}"#, "400 c1: m1"),
        (r#"{"error":{"status":"INVALID_INPUT_FIELD","message":"m1"}}"#, "400 INVALID_INPUT_FIELD: m1"),
        (r#"{"code":"c1","message":"m1"}"#, "400 c1: m1"),
        ("out of order", "400 out of order"),
        ("", "400 with an empty body"),
        ("{\"errors\":[{\"mess", "400 truncated JSON: {\"errors\":[{\"mess"),
        ("\u{feff}{\"code\":-1002,\"description\":\"d\"}", "400 -1002: d"),
        ("{\"odd\":{\"shape\":\"0123456789abcdef_the-api-key\"}}", "400 {\"odd\":{\"shape\":\"***\"}}"),
        ("<Error><Message>m</Message></Error>", "400 m"),
    ];
    for (body, expected) in shapes {
        let found = failure(Ask::Issue, ResponseTemplate::new(400).set_body_raw(body, "application/json")).await;
        assert_eq!(found.class, FailureClass::RequestRefused);
        let message = found.message.as_str();
        assert!(message.starts_with("POST /mpki/api/v1/certificate on 127.0.0.1:"), "{message}");
        assert!(message.ends_with(expected), "{message}");
    }
}

#[tokio::test]
async fn html_is_no_answer_of_the_api() {
    let page = "<!DOCTYPE html><html><head><title>Sign in</title></head></html>";
    for (status, class, accepted) in [
        (200, FailureClass::ApiBadAnswer, Accepted::Unknown),
        (400, FailureClass::ApiBadAnswer, Accepted::No),
        (401, FailureClass::ApiBadAnswer, Accepted::No),
        (502, FailureClass::ApiUnavailable, Accepted::Unknown),
        (503, FailureClass::ApiUnavailable, Accepted::No),
    ] {
        let found = failure(Ask::Issue, ResponseTemplate::new(status).set_body_raw(page, "text/html")).await;
        assert_eq!((found.class, found.accepted), (class, accepted), "{status}");
        let message = found.message.as_str();
        assert!(message.contains(&format!("HTML page ({status}, \"Sign in\")")), "{message}");
        assert!(message.contains("api.url, its region, or a proxy"), "{message}");
    }
    let unlabelled = ResponseTemplate::new(200).set_body_raw(format!("\u{feff}\n{page}"), "application/json");
    assert!(failure(Ask::Me, unlabelled).await.message.as_str().contains("HTML page"));
    let labelled = ResponseTemplate::new(404).set_body_raw("no such page", "text/html; charset=utf-8");
    assert_eq!(failure(Ask::Details, labelled).await.class, FailureClass::ApiBadAnswer);
    let mislabelled = ResponseTemplate::new(404).set_body_raw(r#"{"code":"c","message":"m"}"#, "text/html");
    assert_eq!(failure(Ask::Details, mislabelled).await.class, FailureClass::NotFound);
}

#[tokio::test]
async fn a_compressed_body_is_said_to_be_one() {
    let gzip = b"\x1f\x8b\x08\0\0\0\0\0".to_vec();
    for (status, class) in [(201, FailureClass::ApiBadAnswer), (400, FailureClass::RequestRefused)] {
        let answer = ResponseTemplate::new(status).set_body_raw(gzip.clone(), "application/json");
        let found = failure(Ask::Issue, answer.clone()).await;
        assert_eq!(found.class, class);
        assert!(found.message.as_str().contains("a body compressed as \"gzip\", which was not asked for"), "{found}");
        let labelled = ResponseTemplate::new(status).set_body_raw(b"\x8b\x02\x80".to_vec(), "application/json");
        let found = failure(Ask::Issue, labelled.insert_header("Content-Encoding", "br")).await;
        assert!(found.message.as_str().contains("compressed as \"br\""), "{found}");
    }
    let mislabelled = ResponseTemplate::new(400)
        .insert_header("Content-Encoding", "gzip")
        .set_body_raw("{\"message\":\"m\"}", "application/json");
    assert!(failure(Ask::Issue, mislabelled).await.message.as_str().ends_with("400 m"));
}

#[tokio::test]
async fn what_came_in_place_of_an_answer_is_said() {
    for (body, words) in [
        ("", "an empty body in place of JSON"),
        ("Service started", "text in place of JSON: Service started"),
        ("<Fault><faultstring>m</faultstring></Fault>", "XML in place of JSON: m"),
        ("{\"certificate\": \"", "truncated JSON: "),
        ("{\"certificate\": x}", "a body that is not JSON: "),
    ] {
        let found = failure(Ask::Issue, ResponseTemplate::new(201).set_body_raw(body, "application/json")).await;
        assert!(found.message.as_str().contains(&format!("the response (201) is not the API's: {words}")), "{found}");
    }
}

#[tokio::test]
async fn a_success_of_another_shape_leaves_the_fate_open() {
    for body in ["{}", "[]", "null", "\"x\"", "{\"certificate\":\"\"}", "{\"certificate\": \"-----BEG", "words", ""] {
        let answer = || ResponseTemplate::new(201).set_body_raw(body, "application/json");
        let found = failure(Ask::Issue, answer()).await;
        assert_eq!((found.class, found.accepted), (FailureClass::ApiBadAnswer, Accepted::Unknown), "{body}: {found}");
        let found = failure(Ask::PickUp, answer()).await;
        assert_eq!((found.class, found.accepted), (FailureClass::ApiBadAnswer, Accepted::No), "{body}: {found}");
    }
}
