//! JSON Schema of tables and texts, from what reads them.

use serde_json::{Map, Value, json};

use super::from_toml::FromText;
use super::table::{Meaning, Table};

/// The schema of a table.
pub(in crate::config) fn of_table<T: Table>() -> Value {
    let properties: Map<String, Value> =
        T::meanings().into_iter().map(|meaning| (meaning.key.to_owned(), property(meaning))).collect();
    let mut schema = object(json!({"type": "object", "additionalProperties": false, "properties": properties}));
    schema.extend(object(T::rules()));
    Value::Object(schema)
}

fn property(meaning: Meaning) -> Value {
    let mut schema = object(meaning.schema);
    let lines: Vec<&str> = meaning.lines.iter().map(|line| line.trim()).collect();
    let form = schema.get("description").and_then(Value::as_str).map(|form| format!("\n\n{form}"));
    schema.insert("description".to_owned(), format!("{}{}", lines.join(" "), form.unwrap_or_default()).into());
    schema.extend(meaning.default.and_then(value).map(|default| ("default".to_owned(), default)));
    schema.extend(meaning.example.and_then(value).map(|example| ("examples".to_owned(), json!([example]))));
    Value::Object(schema)
}

/// The schema of a text.
pub(in crate::config) fn of_text<T: FromText>() -> Value {
    let words = T::words();
    let mut schema = object(json!({"type": "string", "description": sentence(&T::expected())}));
    match (words.is_empty(), T::pattern()) {
        (false, None) => drop(schema.insert("enum".to_owned(), words.into())),
        (true, Some(pattern)) => drop(schema.insert("pattern".to_owned(), pattern.into())),
        (false, Some(pattern)) => {
            drop(schema.insert("anyOf".to_owned(), json!([{"enum": words}, {"pattern": pattern}])));
        }
        (true, None) => {}
    }
    Value::Object(schema)
}

/// What belongs there, as a sentence.
fn sentence(expected: &str) -> String {
    let mut letters = expected.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}

/// A value of TOML as one of JSON.
fn value(text: &str) -> Option<Value> {
    let table: toml::Table = format!("value = {text}").parse().ok()?;
    serde_json::to_value(table.get("value")?).ok()
}

/// The members of an object; none of anything else.
pub(in crate::config) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}
