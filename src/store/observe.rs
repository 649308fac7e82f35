//! Observing: what is on the disk for one entry. Reads only; says what it saw and never what to do.

use std::io;
use std::path::Path;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::core::code::Code;
use crate::core::known::issuer::ServedChain;
use crate::core::known::observed::{Installed, Leaf, Observed, difference};
use crate::core::name::{Digest, Generation, ProfileId, ProfileRef};
use crate::core::remark::{RareRemarks, Remark};
use crate::core::text::Text;
use crate::core::wanted::entry::Entry;
use crate::core::wanted::usage::Usage;
use crate::pki::certificate::{Certificate, CertificateError};
use crate::pki::digest::sha256;
use crate::pki::key_file::{Belonging, KeyFile};
use crate::pki::leaf::{self, InService};
use crate::pki::purpose::Purpose;
use crate::pki::{certificate_file, chain, served};

use super::access::Ids;
use super::content::{self, CHAIN, FULLCHAIN, FileName, KEY, holds_key};
use super::disk::{Disk, Kind, Stat};
use super::generation::{live_generation, odd_spelling, read_manifest};
use super::layout::Layout;
use super::manifest::{FileRecord, Manifest};
use super::repair::recorded;
use super::{key_store, shared_chains};
use crate::store::targets::Target;
use crate::store::{external, targets};

/// What stands against a usable set.
enum Obstacle {
    Absent,
    Damaged(String),
    Unreadable(String),
}

/// Observes the installed set of `entry`.
///
/// A file that is not there, or was read and is unusable, is a state of the set; one that cannot be read is not.
#[must_use]
pub fn observe(disk: &dyn Disk, layout: &Layout, entry: &Entry) -> Observed {
    match look(disk, layout, entry) {
        Ok(installed) => Observed::Installed(Box::new(installed)),
        Err(Obstacle::Absent) => Observed::Absent,
        Err(Obstacle::Damaged(what)) => Observed::Damaged(Box::new(Text::new(&what))),
        Err(Obstacle::Unreadable(what)) => Observed::Unreadable(Box::new(Text::new(&what))),
    }
}

fn look(disk: &dyn Disk, layout: &Layout, entry: &Entry) -> Result<Installed, Obstacle> {
    let generation = live_generation(disk, layout, &entry.name)
        .map_err(|failure| Obstacle::Unreadable(failure.message.to_string()))?;
    let Some(generation) = generation else { return adopted::observe(disk, entry) };
    let folder = layout.generation(&entry.name, generation);
    let manifest = read_manifest(disk, &folder).map_err(|error| unreadable(&folder.join(Manifest::NAME), &error))?;
    let manifest = manifest.as_ref();
    let files = Files::of(disk, &folder, entry);
    let (mut found, known) = match by_fullchain(disk, &files, manifest) {
        Ok((found, Some(known))) => (found, Some(known)),
        edited => by_record(disk, &files, manifest, edited)?,
    };
    found.doubts.extend(unpinned(disk, entry, (&folder.join(FULLCHAIN), found.leaf.fingerprint), manifest));
    let mut drift = drift(disk, entry, &files, manifest);
    if let Some(odd) = odd_spelling(disk, layout, &entry.name, generation) {
        drift.push(in_file(&layout.live(&entry.name), &format!("it points at {}, not at {generation}", odd.display())));
    }
    let chain = match known.and_then(|manifest| manifest.served.as_ref()) {
        Some(chain) => shared_chains::share(chain),
        None => shared_chains::share(&served_in(disk, &folder.join(FULLCHAIN))),
    };
    let newest = if drift.is_empty() { None } else { external::newest_end(disk, layout, entry, generation) };
    let renewed_elsewhere = newest.is_some_and(|newest| newest > chain.ends_at(found.leaf.not_after));
    Ok(Installed { renewed_elsewhere, ..installed(entry, generation, found, chain, known, drift) })
}

/// The files of a generation, each looked at once.
struct Files<'f> {
    folder: &'f Path,
    stats: Vec<(FileName, io::Result<Stat>)>,
}

