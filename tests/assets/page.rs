//! The keys of renewd.toml(5), from the schemas: every key of both kinds of files with its meaning, type, default and
//! example.

#[path = "markdown.rs"]
pub(crate) mod markdown;

use renewd::config::{inventory_schema, known_keys, main_schema};
use serde_json::Value;

use markdown::escaped;

/// What the page says of a table, and where the schemas have it.
struct Section {
    title: &'static str,
    /// The table as the reader calls it, for the order of its keys.
    table: &'static str,
    pointer: &'static str,
    says: &'static str,
}

/// `is_main` says of which schema.
const SECTIONS: [(bool, Section); 13] = [
    (true, Section { title: "RENEWD.TOML", table: "", pointer: "", says: "" }),
    (true, Section { title: "[api]", table: "api", pointer: "/properties/api", says: "How the API is reached." }),
    (
        true,
        Section {
            title: "[metrics]",
            table: "metrics",
            pointer: "/properties/metrics",
            says: "Where metrics are shown.",
        },
    ),
    (true, Section { title: "[log]", table: "log", pointer: "/properties/log", says: "What is logged." }),
    (
        true,
        Section {
            title: "[[freeze]]",
            table: "freeze",
            pointer: "/properties/freeze/items",
            says: "A time in which nothing is switched in, any number of them: either `from` and `until`, or `hours`.",
        },
    ),
    (
        true,
        Section {
            title: "[hook.NAME]",
            table: "hook.NAME",
            pointer: "/properties/hook/additionalProperties",
            says: "A hook, in renewd.toml for all, in a drop-in file for the certificates of that file: either `unit` and \
                   `verb`, or `command`.",
        },
    ),
    (
        true,
        Section {
            title: "[notify.NAME]",
            table: "notify.NAME",
            pointer: "/properties/notify/additionalProperties",
            says: "Who is notified when something is wrong, in renewd.toml only: either `command`, or `unit` and `verb`. \
                   renewd-operations(7) has what each word of `on` means, and the document that a command reads.",
        },
    ),
    (
        false,
        Section {
            title: "[[certificate]]",
            table: "certificate",
            pointer: "/properties/certificate/items",
            says: "A certificate, in a drop-in file. It needs `name`, `profile` and at least one name to be issued for. Every \
                   key but `name`, `common_name`, the alternative names (`dns_names` to `other_names`) and `copy` may also stand \
                   in [defaults] of renewd.toml, for all certificates that do not say otherwise; tables are joined key by key.",
        },
    ),
    (
        false,
        Section {
            title: "[certificate.files]",
            table: "certificate.files",
            pointer: "/properties/certificate/items/properties/files",
            says: "Copies at fixed paths. A target that is a symlink, lies in renewd's own folders, or has a folder above it \
                   that others than root and the service may write to, is refused.",
        },
    ),
    (
        false,
        Section {
            title: "[[certificate.copy]]",
            table: "certificate.copy",
            pointer: "/properties/certificate/items/properties/copy/items",
            says: "More copies at fixed paths, any number of them, by the same rules. All copies of a certificate are switched, \
                   or none. renewd corrects each by its own owner and modes, and leaves the files of one that is removed from \
                   the entry where they are.",
        },
    ),
    (
        false,
        Section {
            title: "[certificate.probe]",
            table: "certificate.probe",
            pointer: "/properties/certificate/items/properties/probe/anyOf/0/anyOf/1",
            says: "A probe that needs more than an address.",
        },
    ),
    (
        false,
        Section {
            title: "[certificate.fallback]",
            table: "certificate.fallback",
            pointer: "/properties/certificate/items/properties/fallback",
            says: "Whom else renewd asks when time is short; renewd-operations(7) says when.",
        },
    ),
    (
        false,
        Section {
            title: "[certificate.other_names]",
            table: "certificate.other_names",
            pointer: "/properties/certificate/items/properties/other_names",
            says: "Alternative names whose type an object identifier tells, where the profile lists them.",
        },
    ),
];

/// A section for each table, in roff.
pub(crate) fn keys_of_renewd_toml() -> String {
    let mut page = String::new();
    let (main, inventory) = (main_schema(), inventory_schema());
    for (is_main, section) in SECTIONS {
        let schema = if is_main { &main } else { &inventory };
        let table = schema.pointer(section.pointer).unwrap_or(&Value::Null);
        page.push_str(&format!(".SH \"{}\"\n", escaped(section.title)));
        page.push_str(&paragraph(section.says));
        for key in keys(section.table) {
            page.push_str(&described(
                key,
                table.get("properties").and_then(|keys| keys.get(key)).unwrap_or(&Value::Null),
            ));
        }
    }
    page
}

fn keys(table: &str) -> Vec<&'static str> {
    known_keys().into_iter().filter(|(name, _)| *name == table).flat_map(|(_, keys)| keys.iter().copied()).collect()
}

fn described(key: &str, schema: &Value) -> String {
    let mut text = format!(".TP\n\\fB{}\\fR ({})\n", escaped(key), escaped(&kind(schema)));
    let says = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    text.push_str(&says.split("\n\n").map(line).collect::<Vec<_>>().join(".sp\n"));
    let forms = forms(schema);
    if !forms.is_empty() {
        text.push_str(&format!(".sp\n{}", line(&forms)));
    }
    if let Some(default) = schema.get("default") {
        text.push_str(&format!(".sp\n{}", line(&format!("Default: {}", toml_value(default)))));
    }
    if let Some(example) = schema.pointer("/examples/0") {
        text.push_str(&format!(".sp\n{}", line(&format!("Example: {key} = {}", toml_value(example)))));
    }
    text
}

/// The type of a value in a word or a few.
fn kind(schema: &Value) -> String {
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array)
        && schema.get("type").is_none()
    {
        let mut kinds: Vec<String> = choices.iter().map(kind).collect();
        kinds.dedup();
        return kinds.join(" or ");
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("array") => format!("list of {}", plural(&kind(schema.get("items").unwrap_or(&Value::Null)))),
        Some("integer") => "whole number".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some("object") => "table".to_owned(),
        Some(other) => other.to_owned(),
        None => "any value".to_owned(),
    }
}

fn plural(kind: &str) -> String {
    if kind.contains(' ') { format!("values, each {kind}") } else { format!("{kind}s") }
}

/// What the items of a list, or the texts of a choice, look like; and the bounds of a number.
fn forms(schema: &Value) -> String {
    let below = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten().chain(schema.get("items"));
    let said = below.filter_map(|inner| {
        inner.get("description").and_then(Value::as_str).or_else(|| inner.pointer("/items/description")?.as_str())
    });
    let mut said: Vec<&str> = said.collect();
    said.dedup();
    let keys = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let silent: Vec<&str> =
        keys.filter(|(_, key)| key.get("description").is_none()).map(|(key, _)| key.as_str()).collect();
    if !silent.is_empty() {
        return format!("The names are {}.", silent.join(", "));
    }
    let bounds = (schema.get("minimum"), schema.get("maximum"));
    match bounds {
        (Some(least), Some(most)) => format!("From {least} to {most}."),
        (_, _) => said.join(" "),
    }
}

fn toml_value(value: &Value) -> String {
    toml::Value::try_from(value).map_or_else(|_| value.to_string(), |value| value.to_string())
}

fn paragraph(text: &str) -> String {
    if text.is_empty() { String::new() } else { line(text) }
}

/// A line of text, which roff must not take for a request.
fn line(text: &str) -> String {
    format!("{}{}\n", if text.starts_with(['.', '\'']) { "\\&" } else { "" }, escaped(text))
}
