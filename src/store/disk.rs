//! The port to the file system: the few operations that crash safety is built from, each visible as one step.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// A file system.
///
/// Paths are taken as they are; the last component is never followed where it is a symlink.
pub trait Disk: Send + Sync {
    /// Reads a regular file of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// Those of the system; `InvalidData` where it is no regular file or too large.
    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;

    /// Where a symlink points.
    ///
    /// # Errors
    ///
    /// Those of the system; `InvalidInput` where it is no symlink.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;

    /// What is at a path.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn stat(&self, path: &Path) -> io::Result<Stat>;

    /// The names in a folder, in no order.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;

    /// Makes a new file, empty, with owner and mode set before the first byte.
    ///
    /// # Errors
    ///
    /// Those of the system; `AlreadyExists` where anything is there.
    fn create(&self, path: &Path, perms: Perms) -> io::Result<Box<dyn DiskFile>>;

    /// Opens an existing file for writing, at its end.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Overwrites the content of an existing file in place, unless it has another name as well: for keys that are about to
    /// be removed, and nothing else.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Gives `staged` the security label of `replaced`, where there are labels.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn copy_label(&self, replaced: &Path, staged: &Path) -> io::Result<()>;

    /// Makes a folder.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn make_dir(&self, path: &Path, mode: u32) -> io::Result<()>;

    /// Renames, replacing what is there.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Swaps two names, in one step.
    ///
    /// # Errors
    ///
    /// Those of the system; `InvalidInput` or `Unsupported` where the file system cannot do it.
    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()>;

    /// Gives a file a second name.
    ///
    /// # Errors
    ///
    /// Those of the system; `AlreadyExists` where anything has that name.
    fn link(&self, file: &Path, name: &Path) -> io::Result<()>;

    /// Makes a symlink.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn symlink(&self, target: &Path, path: &Path) -> io::Result<()>;

    /// Removes a file or symlink.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Removes the files and symlinks in a folder whose names begin with `prefix` and that belong to one of `owners`, and
    /// leaves folders alone. The folder may be somebody else's, who puts another one in its place meanwhile: the real one
    /// works by its descriptor. One that cannot be removed keeps none of the others.
    ///
    /// # Errors
    ///
    /// When the folder cannot be read.
    fn sweep(&self, folder: &Path, prefix: &str, owners: &[u32]) -> io::Result<()> {
        for name in self.list(folder)? {
            let path = folder.join(&name);
            let is_own = |stat: Stat| stat.kind != Kind::Dir && owners.contains(&stat.uid);
            if name.to_str().is_some_and(|name| name.starts_with(prefix)) && self.stat(&path).is_ok_and(is_own) {
                drop(self.remove_file(&path));
            }
        }
        Ok(())
    }

    /// Makes the entries of a folder durable.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes durable what an earlier process may have left in a folder: once is enough, since this one syncs what it does
    /// itself.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn sync_changed_dir(&self, path: &Path) -> io::Result<()> {
        self.sync_dir(path)
    }

    /// The attribute that keeps what is at a path from being replaced, whoever tries; `None` where there is none, or none
    /// can be read.
    fn hold(&self, path: &Path) -> Option<Hold>;

    /// The access list of a file or folder, as the system has it; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn access_list(&self, path: &Path) -> io::Result<Option<Vec<u8>>>;

    /// Whether something is mounted at exactly this path.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn is_mount_point(&self, path: &Path) -> io::Result<bool>;
}

/// An open file.
pub trait DiskFile: Send {
    /// Writes all bytes at the end.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the content durable.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn sync(&mut self) -> io::Result<()>;

    /// Cuts the file to a length.
    ///
    /// # Errors
    ///
    /// Those of the system.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// Owner, group and mode of a new file; `None` leaves the process's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Perms {
    /// The owner.
    pub uid: Option<u32>,
    /// The group.
    pub gid: Option<u32>,
    /// The mode.
    pub mode: u32,
}

impl Perms {
    /// For the service alone.
    pub const PRIVATE: Self = Self { uid: None, gid: None, mode: 0o600 };
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What kind.
    pub kind: Kind,
    /// Bytes.
    pub size: u64,
    /// The permission bits.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The last change of content, name or permissions, in nanoseconds since the epoch.
    pub ctime: i64,
}

/// An attribute that forbids to replace a file, or what is in a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// `chattr +i`.
    Immutable,
    /// `chattr +a`.
    AppendOnly,
}

/// Kinds of things in a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Dir,
    /// A symlink.
    Symlink,
    /// Anything else.
    Other,
}
