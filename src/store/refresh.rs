//! Refreshing a chain: the installed key and leaf with a better chain that the profile shows, as a generation of its own,
//! so that every file of the set changes in one switch.

use std::path::Path;

use zeroize::Zeroizing;

use crate::core::code::Code;
use crate::core::entry::Entry;
use crate::core::failure::{Failure, FailureClass};
use crate::core::name::Generation;
use crate::core::remark::Remarks;
use crate::core::time::Timestamp;
use crate::pki::certificate::Certificate;
use crate::pki::chain::{self, Aim};
use crate::pki::key::PrivateKey;
use crate::pki::purpose::Purpose;
use crate::pki::{leaf, served};

use super::content::KEY;
use super::disk::Disk;
use super::fixed::Ground;
use super::generation::{NewSet, install, live_manifest};
use super::layout::Layout;
use super::manifest::Manifest;
use super::observe::FILE_LIMIT;
use super::repair::{Terms, recorded};
use super::{disk_failure, fixed};

/// Installs the live key and leaf with the best chain that `terms` and the certificates that were `found` in place of ours
/// allow. Gives the generation and the end that counts now.
///
/// # Errors
///
/// When no chain ends later than the installed one, the key does not belong to the leaf, or a file operation fails.
pub fn refresh(
    disk: &dyn Disk,
    layout: &Layout,
    ground: &Ground,
    entry: &Entry,
    terms: &Terms<'_>,
    found: &[Certificate],
) -> Result<(Generation, Timestamp), Failure> {
    let live = live_manifest(disk, layout, &entry.name)?;
    let (generation, manifest) = live.ok_or_else(|| nothing("there is no manifest of the installed set"))?;
    let folder = layout.generation(&entry.name, generation);
    let installed = recorded(disk, &folder, &manifest).unwrap_or_default();
    let is_own = |certificate: &&Certificate| certificate.fingerprint() == manifest.fingerprint;
    let own = installed.iter().chain(found).find(is_own).ok_or_else(|| nothing("the leaf was changed"))?;
    let facts = leaf::read(own).map_err(|error| nothing(&error.to_string()))?;
    let pool = [&installed, found].concat();
    let anchors: Vec<Certificate> = terms.issuers.iter().cloned().chain(manifest.root()).collect();
    let purpose = Purpose::of(entry.usages.as_deref().unwrap_or_default(), &facts.usages);
    let aim = Aim { pin: entry.issuer.as_deref(), purpose, ..Aim::new(&anchors, terms.now) };
    let built = chain::build(own, &pool, &aim).map_err(|_| nothing("no chain verifies"))?;
    let root = built.root.clone().or_else(|| manifest.root());
    let known: Vec<Certificate> = built.intermediates.iter().chain(&root).cloned().collect();
    let chain = served::served(own, &known);
    let before = manifest.served.clone().unwrap_or_else(|| served::served(own, &installed));
    if chain.ends_at(facts.not_after) <= before.ends_at(facts.not_after) {
        return Err(nothing("no chain that verifies ends later"));
    }
    fixed::check_room(disk, layout, ground, entry)?;
    let remarks = manifest.remarks.list.iter().filter(|remark| remark.code != Code::ChainEndsFirst).cloned().collect();
    let set = NewSet {
        leaf: own,
        facts: &facts,
        chain: &built.intermediates,
        root: root.as_ref(),
        key: &key_of(disk, &folder, &manifest)?,
        attempt: manifest.attempt,
        profile: &manifest.profile,
        served: &chain,
        remarks: &Remarks { list: remarks, ..(*manifest.remarks).clone() }.into(),
    };
    Ok((install(disk, layout, ground, entry, &set, terms.keep)?, chain.ends_at(facts.not_after)))
}

fn key_of(disk: &dyn Disk, folder: &Path, manifest: &Manifest) -> Result<Zeroizing<String>, Failure> {
    let path = folder.join(KEY);
    let bytes = disk.read(&path, FILE_LIMIT).map_err(|error| disk_failure("read", &path, &error))?;
    let key = PrivateKey::from_pem(&Zeroizing::new(bytes)).map_err(|error| nothing(&error.to_string()))?;
    if key.spki() == manifest.spki { Ok(key.to_pem()) } else { Err(nothing("the key is another one's")) }
}

fn nothing(why: &str) -> Failure {
    Failure::new(FailureClass::NoWayBack, format!("the chain is not refreshed: {why}"))
}
