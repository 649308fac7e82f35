//! Copies at fixed paths, for programs that cannot follow symlinks: which targets are refused, whether there is room,
//! and the copying itself.

use std::io;
use std::path::{Path, PathBuf};

use crate::core::entry::{Entry, FixedFiles};
use crate::core::failure::{Failure, FailureClass};

use super::access::Ids;
use super::disk::{Disk, Kind, Perms, Stat};
use super::generation::{BUNDLE, CERT, CHAIN, Content, FULLCHAIN, KEY};
use super::layout::Layout;
use super::{disk_failure, replace};

/// Who the service is, and which folders are its own: targets must not lie there.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The service's user.
    pub uid: u32,
    /// The service's primary group.
    pub gid: u32,
    /// The state directory and the configuration folders.
    pub own: Vec<PathBuf>,
}

/// The targets of an entry with the file of the generation that each is a copy of, keys first.
pub fn targets(files: &FixedFiles) -> impl Iterator<Item = (&PathBuf, &'static str)> {
    files.targets().filter_map(|(key, path)| source(key).map(|source| (path, source)))
}

fn source(key: &str) -> Option<&'static str> {
    match key {
        "private_key" => Some(KEY),
        "bundle" => Some(BUNDLE),
        "fullchain" => Some(FULLCHAIN),
        "certificate" => Some(CERT),
        "chain" => Some(CHAIN),
        _ => None,
    }
}

/// Copies the files to their targets: all are staged first, then renamed, keys first.
///
/// # Errors
///
/// When a file operation fails; a copy that was cut off shows as drift and is finished then.
pub fn copy(disk: &dyn Disk, entry: &Entry, files: &[Content], ids: &Ids) -> Result<(), Failure> {
    let mut staged = Vec::new();
    for (target, source) in targets(&entry.files) {
        let Some(content) = files.iter().find(|content| content.name == source) else { continue };
        if is_as_wanted(disk, target, content, ids) {
            continue;
        }
        match replace::stage(disk, target, &content.bytes, ids.perms(content.holds_key)) {
            Ok(file) => staged.push((target, file)),
            Err(error) => {
                staged.iter().for_each(|(_, file): &(_, replace::Staged)| file.discard(disk));
                return Err(disk_failure("write", target, &error));
            }
        }
    }
    let renamed: Vec<_> = staged.iter().map(|(target, _)| replace::folder(target).to_owned()).collect();
    for (target, file) in staged {
        file.switch(disk).map_err(|error| disk_failure("replace", target, &error))?;
    }
    for folder in renamed {
        disk.sync_dir(&folder).map_err(|error| disk_failure("sync", &folder, &error))?;
    }
    Ok(())
}

fn is_as_wanted(disk: &dyn Disk, target: &Path, content: &Content, ids: &Ids) -> bool {
    let Ok(stat) = disk.stat(target) else { return false };
    stat.kind == Kind::File
        && ids.difference(content.holds_key, &stat).is_none()
        && disk.read(target, content.bytes.len() as u64).is_ok_and(|bytes| bytes == *content.bytes)
}

/// Proves that every folder that an install writes to takes a file of a set's size with the wanted owner: written,
/// synced, renamed and removed (promise 13).
///
/// # Errors
///
/// When a target is refused or a folder does not take the file.
pub fn check_room(disk: &dyn Disk, layout: &Layout, ground: &Ground, entry: &Entry) -> Result<(), Failure> {
    let ids = Ids::of(&entry.access)?;
    let home = layout.certificate(&entry.name);
    let pending = layout.pending_of(&entry.name);
    for (folder, mode) in [(&home, 0o755), (&layout.pending(), 0o700), (&pending, 0o700)] {
        replace::ensure_dir(disk, folder, mode).map_err(|error| disk_failure("make the folder", folder, &error))?;
    }
    take_room(disk, layout.root(), Perms::PRIVATE)?;
    take_room(disk, &pending, Perms::PRIVATE)?;
    take_room(disk, &home, ids.perms(true))?;
    for (target, _) in targets(&entry.files) {
        check_target(disk, ground, target)?;
        take_room(disk, replace::folder(target), ids.perms(true))?;
    }
    Ok(())
}

fn take_room(disk: &dyn Disk, folder: &Path, perms: Perms) -> Result<(), Failure> {
    let named = replace::beside(&folder.join("room"));
    let bytes = vec![0; ROOM];
    replace::stage(disk, &named, &bytes, perms)
        .and_then(|staged| staged.switch(disk))
        .and_then(|()| disk.remove_file(&named))
        .map_err(|error| disk_failure("write a file in", folder, &error))
}

/// Whether a target may be written to: design section 3.3.
///
/// # Errors
///
/// When it is a symlink, no regular file or a mount point, lies in the service's own folders, or others than root and
/// the service may write to a folder above it.
pub fn check_target(disk: &dyn Disk, ground: &Ground, target: &Path) -> Result<(), Failure> {
    let refuse =
        |why: String| Err(Failure::new(FailureClass::TargetRefused, format!("target {}: {why}", target.display())));
    if let Some(own) = ground.own.iter().find(|own| target.starts_with(own)) {
        return refuse(format!("it lies in renewd's own folder {}; choose a path outside of it", own.display()));
    }
    match disk.stat(target) {
        Ok(Stat { kind: Kind::Symlink, .. }) => {
            return refuse("it is a symlink; remove it, or name what it points at".to_owned());
        }
        Ok(Stat { kind: Kind::Dir | Kind::Other, .. }) => return refuse("it is no regular file; remove it".to_owned()),
        Ok(_) if disk.is_mount_point(target).unwrap_or(false) => {
            return refuse(
                "something is mounted on it, so that it cannot be replaced; mount the folder instead".to_owned(),
            );
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk_failure("look at", target, &error)),
        Ok(_) | Err(_) => {}
    }
    for (distance, folder) in target.ancestors().skip(1).enumerate() {
        let stat = disk.stat(folder).map_err(|error| disk_failure("look at", folder, &error))?;
        if let Some(why) = untrusted(ground, folder, &stat, distance == 0) {
            return refuse(why);
        }
    }
    Ok(())
}

/// Why a folder above a target cannot be trusted. A sticky folder lets nobody replace what belongs to others, so that
/// one further up (such as /tmp) is harmless.
fn untrusted(ground: &Ground, folder: &Path, stat: &Stat, is_parent: bool) -> Option<String> {
    let shown = folder.display();
    if stat.kind == Kind::Symlink {
        return Some(format!("{shown} above it is a symlink; write the path that it points at"));
    }
    if stat.uid != 0 && stat.uid != ground.uid {
        return Some(format!(
            "{shown} above it belongs to user {}, not to root or the service; chown root {shown}",
            stat.uid
        ));
    }
    let sticky = stat.mode & 0o1000 != 0 && !is_parent;
    if stat.mode & 0o002 != 0 && !sticky {
        return Some(format!("everybody may write to {shown} above it; chmod o-w {shown}"));
    }
    let own_group = stat.gid == 0 || stat.gid == ground.gid;
    (stat.mode & 0o020 != 0 && !own_group && !sticky)
        .then(|| format!("group {} may write to {shown} above it; chmod g-w {shown}", stat.gid))
}

/// At least as much as the largest file of a set.
const ROOM: usize = 32 << 10;
