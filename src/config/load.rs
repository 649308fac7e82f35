//! Reading the configuration from the disk: bounded, each file by one descriptor, never waiting for a pipe.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};

use super::document::{FileContent, examine_main_text, parse_inventory_file};
use super::permissions::{Opened, ServiceUser, directory_problems, file_problem, let_read, shell_word, world_problem};
use super::settings::Main;
use crate::config::document::{InForce, Label};
use crate::config::syntax::problem::{Fault, Problem};

/// One drop-in file as it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct InventoryFile {
    /// What messages call it.
    pub label: Label,
    /// What it holds, or every reason why it is refused.
    pub content: Result<Arc<FileContent>, Vec<Problem>>,
}

impl InventoryFile {
    /// A file as it reads. What its entries call it by is used for it as well, so that it is there once.
    pub(super) fn new(label: Label, content: Result<Arc<FileContent>, Vec<Problem>>) -> Self {
        let own = content.as_ref().ok().and_then(|content| content.label());
        Self { label: own.cloned().unwrap_or(label), content }
    }

    /// Shares what is in force where it reads the same: that needs its text no more.
    pub(super) fn share(&mut self, in_force: &InForce) {
        if let (Ok(content), Some(known)) = (&self.content, in_force.get(&self.label))
            && !Arc::ptr_eq(content, known)
            && content == known
        {
            *self = Self::new(Label::clone(&self.label), Ok(Arc::clone(known)));
        }
    }
}

/// Reads `renewd.toml`.
///
/// # Errors
///
/// Every problem of the file; one alone if it cannot be read.
pub fn load_main(path: &Path) -> Result<Main, Vec<Problem>> {
    match examine_main(path) {
        (Some(main), problems) if problems.is_empty() => Ok(main),
        (_, problems) => Err(problems),
    }
}

/// Reads `renewd.toml` where nobody but root and the service may write to it or to the inventory directory. The file that
/// was read is the one that is judged, whatever is at its path by then.
///
/// # Errors
///
/// Every problem of the file and of who may write.
pub fn load_trusted_main(path: &Path, service: impl FnOnce(&Main) -> ServiceUser) -> Result<Main, Vec<Problem>> {
    let (main, problems, opened) = read_main(path);
    let Some(main) = main.filter(|_| problems.is_empty()) else { return Err(problems) };
    let service = service(&main);
    let of_file = opened.and_then(|opened| file_problem(path, &opened, service));
    let problems: Vec<_> = of_file.into_iter().chain(directory_problems(&main, service)).collect();
    if problems.is_empty() { Ok(main) } else { Err(problems) }
}

/// Reads `renewd.toml` to tell every problem of it. The settings, as far as they can be told, are for finding the
/// problems of other files alone; `None`: not even those.
#[must_use]
pub fn examine_main(path: &Path) -> (Option<Main>, Vec<Problem>) {
    let (main, problems, _) = read_main(path);
    (main, problems)
}

fn read_main(path: &Path) -> (Option<Main>, Vec<Problem>, Option<Opened>) {
    let label = path.display().to_string();
    let read = |opened: Opened| Ok((world_problem(path, &opened), text(&opened.file, &label)?, opened));
    let opened = open(path).map_err(|error| unreadable(path, &label, &error, ServiceUser::of_process()));
    match opened.and_then(read) {
        Ok((open_to_all, text, opened)) => {
            let (main, problems) = examine_main_text(path, &text);
            (main, open_to_all.into_iter().chain(problems).collect(), Some(opened))
        }
        Err(problem) => (None, vec![problem], None),
    }
}

/// The names of drop-in files, and the others that are there.
pub(super) fn list(directory: &Path) -> io::Result<(Vec<OsString>, Vec<OsString>)> {
    let (mut names, mut others) = (Vec::new(), Vec::new());
    for found in fs::read_dir(directory)? {
        let name = found?.file_name();
        if is_drop_in(&name.to_string_lossy()) {
            names.push(name);
        } else {
            others.push(name);
        }
    }
    // As labels are sorted.
    names.sort_unstable_by(|one, other| one.to_string_lossy().cmp(&other.to_string_lossy()));
    others.sort_unstable();
    Ok((names, others))
}

