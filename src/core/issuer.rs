//! Who issued a certificate, and when the chain to it ends.

use serde::{Deserialize, Serialize};

use super::name::Digest;
use super::text::Text;
use super::time::Timestamp;

/// The CA that signed a leaf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
