//! `renewd check`: every problem of every file, in one run; with `--online` also what TLM, the daemon and the host say.

use std::path::Path;
use std::process::ExitCode;

use rustix::fs::{Access, access};
use serde::Serialize;

use crate::config::{self, Inventory, Main, Problem, ServiceUser};
use crate::core::failure::{Failure, FailureClass};
use crate::daemon::preflight::{Finding, Verdict};
use crate::daemon::{last_good, preflight, setup};
use crate::engine::{report, status};
use crate::store::layout::Layout;
use crate::store::real_disk::RealDisk;
use crate::store::targets;

use super::account::{self, Account};
use super::{exit, output, user};
use crate::cli::check_online;

/// What is to be checked, and how it is told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) online: bool,
    pub(super) json: bool,
}

/// `check --json`.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    /// How many there are.
    certificates: usize,
    files: usize,
    findings: Vec<Finding>,
}

/// Reads everything, and changes nothing that stays.
pub(super) fn run(file: &Path, wish: Options) -> ExitCode {
    let Examined { main, mut problems, account } = examine(file, wish.online);
    let found = main.as_ref().map(|main| {
        let service = setup::service_user(main);
        add(&mut problems, config::permission_problems(main, service));
        inventory(main, service)
    });
    let (inventory, warnings) = found.unzip();
    let warnings = warnings.unwrap_or_default();
    let certificates = inventory.as_ref().map_or(0, |inventory| inventory.entries.len());
    let files = inventory.as_ref().map_or(0, |inventory| inventory.files().len());
    let refusals = inventory.iter().flat_map(Inventory::refusals);
    add(&mut problems, refusals.flat_map(|file| file.problems.to_vec()));
    let (mut of_files, mut of_host) = (Vec::new(), Vec::new());
    if let (Some(main), Some(inventory)) = (&main, &inventory) {
        of_files = credentials(main);
        match (wish.online, account) {
            (true, Some(account)) => match account::runtime() {
                Ok(runtime) => of_host = runtime.block_on(check_online::findings(main, inventory, account)),
                Err(why) => output::complain(&why),
            },
            _ => {
                of_host = places(main, inventory);
                of_host.extend(preflight::hook_flaws(inventory, &preflight::own_unit(&main.file), is_service(main)));
            }
        }
    }
    let code = match problems.len() + of_files.len() {
        0 if of_host.iter().any(|finding| finding.state == Verdict::Failed) => exit::UNWELL,
        0 => exit::OK,
        _ => exit::CONFIG,
    };
    if wish.json {
        let findings = problems.iter().map(of_problem).chain(warnings).chain(of_files).chain(of_host).collect();
        output::print_json(&Report { ok: code == exit::OK, certificates, files, findings });
        return code.into();
    }
    let good = format!("{}: OK: {}", file.display(), counted(certificates, files));
    warnings.iter().for_each(|warning| output::complain(&warned(warning)));
    tell(&problems, &of_files, if wish.online { &[] } else { &of_host }, &good);
    if wish.online && !of_host.is_empty() {
        output::print(&told(&of_host));
    }
    code.into()
}

/// A warning on two lines.
fn warned(warning: &Finding) -> String {
    let remedy = warning.remedy.as_ref().map_or_else(String::new, |remedy| format!("\n  fix: {remedy}"));
    format!("warning: {}{remedy}\n", warning.message)
}

/// The problems, or that there is none.
fn tell(problems: &[Problem], of_files: &[Finding], of_host: &[Finding], good: &str) {
    let mut told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    told.extend(of_files.iter().map(|finding| format!("{}: {}", finding.subject, finding.message)));
    told.extend(of_host.iter().map(|finding| {
        let remedy = finding.remedy.as_ref().map_or_else(String::new, |remedy| format!("; {remedy}"));
        format!("{}: {}{remedy}", finding.subject, finding.message)
    }));
    if told.is_empty() {
        output::print(good);
        return;
    }
    output::complain(&told.join("\n\n"));
    output::complain(&format!("\n{} problem{}", told.len(), if told.len() == 1 { "" } else { "s" }));
}

/// A line a check, each that is not good with what to do.
fn told(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        let code = finding.code.as_ref().map_or_else(String::new, |code| format!(" ({code})"));
        let word = output::verdict(finding.state);
        lines.push(format!("{word} {:<8} {}: {}{code}", finding.check, finding.subject, finding.message));
        lines.extend(finding.remedy.as_ref().map(|remedy| format!("{:17} fix: {remedy}", "")));
    }
    let count = |state: Verdict| findings.iter().filter(|finding| finding.state == state).count();
    let (failed, warnings) = (count(Verdict::Failed), count(Verdict::Warning));
    let s = if warnings == 1 { "" } else { "s" };
    lines.push(format!("\n{} checks: {failed} failed, {warnings} warning{s}", findings.len()));
    lines.join("\n")
}

