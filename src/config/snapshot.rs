//! What the inventory directory looks like from outside: enough to see, without reading a file, that something changed.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::load::is_drop_in;
use crate::core::time::Timestamp;

/// The directory and its drop-in files as they stood at one moment. Two that are equal hold the same files, but for
/// what was written in the very moment of the look ([`Snapshot::newest_change`]).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// `None`: it is missing or cannot be read.
    directory: Option<Mark>,
    files: BTreeMap<OsString, Option<Mark>>,
}

/// What changes with a file's content, owner or mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Snapshot {
    /// Looks at `directory`; a symlink is followed, and so are those in it.
    #[must_use]
    pub fn of(directory: &Path) -> Self {
        let (Ok(metadata), Ok(found)) = (fs::metadata(directory), fs::read_dir(directory)) else {
            return Self::default();
        };
        let names = found.filter_map(Result::ok).map(|entry| entry.file_name());
        let files = names
            .filter(|name| is_drop_in(&name.to_string_lossy()))
            .map(|name| {
                let mark = fs::metadata(directory.join(&name)).ok().map(|metadata| Mark::of(&metadata));
                (name, mark)
            })
            .collect();
        // Files of other names change the directory's times, and nothing of the inventory.
        let directory = Mark { size: 0, modified: (0, 0), changed: (0, 0), ..Mark::of(&metadata) };
        Self { directory: Some(directory), files }
    }

    /// When the file that changed last did so, by the file system's clock. What was written in the same tick of that
    /// clock, after the look, cannot be told by a later look.
    #[must_use]
    pub fn newest_change(&self) -> Option<Timestamp> {
        let seconds = self.files.values().flatten().map(|mark| mark.changed.0).max()?;
        Some(Timestamp::from_seconds(seconds))
    }
}
