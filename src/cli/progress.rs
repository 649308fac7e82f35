//! Watching the daemon do what it was told: a bar with an estimate on a terminal; everywhere a line for each step of a few
//! certificates, and for each that is settled. The work is the daemon's; whoever watches may go at any time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::Serialize;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::cli::event_text::EventView;
use crate::core::code::Code;
use crate::core::event::{Entry, Event};
use crate::core::failure::{Failure, FailureClass};
use crate::core::known::served::Served;
use crate::core::name::CertName;
use crate::core::reason::State;
use crate::core::text::Text;
use crate::core::time::{Span, Timestamp};
use crate::daemon::control::{Request, View};
use crate::daemon::steps::Steps;
use crate::engine::status::{CertificateStatus, HookStatus, Status};

use super::output::Volume;
use super::{control, output};

/// What became of one certificate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Settled {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    state: String,
    reason_code: String,
    reason: Text,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<Text>,
}

/// How it ended, for the one who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// A new certificate is installed, its hooks ran, and it is served where that is looked at.
    Replaced,
    /// The hooks of what is installed ran, and it is served where that is looked at.
    Deployed,
    /// It waits for somebody or for a time; the daemon continues by itself.
    Waiting,
    /// Something failed.
    Failed,
}

/// How the watching ended.
#[derive(Debug)]
pub(super) enum Watched {
    /// All are settled.
    All(Vec<Settled>),
    /// Somebody ended it before that.
    Interrupted(Vec<Settled>),
    /// The daemon did not answer any more.
    Lost(Vec<Settled>, String),
}

/// The generation of each certificate before anything is asked for.
pub(super) type Before = BTreeMap<String, Option<u64>>;

/// What is waited for.
#[derive(Debug)]
pub(super) enum Goal {
    /// Another generation than before.
    Replaced(Before),
    /// Hooks and probe of the installed one.
    Deployed(Seen),
}

impl Goal {
    fn judge(&self, certificate: &CertificateStatus, at: &str) -> Option<Settled> {
        match self {
            Self::Replaced(before) => {
                let outcome = judge(certificate, before.get(&certificate.name).copied().flatten(), at)?;
                Some(settle(certificate, outcome))
            }
            Self::Deployed(seen) => seen.judge(certificate, at),
        }
    }
}

/// What was known before hooks and probe were asked for.
#[derive(Debug, Default)]
pub(super) struct Seen {
    at: Option<Timestamp>,
    /// The certificates that are probed.
    probed: BTreeSet<String>,
}

impl Seen {
    pub(super) fn of(status: &Status) -> Self {
        let probed = status.certificates.iter().filter(|one| one.probe.is_some()).map(|one| one.name.clone());
        Self { at: output::instant(&status.at).ok(), probed: probed.collect() }
    }

    /// By hooks and probe themselves: what else the certificate waits for may be what its state says.
    pub(super) fn judge(&self, certificate: &CertificateStatus, at: &str) -> Option<Settled> {
        let CertificateStatus { name, hooks, probe, served, .. } = certificate;
        let is = |wanted: &'static str| move |hook: &&HookStatus| hook.state == wanted;
        if let Some(hook) = hooks.iter().find(is("failing")) {
            let failure = hook.error.clone().unwrap_or_default();
            let failure = Failure::new(FailureClass::HookFailed, format!("hook {}: {failure}", hook.name));
            return Some(because(certificate, failure.class.code(), failure.message.as_str(), Some(failure.remedy())));
        }
        if hooks.iter().any(|hook| is("owed")(&hook) || is("running")(&hook)) {
            return None;
        }
        let is_probed = probe.is_some() || self.probed.contains(name);
        let is_next = [Code::Probing, Code::HookOwed].iter().any(|code| certificate.reason_code == code.as_str());
        if !is_probed && !is_next {
            return Some(settle(certificate, Outcome::Deployed));
        }
        let instant = |text: Option<&str>| text.and_then(|text| output::instant(text).ok());
        let since = hooks.iter().filter_map(|hook| instant(hook.at.as_deref())).chain(self.at).max();
        let looked = probe.as_ref().and_then(|probe| instant(Some(&probe.at)))?;
        if since.is_some_and(|since| looked < since) {
            return None;
        }
        if served == Served::Yes.as_str() {
            return Some(settle(certificate, Outcome::Deployed));
        }
        // A server takes a moment, and is looked at again soon.
        let is_late = instant(Some(at)).is_some_and(|at| since.is_none_or(|since| at > since + SOON));
        let found = probe.as_ref().and_then(|probe| probe.found.clone()).unwrap_or_default();
        is_late.then(|| because(certificate, Code::NotServed.as_str(), &format!("not served: {found}"), None))
    }
}

