//! The file watch, at arm's length: it only says that something may have changed. Watching is unreliable (a queue that
//! overflows, a network file system, a limit that is reached), and nothing depends on it.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::parallel;

/// Watches a directory by its path: the directory itself, where a symlink leads, and the folders that these stand in,
/// so that a directory that appears or is replaced is seen as well.
pub(super) struct Watch {
    directory: PathBuf,
    watcher: Option<RecommendedWatcher>,
    /// Each watched folder, by device and inode: a folder that was replaced is another one.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    has_complained: bool,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Watch {
    /// Prepares to watch `directory`; what may be a change notifies `hints`.
    pub(super) fn new(directory: &Path, hints: Arc<Notify>) -> Self {
        let mut watch =
            Self { directory: directory.to_owned(), watcher: None, watched: BTreeMap::new(), has_complained: false };
        let tell = move |event: notify::Result<notify::Event>| {
            // An error may stand for events that were lost.
            if event.map_or(true, |event| may_be_change(event.kind)) {
                hints.notify_one();
            }
        };
        // Without a thread it would panic as soon as it is told what to watch.
        match parallel::try_thread().map_err(notify::Error::io).and_then(|()| notify::recommended_watcher(tell)) {
            Ok(watcher) => watch.watcher = Some(watcher),
            Err(error) => watch.complain(&error),
        }
        watch
    }

    /// Watches what is there now and was not watched, and lets go of what is gone. Whether the directory is watched.
    pub(super) fn arm(&mut self) -> bool {
        let places: BTreeMap<PathBuf, (u64, u64)> = places(&self.directory)
            .filter_map(|path| {
                let metadata = std::fs::metadata(&path).ok().filter(std::fs::Metadata::is_dir)?;
                Some((path, (metadata.dev(), metadata.ino())))
            })
            .collect();
        let Some(mut watcher) = self.watcher.take() else { return false };
        for (path, id) in &self.watched {
            if places.get(path) != Some(id) {
                // What is gone took its watch along.
                drop(watcher.unwatch(path));
            }
        }
        let before = std::mem::take(&mut self.watched);
        for (path, id) in places {
            let added =
                if before.get(&path) == Some(&id) { Ok(()) } else { watcher.watch(&path, RecursiveMode::NonRecursive) };
            match added {
                Ok(()) => drop(self.watched.insert(path, id)),
                Err(error) => self.complain(&error),
            }
        }
        self.watcher = Some(watcher);
        self.watched.contains_key(&self.directory)
    }

    fn complain(&mut self, error: &notify::Error) {
        if !std::mem::replace(&mut self.has_complained, true) {
            tracing::warn!(
                "cannot watch {} ({error}); renewd checks it every half minute instead, and at once on `systemctl reload`; if a limit is named, raise the sysctl fs.inotify.max_user_watches or max_user_instances",
                self.directory.display()
            );
        }
    }
}

/// The folders whose changes matter.
fn places(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let target = std::fs::canonicalize(directory).ok().filter(|target| target != directory);
    let parents = [Some(directory), target.as_deref()].into_iter().flatten().filter_map(Path::parent);
    let parents: Vec<PathBuf> = parents.map(Path::to_owned).collect();
    [directory.to_owned()].into_iter().chain(target).chain(parents)
}

/// Whether an event may mean a change. Reading is none, and the daemon itself reads.
fn may_be_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_) | EventKind::Other => true,
    }
}
