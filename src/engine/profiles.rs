//! The readings of the profiles: what is known, and which are being read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::core::backoff;
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::cached_profile::{CachedProfile, FailedRead};
use crate::core::known::profile::Profile;
use crate::core::name::{CertName, ProfileRef};
use crate::core::request;
use crate::core::time::Timestamp;

/// What is known of every profile that an entry names.
#[derive(Debug, Default)]
pub struct ProfileCache {
    readings: BTreeMap<ProfileRef, CachedProfile>,
    being_read: BTreeSet<ProfileRef>,
    /// Those of them that wait for a place.
    waiting: VecDeque<ProfileRef>,
    /// Those that are read without one.
    unplaced: BTreeSet<ProfileRef>,
    /// Those whose reading left before an operator may have changed the profile.
    outdated: BTreeSet<ProfileRef>,
    /// Those of the disk whose first reading can wait, and until when.
    late: BTreeSet<ProfileRef>,
    late_until: Timestamp,
    nothing: CachedProfile,
}

impl ProfileCache {
    /// With the readings that were kept on the disk: they serve, and are not fresh.
    #[must_use]
    pub fn new(readings: BTreeMap<ProfileRef, CachedProfile>) -> Self {
        Self { readings, ..Self::default() }
    }

    /// The same at the start of a daemon: what failed before is tried anew. Hosts that start together do not ask together:
    /// what is in order on the disk is read at `first`, unless something is due before.
    #[must_use]
    pub fn at_start(readings: BTreeMap<ProfileRef, CachedProfile>, first: Option<Timestamp>) -> Self {
        let is_good =
            |(_, reading): &(&ProfileRef, &CachedProfile)| reading.profile.is_some() && reading.failure.is_none();
        let good = readings.iter().filter(is_good).map(|(reference, _)| reference.clone());
        let late = if first.is_some() { good.collect() } else { BTreeSet::new() };
        let mut profiles = Self::new(readings);
        profiles.expire();
        Self { late, late_until: first.unwrap_or_default(), ..profiles }
    }

    /// When those are read that could wait.
    #[must_use]
    pub fn late_until(&self) -> Option<Timestamp> {
        (!self.late.is_empty()).then_some(self.late_until)
    }

    /// Takes those that could wait, once they have waited.
    pub fn take_late(&mut self, now: Timestamp) -> BTreeSet<ProfileRef> {
        if now < self.late_until { BTreeSet::new() } else { std::mem::take(&mut self.late) }
    }

    /// What is known of a profile.
    #[must_use]
    pub fn reading(&self, reference: &ProfileRef) -> &CachedProfile {
        self.readings.get(reference).unwrap_or(&self.nothing)
    }

    /// Takes over what another reading says of the same profile, where there is none of its own: an id that was read by
    /// its name, or a name of which just one profile is known. It serves, and is not fresh.
    pub fn know(&mut self, reference: &ProfileRef) {
        if self.readings.contains_key(reference) {
            return;
        }
        if let Some(profile) = self.elsewhere(reference) {
            self.readings
                .insert(reference.clone(), CachedProfile { profile: Some(profile), ..CachedProfile::default() });
        }
    }

    /// The one profile that this names, as it was read by another reference.
    fn elsewhere(&self, reference: &ProfileRef) -> Option<Profile> {
        let is_meant = |profile: &&Profile| match reference {
            ProfileRef::Id(id) => profile.id == *id,
            ProfileRef::Name(name) => profile.name == *name,
        };
        let mut found = self.readings.values().filter_map(|reading| reading.profile.as_ref()).filter(is_meant);
        let first = found.next()?;
        found.all(|other| other.id == first.id).then(|| first.clone())
    }

    /// Whether the reading is a day old, or there is none of this process.
    #[must_use]
    pub fn is_stale(&self, reference: &ProfileRef, now: Timestamp) -> bool {
        if now < self.late_until && self.late.contains(reference) {
            return false;
        }
        let reading = self.reading(reference);
        let waits = reading.failure.as_ref().is_some_and(|failed| failed.until > now);
        !waits && reading.read_at.is_none_or(|at| at + DAILY <= now)
    }

