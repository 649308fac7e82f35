//! Generations: one installed set each, written whole beside the others and switched in by one rename of `live`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use zeroize::Zeroizing;

use crate::core::failure::{Failure, FailureClass};
use crate::core::known::issuer::ServedChain;
use crate::core::known::observed::Leaf;
use crate::core::known::replaced::Replaced;
use crate::core::name::{Attempt, CertName, Digest, Generation, ProfileId};
use crate::core::remark::RareRemarks;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::pki::certificate::Certificate;
use crate::pki::digest::sha256;
use crate::pki::{leaf, unicode};

use super::access::Ids;
use super::content::{Content, FULLCHAIN, Parts, contents};
use super::disk::{Disk, Kind, Perms};
use super::key_store::KeyStore;
use super::layout::Layout;
use super::manifest::{FileRecord, Manifest};
use super::repair::recorded;
use super::{disk_failure, key_store, replace};
use crate::store::targets::{self, ServiceIdentity};

/// A set that passed the gate, to be installed.
pub struct NewSet<'a> {
    /// The leaf.
    pub leaf: &'a Certificate,
    /// Its facts.
    pub facts: &'a Leaf,
    /// The intermediates, from the leaf's issuer upward.
    pub chain: &'a [Certificate],
    /// The root, where it is known.
    pub root: Option<&'a Certificate>,
    /// The private key as PEM.
    pub key: &'a Zeroizing<String>,
    /// The request that brought it.
    pub attempt: Attempt,
    /// The profile that issued it.
    pub profile: &'a ProfileId,
    /// What is served above the leaf.
    pub served: &'a ServedChain,
    /// The generation of the same leaf and key that this one only gives another chain.
    pub refreshes: Option<Generation>,
    /// What is worth knowing of it.
    pub remarks: &'a RareRemarks,
}

impl<'a> NewSet<'a> {
    fn parts(&self) -> Parts<'a> {
        Parts { leaf: self.leaf, chain: self.chain, root: self.root, key: self.key }
    }
}

/// Writes the set as a new generation, switches `live` to it, copies it to the fixed paths, and removes generations
/// beyond `keep`. If `live` names this very set already, only what may be unfinished is finished.
///
/// # Errors
///
/// When a file operation fails; then the old set is live, or the new one whole, and calling again finishes it.
pub fn install(
    disk: &dyn Disk,
    layout: &Layout,
    identity: &ServiceIdentity,
    entry: &Entry,
    set: &NewSet<'_>,
    keep: u32,
) -> Result<Generation, Failure> {
    let ids = Ids::of(&entry.access)?;
    let targets = targets::targets(entry)?;
    let before = live_manifest(disk, layout, &entry.name)?;
    let key_since = before
        .as_ref()
        .and_then(|(live, manifest)| key_since(disk, &layout.generation(&entry.name, *live), manifest, set.facts));
    let replaces = before
        .as_ref()
        .filter(|_| entry.revoke_superseded.is_some())
        .and_then(|(live, manifest)| replaced_by(disk, &layout.generation(&entry.name, *live), manifest, set.facts));
    let live =
        before.filter(|(live, manifest)| is_this_set(disk, &layout.generation(&entry.name, *live), manifest, set));
    let folder = live.as_ref().map(|(live, manifest)| (layout.generation(&entry.name, *live), manifest));
    let known = folder.as_ref().map(|(folder, manifest)| (folder.as_path(), *manifest));
    let key_stores = key_store::all(disk, identity, entry, &set.parts(), known)?;
    let manifest = Manifest { key_since, replaces, ..manifest(entry, set, &key_stores) };
    let files = contents(entry, &set.parts(), key_stores.into_iter().map(|store| store.file).collect());
    let generation = if let Some((live, _)) = live {
        // The try that switched may have been cut off before it synced.
        let home = layout.certificate(&entry.name);
        disk.sync_dir(&home).map_err(|error| disk_failure("sync", &home, &error))?;
        live
    } else {
        remove_duplicate_generations(disk, layout, &entry.name, set)?;
        let generation = write(disk, layout, entry, &manifest, &files, &ids)?;
        switch(disk, layout, &entry.name, generation)?;
        generation
    };
    targets::copy(disk, identity, &targets, &files)?;
    prune(disk, layout, &entry.name, generation, keep);
    Ok(generation)
}

