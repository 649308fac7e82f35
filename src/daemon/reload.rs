//! Reload: credentials and drop-in files are read anew. Each file is taken or refused whole; what is refused keeps its
//! last good content in force; an entry that disappears is let go, and its files stay.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use crate::api::Tlm;
use crate::config::{self, Problem, ServiceUser};
use crate::core::entry::Entry;
use crate::core::event::{self, Event};
use crate::core::name::CertName;
use crate::core::text::Text;

use super::run::Daemon;

/// Reads everything anew.
pub fn reload<T: Tlm>(daemon: &mut Daemon<T>) {
    tracing::info!("reloading");
    reload_credentials(daemon);
    daemon.config_error = check_main(daemon).err().inspect(|error| tracing::error!("{error}"));
    reload_inventory(daemon);
    daemon.profiles.expire();
    let now = daemon.context.clock.now();
    let names: Vec<CertName> = daemon.fleet.names().cloned().collect();
    names.iter().for_each(|name| daemon.fleet.wake(name, now));
    daemon.surroundings.can_search = true;
    daemon.surroundings.can_check = true;
    daemon.tell_systemd();
}

/// A key that cannot be read changes nothing.
fn reload_credentials<T: Tlm>(daemon: &mut Daemon<T>) {
    match (daemon.context.connect)() {
        Ok(api) => {
            *daemon.context.api.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(api);
            daemon.breaker.try_now(daemon.context.clock.now());
        }
        Err(failure) => tracing::error!("the credentials in use stay in force: {failure}"),
    }
}

/// What of `renewd.toml` takes effect at reload is its hooks and defaults; the rest needs a restart, and says so.
fn check_main<T: Tlm>(daemon: &mut Daemon<T>) -> Result<(), Text> {
    let main = config::load_main(&daemon.context.config)
        .map_err(|problems| Text::new(&problems.first().map(Problem::summary).unwrap_or_default()))?;
    let same = (&main.inventory, &main.state_dir, &main.api, main.keep_generations)
        == (&daemon.main.inventory, &daemon.main.state_dir, &daemon.main.api, daemon.main.keep_generations);
    if !same {
        tracing::warn!("`inventory`, `state_dir`, `keep_generations` and `[api]` change with a restart only");
    }
    let (inventory, state_dir, api, keep) = (
        daemon.main.inventory.clone(),
        daemon.main.state_dir.clone(),
        daemon.main.api.clone(),
        daemon.main.keep_generations,
    );
    daemon.surroundings.submissions_per_day = main.max_submissions_per_day;
    daemon.main = config::Main { inventory, state_dir, api, keep_generations: keep, ..main };
    Ok(())
}

fn reload_inventory<T: Tlm>(daemon: &mut Daemon<T>) {
    let files = match config::load_inventory(&daemon.main, ServiceUser::of_process()) {
        Ok(files) => files,
        Err(problem) => return tracing::error!("nothing of the inventory changes: {}", problem.summary()),
    };
    let inventory = config::settle(files, &daemon.main.hooks, &daemon.inventory.in_force);
    for state in inventory.files.iter().filter(|state| !state.problems.is_empty()) {
        for problem in &state.problems {
            tracing::error!(file = %state.label, "refused, its last good content stays in force: {}", problem.summary());
        }
    }
    let wanted: BTreeMap<CertName, Entry> =
        inventory.entries.iter().map(|entry| (entry.name.clone(), entry.clone())).collect();
    daemon.inventory = inventory;
    let gone: Vec<CertName> = daemon.fleet.names().filter(|name| !wanted.contains_key(*name)).cloned().collect();
    gone.iter().for_each(|name| let_go(daemon, name));
    for (name, entry) in wanted {
        change(daemon, &name, entry);
    }
}

fn let_go<T: Tlm>(daemon: &mut Daemon<T>, name: &CertName) {
    tracing::warn!(%name, "no longer in the inventory; its files stay");
    let now = daemon.context.clock.now();
    daemon.note(event::Entry { at: now, name: name.clone(), event: Event::LetGo });
    if let Some(managed) = daemon.fleet.remove(name) {
        daemon.records.insert(name.clone(), managed.record);
    }
}

/// Takes a new entry, or changes one; what is the same is left alone.
fn change<T: Tlm>(daemon: &mut Daemon<T>, name: &CertName, entry: Entry) {
    match daemon.fleet.one_mut(name) {
        None => daemon.adopt(Arc::new(entry)),
        Some(managed) if *managed.entry == entry => {}
        Some(managed) => {
            managed.entry = Arc::new(entry);
            let now = daemon.context.clock.now();
            daemon.fleet.wake(name, now);
        }
    }
}
