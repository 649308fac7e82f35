//! Atomic replacement: the only way in which a file comes to be under its name.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::content;
use super::disk::{Disk, Kind, Perms};
use crate::core::name::hex;
use crate::pki::digest::sha256;

/// A file that is written and durable under a random name beside its target.
#[derive(Debug)]
#[must_use]
pub struct Staged {
    staged: PathBuf,
    target: PathBuf,
}

/// Writes `bytes` beside `target`, with owner, mode and the target's label, and makes the content durable.
///
/// # Errors
///
/// Those of the system; nothing is left behind then.
pub fn stage(disk: &dyn Disk, target: &Path, bytes: &[u8], perms: Perms) -> io::Result<Staged> {
    sweep(disk, target, perms.uid);
    let staged = beside(target);
    let mut file = disk.create(&staged, perms)?;
    let written = file
        .write(bytes)
        .and_then(|()| if disk.stat(target).is_ok() { disk.copy_label(target, &staged) } else { Ok(()) })
        .and_then(|()| file.sync());
    let staged = Staged { staged, target: target.to_owned() };
    match written {
        Ok(()) => Ok(staged),
        Err(error) => {
            staged.discard(disk);
            Err(error)
        }
    }
}

impl Staged {
    /// Gives the file its name. Durable only once the folder is synced.
    ///
    /// # Errors
    ///
    /// Those of the system; nothing is left behind then.
    pub fn switch(self, disk: &dyn Disk) -> io::Result<()> {
        disk.rename(&self.staged, &self.target).inspect_err(|_| self.discard(disk))
    }

    /// Gives the file its name, and keeps what had the name before at hand.
    ///
    /// # Errors
    ///
    /// Those of the system; nothing is left behind then.
    pub fn switch_keeping(self, disk: &dyn Disk) -> io::Result<Switched> {
        let target = self.target.clone();
        if disk.stat(&target).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return self.switch(disk).map(|()| Switched { target, before: Before::Nothing });
        }
        match disk.exchange(&self.staged, &target) {
            Ok(()) => return Ok(Switched { target, before: Before::Aside(self.staged) }),
            Err(error) if !is_no_exchange(&error) => {
                self.discard(disk);
                return Err(error);
            }
            Err(_) => {}
        }
        let aside = beside(&target);
        let before = disk.link(&target, &aside).map_or(Before::Lost, |()| Before::Aside(aside));
        match self.switch(disk) {
            Ok(()) => Ok(Switched { target, before }),
            Err(error) => {
                Switched { target, before }.keep(disk);
                Err(error)
            }
        }
    }

    /// Removes it.
    pub fn discard(&self, disk: &dyn Disk) {
        // It holds nothing that is needed; what cannot be removed is swept when the target is staged again.
        drop(disk.remove_file(&self.staged));
    }
}

/// Whether the file system swaps no names at all: NFS, FAT, and some overlays.
fn is_no_exchange(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported)
}

/// A file that has its name, with what had the name before.
#[derive(Debug)]
#[must_use]
pub struct Switched {
    target: PathBuf,
    before: Before,
}

/// What had a name before.
#[derive(Debug)]
enum Before {
    /// Nothing had it.
    Nothing,
    /// What has this name now.
    Aside(PathBuf),
    /// Something that the file system kept under no other name.
    Lost,
}

impl Switched {
    /// Gives the name back to what had it before.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn put_back(self, disk: &dyn Disk) -> io::Result<()> {
        match &self.before {
            Before::Nothing => disk.remove_file(&self.target),
            Before::Aside(before) => disk.rename(before, &self.target),
            Before::Lost => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "the file system did not keep the old file"))
            }
        }
    }

    /// Lets what had the name before go.
    pub fn keep(self, disk: &dyn Disk) {
        if let Before::Aside(before) = self.before {
            // What cannot be removed is swept when the target is staged again.
            drop(disk.remove_file(&before));
        }
    }

    /// The name.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }
}

