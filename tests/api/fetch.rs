//! What is fetched for certificates: without credentials, bounded in size and time, from where certificates may lead.

use std::time::Duration;

use renewd::api::{FetchSettings, Fetcher, ProxySettings, Roots};
use tokio::net::TcpListener;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::server::raw_server;

fn settings(api: &str) -> FetchSettings {
    FetchSettings { api: api.to_owned(), roots: Roots::System, proxy: None, timeout: Duration::from_millis(500) }
}

fn fetcher() -> Fetcher {
    Fetcher::new(&settings("http://127.0.0.1:1")).unwrap()
}

#[tokio::test]
async fn a_list_is_fetched_without_anything_of_the_apis() {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(200).set_body_bytes(b"list".to_vec());
    Mock::given(method("GET")).and(path("/ca.crl")).respond_with(answer).mount(&server).await;
    let body = fetcher().get(&format!("{}/ca.crl", server.uri()), 4).await.unwrap();
    assert_eq!(body, b"list");
    let seen = server.received_requests().await.unwrap();
    let mut names: Vec<&str> = seen[0].headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["accept", "host", "user-agent"]);
}

#[tokio::test]
async fn a_request_is_posted_with_its_media_type() {
    let server = MockServer::start().await;
    let asked = Mock::given(method("POST")).and(header("content-type", "application/ocsp-request"));
    asked.respond_with(ResponseTemplate::new(200).set_body_bytes(b"answer".to_vec())).mount(&server).await;
    let answer = fetcher().post(&server.uri(), "application/ocsp-request", b"asked".to_vec(), 99).await;
    assert_eq!(answer.unwrap(), b"answer");
    assert_eq!(server.received_requests().await.unwrap()[0].body, b"asked");
}

#[tokio::test]
async fn what_is_no_list_is_said() {
    #[track_caller]
    fn check(said: &str, expected: &str) {
        assert!(said.contains(expected), "{said}");
    }
    let answered = async |head: &str, body: &str| {
        let (url, _) = raw_server(format!("HTTP/1.1 {head}\r\n\r\n{body}").into_bytes()).await;
        fetcher().get(&url, 8).await.unwrap_err().to_string()
    };
    check(&answered("404 Not Found\r\nContent-Length: 0", "").await, "it answers 404");
    check(&answered("204 No Content", "").await, "it answers 204");
    check(&answered("200 OK\r\nContent-Length: 9", "123456789").await, "it is larger than 0 KiB");
    check(&answered("200 OK\r\nContent-Length: 9", "1234").await, "");
    let redirect = "302 Found\r\nLocation: http://elsewhere.example/x\r\nContent-Length: 0";
    check(&answered(redirect, "").await, "it redirects to elsewhere.example, which renewd does not follow");
}

#[tokio::test]
async fn who_does_not_answer_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let said = fetcher().get(&url, 99).await.unwrap_err();
    assert!(said.as_str().contains("timed out"), "{said}");
}

#[tokio::test]
async fn no_certificate_leads_to_this_host_or_to_a_metadata_service() {
    let server = MockServer::start().await;
    let port = server.address().port();
    let strict = Fetcher::new(&settings("https://one.digicert.com")).unwrap();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254", "user@crl.example"] {
        let said = strict.get(&format!("http://{host}:{port}/ca.crl"), 99).await.unwrap_err();
        let expected = ["may not lead to this host", "contains a user"];
        assert!(expected.iter().any(|why| said.as_str().contains(why)), "{said}");
    }
    for url in ["file:///etc/passwd", "ldap://crl.example/cn=x", "nonsense"] {
        assert!(strict.get(url, 99).await.is_err(), "{url}");
    }
    assert_eq!(server.received_requests().await.unwrap().len(), 0);
}

#[tokio::test]
async fn the_proxy_carries_what_no_proxy_does_not_exempt() {
    let (proxy, target) = (MockServer::start().await, MockServer::start().await);
    for (server, body) in [(&proxy, "by the proxy"), (&target, "itself")] {
        Mock::given(method("GET")).respond_with(ResponseTemplate::new(200).set_body_string(body)).mount(server).await;
    }
    let settings = |no_proxy: &[&str]| FetchSettings {
        proxy: Some(ProxySettings {
            url: proxy.uri().replace("127.0.0.1", "localhost"),
            credentials: None,
            no_proxy: no_proxy.iter().map(ToString::to_string).collect(),
        }),
        ..settings("http://127.0.0.1:1")
    };
    let fetched = async |url: String, no_proxy: &[&str]| {
        String::from_utf8(Fetcher::new(&settings(no_proxy)).unwrap().get(&url, 99).await.unwrap()).unwrap()
    };
    assert_eq!(fetched("http://crl.example/ca.crl".to_owned(), &[]).await, "by the proxy");
    assert_eq!(fetched(target.uri(), &["127.0.0.1"]).await, "itself");
}
