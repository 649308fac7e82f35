//! `renewd heal`: finishes half-done installs, for ordering before services at boot. Asks nobody.

use std::path::Path;
use std::process::ExitCode;

use crate::daemon::heal::{self, Healed};
use crate::daemon::sandbox;
use crate::daemon::setup::StartError;

use super::{exit, output, runtime, start};

/// Heals, a line for each certificate that was not whole.
pub(super) fn run(config: &Path) -> ExitCode {
    let main = match start::configuration(config) {
        Ok(configured) => configured.main,
        Err(code) => return code.into(),
    };
    sandbox::enter(&main.state_dir);
    let runtime = match runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(&format!("cannot start: {error}"));
            return exit::UNWELL.into();
        }
    };
    match runtime.block_on(heal::heal(&main)) {
        Ok(healed) => told(&healed),
        Err(StartError::Locked(holder)) => {
            output::tell(&format!("renewd is running ({holder}) and heals by itself; nothing to do here"));
            exit::OK.into()
        }
        Err(error @ StartError::Config(_)) => start::told(&error).into(),
        Err(StartError::State(failure)) => {
            output::complain(&format!("could not heal: {failure}"));
            exit::UNWELL.into()
        }
    }
}

fn told(healed: &[Healed]) -> ExitCode {
    for Healed { line, is_whole } in healed {
        if *is_whole { output::tell(line.as_str()) } else { output::complain(line.as_str()) }
    }
    if healed.is_empty() {
        output::tell("every installed set is whole");
    }
    if healed.iter().all(|one| one.is_whole) { exit::OK.into() } else { exit::UNWELL.into() }
}
