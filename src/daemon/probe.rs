//! Looking at what a TLS client is shown: connects, upgrades where the protocol asks for it, and keeps the certificates. A
//! probe trusts nothing and sends nothing but the greeting; whether its sight is the right one is the core's to say.

use std::io;
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
use crate::core::wanted::entry::{Entry, Probe, StartTls};
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
    let host = probe.address.rsplit_once(':').map_or(probe.address.as_str(), |(host, _)| host);
    let name = server_name.unwrap_or_else(|| host.trim_matches(['[', ']'])).trim_start_matches("*.").to_owned();
    let name = ServerName::try_from(name).map_err(|_| "its server_name is not a DNS name or address".to_owned())?;
    let shown = match presented(&probe.address, &name, probe.starttls, key).await {
        // It has no certificate of this kind of key: what clients are shown in its place is what counts.
        Err(error) if key.is_some() && error.is_for_want_of_key() => {
            presented(&probe.address, &name, probe.starttls, None).await
        }
        shown => shown,
    };
    shown.map_err(|error| error.to_string()).map(|shown| served(&shown.leaf))
}

/// What a server shows in a handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presented {
    /// The certificate that comes first.
    pub leaf: CertificateDer<'static>,
    /// What follows it.
    pub chain: Vec<CertificateDer<'static>>,
}

/// What the server at `address` shows to a client that asks for `name` (an address: that names none), with a certificate for
/// this type of key where one is given.
///
/// # Errors
///
/// When it cannot be reached within [`PATIENCE`], does not upgrade, or shows no certificate.
pub async fn presented(
    address: &str,
    name: &ServerName<'static>,
    starttls: Option<StartTls>,
    key: Option<KeyType>,
) -> Result<Presented, ProbeError> {
    let looked = tokio::time::timeout(PATIENCE, handshake(address, name, starttls, key)).await;
    looked.unwrap_or(Err(ProbeError::TimedOut))
}

async fn handshake(
    address: &str,
    name: &ServerName<'static>,
    starttls: Option<StartTls>,
    key: Option<KeyType>,
) -> Result<Presented, ProbeError> {
    let mut stream = TcpStream::connect(address).await.map_err(ProbeError::Connection)?;
    if let Some(protocol) = starttls {
        starttls::upgrade(&mut stream, protocol).await.map_err(ProbeError::Upgrade)?;
    }
    let eye = Arc::new(CapturingVerifier::new(key));
    let connected = TlsConnector::from(Arc::new(config(&eye)?)).connect(name.clone(), stream).await;
    // What the server showed counts, also where it then wanted a client certificate.
    match (eye.seen(), connected) {
        (Some(shown), _) => Ok(shown),
        (None, Err(error)) => Err(ProbeError::Handshake(error)),
        (None, Ok(_)) => Err(ProbeError::Nothing),
    }
}

/// Why a probe saw no certificate.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody listens there, or the way is closed.
    #[error("no connection: {0}")]
    Connection(io::Error),
    /// The protocol before TLS went otherwise.
    #[error("{0}")]
    Upgrade(String),
    /// TLS went otherwise, or it was no TLS.
    #[error("no TLS handshake: {0}")]
    Handshake(io::Error),
    /// The handshake was complete without one.
    #[error("the server presented no certificate")]
    Nothing,
    /// Nothing came in time.
    #[error("no TLS handshake within {} s", PATIENCE.as_secs())]
    TimedOut,
    /// The provider of cryptography offers no TLS.
    #[error(transparent)]
    Provider(#[from] rustls::Error),
}

impl ProbeError {
    /// Whether the server found nothing to sign with among the schemes that were offered.
    fn is_for_want_of_key(&self) -> bool {
        self.tls() == Some(&rustls::Error::AlertReceived(AlertDescription::HandshakeFailure))
    }

    /// What TLS says, where the other side spoke TLS and refused.
    #[must_use]
    pub fn refusal(&self) -> Option<&rustls::Error> {
        self.tls().filter(|error| matches!(error, rustls::Error::AlertReceived(_) | rustls::Error::PeerIncompatible(_)))
    }

    fn tls(&self) -> Option<&rustls::Error> {
        let Self::Handshake(error) = self else { return None };
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }
}

fn config(eye: &Arc<CapturingVerifier>) -> Result<ClientConfig, rustls::Error> {
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&eye.provider)).with_safe_default_protocol_versions()?;
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::clone(eye) as _).with_no_client_auth())
}

/// Keeps what is shown, whoever signed it; only that the server holds its key is checked.
#[derive(Debug)]
struct CapturingVerifier {
    provider: Arc<CryptoProvider>,
    schemes: Vec<SignatureScheme>,
    shown: Mutex<Option<Presented>>,
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
        Self { provider: Arc::new(provider), schemes, shown: Mutex::new(None) }
    }

    fn seen(&self) -> Option<Presented> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A leaf whose key the server does not hold is not served.
    fn checked(
        &self,
        valid: Result<HandshakeSignatureValid, rustls::Error>,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        if valid.is_err() {
            self.shown.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        valid
    }
}

const fn is_rsa(key: KeyType) -> bool {
    matches!(key, KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096)
}

fn is_for(scheme: SignatureScheme, key: KeyType) -> bool {
    let name = scheme.as_str().unwrap_or_default();
    match key {
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 => name.starts_with("RSA"),
        KeyType::EcdsaP256 | KeyType::EcdsaP384 | KeyType::EcdsaP521 => name.starts_with("ECDSA"),
        KeyType::MlDsa44 | KeyType::MlDsa65 | KeyType::MlDsa87 => name.starts_with("ML_DSA"),
    }
}

impl ServerCertVerifier for CapturingVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let chain = chain.iter().map(|der| der.clone().into_owned()).collect();
        let shown = Presented { leaf: leaf.clone().into_owned(), chain };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
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
pub const PATIENCE: Duration = Duration::from_secs(10);
