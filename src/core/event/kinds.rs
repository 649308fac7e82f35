//! What some events tell beside what happened: how, by whose word, and of which kind it was.

use serde::{Deserialize, Serialize};

use crate::core::name::{Digest, SerialNumber};

/// A step of a hook after the switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookStep {
    /// The hook itself: from then on a service may have the new set.
    #[default]
    Run,
    /// The test before it.
    Test,
}

impl HookStep {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
    pub(super) const fn is_run(&self) -> bool {
        matches!(self, Self::Run)
    }
}

/// What keeps an issued certificate from being installed before the emergency stage: each has a remedy of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lack {
    /// A wanted usage.
    #[default]
    Usage,
    /// A signature that can be judged.
    Signature,
    /// Both.
    Both,
}

impl Lack {
    /// Whether a signature cannot be judged.
    #[must_use]
    pub const fn is_signature(self) -> bool {
        matches!(self, Self::Signature | Self::Both)
    }
}

/// By whose word an older generation is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollbackBy {
    /// A hook failed on the newer one, and the entry says `rollback`: the newer one is tried again.
    Hook,
    /// The operator's: it is held there.
    Operator,
}

/// How a certificate is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// A new certificate.
    New,
    /// The renewal of the one with this serial number.
    Renew {
        /// The serial number.
        serial_number: SerialNumber,
        /// The fingerprint, which tells two certificates with one serial number apart.
        fingerprint: Digest,
    },
}

impl Method {
    /// The word in the status.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Renew { .. } => "renew",
        }
    }
}

/// What came of the order to revoke a superseded certificate. Either way nobody has to revoke it any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawal {
    /// TLM revoked it.
    #[default]
    Revoked,
    /// It was revoked before: by somebody else, or by an order whose answer nobody wrote down.
    Already,
    /// TLM does not know it.
    Unknown,
}

impl Withdrawal {
    /// Whether it is revoked now.
    #[must_use]
    pub const fn is_revoked(self) -> bool {
        matches!(self, Self::Revoked | Self::Already)
    }
}
