//! `renewd check`: every problem of every file, in one run; with `--online` also what TLM, the daemon and the host say.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::Access;
use rustix::io::Errno;
use serde::Serialize;

use crate::api::credentials::CredentialFiles;
use crate::config::{self, Inventory, Main, Problem, ServiceUser};
use crate::daemon::clock::{Clock, SystemClock};
use crate::daemon::preflight::{Finding, Verdict};
use crate::daemon::{last_good, preflight, setup};
use crate::engine::{report, status};
use crate::store;
use crate::store::layout::Layout;
use crate::store::real_disk::RealDisk;

use super::account::{self, Account};
use super::{control, exit, output, user};
use crate::cli::{check_freezes, check_online};

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
    let Examined { main, mut problems, files: credential_files } = examine(file);
    let found = main.as_ref().map(|main| {
        let service = setup::service_user(main);
        let open_to_others = config::permission_problems(main, service);
        let (inventory, warnings) = inventory(main, service);
        // The file says where the key is sent.
        let unasked = (wish.online && !open_to_others.is_empty()).then(|| unasked(main));
        add(&mut problems, open_to_others);
        (inventory, warnings.into_iter().chain(unasked.clone()).collect::<Vec<_>>(), unasked.is_none())
    });
    let (inventory, mut warnings, is_trusted) = match found {
        Some((inventory, warnings, is_trusted)) => (Some(inventory), warnings, is_trusted),
        None => (None, Vec::new(), false),
    };
    let certificates = inventory.as_ref().map_or(0, |inventory| inventory.entries.len());
    let files = inventory.as_ref().map_or(0, |inventory| inventory.files().len());
    let refusals = inventory.iter().flat_map(Inventory::refusals);
    add(&mut problems, refusals.flat_map(|file| file.problems.to_vec()));
    let (mut of_files, mut of_host) = (Vec::new(), Vec::new());
    if let (Some(main), Some(inventory)) = (&main, &inventory) {
        let credential_files = credential_files.unwrap_or_else(|| setup::credential_files(main));
        of_files = credentials(main, &credential_files);
        let unread = of_files.extract_if(.., |finding| finding.state == Verdict::Warning);
        warnings.extend(unread);
        if wish.online && is_trusted {
            let account = Account::open(main, &credential_files);
            match account::runtime() {
                Ok(runtime) => of_host = runtime.block_on(check_online::findings(main, inventory, account)),
                Err(why) => output::complain(&why),
            }
        } else {
            of_host = preflight::places(main, inventory, &setup::identity(main), is_service(main));
            of_host.extend(preflight::hook_flaws(main, inventory, &preflight::own_unit(&main.file), is_service(main)));
        }
        of_host.extend(control_group(main));
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
    warnings.iter().for_each(|warning| output::remark(&warned(warning)));
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
        output::tell(good);
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

/// The credentials and roots, read as the service does: the API key that systemd hands to it is read by root.
fn credentials(main: &Main, files: &CredentialFiles) -> Vec<Finding> {
    if !is_service(main) {
        return Vec::new();
    }
    let unread = main.api.uses_default_key().then(|| unread_key(main, files)).flatten();
    let found = setup::client_flaws(&main.api, files, unread.is_none());
    found.iter().map(|failure| Finding::of_client(&main.file, failure)).chain(unread).collect()
}

/// That the API key is not looked at: it is for systemd alone to read, which hands it to the service.
fn unread_key(main: &Main, files: &CredentialFiles) -> Option<Finding> {
    let key = files.default_key.display();
    let (why, remedy) = if files.is_sealed {
        ("it is encrypted for the service's unit", "run `renewd check --online` with the service started")
    } else {
        let is_closed =
            rustix::fs::access(&files.default_key, Access::READ_OK).is_err_and(|error| error == Errno::ACCESS);
        let is_handed = files.held.is_none() && preflight::is_installed(&preflight::own_unit(&main.file));
        (is_closed && is_handed)
            .then_some(("this user may not read it; systemd hands it to the service", "run this as root"))?
    };
    Some(Finding::warning("key", &key, format!("{key} was not checked: {why}"), remedy))
}

/// That nothing was asked of TLM.
fn unasked(main: &Main) -> Finding {
    let message = "TLM was not asked: others may write to the configuration, which says where the API key is sent";
    Finding::warning("api", main.file.display(), message, "fix the permissions first")
}

fn is_service(main: &Main) -> bool {
    setup::service_user(main).uid == rustix::process::geteuid().as_raw()
}

/// Whether there is a group that may read the status, and its members reach the socket, where one is named.
fn control_group(main: &Main) -> Option<Finding> {
    let (name, socket) = (main.control_group.as_deref()?, control::path(main));
    let gid = match store::access::group(name, "control_group") {
        Ok(gid) => gid,
        Err(failure) => {
            let remedy = "create it, or change `control_group`";
            return Some(Finding::failed("control", name, failure.message.as_str(), remedy));
        }
    };
    let is_closed = |folder: &&Path| {
        let found = std::fs::metadata(folder);
        found.is_ok_and(|found| found.mode() & 0o001 == 0 && (found.gid() != gid || found.mode() & 0o010 == 0))
    };
    Some(match socket.ancestors().skip(1).find(is_closed) {
        None => Finding::ok("control", name, format!("its members may read the status at {}", socket.display())),
        Some(folder) => {
            let folder = folder.display();
            let message = format!("its members may not pass {folder} to the control socket {}", socket.display());
            Finding::warning("control", name, message, &format!("run: setfacl -m g:{name}:x {folder}"))
        }
    })
}

/// `renewd.toml` as it was read, and how the credentials are.
struct Examined {
    main: Option<Main>,
    problems: Vec<Problem>,
    files: Option<CredentialFiles>,
}

/// Reads `renewd.toml` as the service does: what root can read tells nothing of what the service can. The key that only
/// systemd reads for the service is read by root before that.
fn examine(file: &Path) -> Examined {
    let (main, problems) = config::examine_main(file);
    let Some(first) = main else { return Examined { main, problems, files: None } };
    let files = Some(setup::credential_files(&first));
    // Any user may check; one who is not root does so with their own rights.
    let (main, problems) =
        if user::become_owner(&first.state_dir).is_ok() { config::examine_main(file) } else { (Some(first), problems) };
    Examined { main, problems, files }
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
    let warnings = report::inventory_problems(main, &inventory, &overlooked).into_iter().map(warning);
    let warnings = warnings.chain(check_freezes::remarks(main, &inventory, SystemClock::default().now())).collect();
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