/// The problem of a directory that cannot be listed.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other kind has no remedy of its own")]
pub(super) fn unlisted(directory: &Path, error: &io::Error, service: ServiceUser) -> Problem {
    let word = shell_word(&directory.display().to_string());
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => {
            let create = format!("create it (run: install -d -g {} -m 0750 {word})", service.gid);
            format!("{create}, or name another one as `inventory` in renewd.toml")
        }
        io::ErrorKind::NotADirectory => "name a directory as `inventory` in renewd.toml".to_owned(),
        io::ErrorKind::PermissionDenied => let_read(directory, service),
        _ => "see the system's log for the device".to_owned(),
    };
    let message = format!("the inventory directory cannot be read: {error}{}", lost_link(directory, error));
    Problem::of_file(&directory.display().to_string(), &message).with_hint(&remedy)
}

/// Names what a symlink that leads nowhere points at.
fn lost_link(path: &Path, error: &io::Error) -> String {
    match fs::read_link(path) {
        Ok(target) if error.kind() == io::ErrorKind::NotFound => format!(" (a symlink to {})", target.display()),
        Ok(_) | Err(_) => String::new(),
    }
}

/// Whether a file of this name belongs to the inventory.
#[must_use]
pub fn is_drop_in(name: &str) -> bool {
    !name.starts_with('.') && name.ends_with(".toml")
}

/// The file at `path`; `None` if it went away since the directory was read.
pub(super) fn inventory_file(path: &Path, main: &Main, service: ServiceUser) -> Option<InventoryFile> {
    let label = label_of(main, path);
    let opened = match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(path).is_err() => return None,
        opened => opened,
    };
    let content = opened
        .map_err(|error| unreadable(path, &label, &error, service))
        .and_then(|opened| trusted_text(&opened, path, &label, service))
        .map_err(|problem| vec![problem])
        .and_then(|text| parse_inventory_file(main, &label, &text).map(Arc::new));
    Some(InventoryFile::new(label, content))
}

/// What messages call the drop-in file at `path`.
pub(super) fn label_of(main: &Main, path: &Path) -> Label {
    let name = |path: Option<&OsStr>| path.unwrap_or_default().to_string_lossy().into_owned();
    format!("{}/{}", name(main.inventory.file_name()), name(path.file_name())).into()
}

fn trusted_text(opened: &Opened, path: &Path, label: &str, service: ServiceUser) -> Result<String, Problem> {
    if !path.file_name().unwrap_or_default().to_string_lossy().chars().all(is_plain) {
        return Err(Problem::of_file(label, "the name of the file is not plain text").with_hint("rename it"));
    }
    match file_problem(path, opened, service) {
        Some(problem) => Err(problem),
        None => text(&opened.file, label),
    }
}

/// Whether a character may be part of a file's name: names with others would look alike in every message.
fn is_plain(c: char) -> bool {
    !c.is_control() && c != char::REPLACEMENT_CHARACTER
}

/// Opens a regular file, or what a symlink to one names, and nothing else.
fn open(path: &Path) -> io::Result<Opened> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok(Opened { file, metadata }) } else { Err(io::Error::other("it is not a regular file")) }
}

fn text(file: &File, label: &str) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let unreadable = |error: io::Error| Problem::of_file(label, &format!("the file cannot be read: {error}"));
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Problem::of_file(label, "the file is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let fault = Fault::new("this is not UTF-8").expected("TOML, which is written in UTF-8");
        Problem::at(label, &String::from_utf8_lossy(error.as_bytes()), at..at + 1, fault)
    })
}

fn unreadable(path: &Path, label: &str, error: &io::Error, service: ServiceUser) -> Problem {
    let problem = Problem::of_file(label, &format!("the file cannot be read: {error}{}", lost_link(path, error)));
    if error.kind() == io::ErrorKind::PermissionDenied {
        return problem.with_hint(&let_read(path, service));
    }
    problem
}

/// The largest file that is read, in bytes.
const LIMIT: u64 = 1 << 20;
