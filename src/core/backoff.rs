//! How long to wait after failures: a ladder, spread by name and count so that hosts do not march in step.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::name::CertName;
use super::time::Timestamp;

/// The wait after the `failures`-th failure in a row (from 1), for a certificate of which `left` remains.
///
/// Never more than a tenth of `left` and never less than a minute. `left` is `None` where nothing valid is installed:
/// there the ladder alone counts, so that many expired certificates that the API refuses do not crowd out the others.
#[must_use]
pub fn wait(name: &CertName, failures: u32, left: Option<Duration>) -> Duration {
    let wait = ladder(name.as_str(), failures);
    left.map_or(wait, |left| wait.min(left / 10)).max(MINUTE)
}

/// The same of something that has no end, by its name.
#[must_use]
pub fn ladder(name: &str, failures: u32) -> Duration {
    let step = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let rung = LADDER_MINUTES.get(step).or(LADDER_MINUTES.last()).copied().unwrap_or(1);
    let spread = 800 + mix(name, failures) % 401;
    Duration::from_millis(rung * 60 * spread).max(MINUTE)
}

/// The instant that an answer asked to come back at, no later than six hours or a tenth of what is left, and no sooner
/// than the ladder's first step.
#[must_use]
pub fn hinted(instant: Timestamp, now: Timestamp, left: Option<Duration>) -> Timestamp {
    let cap = left.map_or(LONGEST_HINT, |left| LONGEST_HINT.min(left / 10)).max(MINUTE);
    instant.min(now + cap).max(now + MINUTE)
}

/// The wait after the `failures`-th time in a row that nothing was wrong but the time: none, unless it goes on.
#[must_use]
pub const fn prompt(failures: u32) -> Duration {
    if failures > MOST_PROMPT { MINUTE } else { Duration::ZERO }
}

/// How long to wait before the next pickup of a request that is pending since `age`: growing with its age from
/// `first` to a quarter of an hour.
#[must_use]
pub fn poll(first: Duration, polls: u32) -> Duration {
    first.saturating_mul(1 << polls.min(16)).min(LONGEST_POLL)
}

/// A share of `span` that is always the same for this text, and for each text another one.
#[must_use]
pub fn share(text: &str, span: Duration) -> Duration {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(mix(text, 0) % millis)
}

/// FNV-1a over the text and the count: stable across versions of the compiler and the standard library.
pub(crate) fn mix(text: impl fmt::Display, count: u32) -> u64 {
    let mut mixed = Mixed(0xcbf2_9ce4_8422_2325);
    // Nothing that is written there fails.
    write!(mixed, "{text}").unwrap_or_default();
    mixed.add(&count.to_le_bytes());
    mixed.0
}

/// What was mixed so far, so that a long text is mixed as it is written and kept nowhere.
struct Mixed(u64);

impl Mixed {
    fn add(&mut self, bytes: &[u8]) {
        let add = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 = bytes.iter().fold(self.0, add);
    }
}

impl fmt::Write for Mixed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}

/// So often in a row something is tried again at once.
const MOST_PROMPT: u32 = 3;
const MINUTE: Duration = Duration::from_secs(60);
const LADDER_MINUTES: [u64; 9] = [1, 2, 5, 10, 30, 60, 120, 240, 360];
/// The longest that a hint can hold anything back.
pub const LONGEST_HINT: Duration = Duration::from_secs(6 * 3600);
const LONGEST_POLL: Duration = Duration::from_secs(15 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CertName {
        text.parse().unwrap()
    }

    #[test]
    fn the_ladder_is_spread_and_capped() {
        for (failures, minutes) in
            [(1, 1), (2, 2), (3, 5), (4, 10), (5, 30), (6, 60), (7, 120), (8, 240), (9, 360), (99, 360)]
        {
            let exact = Duration::from_secs(minutes * 60);
            for host in ["www", "mail", "db"] {
                let waited = wait(&name(host), failures, None);
                assert!(
                    waited >= (exact * 8 / 10).max(MINUTE) && waited <= exact * 12 / 10,
                    "{host} {failures}: {waited:?}"
                );
            }
        }
        assert_ne!(wait(&name("www"), 5, None), wait(&name("mail"), 5, None));
    }

    #[test]
    fn never_more_than_a_tenth_of_what_is_left_nor_less_than_a_minute() {
        let hour = Duration::from_secs(3600);
        assert_eq!(wait(&name("www"), 9, Some(10 * hour)), hour);
        assert_eq!(wait(&name("www"), 9, Some(Duration::ZERO)), MINUTE);
    }

    #[test]
    fn a_hint_wins_within_its_cap() {
        let now = Timestamp::from_seconds(1000);
        let hinted = |ahead, left| hinted(now + Duration::from_secs(ahead), now, left).since(now);
        assert_eq!(hinted(70, None), Duration::from_secs(70));
        assert_eq!(hinted(90_000, None), Duration::from_secs(21_600));
        for soon in [0, 7, 59] {
            assert_eq!(hinted(soon, None), MINUTE);
            assert_eq!(hinted(soon, Some(Duration::ZERO)), MINUTE);
        }
        assert_eq!(super::hinted(now - Duration::from_secs(90), now, None), now + MINUTE);
        assert_eq!([3, 4].map(prompt), [Duration::ZERO, MINUTE]);
    }

    #[test]
    fn hosts_have_their_shares_of_a_span() {
        let span = Duration::from_secs(600);
        let shares: std::collections::BTreeSet<_> = (0..100).map(|n| share(&format!("host-{n}"), span)).collect();
        assert!(shares.len() > 95 && shares.iter().all(|share| *share < span));
        assert!(shares.iter().any(|share| *share < span / 10) && shares.iter().any(|share| *share > span * 9 / 10));
    }

    #[test]
    fn polls_grow_to_a_quarter_of_an_hour() {
        let first = Duration::from_secs(30);
        assert_eq!(poll(first, 0), first);
        assert_eq!(poll(first, 1), first * 2);
        assert_eq!(poll(first, 5), Duration::from_secs(900));
        assert_eq!(poll(first, u32::MAX), Duration::from_secs(900));
    }
}
