//! What goes wrong below HTTP, and what the client makes of it: no connection, no TLS, no answer, half an answer, a
//! redirect, a proxy.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use renewd::api::{
    Client, ClientIdentity, ClientSettings, Endpoint, ProxyCredentials, ProxySettings, RequestSeen, Roots, Tlm,
};
use renewd::core::failure::{Accepted, Failure, FailureClass};
use renewd::core::time::Timestamp;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};
use zeroize::Zeroizing;

use crate::server::{KEY, client, issue_request, profile, raw_server, settings};
use crate::tls::{Ca, Certificate, tls_server};

#[track_caller]
fn check(failure: &Failure, class: FailureClass, accepted: Accepted, words: &str) {
    assert_eq!((failure.class, failure.accepted), (class, accepted), "{failure}");
    assert!(failure.message.as_str().contains(words), "{failure}");
}

async fn issue(settings: ClientSettings) -> Failure {
    Client::new(settings).unwrap().issue(&issue_request()).await.unwrap_err()
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    [head.as_bytes(), b"\r\n\r\n", body].concat()
}

/// An address where nothing listens.
async fn nobody() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = MockServer::start().await;
    let target = elsewhere.uri().replace("127.0.0.1", "localhost");
    for status in [301, 302, 303, 307, 308] {
        let server = MockServer::start().await;
        let redirect = ResponseTemplate::new(status).insert_header("Location", target.as_str());
        Mock::given(any()).respond_with(redirect).mount(&server).await;
        let failure = issue(settings(&server.uri())).await;
        let words = format!("a redirect ({status}) to localhost, which renewd does not follow");
        check(&failure, FailureClass::ApiBadAnswer, Accepted::No, &words);
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty(), "the key went to another host");
}

#[tokio::test]
async fn an_answer_that_breaks_off() {
    let short = || answer("HTTP/1.1 201 Created\r\nContent-Length: 100", b"{\"serial_number\":");
    let failure = issue(settings(&raw_server(short()).await.0)).await;
    check(&failure, FailureClass::ApiNoAnswer, Accepted::Unknown, "the answer (201) broke off");
    let failure = client(&raw_server(short()).await.0).profile(&profile()).await.unwrap_err();
    check(&failure, FailureClass::ApiNoAnswer, Accepted::No, "GET /mpki/api/v2/profile/");
    let failure = issue(settings(&raw_server(Vec::new()).await.0)).await;
    check(
        &failure,
        FailureClass::ApiNoAnswer,
        Accepted::Unknown,
        "the request was sent, but no complete response came back",
    );
    let refusal = answer("HTTP/1.1 401 Unauthorized\r\nContent-Length: 100", b"{\"errors\":");
    let failure = issue(settings(&raw_server(refusal).await.0)).await;
    check(&failure, FailureClass::ApiUnauthorised, Accepted::No, "401");
}

#[tokio::test]
async fn an_answer_that_is_too_large_or_no_http() {
    let huge = vec![b' '; (4 << 20) + 1];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}", huge.len());
    let failure = issue(settings(&raw_server(answer(&head, &huge)).await.0)).await;
    check(&failure, FailureClass::ApiBadAnswer, Accepted::Unknown, "a body larger than 4 MiB");
    let failure = issue(settings(&raw_server(b"SSH-2.0-server\r\n".to_vec()).await.0)).await;
    check(&failure, FailureClass::ApiNoAnswer, Accepted::Unknown, "no complete response");
}

#[tokio::test]
async fn a_head_that_is_too_large() {
    let head = format!("HTTP/1.1 200 OK\r\nX-Filler: {}", "x".repeat(1 << 20));
    let failure = issue(settings(&raw_server(answer(&head, b"{}")).await.0)).await;
    check(
        &failure,
        FailureClass::ApiNoAnswer,
        Accepted::Unknown,
        "no complete response came back: message head is too large",
    );
    let many = format!("HTTP/1.1 200 OK{}", "\r\nX-Filler: x".repeat(1000));
    let failure = issue(settings(&raw_server(answer(&many, b"{}")).await.0)).await;
    check(
        &failure,
        FailureClass::ApiNoAnswer,
        Accepted::Unknown,
        "no complete response came back: message head is too large",
    );
}

