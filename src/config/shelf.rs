//! The drop-in files as they were read last: of a directory with ten thousand of them only what changed is read again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::load::{InventoryFile, inventory_file, is_drop_in, label_of, unlisted};
use super::permissions::{ServiceUser, directory_problem};
use super::problem::Problem;
use super::settings::Main;
use super::settle::InForce;
use crate::core::terms::TermsPool;
use crate::core::time::Timestamp;
use crate::parallel;

/// Every drop-in file, with what it looked like from outside when it was read.
#[derive(Debug, Default)]
pub struct Shelf {
    files: BTreeMap<OsString, Shelved>,
    terms: TermsPool,
}

#[derive(Debug)]
struct Shelved {
    /// `None`: it is read again at the next look, whatever it looks like.
    mark: Option<Mark>,
    /// Whether it changed so shortly before the look that the next change may go unseen.
    is_fresh: bool,
    file: InventoryFile,
}

/// What a look at the directory brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Files that are new, or read otherwise than before.
    pub files: Vec<InventoryFile>,
    /// The labels of those that are there no more.
    pub gone: Vec<String>,
}

impl Changes {
    /// Whether all is as it was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.gone.is_empty()
    }
}

/// What changes with a file's content, owner or mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    device: u64,
    inode: u64,
    size: u64,
    mode: u32,
    owner: (u32, u32),
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Mark {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            mode: metadata.mode(),
            owner: (metadata.uid(), metadata.gid()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// What was written in the same tick of the file system's clock, after the look, cannot be told by a later look.
    fn is_settled(&self, now: Timestamp) -> bool {
        let changed = Timestamp::from_seconds(self.changed.0);
        changed + UNSETTLED <= now || changed > now + UNSETTLED
    }
}

impl Shelf {
    /// Looks at the directory, and reads what changed since the last look. What reads as what is in force becomes the
    /// same in memory.
    ///
    /// # Errors
    ///
    /// When the directory is missing, cannot be read, or others may write to it: what is in force stays in force.
    pub fn look(
        &mut self,
        main: &Main,
        service: ServiceUser,
        in_force: &InForce,
        now: Timestamp,
    ) -> Result<Changes, Problem> {
        let directory = &main.inventory;
        let metadata = fs::metadata(directory).map_err(|error| unlisted(directory, &error, service))?;
        match directory_problem(directory, &metadata, service) {
            Some(problem) => Err(problem),
            None => self.examine(main, service, in_force, now),
        }
    }

    /// Looks as [`Self::look`] does, whoever may write to the directory: to tell every problem.
    ///
    /// # Errors
    ///
    /// When the directory is missing or cannot be read.
    pub fn examine(
        &mut self,
        main: &Main,
        service: ServiceUser,
        in_force: &InForce,
        now: Timestamp,
    ) -> Result<Changes, Problem> {
        let directory = &main.inventory;
        let names = list(directory).map_err(|error| unlisted(directory, &error, service))?;
        let marks: BTreeMap<OsString, Option<Mark>> = names
            .into_iter()
            .map(|name| {
                let mark = fs::metadata(directory.join(&name)).ok().map(|metadata| Mark::of(&metadata));
                (name, mark)
            })
            .collect();
        let mut changes = Changes::default();
        self.files.retain(|name, shelved| {
            let is_there = marks.contains_key(name);
            if !is_there {
                changes.gone.push(shelved.file.label.clone());
            }
            is_there
        });
        let is_news = |(name, mark): &(OsString, Option<Mark>)| {
            mark.is_none() || self.files.get(name).is_none_or(|shelved| shelved.mark != *mark)
        };
        let news: Vec<_> = marks.into_iter().filter(is_news).collect();
        let read = parallel::map(&news, |(name, _)| {
            let mut file = inventory_file(&directory.join(name), main, service)?;
            file.share(in_force);
            Some(file)
        });
        for ((name, mark), file) in news.into_iter().zip(read) {
            let settled = mark.filter(|mark| mark.is_settled(now));
            let is_fresh = settled != mark;
            match file {
                Some(file) => self.put(name, settled, is_fresh, file, &mut changes),
                // It went away since the directory was listed.
                None if self.files.remove(&name).is_some() => changes.gone.push(label_of(main, Path::new(&name))),
                None => {}
            }
        }
        Ok(changes)
    }

    fn put(
        &mut self,
        name: OsString,
        mark: Option<Mark>,
        is_fresh: bool,
        mut file: InventoryFile,
        changes: &mut Changes,
    ) {
        if let Some(content) = file.content.as_mut().ok().and_then(Arc::get_mut) {
            content.share_terms(&mut self.terms);
        }
        match self.files.get_mut(&name) {
            Some(shelved) if shelved.file == file => (shelved.mark, shelved.is_fresh) = (mark, is_fresh),
            _ => {
                changes.files.push(file.clone());
                self.files.insert(name, Shelved { mark, is_fresh, file });
            }
        }
    }

    /// Every file as it was read last.
    #[must_use]
    pub fn files(&self) -> Vec<InventoryFile> {
        self.files.values().map(|shelved| shelved.file.clone()).collect()
    }

    /// Whether a later change of every file will be seen: none changed just now.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.files.values().all(|shelved| !shelved.is_fresh)
    }

    /// Forgets all: what files are read with has changed.
    pub fn clear(&mut self) {
        self.files.clear();
    }

    /// Shares what is in force, which needs its text no more.
    pub fn share(&mut self, in_force: &InForce) {
        self.files.values_mut().for_each(|shelved| shelved.file.share(in_force));
    }
}

fn list(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for found in fs::read_dir(directory)? {
        let name = found?.file_name();
        if is_drop_in(&name.to_string_lossy()) {
            names.push(name);
        }
    }
    Ok(names)
}

/// How long after its last change a file may change once more in the same tick of the file system's clock.
pub const UNSETTLED: Duration = Duration::from_secs(2);