/// The live generation with its manifest, where it has one.
pub(super) fn live_manifest(
    disk: &dyn Disk,
    layout: &Layout,
    name: &CertName,
) -> Result<Option<(Generation, Manifest)>, Failure> {
    let Some(live) = live_generation(disk, layout, name)? else { return Ok(None) };
    let manifest = read_manifest(disk, &layout.generation(name, live)).ok().flatten();
    Ok(manifest.map(|manifest| (live, manifest)))
}

/// The same leaf with another chain is another set. Where an older version noted no chain, the files have it.
fn is_this_set(disk: &dyn Disk, folder: &Path, manifest: &Manifest, set: &NewSet<'_>) -> bool {
    let is_in_files = || {
        let root = manifest.root();
        let mut recorded = recorded(disk, folder, manifest).unwrap_or_default();
        recorded.retain(|certificate| Some(certificate) != root.as_ref());
        recorded.split_first().is_some_and(|(_, chain)| chain == set.chain)
    };
    manifest.fingerprint == set.facts.fingerprint
        && manifest.attempt == set.attempt
        && manifest.served.as_ref().map_or_else(is_in_files, |served| served == set.served)
}

/// The manifest of a set, without its files.
fn manifest(entry: &Entry, set: &NewSet<'_>, key_stores: &[KeyStore]) -> Manifest {
    let mut manifest = Manifest {
        attempt: set.attempt,
        asked: entry.asked(),
        profile: set.profile.clone(),
        spki: set.facts.spki,
        fingerprint: set.facts.fingerprint,
        files: BTreeMap::new(),
        root: set.root.map(Certificate::to_pem),
        has_root: set.root.is_some() && entry.include_root,
        key_store: None,
        other_key_stores: BTreeMap::new(),
        served: Some(set.served.clone()),
        refreshes: set.refreshes,
        key_since: None,
        replaces: None,
        remarks: set.remarks.clone(),
    };
    key_stores.iter().for_each(|store| manifest.note_key_store(&store.file.name, store.record));
    manifest
}

/// When the first certificate with the key of `leaf` began, where the set before had it already. It is handed on from
/// manifest to manifest: the generations of the ones before may be gone.
fn key_since(disk: &dyn Disk, folder: &Path, before: &Manifest, leaf: &Leaf) -> Option<Timestamp> {
    if before.spki != leaf.spki {
        return None;
    }
    let began = || Some(leaf::read(recorded(disk, folder, before)?.first()?).ok()?.not_before);
    before.key_since.or_else(began)
}

/// The certificate of the set before, where TLM issued it for a request of this entry, and `leaf` is another one.
fn replaced_by(disk: &dyn Disk, folder: &Path, before: &Manifest, leaf: &Leaf) -> Option<Box<Replaced>> {
    if before.attempt == Attempt(0) || before.fingerprint == leaf.fingerprint {
        return None;
    }
    let Leaf { serial_number, fingerprint, not_after, .. } =
        leaf::read(recorded(disk, folder, before)?.first()?).ok()?;
    Some(Box::new(Replaced { serial_number, fingerprint, not_after }))
}

/// What a generation took the place of, where the entry wants that revoked: by its manifest, so that it is known as well
/// after an install that was cut off.
#[must_use]
pub fn replaced(disk: &dyn Disk, layout: &Layout, entry: &Entry, generation: Generation) -> Option<Box<Replaced>> {
    entry.revoke_superseded?;
    read_manifest(disk, &layout.generation(&entry.name, generation)).ok().flatten()?.replaces
}

