//! The journal that the real binary wrote, damaged: cut at each length, each byte made another. It is opened, whole lines
//! are kept, and the daemon goes on from it without asking for what is there.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use renewd::core::time::Timestamp;
use renewd::store::disk::Disk as _;
use renewd::store::journal::{Content, Journal};
use renewd::store::layout::Layout;
use renewd::store::real_disk::RealDisk;
use rustix::process::Signal;
use tempfile::TempDir;

use crate::host::Host;
use crate::process::Process;

/// A folder where syncing is quick, for thousands of journals.
fn quick() -> TempDir {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::tempdir_in(base).unwrap()
}

/// Opens a journal of these bytes, by the code that touches the host's disk.
fn opened(folder: &TempDir, bytes: &[u8]) -> Content {
    let state = folder.path().join("state");
    drop(fs::remove_dir_all(&state));
    fs::create_dir(&state).unwrap();
    fs::write(state.join("journal"), bytes).unwrap();
    let layout = Layout::new(&state);
    let content = Journal::open(Arc::new(RealDisk), &layout, Timestamp::from_seconds(0)).unwrap().1;
    let kept = RealDisk.list(&state).unwrap().iter().any(|name| name.to_string_lossy().contains("damaged"));
    assert_eq!(kept, content.damaged > 0 && !content.too_new, "what is damaged is set aside");
    content
}

#[test]
fn damage_costs_no_line_but_its_own() {
    let (host, folder) = (Host::with_www(), quick());
    assert_eq!(host.says(&["once"]).code, 0);
    let whole = fs::read(host.path("state/journal")).unwrap();
    let entries = opened(&folder, &whole).entries;
    assert!(entries.len() >= 4, "{entries:?}");
    for length in 0..whole.len() {
        let found = opened(&folder, &whole[..length]).entries;
        let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count();
        assert_eq!(found, entries[..lines.saturating_sub(1)], "cut at {length}");
    }
    let mut changes = 0;
    for at in 0..whole.len() {
        for other in [whole[at] ^ 0x80, 0, b'\n'] {
            if other == whole[at] {
                continue;
            }
            let mut bytes = whole.clone();
            bytes[at] = other;
            let content = opened(&folder, &bytes);
            // A line break that is gone makes one line of two.
            let least = entries.len() - if whole[at] == b'\n' { 2 } else { 1 };
            assert!(content.too_new || content.entries.len() >= least, "byte {at} as {other}: {content:?}");
            assert!(content.entries.iter().all(|entry| entries.contains(entry)), "byte {at} as {other}");
            changes += 1;
        }
    }
    println!("{} lengths and {changes} changed bytes", whole.len());
}

#[test]
fn a_daemon_goes_on_from_any_rest_of_its_journal() {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let journal = host.path("state/journal");
    let whole = fs::read(&journal).unwrap();
    for part in 0..8 {
        let cut = whole.len() * part / 8;
        let damaged = [&whole[..cut], b"\0\0\0\xff\n", &whole[cut..]].concat();
        for bytes in [&whole[..cut], &damaged] {
            fs::write(&journal, bytes).unwrap();
            let process = Process::start(&host, &[]);
            host.wait_state("www", "valid");
            assert_eq!(process.end(Signal::TERM), Some(0));
            assert_eq!(host.submissions(), 1, "cut at {cut}");
        }
    }
}
