//! `renewd check`: every problem of every file, in one run.

use std::path::Path;
use std::process::ExitCode;

use rustix::fs::{Access, access};

use crate::config::{self, Inventory, Main, Problem, ServiceUser};
use crate::daemon::{kept, setup};
use crate::store::fixed;
use crate::store::layout::Layout;
use crate::store::real_disk::RealDisk;

use super::{exit, output, user};

/// Reads everything and changes nothing.
pub(super) fn run(file: &Path) -> ExitCode {
    let (main, mut problems) = examine(file);
    let inventory = main.as_ref().map(|main| {
        let service = setup::service_user(main);
        add(&mut problems, config::permission_problems(main, service));
        inventory(main, service)
    });
    let certificates = inventory.as_ref().map_or(0, |inventory| inventory.entries.len());
    let (credentials, places) = match (&main, &inventory) {
        (Some(main), Some(inventory)) => (credentials(main), places(main, inventory)),
        _ => (Vec::new(), Vec::new()),
    };
    let files = inventory.map(|inventory| inventory.files).unwrap_or_default();
    let count = files.len();
    add(&mut problems, files.into_iter().flat_map(|file| file.problems));
    if problems.is_empty() && credentials.is_empty() && places.is_empty() {
        output::print(&format!("{}: good; {}", file.display(), counted(certificates, count)));
        return exit::OK.into();
    }
    let of_files = problems.len() + credentials.len();
    let mut told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    told.extend(credentials);
    told.extend(places);
    output::complain(&told.join("\n\n"));
    output::complain(&format!("\n{} problem{}", told.len(), if told.len() == 1 { "" } else { "s" }));
    if of_files > 0 { exit::CONFIG.into() } else { exit::UNWELL.into() }
}

/// The credentials and roots that `renewd.toml` names, read as the service does. A key at the default path may be for
/// systemd alone to read, and is not looked at.
fn credentials(main: &Main) -> Vec<String> {
    let is_named = !main.api.api_key_files.is_empty() || main.api.client_identity_file.is_some();
    let is_service = setup::service_user(main).uid == rustix::process::geteuid().as_raw();
    let client = (is_named && is_service).then(|| setup::client(&main.api, None));
    client
        .and_then(Result::err)
        .map(|failure| format!("{}: {}", main.file.display(), failure.message))
        .into_iter()
        .collect()
}

/// Targets that the rules refuse, or in whose folders the service may not write. A sandbox may forbid more: that is found
/// by the daemon, before anything is asked for.
fn places(main: &Main, inventory: &Inventory) -> Vec<String> {
    let ground = setup::ground(main);
    let is_service = setup::service_user(main).uid == rustix::process::geteuid().as_raw();
    let mut told = Vec::new();
    for entry in &inventory.entries {
        for (key, target) in entry.files.targets() {
            let folder = target.parent().unwrap_or(target);
            let place = format!("{}: certificate `{}`: `{key}`", entry.source, entry.name);
            if let Err(failure) = fixed::check_target(&RealDisk, &ground, target) {
                told.push(format!("{place}: {}; {}", failure.message, failure.class.remedy()));
            } else if is_service && access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
                let (uid, folder) = (ground.uid, folder.display());
                told.push(format!(
                    "{place}: the service's user {uid} may not write to {folder}; run: setfacl -m u:{uid}:rwx {folder}, \
                     and where the unit's sandbox forbids it, name it by ReadWritePaths="
                ));
            }
        }
    }
    told
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
