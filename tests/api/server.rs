//! What the tests share: settings for a client on the loopback interface, requests, and servers that misbehave below
//! HTTP.

use std::time::Duration;

use renewd::api::{Client, ClientSettings, Credential, IssueRequest, RenewRequest, Roots};
use renewd::core::name::{ProfileId, SerialNumber};
use renewd::core::wanted::entry::Sans;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use zeroize::Zeroizing;

/// A key that must be seen nowhere but in its header.
pub(crate) const KEY: &str = "0123456789abcdef_the-api-key";
/// The profile of every request.
pub(crate) const PROFILE: &str = "d6743d9a-fb67-4a64-a33e-8a3229d28cc4";

pub(crate) fn credential(name: &str, key: &str) -> Credential {
    Credential::new(name, Zeroizing::new(key.to_owned())).unwrap()
}

pub(crate) fn settings(url: &str) -> ClientSettings {
    let root = rcgen::generate_simple_self_signed(vec!["unused.test".to_owned()]).unwrap();
    ClientSettings {
        url: url.to_owned(),
        credentials: vec![credential("api-key", KEY)],
        client_identity: None,
        roots: Roots::Only(root.cert.pem().into_bytes()),
        proxy: None,
        timeout: Duration::from_secs(20),
        observer: None,
    }
}

pub(crate) fn client(url: &str) -> Client {
    Client::new(settings(url)).unwrap()
}

pub(crate) fn profile() -> ProfileId {
    ProfileId(PROFILE.into())
}

pub(crate) fn serial() -> SerialNumber {
    SerialNumber("0F6F55".to_owned())
}

pub(crate) fn issue_request() -> IssueRequest {
    IssueRequest {
        profile: profile(),
        seat: "www.example.com".to_owned(),
        seat_email: None,
        csr: "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n".to_owned(),
        subject: [].into(),
        names: Sans::default(),
        validity: None,
        custom_values: [].into(),
        cert_owner_ids: Vec::new(),
        tags: Vec::new(),
        custom_attributes: Vec::new(),
        ca_attributes: [].into(),
    }
}

pub(crate) fn renew_request() -> RenewRequest {
    RenewRequest { serial_number: serial(), thumbprint: None, csr: issue_request().csr, validity: None }
}

/// Takes one connection, reads one request's head and body as far as they come at once, writes `answer` and closes.
/// The URL, and what was read.
pub(crate) async fn raw_server(answer: Vec<u8>) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = vec![0; 65_536];
        let length = stream.read(&mut request).await.unwrap();
        // The client may hang up before it has taken everything.
        let _cut = stream.write_all(&answer).await;
        let _cut = stream.shutdown().await;
        request.truncate(length);
        String::from_utf8_lossy(&request).into_owned()
    });
    (url, seen)
}
