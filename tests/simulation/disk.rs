//! The simulated disk: what of the service's files is durable. Torn writes are the crash tests' business; here each
//! write is there or is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use renewd::core::event;
use renewd::core::failure::{Failure, FailureClass};
use renewd::core::known::cached_profile::CachedProfile;
use renewd::core::known::observed::{Installed, Observed, difference};
use renewd::core::known::profile::Profile;
use renewd::core::known::replaced::Replaced;
use renewd::core::name::{Attempt, CertName, Digest, Generation, HookName, ProfileId, ProfileRef};
use renewd::core::remark::RareRemarks;
use renewd::core::text::Text;
use renewd::core::wanted::entry::{Asked, Entry};
use renewd::core::wanted::key::KeyType;
use renewd::core::wanted::usage::Usage;
use renewd::engine::notices::Told;

use crate::tlm::Certificate;

/// The files of a request.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) spki: Digest,
    pub(crate) key: KeyType,
    /// What TLM answered: the certificate, and whether its chain came along.
    pub(crate) answer: Option<(Arc<Certificate>, bool)>,
}

/// An installed set.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) generation: Generation,
    pub(crate) certificate: Arc<Certificate>,
    pub(crate) attempt: Attempt,
    /// The manifest; `None` where somebody's own files are there.
    pub(crate) manifest: Option<(Asked, ProfileId)>,
    pub(crate) damaged: bool,
    pub(crate) drifted: bool,
    /// What it took the place of, where that is to be revoked.
    pub(crate) replaces: Option<Box<Replaced>>,
    /// What somebody put in its place.
    pub(crate) foreign: Option<Arc<Certificate>>,
}

#[derive(Debug, Default)]
pub(crate) struct Disk {
    /// Why nothing can be written.
    pub(crate) fault: Option<FailureClass>,
    /// Whether the installed files cannot be read.
    pub(crate) unreadable: bool,
    pub(crate) journal: Vec<event::Entry>,
    pub(crate) pending: BTreeMap<(CertName, Attempt), Pending>,
    pub(crate) live: BTreeMap<CertName, Live>,
    /// The other generations that are kept, the oldest first.
    pub(crate) others: BTreeMap<CertName, Vec<Live>>,
    /// The highest generation of each certificate.
    pub(crate) generations: BTreeMap<CertName, u64>,
    pub(crate) readings: BTreeMap<ProfileRef, Profile>,
    pub(crate) told: BTreeMap<HookName, Told>,
}

impl Disk {
    /// Whether something can be written.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        match self.fault {
            Some(class) => Err(Failure::new(class, "the disk takes nothing")),
            None => Ok(()),
        }
    }

    /// Appends what is owed from before and `entries`, all or nothing.
    pub(crate) fn append(&mut self, backlog: &mut Vec<event::Entry>, entry: &event::Entry) -> Result<(), Failure> {
        self.write()?;
        self.journal.append(backlog);
        self.journal.push(entry.clone());
        Ok(())
    }

    /// The readings as they are read at a start.
    pub(crate) fn kept_readings(&self) -> BTreeMap<ProfileRef, CachedProfile> {
        let kept = |(reference, profile): (&ProfileRef, &Profile)| {
            (reference.clone(), CachedProfile { profile: Some(profile.clone()), ..CachedProfile::default() })
        };
        self.readings.iter().map(kept).collect()
    }

    /// Makes a set live under the next number, unless it is already.
    pub(crate) fn install(
        &mut self,
        name: &CertName,
        attempt: Attempt,
        set: &Arc<Certificate>,
        entry: &Entry,
    ) -> Generation {
        if let Some(live) = self.live.get(name)
            && live.certificate.fingerprint == set.fingerprint
            && live.attempt == attempt
            && live.manifest.is_some()
        {
            return live.generation;
        }
        let is_ours = |live: &&Live| live.attempt != Attempt(0) && live.manifest.is_some() && !live.damaged;
        let before = self.live.get(name).filter(|_| entry.revoke_superseded.is_some()).filter(is_ours);
        let before = before.map(|live| &live.certificate).filter(|before| before.fingerprint != set.fingerprint);
        let replaces = before.map(|before| Box::new(before.replaced()));
        let number = self.generations.entry(name.clone()).or_default();
        *number += 1;
        let generation = Generation(*number);
        let live = Live {
            generation,
            certificate: Arc::clone(set),
            attempt,
            manifest: Some((entry.asked(), set.profile.clone())),
            damaged: false,
            drifted: false,
            replaces,
            foreign: None,
        };
        let before = self.live.insert(name.clone(), live);
        let others = self.others.entry(name.clone()).or_default();
        others.extend(before);
        others.sort_by_key(|live| live.generation);
        others.drain(..others.len().saturating_sub(KEPT_BESIDE));
        generation
    }

    /// What the live generation took the place of.
    pub(crate) fn replaced(&self, name: &CertName) -> Option<Box<Replaced>> {
        self.live.get(name)?.replaces.clone()
    }

    /// Makes a generation live that is kept; whether it is.
    pub(crate) fn switch(&mut self, name: &CertName, generation: Generation) -> bool {
        let Some(live) = self.live.get_mut(name) else { return false };
        if live.generation == generation {
            return true;
        }
        let others = self.others.entry(name.clone()).or_default();
        let Some(other) = others.iter_mut().find(|other| other.generation == generation) else { return false };
        std::mem::swap(live, other);
        others.sort_by_key(|live| live.generation);
        true
    }

    pub(crate) fn observe(&self, entry: &Entry) -> Observed {
        let Some(live) = self.live.get(&entry.name) else { return Observed::Absent };
        if self.unreadable {
            return Observed::Unreadable(Box::new(Text::new("permission denied")));
        }
        if live.damaged {
            return Observed::Damaged(Box::new(Text::new("it is no PEM file")));
        }
        let certificate = &live.certificate;
        let differs = match &live.manifest {
            Some((asked, _)) if entry.asks(asked) => None,
            of_manifest => difference(entry, of_manifest.as_ref().map(|(asked, _)| asked), &certificate.leaf()),
        };
        let is_edited = live.drifted || live.foreign.is_some();
        let drift = if is_edited { vec![Text::new("it is not as it was written")] } else { Vec::new() };
        let foreign = live.foreign.as_ref();
        Observed::Installed(Box::new(Installed {
            generation: live.generation,
            attempt: live.manifest.as_ref().map(|_| live.attempt),
            differs: differs.map(Box::new),
            profile: live.manifest.as_ref().map(|(_, profile)| profile.clone()),
            serial_number: certificate.serial.clone(),
            fingerprint: certificate.fingerprint,
            spki: certificate.spki,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            key: Some(KeyType::EcdsaP256),
            usages: Usage::list(certificate.usages()),
            drift: drift.into(),
            renewed_elsewhere: foreign.is_some_and(|theirs| theirs.not_after > live.certificate.not_after),
            is_refreshed: false,
            chain: Arc::default(),
            remarks: RareRemarks::new(),
        }))
    }
}

/// `keep_generations = 3`, the live one among them.
const KEPT_BESIDE: usize = 2;
