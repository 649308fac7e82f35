//! Installs a set for every entry, as an issue that went well would have, and writes what the journal says of it.

use std::sync::Arc;
use std::time::Duration;
use std::{io, thread};

use rcgen::{KeyPair, RsaKeySize};

use renewd::config::{Inventory, Main};
use renewd::core::event::{self, Event, Method};
use renewd::core::failure::Failure;
use renewd::core::known::cached_profile::CachedProfile;
use renewd::core::known::observed::Leaf;
use renewd::core::known::profile::{Origin, Profile, ProfileAttribute};
use renewd::core::name::{Attempt, Generation, ProfileId, ProfileRef};
use renewd::core::remark::RareRemarks;
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Entry;
use renewd::core::wanted::key::KeyType;
use renewd::daemon::last_good::Kept;
use renewd::daemon::setup;
use renewd::pki::key::PrivateKey;
use renewd::pki::{leaf, served};
use renewd::store::generation::{self, NewSet};
use renewd::store::journal::{Folded, Journal};
use renewd::store::layout::Layout;
use renewd::store::targets::ServiceIdentity;
use renewd::store::{disk_failure, profile_cache, replace};

use super::Spec;
use super::ca::Ca;
use super::disk::Unsynced;

/// What all installs have in common.
struct Workshop<'a> {
    disk: Unsynced,
    layout: Layout,
    identity: ServiceIdentity,
    spec: &'a Spec,
    ca: &'a Ca,
    profile: Profile,
    rsa: Vec<KeyPair>,
    now: Timestamp,
}

/// Fills the state directory.
pub(super) fn all(
    disk: Unsynced,
    main: &Main,
    inventory: &Inventory,
    spec: &Spec,
    ca: &Ca,
    now: Timestamp,
) -> io::Result<()> {
    let profile = profile(&spec.api.profile, ca);
    let rsa = if spec.rsa > 0 && spec.absent < 100 { rsa_pool() } else { Vec::new() };
    let layout = Layout::new(&main.state_dir);
    let workshop = Workshop { disk, layout, identity: setup::identity(main), spec, ca, profile, rsa, now };
    for (folder, mode) in [(workshop.layout.certs(), 0o755), (workshop.layout.pending(), 0o700)] {
        replace::ensure_dir(&disk, &folder, mode)?;
    }
    let labels = inventory.in_force.keys().cloned().collect();
    let (mut kept, _) = Kept::open(Arc::new(disk), &workshop.layout, Timestamp::default());
    kept.note(&inventory.in_force, &labels).map_err(io::Error::other)?;
    let reading = CachedProfile { profile: Some(workshop.profile.clone()), ..CachedProfile::default() };
    profile_cache::write(&disk, &workshop.layout, &[(ProfileRef::new(&spec.api.profile), reading)])
        .map_err(io::Error::other)?;
    let mut events = workshop.install(&inventory.entries).map_err(io::Error::other)?;
    events.sort_by(|one, other| (one.at, &one.name).cmp(&(other.at, &other.name)));
    workshop.record(&events).map_err(io::Error::other)
}

