//! Who was told what: compares what is so now with what each `[notify.NAME]` was last told, and says which call is due.
//!
//! What was told is kept across restarts, and only after the call that told it succeeded; so a change is told at least once,
//! and what was never told is found again by looking. Waits go by the steady clock; the daily repetition goes by the wall
//! clock, and an instant that lies ahead is from before the clock was set back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::backoff;
use crate::core::code::Code;
use crate::core::failure::Failure;
use crate::core::name::{CertName, Digest, HookName};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::hook::Hook;
use crate::core::wanted::notify::{Notify, Occasion};

use super::hooks::Ended;
use super::io::Now;
use super::status::Problem;

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

#[derive(Debug, Default)]
struct Recipient {
    told: BTreeMap<Key, Times>,
    live: Option<BTreeMap<CertName, Option<Digest>>>,
    /// What it ran last, to see that an operator changed it.
    run: Option<Hook>,
    running: Option<(Timestamp, Vec<Change>)>,
    /// When what was gathered is told, by the steady clock.
    gathered_at: Option<Duration>,
    failing: Option<Failing>,
    /// When something is repeated.
    repeat_at: Option<Timestamp>,
}

#[derive(Debug)]
struct Failing {
    failures: u32,
    failure: Failure,
    since: Timestamp,
    untold: usize,
    /// By the steady clock.
    retry_at: Duration,
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

impl Recipient {
    fn new(told: Told) -> Self {
        let Told { conditions, live } = told;
        let told = conditions.into_iter().map(|lasting| ((lasting.subject, lasting.event), lasting.times)).collect();
        Self { told, live, ..Self::default() }
    }

    fn kept(&self) -> Told {
        let lasting = |((subject, event), times): (&Key, &Times)| Lasting {
            subject: subject.clone(),
            event: *event,
            times: *times,
        };
        Told { conditions: self.told.iter().map(lasting).collect(), live: self.live.clone() }
    }

    fn retry_at(&self) -> Option<Duration> {
        self.failing.as_ref().map(|failing| failing.retry_at)
    }

    /// Whether a call begins now; the first look at something to be told begins the gathering.
    fn is_due(&mut self, gather: Duration, steady: Duration, at_once: bool) -> bool {
        if at_once {
            return self.failing.is_none();
        }
        let gathered_at = *self.gathered_at.get_or_insert(steady + gather);
        self.retry_at().unwrap_or(gathered_at) <= steady
    }

    /// Puts right what the past left: instants that lie ahead, what was told and says nothing any more, and what is live
    /// of certificates that it was never told of. Whether that is something to be kept.
    fn settle(&mut self, notify: &Notify, seen: &Seen, now: Timestamp) -> bool {
        let mut is_other = false;
        for times in self.told.values_mut() {
            if times.told_at.is_some_and(|at| at > now) {
                (times.told_at, is_other) = (Some(now), true);
            }
        }
        let wrong: BTreeSet<&Subject> = seen.conditions.keys().map(|(subject, _)| subject).collect();
        let told_otherwise = |subject: &Subject| {
            notify.on.iter().any(|occasion| seen.conditions.contains_key(&(subject.clone(), *occasion)))
        };
        let before = self.told.len();
        self.told.retain(|key, _| {
            let (subject, _) = key;
            match () {
                () if seen.conditions.contains_key(key) || seen.unsettled.contains(subject) => true,
                // It has another cause now: whoever is told of that needs no word that the first is over.
                () if wrong.contains(subject) => !told_otherwise(subject),
                () => notify.on.contains(&Occasion::Mended),
            }
        });
        is_other |= self.told.len() != before;
        is_other | self.settle_live(notify, seen)
    }

    /// What is live when it is first seen is no news.
    fn settle_live(&mut self, notify: &Notify, seen: &Seen) -> bool {
        if !notify.on.contains(&Occasion::Renewed) {
            return self.live.take().is_some();
        }
        let is_new = self.live.is_none();
        let known = self.live.get_or_insert_default();
        let before = known.len();
        known.retain(|name, _| seen.live.contains_key(name));
        let mut is_other = is_new || known.len() != before;
        for (name, live) in &seen.live {
            let first = match live {
                Live::Absent => None,
                Live::Leaf(leaf, _) => Some(*leaf),
                Live::Unknown => continue,
            };
            if !known.contains_key(name) {
                known.insert(name.clone(), first);
                is_other = true;
            }
        }
        is_other
    }