/// A failure that is not what the certificate as a whole waits for.
fn because(certificate: &CertificateStatus, code: &str, why: &str, remedy: Option<&str>) -> Settled {
    Settled {
        reason_code: code.to_owned(),
        reason: Text::new(why),
        remedy: remedy.map(Text::new),
        ..settle(certificate, Outcome::Failed)
    }
}

/// The steps of a few certificates, as they come.
pub(super) struct Narration {
    names: Vec<CertName>,
    /// The number of the last one that was told; `None`: none is.
    last: Option<u64>,
}

impl Narration {
    /// From now on: what comes before an order is none of its steps.
    pub(super) fn begin(path: &Path, asked: &BTreeSet<String>, silent: bool) -> Self {
        let names: Vec<CertName> = asked.iter().filter_map(|name| name.parse().ok()).collect();
        let mut narration = Self { names, last: None };
        if !silent && asked.len() <= SHOWN {
            narration.last = narration.after(path, None).map(|steps| steps.last);
        }
        narration
    }

    fn after(&self, path: &Path, after: Option<u64>) -> Option<Steps> {
        let line = control::ask(path, &Request::Steps { names: self.names.clone(), after }).ok()?;
        serde_json::from_str(&line).ok()
    }

    /// The new ones, each as a line.
    fn next(&mut self, path: &Path) -> Vec<String> {
        let Some(steps) = self.last.and_then(|last| self.after(path, Some(last))) else { return Vec::new() };
        self.last = Some(steps.last);
        // What was ordered is known, and what is tidied up is nobody's step.
        let is_step = |entry: &&Entry| {
            let is_known = matches!(entry.event, Event::RenewalAsked { .. } | Event::DeployAsked { .. });
            !is_known && !matches!(entry.event, Event::RolledBack { .. } | Event::KeyForgotten { .. })
        };
        let line = |entry: &Entry| format!("{}: {}", entry.name, EventView::new(entry).message);
        steps.steps.iter().filter(is_step).map(line).collect()
    }
}

/// Everything that the daemon has.
///
/// # Errors
///
/// When it does not answer.
pub(super) fn status(path: &Path) -> io::Result<Status> {
    let line = control::ask(path, &Request::Status { view: View::All })?;
    serde_json::from_str(&line).map_err(io::Error::from)
}

