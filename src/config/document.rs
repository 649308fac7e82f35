//! Whole files as text: `renewd.toml` and the drop-in files. Pure: what is read from the disk comes from `load`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::claim::{Claim, claims};
use super::entries::Entries;
use super::entry::{EntryContext, entry, unknown_hook};
use super::entry_table::{CopyTable, EntryTable, FallbackTable, FilesTable, ProbeTable};
use super::hook::{HookTable, hook_names, hooks};
use super::main_table::{MainTable, complete, main_keys};
use super::rare_names::OtherNamesTable;
use super::settings::Main;
use crate::config::syntax::diagnostics::Diagnostics;
use crate::config::syntax::from_toml::{FromToml, Named, unfit};
use crate::config::syntax::problem::{Fault, Problem};
use crate::config::syntax::table::{Table, read_table, table};
use crate::core::compact::boxed_default::BoxedDefault;
use crate::core::compact::settings::SettingsPool;
use crate::core::name::{CertName, HookName};
use crate::core::wanted::entry::Entry;
use crate::core::wanted::files::Target;
use crate::core::wanted::hook::Hook;

/// What messages call a drop-in file: the directory's name and its own (`certs.d/www.toml`).
pub type Label = Arc<str>;

/// What is in force, by the label of the file that brought it: the last good content of each file.
pub type InForce = BTreeMap<Label, Arc<FileContent>>;

/// What a drop-in file holds, checked.
#[derive(Clone, Debug, Default)]
pub struct FileContent {
    /// Its certificates, in the order of the file.
    pub entries: Entries,
    /// Its own hooks, which no other file sees.
    pub hooks: BoxedDefault<BTreeMap<HookName, Hook>>,
    /// The hooks of `renewd.toml` that its certificates use, as they were when the file was read: a file that stays in
    /// force after it was refused keeps them.
    pub inherited: BoxedDefault<BTreeMap<HookName, Hook>>,
    /// To show where a claim is made that is not granted; what is in force needs it no more.
    pub(super) draft: Option<Box<Draft>>,
}

/// The text that a file was read from.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    /// The text.
    pub(super) text: Box<str>,
    /// Where it makes each claim, in the order of [`FileContent::claims`].
    pub(super) places: Vec<Range<usize>>,
}

/// Both mean the same, wherever their texts are.
impl PartialEq for FileContent {
    fn eq(&self, other: &Self) -> bool {
        (&self.entries, &self.hooks, &self.inherited) == (&other.entries, &other.hooks, &other.inherited)
    }
}

impl FileContent {
    /// The same without the text.
    pub(super) fn without_draft(self: Arc<Self>) -> Arc<Self> {
        if self.draft.is_none() {
            return self;
        }
        Arc::new(Self { draft: None, ..Self::clone(&self) })
    }

    /// What its entries call the file; `None`: there are none.
    #[must_use]
    pub fn label(&self) -> Option<&Label> {
        self.entries.first().map(|entry| &entry.source.file)
    }

    /// Each claim of its certificates, with the line where the certificate begins.
    pub(super) fn claims(&self) -> impl Iterator<Item = (Claim, u32)> {
        self.entries.iter().flat_map(|entry| claims(entry).map(|claim| (claim, entry.source.line)))
    }

    /// Shares terms with other files, as far as nobody has the content yet.
    pub(crate) fn share_terms(&mut self, pool: &mut SettingsPool) {
        for entry in self.entries.iter_mut().filter_map(Arc::get_mut) {
            entry.terms = pool.share(Arc::clone(&entry.terms));
        }
    }
}

table! {
    /// A drop-in file.
    FileTable, "a drop-in file", "[[certificate]]" => EntryTable;
    /// The certificates: [[certificate]] begins one.
    certificate: Certificates,
    /// Hooks for the certificates of this file alone: [hook.NAME] begins one.
    hook: Named<HookTable>,
}

/// `[[certificate]]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Certificates(Vec<Spanned<EntryTable>>);

