//! Owners and groups: from the names of an entry to the numbers of the system.

use nix::unistd::{Group, User};

use crate::core::entry::Access;
use crate::core::failure::{Failure, FailureClass};

use super::disk::{Perms, Stat};

/// Owner, group and modes as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    uid: Option<u32>,
    gid: Option<u32>,
    key_mode: u32,
    mode: u32,
}

impl Ids {
    /// Looks the names of an entry up.
    ///
    /// # Errors
    ///
    /// When there is no such user or group.
    pub fn of(access: &Access) -> Result<Self, Failure> {
        let uid = access.owner.as_deref().map(user).transpose()?;
        let gid = access.group.as_deref().map(group).transpose()?;
        Ok(Self { uid, gid, key_mode: access.key_mode, mode: access.mode })
    }

    /// For a file that holds the key, or for another.
    #[must_use]
    pub const fn perms(&self, holds_key: bool) -> Perms {
        Perms { uid: self.uid, gid: self.gid, mode: if holds_key { self.key_mode } else { self.mode } }
    }

    /// How a file's owner, group or mode differ from what they should be.
    #[must_use]
    pub fn difference(&self, holds_key: bool, stat: &Stat) -> Option<String> {
        let wanted = self.perms(holds_key);
        if stat.mode != wanted.mode {
            return Some(format!("its mode is {:04o}, not {:04o}", stat.mode, wanted.mode));
        }
        if let Some(uid) = wanted.uid.filter(|uid| *uid != stat.uid) {
            return Some(format!("its owner is {}, not {uid}", stat.uid));
        }
        wanted.gid.filter(|gid| *gid != stat.gid).map(|gid| format!("its group is {}, not {gid}", stat.gid))
    }
}

fn user(name: &str) -> Result<u32, Failure> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    match User::from_name(name) {
        Ok(Some(user)) => Ok(user.uid.as_raw()),
        Ok(None) => Err(unknown(format!("there is no user {name:?} on this host; create it or change `owner`"))),
        Err(error) => Err(unknown(format!("cannot look user {name:?} up: {error}"))),
    }
}

fn group(name: &str) -> Result<u32, Failure> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    match Group::from_name(name) {
        Ok(Some(group)) => Ok(group.gid.as_raw()),
        Ok(None) => Err(unknown(format!("there is no group {name:?} on this host; create it or change `group`"))),
        Err(error) => Err(unknown(format!("cannot look group {name:?} up: {error}"))),
    }
}

fn unknown(message: String) -> Failure {
    Failure::new(FailureClass::DiskPermission, message)
}