/// Watches until all of `asked` are settled, telling each as it is.
pub(super) fn watch(
    path: &Path,
    asked: &BTreeSet<String>,
    goal: &Goal,
    mut narration: Narration,
    (by, silent): (Option<Timestamp>, bool),
) -> Watched {
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Without it Ctrl-C ends the process as ever, and the daemon goes on all the same.
        drop(signal_hook::flag::register(signal, Arc::clone(&stopped)));
    }
    let bar = bar(asked.len(), silent);
    let mut by = by;
    let mut settled: Vec<Settled> = Vec::new();
    let mut unanswered = 0;
    let interval = if asked.len() > MANY { LONG_INTERVAL } else { INTERVAL };
    loop {
        match status(path) {
            Ok(status) => {
                unanswered = 0;
                let steps = narration.next(path);
                if !steps.is_empty() {
                    bar.suspend(|| steps.iter().for_each(|step| output::tell(step)));
                }
                let news = news(&status, asked, goal, &settled);
                for one in &news {
                    bar.suspend(|| tell(one, silent));
                    bar.inc(1);
                }
                settled.extend(news);
                let (now, left) = (output::instant(&status.at).unwrap_or_default(), asked.len() - settled.len());
                if let Some(over) = by.take_if(|by| left > 0 && now > *by) {
                    let late = format!("{left} of {} are not replaced by {over}; the daemon continues", asked.len());
                    bar.suspend(|| output::complain(&late));
                }
                let until = by.map_or_else(String::new, |by| format!("{left} left, {} to go; ", whole(by.since(now))));
                bar.set_message(format!("{until}{}", under_way(&status, asked, &settled)));
            }
            Err(error) if unanswered >= PATIENCE => {
                bar.finish_and_clear();
                return Watched::Lost(settled, error.to_string());
            }
            Err(_) => unanswered += 1,
        }
        if settled.len() == asked.len() {
            bar.finish_and_clear();
            return Watched::All(settled);
        }
        if stopped.load(Ordering::Relaxed) {
            bar.finish_and_clear();
            return Watched::Interrupted(settled);
        }
        std::thread::sleep(interval);
    }
}

fn bar(count: usize, silent: bool) -> ProgressBar {
    if silent || output::volume() == Volume::Quiet || !io::stdout().is_terminal() || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(count as u64);
    let template = "[{bar:24}] {pos}/{len} · {passed} elapsed{estimate}  {wide_msg}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let estimate = |state: &ProgressState, text: &mut dyn fmt::Write| {
        let left = || format!(" · ETA {}", whole(state.eta()));
        let estimate = if state.pos() > 0 { left() } else { String::new() };
        if text.write_str(&estimate).is_err() {
            tracing::trace!("the terminal is gone");
        }
    };
    let passed = |state: &ProgressState, text: &mut dyn fmt::Write| {
        if write!(text, "{}", whole(state.elapsed())).is_err() {
            tracing::trace!("the terminal is gone");
        }
    };
    bar.set_style(style.progress_chars("=> ").with_key("estimate", estimate).with_key("passed", passed));
    bar.enable_steady_tick(INTERVAL);
    bar
}

/// In whole seconds, what is over as what is left.
const fn whole(span: Duration) -> Span {
    Span(Duration::from_secs(span.as_secs()))
}

/// Tells what became of one; with `--quiet` only what failed.
pub(super) fn tell(one: &Settled, silent: bool) {
    match (silent, one.outcome, output::volume()) {
        (true, ..) => {}
        (false, Outcome::Failed, Volume::Quiet) => output::complain(&line(one)),
        (false, ..) => output::tell(&line(one)),
    }
}

/// What became of one, in a line.
fn line(one: &Settled) -> String {
    let Settled { name, outcome, state, reason_code, reason, remedy } = one;
    match outcome {
        Outcome::Replaced => format!("{name}: {}: {reason}", output::coloured("replaced", "32")),
        Outcome::Deployed => format!("{name}: {}: {reason}", output::coloured("deployed", "32")),
        Outcome::Waiting => format!("{name}: {}: {reason}; the daemon continues", output::coloured(state, "33")),
        Outcome::Failed => {
            let fix = remedy.as_ref().map_or_else(String::new, |remedy| format!("; fix: {remedy}"));
            format!("{name}: {}: {reason}{fix}; `renewd explain {reason_code}`", output::coloured(state, "1;31"))
        }
    }
}

