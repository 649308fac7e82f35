//! The programs that hooks have asked before a switch.

use tokio::sync::Semaphore;

use super::{ActionRunner, Outcome};
use crate::api::Tlm;
use crate::daemon::hooks;
use crate::engine::Step;
use crate::engine::hooks::Ended;
use crate::engine::io::HookSubject;

impl<T: Tlm> ActionRunner<T> {
    /// Asks the programs that the hooks run before a switch, one after the other, until one says no.
    pub(super) async fn ask_before(&self) -> Outcome {
        let name = &self.job.entry.name;
        // Where nothing is to be switched in, nobody is asked; a failed hook's second try is no new set.
        if self.job.request.is_some() && !self.context.may(name, Step::Switch).await {
            return Outcome::NotNow;
        }
        let Ok(_turn) = ASKED_AT_ONCE.acquire().await else { return Outcome::NotNow };
        let (installed, live) = (self.job.installed.clone(), self.context.layout.live(name));
        let subjects = [HookSubject { name: name.clone(), installed, validation: None }];
        for hook in &self.job.before {
            let environment = hooks::environment(&subjects, Some(&live), None);
            let shown = |output: &str, limit| self.context.api().end_of(output, limit);
            tracing::info!(hook = %hook.name, "asking `before` of the hook");
            match hooks::ask_before(hook, environment, self.stop.clone(), shown).await {
                Ended::Done(_) => {}
                Ended::Failed(failure, _) | Ended::TimedOut(failure, _) => {
                    let overruled = self.context.may(name, Step::Overrule).await;
                    return Outcome::Vetoed { hook: hook.name.clone(), failure, overruled };
                }
                Ended::Stopped => return Outcome::NotNow,
            }
        }
        Outcome::Done
    }
}

/// So many certificates at a time have the programs of their hooks asked before a switch.
static ASKED_AT_ONCE: Semaphore = Semaphore::const_new(4);