/// Writes a folder under a random name, makes it durable, and only then gives it its number.
fn write(
    disk: &dyn Disk,
    layout: &Layout,
    entry: &Entry,
    manifest: &Manifest,
    files: &[Content],
    ids: &Ids,
) -> Result<Generation, Failure> {
    let home = layout.certificate(&entry.name);
    let failed = |what: &str, path: &Path| {
        let (what, path) = (what.to_owned(), path.to_owned());
        move |error: io::Error| disk_failure(&what, &path, &error)
    };
    replace::ensure_dir(disk, &home, 0o755).map_err(failed("make the folder", &home))?;
    let generation = next_generation(disk, &home)?;
    replace::sweep_own(disk, &layout.live(&entry.name));
    let staged = replace::beside(&layout.live(&entry.name));
    let written = disk.make_dir(&staged, 0o755).and_then(|()| fill(disk, &staged, manifest, files, ids));
    if let Err(error) = written {
        drop(replace::remove_tree(disk, &staged));
        return Err(disk_failure("write the new set in", &home, &error));
    }
    let folder = layout.generation(&entry.name, generation);
    disk.rename(&staged, &folder).map_err(failed("name the new set", &folder))?;
    disk.sync_dir(&home).map_err(failed("sync", &home))?;
    Ok(generation)
}

fn fill(disk: &dyn Disk, folder: &Path, manifest: &Manifest, files: &[Content], ids: &Ids) -> io::Result<()> {
    let mut manifest = manifest.clone();
    for content in files {
        let path = folder.join(&*content.name);
        let mut file = disk.create(&path, ids.perms(content.holds_key))?;
        file.write(&content.bytes)?;
        file.sync()?;
        manifest.files.insert(content.name.to_string(), file_record(disk, &path, &content.bytes)?);
    }
    let mut file = disk.create(&folder.join(Manifest::NAME), Manifest::PERMS)?;
    file.write(&serde_json::to_vec(&manifest)?)?;
    file.sync()?;
    disk.sync_dir(folder)
}

pub(super) fn file_record(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<FileRecord> {
    let stat = disk.stat(path)?;
    Ok(FileRecord { sha256: sha256(bytes), size: stat.size, ctime: stat.ctime })
}

/// Points `live` at a generation.
///
/// # Errors
///
/// When the link cannot be made, renamed or synced.
pub fn switch(disk: &dyn Disk, layout: &Layout, name: &CertName, generation: Generation) -> Result<(), Failure> {
    let live = layout.live(name);
    replace::relink(disk, &live, Path::new(&generation.to_string()))
        .map_err(|error| disk_failure("switch the link", &live, &error))
}

/// The generation that `live` names, in whichever spelling; `None` where there is no link, or nothing is behind it.
///
/// # Errors
///
/// When the link cannot be read, something else is there, or it points out of the certificate's folder.
pub fn live_generation(disk: &dyn Disk, layout: &Layout, name: &CertName) -> Result<Option<Generation>, Failure> {
    let live = layout.live(name);
    match disk.read_link(&live) {
        Ok(target) => named(disk, &layout.certificate(name), &target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => {
            let is_folder = disk.stat(&live).is_ok_and(|stat| stat.kind == Kind::Dir);
            Err(if is_folder { unlinked(disk, &live) } else { disk_failure("read the link", &live, &error) })
        }
    }
}

/// How `live` is spelled, where that is not the plain number of its generation, as renewd writes it.
pub(super) fn odd_spelling(disk: &dyn Disk, layout: &Layout, name: &CertName, live: Generation) -> Option<PathBuf> {
    disk.read_link(&layout.live(name)).ok().filter(|target| target.as_os_str() != live.to_string().as_str())
}

/// The generation that a link in `home` means. By a path of an earlier place, before the state directory was moved, it
/// means the one of the same number, unless another set is there.
fn named(disk: &dyn Disk, home: &Path, target: &Path) -> Result<Option<Generation>, Failure> {
    let path = plain(&home.join(target));
    let ours = path.file_name().and_then(|name| number(Path::new(name)));
    if let Some(ours) = ours.filter(|_| path.parent() == Some(home)) {
        return Ok(Some(ours));
    }
    let Some(there) = set_behind(disk, &path) else {
        return Ok(ours.filter(|ours| disk.stat(&home.join(ours.to_string())).is_ok()));
    };
    let is_same = |ours: &Generation| {
        let manifest = disk.read(&home.join(ours.to_string()).join(Manifest::NAME), MANIFEST_LIMIT);
        manifest.is_ok_and(|manifest| manifest == there)
    };
    ours.filter(is_same).map_or_else(|| Err(elsewhere(disk, home, &path)), |ours| Ok(Some(ours)))
}

/// A path without `.`, `..` and a slash at its end, as it is written.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(plain.pop()),
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => plain.push(part),
        }
        plain
    })
}

