//! What `renewd discover` prints: a table with what is wrong below it, or all of it as JSON.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use super::ask::Service;
use super::faults::{self, Fault};
use super::files::Files;
use super::findings::{Finding, Named};
use super::mention::Side;
use super::reading::Note;
use crate::cli::output;
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// Everything that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) at: String,
    /// Whether nothing is wrong.
    pub(super) healthy: bool,
    pub(super) certificates: Vec<Row>,
    pub(super) problems: Vec<Fault>,
    /// What could not be followed or read: there may be more certificates behind it.
    pub(super) unread: Vec<Unread>,
}

/// A certificate.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) names: Vec<String>,
    pub(super) common_name: Option<String>,
    pub(super) issuer: String,
    pub(super) serial_number: String,
    pub(super) fingerprint: String,
    pub(super) not_before: String,
    pub(super) not_after: String,
    /// The earliest end of leaf and chain.
    pub(super) ends: String,
    pub(super) key: Option<String>,
    pub(super) files: Vec<FileRow>,
    pub(super) served_by: Vec<ServiceRow>,
    pub(super) configured_in: Vec<MentionRow>,
    pub(super) managed_by: Option<ManagerRow>,
    #[serde(skip)]
    ends_at: Timestamp,
    #[serde(skip)]
    more_names: usize,
    #[serde(skip)]
    path: Option<PathBuf>,
}

/// A file that holds the certificate or its key.
#[derive(Debug, Serialize)]
pub(super) struct FileRow {
    path: String,
    holds: Vec<&'static str>,
    owner: String,
    group: String,
    mode: String,
}

/// Who presents it.
#[derive(Debug, Serialize)]
pub(super) struct ServiceRow {
    address: String,
    program: Option<String>,
    pid: Option<u32>,
    unit: Option<String>,
    starttls: Option<&'static str>,
    /// The names that were asked for; null: none was.
    server_names: Vec<Option<String>>,
    /// How many certificates follow the leaf.
    chain: usize,
}

/// A configuration that names it.
#[derive(Debug, Serialize)]
pub(super) struct MentionRow {
    server: &'static str,
    file: String,
    /// Null: on a command line, or a default.
    line: Option<usize>,
    certificate: String,
    private_key: Option<String>,
    /// `server`, or `client` where the server uses it towards others.
    side: &'static str,
    ports: Vec<u16>,
    names: Vec<String>,
}

/// Who renews it.
#[derive(Debug, Serialize)]
pub(super) struct ManagerRow {
    program: &'static str,
    name: String,
}

/// What was not looked into.
#[derive(Debug, Serialize)]
pub(super) struct Unread {
    pub(super) place: String,
    pub(super) why: String,
}

fn clean(text: &str) -> String {
    Text::new(text).to_string()
}

