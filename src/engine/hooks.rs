//! The hooks that are to run: for which certificates, from when on, and which run now. One run of a hook at a time
//! serves every certificate that it is to run for when it starts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::HookKey;
use crate::core::event::HookStep;
use crate::core::failure::Failure;
use crate::core::name::{CertName, Generation, HookName};
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// The hooks that are to run, and those that run.
#[derive(Debug, Default)]
pub struct Hooks {
    /// For which certificates a hook is to run, under which name and for which generation, and from when on.
    pending: BTreeMap<HookKey, BTreeMap<CertName, (HookName, Generation, Timestamp)>>,
    running: BTreeMap<HookKey, Vec<PendingHook>>,
    started: BTreeMap<HookKey, Timestamp>,
}

/// A certificate that a hook is to run for, the name that its entry uses for the hook, and the generation.
pub type PendingHook = (CertName, HookName, Generation);

/// A run that may start now.
#[derive(Debug)]
pub struct Run {
    /// Which hook.
    pub key: HookKey,
    /// For whom.
    pub covers: Vec<PendingHook>,
}

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// With exit status 0, and the end of what it printed, if anything.
    Done(Option<Text>),
    /// In any other way, at this step.
    Failed(Failure, HookStep),
    /// It did not end in time at this step, and was killed.
    TimedOut(Failure, HookStep),
    /// It was ended because renewd stops: nothing is known of it, and it runs again.
    Stopped,
}

impl Hooks {
    /// Has a hook run for a certificate, from `due` on. A run under way that covers this generation is enough.
    pub fn enqueue(&mut self, key: HookKey, pending: PendingHook, due: Timestamp) {
        if self.running.get(&key).is_some_and(|covers| covers.contains(&pending)) {
            return;
        }
        let (name, hook, generation) = pending;
        self.pending.entry(key).or_default().insert(name, (hook, generation, due));
    }

    /// No hook is to run for a certificate any more, or another one.
    pub fn forget(&mut self, name: &CertName) {
        for certificates in self.pending.values_mut() {
            certificates.remove(name);
        }
        self.pending.retain(|_, certificates| !certificates.is_empty());
    }

    /// Takes the runs that may start: due for one certificate at least, not running already, and not within the hook's
    /// minimal interval. A run covers every certificate that the hook is to run for.
    pub fn take_runnable(&mut self, now: Timestamp, interval: impl Fn(&HookKey) -> Duration) -> Vec<Run> {
        let may_start = |key: &&HookKey| self.start_of(key, now, &interval).is_some_and(|at| at <= now);
        let keys: Vec<HookKey> = self.pending.keys().filter(may_start).cloned().collect();
        let mut runs = Vec::new();
        for key in keys {
            let Some(certificates) = self.pending.remove(&key) else { continue };
            let covers: Vec<PendingHook> =
                certificates.into_iter().map(|(name, (hook, generation, _))| (name, hook, generation)).collect();
            self.running.insert(key.clone(), covers.clone());
            self.started.insert(key.clone(), now);
            runs.push(Run { key, covers });
        }
        runs
    }

    /// When the next run may start.
    #[must_use]
    pub fn next(&self, now: Timestamp, interval: impl Fn(&HookKey) -> Duration) -> Option<Timestamp> {
        self.pending.keys().filter_map(|key| self.start_of(key, now, &interval)).min()
    }

    /// When a hook may start that is to run and does not run yet.
    fn start_of(&self, key: &HookKey, now: Timestamp, interval: &impl Fn(&HookKey) -> Duration) -> Option<Timestamp> {
        if self.running.contains_key(key) {
            return None;
        }
        let due = self.pending.get(key)?.values().map(|(.., due)| *due).min()?;
        // A start that lies ahead is from before the clock was set back.
        let started = self.started.get(key).filter(|at| **at <= now);
        Some(started.map_or(due, |at| due.max(*at + interval(key))))
    }

    /// Notes that a run ended.
    pub fn ended(&mut self, key: &HookKey) {
        self.running.remove(key);
    }

    /// Whether a hook is running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.running.is_empty()
    }

    /// The certificates that the running hooks cover, each with the hook.
    pub fn running(&self) -> impl Iterator<Item = (&CertName, &HookName)> {
        self.running.values().flatten().map(|(name, hook, _)| (name, hook))
    }
}

#[cfg(test)]
mod tests;