impl FromToml for Certificates {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        if value.get_ref().is_array() {
            return Vec::read(value, diagnostics).map(Self);
        }
        diagnostics.refuse(value.span(), unfit(value, "[[certificate]], with double brackets, for each certificate"));
        None
    }

    fn schema() -> serde_json::Value {
        Vec::<Spanned<EntryTable>>::schema()
    }
}

impl Main {
    /// The settings of an empty file at `file`: every default.
    #[must_use]
    pub fn new(file: &Path) -> Self {
        complete(MainTable::default(), file, &mut Diagnostics::new("", ""))
    }
}

/// Reads the text of `renewd.toml`, which stands at `file`.
///
/// # Errors
///
/// Every problem of the text, in its order.
pub fn parse_main(file: &Path, text: &str) -> Result<Main, Vec<Problem>> {
    match examine_main_text(file, text) {
        (Some(main), problems) if problems.is_empty() => Ok(main),
        (_, problems) => Err(problems),
    }
}

/// The settings as far as they can be told, and every problem of the text. `None`: the text is no TOML, or it does not
/// tell where the drop-in files are.
pub(super) fn examine_main_text(file: &Path, text: &str) -> (Option<Main>, Vec<Problem>) {
    let label = file.display().to_string();
    let mut diagnostics = Diagnostics::new(&label, text);
    let main = document::<MainTable>(text, &mut diagnostics).and_then(|table| {
        let tells_inventory = table.inventory.is_some() || !table.has("inventory");
        let known = hook_names(table.hook.as_ref());
        for hook in table.defaults.iter().filter_map(|defaults| defaults.get_ref().hooks.as_ref()) {
            for hook in hook.get_ref().iter().filter(|hook| !known.contains(hook.get_ref())) {
                diagnostics.refuse(hook.span(), unknown_hook(hook.get_ref(), &known));
            }
        }
        let main = complete(table, file, &mut diagnostics);
        tells_inventory.then_some(main)
    });
    (main, diagnostics.finish())
}

/// Reads the text of a drop-in file, which messages and entries call `label`.
///
/// # Errors
///
/// Every problem of the text, in its order: the file is taken or refused whole.
pub fn parse_inventory_file(main: &Main, label: &str, text: &str) -> Result<FileContent, Vec<Problem>> {
    let mut diagnostics = Diagnostics::new(label, text);
    let content = document::<FileTable>(text, &mut diagnostics).map(|table| content(table, main, &mut diagnostics));
    outcome(content, diagnostics)
}

fn content(table: FileTable, main: &Main, diagnostics: &mut Diagnostics<'_>) -> FileContent {
    let mut known = hook_names(table.hook.as_ref());
    known.extend(main.hook_names.iter().cloned());
    let hooks = hooks(table.hook, diagnostics);
    let around = EntryContext { main, hooks: &known, label: diagnostics.label().into() };
    let tables = table.certificate.map(|tables| tables.into_inner().0).unwrap_or_default();
    let mut entries = Vec::with_capacity(tables.len());
    let mut taken = Claims::default();
    let mut pool = SettingsPool::default();
    for table in &tables {
        let Some(mut entry) = entry(table, &around, diagnostics) else { continue };
        entry.terms = pool.share(entry.terms);
        taken.take(&entry, table, diagnostics);
        entries.push(Arc::new(entry));
    }
    let inherited = inherited(&entries, &hooks, main);
    let draft = Draft { text: diagnostics.text().into(), places: taken.places };
    let (hooks, inherited) = (hooks.into(), inherited.into());
    FileContent { entries: entries.into(), hooks, inherited, draft: Some(Box::new(draft)) }
}

/// What the entries of one file have taken so far: a second claim is a problem.
#[derive(Default)]
struct Claims {
    /// Each claim, with the name and the line of the entry that has it.
    holders: BTreeMap<Claim, (CertName, u32)>,
    places: Vec<Range<usize>>,
}

