//! `renewd completions`: the script by which a shell asks renewd what to propose. The packages bring them.

use std::io;
use std::process::ExitCode;

use clap::ValueEnum;
use clap_complete::env::Shells;

use super::complete::VARIABLE;
use super::{exit, output};

/// A shell that completes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Shell {
    /// Bash 4 or later.
    Bash,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

impl Shell {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }
}

/// Prints the script.
pub(super) fn run(shell: Shell) -> ExitCode {
    match script(shell) {
        Ok(script) => {
            output::print(String::from_utf8_lossy(&script).trim_end());
            exit::OK.into()
        }
        Err(error) => {
            output::complain(&error.to_string());
            exit::INTERNAL.into()
        }
    }
}

/// The script of a shell.
///
/// # Errors
///
/// When clap knows the shell no more.
pub fn script(shell: Shell) -> io::Result<Vec<u8>> {
    let mut script = Vec::new();
    let shells = Shells::builtins();
    let completer = shells.completer(shell.as_str()).ok_or(io::ErrorKind::Unsupported)?;
    completer.write_registration(VARIABLE, "renewd", "renewd", "renewd", &mut script)?;
    Ok(script)
}
