//! What somebody was told, kept across restarts.

use std::collections::BTreeMap;
use std::io;

use crate::core::failure::Failure;
use crate::core::name::HookName;

use super::disk::{Disk, Perms};
use super::layout::Layout;
use super::{disk_failure, replace};

/// Reads what was told, as the engine wrote it. A file that is missing or of another form counts as empty: then everything
/// that lasts is told again.
#[must_use]
pub fn read<T: serde::de::DeserializeOwned>(disk: &dyn Disk, layout: &Layout) -> BTreeMap<HookName, T> {
    match disk.read(&layout.notices(), LIMIT) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(_) => BTreeMap::new(),
    }
}

/// Writes it.
///
/// # Errors
///
/// When the file operation fails.
pub fn write<T: serde::Serialize>(
    disk: &dyn Disk,
    layout: &Layout,
    told: &BTreeMap<HookName, T>,
) -> Result<(), Failure> {
    let path = layout.notices();
    serde_json::to_vec(told)
        .map_err(io::Error::from)
        .and_then(|bytes| replace::replace(disk, &path, &bytes, Perms::PRIVATE))
        .map_err(|error| disk_failure("keep what was reported in", &path, &error))
}

const LIMIT: u64 = 64 << 20;
