//! How the client reaches the API. Checked by the configuration already; what cannot be used is refused once more when
//! the client is made.

use std::fmt;
use std::time::Duration;

use super::credentials::{ClientIdentity, Credential, ProxyCredentials};
use super::port::Observer;

/// Everything that the client is made of.
#[derive(Clone)]
pub struct ClientSettings {
    /// The base URL: `https`, or `http` for a loopback address.
    pub url: String,
    /// The API keys, the first one active. Not sent where there is a client identity.
    pub credentials: Vec<Credential>,
    /// Key and certificate that the client shows in the TLS handshake, in place of an API key.
    pub client_identity: Option<ClientIdentity>,
    /// Which roots the API's certificate may lead to.
    pub roots: Roots,
    /// The proxy. The environment's proxy variables are never read.
    pub proxy: Option<ProxySettings>,
    /// The time for a whole request, from the connection to the last byte of the answer.
    pub timeout: Duration,
    /// Is told of every request.
    pub observer: Option<Observer>,
}

impl fmt::Debug for ClientSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientSettings")
            .field("url", &self.url)
            .field("credentials", &self.credentials)
            .field("client_identity", &self.client_identity)
            .field("roots", &self.roots)
            .field("proxy", &self.proxy)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The roots that are trusted.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Roots {
    /// The system's.
    #[default]
    System,
    /// These (PEM), in place of the system's.
    Only(Vec<u8>),
    /// These (PEM), and the system's.
    WithSystem(Vec<u8>),
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => f.write_str("System"),
            Self::Only(pem) => write!(f, "Only({} bytes)", pem.len()),
            Self::WithSystem(pem) => write!(f, "WithSystem({} bytes)", pem.len()),
        }
    }
}

/// The proxy. It is used for `https` alone: over plain `http` it would see the API key.
#[derive(Clone, Debug)]
pub struct ProxySettings {
    /// Its URL, without credentials.
    pub url: String,
    /// User and password.
    pub credentials: Option<ProxyCredentials>,
    /// Hosts, domains and networks that are reached without it.
    pub no_proxy: Vec<String>,
}
