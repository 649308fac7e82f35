//! The journal: cut at every length, each byte changed, set aside and compacted with a crash at every point.

use std::path::PathBuf;
use std::sync::Arc;

use renewd::core::event::{Entry, Event, Method};
use renewd::core::failure::{Failure, FailureClass};
use renewd::core::name::{Attempt, CertName, Digest, ProfileId, SerialNumber};
use renewd::core::record::Record;
use renewd::core::wanted::entry::Asked;
use renewd::core::wanted::key::KeyType;
use renewd::store::disk::Disk as _;
use renewd::store::journal::{Content, Journal};
use renewd::store::shared_journal::SharedJournal;

use crate::daemon::layout;
use crate::disk::{Ignored, Machine, Point};
use crate::material::NOW;
use crate::points::require;

fn entry(name: &str, event: Event) -> Entry {
    Entry { at: NOW, name: name.parse().unwrap(), event }
}

fn checked(number: usize) -> Event {
    Event::StatusChecked { serial_number: SerialNumber(format!("{number:04X}")), revoked: false, standing: None }
}

fn failed() -> Event {
    Event::Failed { failure: Failure::new(FailureClass::ApiUnreachable, "no route") }
}

/// A line of an event that this version does not know.
fn unknown() -> Vec<u8> {
    let json =
        format!("{{\"at\":{},\"name\":\"www\",\"event\":\"moved\",\"to\":1}}", serde_json::to_string(&NOW).unwrap());
    format!("{:08x} {json}\n", crc32fast::hash(json.as_bytes())).into_bytes()
}

/// A journal of this size is compacted here.
const BOUND: u64 = 1000;

fn path() -> PathBuf {
    layout().journal()
}

/// A machine with a journal of these entries and these bytes after them, all durable.
fn machine(entries: &[Entry], more: &[u8]) -> Machine {
    let machine = Machine::with_folders(&["/var/lib/renewd"]);
    let (mut journal, _) = open(&machine, u64::MAX).unwrap();
    journal.append(entries).unwrap();
    let bytes = machine.read(&path(), u64::MAX).unwrap();
    machine.edit(&path(), &[bytes.as_slice(), more].concat());
    machine.settle();
    machine
}

fn open(machine: &Machine, bound: u64) -> Result<(Journal, Content), Failure> {
    Journal::open_compacting(Arc::new(machine.clone()), &layout(), NOW, bound)
}

/// A Mac's spelling in what an older version asked for is the one in which entries have it now.
#[test]
fn what_was_asked_for_in_another_spelling_is_not_another_wish() {
    let submitting = Event::Submitting {
        attempt: Attempt(1),
        method: Method::New,
        asked: Asked { common_name: Some("Zu\u{308}rich".to_owned()), ..Asked::default() },
        profile: ProfileId("p".into()),
        profile_version: 0,
        key: KeyType::EcdsaP256,
        spki: Digest([0; 32]),
        expiring: false,
        demands: None,
    };
    let machine = machine(&[entry("www", submitting)], b"");
    let (_, content) = open(&machine, u64::MAX).unwrap();
    let record = folded(&content, "www");
    assert_eq!(record.request.as_ref().unwrap().asked.common_name.as_deref(), Some("Z\u{fc}rich"));
}

fn folded(content: &Content, name: &str) -> Record {
    let name: CertName = name.parse().unwrap();
    let mut record = Record::default();
    content.entries.iter().filter(|e| e.name == name).for_each(|entry| record.apply(entry.at, &entry.event));
    record
}

