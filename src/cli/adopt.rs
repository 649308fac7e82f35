//! `renewd adopt`: inventory entries for certificates that are there already, whoever renewed them until now. Reads, prints
//! and changes nothing; what it prints was read by the inventory's own reader before.

mod asked;
pub(in crate::cli) mod entry;
pub(in crate::cli) mod file;
mod hook;
pub(in crate::cli) mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use zeroize::Zeroizing;

use crate::config::{self, Main, parse_inventory_file};
use crate::core::text::Text;
use crate::daemon::setup;

use super::{exit, output};
use entry::{Adopted, Hooks};
use source::Source;

/// Prints an entry for each certificate that is found in `files`.
pub(super) fn run(config: &Path, files: &[PathBuf], profile: &str, password_file: Option<&Path>) -> ExitCode {
    // Where there is no configuration yet the defaults are as good.
    let main = config::load_main(config).unwrap_or_else(|_| Main::new(config));
    let (adopted, mut complaints) = match password(password_file) {
        Ok(password) => found(files, password.as_deref().map(String::as_str)),
        Err(why) => (Vec::new(), vec![why]),
    };
    // The names of files are anybody's.
    complaints.iter_mut().for_each(|complaint| *complaint = Text::new(complaint).to_string());
    let mut hooks = Hooks::new(&main);
    let mut names = BTreeSet::new();
    let mut text = String::new();
    for adopted in adopted {
        text.push_str(&adopted.text(profile, password_file, &main, &mut names, &mut hooks));
    }
    text.push_str(&hooks.text());
    if !text.is_empty() {
        output::print(text.trim_end());
        let problems = parse_inventory_file(&main, "what is printed", &text).err().unwrap_or_default();
        if !problems.is_empty() {
            complaints.push(format!("not accepted as it is:\n{}", setup::shown(&problems)));
        }
    }
    complaints.iter().for_each(|complaint| output::complain(complaint));
    if complaints.is_empty() { exit::OK.into() } else { exit::UNWELL.into() }
}

/// What is in the files, and what is wrong with them.
fn found(files: &[PathBuf], password: Option<&str>) -> (Vec<Adopted>, Vec<String>) {
    let (mut adopted, mut complaints) = (Vec::new(), Vec::new());
    let mut loose = Source::default();
    for path in files {
        match source::read(path, password) {
            Ok(source) if source.is_loose() => loose.found.extend(source.found),
            Ok(source) => adopted.extend(source.adopted(&mut complaints)),
            Err(why) => complaints.push(why),
        }
    }
    adopted.extend(loose.adopted(&mut complaints));
    (adopted, complaints)
}

/// The first line of the file of the password.
fn password(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, String> {
    let Some(path) = file else { return Ok(None) };
    let bytes = file::bytes(path)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{}: the password is not text", path.display()))?;
    Ok(Some(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())))
}
