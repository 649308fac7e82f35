//! One of those who are told: what it was told, what it is being told, and what it is to be told next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::core::failure::Failure;
use crate::core::name::{CertName, Digest, HookName};
use crate::core::time::Timestamp;
use crate::core::wanted::hook::Hook;
use crate::core::wanted::notify::{Notify, Occasion};

use super::{Change, DAY, Key, Lasting, Live, Seen, Subject, Times, Told, What};

#[derive(Debug, Default)]
pub(super) struct Recipient {
    pub(super) told: BTreeMap<Key, Times>,
    pub(super) live: Option<BTreeMap<CertName, Option<Digest>>>,
    /// What it ran last, to see that an operator changed it.
    pub(super) run: Option<Hook>,
    pub(super) running: Option<(Timestamp, Vec<Change>)>,
    /// When what was gathered is told, by the steady clock.
    pub(super) gathered_at: Option<Duration>,
    pub(super) failing: Option<Failing>,
    /// When something is repeated.
    pub(super) repeat_at: Option<Timestamp>,
}

#[derive(Debug)]
pub(super) struct Failing {
    pub(super) failures: u32,
    pub(super) failure: Failure,
    pub(super) since: Timestamp,
    pub(super) untold: usize,
    /// By the steady clock.
    pub(super) retry_at: Duration,
}

impl Recipient {
    pub(super) fn new(told: Told) -> Self {
        let Told { conditions, live } = told;
        let told = conditions.into_iter().map(|lasting| ((lasting.subject, lasting.event), lasting.times)).collect();
        Self { told, live, ..Self::default() }
    }

    pub(super) fn kept(&self) -> Told {
        let lasting = |((subject, event), times): (&Key, &Times)| Lasting {
            subject: subject.clone(),
            event: *event,
            times: *times,
        };
        Told { conditions: self.told.iter().map(lasting).collect(), live: self.live.clone() }
    }

    pub(super) fn retry_at(&self) -> Option<Duration> {
        self.failing.as_ref().map(|failing| failing.retry_at)
    }

    /// Whether a call begins now; the first look at something to be told begins the gathering.
    pub(super) fn is_due(&mut self, gather: Duration, steady: Duration, at_once: bool) -> bool {
        if at_once {
            return self.failing.is_none();
        }
        let gathered_at = *self.gathered_at.get_or_insert(steady + gather);
        self.retry_at().unwrap_or(gathered_at) <= steady
    }

    /// Puts right what the past left: instants that lie ahead, what was told and says nothing any more, and what is live
    /// of certificates that it was never told of. Whether that is something to be kept.
    pub(super) fn settle(&mut self, notify: &Notify, seen: &Seen, now: Timestamp) -> bool {
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
    pub(super) fn changes(
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
    pub(super) fn begin(&mut self, changes: &[Change], now: Timestamp) {
        for change in changes.iter().filter(|change| change.condition.is_some()) {
            let times = Times { since: change.since, told_at: None };
            self.told.entry((change.subject.clone(), change.occasion)).or_insert(times);
        }
        self.running = Some((now, changes.to_vec()));
    }

    /// A call has told this.
    pub(super) fn learn(&mut self, change: Change, at: Timestamp) {
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
