//! The files together: which of them are in force. The same at start and at reload; of the disk it looks only at which
//! folders are the same.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::claim::Claim;
use super::document::{FileContent, InForce, Label};
use super::load::InventoryFile;
use super::settings::Main;
use crate::config::drop_ins::Changes;
use crate::config::removal_guard::{Trigger, is_mass_removal, removals_allowed};
use crate::config::syntax::problem::{Fault, Location, Problem};
use crate::core::name::{CertName, HookName};
use crate::core::wanted::entry::Entry;
use crate::core::wanted::hook::Hook;

/// The inventory: what all files together ask for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inventory {
    /// Every certificate, sorted by name.
    pub entries: Vec<Arc<Entry>>,
    /// Every hook that may be run.
    pub hooks: BTreeMap<HookKey, Hook>,
    /// The files that are refused, and why.
    pub refused: BTreeMap<Label, Vec<Problem>>,
    /// What is in force now, to be kept for the next reload and across restarts.
    pub in_force: InForce,
    /// Why the directory itself is not to be had, so that everything stays as it was.
    pub held: Option<Problem>,
}

/// What a newer inventory has otherwise than an older one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Difference {
    /// The certificates that are in force no more.
    pub gone: Vec<CertName>,
    /// The entries that are new, or may have changed.
    pub wanted: Vec<Arc<Entry>>,
    /// The files whose content in force is another one.
    pub labels: BTreeSet<Label>,
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
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FileState<'a> {
    /// The file.
    pub label: &'a str,
    /// How many certificates are in force from it: of a refused file, those of its last good content.
    pub certificates: usize,
    /// Why it is refused; empty: it is loaded.
    pub problems: &'a [Problem],
}

impl Difference {
    /// Compares two inventories.
    #[must_use]
    pub fn between(before: &Inventory, after: &Inventory) -> Self {
        let mut difference = Self::default();
        let (mut old, mut new) = (before.entries.iter().peekable(), after.entries.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.name.cmp(&new.name),
            };
            let gone = if order.is_le() { old.next() } else { None };
            let there = if order.is_ge() { new.next() } else { None };
            match (gone, there) {
                (Some(gone), None) => difference.gone.push(gone.name.clone()),
                (Some(old), Some(new)) if Arc::ptr_eq(old, new) => {}
                (_, there) => difference.wanted.extend(there.cloned()),
            }
        }
        difference.labels = after.changed_since(&before.in_force);
        difference
    }
}

impl Inventory {
    /// The fast path: applies changed files where every file is loaded and none of the changed ones claims a name or a
    /// target of another. The result is that of [`resolve`], at the cost of these files alone. `None`: nothing was done, and
    /// the caller resolves all files together.
    pub fn amend(
        &mut self,
        changes: &Changes,
        hooks: &BTreeMap<HookName, Hook>,
        trigger: Trigger,
    ) -> Option<Difference> {
        if self.held.is_some() || !self.refused.is_empty() {
            return None;
        }
        let changed = changes.files.iter().map(|file| Some((&file.label, file.content.as_ref().ok()?)));
        let changed: Vec<(&Label, &Arc<FileContent>)> = changed.collect::<Option<_>>()?;
        let labels: BTreeSet<Label> = changed.iter().map(|(label, _)| *label).chain(&changes.gone).cloned().collect();
        if !self.is_free_for(&changed, &labels) {
            return None;
        }
        let names_of =
            |content: &Arc<FileContent>| content.entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
        let before: BTreeSet<CertName> =
            labels.iter().filter_map(|label| self.in_force.get(label)).flat_map(names_of).collect();
        let after: BTreeSet<CertName> = changed.iter().flat_map(|(_, content)| names_of(content)).collect();
        let gone: Vec<CertName> = before.difference(&after).cloned().collect();
        let wanted = self.entries.len() - before.len() + after.len();
        if trigger == Trigger::Watch && !gone.is_empty() && is_mass_removal(self.entries.len(), wanted, gone.len()) {
            return None;
        }
        self.entries.retain(|entry| !before.contains(&entry.name));
        for label in &labels {
            self.in_force.remove(label);
            self.hooks.retain(|key, _| key.file.as_deref() != Some(&**label));
        }
        for (label, content) in &changed {
            self.take(label, content, hooks);
        }
        self.sort();
        let wanted = changed.iter().flat_map(|(_, content)| content.entries.iter().cloned()).collect();
        Some(Difference { gone, wanted, labels })
    }