impl Claims {
    fn take(&mut self, entry: &Entry, table: &Spanned<EntryTable>, diagnostics: &mut Diagnostics<'_>) {
        for (claim, span) in claims(entry).zip(places(entry, table)) {
            self.places.push(span.clone());
            let earlier = self.holders.get_key_value(&claim).map(|(earlier, _)| earlier.clone());
            let holder = self.holders.insert(claim.clone(), (entry.name.clone(), entry.source.line));
            let (Some(earlier), Some((name, line))) = (earlier, holder) else { continue };
            let fault = match claim {
                Claim::Name(name) => Fault::new(format!("the certificate of line {line} is named `{name}` as well"))
                    .expected("a name that is unique in the inventory"),
                // Within one entry it was noted when its files were compared.
                Claim::Target(target) if name == entry.name && target.by_another_path(&earlier).is_empty() => continue,
                Claim::Target(target) => {
                    let how = target.by_another_path(&earlier);
                    Fault::new(format!("certificate `{name}` of line {line} writes the same file{how}"))
                        .expected("a path of its own for each file")
                }
            };
            diagnostics.refuse(span, fault);
        }
    }
}

/// The places of an entry's claims in the text: the header's where one comes from `[defaults]`.
fn places(entry: &Entry, table: &Spanned<EntryTable>) -> impl Iterator<Item = Range<usize>> {
    let own = table.get_ref();
    let name = own.name.as_ref().map_or_else(|| table.span(), Spanned::span);
    let place = move |target: Target<'_>| {
        let found = own.target(target.placement.number, target.key);
        found.map_or_else(|| table.span(), |path| path.span())
    };
    std::iter::once(name).chain(entry.targets().map(place))
}

fn inherited(entries: &[Arc<Entry>], own: &BTreeMap<HookName, Hook>, main: &Main) -> BTreeMap<HookName, Hook> {
    let used = entries.iter().flat_map(|entry| &entry.hooks).filter(|name| !own.contains_key(*name));
    used.filter_map(|name| Some((name.clone(), main.hooks.get(name)?.clone()))).collect()
}

/// Every key of the configuration, by the table that it belongs to; the tables of drop-in files come last.
#[must_use]
pub fn known_keys() -> Vec<(&'static str, &'static [&'static str])> {
    let mut tables = main_keys();
    tables.push(("certificate", EntryTable::KEYS));
    tables.push(("certificate.files", FilesTable::KEYS));
    tables.push(("certificate.copy", CopyTable::KEYS));
    tables.push(("certificate.probe", ProbeTable::KEYS));
    tables.push(("certificate.fallback", FallbackTable::KEYS));
    tables.push(("certificate.other_names", OtherNamesTable::KEYS));
    tables
}

/// The table of a text; `None` where it is no TOML. Of such a text the lines that can be understood are checked as well.
fn document<T: Table>(text: &str, diagnostics: &mut Diagnostics<'_>) -> Option<T> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(read_table(table.get_ref(), diagnostics));
    }
    for error in errors {
        diagnostics.refuse(error.span().unwrap_or_default(), syntax(error.message()));
    }
    diagnostics.on_clean_lines(|diagnostics| drop(read_table::<T>(table.get_ref(), diagnostics)));
    None
}

/// What the parser says, and what to do about it.
fn syntax(said: &str) -> Fault {
    let (message, expected) = said.split_once(", expected ").map_or((said, None), |(said, rest)| (said, Some(rest)));
    let fault = Fault::new(message);
    match (message, expected) {
        ("unexpected leading zero", _) => fault.expected("a mode in quotes, such as \"0640\""),
        ("duplicate key", _) => fault.expected("each key and each [table] once"),
        (_, Some(expected)) if expected != "nothing" => fault.expected(expected),
        (_, _) => fault,
    }
}

/// The value, unless there was a problem.
fn outcome<T>(value: Option<T>, diagnostics: Diagnostics<'_>) -> Result<T, Vec<Problem>> {
    let label = diagnostics.label().to_owned();
    let problems = diagnostics.finish();
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        Some(_) => Err(problems),
        None if problems.is_empty() => Err(vec![Problem::of_file(&label, "the file cannot be understood")]),
        None => Err(problems),
    }
}
