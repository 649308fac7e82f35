//! The programs that hooks have asked before a switch.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{ActionRunner, Outcome};
use crate::api::Tlm;
use crate::core::failure::{Failure, FailureClass};
use crate::core::wanted::hook::Hook;
use crate::daemon::hooks;
use crate::engine::Step;
use crate::engine::hooks::Ended;
use crate::engine::io::HookSubject;

impl<T: Tlm> ActionRunner<T> {
    /// Asks the programs that the hooks run before a switch, one after the other, until one says no. What has no time left
    /// waits for none longer than [`PATIENCE`].
    pub(super) async fn ask_before(&self) -> Outcome {
        let name = &self.job.entry.name;
        let live = self.context.layout.live(name);
        let subject = HookSubject { name: name.clone(), installed: self.job.installed.clone(), validation: None };
        for hook in &self.job.before {
            let turn = turn(hook).await;
            let overruled = self.context.may(name, Step::Overrule).await;
            let Some(_turn) = turn else {
                let message = format!("`before` of hook {} was not asked: it does not end for others", hook.name);
                let failure = Failure::new(FailureClass::HookFailed, message);
                let hook = hook.name.clone();
                return if overruled { Outcome::Vetoed { hook, failure, overruled } } else { Outcome::NotNow };
            };
            let timeout = if overruled { hook.timeout.min(PATIENCE) } else { hook.timeout };
            let bounded = Hook { timeout, ..hook.clone() };
            let shown = |output: &str, limit| self.context.api().end_of(output, limit);
            tracing::info!(hook = %hook.name, "asking `before` of the hook");
            match hooks::ask_before(&bounded, &subject, &live, self.stop.clone(), shown).await {
                Ended::Done(_) => {}
                Ended::Failed(failure, _) | Ended::TimedOut(failure, _) => {
                    let overruled = overruled || self.context.may(name, Step::Overrule).await;
                    return Outcome::Vetoed { hook: hook.name.clone(), failure, overruled };
                }
                Ended::Stopped => return Outcome::NotNow,
            }
        }
        Outcome::Done
    }
}

/// The right to run a program: few certificates ask one at a time, and one that hangs holds back no other program. `None`:
/// others took all of [`PATIENCE`].
async fn turn(hook: &Hook) -> Option<OwnedSemaphorePermit> {
    let turns = {
        let mut known = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Semaphore::new(ASKED_AT_ONCE));
        Arc::clone(known.entry(hook.before.clone()).or_insert_with(fresh))
    };
    tokio::time::timeout(PATIENCE, turns.acquire_owned()).await.ok()?.ok()
}

/// For each program.
static TURNS: Mutex<BTreeMap<Option<Vec<String>>, Arc<Semaphore>>> = Mutex::new(BTreeMap::new());
/// So many certificates at a time have one program asked.
const ASKED_AT_ONCE: usize = 4;
/// Then a certificate is decided for anew, or switched in where there is no time left.
const PATIENCE: Duration = Duration::from_secs(60);
