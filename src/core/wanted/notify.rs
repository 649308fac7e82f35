//! A notification: whom renewd tells of what. Says what and how; tells nobody.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hook::Hook;

/// `[notify.NAME]`, complete and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// What is run to tell somebody, as a hook is.
    pub run: Hook,
    /// Of what.
    pub on: BTreeSet<Occasion>,
    /// How long changes are gathered before one call tells them.
    pub gather: Duration,
}

macro_rules! occasions {
    ($($(#[$doc:meta])* $variant:ident = $word:literal;)*) => {
        /// What somebody is told of, the most urgent first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Occasion {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)*
        }

        impl Occasion {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

occasions! {
    /// Half of a renewal window is over without a replacement, or the certificate has expired.
    Expiring = "expiring";
    /// Whatever makes the status unhealthy and is none of the others.
    Failing = "failing";
    /// A certificate is not asked for any more.
    Rejected = "rejected";
    /// Clients are shown another certificate.
    NotServed = "not-served";
    /// A file of the configuration is refused or not read.
    FileRefused = "file-refused";
    /// A credential for the API ends soon, or has ended.
    CredentialExpiring = "credential-expiring";
    /// An operator holds a certificate back, or that hold gave way.
    Held = "held";
    /// Nothing is wrong any more with what was told of.
    Mended = "mended";
    /// A new certificate is live and served.
    Renewed = "renewed";
}

impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
