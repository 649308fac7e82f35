//! Going back to an older generation, and forward again: the same one switch as an install, and the same copies.

use crate::core::failure::{Failure, FailureClass};
use crate::core::name::{Generation, SerialNumber};
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::pki::certificate::certificates_in_file;
use crate::pki::key::PrivateKey;
use crate::pki::{leaf, served};

use super::content::{FULLCHAIN, KEY};
use super::disk::Disk;
use super::layout::Layout;
use super::observe::FILE_LIMIT;
use super::{disk_failure, generation, repair};
use crate::store::targets::ServiceIdentity;

/// Which older generation will do.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Older than this one.
    pub from: Generation,
    /// None of these, which TLM revoked.
    pub revoked: Vec<SerialNumber>,
    /// Whatever its validity, and revoked or not.
    pub force: bool,
}

/// Makes the newest older generation live that is whole, valid at `now` and not revoked.
///
/// # Errors
///
/// When there is none (with the reason why each is not), or a file operation fails.
pub fn roll_back(
    disk: &dyn Disk,
    layout: &Layout,
    identity: &ServiceIdentity,
    entry: &Entry,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<Generation, Failure> {
    let home = layout.certificate(&entry.name);
    let mut older = generation::numbered(disk, &home).map_err(|error| disk_failure("list", &home, &error))?;
    older.retain(|generation| *generation < wanted.from);
    let mut refused = Vec::new();
    for generation in older.into_iter().rev() {
        match usable(disk, layout, entry, generation, wanted, now) {
            Ok(()) => {
                make_live(disk, layout, identity, entry, generation)?;
                return Ok(generation);
            }
            Err(why) => refused.push(format!("generation {generation} {why}")),
        }
    }
    let why = if refused.is_empty() { "there is no older generation".to_owned() } else { refused.join("; ") };
    Err(Failure::new(FailureClass::NoWayBack, format!("cannot go back from generation {}: {why}", wanted.from)))
}

/// Makes a generation live, and copies it to the fixed paths.
///
/// # Errors
///
/// When a file operation fails; then calling again finishes it.
pub fn make_live(
    disk: &dyn Disk,
    layout: &Layout,
    identity: &ServiceIdentity,
    entry: &Entry,
    generation: Generation,
) -> Result<(), Failure> {
    let folder = layout.generation(&entry.name, generation);
    disk.stat(&folder).map_err(|error| disk_failure("find", &folder, &error))?;
    generation::switch(disk, layout, &entry.name, generation)?;
    repair::put_back(disk, layout, identity, entry)
}

fn usable(
    disk: &dyn Disk,
    layout: &Layout,
    entry: &Entry,
    generation: Generation,
    wanted: &Wanted,
    now: Timestamp,
) -> Result<(), String> {
    let folder = layout.generation(&entry.name, generation);
    let read =
        |name: &str| disk.read(&folder.join(name), FILE_LIMIT).map_err(|error| format!("cannot be read: {error}"));
    let fullchain = read(FULLCHAIN)?;
    let certificates = certificates_in_file(&fullchain).map_err(|error| error.to_string())?;
    let certificate = certificates.first().ok_or("holds no certificate")?;
    let leaf = leaf::read(certificate).map_err(|error| error.to_string())?;
    let key = zeroize::Zeroizing::new(read(KEY)?);
    let key = PrivateKey::from_pem(&key).map_err(|error| format!("has no usable key: {error}"))?;
    if key.spki() != leaf.spki {
        return Err("has a key of another certificate".to_owned());
    }
    if wanted.force {
        return Ok(());
    }
    let above = certificates.get(1..).unwrap_or_default();
    let ends_at = served::served(certificate, above).ends_at(leaf.not_after);
    if ends_at <= now {
        return Err(format!("expired at {ends_at}"));
    }
    if wanted.revoked.iter().any(|revoked| revoked.same(&leaf.serial_number)) {
        return Err("is revoked".to_owned());
    }
    Ok(())
}
