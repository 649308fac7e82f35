//! `renewd status`: from the daemon where it runs, from the files where not; never as if all were well where a daemon
//! should run and does not.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::config::{self, Main};
use crate::core::known::issuer::Issuer;
use crate::core::name::CertName;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::daemon::control::{Reply, Request, View};
use crate::daemon::setup;
use crate::engine::status::{CertificateStatus, EndStatus, Problem, Row, Severity, Status, SupersededStatus};
use crate::store::lock::Held;

use super::absent::{self, Absent, Silence};
use super::at_tlm::{self, AtTlm};
use super::offline::{self, Look};
use super::select::Selectors;
use super::{control, exit, output, user};

/// Of which certificates.
pub(super) enum Which {
    /// Everything about one, with what TLM says of it where that is asked for.
    One {
        /// Its name.
        name: CertName,
        /// Whether TLM is asked.
        online: bool,
    },
    /// Those that meet the selectors; all, where there is none.
    Selected(Selectors),
}

/// Prints the status of all, of some, or all about one.
pub(super) fn run(file: &Path, which: &Which, json: bool) -> ExitCode {
    let printed = match which {
        Which::Selected(selectors) if selectors.is_empty() && !json => {
            let of_full = |full: Vec<CertificateStatus>| full.into_iter().map(row).collect();
            let found = found(file, &View::Table, of_full, Look::in_rows);
            found.map(|found| (table(&found.status), found.outcome())).map_err(|why| (why, exit::UNREADABLE))
        }
        Which::One { .. } | Which::Selected(_) => in_full(file, which, json),
    };
    match printed {
        Ok((text, (remark, code))) => {
            match remark.filter(|_| !json) {
                Some(remark) if code == exit::UNREADABLE => output::complain(&remark),
                Some(remark) => output::remark(&remark),
                None => {}
            }
            output::print(&text);
            code.into()
        }
        Err((why, code)) => {
            output::complain(&why);
            code.into()
        }
    }
}

/// Everything about one certificate; or of those that are selected a table, or everything as JSON.
fn in_full(file: &Path, which: &Which, json: bool) -> Result<(String, Outcome), (String, u8)> {
    let unreadable = |why| (why, exit::UNREADABLE);
    let view = match which {
        Which::One { name, .. } => View::One(name.clone()),
        Which::Selected(_) => View::All,
    };
    let mut found = found(file, &view, |full| full, Look::in_full).map_err(unreadable)?;
    let status = &mut found.status;
    match which {
        Which::One { name, .. } => {
            status.certificates.retain(|certificate| certificate.name == name.as_str());
            if status.certificates.is_empty() {
                return Err(unreadable(format!("no certificate named \"{name}\"")));
            }
        }
        Which::Selected(selectors) if !selectors.is_empty() => {
            let names = selectors.chosen(status).map_err(|why| (why, exit::UNWELL))?;
            narrow(status, &names.into_iter().collect());
        }
        Which::Selected(_) => {}
    }
    let is_online = matches!(which, Which::One { online: true, .. });
    let asked = status.certificates.first().filter(|_| is_online).map(|one| at_tlm::asked(file, one));
    let there = asked.as_ref().and_then(|asked| asked.as_ref().ok());
    let text = match which {
        _ if json => with_tlm(status, there).map_err(unreadable)?,
        Which::One { .. } => {
            let now = output::instant(&status.at).unwrap_or_default();
            let own: String = status.certificates.iter().map(|certificate| details(certificate, status, now)).collect();
            let there = there.map(|there| there.lines(now));
            [Some(own), there].into_iter().flatten().collect::<Vec<_>>().join("\n")
        }
        Which::Selected(_) => table(&status.clone().with(|full| full.into_iter().map(row).collect())),
    };
    let (remark, code) = found.outcome();
    let code = match asked {
        Some(Err(why)) => {
            output::complain(&why);
            code.max(exit::UNWELL)
        }
        Some(Ok(there)) if !there.is_as_here() => code.max(exit::UNWELL),
        Some(Ok(_)) | None => code,
    };
    Ok((text, (remark, code)))
}

