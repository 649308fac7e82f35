//! What looks like a drop-in file and is not read, such as `www.conf` or `team-a/www.toml`: an operator should be told.
//! Leftovers of editors and package managers, hidden files and notes do not look like one, and neither does a copy beside
//! its original.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::load::is_drop_in;
use super::settings::Main;
use crate::config::load::list;
use crate::config::syntax::excerpt::visible;
use crate::core::text::Text;

/// What looks like a drop-in file in the inventory directory and is not read, relative to it; nothing where the directory
/// cannot be listed.
#[must_use]
pub fn overlooked_files(main: &Main) -> Vec<Text> {
    list(&main.inventory).map(|(read, others)| overlooked(&main.inventory, &others, &read)).unwrap_or_default()
}

/// What of the `others` in `directory` looks like a drop-in file, in their order and relative to it. `read` are those that
/// are read.
pub(super) fn overlooked(directory: &Path, others: &[OsString], read: &[OsString]) -> Vec<Text> {
    let mut found = Vec::new();
    for name in others.iter().take(MOST).map(|name| name.to_string_lossy()) {
        let path = directory.join(&*name);
        if path.is_dir() {
            found.extend(below(&path, &name, DEPTH));
        } else if looks_like_one(&path, &name) && !is_copy(&name, read) {
            found.push(told(&name));
        }
    }
    found
}

/// A name as it is told: in quotes where a blank begins or ends it, as that is why it is not read.
fn told(name: &str) -> Text {
    let shown = visible(name);
    if shown.trim() == shown { Text::new(&shown) } else { Text::new(&format!("\"{shown}\"")) }
}

/// The names in a folder, sorted; not more than [`MOST`].
fn names(directory: &Path) -> io::Result<Vec<OsString>> {
    let mut names =
        fs::read_dir(directory)?.take(MOST).map(|found| Ok(found?.file_name())).collect::<io::Result<Vec<_>>>()?;
    names.sort_unstable();
    Ok(names)
}

/// Files in a folder that would be read, or named as those above are by their names, if they stood above it.
fn below(folder: &Path, label: &str, depth: usize) -> Vec<Text> {
    if label.starts_with('.') || depth == 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let names = names(folder).unwrap_or_default();
    for name in names.iter().map(|name| name.to_string_lossy()) {
        let (path, label) = (folder.join(&*name), format!("{label}/{name}"));
        if name.starts_with('.') {
            continue;
        }
        if path.is_dir() {
            found.extend(below(&path, &label, depth - 1));
        } else if is_drop_in(&name) || (is_named_like_one(&name) && !is_copy(&name, &names)) {
            found.push(told(&label));
        }
    }
    found
}

/// By its name, or by what is in it.
fn looks_like_one(path: &Path, name: &str) -> bool {
    is_named_like_one(name) || (!is_set_aside(name) && has_certificate(path))
}

fn is_named_like_one(name: &str) -> bool {
    let lower = name.to_lowercase();
    let is_known = lower.contains(".toml") || ENDINGS.iter().any(|end| lower.trim_end().ends_with(end));
    is_known && !is_set_aside(name)
}

/// Whether it is hidden, a note, or left behind by a program.
fn is_set_aside(name: &str) -> bool {
    let lower = name.to_lowercase();
    let is_hidden = name.starts_with('.') && !lower.ends_with(".toml");
    let is_leftover =
        LEFTOVERS.iter().any(|end| lower.ends_with(end)) || lower.contains(".dpkg-") || name.starts_with(".#");
    let is_note = NOTES.iter().any(|note| lower.starts_with(note));
    is_hidden || is_leftover || is_note || name.starts_with('#')
}

/// Whether `www.toml.bak` or `.www.toml` stands beside a `www.toml` that is read.
fn is_copy(name: &str, read: &[OsString]) -> bool {
    let original = |end: usize| name.get(..end).unwrap_or_default().trim_start_matches('.');
    let end = name.find(".toml").map(|at| at + ".toml".len());
    end.is_some_and(|end| read.iter().any(|other| other.to_string_lossy() == original(end)))
}

