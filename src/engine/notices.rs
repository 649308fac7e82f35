//! Who was told what: compares what is so now with what each `[notify.NAME]` was last told, and says which call is due.
//!
//! What was told is kept across restarts, and counts as told only after the call that told it succeeded; so a change is told
//! at least once, and what was never told is found again by looking. Waits go by the steady clock; the daily repetition goes by the wall
//! clock, and an instant that lies ahead is from before the clock was set back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::backoff;
use crate::core::code::Code;
use crate::core::name::{CertName, Digest, HookName};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::hook::Hook;
use crate::core::wanted::notify::{Notify, Occasion};

use super::hooks::Ended;
use super::io::Now;
use super::status::Problem;

use recipient::{Failing, Recipient};

mod recipient;

/// What kind of thing somebody is told about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A certificate of the inventory.
    Certificate,
    /// A file of the configuration.
    File,
    /// A credential for the API.
    Credential,
    /// Another notification.
    Notify,
    /// All else, by the code of its problem.
    Host,
}

/// What somebody is told about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Subject {
    /// Of which kind.
    pub what: What,
    /// Which one.
    pub name: Text,
}

impl Subject {
    /// The one of this name.
    #[must_use]
    pub fn new(what: What, name: &str) -> Self {
        Self { what, name: Text::new(name) }
    }
}

/// A condition: what lasts, and of what.
pub type Key = (Subject, Occasion);

/// A condition as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its page in `renewd explain`.
    pub code: String,
    /// What it is.
    pub message: Text,
    /// What to do.
    pub remedy: Text,
}

/// What is live of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Live {
    /// Nothing.
    Absent,
    /// This leaf; whether its hooks ran and its probe saw it.
    Leaf(Digest, bool),
    /// What cannot be told.
    Unknown,
}

/// What is so now.
#[derive(Debug, Default)]
pub struct Seen {
    /// What is wrong.
    pub conditions: BTreeMap<Key, Condition>,
    /// Of what cannot be told yet whether it is still wrong: a certificate that is being worked on, or an API that was not
    /// asked yet.
    pub unsettled: BTreeSet<Subject>,
    /// What is live, where somebody wants to know of renewals.
    pub live: BTreeMap<CertName, Live>,
}

/// What somebody is told now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// About what.
    pub subject: Subject,
    /// What happened.
    pub occasion: Occasion,
    /// Since when that lasts, as far as renewd knows.
    pub since: Timestamp,
    /// Whether it was told before, and lasts.
    pub is_repeated: bool,
    /// What was wrong, where it is mended.
    pub was: BTreeSet<Occasion>,
    /// The condition, where it lasts.
    pub condition: Option<Condition>,
    /// The new leaf of what was renewed.
    pub leaf: Option<Digest>,
}

/// One call that is due.
#[derive(Debug)]
pub struct Call {
    /// By which notification.
    pub name: HookName,
    /// What it runs.
    pub run: Hook,
    /// What it tells.
    pub changes: Vec<Change>,
}

/// What a notification was told, kept for the next start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// What it was told to last, or is being told.
    conditions: Vec<Lasting>,
    /// The leaf of each certificate that it knows of; `None`: it is not told of renewals.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live: Option<BTreeMap<CertName, Option<Digest>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lasting {
    #[serde(flatten)]
    subject: Subject,
    event: Occasion,
    #[serde(flatten)]
    times: Times,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Times {
    since: Timestamp,
    /// When it was told last; `None`: a call was to tell it, and nobody knows whether it did.
    told_at: Option<Timestamp>,
}

/// What every notification was told.
#[derive(Debug, Default)]
pub struct Notices {
    /// What the host is called.
    host: Text,
    each: BTreeMap<HookName, Recipient>,
    first_seen: BTreeMap<Key, Timestamp>,
    /// By the steady clock.
    looked_at: Option<Duration>,
}

impl Notices {
    /// Begins with what was kept.
    #[must_use]
    pub fn new(host: Text, kept: BTreeMap<HookName, Told>) -> Self {
        let each = kept.into_iter().map(|(name, told)| (name, Recipient::new(told))).collect();
        Self { host, each, ..Self::default() }
    }

    /// What the host is called.
    #[must_use]
    pub const fn host(&self) -> &Text {
        &self.host
    }

    /// What is to be kept.
    #[must_use]
    pub fn kept(&self) -> BTreeMap<HookName, Told> {
        self.each.iter().map(|(name, recipient)| (name.clone(), recipient.kept())).collect()
    }

