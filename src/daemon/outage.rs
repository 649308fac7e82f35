//! The loop's part in the API as a whole: failures and answers, other keys, trials, profiles.

use std::sync::Arc;

use crate::api::{Page, Tlm};
use crate::core::admission::Pace;
use crate::core::breaker::{Asked, Function, SEVERAL};
use crate::core::failure::{Failure, FailureClass};
use crate::core::name::{CertName, ProfileRef};
use crate::core::profile::Profile;
use crate::core::time::Timestamp;
use crate::store::readings;

use super::message::Message;
use super::run::Daemon;

impl<T: Tlm> Daemon<T> {
    pub(super) fn answered(
        &mut self,
        users: &[CertName],
        profile: &ProfileRef,
        function: Function,
        failure: Option<&Failure>,
        now: Timestamp,
    ) {
        let Some(failure) = failure else { return self.api_answers(function, Some(profile), now) };
        if failure.class == FailureClass::ApiForbidden && matches!(function, Function::Search | Function::Details) {
            self.disable(function, failure);
            return;
        }
        let is_only_profile = !self.fleet.profiles().any(|other| other != profile);
        self.breaker.failed(&Asked { function, profile, users, is_only_profile }, failure, now);
        self.pause_after(failure, now);
        if failure.class == FailureClass::ApiUnauthorised {
            self.next_key(now);
        }
    }

    fn disable(&mut self, function: Function, failure: &Failure) {
        let switch = match function {
            Function::Search => &mut self.surroundings.can_search,
            Function::Details => &mut self.surroundings.can_check,
            Function::Profile | Function::Main => return,
        };
        if std::mem::replace(switch, false) {
            tracing::warn!("the API key may not use this function; it is not used again before a reload: {failure}");
        }
    }

    /// After an outage, everything that waited for the API is looked at again.
    pub(super) fn api_answers(&mut self, function: Function, profile: Option<&ProfileRef>, now: Timestamp) {
        let was_down = self.breaker.open_until().is_some();
        self.breaker.succeeded(function, profile, now);
        self.keys_tried = 0;
        if was_down {
            tracing::info!("the API answers again");
            self.profiles.expire();
            self.fleet.wake_all(now);
        }
    }

    /// After a 429 nothing leaves under this key for a while, but what is urgent now and then.
    fn pause_after(&self, failure: &Failure, now: Timestamp) {
        if let Some(until) = Pace::asked_by(failure, self.fleet.least_left(now), now) {
            self.context.pause(until);
        }
    }

    /// Fails over to the next API key: each is tried once at once, then one at each trial.
    pub(super) fn next_key(&mut self, now: Timestamp) {
        self.keys_tried += 1;
        if self.context.api().use_next_key() && self.keys_tried < MOST_KEYS {
            tracing::warn!("trying the next API key: {}", self.context.api().credential());
            self.breaker.probe_now(now);
        }
    }

    /// When a request goes out that is made for no certificate.
    pub(super) fn errand_at(&self) -> Option<Timestamp> {
        // What has to wait for the end of a request is looked at when that has come.
        let may_go = !self.trying && !self.places.is_full();
        self.breaker.errand_at(&self.clock).filter(|_| may_go)
    }

    /// One trial request while the API as a whole is not usable, or the clock counts as wrong.
    pub(super) fn try_api(&mut self, now: Timestamp) {
        if self.trying || self.places.is_full() || !self.breaker.take_errand(&mut self.clock, now) {
            return;
        }
        self.trying = self.places.take(true);
        let context = Arc::clone(&self.context);
        let profile = self.breaker.to_try(self.fleet.profiles());
        tokio::spawn(async move {
            context.take_turn(false).await;
            let api = context.api();
            let result = match &profile {
                Some(ProfileRef::Id(id)) => api.profile(id).await.map(drop),
                _ => api.profiles(Page::FIRST).await.map(drop),
            };
            context.tell(Message::Tried(profile, result.err()));
        });
    }

    pub(super) fn tried(&mut self, profile: Option<&ProfileRef>, failure: Option<&Failure>, now: Timestamp) {
        self.trying = false;
        let try_again = std::mem::take(&mut self.try_again);
        self.places.give_back();
        match failure {
            None => self.api_answers(Function::Profile, profile, now),
            // Only the clock was to be compared, or the outage has ended meanwhile.
            Some(failure) if self.breaker.open_until().is_none() => tracing::debug!("a trial failed: {failure}"),
            // A profile that is not there is an answer, too.
            Some(failure) if self.breaker.is_answer(failure) => self.api_answers(Function::Profile, profile, now),
            Some(failure) => {
                self.breaker.trial_failed(profile, failure, now);
                self.pause_after(failure, now);
                if try_again {
                    self.breaker.probe_now(now);
                }
                if failure.class == FailureClass::ApiUnauthorised {
                    self.next_key(now);
                }
                self.tell_who_waited(now);
            }
        }
    }

    /// Those that were held back while the trial was under way learn what came of it.
    fn tell_who_waited(&mut self, now: Timestamp) {
        let waiting = self.fleet.waiting_for_trial(now);
        waiting.iter().for_each(|name| self.settle(name));
    }

    pub(super) fn profile_read(&mut self, profile: &ProfileRef, result: Result<Profile, Failure>, now: Timestamp) {
        self.places.give_back();
        let users: Vec<CertName> = self
            .fleet
            .iter()
            .filter(|managed| managed.entry.profile == *profile)
            .map(|managed| managed.entry.name.clone())
            .collect();
        match &result {
            Ok(_) => self.api_answers(Function::Profile, Some(profile), now),
            Err(failure) => {
                tracing::warn!(%profile, "the profile could not be read: {failure}");
                let some = users.get(..users.len().min(SEVERAL)).unwrap_or_default();
                self.answered(some, profile, Function::Profile, Some(failure), now);
            }
        }
        if self.profiles.note(profile, result, now) {
            self.keep_readings();
        }
        users.iter().for_each(|name| self.settle(name));
    }

    /// Writes the readings beside the loop, one time after the other.
    fn keep_readings(&mut self) {
        let context = Arc::clone(&self.context);
        let kept = self.profiles.kept();
        let before = self.keeping.take();
        self.keeping = Some(tokio::spawn(async move {
            if let Some(before) = before {
                // A writing that panicked has said so.
                drop(before.await);
            }
            let written = context.blocking(move |c| readings::write(&*c.disk, &c.layout, &kept)).await;
            if let Err(failure) = written {
                tracing::warn!("{failure}");
            }
        }));
    }
}

const MOST_KEYS: usize = 8;
