//! From TOML's values to valid values, each with its place. Reads on after a bad value, so that every defect is told;
//! serde, which ends at the first one, is not used for this.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Fault, quoted};
use super::schema;
use crate::config::syntax::diagnostics::Diagnostics;
use crate::core::name::HookName;
use crate::core::wanted::entry::Value;

/// A type that can be read from a TOML value.
pub(in crate::config) trait FromToml: Sized {
    /// Reads `value`; `None` after a problem was noted.
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self>;

    /// The JSON Schema of what can be read: it refuses nothing that [`Self::read`] takes.
    fn schema() -> serde_json::Value;

    /// This value where `default` is the one of `[defaults]`: tables are joined key by key, all else replaces it.
    fn over(self, _default: &Self) -> Self {
        self
    }
}

/// A type that is written as a string.
pub(in crate::config) trait FromText: Sized {
    /// What belongs there.
    fn expected() -> String;

    /// Reads `text`.
    fn from_text(text: &str) -> Result<Self, Fault>;

    /// The words that it may be, where they are few.
    fn words() -> Vec<&'static str> {
        Vec::new()
    }

    /// What it may look like beside those words, as a regular expression of JavaScript.
    fn pattern() -> Option<String> {
        None
    }
}

impl<T: FromText> FromToml for T {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let Some(text) = value.get_ref().as_str() else {
            diagnostics.refuse(value.span(), unfit(value, T::expected()));
            return None;
        };
        match T::from_text(text) {
            Ok(read) => Some(read),
            Err(fault) if fault.says_expected() => refused(value.span(), fault, diagnostics),
            Err(fault) => refused(value.span(), fault.expected(T::expected()), diagnostics),
        }
    }

    fn schema() -> serde_json::Value {
        schema::of_text::<T>()
    }
}

fn refused<T>(span: Range<usize>, fault: Fault, diagnostics: &mut Diagnostics<'_>) -> Option<T> {
    diagnostics.refuse(span, fault);
    None
}

/// A value of another type than the one that belongs there.
pub(in crate::config) fn unfit(value: &Spanned<DeValue<'_>>, expected: impl Into<String>) -> Fault {
    let found = match value.get_ref() {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Fault::new(format!("{found} does not belong here")).expected(expected)
}

/// Any text but an empty one or one with control characters.
impl FromText for String {
    fn expected() -> String {
        "a string".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let fault = |message| Err(Fault::new(message).expected("some text on one line"));
        if text.trim().is_empty() {
            return fault("the text is empty");
        }
        if text.chars().any(char::is_control) {
            return fault("the text has a line break or another control character");
        }
        Ok(text.to_owned())
    }

    fn pattern() -> Option<String> {
        Some(r"\S".to_owned())
    }
}

impl FromToml for bool {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let read = value.get_ref().as_bool();
        if read.is_none() {
            diagnostics.refuse(value.span(), unfit(value, "true or false"));
        }
        read
    }

    fn schema() -> serde_json::Value {
        json!({"type": "boolean"})
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Number<const MIN: u32, const MAX: u32>(pub(in crate::config) u32);

impl<const MIN: u32, const MAX: u32> FromToml for Number<MIN, MAX> {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let expected = format!("a whole number from {MIN} to {MAX}");
        let Some(number) = value.get_ref().as_integer() else {
            return refused(value.span(), unfit(value, expected), diagnostics);
        };
        match u32::from_str_radix(number.as_str(), number.radix()) {
            Ok(read) if (MIN..=MAX).contains(&read) => Some(Self(read)),
            Ok(_) | Err(_) => {
                let fault = Fault::new(format!("{number} is out of range")).expected(expected);
                refused(value.span(), fault, diagnostics)
            }
        }
    }

    fn schema() -> serde_json::Value {
        json!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}

impl<T: FromToml> FromToml for Vec<Spanned<T>> {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let Some(items) = value.get_ref().as_array() else {
            return refused(value.span(), unfit(value, "a list in brackets"), diagnostics);
        };
        let read = |item: &Spanned<DeValue<'_>>| Some(Spanned::new(item.span(), T::read(item, diagnostics)?));
        let items: Vec<_> = items.iter().map(read).collect();
        items.into_iter().collect()
    }

    fn schema() -> serde_json::Value {
        json!({"type": "array", "items": T::schema()})
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct OneOrMany<T>(pub(in crate::config) Vec<Spanned<T>>);

impl<T: FromToml> FromToml for OneOrMany<T> {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        if value.get_ref().is_array() {
            return Vec::read(value, diagnostics).map(Self);
        }
        T::read(value, diagnostics).map(|read| Self(vec![Spanned::new(value.span(), read)]))
    }

    fn schema() -> serde_json::Value {
        json!({"anyOf": [T::schema(), {"type": "array", "items": T::schema()}]})
    }
}

/// Tables under names that the operator chose.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) struct Named<T>(pub(in crate::config) BTreeMap<HookName, Spanned<T>>);

impl<T: FromToml> FromToml for Named<T> {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let table = table(value, "a table for each name, such as `[hook.nginx]`", diagnostics)?;
        let mut named = BTreeMap::new();
        for (key, value) in table {
            let read = T::read(value, diagnostics);
            match key.get_ref().parse::<HookName>() {
                Ok(name) => named.extend(read.map(|read| (name, Spanned::new(value.span(), read)))),
                Err(invalid) => diagnostics.refuse(key.span(), not_a_name(key.get_ref(), &invalid.to_string())),
            }
        }
        Some(Self(named))
    }

    fn schema() -> serde_json::Value {
        let name = <HookName as FromText>::pattern();
        json!({"type": "object", "propertyNames": {"pattern": name}, "additionalProperties": T::schema()})
    }
}

/// A name that breaks the rule `rule`.
pub(in crate::config) fn not_a_name(text: &str, rule: &str) -> Fault {
    Fault::new(format!("{} is not a valid name", quoted(text))).hint(rule)
}

/// A value that is handed through to TLM.
impl FromToml for Value {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(text) => Some(Self::String(text.clone().into_owned())),
            DeValue::Boolean(truth) => Some(Self::Bool(*truth)),
            DeValue::Integer(number) => {
                let read = i64::from_str_radix(number.as_str(), number.radix()).ok();
                read.map(Self::Integer).or_else(|| out_of_range(value, diagnostics))
            }
            DeValue::Float(number) => {
                let read = number.as_str().parse().ok().filter(|number: &f64| number.is_finite());
                read.map(Self::Float).or_else(|| out_of_range(value, diagnostics))
            }
            DeValue::Datetime(_) => refused(value.span(), unfit(value, "the date in quotes"), diagnostics),
            DeValue::Array(_) => Vec::read(value, diagnostics).map(|items| Self::Array(bare(items))),
            DeValue::Table(_) => BTreeMap::read(value, diagnostics).map(Self::Table),
        }
    }

    fn schema() -> serde_json::Value {
        json!({"description": "Text, a number, true or false, a list or a table."})
    }
}