impl<'f> Files<'f> {
    fn of(disk: &dyn Disk, folder: &'f Path, entry: &Entry) -> Self {
        let look = |name: FileName| {
            let stat = disk.stat(&folder.join(&*name));
            (name, stat)
        };
        Self { folder, stats: content::names(entry).map(look).collect() }
    }

    fn stat(&self, name: &str) -> Option<&io::Result<Stat>> {
        self.stats.iter().find(|(known, _)| *known == name).map(|(_, stat)| stat)
    }

    /// Whether a file has size and ctime as recorded, so that its content needs no reading to be known.
    fn is_untouched(&self, name: &str, record: Option<&FileRecord>) -> bool {
        match (self.stat(name), record) {
            (Some(Ok(stat)), Some(record)) => is_untouched(stat, record),
            (_, _) => false,
        }
    }
}

fn is_untouched(stat: &Stat, record: &FileRecord) -> bool {
    stat.kind == Kind::File && record.size == stat.size && record.ctime == stat.ctime
}

/// A leaf as it was found, with what cannot be judged about it and its key.
struct Found {
    leaf: Leaf,
    /// Its public key's DER, and the certificates behind it; where the leaf alone was read both are empty.
    spki: Vec<u8>,
    chain: Vec<Vec<u8>>,
    /// Whether names, subject and usages were read.
    is_whole: bool,
    doubts: Vec<Remark>,
}

impl Found {
    /// A leaf of which nothing else is known.
    const fn leaf(leaf: Leaf) -> Self {
        Self { leaf, spki: Vec::new(), chain: Vec::new(), is_whole: true, doubts: Vec::new() }
    }

    fn of(in_service: InService) -> Self {
        let InService { leaf, spki, doubt } = in_service;
        Self { spki, is_whole: doubt.is_none(), ..Self::leaf(leaf) }
    }
}

/// The set as fullchain and key have it, with the manifest where that speaks of it. A set that was edited is judged by
/// its content.
fn by_fullchain<'m>(
    disk: &dyn Disk,
    files: &Files<'_>,
    manifest: Option<&'m Manifest>,
) -> Result<(Found, Option<&'m Manifest>), Obstacle> {
    let path = files.folder.join(FULLCHAIN);
    let record = manifest.and_then(|manifest| manifest.files.get(FULLCHAIN));
    let leaf = if files.is_untouched(FULLCHAIN, record) { first_leaf(disk, &path) } else { None };
    let known = manifest.filter(|manifest| leaf.as_ref().is_some_and(|leaf| leaf.fingerprint == manifest.fingerprint));
    let (mut found, known) = match leaf {
        Some(leaf) if known.is_some() => (Found::leaf(leaf), known),
        _ => {
            let (bytes, found) = read_leaf(disk, &path)?;
            let is_ours =
                |manifest: &&Manifest| manifest.fingerprint == found.leaf.fingerprint && is_recorded(manifest, &bytes);
            let known = manifest.filter(is_ours);
            (found, known)
        }
    };
    check_key(disk, files, &mut found, known.and_then(|manifest| manifest.files.get(KEY)))?;
    Ok((found, known))
}

/// The set as the manifest has it, where key, leaf and chain are left, in whichever files, and what was found in place
/// of fullchain is no newer: that is put back.
fn by_record<'m>(
    disk: &dyn Disk,
    files: &Files<'_>,
    manifest: Option<&'m Manifest>,
    edited: Result<(Found, Option<&'m Manifest>), Obstacle>,
) -> Result<(Found, Option<&'m Manifest>), Obstacle> {
    let ours = |manifest: &'m Manifest| {
        let recorded = recorded(disk, files.folder, manifest)?;
        let (leaf, above) = recorded.split_first()?;
        let mut found = Found::of(leaf::in_service(leaf.der()).ok()?);
        check_key(disk, files, &mut found, manifest.files.get(KEY)).ok()?;
        Some((served::served(leaf, above).ends_at(found.leaf.not_after), (found, Some(manifest))))
    };
    let there = |found: &Found| served_in(disk, &files.folder.join(FULLCHAIN)).ends_at(found.leaf.not_after);
    match (edited, manifest.and_then(ours)) {
        (Ok((found, _)), Some((end, (ours, _))))
            if found.leaf.fingerprint != ours.leaf.fingerprint && there(&found) > end =>
        {
            Ok((found, None))
        }
        (_, Some((_, ours))) => Ok(ours),
        (edited, None) => edited,
    }
}

