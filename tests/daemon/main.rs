//! The real binary against the simulator: what the operator is promised, seen from outside.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

mod answers;
mod api_faults;
mod api_key;
mod asked;
mod ca_status;
mod chain;
mod commands;
mod connections;
mod copies;
mod credentials;
mod deploy;
mod desk;
mod duplicates;
mod edits;
mod fallback;
mod files;
mod forecast;
mod formats;
mod gate;
mod golden;
mod heal;
mod history;
mod hold;
mod hooks;
mod host;
mod hostile;
mod inventory;
mod issue;
mod log;
mod metrics;
mod notify;
mod notify_ops;
mod notify_try;
mod online;
mod pace;
mod pending;
mod profiles;
#[path = "../monitoring/promtool.rs"]
mod promtool;
mod reload;
mod remedies;
mod renew;
mod revoke;
mod rsa;
mod select;
mod serve;
mod signals;
#[path = "../simulator/mod.rs"]
mod simulator;
mod status;
mod steps;
mod superseded;
mod volume;
mod watch;
