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

use std::io;
use std::path::Path;

use crate::core::failure::{Failure, FailureClass};

/// The failure of a file operation, classified by what the operator can do about it.
#[must_use]
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind has no remedy of its own")]
pub fn disk_failure(what: &str, path: &Path, error: &io::Error) -> Failure {
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
        _ => (FailureClass::Disk, "see the system's log for the device"),
    };
    Failure::new(class, format!("cannot {what} {}: {error}; {remedy}", path.display()))
}
