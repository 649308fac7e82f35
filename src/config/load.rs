//! Reading the configuration from the disk: bounded, each file by one descriptor, never waiting for a pipe.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::document::{FileContent, parse_inventory_file, parse_main};
use super::permissions::{ServiceUser, directory_problem, file_problem};
use super::problem::Problem;
use super::settings::Main;

/// One drop-in file as it was found.
#[derive(Clone, Debug, PartialEq)]
pub struct InventoryFile {
    /// Where it stands.
    pub path: PathBuf,
    /// What messages call it: the directory's name and its own (`certs.d/www.toml`).
    pub label: String,
    /// What it holds, or every reason why it is refused.
    pub content: Result<FileContent, Vec<Problem>>,
}

/// Reads `renewd.toml`.
///
/// # Errors
///
/// Every problem of the file; one alone if it cannot be read, or if everybody may write to it.
pub fn load_main(path: &Path) -> Result<Main, Vec<Problem>> {
    let label = path.display().to_string();
    let (file, metadata) = open(path).map_err(|error| vec![unreadable(&label, &error)])?;
    if let Some(problem) = file_problem(path, &metadata) {
        return Err(vec![problem]);
    }
    let text = text(file, &label).map_err(|problem| vec![problem])?;
    parse_main(path, &text)
}

/// Reads every drop-in file, sorted by name. A file that cannot be read or is not to be trusted is refused by itself.
///
/// # Errors
///
/// When the directory is missing, cannot be read, or others may write to it: what is in force stays in force.
pub fn load_inventory(main: &Main, service: ServiceUser) -> Result<Vec<InventoryFile>, Problem> {
    let directory = &main.inventory;
    let label = directory.display().to_string();
    let failed = |error: io::Error| {
        Problem::of_file(&label, &format!("the inventory directory cannot be read: {error}")).with_hint(remedy(&error))
    };
    let metadata = fs::metadata(directory).map_err(failed)?;
    if let Some(problem) = directory_problem(directory, &metadata, service) {
        return Err(problem);
    }
    let mut paths = Vec::new();
    for found in fs::read_dir(directory).map_err(failed)? {
        let found = found.map_err(failed)?;
        if is_drop_in(&found.file_name().to_string_lossy()) {
            paths.push(found.path());
        }
    }
    paths.sort();
    Ok(paths.into_iter().filter_map(|path| inventory_file(path, main, service)).collect())
}

fn remedy(error: &io::Error) -> &'static str {
    if error.kind() == io::ErrorKind::NotFound {
        "create it, or name another one as `inventory` in renewd.toml"
    } else {
        "let the service's user read it"
    }
}

/// Whether a file of this name belongs to the inventory.
#[must_use]
pub fn is_drop_in(name: &str) -> bool {
    !name.starts_with('.') && name.ends_with(".toml")
}

/// The file at `path`; `None` if it went away since the directory was read.
fn inventory_file(path: PathBuf, main: &Main, service: ServiceUser) -> Option<InventoryFile> {
    let name = |path: Option<&std::ffi::OsStr>| path.unwrap_or_default().to_string_lossy().into_owned();
    let label = format!("{}/{}", name(main.inventory.file_name()), name(path.file_name()));
    let opened = match open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(&path).is_err() => return None,
        opened => opened,
    };
    let content = opened
        .map_err(|error| unreadable(&label, &error))
        .and_then(|(file, metadata)| trusted_text(file, &metadata, &path, &label, service))
        .map_err(|problem| vec![problem])
        .and_then(|text| parse_inventory_file(main, &label, &text));
    Some(InventoryFile { path, label, content })
}

fn trusted_text(
    file: File,
    metadata: &fs::Metadata,
    path: &Path,
    label: &str,
    service: ServiceUser,
) -> Result<String, Problem> {
    if !service.trusts(metadata) {
        let message = format!("the file belongs to user {}, neither to root nor to the service", metadata.uid());
        return Err(Problem::of_file(label, &message).with_hint("run chown root on it, if you trust what it says"));
    }
    if let Some(problem) = file_problem(path, metadata) {
        return Err(problem);
    }
    text(file, label)
}

/// Opens a regular file, or what a symlink to one names, and nothing else.
fn open(path: &Path) -> io::Result<(File, fs::Metadata)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok((file, metadata)) } else { Err(io::Error::other("it is not a regular file")) }
}

fn text(file: File, label: &str) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    file.take(LIMIT + 1).read_to_end(&mut bytes).map_err(|error| unreadable(label, &error))?;
    if bytes.len() as u64 > LIMIT {
        return Err(Problem::of_file(label, "the file is larger than 1 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line =
            error.as_bytes().iter().take(error.utf8_error().valid_up_to()).filter(|byte| **byte == b'\n').count() + 1;
        Problem::of_file(label, &format!("line {line} is not UTF-8")).with_hint("TOML is written in UTF-8")
    })
}

fn unreadable(label: &str, error: &io::Error) -> Problem {
    Problem::of_file(label, &format!("the file cannot be read: {error}"))
}

/// The largest file that is read, in bytes.
const LIMIT: u64 = 1 << 20;
