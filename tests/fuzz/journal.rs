//! The journal: what a run makes of any file, and what the core decides on any history.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use renewd::config::{Main, parse_inventory_file};
use renewd::core::decide::{GlobalState, World, decide};
use renewd::core::event::{self, Event};
use renewd::core::invariant::breaches;
use renewd::core::known::cached_profile::CachedProfile;
use renewd::core::known::observed::Observed;
use renewd::core::record::Record;
use renewd::core::text::Text;
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Entry;
use renewd::core::wanted::window::Deploy;
use renewd::store::journal::{Content, Journal};
use renewd::store::layout::Layout;
use renewd::store::real_disk::RealDisk;

use crate::targets::{NOW, clean};

/// A journal of these bytes; a line that begins with `+` is given its checksum, so that the fold gets to see it.
pub fn journal(data: &[u8]) {
    let folder = tempfile::tempdir_in(shared_memory()).unwrap();
    let layout = Layout::new(folder.path());
    let mut file = OpenOptions::new().write(true).create_new(true).open(layout.journal()).unwrap();
    file.write_all(&with_sums(data)).unwrap();
    let before = Journal::read::<Vec<_>>(&RealDisk, &layout).unwrap();
    let Ok((mut journal, content)) = Journal::open(Arc::new(RealDisk), &layout, NOW) else {
        panic!("a file that can be read is opened")
    };
    assert_eq!((&content.entries, content.damaged), (&before.entries, before.damaged));
    let kept = std::fs::read_dir(folder.path()).unwrap().count() - 1;
    assert_eq!(kept > 0, content.damaged > 0 && !content.too_new, "damage is kept, and nothing else");
    let more = event::Entry { at: NOW, name: "more".parse().unwrap(), event: Event::LeftInventory };
    let appended = journal.append(std::slice::from_ref(&more));
    assert_eq!(appended.is_err(), content.too_new);
    drop(journal);
    if !content.too_new {
        let after = Journal::read::<Vec<_>>(&RealDisk, &layout).unwrap();
        assert_eq!((after.damaged, after.torn), (0, 0), "it is mended");
        assert_eq!(after.entries.split_last(), Some((&more, content.entries.as_slice())));
        compacted(&layout, &after);
    }
    folded(&content).values().for_each(decided);
}

/// In memory: nothing here is to survive, and every run syncs.
fn shared_memory() -> &'static Path {
    static FOLDER: OnceLock<&Path> = OnceLock::new();
    FOLDER.get_or_init(|| if Path::new("/dev/shm").is_dir() { Path::new("/dev/shm") } else { Path::new("/tmp") })
}

fn with_sums(data: &[u8]) -> Vec<u8> {
    let line = |raw: &[u8]| match raw.split_first() {
        Some((b'+', json)) => {
            let sum = crc32fast::hash(json.strip_suffix(b"\n").unwrap_or(json));
            [format!("{sum:08x} ").as_bytes(), json].concat()
        }
        _ => raw.to_vec(),
    };
    data.split_inclusive(|byte| *byte == b'\n').flat_map(line).collect()
}

/// Compacting changes no record.
fn compacted(layout: &Layout, whole: &Content) {
    let opened = Journal::open_compacting(Arc::new(RealDisk), layout, NOW, 0);
    let (_, content) = opened.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(folded(&content), folded(whole));
}

fn folded(content: &Content) -> BTreeMap<String, Record> {
    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    for entry in &content.entries {
        records.entry(entry.name.to_string()).or_default().apply(entry.at, &entry.event);
    }
    records
}

/// Whatever was recorded, by whatever clock, a decision keeps the promises and can be told.
fn decided(record: &Record) {
    let far = Timestamp::from_seconds(253_402_300_799);
    let text = |what: &str| Box::new(Text::new(what));
    let newest = record.submissions.iter().copied().chain(record.renewal_asked).max().unwrap_or(NOW);
    for now in [Timestamp::from_seconds(0), NOW, newest, newest + Duration::from_secs(3600), far] {
        for observed in [Observed::Absent, Observed::Damaged(text("no PEM")), Observed::Unreadable(text("EIO"))] {
            for profile in [None, Some(Timestamp::from_seconds(0)), Some(now)] {
                let mut reading = CachedProfile::default();
                if let Some(read_at) = profile {
                    reading = profile_read();
                    reading.read_at = Some(read_at);
                }
                let world = World {
                    other: None,
                    entry: entry(),
                    observed: &observed,
                    reading: &reading,
                    record,
                    global: &global_state(),
                    deploy: Deploy::Open,
                    ask: Deploy::Open,
                    now,
                };
                let decision = decide(&world);
                clean(&Text::new(&decision.reason.to_string()).to_string());
                assert_eq!(breaches(&world, &decision), [], "{decision:?} on {record:?} at {now}");
            }
        }
    }
}

fn global_state() -> GlobalState {
    GlobalState {
        submissions_per_day: 6,
        status_check_interval: Some(Duration::from_secs(86_400)),
        first_poll: Duration::from_secs(30),
        clock_wrong: None,
        journal_too_new: false,
        can_search: true,
        can_check: true,
        clock_is_compared: false,
        api_is_blocked: false,
        api_recovered_at: None,
        api_checked_at: None,
        asks_nobody: false,
        freezes: [].into(),
    }
}

fn entry() -> &'static Entry {
    static ENTRY: OnceLock<Entry> = OnceLock::new();
    ENTRY.get_or_init(|| {
        let text = "[[certificate]]\nname = \"www\"\nprofile = \"d6743d9a-fb67-4a64-a33e-8a3229d28cc4\"\n\
                    common_name = \"www.example.com\"\ndns_names = [\"www.example.com\"]\n\
                    hooks = [\"h\"]\n[hook.h]\ncommand = [\"/bin/true\"]\n";
        let main = Main::new(Path::new("/etc/renewd/renewd.toml"));
        let content =
            parse_inventory_file(&main, "certs.d/x.toml", text).unwrap_or_else(|problems| panic!("{problems:?}"));
        Entry::clone(&content.entries[0])
    })
}

fn profile_read() -> CachedProfile {
    let profile = serde_json::json!([{
        "id": "d6743d9a-fb67-4a64-a33e-8a3229d28cc4", "name": "Web", "status": "Active",
        "enrollment_method": "rest_api", "authentication_method": "third_party_app", "duplicate_cert_policy": true,
        "certificate": {
            "subject": {"attributes": [{"type": "common_name", "sources": ["rest_request"]}]},
            "extensions": {"san": {"attributes": [{"type": "dns_names", "multiple": true, "sources": ["rest_request"]}]}},
        },
    }]);
    let profiles = renewd::api::body_profile::profiles(renewd::api::json::Json::of(&profile), &[]);
    CachedProfile { profile: profiles.unwrap_or_default().profiles.pop(), ..CachedProfile::default() }
}