impl Workshop<'_> {
    /// On all cores; the entries stand in the order of their names, which is that of their numbers.
    fn install(&self, entries: &[Arc<Entry>]) -> Result<Vec<event::Entry>, Failure> {
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let share = entries.len().div_ceil(threads).max(1);
        let install = |part: usize, entries: &[Arc<Entry>]| {
            let mut events = Vec::new();
            for (at, entry) in entries.iter().enumerate() {
                let index = part * share + at;
                if !self.spec.is_absent(index) {
                    events.extend(self.install_one(index, entry)?);
                }
            }
            Ok(events)
        };
        thread::scope(|scope| {
            let parts = entries.chunks(share).enumerate();
            let running: Vec<_> = parts.map(|(part, entries)| scope.spawn(move || install(part, entries))).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect::<Result<Vec<_>, _>>()
        })
        .map(|parts| parts.concat())
    }

    fn install_one(&self, index: usize, entry: &Entry) -> Result<Vec<event::Entry>, Failure> {
        let not_after = self.spec.not_after(index, self.now);
        // A lifetime of 90 days, unless that would begin ahead.
        let not_before = (not_after - LIFETIME).min(self.now - Duration::from_secs(3600));
        let made;
        let pair = if self.spec.is_rsa(index) {
            &self.rsa[index % self.rsa.len()]
        } else {
            made = KeyPair::generate().unwrap();
            &made
        };
        let leaf = self.ca.issue(entry, pair, (not_before, not_after));
        let facts = leaf::read(&leaf).unwrap();
        let key = PrivateKey::from_pem(pair.serialize_pem().as_bytes()).unwrap();
        let attempt = Attempt(1);
        // The folder that a request leaves behind.
        let folder = self.layout.pending_of(&entry.name);
        replace::ensure_dir(&self.disk, &folder, 0o700)
            .map_err(|error| disk_failure("make the folder", &folder, &error))?;
        let above = [self.ca.intermediate().clone(), self.ca.root().clone()];
        let set = NewSet {
            leaf: &leaf,
            facts: &facts,
            chain: std::slice::from_ref(self.ca.intermediate()),
            root: Some(self.ca.root()),
            key: &key.to_pem(),
            attempt,
            profile: &self.profile.id,
            served: &served::served(&leaf, &above),
            refreshes: None,
            remarks: &RareRemarks::new(),
        };
        let generation = generation::install(&self.disk, &self.layout, &self.identity, entry, &set, 3)?;
        Ok(self.events(entry, &facts, attempt, generation))
    }

    /// What the journal says of an issue that went well.
    fn events(&self, entry: &Entry, facts: &Leaf, attempt: Attempt, generation: Generation) -> Vec<event::Entry> {
        let serial_number = facts.serial_number.clone();
        let submitting = Event::Submitting {
            attempt,
            method: Method::New,
            asked: entry.asked(),
            profile: self.profile.id.clone(),
            profile_version: self.profile.version(),
            key: facts.key.unwrap_or(KeyType::EcdsaP256),
            spki: facts.spki,
            expiring: false,
            demands: Some(entry.demands()),
        };
        let installed = Event::Installed {
            attempt,
            generation,
            serial_number: serial_number.clone(),
            fingerprint: facts.fingerprint,
            not_after: facts.not_after,
            hooks: entry.hooks.clone(),
            issuer: None,
            chain_end: None,
            replaces: None,
        };
        let mut events = vec![submitting, Event::Issued { attempt, serial_number }, installed];
        events.extend(entry.hooks.iter().cloned().map(|hook| Event::HookDone { hook, generation, output: None }));
        let first = facts.not_before + Duration::from_secs(60);
        let entry_of = |(step, event)| event::Entry { at: first + STEP * step, name: entry.name.clone(), event };
        (0..).zip(events).map(entry_of).collect()
    }

    fn record(&self, events: &[event::Entry]) -> Result<(), Failure> {
        let (mut journal, _) = Journal::open::<Folded>(Arc::new(self.disk), &self.layout, self.now)?;
        events.chunks(10_000).try_for_each(|events| journal.append(events))
    }
}

/// Keys that are drawn from: making one takes a tenth of a second.
fn rsa_pool() -> Vec<KeyPair> {
    let make = || KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = RSA_KEYS.div_ceil(threads);
    thread::scope(|scope| {
        let running: Vec<_> =
            (0..threads).map(|_| scope.spawn(move || (0..share).map(|_| make()).collect::<Vec<_>>())).collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// A profile as TLM would show it.
fn profile(id: &str, ca: &Ca) -> Profile {
    let attribute =
        |key: &str| ProfileAttribute { key: key.to_owned(), mandatory: false, multiple: true, origin: Origin::Request };
    Profile {
        id: ProfileId(id.into()),
        name: "Example".to_owned(),
        status: "Active".to_owned(),
        enrollment_method: "rest_api".to_owned(),
        authentication_method: "third_party_app".to_owned(),
        renewal_window_days: Some(30),
        odd_window: None,
        allows_duplicates: true,
        allows_validity: false,
        validity: None,
        keys: vec![KeyType::EcdsaP256, KeyType::Rsa2048],
        unknown_keys: Vec::new(),
        allowed_names: Vec::new(),
        custom_values: Vec::new(),
        escrows_keys: false,
        subject: vec![attribute("common_name")],
        san: vec![attribute("dns_names")],
        issuers: vec![ca.intermediate().to_pem(), ca.root_pem()],
        cas: [ca.intermediate(), ca.root()].into_iter().filter_map(served::end_of).collect(),
        needs_approval: false,
        shown: Default::default(),
    }
}

const LIFETIME: Duration = Duration::from_secs(90 * 86_400);
/// Between two events of one issue.
const STEP: Duration = Duration::from_millis(200);
const RSA_KEYS: usize = 32;
