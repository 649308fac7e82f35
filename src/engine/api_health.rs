//! The API as a whole: whether it is asked now, at which pace, by how many at a time, and what a failure says of it.

use super::admission::{Pace, RequestSlots};
use super::breaker::{Asked, Breaker, Function};
use crate::config::ApiSettings;
use crate::core::clock::ClockCheck;
use crate::core::failure::{Failure, FailureClass};
use crate::core::name::ProfileRef;
use crate::core::reason::Reason;
use crate::core::time::Timestamp;

use super::fleet::Fleet;
use super::managed::{Blocked, Managed, TRIAL_PATIENCE};

/// What is known of the API as a whole, and who may ask it.
#[derive(Clone, Debug)]
pub struct ApiHealth {
    breaker: Breaker,
    places: RequestSlots,
    pace: Pace,
    /// The trial request that is under way.
    trial: Option<Trial>,
    /// Whether an operator wants a trial, though the API as a whole counts as usable.
    is_asked: bool,
}

/// A trial request under way.
#[derive(Clone, Copy, Debug)]
struct Trial {
    /// Whether another one follows, whatever comes of it: it left under credentials that were replaced since, or before an
    /// operator fixed something.
    is_outdated: bool,
    /// Whether it was made at an operator's word.
    is_asked: bool,
}

/// What a trial request said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// The API answers.
    Answered,
    /// It decides nothing: only the clock was to be compared, or the outage has ended meanwhile.
    Undecided,
    /// The outage goes on.
    StillDown,
}

impl ApiHealth {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(settings: &ApiSettings) -> Self {
        Self {
            breaker: Breaker::default(),
            places: RequestSlots::new(settings.max_concurrent_requests),
            pace: Pace::new(settings.requests_per_minute),
            trial: None,
            is_asked: false,
        }
    }

    /// Takes the limits of changed settings. What is taken, spent or paused stays so.
    pub fn follow(&mut self, settings: &ApiSettings) {
        self.places.set_limit(settings.max_concurrent_requests);
        self.pace.set_rate(settings.requests_per_minute);
    }