/// Opens the journal and appends to it, with a crash at every point, and without each sync in turn.
#[track_caller]
fn check(name: &str, before: &Point, bound: u64, holds: impl Fn(&Machine, &Content) -> Result<(), String>) {
    let last = entry("last", Event::RenewalAsked { reissue: false });
    let recorded = |ignored| {
        let machine = Machine::boot(before.disk.clone(), before.api.clone());
        machine.ignore(ignored);
        machine.record();
        let (mut journal, _) = open(&machine, bound).unwrap();
        journal.append(std::slice::from_ref(&last)).unwrap();
        machine.note(|api| api.events = 1);
        machine
    };
    let reopened = |machine: &Machine| {
        let mut content = open(machine, bound).map_err(|failure| failure.to_string())?.1;
        let is_there = content.entries.pop_if(|entry| *entry == last).is_some();
        require(is_there || machine.api_now().events == 0, "the event that it had taken is gone")?;
        holds(machine, &content)
    };
    let survives = |point: &Point| -> Result<usize, String> {
        let images = point.disk.images();
        let count = images.len();
        for (names, data, image) in images {
            reopened(&Machine::boot(image, point.api.clone()))
                .map_err(|what| format!("after {}, {names:?}, {data:?}: {what}", point.after))?;
        }
        Ok(count)
    };
    let machine = recorded(None);
    let (points, syncs) = (machine.points(), machine.syncs());
    let images: usize = points.iter().map(|point| survives(point).unwrap()).sum();
    for (number, sync) in syncs.iter().enumerate() {
        let points = recorded(Some(Ignored::Nth(number))).points_after_ignored();
        assert!(points.iter().any(|point| survives(point).is_err()), "{name}: nothing fails without {sync:?}");
    }
    println!("{name}: {} crash points, {images} images, each of {} syncs needed", points.len(), syncs.len());
}

#[test]
fn compacting_loses_nothing_that_counts_whenever_it_is_cut_off() {
    let machine =
        machine(&[entry("www", Event::Repaired), entry("other", Event::RenewalAsked { reissue: false })], &unknown());
    let entries: Vec<_> = (0..900).map(|number| entry("www", checked(number))).collect();
    open(&machine, u64::MAX).unwrap().0.append(&entries).unwrap();
    machine.settle();
    let copy = || Machine::boot(machine.point().disk, machine.point().api);
    let (whole, compact) = (open(&copy(), u64::MAX).unwrap().1, open(&copy(), BOUND).unwrap().1);
    assert_eq!(compact.entries.len(), 500 + 2, "the newest, the unknown one and the other certificate's");
    let holds = |_: &Machine, content: &Content| {
        require(content.damaged == 0, "a crash is taken for damage")?;
        for name in ["www", "other"] {
            require(folded(content, name) == folded(&whole, name), "the fold is another one")?;
        }
        require(content.entries.iter().any(|entry| entry.event == Event::Unknown), "the unknown event is gone")?;
        require(content.entries.ends_with(&entries[400..]), "the history is gone")
    };
    check("compacting", &machine.point(), BOUND, holds);
}

#[test]
fn an_event_that_the_fold_needs_stays_however_old_it_is() {
    let mut entries = vec![entry("www", failed())];
    entries.extend((0..900).map(|number| entry("www", checked(number))));
    let machine = machine(&entries, b"");
    assert_eq!(open(&machine, BOUND).unwrap().1.entries, entries);
}

#[test]
fn a_damaged_journal_is_set_aside_whenever_that_is_cut_off() {
    let entries = [entry("www", failed()), entry("www", checked(1)), entry("www", checked(2))];
    let machine = machine(&entries, b"");
    let mut bytes = machine.read(&path(), u64::MAX).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    machine.edit(&path(), &bytes);
    let holds = |machine: &Machine, content: &Content| {
        require(content.entries == [entries[0].clone(), entries[2].clone()], "what could be read is lost")?;
        let files = machine.all();
        let is_copy = |path: &PathBuf| path.to_string_lossy().contains("journal.damaged-");
        let is_kept = files.iter().any(|(path, (_, content))| is_copy(path) && **content == bytes);
        require(is_kept, "the damage is not kept")
    };
    check("setting aside", &machine.point(), u64::MAX, holds);
}

#[test]
fn a_journal_cut_at_any_length_goes_on_with_its_whole_lines() {
    let entries = [entry("www", failed()), entry("www", checked(1)), entry("www", checked(2))];
    let whole = machine(&entries, b"").read(&path(), u64::MAX).unwrap();
    let header = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for length in header..=whole.len() {
        let machine = machine(&[], b"");
        machine.edit(&path(), &whole[..length]);
        let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count() - 1;
        let (mut journal, content) = open(&machine, u64::MAX).unwrap();
        assert_eq!((content.entries.as_slice(), content.damaged), (&entries[..lines], 0), "cut at {length}");
        journal.append(&entries[2..]).unwrap();
        let content = open(&machine, u64::MAX).unwrap().1;
        assert_eq!(content.entries, [&entries[..lines], &entries[2..]].concat(), "cut at {length}");
    }
}

