//! Somebody whom renewd tells: `[notify.ops]`, with every occasion there is.

use std::collections::BTreeMap;
use std::time::Duration;

use renewd::config::Main;
use renewd::core::event::HookStep;
use renewd::core::failure::{Failure, FailureClass};
use renewd::core::name::HookName;
use renewd::core::wanted::hook::{Hook, HookRun};
use renewd::core::wanted::notify::{Notify, Occasion};
use renewd::engine::hooks::Ended;
use renewd::engine::{Input, Telling};

use crate::host::HookMood;
use crate::shell::HOOK_TIMEOUT;
use crate::world::{Task, World};

impl World {
    /// Somebody is to be told from now on: written into `renewd.toml`, and reloaded.
    pub(crate) fn notify(&mut self) {
        let name: HookName = "ops".parse().expect("a valid name");
        let run = HookRun::Command(vec!["/usr/local/bin/tell-ops".to_owned()]);
        let run = Hook {
            name: name.clone(),
            run,
            user: None,
            timeout: HOOK_TIMEOUT,
            min_interval: Duration::ZERO,
            test: None,
            before: None,
        };
        let notify = Notify { run, on: Occasion::ALL.iter().copied().collect(), gather: Duration::from_secs(60) };
        self.notifies = BTreeMap::from([(name, notify)]);
        let main = Main { notifies: self.notifies.clone(), ..self.d().engine.main().clone() };
        self.handle(Input::MainRead(Ok(Box::new(main))));
        self.reload();
    }

    pub(crate) fn begin_telling(&mut self, telling: &Telling) {
        let document = &telling.document;
        self.tell(|| format!("{} is told: {}", telling.name, document.summary));
        let hangs = self.hook_moods.get(&telling.name) == Some(&HookMood::Hangs);
        let takes = if hangs { HOOK_TIMEOUT } else { Duration::from_secs(1) };
        self.later(takes, Task::NotifyEnds(telling.name.clone()));
    }

    pub(crate) fn notify_ends(&mut self, name: HookName) {
        let failure = |why: &str| Failure::new(FailureClass::HookFailed, format!("notification {name} {why}"));
        let ended = match self.hook_moods.get(&name).copied().unwrap_or(HookMood::Fine) {
            HookMood::Fine | HookMood::Lies | HookMood::Untested => Ended::Done(None),
            HookMood::Fails => Ended::Failed(failure("ended with 1"), HookStep::Run),
            HookMood::Hangs => Ended::TimedOut(failure("did not end within 60 s and was killed"), HookStep::Run),
        };
        if !matches!(ended, Ended::Done(_)) {
            self.tell(|| format!("{name} was not told"));
        }
        self.handle(Input::NotifyEnded { name, ended });
    }
}
