//! Who may go first: places for running requests, the pace of requests, and the order of due certificates.

use std::time::Duration;

use crate::core::backoff::{self, LONGEST_HINT};
use crate::core::failure::{Failure, FailureClass, RetryHint};
use crate::core::name::CertName;
use crate::core::time::Timestamp;

/// The order in which due certificates get their places: the emergency stage first, then by the end of the validity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Urgency {
    /// False sorts first: the emergency stage.
    pub relaxed: bool,
    /// The end of the validity; the epoch where nothing is installed.
    pub not_after: Timestamp,
    /// Makes the order total.
    pub name: CertName,
}

/// Slots for requests that run at the same time; two of them are kept for certificates in their emergency stage, and for
/// the trial of an API that was gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSlots {
    limit: u32,
    taken: u32,
}

impl RequestSlots {
    /// As many places as `max_concurrent_requests` says.
    #[must_use]
    pub const fn new(limit: u32) -> Self {
        Self { limit, taken: 0 }
    }

    /// Has another limit from now on. Those who have a place keep it.
    pub const fn set_limit(&mut self, limit: u32) {
        self.limit = limit;
    }

    /// Takes a place if there is one for such a certificate.
    pub fn take(&mut self, emergency: bool) -> bool {
        let kept = if emergency || self.limit <= KEPT_PLACES { 0 } else { KEPT_PLACES };
        let free = self.taken < self.limit - kept;
        self.taken += u32::from(free);
        free
    }

    /// Whether none is free.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.taken >= self.limit
    }

    /// Gives a place back.
    pub fn give_back(&mut self) {
        self.taken = self.taken.saturating_sub(1);
    }

    /// How many are taken.
    #[must_use]
    pub const fn taken(&self) -> u32 {
        self.taken
    }
}

/// The pace of requests: so many a minute, in bursts of at most [`BURST`]; after a 429, none until it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    interval: Duration,
    /// When the bucket is full again.
    full_at: Timestamp,
    paused_until: Timestamp,
    /// Whether TLM named the end of that pause.
    is_by_tlm: bool,
    /// When the next urgent request may leave during a pause.
    urgent_at: Timestamp,
}

impl Pace {
    /// At most `per_minute` requests a minute.
    #[must_use]
    pub fn new(per_minute: u32) -> Self {
        let interval = interval_of(per_minute);
        let never = Timestamp::from_millis(i64::MIN);
        Self { interval, full_at: never, paused_until: never, is_by_tlm: false, urgent_at: never }
    }

    /// Has another rate from now on.
    pub fn set_rate(&mut self, per_minute: u32) {
        self.interval = interval_of(per_minute);
    }

    /// Takes the right to one request. During a pause one that is urgent leaves a minute.
    ///
    /// # Errors
    ///
    /// The instant to ask again, if there is none now.
    pub fn take(&mut self, is_urgent: bool, now: Timestamp) -> Result<(), Timestamp> {
        if let Some(until) = self.paused_until(now) {
            if !is_urgent {
                return Err(until);
            }
            // An instant further ahead is from before the clock was set back.
            if self.urgent_at > now && self.urgent_at <= now + URGENT_INTERVAL {
                return Err(self.urgent_at.min(until));
            }
        }
        // A clock that went back must not stall the pace: no bucket is emptier than empty.
        let full_at = self.full_at.max(now).min(now + self.interval * BURST);
        let after = full_at + self.interval;
        let ready = after - self.interval * BURST;
        if ready > now {
            self.full_at = full_at;
            return Err(ready);
        }
        self.full_at = after;
        self.urgent_at = now + URGENT_INTERVAL;
        Ok(())
    }

    /// How long so many requests take at least: what is beyond the first burst is paced.
    #[must_use]
    pub fn least_time(&self, requests: usize) -> Duration {
        let paced = requests.saturating_sub(usize::try_from(BURST).unwrap_or(0));
        self.interval.saturating_mul(u32::try_from(paced).unwrap_or(u32::MAX))
    }

