//! The journal: an append-only file of events, each durable before anybody acts on it, folded at start.
//!
//! The first line names the format; every other is a checksum and one event: `1a2b3c4d {"at":…,"name":…,"event":…}`.
//! A tail that a crash cut off was never acknowledged and is dropped; damage further up is set aside, never deleted;
//! a journal of a newer format is left alone. One that has grown large is compacted at the start.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::core::event::{Entry, Event};
use crate::core::failure::Failure;
use crate::core::name::CertName;
use crate::core::record::Record;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::pki::unicode;

use super::disk::{Disk, DiskFile, Perms};
use super::layout::Layout;
use super::{disk_failure, lines, replace};

/// The open journal.
pub struct Journal {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Option<Box<dyn DiskFile>>,
    /// How long the file is as far as it is known to be whole.
    length: u64,
    /// Lines that could not be written when they happened; they go first.
    backlog: Vec<u8>,
    too_new: bool,
}

/// What reading the journal brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content<T = Vec<Entry>> {
    /// The events, oldest first; or what is gathered from them.
    pub entries: T,
    /// Whether a newer version wrote it: it is only read, as far as it can be.
    pub too_new: bool,
    /// Lines in the middle that could not be read.
    pub damaged: usize,
    /// How many bytes at the end a crash cut off.
    pub torn: u64,
    length: u64,
}

/// What is made of the events while they are read.
pub trait Gather: Default {
    /// Takes the next event.
    fn take(&mut self, entry: Entry);
}

impl Gather for Vec<Entry> {
    fn take(&mut self, entry: Entry) {
        self.push(entry);
    }
}

/// The events, folded: none of them is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Folded {
    /// The record of each certificate.
    pub records: BTreeMap<CertName, Record>,
    /// When the last event happened.
    pub last: Option<Timestamp>,
}

impl Gather for Folded {
    fn take(&mut self, Entry { at, name, event }: Entry) {
        self.records.entry(name).or_default().apply(at, &event);
        self.last = Some(at);
    }
}

impl Journal {
    /// Opens the journal, mends it, and reads it. `now` names the copy of a damaged one.
    ///
    /// # Errors
    ///
    /// When a file operation fails.
    pub fn open<T: Gather>(
        disk: Arc<dyn Disk>,
        layout: &Layout,
        now: Timestamp,
    ) -> Result<(Self, Content<T>), Failure> {
        Self::open_compacting(disk, layout, now, COMPACT_FROM)
    }

    /// As [`Self::open`]; a journal of more than `bound` bytes is first compacted.
    ///
    /// # Errors
    ///
    /// When a file operation fails.
    pub fn open_compacting<T: Gather>(
        disk: Arc<dyn Disk>,
        layout: &Layout,
        now: Timestamp,
        bound: u64,
    ) -> Result<(Self, Content<T>), Failure> {
        let path = layout.journal();
        let failed = |error: io::Error| disk_failure("open the journal", &path, &error);
        if disk.stat(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            put(&*disk, &path, HEADER.as_bytes()).map_err(failed)?;
        }
        let mut bytes = disk.read(&path, LIMIT).map_err(failed)?;
        if bytes.len() as u64 > bound && has_surplus(&bytes) && compact(&*disk, &path, &bytes) {
            bytes = disk.read(&path, LIMIT).map_err(failed)?;
        }
        let mut content = parse(&bytes);
        let mut journal = Self {
            disk,
            path: path.clone(),
            file: None,
            length: content.length,
            backlog: Vec::new(),
            too_new: content.too_new,
        };
        if content.too_new {
            return Ok((journal, content));
        }
        if content.damaged > 0 {
            journal.set_aside(&bytes, now).map_err(failed)?;
        }
        content.length = journal.length;
        let mut file = journal.disk.append(&path).map_err(failed)?;
        if content.torn > 0 {
            file.cut(journal.length).map_err(failed)?;
        }
        // A run that was killed may have written and not synced what is acted on from here.
        file.sync().and_then(|()| journal.disk.sync_dir(replace::folder(&path))).map_err(failed)?;
        journal.file = Some(file);
        Ok((journal, content))
    }

