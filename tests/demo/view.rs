//! What the newcomer sees: a table that is drawn anew on a terminal, a line for each change where it is piped.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};

use renewd::core::time::{Span, Timestamp};
use renewd::engine::status::{CertificateStatus, Status};

/// The screen, or what stands in for it.
pub(crate) struct View {
    is_terminal: bool,
    /// How many lines were drawn last.
    drawn: usize,
    news: Vec<String>,
    seen: BTreeMap<String, (String, Option<u64>)>,
}

impl View {
    /// Shows the introduction.
    pub(crate) fn open(introduction: &str) -> Self {
        let is_terminal = io::stdout().is_terminal();
        println!("{introduction}");
        if is_terminal {
            print!("{HIDE_CURSOR}");
        }
        Self { is_terminal, drawn: 0, news: Vec::new(), seen: BTreeMap::new() }
    }

    /// Shows how things stand.
    pub(crate) fn show(&mut self, status: &Status, elapsed: Duration) {
        for certificate in &status.certificates {
            let now = (certificate.state.clone(), certificate.generation);
            if self.seen.insert(certificate.name.clone(), now.clone()) != Some(now) {
                let line = format!(
                    "{:<5} {:<9} expires {}; next step {}; {}",
                    certificate.name,
                    certificate.state,
                    until(certificate.not_after.as_deref(), status),
                    until(certificate.next_action_at.as_deref(), status),
                    certificate.reason
                );
                self.tell(&line, elapsed);
            }
        }
        if self.is_terminal {
            self.draw(status);
        }
    }

    /// Tells something that happened.
    pub(crate) fn tell(&mut self, news: &str, elapsed: Duration) {
        let line = format!("[{:>3} s] {news}", elapsed.as_secs());
        if self.is_terminal {
            self.news.push(line);
        } else {
            println!("{line}");
        }
    }

    /// Draws over what was drawn before; never more than the screen holds, or the next drawing would miss its place.
    fn draw(&mut self, status: &Status) {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok().filter(|size| size.ws_row > 0 && size.ws_col > 0);
        let (width, height) = size.map_or((100, 30), |size| (usize::from(size.ws_col), usize::from(size.ws_row)));
        let mut lines = if width >= WIDE { table(status, width) } else { stack(status, width) };
        let room = height.saturating_sub(2);
        lines.truncate(room);
        let news = NEWS.min(room.saturating_sub(lines.len() + 1));
        lines.push(String::new());
        let fit = |line: &String| line.chars().take(width - 1).collect();
        lines.extend(self.news.iter().rev().take(news).rev().map(fit));
        let mut out = io::stdout().lock();
        let back = if self.drawn > 0 { format!("\x1b[{}F\x1b[J", self.drawn) } else { String::new() };
        writeln!(out, "{back}{}", lines.join("\n")).unwrap();
        out.flush().unwrap();
        self.drawn = lines.len();
    }

    /// Gives the terminal back.
    pub(crate) fn close(&self) {
        if self.is_terminal {
            println!("{SHOW_CURSOR}");
        }
    }
}

fn table(status: &Status, width: usize) -> Vec<String> {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(width).unwrap_or(u16::MAX))
        .set_header(["CERTIFICATE", "STATE", "EXPIRES", "NEXT STEP", "REASON"]);
    for certificate in &status.certificates {
        table.add_row(row(certificate, status));
    }
    table.lines().collect()
}

/// For a narrow terminal: the reason below the rest.
fn stack(status: &Status, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for certificate in &status.certificates {
        let [name, state, expires, next, reason] = row(certificate, status);
        lines.extend(fold(&format!("{name}: {state}; expires {expires}; next step {next}"), width - 1));
        lines.extend(fold(&reason, width.saturating_sub(4)).into_iter().map(|line| format!("   {line}")));
    }
    lines
}

/// Breaks a text between words, and words that are too long anywhere.
fn fold(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut rest: Vec<char> = word.chars().collect();
        while !rest.is_empty() {
            let line = lines.last_mut().unwrap();
            let used = if line.is_empty() { 0 } else { line.chars().count() + 1 };
            let fits = used + rest.len() <= width;
            if !fits && used > 0 {
                lines.push(String::new());
                continue;
            }
            let taken = rest.len().min(width.max(1));
            if used > 0 {
                line.push(' ');
            }
            line.extend(rest.drain(..taken));
        }
    }
    lines
}

fn row(certificate: &CertificateStatus, status: &Status) -> [String; 5] {
    [
        certificate.name.clone(),
        certificate.state.clone(),
        until(certificate.not_after.as_deref(), status),
        until(certificate.next_action_at.as_deref(), status),
        certificate.reason.to_string(),
    ]
}

/// How long until an instant, as the status writes instants.
fn until(at: Option<&str>, status: &Status) -> String {
    let parsed =
        |text: &str| text.parse::<jiff::Timestamp>().map(|at| Timestamp::from_millis(at.as_millisecond())).ok();
    match (at.and_then(parsed), parsed(&status.at)) {
        (Some(at), Some(now)) if at > now => format!("in {}", Span(at.since(now))),
        (Some(_), _) => "now".to_owned(),
        (None, _) => "-".to_owned(),
    }
}

const NEWS: usize = 8;
/// From this width on a table is easier to read.
const WIDE: usize = 110;
const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
