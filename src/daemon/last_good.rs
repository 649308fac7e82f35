//! The last good content of each drop-in file, kept in the state directory: a file that was refused stays in force
//! across restarts. What one reading of the directory changed is one line, so that it costs what changed, and no crash
//! leaves a certificate in two files.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::config::{FileContent, InForce, Label};
use crate::core::compact::settings::SettingsPool;
use crate::core::failure::Failure;
use crate::core::time::Timestamp;
use crate::store::disk::{Disk, DiskFile, Perms};
use crate::store::layout::Layout;
use crate::store::{disk_failure, lines, replace};

/// The kept content, open to be added to.
pub struct Kept {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Option<Box<dyn DiskFile>>,
    /// How long the file is as far as it is known to be whole.
    length: u64,
    /// How long it was when it was last written anew.
    base: u64,
    /// Whether the file lacks something, so that it has to be written anew.
    is_lacking: bool,
}

/// What a reading of the file brought.
#[derive(Default)]
struct Recalled {
    in_force: InForce,
    terms: SettingsPool,
    length: u64,
    is_lacking: bool,
}

impl Kept {
    /// Opens the file, which is only a cache: where it cannot be read it counts as empty, that is logged, and it is kept
    /// beside the one that is written in its place, under a name with `now` in it.
    #[must_use]
    pub fn open(disk: Arc<dyn Disk>, layout: &Layout, now: Timestamp) -> (Self, InForce) {
        let path = layout.inventory();
        let Recalled { in_force, length, is_lacking, .. } = take(&*disk, layout);
        // What cannot even be read cannot be copied either, and was said.
        if is_lacking && let Ok(bytes) = disk.read(&path, LIMIT) {
            match lines::set_aside(&*disk, &path, &bytes, now) {
                Ok(()) => {
                    tracing::warn!("rewriting {}; a copy is kept as {0}.damaged-{}", path.display(), now.millis())
                }
                Err(error) => tracing::error!("{}", disk_failure("keep a copy of", &path, &error)),
            }
        }
        (Self { disk, path, file: None, length, base: length, is_lacking }, in_force)
    }

    /// Keeps what is in force, of which the files of `labels` have changed.
    ///
    /// # Errors
    ///
    /// When the file operation fails; then everything is written at the next change.
    pub fn note(&mut self, in_force: &InForce, labels: &BTreeSet<Label>) -> Result<(), Failure> {
        if labels.is_empty() && !self.is_lacking {
            return Ok(());
        }
        let change: BTreeMap<_, _> =
            labels.iter().map(|label| (label, in_force.get(label).map(|content| &**content))).collect();
        let line = lines::encode(&change);
        let is_long = self.length + line.len() as u64 > 2 * self.base + SLACK;
        let written =
            if self.length == 0 || self.is_lacking || is_long { self.write_all(in_force) } else { self.append(&line) };
        self.is_lacking = written.is_err();
        written.map_err(|error| disk_failure("write", &self.path, &error))
    }

    fn write_all(&mut self, in_force: &InForce) -> io::Result<()> {
        self.file = None;
        let line = lines::encode(in_force);
        replace::replace(&*self.disk, &self.path, &line, Perms::PRIVATE)?;
        self.length = line.len() as u64;
        self.base = self.length;
        Ok(())
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let mut file = self.disk.append(&self.path)?;
                file.cut(self.length)?;
                file
            }
        };
        file.write(line)?;
        file.sync()?;
        self.length += line.len() as u64;
        self.file = Some(file);
        Ok(())
    }
}

/// Reads what was in force.
#[must_use]
pub fn read(disk: &dyn Disk, layout: &Layout) -> InForce {
    take(disk, layout).in_force
}

fn take(disk: &dyn Disk, layout: &Layout) -> Recalled {
    let path = layout.inventory();
    let bytes = match disk.read(&path, LIMIT) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Recalled::default(),
        Err(error) => {
            let failure = disk_failure("read", &path, &error);
            tracing::warn!("cannot read the last good content of refused files: {failure}");
            return Recalled { is_lacking: true, ..Recalled::default() };
        }
    };
    let mut reading = Recalled::default();
    for raw in bytes.split_inclusive(|byte| *byte == b'\n') {
        // Only a line that a crash cut off has no end.
        if raw.last() != Some(&b'\n') {
            break;
        }
        if lines::decode(raw).and_then(|json| reading.apply(json)).is_none() {
            let shown = path.display();
            tracing::error!("{shown} is damaged: the last good content of refused files may be lost");
            reading.is_lacking = true;
        }
        reading.length += raw.len() as u64;
    }
    reading
}

impl Recalled {
    /// Takes the contents of files over; another version may have written one otherwise, which costs that file alone.
    /// One by one, so that what each has in common with the others is let go of before the next is read.
    fn apply(&mut self, json: &[u8]) -> Option<()> {
        let change: BTreeMap<Label, &RawValue> = serde_json::from_slice(json).ok()?;
        for (label, content) in change {
            match serde_json::from_str::<Option<FileContent>>(content.get()) {
                Ok(Some(mut content)) => {
                    content.share_terms(&mut self.terms);
                    let own = content.label().filter(|own| **own == label).cloned();
                    let label = own.unwrap_or(label);
                    self.in_force.insert(label, Arc::new(content));
                }
                Ok(None) => drop(self.in_force.remove(&label)),
                Err(error) => {
                    self.is_lacking = true;
                    tracing::warn!(file = %label, "its last good content was kept in another form and is not used: {error}");
                }
            }
        }
        Some(())
    }
}

const LIMIT: u64 = 1 << 30;
/// So much longer than needed the file may grow before it is written anew, beside twice its length.
const SLACK: u64 = 1 << 20;
