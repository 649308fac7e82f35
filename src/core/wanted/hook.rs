//! A hook: what the operator wants run after an install. Says what and how often; runs nothing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::name::HookName;

/// A hook, complete and checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hook {
    /// Its name, unique in the file that defines it.
    pub name: HookName,
    /// What it runs.
    pub run: HookRun,
    /// Who runs its command, where that is not the service's user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// After this time it is killed with all that it started.
    pub timeout: Duration,
    /// At most one run begins in this time.
    pub min_interval: Duration,
    /// A command that runs before it, after the switch: where that fails, the hook has failed and does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Vec<String>>,
    /// A command that runs before a new set is switched in: where that fails, the switch waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Vec<String>>,
}

impl Hook {
    /// The same rules around another command.
    #[must_use]
    pub fn around(&self, argv: &[String]) -> Self {
        Self { run: HookRun::Command(argv.to_vec()), test: None, before: None, ..self.clone() }
    }

    /// Every command that it runs, by its key.
    pub fn commands(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        let main = match &self.run {
            HookRun::Command(argv) => Some(argv),
            HookRun::Unit { .. } => None,
        };
        let all = [("command", main), ("test", self.test.as_ref()), ("before", self.before.as_ref())];
        all.into_iter().filter_map(|(key, argv)| Some((key, argv?.as_slice())))
    }
}

/// What a hook runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookRun {
    /// A verb on a systemd unit.
    Unit {
        /// The unit with its suffix (`nginx.service`).
        unit: String,
        /// systemd's verb (`reload`).
        verb: String,
    },
    /// A command: the program's absolute path and its arguments; no shell.
    Command(Vec<String>),
}
