//! The disk: the installed sets, the journal, the keys of requests in flight, and the lock. The only room that writes
//! files. Everything goes through the [`disk::Disk`] port, so that a simulated disk can stand in.

pub mod access;
pub mod chains;
pub mod content;
pub mod disk;
#[cfg(test)]
mod example;
mod external;
pub mod generation;
pub mod hook_names;
mod in_place;
pub mod journal;
pub mod key_store;
pub mod layout;
pub mod lines;
pub mod lock;
pub mod manifest;
pub mod notices;
pub mod observe;
pub mod pending;
pub mod profile_cache;
pub mod real_disk;
pub mod refresh;
pub mod repair;
pub mod replace;
pub mod rollback;
mod shared_chains;
pub mod shared_journal;
pub mod targets;

use std::fmt;
use std::io;
use std::path::Path;

use crate::core::failure::{Failure, FailureClass};

use disk::Perms;

/// The failure of a file operation, classified by what the operator can do about it.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind has no remedy of its own")]
pub fn disk_failure(what: &str, path: &Path, error: &io::Error) -> Failure {
    if error.get_ref().is_some_and(|inner| inner.is::<NotGiven>()) {
        let remedy = "change `owner` and `group` of the entry, or let the service give files away \
                      (AmbientCapabilities=CAP_CHOWN in the unit)";
        return Failure::new(FailureClass::DiskPermission, format!("{}: {error}; {remedy}", path.display()));
    }
    let (class, remedy) = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            (FailureClass::DiskFull, "free space or inodes there")
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            (FailureClass::DiskReadOnly, "mount it writable, or allow the path in the unit (ReadWritePaths=)")
        }
        io::ErrorKind::PermissionDenied => (
            FailureClass::DiskPermission,
            "give the service's user access, or allow the path in the unit (ReadWritePaths=)",
        ),
        io::ErrorKind::FileTooLarge => {
            (FailureClass::DiskFull, "raise the limit on the size of files (LimitFSIZE= in the unit)")
        }
        io::ErrorKind::NotFound => (FailureClass::Disk, "create the folder, or name another path"),
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            (FailureClass::Disk, "move away what is there, or name another path")
        }
        io::ErrorKind::InvalidFilename => (FailureClass::Disk, "name a shorter path"),
        _ => (FailureClass::Disk, "see the system's log for the device"),
    };
    Failure::new(class, format!("cannot {what} {}: {error}; {remedy}", path.display()))
}

/// A file that may not be given to the owner and group that it is to have.
#[derive(Debug)]
pub struct NotGiven {
    perms: Perms,
    error: io::Error,
}

impl NotGiven {
    /// Says so of an error of chown's, where that is about whom and not about the disk.
    #[must_use]
    #[expect(clippy::wildcard_enum_match_arm, reason = "every other kind is the disk's")]
    pub fn of(perms: Perms, error: io::Error) -> io::Error {
        match error.kind() {
            // The second is of a number that a user namespace does not have.
            kind @ (io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput) => {
                io::Error::new(kind, Self { perms, error })
            }
            _ => error,
        }
    }
}

impl fmt::Display for NotGiven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [("user", self.perms.uid), ("group", self.perms.gid)];
        let named = named.into_iter().filter_map(|(what, id)| Some(format!("{what} {}", id?))).collect::<Vec<_>>();
        write!(f, "renewd may not give a file to {} ({})", named.join(" and "), self.error)
    }
}

impl std::error::Error for NotGiven {}
