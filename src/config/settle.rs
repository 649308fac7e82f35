//! The files together: which of them are in force. Pure, and the same at start and at reload.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::document::FileContent;
use super::load::InventoryFile;
use super::problem::Problem;
use crate::core::entry::Entry;
use crate::core::hook::Hook;
use crate::core::name::{CertName, HookName};

/// What is in force, by the label of the file that brought it: the last good content of each file.
pub type InForce = BTreeMap<String, FileContent>;

/// The inventory: what all files together ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// Every certificate, sorted by name.
    pub entries: Vec<Entry>,
    /// Every hook that may be run.
    pub hooks: BTreeMap<HookKey, Hook>,
    /// Every file that was found, sorted by label.
    pub files: Vec<FileState>,
    /// What is in force now, to be kept for the next reload and across restarts.
    pub in_force: InForce,
}

/// A hook among those of all files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HookKey {
    /// The drop-in file that it belongs to; `None`: `renewd.toml`.
    pub file: Option<String>,
    /// Its name there.
    pub name: HookName,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileState {
    /// The file (`certs.d/www.toml`).
    pub label: String,
    /// How many certificates are in force from it: of a refused file, those of its last good content.
    pub certificates: usize,
    /// Why it is refused; empty: it is loaded.
    pub problems: Vec<Problem>,
}

impl Inventory {
    /// The hook that `entry` means by `name`: its own file's before that of `renewd.toml`.
    #[must_use]
    pub fn hook(&self, entry: &Entry, name: &HookName) -> Option<(&HookKey, &Hook)> {
        let own = HookKey { file: Some(entry.source.file.clone()), name: name.clone() };
        let shared = HookKey { file: None, name: name.clone() };
        self.hooks.get_key_value(&own).or_else(|| self.hooks.get_key_value(&shared))
    }
}

/// Decides which files are in force. `hooks` are those of `renewd.toml`; `in_force` is what was in force before.
///
/// A refused file keeps its content of before. Of two files that claim one name or one target, the one that had it
/// before stays and the other is refused; where none had it, the first by label stays. A claim that a file gave up is
/// free for another file in the same step, so that an entry may move between files.
#[must_use]
pub fn settle(mut files: Vec<InventoryFile>, hooks: &BTreeMap<HookName, Hook>, in_force: &InForce) -> Inventory {
    files.sort_by(|one, other| one.label.cmp(&other.label));
    let mut standing: Vec<Standing<'_>> = files.into_iter().map(|file| Standing::new(file, in_force)).collect();
    let holders = holders(in_force);
    while refuse_against_holders(&mut standing, &holders) || refuse_latecomer(&mut standing) {}
    gather(standing, hooks)
}

/// A file and what of it is in force as things stand.
struct Standing<'a> {
    label: String,
    content: Option<FileContent>,
    before: Option<&'a FileContent>,
    is_new: bool,
    problems: Vec<Problem>,
}

impl<'a> Standing<'a> {
    fn new(file: InventoryFile, in_force: &'a InForce) -> Self {
        let before = in_force.get(&file.label);
        match file.content {
            Ok(content) => {
                Self { label: file.label, content: Some(content), before, is_new: true, problems: Vec::new() }
            }
            Err(problems) => Self { label: file.label, content: before.cloned(), before, is_new: false, problems },
        }
    }

    /// Falls back to the content of before; from there, to nothing.
    fn refuse(&mut self, problem: Problem) {
        self.problems.push(problem);
        self.content = if self.is_new { self.before.cloned() } else { None };
        self.is_new = false;
    }

    fn claims(&self) -> impl Iterator<Item = (Claim, &Entry)> {
        self.content.iter().flat_map(|content| &content.entries).flat_map(claims)
    }
}

/// Something that only one entry may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    Name(CertName),
    Target(PathBuf),
}

