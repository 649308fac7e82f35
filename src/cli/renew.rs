//! `renewd renew`: the operator's word. Through the daemon where it runs, which is watched while it works; by one pass of
//! its own where not.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::Main;
use crate::core::name::CertName;
use crate::core::reason::State;
use crate::core::time::Timestamp;
use crate::daemon::answer::unknown_names;
use crate::daemon::control::Request;
use crate::daemon::run::Word;
use crate::engine::status::{CertificateStatus, Status};

use super::order::{self, Following, Order};
use super::output::Volume;
use super::progress::{self, Goal, Outcome};
use super::select::Selection;
use super::{control, exit, forecast, offline, once, output, start};

/// What is to be replaced, and how.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) selection: Selection,
    /// By new certificates.
    pub(super) reissue: bool,
    /// How long it may take.
    pub(super) within: Option<Duration>,
    /// Even if it takes longer.
    pub(super) anyway: bool,
    pub(super) following: Following,
}

/// Replaces these certificates now.
pub(super) fn run(config: &Path, wish: &Options) -> ExitCode {
    let main = match control::configuration(config) {
        Ok(main) => main,
        Err(code) => return code.into(),
    };
    match progress::status(&control::path(&main)) {
        Ok(before) => through_daemon(main, wish, &before),
        // Who may not ask is told so by what the files allow.
        Err(_) => by_itself(config, wish),
    }
}

/// That the operator's word ends the holds of those that are held.
fn tell_held(status: &Status, names: &[CertName]) {
    let is_asked = |name: &str| names.is_empty() || names.iter().any(|asked| asked.as_str() == name);
    let held = status.certificates.iter().filter(|one| one.hold.is_some() && is_asked(&one.name));
    held.for_each(|one| output::remark(&format!("{}: on hold; this ends the hold", one.name)));
}

/// Tells how long it takes, where that matters; until when it is to be done.
fn weigh(main: Main, wish: &Options, names: &[CertName]) -> Result<Option<Timestamp>, String> {
    let Some(within) = wish.within else { return Ok(None) };
    let pace = main.clone();
    let unknown = |why| format!("{why}; only the state directory shows how long it takes: leave --within out");
    let outlook = forecast::of_renewal(main, names, wish.reissue).map_err(unknown)?;
    let by = outlook.began + within;
    output::remark(&forecast::told(&outlook, &pace));
    let Some(late) = forecast::late(&outlook, by) else { return Ok(Some(by)) };
    if wish.anyway {
        output::remark(&late);
        return Ok(Some(by));
    }
    Err(format!("{late}\nnothing was asked for: name fewer, allow more time, or add --anyway"))
}

fn through_daemon(main: Main, wish: &Options, before: &Status) -> ExitCode {
    let path = control::path(&main);
    let names = wish.selection.resolve(|| Ok(Cow::Borrowed(before))).and_then(|names| {
        known(before, &names)?;
        let by = weigh(main, wish, &names)?;
        Ok((names, by))
    });
    let (names, by) = match names {
        Ok(found) => found,
        Err(why) => {
            output::complain(&why);
            return exit::UNWELL.into();
        }
    };
    tell_held(before, &names);
    // An install that failed half-way may have switched already: to finish it is what is asked for.
    let whole = |one: &CertificateStatus| one.generation.filter(|_| one.state != State::Failing.as_str());
    let all = before.certificates.iter().map(|one| (one.name.clone(), whole(one)));
    let asked: BTreeSet<String> = match names.as_slice() {
        [] => before.certificates.iter().map(|one| one.name.clone()).collect(),
        names => names.iter().map(ToString::to_string).collect(),
    };
    let goal = Goal::Replaced(all.collect());
    let request = Request::Renew { names, reissue: wish.reissue };
    order::give(Order { path: &path, request, asked, goal, following: Following { by, ..wish.following } })
}

/// That there are such certificates.
fn known(status: &Status, names: &[CertName]) -> Result<(), String> {
    let known: BTreeSet<&str> = status.certificates.iter().map(|one| one.name.as_str()).collect();
    let unknown: Vec<CertName> = names.iter().filter(|name| !known.contains(name.as_str())).cloned().collect();
    if unknown.is_empty() { Ok(()) } else { Err(unknown_names(&unknown)) }
}

fn by_itself(config: &Path, wish: &Options) -> ExitCode {
    let passed = start::configuration(config).and_then(|configured| {
        let unwell = |why: String| {
            output::complain(&why);
            exit::UNWELL
        };
        let status = offline::look(configured.main.clone(), None).map_err(unwell)?.in_full();
        let names = wish.selection.resolve(|| Ok(Cow::Borrowed(&status))).map_err(unwell)?;
        known(&status, &names).map_err(unwell)?;
        weigh(configured.main.clone(), wish, &names).map_err(unwell)?;
        tell_held(&status, &names);
        let all = || status.certificates.iter().filter_map(|one| one.name.parse().ok()).collect();
        let asked = if names.is_empty() { all() } else { names };
        let word = Word::Renew { names: asked.clone(), reissue: wish.reissue };
        Ok((once::pass(configured, Duration::ZERO, Some(word))?, asked))
    });
    let (status, asked) = match passed {
        Ok(passed) => passed,
        Err(code) => return code.into(),
    };
    let of_asked = |name: &str| asked.iter().any(|asked| asked.as_str() == name);
    let mut settled = Vec::new();
    for certificate in status.certificates.iter().filter(|certificate| of_asked(&certificate.name)) {
        // Nobody goes on with what waits before the next pass.
        let is = |state: State| certificate.state == state.as_str();
        let outcome = match progress::judge(certificate, None, &status.at) {
            _ if is(State::Valid) => Outcome::Replaced,
            None if is(State::Pending) => Outcome::Waiting,
            Some(outcome) => outcome,
            None => Outcome::Failed,
        };
        settled.push(progress::settle(certificate, outcome));
        let told = format!("{}: {}: {}", certificate.name, certificate.state, certificate.reason);
        match outcome {
            _ if wish.following.json => {}
            Outcome::Failed if output::volume() == Volume::Quiet => output::complain(&told),
            Outcome::Replaced | Outcome::Deployed | Outcome::Waiting | Outcome::Failed => output::tell(&told),
        }
    }
    order::sum_up(&settled, wish.following.json);
    if settled.iter().all(|one| one.outcome == Outcome::Replaced) { exit::OK.into() } else { exit::UNWELL.into() }
}