/// Puts the report together.
pub(super) fn report(
    findings: &[Finding<'_>],
    named: &[Named<'_>],
    services: &[Service],
    files: &Files,
    notes: &[Note],
    now: Timestamp,
) -> Report {
    let problems = faults::all(findings, named, services, files, now);
    let note = |note: &Note| {
        let line = note.line.filter(|line| *line > 0).map_or(String::new(), |line| format!(":{line}"));
        Unread { place: clean(&format!("{}{line}", note.file.display())), why: clean(&note.what) }
    };
    let unread =
        files.unread.iter().map(|(path, why)| Unread { place: clean(&path.display().to_string()), why: clean(why) });
    let mut unread: Vec<Unread> = unread.chain(notes.iter().map(note)).collect();
    if files.is_cut() {
        let why = "there are more files than are looked into; name them to `renewd adopt`".to_owned();
        unread.push(Unread { place: "the usual folders".to_owned(), why });
    }
    Report {
        at: now.to_string(),
        healthy: problems.is_empty(),
        certificates: findings.iter().map(|finding| row(finding, files)).collect(),
        problems,
        unread,
    }
}

fn row(finding: &Finding<'_>, files: &Files) -> Row {
    let facts = &finding.facts;
    let names = facts.names.dns_names.iter().cloned().chain(facts.names.ip_addresses.iter().map(ToString::to_string));
    Row {
        name: clean(&finding.title()),
        names: names.map(|name| clean(&name)).collect(),
        common_name: facts.common_name.as_deref().map(clean),
        issuer: finding.leaf.issuer_label().as_str().trim_matches('"').to_owned(),
        serial_number: facts.serial_number.to_string(),
        fingerprint: facts.fingerprint.to_string(),
        not_before: facts.not_before.to_string(),
        not_after: facts.not_after.to_string(),
        ends: finding.ends_at().to_string(),
        key: facts.key.map(|key| key.as_str().to_owned()),
        files: file_rows(finding, files),
        served_by: finding
            .shown
            .iter()
            .map(|(service, sights)| ServiceRow {
                address: service.listener.address.to_string(),
                program: service.program.as_deref().map(clean),
                pid: service.pid,
                unit: service.unit.as_deref().map(clean),
                starttls: service.starttls.map(crate::core::wanted::entry::StartTls::as_str),
                server_names: sights.iter().map(|sight| sight.name.as_deref().map(clean)).collect(),
                chain: sights.first().map_or(0, |sight| sight.chain.len()),
            })
            .collect(),
        configured_in: finding.named.iter().map(|named| mention_row(named)).collect(),
        managed_by: finding.managed.map(|managed| ManagerRow { program: managed.by.name, name: clean(&managed.name) }),
        ends_at: finding.ends_at(),
        more_names: finding.more_names(),
        path: finding.path(files),
    }
}

fn file_rows(finding: &Finding<'_>, files: &Files) -> Vec<FileRow> {
    let all: BTreeSet<&PathBuf> = finding.files.iter().chain(&finding.keys).collect();
    let row = |real: &&PathBuf| {
        let file = files.get(real)?;
        let mut holds = Vec::new();
        if finding.files.contains(*real) {
            holds.push(if file.found.certificates.len() > 1 { "fullchain" } else { "certificate" });
        }
        if finding.keys.contains(*real) {
            holds.push("private_key");
        }
        let held = &file.found.held;
        Some(FileRow {
            path: clean(&file.paths.first()?.display().to_string()),
            holds,
            owner: clean(&held.owner),
            group: clean(&held.group),
            mode: format!("{:04o}", held.mode),
        })
    };
    all.iter().filter_map(row).collect()
}

fn mention_row(named: &Named<'_>) -> MentionRow {
    let mention = named.mention;
    let path = |path: &PathBuf| clean(&path.display().to_string());
    let ports: BTreeSet<u16> = mention.listens.iter().map(|listen| listen.port).collect();
    MentionRow {
        server: mention.server.as_str(),
        file: path(&mention.file),
        line: (mention.line > 0).then_some(mention.line),
        certificate: path(&mention.certificate),
        private_key: mention.key.as_ref().map(path),
        side: if mention.side == Side::Server { "server" } else { "client" },
        ports: ports.into_iter().collect(),
        names: mention.names.iter().map(|name| clean(name)).collect(),
    }
}

impl Report {
    /// The table and what is below it.
    pub(super) fn text(&self, now: Timestamp) -> String {
        let mut text = if self.certificates.is_empty() {
            "no certificate was found: none in the usual folders and configurations, and none is served".to_owned()
        } else {
            let rows = self.certificates.iter().map(|row| row.cells(now));
            output::table(&["NAME", "EXPIRES", "KEY", "ISSUER", "RENEWED BY", "SERVED BY", "FILE"], rows)
        };
        let problem = |fault: &Fault| format!("WRONG {}: {}; {}", fault.subject, fault.message, fault.remedy);
        let unread = |unread: &Unread| format!("NOT READ {}: {}", unread.place, unread.why);
        let lines: Vec<String> = self.problems.iter().map(problem).chain(self.unread.iter().map(unread)).collect();
        if !lines.is_empty() {
            text.push('\n');
        }
        for line in lines {
            text.push('\n');
            text.push_str(&output::folded(&line, 2));
        }
        text
    }
}

impl Row {
    fn cells(&self, now: Timestamp) -> Vec<String> {
        let more = if self.more_names > 0 { format!(" +{}", self.more_names) } else { String::new() };
        let served: BTreeSet<String> = self.served_by.iter().map(ServiceRow::short).collect();
        let configured: BTreeSet<String> = self.configured_in.iter().map(|row| format!("({})", row.server)).collect();
        let by = if served.is_empty() { configured } else { served };
        vec![
            format!("{}{more}", cut(&self.name, 40)),
            output::coarse(self.ends_at, now),
            self.key.clone().unwrap_or_else(|| "other".to_owned()),
            cut(&self.issuer, 24),
            self.managed_by.as_ref().map_or_else(|| "nobody".to_owned(), |row| row.program.to_owned()),
            dash(&by.into_iter().collect::<Vec<_>>().join(" ")),
            self.path.as_ref().map_or_else(|| "-".to_owned(), |path| clean(&path.display().to_string())),
        ]
    }
}

impl ServiceRow {
    fn short(&self) -> String {
        let port = self.address.rsplit_once(':').map_or(self.address.as_str(), |(_, port)| port);
        self.program.as_ref().map_or_else(|| format!("port {port}"), |program| format!("{program}:{port}"))
    }
}

fn dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

/// At most so many characters.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}
