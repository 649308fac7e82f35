//! The hooks that a generation owes, and what came of their runs.

use super::{FailureStreak, Record};
use crate::core::event::HookStep;
use crate::core::failure::{Failure, FailureClass};
use crate::core::name::{Generation, HookName};
use crate::core::time::Timestamp;

/// A hook as far as the installed generation owes it.
#[derive(Clone, Debug, PartialEq)]
pub struct HookRecord {
    /// The generation that owes or had it.
    pub generation: Generation,
    /// Since when it is owed.
    pub owed_at: Timestamp,
    /// When it succeeded for this generation.
    pub done_at: Option<Timestamp>,
    /// Since when it runs, or ran when the process ended.
    pub begun_at: Option<Timestamp>,
    /// How many of its runs in a row the end of the process cut off.
    pub cut_offs: u32,
    /// Its failures in a row.
    pub trouble: FailureStreak,
    /// The generation that its service has, as far as the hook shows it: it succeeded for that one, and ran for no other
    /// since.
    pub shown: Option<Generation>,
}

/// What keeps a new set from being switched in.
#[derive(Clone, Debug, PartialEq)]
pub struct Veto {
    /// The hook whose program said no.
    pub hook: HookName,
    /// How often in a row.
    pub trouble: FailureStreak,
}

impl HookRecord {
    /// A run that renewd did not see end stays owed. From the second in a row on it has failed: the hook may be what ends
    /// renewd, and does not run at once again.
    pub(super) fn cut_off(&mut self) {
        let Some(at) = self.begun_at.take() else { return };
        self.shown = None;
        self.cut_offs = self.cut_offs.saturating_add(1);
        if self.cut_offs > 1 {
            let message = format!("renewd ended during the last {} runs of the hook, which may be why", self.cut_offs);
            self.trouble.add(Failure::new(FailureClass::HookFailed, message), at);
        }
    }
}

impl Record {
    /// A generation is live from now on, and owes these hooks.
    pub(super) fn owe(&mut self, generation: Generation, hooks: &[HookName], at: Timestamp) {
        self.generation = Some(generation);
        self.hook_repeats = 0;
        // What runs still may end after another one began to be owed: it shows either.
        let shown = |hook: &HookName| {
            self.hooks.get(hook).filter(|record| record.begun_at.is_none()).and_then(|record| record.shown)
        };
        let owed = |hook: &HookName| {
            let record = HookRecord {
                generation,
                owed_at: at,
                done_at: None,
                begun_at: None,
                cut_offs: 0,
                trouble: FailureStreak::default(),
                shown: shown(hook),
            };
            (hook.clone(), record)
        };
        self.hooks = hooks.iter().map(owed).collect();
    }

    /// A hook whose test failed, or that had no turn, showed its service nothing of what was taken back: it need not run.
    pub(super) fn spare_what_never_changed(&mut self, live: Generation, at: Timestamp) {
        for hook in self.hooks.values_mut().filter(|hook| hook.shown == Some(live)) {
            hook.done_at = Some(at);
        }
    }

    /// Who said no may say otherwise by now: it is asked again at once.
    pub fn forget_veto(&mut self) {
        if self.veto.is_some() {
            self.veto = None;
            self.open.shrink();
        }
    }

    /// A program says that nothing is to be switched in now.
    pub(super) fn vetoed(&mut self, hook: &HookName, failure: &Failure, at: Timestamp) {
        let fresh = || Box::new(Veto { hook: hook.clone(), trouble: FailureStreak::default() });
        let veto = self.veto.get_or_insert_with(fresh);
        veto.hook = hook.clone();
        veto.trouble.add(failure.clone(), at);
    }

    /// Hooks and probe run once more for what was in order before. A hook that fails now takes nothing back.
    pub(super) fn deploy_asked(&mut self, generation: Generation, hooks: &[HookName], at: Timestamp) {
        if self.hooks.values().all(|hook| hook.done_at.is_some()) {
            self.rollback_refused = Some(generation);
        }
        self.owe(generation, hooks, at);
        self.veto = None;
        self.deploy_asked = Some(at);
        if let Some(probe) = &mut self.probe {
            probe.failures = 0;
        }
    }

    pub(super) fn hooks_again(&mut self, generation: Generation, at: Timestamp) {
        self.hook_repeats = self.hook_repeats.saturating_add(1);
        for hook in self.hooks.values_mut().filter(|hook| hook.generation == generation) {
            (hook.owed_at, hook.done_at) = (at, None);
        }
    }

    pub(super) fn hook_done(&mut self, hook: &HookName, generation: Generation, at: Timestamp) {
        if let Some(record) = self.hooks.get_mut(hook).filter(|record| record.generation == generation) {
            (record.done_at, record.begun_at, record.cut_offs) = (Some(at), None, 0);
            record.shown = Some(generation);
            let failed_before = std::mem::take(&mut record.trouble).count > 0;
            // What was seen while it failed says nothing of how long the server takes now.
            if let Some(probe) = self.probe.as_mut().filter(|_| failed_before) {
                probe.failures = 0;
            }
        }
        // The newer generation, tried once more, is in order.
        if self.rolled_back.as_deref().is_some_and(|rolled_back| rolled_back.forward && rolled_back.from == generation)
            && self.hooks.values().all(|hook| hook.done_at.is_some())
        {
            self.rolled_back = None;
        }
    }

    pub(super) fn hook_failed(
        &mut self,
        hook: &HookName,
        generation: Generation,
        (failure, step): (&Failure, HookStep),
        at: Timestamp,
    ) {
        if let Some(record) = self.hooks.get_mut(hook).filter(|record| record.generation == generation) {
            (record.begun_at, record.cut_offs) = (None, 0);
            if step == HookStep::Run {
                record.shown = None;
            }
            record.trouble.add(failure.clone(), at);
        }
    }

    pub(super) fn hook_begun(&mut self, hook: &HookName, generation: Generation, at: Timestamp) {
        if let Some(record) = self.hooks.get_mut(hook).filter(|record| record.generation == generation) {
            record.cut_off();
            record.begun_at = Some(at);
        }
    }
}
