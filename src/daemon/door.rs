//! Who may ask at the control socket. The kernel lets in whom the socket's file names: root, the service's user and group,
//! and by an access list the control group, which the service need not be a member of. The user database is asked
//! where that is not enough.

use std::ffi::CString;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::unistd::{Gid, Uid, User, getgrouplist};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, XattrFlags};
use rustix::io::Errno;

use crate::core::failure::Failure;
use crate::core::wanted::access_list::{self, ATTRIBUTE};
use crate::store::access;

/// The file of the socket, and whom it lets in.
#[derive(Debug)]
pub(super) struct Door {
    file: Arc<SocketFile>,
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
    pub(super) fn new(file: Arc<SocketFile>) -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { file, uid, gid, admitted: Mutex::default() }
    }

    fn admitted(&self) -> MutexGuard<'_, Option<Admitted>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the members of a group in, and those of no other: by an access list, which leaves the service's group where it
    /// is and needs no right but the owner's; else by giving the file to the group. Nothing is done for a group that is
    /// no longer wanted once it is known.
    pub(super) fn admit(&self, group: Option<&str>, is_wanted: impl FnOnce() -> bool) -> Result<(), NotAdmitted> {
        // The user database may hang: nobody waits for that with the lock in hand.
        let gid = group.map(|group| access::group(group, "control_group")).transpose();
        let mut admitted = self.admitted();
        if !is_wanted() {
            return Ok(());
        }
        match admitted.take().map(|before| before.by) {
            // A list that cannot go lets nobody in whom the daemon would answer.
            Some(Means::AccessList) => drop(self.file.remove_list()),
            Some(Means::OwningGroup) => drop(self.file.give_to(self.gid)),
            None => {}
        }
        let Some(gid) = gid.map_err(NotAdmitted::Unknown)? else { return Ok(()) };
        let by = match self.file.set_list(&access_list::shared_with(gid)) {
            Ok(()) => Means::AccessList,
            Err(no_list) => {
                self.file.give_to(gid).map_err(|error| NotAdmitted::Refused(no_list, error))?;
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
        let is_as_made = |found: Stat| (found.st_uid, found.st_gid, found.st_mode & 0o777) == (self.uid, gid, MODE);
        self.file.stat().is_ok_and(is_as_made) && self.file.list().is_ok_and(|found| found == list)
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

/// The socket's file by descriptor. Whoever may write to its folder can put another one in its place, of which renewd then
/// changes nothing.
#[derive(Debug)]
pub(super) struct SocketFile(OwnedFd);

impl SocketFile {
    /// The file that was made at `path` a moment ago.
    ///
    /// # Errors
    ///
    /// Those of the system, or that it is not this process's.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = Self(rustix::fs::open(path, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?);
        let found = file.stat()?;
        let is_own = found.st_uid == rustix::process::geteuid().as_raw() && found.st_nlink == 1;
        if is_own && FileType::from_raw_mode(found.st_mode).is_socket() {
            return Ok(file);
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "something else was put in its place"))
    }

    /// Lets in root, the service's user and its group.
    pub(super) fn shut(&self) -> rustix::io::Result<()> {
        rustix::fs::chmod(self.by_number(), Mode::from_raw_mode(MODE))
    }

    /// Whether this is the file at `path`.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        let place = |found: Stat| (found.st_dev, found.st_ino);
        matches!((self.stat(), rustix::fs::lstat(path)), (Ok(own), Ok(found)) if place(own) == place(found))
    }

    fn stat(&self) -> rustix::io::Result<Stat> {
        rustix::fs::fstat(&self.0)
    }

    fn list(&self) -> rustix::io::Result<Option<Vec<u8>>> {
        let mut list = vec![0; LONGEST_LIST];
        match rustix::fs::getxattr(self.by_number(), ATTRIBUTE, &mut list) {
            Ok(length) => {
                list.truncate(length);
                Ok(Some(list))
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn set_list(&self, list: &[u8]) -> rustix::io::Result<()> {
        rustix::fs::setxattr(self.by_number(), ATTRIBUTE, list, XattrFlags::empty())
    }

    fn remove_list(&self) -> rustix::io::Result<()> {
        rustix::fs::removexattr(self.by_number(), ATTRIBUTE)
    }

    fn give_to(&self, gid: u32) -> rustix::io::Result<()> {
        rustix::fs::chownat(&self.0, "", None, Some(rustix::fs::Gid::from_raw(gid)), AtFlags::EMPTY_PATH)
    }

    /// A path that leads to this file and no other: modes and attributes are not changed by a descriptor such as this.
    fn by_number(&self) -> String {
        format!("/proc/self/fd/{}", self.0.as_raw_fd())
    }
}

/// Whether a user is in a group, by name or as the system's sources give it (some tell no members of a group).
fn is_member(uid: u32, gid: u32) -> bool {
    let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else { return false };
    let groups = CString::new(user.name).ok().and_then(|name| getgrouplist(&name, user.gid).ok());
    groups.is_some_and(|groups| groups.contains(&Gid::from_raw(gid)))
}

/// Of the socket's file; a list shows in it as its mask.
const MODE: u32 = 0o660;
/// The longest value of an attribute that Linux takes.
const LONGEST_LIST: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Its lookup took so long that a reload named another one.
    #[test]
    fn a_group_that_is_no_longer_wanted_is_not_let_in() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let file = Arc::new(SocketFile::open(&path).unwrap());
        file.shut().unwrap();
        let door = Door::new(Arc::clone(&file));
        let (own, other) = (door.gid.to_string(), "no-such-group");
        for group in [own.as_str(), other] {
            door.admit(Some(group), || false).unwrap();
            assert!(door.admitted().is_none() && file.list().unwrap().is_none() && door.is_shut(), "{group}");
        }
        door.admit(Some(&own), || true).unwrap();
        assert!(door.admitted().is_some() && door.is_shut());
        assert!(matches!(door.admit(Some(other), || true), Err(NotAdmitted::Unknown(_))));
    }

    #[test]
    fn only_a_socket_of_its_own_is_taken_for_the_sockets_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let _listener = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        std::os::unix::fs::symlink(path("socket"), path("link")).unwrap();
        let _made = std::fs::File::create(path("file")).unwrap();
        let file = SocketFile::open(&path("socket")).unwrap();
        assert!(file.is_at(&path("socket")) && !file.is_at(&path("link")) && !file.is_at(&path("nothing")));
        assert!(SocketFile::open(&path("link")).is_err() && SocketFile::open(&path("file")).is_err());
        std::fs::hard_link(path("socket"), path("hard")).unwrap();
        assert!(SocketFile::open(&path("socket")).is_err(), "it has another name");
    }
}
