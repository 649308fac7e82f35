//! The subject as an entry writes it: TLM's attribute names, each with one value or a list.

use serde_json::{Map, Value, json};
use toml::Spanned;
use toml::de::DeValue;

use crate::config::syntax::diagnostics::Diagnostics;
use crate::config::syntax::from_toml::{FromText, FromToml, OneOrMany, table};
use crate::config::syntax::problem::{Fault, all_visible, quoted};
use crate::core::wanted::subject::{Subject, SubjectAttribute};
use crate::pki::unicode::composed;

/// A common name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct CommonName(pub(in crate::config) String);

impl FromText for CommonName {
    fn expected() -> String {
        "the common name, such as \"www.example.com\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let name = composed(&String::from_text(text)?).into_owned();
        all_visible(&name)?;
        check_length(SubjectAttribute::CommonName, &name)?;
        no_dot_at_end(&name)?;
        Ok(Self(name))
    }
}

/// Refuses the name of a host with a dot at its end: to TLM it is another name, and another seat.
fn no_dot_at_end(name: &str) -> Result<(), Fault> {
    let is_host = |host: &str| host.contains('.') && !host.ends_with('.') && !host.contains(char::is_whitespace);
    if name.strip_suffix('.').is_some_and(is_host) {
        return Err(Fault::new(format!("{} ends in a dot", quoted(name))).hint("leave out the dot at the end"));
    }
    Ok(())
}

/// A seat id: any text but the name of a host with a dot at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct SeatId(pub(in crate::config) String);

impl FromText for SeatId {
    fn expected() -> String {
        "a seat id, such as \"www.example.com\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let seat = String::from_text(text)?;
        all_visible(&seat)?;
        no_dot_at_end(&seat)?;
        Ok(Self(seat))
    }

    fn pattern() -> Option<String> {
        String::pattern()
    }
}

impl FromToml for Subject {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let table = table(value, "a table, such as { organization_name = \"Example AG\" }", diagnostics)?;
        let mut subject = Self::new();
        for (key, value) in table {
            match attribute(key.get_ref()) {
                Ok(attribute) => {
                    let values = OneOrMany::<String>::read(value, diagnostics)
                        .map(|values| checked(attribute, values, diagnostics));
                    if values.as_ref().is_some_and(|values| values.len() > 1) && !attribute.is_list() {
                        diagnostics.refuse(
                            value.span(),
                            Fault::new(format!("`{attribute}` has one value")).expected("a string"),
                        );
                    }
                    subject.insert(attribute, values.unwrap_or_default());
                }
                Err(fault) => diagnostics.refuse(key.span(), fault),
            }
        }
        Some(subject)
    }

    fn schema() -> Value {
        let own = |attribute: &&SubjectAttribute| **attribute != SubjectAttribute::CommonName;
        let attributes = SubjectAttribute::ALL.iter().filter(own);
        let attributes: Map<String, Value> =
            attributes.map(|attribute| (attribute.key().to_owned(), schema_of(*attribute))).collect();
        json!({"type": "object", "additionalProperties": false, "properties": attributes})
    }

    fn over(mut self, default: &Self) -> Self {
        for (attribute, values) in default {
            self.entry(*attribute).or_insert_with(|| values.clone());
        }
        self
    }
}

/// One value, a list of one, or, where TLM takes several, a list.
fn schema_of(attribute: SubjectAttribute) -> Value {
    let mut value = json!({"type": "string", "pattern": String::pattern()});
    if attribute == SubjectAttribute::Country {
        value = json!({"type": "string", "pattern": "^[A-Za-z]{2}$"});
    }
    let limits = [("maxLength", attribute.max_length())];
    for (key, limit) in limits.into_iter().filter_map(|(key, limit)| Some((key, limit?))) {
        value.as_object_mut().map(|value| value.insert(key.to_owned(), limit.into()));
    }
    let mut list = json!({"type": "array", "items": value});
    if !attribute.is_list() {
        list.as_object_mut().map(|list| list.insert("maxItems".to_owned(), 1.into()));
    }
    json!({"anyOf": [value, list]})
}

fn attribute(key: &str) -> Result<SubjectAttribute, Fault> {
    let known = || SubjectAttribute::ALL.iter().map(|attribute| attribute.key());
    match SubjectAttribute::ALL.iter().find(|attribute| attribute.key() == key) {
        Some(SubjectAttribute::CommonName) => {
            Err(Fault::new("the common name has a key of its own").expected("`common_name` in the certificate itself"))
        }
        Some(attribute) => Ok(*attribute),
        None => {
            let fault = Fault::new(format!("unknown subject attribute {}", quoted(key)));
            Err(fault.expected("one of TLM's attribute names").nearest(key, known()))
        }
    }
}

fn checked(attribute: SubjectAttribute, values: OneOrMany<String>, diagnostics: &mut Diagnostics<'_>) -> Vec<String> {
    for value in &values.0 {
        if let Err(fault) =
            check_country(attribute, value.get_ref()).and_then(|()| check_length(attribute, value.get_ref()))
        {
            diagnostics.refuse(value.span(), fault);
        }
    }
    crate::config::syntax::from_toml::bare(values.0).into_iter().map(|value| composed(&value).into_owned()).collect()
}

fn check_length(attribute: SubjectAttribute, value: &str) -> Result<(), Fault> {
    let length = value.chars().count();
    match attribute.max_length() {
        Some(most) if length > most => {
            let fault = Fault::new(format!("`{attribute}` has {length} characters"));
            Err(fault.expected(format!("at most {most} characters")))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_country(attribute: SubjectAttribute, value: &str) -> Result<(), Fault> {
    let is_code = value.len() == 2 && value.bytes().all(|c| c.is_ascii_alphabetic());
    if attribute == SubjectAttribute::Country && !is_code {
        let fault = Fault::new(format!("{} is not a country code", quoted(value)));
        return Err(fault.expected("the two letters of ISO 3166, such as \"CH\""));
    }
    Ok(())
}
