//! Answers to what is asked at the control socket.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::oneshot;

use crate::api::Tlm;
use crate::core::admission::Pace;
use crate::core::decide::Action;
use crate::core::name::CertName;
use crate::core::time::Span;

use super::control::{Inspected, Reply, Request, View};
use super::fleet::Managed;
use super::inspect::{self, Subject};
use super::report;
use super::run::Daemon;
use super::status::Status;

/// Answers, after doing what is asked. Whoever asked may have gone.
pub fn answer<T: Tlm>(daemon: &mut Daemon<T>, request: &Request, answer: oneshot::Sender<String>) {
    let told = match request {
        Request::Inspect => return inspect(daemon, answer),
        Request::Status { view } => status(daemon, view).unwrap_or_else(|error| Reply::refused(&error.to_string())),
        Request::Renew { names, reissue } => renew(daemon, names, *reissue),
        Request::Rollback { name, force } => return daemon.roll_back(name, *force, answer),
    };
    drop(answer.send(told));
}

fn status<T: Tlm>(daemon: &Daemon<T>, view: &View) -> serde_json::Result<String> {
    let facts = daemon.facts();
    match view {
        View::All => told(&daemon.status(), EACH * daemon.fleet.count()),
        View::Table => {
            let rows = report::rows(&facts, daemon.with_readings(daemon.fleet.iter()));
            told(&daemon.status_with(rows), ROW * daemon.fleet.count())
        }
        View::One(name) => {
            let one = daemon.with_readings(daemon.fleet.one(name).into_iter());
            told(&daemon.status_with(report::certificates(&facts, one)), 0)
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
fn inspect<T: Tlm>(daemon: &Daemon<T>, answer: oneshot::Sender<String>) {
    let mut inventory = daemon.inventory.clone();
    let is_free = |managed: &Managed| !managed.is_busy() || !writes(&managed.decision().action);
    inventory.entries.retain(|entry| daemon.fleet.one(&entry.name).is_some_and(is_free));
    let certificates = inventory.entries.iter().map(|entry| entry.name.clone()).collect();
    let context = &daemon.context;
    let (disk, layout, ground) = (Arc::clone(&context.disk), context.layout.clone(), context.ground.clone());
    let unit = inspect::own_unit(&context.config);
    tokio::spawn(async move {
        let findings = inspect::inspect(Subject { disk, layout, ground, inventory, with_files: true, unit }).await;
        let inspected = serde_json::to_string(&Inspected { certificates, findings });
        // Whoever asked may have gone.
        drop(answer.send(inspected.unwrap_or_else(|error| Reply::refused(&error.to_string()))));
    });
}

/// Whether an action writes to the folders of its certificate.
const fn writes(action: &Action) -> bool {
    match action {
        Action::Submit(_)
        | Action::LookUp(_)
        | Action::PickUp(..)
        | Action::Install { .. }
        | Action::Repair { .. }
        | Action::RefreshChain
        | Action::RollBack(_)
        | Action::Forward { .. }
        | Action::Recognise(_)
        | Action::Abandon(_)
        | Action::ForgetKeys(_) => true,
        Action::Wait
        | Action::ReadProfile(_)
        | Action::RunHook(_)
        | Action::RepeatHooks(_)
        | Action::Probe
        | Action::CheckStatus(_) => false,
    }
}

fn renew<T: Tlm>(daemon: &mut Daemon<T>, names: &[CertName], reissue: bool) -> String {
    let unknown: Vec<&str> =
        names.iter().filter(|name| daemon.fleet.one(name).is_none()).map(CertName::as_str).collect();
    if !unknown.is_empty() {
        return Reply::refused(&format!("no such certificate in the inventory: {}", unknown.join(", ")));
    }
    let mut all: Vec<CertName> =
        if names.is_empty() { daemon.fleet.names().cloned().collect() } else { names.to_vec() };
    all.sort_unstable();
    all.dedup();
    daemon.ask_renewal(&all, reissue);
    let least = Pace::new(daemon.main.api.requests_per_minute).least_time(all.len());
    let estimate = if least.is_zero() { String::new() } else { format!(", which takes {} at least", Span(least)) };
    Reply::done(&format!("{} to be replaced now{estimate}; see `renewd status`", all.len()))
}

/// About so many bytes a certificate takes in the status.
const EACH: usize = 640;
/// The same of a row of the table.
const ROW: usize = 280;
/// What a status takes beside its certificates.
const COMMON: usize = 4096;
