//! Generations: one installed set each, written whole beside the others and switched in by one rename of `live`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::core::entry::{Entry, Format};
use crate::core::failure::Failure;
use crate::core::name::{Attempt, CertName, Generation, ProfileId};
use crate::core::observed::Leaf;
use crate::pki::certificate::{Certificate, certificates_in_file};
use crate::pki::digest::sha256;

use super::access::Ids;
use super::disk::{Disk, Perms};
use super::fixed::Ground;
use super::layout::Layout;
use super::manifest::{FileRecord, Manifest};
use super::observe::FILE_LIMIT;
use super::{disk_failure, fixed, replace};

/// A set that passed the gate, to be installed.
pub struct NewSet<'a> {
    /// The leaf.
    pub leaf: &'a Certificate,
    /// Its facts.
    pub facts: &'a Leaf,
    /// The intermediates, from the leaf's issuer upward.
    pub chain: &'a [Certificate],
    /// The private key as PEM.
    pub key: &'a Zeroizing<String>,
    /// The request that brought it.
    pub attempt: Attempt,
    /// The profile that issued it.
    pub profile: &'a ProfileId,
}

/// A file of a generation.
pub struct Content {
    /// Its name.
    pub name: &'static str,
    /// Whether it holds the private key.
    pub holds_key: bool,
    /// Its bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl Content {
    /// Whether a file has this content.
    #[must_use]
    pub fn is_at(&self, disk: &dyn Disk, path: &Path) -> bool {
        disk.read(path, FILE_LIMIT).is_ok_and(|bytes| *Zeroizing::new(bytes) == *self.bytes)
    }
}

/// The names of the files that an entry wants in a generation.
pub fn names(entry: &Entry) -> impl Iterator<Item = &'static str> {
    let bundle = (entry.formats.contains(&Format::Bundle) || entry.files.bundle.is_some()).then_some(BUNDLE);
    let der = entry.formats.contains(&Format::Der).then_some(DER);
    [KEY, FULLCHAIN, CERT, CHAIN].into_iter().chain(bundle).chain(der)
}

/// The files of a generation from its parts: leaf and chain as PEM, the key as PEM.
#[must_use]
pub fn contents(entry: &Entry, leaf: &Certificate, chain: &[Certificate], key: &str) -> Vec<Content> {
    let leaf_pem = leaf.to_pem();
    let chain_pem: String = chain.iter().map(Certificate::to_pem).collect();
    let fullchain = format!("{leaf_pem}{chain_pem}");
    let bytes = |name| match name {
        KEY => key.as_bytes().to_vec(),
        BUNDLE => [key.as_bytes(), fullchain.as_bytes()].concat(),
        FULLCHAIN => fullchain.clone().into_bytes(),
        CERT => leaf_pem.clone().into_bytes(),
        CHAIN => chain_pem.clone().into_bytes(),
        _ => leaf.der().to_vec(),
    };
    let content = |name| Content { name, holds_key: holds_key(name), bytes: Zeroizing::new(bytes(name)) };
    names(entry).map(content).collect()
}

/// Whether a file of a generation holds the private key.
#[must_use]
pub fn holds_key(name: &str) -> bool {
    matches!(name, KEY | BUNDLE)
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
    ground: &Ground,
    entry: &Entry,
    set: &NewSet<'_>,
    keep: u32,
) -> Result<Generation, Failure> {
    let ids = Ids::of(&entry.access)?;
    let files = contents(entry, set.leaf, set.chain, set.key);
    let generation = match live_generation(disk, layout, &entry.name)? {
        Some(live) if is_this_set(disk, layout, entry, live, set) => {
            // The try that switched may have been cut off before it synced.
            let home = layout.certificate(&entry.name);
            disk.sync_dir(&home).map_err(|error| disk_failure("sync", &home, &error))?;
            live
        }
        _ => {
            let generation = write(disk, layout, entry, set, &files, &ids)?;
            switch(disk, layout, &entry.name, generation)?;
            generation
        }
    };
    fixed::copy(disk, ground, entry, &files, &ids)?;
    prune(disk, layout, &entry.name, generation, keep);
    Ok(generation)
}

fn is_this_set(disk: &dyn Disk, layout: &Layout, entry: &Entry, live: Generation, set: &NewSet<'_>) -> bool {
    read_manifest(disk, &layout.generation(&entry.name, live)).is_ok_and(|manifest| {
        manifest
            .is_some_and(|manifest| manifest.fingerprint == set.facts.fingerprint && manifest.attempt == set.attempt)
    })
}

