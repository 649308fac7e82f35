//! The TLS side of the server: its certificate, and clients' certificates where they come.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use super::ca::TlsAuthority;

/// Takes TLS 1.2 and 1.3, and a client certificate of the TLS root if one is offered.
pub fn acceptor() -> TlsAcceptor {
    let authority = TlsAuthority::shared();
    let root = CertificateDer::from(authority.der());
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let (certificate, key) = authority.server();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.allow_unauthenticated().build().unwrap())
        .with_single_cert(vec![CertificateDer::from(certificate), root], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
