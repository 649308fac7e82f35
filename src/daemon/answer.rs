//! Answers to what is asked at the control socket.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::api::Tlm;
use crate::core::code::Code;
use crate::core::name::CertName;
use crate::core::time::Span;
use crate::engine::status::Status;
use crate::engine::{HoldOrder, report};

use super::control::{ASKS_AGAIN, Inspected, Reply, Request, View};
use super::run::Daemon;
use crate::daemon::preflight::{self, Finding, Subject};

/// Answers, after doing what is asked. Whoever asked may have gone.
pub fn answer<T: Tlm>(daemon: &mut Daemon<T>, request: &Request, answer: oneshot::Sender<String>) {
    let told = match request {
        Request::Inspect => return inspect(daemon, answer),
        Request::Status { view } => {
            daemon.look_around();
            status(daemon, view).unwrap_or_else(|error| Reply::refused(&error.to_string()))
        }
        Request::Renew { names, reissue } => renew(daemon, names, *reissue),
        Request::Deploy { names } => match daemon.deploy(names) {
            Ok(count) => Reply::done(&format!("deploying {} again", counted(count))),
            Err(why) => Reply::refused(&why.join("\n")),
        },
        Request::Notify { names } => match daemon.test_notifications(names) {
            Ok(tested) => return tell_later(tested, answer),
            Err(why) => Reply::refused(&why),
        },
        Request::Steps { names, after } => serde_json::to_string(&daemon.recent.after(names, *after))
            .unwrap_or_else(|error| Reply::refused(&error.to_string())),
        Request::ApiChecked => {
            let is_tried = daemon.engine.api_is_checked(daemon.context.now());
            daemon.perform_all();
            Reply::done(if is_tried { ASKS_AGAIN } else { "nothing waits for TLM" })
        }
        Request::Hold { names, until, why, even_emergency } => {
            let order = HoldOrder { until: *until, why: why.clone(), even_emergency: *even_emergency };
            hold(daemon, names, &order)
        }
        Request::Release { names } => release(daemon, names),
        Request::Rollback { name, force } => return daemon.roll_back(name, *force, answer),
    };
    drop(answer.send(told));
}

fn status<T: Tlm>(daemon: &Daemon<T>, view: &View) -> serde_json::Result<String> {
    let (engine, now) = (&daemon.engine, daemon.context.clock.now());
    let (facts, fleet) = (engine.facts(now), engine.fleet());
    match view {
        View::All => told(&engine.status(now), EACH * fleet.count()),
        View::Table => {
            let rows = report::rows(&facts, engine.with_readings(fleet.iter()));
            told(&engine.status_with(rows, now), ROW * fleet.count())
        }
        View::One(name) => {
            let one = engine.with_readings(fleet.one(name).into_iter());
            told(&engine.status_with(report::certificates(&facts, one), now), 0)
        }
    }
}

/// As a line of JSON, which is about so long beside what does not belong to a certificate.
fn told<C: Serialize>(status: &Status<C>, length: usize) -> serde_json::Result<String> {
    let mut told = Vec::with_capacity(length + COMMON);
    serde_json::to_writer(&mut told, status)?;
    Ok(String::from_utf8(told).unwrap_or_default())
}

/// Looks the host over beside the loop, and answers then. Folders of certificates that are being worked on are left to
/// that work.
fn inspect<T: Tlm>(daemon: &mut Daemon<T>, answer: oneshot::Sender<String>) {
    daemon.look_around();
    let mut findings = in_force(daemon);
    let mut inventory = daemon.engine.inventory().clone();
    let certificates: Vec<CertName> = daemon.engine.at_rest().map(|managed| managed.entry.name.clone()).collect();
    inventory.entries.retain(|entry| certificates.binary_search(&entry.name).is_ok());
    let context = &daemon.context;
    let (disk, layout, identity) = (Arc::clone(&context.disk), context.layout.clone(), context.identity.clone());
    let unit = preflight::own_unit(&context.config);
    let notifies = daemon.engine.main().notifies.values().cloned().collect();
    tokio::spawn(async move {
        let subject = Subject { disk, layout, identity, inventory, notifies, with_files: true, unit };
        findings.extend(preflight::inspect(subject).await);
        let inspected = serde_json::to_string(&Inspected { certificates, findings });
        // Whoever asked may have gone.
        drop(answer.send(inspected.unwrap_or_else(|error| Reply::refused(&error.to_string()))));
    });
}

