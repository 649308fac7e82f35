//! What was found, put together: each certificate once, with its files, who serves it, which configuration names it, and who
//! renews it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::ask::{Service, Sight};
use super::files::{File, Files, Lack, tidied};
use super::managers::Managed;
use super::mention::Mention;
use crate::core::known::observed::Leaf;
use crate::core::name::Digest;
use crate::core::time::Timestamp;
use crate::pki::certificate::Certificate;
use crate::pki::{chain, leaf};

/// What a configuration names, as it was found.
pub(super) struct Named<'s> {
    pub(super) mention: &'s Mention,
    /// The file of the certificate, where it really lies.
    pub(super) certificate: Result<PathBuf, Lack>,
    /// The file of the key; `None`: the certificate's.
    pub(super) key: Option<Result<PathBuf, Lack>>,
}

/// A certificate of this host.
pub(super) struct Finding<'s> {
    pub(super) leaf: Certificate,
    pub(super) facts: Leaf,
    /// The files that hold it, by where they really lie.
    pub(super) files: BTreeSet<PathBuf>,
    /// The files that hold its key.
    pub(super) keys: BTreeSet<PathBuf>,
    /// Who names it.
    pub(super) named: Vec<&'s Named<'s>>,
    /// Who shows it, and to those that ask for which names.
    pub(super) shown: Vec<(&'s Service, Vec<&'s Sight>)>,
    pub(super) managed: Option<&'s Managed>,
    /// Its chain's end, where that comes first.
    pub(super) chain_ends: Option<(Timestamp, String)>,
}

/// Looks into every file that a configuration or a manager names.
pub(super) fn look_at<'s>(mentions: &'s [Mention], managed: &[Managed], files: &mut Files) -> Vec<Named<'s>> {
    let mut named = Vec::new();
    for mention in mentions {
        let password = mention.password.as_ref().map(|password| password.0.as_str());
        let certificate = files.named(&mention.certificate, password);
        let key = mention.key.as_ref().map(|key| files.named(key, password));
        if let Some(chain) = &mention.chain {
            drop(files.named(chain, None));
        }
        named.push(Named { mention, certificate, key });
    }
    for managed in managed {
        drop(files.named(&managed.certificate, None));
    }
    named
}

/// Each certificate once, those that end first at the top.
pub(super) fn all<'s>(
    named: &'s [Named<'s>],
    services: &'s [Service],
    managed: &'s [Managed],
    files: &'s Files,
) -> Vec<Finding<'s>> {
    let mut found: BTreeMap<Digest, Finding<'s>> = BTreeMap::new();
    for service in services {
        for sight in &service.sights {
            let Some(finding) = entry(&mut found, &sight.leaf) else { continue };
            match finding.shown.iter_mut().find(|(known, _)| std::ptr::eq(*known, service)) {
                Some((_, sights)) => sights.push(sight),
                None => finding.shown.push((service, vec![sight])),
            }
        }
    }
    for (real, file) in files.all() {
        for certificate in leaves(file, is_named(named, real)) {
            if let Some(finding) = entry(&mut found, certificate) {
                finding.files.insert(real.clone());
            }
        }
    }
    let mut all: Vec<Finding<'s>> = found.into_values().collect();
    for finding in &mut all {
        finding.complete(named, managed, files);
    }
    all.sort_by_cached_key(|finding| (finding.ends_at(), finding.title()));
    all
}

fn entry<'f, 's>(found: &'f mut BTreeMap<Digest, Finding<'s>>, leaf: &Certificate) -> Option<&'f mut Finding<'s>> {
    let place = match found.entry(leaf.fingerprint()) {
        Entry::Occupied(known) => return Some(known.into_mut()),
        Entry::Vacant(place) => place,
    };
    Some(place.insert(Finding {
        leaf: leaf.clone(),
        facts: leaf::in_service(leaf.der()).ok()?.leaf,
        files: BTreeSet::new(),
        keys: BTreeSet::new(),
        named: Vec::new(),
        shown: Vec::new(),
        managed: None,
        chain_ends: None,
    }))
}

