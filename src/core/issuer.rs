//! Who issued a certificate, when the chain to it ends, and the end that counts: the earliest end of leaf and served
//! chain, since a TLS client refuses both alike.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::Digest;
use super::text::Text;
use super::time::Timestamp;

/// The CA that signed a leaf.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// Its distinguished name, as the leaf spells it.
    pub subject: Text,
    /// SHA-256 of its public key (SPKI), where its certificate is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spki: Option<Digest>,
}

impl Issuer {
    /// Whether both are one CA: by their keys where both are known, else by name.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.spki, &other.spki) {
            (Some(one), Some(other)) => one == other,
            _ => self.subject == other.subject,
        }
    }
}

/// The CA that an entry wants on the path of its certificate (key `issuer`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerPin {
    /// By SHA-256 of its public key (SPKI).
    Spki(Digest),
    /// By its exact subject.
    Subject(String),
}

/// The CA certificate of a served chain that ends first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainEnd {
    /// When it ends.
    pub at: Timestamp,
    /// Its subject.
    pub subject: Text,
    /// SHA-256 of its public key (SPKI): a certificate of the same CA that ends later can take its place.
    pub spki: Digest,
}

/// What stands above a leaf in the files that are served; by default nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServedChain {
    /// Who signed the leaf.
    pub issuer: Issuer,
    /// The first end in the chain; `None` where the leaf is served alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<ChainEnd>,
}

/// The end that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// The CA certificate of the chain that ends then; `None`: the leaf does.
    pub ca: Option<Text>,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ca {
            None => write!(f, "{}", self.at),
            Some(ca) => write!(f, "{} (the end of the CA certificate {ca} in its chain)", self.at),
        }
    }
}