    /// Whether nobody but the files of `labels` has what these files claim, and no two of these claim the same.
    fn is_free_for(&self, changed: &[(&Label, &Arc<FileContent>)], labels: &BTreeSet<Label>) -> bool {
        let mut taken = BTreeSet::new();
        changed.iter().flat_map(|(_, content)| content.claims()).all(|(claim, _)| {
            let holder = match &claim {
                Claim::Name(name) => self.entry(name),
                Claim::Target(target) => {
                    self.entries.iter().find(|entry| entry.targets().any(|theirs| target.is_at(theirs.path)))
                }
            };
            taken.insert(claim) && holder.is_none_or(|holder| labels.contains(&holder.source.file))
        })
    }

    /// The entry of this name.
    #[must_use]
    pub fn entry(&self, name: &CertName) -> Option<&Arc<Entry>> {
        let at = self.entries.binary_search_by(|entry| entry.name.cmp(name)).ok()?;
        self.entries.get(at)
    }

    /// Takes in what of one file is in force.
    fn take(&mut self, label: &Label, content: &Arc<FileContent>, hooks: &BTreeMap<HookName, Hook>) {
        let lost = content.inherited.iter().filter(|(name, _)| !hooks.contains_key(*name));
        let own = |name: &HookName| HookKey { file: Some(label.to_string()), name: name.clone() };
        self.hooks.extend(content.hooks.iter().chain(lost).map(|(name, hook)| (own(name), hook.clone())));
        self.entries.extend(content.entries.iter().cloned());
        self.in_force.insert(Label::clone(label), Arc::clone(content).without_draft());
    }

    fn sort(&mut self) {
        self.entries.shrink_to_fit();
        self.entries.sort_by(|one, other| one.name.cmp(&other.name));
    }

    fn state<'a>(&self, label: &'a Label, problems: &'a [Problem]) -> FileState<'a> {
        let certificates = self.in_force.get(label).map_or(0, |content| content.entries.len());
        FileState { label, certificates, problems }
    }

    /// The files that are refused, by label; before them the directory, where it is not to be had.
    pub fn refusals(&self) -> impl Iterator<Item = FileState<'_>> {
        let directory = self.held.as_ref().map(|problem| FileState {
            label: problem.file.as_str(),
            certificates: self.entries.len(),
            problems: std::slice::from_ref(problem),
        });
        directory.into_iter().chain(self.refused.iter().map(|(label, problems)| self.state(label, problems)))
    }

    /// The files that are loaded, by label.
    pub fn loaded(&self) -> impl Iterator<Item = FileState<'_>> {
        let loaded = self.in_force.keys().filter(|label| !self.refused.contains_key(*label));
        loaded.map(|label| self.state(label, &[]))
    }

    /// Every file that was found, and the directory where it is not to be had, sorted by label.
    #[must_use]
    pub fn files(&self) -> Vec<FileState<'_>> {
        let mut files: Vec<_> = self.refusals().chain(self.loaded()).collect();
        files.sort_by_key(|state| state.label);
        files
    }

    /// The certificates that were in force before and are so no more.
    #[must_use]
    pub fn gone_since(&self, before: &InForce) -> BTreeSet<CertName> {
        let there = sorted_names(&self.in_force);
        sorted_names(before).into_iter().filter(|name| there.binary_search(name).is_err()).cloned().collect()
    }

    /// The files whose content in force was another one before.
    #[must_use]
    pub fn changed_since(&self, before: &InForce) -> BTreeSet<Label> {
        let is_other = |(label, content): &(&Label, &Arc<FileContent>), there: &InForce| {
            there.get(*label).is_none_or(|other| !Arc::ptr_eq(other, content) && *other != **content)
        };
        let lost = before.iter().filter(|file| is_other(file, &self.in_force));
        let found = self.in_force.iter().filter(|file| is_other(file, before));
        lost.chain(found).map(|(label, _)| label.clone()).collect()
    }

    /// The hook that `entry` means by `name`: its own file's before that of `renewd.toml`.
    #[must_use]
    pub fn hook(&self, entry: &Entry, name: &HookName) -> Option<(&HookKey, &Hook)> {
        let own = HookKey { file: Some(entry.source.file.to_string()), name: name.clone() };
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
pub fn resolve(mut files: Vec<InventoryFile>, hooks: &BTreeMap<HookName, Hook>, in_force: &InForce) -> Inventory {
    files.sort_by(|one, other| one.label.cmp(&other.label));
    let mut standing: Vec<Candidate<'_>> = files.into_iter().map(|file| Candidate::new(file, in_force)).collect();
    let holders = holders(in_force);
    while refuse_against_holders(&mut standing, &holders) || refuse_latecomer(&mut standing) {}
    gather(standing, hooks)
}

/// [`resolve`] where nobody asked for a reload. What the removal guard ([`removals_allowed`]) does not let go stays in force,
/// and each file that would have brought it about counts as refused.
#[must_use]
pub fn resolve_watched(
    mut files: Vec<InventoryFile>,
    hooks: &BTreeMap<HookName, Hook>,
    in_force: &InForce,
) -> Inventory {
    let inventory = resolve(files.clone(), hooks, in_force);
    let gone = inventory.gone_since(in_force);
    if removals_allowed(&names(in_force), &names(&inventory.in_force), Trigger::Watch) == gone {
        return inventory;
    }
    for (label, content) in in_force {
        let lost = content.entries.iter().filter(|entry| gone.contains(&entry.name)).count();
        if lost > 0 {
            files.retain(|file| file.label != *label);
            files.push(InventoryFile {
                label: Label::clone(label),
                content: Err(vec![unconfirmed(label, lost, gone.len())]),
            });
        }
    }
    resolve(files, hooks, in_force)
}

/// What stays in force where the directory itself cannot be read or is not to be trusted, for the reason `problem`:
/// everything. The directory counts as a refused file.
#[must_use]
pub fn hold(main: &Main, problem: Problem, in_force: &InForce) -> Inventory {
    let kept = |(label, content): (&Label, &Arc<FileContent>)| InventoryFile {
        label: Label::clone(label),
        content: Ok(Arc::clone(content)),
    };
    let mut inventory = resolve(in_force.iter().map(kept).collect(), &main.hooks, in_force);
    inventory.held = Some(problem);
    inventory
}

fn sorted_names(in_force: &InForce) -> Vec<&CertName> {
    let mut names: Vec<_> =
        in_force.values().flat_map(|content| content.entries.iter()).map(|entry| &entry.name).collect();
    names.sort();
    names
}

fn names(in_force: &InForce) -> BTreeSet<CertName> {
    in_force.values().flat_map(|content| content.entries.iter()).map(|entry| entry.name.clone()).collect()
}

fn unconfirmed(label: &str, lost: usize, all: usize) -> Problem {
    let s = |count: usize| if count == 1 { "" } else { "s" };
    let message = format!("this would stop managing {all} certificate{} at once, {lost} of this file", s(all));
    Problem::of_file(label, &message)
        .with_hint("restore the file; only if these certificates are to go, confirm with: systemctl reload renewd")
}

/// A file and what of it is in force as things stand.
struct Candidate<'a> {
    label: Label,
    content: Option<Arc<FileContent>>,
    before: Option<&'a Arc<FileContent>>,
    is_new: bool,
    problems: Vec<Problem>,
}

