//! The loop's part in hooks: who owes one, which runs start now, and what came of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::api::Tlm;
use crate::config::{HookKey, Inventory};
use crate::core::event::{self, Event};
use crate::core::hook::{Hook, HookRun};
use crate::core::name::CertName;
use crate::core::time::Timestamp;
use crate::store::{disk_failure, hook_names};

use super::context::Context;
use super::hooks::{self, Debt, Ended, Told};
use super::leftover;
use super::message::Message;
use super::run::Daemon;

impl<T: Tlm> Daemon<T> {
    /// Notes which hook a certificate owes, by its last decision.
    pub(super) fn owe_hook(&mut self, name: &CertName) {
        let Some(managed) = self.fleet.one(name) else { return };
        let Some(generation) = managed.record.generation else { return };
        let Some((hook, due)) = managed.decision().hook.clone() else { return self.hooks.forget(name) };
        let Some((key, _)) = self.inventory.hook(&managed.entry, &hook) else { return };
        self.hooks.owe(key.clone(), (name.clone(), hook, generation), due);
    }

    /// Starts the runs that are due.
    pub(super) fn start_hooks(&mut self, now: Timestamp) {
        let inventory = &self.inventory;
        let is_first = !self.hooks.has_run();
        let runs = self.hooks.take_runnable(now, |key| min_interval(inventory, key));
        if is_first && !runs.is_empty() {
            leftover::end(&self.context.layout.certs());
            hook_names::sweep(&*self.context.disk, &self.context.layout);
        }
        let mut wanted = Vec::new();
        for run in runs {
            match inventory.hooks.get(&run.key).cloned() {
                Some(hook) => wanted.push((hook, run)),
                None => self.hooks.ended(&run.key),
            }
        }
        // On record before it runs: it may be what ends renewd.
        let begun = |(name, hook, generation): &Debt| {
            let event = Event::HookBegun { hook: hook.clone(), generation: *generation };
            event::Entry { at: now, name: name.clone(), event }
        };
        self.note_all(wanted.iter().flat_map(|(_, run)| run.serves.iter().map(begun)).collect());
        for (hook, run) in wanted {
            let told: Vec<Told> = run.serves.iter().map(|(name, ..)| self.told(name)).collect();
            let (context, stop) = (Arc::clone(&self.context), self.stop_hooks.subscribe());
            tracing::info!(hook = %hook.name, certificates = run.serves.len(), "running the hook");
            tokio::spawn(async move {
                let ended = run_told(&context, &hook, told, stop).await;
                context.tell(Message::HookEnded { hook: run.key, served: run.serves, ended });
            });
        }
    }

    fn told(&self, name: &CertName) -> Told {
        let managed = self.fleet.one(name);
        let installed = managed.and_then(|managed| managed.observed.installed()).cloned();
        let validation = managed.and_then(|managed| managed.record.request.as_deref()?.validation()).cloned();
        Told { name: name.clone(), live: self.context.layout.live(name), installed, validation }
    }

    /// When the next run starts.
    pub(super) fn next_hook(&self, now: Timestamp) -> Option<Timestamp> {
        self.hooks.next(now, |key| min_interval(&self.inventory, key))
    }

    /// Records what came of a run. One that was ended because renewd stops is no failure: it stays owed as it was.
    pub(super) fn hook_ended(&mut self, key: &HookKey, served: Vec<Debt>, ended: &Ended, now: Timestamp) {
        self.hooks.ended(key);
        self.metrics.hook_ended(&key.name, ended);
        for (name, hook, generation) in served {
            let event = match ended {
                Ended::Done(output) => Event::HookDone { hook, generation, output: output.clone() },
                Ended::Failed(failure) | Ended::TimedOut(failure) => {
                    Event::HookFailed { hook, generation, failure: failure.clone() }
                }
                Ended::Stopped => {
                    tracing::info!(%name, %hook, "the hook was ended because renewd stops; it runs again after the next start");
                    continue;
                }
            };
            self.note(event::Entry { at: now, name: name.clone(), event });
            self.look(&name);
        }
    }
}

/// Runs a hook to its end, with a file of the names that it runs for while it does. A unit is told nothing.
async fn run_told<T: Tlm>(
    context: &Arc<Context<T>>,
    hook: &Hook,
    told: Vec<Told>,
    stop: watch::Receiver<bool>,
) -> Ended {
    let names: Vec<CertName> = match hook.run {
        HookRun::Command(_) => told.iter().map(|told| told.name.clone()).collect(),
        HookRun::Unit { .. } => Vec::new(),
    };
    let number = RUNS.fetch_add(1, Ordering::Relaxed);
    let written = match names.is_empty() {
        true => Ok(None),
        false => context.blocking(move |c| hook_names::write(&*c.disk, &c.layout, number, &names).map(Some)).await,
    };
    let file = match written {
        Ok(file) => file,
        // The variable says it all: a full disk keeps no service from its certificate.
        Err(failure) if hooks::fits(&told) => {
            tracing::warn!(hook = %hook.name, "{failure}; the hook runs without RENEWD_NAMES_FILE");
            None
        }
        Err(failure) => return hooks::untold(hook, &failure),
    };
    let shown = |output: &str, limit| context.api().end_of(output, limit);
    let ended = hooks::run(hook, hooks::environment(&told, file.as_deref()), stop, shown).await;
    if let Some(file) = file {
        // What cannot be removed is swept at the next start.
        drop(
            context
                .blocking(move |c| c.disk.remove_file(&file).map_err(|error| disk_failure("remove", &file, &error)))
                .await,
        );
    }
    ended
}

static RUNS: AtomicU64 = AtomicU64::new(0);

fn min_interval(inventory: &Inventory, key: &HookKey) -> Duration {
    inventory.hooks.get(key).map_or(Duration::ZERO, |hook| hook.min_interval)
}
