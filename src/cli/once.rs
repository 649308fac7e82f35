//! `renewd once`: one pass.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::core::reason::State;
use crate::daemon::run::Word;
use crate::engine::Mode;
use crate::engine::status::{Severity, Status};

use super::start::{self, Configured, Started};
use super::{exit, output};

/// Does everything that is due, and tells what is left.
pub(super) fn run(config: &Path, wait: Duration) -> ExitCode {
    match start::configuration(config).and_then(|start| pass(start, wait, None)) {
        Ok(status) => {
            // Warnings are told where all is done, too.
            left_over(&status);
            if is_done(&status) { exit::OK.into() } else { exit::UNWELL.into() }
        }
        Err(code) => code.into(),
    }
}

/// One pass, which begins with what an operator wants.
pub(super) fn pass(configured: Configured, wait: Duration, word: Option<Word>) -> Result<Status, u8> {
    let Started { runtime, mut daemon, messages, orders } = start::daemon(configured, Mode::Once { wait })?;
    let status = runtime.block_on(async {
        if let Some(word) = word {
            daemon.begin_with(word);
        }
        daemon.run(messages, orders).await
    });
    start::end(runtime);
    Ok(status)
}

/// Whether nothing failed, is pending, or is open.
fn is_done(status: &Status) -> bool {
    status.healthy && status.certificates.iter().all(|certificate| certificate.state == State::Valid.as_str())
}

fn left_over(status: &Status) {
    for problem in &status.problems {
        let told = format!("{}; fix: {}", problem.message, problem.remedy);
        match problem.severity {
            Severity::Error => output::complain(&told),
            Severity::Warning => output::remark(&told),
        }
    }
    let told = |name: &str| {
        status.problems.iter().any(|problem| problem.certificates.iter().any(|concerned| concerned.as_str() == name))
    };
    for certificate in &status.certificates {
        if certificate.state != State::Valid.as_str() && !told(&certificate.name) {
            output::complain(&format!("{}: {}: {}", certificate.name, certificate.state, certificate.reason));
        }
    }
}