    /// Whether nobody was ever told anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.each.is_empty()
    }

    /// Whether a call runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.each.values().any(|recipient| recipient.running.is_some())
    }

    /// What was told of, and is not known to be over.
    pub fn told(&self) -> impl Iterator<Item = &Subject> {
        self.each.values().flat_map(|recipient| recipient.told.keys().map(|(subject, _)| subject))
    }

    /// Whether this notification has something to tell that it could not tell yet, as far as is known.
    #[must_use]
    pub fn is_owing(&self, name: &str) -> bool {
        let recipient = self.each.iter().find(|(own, _)| own.as_str() == name).map(|(_, recipient)| recipient);
        recipient.is_some_and(|recipient| recipient.told.values().any(|times| times.told_at.is_none()))
    }

    /// Compares what is so with what was told: the calls that are due, or all that have anything to tell where it is to be
    /// told `at_once` (but for those that failed already), and whether there is something else to be kept.
    pub fn look(
        &mut self,
        seen: &Seen,
        wanted: &BTreeMap<HookName, Notify>,
        now: Now,
        at_once: bool,
    ) -> (Vec<Call>, bool) {
        self.looked_at = Some(now.steady);
        self.first_seen.retain(|key, _| seen.conditions.contains_key(key) || seen.unsettled.contains(&key.0));
        for key in seen.conditions.keys() {
            self.first_seen.entry(key.clone()).or_insert(now.wall);
        }
        let before = self.each.len();
        self.each.retain(|name, _| wanted.contains_key(name));
        let (mut calls, mut is_other) = (Vec::new(), self.each.len() != before);
        for (name, notify) in wanted {
            let recipient = self.each.entry(name.clone()).or_default();
            if recipient.run.as_ref() != Some(&notify.run) {
                // What failed may be put right: it is tried at once.
                recipient.failing = None;
                recipient.run = Some(notify.run.clone());
            }
            if recipient.running.is_some() {
                continue;
            }
            is_other |= recipient.settle(notify, seen, now.wall);
            let changes = recipient.changes(name, notify, seen, &self.first_seen, now.wall);
            if changes.is_empty() {
                (recipient.gathered_at, recipient.failing) = (None, None);
                continue;
            }
            if recipient.is_due(notify.gather, now.steady, at_once) {
                recipient.begin(&changes, now.wall);
                calls.push(Call { name: name.clone(), run: notify.run.clone(), changes });
                is_other = true;
            }
        }
        (calls, is_other)
    }

    /// Notes what came of a call.
    pub fn ended(&mut self, name: &HookName, ended: &Ended, now: Now) {
        let Some(recipient) = self.each.get_mut(name) else { return };
        let Some((at, changes)) = recipient.running.take() else { return };
        recipient.gathered_at = None;
        match ended {
            Ended::Done(_) => {
                recipient.failing = None;
                changes.into_iter().for_each(|change| recipient.learn(change, at));
            }
            Ended::Failed(failure, _) | Ended::TimedOut(failure, _) => {
                let before = recipient.failing.take();
                let failures = before.as_ref().map_or(0, |failing| failing.failures) + 1;
                let since = before.map_or(now.wall, |failing| failing.since);
                let retry_at = now.steady + backoff::ladder(name.as_str(), failures);
                let (failure, untold) = (failure.clone(), changes.len());
                recipient.failing = Some(Failing { failures, failure, since, untold, retry_at });
            }
            Ended::Stopped => {}
        }
    }

    /// Whether it is time to look, although nothing is new.
    #[must_use]
    pub fn is_due(&self, now: Now) -> bool {
        let is_old = self.looked_at.is_none_or(|at| now.steady >= at + LOOK_INTERVAL);
        is_old
            || self.next_by_steady().is_some_and(|at| at <= now.steady)
            || self.next_by_wall().is_some_and(|at| at <= now.wall)
    }

    /// When the next call is due, by the steady clock.
    #[must_use]
    pub fn next_by_steady(&self) -> Option<Duration> {
        let next = |recipient: &Recipient| recipient.retry_at().or(recipient.gathered_at);
        self.idle().filter_map(next).min()
    }

    /// When something is to be repeated, by the wall clock.
    #[must_use]
    pub fn next_by_wall(&self) -> Option<Timestamp> {
        let is_waiting = |recipient: &&Recipient| recipient.retry_at().is_none() && recipient.gathered_at.is_none();
        self.idle().filter(is_waiting).filter_map(|recipient| recipient.repeat_at).min()
    }

    fn idle(&self) -> impl Iterator<Item = &Recipient> {
        self.each.values().filter(|recipient| recipient.running.is_none())
    }

    /// The notifications that fail, each with what is known of that.
    pub fn failing(&self) -> impl Iterator<Item = (&HookName, Problem)> {
        self.each.iter().filter_map(|(name, recipient)| {
            let Failing { failures, failure, since, untold, .. } = recipient.failing.as_ref()?;
            let times = if *failures == 1 { String::new() } else { format!(" ({failures} times in a row)") };
            let changes = if *untold == 1 { "1 change is".to_owned() } else { format!("{untold} changes are") };
            let message = format!("{}{times}; {changes} not reported yet", failure.message);
            let remedy = format!(
                "fix [notify.{name}] in renewd.toml, or what it runs, as the message says; renewd runs it again by itself, \
                 and at once after a reload that changes it"
            );
            let problem = Problem::error(Code::NotifyFailing.as_str(), &message, &remedy);
            Some((name, Problem { since: Some(since.to_string()), ..problem }))
        })
    }
}

impl Change {
    fn new(subject: &Subject, occasion: Occasion, since: Timestamp) -> Self {
        let (is_repeated, was, condition, leaf) = (false, BTreeSet::new(), None, None);
        Self { subject: subject.clone(), occasion, since, is_repeated, was, condition, leaf }
    }
}

/// Without news it is looked so often: what the passing of time alone brings is seen by then.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests;
