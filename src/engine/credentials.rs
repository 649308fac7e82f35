//! The credentials for the API: which one is in use, when each ends, and the fail-over to the next. The ends are known
//! from the client certificate, or TLM reports them, daily and after each reload; they are told 30, 7 and 1 days ahead,
//! and with one that has ended nothing is submitted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::code::Code;
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::credential::{CredentialEnd, Nearness, REMEDY};
use crate::core::time::Timestamp;

use super::io::{CredentialReports, Now};
use super::status::Problem;

/// What is known of the credentials.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// Those in force, with the ends that they show themselves.
    own: Vec<CredentialEnd>,
    /// The same with the ends that TLM reported.
    known: Vec<CredentialEnd>,
    /// How often the next one was taken.
    active: usize,
    /// How many were tried since one was taken by TLM.
    tried: usize,
    /// The ends that TLM reported.
    reported: BTreeMap<String, Timestamp>,
    /// How near the end was that was told last.
    told: BTreeMap<String, Nearness>,
    /// Ended ones whose end stopped everything once: if TLM takes one all the same, that is enough.
    stopped: BTreeSet<(String, Timestamp)>,
    /// When TLM is asked next; `None`: as soon as it answers anything.
    read_at: Option<Timestamp>,
    /// Since when they are as they are.
    since: Timestamp,
    /// When they were looked at last, by the steady clock; `None`: something is new.
    looked_at: Option<Duration>,
    is_reading: bool,
    /// Whether TLM does not let this key ask.
    is_forbidden: bool,
}

impl Credentials {
    /// The credentials in force, with their ends as far as they are known.
    #[must_use]
    pub fn ends(&self) -> &[CredentialEnd] {
        &self.known
    }

    /// The names of those in force.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.known.iter().map(|known| known.name.clone()).collect()
    }

    /// Whether TLM is being asked.
    #[must_use]
    pub const fn is_reading(&self) -> bool {
        self.is_reading
    }

    /// Whether TLM was asked by this process.
    #[must_use]
    pub const fn was_read(&self) -> bool {
        self.read_at.is_some() || self.is_forbidden
    }

    /// Takes the credentials as they are now. Another one may stand under the same name: everything is read anew. What was
    /// told of the old one is not told again as long as the end is the same.
    pub fn replace(&mut self, credentials: Vec<CredentialEnd>, now: Timestamp) {
        let told = std::mem::take(&mut self.told);
        *self = Self { known: credentials.clone(), own: credentials, since: now, told, ..Self::default() };
    }

    /// The credential in use.
    fn active(&self) -> Option<&CredentialEnd> {
        self.known.get(self.active.checked_rem(self.known.len())?)
    }

    /// Fails over to the next one: its name, where there is another. Each is tried once at once (`true`), then one at each
    /// trial.
    pub fn fail_over(&mut self) -> Option<(String, bool)> {
        self.tried += 1;
        if self.known.len() < 2 {
            return None;
        }
        self.active += 1;
        Some((self.active()?.name.clone(), self.tried < MOST_KEYS))
    }

    /// An operator wants to know which one is taken: each is tried once more.
    pub fn ask_now(&mut self) {
        self.tried = self.tried.min(MOST_KEYS.saturating_sub(self.known.len()));
    }

    /// TLM takes the one in use.
    pub fn is_taken(&mut self) {
        self.tried = 0;
    }

    /// Whether it is time to look at the ends; then it is not again for a moment.
    pub fn take_look(&mut self, now: Now) -> bool {
        let is_due = self.looked_at.is_none_or(|at| now.steady >= at + LOOK_INTERVAL);
        if is_due {
            self.looked_at = Some(now.steady);
        }
        is_due
    }

    /// What has to be told now: each step once.
    pub fn news(&mut self, now: Timestamp) -> Vec<(Nearness, String)> {
        let mut news = Vec::new();
        for known in self.known.iter().filter(|known| known.not_after.is_some()) {
            let nearness = known.nearness(now);
            let told = self.told.insert(known.name.clone(), nearness).unwrap_or_default();
            news.extend(known.remark(now).filter(|_| nearness > told).map(|remark| (nearness, remark)));
        }
        news
    }

    /// The credential in use has ended, and that has not stopped anything yet.
    pub fn stop_for_end(&mut self, now: Timestamp) -> Option<Failure> {
        let ended = self.active()?;
        let (failure, key) = (ended.failure(now)?, (ended.name.clone(), ended.not_after?));
        self.stopped.insert(key).then_some(failure)
    }

    /// Whether TLM is to be asked for the ends. What is due for a certificate goes first, but not for ever.
    #[must_use]
    pub fn is_due(&self, is_idle: bool, now: Timestamp) -> bool {
        self.read_at.is_none_or(|at| at <= now) && (is_idle || now >= self.since + LONGEST_WAIT)
    }

    /// Whether TLM may be asked for them now.
    #[must_use]
    pub const fn may_read(&self) -> bool {
        !self.is_reading && !self.is_forbidden
    }

    /// TLM is asked.
    pub const fn reading(&mut self) {
        self.is_reading = true;
    }

    /// Notes what TLM reported; what it would not. A missing end blocks nothing: whether a key is taken, each request
    /// shows.
    pub fn note(&mut self, reports: CredentialReports, now: Timestamp) -> Vec<(String, Failure)> {
        (self.is_reading, self.looked_at) = (false, None);
        let (mut again, mut unread) = (DAILY, Vec::new());
        for (name, report) in reports {
            match report {
                Ok(end) => {
                    self.reported.remove(&name);
                    self.reported.extend(end.map(|end| (name, end)));
                }
                Err(failure) => {
                    if failure.class == FailureClass::ApiForbidden {
                        self.is_forbidden = true;
                    } else if failure.class != FailureClass::ApiUnauthorised {
                        again = AFTER_FAILURE;
                    }
                    unread.push((name, failure));
                }
            }
        }
        for (known, own) in self.known.iter_mut().zip(&self.own) {
            known.not_after = own.not_after.or_else(|| self.reported.get(&own.name).copied());
        }
        self.read_at = Some(now + again);
        unread
    }
}

/// The ends as problems of the whole.
#[must_use]
pub fn problems(ends: &[CredentialEnd], now: Timestamp) -> Vec<Problem> {
    let problem = |end: &CredentialEnd| {
        let nearness = end.nearness(now);
        let problem = if nearness.is_unhealthy() { Problem::error } else { Problem::warning };
        Some(problem(code(nearness).as_str(), &end.remark(now)?, REMEDY))
    };
    ends.iter().filter_map(problem).collect()
}

/// The code of a credential whose end is so near.
#[must_use]
pub fn code(nearness: Nearness) -> Code {
    if nearness == Nearness::Ended { Code::CredentialExpired } else { Code::CredentialExpiring }
}

const MOST_KEYS: usize = 8;
const DAILY: Duration = Duration::from_secs(86_400);
/// The loop turns more often than days pass.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A fleet that is never idle does not put it off for ever.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const AFTER_FAILURE: Duration = Duration::from_secs(3600);
