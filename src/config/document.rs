//! Whole files as text: `renewd.toml` and the drop-in files. Pure: what is read from the disk comes from `load`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::entry::{Surroundings, entry, unknown_hook};
use super::entry_table::{EntryTable, FilesTable, ProbeTable};
use super::hook::{HookTable, hooks};
use super::main_table::{MainTable, complete, main_keys};
use super::problem::{Fault, Problem};
use super::read::{FromToml, Named, unfit};
use super::settings::Main;
use super::sheet::Sheet;
use super::table::{Table, read_table, table};
use crate::core::entry::Entry;
use crate::core::hook::Hook;
use crate::core::name::HookName;

/// What a drop-in file holds, checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FileContent {
    /// Its certificates, in the order of the file.
    pub entries: Vec<Entry>,
    /// Its own hooks, which no other file sees.
    pub hooks: BTreeMap<HookName, Hook>,
    /// The hooks of `renewd.toml` that its certificates use, as they were when the file was read: a file that stays in
    /// force after it was refused keeps them.
    pub inherited: BTreeMap<HookName, Hook>,
}

table! {
    /// A drop-in file.
    FileTable, "a drop-in file", "[[certificate]]" => EntryTable;
    certificate: Certificates,
    hook: Named<HookTable>,
}

/// `[[certificate]]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Certificates(Vec<Spanned<EntryTable>>);

impl FromToml for Certificates {
    fn read(value: &Spanned<DeValue<'_>>, sheet: &mut Sheet<'_>) -> Option<Self> {
        if value.get_ref().is_array() {
            return Vec::read(value, sheet).map(Self);
        }
        sheet.refuse(value.span(), unfit(value, "[[certificate]], with double brackets, for each certificate"));
        None
    }
}

impl Main {
    /// The settings of an empty file at `file`: every default.
    #[must_use]
    pub fn new(file: &Path) -> Self {
        complete(MainTable::default(), file, &mut Sheet::new("", ""))
    }
}

/// Reads the text of `renewd.toml`, which stands at `file`.
///
/// # Errors
///
/// Every problem of the text, in its order.
pub fn parse_main(file: &Path, text: &str) -> Result<Main, Vec<Problem>> {
    let label = file.display().to_string();
    let mut sheet = Sheet::new(&label, text);
    let main = document::<MainTable>(text, &mut sheet).map(|table| {
        let known = hook_names(table.hook.as_ref());
        for hook in table.defaults.iter().filter_map(|defaults| defaults.get_ref().hooks.as_ref()) {
            for hook in hook.get_ref().iter().filter(|hook| !known.contains(hook.get_ref())) {
                sheet.refuse(hook.span(), unknown_hook(hook.get_ref(), &known));
            }
        }
        complete(table, file, &mut sheet)
    });
    outcome(main, sheet)
}

/// Reads the text of a drop-in file, which messages and entries call `label`.
///
/// # Errors
///
/// Every problem of the text, in its order: the file is taken or refused whole.
pub fn parse_inventory_file(main: &Main, label: &str, text: &str) -> Result<FileContent, Vec<Problem>> {
    let mut sheet = Sheet::new(label, text);
    let content = document::<FileTable>(text, &mut sheet).map(|table| content(table, main, &mut sheet));
    outcome(content, sheet)
}

fn content(table: FileTable, main: &Main, sheet: &mut Sheet<'_>) -> FileContent {
    let mut known = hook_names(table.hook.as_ref());
    known.extend(main.hooks.keys().cloned());
    let hooks = hooks(table.hook, sheet);
    let around = Surroundings { main, hooks: &known };
    let tables = table.certificate.map(|tables| tables.into_inner().0).unwrap_or_default();
    let mut entries = Vec::with_capacity(tables.len());
    let mut claimed = Claimed::default();
    for table in &tables {
        let Some(entry) = entry(table, &around, sheet) else { continue };
        claimed.claim(&entry, table, sheet);
        entries.push(entry);
    }
    let inherited = inherited(&entries, &hooks, main);
    FileContent { entries, hooks, inherited }
}

/// What the entries of one file have taken so far: a second claim is a problem.
#[derive(Default)]
struct Claimed {
    names: BTreeMap<String, u32>,
    targets: BTreeMap<PathBuf, String>,
}

impl Claimed {
    fn claim(&mut self, entry: &Entry, table: &Spanned<EntryTable>, sheet: &mut Sheet<'_>) {
        if let Some(line) = self.names.insert(entry.name.as_str().to_owned(), entry.source.line) {
            let span = table.get_ref().name.as_ref().map_or_else(|| table.span(), Spanned::span);
            let fault = Fault::new(format!("the certificate of line {line} is named `{}` as well", entry.name));
            sheet.refuse(span, fault.expected("a name that is unique in the inventory"));
        }
        let own = table.get_ref().files.as_ref().map(Spanned::get_ref);
        for (key, path) in entry.files.targets() {
            let Some(owner) = self.targets.insert(path.clone(), entry.name.to_string()) else { continue };
            if owner == entry.name.as_str() {
                continue;
            }
            let span = own.and_then(|files| files.targets().find(|(own, _)| *own == key).map(|(_, path)| path.span()));
            let fault = Fault::new(format!("certificate `{owner}` writes the same file"));
            sheet.refuse(span.unwrap_or_else(|| table.span()), fault.expected("a path of its own for each file"));
        }
    }
}

fn inherited(entries: &[Entry], own: &BTreeMap<HookName, Hook>, main: &Main) -> BTreeMap<HookName, Hook> {
    let used = entries.iter().flat_map(|entry| &entry.hooks).filter(|name| !own.contains_key(*name));
    used.filter_map(|name| Some((name.clone(), main.hooks.get(name)?.clone()))).collect()
}

fn hook_names(hooks: Option<&Spanned<Named<HookTable>>>) -> BTreeSet<HookName> {
    hooks.into_iter().flat_map(|hooks| hooks.get_ref().0.keys().cloned()).collect()
}

/// Every key of the configuration, by the table that it belongs to; the tables of drop-in files come last.
#[must_use]
pub fn known_keys() -> Vec<(&'static str, &'static [&'static str])> {
    let mut tables = main_keys();
    tables.push(("certificate", EntryTable::KEYS));
    tables.push(("certificate.files", FilesTable::KEYS));
    tables.push(("certificate.probe", ProbeTable::KEYS));
    tables
}

/// The table of a text; `None` where it is no TOML.
fn document<T: Table>(text: &str, sheet: &mut Sheet<'_>) -> Option<T> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(read_table(table.get_ref(), sheet));
    }
    for error in errors {
        let fault = match error.message().split_once(", expected ") {
            Some((message, expected)) => Fault::new(message).expected(expected),
            None => Fault::new(error.message()),
        };
        sheet.refuse(error.span().unwrap_or_default(), fault);
    }
    None
}

/// The value, unless there was a problem.
fn outcome<T>(value: Option<T>, sheet: Sheet<'_>) -> Result<T, Vec<Problem>> {
    let label = sheet.label().to_owned();
    let problems = sheet.finish();
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        Some(_) => Err(problems),
        None if problems.is_empty() => Err(vec![Problem::of_file(&label, "the file cannot be understood")]),
        None => Err(problems),
    }
}