impl<'a> Candidate<'a> {
    fn new(file: InventoryFile, in_force: &'a InForce) -> Self {
        let before = in_force.get(&file.label);
        match file.content {
            Ok(content) => {
                Self { label: file.label, content: Some(content), before, is_new: true, problems: Vec::new() }
            }
            Err(problems) => Self { label: file.label, content: before.cloned(), before, is_new: false, problems },
        }
    }

    /// Falls back to the content of before, from there to nothing; false: there is no reason to.
    fn refuse(&mut self, problems: Vec<Problem>) -> bool {
        if problems.is_empty() {
            return false;
        }
        self.problems.extend(problems);
        self.content = if self.is_new { self.before.cloned() } else { None };
        self.is_new = false;
        true
    }

    /// Each claim as the file, which is the `file`th, makes it.
    fn made(&self, file: usize) -> impl Iterator<Item = ClaimOf> {
        let claims = self.content.iter().flat_map(|content| content.claims()).enumerate();
        claims.map(move |(at, (claim, line))| ClaimOf { claim, file, at, line })
    }

    /// The problem of a claim that `holder` makes as well.
    fn conflict(&self, made: &ClaimOf, holder: &str, theirs: &ClaimOf) -> Problem {
        let line = theirs.line;
        let (message, expected) = match &made.claim {
            Claim::Name(name) => (
                format!("the name `{name}` is taken by {holder} line {line}"),
                "a name that is unique in the inventory",
            ),
            Claim::Target(target) => (
                format!(
                    "{} is written by {holder} line {line} as well{}",
                    target.path.display(),
                    target.by_another_path(&theirs.claim)
                ),
                "a path of its own for each file",
            ),
        };
        let remedy = "remove it from one of the two files";
        let draft = self.content.as_ref().and_then(|content| content.draft.as_deref());
        // A draft has its claims in the order in which its entries make them.
        match draft.and_then(|draft| Some((draft, draft.places.get(made.at)?))) {
            Some((draft, span)) => {
                let fault = Fault::new(message).expected(expected).hint(remedy);
                Problem::at_location(&self.label, Location::of(&draft.text, span.clone()), fault)
            }
            None => Problem::of_file(&self.label, &format!("line {}: {message}", made.line)).with_hint(remedy),
        }
    }
}

