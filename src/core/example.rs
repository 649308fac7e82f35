//! An ordinary certificate for the core's tests: 90 days from the epoch's noon, under a profile with 30 days' window.

use std::sync::Arc;
use std::time::Duration;

use super::decide::GlobalState;
use super::event::{Event, Method};
use super::failure::{Failure, FailureClass};
use super::name::{Attempt, Digest, Generation, ProfileId, ProfileRef, SerialNumber};
use super::record::Record;
use super::time::Timestamp;
use crate::core::compact::boxed_default::BoxedDefault;
use crate::core::compact::packed_names::Naming;
use crate::core::compact::settings::EntrySettings;
use crate::core::known::cached_profile::CachedProfile;
use crate::core::known::observed::{Installed, Observed};
use crate::core::known::profile::{Origin, Profile, ProfileAttribute};
use crate::core::wanted::entry::{Entry, Sans, Source};
use crate::core::wanted::key::KeyType;
use crate::core::wanted::usage::Usage;

pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// The start of the ordinary certificate.
pub(crate) const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

pub(super) fn entry() -> Entry {
    let naming = Naming {
        own_seat: None,
        common_name: Some("www.example.com".to_owned()),
        names: Sans { dns_names: vec!["www.example.com".to_owned()], ..Sans::default() },
    };
    Entry { naming: naming.into(), ..bare("www") }
}

/// An entry that says nothing but its name and its profile.
pub(crate) fn bare(name: &str) -> Entry {
    Entry {
        name: name.parse().unwrap(),
        source: Source { file: "certs.d/www.toml".into(), line: 1 },
        naming: Naming::default().into(),
        probes: BoxedDefault::default(),
        files: BoxedDefault::default(),
        terms: Arc::new(EntrySettings::new(ProfileRef::Id(ProfileId("p".into())))),
    }
}

/// Changes whom an entry's certificate is for.
pub(super) fn rename(entry: &mut Entry, change: impl FnOnce(&mut Naming)) {
    let mut naming = Naming::from(&entry.naming);
    change(&mut naming);
    entry.naming = naming.into();
}

pub(super) fn attribute(key: &str) -> ProfileAttribute {
    ProfileAttribute { key: key.to_owned(), mandatory: false, multiple: false, origin: Origin::Request }
}

pub(crate) fn profile() -> Profile {
    Profile {
        id: ProfileId("p".into()),
        name: "Web".to_owned(),
        status: "Active".to_owned(),
        enrollment_method: "rest_api".to_owned(),
        authentication_method: "third_party_app".to_owned(),
        renewal_window_days: Some(30),
        odd_window: None,
        allows_duplicates: true,
        allows_validity: false,
        validity: None,
        keys: vec![KeyType::EcdsaP256, KeyType::EcdsaP384],
        unknown_keys: Vec::new(),
        allowed_names: Vec::new(),
        custom_values: Vec::new(),
        escrows_keys: false,
        subject: vec![attribute("common_name"), attribute("country")],
        san: vec![ProfileAttribute { multiple: true, ..attribute("dns_names") }],
        issuers: Vec::new(),
        cas: Vec::new(),
        needs_approval: false,
        shown: Default::default(),
    }
}

/// A certificate that lives so long from [`START`] on, its renewal time at the very start of the window.
pub(crate) fn installed(lifetime: Duration) -> Installed {
    Installed {
        generation: Generation(0),
        attempt: None,
        serial_number: SerialNumber("0A".to_owned()),
        fingerprint: Digest([0; 32]),
        spki: Digest([1; 32]),
        not_before: START,
        not_after: START + lifetime,
        chain: Arc::default(),
        key: Some(KeyType::EcdsaP256),
        usages: Usage::list(Vec::new()),
        profile: Some(ProfileId("p".into())),
        differs: None,
        drift: BoxedDefault::default(),
        renewed_elsewhere: false,
        is_refreshed: false,
        remarks: BoxedDefault::default(),
    }
}

pub(super) fn live(lifetime: Duration) -> Observed {
    Observed::Installed(Box::new(installed(lifetime)))
}

/// The profile, read at this instant.
pub(crate) fn read(profile: Profile, at: Timestamp) -> CachedProfile {
    CachedProfile { profile: Some(profile), read_at: Some(at), ..CachedProfile::default() }
}

pub(super) fn global_state() -> GlobalState {
    GlobalState {
        submissions_per_day: 6,
        status_check_interval: None,
        first_poll: Duration::from_secs(30),
        clock_wrong: None,
        journal_too_new: false,
        can_search: true,
        can_check: true,
        clock_is_compared: true,
        api_is_blocked: false,
        api_recovered_at: None,
        api_checked_at: None,
        asks_nobody: false,
        freezes: [].into(),
    }
}

pub(super) fn failure(class: FailureClass) -> Failure {
    Failure::new(class, "it said no")
}

pub(crate) fn submitting(attempt: u64) -> Event {
    Event::Submitting {
        attempt: Attempt(attempt),
        method: Method::New,
        asked: entry().asked(),
        profile: ProfileId("p".into()),
        profile_version: profile().version(),
        key: KeyType::EcdsaP256,
        spki: Digest([2; 32]),
        expiring: true,
        demands: Some(entry().demands()),
    }
}

/// A record of these events.
pub(super) fn record(events: &[(Timestamp, Event)]) -> Record {
    let mut record = Record::default();
    events.iter().for_each(|(at, event)| record.apply(*at, event));
    record
}
