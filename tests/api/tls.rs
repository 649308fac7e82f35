//! A TLS server with a CA of its own, and certificates with one defect each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use renewd::api::{ClientSettings, Roots};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::server::settings;

/// A CA.
pub(crate) struct Ca {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self { pem: params.self_signed(&key).unwrap().pem(), issuer: Issuer::new(params, key) }
    }

    /// A certificate for `name` with its key.
    pub(crate) fn issue(&self, certificate: &Certificate) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![certificate.name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(certificate.years.0, 1, 1);
        params.not_after = date_time_ymd(certificate.years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// What is certified.
pub(crate) struct Certificate {
    pub(crate) name: &'static str,
    pub(crate) years: (i32, i32),
}

impl Certificate {
    pub(crate) fn good() -> Self {
        Self { name: "127.0.0.1", years: (2000, 2200) }
    }
}

/// A running server. It answers every request with `{"version": "1"}`.
pub(crate) struct TlsServer {
    pub(crate) address: SocketAddr,
    pub(crate) ca: Ca,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) requests: mpsc::UnboundedReceiver<String>,
}

impl TlsServer {
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Settings of a client that trusts this server.
    pub(crate) fn settings(&self) -> ClientSettings {
        ClientSettings { roots: Roots::Only(self.ca.pem.clone().into_bytes()), ..settings(&self.url()) }
    }
}

/// Starts a server that shows `certificate`, and asks for a client certificate of `clients` where given.
pub(crate) async fn tls_server(certificate: Certificate, clients: Option<&Ca>) -> TlsServer {
    let ca = Ca::new("server CA");
    let (leaf, key) = ca.issue(&certificate);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let builder = match clients {
        None => ServerConfig::builder().with_no_client_auth(),
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            let der = pem::parse(&clients.pem).unwrap().into_contents();
            roots.add(der.into()).unwrap();
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().unwrap();
            ServerConfig::builder().with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(vec![leaf.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let (seen, requests) = mpsc::unbounded_channel();
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(acceptor.clone(), stream, seen.clone()));
        }
    });
    TlsServer { address, ca, connections, requests }
}

/// Answers request after request, and leaves it to the client to hang up.
async fn serve(acceptor: TlsAcceptor, stream: TcpStream, seen: mpsc::UnboundedSender<String>) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut request = vec![0; 65_536];
    while let Ok(length @ 1..) = stream.read(&mut request).await {
        // The test may have no interest in what was asked.
        let _unread = seen.send(String::from_utf8_lossy(&request[..length]).into_owned());
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"version\":\"1\"}";
        if stream.write_all(answer).await.is_err() {
            return;
        }
    }
}
