//! The last good content of each drop-in file, kept in the state directory: a file that was refused stays in force
//! across restarts. One file for all, replaced whole, so that no crash leaves a certificate in two of them.

use std::collections::BTreeMap;
use std::io;

use serde_json::Value;

use crate::config::{FileContent, InForce};
use crate::core::failure::Failure;
use crate::store::disk::{Disk, Perms};
use crate::store::layout::Layout;
use crate::store::{disk_failure, replace};

/// Reads what was in force. It is a copy alone: what cannot be read counts as not kept, and is said.
#[must_use]
pub fn read(disk: &dyn Disk, layout: &Layout) -> InForce {
    let path = layout.inventory();
    let kept: BTreeMap<String, Value> = match disk.read(&path, LIMIT) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
            tracing::error!("{} is damaged ({error}): the last good content of refused files is lost", path.display());
            BTreeMap::new()
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
        Err(error) => {
            tracing::warn!("the last good content of refused files is not known: {}", failure("read", layout, &error));
            BTreeMap::new()
        }
    };
    kept.into_iter().filter_map(|(label, content)| understood(label, content)).collect()
}

/// The content of one file; another version may have written it otherwise, which costs that file alone.
fn understood(label: String, content: Value) -> Option<(String, FileContent)> {
    match serde_json::from_value(content) {
        Ok(content) => Some((label, content)),
        Err(error) => {
            tracing::warn!(file = %label, "its last good content was kept in another form and is not used: {error}");
            None
        }
    }
}

/// Keeps what is in force, where it is not kept already.
///
/// # Errors
///
/// When the file operation fails.
pub fn write(disk: &dyn Disk, layout: &Layout, in_force: &InForce) -> Result<(), Failure> {
    let path = layout.inventory();
    let bytes = serde_json::to_vec(in_force).map_err(|error| failure("write", layout, &error.into()))?;
    if disk.read(&path, LIMIT).is_ok_and(|kept| kept == bytes) {
        return Ok(());
    }
    replace::replace(disk, &path, &bytes, Perms::PRIVATE).map_err(|error| failure("write", layout, &error))
}

fn failure(what: &str, layout: &Layout, error: &io::Error) -> Failure {
    disk_failure(what, &layout.inventory(), error)
}

const LIMIT: u64 = 64 << 20;
