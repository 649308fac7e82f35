//! JSON Schema (draft 7, which editors' TOML extensions know) of both kinds of files, from the tables that read them.
//! It helps while a file is written; what is valid is the reader's word alone.

use serde_json::{Value, json};

use super::document::FileTable;
use super::entry_table::OWN_KEYS;
use super::main_table::MainTable;
use super::syntax::from_toml::FromToml as _;
use super::syntax::schema::object;

/// The schema of `renewd.toml`.
#[must_use]
pub fn main_schema() -> Value {
    let mut schema = headed("renewd.toml", MainTable::schema());
    let defaults = schema.pointer_mut("/properties/defaults/properties").and_then(Value::as_object_mut);
    defaults.into_iter().for_each(|keys| OWN_KEYS.iter().for_each(|key| drop(keys.remove(*key))));
    schema
}

/// The schema of a drop-in file.
#[must_use]
pub fn inventory_schema() -> Value {
    let mut schema = headed("A drop-in file of renewd's inventory", FileTable::schema());
    let names = ["common_name", "dns_names", "ip_addresses", "emails", "uris"].map(|key| json!({"required": [key]}));
    let own = json!({"required": ["name"], "anyOf": names});
    let certificate = schema.pointer_mut("/properties/certificate/items").and_then(Value::as_object_mut);
    certificate.into_iter().for_each(|certificate| certificate.extend(object(own.clone())));
    schema
}

fn headed(title: &str, table: Value) -> Value {
    let mut head = object(json!({"$schema": "http://json-schema.org/draft-07/schema#", "title": title}));
    head.extend(object(table));
    Value::Object(head)
}
