//! Who commands that write run as: started as root they become the owner of the state directory, so that no file of
//! root's gets in the daemon's way; other users are refused.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Uid, User, geteuid, initgroups, setgid, setgroups, setuid};
use rustix::fs::Access;
use rustix::io::Errno;

/// Whether this user can read the configuration, as root and the service user can.
///
/// # Errors
///
/// When it is there and may not be read, with what to do.
pub(super) fn may_read(config: &Path) -> Result<(), String> {
    if rustix::fs::access(config, Access::READ_OK).is_err_and(|error| error == Errno::ACCESS) {
        return Err(format!("this user cannot read {}: run this as root or as the service's user", config.display()));
    }
    Ok(())
}

/// Becomes the owner of `state_dir`, where this process is root's and the folder is not.
///
/// # Errors
///
/// When this user may not write there, with what to do.
pub(super) fn become_owner(state_dir: &Path) -> Result<(), String> {
    let Ok(metadata) = std::fs::metadata(state_dir) else { return Ok(()) };
    let (me, owner) = (geteuid(), Uid::from_raw(metadata.uid()));
    if me == owner {
        return Ok(());
    }
    let folder = state_dir.display();
    let user = User::from_uid(owner).ok().flatten();
    let name = user.as_ref().map_or_else(|| owner.to_string(), |user| user.name.clone());
    if !me.is_root() {
        return Err(format!("{folder} belongs to {name}: run this as root or as {name}"));
    }
    let gid = user.as_ref().map_or(Gid::from_raw(metadata.gid()), |user| user.gid);
    let groups = match user.as_ref().and_then(|user| std::ffi::CString::new(user.name.as_str()).ok()) {
        Some(name) => initgroups(&name, gid),
        None => setgroups(&[gid]),
    };
    groups
        .and_then(|()| setgid(gid))
        .and_then(|()| setuid(owner))
        .map_err(|error| format!("cannot become {name}, the owner of {folder}: {error}"))
}