    /// Queues a profile to be read, unless it is queued or being read.
    pub fn request(&mut self, reference: &ProfileRef) {
        if self.being_read.insert(reference.clone()) {
            self.waiting.push_back(reference.clone());
        }
    }

    /// Cancels the queued readings while the circuit breaker is open: which. Certificates request them again later.
    pub fn cancel_queued(&mut self) -> BTreeSet<ProfileRef> {
        let cancelled: BTreeSet<ProfileRef> = self.waiting.drain(..).collect();
        self.being_read.retain(|reference| !cancelled.contains(reference));
        cancelled
    }

    /// The next profile that waits to be read, if there is a place for that, or `is_paused`: then it needs none.
    pub fn next(&mut self, is_paused: bool, take_place: impl FnOnce() -> bool) -> Option<ProfileRef> {
        if self.waiting.is_empty() || !(is_paused || take_place()) {
            return None;
        }
        let next = self.waiting.pop_front()?;
        if is_paused {
            self.unplaced.insert(next.clone());
        }
        Some(next)
    }

    /// The reading of a profile is over: whether it gives a place back.
    pub fn had_place(&mut self, reference: &ProfileRef) -> bool {
        !self.unplaced.remove(reference)
    }

    /// Whether anything is being read, or waits to be.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        !self.being_read.is_empty()
    }

    /// Stores a reading, good or failed, unless it is out of date. `true`: there is something new to keep. `left`: what is
    /// left of the certificate of this profile that ends first.
    pub fn store(
        &mut self,
        reference: &ProfileRef,
        result: Result<Profile, Failure>,
        left: Option<Duration>,
        now: Timestamp,
    ) -> bool {
        self.being_read.remove(reference);
        self.late.remove(reference);
        if self.outdated.remove(reference) {
            return false;
        }
        let reading = self.readings.entry(reference.clone()).or_default();
        match result {
            Ok(profile) => {
                let is_new = reading.failure.is_some() || reading.profile.as_ref() != Some(&profile);
                *reading = CachedProfile { profile: Some(profile), read_at: Some(now), ..CachedProfile::default() };
                is_new
            }
            Err(failure) => {
                let count = reading.failure.as_ref().map_or(1, |failed| failed.count.saturating_add(1));
                let until = match failure.retry {
                    Some(hint) => backoff::hinted(hint.instant(now), now, left),
                    None => now + ladder(reference, count, left),
                };
                reading.failure = Some(FailedRead { failure, count, until });
                reading.failing_since.get_or_insert(now);
                true
            }
        }
    }

    /// Takes the readings of the disk as if they were read at `now`: for whoever only looks, and asks nobody.
    pub fn trust(&mut self, now: Timestamp) {
        for reading in self.readings.values_mut().filter(|reading| reading.failure.is_none()) {
            reading.read_at = Some(now);
        }
    }

    /// Has a profile read before it is gone by again: somebody may have changed it just now. What is being read left before
    /// that, and says nothing.
    pub fn expire_one(&mut self, reference: &ProfileRef) {
        if let Some(reading) = self.readings.get_mut(reference) {
            (reading.failure, reading.read_at) = (None, None);
        }
        if self.being_read.contains(reference) && !self.waiting.contains(reference) {
            self.outdated.insert(reference.clone());
        }
    }

    /// Those whose last reading failed.
    pub fn failed(&self) -> impl Iterator<Item = &ProfileRef> {
        self.readings.iter().filter(|(_, reading)| reading.failure.is_some()).map(|(reference, _)| reference)
    }

    /// Forgets what failed, as the next start does.
    pub fn forget_failures(&mut self) {
        self.readings.values_mut().for_each(|reading| reading.failure = None);
    }

    /// Forgets failures and freshness: the API answers again, the clock was set, or the operator changed something.
    pub fn expire(&mut self) {
        self.late.clear();
        for reading in self.readings.values_mut() {
            (reading.failure, reading.read_at) = (None, None);
        }
    }

    /// The profiles that cannot be read, or cannot be used, each with the reading.
    pub fn in_trouble(&self) -> impl Iterator<Item = (&ProfileRef, &CachedProfile, Failure)> {
        self.readings.iter().filter_map(|(reference, reading)| {
            let unread = || reading.failure.as_ref().map(|failed| failed.failure.clone());
            let unusable = || {
                let profile = reading.profile.as_ref()?;
                let why = format!("profile {:?} cannot be used: {}", profile.name, request::unusable(profile)?);
                Some(Failure::new(FailureClass::ProfileUnusable, why))
            };
            Some((reference, reading, unread().or_else(unusable)?))
        })
    }

    /// The readings as they are kept on the disk.
    #[must_use]
    pub fn kept(&self) -> Vec<(ProfileRef, CachedProfile)> {
        self.readings.iter().map(|(reference, reading)| (reference.clone(), reading.clone())).collect()
    }
}

