//! Printing: the one place that writes to standard output and standard error, and that knows how much a command says.
//!
//! | | `--quiet` | usually | `--verbose` |
//! | --- | --- | --- | --- |
//! | what was asked for: a table, an entry, JSON ([`print`]) | yes | yes | yes |
//! | an error, what failed ([`complain`]) | yes | yes | yes |
//! | progress, and that something is done ([`tell`]) | no | yes | yes |
//! | what is worth knowing and no error ([`remark`]) | no | yes | yes |
//! | the log of what a command does by itself ([`super::log`]) | errors | as `[log]` says | from debug on |

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

use crate::core::time::{Span, Timestamp};
use crate::daemon::log_sink;
use crate::daemon::preflight::Verdict;
use crate::engine::status::RemarkStatus;

use super::columns::{columns, fold};
use super::exit;

/// How much a command says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Volume {
    /// Nothing but errors and what was asked for.
    Quiet,
    /// What is of use to somebody who watches.
    #[default]
    Usual,
    /// Also each step.
    Verbose,
}

/// Sets how much is said from now on: once, before anything is.
pub(super) fn set_volume(volume: Volume) {
    VOLUME.get_or_init(|| volume);
}

pub(super) fn volume() -> Volume {
    VOLUME.get().copied().unwrap_or_default()
}

/// Prints to standard output what is progress, or that something is done.
pub(super) fn tell(text: &str) {
    if volume() != Volume::Quiet {
        print(text);
    }
}

/// Prints to standard error what is worth knowing and no error.
pub(super) fn remark(text: &str) {
    if volume() != Volume::Quiet {
        complain(text);
    }
}

/// Prints to standard output, after what was logged before. Whoever closed it wants no more; else a failure ends the
/// command with an exit code of its own.
pub(super) fn print(text: &str) {
    log_sink::flush(MOMENT);
    let mut out = io::stdout().lock();
    note(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Prints what clap says of the command line: to standard error, or help to standard output.
pub(super) fn usage(said: &clap::Error) {
    let printed = said.print();
    if !said.use_stderr() {
        note(printed);
    }
}

fn note(printed: io::Result<()>) {
    if let Err(error) = printed
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // The first tells enough.
        drop(UNPRINTED.set(error));
    }
}

/// Prints to standard error, in one row with the log. What does not take it keeps nobody.
pub(super) fn complain(text: &str) {
    log_sink::write(format!("{text}\n").into_bytes());
}

/// The exit code of a command that ends with this one: another where not all of its result could be printed.
pub(super) fn ended(code: ExitCode) -> ExitCode {
    let unprinted = UNPRINTED.get();
    if let Some(error) = unprinted {
        complain(&format!(
            "cannot write the result to standard output: {error}; free space where it goes, or send it elsewhere"
        ));
    }
    log_sink::flush(LAST_MOMENT);
    unprinted.map_or(code, |_| exit::OUTPUT.into())
}

/// Prints a value as JSON.
pub(super) fn print_json<T: serde::Serialize>(value: &T) {
    match json(value) {
        Ok(text) => print(&text),
        Err(error) => complain(&error),
    }
}

/// A value as JSON.
///
/// # Errors
///
/// When it has no such form, as a map whose keys are no texts.
pub(super) fn json<T: serde::Serialize>(value: &T) -> Result<String, String> {
    serde_json::to_string_pretty(value).map_err(|error| error.to_string())
}

/// A table without lines: on a terminal the last column is folded to its width, where the others leave it room.
pub(super) fn table<R: IntoIterator<Item = Vec<String>>>(head: &[&str], rows: R) -> String {
    let rows: Vec<Vec<String>> = rows.into_iter().collect();
    columns(head, &rows, screen())
}

/// A line that is folded to the width of the terminal, its further lines indented by at least as much as it is itself.
pub(super) fn folded(line: &str, indent: usize) -> String {
    let Some(width) = screen().filter(|width| line.width() > *width) else { return line.to_owned() };
    let (words, mut text) = (line.trim_start_matches(' '), String::with_capacity(line.len() + indent));
    text.extend(std::iter::repeat_n(' ', line.len() - words.len()));
    fold(&mut text, words, Some(width.saturating_sub(indent)), indent);
    text
}

/// How many columns there are: the terminal's, else those of the variable COLUMNS, if any.
fn screen() -> Option<usize> {
    let terminal = rustix::termios::tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_col));
    let told = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.ok().or_else(told).filter(|columns| *columns > 0)
}

/// The same, or eighty.
pub(super) fn width() -> usize {
    screen().unwrap_or(80).clamp(60, 500)
}