fn is_recorded(manifest: &Manifest, fullchain: &[u8]) -> bool {
    manifest.files.get(FULLCHAIN).is_some_and(|record| record.sha256 == sha256(fullchain))
}

/// What a file of leaf and chain serves above the leaf.
fn served_in(disk: &dyn Disk, path: &Path) -> ServedChain {
    let found = ders(disk, path);
    found.split_first().map_or_else(ServedChain::default, |(leaf, above)| served::in_files(leaf, &parsed(above)))
}

/// What tells that the CA which the entry pins is not on the path of what is installed.
fn unpinned(
    disk: &dyn Disk,
    entry: &Entry,
    (file, leaf): (&Path, Digest),
    manifest: Option<&Manifest>,
) -> Option<Remark> {
    let pin = entry.issuer.as_deref()?;
    let root = manifest.and_then(Manifest::root);
    let there = parsed(&ders(disk, file)).into_iter().filter(|ca| ca.fingerprint() != leaf);
    let cas: Vec<_> = there.chain(root).collect();
    let message = format!("the entry pins the issuer {pin}, which did not issue the installed certificate");
    chain::rules_out(&cas, pin).then(|| Remark::new(Code::IssuerChanged, &message))
}

/// The certificates of a file, as far as it can be read.
fn ders(disk: &dyn Disk, path: &Path) -> Vec<Vec<u8>> {
    let bytes = disk.read(path, FILE_LIMIT).map(Zeroizing::new);
    bytes.map_or_else(|_| Vec::new(), |bytes| certificate_file::readable(&bytes))
}

fn parsed(ders: &[Vec<u8>]) -> Vec<Certificate> {
    ders.iter().filter_map(|der| Certificate::from_der(der).ok()).collect()
}

fn installed(
    entry: &Entry,
    generation: Generation,
    found: Found,
    chain: Arc<ServedChain>,
    manifest: Option<&Manifest>,
    drift: Vec<Text>,
) -> Installed {
    let Found { leaf, is_whole, doubts, .. } = found;
    // A content that was not read differs from nothing.
    let is_judged = is_whole || manifest.is_some();
    let differs = is_judged.then(|| difference(entry, manifest.map(|manifest| &manifest.asked), &leaf)).flatten();
    Installed {
        generation,
        attempt: manifest.map(|manifest| manifest.attempt),
        differs: differs.map(Box::new),
        drift: drift.into(),
        renewed_elsewhere: false,
        is_refreshed: manifest.is_some_and(|manifest| manifest.refreshes.is_some()),
        remarks: remarks(manifest, doubts),
        chain,
        profile: manifest.map(|manifest| known(entry, &manifest.profile)),
        serial_number: leaf.serial_number,
        fingerprint: leaf.fingerprint,
        spki: leaf.spki,
        not_before: leaf.not_before,
        not_after: leaf.not_after,
        key: leaf.key,
        usages: Usage::list(leaf.usages),
    }
}

/// What was noted when the set was installed, and what cannot be judged of its files now.
fn remarks(manifest: Option<&Manifest>, mut doubts: Vec<Remark>) -> RareRemarks {
    let mut remarks = manifest.map_or_else(RareRemarks::new, |manifest| manifest.remarks.clone());
    if !doubts.is_empty() {
        remarks.list.append(&mut doubts);
    }
    if let Some(since) = manifest.and_then(|manifest| manifest.key_since) {
        remarks.older_key = Some(since);
    }
    remarks
}

/// The profile, in the memory of the entry where that names it.
fn known(entry: &Entry, profile: &ProfileId) -> ProfileId {
    match &entry.profile {
        ProfileRef::Id(known) if known == profile => known.clone(),
        ProfileRef::Id(_) | ProfileRef::Name(_) => profile.clone(),
    }
}