/// Answers once that is done, beside the loop.
fn tell_later<R: Serialize>(done: impl Future<Output = R> + Send + 'static, answer: oneshot::Sender<String>) {
    tokio::spawn(async move {
        let told = serde_json::to_string(&done.await);
        // Whoever asked may have gone.
        drop(answer.send(told.unwrap_or_else(|error| Reply::refused(&error.to_string()))));
    });
}

/// What the daemon really uses, and where `renewd.toml` says otherwise.
fn in_force<T: Tlm>(daemon: &Daemon<T>) -> Vec<Finding> {
    let (engine, pid) = (&daemon.engine, std::process::id());
    let url = &engine.main().api.url;
    let facts = engine.facts(daemon.context.clock.now());
    let state = facts.breaker.state().as_str();
    let uses =
        format!("the daemon (pid {pid}) asks it with {}; its state there: {state}", daemon.context.api().credential());
    let told = [Code::ConfigOutdated, Code::ConfigRefused, Code::CredentialOutdated, Code::CredentialsUnreadable];
    let is_told = |code: &str| told.iter().any(|told| told.as_str() == code);
    let status = engine.status_with(Vec::<()>::new(), facts.now);
    let other = status.problems.into_iter().filter(|problem| is_told(&problem.code)).map(|problem| Finding {
        code: Some(problem.code),
        ..Finding::warning("daemon", url, problem.message.as_str(), problem.remedy.as_str())
    });
    std::iter::once(Finding::ok("daemon", url, uses)).chain(other).collect()
}

fn renew<T: Tlm>(daemon: &mut Daemon<T>, names: &[CertName], reissue: bool) -> String {
    let (count, least) = match daemon.renew(names, reissue) {
        Ok(renewed) => renewed,
        Err(unknown) => return Reply::refused(&unknown_names(&unknown)),
    };
    let estimate = if least.is_zero() { String::new() } else { format!(", which takes at least {}", Span(least)) };
    Reply::done(&format!("replacing {} now{estimate}; see `renewd status`", counted(count)))
}

fn hold<T: Tlm>(daemon: &mut Daemon<T>, names: &[CertName], order: &HoldOrder) -> String {
    let held = daemon.engine.hold(names, order, daemon.context.now());
    daemon.perform_all();
    held.map_or_else(|unknown| Reply::refused(&unknown_names(&unknown)), |count| Reply::done(&told_held(count, order)))
}

fn release<T: Tlm>(daemon: &mut Daemon<T>, names: &[CertName]) -> String {
    let released = daemon.engine.release(names, daemon.context.now());
    daemon.perform_all();
    let told = |released: BTreeSet<CertName>| Reply::done(&told_released(names, &released));
    released.map_or_else(|unknown| Reply::refused(&unknown_names(&unknown)), told)
}

/// That the inventory has no such certificates.
#[must_use]
pub fn unknown_names(unknown: &[CertName]) -> String {
    let unknown: Vec<&str> = unknown.iter().map(CertName::as_str).collect();
    format!("no certificate named {}", unknown.join(", "))
}

/// What a hold means from now on.
#[must_use]
pub fn told_held(count: usize, order: &HoldOrder) -> String {
    let until = order.until.map_or_else(|| "until `renewd release`".to_owned(), |until| format!("until {until}"));
    let stage = if order.even_emergency { "even in the emergency stage" } else { "or the emergency stage" };
    let stage = format!("{}{stage}", if order.even_emergency { ", " } else { " " });
    format!("holding {} {until}{stage}: renewd requests and installs nothing meanwhile", counted(count))
}

/// Which holds ended, and that of the others there was none.
#[must_use]
pub fn told_released(named: &[CertName], released: &BTreeSet<CertName>) -> String {
    let free: Vec<&str> = named.iter().filter(|name| !released.contains(*name)).map(CertName::as_str).collect();
    let free = if free.is_empty() { String::new() } else { format!("; not on hold: {}", free.join(", ")) };
    format!("released {}{free}", counted(released.len()))
}

fn counted(count: usize) -> String {
    format!("{count} certificate{}", if count == 1 { "" } else { "s" })
}

/// About so many bytes a certificate takes in the status.
const EACH: usize = 640;
/// The same of a row of the table.
const ROW: usize = 280;
/// What a status takes beside its certificates.
const COMMON: usize = 4096;