fn out_of_range<T>(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<T> {
    refused(value.span(), Fault::new("the number is out of range").expected("a number of at most 64 bits"), diagnostics)
}

impl FromToml for BTreeMap<String, Value> {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let table = table(value, "a table", diagnostics)?;
        let read = |(key, value): (&Spanned<_>, &_)| Some((key_text(key), Value::read(value, diagnostics)?));
        let pairs: Vec<_> = table.iter().map(read).collect();
        pairs.into_iter().collect()
    }

    fn schema() -> serde_json::Value {
        json!({"type": "object"})
    }

    fn over(mut self, default: &Self) -> Self {
        for (key, value) in default {
            self.entry(key.clone()).or_insert_with(|| value.clone());
        }
        self
    }
}

fn key_text(key: &Spanned<std::borrow::Cow<'_, str>>) -> String {
    key.get_ref().clone().into_owned()
}

/// The values without their places.
pub(in crate::config) fn bare<T>(items: Vec<Spanned<T>>) -> Vec<T> {
    items.into_iter().map(Spanned::into_inner).collect()
}

/// The table that `value` is.
pub(in crate::config) fn table<'v, 't>(
    value: &'v Spanned<DeValue<'t>>,
    expected: &str,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<&'v DeTable<'t>> {
    let table = value.get_ref().as_table();
    if table.is_none() {
        diagnostics.refuse(value.span(), unfit(value, expected));
    }
    table
}

/// One of the `words`, each with what it means.
pub(in crate::config) fn one_of<T: Copy>(text: &str, words: &[(&'static str, T)]) -> Result<T, Fault> {
    let found = words.iter().find(|(word, _)| *word == text);
    let fault =
        || Fault::new(format!("{} is not known here", quoted(text))).nearest(text, words.iter().map(|(w, _)| *w));
    found.map(|(_, meaning)| *meaning).ok_or_else(fault)
}

/// The words as a message lists them.
pub(in crate::config) fn listed<'w>(words: impl IntoIterator<Item = &'w str>) -> String {
    let words: Vec<_> = words.into_iter().map(|word| format!("\"{word}\"")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}
