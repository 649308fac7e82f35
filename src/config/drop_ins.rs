//! The drop-in files as they were read last: of a directory with ten thousand of them only what changed is read again.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::load::{InventoryFile, inventory_file, list, unlisted};
use super::overlooked::overlooked;
use super::permissions::{ServiceUser, directory_problem};
use super::settings::Main;
use crate::config::document::{InForce, Label};
use crate::config::syntax::problem::Problem;
use crate::core::compact::settings::SettingsPool;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::parallel;

/// Every drop-in file, with what it looked like from outside when it was read.
#[derive(Debug, Default)]
pub struct DropInCache {
    /// Sorted by label, and so by name.
    files: Vec<CachedFile>,
    /// What looked like a drop-in file at the last look, and is not read.
    overlooked: Vec<Text>,
    terms: SettingsPool,
}

#[derive(Debug)]
struct CachedFile {
    seen: Look,
    file: InventoryFile,
}

impl CachedFile {
    fn name(&self) -> &str {
        self.file.label.rsplit_once('/').map_or(&*self.file.label, |(_, name)| name)
    }
}

/// What a file looked like from outside when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// It could not be looked at.
    Not,
    /// It changed so shortly before the look that the next change may go unseen.
    Fresh,
    /// Until it looks otherwise, it reads the same.
    Settled(StatFingerprint),
}

/// What a look at the directory brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    /// Files that are new, or read otherwise than before.
    pub files: Vec<InventoryFile>,
    /// The labels of those that are there no more.
    pub gone: Vec<Label>,
}

impl Changes {
    /// Whether all is as it was.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.gone.is_empty()
    }
}

/// What changes with a file's content, owner or mode, as one number: of 2^64 changes one goes unseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StatFingerprint(u64);

impl StatFingerprint {
    fn of(metadata: &Metadata) -> Self {
        let mut hasher = DefaultHasher::new();
        (metadata.dev(), metadata.ino(), metadata.size(), metadata.mode()).hash(&mut hasher);
        (metadata.uid(), metadata.gid()).hash(&mut hasher);
        (metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()).hash(&mut hasher);
        Self(hasher.finish())
    }
}

impl Look {
    /// A look at a file.
    fn at(path: &Path, now: Timestamp) -> Self {
        let Ok(metadata) = fs::metadata(path) else { return Self::Not };
        let changed = Timestamp::from_seconds(metadata.ctime());
        // A write in the same tick of the file system's clock as this look leaves all stamps equal: young files are read again.
        let is_settled = changed + UNSETTLED <= now || changed > now + UNSETTLED;
        if is_settled { Self::Settled(StatFingerprint::of(&metadata)) } else { Self::Fresh }
    }
}

