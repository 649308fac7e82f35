//! `renewd rollback`: back to the generation before. Through the daemon where it runs, by itself where not.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tokio::sync::watch;

use crate::core::name::CertName;
use crate::core::text::Text;
use crate::core::wanted::hook::Hook;
use crate::daemon::clock::{Clock, SystemClock};
use crate::daemon::control::Request;
use crate::daemon::run::Word;
use crate::daemon::setup::StartError;
use crate::daemon::{last_good, rollback, setup};
use crate::engine::io::HookSubject;
use crate::store::journal::{Folded, Journal};
use crate::store::layout::Layout;
use crate::store::lock::{Lock, Purpose};
use crate::store::observe;
use crate::store::real_disk::RealDisk;

use super::order::{self, Following, Order};
use super::progress::{self, Goal, Outcome, Seen};
use super::{deploy, exit, once, output, runtime, start};

/// Goes back, and runs the hooks.
pub(super) fn run(config: &Path, name: &CertName, force: bool, no_wait: bool) -> ExitCode {
    let (path, status) = match order::daemon(config) {
        Ok(found) => found,
        Err(code) => return code.into(),
    };
    match status {
        Ok(before) => order::give(Order {
            path: &path,
            request: Request::Rollback { name: name.clone(), force },
            asked: [name.to_string()].into(),
            goal: Goal::Deployed(Seen::of(&before)),
            following: Following { json: false, no_wait, by: None },
        }),
        // Who may not ask is told so by what the files allow.
        Err(_) => by_itself(config, name, force),
    }
}

fn by_itself(config: &Path, name: &CertName, force: bool) -> ExitCode {
    let passed = start::configuration(config).and_then(|configured| {
        switch(&configured.main, name, force)?;
        once::pass(configured, Duration::ZERO, Some(Word::Deploy(Vec::new())))
    });
    match passed {
        Ok(status) => {
            let settled = deploy::settled(&status, std::slice::from_ref(name));
            settled.iter().for_each(|one| progress::tell(one, false));
            let is_done = settled.iter().any(|one| one.outcome == Outcome::Deployed);
            if is_done { exit::OK.into() } else { exit::UNWELL.into() }
        }
        Err(code) => code.into(),
    }
}

fn switch(main: &crate::config::Main, name: &CertName, force: bool) -> Result<(), u8> {
    let unwell = |why: &dyn std::fmt::Display| {
        output::complain(&why.to_string());
        exit::UNWELL
    };
    let layout = Layout::new(&main.state_dir);
    let _lock = Lock::take(&layout, Purpose::Command).map_err(|error| start::told(&error.into()))?;
    let inventory =
        setup::inventory(main, &last_good::read(&RealDisk, &layout)).map_err(|error| start::told(&error))?;
    let Some(entry) = inventory.entries.iter().find(|entry| entry.name == *name) else {
        return Err(unwell(&format!("no certificate named \"{name}\"")));
    };
    let of_entry = entry.hooks.iter().filter_map(|hook| Some(inventory.hook(entry, hook)?.1.clone()));
    let hooks: Vec<Hook> = of_entry.filter(|hook| hook.before.is_some() && !force).collect();
    if !hooks.is_empty() {
        let installed = observe::observe(&RealDisk, &layout, entry).installed().cloned();
        let subject = HookSubject { name: name.clone(), installed, validation: None };
        let (_running, stop) = watch::channel(false);
        let tail = |output: &str, limit: usize| {
            let from = output.floor_char_boundary(output.len().saturating_sub(limit));
            Text::new(output.get(from..).unwrap_or_default())
        };
        let runtime = runtime::new().map_err(|error| unwell(&error))?;
        let asked = runtime.block_on(rollback::ask_before(&hooks, subject, &layout, &stop, tail));
        asked.map_err(|why| unwell(&why))?;
    }
    let now = SystemClock::default().now();
    let (mut journal, mut content) = Journal::open::<Folded>(std::sync::Arc::new(RealDisk), &layout, now)
        .map_err(|failure| start::told(&StartError::State(failure)))?;
    let record = content.entries.records.remove(name).unwrap_or_default();
    let done = rollback::by_operator(&RealDisk, &layout, &setup::identity(main), entry, &record, force, now)
        .map_err(|failure| unwell(&format!("{name}: {}; {}", failure.message, failure.remedy_of(name))))?;
    journal.append(std::slice::from_ref(&done)).map_err(|failure| unwell(&failure))?;
    output::tell(&rollback::told(&done.event, name));
    Ok(())
}
