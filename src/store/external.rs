//! Certificates that somebody else put in the place of ours, in the live generation or at the fixed paths: where they
//! are found, and whether they may stay. The gate judges them as it judges what TLM sends.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::core::known::issuer::ServedChain;
use crate::core::known::observed::Leaf;
use crate::core::name::{Digest, Generation};
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::core::wanted::files::Placement;
use crate::core::wanted::usage::Usage;
use crate::pki::certificate::{Certificate, readable_in_file};
use crate::pki::gate::{self, Candidate, Demand, Verdict};
use crate::pki::key::PrivateKey;
use crate::pki::{leaf, served};

use super::content::{FULLCHAIN, KEY};
use super::disk::Disk;
use super::generation::{fingerprints, live_generation};
use super::layout::Layout;
use super::manifest::Manifest;
use super::observe::FILE_LIMIT;
use super::repair::recorded;

/// A set that passed the gate.
pub(super) struct Foreign {
    /// Leaf, chain and root.
    pub(super) set: Box<gate::Set>,
    /// The private key as PEM.
    pub(super) key: Zeroizing<String>,
}

/// The first set that may take the place of the live one.
pub(super) fn find(
    disk: &dyn Disk,
    layout: &Layout,
    entry: &Entry,
    (live, manifest): (Generation, &Manifest),
    issuers: &[Certificate],
    now: Timestamp,
) -> Option<Foreign> {
    let folder = layout.generation(&entry.name, live);
    let known = fingerprints(disk, layout, &entry.name);
    let ours = recorded(disk, &folder, manifest).unwrap_or_default();
    let facts = ours.first().and_then(|leaf| leaf::read(leaf).ok());
    let of_files = || ours.split_first().map(|(leaf, above)| served::served(leaf, above));
    let served = manifest.served.clone().or_else(of_files);
    let issuers: Vec<Certificate> = issuers.iter().chain(ours.iter().skip(1)).cloned().chain(manifest.root()).collect();
    places(entry, &folder).iter().find_map(|place| {
        let found = place.look(disk, &known)?;
        let set = judge(entry, &found, (facts.as_ref(), served.as_ref()), &issuers, now)?;
        Some(Foreign { set, key: found.key })
    })
}

/// The end that counts of the newest certificate that somebody put in the place of ours, with its key, whatever else is
/// wrong with it.
pub(super) fn newest_end(disk: &dyn Disk, layout: &Layout, entry: &Entry, live: Generation) -> Option<Timestamp> {
    let known = fingerprints(disk, layout, &entry.name);
    let found = places(entry, &layout.generation(&entry.name, live));
    let found = found.iter().filter_map(|place| place.look(disk, &known));
    found.flat_map(|found| found.ends()).max()
}

/// Every certificate in the live generation and at the fixed paths.
pub(super) fn certificates(disk: &dyn Disk, layout: &Layout, entry: &Entry) -> Vec<Certificate> {
    let Ok(Some(live)) = live_generation(disk, layout, &entry.name) else { return Vec::new() };
    let paths = places(entry, &layout.generation(&entry.name, live)).into_iter().flat_map(|place| place.certificates);
    let bytes = paths.filter_map(|path| disk.read(&path, FILE_LIMIT).ok()).map(Zeroizing::new);
    bytes.flat_map(|bytes| readable_in_file(&*bytes)).collect()
}

/// Whether what was found may stay: by the gate's own rules, and only where it ends later than ours.
fn judge(
    entry: &Entry,
    found: &Found,
    (ours, chain): (Option<&Leaf>, Option<&ServedChain>),
    issuers: &[Certificate],
    now: Timestamp,
) -> Option<Box<gate::Set>> {
    let of_installed = || ours.map_or_else(Vec::new, |leaf| Usage::of_installed(&leaf.usages));
    let usages = entry.usages.clone().unwrap_or_else(of_installed);
    let demand = Demand {
        common_name: entry.naming.common_name(),
        names: &entry.names(),
        subject: &entry.subject,
        subject_from: entry.subject_from,
        exact_names: entry.exact_names,
        usages: &usages,
        issuers,
        pin: entry.issuer.as_deref(),
        installed_issuer: chain.map(|chain| &chain.issuer),
        validity_asked: None,
        must_outlive: ours.map(|leaf| chain.map_or(leaf.not_after, |chain| chain.ends_at(leaf.not_after))),
        now,
    };
    match gate::judge(&Candidate { certificates: &found.pool, key: found.spki }, &demand) {
        Verdict::Accepted(set) => Some(set),
        Verdict::NotYetValid { .. } | Verdict::Held { .. } | Verdict::Refused(_) => None,
    }
}

/// Files that make a set together.
struct FileSet {
    key: PathBuf,
    certificates: Vec<PathBuf>,
}

/// The live generation, and each place of fixed paths.
fn places(entry: &Entry, folder: &Path) -> Vec<FileSet> {
    let live = FileSet { key: folder.join(KEY), certificates: vec![folder.join(FULLCHAIN)] };
    let fixed = entry.placements().map(|Placement { files, .. }| {
        let certificates = [&files.fullchain, &files.certificate, &files.chain, &files.bundle];
        FileSet {
            key: files.key().cloned().unwrap_or_else(|| folder.join(KEY)),
            certificates: certificates.into_iter().flatten().cloned().collect(),
        }
    });
    std::iter::once(live).chain(fixed).collect()
}

/// A key, and certificates beside it of which one is its own, and of no generation of ours.
struct Found {
    key: Zeroizing<String>,
    spki: Digest,
    pool: Vec<Certificate>,
}

impl FileSet {
    fn look(&self, disk: &dyn Disk, known: &[Digest]) -> Option<Found> {
        let read = |path: &Path| disk.read(path, FILE_LIMIT).ok().map(Zeroizing::new);
        let files = self.certificates.iter().filter_map(|path| read(path));
        let pool: Vec<Certificate> = files.flat_map(|bytes| readable_in_file(&*bytes)).collect();
        let others: Vec<_> = pool.iter().filter(|found| !known.contains(&found.fingerprint())).collect();
        if others.is_empty() {
            return None;
        }
        let key = PrivateKey::from_pem(&read(&self.key)?).ok()?;
        let spki = key.spki();
        let is_found = others.iter().any(|certificate| certificate.spki() == spki);
        is_found.then(|| Found { key: key.to_pem(), spki, pool })
    }
}

impl Found {
    /// The ends that count of those with its key, served with what stands beside them.
    fn ends(&self) -> Vec<Timestamp> {
        let own = self.pool.iter().filter(|certificate| certificate.spki() == self.spki);
        let end = |leaf: &Certificate| Some(served::served(leaf, &self.pool).ends_at(leaf::read(leaf).ok()?.not_after));
        own.filter_map(end).collect()
    }
}