/// The status as JSON, with what TLM says beside its certificate.
fn with_tlm(status: &Status, there: Option<&AtTlm>) -> Result<String, String> {
    let Some(there) = there else { return output::json(status) };
    let mut whole = serde_json::to_value(status).map_err(|error| error.to_string())?;
    if let Some(certificate) = whole.pointer_mut("/certificates/0").and_then(serde_json::Value::as_object_mut) {
        certificate.insert("tlm".to_owned(), serde_json::to_value(there).map_err(|error| error.to_string())?);
    }
    output::json(&whole)
}

/// Leaves these certificates in a status, and of the problems those that concern them or the whole.
fn narrow(status: &mut Status, names: &BTreeSet<CertName>) {
    status.certificates.retain(|one| names.iter().any(|name| name.as_str() == one.name));
    let concerns = |problem: &Problem| {
        problem.certificates.is_empty() || problem.certificates.iter().any(|name| names.contains(name))
    };
    status.problems.retain(concerns);
    status.healthy = status.problems.iter().all(|problem| problem.severity == Severity::Warning);
}

/// Everything about all certificates, for who selects among them.
///
/// # Errors
///
/// When nobody and no file tells it.
pub(super) fn all(file: &Path) -> Result<Status, String> {
    found(file, &View::All, |full| full, Look::in_full).map(|found| found.status)
}

/// What is said before the status, and the exit code.
type Outcome = (Option<String>, u8);

/// A status, and where it comes from where that is not the daemon.
struct Found<C> {
    status: Status<C>,
    absent: Option<Absent>,
}

impl<C> Found<C> {
    fn outcome(self) -> Outcome {
        let is_missed = self.absent.as_ref().is_some_and(|absent| absent.problem.is_some());
        let code = match (is_missed, self.status.healthy) {
            // What the files say is not how things stand: nobody renews anything, or nobody knows.
            (true, _) => exit::UNREADABLE,
            (false, true) => exit::OK,
            (false, false) => exit::UNWELL,
        };
        (self.absent.map(|absent| absent.remark), code)
    }
}

/// The status. The files tell everything, as does a daemon that knows no views.
fn found<C: DeserializeOwned>(
    file: &Path,
    view: &View,
    of_full: impl FnOnce(Vec<CertificateStatus>) -> Vec<C>,
    of_files: impl FnOnce(&Look) -> Status<C>,
) -> Result<Found<C>, String> {
    let main = config::load_main(file);
    // A daemon goes on with what the file said before it was broken.
    let socket = main.as_ref().map_or_else(|_| control::path(&Main::new(file)), control::path);
    let held = main.as_ref().map_or(Held::Not, control::await_start);
    let silence = match control::ask(&socket, &Request::Status { view: view.clone() }) {
        Ok(line) => {
            let status = parsed(&line, of_full)?;
            let Some(other) = absent::other_configuration(&status.config.file, file) else {
                return Ok(Found { status, absent: None });
            };
            Silence::IsOther(other)
        }
        Err(error) => Silence::of(&error),
    };
    user::may_read(file)?;
    let main = main.map_err(|problems| setup::shown(&problems))?;
    let look = offline::look(main, None)?;
    let absent = Absent::of(file, &socket, &held, silence);
    let mut status = of_files(&look);
    if let Some(problem) = &absent.problem {
        status.problems.insert(0, problem.clone());
        status.healthy = false;
    }
    Ok(Found { status, absent: Some(absent) })
}

fn parsed<C: DeserializeOwned>(
    line: &str,
    of_full: impl FnOnce(Vec<CertificateStatus>) -> Vec<C>,
) -> Result<Status<C>, String> {
    let error = match serde_json::from_str(line) {
        Ok(status) => return Ok(status),
        Err(error) => error,
    };
    if let Ok(status) = serde_json::from_str::<Status>(line) {
        return Ok(status.with(of_full));
    }
    Err(match serde_json::from_str::<Reply>(line) {
        Ok(Reply { error: Some(why), .. }) => format!("the daemon says: {why}"),
        Ok(Reply { .. }) | Err(_) => format!("the daemon's answer was not understood: {error}"),
    })
}

