//! `renewd check`: every problem of every file, in one run.

use std::path::Path;
use std::process::ExitCode;

use crate::config;
use crate::daemon::setup;

use super::{exit, offline, output};

/// Reads everything and changes nothing.
pub(super) fn run(file: &Path) -> ExitCode {
    let main = match config::load_main(file) {
        Ok(main) => main,
        Err(problems) => {
            output::complain(&setup::shown(&problems));
            return exit::CONFIG.into();
        }
    };
    let service = offline::service_user(&main);
    let mut problems = config::permission_problems(&main, service);
    let mut certificates = 0;
    let mut files = 0;
    match config::load_inventory(&main, service) {
        Err(problem) => {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        Ok(found) => {
            let inventory = config::settle(found, &main.hooks, &config::InForce::default());
            certificates = inventory.entries.len();
            files = inventory.files.len();
            problems.extend(inventory.files.into_iter().flat_map(|file| file.problems));
        }
    }
    if problems.is_empty() {
        output::print(&format!("{}: good; {}", file.display(), counted(certificates, files)));
        return exit::OK.into();
    }
    output::complain(&setup::shown(&problems));
    let count = problems.len();
    output::complain(&format!("\n{count} problem{}", if count == 1 { "" } else { "s" }));
    exit::CONFIG.into()
}

fn counted(certificates: usize, files: usize) -> String {
    let s = |count: usize| if count == 1 { "" } else { "s" };
    format!("{certificates} certificate{} in {files} file{}", s(certificates), s(files))
}
