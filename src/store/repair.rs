//! Repair: puts the files of the live generation and of the fixed paths back as they should be, or takes over what
//! somebody else renewed in their place. What is taken over passed the gate.

use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::core::failure::{Failure, Scope};
use crate::core::known::issuer::ServedChain;
use crate::core::known::observed::Leaf;
use crate::core::known::replaced::Replaced;
use crate::core::name::{Attempt, Generation};
use crate::core::remark::Remarks;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::pki::certificate::{Certificate, certificates_in_file};
use crate::pki::digest::sha256;
use crate::pki::key::PrivateKey;

use super::access::Ids;
use super::content::{CERT, CHAIN, Content, FULLCHAIN, KEY, Parts, contents};
use super::disk::{Disk, Kind};
use super::generation::{
    NewSet, file_record, install, live_generation, live_manifest, odd_spelling, read_manifest, replaced, switch,
};
use super::layout::Layout;
use super::manifest::Manifest;
use super::observe::FILE_LIMIT;
use super::refresh::{Source, refresh};
use super::{disk_failure, key_store, replace};
use crate::store::external::Foreign;
use crate::store::targets::ServiceIdentity;
use crate::store::{external, targets};

/// What a repair came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Repaired {
    /// The files are as they should be.
    PutBack,
    /// What somebody else had put there is live now.
    Adopted {
        /// As this generation.
        generation: Generation,
        /// With this leaf.
        leaf: Box<Leaf>,
        /// Served with this chain.
        chain: Box<ServedChain>,
        /// In place of this one, where that is to be revoked in time.
        replaces: Option<Box<Replaced>>,
    },
    /// The same leaf is live with a chain that ends later.
    Refreshed {
        /// As this generation.
        generation: Generation,
        /// The end that counts now.
        ends_at: Timestamp,
    },
}

/// What a repair goes by, beside the entry.
#[derive(Clone, Copy, Debug)]
pub struct RepairInputs<'a> {
    /// The CA certificates that the profile shows.
    pub issuers: &'a [Certificate],
    /// How many generations are kept.
    pub keep: u32,
    /// Whether a newer certificate of the CA that is found in place of ours may be switched in now.
    pub refreshes: bool,
    /// The present.
    pub now: Timestamp,
}

/// Takes over a newer set that somebody put in the place of ours and that passes the gate; where there is none, puts
/// the files of the live generation and of the fixed paths back.
///
/// # Errors
///
/// When key or certificate cannot be read, a target is refused, or a file cannot be written.
pub fn repair(
    disk: &dyn Disk,
    layout: &Layout,
    identity: &ServiceIdentity,
    entry: &Entry,
    terms: &RepairInputs<'_>,
) -> Result<Repaired, Failure> {
    if let Some((generation, manifest)) = live_manifest(disk, layout, &entry.name)?
        && let Some(found) = external::find(disk, layout, entry, (generation, &manifest), terms.issuers, terms.now)
    {
        return adopt(disk, layout, identity, entry, &manifest, &found, terms);
    }
    // Whoever put a newer certificate of the CA in place meant well: ours is not put back over it.
    if terms.refreshes {
        let found = external::certificates(disk, layout, entry);
        match refresh(disk, layout, identity, entry, terms, Source::Files(&found)) {
            Ok((generation, ends_at)) => return Ok(Repaired::Refreshed { generation, ends_at }),
            Err(failure) if failure.class.scope() == Scope::Disk => return Err(failure),
            Err(_) => {}
        }
    }
    put_back(disk, layout, identity, entry)?;
    Ok(Repaired::PutBack)
}

/// Puts the files of the live generation and of the fixed paths back, whatever stands in their place.
///
/// # Errors
///
/// When key or certificate cannot be read, a target is refused, or a file cannot be written.
pub fn put_back(disk: &dyn Disk, layout: &Layout, identity: &ServiceIdentity, entry: &Entry) -> Result<(), Failure> {
    let Some(generation) = live_generation(disk, layout, &entry.name)? else { return Ok(()) };
    if odd_spelling(disk, layout, &entry.name, generation).is_some() {
        switch(disk, layout, &entry.name, generation)?;
    }
    let folder = layout.generation(&entry.name, generation);
    let manifest =
        read_manifest(disk, &folder).map_err(|error| disk_failure("put back the files in", &folder, &error))?;
    put_back_in(disk, identity, entry, &folder, manifest)
}

/// Installs what was found as a generation of its own. No request brought it; it counts as of the same profile.
fn adopt(
    disk: &dyn Disk,
    layout: &Layout,
    identity: &ServiceIdentity,
    entry: &Entry,
    manifest: &Manifest,
    found: &Foreign,
    terms: &RepairInputs<'_>,
) -> Result<Repaired, Failure> {
    let chain = ServedChain { issuer: found.set.issuer.clone(), end: found.set.chain_end.clone() };
    let remarks = Remarks::at(terms.now, found.set.remarks.clone()).into();
    let set = NewSet {
        leaf: &found.set.leaf,
        facts: &found.set.facts,
        chain: &found.set.chain,
        root: found.set.root.as_ref(),
        key: &found.key,
        attempt: Attempt(0),
        profile: &manifest.profile,
        served: &chain,
        refreshes: None,
        remarks: &remarks,
    };
    let generation = install(disk, layout, identity, entry, &set, terms.keep)?;
    let replaces = replaced(disk, layout, entry, generation);
    Ok(Repaired::Adopted { generation, leaf: Box::new(found.set.facts.clone()), chain: Box::new(chain), replaces })
}

