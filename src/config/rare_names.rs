//! Names of the kinds that few certificates have, and the values of custom extensions, as an entry writes them.

use std::collections::BTreeMap;

use serde_json::json;
use toml::Spanned;
use toml::de::DeValue;

use crate::config::syntax::diagnostics::Diagnostics;
use crate::config::syntax::from_toml::{FromText, FromToml, bare, table, unfit};
use crate::config::syntax::problem::{Fault, all_visible, quoted};
use crate::config::syntax::table::table;
use crate::core::wanted::dn;
use crate::core::wanted::entry::{OtherName, OtherValue, Value};

/// A user principal name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UserPrincipalName(pub(super) String);

impl FromText for UserPrincipalName {
    fn expected() -> String {
        "a user principal name, such as \"host$@corp.example.com\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        all_visible(text)?;
        let is_part = |part: &str| !part.is_empty() && !part.chars().any(|c| c.is_whitespace() || c.is_control());
        match text.split_once('@') {
            Some((user, domain)) if is_part(user) && is_part(domain) && !domain.contains('@') => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(Fault::new(format!("{} is not a user principal name", quoted(text)))),
        }
    }

    fn pattern() -> Option<String> {
        Some(r"^[^@\s]+@[^@\s]+$".to_owned())
    }
}

/// An object identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectId(pub(super) String);

impl FromText for ObjectId {
    fn expected() -> String {
        "an object identifier in numbers, such as \"1.3.6.1.4.1.99999.1\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let fault = || Fault::new(format!("{} is not an object identifier", quoted(text)));
        if dn::is_oid(text) { Ok(Self(text.to_owned())) } else { Err(fault()) }
    }

    fn pattern() -> Option<String> {
        Some(r"^[0-2](\.[0-9]+)+$".to_owned())
    }
}

/// A distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DirectoryName(pub(super) String);

impl FromText for DirectoryName {
    fn expected() -> String {
        "a distinguished name, such as \"CN=host,OU=Servers,O=Example AG\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let text = String::from_text(text)?;
        all_visible(&text)?;
        match dn::parse(&text) {
            Some(_) => Ok(Self(text)),
            None => Err(Fault::new(format!("{} is not a distinguished name", quoted(&text)))),
        }
    }

    fn pattern() -> Option<String> {
        Some(r"^\s*[A-Za-z0-9._]+\s*=".to_owned())
    }
}

/// A GUID, with or without braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guid(pub(super) String);

impl FromText for Guid {
    fn expected() -> String {
        "a GUID, such as \"1b671a64-40d5-491e-99b0-da01ff1f3341\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let inner = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).unwrap_or(text);
        let is_guid = inner.len() == 36
            && inner.bytes().enumerate().all(|(at, c)| match at {
                8 | 13 | 18 | 23 => c == b'-',
                _ => c.is_ascii_hexdigit(),
            });
        let fault = || Fault::new(format!("{} is not a GUID", quoted(text)));
        if is_guid { Ok(Self(inner.to_ascii_lowercase())) } else { Err(fault()) }
    }

    fn pattern() -> Option<String> {
        Some(r"^\{?[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\}?$".to_owned())
    }
}

table! {
    /// `other_names`.
    OtherNamesTable, "`other_names`";
    /// GUIDs of Microsoft's directory.
    guid: Vec<Spanned<Guid>> = "[]" => "[\"1b671a64-40d5-491e-99b0-da01ff1f3341\"]",
    /// Names of any other type.
    raw_other_names: Vec<Spanned<RawOtherName>> = "[]" => "[{ oid = \"1.3.6.1.4.1.99999.1\", values = [{ label = \"site\", value = \"ZRH\" }] }]",
}

table! {
    /// A name of another type.
    RawTable, "a name of `raw_other_names`", where json!({"required": ["oid", "values"]});
    /// Its type.
    oid: ObjectId => "\"1.3.6.1.4.1.99999.1\"",
    /// Its values, under the labels that the profile gives them.
    values: Vec<Spanned<LabelledValue>> => "[{ label = \"site\", value = \"ZRH\" }]",
}