/// What of everything about a certificate the table shows.
fn row(full: CertificateStatus) -> Row {
    let instant = |text: Option<String>| output::instant(&text?).ok();
    let CertificateStatus { name, state, not_after, ends, next_action_at, reason, remarks, .. } = full;
    let not_after = instant(ends.map(|ends| ends.at).or(not_after));
    Row { name, state, not_after, next_action_at: instant(next_action_at), reason, remarks }
}

/// All certificates, a line each, and what is wrong.
fn table(status: &Status<Row>) -> String {
    let now = output::instant(&status.at).unwrap_or_default();
    let rows = status.certificates.iter().map(|one| {
        let distance = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), |at| output::coarse(at, now));
        let next = one.next_action_at;
        let next = if next.is_some_and(|at| at < now + SECOND) { "now".to_owned() } else { distance(next) };
        vec![one.name.clone(), one.state.clone(), distance(one.not_after), next, one.reason.to_string()]
    });
    let mut text = output::table(&["CERTIFICATE", "STATE", "EXPIRES", "NEXT STEP", "REASON"], rows);
    text.push('\n');
    let line = |text: &mut String, line: &str| {
        text.push('\n');
        text.push_str(&output::folded(line, CONTINUED));
    };
    line(&mut text, &format!("API {}: {}", status.api.url, api(status, now)));
    for credential in status.credentials.iter().filter(|credential| credential.not_after.is_some()) {
        let end = credential.not_after.as_deref().unwrap_or_default();
        let left = output::told(Some(end), now);
        line(&mut text, &format!("Credential {}: expires at {end}, {left}", credential.name));
    }
    if status.problems.is_empty() {
        line(&mut text, "No problems.");
    }
    for problem in &status.problems {
        let (word, colour) = match problem.severity {
            Severity::Error => ("PROBLEM", "1;31"),
            Severity::Warning => ("WARNING", "33"),
        };
        // What colours a word takes no room.
        let told = output::folded(&format!("{word} {}: {}", problem.code, problem.message), CONTINUED);
        text.push('\n');
        text.push_str(&told.replacen(word, &output::coloured(word, colour), 1));
        line(&mut text, &format!("  fix: {}", problem.remedy));
    }
    let remarks = status.certificates.iter().flat_map(|one| one.remarks.iter().map(move |remark| (&one.name, remark)));
    let remarks: Vec<String> = output::remarks(remarks).collect();
    let has_codes = !status.problems.is_empty() || !remarks.is_empty();
    remarks.iter().for_each(|remark| line(&mut text, remark));
    if has_codes {
        line(&mut text, "For details on any code: renewd explain CODE");
    }
    text
}

/// A status names its instant to the second, and a row its own to the millisecond.
const SECOND: Duration = Duration::from_secs(1);
/// By so much the further lines of one that is folded are indented.
const CONTINUED: usize = 4;