/// Nothing is asked for compressed, and what comes compressed all the same is never blown up.
#[tokio::test]
async fn an_answer_is_never_decompressed() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip";
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00";
    let failure = issue(settings(&raw_server(answer(head, gzip)).await.0)).await;
    check(
        &failure,
        FailureClass::ApiBadAnswer,
        Accepted::Unknown,
        "a body compressed as \"gzip\", which was not asked for",
    );
}

#[tokio::test]
async fn a_body_that_drips_has_the_whole_time_and_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert_ne!(stream.read(&mut vec![0; 65_536]).await.unwrap(), 0);
        let head = b"HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n";
        let mut going = stream.write_all(head).await;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        while going.is_ok() {
            tick.tick().await;
            going = stream.write_all(b" ").await;
        }
    });
    let failure = issue(ClientSettings { timeout: Duration::from_millis(400), ..settings(&url) }).await;
    let words = "the answer (201) broke off: timed out; the limit is 400ms";
    check(&failure, FailureClass::ApiNoAnswer, Accepted::Unknown, words);
}

#[tokio::test]
async fn a_server_that_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let quick = |scheme: &str| ClientSettings {
        timeout: Duration::from_millis(400),
        ..settings(&format!("{scheme}://{address}"))
    };
    let failure = issue(quick("http")).await;
    check(&failure, FailureClass::ApiNoAnswer, Accepted::Unknown, "timed out; the limit is 400ms");
    let failure = issue(quick("https")).await;
    check(&failure, FailureClass::ApiUnreachable, Accepted::No, "timed out; the limit is 200ms");
}

#[tokio::test]
async fn nobody_listens() {
    let failure = issue(settings(&format!("https://{}", nobody().await))).await;
    check(&failure, FailureClass::ApiUnreachable, Accepted::No, "no connection: Connection refused");
}

#[tokio::test]
async fn tls_is_always_verified() {
    let certificate = |name, years| Certificate { name, years };
    let cases = [
        (certificate("127.0.0.1", (2000, 2001)), "is expired; this host's clock may be wrong"),
        (certificate("127.0.0.1", (2199, 2200)), "is not yet valid; this host's clock may be wrong"),
        (certificate("one.digicert.com", (2000, 2200)), "not valid for name"),
    ];
    for (certificate, words) in cases {
        let server = tls_server(certificate, None).await;
        check(&issue(server.settings()).await, FailureClass::ApiTls, Accepted::No, words);
    }
    let server = tls_server(Certificate::good(), None).await;
    let unknown = ClientSettings { roots: settings("").roots, ..server.settings() };
    check(&issue(unknown).await, FailureClass::ApiTls, Accepted::No, "leads to no trusted root");
    let (plain, _) = raw_server(answer("HTTP/1.1 200 OK", b"{}")).await;
    let failure = issue(settings(&plain.replace("http", "https"))).await;
    check(&failure, FailureClass::ApiTls, Accepted::No, "TLS failed");
    assert_eq!(Client::new(server.settings()).unwrap().version().await.unwrap(), "1");
}

#[tokio::test]
async fn roots_may_come_on_top_of_the_systems() {
    let server = tls_server(Certificate::good(), None).await;
    let pem = server.ca.pem.clone().into_bytes();
    let both = ClientSettings { roots: Roots::WithSystem(pem), ..server.settings() };
    assert_eq!(Client::new(both).unwrap().version().await.unwrap(), "1");
    let none = ClientSettings { roots: Roots::Only(b"no PEM".to_vec()), ..server.settings() };
    let failure = Client::new(none).unwrap_err();
    check(&failure, FailureClass::ApiTls, Accepted::No, "no PEM certificate");
}