table! {
    /// A value of such a name.
    ValueTable, "a value of `raw_other_names`", where json!({"required": ["value"]});
    /// What the profile calls it.
    label: String => "\"site\"",
    /// The value.
    value: String => "\"ZRH\"",
}

/// [`RawTable`], complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawOtherName(pub(super) OtherName);

impl FromToml for RawOtherName {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let table = RawTable::read(value, diagnostics)?;
        if !has(&table, "oid", value, diagnostics) || !has(&table, "values", value, diagnostics) {
            return None;
        }
        let values = bare(table.values?.into_inner()).into_iter().map(|value| value.0).collect();
        Some(Self(OtherName { oid: table.oid?.into_inner().0, values }))
    }

    fn schema() -> serde_json::Value {
        RawTable::schema()
    }
}

/// [`ValueTable`], complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LabelledValue(pub(super) OtherValue);

impl FromToml for LabelledValue {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let table = ValueTable::read(value, diagnostics)?;
        if !has(&table, "value", value, diagnostics) {
            return None;
        }
        let (label, value) = (table.label.map(Spanned::into_inner).unwrap_or_default(), table.value?);
        if let Err(fault) = all_visible(value.get_ref()) {
            diagnostics.refuse(value.span(), fault);
            return None;
        }
        Some(Self(OtherValue { label, value: value.into_inner() }))
    }

    fn schema() -> serde_json::Value {
        ValueTable::schema()
    }
}

/// Whether a table has a key that it needs; notes where it has not.
fn has<T: crate::config::syntax::table::Table>(
    table: &T,
    key: &str,
    value: &Spanned<DeValue<'_>>,
    diagnostics: &mut Diagnostics<'_>,
) -> bool {
    let has = table.has(key);
    if !has {
        diagnostics.refuse(value.span(), Fault::new(format!("the name has no `{key}`")).expected(format!("`{key}`")));
    }
    has
}

/// Values for the placeholders of custom extensions: flat.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct CustomValues(pub(super) BTreeMap<String, Value>);

impl FromToml for CustomValues {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let table = table(value, "a table, such as { user_id = 42 }", diagnostics)?;
        let mut values = BTreeMap::new();
        for (key, value) in table {
            if value.get_ref().is_array() || value.get_ref().is_table() {
                diagnostics.refuse(value.span(), unfit(value, "text, a number, true or false: custom values are flat"));
            } else if let Some(read) = Value::read(value, diagnostics) {
                values.insert(key.get_ref().clone().into_owned(), read);
            }
        }
        Some(Self(values))
    }

    fn schema() -> serde_json::Value {
        json!({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}})
    }

    fn over(self, default: &Self) -> Self {
        Self(self.0.over(&default.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rare_kinds_are_checked() {
        for good in ["host@corp.example", "HOST$@corp", "jürg@corp.example"] {
            assert!(UserPrincipalName::from_text(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\u{a0}c"] {
            assert!(UserPrincipalName::from_text(bad).is_err(), "{bad}");
        }
        assert!(DirectoryName::from_text("CN=host,O=Example AG").is_ok());
        for bad in ["", "host", "CN=", "XY=a"] {
            assert!(DirectoryName::from_text(bad).is_err(), "{bad}");
        }
        let guid = |text: &str| Guid::from_text(text).ok().map(|guid| guid.0);
        let plain = "1b671a64-40d5-491e-99b0-da01ff1f3341";
        assert_eq!(guid("{1B671A64-40D5-491E-99B0-DA01FF1F3341}").as_deref(), Some(plain));
        assert_eq!([guid("{1b671a64-40d5-491e-99b0-da01ff1f3341"), guid("1b671a64"), guid("")], [None, None, None]);
    }
}
