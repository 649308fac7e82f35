//! Reload: credentials and drop-in files are read anew. Each file is taken or refused whole; what is refused keeps its
//! last good content in force; an entry that disappears is let go, and its files stay.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use crate::api::Tlm;
use crate::api::credentials::CredentialFiles;
use crate::config::{self, FileState, Problem, ServiceUser, permission_problems};
use crate::core::code::Code;
use crate::core::entry::Entry;
use crate::core::event::{self, Event};
use crate::core::let_go::Trigger;
use crate::core::name::CertName;
use crate::core::text::Text;

use super::lookout::Look;
use super::run::Daemon;
use super::status::Severity;
use super::{notify, setup, status};

/// Reads everything anew, at the operator's word.
pub fn reload<T: Tlm>(daemon: &mut Daemon<T>) {
    notify::reloading();
    tracing::info!("reloading");
    reload_credentials(daemon);
    daemon.config_error = check_main(daemon).err().inspect(|error| tracing::error!("{error}"));
    let (now, steady) = (daemon.context.clock.now(), daemon.context.clock.steady());
    if let Some(lookout) = &mut daemon.lookout {
        lookout.reading(now, steady);
    }
    reload_inventory(daemon, Trigger::Signal);
    daemon.profiles.expire();
    let names: Vec<CertName> = daemon.fleet.names().cloned().collect();
    names.iter().for_each(|name| daemon.fleet.wake(name, now));
    daemon.surroundings.can_search = true;
    daemon.surroundings.can_check = true;
    daemon.headline_is_old = true;
    notify::ready();
}

/// Looks at the inventory directory, and reads it if something changed.
pub(super) fn look<T: Tlm>(daemon: &mut Daemon<T>) {
    let (now, steady) = (daemon.context.clock.now(), daemon.context.clock.steady());
    if daemon.lookout.as_mut().is_some_and(|lookout| lookout.look(now, steady) == Look::News) {
        tracing::debug!("the inventory directory may have changed");
        reload_inventory(daemon, Trigger::Watch);
    }
}

/// A key that cannot be read changes nothing.
fn reload_credentials<T: Tlm>(daemon: &mut Daemon<T>) {
    match (daemon.context.connect)() {
        Ok(api) => {
            *daemon.context.api.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(api);
            daemon.breaker.try_now(daemon.context.clock.now());
            daemon.try_again = daemon.trying;
            daemon.credentials.forget(daemon.context.clock.now());
            daemon.mended(CREDENTIALS);
        }
        Err(failure) => daemon.report(status::Problem {
            code: CREDENTIALS.to_owned(),
            severity: Severity::Error,
            message: Text::new(&format!("the credentials cannot be read, those in use stay in force: {failure}")),
            since: Some(daemon.context.clock.now().to_string()),
            remedy: Text::new("mend the file that the message names, and reload"),
        }),
    }
    match CredentialFiles::of_this_process().outdated_copy(&daemon.main.api.api_key_files) {
        Some(why) => daemon.report(status::Problem {
            code: OUTDATED.to_owned(),
            severity: Severity::Error,
            message: why,
            since: Some(daemon.context.clock.now().to_string()),
            remedy: Text::new("run `systemctl restart renewd`: no request, key or owed hook is lost by that"),
        }),
        None => daemon.mended(OUTDATED),
    }
}

/// What of `renewd.toml` takes effect at reload is its hooks and defaults; the rest needs a restart, and says so.
fn check_main<T: Tlm>(daemon: &mut Daemon<T>) -> Result<(), Text> {
    let main = config::load_main(&daemon.context.config)
        .and_then(|main| {
            let problems = permission_problems(&main, ServiceUser::of_process());
            if problems.is_empty() { Ok(main) } else { Err(problems) }
        })
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

fn reload_inventory<T: Tlm>(daemon: &mut Daemon<T>, trigger: Trigger) {
    let in_force = &daemon.inventory.in_force;
    let inventory = match (config::load_inventory(&daemon.main, ServiceUser::of_process()), trigger) {
        (Ok(files), Trigger::Signal) => config::settle(files, &daemon.main.hooks, in_force),
        (Ok(files), Trigger::Watch) => config::settle_watched(files, &daemon.main.hooks, in_force),
        (Err(problem), _) => config::hold(&daemon.main, problem, in_force),
    };
    setup::keep(&daemon.context, &inventory.in_force);
    log_changes(&daemon.inventory.files, &inventory.files);
    let wanted: BTreeMap<CertName, Entry> =
        inventory.entries.iter().map(|entry| (entry.name.clone(), entry.clone())).collect();
    daemon.inventory = inventory;
    let gone: Vec<CertName> = daemon.fleet.names().filter(|name| !wanted.contains_key(*name)).cloned().collect();
    gone.iter().for_each(|name| let_go(daemon, name));
    let (mut added, mut changed) = (0, 0);
    for (name, entry) in wanted {
        match change(daemon, &name, entry) {
            Change::None => {}
            Change::Added => added += 1,
            Change::Changed => changed += 1,
        }
    }
    if added + changed + gone.len() > 0 {
        tracing::info!(added, changed, removed = gone.len(), "the inventory changed");
    }
    daemon.headline_is_old = true;
}

/// What a reading brought for one certificate.
enum Change {
    None,
    Added,
    Changed,
}

/// What became of the files, where that is news.
fn log_changes(before: &[FileState], now: &[FileState]) {
    for state in now {
        let earlier = before.iter().find(|earlier| earlier.label == state.label);
        if earlier == Some(state) {
            continue;
        }
        let stays =
            if state.certificates > 0 { "its last good content stays in force" } else { "nothing of it is in force" };
        for problem in &state.problems {
            tracing::error!(file = %state.label, "refused, {stays}: {}", problem.summary());
        }
        if state.problems.is_empty() && earlier.is_some_and(|earlier| !earlier.problems.is_empty()) {
            tracing::info!(file = %state.label, "mended: loaded with {} certificates", state.certificates);
        }
    }
}

/// Lets a certificate go that the inventory no longer names.
pub(super) fn let_go<T: Tlm>(daemon: &mut Daemon<T>, name: &CertName) {
    tracing::warn!(%name, "no longer in the inventory; its files stay");
    let now = daemon.context.clock.now();
    daemon.note(event::Entry { at: now, name: name.clone(), event: Event::LetGo });
    if let Some(managed) = daemon.fleet.remove(name) {
        daemon.records.insert(name.clone(), managed.record);
    }
}

/// Takes a new entry, or changes one; what is the same is left alone.
fn change<T: Tlm>(daemon: &mut Daemon<T>, name: &CertName, entry: Entry) -> Change {
    match daemon.fleet.one_mut(name) {
        None => {
            daemon.adopt(Arc::new(entry));
            Change::Added
        }
        Some(managed) if *managed.entry == entry => Change::None,
        Some(managed) => {
            managed.entry = Arc::new(entry);
            let now = daemon.context.clock.now();
            daemon.fleet.wake(name, now);
            Change::Changed
        }
    }
}

const CREDENTIALS: &str = Code::CredentialsUnreadable.as_str();
const OUTDATED: &str = Code::CredentialOutdated.as_str();
