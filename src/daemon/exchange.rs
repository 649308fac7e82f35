//! Who may exchange what is at a path: the thing itself, a folder above it, or a link on the way there. Whoever may do
//! that above root's state directory could lead what root writes, overwrites and removes there to any place; and whoever may
//! do it with a hook's program runs another one as the service.

use std::io;
use std::path::{Path, PathBuf};

use crate::core::failure::Failure;
use crate::store::disk::{Disk, Kind, Stat};
use crate::store::targets::{self, ServiceIdentity};
use crate::store::{disk_failure, replace};

/// Who beside root and the user of `identity` may exchange what is at `path`, with the command against it. What is not
/// there is made by one of the two.
///
/// # Errors
///
/// When a folder cannot be looked at.
pub(super) fn by_others(disk: &dyn Disk, identity: &ServiceIdentity, path: &Path) -> Result<Option<String>, Failure> {
    let is_trusted = |found: &Stat| [0, identity.uid].contains(&found.uid);
    let (mut way, mut links) = (path.to_owned(), 0);
    'way: loop {
        let mut place = PathBuf::new();
        for part in way.components() {
            place.push(part);
            let found = match disk.stat(&place) {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(disk_failure("look at", &place, &error)),
            };
            if found.kind == Kind::Symlink && is_trusted(&found) && links < MOST_LINKS {
                let target = disk.read_link(&place).map_err(|error| disk_failure("read", &place, &error))?;
                let rest = way.strip_prefix(&place).unwrap_or(Path::new(""));
                way = replace::folder(&place).join(target).join(rest);
                links += 1;
                continue 'way;
            }
            if let Some(why) = targets::untrusted(disk, identity, &place, &found)?
                && !(is_trusted(&found) && is_let_be(disk, &place, &found))
            {
                return Ok(Some(if place == *path { why.replace(" above it", "") } else { why }));
            }
        }
        return Ok(None);
    }
}

/// In a sticky folder nobody takes the name away from what is another's; and the volume that a container mounts may be open
/// to all, who are one user there.
fn is_let_be(disk: &dyn Disk, place: &Path, found: &Stat) -> bool {
    found.kind == Kind::Dir && (found.mode & 0o1000 != 0 || disk.is_mount_point(place).unwrap_or(false))
}

const MOST_LINKS: u32 = 40;