fn is_named(named: &[Named<'_>], real: &Path) -> bool {
    named.iter().any(|named| named.certificate.as_deref() == Ok(real))
}

/// The certificates of a file that are no CA's; of one that a server is to show, and of one with its own key, the first in any
/// case: `openssl req -x509` makes CAs.
fn leaves(file: &File, is_named: bool) -> Vec<&Certificate> {
    let all = &file.found.certificates;
    let mut leaves: Vec<&Certificate> = all.iter().filter(|certificate| !certificate.is_ca()).collect();
    let own = all.first().filter(|first| is_named || file.found.has_key_of(first));
    if leaves.is_empty() {
        leaves.extend(own);
    }
    leaves
}

impl<'s> Finding<'s> {
    fn complete(&mut self, named: &'s [Named<'s>], managed: &'s [Managed], files: &'s Files) {
        let holds = |real: &Path| self.files.contains(real);
        self.named = named.iter().filter(|named| named.certificate.as_deref().is_ok_and(holds)).collect();
        self.managed = managed
            .iter()
            .find(|managed| std::fs::canonicalize(&managed.certificate).is_ok_and(|real| self.files.contains(&real)));
        self.keys = self.near_keys(files);
        let beside = self.files.iter().filter_map(|real| files.get(real)).flat_map(|file| &file.found.certificates);
        let shown = self.shown.iter().flat_map(|(_, sights)| sights.iter().flat_map(|sight| &sight.chain));
        let above: Vec<Certificate> = beside.chain(shown).cloned().collect();
        let end = chain::served_end(&self.leaf, &above).filter(|end| end.at < self.facts.not_after);
        self.chain_ends = end.map(|end| (end.at, end.subject.to_string()));
    }

    /// Files with its key: those that a configuration names beside it, and those that lie near.
    fn near_keys(&self, files: &Files) -> BTreeSet<PathBuf> {
        let named: BTreeSet<&Path> =
            self.named.iter().filter_map(|named| named.key.as_ref()?.as_deref().ok()).collect();
        let folders: BTreeSet<&Path> = self.files.iter().filter_map(|file| file.parent()).collect();
        let is_near = |real: &Path| {
            let folder = real.parent();
            let beside = folder.is_some_and(|folder| {
                folders.contains(folder)
                    || folder.parent().is_some_and(|above| folders.iter().any(|f| f.parent() == Some(above)))
            });
            named.contains(real) || beside
        };
        let keys = files.all().filter(|(real, _)| is_near(real)).filter(|(_, file)| file.found.has_key_of(&self.leaf));
        keys.map(|(real, _)| real.clone()).collect()
    }

    /// Whom it is for: its first name.
    pub(super) fn title(&self) -> String {
        let names = &self.facts.names;
        let first = names.dns_names.first().cloned().or_else(|| names.ip_addresses.first().map(ToString::to_string));
        first.unwrap_or_else(|| self.leaf.label().to_string().trim_matches('"').to_owned())
    }

    /// How many more names it has.
    pub(super) fn more_names(&self) -> usize {
        (self.facts.names.dns_names.len() + self.facts.names.ip_addresses.len()).saturating_sub(1)
    }

    /// The end that counts: the earliest of leaf and chain.
    pub(super) fn ends_at(&self) -> Timestamp {
        self.chain_ends.as_ref().map_or(self.facts.not_after, |(at, _)| self.facts.not_after.min(*at))
    }

    /// Whether anybody depends on it: it is shown, named by a configuration, or looked after.
    pub(super) fn is_used(&self) -> bool {
        !self.shown.is_empty() || !self.named.is_empty() || self.managed.is_some()
    }

    /// The path by which a person knows it: a configuration's, a manager's, else the first.
    pub(super) fn path(&self, files: &Files) -> Option<PathBuf> {
        let named = self.named.first().map(|named| tidied(&named.mention.certificate));
        let managed = || self.managed.map(|managed| managed.certificate.clone());
        let first = || files.get(self.files.first()?)?.paths.first().cloned();
        named.or_else(managed).or_else(first)
    }
}