fn of_problem(problem: &Problem) -> Finding {
    let summary = problem.summary();
    let (place, message) = summary.split_once(": ").unwrap_or(("", &summary));
    Finding::failed("file", place, message, "fix the file; `renewd check` shows the line")
}

/// The credentials and roots that `renewd.toml` names, read as the service does. A key at the default path may be for
/// systemd alone to read, and is not looked at.
fn credentials(main: &Main) -> Vec<Finding> {
    let found = if is_service(main) { setup::client_flaws(&main.api, names_credentials(main)) } else { Vec::new() };
    found.iter().map(|failure| of_client(main, failure)).collect()
}

/// What keeps the client from being made, under the name of what it is about.
pub(super) fn of_client(main: &Main, failure: &Failure) -> Finding {
    let known = [(FailureClass::Proxy, "proxy"), (FailureClass::ApiTls, "tls")];
    let about = known.iter().find(|(class, _)| *class == failure.class).map_or("key", |(_, about)| about);
    Finding::failure(about, main.file.display(), failure)
}

fn names_credentials(main: &Main) -> bool {
    !main.api.api_key_files.is_empty() || main.api.client_identity_file.is_some()
}

fn is_service(main: &Main) -> bool {
    setup::service_user(main).uid == rustix::process::geteuid().as_raw()
}

/// Targets that the rules refuse, or in whose folders the service may not write. A sandbox may forbid more: that is found
/// by the daemon, before anything is asked for.
pub(super) fn places(main: &Main, inventory: &Inventory) -> Vec<Finding> {
    let (identity, is_service) = (setup::identity(main), is_service(main));
    let mut found = Vec::new();
    if let Some(textfile) = &main.metrics.textfile
        && let Err(failure) = targets::check_target(&RealDisk, &identity, textfile)
    {
        found.push(Finding::failure("target", format!("{}: [metrics] `textfile`", main.file.display()), &failure));
    }
    for entry in &inventory.entries {
        for (key, target) in entry.files.targets() {
            let folder = target.parent().unwrap_or(target);
            let place = format!("{}: certificate `{}`: `{key}`", entry.source, entry.name);
            if let Err(failure) = targets::check_target(&RealDisk, &identity, target) {
                found.push(Finding::failure("target", place, &failure));
            } else if is_service && access(folder, Access::WRITE_OK | Access::EXEC_OK).is_err() {
                let (uid, folder) = (identity.uid, folder.display());
                let message = format!("the service's user {uid} may not write to {folder}");
                let remedy = format!(
                    "run: setfacl -m u:{uid}:rwx {folder}, and where the unit's sandbox forbids it, name it by \
                     ReadWritePaths="
                );
                found.push(Finding::failed("target", place, message, &remedy));
            }
        }
    }
    found
}

/// `renewd.toml` as it was read.
struct Examined {
    main: Option<Main>,
    problems: Vec<Problem>,
    account: Option<Result<Account, Failure>>,
}

/// Reads `renewd.toml` as the service does: what root can read tells nothing of what the service can. The key that only
/// systemd reads for the service is read by root before that.
fn examine(file: &Path, online: bool) -> Examined {
    let (main, problems) = config::examine_main(file);
    let Some(first) = main else { return Examined { main, problems, account: None } };
    let early = (online && !names_credentials(&first)).then(|| Account::open(&first));
    // Any user may check; one who is not root does so with the rights that he has.
    let (main, problems) =
        if user::become_owner(&first.state_dir).is_ok() { config::examine_main(file) } else { (Some(first), problems) };
    let late = main.as_ref().filter(|_| online && early.is_none()).map(Account::open);
    Examined { main, problems, account: early.or(late) }
}

/// The drop-in files, those of a directory that others may write to as well; and what else is to be known of it.
fn inventory(main: &Main, service: ServiceUser) -> (Inventory, Vec<Finding>) {
    let in_force = last_good::read(&RealDisk, &Layout::new(&main.state_dir));
    let inventory = match config::examine_inventory(main, service) {
        Ok(files) => config::resolve(files, &main.hooks, &in_force),
        Err(problem) => config::hold(main, problem, &in_force),
    };
    let overlooked = config::overlooked_files(main);
    let warning = |problem: status::Problem| {
        let status::Problem { code, message, remedy, .. } = problem;
        Finding {
            code: Some(code),
            ..Finding::warning("inventory", main.inventory.display(), message.to_string(), remedy.as_str())
        }
    };
    let warnings = report::inventory_problems(main, &inventory, &overlooked).into_iter().map(warning).collect();
    (inventory, warnings)
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
