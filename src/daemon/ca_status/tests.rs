//! Asking after a CA certificate, by a proxy that answers for the hosts that it names.

use std::time::Duration;

use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::api::{FetchSettings, ProxySettings, Roots};
use crate::core::known::revocation::RevocationReason;
use crate::core::time::Timestamp;

/// Within the time of the lists.
struct Then;

impl Clock for Then {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_893_456_000)
    }

    fn steady(&self) -> Duration {
        Duration::ZERO
    }
}

const ROOT: &[u8] = include_bytes!("../../../tests/fuzz/seeds/standing/root.der");
const ISSUING: &[u8] = include_bytes!("../../../tests/fuzz/seeds/standing/issuing.der");
const GOOD_LIST: &[u8] = include_bytes!("../../../tests/fuzz/seeds/standing/good.crl");
const REVOKED_ANSWER: &[u8] = include_bytes!("../../../tests/fuzz/seeds/standing/revoked.ocsp");

/// What comes of asking where these are found: a list, an OCSP answer, the issuer. And how many requests it took.
async fn asked(list: Option<&[u8]>, answer: Option<&[u8]>, issuer: Option<&[u8]>, pool: &[&[u8]]) -> (Outcome, usize) {
    let proxy = MockServer::start().await;
    for (verb, place, body) in [("GET", "/root.crl", list), ("POST", "/", answer), ("GET", "/root.cer", issuer)] {
        let answer =
            body.map_or_else(|| ResponseTemplate::new(404), |body| ResponseTemplate::new(200).set_body_bytes(body));
        Mock::given(method(verb)).and(path(place)).respond_with(answer).mount(&proxy).await;
    }
    let fetcher = Fetcher::new(&FetchSettings {
        api: "https://one.digicert.com".to_owned(),
        roots: Roots::System,
        proxy: Some(ProxySettings { url: proxy.uri(), credentials: None, no_proxy: Vec::new() }),
        timeout: Duration::from_secs(20),
    });
    let read = |der: &[u8]| Certificate::from_der(der).unwrap();
    let pool = pool.iter().map(|der| read(der)).collect();
    let outcome = ask(&fetcher.unwrap(), &read(ISSUING), pool, &Then).await;
    (outcome, proxy.received_requests().await.unwrap().len())
}

fn reason(outcome: &Outcome) -> Option<RevocationReason> {
    if let Outcome::Told(CaStanding::Revoked(revocation)) = outcome { Some(revocation.reason) } else { None }
}

#[tokio::test]
async fn a_list_is_asked_first_and_the_issuer_known_where_it_is_at_hand() {
    let told = asked(Some(GOOD_LIST), Some(REVOKED_ANSWER), Some(ROOT), &[ISSUING, ROOT]).await;
    assert_eq!(told, (Outcome::Told(CaStanding::NotRevoked), 1));
    let told = asked(Some(GOOD_LIST), Some(REVOKED_ANSWER), Some(ROOT), &[ISSUING]).await;
    assert_eq!(told, (Outcome::Told(CaStanding::NotRevoked), 2), "else it is fetched");
}

#[tokio::test]
async fn where_no_list_tells_the_responder_is_asked() {
    for list in [None, Some(&b"<html>"[..])] {
        let (outcome, requests) = asked(list, Some(REVOKED_ANSWER), None, &[ROOT]).await;
        assert_eq!((reason(&outcome), requests), (Some(RevocationReason::KeyCompromise), 2), "{outcome:?}");
    }
}

#[tokio::test]
async fn where_nobody_tells_each_reason_is_said() {
    #[track_caller]
    fn check(told: &(Outcome, usize), expected: &[&str]) {
        let (Outcome::Unknown(why), _) = told else { panic!("{told:?}") };
        assert!(expected.iter().all(|part| why.as_str().contains(part)), "{why}");
    }
    let told = asked(None, Some(b"no"), None, &[ROOT]).await;
    check(&told, &["root.crl: it answers 404", "http://ocsp.example/: it does not parse as an OCSP answer"]);
    let told = asked(Some(GOOD_LIST), None, Some(ISSUING), &[]).await;
    check(&told, &["the certificate of its issuer is not known"]);
}
