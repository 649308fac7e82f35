//! `renewd discover`: what certificates this host has, before anything is configured. Reads the configurations of servers, asks
//! every local TCP port what it presents, and looks into the usual folders. Changes nothing, and asks no other host.

mod ask;
mod entries;
mod faults;
mod files;
mod findings;
mod managers;
mod mention;
mod processes;
mod reading;
mod report;
mod servers;
mod sockets;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::process::ExitCode;

use crate::config::{self, Main};
use crate::core::text::Text;
use crate::daemon::clock::{Clock as _, SystemClock};

use self::files::Files;
use self::processes::Processes;
use self::reading::Reading;
use super::{exit, output};

/// What to look for, and how to print it.
pub(super) struct Options {
    pub(super) json: bool,
    /// The profile of the entries to print in place of the table.
    pub(super) entries: Option<String>,
    /// Whether ports are left alone.
    pub(super) files_only: bool,
}

/// Looks, and prints what was found.
pub(super) fn run(config: &Path, options: &Options) -> ExitCode {
    // Where there is no configuration yet the defaults are as good.
    let main = config::load_main(config).unwrap_or_else(|_| Main::new(config));
    let now = SystemClock::default().now();
    let mut reading = Reading::new(Path::new("/"));
    let processes = Processes::read();
    let mentions = servers::find(&mut reading, &processes.running());
    let managed = managers::all(&mut reading, &main);
    let mut notes = reading.notes();
    notes.extend(processes.elsewhere().map(|(pid, program)| reading::Note {
        file: format!("/proc/{pid}/root").into(),
        line: None,
        what: format!("{program} runs in a container or under another root; run `renewd discover` in there"),
    }));
    let services = if options.files_only { Vec::new() } else { services(&processes, &mentions, &mut notes) };
    let mut files = Files::default();
    let named = findings::look_at(&mentions, &managed, &mut files);
    files.look_around();
    let findings = findings::all(&named, &services, &managed, &files);
    if let Some(profile) = &options.entries {
        let (text, complaints) = entries::text(&findings, &files, profile, &main);
        if text.is_empty() {
            output::complain("nothing was found that renewd could take over");
            return exit::UNWELL.into();
        }
        output::print(text.trim_end());
        complaints.iter().for_each(|complaint| output::complain(complaint));
        return if complaints.is_empty() { exit::OK.into() } else { exit::UNWELL.into() };
    }
    let report = report::report(&findings, &named, &services, &files, &notes, now);
    if options.json {
        output::print_json(&report);
    } else {
        output::print(&report.text(now));
        if !report.unread.is_empty() && !rustix::process::geteuid().is_root() {
            output::remark("run this as root to see what this user may not read");
        }
    }
    if report.healthy { exit::OK.into() } else { exit::UNWELL.into() }
}

/// What the ports of this host present.
fn services(processes: &Processes, mentions: &[mention::Mention], notes: &mut Vec<reading::Note>) -> Vec<ask::Service> {
    let mut note = |what: String| {
        let what = Text::new(&what).to_string();
        notes.push(reading::Note { file: "/proc/net/tcp".into(), line: None, what });
    };
    let (listeners, unread) = sockets::listening();
    unread.into_iter().for_each(&mut note);
    ask::all(listeners, processes, mentions).unwrap_or_else(|why| {
        note(why);
        Vec::new()
    })
}