/// Tries whether the system lets a file take the place of `target`, and changes nothing. To remove it as a folder asks for
/// the same rights as to rename onto it (attributes, the folder's sticky bit, security modules), and a file then is no
/// folder. Unlike a rename there and back, no reader and no watcher sees any of it.
///
/// # Errors
///
/// Those of the system that a rename would meet.
pub fn try_over(disk: &dyn Disk, target: &Path) -> io::Result<()> {
    if !disk.stat(target).is_ok_and(|stat| stat.kind == Kind::File) {
        return Ok(());
    }
    match disk.remove_dir(target) {
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotADirectory | io::ErrorKind::NotFound) => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Replaces one file, durably.
///
/// # Errors
///
/// Those of the system; the old content is in force then, or the new one where only the last sync failed.
pub fn replace(disk: &dyn Disk, target: &Path, bytes: &[u8], perms: Perms) -> io::Result<()> {
    stage(disk, target, bytes, perms)?.switch(disk)?;
    disk.sync_dir(folder(target))
}

/// Replaces a file that nothing depends on, without a sync: after a crash it may be the old one, the new one, or a piece.
///
/// # Errors
///
/// Those of the system; nothing is left behind then.
pub fn replace_unsynced(disk: &dyn Disk, target: &Path, bytes: &[u8], perms: Perms) -> io::Result<()> {
    sweep(disk, target, perms.uid);
    let staged = Staged { staged: beside(target), target: target.to_owned() };
    let written = disk.create(&staged.staged, perms).and_then(|mut file| file.write(bytes));
    match written {
        Ok(()) => staged.switch(disk),
        Err(error) => {
            staged.discard(disk);
            Err(error)
        }
    }
}

/// Does all that a replacement does, and leaves nothing: written, synced, renamed and removed, under names that the next
/// try beside the same target sweeps away.
///
/// # Errors
///
/// Those of the system.
pub fn rehearse(disk: &dyn Disk, target: &Path, bytes: &[u8], perms: Perms) -> io::Result<()> {
    let named = beside(target);
    Staged { target: named.clone(), ..stage(disk, target, bytes, perms)? }.switch(disk)?;
    disk.remove_file(&named)
}

/// Points a symlink at `destination`, atomically and durably.
///
/// # Errors
///
/// Those of the system.
pub fn relink(disk: &dyn Disk, link: &Path, destination: &Path) -> io::Result<()> {
    sweep(disk, link, None);
    let staged = beside(link);
    disk.symlink(destination, &staged)?;
    disk.rename(&staged, link).inspect_err(|_| drop(disk.remove_file(&staged)))?;
    disk.sync_dir(folder(link))
}

/// Makes a folder and its missing ancestors, durably.
///
/// # Errors
///
/// Those of the system.
pub fn ensure_dir(disk: &dyn Disk, path: &Path, mode: u32) -> io::Result<()> {
    if is_dir(disk, path)? {
        // A run that was killed may have made it and not synced. Not every folder above may be opened.
        drop(disk.sync_changed_dir(folder(path)));
        return Ok(());
    }
    make_dir(disk, path, mode)
}

fn make_dir(disk: &dyn Disk, path: &Path, mode: u32) -> io::Result<()> {
    if !is_dir(disk, folder(path))? {
        make_dir(disk, folder(path), 0o755)?;
    }
    match disk.make_dir(path, mode) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    disk.sync_dir(folder(path))
}

fn is_dir(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    match disk.stat(path) {
        Ok(stat) if stat.kind == Kind::Dir => Ok(true),
        Ok(_) => Err(io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a folder with the files in it, and overwrites first what may hold a key, as far as the file system lets that
/// matter. Not synced: after a crash the folder may be back, and the next sweep removes it.
///
/// # Errors
///
/// Those of the system; what is not there counts as removed.
pub fn remove_tree(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    let names = match disk.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        names => names?,
    };
    for name in names {
        remove_within(disk, &path.join(name))?;
    }
    disk.remove_dir(path)
}

/// Removes one name in a folder that goes, as [`remove_tree`] does.
///
/// # Errors
///
/// Those of the system.
pub fn remove_within(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    match disk.stat(path)? {
        stat if stat.kind == Kind::Dir => remove_tree(disk, path),
        stat if stat.kind == Kind::File => {
            if !path.file_name().and_then(OsStr::to_str).is_some_and(content::is_public) {
                // A key that was given to another owner may not be writable: removing it is what counts.
                drop(disk.overwrite(path, &vec![0; usize::try_from(stat.size).unwrap_or(0)]));
            }
            disk.remove_file(path)
        }
        _ => disk.remove_file(path),
    }
}

/// A name beside `target` that cannot be guessed, hidden, and recognised as a left-over by [`is_leftover`].
#[must_use]
pub fn beside(target: &Path) -> PathBuf {
    let mut random = [0_u8; 12];
    // Only a broken random source fails here; O_EXCL still keeps a name from being taken twice.
    let _filled = aws_lc_rs::rand::fill(&mut random);
    let suffix: String = random.iter().flat_map(|byte| hex(*byte)).map(char::from).collect();
    folder(target).join(format!("{}{suffix}", prefix(target)))
}

/// What all names beside one target start with: others may stage in the same folder at the same time.
fn prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default().as_encoded_bytes();
    format!("{PREFIX}{:016x}-", sha256(name).prefix())
}

/// Removes the files that an earlier try that was cut off left beside a target: those of its own names that belong to the
/// service, to the `owner` that it gives its files, or to root, whose file it may have replaced. Never a folder, and the
/// folder that holds them may be anybody's ([`Disk::sweep`]).
pub fn sweep(disk: &dyn Disk, target: &Path, owner: Option<u32>) {
    let own = rustix::process::geteuid().as_raw();
    // What cannot be swept now is swept when the target is staged again.
    drop(disk.sweep(folder(target), &prefix(target), &[own, owner.unwrap_or(own), 0]));
}

/// Removes what an earlier try left beside a link in one of renewd's own folders: folders as well.
pub fn sweep_own(disk: &dyn Disk, link: &Path) {
    let prefix = prefix(link);
    for name in disk.list(folder(link)).unwrap_or_default() {
        if name.to_str().is_some_and(|name| name.starts_with(&prefix)) {
            remove(disk, &folder(link).join(name));
        }
    }
}

/// Removes a left-over, whatever it is. What cannot be removed now is removed the next time.
pub fn remove(disk: &dyn Disk, path: &Path) {
    match disk.stat(path) {
        Ok(stat) if stat.kind == Kind::Dir => drop(remove_tree(disk, path)),
        _ => drop(disk.remove_file(path)),
    }
}

/// Whether a name is one that [`beside`] makes.
#[must_use]
pub fn is_leftover(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// The folder that holds a path.
#[must_use]
pub fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

const PREFIX: &str = ".renewd-";