    /// What is to be told, the most urgent first.
    fn changes(
        &mut self,
        own: &HookName,
        notify: &Notify,
        seen: &Seen,
        first_seen: &BTreeMap<Key, Timestamp>,
        now: Timestamp,
    ) -> Vec<Change> {
        let is_own = |subject: &Subject| subject.what == What::Notify && subject.name.as_str() == own.as_str();
        let lasting = || {
            let is_meant = |key: &Key| notify.on.contains(&key.1) && !is_own(&key.0);
            seen.conditions.iter().filter(move |(key, _)| is_meant(key))
        };
        let told_at = |key: &Key| self.told.get(key).and_then(|times| times.told_at);
        self.repeat_at = lasting().filter_map(|(key, _)| told_at(key)).min().map(|at| at + DAY);
        let repeats = self.repeat_at.is_some_and(|at| at <= now);
        let mut changes: Vec<Change> = Vec::new();
        for (key, condition) in lasting() {
            let is_repeated = told_at(key).is_some();
            if is_repeated && !repeats {
                continue;
            }
            let since = self.told.get(key).map(|times| times.since).or_else(|| first_seen.get(key).copied());
            let change = Change::new(&key.0, key.1, since.unwrap_or(now));
            changes.push(Change { is_repeated, condition: Some(condition.clone()), ..change });
        }
        if notify.on.contains(&Occasion::Mended) {
            changes.extend(self.mended(seen));
        }
        changes.extend(self.renewed(seen, now));
        changes.sort_by(|one, other| (one.occasion, &one.subject).cmp(&(other.occasion, &other.subject)));
        changes
    }

    /// What was told of, and has nothing wrong with it any more.
    fn mended(&self, seen: &Seen) -> impl Iterator<Item = Change> {
        let wrong: BTreeSet<&Subject> = seen.conditions.keys().map(|(subject, _)| subject).collect();
        let is_over = |subject: &Subject| !wrong.contains(subject) && !seen.unsettled.contains(subject);
        let mut over: BTreeMap<&Subject, Change> = BTreeMap::new();
        for ((subject, occasion), times) in self.told.iter().filter(|((subject, _), _)| is_over(subject)) {
            let change = over.entry(subject).or_insert_with(|| Change::new(subject, Occasion::Mended, times.since));
            change.was.insert(*occasion);
            change.since = change.since.min(times.since);
        }
        over.into_values().collect::<Vec<_>>().into_iter()
    }

    fn renewed(&self, seen: &Seen, now: Timestamp) -> impl Iterator<Item = Change> {
        let known = self.live.iter().flatten();
        known.filter_map(move |(name, before)| {
            let Some(Live::Leaf(leaf, true)) = seen.live.get(name) else { return None };
            let change = Change::new(&Subject::new(What::Certificate, name.as_str()), Occasion::Renewed, now);
            (*before != Some(*leaf)).then_some(Change { leaf: Some(*leaf), ..change })
        })
    }

    /// A call tells these: what it tells of counts as told of from now on, so that it is told when that is over, however
    /// the call ends.
    fn begin(&mut self, changes: &[Change], now: Timestamp) {
        for change in changes.iter().filter(|change| change.condition.is_some()) {
            let times = Times { since: change.since, told_at: None };
            self.told.entry((change.subject.clone(), change.occasion)).or_insert(times);
        }
        self.running = Some((now, changes.to_vec()));
    }

    /// A call has told this.
    fn learn(&mut self, change: Change, at: Timestamp) {
        let Change { subject, occasion, leaf, was, .. } = change;
        let known = self.live.as_mut().zip(subject.name.as_str().parse().ok());
        if let (Some(leaf), Some((known, name))) = (leaf, known) {
            known.insert(name, Some(leaf));
        }
        for was in was {
            self.told.remove(&(subject.clone(), was));
        }
        if let Some(times) = self.told.get_mut(&(subject, occasion)) {
            times.told_at = Some(at);
        }
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
