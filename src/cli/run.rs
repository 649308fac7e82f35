//! `renewd run`: the daemon.

use std::path::Path;
use std::process::ExitCode;

use crate::engine::Mode;

use super::start::{self, Started};
use super::{confine, exit};

/// Runs until it is told to stop.
pub(super) fn run(config: &Path) -> ExitCode {
    let configured = match start::configuration(config) {
        Ok(configured) => configured,
        Err(code) => return code.into(),
    };
    confine::warn_of_root(&configured.main.state_dir);
    let Started { runtime, mut daemon, messages, orders } = match start::daemon(configured, Mode::Forever) {
        Ok(started) => started,
        Err(code) => return code.into(),
    };
    runtime.block_on(async {
        daemon.listen();
        daemon.run(messages, orders).await;
    });
    start::end(runtime);
    exit::OK.into()
}
