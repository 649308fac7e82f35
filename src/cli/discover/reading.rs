//! Reads configuration files of others below a root, bounded, and notes what it could not read or follow. It never waits
//! for a pipe and never opens what is no file for longer than it takes to see that.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use zeroize::Zeroizing;

/// What could not be read or followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli::discover) struct Note {
    pub(in crate::cli::discover) file: PathBuf,
    pub(in crate::cli::discover) line: Option<usize>,
    pub(in crate::cli::discover) what: String,
}

/// What a file of PEM holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli::discover) struct Pem {
    pub(in crate::cli::discover) has_certificate: bool,
    pub(in crate::cli::discover) has_key: bool,
}

/// Reads files below a root. Paths in and out are the host's, without the root.
#[derive(Debug)]
pub(in crate::cli::discover) struct Reading {
    root: PathBuf,
    notes: Vec<Note>,
    /// The files that are being read, each included by the one before.
    chain: Vec<PathBuf>,
    files_left: usize,
    bytes_left: usize,
}

impl Reading {
    pub(in crate::cli::discover) fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), notes: Vec::new(), chain: Vec::new(), files_left: FILES, bytes_left: ALL_BYTES }
    }

    /// A file's text, or nothing, silently, where there is none.
    pub(in crate::cli::discover) fn text(&mut self, path: &Path) -> Option<Arc<str>> {
        let bytes = self.bytes(path, BYTES)?;
        Some(String::from_utf8_lossy(&bytes).into())
    }

    /// The text of a file that another one includes in a line; [`Self::leave`] follows. A file that includes itself, and
    /// one that too many others lead to, is noted and not read.
    pub(in crate::cli::discover) fn enter(&mut self, path: &Path, from: &Path, line: usize) -> Option<Arc<str>> {
        if self.chain.iter().any(|open| open == path) {
            self.note(from, line, format!("includes {}, which is being read: ignored", path.display()));
            return None;
        }
        if self.chain.len() >= DEPTH {
            self.note(
                from,
                line,
                format!("more than {DEPTH} files include one another: {} is ignored", path.display()),
            );
            return None;
        }
        let text = self.text(path)?;
        self.chain.push(path.to_owned());
        Some(text)
    }

    /// The file that was entered last is read.
    pub(in crate::cli::discover) fn leave(&mut self) {
        self.chain.pop();
    }

    /// Whether a file of PEM holds certificates and keys; of what it holds nothing is kept.
    pub(in crate::cli::discover) fn pem(&mut self, path: &Path) -> Option<Pem> {
        let bytes = self.bytes(path, BYTES)?;
        let has = |mark: &[u8]| bytes.windows(mark.len()).any(|window| window == mark);
        Some(Pem { has_certificate: has(b"-----BEGIN CERTIFICATE"), has_key: has(b"PRIVATE KEY-----") })
    }

    /// The files and folders that a pattern of the shell names, sorted; hidden ones only where it says so.
    pub(in crate::cli::discover) fn glob(&mut self, pattern: &str) -> Vec<PathBuf> {
        if !pattern.contains(['*', '?', '[']) {
            return Some(PathBuf::from(pattern)).filter(|path| self.exists(path)).into_iter().collect();
        }
        let from = PathBuf::from(pattern);
        let is_wide = from.components().filter(|part| is_wildcard(*part)).count() > WILDCARDS;
        if is_wide {
            self.note_of(&from, format!("ignored: more than {WILDCARDS} parts have wildcards"));
            return Vec::new();
        }
        if !self.spend(&from) {
            return Vec::new();
        }
        // To the shell, two asterisks are one.
        let mut pattern = pattern.to_owned();
        while pattern.contains("**") {
            pattern = pattern.replace("**", "*");
        }
        let root = glob::Pattern::escape(self.root.to_string_lossy().trim_end_matches('/'));
        let options = glob::MatchOptions { require_literal_leading_dot: true, ..glob::MatchOptions::default() };
        let found = match glob::glob_with(&format!("{root}{pattern}"), options) {
            Ok(found) => found,
            Err(error) => {
                self.note_of(&from, format!("is not a pattern: {}", error.msg));
                return Vec::new();
            }
        };
        let mut paths = Vec::new();
        for entry in found.take(FILES) {
            match entry {
                Ok(path) => paths.push(self.without_root(&path)),
                Err(error) => {
                    let path = self.without_root(error.path());
                    self.failed(&path, error.error());
                }
            }
        }
        paths.sort();
        paths
    }

    /// The entries of a folder that are not hidden, sorted.
    pub(in crate::cli::discover) fn entries(&mut self, folder: &Path) -> Vec<PathBuf> {
        let folder = glob::Pattern::escape(folder.to_string_lossy().trim_end_matches('/'));
        self.glob(&format!("{folder}/*"))
    }

    pub(in crate::cli::discover) fn is_folder(&self, path: &Path) -> bool {
        fs::metadata(self.on_disk(path)).is_ok_and(|metadata| metadata.is_dir())
    }

    /// Whether there is something, as far as this user sees.
    pub(in crate::cli::discover) fn exists(&self, path: &Path) -> bool {
        fs::metadata(self.on_disk(path)).is_ok()
    }

    /// What tells a file from all others, by whatever path; a folder that hides it is noted.
    pub(in crate::cli::discover) fn identity(&mut self, path: &Path) -> Option<(u64, u64)> {
        match fs::metadata(self.on_disk(path)) {
            Ok(metadata) => Some((metadata.dev(), metadata.ino())),
            Err(error) => {
                self.failed(path, &error);
                None
            }
        }
    }

    pub(in crate::cli::discover) fn note(&mut self, file: &Path, line: usize, what: String) {
        self.push(Note { file: file.to_owned(), line: Some(line), what });
    }

    pub(in crate::cli::discover) fn notes(self) -> Vec<Note> {
        self.notes
    }

    /// A note of a whole file.
    pub(in crate::cli::discover) fn note_of(&mut self, file: &Path, what: String) {
        self.push(Note { file: file.to_owned(), line: None, what });
    }

    fn push(&mut self, note: Note) {
        if self.notes.len() < NOTES && !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn failed(&mut self, path: &Path, error: &io::Error) {
        let kind = error.kind();
        // A path that is longer than any file's names none.
        let is_absent = [ErrorKind::NotFound, ErrorKind::NotADirectory, ErrorKind::InvalidFilename].contains(&kind);
        if kind == ErrorKind::PermissionDenied {
            self.note_of(path, "cannot be read by this user (permission denied); root sees more".to_owned());
        } else if !is_absent && kind != ErrorKind::InvalidInput {
            self.note_of(path, format!("cannot be read: {error}"));
        }
    }

    fn bytes(&mut self, path: &Path, most: usize) -> Option<Zeroizing<Vec<u8>>> {
        let file = match self.open(path) {
            Ok(file) => file,
            Err(error) => {
                self.failed(path, &error);
                return None;
            }
        };
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            self.note_of(path, "is not a regular file: ignored".to_owned());
            return None;
        }
        if !self.spend(path) {
            return None;
        }
        let limit = most.min(self.bytes_left);
        let mut bytes = Zeroizing::new(Vec::new());
        if let Err(error) = file.take(limit as u64 + 1).read_to_end(&mut bytes) {
            self.failed(path, &error);
            return None;
        }
        if bytes.len() > limit {
            let bound = if limit == most { "one file" } else { "all files together" };
            self.note_of(path, format!("ignored: longer than the {limit} bytes that are read of {bound}"));
            return None;
        }
        self.bytes_left -= bytes.len();
        Some(bytes)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        Ok(rustix::fs::open(self.on_disk(path), flags, Mode::empty()).map(File::from)?)
    }

    /// Counts a file or a pattern; there is an end to them.
    fn spend(&mut self, path: &Path) -> bool {
        let had = self.files_left;
        self.files_left = had.saturating_sub(1);
        if had == 1 {
            self.note_of(path, format!("ignored, with all that follow: {FILES} files were read"));
        }
        self.files_left > 0
    }

    fn on_disk(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn without_root(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root).map_or_else(|_| path.to_owned(), |path| Path::new("/").join(path))
    }
}

