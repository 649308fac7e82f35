//! Telling somebody: what is wrong now is compared with what each notification was told, and becomes a document.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::breaker::ApiState;
use super::hooks::Ended;
use super::io::{Command, Now};
use super::managed::Managed;
use super::notices::{Call, Change, Condition, Key, Live, Seen, Subject, What};
use super::report::conditions::conditions;
use super::report::{self, Facts};
use super::status::CertificateStatus;
use super::{Engine, Mode};
use crate::core::name::{CertName, HookName};
use crate::core::reason::State;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::hook::Hook;
use crate::core::wanted::notify::{Notify, Occasion};

/// A call that begins now.
#[derive(Debug)]
pub struct Telling {
    /// By which notification.
    pub name: HookName,
    /// What it runs.
    pub run: Hook,
    /// What it is told.
    pub document: Document,
}

/// What a notification reads on its standard input.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document {
    /// The version of this form.
    pub version: u32,
    /// The name of the notification.
    pub notify: HookName,
    /// What this host is called.
    pub host: Text,
    /// When it was written.
    pub at: String,
    /// All of it on one line.
    pub summary: Text,
    /// Whether it is a test by `renewd notify`, and nothing happened.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub test: bool,
    /// How many changes of each kind, those left out as well.
    pub counts: BTreeMap<Occasion, usize>,
    /// How many changes are left out.
    pub left_out: usize,
    /// What happened, the most urgent first.
    pub changes: Vec<ToldChange>,
}

/// Something that is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToldChange {
    /// What happened.
    pub event: Occasion,
    /// What it happened to.
    #[serde(flatten)]
    pub subject: Subject,
    /// Since when that lasts, as far as renewd knows.
    pub since: String,
    /// Whether it was told before, and lasts.
    pub repeated: bool,
    /// What was wrong, where it is mended.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub was: BTreeSet<Occasion>,
    /// Its page in `renewd explain`, where it lasts.
    pub code: Option<String>,
    /// What it is.
    pub message: Text,
    /// What to do, where it lasts.
    pub remedy: Option<Text>,
    /// The certificate, as in `status --json`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateStatus>,
}

impl Engine {
    /// Looks whether somebody is to be told something, where anything is new or it is time.
    pub(super) fn watch_notices(&mut self, is_news: bool, now: Now) {
        if self.main.notifies.is_empty() && self.notices.is_empty() {
            return;
        }
        if is_news || self.notices.is_due(now) {
            self.look_for_news(false, now);
        }
    }

    /// Tells what a pass leaves behind; whether all is told that can be.
    pub(super) fn is_all_told(&mut self, now: Now) -> bool {
        if !self.main.notifies.is_empty() && !self.notices.is_running() {
            self.look_for_news(true, now);
        }
        !self.notices.is_running()
    }

    fn look_for_news(&mut self, at_once: bool, now: Now) {
        let seen = self.seen(now.wall);
        let (calls, is_other) = self.notices.look(&seen, &self.main.notifies, now, at_once);
        if is_other {
            self.keep_notices();
        }
        for Call { name, run, changes } in calls {
            let document = self.document(&name, changes, now.wall);
            self.want(Command::Notify(Box::new(Telling { name, run, document })));
        }
    }

    pub(super) fn notify_ended(&mut self, name: &HookName, ended: &Ended, now: Now) {
        self.notices.ended(name, ended, now);
        self.status_line.is_old = true;
        self.keep_notices();
    }

    fn keep_notices(&mut self) {
        let kept = self.notices.kept();
        self.want(Command::KeepNotices(kept));
    }

    fn seen(&self, now: Timestamp) -> Seen {
        let facts = self.facts(now);
        let certificates: Vec<_> = self.with_readings(self.fleet.needing_attention()).collect();
        let mut found = conditions(&facts, &certificates);
        found.extend(self.notices.failing().map(|(name, problem)| {
            let key: Key = (Subject::new(What::Notify, name.as_str()), Occasion::Failing);
            (key, Condition { code: problem.code, message: problem.message, remedy: problem.remedy })
        }));
        let unsettled = self.notices.told().filter(|subject| self.is_unsettled(subject)).cloned().collect();
        let wants_live = self.main.notifies.values().any(|notify| notify.on.contains(&Occasion::Renewed));
        let live = |managed: &Managed| (managed.entry.name.clone(), live(managed));
        let live = self.fleet.iter().filter(|_| wants_live).map(live).collect();
        Seen { conditions: found, unsettled, live }
    }

