//! Looking at what a TLS client is shown: connects, upgrades where the protocol asks for it, and keeps the leaf. A probe
//! trusts nothing and sends nothing but the greeting; whether its sight is the right one is the core's to say.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::core::known::served::{AddressProbe, ServedLeaf};
use crate::core::text::Text;
use crate::core::wanted::entry::{Entry, Probe};
use crate::core::wanted::key::KeyType;
use crate::pki::certificate::Certificate;
use crate::pki::leaf;

use super::starttls;

/// Looks at every address of the entry's probes, all at once.
pub async fn look(entry: &Entry, key: Option<KeyType>) -> Vec<AddressProbe> {
    let name = entry.naming.dns_names().next().or_else(|| entry.naming.common_name());
    let looks = entry.probes.iter().map(|probe| {
        let server_name = probe.server_name.clone().or_else(|| name.map(str::to_owned));
        let probe = probe.clone();
        tokio::spawn(async move { one(&probe, server_name.as_deref(), key).await })
    });
    let looks: Vec<_> = looks.collect();
    let mut sights = Vec::new();
    for (probe, look) in entry.probes.iter().zip(looks) {
        let leaf = look.await.unwrap_or_else(|error| Err(format!("the probe failed: {error}")));
        sights.push(AddressProbe { address: Text::new(&probe.address), leaf: leaf.map_err(|why| Text::new(&why)) });
    }
    sights
}

async fn one(probe: &Probe, server_name: Option<&str>, key: Option<KeyType>) -> Result<ServedLeaf, String> {
    let looked = tokio::time::timeout(PATIENCE, handshake(probe, server_name, key)).await;
    looked.unwrap_or_else(|_| Err(format!("no TLS handshake within {} s", PATIENCE.as_secs())))
}

async fn handshake(probe: &Probe, server_name: Option<&str>, key: Option<KeyType>) -> Result<ServedLeaf, String> {
    let mut stream = TcpStream::connect(&probe.address).await.map_err(|error| format!("no connection: {error}"))?;
    if let Some(protocol) = probe.starttls {
        starttls::upgrade(&mut stream, protocol).await?;
    }
    let host = probe.address.rsplit_once(':').map_or(probe.address.as_str(), |(host, _)| host);
    let name = server_name.unwrap_or_else(|| host.trim_matches(['[', ']'])).trim_start_matches("*.").to_owned();
    let name = ServerName::try_from(name).map_err(|_| "its server_name is not a DNS name or address".to_owned())?;
    let eye = Arc::new(CapturingVerifier::new(key));
    let connected = TlsConnector::from(Arc::new(config(&eye)?)).connect(name, stream).await;
    // What the server showed counts, also where it then wanted a client certificate.
    match (eye.seen(), connected) {
        (Some(leaf), _) => Ok(leaf),
        // It has no certificate of this kind of key: what clients are shown in its place is what counts.
        (None, Err(error)) if key.is_some() && has_none(&error) => Box::pin(handshake(probe, server_name, None)).await,
        (None, Err(error)) => Err(format!("no TLS handshake: {error}")),
        (None, Ok(_)) => Err("the server presented no certificate".to_owned()),
    }
}

/// Whether the server found nothing to sign with among the schemes that were offered.
fn has_none(error: &std::io::Error) -> bool {
    let said = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    said == Some(&rustls::Error::AlertReceived(AlertDescription::HandshakeFailure))
}

fn config(eye: &Arc<CapturingVerifier>) -> Result<ClientConfig, String> {
    let builder = ClientConfig::builder_with_provider(Arc::clone(&eye.provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::clone(eye) as _).with_no_client_auth())
}

/// Keeps the leaf that is shown, whoever signed it; only that the server holds its key is checked.
#[derive(Debug)]
struct CapturingVerifier {
    provider: Arc<CryptoProvider>,
    schemes: Vec<SignatureScheme>,
    leaf: Mutex<Option<ServedLeaf>>,
}

impl CapturingVerifier {
    /// A server may hold an RSA and an ECDSA certificate: only schemes for this type of key are offered.
    fn new(key: Option<KeyType>) -> Self {
        let mut provider = rustls::crypto::aws_lc_rs::default_provider();
        let all = provider.signature_verification_algorithms.supported_schemes();
        let schemes: Vec<_> = all.into_iter().filter(|scheme| key.is_none_or(|key| is_for(*scheme, key))).collect();
        if let Some(key) = key {
            let is_rsa = is_rsa(key);
            provider.cipher_suites.retain(|suite| match suite {
                rustls::SupportedCipherSuite::Tls12(suite) => {
                    suite.sign.iter().any(|scheme| is_for(*scheme, key)) || suite.sign.is_empty() && is_rsa
                }
                rustls::SupportedCipherSuite::Tls13(_) => true,
            });
        }
        Self { provider: Arc::new(provider), schemes, leaf: Mutex::new(None) }
    }

    fn seen(&self) -> Option<ServedLeaf> {
        self.leaf.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A leaf whose key the server does not hold is not served.
    fn checked(
        &self,
        valid: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if valid.is_err() {
            self.leaf.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        valid
    }
}

const fn is_rsa(key: KeyType) -> bool {
    matches!(key, KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096)
}

fn is_for(scheme: SignatureScheme, key: KeyType) -> bool {
    let name = scheme.as_str().unwrap_or_default();
    if is_rsa(key) { name.starts_with("RSA") } else { name.starts_with("ECDSA") }
}

impl ServerCertVerifier for CapturingVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        *self.leaf.lock().unwrap_or_else(PoisonError::into_inner) = Some(served(leaf));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        self.checked(verify_tls12_signature(message, leaf, signature, known))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        self.checked(verify_tls13_signature(message, leaf, signature, known))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

fn served(der: &CertificateDer<'_>) -> ServedLeaf {
    let read = Certificate::from_der(der).and_then(|certificate| leaf::read(&certificate));
    let what = match &read {
        Ok(leaf) => format!("serial number {}, valid until {}", leaf.serial_number, leaf.not_after),
        Err(error) => format!("a certificate that cannot be read ({error})"),
    };
    ServedLeaf { fingerprint: crate::pki::digest::sha256(der), what: Text::new(&what) }
}

/// For one address: connection, upgrade and handshake together.
const PATIENCE: Duration = Duration::from_secs(10);