fn is_wildcard(part: Component<'_>) -> bool {
    part.as_os_str().to_string_lossy().contains(['*', '?', '['])
}

const FILES: usize = 5000;
const BYTES: usize = 4 * 1024 * 1024;
const ALL_BYTES: usize = 64 * 1024 * 1024;
const DEPTH: usize = 16;
const NOTES: usize = 1000;
/// So many parts of one pattern may hold wildcards: each multiplies the folders that are searched.
const WILDCARDS: usize = 3;

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;

    use rustix::fs::{CWD, FileType, Mode};

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "what a test writes need not be durable")]
    fn write(root: &Path, name: &str, text: &str) {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), text).unwrap();
    }

    #[track_caller]
    fn check(reading: Reading, expected: &[&str]) {
        let shown = |note: Note| {
            format!(
                "{}{}: {}",
                note.file.display(),
                note.line.map_or(String::new(), |line| format!(":{line}")),
                note.what
            )
        };
        assert_eq!(reading.notes().into_iter().map(shown).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_no_file_is_not_read_and_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        rustix::fs::mknodat(CWD, root.path().join("pipe"), FileType::Fifo, Mode::from(0o600), 0).unwrap();
        std::os::unix::fs::symlink("loop", root.path().join("loop")).unwrap();
        let mut reading = Reading::new(root.path());
        let long = format!("/{}", "x".repeat(5000));
        for path in ["/pipe", "/", "/loop", "/gone", "/gone/gone", "/pipe/x", &long, "/nul\0x"] {
            assert_eq!(reading.text(Path::new(path)), None, "{path}");
        }
        check(
            reading,
            &[
                "/pipe: is not a regular file: ignored",
                "/: is not a regular file: ignored",
                "/loop: cannot be read: Too many levels of symbolic links (os error 40)",
            ],
        );
    }

    #[test]
    fn bounds_are_kept_and_noted() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "a", "x");
        write(root.path(), "long", &"x".repeat(BYTES + 1));
        let mut reading = Reading::new(root.path());
        assert_eq!(reading.text(Path::new("/long")), None);
        for at in 0..DEPTH {
            write(root.path(), &format!("{at}"), "y");
            assert!(reading.enter(Path::new(&format!("/{at}")), Path::new("/a"), at).is_some());
        }
        assert_eq!(reading.enter(Path::new("/a"), Path::new("/15"), 3), None);
        assert_eq!(reading.enter(Path::new("/7"), Path::new("/15"), 4), None);
        reading.leave();
        assert!(reading.enter(Path::new("/a"), Path::new("/14"), 3).is_some());
        while reading.text(Path::new("/a")).is_some() {}
        assert!(reading.glob("/*").is_empty());
        check(
            reading,
            &[
                "/long: ignored: longer than the 4194304 bytes that are read of one file",
                "/15:3: more than 16 files include one another: /a is ignored",
                "/15:4: includes /7, which is being read: ignored",
                "/a: ignored, with all that follow: 5000 files were read",
            ],
        );
    }

    #[test]
    fn patterns_are_the_shells() {
        let root = tempfile::Builder::new().prefix("[a]*").tempdir().unwrap();
        for name in ["d/b.conf", "d/a.conf", "d/.hidden.conf", "d/sub/c.conf", "d/[x].conf"] {
            write(root.path(), name, "");
        }
        let mut reading = Reading::new(root.path());
        let mut glob = |pattern: &str| -> Vec<String> {
            reading.glob(pattern).iter().map(|path| path.to_string_lossy().into_owned()).collect()
        };
        assert_eq!(glob("/d/*.conf"), ["/d/[x].conf", "/d/a.conf", "/d/b.conf"]);
        assert_eq!(glob("/d/**/c.conf"), ["/d/sub/c.conf"]);
        assert_eq!(glob("/d/a.conf"), ["/d/a.conf"]);
        assert_eq!(glob("/d/gone.conf"), [""; 0]);
        assert_eq!(glob("/*/*/*/*/x"), [""; 0]);
        assert_eq!(glob("/[x"), [""; 0]);
        assert_eq!(reading.entries(Path::new("/d/sub/")), [Path::new("/d/sub/c.conf")]);
        assert_eq!(
            reading.entries(Path::new("/d")).last().map(|path| path.as_os_str().as_bytes()),
            Some(&b"/d/sub"[..])
        );
        check(
            reading,
            &["/*/*/*/*/x: ignored: more than 3 parts have wildcards", "/[x: is not a pattern: invalid range pattern"],
        );
    }

    #[test]
    fn pem_is_told_apart() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "key", "-----BEGIN EC PRIVATE KEY-----");
        write(root.path(), "both", "-----BEGIN CERTIFICATE-----\n-----BEGIN ENCRYPTED PRIVATE KEY-----");
        let mut reading = Reading::new(root.path());
        assert_eq!(reading.pem(Path::new("/key")), Some(Pem { has_certificate: false, has_key: true }));
        assert_eq!(reading.pem(Path::new("/both")), Some(Pem { has_certificate: true, has_key: true }));
        assert_eq!(reading.pem(Path::new("/gone")), None);
    }
}