/// Writes a folder under a random name, makes it durable, and only then gives it its number.
fn write(
    disk: &dyn Disk,
    layout: &Layout,
    entry: &Entry,
    set: &NewSet<'_>,
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
    replace::sweep(disk, &layout.live(&entry.name));
    let staged = replace::beside(&layout.live(&entry.name));
    let written = disk.make_dir(&staged, 0o755).and_then(|()| fill(disk, &staged, entry, set, files, ids));
    if let Err(error) = written {
        drop(replace::remove_tree(disk, &staged));
        return Err(disk_failure("write the new set in", &home, &error));
    }
    let folder = layout.generation(&entry.name, generation);
    disk.rename(&staged, &folder).map_err(failed("name the new set", &folder))?;
    disk.sync_dir(&home).map_err(failed("sync", &home))?;
    Ok(generation)
}

fn fill(
    disk: &dyn Disk,
    folder: &Path,
    entry: &Entry,
    set: &NewSet<'_>,
    files: &[Content],
    ids: &Ids,
) -> io::Result<()> {
    let mut records = BTreeMap::new();
    for content in files {
        let path = folder.join(content.name);
        let mut file = disk.create(&path, ids.perms(content.holds_key))?;
        file.write(&content.bytes)?;
        file.sync()?;
        records.insert(content.name.to_owned(), file_record(disk, &path, &content.bytes)?);
    }
    let manifest = Manifest {
        attempt: set.attempt,
        asked: entry.asked(),
        profile: set.profile.clone(),
        spki: set.facts.spki,
        fingerprint: set.facts.fingerprint,
        files: records,
    };
    let mut file = disk.create(&folder.join(Manifest::NAME), Perms { mode: 0o644, uid: None, gid: None })?;
    file.write(&serde_json::to_vec(&manifest)?)?;
    file.sync()?;
    disk.sync_dir(folder)
}