fn api(status: &Status<Row>, now: Timestamp) -> String {
    let api = &status.api;
    let mut text = if api.state == "unknown" { "not contacted yet".to_owned() } else { api.state.clone() };
    if let Some(at) = &api.last_success {
        text.push_str(&format!(", last answered {}", output::told(Some(at), now)));
    }
    let is_told =
        |error: &Text| status.problems.iter().any(|problem| problem.message.as_str().contains(error.as_str()));
    if let Some(error) = api.error.as_ref().filter(|error| !is_told(error)) {
        text.push_str(&format!(", {error}"));
    }
    if let Some(at) = &api.retry_at {
        text.push_str(&format!(", next attempt {}", output::told(Some(at), now)));
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
        line("details", format!("renewd explain {}", certificate.reason_code));
    }
    line("next step", instant(&certificate.next_action_at));
    let called = certificate.profile_name.as_ref().map_or_else(String::new, |name| format!("\"{name}\" "));
    line("profile", format!("{called}{}", certificate.profile));
    if !certificate.inventory_file.is_empty() {
        line("entry in", certificate.inventory_file.clone());
    }
    line("serial number", known(&certificate.serial_number));
    line("fingerprint", known(&certificate.fingerprint));
    line("key since", instant(&certificate.key_since));
    line("not before", instant(&certificate.not_before));
    line("not after", instant(&certificate.not_after));
    if let Some(EndStatus { at, subject: Some(ca), .. }) = &certificate.ends {
        line("expires", format!("{}: the CA certificate {ca} in the chain", instant(&Some(at.clone()))));
    }
    if let Some(Issuer { subject, spki }) = &certificate.issuer {
        let key = spki.as_ref().map_or_else(String::new, |spki| format!(" (sha256:{spki})"));
        line("issuer", format!("{subject}{key}"));
    }
    for remark in &certificate.remarks {
        let since = remark.since.as_ref().map_or_else(String::new, |since| format!(", since {since}"));
        line("remark", format!("{} ({}{since})", remark.message, remark.code));
    }
    line("renew at", instant(&certificate.renew_at));
    if let Some(id) = &certificate.request_id {
        line("request", id.to_string());
    }
    if let Some(validation) = certificate.request.as_ref().and_then(|request| request.dv_details.as_ref()) {
        line("validation", validation.to_string());
    }
    if let Some(error) = &certificate.last_error {
        let row = if certificate.failures > 1 { format!(", {} in a row", certificate.failures) } else { String::new() };
        let is_told = certificate.reason.as_str().contains(error.message.as_str());
        let message = if is_told { String::new() } else { format!(": {}", error.message) };
        line("last error", format!("{} ({}{row}){message}", error.code, error.at));
    }
    match &certificate.remedy {
        Some(remedy) => line("fix", remedy.to_string()),
        None => own_problems(certificate, status).for_each(|(name, value)| line(name, value)),
    }
    if let Some(generation) = certificate.generation {
        line("generation", generation.to_string());
    }
    files(certificate).for_each(|file| line("file", file));
    for hook in &certificate.hooks {
        let error = hook.error.as_ref().map_or_else(String::new, |error| format!(": {error}"));
        // The state's own word is the contract's; on the screen a hook that has yet to run is pending.
        let state = if hook.state == "owed" { "pending" } else { &hook.state };
        line("hook", format!("{}: {state} {}{error}", hook.name, instant(&hook.at)));
    }
    line("served", certificate.served.clone());
    superseded(certificate, now).for_each(|waits| line("superseded", waits));
    let errors = status.problems.iter().filter(|problem| problem.severity == Severity::Error);
    match errors.filter(|problem| !concerns(problem, certificate)).count() {
        0 => {}
        1 => line("elsewhere", "1 problem; see `renewd status`".to_owned()),
        others => line("elsewhere", format!("{others} problems; see `renewd status`")),
    }
    lines.join("\n")
}

/// What it replaced, and when that is revoked.
fn superseded(certificate: &CertificateStatus, now: Timestamp) -> impl Iterator<Item = String> {
    certificate.superseded.iter().map(move |SupersededStatus { serial_number, revoke_at, .. }| match revoke_at {
        Some(at) => format!("{serial_number}, to be revoked {at} ({})", output::told(Some(at), now)),
        None => format!("{serial_number}, to be revoked some time after the new one is in service"),
    })
}

/// The files at fixed paths, those of the copies by number.
fn files(certificate: &CertificateStatus) -> impl Iterator<Item = String> {
    let own = certificate.files.iter().map(|(name, path)| format!("{name}: {path}"));
    let copies = (1..).zip(&certificate.copies).flat_map(|(number, copy)| {
        copy.files.iter().map(move |(name, path)| format!("{name} of copy {number}: {path}"))
    });
    own.chain(copies)
}

