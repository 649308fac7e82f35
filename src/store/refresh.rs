//! Refreshing a chain: the installed key and leaf with a better chain that the profile shows, as a generation of its own,
//! so that every file of the set changes in one switch.

use std::path::Path;

use zeroize::Zeroizing;

use crate::core::code::Code;
use crate::core::entry::Entry;
use crate::core::failure::{Failure, FailureClass};
use crate::core::name::Generation;
use crate::core::observed::Leaf;
use crate::core::remark::{Remark, Remarks};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::pki::certificate::Certificate;
use crate::pki::gate::anew::{Above, Anew};
use crate::pki::key::PrivateKey;
use crate::pki::{gate, leaf, served};

use super::content::KEY;
use super::disk::Disk;
use super::fixed::Ground;
use super::generation::{NewSet, install, live_manifest};
use super::layout::Layout;
use super::manifest::Manifest;
use super::observe::FILE_LIMIT;
use super::repair::{Terms, recorded};
use super::{disk_failure, fixed};

/// Where a better chain may come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// What the profile shows.
    Profile,
    /// These alone, which stand in the files in place of ours. What the profile shows says only whom to trust.
    Files(&'a [Certificate]),
}

/// Installs the live key and leaf with the best chain that there is. Gives the generation and the end that counts now.
///
/// # Errors
///
/// When no chain that the gate takes ends later than the installed one, the key does not belong to the leaf, or a file
/// operation fails.
pub fn refresh(
    disk: &dyn Disk,
    layout: &Layout,
    ground: &Ground,
    entry: &Entry,
    terms: &Terms<'_>,
    source: Source<'_>,
) -> Result<(Generation, Timestamp), Failure> {
    let live = live_manifest(disk, layout, &entry.name)?;
    let (generation, manifest) = live.ok_or_else(|| nothing("there is no manifest of the installed set"))?;
    let folder = layout.generation(&entry.name, generation);
    let found = if let Source::Files(found) = source { found } else { &[] };
    let ours = recorded(disk, &folder, &manifest).unwrap_or_default();
    let pool = [&ours, found].concat();
    let is_own = |certificate: &&Certificate| certificate.fingerprint() == manifest.fingerprint;
    let own = pool.iter().find(is_own).ok_or_else(|| nothing("the leaf was changed"))?;
    let facts = leaf::read(own).map_err(|error| nothing(&error.to_string()))?;
    let Anew { chain, root, served, doubts, remarks } = anew(entry, &manifest, own, &facts, &pool, terms, source)?;
    let before = manifest.served.clone().unwrap_or_else(|| served::served(own, &ours));
    if served.ends_at(facts.not_after) <= before.ends_at(facts.not_after) {
        return Err(nothing("no chain that verifies ends later"));
    }
    fixed::check_room(disk, layout, ground, entry)?;
    let ends_at = served.ends_at(facts.not_after);
    let set = NewSet {
        leaf: own,
        facts: &facts,
        chain: &chain,
        root: root.as_ref(),
        key: &key_of(disk, &folder, &manifest)?,
        attempt: manifest.attempt,
        profile: &manifest.profile,
        served: &served,
        refreshes: Some(generation),
        remarks: &told(&manifest, root.is_some(), doubts.into_iter().chain(remarks), terms.now).into(),
    };
    Ok((install(disk, layout, ground, entry, &set, terms.keep)?, ends_at))
}

/// The best chain by the gate's rules. One that some clients may refuse, or that cannot be judged, takes the place of none
/// that is free of that doubt.
fn anew(
    entry: &Entry,
    manifest: &Manifest,
    leaf: &Certificate,
    facts: &Leaf,
    pool: &[Certificate],
    terms: &Terms<'_>,
    source: Source<'_>,
) -> Result<Anew, Failure> {
    let is_at_hand = |ca: &Certificate| match source {
        Source::Profile => true,
        Source::Files(_) => pool.contains(ca),
    };
    let is_trusted = |ca: &&Certificate| is_at_hand(ca) || ca.is_named_as_issuer_of(ca);
    let issuers: Vec<Certificate> = terms.issuers.iter().filter(is_trusted).cloned().chain(manifest.root()).collect();
    let usages = entry.usages.as_deref().unwrap_or(&facts.usages);
    let above = Above { pool, issuers: &issuers, pin: entry.issuer.as_deref(), usages, now: terms.now };
    let mut anew = gate::anew::judge(leaf, facts, &above).map_err(|why| {
        let why: Vec<_> = why.iter().map(Text::as_str).collect();
        nothing(&why.join("; "))
    })?;
    let is_above = |root: &Certificate| anew.chain.last().is_some_and(|last| root.is_named_as_issuer_of(last));
    anew.root = anew.root.or_else(|| manifest.root().filter(is_above));
    if !anew.chain.iter().all(is_at_hand) {
        return Err(nothing("the better chain is the profile's, and not in the files"));
    }
    let is_known = |doubt: &&Remark| manifest.remarks.list.iter().any(|remark| remark.code == doubt.code);
    match anew.doubts.iter().find(|doubt| !is_known(doubt)) {
        Some(doubt) => Err(nothing(doubt.message.as_str())),
        None => Ok(anew),
    }
}

/// What is told of the set: what was noted of the leaf, and what the new path gives reason to tell.
fn told(manifest: &Manifest, has_root: bool, of_path: impl Iterator<Item = Remark>, now: Timestamp) -> Remarks {
    let is_of_leaf = |remark: &&Remark| {
        let is_of_chain = matches!(remark.code, Code::ChainEndsFirst | Code::PathUnjudged | Code::SignatureUnjudged);
        let is_over = has_root && remark.code == Code::RootUnknown;
        !is_of_chain && !is_over
    };
    let mut list: Vec<Remark> = manifest.remarks.list.iter().filter(is_of_leaf).cloned().collect();
    for remark in of_path {
        if !list.contains(&remark) {
            list.push(remark);
        }
    }
    Remarks { since: manifest.remarks.since.or(Some(now)).filter(|_| !list.is_empty()), list }
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

#[cfg(test)]
mod tests;
