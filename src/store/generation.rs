//! Generations: one installed set each, written whole beside the others and switched in by one rename of `live`.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::core::entry::{Entry, Format};
use crate::core::failure::Failure;
use crate::core::name::{Attempt, CertName, Generation, ProfileId};
use crate::core::observed::Leaf;
use crate::pki::certificate::Certificate;
use crate::pki::digest::sha256;

use super::access::Ids;
use super::disk::{Disk, Kind, Perms};
use super::layout::Layout;
use super::manifest::{FileRecord, Manifest};
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

/// The files of a generation from its parts: leaf and chain as PEM, the key as PEM.
#[must_use]
pub fn contents(entry: &Entry, leaf: &Certificate, chain: &[Certificate], key: &str) -> Vec<Content> {
    let leaf_pem = leaf.to_pem();
    let chain_pem: String = chain.iter().map(Certificate::to_pem).collect();
    let fullchain = format!("{leaf_pem}{chain_pem}");
    let content =
        |name, holds_key, text: &str| Content { name, holds_key, bytes: Zeroizing::new(text.as_bytes().to_vec()) };
    let mut files = vec![
        content(KEY, true, key),
        content(FULLCHAIN, false, &fullchain),
        content(CERT, false, &leaf_pem),
        content(CHAIN, false, &chain_pem),
    ];
    if entry.formats.contains(&Format::Bundle) || entry.files.bundle.is_some() {
        files.push(Content {
            name: BUNDLE,
            holds_key: true,
            bytes: Zeroizing::new([key.as_bytes(), fullchain.as_bytes()].concat()),
        });
    }
    if entry.formats.contains(&Format::Der) {
        files.push(Content { name: DER, holds_key: false, bytes: Zeroizing::new(leaf.der().to_vec()) });
    }
    files
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
    entry: &Entry,
    set: &NewSet<'_>,
    keep: u32,
) -> Result<Generation, Failure> {
    let ids = Ids::of(&entry.access)?;
    let files = contents(entry, set.leaf, set.chain, set.key);
    let generation = match live_generation(disk, layout, &entry.name)? {
        Some(live) if is_this_set(disk, layout, entry, live, set) => live,
        _ => {
            let generation = write(disk, layout, entry, set, &files, &ids)?;
            switch(disk, layout, &entry.name, generation)?;
            generation
        }
    };
    fixed::copy(disk, entry, &files, &ids)?;
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
    let staged = replace::beside(&home.join("live"));
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

fn numbered(disk: &dyn Disk, home: &Path) -> io::Result<Vec<Generation>> {
    let mut numbers: Vec<_> = disk.list(home)?.iter().filter_map(|name| number(&PathBuf::from(name))).collect();
    numbers.sort();
    Ok(numbers)
}

/// Removes what is older than the newest `keep` generations, and left-overs of installs that were cut off. What
/// cannot be removed now is removed after the next install.
fn prune(disk: &dyn Disk, layout: &Layout, name: &CertName, live: Generation, keep: u32) {
    let home = layout.certificate(name);
    let Ok(names) = disk.list(&home) else { return };
    for leftover in names.iter().filter(|name| name.to_str().is_some_and(replace::is_leftover)) {
        let path = home.join(leftover);
        match disk.stat(&path) {
            Ok(stat) if stat.kind == Kind::Dir => drop(replace::remove_tree(disk, &path)),
            _ => drop(disk.remove_file(&path)),
        }
    }
    let Ok(numbers) = numbered(disk, &home) else { return };
    let surplus = numbers.len().saturating_sub(usize::try_from(keep.max(1)).unwrap_or(usize::MAX));
    for old in numbers.into_iter().take(surplus).filter(|old| *old != live) {
        drop(replace::remove_tree(disk, &layout.generation(name, old)));
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

/// Puts the files of the live generation and of the fixed paths back as they should be, from key and fullchain.
///
/// # Errors
///
/// When key or fullchain cannot be read, or a file cannot be written.
pub fn repair(disk: &dyn Disk, layout: &Layout, entry: &Entry) -> Result<(), Failure> {
    let Some(generation) = live_generation(disk, layout, &entry.name)? else { return Ok(()) };
    let ids = Ids::of(&entry.access)?;
    let folder = layout.generation(&entry.name, generation);
    let read = |name: &str| {
        let path = folder.join(name);
        disk.read(&path, super::observe::FILE_LIMIT).map_err(|error| disk_failure("read", &path, &error))
    };
    let key = Zeroizing::new(read(KEY)?);
    let fullchain = read(FULLCHAIN)?;
    let certificates =
        crate::pki::certificate::certificates_in_file(&String::from_utf8_lossy(&fullchain)).unwrap_or_default();
    let Some((leaf, chain)) = certificates.split_first() else { return Ok(()) };
    let files = contents(entry, leaf, chain, &Zeroizing::new(String::from_utf8_lossy(&key).into_owned()));
    let failed = |error: io::Error| disk_failure("put back the files in", &folder, &error);
    let mut manifest = read_manifest(disk, &folder).map_err(failed)?;
    for content in &files {
        let path = folder.join(content.name);
        let stat = disk.stat(&path).ok();
        let same_access = stat.is_some_and(|stat| ids.difference(content.holds_key, &stat).is_none());
        if !same_access
            || disk.read(&path, super::observe::FILE_LIMIT).ok().as_deref() != Some(content.bytes.as_slice())
        {
            replace::replace(disk, &path, &content.bytes, ids.perms(content.holds_key)).map_err(failed)?;
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
    }
    fixed::copy(disk, entry, &files, &ids)
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