/// The manifest of the set in a folder that a link points at, empty where there is none; `None`: there is no set.
fn set_behind(disk: &dyn Disk, folder: &Path) -> Option<Vec<u8>> {
    let manifest = disk.read(&folder.join(Manifest::NAME), MANIFEST_LIMIT).ok();
    manifest.or_else(|| disk.stat(&folder.join(FULLCHAIN)).ok().map(|_| Vec::new()))
}

/// `live` names a set that is not among the generations. To take it in among them keeps what programs read now.
fn elsewhere(disk: &dyn Disk, home: &Path, path: &Path) -> Failure {
    let (live, next) = (home.join("live"), next_generation(disk, home).unwrap_or(Generation(1)));
    let message = format!(
        "{live} points at {there}, which is not a generation here; to keep the set that is there run: \
         cp -rpL {there} {home}/{next} && ln -sfn {next} {live}",
        live = live.display(),
        there = path.display(),
        home = home.display()
    );
    Failure::new(FailureClass::Disk, message)
}

/// `live` as a folder: a copy that followed links made it so. What is in it may be the only copy of the key.
fn unlinked(disk: &dyn Disk, live: &Path) -> Failure {
    let home = replace::folder(live);
    let (live, next) = (live.display(), next_generation(disk, home).unwrap_or(Generation(1)));
    let moved = home.join(next.to_string());
    let message = format!(
        "{live} is a folder, not a link, as copies that follow links make it; run: mv {live} {} && ln -s {next} {live}",
        moved.display()
    );
    Failure::new(FailureClass::Disk, message)
}

fn number(path: &Path) -> Option<Generation> {
    path.to_str()?.parse().ok().map(Generation)
}

fn next_generation(disk: &dyn Disk, home: &Path) -> Result<Generation, Failure> {
    let highest = taken(disk, home).map_err(|error| disk_failure("list", home, &error))?.last().copied();
    Ok(Generation(highest.map_or(1, |highest| highest.0.saturating_add(1))))
}

/// The generations of a certificate, oldest first.
pub(super) fn numbered(disk: &dyn Disk, home: &Path) -> io::Result<Vec<Generation>> {
    let mut numbers = taken(disk, home)?;
    numbers.retain(|number| !is_retired(disk, &home.join(number.to_string())));
    Ok(numbers)
}

/// The numbers that have a folder, lowest first.
fn taken(disk: &dyn Disk, home: &Path) -> io::Result<Vec<Generation>> {
    let mut numbers: Vec<_> = disk.list(home)?.iter().filter_map(|name| number(&PathBuf::from(name))).collect();
    numbers.sort();
    Ok(numbers)
}

/// Whether a folder is no generation any more, though it has its number still: it is marked as such, or empty.
fn is_retired(disk: &dyn Disk, folder: &Path) -> bool {
    disk.list(folder).is_ok_and(|names| names.is_empty() || names.iter().any(|name| name == RETIRED))
}

/// The leaves of all generations that are left.
#[must_use]
pub fn fingerprints(disk: &dyn Disk, layout: &Layout, name: &CertName) -> Vec<Digest> {
    let numbers = numbered(disk, &layout.certificate(name)).unwrap_or_default();
    let manifest = |number: &Generation| read_manifest(disk, &layout.generation(name, *number)).ok().flatten();
    numbers.iter().filter_map(manifest).map(|manifest| manifest.fingerprint).collect()
}

