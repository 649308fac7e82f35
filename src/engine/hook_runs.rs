//! Hooks in the engine: which is to run for whom, and what came of it.

use std::time::Duration;

use crate::config::{HookKey, Inventory};
use crate::core::event::{self, Event};
use crate::core::name::CertName;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::core::wanted::hook::Hook;

use super::Engine;
use super::hooks::{Ended, PendingHook};
use super::io::{Command, HookStart, HookSubject};

impl Engine {
    /// The hooks of an entry that have a program to ask before a switch.
    #[must_use]
    pub fn hooks_to_ask(&self, entry: &Entry) -> Vec<Hook> {
        let hooks = entry.hooks.iter().filter_map(|name| self.inventory.hook(entry, name));
        hooks.map(|(_, hook)| hook).filter(|hook| hook.before.is_some()).cloned().collect()
    }

    /// Notes which hook is to run for a certificate, by its last decision.
    pub(super) fn queue_hook(&mut self, name: &CertName) {
        let Some(managed) = self.fleet.one(name) else { return };
        let Some(generation) = managed.record.generation else { return };
        let Some((hook, due)) = managed.decision().hook.clone() else { return self.hooks.forget(name) };
        let Some((key, _)) = self.inventory.hook(&managed.entry, &hook) else { return };
        self.hooks.enqueue(key.clone(), (name.clone(), hook, generation), due);
    }

    /// Starts the runs that are due.
    pub(super) fn start_hooks(&mut self, now: Timestamp) {
        let inventory = &self.inventory;
        let mut starts = Vec::new();
        for run in self.hooks.take_runnable(now, |key| min_interval(inventory, key)) {
            match inventory.hooks.get(&run.key).cloned() {
                Some(hook) => starts.push((hook, run)),
                None => self.hooks.ended(&run.key),
            }
        }
        // On record before it runs: it may be what ends renewd.
        let begun = |(name, hook, generation): &PendingHook| {
            let event = Event::HookBegun { hook: hook.clone(), generation: *generation };
            event::Entry { at: now, name: name.clone(), event }
        };
        self.note(starts.iter().flat_map(|(_, run)| run.covers.iter().map(begun)).collect());
        for (hook, run) in starts {
            let subjects = run.covers.iter().map(|(name, ..)| self.hook_subject(name)).collect();
            self.want(Command::StartHook(Box::new(HookStart { key: run.key, hook, covers: run.covers, subjects })));
        }
    }

    fn hook_subject(&self, name: &CertName) -> HookSubject {
        let managed = self.fleet.one(name);
        let installed = managed.and_then(|managed| managed.observed.installed()).cloned();
        let validation = managed.and_then(|managed| managed.record.request.as_deref()?.validation()).cloned();
        HookSubject { name: name.clone(), installed, validation }
    }

    /// When the next run starts.
    pub(super) fn next_hook(&self, now: Timestamp) -> Option<Timestamp> {
        self.hooks.next(now, |key| min_interval(&self.inventory, key))
    }

    /// Records what came of a run. One that was ended because renewd stops is no failure: it runs again.
    pub(super) fn hook_ended(&mut self, key: &HookKey, covers: Vec<PendingHook>, ended: &Ended, now: Timestamp) {
        self.hooks.ended(key);
        for (name, hook, generation) in covers {
            let event = match ended {
                Ended::Done(output) => Event::HookDone { hook, generation, output: output.clone() },
                Ended::Failed(failure, step) | Ended::TimedOut(failure, step) => {
                    Event::HookFailed { hook, generation, failure: failure.clone(), step: *step }
                }
                Ended::Stopped => continue,
            };
            self.note(vec![event::Entry { at: now, name: name.clone(), event }]);
            self.look_at(&[name]);
        }
    }
}

fn min_interval(inventory: &Inventory, key: &HookKey) -> Duration {
    inventory.hooks.get(key).map_or(Duration::ZERO, |hook| hook.min_interval)
}