    /// Whether nobody can tell yet whether what was wrong with it is over.
    fn is_unsettled(&self, subject: &Subject) -> bool {
        let managed = || self.fleet.one(&subject.name.as_str().parse::<CertName>().ok()?);
        match subject.what {
            What::Certificate => managed().is_some_and(|managed| {
                let is_unseen = !managed.entry.probes.is_empty() && managed.last_look().is_none();
                managed.is_busy() || managed.decision().reason.state() == State::Due || is_unseen
            }),
            What::File => false,
            What::Credential => self.mode == Mode::Forever && !self.credentials.was_read(),
            What::Notify => self.notices.is_owing(subject.name.as_str()),
            What::Host => self.api.breaker().state() == ApiState::Unknown,
        }
    }

    fn document(&self, name: &HookName, changes: Vec<Change>, now: Timestamp) -> Document {
        let mut counts = BTreeMap::new();
        changes.iter().for_each(|change| *counts.entry(change.occasion).or_default() += 1);
        let host = self.notices.host().clone();
        let summary = Text::new(&format!("renewd on {host}: {}", summary(&changes)));
        let left_out = changes.len().saturating_sub(MOST_CHANGES);
        let facts = self.facts(now);
        let changes = changes.into_iter().take(MOST_CHANGES).map(|change| self.told(change, &facts)).collect();
        let (notify, at) = (name.clone(), now.to_string());
        Document { version: 1, notify, host, at, summary, test: false, counts, left_out, changes }
    }

    /// What a notification is told as a test: something of a kind that it wants to know of, and that nothing is wrong.
    #[must_use]
    pub fn sample(&self, notify: &Notify, now: Timestamp) -> Document {
        let (host, at) = (self.notices.host().clone(), now.to_string());
        let event = notify.on.first().copied().unwrap_or(Occasion::Failing);
        let told = ToldChange {
            event,
            subject: Subject::new(What::Host, "test"),
            since: at.clone(),
            repeated: false,
            was: BTreeSet::new(),
            code: None,
            message: Text::new("a test by `renewd notify`: nothing is wrong"),
            remedy: None,
            certificate: None,
        };
        Document {
            version: 1,
            notify: notify.run.name.clone(),
            summary: Text::new(&format!("renewd on {host}: test by `renewd notify`, nothing is wrong")),
            host,
            at,
            test: true,
            counts: BTreeMap::from([(event, 1)]),
            left_out: 0,
            changes: vec![told],
        }
    }

    fn told(&self, change: Change, facts: &Facts<'_>) -> ToldChange {
        let Change { subject, occasion, since, is_repeated, was, condition, .. } = change;
        let name = subject.name.as_str().parse::<CertName>().ok().filter(|_| subject.what == What::Certificate);
        let managed = name.and_then(|name| self.fleet.one(&name));
        let certificate = report::certificates(facts, self.with_readings(managed.into_iter())).pop();
        let message = match (&condition, &certificate) {
            (Some(condition), _) => condition.message.clone(),
            (None, Some(certificate)) => certificate.reason.clone(),
            (None, None) if subject.what == What::Certificate => Text::new("no longer in the inventory"),
            (None, None) => Text::new("it is over"),
        };
        let (code, remedy) = condition.map(|condition| (condition.code, condition.remedy)).unzip();
        let (event, since) = (occasion, since.to_string());
        ToldChange { event, subject, since, repeated: is_repeated, was, code, message, remedy, certificate }
    }
}

fn live(managed: &Managed) -> Live {
    match managed.observed.installed() {
        Some(installed) => Live::Leaf(installed.fingerprint, managed.decision().reason.state() == State::Valid),
        None if managed.observed == crate::core::known::observed::Observed::Absent => Live::Absent,
        None => Live::Unknown,
    }
}

/// What happened, in the words of a subject line: each kind with the first names.
fn summary(changes: &[Change]) -> String {
    let mut kinds: Vec<((Occasion, bool), Vec<&str>)> = Vec::new();
    for change in changes {
        let kind = (change.occasion, change.is_repeated);
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, names)) => names.push(change.subject.name.as_str()),
            None => kinds.push((kind, vec![change.subject.name.as_str()])),
        }
    }
    let kind = |((occasion, is_repeated), names): &((Occasion, bool), Vec<&str>)| {
        let still = if *is_repeated { "still " } else { "" };
        let (shown, more) = names.split_at(names.len().min(MOST_NAMES));
        let more = if more.is_empty() { String::new() } else { format!(" and {} more", more.len()) };
        format!("{still}{occasion}: {}{more}", shown.join(", "))
    };
    kinds.iter().map(kind).collect::<Vec<_>>().join("; ")
}

/// A document has room for so many; the rest is counted.
const MOST_CHANGES: usize = 200;
/// A subject line has room for so many of a kind.
const MOST_NAMES: usize = 3;
