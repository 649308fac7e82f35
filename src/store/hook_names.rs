//! `hooks/`: for each run of a hook the names that it runs for, one on each line. A variable holds 128 KiB at most, and the
//! certificates of a large host have more names than that.

use std::path::PathBuf;

use super::disk::{Disk, Perms};
use super::layout::Layout;
use super::{disk_failure, replace};
use crate::core::failure::Failure;
use crate::core::name::CertName;

/// Writes the names for the run of this number, for the user `reader` where that is not this process's. They are of use as long as it runs, and not made durable.
///
/// # Errors
///
/// When the disk fails; nothing is left behind then.
pub fn write(
    disk: &dyn Disk,
    layout: &Layout,
    run: u64,
    names: &[CertName],
    reader: Option<u32>,
) -> Result<PathBuf, Failure> {
    let (folder, file) = (layout.hooks(), layout.hooks().join(run.to_string()));
    replace::ensure_dir(disk, &folder, 0o711).map_err(|error| disk_failure("make the folder", &folder, &error))?;
    let text: String = names.iter().map(|name| format!("{name}\n")).collect();
    let perms = Perms { uid: reader, gid: None, mode: 0o600 };
    let written = disk.create(&file, perms).and_then(|mut open| {
        open.write(text.as_bytes()).inspect_err(|_| {
            // The first error is the one that tells.
            drop(disk.remove_file(&file));
        })
    });
    written.map_err(|error| disk_failure("write", &file, &error))?;
    Ok(file)
}

/// Removes what runs of an earlier life left behind.
pub fn sweep(disk: &dyn Disk, layout: &Layout) {
    let folder = layout.hooks();
    for name in disk.list(&folder).unwrap_or_default() {
        if let Err(error) = disk.remove_file(&folder.join(name)) {
            tracing::debug!("a file of {} cannot be removed: {error}", folder.display());
        }
    }
}
