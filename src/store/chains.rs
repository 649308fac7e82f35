//! The CA certificates that are served: read from the files of the live sets, each certificate once; and what is kept of
//! their status for the next start. Reads only, where it does not keep.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use zeroize::Zeroizing;

use crate::core::failure::Failure;
use crate::core::known::ca_status::{Ca, Found, Holder, LiveSet};
use crate::core::name::{CertName, Digest, Generation};
use crate::pki::certificate::{Certificate, readable_in_file};
use crate::pki::digest::sha256;
use crate::pki::standing;

use super::content::FULLCHAIN;
use super::disk::{Disk, Perms};
use super::generation::read_manifest;
use super::in_place::{FileSet, places};
use super::layout::Layout;
use super::observe::FILE_LIMIT;
use super::{disk_failure, replace};

/// What was found in the chains.
#[derive(Debug, Default)]
pub struct Chains {
    /// The intermediates, and who serves those that were asked for.
    pub found: Found,
    /// The same intermediates.
    pub intermediates: BTreeMap<Digest, Certificate>,
    /// Other CA certificates beside them: roots.
    pub others: Vec<Certificate>,
    /// Chains by the digest of their text, so that thousands of equal ones are parsed once.
    known: BTreeMap<Digest, Vec<Digest>>,
    /// Those of them whose root is known.
    rooted: BTreeSet<Digest>,
}

/// Reads the chains of `sets`; of CAs in `wanted` it is noted who serves them.
#[must_use]
pub fn read(disk: &dyn Disk, layout: &Layout, sets: &[LiveSet], wanted: &BTreeSet<Digest>) -> Chains {
    let mut chains = Chains::default();
    for set in sets {
        match texts(disk, layout, set) {
            Ok(texts) => {
                let served = chains.take(disk, layout, set, &texts);
                let holder = || Holder { name: set.entry.name.clone(), generation: set.generation, leaf: set.leaf };
                let wanted = served.into_iter().filter(|ca| wanted.contains(ca));
                chains.found.holders.extend(wanted.map(|ca| (ca, holder())));
            }
            // Another set took its place meanwhile, which is looked at by itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => drop(chains.found.unread.insert(set.entry.name.clone())),
        }
    }
    chains
}

/// The parts of a set's files that a chain stands in. Of files that were there before renewd came some may be missing.
fn texts(disk: &dyn Disk, layout: &Layout, set: &LiveSet) -> io::Result<Vec<Zeroizing<Vec<u8>>>> {
    let read = |path: &Path| disk.read(path, FILE_LIMIT).map(Zeroizing::new);
    if set.generation != Generation(0) {
        let whole = read(&layout.generation(&set.entry.name, set.generation).join(FULLCHAIN))?;
        let leaf = whole.windows(END.len()).position(|window| window == END).map_or(whole.len(), |at| at + END.len());
        return Ok(vec![Zeroizing::new(whole.get(leaf..).unwrap_or_default().to_vec())]);
    }
    let mut texts = Vec::new();
    for path in places(&set.entry).into_iter().flat_map(FileSet::certificates) {
        match read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            text => texts.push(text?),
        }
    }
    Ok(texts)
}

impl Chains {
    /// Nothing is known of these.
    #[must_use]
    pub fn unread(names: BTreeSet<CertName>) -> Self {
        Self { found: Found { unread: names, ..Found::default() }, ..Self::default() }
    }

    /// Takes the chain in; the intermediates that it has.
    fn take(&mut self, disk: &dyn Disk, layout: &Layout, set: &LiveSet, texts: &[Zeroizing<Vec<u8>>]) -> Vec<Digest> {
        let digests: Vec<u8> = texts.iter().flat_map(|text| sha256(text).0).collect();
        let key = sha256(&digests);
        // One set may have come without the root that another of the same chain came with.
        if !self.rooted.contains(&key) {
            let folder = layout.generation(&set.entry.name, set.generation);
            let root = read_manifest(disk, &folder).ok().flatten().and_then(|manifest| manifest.root());
            if let Some(root) = root {
                self.rooted.insert(key);
                self.also(root);
            }
        }
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let mut served = Vec::new();
        for certificate in texts.iter().flat_map(|text| readable_in_file(&**text)) {
            let fingerprint = certificate.fingerprint();
            if fingerprint == set.leaf || served.contains(&fingerprint) || !certificate.is_ca() {
                continue;
            }
            if standing::is_intermediate(&certificate)
                && let Ok(facts) = standing::served(&certificate)
            {
                served.push(fingerprint);
                self.found.cas.insert(fingerprint, facts);
                self.intermediates.insert(fingerprint, certificate);
            } else {
                self.also(certificate);
            }
        }
        self.known.insert(key, served.clone());
        served
    }

    fn also(&mut self, other: Certificate) {
        if !self.others.contains(&other) {
            self.others.push(other);
        }
    }
}

/// What was kept of the status of CA certificates. A file that is missing or of another form counts as empty: it is only a
/// copy of what CAs say.
#[must_use]
pub fn kept(disk: &dyn Disk, layout: &Layout) -> Vec<Ca> {
    let bytes = disk.read(&layout.ca_status(), KEPT_LIMIT).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// Keeps the status of CA certificates.
///
/// # Errors
///
/// When the file operation fails.
pub fn keep(disk: &dyn Disk, layout: &Layout, cas: &[Ca]) -> Result<(), Failure> {
    let path = layout.ca_status();
    serde_json::to_vec(cas)
        .map_err(io::Error::from)
        .and_then(|bytes| replace::replace(disk, &path, &bytes, Perms::PRIVATE))
        .map_err(|error| disk_failure("keep the status of CA certificates in", &path, &error))
}

const END: &[u8] = b"-----END CERTIFICATE-----";
const KEPT_LIMIT: u64 = 64 << 20;

#[cfg(test)]
mod tests;
