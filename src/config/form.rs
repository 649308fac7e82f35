//! How the content of a drop-in file is written where it is kept: what its entries have in common once.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::document::FileContent;
use crate::core::compact::boxed_default::BoxedDefault;
use crate::core::compact::packed_names::Naming;
use crate::core::compact::settings::EntrySettings;
use crate::core::name::{CertName, HookName};
use crate::core::wanted::entry::{Entry, Probe, Sans, Source};
use crate::core::wanted::files::FixedFiles;
use crate::core::wanted::hook::Hook;

#[derive(Serialize, Deserialize)]
struct Form<'a> {
    /// The label of the file.
    file: Cow<'a, str>,
    terms: Vec<Arc<EntrySettings>>,
    entries: Vec<Row<'a>>,
    hooks: Cow<'a, BTreeMap<HookName, Hook>>,
    inherited: Cow<'a, BTreeMap<HookName, Hook>>,
}

#[derive(Serialize, Deserialize)]
struct Row<'a> {
    name: Cow<'a, CertName>,
    line: u32,
    /// Which of the file's terms are meant.
    terms: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seat: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    common_name: Option<String>,
    names: Sans,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    probes: Option<Cow<'a, BoxedDefault<Vec<Probe>>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<Cow<'a, BoxedDefault<FixedFiles>>>,
}

impl<'a> Row<'a> {
    fn new(entry: &'a Entry, terms: usize) -> Self {
        let Naming { own_seat, common_name, names } = Naming::from(&entry.naming);
        Self {
            name: Cow::Borrowed(&entry.name),
            line: entry.source.line,
            terms,
            seat: own_seat,
            common_name,
            names,
            probes: (entry.probes != BoxedDefault::default()).then_some(Cow::Borrowed(&entry.probes)),
            files: (entry.files != BoxedDefault::default()).then_some(Cow::Borrowed(&entry.files)),
        }
    }

    fn entry(self, file: &Arc<str>, terms: &[Arc<EntrySettings>]) -> Option<Entry> {
        Some(Entry {
            name: self.name.into_owned(),
            source: Source { file: Arc::clone(file), line: self.line },
            naming: Naming { own_seat: self.seat, common_name: self.common_name, names: self.names }.into(),
            probes: self.probes.map(Cow::into_owned).unwrap_or_default(),
            files: self.files.map(Cow::into_owned).unwrap_or_default(),
            terms: Arc::clone(terms.get(self.terms)?),
        })
    }
}

impl Serialize for FileContent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut terms: Vec<Arc<EntrySettings>> = Vec::new();
        let mut place = |entry: &Entry| {
            // Of a file in which all are different only the latest are compared with, so that it costs no square.
            let latest = terms.len().saturating_sub(LATEST);
            let known = terms.iter().skip(latest).position(|known| Arc::ptr_eq(known, &entry.terms));
            known.map_or_else(
                || {
                    terms.push(Arc::clone(&entry.terms));
                    terms.len() - 1
                },
                |at| latest + at,
            )
        };
        let entries = self.entries.iter().map(|entry| Row::new(entry, place(entry))).collect();
        let file = self.label().map_or("", |label| label);
        let (hooks, inherited) = (Cow::Borrowed(&*self.hooks), Cow::Borrowed(&*self.inherited));
        Form { file: file.into(), terms, entries, hooks, inherited }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for FileContent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Form { file, terms, entries, hooks, inherited } = Form::deserialize(deserializer)?;
        let file = file.into();
        // Made anew: the rows' own memory is many times as large.
        let mut complete = Vec::with_capacity(entries.len());
        for row in entries {
            let entry = row.entry(&file, &terms);
            complete.push(Arc::new(
                entry.ok_or_else(|| serde::de::Error::custom("an entry names terms that are not there"))?,
            ));
        }
        let (hooks, inherited) = (hooks.into_owned().into(), inherited.into_owned().into());
        Ok(Self { entries: complete.into(), hooks, inherited, draft: None })
    }
}

const LATEST: usize = 16;