/// Those that are settled now and were not before.
fn news(status: &Status, asked: &BTreeSet<String>, goal: &Goal, settled: &[Settled]) -> Vec<Settled> {
    let mut news = Vec::new();
    for name in asked.iter().filter(|name| !settled.iter().any(|one| one.name == **name)) {
        match status.certificates.iter().find(|certificate| certificate.name == *name) {
            None => news.push(Settled {
                name: name.clone(),
                outcome: Outcome::Failed,
                state: "gone".to_owned(),
                reason_code: Code::InventoryFileRefused.to_string(),
                reason: Text::new("it is no longer in the inventory"),
                remedy: None,
            }),
            Some(certificate) => news.extend(goal.judge(certificate, &status.at)),
        }
    }
    news
}

/// A certificate as it was left.
pub(super) fn settle(certificate: &CertificateStatus, outcome: Outcome) -> Settled {
    Settled {
        name: certificate.name.clone(),
        outcome,
        state: certificate.state.clone(),
        reason_code: certificate.reason_code.clone(),
        reason: certificate.reason.clone(),
        remedy: certificate.remedy.clone(),
    }
}

/// Whether there is nothing more to wait for here, as the status says `at` this time. A state that this version does not
/// know is worked on.
pub(super) fn judge(certificate: &CertificateStatus, before: Option<u64>, at: &str) -> Option<Outcome> {
    let state = State::ALL.into_iter().find(|state| state.as_str() == certificate.state)?;
    let is = |code: Code| certificate.reason_code == code.as_str();
    let is_new = certificate.generation.is_some() && certificate.generation != before;
    match state {
        State::Valid if is_new => Some(Outcome::Replaced),
        // Not replaced, for weeks perhaps: that is not what was asked for.
        State::Valid if certificate.reason_code == FailureClass::RenewalTooEarly.code() => Some(Outcome::Failed),
        // Right after the word it is asked after: what was known before that is not told.
        State::Pending => is_far(certificate, at).then_some(Outcome::Waiting),
        State::Staged if is(Code::CertificateStaged) => Some(Outcome::Failed),
        State::Staged => Some(Outcome::Waiting),
        State::Failing | State::Rejected | State::Held => Some(Outcome::Failed),
        // A server takes a moment, and its hooks may run once more: it is looked at again soon, and then later and later.
        State::Deploying if is(Code::NotServed) && is_far(certificate, at) => Some(Outcome::Failed),
        // While a trial is under way, what it brings is waited for.
        State::Due if is(Code::ApiDown) && is_further(certificate, at, TRIAL) => Some(Outcome::Failed),
        State::Due if is(Code::ClockWrong) => Some(Outcome::Failed),
        State::Due if certificate.reason_code == FailureClass::ApiRateLimited.code() => Some(Outcome::Failed),
        State::Valid | State::Due | State::Deploying => None,
    }
}

/// Whether the next step is further away than somebody who watches would wait.
fn is_far(certificate: &CertificateStatus, at: &str) -> bool {
    is_further(certificate, at, SOON)
}

fn is_further(certificate: &CertificateStatus, at: &str, wait: Duration) -> bool {
    let next = certificate.next_action_at.as_deref().map(output::instant);
    matches!((next, output::instant(at)), (Some(Ok(next)), Ok(at)) if next > at + wait)
}

fn under_way(status: &Status, asked: &BTreeSet<String>, settled: &[Settled]) -> String {
    let is_open = |name: &String| asked.contains(name) && !settled.iter().any(|one| one.name == *name);
    let open = status.certificates.iter().filter(|certificate| is_open(&certificate.name));
    let open: Vec<String> =
        open.take(SHOWN).map(|certificate| format!("{} {}", certificate.name, certificate.reason_code)).collect();
    open.join(", ")
}

const INTERVAL: Duration = Duration::from_millis(200);
/// A status of many certificates is long.
const LONG_INTERVAL: Duration = Duration::from_secs(1);
const MANY: usize = 100;
/// So often it may not answer before it counts as gone: it may be starting anew.
const PATIENCE: u32 = 50;
const SOON: Duration = Duration::from_secs(15);
/// A trial of the API is over after this time.
const TRIAL: Duration = Duration::from_secs(90);
/// How many of those under way are named.
const SHOWN: usize = 3;