/// The same set under a number that never became live: an install was cut off before its switch. There is no going back
/// to it, so it does not take the place of a generation that was. What is live stays, whatever its manifest says now.
fn remove_duplicate_generations(
    disk: &dyn Disk,
    layout: &Layout,
    name: &CertName,
    set: &NewSet<'_>,
) -> Result<(), Failure> {
    let live = live_generation(disk, layout, name)?;
    let numbers = numbered(disk, &layout.certificate(name)).unwrap_or_default();
    let is_twin = |number: &Generation| {
        let folder = layout.generation(name, *number);
        let manifest = read_manifest(disk, &folder).ok().flatten();
        manifest.is_some_and(|manifest| is_this_set(disk, &folder, &manifest, set))
    };
    let twins: Vec<_> = numbers.into_iter().filter(|number| Some(*number) != live && is_twin(number)).collect();
    retire(disk, layout, name, &twins);
    Ok(())
}

/// Takes the numbers of generations away, durably, before anything of them is removed: no number ever names a part of
/// a set. A folder of an overlay's lower layer keeps its name, since such a one cannot be renamed: that is marked. Whether
/// it is durable.
fn retire(disk: &dyn Disk, layout: &Layout, name: &CertName, numbers: &[Generation]) -> bool {
    for number in numbers {
        let folder = layout.generation(name, *number);
        let renamed = disk.rename(&folder, &replace::beside(&layout.live(name)));
        if renamed.is_err_and(|error| error.kind() == io::ErrorKind::CrossesDevices) {
            // What cannot be marked now stays a whole generation, and is marked after the next install.
            drop(replace::replace(disk, &folder.join(RETIRED), &[], Perms::PRIVATE));
        }
    }
    numbers.is_empty() || disk.sync_dir(&layout.certificate(name)).is_ok()
}

/// Removes what is older than the newest `keep` generations, and left-overs of installs that were cut off. What
/// cannot be removed now is removed after the next install.
fn prune(disk: &dyn Disk, layout: &Layout, name: &CertName, live: Generation, keep: u32) {
    let home = layout.certificate(name);
    let Ok(numbers) = numbered(disk, &home) else { return };
    let surplus = numbers.len().saturating_sub(usize::try_from(keep.max(1)).unwrap_or(usize::MAX));
    let old: Vec<_> = numbers.into_iter().take(surplus).filter(|old| *old != live).collect();
    if !retire(disk, layout, name, &old) {
        return;
    }
    for number in taken(disk, &home).unwrap_or_default() {
        let folder = layout.generation(name, number);
        if number != live && is_retired(disk, &folder) {
            drop(remove_retired(disk, &folder));
        }
    }
    let Ok(names) = disk.list(&home) else { return };
    for leftover in names.iter().filter(|name| name.to_str().is_some_and(replace::is_leftover)) {
        replace::remove(disk, &home.join(leftover));
    }
}

/// Removes a folder that is marked as no generation: the mark goes last, when nothing of the set can come back.
fn remove_retired(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    for name in disk.list(folder)?.iter().filter(|name| *name != RETIRED) {
        replace::remove_within(disk, &folder.join(name))?;
    }
    disk.sync_dir(folder)?;
    if disk.list(folder)?.iter().all(|name| name == RETIRED) {
        replace::remove_tree(disk, folder)?;
    }
    Ok(())
}

const MANIFEST_LIMIT: u64 = 1 << 20;
/// The name of the mark in a folder that is no generation any more.
const RETIRED: &str = "retired";

fn composed(mut manifest: Manifest) -> Manifest {
    unicode::compose(&mut manifest.asked);
    manifest
}

/// Reads the manifest of a generation; `None` where there is none, or one that does not parse.
///
/// # Errors
///
/// When it is there and cannot be read.
pub fn read_manifest(disk: &dyn Disk, folder: &Path) -> io::Result<Option<Manifest>> {
    match disk.read(&folder.join(Manifest::NAME), MANIFEST_LIMIT) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok().map(composed)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
