//! Reload: `renewd.toml`, credentials and drop-in files are read anew. Each file is taken or refused whole; what is refused
//! keeps its last good content in force; an entry that disappears is let go, and its files stay.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use crate::api::Tlm;
use crate::config::removal_guard::Trigger;
use crate::config::{self, ApiSettings, Difference, FileState, Inventory, Label, Main, Problem, ServiceUser};
use crate::core::code::Code;
use crate::core::text::Text;
use crate::engine::Input;
use crate::engine::io::InventoryRead;
use crate::engine::status;

use super::config_file::{self, Stamp};
use super::run::Daemon;
use super::watch::Watch;
use super::{notify, preflight};

/// Reads everything anew, at the operator's word.
pub fn reload<T: Tlm>(daemon: &mut Daemon<T>) {
    notify::reloading();
    tracing::info!("reloading");
    let stamp = Stamp::of(&daemon.context.config);
    match read_main(daemon) {
        Ok(main) => take_main(daemon, main),
        Err(error) => {
            tracing::error!("{error}");
            let settings = daemon.engine.main().api.clone();
            take_api(daemon, &settings);
            daemon.handle(Input::MainRead(Err(error)));
            daemon.handle(Input::ProblemChanged(config_file::CODE, None));
        }
    }
    daemon.main_stamp = stamp;
    daemon.look_around();
    daemon.handle(Input::Reloading);
    read_inventory(daemon, Trigger::Signal);
    daemon.handle(Input::Reloaded);
    notify::ready();
}

/// Looks at the inventory directory, and takes in what changed.
pub(super) fn look<T: Tlm>(daemon: &mut Daemon<T>) {
    read_inventory(daemon, Trigger::Watch);
}

/// `renewd.toml`, where it is good.
fn read_main<T: Tlm>(daemon: &Daemon<T>) -> Result<Main, Text> {
    config::load_trusted_main(&daemon.context.config, |_| ServiceUser::of_process())
        .map_err(|problems| Text::new(&problems.first().map(Problem::summary).unwrap_or_default()))
}

/// Puts everything of `file` in force that a running daemon can take, and notes what is not.
fn take_main<T: Tlm>(daemon: &mut Daemon<T>, file: Main) {
    let taken = take_api(daemon, &file.api);
    let old = daemon.engine.main();
    let mut main = Main { inventory: old.inventory.clone(), state_dir: old.state_dir.clone(), ..file.clone() };
    if !taken {
        main.api = old.api.clone();
    }
    if (&main.defaults, &main.hooks) != (&old.defaults, &old.hooks) {
        daemon.drop_ins.clear();
    }
    if main.log != old.log
        && let Some(set_log) = &daemon.set_log
    {
        match set_log(&main.log) {
            Ok(()) => daemon.engine.tell_all(tracing::enabled!(tracing::Level::DEBUG)),
            Err(why) => {
                tracing::error!("the log continues as before: {why}");
                main.log = old.log.clone();
            }
        }
    }
    daemon.context.keep_generations.store(main.keep_generations, Ordering::Relaxed);
    daemon.handle(Input::MainRead(Ok(Box::new(main))));
    daemon.follow_listeners();
    let outdated = daemon.outdated(&file);
    daemon.handle(Input::ProblemChanged(config_file::CODE, outdated));
}

/// Makes a new client, by these settings and from the credentials as they are now; whether it could. What cannot be read
/// changes nothing.
fn take_api<T: Tlm>(daemon: &mut Daemon<T>, settings: &ApiSettings) -> bool {
    let unit = preflight::own_unit(&daemon.context.config);
    let problem = |code: &str, message: Text, remedy: &str| status::Problem {
        since: Some(daemon.context.clock.now().to_string()),
        ..status::Problem::error(code, message.as_str(), remedy)
    };
    let outdated = daemon.context.credentials.outdated_copy(&settings.api_key_files);
    let outdated = outdated.map(|why| {
        problem(OUTDATED, why, &format!("run `systemctl restart {unit}`: it loses no request, key or pending hook"))
    });
    let (is_taken, unreadable) = match (daemon.context.connect)(settings) {
        Ok(api) => {
            let credentials = api.credentials();
            *daemon.context.api.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(api);
            daemon.handle(Input::CredentialsReplaced(credentials));
            (true, None)
        }
        Err(failure) => {
            let message = format!("the credentials cannot be read, those in use stay in force: {failure}");
            let verb = if outdated.is_some() { "restart" } else { "reload" };
            let remedy = format!("correct the file that the message names, and run: systemctl {verb} {unit}");
            (false, Some(problem(CREDENTIALS, Text::new(&message), &remedy)))
        }
    };
    daemon.handle(Input::ProblemChanged(CREDENTIALS, unreadable));
    daemon.handle(Input::ProblemChanged(OUTDATED, outdated));
    is_taken
}

