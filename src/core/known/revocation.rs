//! What a CA says of a certificate that it issued: that it is not revoked, or since when and why it is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::core::time::Timestamp;

/// A CA's word on a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaStanding {
    /// It is not revoked.
    NotRevoked,
    /// It is.
    Revoked(Revocation),
}

/// Since when a certificate is revoked, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// The date that the CA gives.
    pub at: Timestamp,
    /// The reason that the CA gives.
    pub reason: RevocationReason,
}

/// Why a certificate is revoked (RFC 5280 section 5.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevocationReason {
    /// Its private key is in other hands.
    KeyCompromise,
    /// The key of the CA above it is.
    CaCompromise,
    /// Its subject changed.
    AffiliationChanged,
    /// Another one took its place.
    Superseded,
    /// It is not used any more.
    CessationOfOperation,
    /// It is on hold, which may be lifted.
    CertificateHold,
    /// A right was taken from it.
    PrivilegeWithdrawn,
    /// The key of an attribute authority is in other hands.
    AaCompromise,
    /// The CA gives none, or one that a newer version wrote.
    #[default]
    #[serde(other)]
    Unspecified,
}

impl RevocationReason {
    /// The reason of this number; `None`: it takes a revocation back (`removeFromCRL`).
    #[must_use]
    pub const fn of_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::KeyCompromise),
            2 => Some(Self::CaCompromise),
            3 => Some(Self::AffiliationChanged),
            4 => Some(Self::Superseded),
            5 => Some(Self::CessationOfOperation),
            6 => Some(Self::CertificateHold),
            8 => None,
            9 => Some(Self::PrivilegeWithdrawn),
            10 => Some(Self::AaCompromise),
            _ => Some(Self::Unspecified),
        }
    }

    /// Whether the revocation may be taken back: every other one is for ever.
    #[must_use]
    pub const fn is_hold(self) -> bool {
        matches!(self, Self::CertificateHold)
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyCompromise => "key compromise",
            Self::CaCompromise => "CA compromise",
            Self::AffiliationChanged => "affiliation changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation of operation",
            Self::CertificateHold => "certificate hold",
            Self::PrivilegeWithdrawn => "privilege withdrawn",
            Self::AaCompromise => "attribute authority compromise",
            Self::Unspecified => "no reason given",
        })
    }
}