#[test]
fn a_changed_byte_costs_no_line_but_its_own() {
    let entries = [entry("www", failed()), entry("www", checked(1)), entry("www", checked(2))];
    let whole = machine(&entries, b"").read(&path(), u64::MAX).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let machine = machine(&[], b"");
        machine.edit(&path(), &bytes);
        let content = open(&machine, u64::MAX).unwrap().1;
        let is_newer = content.too_new;
        // A changed line break makes one line of two.
        let least = if whole[at] == b'\n' { 1 } else { 2 };
        assert!(is_newer || content.entries.len() >= least, "byte {at}: {content:?}");
        assert!(is_newer || content.entries.iter().all(|entry| entries.contains(entry)), "byte {at}");
        let is_copied = machine.all().keys().any(|path| path.to_string_lossy().contains("journal.damaged-"));
        assert!(is_newer || is_copied == (content.damaged > 0), "byte {at}");
    }
}

#[test]
fn a_journal_without_its_head_keeps_every_event() {
    let entries = [entry("www", failed()), entry("www", checked(1))];
    let whole = machine(&entries, b"").read(&path(), u64::MAX).unwrap();
    let header = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let machine = machine(&[], b"");
    machine.edit(&path(), &whole[header..]);
    assert_eq!(open(&machine, u64::MAX).unwrap().1.entries, entries);
    assert_eq!(open(&machine, u64::MAX).unwrap().1.entries, entries);
}

#[test]
fn a_newer_format_is_left_alone_and_unknown_events_are_kept() {
    let newer = machine(&[entry("www", failed())], b"");
    let text = String::from_utf8(newer.read(&path(), u64::MAX).unwrap()).unwrap();
    let bytes = text.replacen("journal 1", "journal 2", 1).into_bytes();
    newer.edit(&path(), &bytes);
    let (mut journal, content) = open(&newer, 0).unwrap();
    assert!(content.too_new && content.entries.len() == 1);
    assert!(journal.append(&[entry("www", failed())]).is_err());
    assert_eq!(newer.read(&path(), u64::MAX).unwrap(), bytes);

    let unknown = machine(&[], &unknown());
    let (mut journal, content) = open(&unknown, u64::MAX).unwrap();
    assert_eq!((content.damaged, content.entries[0].event.clone()), (0, Event::Unknown));
    journal.append(&[entry("www", failed())]).unwrap();
    let text = String::from_utf8(unknown.read(&path(), u64::MAX).unwrap()).unwrap();
    assert!(text.contains("\"event\":\"moved\",\"to\":1"), "{text}");
}

/// Several threads write at once; whoever is told that it is written can rely on it, whatever is lost then.
#[test]
fn what_several_threads_wrote_is_there_and_in_their_order() {
    const EACH: usize = 50;
    let machine = machine(&[], b"");
    let shared = SharedJournal::new(open(&machine, u64::MAX).unwrap().0);
    machine.record();
    let write = |name: &'static str| {
        let shared = &shared;
        move || (0..EACH).for_each(|number| shared.append(&[entry(name, checked(number))]).unwrap())
    };
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    std::thread::scope(|scope| names.map(|name| scope.spawn(write(name))).map(|thread| thread.join().unwrap()));
    let syncs = machine.syncs().len();
    assert!(syncs <= names.len() * EACH, "{syncs} syncs");
    for (_, _, image) in machine.points().last().unwrap().disk.images() {
        let content = open(&Machine::boot(image, machine.api_now()), u64::MAX).unwrap().1;
        for name in names {
            let of_name = content.entries.iter().filter(|entry| entry.name.as_str() == name);
            let events: Vec<_> = of_name.map(|entry| entry.event.clone()).collect();
            assert_eq!(events, (0..EACH).map(checked).collect::<Vec<_>>(), "{name}");
        }
    }

    machine.fill(Some(layout().root()));
    let fail = |name: &'static str| {
        let shared = &shared;
        move || shared.append(&[entry(name, failed())]).is_err()
    };
    let all_failed =
        std::thread::scope(|scope| names.map(|name| scope.spawn(fail(name))).map(|thread| thread.join().unwrap()));
    assert_eq!(all_failed, [true; 8]);
    machine.fill(None);
    shared.append(&[entry("a", Event::Repaired)]).unwrap();
    let content = open(&machine, u64::MAX).unwrap().1;
    assert_eq!(content.entries.len(), names.len() * EACH + 1, "nothing of what failed is there");
}
