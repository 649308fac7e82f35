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