/// Who had each claim before, sorted by claim; the first by label, if the past was in conflict with itself. Of tens of
/// thousands of claims a vector is given back to the system whole, where a tree would leave holes between what stays.
fn holders(in_force: &InForce) -> Vec<(Claim, &str)> {
    let mut holders: Vec<_> =
        in_force.iter().flat_map(|(label, content)| content.claims().map(|(claim, _)| (claim, &**label))).collect();
    holders.sort();
    holders.dedup_by(|later, first| later.0 == first.0);
    holders
}

/// A claim as a file makes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ClaimOf {
    claim: Claim,
    /// Which of the files.
    file: usize,
    /// Which of the file's claims.
    at: usize,
    /// The line where the certificate begins.
    line: u32,
}

fn all_made(standing: &[Candidate<'_>]) -> Vec<ClaimOf> {
    let mut all = Vec::new();
    standing.iter().enumerate().for_each(|(at, file)| all.extend(file.made(at)));
    all.sort();
    all
}

/// Refuses every file that claims what another file had before and still has. A holder keeps its claim whatever becomes
/// of its new content, so that no order among these matters.
fn refuse_against_holders(standing: &mut [Candidate<'_>], holders: &[(Claim, &str)]) -> bool {
    let label = |made: &ClaimOf| standing.get(made.file).map(|file| &*file.label);
    let mut conflicts: Vec<(usize, usize, Problem)> = Vec::new();
    let all = all_made(standing);
    for group in all.chunk_by(|one, other| one.claim == other.claim).filter(|group| group.len() > 1) {
        let Some(claim) = group.first().map(|made| &made.claim) else { continue };
        let Ok(at) = holders.binary_search_by(|(held, _)| held.cmp(claim)) else { continue };
        let Some((_, holder)) = holders.get(at) else { continue };
        let Some(still) = group.iter().find(|made| label(made) == Some(holder)) else { continue };
        for made in group.iter().filter(|made| made.file != still.file) {
            let problem = standing.get(made.file).map(|file| file.conflict(made, holder, still));
            conflicts.extend(problem.map(|problem| (made.file, made.at, problem)));
        }
    }
    refuse(standing, conflicts)
}

/// The first two files that make a claim, where two do.
fn first_two(made: &[ClaimOf]) -> Option<(&ClaimOf, &ClaimOf)> {
    let first = made.first()?;
    let second = made.iter().find(|other| other.file != first.file)?;
    Some((first, second))
}

/// Refuses the first file that claims what an earlier one claims.
fn refuse_latecomer(standing: &mut [Candidate<'_>]) -> bool {
    let all = all_made(standing);
    let pairs: Vec<_> = all.chunk_by(|one, other| one.claim == other.claim).filter_map(first_two).collect();
    let late = pairs.iter().map(|(_, second)| second.file).min();
    let conflict = |(first, second): &(&ClaimOf, &ClaimOf)| {
        let problem = standing.get(second.file)?.conflict(second, &standing.get(first.file)?.label, first);
        Some((second.file, second.at, problem))
    };
    let conflicts = pairs.iter().filter(|(_, second)| Some(second.file) == late).filter_map(conflict).collect();
    refuse(standing, conflicts)
}

/// Refuses files for their problems, each with the number of the file and of its claim; false: there are none.
fn refuse(standing: &mut [Candidate<'_>], mut conflicts: Vec<(usize, usize, Problem)>) -> bool {
    conflicts.sort_by_key(|(file, at, _)| (*file, *at));
    let mut conflicts = conflicts.into_iter().peekable();
    let mut changed = false;
    for (number, file) in standing.iter_mut().enumerate() {
        let of_file = std::iter::from_fn(|| conflicts.next_if(|(of, ..)| *of == number));
        changed |= file.refuse(of_file.map(|(.., problem)| problem).collect());
    }
    changed
}

fn gather(standing: Vec<Candidate<'_>>, hooks: &BTreeMap<HookName, Hook>) -> Inventory {
    let mut inventory = Inventory::default();
    let shared = |name: &HookName| HookKey { file: None, name: name.clone() };
    inventory.hooks.extend(hooks.iter().map(|(name, hook)| (shared(name), hook.clone())));
    for Candidate { label, content, problems, .. } in standing {
        if let Some(content) = content {
            inventory.take(&label, &content, hooks);
        }
        if !problems.is_empty() {
            inventory.refused.insert(label, problems);
        }
    }
    inventory.sort();
    // Built at once, a tree has no half-empty nodes.
    inventory.in_force = std::mem::take(&mut inventory.in_force).into_iter().collect();
    inventory
}