fn read_leaf(disk: &dyn Disk, path: &Path) -> Result<(Zeroizing<Vec<u8>>, Found), Obstacle> {
    let bytes = Zeroizing::new(read(disk, path)?);
    let damaged = |error: CertificateError| Obstacle::Damaged(format!("{}: {}", path.display(), told(&error)));
    let file = certificate_file::read(&bytes).map_err(damaged)?;
    let (first, chain) = file.found.split_first().ok_or(CertificateError::Empty).map_err(damaged)?;
    let read = leaf::in_service(first).map_err(damaged)?;
    let in_part = read
        .doubt
        .as_ref()
        .map(|why| format!("renewd cannot read all of the certificate, and does not compare its names: {}", told(why)));
    let refused = file.doubt.as_ref().map(|why| format!("OpenSSL does not load this file: {}", told(why)));
    let above = chain.iter().zip(2..).filter_map(|(der, number)| {
        let why = leaf::doubt(der)?;
        Some(format!("renewd cannot read all of certificate {number} of the file: {}", told(&why)))
    });
    let doubts = in_part.into_iter().chain(refused).chain(above);
    let doubts = doubts.map(|what| Remark::new(Code::FileUnjudged, &format!("{}: {what}", path.display())));
    let found = Found { chain: chain.to_vec(), doubts: doubts.collect(), ..Found::of(read) };
    Ok((bytes, found))
}

/// An error with its cause.
fn told(error: &CertificateError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// The leaf of a file of certificates alone whose content is known to be whole.
fn first_leaf(disk: &dyn Disk, path: &Path) -> Option<Leaf> {
    leaf::first_in_file(&read(disk, path).ok()?).ok()
}

/// Whether the key of a generation belongs to the leaf. One whose size and ctime are as recorded needs no reading.
fn check_key(
    disk: &dyn Disk,
    files: &Files<'_>,
    found: &mut Found,
    record: Option<&FileRecord>,
) -> Result<(), Obstacle> {
    let path = files.folder.join(KEY);
    match files.stat(KEY) {
        Some(Ok(stat)) if record.is_some_and(|record| is_untouched(stat, record)) => Ok(()),
        Some(Ok(stat)) => read_key(disk, (&path, &files.folder.join(FULLCHAIN)), found, stat, record),
        Some(Err(error)) => Err(missing(&path, error)),
        None => Err(Obstacle::Absent),
    }
}

/// Whether the key in a file belongs to the leaf. One that was given to another owner, so that the service may not read
/// it, is judged by its recorded size.
fn read_key(
    disk: &dyn Disk,
    (path, certificate): (&Path, &Path),
    found: &mut Found,
    stat: &Stat,
    record: Option<&FileRecord>,
) -> Result<(), Obstacle> {
    let bytes = match disk.read(path, FILE_LIMIT) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied
                && record.is_some_and(|record| record.size == stat.size) =>
        {
            return Ok(());
        }
        Err(error) => return Err(missing(path, &error)),
    };
    let key = KeyFile::read(&bytes).map_err(|error| Obstacle::Damaged(format!("{}: {error}", path.display())))?;
    if found.spki.is_empty() {
        found.spki =
            disk.read(certificate, FILE_LIMIT).map(|bytes| leaf::public_key_in_file(&bytes)).unwrap_or_default();
    }
    let unjudged = match key.belongs(&found.spki) {
        Belonging::Proven => None,
        Belonging::Unknown => Some(format!("holds {}: renewd cannot tell whether it is the certificate's", key.kind())),
        Belonging::Refuted => return Err(Obstacle::Damaged(strange(path, certificate, &key, &found.chain))),
    };
    let doubts = unjudged.into_iter().chain(key.doubt());
    found.doubts.extend(doubts.map(|what| Remark::new(Code::KeyUnjudged, &format!("{} {what}", path.display()))));
    Ok(())
}

