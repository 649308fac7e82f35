//! `renewd status`: from the daemon where it runs, from the files where not.

use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

use crate::config::{self, Main};
use crate::core::name::CertName;
use crate::core::time::Timestamp;
use crate::daemon::control::{Reply, Request};
use crate::daemon::setup;
use crate::daemon::status::{CertificateStatus, Severity, Status};

use super::{control, exit, offline, output, user};

/// Prints the status of all, or all about one.
pub(super) fn run(file: &Path, name: Option<&CertName>, json: bool) -> ExitCode {
    let (mut status, remark) = match status(file) {
        Ok(found) => found,
        Err(why) => {
            output::complain(&why);
            return exit::UNREADABLE.into();
        }
    };
    if let Some(name) = name {
        status.certificates.retain(|certificate| certificate.name == name.as_str());
        if status.certificates.is_empty() {
            output::complain(&format!("no certificate in force is named {name}"));
            return exit::UNREADABLE.into();
        }
    }
    if json {
        output::print_json(&status);
    } else {
        if let Some(remark) = remark {
            output::complain(&remark);
        }
        output::print(&text(&status, name.is_some()));
    }
    if status.healthy { exit::OK.into() } else { exit::UNWELL.into() }
}

/// The status, and what to say of where it comes from.
fn status(file: &Path) -> Result<(Status, Option<String>), String> {
    let main = config::load_main(file);
    // A daemon goes on with what the file said before it was broken.
    let path = main.as_ref().map_or_else(|_| control::path(&Main::new(file)), control::path);
    let error = match control::ask(&path, &Request::Status) {
        Ok(line) => return Ok((parsed(&line)?, None)),
        Err(error) => error,
    };
    user::may_read(file)?;
    let main = main.map_err(|problems| setup::shown(&problems))?;
    let look = offline::look(main, None)?;
    let remark = match (look.holder(), error.kind()) {
        (Some(holder), ErrorKind::PermissionDenied) => {
            format!("renewd runs ({holder}), but this user may not ask it; as the files tell:")
        }
        (Some(holder), _) => format!("renewd runs ({holder}), but does not answer ({error}); as the files tell:"),
        (None, _) => "renewd does not run; as the files tell:".to_owned(),
    };
    Ok((look.status(), Some(remark)))
}

fn parsed(line: &str) -> Result<Status, String> {
    serde_json::from_str(line).map_err(|error| match serde_json::from_str::<Reply>(line) {
        Ok(Reply { error: Some(why), .. }) => format!("the daemon says: {why}"),
        Ok(Reply { .. }) | Err(_) => format!("the daemon's answer was not understood: {error}"),
    })
}

fn text(status: &Status, in_full: bool) -> String {
    let now = output::instant(&status.at).unwrap_or_default();
    if in_full {
        return status.certificates.iter().map(|certificate| details(certificate, status, now)).collect();
    }
    let rows = status.certificates.iter().map(|one| {
        let next = output::next(one.next_action_at.as_deref(), now);
        let expires = output::told(one.not_after.as_deref(), now);
        vec![one.name.clone(), one.state.clone(), expires, next, one.reason.to_string()]
    });
    let mut text = output::table(&["CERTIFICATE", "STATE", "EXPIRES", "NEXT STEP", "REASON"], rows);
    text.push('\n');
    let mut line = |line: String| {
        text.push('\n');
        text.push_str(&line);
    };
    line(format!("API {}: {}", status.api.url, api(status, now)));
    for credential in status.credentials.iter().filter(|credential| credential.not_after.is_some()) {
        let end = credential.not_after.as_deref().unwrap_or_default();
        line(format!("Credential {}: ends at {end}, {}", credential.name, output::told(Some(end), now)));
    }
    if status.problems.is_empty() {
        line("No problems.".to_owned());
    }
    for problem in &status.problems {
        let word = match problem.severity {
            Severity::Error => output::coloured("PROBLEM", "1;31"),
            Severity::Warning => output::coloured("WARNING", "33"),
        };
        line(format!("{word} {}: {}", problem.code, problem.message));
        line(format!("  what to do: {}", problem.remedy));
    }
    if !status.problems.is_empty() {
        line("More about a code, those in parentheses too: renewd explain CODE".to_owned());
    }
    text
}

fn api(status: &Status, now: Timestamp) -> String {
    let api = &status.api;
    let mut text = api.state.clone();
    if let Some(at) = &api.last_success {
        text.push_str(&format!(", last answered {}", output::told(Some(at), now)));
    }
    if let Some(error) = &api.error {
        text.push_str(&format!(", {error}"));
    }
    if let Some(at) = &api.retry_at {
        text.push_str(&format!(", tried again {}", output::told(Some(at), now)));
    }
    text
}

/// Everything about one certificate, a line a fact.
fn details(certificate: &CertificateStatus, status: &Status, now: Timestamp) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| lines.push(format!("{name:<14} {value}"));
    let instant = |at: &Option<String>| {
        at.as_deref().map_or_else(|| "-".to_owned(), |at| format!("{at} ({})", output::told(Some(at), now)))
    };
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    line("certificate", certificate.name.clone());
    line("state", certificate.state.clone());
    line("reason", certificate.reason.to_string());
    if !certificate.reason_code.is_empty() {
        line("explained by", format!("renewd explain {}", certificate.reason_code));
    }
    line("next step", instant(&certificate.next_action_at));
    line("profile", certificate.profile.to_string());
    line("serial number", known(&certificate.serial_number));
    line("fingerprint", known(&certificate.fingerprint));
    line("not before", instant(&certificate.not_before));
    line("not after", instant(&certificate.not_after));
    line("renew at", instant(&certificate.renew_at));
    if let Some(id) = &certificate.request_id {
        line("request", id.to_string());
    }
    if let Some(error) = &certificate.last_error {
        let row = if certificate.failures > 1 { format!(", {} in a row", certificate.failures) } else { String::new() };
        line("last error", format!("{} ({}{row}): {}", error.code, error.at, error.message));
    }
    if let Some(remedy) = &certificate.remedy {
        line("what to do", remedy.to_string());
    }
    if let Some(generation) = certificate.generation {
        line("generation", generation.to_string());
    }
    for (name, path) in &certificate.files {
        line("file", format!("{name}: {path}"));
    }
    for hook in &certificate.hooks {
        let error = hook.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
        line("hook", format!("{}: {} {}{error}", hook.name, hook.state, instant(&hook.at)));
    }
    line("served", certificate.served.clone());
    let own = format!("{}:", certificate.name);
    let errors = status.problems.iter().filter(|problem| problem.severity == Severity::Error);
    match errors.filter(|problem| !problem.message.as_str().starts_with(&own)).count() {
        0 => {}
        1 => line("elsewhere", "1 problem; see `renewd status`".to_owned()),
        others => line("elsewhere", format!("{others} problems; see `renewd status`")),
    }
    lines.join("\n")
}