    /// The circuit breaker.
    #[must_use]
    pub const fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    /// Whether the API as a whole is not usable.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.breaker.open_until().is_some()
    }

    /// Until when a 429 holds requests back.
    #[must_use]
    pub fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.pace.paused_until(now)
    }

    /// Why a certificate asks nobody now, whatever it waits for itself.
    #[must_use]
    pub fn blocks(&self, managed: &Managed, now: Timestamp) -> Option<Blocked> {
        let mut blocked = managed.blocked(&self.breaker, self.paused_until(now), now)?;
        // What the trial under way brings is waited for, and not the next one.
        if self.is_trying() && matches!(blocked.reason, Reason::ApiDown { .. }) {
            blocked.until = blocked.until.min(now + TRIAL_PATIENCE);
        }
        Some(blocked)
    }

    /// Takes the right to one request.
    ///
    /// # Errors
    ///
    /// The instant to ask again, if there is none now.
    pub fn take_turn(&mut self, is_urgent: bool, now: Timestamp) -> Result<(), Timestamp> {
        self.pace.take(is_urgent, now)
    }

    /// Takes a place among the running requests, if there is one.
    pub fn take_place(&mut self, is_emergency: bool) -> bool {
        self.places.take(is_emergency)
    }

    /// Gives a place back.
    pub fn give_place_back(&mut self) {
        self.places.give_back();
    }

    /// Whether no request is under way that holds a place.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.places.taken() == 0
    }

    /// Whether a trial is under way.
    #[must_use]
    pub const fn is_trying(&self) -> bool {
        self.trial.is_some()
    }

    /// Notes an answer that shows the API and the key to be in order; whether an outage ends by it.
    pub fn succeeded(&mut self, function: Function, profile: Option<&ProfileRef>, now: Timestamp) -> bool {
        let was_down = self.is_down();
        self.breaker.succeeded(function, profile, now);
        was_down
    }

    /// Notes a request that failed.
    pub fn failed(&mut self, asked: &Asked<'_>, failure: &Failure, fleet: &Fleet, now: Timestamp) {
        self.breaker.failed(asked, failure, now);
        self.pause_after(failure, fleet, now);
    }

    /// After a 429 nothing leaves under this key for a while, but what is urgent now and then.
    fn pause_after(&mut self, failure: &Failure, fleet: &Fleet, now: Timestamp) {
        if let Some(until) = Pace::asked_by(failure, fleet.least_left(now), now) {
            self.pace.pause(until, failure.retry.is_some());
        }
    }

    /// The credential in use has ended: nothing leaves under it.
    pub fn bar(&mut self, failure: &Failure, now: Timestamp) {
        self.breaker.refused(failure, now);
    }

    /// Has a trial follow at once, where the API is not usable.
    pub fn probe_now(&mut self, now: Timestamp) {
        self.breaker.probe_now(now);
    }

    /// An operator wants to know now: one trial, where the API is not usable; what is under way left before that. A pause
    /// ends that TLM did not ask for.
    pub fn ask_now(&mut self, profiles: impl IntoIterator<Item = ProfileRef>, now: Timestamp) {
        self.breaker.ask_now(profiles, now);
        self.pace.ask_now();
        if let Some(trial) = &mut self.trial {
            trial.is_outdated = true;
        }
    }

    /// The same where the API counts as usable: what failed lately may be in order.
    pub fn try_now(&mut self) {
        self.is_asked = true;
    }

    /// Whether the trial under way was made at an operator's word.
    #[must_use]
    pub fn is_asked_trial(&self) -> bool {
        self.trial.is_some_and(|trial| trial.is_asked)
    }

    /// Requests leave with other credentials from now on: whatever was refused may be taken.
    pub fn credentials_replaced(&mut self, now: Timestamp) {
        self.breaker.probe_now(now);
        self.pace.resume();
        if let Some(trial) = &mut self.trial {
            trial.is_outdated = true;
        }
    }

    /// The clock was set, back by so much if it was set back.
    pub fn clock_stepped(&mut self, set_back_by: std::time::Duration, now: Timestamp) {
        self.pace.set_back(set_back_by);
        self.breaker.probe_now(now);
    }

    /// Forgets what was refused for profiles that the inventory names no more.
    pub fn keep_only(&mut self, is_named: impl Fn(&ProfileRef) -> bool) {
        self.breaker.keep_only(is_named);
    }

    /// When a request goes out that is made for no certificate: a trial, or to compare the clock.
    #[must_use]
    pub fn probe_at(&self, clock: &ClockCheck) -> Option<Timestamp> {
        // What has to wait for the end of a request is looked at when that has come.
        let is_free = !self.is_trying() && !self.places.is_full();
        self.breaker.probe_at(clock).filter(|_| is_free)
    }

    /// Begins such a request, if one is due; for which profile, where one is named. It takes a place.
    pub fn begin_trial<'p>(
        &mut self,
        clock: &mut ClockCheck,
        profiles: impl Iterator<Item = &'p ProfileRef> + Clone,
        now: Timestamp,
    ) -> Option<Option<ProfileRef>> {
        if self.is_trying() || self.places.is_full() {
            return None;
        }
        let is_due = self.breaker.take_probe(clock, now);
        let is_asked = std::mem::take(&mut self.is_asked);
        if !is_due && !is_asked {
            return None;
        }
        self.places.take(true);
        self.trial = Some(Trial { is_outdated: false, is_asked });
        Some(self.breaker.to_try(profiles))
    }

    /// Notes what came of it.
    pub fn trial_ended(
        &mut self,
        profile: Option<&ProfileRef>,
        failure: Option<&Failure>,
        fleet: &Fleet,
        now: Timestamp,
    ) -> Tried {
        let trial = self.trial.take();
        let is_outdated = trial.is_some_and(|trial| trial.is_outdated);
        self.places.give_back();
        match failure {
            None => Tried::Answered,
            Some(_) if !self.is_down() => Tried::Undecided,
            // A profile that is not there is an answer, too.
            Some(failure) if self.breaker.is_answer(failure) => Tried::Answered,
            Some(failure) => {
                self.breaker.trial_failed(profile, failure, now);
                self.pause_after(failure, fleet, now);
                if is_outdated {
                    self.breaker.probe_now(now);
                    self.is_asked |= trial.is_some_and(|trial| trial.is_asked);
                }
                Tried::StillDown
            }
        }
    }
}

/// Whether a failure says that an optional function may not be used, which holds nothing else back.
#[must_use]
pub fn is_forbidden_option(function: Function, failure: &Failure) -> bool {
    failure.class == FailureClass::ApiForbidden
        && matches!(function, Function::Search | Function::Details | Function::Revoke)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_main;

    /// With two places, of which none is kept.
    fn health() -> ApiHealth {
        let text = "inventory = '/etc/renewd/certs.d'\nstate_dir = '/var/lib/renewd'\n[api]\nurl = 'https://tlm.test'\n\
                    api_key_file = '/etc/renewd/api.key'\nmax_concurrent_requests = 2\n";
        ApiHealth::new(&parse_main(std::path::Path::new("/etc/renewd/renewd.toml"), text).unwrap().api)
    }

    #[test]
    fn a_trial_takes_a_place_and_is_alone_and_follows_once_more_where_the_credentials_were_replaced() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let (mut api, mut clock, fleet) = (health(), ClockCheck::new(now, now), Fleet::default());
        let refused = Failure::new(FailureClass::ApiUnauthorised, "401");
        let begin = |api: &mut ApiHealth, clock: &mut ClockCheck| api.begin_trial(clock, std::iter::empty(), now);
        api.bar(&refused, now);
        assert!(api.take_place(false) && api.take_place(false));
        assert_eq!((api.probe_at(&clock), begin(&mut api, &mut clock)), (None, None), "no place is free");
        api.give_place_back();
        assert_eq!((api.probe_at(&clock), begin(&mut api, &mut clock)), (Some(now), Some(None)));
        assert!(!api.take_place(true), "the trial has the other place");
        api.give_place_back();
        api.credentials_replaced(now);
        assert_eq!((api.probe_at(&clock), begin(&mut api, &mut clock)), (None, None), "one at a time");
        assert_eq!(api.trial_ended(None, Some(&refused), &fleet, now), Tried::StillDown);
        assert_eq!(api.probe_at(&clock), Some(now), "it left under other credentials");
        assert!(api.is_idle());
    }
}