fn put_back_in(
    disk: &dyn Disk,
    identity: &ServiceIdentity,
    entry: &Entry,
    folder: &Path,
    mut manifest: Option<Manifest>,
) -> Result<(), Failure> {
    let ids = Ids::of(&entry.access)?;
    let targets = targets::targets(entry)?;
    let failed = |error: io::Error| disk_failure("put back the files in", folder, &error);
    let key_file = folder.join(KEY);
    let key = disk.read(&key_file, FILE_LIMIT).map_err(|error| disk_failure("read", &key_file, &error))?;
    let key = Zeroizing::new(String::from_utf8(key).map_err(|_| failed(io::Error::other("the key is not text")))?);
    let root = manifest.as_ref().and_then(Manifest::root);
    let mut certificates = belonging(disk, folder, manifest.as_ref(), &key)?;
    certificates.retain(|certificate| Some(certificate) != root.as_ref());
    let Some((leaf, chain)) = certificates.split_first() else { return Ok(()) };
    let parts = Parts { leaf, chain, root: root.as_ref(), key: &key };
    let known = manifest.as_ref().map(|manifest| (folder, manifest));
    let key_stores = key_store::all(disk, identity, entry, &parts, known)?;
    if let Some(manifest) = &mut manifest {
        key_stores.iter().for_each(|store| manifest.note_key_store(&store.file.name, store.record));
    }
    let files = contents(entry, &parts, key_stores.into_iter().map(|store| store.file).collect());
    for content in &files {
        let record = put_back_file(disk, folder, content, &ids)
            .and_then(|()| file_record(disk, &folder.join(&*content.name), &content.bytes));
        let record = record.map_err(failed)?;
        if let Some(manifest) = &mut manifest {
            manifest.files.insert(content.name.to_string(), record);
        }
    }
    if let Some(mut manifest) = manifest {
        manifest.has_root = root.is_some() && entry.include_root;
        let bytes = serde_json::to_vec(&manifest).unwrap_or_default();
        replace::replace(disk, &folder.join(Manifest::NAME), &bytes, Manifest::PERMS).map_err(failed)?;
    } else {
        disk.sync_dir(folder).map_err(failed)?;
    }
    targets::copy(disk, identity, &targets, &files)
}

fn put_back_file(disk: &dyn Disk, folder: &Path, content: &Content, ids: &Ids) -> io::Result<()> {
    let path = folder.join(&*content.name);
    let stat = disk.stat(&path).ok();
    let same_access = stat.is_some_and(|stat| ids.difference(content.holds_key, &stat).is_none());
    if same_access && content.is_at(disk, &path) {
        return Ok(());
    }
    if stat.is_some_and(|stat| stat.kind == Kind::Dir) {
        // No file can take the name of a folder; in a generation there is nothing but what renewd keeps there.
        replace::remove_tree(disk, &path)?;
    }
    replace::stage(disk, &path, &content.bytes, ids.perms(content.holds_key))?.switch(disk)
}

/// Leaf and chain that belong to the key: as they were recorded, else as fullchain has them now.
fn belonging(
    disk: &dyn Disk,
    folder: &Path,
    manifest: Option<&Manifest>,
    key: &str,
) -> Result<Vec<Certificate>, Failure> {
    let spki = PrivateKey::from_pem(key.as_bytes()).map(|key| key.spki()).ok();
    let is_belonging = |found: &Vec<Certificate>| found.first().map(Certificate::spki) == spki;
    if let Some(found) = manifest.and_then(|manifest| recorded(disk, folder, manifest)).filter(is_belonging) {
        return Ok(found);
    }
    let path = folder.join(FULLCHAIN);
    let there = disk.read(&path, FILE_LIMIT).map_err(|error| disk_failure("read", &path, &error))?;
    Ok(parsed(&there))
}

/// Leaf and chain as they were recorded, where files that are so are left. The root may stand at the end.
pub(super) fn recorded(disk: &dyn Disk, folder: &Path, manifest: &Manifest) -> Option<Vec<Certificate>> {
    let read = |name: &str| {
        let bytes = disk.read(&folder.join(name), FILE_LIMIT).ok()?;
        (manifest.files.get(name)?.sha256 == sha256(&bytes)).then_some(bytes)
    };
    let whole = read(FULLCHAIN).or_else(|| Some([read(CERT)?, read(CHAIN)?].concat()))?;
    Some(parsed(&whole)).filter(|found| found.first().is_some_and(|leaf| leaf.fingerprint() == manifest.fingerprint))
}

fn parsed(bytes: &[u8]) -> Vec<Certificate> {
    certificates_in_file(bytes).unwrap_or_default()
}