/// Reads what changed in the inventory directory. The watch takes in what concerns nobody else by itself; the operator's
/// word has everything settled anew.
fn read_inventory<T: Tlm>(daemon: &mut Daemon<T>, trigger: Trigger) {
    let (now, steady) = (daemon.context.clock.now(), daemon.context.clock.steady());
    let is_watched = daemon.watch.as_mut().is_some_and(Watch::arm);
    let Daemon { engine, drop_ins, .. } = daemon;
    let look = drop_ins.look(engine.main(), ServiceUser::of_process(), &engine.inventory().in_force, now);
    let newer = match (look, trigger) {
        (Ok(changes), Trigger::Watch) if changes.is_empty() && engine.inventory().held.is_none() => Newer::Same,
        (Ok(changes), Trigger::Watch) => {
            let hooks = engine.main().hooks.clone();
            let amended = engine.inventory_mut().amend(&changes, &hooks, trigger);
            let settled = || config::resolve_watched(drop_ins.files(), &hooks, &engine.inventory().in_force);
            amended.map_or_else(|| Newer::Other(settled()), Newer::Amended)
        }
        (Ok(_), Trigger::Signal) => {
            Newer::Other(config::resolve(drop_ins.files(), &engine.main().hooks, &engine.inventory().in_force))
        }
        (Err(problem), _) => Newer::Other(config::hold(engine.main(), problem, &engine.inventory().in_force)),
    };
    let difference = match newer {
        Newer::Same => None,
        Newer::Amended(difference) => Some(difference),
        Newer::Other(other) => Some(replace(engine.inventory_mut(), other)),
    };
    let took = daemon.context.clock.steady().saturating_sub(steady);
    if let Some(Difference { labels, .. }) = &difference {
        if !labels.is_empty() {
            daemon.drop_ins.share(&daemon.engine.inventory().in_force);
        }
        daemon.keep_in_force(labels);
    }
    daemon.handle(Input::InventoryRead(InventoryRead {
        difference,
        overlooked: daemon.drop_ins.overlooked().to_vec(),
        took,
        is_watched,
        is_unsettled: !daemon.drop_ins.is_settled(),
    }));
}

/// The inventory, as it was read.
enum Newer {
    Same,
    /// It was changed in its place.
    Amended(Difference),
    Other(Inventory),
}

/// Puts another inventory in force, and says of files what is news.
fn replace(inventory: &mut Inventory, newer: Inventory) -> Difference {
    log_changes(&inventory.files(), &newer.files());
    let difference = Difference::between(inventory, &newer);
    *inventory = newer;
    difference
}

impl<T: Tlm> Daemon<T> {
    /// Keeps what is in force for the next start, of which the files of `labels` have changed. Where that fails the
    /// daemon goes on without.
    pub(super) fn keep_in_force(&mut self, labels: &BTreeSet<Label>) {
        let noted = self.kept.as_mut().map(|kept| kept.note(&self.engine.inventory().in_force, labels));
        if let Some(Err(failure)) = noted {
            tracing::error!("cannot keep what is in force for the next start: {failure}");
        }
    }
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
            tracing::info!(file = %state.label, "fixed: loaded with {} certificates", state.certificates);
        }
    }
}

const CREDENTIALS: &str = Code::CredentialsUnreadable.as_str();
const OUTDATED: &str = Code::CredentialOutdated.as_str();
