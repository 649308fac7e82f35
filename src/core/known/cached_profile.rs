//! What is known of a profile, and since when.

use serde::{Deserialize, Serialize};

use super::profile::Profile;
use crate::core::failure::Failure;
use crate::core::time::Timestamp;

/// The last reading of a profile, and what stands against a newer one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CachedProfile {
    /// The profile as last read.
    pub profile: Option<Profile>,
    /// When this process read it; `None` for a reading that was kept on the disk, which serves but is not fresh.
    #[serde(skip)]
    pub read_at: Option<Timestamp>,
    /// Why the last try failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailedRead>,
    /// Since when no reading succeeds: also across restarts and reloads, which forget the failure itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
}

/// A reading that failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FailedRead {
    /// Why.
    pub failure: Failure,
    /// How often in a row.
    pub count: u32,
    /// When it is tried again.
    pub until: Timestamp,
}
