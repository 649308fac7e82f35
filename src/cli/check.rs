//! `renewd check`: every problem of every file, in one run.

use std::path::Path;
use std::process::ExitCode;

use crate::config::{self, Inventory, Main, Problem, ServiceUser};
use crate::daemon::{kept, setup};
use crate::store::layout::Layout;
use crate::store::real_disk::RealDisk;

use super::{exit, output, user};

/// Reads everything and changes nothing.
pub(super) fn run(file: &Path) -> ExitCode {
    let (main, mut problems) = examine(file);
    let inventory = main.map(|main| {
        let service = setup::service_user(&main);
        add(&mut problems, config::permission_problems(&main, service));
        inventory(&main, service)
    });
    let certificates = inventory.as_ref().map_or(0, |inventory| inventory.entries.len());
    let files = inventory.map(|inventory| inventory.files).unwrap_or_default();
    let count = files.len();
    add(&mut problems, files.into_iter().flat_map(|file| file.problems));
    if problems.is_empty() {
        output::print(&format!("{}: good; {}", file.display(), counted(certificates, count)));
        return exit::OK.into();
    }
    output::complain(&setup::shown(&problems));
    let count = problems.len();
    output::complain(&format!("\n{count} problem{}", if count == 1 { "" } else { "s" }));
    exit::CONFIG.into()
}

/// Reads `renewd.toml` as the service does: what root can read tells nothing of what the service can.
fn examine(file: &Path) -> (Option<Main>, Vec<Problem>) {
    let (main, problems) = config::examine_main(file);
    match &main {
        // Any user may check; one who is not root does so with the rights that he has.
        Some(main) if user::become_owner(&main.state_dir).is_ok() => config::examine_main(file),
        Some(_) | None => (main, problems),
    }
}

/// The drop-in files, those of a directory that others may write to as well.
fn inventory(main: &Main, service: ServiceUser) -> Inventory {
    let in_force = kept::read(&RealDisk, &Layout::new(&main.state_dir));
    match config::examine_inventory(main, service) {
        Ok(files) => config::settle(files, &main.hooks, &in_force),
        Err(problem) => config::hold(main, problem, &in_force),
    }
}

/// Adds what is not said already.
fn add(problems: &mut Vec<Problem>, found: impl IntoIterator<Item = Problem>) {
    for problem in found {
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
}

fn counted(certificates: usize, files: usize) -> String {
    let s = |count: usize| if count == 1 { "" } else { "s" };
    format!("{certificates} certificate{} in {files} file{}", s(certificates), s(files))
}
