//! Promise 18 for what is written: a log or a result that nobody takes ends nothing, blocks nothing, and is told.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::Signal;

use crate::host::Host;
use crate::metrics::{free_address, scrape};

/// Where every write fails.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe whose reader has gone.
fn closed() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

/// A pipe that takes no byte more, and its reader.
fn stuffed() -> (std::io::PipeReader, Stdio) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setfl(writer.as_fd(), OFlags::NONBLOCK).unwrap();
    for size in [4096, 1] {
        while writer.write(&vec![b'-'; size]).is_ok() {}
    }
    fcntl_setfl(writer.as_fd(), OFlags::empty()).unwrap();
    (reader, writer.into())
}

/// How many lines of the log are lost, as the metrics count them.
fn lost(host: &Host, address: std::net::SocketAddr) -> u64 {
    let line = |text: String| {
        let number = text.lines().find_map(|line| line.strip_prefix("renewd_log_lines_lost_total "))?.parse();
        number.ok()
    };
    host.until("the lost lines are counted", || scrape(address).and_then(line))
}

#[test]
fn a_log_that_cannot_be_written_ends_nothing_and_is_counted() {
    for sink in [full, closed] {
        let (mut host, address) = (Host::with_www(), free_address());
        host.configure(&format!("[metrics]\nlisten = \"{address}\"\n"), "");
        host.start_logging_to(sink());
        host.wait_state("www", "valid");
        host.entry("two", "");
        host.wait_state("two", "valid");
        assert!(lost(&host, address) > 3);
        assert_eq!(host.end(Signal::TERM), Some(0));
        for command in ["once", "heal"] {
            let status = host.command().arg(command).stdout(Stdio::null()).stderr(sink()).status().unwrap();
            assert_eq!(status.code(), Some(0), "{command}");
        }
    }
}

#[test]
fn closed_descriptors_end_nothing_and_no_file_takes_their_place() {
    let host = Host::with_www();
    let config = host.path("renewd.toml").display().to_string();
    let renewd = env!("CARGO_BIN_EXE_renewd");
    for command in ["once", "heal", "status", "plan", "check"] {
        let script = format!("exec {renewd} --config {config} {command} <&- >&- 2>&-");
        let status = std::process::Command::new("/bin/sh").args(["-c", &script]).status().unwrap();
        assert_eq!(status.code(), Some(0), "{command}");
    }
    host.live_serial("www");
    assert!(host.read(&host.path("state/journal")).lines().all(|line| !line.contains("installed; valid until")));
}

#[test]
fn a_log_pipe_that_nobody_reads_blocks_nothing() {
    let (mut host, address) = (Host::with_www(), free_address());
    host.configure(&format!("[metrics]\nlisten = \"{address}\"\n"), "");
    let (mut reader, writer) = stuffed();
    host.start_logging_to(writer);
    host.wait_state("www", "valid");
    host.signal(Signal::HUP);
    host.entry("two", "");
    host.wait_state("two", "valid");
    assert_eq!(lost(&host, address), 0, "what fits the queue is kept");
    let begun = Instant::now();
    assert_eq!(host.end(Signal::TERM), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    // A reader that comes late finds the pipe as it was left, and no half of a line that was written twice.
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert!(text.trim_start_matches('-').lines().count() <= 1, "{text}");
}

#[test]
fn a_reader_that_comes_late_gets_every_line_in_order() {
    let mut host = Host::with_www();
    let (mut reader, writer) = stuffed();
    host.start_logging_to(writer);
    host.wait_state("www", "valid");
    let late = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        text
    });
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(host.end(Signal::TERM), Some(0));
    let text = late.join().unwrap();
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} is not in the log: {text}"));
    let places = ["checking the certificates", "ready: ", "installed; valid until", "stopped"].map(place);
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn what_is_logged_comes_before_what_is_told_at_the_end() {
    let host = Host::with_www();
    host.entry("www", "hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/false\"]\n");
    let said = host.says(&["once"]);
    assert_eq!(said.code, 1);
    let (stopped, told) = (said.err.find("stopped").unwrap(), said.err.rfind("hook tell ended with").unwrap());
    assert!(stopped < told, "{}", said.err);
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let calls: [&[&str]; 14] = [
        &["status"],
        &["status", "--json"],
        &["status", "www"],
        &["plan"],
        &["plan", "--json"],
        &["plan", "--calendar"],
        &["history", "www"],
        &["check"],
        &["check", "--json"],
        &["heal"],
        &["profiles"],
        &["explain"],
        &["schema", "main"],
        &["--help"],
    ];
    for call in calls {
        let output = host.command().args(call).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let output = output.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(74), "{call:?}: {said}");
        assert!(said.contains("standard output") && said.contains("No space left on device"), "{call:?}: {said}");
        // Whoever reads the first line alone, as `head` does, has what he wants.
        let status = host.command().args(call).stdout(closed()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(0), "{call:?}");
        // Nowhere left to say it; the code does.
        let status = host.command().args(call).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(status.code(), Some(74), "{call:?}");
    }
}