/// Whether what is printed may have colours.
pub(super) fn has_colours() -> bool {
    may_have_colours(&io::stdout())
}

/// Whether what goes there may have colours: on a terminal that knows them, or anywhere where CLICOLOR_FORCE is set; nowhere
/// where NO_COLOR is.
pub(super) fn may_have_colours(to: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let is_dumb = || std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    let is_forced = set("CLICOLOR_FORCE").is_some_and(|value| value != "0");
    set("NO_COLOR").is_none() && (is_forced || to.is_terminal() && !is_dumb())
}

/// How a check ended, in colour on a terminal.
pub(super) fn verdict(state: Verdict) -> String {
    let (word, colour) = match state {
        Verdict::Ok => ("ok     ", "32"),
        Verdict::Warning => ("warning", "33"),
        Verdict::Failed => ("FAILED ", "1;31"),
    };
    coloured(word, colour)
}

/// A word in colour, where what is printed may have colours.
pub(super) fn coloured(word: &str, colour: &str) -> String {
    if has_colours() { format!("\u{1b}[{colour}m{word}\u{1b}[0m") } else { word.to_owned() }
}

/// What is worth knowing of certificates, a line each; of many, the first.
pub(super) fn remarks<'a>(all: impl Iterator<Item = (&'a String, &'a RemarkStatus)>) -> impl Iterator<Item = String> {
    let all: Vec<_> = all.collect();
    let rest = all.len().saturating_sub(MOST_REMARKS);
    let more =
        (rest > 0).then(|| format!("REMARK and {rest} more; `renewd status NAME` shows those of one certificate"));
    let line = |(name, remark): (&String, &RemarkStatus)| format!("REMARK {}: {name}: {}", remark.code, remark.message);
    let shown: Vec<String> = all.into_iter().take(MOST_REMARKS).map(line).collect();
    shown.into_iter().chain(more)
}

/// An instant with its distance, as in `in 3 h 40 min`.
pub(super) fn distance(at: Timestamp, now: Timestamp) -> String {
    if at >= Timestamp::NEVER {
        return "never".to_owned();
    }
    if at > now { format!("in {}", Span(at.since(now))) } else { format!("{} ago", Span(now.since(at))) }
}

/// The same for a table: of days, the days alone.
pub(super) fn coarse(at: Timestamp, now: Timestamp) -> String {
    let days = at.distance(now).as_secs() / 86_400;
    let is_long = at < Timestamp::NEVER && days > 1;
    if !is_long {
        distance(at, now)
    } else if at > now {
        format!("in {days} d")
    } else {
        format!("{days} d ago")
    }
}

/// When something is done, as a status writes it: what is past waits for nothing.
pub(super) fn next(at: Option<&str>, now: Timestamp) -> String {
    match at.map(instant) {
        Some(Ok(at)) if at <= now => "now".to_owned(),
        _ => told(at, now),
    }
}

/// The distance of an instant that a status writes; what it writes otherwise, as it is.
pub(super) fn told(at: Option<&str>, now: Timestamp) -> String {
    match at {
        None => "-".to_owned(),
        Some(text) => instant(text).map_or_else(|_| text.to_owned(), |at| distance(at, now)),
    }
}

/// Reads an instant in RFC 3339. The last hours of the year 9999, which jiff does not know, are as renewd writes them.
pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(at) = text.parse() {
        return Ok(at);
    }
    let parsed: Result<jiff::Timestamp, _> = text.parse();
    parsed
        .map(|at| Timestamp::from_millis(at.as_millisecond()))
        .map_err(|_| format!("{text:?} is not a time; write it as 2027-01-31T12:00:00Z"))
}

static VOLUME: OnceLock<Volume> = OnceLock::new();
/// Why standard output did not take what was printed.
static UNPRINTED: OnceLock<io::Error> = OnceLock::new();
/// How long what is printed waits for the log before it, which nobody may be reading.
const MOMENT: Duration = Duration::from_millis(200);
/// How long the end waits for the log.
const LAST_MOMENT: Duration = Duration::from_secs(1);
/// So many remarks fit a screen beside the table.
const MOST_REMARKS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_what_has_none_is_never() {
        let now = Timestamp::from_seconds(1_800_000_000);
        assert_eq!(told(Some("9999-12-31T23:59:59Z"), now), "never");
        assert_eq!(told(Some("9999-12-31T20:00:00Z"), now), "in 2912063 d 12 h");
        assert_eq!(told(Some("2027-01-16T08:00:00+00:00"), now), "in 1 d");
        assert_eq!(told(None, now), "-");
        assert!(instant("tomorrow").is_err());
    }
}
