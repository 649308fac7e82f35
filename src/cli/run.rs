//! `renewd run`: the daemon.

use std::path::Path;
use std::process::ExitCode;

use crate::core::code::Code;
use crate::core::text::Text;
use crate::daemon::control;
use crate::daemon::exporter;
use crate::engine::Mode;
use crate::engine::status::{Problem, Severity};

use super::start::{self, Started};
use super::{confine, control as client, exit};

/// Runs until it is told to stop.
pub(super) fn run(config: &Path) -> ExitCode {
    let main = match start::configuration(config) {
        Ok(main) => main,
        Err(code) => return code.into(),
    };
    confine::warn_of_root(&main.state_dir);
    let path = client::path(&main);
    let metrics = main.metrics.listen;
    let control_group = main.control_group.clone();
    let Started { runtime, mut daemon, messages, orders } = match start::daemon(main, Mode::Forever) {
        Ok(started) => started,
        Err(code) => return code.into(),
    };
    runtime.block_on(async {
        match control::open(&path) {
            Ok(socket) => drop(tokio::spawn(control::serve(socket, control_group, daemon.messages()))),
            Err(error) => daemon.report(Code::ControlSocketFailed.as_str(), no_socket(&path, &error)),
        }
        if let Some(address) = metrics {
            drop(tokio::spawn(exporter::serve(address, daemon.messages())));
        }
        daemon.run(messages, orders).await;
    });
    start::end(runtime);
    exit::OK.into()
}

fn no_socket(path: &Path, error: &std::io::Error) -> Problem {
    Problem {
        code: Code::ControlSocketFailed.to_string(),
        severity: Severity::Error,
        message: Text::new(&format!("the control socket {} cannot be opened: {error}", path.display())),
        since: None,
        remedy: Text::new("create its folder for the service's user, or set `control_socket`, and restart"),
    }
}