/// What is wrong where the key is not that of the first certificate.
fn strange(path: &Path, certificate: &Path, key: &KeyFile, chain: &[Vec<u8>]) -> String {
    let (path, certificate) = (path.display(), certificate.display());
    let is_own = |der: &Vec<u8>| leaf::in_service(der).is_ok_and(|later| key.belongs(&later.spki) == Belonging::Proven);
    if chain.iter().any(is_own) {
        return format!(
            "{certificate} begins with another certificate than that of the key in {path}, which TLS servers refuse: \
             the leaf has to be the first"
        );
    }
    format!("the key in {path} does not belong to the certificate")
}

/// What is not as it should be: a file's content, owner, group or mode, in the generation and at the fixed paths.
fn drift(disk: &dyn Disk, entry: &Entry, files: &Files<'_>, manifest: Option<&Manifest>) -> Vec<Text> {
    // The folder is the service's: a reader may be another user.
    let Ok(service) = disk.stat(files.folder) else { return Vec::new() };
    let Ok(ids) = Ids::with_default(&entry.access, service.uid, service.gid) else { return Vec::new() };
    let Some(manifest) = manifest else { return Vec::new() };
    let mut found = Vec::new();
    for (name, stat) in &files.stats {
        let path = files.folder.join(&**name);
        match manifest.files.get(&**name) {
            Some(record) if files.is_untouched(name, Some(record)) => {
                let how = stat.as_ref().ok().and_then(|stat| ids.difference(holds_key(name), stat));
                found.extend(how.map(|how| in_file(&path, &how)));
            }
            Some(record) => {
                found.extend(differs(disk, &path, stat.as_ref(), record, &ids, holds_key(name)));
            }
            None => found.push(Text::new(&format!("{} is not written yet", path.display()))),
        }
    }
    for wanted in key_store::wanted(entry) {
        let change = manifest.key_store(&wanted.name).and_then(|record| key_store::change(disk, &wanted, &record));
        found.extend(change.map(|what| in_file(&files.folder.join(&*wanted.name), &what)));
    }
    if manifest.is_root_misplaced(entry) {
        found.push(in_file(&files.folder.join(CHAIN), "`include_root` changed"));
    }
    for placement in entry.placements() {
        // Of whom nobody knows no file can be; `check --online` and the next install tell so.
        let Ok(ids) = Ids::with_default(placement.access, service.uid, service.gid) else { continue };
        for Target { path, source, .. } in targets::of_placement(entry, placement, ids) {
            let differs = |record| differs(disk, path, disk.stat(path).as_ref(), record, &ids, holds_key(&source));
            found.extend(manifest.files.get(&*source).and_then(differs));
        }
    }
    found
}

fn in_file(path: &Path, what: &str) -> Text {
    Text::new(&format!("{}: {what}", path.display()))
}

/// How one file differs from its record. Files whose content cannot be read are left to those who can.
fn differs(
    disk: &dyn Disk,
    path: &Path,
    stat: Result<&Stat, &io::Error>,
    record: &FileRecord,
    ids: &Ids,
    holds_key: bool,
) -> Option<Text> {
    let stat = match stat {
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(in_file(path, "it is missing")),
        Err(_) => return None,
    };
    if stat.kind != Kind::File {
        return Some(in_file(path, "it is not a regular file"));
    }
    if let Some(how) = ids.difference(holds_key, stat) {
        return Some(in_file(path, &how));
    }
    let is_other = stat.size != record.size || {
        let bytes = Zeroizing::new(disk.read(path, FILE_LIMIT).ok()?);
        sha256(&bytes) != record.sha256
    };
    is_other.then(|| in_file(path, "its content changed"))
}

fn read(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, Obstacle> {
    disk.read(path, FILE_LIMIT).map_err(|error| missing(path, &error))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind is a failure of the disk")]
fn missing(path: &Path, error: &io::Error) -> Obstacle {
    match error.kind() {
        io::ErrorKind::NotFound => Obstacle::Absent,
        _ => unreadable(path, error),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Obstacle {
    Obstacle::Unreadable(format!("{}: {error}", path.display()))
}

/// The most bytes that a file of a set may have.
pub const FILE_LIMIT: u64 = 1 << 20;

pub(super) mod adopted;
#[cfg(test)]
mod tests;