fn ladder(reference: &ProfileRef, count: u32, left: Option<Duration>) -> Duration {
    // The ladder is spread by name; a profile's id or a stand-in of the same alphabet serves as one.
    let name = reference.to_string().to_ascii_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "0");
    let name: Option<CertName> = name.get(..name.len().min(64)).and_then(|name| name.parse().ok());
    name.map_or(DAILY, |name| backoff::wait(&name, count, left).min(LONGEST_WAIT))
}

const DAILY: Duration = Duration::from_secs(86_400);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::failure::RetryHint;
    use crate::core::name::ProfileId;

    /// Of what is in order on the disk the first reading waits; what failed, or is not known, does not.
    #[test]
    fn what_is_kept_in_order_is_read_a_little_later() {
        let (now, later) = (Timestamp::from_seconds(1_800_000_000), Timestamp::from_seconds(1_800_000_300));
        let [good, failed, unknown] = ["good", "failed", "unknown"].map(ProfileRef::new);
        let failure = Failure::new(FailureClass::ApiForbidden, "no");
        let refused = FailedRead { failure, count: 1, until: later };
        let readings = || {
            let failed_reading = CachedProfile { failure: Some(refused.clone()), ..reading("f", "failed").1 };
            [(good.clone(), reading("g", "good").1), (failed.clone(), failed_reading)].into()
        };
        let mut profiles = ProfileCache::at_start(readings(), Some(later));
        assert_eq!([&good, &failed, &unknown].map(|profile| profiles.is_stale(profile, now)), [false, true, true]);
        assert_eq!((profiles.late_until(), profiles.take_late(now).len()), (Some(later), 0));
        assert!(profiles.is_stale(&good, later));
        assert_eq!(profiles.take_late(later), [good.clone()].into());
        let mut told = ProfileCache::at_start(readings(), Some(later));
        told.expire();
        assert!(told.is_stale(&good, now), "a reload reads at once");
        assert!(ProfileCache::at_start(readings(), None).is_stale(&good, now));
    }

    /// A reading of a profile with this id and name.
    fn reading(id: &str, name: &str) -> (ProfileRef, CachedProfile) {
        let profile = Profile { id: ProfileId(id.into()), name: name.to_owned(), ..profile() };
        (ProfileRef::Id(profile.id.clone()), CachedProfile { profile: Some(profile), ..CachedProfile::default() })
    }

    #[test]
    fn a_name_is_known_by_a_reading_of_the_id_and_an_id_by_one_of_the_name() {
        let (by_name, (_, of_web)) = (ProfileRef::Name("Web".to_owned()), reading("w", "Web"));
        let known = |readings: Vec<(ProfileRef, CachedProfile)>, wanted: &ProfileRef| {
            let mut profiles = ProfileCache::new(readings.into_iter().collect());
            profiles.know(wanted);
            profiles.reading(wanted).profile.as_ref().map(|profile| profile.id.0.to_string())
        };
        let two = || vec![reading("w", "Web"), reading("m", "Mail")];
        assert_eq!(known(two(), &by_name).as_deref(), Some("w"));
        assert_eq!(known(two(), &ProfileRef::Name("Backup".to_owned())), None);
        let of_name = vec![(by_name.clone(), of_web.clone())];
        assert_eq!(known(of_name, &ProfileRef::Id(ProfileId("w".into()))).as_deref(), Some("w"));
        assert_eq!(known(vec![reading("w", "Web"), reading("x", "Web")], &by_name), None, "two have the name");
        let mut profiles = ProfileCache::new([(by_name.clone(), of_web)].into());
        profiles.know(&by_name);
        assert!(profiles.is_stale(&by_name, Timestamp::default()), "it is read before anything is asked for");
    }

    fn profile() -> Profile {
        Profile {
            id: ProfileId("p".into()),
            name: String::new(),
            status: String::new(),
            enrollment_method: String::new(),
            authentication_method: String::new(),
            renewal_window_days: None,
            odd_window: None,
            allows_duplicates: true,
            allows_validity: false,
            validity: None,
            keys: Vec::new(),
            unknown_keys: Vec::new(),
            allowed_names: Vec::new(),
            custom_values: Vec::new(),
            escrows_keys: false,
            subject: Vec::new(),
            san: Vec::new(),
            issuers: Vec::new(),
            cas: Vec::new(),
            needs_approval: false,
            shown: Default::default(),
        }
    }

    #[test]
    fn a_profile_waits_for_a_place_and_is_wanted_anew_after_an_outage() {
        let (one, other) = (ProfileRef::new("one"), ProfileRef::new("other"));
        let mut profiles = ProfileCache::default();
        profiles.request(&one);
        profiles.request(&other);
        profiles.request(&one);
        assert_eq!(profiles.next(false, || false), None);
        assert_eq!(profiles.next(false, || true), Some(one.clone()));
        profiles.cancel_queued();
        assert_eq!(profiles.next(false, || true), None);
        profiles.request(&one);
        profiles.request(&other);
        assert_eq!(profiles.next(false, || true), Some(other.clone()), "the other is being read still");
        for reference in [&one, &other] {
            assert!(profiles.is_reading());
            let gone = Err(Failure::new(FailureClass::ProfileNotFound, "gone"));
            profiles.store(reference, gone, None, Timestamp::default());
        }
        assert!(!profiles.is_reading());
    }

    #[test]
    fn a_reading_that_left_before_an_operator_asked_says_nothing() {
        let (one, now) = (ProfileRef::new("one"), Timestamp::default());
        let refused = || Err(Failure::new(FailureClass::ApiForbidden, "no"));
        let mut profiles = ProfileCache::default();
        profiles.request(&one);
        profiles.expire_one(&one);
        assert_eq!(profiles.next(false, || true), Some(one.clone()), "it had not left");
        profiles.expire_one(&one);
        profiles.store(&one, refused(), None, now);
        assert!(profiles.reading(&one).failure.is_none() && profiles.is_stale(&one, now));
        profiles.request(&one);
        assert_eq!(profiles.next(false, || true), Some(one.clone()));
        profiles.store(&one, refused(), None, now);
        assert_eq!(profiles.failed().collect::<Vec<_>>(), [&one]);
    }

    #[test]
    fn a_reading_that_fails_is_tried_again_within_a_tenth_of_what_is_left() {
        let (now, year) = (Timestamp::from_seconds(1_800_000_000), Duration::from_secs(365 * 86_400));
        let check = |retry: Option<RetryHint>, left, minutes: u64| {
            let (mut profiles, reference) = (ProfileCache::default(), ProfileRef::new("one"));
            for _ in 0..9 {
                let failure = Failure { retry, ..Failure::new(FailureClass::ApiRateLimited, "429") };
                profiles.store(&reference, Err(failure), left, now);
            }
            let until = profiles.reading(&reference).failure.as_ref().map(|failed| failed.until);
            assert_eq!(until, Some(now + Duration::from_secs(minutes * 60)), "{retry:?} {left:?}");
        };
        let hour = Duration::from_secs(3600);
        for (retry, longest) in [(None, 60), (Some(RetryHint::After(year)), 360)] {
            check(retry, None, longest);
            check(retry, Some(hour), 6);
            check(retry, Some(hour / 20), 1);
        }
    }
}