impl DropInCache {
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
        let (names, others) = list(directory).map_err(|error| unlisted(directory, &error, service))?;
        self.overlooked = overlooked(directory, &others, &names);
        let found: Vec<(OsString, Look)> = names
            .into_iter()
            .map(|name| {
                let seen = Look::at(&directory.join(&name), now);
                (name, seen)
            })
            .collect();
        let mut changes = Changes::default();
        self.files.retain(|shelved| {
            let is_there = found.binary_search_by(|(name, _)| (*name.to_string_lossy()).cmp(shelved.name())).is_ok();
            if !is_there {
                changes.gone.push(Label::clone(&shelved.file.label));
            }
            is_there
        });
        let is_news = |(name, seen): &(OsString, Look)| {
            let known = self.place(name).ok().and_then(|at| self.files.get(at));
            !matches!(seen, Look::Settled(_)) || known.is_none_or(|known| known.seen != *seen)
        };
        let news: Vec<_> = found.into_iter().filter(is_news).collect();
        let read = parallel::map(&news, |(name, _)| {
            let mut file = inventory_file(&directory.join(name), main, service)?;
            file.share(in_force);
            Some(file)
        });
        let mut added = Vec::new();
        for ((name, seen), file) in news.into_iter().zip(read) {
            match (self.place(&name), file) {
                (Ok(at), Some(file)) => self.put(at, seen, file, &mut changes),
                (Err(_), Some(mut file)) => {
                    self.share_terms(&mut file);
                    changes.files.push(file.clone());
                    added.push(CachedFile { seen, file });
                }
                // It went away since the directory was listed.
                (Ok(at), None) => changes.gone.push(self.files.remove(at).file.label),
                (Err(_), None) => {}
            }
        }
        if !added.is_empty() {
            self.files.reserve_exact(added.len());
            self.files.extend(added);
            // Of two sorted runs, which costs no more than passing over them.
            self.files.sort_by(|one, other| one.file.label.cmp(&other.file.label));
        }
        Ok(changes)
    }

    /// Where the file of this name is, or belongs.
    fn place(&self, name: &OsStr) -> Result<usize, usize> {
        self.files.binary_search_by(|shelved| shelved.name().cmp(&name.to_string_lossy()))
    }

    fn share_terms(&mut self, file: &mut InventoryFile) {
        if let Some(content) = file.content.as_mut().ok().and_then(Arc::get_mut) {
            content.share_terms(&mut self.terms);
        }
    }

    fn put(&mut self, at: usize, seen: Look, mut file: InventoryFile, changes: &mut Changes) {
        self.share_terms(&mut file);
        let Some(shelved) = self.files.get_mut(at) else { return };
        shelved.seen = seen;
        if shelved.file != file {
            changes.files.push(file.clone());
            shelved.file = file;
        }
    }

    /// What looked like a drop-in file at the last look and is not read, relative to the directory.
    #[must_use]
    pub fn overlooked(&self) -> &[Text] {
        &self.overlooked
    }

    /// Every file as it was read last.
    #[must_use]
    pub fn files(&self) -> Vec<InventoryFile> {
        self.files.iter().map(|shelved| shelved.file.clone()).collect()
    }

    /// Whether a later change of every file will be seen: none changed just now.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.files.iter().all(|shelved| shelved.seen != Look::Fresh)
    }

    /// Forgets all: what files are read with has changed.
    pub fn clear(&mut self) {
        self.files.clear();
    }

    /// Shares what is in force, which needs its text no more.
    pub fn share(&mut self, in_force: &InForce) {
        self.files.iter_mut().for_each(|shelved| shelved.file.share(in_force));
    }
}

/// Reads every drop-in file, sorted by name. A file that cannot be read or is not to be trusted is refused by itself.
///
/// # Errors
///
/// When the directory is missing, cannot be read, or others may write to it: what is in force stays in force.
pub fn load_inventory(main: &Main, service: ServiceUser) -> Result<Vec<InventoryFile>, Problem> {
    let mut drop_ins = DropInCache::default();
    drop_ins.look(main, service, &InForce::default(), Timestamp::default())?;
    Ok(drop_ins.files())
}

/// Reads every drop-in file as [`load_inventory`] does, whoever may write to the directory: to tell every problem.
///
/// # Errors
///
/// When the directory is missing or cannot be read.
pub fn examine_inventory(main: &Main, service: ServiceUser) -> Result<Vec<InventoryFile>, Problem> {
    let mut drop_ins = DropInCache::default();
    drop_ins.examine(main, service, &InForce::default(), Timestamp::default())?;
    Ok(drop_ins.files())
}

/// How long after its last change a file may change once more in the same tick of the file system's clock.
pub const UNSETTLED: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use std::mem::size_of;

    use super::*;
    use crate::config::{Entries, FileContent};

    /// Where every certificate has a file of its own, each of these bytes counts a hundred thousand times.
    #[test]
    fn what_a_file_takes_does_not_grow_unnoticed() {
        let sizes = [size_of::<CachedFile>(), size_of::<FileContent>(), size_of::<Entries>()];
        assert!(sizes.iter().zip([56, 40, 16]).all(|(size, most)| *size <= most), "{sizes:?}");
    }
}
