//! `renewd renew`: the operator's word. Through the daemon where it runs, which is watched while it works; by one pass of
//! its own where not.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::config::Inventory;
use crate::core::known::issuer::Issuer;
use crate::core::name::CertName;
use crate::core::reason::State;
use crate::core::text::Text;
use crate::daemon::clock::{Clock, SystemClock};
use crate::daemon::control::Request;
use crate::daemon::run::Word;
use crate::daemon::{last_good, setup};
use crate::engine::status::CertificateStatus;
use crate::parallel;
use crate::store::journal::{Folded, Journal};
use crate::store::layout::Layout;
use crate::store::observe;
use crate::store::real_disk::RealDisk;

use super::order::{self, Following, Order};
use super::progress::{self, Before, Goal, Outcome};
use super::{control, exit, once, output, start};

/// What is to be replaced, and how.
#[derive(Debug)]
pub(super) struct Options {
    /// Which; all, where none is named.
    pub(super) names: Vec<CertName>,
    /// Those that one of these CAs issued, instead.
    pub(super) issuers: Vec<String>,
    /// By new certificates.
    pub(super) reissue: bool,
    pub(super) following: Following,
}

/// A CA as the command line names it.
pub(super) fn issuer(text: &str) -> Result<String, String> {
    let is_empty = text.trim().is_empty();
    if is_empty { Err("name a CA; `renewd status NAME` shows the issuer".to_owned()) } else { Ok(text.to_owned()) }
}

/// Replaces these certificates now.
pub(super) fn run(config: &Path, mut wish: Options) -> ExitCode {
    let main = match control::configuration(config) {
        Ok(main) => main,
        Err(code) => return code.into(),
    };
    let path = control::path(&main);
    match progress::status(&path) {
        Ok(before) => {
            let issued = before.certificates.iter().map(|one| (one.name.clone(), one.issuer.clone())).collect();
            if let Err(why) = choose(&mut wish, issued) {
                output::complain(&why);
                return exit::UNWELL.into();
            }
            tell_held(before.certificates.iter().filter_map(|one| one.hold.as_ref().map(|_| one.name.as_str())), &wish);
            // An install that failed half-way may have switched already: to finish it is what is asked for.
            let whole = |one: &CertificateStatus| one.generation.filter(|_| one.state != State::Failing.as_str());
            let before = before.certificates.iter().map(|one| (one.name.clone(), whole(one))).collect();
            through_daemon(&path, &wish, before)
        }
        // Who may not ask is told so by what the files allow.
        Err(_) => by_itself(config, &mut wish),
    }
}

/// That the operator's word ends the holds of those that are held.
fn tell_held<'n>(held: impl Iterator<Item = &'n str>, wish: &Options) {
    let is_asked = |name: &&str| wish.names.is_empty() || wish.names.iter().any(|asked| asked.as_str() == *name);
    held.filter(is_asked).for_each(|name| output::complain(&format!("{name}: on hold; this ends the hold")));
}

fn through_daemon(path: &Path, wish: &Options, before: Before) -> ExitCode {
    let asked: BTreeSet<String> = match wish.names.as_slice() {
        [] => before.keys().cloned().collect(),
        names => names.iter().map(ToString::to_string).collect(),
    };
    let request = Request::Renew { names: wish.names.clone(), reissue: wish.reissue };
    order::give(Order { path, request, asked, goal: Goal::Replaced(before), following: wish.following })
}

fn by_itself(config: &Path, wish: &mut Options) -> ExitCode {
    let passed = start::configuration(config).and_then(|configured| {
        let main = &configured.main;
        let layout = Layout::new(&main.state_dir);
        let in_force = last_good::read(&RealDisk, &layout);
        let known = setup::inventory(main, &in_force).map_err(|error| start::told(&error))?;
        choose(wish, issued(&layout, &known, &wish.issuers)).map_err(|why| {
            output::complain(&why);
            exit::UNWELL
        })?;
        let known: Vec<CertName> = known.entries.iter().map(|entry| entry.name.clone()).collect();
        let unknown: Vec<&str> = wish.names.iter().filter(|name| !known.contains(name)).map(CertName::as_str).collect();
        if !unknown.is_empty() {
            output::complain(&format!("no certificate named {}", unknown.join(", ")));
            return Err(exit::UNWELL);
        }
        let asked = if wish.names.is_empty() { known } else { wish.names.clone() };
        let held = Journal::read::<Folded>(&RealDisk, &layout).unwrap_or_default().entries.records;
        let now = SystemClock::default().now();
        let held = held.iter().filter(|(_, record)| record.hold_at(now).is_some());
        tell_held(held.map(|(name, _)| name.as_str()), wish);
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
        if !wish.following.json {
            output::print(&format!("{}: {}: {}", certificate.name, certificate.state, certificate.reason));
        }
    }
    order::sum_up(&settled, wish.following.json);
    if settled.iter().all(|one| one.outcome == Outcome::Replaced) { exit::OK.into() } else { exit::UNWELL.into() }
}

/// Certificates, each with its issuer where it is known.
type Issued = Vec<(String, Option<Issuer>)>;

/// Who issued what is installed, where that is asked for.
fn issued(layout: &Layout, known: &Inventory, issuers: &[String]) -> Issued {
    let entries = if issuers.is_empty() { &[] } else { known.entries.as_slice() };
    parallel::map(entries, |entry| {
        let observed = observe::observe(&RealDisk, layout, entry);
        (entry.name.to_string(), observed.installed().map(|installed| installed.chain.issuer.clone()))
    })
}

/// Names the certificates that the wanted issuers issued. None is never all.
fn choose(wish: &mut Options, issued: Issued) -> Result<(), String> {
    for wanted in &wish.issuers {
        let is_meant = |issuer: &Option<Issuer>| issuer.as_ref().is_some_and(|issuer| issuer.is_meant_by(wanted));
        let found: Vec<CertName> =
            issued.iter().filter(|(_, issuer)| is_meant(issuer)).filter_map(|(name, _)| name.parse().ok()).collect();
        if found.is_empty() {
            return Err(unknown_issuer(wanted, &issued));
        }
        wish.names.extend(found);
    }
    if !wish.issuers.is_empty() {
        wish.names.sort();
        wish.names.dedup();
    }
    Ok(())
}

fn unknown_issuer(wanted: &str, issued: &Issued) -> String {
    let issuers: BTreeSet<&str> =
        issued.iter().filter_map(|(_, issuer)| Some(issuer.as_ref()?.subject.as_str())).collect();
    let issuers: Vec<String> = issuers.into_iter().map(|issuer| format!("\n  {issuer}")).collect();
    let wanted = Text::new(wanted);
    if issuers.is_empty() {
        return format!("no certificate was issued by {wanted}: no issuer is known");
    }
    format!("no certificate was issued by {wanted}; the issuers are:{}", issuers.concat())
}
