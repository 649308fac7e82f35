//! The last readings of the profiles, kept for times when the API is down.

use std::collections::BTreeMap;
use std::io;

use crate::core::failure::Failure;
use crate::core::known::cached_profile::CachedProfile;
use crate::core::name::ProfileRef;

use super::disk::{Disk, Perms};
use super::layout::Layout;
use super::{disk_failure, replace};

/// Reads them. A file that is missing or of another form counts as empty: it is only a copy of what TLM says.
#[must_use]
pub fn read(disk: &dyn Disk, layout: &Layout) -> BTreeMap<ProfileRef, CachedProfile> {
    let kept: Vec<(ProfileRef, CachedProfile)> = match disk.read(&layout.profiles(), LIMIT) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    kept.into_iter().collect()
}

/// Writes them.
///
/// # Errors
///
/// When the file operation fails.
pub fn write(disk: &dyn Disk, layout: &Layout, readings: &[(ProfileRef, CachedProfile)]) -> Result<(), Failure> {
    let path = layout.profiles();
    serde_json::to_vec(readings)
        .map_err(io::Error::from)
        .and_then(|bytes| replace::replace(disk, &path, &bytes, Perms::PRIVATE))
        .map_err(|error| disk_failure("keep the profiles in", &path, &error))
}

const LIMIT: u64 = 64 << 20;