    /// Until when a 429 pauses everything that was received `now`: as long as it says, but no longer than is of use to the
    /// certificate that ends first, of which `left` remains.
    #[must_use]
    pub fn asked_by(failure: &Failure, left: Option<Duration>, now: Timestamp) -> Option<Timestamp> {
        let is_pause = failure.class == FailureClass::ApiRateLimited;
        let hinted = |hint: RetryHint| backoff::hinted(hint.instant(now), now, left);
        is_pause.then(|| failure.retry.map_or(now + PAUSE, hinted))
    }

    /// Lets no request out before `until`, which TLM named, or not.
    pub fn pause(&mut self, until: Timestamp, is_by_tlm: bool) {
        if until >= self.paused_until {
            (self.paused_until, self.is_by_tlm) = (until, is_by_tlm);
        }
    }

    /// An operator wants requests sent now, which ends a pause that TLM did not ask for.
    pub fn ask_now(&mut self) {
        if !self.is_by_tlm {
            self.resume();
        }
    }

    /// Ends a pause: there may be another key.
    pub fn resume(&mut self) {
        self.paused_until = Timestamp::from_millis(i64::MIN);
    }

    /// The clock was set back by so much: a pause ends as much earlier by it, or it would last that much longer. One that
    /// came in since is cut short, too: that costs one more 429, and not hours in which nothing is asked.
    pub fn set_back(&mut self, by: Duration) {
        self.paused_until = self.paused_until - by;
    }

    /// Until when a 429 holds everything back, if it does.
    #[must_use]
    pub fn paused_until(&self, now: Timestamp) -> Option<Timestamp> {
        // A longer pause than any answer can ask for is from before the clock was set back.
        Some(self.paused_until).filter(|until| *until > now && *until <= now + LONGEST_HINT)
    }
}

fn interval_of(per_minute: u32) -> Duration {
    Duration::from_secs(60) / per_minute.max(1)
}