/// The problems that concern the certificate; what its reason says already is not said twice.
fn own_problems<'s>(
    certificate: &'s CertificateStatus,
    status: &'s Status,
) -> impl Iterator<Item = (&'static str, String)> + use<'s> {
    let told = move |problem: &'s Problem| {
        let Problem { code, message, remedy, .. } = problem;
        let what = message.as_str().strip_prefix(&format!("{}: ", certificate.name)).unwrap_or(message.as_str());
        let shown = (what != certificate.reason.as_str()).then(|| ("problem", format!("{what} ({code})")));
        shown.into_iter().chain([("fix", remedy.to_string())])
    };
    status.problems.iter().filter(|problem| concerns(problem, certificate)).flat_map(told)
}

fn concerns(problem: &Problem, certificate: &CertificateStatus) -> bool {
    problem.certificates.iter().any(|name| name.as_str() == certificate.name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(certificates: &serde_json::Value) -> String {
        json!({
            "version": "0.1.0", "at": "2027-01-15T08:00:00Z", "healthy": true, "problems": [],
            "config": {"file": "/etc/renewd/renewd.toml", "state": "loaded"}, "clock": {"state": "ok"},
            "credentials": [], "inventory": [], "api": {"url": "https://tlm.example", "state": "ok"},
            "certificates": certificates,
        })
        .to_string()
    }

    fn shown(line: &str) -> Result<String, String> {
        parsed(line, |full| full.into_iter().map(row).collect()).map(|status: Status<Row>| table(&status))
    }

    #[test]
    fn a_daemon_that_tells_everything_is_understood_too() {
        let at = "2027-01-16T08:00:00Z";
        let full = json!([{
            "name": "www", "state": "valid", "reason": "all is well", "reason_code": "not-due", "profile": "Web",
            "not_after": at, "next_action_at": at, "failures": 0, "files": {}, "hooks": [], "served": "unknown",
        }]);
        let in_a_day = 1_800_000_000_000_i64 + 86_400_000;
        let rows = json!([{
            "name": "www", "state": "valid", "not_after": in_a_day, "next_action_at": in_a_day, "reason": "all is well",
        }]);
        let text = shown(&told(&rows)).unwrap();
        assert!(text.contains("www          valid  in 1 d   in 1 d     all is well\n"), "{text}");
        assert_eq!(shown(&told(&full)).unwrap(), text);
    }

    /// The screen of the README is one that an operator sees.
    #[test]
    fn the_readme_shows_what_is_shown() {
        let readme = include_str!("../../README.md");
        let (_, screen) = readme.split_once("```console\n$ renewd status\n").unwrap();
        let screen = screen.split("\n```").next().unwrap();
        let (from, day) = (1_795_428_000_000_i64, 86_400_000);
        let reason = |name: &str| screen.lines().find(|line| line.starts_with(name)).unwrap()[42..].trim_start();
        let rows = json!([
            {"name": "mail", "state": "pending", "next_action_at": from + 5 * 60_000, "reason": reason("mail")},
            {"name": "www", "state": "valid", "not_after": from + 90 * day, "next_action_at": from + 69 * day,
             "reason": reason("www")},
        ]);
        let mut status: serde_json::Value = serde_json::from_str(&told(&rows)).unwrap();
        status["at"] = json!("2026-11-23T10:00:00Z");
        status["api"] =
            json!({"url": "https://one.digicert.com", "state": "ok", "last_success": "2026-11-23T09:59:48Z"});
        assert_eq!(shown(&status.to_string()).unwrap(), screen);
    }

    #[test]
    fn a_refusal_is_told_as_such() {
        assert_eq!(shown(&Reply::refused("not you")).unwrap_err(), "the daemon says: not you");
        assert!(shown("{}").unwrap_err().starts_with("the daemon's answer was not understood: "));
    }
}
