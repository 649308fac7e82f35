//! Copies at fixed paths, for programs that cannot follow symlinks: which targets are refused, whether there is room,
//! and the copying itself.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::core::failure::{Failure, FailureClass};
use crate::core::name::CertName;
use crate::core::wanted::access_list::{self, Writer};
use crate::core::wanted::entry::Entry;
use crate::core::wanted::files::{FixedFiles, Placement};

use super::access::Ids;
use super::content::{BUNDLE, CERT, CHAIN, Content, DER, FULLCHAIN, FileName, KEY, PKCS7};
use super::disk::{Disk, Hold, Kind, Perms, Stat};
use super::layout::Layout;
use super::{disk_failure, key_store, replace};

/// Who the service is, and which folders are its own: targets must not lie there.
#[derive(Clone, Debug)]
pub struct ServiceIdentity {
    /// The service's user.
    pub uid: u32,
    /// The service's primary group.
    pub gid: u32,
    /// The state directory and the configuration folders.
    pub own: Vec<PathBuf>,
}

/// A file at a fixed path, with the file of the generation that it is a copy of.
#[derive(Clone, Debug)]
pub struct Target<'e> {
    /// Where it is.
    pub path: &'e PathBuf,
    /// The file of the generation.
    pub source: FileName,
    /// Its owner, group and modes.
    pub ids: Ids,
}

/// The targets of an entry, place by place, keys first.
///
/// # Errors
///
/// When the owner or the group of a place is not known here.
pub fn targets(entry: &Entry) -> Result<Vec<Target<'_>>, Failure> {
    let mut targets = Vec::new();
    for placement in entry.placements() {
        targets.extend(of_placement(entry, placement, Ids::of(placement.access)?));
    }
    Ok(targets)
}

/// The targets of one place, which have these owners.
pub fn of_placement<'e>(entry: &'e Entry, placement: Placement<'e>, ids: Ids) -> impl Iterator<Item = Target<'e>> {
    let source = move |(key, path)| Some(Target { path, source: source(entry, placement.files, key)?, ids });
    placement.files.targets().filter_map(source)
}

/// The folders that the targets of an entry are in.
#[must_use]
pub fn folders(entry: &Entry) -> Vec<PathBuf> {
    folders_of(entry.targets().map(|target| target.path)).map(Path::to_owned).collect()
}

fn folders_of<'e>(paths: impl Iterator<Item = &'e PathBuf>) -> impl Iterator<Item = &'e Path> {
    paths.map(|path| replace::folder(path)).collect::<BTreeSet<_>>().into_iter()
}

fn source(entry: &Entry, files: &FixedFiles, key: &str) -> Option<FileName> {
    let name = match key {
        "private_key" => KEY,
        "bundle" => BUNDLE,
        "fullchain" => FULLCHAIN,
        "certificate" => CERT,
        "chain" => CHAIN,
        "pkcs12" => return key_store::name_for(entry, files),
        "pkcs7" => PKCS7,
        "der" => DER,
        _ => return None,
    };
    Some(FileName::Borrowed(name))
}