fn claims(entry: &Entry) -> impl Iterator<Item = (Claim, &Entry)> {
    let targets = entry.files.targets().map(|(_, path)| Claim::Target(path.clone()));
    std::iter::once(Claim::Name(entry.name.clone())).chain(targets).map(move |claim| (claim, entry))
}

/// Who had each claim before; the first by label, if the past was in conflict with itself.
fn holders(in_force: &InForce) -> BTreeMap<Claim, String> {
    let mut holders = BTreeMap::new();
    for (label, content) in in_force {
        for (claim, _) in content.entries.iter().flat_map(claims) {
            holders.entry(claim).or_insert_with(|| label.clone());
        }
    }
    holders
}

/// Refuses every file that claims what another file had before and still has. A holder keeps its claim whatever becomes
/// of its new content, so that no order among these matters.
fn refuse_against_holders(standing: &mut [Standing<'_>], holders: &BTreeMap<Claim, String>) -> bool {
    let still: BTreeMap<Claim, u32> = standing
        .iter()
        .flat_map(|file| file.claims().filter(|(claim, _)| holders.get(claim) == Some(&file.label)))
        .map(|(claim, entry)| (claim, entry.source.line))
        .collect();
    let mut changed = false;
    for file in standing {
        let conflict = file.claims().find_map(|(claim, entry)| {
            let line = still.get(&claim)?;
            let holder = holders.get(&claim).filter(|holder| **holder != file.label)?;
            Some(conflict(&file.label, entry, &claim, holder, *line))
        });
        if let Some(problem) = conflict {
            file.refuse(problem);
            changed = true;
        }
    }
    changed
}

/// Refuses the first file that claims what an earlier one claims.
fn refuse_latecomer(standing: &mut [Standing<'_>]) -> bool {
    let mut taken: BTreeMap<Claim, (String, u32)> = BTreeMap::new();
    for file in standing {
        let conflict = file.claims().find_map(|(claim, entry)| {
            let (label, line) = taken.get(&claim)?;
            (*label != file.label).then(|| conflict(&file.label, entry, &claim, label, *line))
        });
        if let Some(problem) = conflict {
            file.refuse(problem);
            return true;
        }
        let claims: Vec<_> = file.claims().map(|(claim, entry)| (claim, entry.source.line)).collect();
        taken.extend(claims.into_iter().map(|(claim, line)| (claim, (file.label.clone(), line))));
    }
    false
}

fn conflict(label: &str, entry: &Entry, claim: &Claim, holder: &str, line: u32) -> Problem {
    let what = match claim {
        Claim::Name(name) => format!("the name `{name}` is taken"),
        Claim::Target(path) => format!("certificate `{}` writes {}, which is taken", entry.name, path.display()),
    };
    let message = format!("line {}: {what} by {holder} line {line}", entry.source.line);
    Problem::of_file(label, &message).with_hint("remove it from one of the two files")
}

fn gather(standing: Vec<Standing<'_>>, hooks: &BTreeMap<HookName, Hook>) -> Inventory {
    let mut inventory = Inventory::default();
    let shared = |name: &HookName| HookKey { file: None, name: name.clone() };
    inventory.hooks.extend(hooks.iter().map(|(name, hook)| (shared(name), hook.clone())));
    for file in standing {
        let certificates = file.content.as_ref().map_or(0, |content| content.entries.len());
        inventory.files.push(FileState { label: file.label.clone(), certificates, problems: file.problems });
        let Some(content) = file.content else { continue };
        let lost = content.inherited.iter().filter(|(name, _)| !hooks.contains_key(*name));
        let own = |name: &HookName| HookKey { file: Some(file.label.clone()), name: name.clone() };
        inventory.hooks.extend(content.hooks.iter().chain(lost).map(|(name, hook)| (own(name), hook.clone())));
        inventory.entries.extend(content.entries.iter().cloned());
        inventory.in_force.insert(file.label, content);
    }
    inventory.entries.sort_by(|one, other| one.name.cmp(&other.name));
    inventory
}