#[tokio::test]
async fn a_client_identity_replaces_the_key() {
    let clients = Ca::new("client CA");
    let mut server = tls_server(Certificate::good(), Some(&clients)).await;
    let failure = issue(server.settings()).await;
    check(&failure, FailureClass::ApiTls, Accepted::No, "is a client certificate missing or wrong?");
    let (certificate, key) = clients.issue(&Certificate::good());
    let pem = Zeroizing::new(format!("{}{}", key.serialize_pem(), certificate.pem()).into_bytes());
    let identity = Some(ClientIdentity::new("client.pem", pem));
    let tlm = Client::new(ClientSettings { client_identity: identity, ..server.settings() }).unwrap();
    assert_eq!(tlm.active_credential(), "client.pem");
    assert!(!tlm.use_next_key());
    let failure = tlm.profile(&profile()).await.unwrap_err();
    assert_eq!(failure.class, FailureClass::ApiBadAnswer, "it was let in: {failure}");
    let request = server.requests.recv().await.unwrap();
    assert!(request.starts_with("GET /mpki/api/v2/profile/"), "{request}");
    assert!(!request.contains(KEY) && !request.to_ascii_lowercase().contains("x-api-key"), "{request}");
    let broken = ClientIdentity::new("client.pem", Zeroizing::new(b"no PEM".to_vec()));
    let failure = Client::new(ClientSettings { client_identity: Some(broken), ..server.settings() }).unwrap_err();
    check(&failure, FailureClass::ApiTls, Accepted::No, "client.pem");
}

fn through(proxy: &str, url: &str) -> ClientSettings {
    let proxy = ProxySettings {
        url: proxy.to_owned(),
        credentials: Some(ProxyCredentials::new("user", Zeroizing::new("the-password".to_owned()))),
        no_proxy: Vec::new(),
    };
    ClientSettings { proxy: Some(proxy), ..settings(url) }
}

#[tokio::test]
async fn a_proxy_that_fails_is_named() {
    let cases = [
        ("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0", "asks for a user and a password (407)"),
        ("HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>", "refused to open"),
        ("<html><title>Blocked</title>", "refused to open"),
    ];
    for (head, words) in cases {
        let (proxy, request) = raw_server(answer(head, b"")).await;
        let failure = issue(through(&proxy, "https://one.example.test")).await;
        check(&failure, FailureClass::Proxy, Accepted::No, &format!("the proxy {proxy} failed: it "));
        check(&failure, FailureClass::Proxy, Accepted::No, words);
        let request = request.await.unwrap();
        assert!(request.starts_with("CONNECT one.example.test:443 "), "{request}");
        assert!(request.contains("Basic dXNlcjp0aGUtcGFzc3dvcmQ=") && !request.contains(KEY), "{request}");
    }
    // A page in place of a tunnel, as of a portal that wants a login.
    let (proxy, _) = raw_server(answer("HTTP/1.1 200 OK\r\nContent-Type: text/html", b"<html>Log in</html>")).await;
    let failure = issue(through(&proxy, "https://one.example.test")).await;
    check(
        &failure,
        FailureClass::Proxy,
        Accepted::No,
        &format!("the proxy {proxy} failed: what came through its tunnel"),
    );
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", silent.local_addr().unwrap());
    let hurried = ClientSettings { timeout: Duration::from_millis(400), ..through(&proxy, "https://one.example.test") };
    let words = format!("no connection through the proxy {proxy}: timed out; the limit is 200ms");
    check(&issue(hurried).await, FailureClass::ApiUnreachable, Accepted::No, &words);
    let (proxy, _) = raw_server(Vec::new()).await;
    let failure = issue(through(&proxy, "https://one.example.test")).await;
    check(&failure, FailureClass::Proxy, Accepted::No, "without an answer");
    let failure = issue(through(&format!("http://{}", nobody().await), "https://one.example.test")).await;
    check(&failure, FailureClass::Proxy, Accepted::No, "Connection refused");
}

#[test]
fn a_proxy_that_cannot_be_used_is_not_left_out() {
    for url in ["proxy.example", "socks5://127.0.0.1:1080", "http://user:secret@127.0.0.1:3128"] {
        let failure = Client::new(through(url, "https://one.example.test")).unwrap_err();
        check(&failure, FailureClass::Proxy, Accepted::No, "the URL of the proxy cannot be used");
        assert!(!failure.message.as_str().contains("secret"), "{failure}");
    }
}

/// A proxy that opens one tunnel.
async fn tunnel() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut inner, _) = listener.accept().await.unwrap();
        let mut head = vec![0; 4096];
        let length = inner.read(&mut head).await.unwrap();
        let head = String::from_utf8_lossy(&head[..length]).into_owned();
        let mut outer = TcpStream::connect(head.split(' ').nth(1).unwrap()).await.unwrap();
        inner.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let _cut = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
    });
    url
}

