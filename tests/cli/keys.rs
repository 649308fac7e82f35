//! renewd.toml(5) shows every key with what the schema says of it.

use renewd::config::{inventory_schema, known_keys, main_schema};
use serde_json::Value;

use crate::manual::keys_of_renewd_toml;

/// Every description, default and example below a value of a schema, as the page writes it.
fn said(schema: &Value, found: &mut Vec<String>) {
    let texts = schema.get("description").and_then(Value::as_str).into_iter().flat_map(|text| text.split("\n\n"));
    found.extend(texts.map(str::to_owned));
    let toml = |value: &Value| toml::Value::try_from(value).unwrap().to_string();
    found.extend(schema.get("default").map(|value| format!("Default: {}", toml(value))));
    found.extend(schema.pointer("/examples/0").map(|value| format!(" = {}", toml(value))));
    let below = schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|keys| keys.values());
    below.for_each(|inner| said(inner, found));
}

#[test]
fn every_key_is_in_the_manual() {
    let page = keys_of_renewd_toml();
    let plain = page.replace("\\-", "-").replace("\\&", "");
    for (table, keys) in known_keys() {
        for key in keys {
            let count = plain.matches(&format!("\\fB{key}\\fR (")).count();
            assert!(count >= 1, "{key} of {table}");
        }
    }
    assert_eq!(plain.matches("\n.TP\n\\fB").count(), known_keys().iter().map(|(_, keys)| keys.len()).sum::<usize>());
    let mut wanted = Vec::new();
    said(&main_schema(), &mut wanted);
    said(&inventory_schema()["properties"]["certificate"]["items"], &mut wanted);
    assert!(wanted.len() > 150, "{}", wanted.len());
    for text in wanted {
        assert!(plain.contains(&text.replace('\\', "\\e")), "{text}");
    }
}
