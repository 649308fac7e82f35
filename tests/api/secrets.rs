//! No credential is shown by Debug, in a failure, or to the environment's proxies.

use std::io;
use std::sync::{Arc, Mutex};

use renewd::api::{Client, ClientIdentity, ProxyCredentials, ProxySettings, Tlm};
use renewd::core::name::RequestId;
use serde_json::json;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};
use zeroize::Zeroizing;

use crate::server::{KEY, client, profile, settings};
use crate::simulator::ConnectProxy;
use crate::tls::{Certificate, tls_server};

#[test]
fn debug_shows_no_secret() {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![]).unwrap().self_signed(&key).unwrap();
    let pem = Zeroizing::new(format!("{}{}", key.serialize_pem(), certificate.pem()).into_bytes());
    let mut full = settings("https://127.0.0.1:1");
    full.client_identity = Some(ClientIdentity::new("client.pem", pem));
    full.proxy = Some(ProxySettings {
        url: "http://127.0.0.1:2".to_owned(),
        credentials: Some(ProxyCredentials::new("user", Zeroizing::new("the-password".to_owned()))),
        no_proxy: vec![],
    });
    let shown = format!("{full:?} {:?} {:#?}", full.credentials, Client::new(full.clone()).unwrap());
    assert!(shown.contains("api-key") && shown.contains("client.pem"), "names are shown: {shown}");
    let pem_body = key.serialize_pem().lines().nth(1).unwrap().to_owned();
    for secret in [KEY, "the-password", &pem_body, "[45, 45, 45"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

#[tokio::test]
async fn an_echoed_key_is_masked() {
    let server = MockServer::start().await;
    let body = json!({"errors": [{"code": KEY, "message": format!("key {KEY} is unknown")}]});
    Mock::given(any()).respond_with(ResponseTemplate::new(401).set_body_json(body)).mount(&server).await;
    let failure = client(&server.uri()).profile(&profile()).await.unwrap_err();
    assert!(failure.message.as_str().ends_with("401 ***: key *** is unknown"), "{failure}");
    let failure = client(&server.uri()).pick_up(&RequestId(KEY.to_owned()), &profile()).await.unwrap_err();
    assert!(!format!("{failure:?}").contains(KEY), "{failure}");
}

/// What the libraries underneath log at their most talkative, with a key, a proxy's password and an identity in use.
#[tokio::test]
async fn nothing_secret_is_logged_at_any_level() {
    let log = Log::default();
    let lines = log.clone();
    tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || lines.clone()).init();
    let server = tls_server(Certificate::good(), None).await;
    let mut full = server.settings();
    let proxy = ConnectProxy::start(Some(("user", "the-password")));
    full.proxy = Some(ProxySettings {
        url: proxy.url(),
        credentials: Some(ProxyCredentials::new("user", Zeroizing::new("the-password".to_owned()))),
        no_proxy: vec![],
    });
    let tlm = Client::new(full).unwrap();
    tlm.profile(&profile()).await.unwrap_err();
    assert_eq!((tlm.version().await.unwrap().as_str(), proxy.tunnels()), ("1", 1));
    let said = log.text();
    assert!(said.contains("TRACE"), "the libraries say something at all: {said}");
    for secret in [KEY, "the-password", "dXNlcjp0aGUtcGFzc3dvcmQ"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs the test below in a process of its own, whose environment names a proxy that does not exist.
#[test]
fn the_environments_proxies_are_ignored() {
    let names = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["secrets::reaches_the_server_directly", "--exact", "--include-ignored"])
        .envs(names.map(|name| (name, "http://127.0.0.1:9")))
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "run by the_environments_proxies_are_ignored, with proxies in its environment"]
async fn reaches_the_server_directly() {
    let server = MockServer::start().await;
    let body = json!({"version": "1"});
    Mock::given(any()).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    assert_eq!(client(&server.uri()).version().await.unwrap(), "1");
    let tls = tls_server(Certificate::good(), None).await;
    assert_eq!(Client::new(tls.settings()).unwrap().version().await.unwrap(), "1");
}
