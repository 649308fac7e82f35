//! Owners and groups: from the names of an entry to the numbers of the system.

use nix::unistd::{Group, User};

use crate::core::failure::{Failure, FailureClass};
use crate::core::wanted::files::Access;

use super::disk::{Perms, Stat};

/// Owner, group and modes as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    uid: u32,
    gid: u32,
    key_mode: u32,
    mode: u32,
}

impl Ids {
    /// Looks the names of an entry up; where it names none, they are this process's own, as those who write have it.
    ///
    /// # Errors
    ///
    /// When there is no such user or group.
    pub fn of(access: &Access) -> Result<Self, Failure> {
        Self::with_default(access, rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
    }

    /// Looks the names of an entry up; where it names none, they are the service's, whoever looks.
    ///
    /// # Errors
    ///
    /// When there is no such user or group.
    pub fn with_default(access: &Access, uid: u32, gid: u32) -> Result<Self, Failure> {
        let uid = access.owner.as_deref().map_or(Ok(uid), |name| user(name, "owner"))?;
        let gid = access.group.as_deref().map_or(Ok(gid), |name| group(name, "group"))?;
        Ok(Self { uid, gid, key_mode: access.key_mode, mode: access.mode })
    }

    /// For a file that holds the key, or for another.
    #[must_use]
    pub const fn perms(&self, holds_key: bool) -> Perms {
        Perms { uid: Some(self.uid), gid: Some(self.gid), mode: if holds_key { self.key_mode } else { self.mode } }
    }

    /// How a file's owner, group or mode differ from what they should be.
    #[must_use]
    pub fn difference(&self, holds_key: bool, stat: &Stat) -> Option<String> {
        let mode = self.perms(holds_key).mode;
        if stat.mode != mode {
            return Some(format!("its mode is {:04o}, not {mode:04o}", stat.mode));
        }
        if stat.uid != self.uid {
            return Some(format!("its owner is {}, not {}", stat.uid, self.uid));
        }
        (stat.gid != self.gid).then(|| format!("its group is {}, not {}", stat.gid, self.gid))
    }
}

/// The number of a user that the key `key` names.
///
/// # Errors
///
/// When there is no such user.
pub fn user(name: &str, key: &str) -> Result<u32, Failure> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(unknown(format!("there is no user {name:?} on this host; create it or change `{key}`"))),
        Err(error) => Err(unknown(format!("cannot look user {name:?} up: {error}"))),
    }
}

/// The number of a group that the key `key` names.
///
/// # Errors
///
/// When there is no such group.
pub fn group(name: &str, key: &str) -> Result<u32, Failure> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(unknown(format!("there is no group {name:?} on this host; create it or change `{key}`"))),
        Err(error) => Err(unknown(format!("cannot look group {name:?} up: {error}"))),
    }
}

fn unknown(message: String) -> Failure {
    Failure::new(FailureClass::DiskPermission, message)
}
