//! Reload: credentials and drop-in files are read anew. Each file is taken or refused whole; what is refused keeps its
//! last good content in force; an entry that disappears is let go, and its files stay.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use crate::api::Tlm;
use crate::api::credentials::CredentialFiles;
use crate::config::{self, Difference, FileState, Inventory, Label, Problem, ServiceUser, permission_problems};
use crate::core::code::Code;
use crate::core::entry::Entry;
use crate::core::event::{self, Event};
use crate::core::let_go::Trigger;
use crate::core::name::{CertName, ProfileRef};
use crate::core::text::Text;

use super::run::Daemon;
use super::status::Severity;
use super::{notify, status};

/// Reads everything anew, at the operator's word.
pub fn reload<T: Tlm>(daemon: &mut Daemon<T>) {
    notify::reloading();
    tracing::info!("reloading");
    reload_credentials(daemon);
    daemon.config_error = check_main(daemon).err().inspect(|error| tracing::error!("{error}"));
    reload_inventory(daemon, Trigger::Signal);
    daemon.profiles.expire();
    let now = daemon.context.clock.now();
    daemon.fleet.wake_all(now);
    daemon.surroundings.can_search = true;
    daemon.surroundings.can_check = true;
    daemon.headline_is_old = true;
    notify::ready();
}

/// Looks at the inventory directory, and takes in what changed.
pub(super) fn look<T: Tlm>(daemon: &mut Daemon<T>) {
    reload_inventory(daemon, Trigger::Watch);
}

/// A key that cannot be read changes nothing.
fn reload_credentials<T: Tlm>(daemon: &mut Daemon<T>) {
    match (daemon.context.connect)() {
        Ok(api) => {
            *daemon.context.api.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(api);
            daemon.breaker.probe_now(daemon.context.clock.now());
            daemon.context.resume();
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
    if (&main.defaults, &main.hooks) != (&daemon.main.defaults, &daemon.main.hooks) {
        daemon.shelf.clear();
    }
    daemon.main = config::Main { inventory, state_dir, api, keep_generations: keep, ..main };
    Ok(())
}

/// Reads what changed in the inventory directory. The watch takes in what concerns nobody else by itself; the operator's
/// word has everything settled anew.
fn reload_inventory<T: Tlm>(daemon: &mut Daemon<T>, trigger: Trigger) {
    let (now, steady) = (daemon.context.clock.now(), daemon.context.clock.steady());
    if let Some(lookout) = &mut daemon.lookout {
        lookout.looking();
    }
    let (hooks, in_force) = (&daemon.main.hooks, &daemon.inventory.in_force);
    let difference =
        match (daemon.shelf.look(&daemon.main, ServiceUser::of_process(), &daemon.inventory.in_force, now), trigger) {
            (Ok(changes), Trigger::Watch) if changes.is_empty() && daemon.inventory.held.is_none() => None,
            (Ok(changes), Trigger::Watch) => daemon.inventory.amend(&changes, hooks, trigger).or_else(|| {
                let settled = config::settle_watched(daemon.shelf.files(), hooks, &daemon.inventory.in_force);
                Some(replace(&mut daemon.inventory, settled))
            }),
            (Ok(_), Trigger::Signal) => {
                let settled = config::settle(daemon.shelf.files(), hooks, in_force);
                Some(replace(&mut daemon.inventory, settled))
            }
            (Err(problem), _) => {
                let held = config::hold(&daemon.main, problem, in_force);
                Some(replace(&mut daemon.inventory, held))
            }
        };
    let took = daemon.context.clock.steady().saturating_sub(steady);
    if let Some(lookout) = &mut daemon.lookout {
        lookout.looked(steady + took, took);
        if !daemon.shelf.is_settled() {
            lookout.look_again(steady);
        }
    }
    if let Some(difference) = difference {
        take(daemon, difference);
    }
}

/// Puts another inventory in force, and says of files what is news.
fn replace(inventory: &mut Inventory, newer: Inventory) -> Difference {
    log_changes(&inventory.files(), &newer.files());
    let difference = Difference::between(inventory, &newer);
    *inventory = newer;
    difference
}

/// Keeps what is in force now, and acts upon what is different in it.
fn take<T: Tlm>(daemon: &mut Daemon<T>, difference: Difference) {
    let Difference { gone, wanted, labels } = difference;
    if !labels.is_empty() {
        daemon.shelf.share(&daemon.inventory.in_force);
    }
    daemon.keep(&labels);
    gone.iter().for_each(|name| let_go(daemon, name));
    let (mut added, mut changed) = (0, 0);
    for entry in wanted {
        match change(daemon, entry) {
            Change::None => {}
            Change::Added => added += 1,
            Change::Changed => changed += 1,
        }
    }
    if added + changed + gone.len() > 0 {
        tracing::info!(added, changed, removed = gone.len(), "the inventory changed");
        let named: BTreeSet<&ProfileRef> = daemon.fleet.profiles().collect();
        daemon.breaker.keep_only(|profile| named.contains(profile));
    }
    daemon.headline_is_old = true;
}

impl<T: Tlm> Daemon<T> {
    /// Keeps what is in force for the next start, of which the files of `labels` have changed. Where that fails the
    /// daemon goes on without.
    pub(super) fn keep(&mut self, labels: &BTreeSet<Label>) {
        let noted = self.kept.as_mut().map(|kept| kept.note(&self.inventory.in_force, labels));
        if let Some(Err(failure)) = noted {
            tracing::error!("what is in force is not kept for the next start: {failure}");
        }
    }
}

/// What a reading brought for one certificate.
enum Change {
    None,
    Added,
    Changed,
}

/// What became of the files, where that is news.
fn log_changes(before: &[FileState<'_>], now: &[FileState<'_>]) {
    for state in now {
        let earlier = before.binary_search_by(|earlier| earlier.label.cmp(state.label));
        let earlier = earlier.ok().and_then(|at| before.get(at));
        if earlier == Some(state) {
            continue;
        }
        let stays =
            if state.certificates > 0 { "its last good content stays in force" } else { "nothing of it is in force" };
        for problem in state.problems {
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
fn change<T: Tlm>(daemon: &mut Daemon<T>, entry: Arc<Entry>) -> Change {
    let name = entry.name.clone();
    let Some(managed) = daemon.fleet.one(&name) else {
        daemon.adopt(entry);
        return Change::Added;
    };
    let is_same = *managed.entry == *entry;
    // Where it is the same, one copy is enough.
    daemon.fleet.change(&name, |managed| managed.entry = entry);
    if is_same {
        return Change::None;
    }
    let now = daemon.context.clock.now();
    daemon.fleet.wake(&name, now);
    Change::Changed
}

const CREDENTIALS: &str = Code::CredentialsUnreadable.as_str();
const OUTDATED: &str = Code::CredentialOutdated.as_str();