    /// Reads the journal without taking part: nothing is mended, and a line that is being written is passed over.
    ///
    /// # Errors
    ///
    /// When it is there and cannot be read.
    pub fn read<T: Gather>(disk: &dyn Disk, layout: &Layout) -> Result<Content<T>, Failure> {
        match disk.read(&layout.journal(), LIMIT) {
            Ok(bytes) => Ok(parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Content::nothing()),
            Err(error) => Err(disk_failure("read the journal", &layout.journal(), &error)),
        }
    }

    /// Appends events and makes them durable, after those that could not be written before.
    ///
    /// # Errors
    ///
    /// When the disk fails: nothing of `entries` is in the journal then.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), Failure> {
        self.append_lines(&entries.iter().flat_map(lines::encode).collect::<Vec<u8>>())
    }

    /// Appends the lines of events, as [`Self::append`] does.
    ///
    /// # Errors
    ///
    /// When the disk fails: none of the lines is in the journal then.
    pub(super) fn append_lines(&mut self, lines: &[u8]) -> Result<(), Failure> {
        if self.too_new {
            let error = io::Error::other("it was written by a newer renewd");
            return Err(disk_failure("append to the journal", &self.path, &error));
        }
        let bytes = [&self.backlog, lines].concat();
        self.write(&bytes).map_err(|error| disk_failure("append to the journal", &self.path, &error))?;
        self.backlog.clear();
        Ok(())
    }

    /// Keeps an event that happened although the journal could not take it: it is written before the next one.
    pub fn keep_for_later(&mut self, entry: &Entry) {
        if !self.too_new {
            self.backlog.extend(lines::encode(entry));
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.is_none() {
            let mut file = self.disk.append(&self.path)?;
            file.cut(self.length)?;
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else { return Err(io::Error::other("it is not open")) };
        if let Err(error) = file.write(bytes).and_then(|()| file.sync()) {
            // What part of it reached the disk is unknown: the next write starts from what is known to be whole.
            self.file = None;
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Copies a damaged journal, and goes on with what could be read of it.
    fn set_aside(&mut self, bytes: &[u8], now: Timestamp) -> io::Result<()> {
        lines::set_aside(&*self.disk, &self.path, bytes, now)?;
        let mut whole = HEADER.as_bytes().to_vec();
        // Lines of a kind that this version does not know are kept as they are.
        bytes
            .split_inclusive(|byte| *byte == b'\n')
            .filter(|raw| decode(raw).is_some())
            .for_each(|raw| whole.extend(raw));
        put(&*self.disk, &self.path, &whole)?;
        self.length = whole.len() as u64;
        Ok(())
    }
}

/// How a damaged journal is told of.
#[must_use]
pub fn remark<T>(content: &Content<T>) -> Option<Text> {
    (content.damaged > 0).then(|| {
        Text::new(&format!(
            "damaged lines of the journal: {}; a copy is kept beside it as journal.damaged-…, and requests that only those lines knew of may be sent again",
            content.damaged
        ))
    })
}

impl<T: Gather> Content<T> {
    fn nothing() -> Self {
        Self { entries: T::default(), too_new: false, damaged: 0, torn: 0, length: 0 }
    }
}

fn parse<T: Gather>(bytes: &[u8]) -> Content<T> {
    let mut content = Content::<T>::nothing();
    let mut raws = bytes.split_inclusive(|byte| *byte == b'\n').peekable();
    let mut position = raws.peek().map_or(0, |first| first.len() as u64);
    match raws.next() {
        Some(first) if first == HEADER.as_bytes() => content.length = position,
        Some(first) if format_number(first).is_some_and(|number| number > FORMAT) => content.too_new = true,
        // Where the head alone is gone, an event is first.
        first => {
            content.damaged += 1;
            first.and_then(decode).into_iter().for_each(|entry| content.entries.take(entry));
        }
    }
    let mut bad_since = None;
    let mut bad = 0;
    for raw in raws {
        position += raw.len() as u64;
        match decode(raw) {
            Some(entry) => {
                content.damaged += bad;
                bad = 0;
                bad_since = None;
                content.length = position;
                content.entries.take(entry);
            }
            None => {
                bad += 1;
                bad_since.get_or_insert(position - raw.len() as u64);
            }
        }
    }
    // One bad line at the end is what a crash leaves; more than one is damage.
    if let Some(since) = bad_since {
        if bad > 1 {
            content.damaged += bad;
        } else {
            content.torn = position - since;
        }
    }
    content
}

/// Replaces the journal; durable once its folder is synced, which opening it does in any case.
fn put(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace::stage(disk, path, bytes, Perms::PRIVATE)?.switch(disk)
}

/// Whether so many lines are above [`HISTORY`] of one certificate each that they may be a quarter of all. A guess by the
/// names alone, so that the large journal of many certificates is not read twice at each start.
fn has_surplus(bytes: &[u8]) -> bool {
    const BEFORE_NAME: &[u8] = b"\"name\":\"";
    let name = |raw: &'_ [u8]| {
        let at = raw.windows(BEFORE_NAME.len()).position(|window| window == BEFORE_NAME)?;
        Some(crc32fast::hash(raw.get(at + BEFORE_NAME.len()..)?.split(|byte| *byte == b'"').next()?))
    };
    let mut counts: BTreeMap<Option<u32>, usize> = BTreeMap::new();
    bytes.split(|byte| *byte == b'\n').for_each(|raw| *counts.entry(name(raw)).or_default() += 1);
    let surplus: usize = counts.values().map(|count| count.saturating_sub(HISTORY)).sum();
    surplus * 4 >= counts.values().sum()
}

/// Writes the journal anew without what neither the fold nor the history needs. Whether it was tried: where the disk
/// did not take it, the old one is still in force.
fn compact(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> bool {
    let Content { too_new, damaged, .. } = parse::<Folded>(bytes);
    let kept = needed(bytes);
    let is_worth_it = kept.len() < bytes.len() / 4 * 3;
    if too_new || damaged > 0 || !is_worth_it {
        return false;
    }
    drop(put(disk, path, &kept));
    true
}

/// The newest events of each certificate, and as many before them as the fold needs to come out the same; of kinds that
/// this version does not know, all.
fn needed(bytes: &[u8]) -> Vec<u8> {
    let whole: Vec<(Entry, &[u8])> =
        bytes.split_inclusive(|byte| *byte == b'\n').filter_map(|raw| Some((decode(raw)?, raw))).collect();
    let mut by_name: BTreeMap<&CertName, Vec<&Entry>> = BTreeMap::new();
    for (entry, _) in &whole {
        by_name.entry(&entry.name).or_default().push(entry);
    }
    let mut surplus: BTreeMap<&CertName, usize> =
        by_name.into_iter().map(|(name, events)| (name, events.len() - needed_of(&events))).collect();
    let mut kept = HEADER.as_bytes().to_vec();
    for (entry, raw) in &whole {
        let left = surplus.get_mut(&entry.name).filter(|left| **left > 0);
        let is_surplus = left.is_some_and(|left| {
            *left -= 1;
            entry.event != Event::Unknown
        });
        if !is_surplus {
            kept.extend(*raw);
        }
    }
    kept
}

/// How many of the last events make the same record as all.
fn needed_of(events: &[&Entry]) -> usize {
    let whole = folded(events);
    let mut count = HISTORY;
    loop {
        match events.len().checked_sub(count).and_then(|from| events.get(from..)) {
            None => return events.len(),
            Some(last) if folded(last) == whole => return count,
            Some(_) => count *= 2,
        }
    }
}

fn folded(events: &[&Entry]) -> Record {
    let mut record = Record::default();
    events.iter().for_each(|entry| record.apply(entry.at, &entry.event));
    record
}

fn format_number(first: &[u8]) -> Option<u32> {
    std::str::from_utf8(first).ok()?.strip_prefix(MAGIC)?.trim().parse().ok()
}

fn decode(raw: &[u8]) -> Option<Entry> {
    let mut entry: Entry = serde_json::from_slice(lines::decode(raw)?).ok()?;
    if let Event::Submitting { asked, .. } = &mut entry.event {
        unicode::compose(asked);
    }
    Some(entry)
}

const MAGIC: &str = "renewd journal ";
const FORMAT: u32 = 1;
const HEADER: &str = "renewd journal 1\n";
const LIMIT: u64 = 4 << 30;
/// A journal of this size is compacted at the next start.
const COMPACT_FROM: u64 = 16 << 20;
/// So many events of each certificate stay when a journal is compacted.
const HISTORY: usize = 500;