fn file_record(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<FileRecord> {
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

/// The generation that `live` names; `None` where there is no link.
///
/// # Errors
///
/// When the link cannot be read, or something else is there.
pub fn live_generation(disk: &dyn Disk, layout: &Layout, name: &CertName) -> Result<Option<Generation>, Failure> {
    let live = layout.live(name);
    match disk.read_link(&live) {
        Ok(target) => Ok(number(&target)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk_failure("read the link", &live, &error)),
    }
}

fn number(path: &Path) -> Option<Generation> {
    path.to_str()?.parse().ok().map(Generation)
}

fn next_generation(disk: &dyn Disk, home: &Path) -> Result<Generation, Failure> {
    let highest = numbered(disk, home).map_err(|error| disk_failure("list", home, &error))?.last().copied();
    Ok(Generation(highest.map_or(1, |highest| highest.0.saturating_add(1))))
}

/// The generations of a certificate, oldest first.
pub(super) fn numbered(disk: &dyn Disk, home: &Path) -> io::Result<Vec<Generation>> {
    let mut numbers: Vec<_> = disk.list(home)?.iter().filter_map(|name| number(&PathBuf::from(name))).collect();
    numbers.sort();
    Ok(numbers)
}

/// Removes what is older than the newest `keep` generations, and left-overs of installs that were cut off. What
/// cannot be removed now is removed after the next install.
fn prune(disk: &dyn Disk, layout: &Layout, name: &CertName, live: Generation, keep: u32) {
    let home = layout.certificate(name);
    let Ok(numbers) = numbered(disk, &home) else { return };
    let surplus = numbers.len().saturating_sub(usize::try_from(keep.max(1)).unwrap_or(usize::MAX));
    // They lose their numbers first, durably: no number ever names a part of a set.
    let old: Vec<_> = numbers.into_iter().take(surplus).filter(|old| *old != live).collect();
    for old in &old {
        drop(disk.rename(&layout.generation(name, *old), &replace::beside(&layout.live(name))));
    }
    if !old.is_empty() && disk.sync_dir(&home).is_err() {
        return;
    }
    let Ok(names) = disk.list(&home) else { return };
    for leftover in names.iter().filter(|name| name.to_str().is_some_and(replace::is_leftover)) {
        replace::remove(disk, &home.join(leftover));
    }
}

/// Reads the manifest of a generation; `None` where there is none, or one that does not parse.
///
/// # Errors
///
/// When it is there and cannot be read.
pub fn read_manifest(disk: &dyn Disk, folder: &Path) -> io::Result<Option<Manifest>> {
    match disk.read(&folder.join(Manifest::NAME), 1 << 20) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts the files of the live generation and of the fixed paths back as they should be.
///
/// # Errors
///
/// When key or fullchain cannot be read, a target is refused, or a file cannot be written.
pub fn repair(disk: &dyn Disk, layout: &Layout, ground: &Ground, entry: &Entry) -> Result<(), Failure> {
    let Some(generation) = live_generation(disk, layout, &entry.name)? else { return Ok(()) };
    let ids = Ids::of(&entry.access)?;
    let folder = layout.generation(&entry.name, generation);
    let failed = |error: io::Error| disk_failure("put back the files in", &folder, &error);
    let mut manifest = read_manifest(disk, &folder).map_err(failed)?;
    let key_file = folder.join(KEY);
    let key = disk.read(&key_file, FILE_LIMIT).map_err(|error| disk_failure("read", &key_file, &error))?;
    let key = String::from_utf8(key).map_err(|_| failed(io::Error::other("the key is no text")))?;
    let certificates = recorded(disk, &folder, manifest.as_ref())?;
    let Some((leaf, chain)) = certificates.split_first() else { return Ok(()) };
    let files = contents(entry, leaf, chain, &Zeroizing::new(key));
    for content in &files {
        let path = folder.join(content.name);
        let stat = disk.stat(&path).ok();
        let same_access = stat.is_some_and(|stat| ids.difference(content.holds_key, &stat).is_none());
        if !same_access || !content.is_at(disk, &path) {
            replace::stage(disk, &path, &content.bytes, ids.perms(content.holds_key))
                .and_then(|staged| staged.switch(disk))
                .map_err(failed)?;
        }
        let record = file_record(disk, &path, &content.bytes).map_err(failed)?;
        if let Some(manifest) = &mut manifest {
            manifest.files.insert(content.name.to_owned(), record);
        }
    }
    if let Some(manifest) = manifest {
        let bytes = serde_json::to_vec(&manifest).unwrap_or_default();
        let perms = Perms { mode: 0o644, uid: None, gid: None };
        replace::replace(disk, &folder.join(Manifest::NAME), &bytes, perms).map_err(failed)?;
    } else {
        disk.sync_dir(&folder).map_err(failed)?;
    }
    fixed::copy(disk, ground, entry, &files, &ids)
}

/// Leaf and chain: of fullchain as it is, but where that has the manifest's leaf and is not as recorded, of those
/// files that are.
fn recorded(disk: &dyn Disk, folder: &Path, manifest: Option<&Manifest>) -> Result<Vec<Certificate>, Failure> {
    let path = folder.join(FULLCHAIN);
    let there = disk.read(&path, FILE_LIMIT).map_err(|error| disk_failure("read", &path, &error))?;
    let parsed = |bytes: &[u8]| certificates_in_file(&String::from_utf8_lossy(bytes)).unwrap_or_default();
    let found = parsed(&there);
    let Some(manifest) = manifest else { return Ok(found) };
    let is_recorded =
        |name: &str, bytes: &[u8]| manifest.files.get(name).is_some_and(|record| record.sha256 == sha256(bytes));
    let is_other = found.first().is_none_or(|leaf| leaf.fingerprint() != manifest.fingerprint);
    if is_other || is_recorded(FULLCHAIN, &there) {
        return Ok(found);
    }
    let read = |name: &str| disk.read(&folder.join(name), FILE_LIMIT).ok().filter(|bytes| is_recorded(name, bytes));
    Ok(match (read(CERT), read(CHAIN)) {
        (Some(leaf), Some(chain)) => parsed(&[leaf, chain].concat()),
        _ => found,
    })
}

/// The private key alone.
pub const KEY: &str = "privkey.pem";
/// Leaf and intermediates.
pub const FULLCHAIN: &str = "fullchain.pem";
/// The leaf alone.
pub const CERT: &str = "cert.pem";
/// The intermediates.
pub const CHAIN: &str = "chain.pem";
/// Key and fullchain.
pub const BUNDLE: &str = "bundle.pem";
/// The leaf as DER.
pub const DER: &str = "cert.der";