/// Copies the files to their targets: all are staged first, then renamed, keys first. Where one cannot be renamed, those
/// before it are put back, so that no key is left beside another one's certificate.
///
/// # Errors
///
/// When a target is refused, or a file operation fails; a copy that was cut off shows as drift and is finished then.
pub fn copy(
    disk: &dyn Disk,
    identity: &ServiceIdentity,
    targets: &[Target<'_>],
    files: &[Content],
) -> Result<(), Failure> {
    let mut staged = Vec::new();
    let switched = stage_all(disk, identity, targets, files, &mut staged).and_then(|()| switch_all(disk, &mut staged));
    staged.iter().for_each(|(_, file)| file.discard(disk));
    let switched = switched?;
    // Those that are as wanted too: an earlier try may have been cut off before it synced.
    for folder in folders_of(targets.iter().map(|target| target.path)) {
        disk.sync_dir(folder).map_err(|error| disk_failure("sync", folder, &error))?;
    }
    switched.into_iter().for_each(|file| file.keep(disk));
    // A try that was cut off may have left the file that it replaced, which may be a key.
    targets.iter().for_each(|target| replace::sweep(disk, target.path, target.ids.perms(false).uid));
    Ok(())
}

/// Renames all of them, or none.
fn switch_all(
    disk: &dyn Disk,
    staged: &mut Vec<(&PathBuf, replace::Staged)>,
) -> Result<Vec<replace::Switched>, Failure> {
    let mut switched = Vec::new();
    while !staged.is_empty() {
        let (target, file) = staged.remove(0);
        match file.switch_keeping(disk) {
            Ok(file) => switched.push(file),
            Err(error) => return Err(put_back_all(disk, switched, disk_failure("replace", target, &error))),
        }
    }
    Ok(switched)
}

/// Puts back what was renamed before the one that failed, the newest first, and tells of each that stays as it is.
fn put_back_all(disk: &dyn Disk, switched: Vec<replace::Switched>, failure: Failure) -> Failure {
    switched.into_iter().rev().fold(failure, |failure, file| {
        let target = file.target().to_owned();
        match file.put_back(disk) {
            Ok(()) => failure,
            Err(error) => {
                let kept = format!("{}; the old {} cannot be put back: {error}", failure.message, target.display());
                Failure::new(failure.class, kept)
            }
        }
    })
}

fn stage_all<'e>(
    disk: &dyn Disk,
    identity: &ServiceIdentity,
    targets: &[Target<'e>],
    files: &[Content],
    staged: &mut Vec<(&'e PathBuf, replace::Staged)>,
) -> Result<(), Failure> {
    for Target { path, source, ids } in targets {
        let Some(content) = files.iter().find(|content| content.name == *source) else { continue };
        check_place(disk, identity, path)?;
        if is_as_wanted(disk, path, content, ids) {
            continue;
        }
        check_replaceable(disk, identity, path)?;
        let file = replace::stage(disk, path, &content.bytes, ids.perms(content.holds_key))
            .map_err(|error| disk_failure("write", path, &error))?;
        staged.push((path, file));
    }
    Ok(())
}

fn is_as_wanted(disk: &dyn Disk, target: &Path, content: &Content, ids: &Ids) -> bool {
    let Ok(stat) = disk.stat(target) else { return false };
    stat.kind == Kind::File && ids.difference(content.holds_key, &stat).is_none() && content.is_at(disk, target)
}

/// Proves that every folder that an install writes to takes a file of a set's size with the wanted owner: written,
/// synced, renamed and removed (promise 13), and that the system lets another file take the place of each target.
///
/// # Errors
///
/// When a target is refused, a folder does not take the file, or a password cannot be used.
pub fn check_room(disk: &dyn Disk, layout: &Layout, identity: &ServiceIdentity, entry: &Entry) -> Result<(), Failure> {
    let ids = Ids::of(&entry.access)?;
    let targets = targets(entry)?;
    key_store::check_passwords(disk, identity, entry)?;
    let home = layout.certificate(&entry.name);
    let pending = layout.pending_of(&entry.name);
    for (folder, mode) in [(&home, 0o755), (&layout.pending(), 0o700), (&pending, 0o700)] {
        replace::ensure_dir(disk, folder, mode).map_err(|error| disk_failure("make the folder", folder, &error))?;
    }
    take_room(disk, &entry.name, layout.root(), Perms::PRIVATE)?;
    take_room(disk, &entry.name, &pending, Perms::PRIVATE)?;
    take_room(disk, &entry.name, &home, ids.perms(true))?;
    for Target { path, ids, .. } in targets {
        check_target(disk, identity, path)?;
        take_room(disk, &entry.name, replace::folder(path), ids.perms(true))?;
        replace::try_over(disk, path).map_err(|error| disk_failure("replace", path, &error))?;
    }
    Ok(())
}

/// The names are the certificate's own, so that what a crash leaves is taken away by the next try.
fn take_room(disk: &dyn Disk, name: &CertName, folder: &Path, perms: Perms) -> Result<(), Failure> {
    let room = folder.join(format!("room-{name}"));
    replace::rehearse(disk, &room, &vec![0; ROOM], perms)
        .map_err(|error| disk_failure("write a file in", folder, &error))
}

/// Whether a target may be replaced.
///
/// # Errors
///
/// When it is a symlink, no regular file or a mount point, lies in the service's own folders, others than root and the
/// service may write to a folder above it, or the file that is there cannot be replaced.
pub fn check_target(disk: &dyn Disk, identity: &ServiceIdentity, target: &Path) -> Result<(), Failure> {
    check_place(disk, identity, target)?;
    check_replaceable(disk, identity, target)
}

/// Whether the file that is at a target may be replaced: neither it nor its folder has an attribute against that, and the
/// rule of sticky folders does not keep the service from it.
fn check_replaceable(disk: &dyn Disk, identity: &ServiceIdentity, target: &Path) -> Result<(), Failure> {
    let folder = replace::folder(target);
    let why = hold(disk, target).or_else(|| hold(disk, folder)).or_else(|| {
        let (old, above) = (disk.stat(target).ok()?, disk.stat(folder).ok()?);
        let is_bound = above.mode & 0o1000 != 0 && ![0, old.uid, above.uid].contains(&identity.uid);
        is_bound.then(|| {
            let (shown, folder) = (target.display(), folder.display());
            format!(
                "{folder} is sticky (mode {:04o}), and the file belongs to user {}: user {} cannot replace it; \
                 run: chown {} {shown}",
                above.mode, old.uid, identity.uid, identity.uid
            )
        })
    });
    why.map_or(Ok(()), |why| refuse(target, &why))
}

fn hold(disk: &dyn Disk, path: &Path) -> Option<String> {
    let shown = path.display();
    let (attribute, flag) = match disk.hold(path)? {
        Hold::Immutable => ("immutable", 'i'),
        Hold::AppendOnly => ("append-only", 'a'),
    };
    Some(format!("{shown} is {attribute}, and nobody can replace the file; run: chattr -{flag} {shown}"))
}

fn refuse(target: &Path, why: &str) -> Result<(), Failure> {
    Err(Failure::new(FailureClass::TargetRefused, format!("target {}: {why}", target.display())))
}

fn check_place(disk: &dyn Disk, identity: &ServiceIdentity, target: &Path) -> Result<(), Failure> {
    let refuse = |why: String| refuse(target, &why);
    if let Some(own) = identity.own.iter().find(|own| target.starts_with(own)) {
        return refuse(format!("it is in renewd's own folder {}; choose a path outside it", own.display()));
    }
    for folder in target.ancestors().skip(1) {
        let stat = disk.stat(folder).map_err(|error| disk_failure("look at", folder, &error))?;
        if let Some(why) = untrusted(disk, identity, folder, &stat)? {
            return refuse(why);
        }
    }
    match disk.stat(target) {
        Ok(Stat { kind: Kind::Symlink, .. }) => {
            return refuse("it is a symlink; remove it, or name what it points at".to_owned());
        }
        Ok(Stat { kind: Kind::Dir | Kind::Other, .. }) => {
            return refuse("it is not a regular file; remove it".to_owned());
        }
        Ok(_) if disk.is_mount_point(target).unwrap_or(false) => {
            return refuse(
                "something is mounted on it, so renewd cannot replace it; mount the folder instead".to_owned(),
            );
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk_failure("look at", target, &error)),
        Ok(_) | Err(_) => {}
    }
    Ok(())
}

/// Why a folder above a target cannot be trusted. A sticky one, such as /tmp, is no exception: whoever may write there
/// may take a name that is free for a moment.
///
/// # Errors
///
/// When its access list cannot be read.
pub fn untrusted(
    disk: &dyn Disk,
    identity: &ServiceIdentity,
    folder: &Path,
    stat: &Stat,
) -> Result<Option<String>, Failure> {
    let shown = folder.display();
    let why = if stat.kind == Kind::Symlink {
        format!("{shown} above it is a symlink; write the path that it points at")
    } else if stat.uid != 0 && stat.uid != identity.uid {
        format!("{shown} above it belongs to user {}, not to root or the service; chown root {shown}", stat.uid)
    } else if stat.mode & 0o1002 == 0o1002 {
        format!("everybody may write to {shown} above it; choose a path elsewhere")
    } else if stat.mode & 0o002 != 0 {
        format!("everybody may write to {shown} above it; chmod o-w {shown}")
    } else if stat.mode & 0o020 != 0 {
        return open_to_a_group(disk, identity, folder, stat);
    } else {
        return Ok(None);
    };
    Ok(Some(why))
}

/// Who of others may write where the group's bit says that somebody may: with an access list, that bit only bounds what
/// the list gives to each.
fn open_to_a_group(
    disk: &dyn Disk,
    identity: &ServiceIdentity,
    folder: &Path,
    stat: &Stat,
) -> Result<Option<String>, Failure> {
    let shown = folder.display();
    let bytes = disk.access_list(folder).map_err(|error| disk_failure("read the access list of", folder, &error))?;
    let Some(bytes) = bytes else {
        let why = || format!("group {} may write to {shown} above it; chmod g-w {shown}", stat.gid);
        return Ok((![0, identity.gid].contains(&stat.gid)).then(why));
    };
    let Some(writers) = access_list::writers(&bytes) else {
        return Ok(Some(format!("renewd cannot read the access list of {shown} above it; setfacl -b {shown}")));
    };
    let stranger = writers.into_iter().find(|writer| writer.is_stranger(stat.gid, (identity.uid, identity.gid)));
    let told = |writer: Writer| {
        let who = match writer {
            Writer::User(uid) => format!("user {uid} may write to {shown} above it by its access list"),
            Writer::Group(gid) => format!("group {gid} may write to {shown} above it by its access list"),
            Writer::OwningGroup => format!("group {} may write to {shown} above it", stat.gid),
        };
        format!("{who}; {} {shown}", writer.command())
    };
    Ok(stranger.map(told))
}

/// At least as much as a set: its files hold leaf and chain three times and the key twice.
const ROOM: usize = 64 << 10;
