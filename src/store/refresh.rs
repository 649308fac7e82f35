//! Refreshing a chain: the installed key and leaf with a better chain that the profile shows, as a generation of its own,
//! so that every file of the set changes in one switch.

use std::path::Path;

use zeroize::Zeroizing;

use crate::core::code::Code;
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::issuer::ServedChain;
use crate::core::known::observed::Leaf;
use crate::core::name::{Attempt, Generation, ProfileId};
use crate::core::remark::{RareRemarks, Remark, Remarks};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::pki::certificate::Certificate;
use crate::pki::gate::anew::{Above, Anew};
use crate::pki::key::PrivateKey;
use crate::pki::{gate, leaf, served};

use super::content::KEY;
use super::disk::Disk;
use super::disk_failure;
use super::generation::{NewSet, install, live_generation, live_manifest};
use super::layout::Layout;
use super::manifest::Manifest;
use super::observe::{self, FILE_LIMIT, adopted};
use super::repair::{RepairInputs, recorded};
use crate::store::targets::{self, ServiceIdentity};

/// Where a better chain may come from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// What the profile of this id shows.
    Profile(&'a ProfileId),
    /// These alone, which stand in the files in place of ours. What the profile shows says only whom to trust.
    Files(&'a [Certificate]),
}

/// The installed set, as far as another chain does not change it.
struct Live {
    generation: Generation,
    attempt: Attempt,
    profile: ProfileId,
    leaf: Certificate,
    facts: Leaf,
    /// The certificates at hand.
    pool: Vec<Certificate>,
    root: Option<Certificate>,
    served: ServedChain,
    noted: RareRemarks,
    key: Zeroizing<String>,
}

impl Live {
    fn of(disk: &dyn Disk, layout: &Layout, entry: &Entry, source: Source<'_>) -> Result<Self, Failure> {
        match (live_manifest(disk, layout, &entry.name)?, source) {
            (Some((generation, manifest)), _) => Self::recorded(disk, layout, entry, (generation, &manifest), source),
            (None, Source::Profile(profile)) if live_generation(disk, layout, &entry.name)?.is_none() => {
                Self::adopted(disk, layout, entry, profile)
            }
            (None, Source::Profile(_) | Source::Files(_)) => Err(nothing("there is no manifest of the installed set")),
        }
    }

    fn recorded(
        disk: &dyn Disk,
        layout: &Layout,
        entry: &Entry,
        (generation, manifest): (Generation, &Manifest),
        source: Source<'_>,
    ) -> Result<Self, Failure> {
        let folder = layout.generation(&entry.name, generation);
        let found = if let Source::Files(found) = source { found } else { &[] };
        let ours = recorded(disk, &folder, manifest).unwrap_or_default();
        let pool = [&ours, found].concat();
        let is_own = |certificate: &&Certificate| certificate.fingerprint() == manifest.fingerprint;
        let leaf = pool.iter().find(is_own).ok_or_else(|| nothing("the leaf was changed"))?.clone();
        Ok(Self {
            generation,
            attempt: manifest.attempt,
            profile: manifest.profile.clone(),
            facts: facts(&leaf)?,
            root: manifest.root(),
            served: manifest.served.clone().unwrap_or_else(|| served::served(&leaf, &ours)),
            noted: manifest.remarks.clone(),
            key: key_of(disk, &folder, manifest)?,
            leaf,
            pool,
        })
    }

    /// Files that were there before renewd count as of their entry's profile.
    fn adopted(disk: &dyn Disk, layout: &Layout, entry: &Entry, profile: &ProfileId) -> Result<Self, Failure> {
        let observed = observe::observe(disk, layout, entry);
        let installed = observed.installed().ok_or_else(|| nothing("nothing usable is installed"))?;
        let (leaf, pool, key) = adopted::parts(disk, entry, installed.fingerprint)
            .ok_or_else(|| nothing("renewd cannot use the installed key for another set of files"))?;
        Ok(Self {
            generation: Generation(0),
            attempt: Attempt(0),
            profile: profile.clone(),
            facts: facts(&leaf)?,
            root: None,
            served: ServedChain::clone(&installed.chain),
            noted: RareRemarks::new(),
            key: key.to_pem(),
            leaf,
            pool,
        })
    }
}

fn facts(leaf: &Certificate) -> Result<Leaf, Failure> {
    leaf::read(leaf).map_err(|error| nothing(&error.to_string()))
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
    identity: &ServiceIdentity,
    entry: &Entry,
    terms: &RepairInputs<'_>,
    source: Source<'_>,
) -> Result<(Generation, Timestamp), Failure> {
    let live = Live::of(disk, layout, entry, source)?;
    let Anew { chain, root, served, doubts, remarks } = anew(entry, &live, terms, source)?;
    let ends_at = served.ends_at(live.facts.not_after);
    if ends_at <= live.served.ends_at(live.facts.not_after) {
        return Err(nothing("no chain that verifies ends later"));
    }
    targets::check_room(disk, layout, identity, entry)?;
    let set = NewSet {
        leaf: &live.leaf,
        facts: &live.facts,
        chain: &chain,
        root: root.as_ref(),
        key: &live.key,
        attempt: live.attempt,
        profile: &live.profile,
        served: &served,
        refreshes: Some(live.generation),
        remarks: &told(&live.noted, root.is_some(), doubts.into_iter().chain(remarks), terms.now).into(),
    };
    Ok((install(disk, layout, identity, entry, &set, terms.keep)?, ends_at))
}

/// The best chain by the gate's rules. One that some clients may refuse, or that cannot be judged, takes the place of none
/// that is free of that doubt.
fn anew(entry: &Entry, live: &Live, terms: &RepairInputs<'_>, source: Source<'_>) -> Result<Anew, Failure> {
    let is_at_hand = |ca: &Certificate| match source {
        Source::Profile(_) => true,
        Source::Files(_) => live.pool.contains(ca),
    };
    let is_trusted = |ca: &&Certificate| is_at_hand(ca) || ca.is_named_as_issuer_of(ca);
    let issuers: Vec<Certificate> = terms.issuers.iter().filter(is_trusted).cloned().chain(live.root.clone()).collect();
    let usages = entry.usages.as_deref().unwrap_or(&live.facts.usages);
    let above = Above { pool: &live.pool, issuers: &issuers, pin: entry.issuer.as_deref(), usages, now: terms.now };
    let mut anew = gate::anew::judge(&live.leaf, &live.facts, &above).map_err(|why| {
        let why: Vec<_> = why.iter().map(Text::as_str).collect();
        nothing(&why.join("; "))
    })?;
    let is_above = |root: &Certificate| anew.chain.last().is_some_and(|last| root.is_named_as_issuer_of(last));
    anew.root = anew.root.or_else(|| live.root.clone().filter(is_above));
    if !anew.chain.iter().all(is_at_hand) {
        return Err(nothing("the better chain comes from the profile, not from the files"));
    }
    let is_known = |doubt: &&Remark| live.noted.list.iter().any(|remark| remark.code == doubt.code);
    match anew.doubts.iter().find(|doubt| !is_known(doubt)) {
        Some(doubt) => Err(nothing(doubt.message.as_str())),
        None => Ok(anew),
    }
}

/// What is told of the set: what was noted of the leaf, and what the new path gives reason to tell.
fn told(noted: &Remarks, has_root: bool, of_path: impl Iterator<Item = Remark>, now: Timestamp) -> Remarks {
    let is_of_leaf = |remark: &&Remark| {
        let is_of_chain = matches!(remark.code, Code::ChainEndsFirst | Code::PathUnjudged | Code::SignatureUnjudged);
        let is_over = has_root && remark.code == Code::RootUnknown;
        !is_of_chain && !is_over
    };
    let mut list: Vec<Remark> = noted.list.iter().filter(is_of_leaf).cloned().collect();
    for remark in of_path {
        if !list.contains(&remark) {
            list.push(remark);
        }
    }
    Remarks { since: noted.since.or(Some(now)).filter(|_| !list.is_empty()), list, older_key: None }
}

fn key_of(disk: &dyn Disk, folder: &Path, manifest: &Manifest) -> Result<Zeroizing<String>, Failure> {
    let path = folder.join(KEY);
    let bytes = disk.read(&path, FILE_LIMIT).map_err(|error| disk_failure("read", &path, &error))?;
    let key = PrivateKey::from_pem(&Zeroizing::new(bytes)).map_err(|error| nothing(&error.to_string()))?;
    if key.spki() == manifest.spki { Ok(key.to_pem()) } else { Err(nothing("the key belongs to another certificate")) }
}

fn nothing(why: &str) -> Failure {
    Failure::new(FailureClass::NoWayBack, format!("the chain is not refreshed: {why}"))
}

#[cfg(test)]
mod tests;