#[tokio::test]
async fn a_proxy_carries_tls_and_nothing_else() {
    let server = tls_server(Certificate::good(), None).await;
    let roots = server.settings().roots;
    let settings = ClientSettings { roots: roots.clone(), ..through(&tunnel().await, &server.url()) };
    assert_eq!(Client::new(settings).unwrap().version().await.unwrap(), "1");
    let mut direct = ClientSettings { roots, ..through(&format!("http://{}", nobody().await), &server.url()) };
    direct.proxy.as_mut().unwrap().no_proxy = vec!["127.0.0.0/8".to_owned(), "example.org".to_owned()];
    assert_eq!(Client::new(direct.clone()).unwrap().version().await.unwrap(), "1");
    let failure = issue(ClientSettings { url: format!("https://{}", nobody().await), ..direct }).await;
    check(&failure, FailureClass::ApiUnreachable, Accepted::No, "no connection: Connection refused");
    let plain = MockServer::start().await;
    let version = ResponseTemplate::new(200).set_body_json(json!({"version": "1"}));
    Mock::given(any()).respond_with(version).mount(&plain).await;
    let past = through(&format!("http://{}", nobody().await), &plain.uri());
    assert_eq!(Client::new(past).unwrap().version().await.unwrap(), "1", "plain http passes no proxy");
}

#[tokio::test]
async fn a_wrong_password_for_the_proxy_is_not_told_like_a_missing_one() {
    let asks = answer("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0", b"");
    let (proxy, _) = raw_server(asks.clone()).await;
    let failure = issue(through(&proxy, "https://one.example.test")).await;
    check(&failure, FailureClass::Proxy, Accepted::No, "refused those of api.proxy_credentials_file");
    let (proxy, _) = raw_server(asks).await;
    let mut without = through(&proxy, "https://one.example.test");
    without.proxy.as_mut().unwrap().credentials = None;
    let failure = issue(without).await;
    check(&failure, FailureClass::Proxy, Accepted::No, "name the file that holds them as api.proxy_credentials_file");
}

#[tokio::test]
async fn a_407_of_the_server_is_a_proxys() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(407)).mount(&server).await;
    let failure = issue(settings(&server.uri())).await;
    check(&failure, FailureClass::Proxy, Accepted::No, "the proxy on the way failed: it asks for a user");
}

#[tokio::test]
async fn a_connection_serves_a_burst_and_none_that_was_idle_is_used_again() {
    let server = tls_server(Certificate::good(), None).await;
    let tlm = Client::new(server.settings()).unwrap();
    let connections = || server.connections.load(Ordering::SeqCst);
    for _ in 0..3 {
        tlm.version().await.unwrap();
        assert_eq!(connections(), 1);
    }
    // Time itself is the condition here: a connection is kept for three seconds.
    tokio::time::sleep(std::time::Duration::from_millis(3_100)).await;
    tlm.version().await.unwrap();
    assert_eq!(connections(), 2);
}

#[tokio::test]
async fn the_observer_is_told_once_of_each_request() {
    let told = Arc::new(Mutex::new(Vec::<RequestSeen>::new()));
    let record = Arc::clone(&told);
    let observer: renewd::api::Observer = Arc::new(move |seen| record.lock().unwrap().push(seen));
    let observed = |url: &str| ClientSettings { observer: Some(Arc::clone(&observer)), ..settings(url) };
    let server = MockServer::start().await;
    let dated = ResponseTemplate::new(500).insert_header("Date", "Sun, 06 Nov 1994 08:49:37 GMT");
    Mock::given(any()).respond_with(dated).mount(&server).await;
    issue(observed(&server.uri())).await;
    issue(observed(&format!("http://{}", nobody().await))).await;
    let told = told.lock().unwrap();
    let seen: Vec<_> = told.iter().map(|seen| (seen.endpoint, seen.status, seen.date)).collect();
    let date = Timestamp::from_seconds(784_111_777);
    assert_eq!(seen, [(Endpoint::Issue, Some(500), Some(date)), (Endpoint::Issue, None, None)]);
}