/// Whether a file begins a certificate somewhere near its start.
fn has_certificate(path: &Path) -> bool {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let Ok(file) = rustix::fs::open(path, flags, Mode::empty()).map(File::from) else { return false };
    let mut text = Vec::new();
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    let is_read = is_file && file.take(LOOKED_AT).read_to_end(&mut text).is_ok();
    is_read && String::from_utf8_lossy(&text).lines().any(|line| line.trim_start().starts_with("[[certificate]]"))
}

/// What editors, patches and package managers leave behind.
const LEFTOVERS: [&str; 10] = ["~", ".swp", ".swo", ".swx", ".tmp", ".orig", ".rej", ".rpmsave", ".rpmnew", ".rpmorig"];
const NOTES: [&str; 5] = ["readme", "license", "copying", "changelog", "notes"];
/// What files of configuration are called elsewhere.
const ENDINGS: [&str; 8] = [".conf", ".cfg", ".cnf", ".config", ".tml", ".yaml", ".yml", ".ini"];
/// So many names of a folder are looked at.
const MOST: usize = 1000;
const DEPTH: usize = 3;
const LOOKED_AT: u64 = 64 * 1024;

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test writes its own files")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// The directory with these files (with a certificate where they end in `!`), and what is told of them.
    #[track_caller]
    fn check(files: &[&str], expected: &[&str]) {
        let directory = tempfile::tempdir().unwrap();
        for file in files {
            let (name, text) = file.strip_suffix('!').map_or((*file, "x"), |name| (name, "\n [[certificate]]\n"));
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        assert_eq!(told(directory.path()), expected, "{files:?}");
    }

    fn told(directory: &Path) -> Vec<String> {
        let (read, others): (Vec<_>, Vec<_>) =
            names(directory).unwrap().into_iter().partition(|name| is_drop_in(&name.to_string_lossy()));
        overlooked(directory, &others, &read).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_looks_like_a_drop_in_file_is_told() {
        check(&["a.toml", "b.toml"], &[]);
        check(&["www.conf", "UP.TOML", "www.toml.txt", "x.yaml"], &["UP.TOML", "www.conf", "www.toml.txt", "x.yaml"]);
        check(&["team-a/team.toml", "a/b/deep.toml", "team-a/notes.txt"], &["a/b/deep.toml", "team-a/team.toml"]);
        check(&["www.toml.bak", ".hidden.toml"], &[".hidden.toml", "www.toml.bak"]);
        check(&["www!", "other"], &["www"]);
        check(&["a/www.conf", "a/b.toml.bak", "a/b.toml", "a/notes.yaml"], &["a/b.toml", "a/www.conf"]);
        check(&["www.toml ", "a/x.conf ", "y.toml\u{200b}"], &["\"a/x.conf \"", "\"www.toml \"", "y.toml\\u{200b}"]);
    }

    #[test]
    fn what_is_left_behind_or_set_aside_is_not() {
        check(&["www.toml", "www.toml.bak", ".www.toml", "www.toml.disabled"], &[]);
        check(
            &[".www.toml.swp", "www.toml~", "www.toml.dpkg-old", "www.toml.rpmsave", "#www.toml#", "x.toml.orig"],
            &[],
        );
        check(&["README", "README.conf", "notes.yaml", ".git/config.toml", "a/.b.toml", "pki.pem"], &[]);
    }

    #[test]
    fn what_cannot_be_read_is_judged_by_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        symlink("/nowhere", at("lost.conf")).unwrap();
        symlink("/nowhere", at("lost")).unwrap();
        symlink("x@host.1:2", at(".#www.toml")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert_eq!(told(directory.path()), ["lost.conf"]);
    }
}
