//! What only one entry of the inventory may have: its name, and the files that it writes.

use std::cmp::Ordering;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::core::name::CertName;
use crate::core::wanted::entry::Entry;

/// Something that only one entry may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    /// A name.
    Name(CertName),
    /// A fixed file.
    Target(Target),
}

/// A fixed file: the same by whichever path it is reached. A name in a folder is one file, and a folder may have several
/// paths, by a bind mount or a link.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// The path, as it is written.
    pub(super) path: PathBuf,
    /// Device and inode of its folder; `None`: it is not there, or cannot be looked at.
    folder: Option<(u64, u64)>,
}

impl Target {
    pub(super) fn of(path: &Path) -> Self {
        let found = path.parent().and_then(|folder| fs::metadata(folder).ok());
        Self { path: path.to_owned(), folder: found.map(|found| (found.dev(), found.ino())) }
    }

    /// Whether a path leads to this file.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        self.path == path || (self.path.file_name() == path.file_name() && *self == Self::of(path))
    }

    /// What a message adds where another path leads to the same file.
    pub(super) fn by_another_path(&self, other: &Claim) -> String {
        match other {
            Claim::Target(other) if other.path != self.path => {
                format!(", as {}: a mount or a link makes them one file", other.path.display())
            }
            Claim::Target(_) | Claim::Name(_) => String::new(),
        }
    }

    fn key(&self) -> (Option<(u64, u64)>, &Path) {
        let name = self.path.file_name().map(Path::new).filter(|_| self.folder.is_some());
        (self.folder, name.unwrap_or(&self.path))
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Target {}

impl PartialOrd for Target {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Target {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// What an entry has for itself alone.
pub(super) fn claims(entry: &Entry) -> impl Iterator<Item = Claim> {
    let targets = entry.targets().map(|target| Claim::Target(Target::of(target.path)));
    std::iter::once(Claim::Name(entry.name.clone())).chain(targets)
}
