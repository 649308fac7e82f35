//! Watching the daemon replace certificates: a bar with an estimate on a terminal, a line for each that is settled
//! everywhere. The work is the daemon's; whoever watches may go at any time.

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

use crate::core::code::Code;
use crate::core::failure::FailureClass;
use crate::core::reason::State;
use crate::core::text::Text;
use crate::core::time::Span;
use crate::daemon::control::{Request, View};
use crate::engine::status::{CertificateStatus, Status};

use super::{control, output};

/// What became of one certificate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Settled {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    state: String,
    reason_code: String,
    reason: Text,
}

/// How it ended, for the one who watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// A new certificate is installed, its hooks ran, and it is served where that is looked at.
    Replaced,
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
pub(super) fn watch(path: &Path, asked: &BTreeSet<String>, before: &Before, silent: bool) -> Watched {
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Without it Ctrl-C ends the process as ever, and the daemon goes on all the same.
        drop(signal_hook::flag::register(signal, Arc::clone(&stopped)));
    }
    let bar = bar(asked.len(), silent);
    let mut settled: Vec<Settled> = Vec::new();
    let mut unanswered = 0;
    let interval = if asked.len() > MANY { LONG_INTERVAL } else { INTERVAL };
    loop {
        match status(path) {
            Ok(status) => {
                unanswered = 0;
                let news = news(&status, asked, before, &settled);
                for one in &news {
                    bar.suspend(|| tell(one, silent));
                    bar.inc(1);
                }
                settled.extend(news);
                bar.set_message(under_way(&status, asked, &settled));
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
    if silent || !io::stdout().is_terminal() || !io::stderr().is_terminal() {
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

fn tell(one: &Settled, silent: bool) {
    if !silent {
        output::print(&line(one));
    }
}

/// What became of one, in a line.
pub(super) fn line(one: &Settled) -> String {
    let Settled { name, outcome, state, reason_code, reason } = one;
    match outcome {
        Outcome::Replaced => format!("{name}: {}: {reason}", output::coloured("replaced", "32")),
        Outcome::Waiting => format!("{name}: {}: {reason}; the daemon continues", output::coloured(state, "33")),
        Outcome::Failed => {
            format!("{name}: {}: {reason}; `renewd explain {reason_code}`", output::coloured(state, "1;31"))
        }
    }
}

/// Those that are settled now and were not before.
fn news(status: &Status, asked: &BTreeSet<String>, before: &Before, settled: &[Settled]) -> Vec<Settled> {
    let mut news = Vec::new();
    for name in asked.iter().filter(|name| !settled.iter().any(|one| one.name == **name)) {
        match status.certificates.iter().find(|certificate| certificate.name == *name) {
            None => news.push(Settled {
                name: name.clone(),
                outcome: Outcome::Failed,
                state: "gone".to_owned(),
                reason_code: Code::InventoryFileRefused.to_string(),
                reason: Text::new("it is no longer in the inventory"),
            }),
            Some(certificate) => {
                let outcome = judge(certificate, before.get(name).copied().flatten(), &status.at);
                news.extend(outcome.map(|outcome| settle(certificate, outcome)));
            }
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
        State::Pending => Some(Outcome::Waiting),
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
