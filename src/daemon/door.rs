//! Who may ask at the control socket. The kernel lets in whom the socket's file names: root, the service's user and group,
//! and by an access list the control group, which the service need not be a member of. The user database is asked
//! where that is not enough.

use std::ffi::CString;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::unistd::{Gid, Uid, User, getgrouplist};
use rustix::fs::XattrFlags;
use rustix::io::Errno;

use crate::core::failure::Failure;
use crate::core::wanted::access_list::{self, ATTRIBUTE};
use crate::store::access;
use crate::store::disk::Disk as _;
use crate::store::real_disk::RealDisk;

/// The file of the socket, and whom it lets in.
#[derive(Debug)]
pub(super) struct Door {
    path: PathBuf,
    /// The service's user.
    pub(super) uid: u32,
    gid: u32,
    admitted: Mutex<Option<Admitted>>,
}

/// The control group, once it is let in.
#[derive(Clone, Copy, Debug)]
struct Admitted {
    gid: u32,
    by: Means,
}

/// How a group is let in.
#[derive(Clone, Copy, Debug)]
enum Means {
    AccessList,
    OwningGroup,
}

/// Why the control group is not let in.
#[derive(Debug)]
pub(super) enum NotAdmitted {
    Unknown(Failure),
    /// By an access list, and by the file's group.
    Refused(Errno, Errno),
}

impl fmt::Display for NotAdmitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(failure) => write!(f, "{failure}"),
            Self::Refused(list, owner) => write!(
                f,
                "the socket does not accept an access list ({list}), and the service may not give it to that group ({owner}), \
                 which it may as a member: SupplementaryGroups= in the unit (systemctl edit renewd)"
            ),
        }
    }
}

impl Door {
    /// For a socket whose file lets in root, the service's user and its group.
    pub(super) fn new(path: &Path) -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { path: path.to_owned(), uid, gid, admitted: Mutex::default() }
    }

    fn admitted(&self) -> MutexGuard<'_, Option<Admitted>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the members of a group in, and those of no other: by an access list, which leaves the service's group where it
    /// is and needs no right but the owner's; else by giving the file to the group.
    pub(super) fn admit(&self, group: Option<&str>) -> Result<(), NotAdmitted> {
        // The user database may hang: nobody waits for that with the lock in hand.
        let gid = group.map(|group| access::group(group, "control_group")).transpose();
        let mut admitted = self.admitted();
        match admitted.take().map(|before| before.by) {
            // A list that cannot go lets nobody in whom the daemon would answer.
            Some(Means::AccessList) => drop(rustix::fs::lremovexattr(&self.path, ATTRIBUTE)),
            Some(Means::OwningGroup) => drop(std::os::unix::fs::lchown(&self.path, None, Some(self.gid))),
            None => {}
        }
        let Some(gid) = gid.map_err(NotAdmitted::Unknown)? else { return Ok(()) };
        let list = access_list::shared_with(gid);
        let by = match rustix::fs::lsetxattr(&self.path, ATTRIBUTE, &list, XattrFlags::empty()) {
            Ok(()) => Means::AccessList,
            Err(no_list) => {
                let given = std::os::unix::fs::lchown(&self.path, None, Some(gid));
                let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
                given.map_err(|error| NotAdmitted::Refused(no_list, errno(error)))?;
                Means::OwningGroup
            }
        };
        *admitted = Some(Admitted { gid, by });
        Ok(())
    }

    /// Whether the kernel's word alone is enough for everything.
    pub(super) const fn is_known(&self, uid: u32, gid: u32) -> bool {
        uid == 0 || uid == self.uid || gid == self.gid
    }

    /// Whether the file lets in nobody who may not read, as it was made: then whoever came may, also by a group that the
    /// process has and the user database does not know of.
    pub(super) fn is_shut(&self) -> bool {
        let (gid, list) = match *self.admitted() {
            None => (self.gid, None),
            Some(Admitted { gid, by: Means::AccessList }) => (self.gid, Some(access_list::shared_with(gid))),
            Some(Admitted { gid, by: Means::OwningGroup }) => (gid, None),
        };
        let is_as_made =
            |found: std::fs::Metadata| (found.uid(), found.gid(), found.mode() & 0o777) == (self.uid, gid, MODE);
        std::fs::symlink_metadata(&self.path).is_ok_and(is_as_made)
            && RealDisk.access_list(&self.path).is_ok_and(|found| found == list)
    }

    /// Whether this user may command, as the user database says.
    pub(super) fn may_command(&self, uid: u32, gid: u32) -> bool {
        self.is_known(uid, gid) || is_member(uid, self.gid)
    }

    /// Whether this user may read, as the user database says.
    pub(super) fn may_read(&self, uid: u32, gid: u32) -> bool {
        let admitted = self.admitted().map(|admitted| admitted.gid);
        self.may_command(uid, gid) || admitted.is_some_and(|group| group == gid || is_member(uid, group))
    }
}

/// Whether a user is in a group, by name or as the system's sources give it (some tell no members of a group).
fn is_member(uid: u32, gid: u32) -> bool {
    let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else { return false };
    let groups = CString::new(user.name).ok().and_then(|name| getgrouplist(&name, user.gid).ok());
    groups.is_some_and(|groups| groups.contains(&Gid::from_raw(gid)))
}

/// Of the socket's file; a list shows in it as its mask.
pub(super) const MODE: u32 = 0o660;