/// The most requests that may follow each other without a pause.
pub const BURST: u32 = 20;
const KEPT_PLACES: u32 = 2;
/// How long a 429 pauses everything where it does not say.
const PAUSE: Duration = Duration::from_secs(60);
const URGENT_INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_places_are_kept_for_emergencies() {
        let mut places = RequestSlots::new(8);
        let relaxed = (0..8).filter(|_| places.take(false)).count();
        let urgent = (0..8).filter(|_| places.take(true)).count();
        assert_eq!((relaxed, urgent, places.is_full()), (6, 2, true));
        places.give_back();
        assert!(!places.take(false));
        assert!(places.take(true));
    }

    #[test]
    fn a_single_place_serves_everybody() {
        assert!(RequestSlots::new(1).take(false));
    }

    #[test]
    fn the_pace_allows_a_burst_and_then_its_interval() {
        let mut pace = Pace::new(60);
        let start = Timestamp::from_seconds(1_000);
        assert_eq!((0..100).filter(|_| pace.take(false, start).is_ok()).count(), 20);
        assert_eq!(pace.take(false, start), Err(start + Duration::from_secs(1)));
        let later = start + Duration::from_secs(3);
        assert_eq!((0..100).filter(|_| pace.take(false, later).is_ok()).count(), 3);
    }

    #[test]
    fn a_clock_that_goes_back_does_not_stall_the_pace() {
        let mut pace = Pace::new(60);
        assert!(pace.take(false, Timestamp::from_seconds(1_000_000)).is_ok());
        let back = Timestamp::from_seconds(1_000);
        let until = (0..).find_map(|_| pace.take(false, back).err()).unwrap();
        assert!(until.since(back) <= Duration::from_secs(20), "{until}");
    }

    #[test]
    fn a_pause_from_before_the_clock_was_set_back_is_over() {
        let mut pace = Pace::new(60);
        let ahead = Timestamp::from_seconds(1_000_000_000);
        pace.pause(ahead + Duration::from_secs(60), true);
        assert_eq!(pace.take(false, Timestamp::from_seconds(0)), Ok(()));
    }

    #[test]
    fn a_pause_lasts_no_longer_where_the_clock_is_set_back() {
        let mut pace = Pace::new(60);
        let (ahead, hours) = (Timestamp::from_seconds(1_000_000), Duration::from_secs(5 * 3600));
        pace.pause(ahead + Duration::from_secs(60), true);
        let now = ahead - hours;
        pace.set_back(hours);
        assert_eq!(pace.take(false, now), Err(now + Duration::from_secs(60)));
    }

    #[test]
    fn a_pause_is_as_long_as_the_answer_says_and_of_use() {
        let (now, minute) = (Timestamp::from_seconds(1_000_000), Duration::from_secs(60));
        let asked = |class, retry, left| {
            let failure = Failure { retry, ..Failure::new(class, "429") };
            Pace::asked_by(&failure, left, now).map(|until| until.since(now))
        };
        let limited = |retry, left| asked(FailureClass::ApiRateLimited, retry, left);
        let year = Some(RetryHint::After(minute * 60 * 24 * 365));
        assert_eq!(limited(None, None), Some(minute));
        assert_eq!(limited(Some(RetryHint::After(Duration::ZERO)), None), Some(minute));
        assert_eq!(limited(year, None), Some(LONGEST_HINT));
        assert_eq!(limited(year, Some(minute * 100)), Some(minute * 10));
        assert_eq!(limited(year, Some(minute)), Some(minute));
        assert_eq!(asked(FailureClass::ApiUnavailable, year, None), None);
    }

    #[test]
    fn a_pause_lets_one_urgent_request_out_a_minute_and_ends_when_told() {
        let mut pace = Pace::new(60);
        let (now, minute) = (Timestamp::from_seconds(1_000_000), Duration::from_secs(60));
        pace.pause(now + minute * 90, true);
        assert_eq!([true, true, false].map(|is_urgent| pace.take(is_urgent, now).is_ok()), [true, false, false]);
        assert_eq!(pace.take(true, now), Err(now + minute));
        assert_eq!(pace.take(true, now + minute), Ok(()));
        let back = now - minute * 60;
        pace.pause(back + minute * 90, true);
        let second = Duration::from_secs(1);
        assert_eq!(pace.take(true, back), Err(back + second), "an instant from before the clock was set back is over");
        assert_eq!(pace.take(true, back + second), Ok(()));
        pace.resume();
        assert_eq!(pace.take(false, back + second * 2), Ok(()));
    }

    #[test]
    fn an_operator_ends_a_pause_that_tlm_did_not_ask_for() {
        let (now, minute) = (Timestamp::from_seconds(1_000_000), Duration::from_secs(60));
        let check = |pauses: &[(Duration, bool)], left: Option<Duration>| {
            let mut pace = Pace::new(60);
            pauses.iter().for_each(|(span, is_by_tlm)| pace.pause(now + *span, *is_by_tlm));
            pace.ask_now();
            assert_eq!(pace.paused_until(now), left.map(|left| now + left), "{pauses:?}");
        };
        check(&[(minute, false)], None);
        check(&[(minute, true)], Some(minute));
        check(&[(minute, false), (minute * 2, true)], Some(minute * 2));
        check(&[(minute * 2, true), (minute, false)], Some(minute * 2));
    }

    #[test]
    fn a_pause_holds_everything_back() {
        let mut pace = Pace::new(60);
        let now = Timestamp::from_seconds(0);
        pace.pause(now + Duration::from_secs(10), true);
        assert_eq!(pace.take(false, now), Err(now + Duration::from_secs(10)));
        assert_eq!(pace.take(false, now + Duration::from_secs(10)), Ok(()));
    }
}
