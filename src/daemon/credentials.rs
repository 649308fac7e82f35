//! The loop's part in the ends of the credentials: they are read from the client certificate and from TLM, daily and after
//! each reload; told 30, 7 and 1 days ahead; and with one that has ended nothing is submitted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::api::{Me, Tlm};
use crate::core::breaker::ApiState;
use crate::core::code::Code;
use crate::core::credential::{CredentialEnd, Nearness, REMEDY};
use crate::core::failure::{Failure, FailureClass};
use crate::core::text::Text;
use crate::core::time::Timestamp;

use super::message::Message;
use super::run::{Daemon, Mode};
use super::status::{Problem, Severity};

/// What is known of the credentials.
#[derive(Debug, Default)]
pub struct Credentials {
    /// Those in force, with their ends.
    known: Vec<CredentialEnd>,
    /// The ends that TLM told.
    told_by_tlm: BTreeMap<String, Timestamp>,
    /// How near the end was that was said last.
    said: BTreeMap<String, Nearness>,
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

/// What TLM said of each credential.
pub type Told = Vec<(String, Result<Me, Failure>)>;

impl Credentials {
    /// The credentials in force, with their ends as far as they are known.
    #[must_use]
    pub fn ends(&self) -> &[CredentialEnd] {
        &self.known
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

    /// Takes the credentials as they are now; an end that TLM told of one that is gone is forgotten.
    fn take(&mut self, credentials: Vec<CredentialEnd>) {
        self.known = credentials;
        self.told_by_tlm.retain(|name, _| self.known.iter().any(|known| known.name == *name));
        for known in &mut self.known {
            known.not_after = known.not_after.or(self.told_by_tlm.get(&known.name).copied());
        }
    }

    /// Another credential may stand under the same name: everything is read anew. What was said of the old one is not
    /// said again as long as the end is the same.
    pub fn forget(&mut self, now: Timestamp) {
        *self = Self { since: now, said: std::mem::take(&mut self.said), ..Self::default() };
    }

    /// What has to be said now: each step once.
    fn news(&mut self, now: Timestamp) -> Vec<(Nearness, String)> {
        let mut news = Vec::new();
        for known in self.known.iter().filter(|known| known.not_after.is_some()) {
            let nearness = known.nearness(now);
            let said = self.said.insert(known.name.clone(), nearness).unwrap_or_default();
            news.extend(known.remark(now).filter(|_| nearness > said).map(|remark| (nearness, remark)));
        }
        news
    }

    /// The active credential has ended, and that has not stopped anything yet.
    fn stop_for(&mut self, active: &str, now: Timestamp) -> Option<Failure> {
        let ended = self.known.iter().find(|known| known.name == active)?;
        let failure = ended.failure(now)?;
        self.stopped.insert((ended.name.clone(), ended.not_after?)).then_some(failure)
    }
}

/// The ends as problems of the whole.
#[must_use]
pub fn problems(ends: &[CredentialEnd], now: Timestamp) -> Vec<Problem> {
    let problem = |end: &CredentialEnd| {
        let nearness = end.nearness(now);
        let code = if nearness == Nearness::Ended { Code::CredentialExpired } else { Code::CredentialExpiring };
        Some(Problem {
            code: code.to_string(),
            severity: if nearness.is_unhealthy() { Severity::Error } else { Severity::Warning },
            message: Text::new(&end.remark(now)?),
            since: None,
            remedy: Text::new(REMEDY),
        })
    };
    ends.iter().filter_map(problem).collect()
}

impl<T: Tlm> Daemon<T> {
    /// Looks at the ends: asks TLM where that is due, says what is new, and stops what would go out with a dead credential.
    pub(super) fn watch_credentials(&mut self, now: Timestamp) {
        let steady = self.context.clock.steady();
        if self.credentials.looked_at.is_some_and(|at| steady < at + LOOK_INTERVAL) {
            return;
        }
        self.credentials.looked_at = Some(steady);
        let api = self.context.api();
        self.credentials.take(api.credentials());
        for (nearness, remark) in self.credentials.news(now) {
            self.headline_is_old = true;
            let code = if nearness == Nearness::Ended { Code::CredentialExpired } else { Code::CredentialExpiring };
            if nearness.is_unhealthy() {
                tracing::error!(code = code.as_str(), remedy = REMEDY, "{remark}");
            } else {
                tracing::warn!(code = code.as_str(), remedy = REMEDY, "{remark}");
            }
        }
        // By a wrong clock nothing is submitted anyway, and nothing has ended.
        if self.surroundings.clock_wrong.is_none()
            && let Some(failure) = self.credentials.stop_for(&api.credential(), now)
        {
            self.breaker.refused(&failure, now);
            self.next_key(now);
        }
        let is_due = self.credentials.read_at.is_none_or(|at| at <= now);
        if self.mode == Mode::Forever && is_due && (self.is_idle() || now >= self.credentials.since + LONGEST_WAIT) {
            self.read_credentials();
        }
    }

    /// What is due for a certificate goes first.
    fn is_idle(&self) -> bool {
        self.fleet.line_is_empty() && self.places.taken() == 0 && !self.profiles.is_reading()
    }

    /// Asks TLM for the ends, once it answers at all.
    pub(super) fn read_credentials(&mut self) {
        let credentials = &mut self.credentials;
        if credentials.is_reading || credentials.is_forbidden || self.breaker.state() != ApiState::Ok {
            return;
        }
        if !self.places.take(false) {
            return;
        }
        credentials.is_reading = true;
        let names: Vec<String> = credentials.known.iter().map(|known| known.name.clone()).collect();
        let context = Arc::clone(&self.context);
        tokio::spawn(async move {
            let api = context.api();
            let mut told = Told::new();
            for name in names {
                context.take_turn(false).await;
                let answer = api.me_as(&name).await;
                told.push((name, answer));
            }
            context.tell(Message::CredentialsRead(told));
        });
    }

    /// Notes what TLM told. That it does not tell holds nothing back: whether a key is taken, each request shows.
    pub(super) fn credentials_read(&mut self, told: Told, now: Timestamp) {
        self.places.give_back();
        let credentials = &mut self.credentials;
        (credentials.is_reading, credentials.looked_at) = (false, None);
        let mut again = DAILY;
        for (name, answer) in told {
            match answer {
                Ok(me) => {
                    credentials.told_by_tlm.remove(&name);
                    credentials.told_by_tlm.extend(me.not_after.map(|end| (name, end)));
                }
                Err(failure) if failure.class == FailureClass::ApiForbidden => {
                    credentials.is_forbidden = true;
                    tracing::warn!(code = failure.class.code(), "the end of {name} is not known: {failure}");
                }
                Err(failure) if failure.class == FailureClass::ApiUnauthorised => {
                    tracing::warn!(code = failure.class.code(), "TLM does not take {name}: {failure}");
                }
                Err(failure) => {
                    again = AFTER_FAILURE;
                    tracing::debug!("the end of {name} was not read: {failure}");
                }
            }
        }
        credentials.read_at = Some(now + again);
    }
}

const DAILY: Duration = Duration::from_secs(86_400);
/// The loop turns more often than days pass.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A fleet that is never idle does not put it off for ever.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const AFTER_FAILURE: Duration = Duration::from_secs(3600);
