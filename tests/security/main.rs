//! Who can do what: a test for each claim of renewd-security(7) that no other test shows, with the real binary and the
//! real file system.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

mod account;
mod configuration;
mod disk;
mod environment;
mod first_byte;
mod hooks;
#[path = "../daemon/host.rs"]
#[expect(dead_code, reason = "the tests of the daemon use more of it")]
mod host;
mod net;
mod secrets;
#[path = "../simulator/mod.rs"]
mod simulator;
mod socket;

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use host::{Host, safe_folder};

/// The binary with the configuration of `host`, for those who start it in their own way.
fn renewd(host: &Host) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_renewd"));
    command.arg("--config").arg(host.path("renewd.toml")).env_remove("RUST_LOG");
    command
}

/// A folder for targets of which every ancestor is safe, which the usual temporary folder is not.
struct Targets(TempDir);

impl Targets {
    fn new() -> Self {
        Self(safe_folder())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}
