//! Whether others can read the files that the credentials come from (promise 15), looked at as long as the daemon runs: a
//! mode changes without a reload.

use crate::api::Tlm;
use crate::api::credentials::CredentialFiles;
use crate::config::ApiSettings;
use crate::core::code::Code;
use crate::engine::Input;
use crate::engine::status::Problem;

use super::run::Daemon;

/// The first file that others can read, as a problem.
#[must_use]
pub fn problem(files: &CredentialFiles, settings: &ApiSettings) -> Option<Problem> {
    let refused = files.exposed(&settings.credential_files(), settings.uses_default_key())?;
    // The message ends with the command.
    let (what, command) = refused.message().as_str().split_once("; run: ")?;
    let remedy = format!("run: {command}; replace the credential in TLM if somebody may have read it");
    Some(Problem::error(CODE, what, &remedy))
}

impl<T: Tlm> Daemon<T> {
    /// Looks, and notes what was found.
    pub(super) fn look_at_exposure(&mut self) {
        let found = problem(&self.context.credentials, &self.engine.main().api);
        self.handle(Input::ProblemChanged(CODE, found));
    }
}

const CODE: &str = Code::CredentialExposed.as_str();
