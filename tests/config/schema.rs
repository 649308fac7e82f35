//! The JSON Schemas say of every file what the reader says, as far as a schema can: every key, every type, every word.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use renewd::config::{Main, inventory_schema, known_keys, main_schema, parse_inventory_file, parse_main};
use serde_json::Value;

const FILE: &str = "/etc/renewd/renewd.toml";

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|found| found.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    files.sort();
    files
}

fn validator(is_main: bool) -> Validator {
    let schema = if is_main { main_schema() } else { inventory_schema() };
    assert!(jsonschema::meta::is_valid(&schema), "it is a valid schema");
    jsonschema::draft7::new(&schema).unwrap()
}

/// What a schema has against a text: the path of each value; `None`: it is no TOML.
fn faults(validator: &Validator, text: &str) -> Option<Vec<String>> {
    let table: toml::Table = text.trim_start_matches('\u{feff}').parse().ok()?;
    let value = serde_json::to_value(table).unwrap();
    Some(validator.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect())
}

/// The text with each key active that is commented out.
fn uncommented(text: &str) -> String {
    let active = |line: &str| {
        let bare = line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
        bare.unwrap_or(line).to_owned() + "\n"
    };
    text.lines().map(active).collect()
}

#[test]
fn good_files_are_good_by_the_schema() {
    let main = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config/renewd.toml")).unwrap();
    let all = uncommented(&main).replace("client_identity_file", "#client_identity_file");
    for text in [&main, &all] {
        assert_eq!(faults(&validator(true), text), Some(Vec::new()));
    }
    for path in files("config/certs.d") {
        assert_eq!(faults(&validator(false), &fs::read_to_string(&path).unwrap()), Some(Vec::new()), "{path:?}");
    }
}

/// What no schema can know: what values say of each other, of other files or of the host, and what is beyond a pattern.
const BEYOND: [&str; 5] = ["deploy-window", "main-filter", "main-own-files", "twice", "window"];

#[test]
fn bad_files_are_bad_by_the_schema() {
    let mut passed = BTreeSet::new();
    let mut judged = 0;
    for path in files("tests/config/bad") {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let faults = faults(&validator(name.starts_with("main-")), &fs::read_to_string(&path).unwrap());
        judged += usize::from(faults.is_some());
        if faults.is_some_and(|faults| faults.is_empty()) {
            passed.insert(name);
        }
    }
    assert!(judged >= 20, "{judged} of the bad files are TOML");
    assert_eq!(passed, BEYOND.map(str::to_owned).into());
}

/// The properties of each table, by the names that the reader has for the tables.
fn properties() -> Vec<(&'static str, BTreeSet<String>)> {
    let (main, inventory) = (main_schema(), inventory_schema());
    let of = |schema: &Value, pointer: &str| {
        let found = schema.pointer(&format!("{pointer}/properties")).unwrap_or_else(|| panic!("{pointer}"));
        found.as_object().unwrap().keys().cloned().collect()
    };
    let certificate = "/properties/certificate/items";
    vec![
        ("", of(&main, "")),
        ("api", of(&main, "/properties/api")),
        ("metrics", of(&main, "/properties/metrics")),
        ("log", of(&main, "/properties/log")),
        ("freeze", of(&main, "/properties/freeze/items")),
        ("hook.NAME", of(&main, "/properties/hook/additionalProperties")),
        ("notify.NAME", of(&main, "/properties/notify/additionalProperties")),
        ("certificate", of(&inventory, certificate)),
        ("certificate.files", of(&inventory, &format!("{certificate}/properties/files"))),
        ("certificate.copy", of(&inventory, &format!("{certificate}/properties/copy/items"))),
        ("certificate.probe", of(&inventory, &format!("{certificate}/properties/probe/anyOf/0/anyOf/1"))),
        ("certificate.fallback", of(&inventory, &format!("{certificate}/properties/fallback"))),
        ("certificate.other_names", of(&inventory, &format!("{certificate}/properties/other_names"))),
    ]
}

#[test]
fn the_schema_and_the_reader_know_the_same_keys() {
    let known: Vec<(&str, BTreeSet<String>)> = known_keys()
        .into_iter()
        .map(|(table, keys)| (table, keys.iter().map(|key| (*key).to_owned()).collect()))
        .collect();
    assert_eq!(properties(), known);
    let defaults = main_schema().pointer("/properties/defaults/properties").unwrap().as_object().unwrap().len();
    let own = [
        "name",
        "common_name",
        "dns_names",
        "ip_addresses",
        "emails",
        "uris",
        "user_principal_names",
        "registered_ids",
        "directory_name",
        "other_names",
        "copy",
    ];
    let own = own.len();
    assert_eq!(defaults + own, properties()[7].1.len());
}

/// A file with one key of a table, and what else the reader wants beside it.
fn one(table: &str, key: &str, value: &toml::Value) -> String {
    let beside = |wanted: &str| {
        if table != "certificate.fallback" && wanted.starts_with(&format!("{key} ")) {
            String::new()
        } else {
            format!("{wanted}\n")
        }
    };
    let with = match key {
        "proxy_credentials_file" | "no_proxy" => "proxy = \"http://proxy.example:3128\"\n",
        "unit" => "verb = \"reload\"\n",
        "verb" => "unit = \"x.service\"\n",
        "timeout" | "min_interval" | "user" | "test" | "before" | "on" | "gather" if table.ends_with(".NAME") => {
            "command = [\"/bin/true\"]\n"
        }
        "from" => "until = \"2027-01-04T06:00:00+01:00\"\n",
        "until" => "from = \"2026-12-20T00:00:00+01:00\"\n",
        "time_zone" => "hours = \"Fri 16:00-24:00\"\n",
        "request_time_zone" => "request_window = \"02:00-05:00\"\n",
        "deploy_time_zone" => "deploy_window = \"02:00-05:00\"\n",
        "pkcs12" => "pkcs12_password_file = \"/etc/p\"\n",
        "server_name" | "starttls" => "address = \"127.0.0.1:1\"\n",
        _ => "",
    };
    let line = format!("{with}{key} = {value}\n");
    let names = ["name = \"x\"", "profile = \"P\"", "common_name = \"x\""].map(beside).concat();
    match table {
        "" => line,
        "freeze" => format!("[[freeze]]\n{line}"),
        "hook.NAME" => format!("[hook.x]\n{line}"),
        "notify.NAME" => format!("[notify.x]\n{line}"),
        "certificate" => format!("[[certificate]]\n{names}{line}"),
        "certificate.copy" => {
            let files = beside("files = { private_key = \"/srv/x\" }");
            format!("[[certificate]]\n{names}[[certificate.copy]]\n{files}{line}")
        }
        "certificate.files" | "certificate.probe" | "certificate.fallback" | "certificate.other_names" => {
            format!("[[certificate]]\n{names}[{table}]\n{line}")
        }
        table => format!("[{table}]\n{line}"),
    }
}

/// The value as TOML writes it.
fn toml_value(value: &Value) -> toml::Value {
    toml::Value::try_from(value).unwrap()
}

#[track_caller]
fn refused(table: &str, text: &str) -> Option<String> {
    let hooks = "[hook.nginx]\nunit = \"nginx.service\"\nverb = \"reload\"\n";
    let main = parse_main(Path::new(FILE), hooks).unwrap();
    let problems = if table.starts_with("certificate") {
        parse_inventory_file(&main, "certs.d/x.toml", text).err()
    } else {
        parse_main(Path::new(FILE), text).err()
    };
    problems.map(|problems| problems[0].to_string())
}

/// Each key has a meaning, and a default or an example, which the reader takes and the schema as well.
#[test]
fn defaults_and_examples_are_read() {
    let (main, inventory) = (main_schema(), inventory_schema());
    let certificate = "/properties/certificate/items";
    let tables = [
        ("", &main, String::new()),
        ("api", &main, "/properties/api".to_owned()),
        ("metrics", &main, "/properties/metrics".to_owned()),
        ("log", &main, "/properties/log".to_owned()),
        ("freeze", &main, "/properties/freeze/items".to_owned()),
        ("hook.NAME", &main, "/properties/hook/additionalProperties".to_owned()),
        ("notify.NAME", &main, "/properties/notify/additionalProperties".to_owned()),
        ("certificate", &inventory, certificate.to_owned()),
        ("certificate.files", &inventory, format!("{certificate}/properties/files")),
        ("certificate.copy", &inventory, format!("{certificate}/properties/copy/items")),
        ("certificate.probe", &inventory, format!("{certificate}/properties/probe/anyOf/0/anyOf/1")),
        ("certificate.fallback", &inventory, format!("{certificate}/properties/fallback")),
        ("certificate.other_names", &inventory, format!("{certificate}/properties/other_names")),
    ];
    let mut read = 0;
    for (table, schema, pointer) in tables {
        for (key, property) in schema.pointer(&format!("{pointer}/properties")).unwrap().as_object().unwrap() {
            assert!(property["description"].as_str().is_some_and(|text| text.len() > 5), "{table} {key}");
            let example = property.get("examples").map(|examples| &examples[0]);
            let values: Vec<&Value> = property.get("default").into_iter().chain(example).collect();
            let is_table = ["api", "metrics", "log", "defaults", "freeze", "hook", "notify"].contains(&key.as_str());
            assert!(is_table || !values.is_empty(), "{table} {key} has no default and no example");
            for value in values {
                let text = one(table, key, &toml_value(value));
                assert_eq!(refused(table, &text), None, "{text}");
                let validator = validator(!table.starts_with("certificate"));
                assert_eq!(faults(&validator, &text), Some(Vec::new()), "{text}");
                read += 1;
            }
        }
    }
    assert!(read > 75, "{read}");
}

/// What the schema calls a default is one: written or not, the file means the same.
#[test]
fn defaults_are_those_of_the_reader() {
    let mut text = String::new();
    let schema = main_schema();
    let mut add = |schema: &Value, table: &str| {
        text.push_str(table);
        for (key, property) in schema["properties"].as_object().unwrap() {
            if let Some(default) = property.get("default") {
                text.push_str(&format!("{key} = {}\n", toml_value(default)));
            }
        }
    };
    add(&schema, "");
    for table in ["api", "metrics", "log"] {
        add(&schema["properties"][table], &format!("[{table}]\n"));
    }
    assert_eq!(parse_main(Path::new(FILE), &text).unwrap(), Main::new(Path::new(FILE)), "{text}");
    let hook = |more: &str| parse_main(Path::new(FILE), &format!("[hook.x]\ncommand = [\"/x\"]\n{more}")).unwrap();
    assert_eq!(hook("timeout = \"60s\"\nmin_interval = \"10s\"\n"), hook(""));
    let notify = |more: &str| parse_main(Path::new(FILE), &format!("[notify.x]\ncommand = [\"/x\"]\n{more}")).unwrap();
    let items = &schema["properties"]["notify"]["additionalProperties"]["properties"];
    let defaults = ["timeout", "on", "gather"].map(|key| format!("{key} = {}\n", toml_value(&items[key]["default"])));
    assert_eq!(notify(&defaults.concat()), notify(""));
    let items = &schema["properties"]["hook"]["additionalProperties"]["properties"];
    assert_eq!((&items["timeout"]["default"], &items["min_interval"]["default"]), (&"60s".into(), &"10s".into()));
    let entry = |more: &str| {
        let text = format!("[[certificate]]\nname = \"x\"\nprofile = \"P\"\ncommon_name = \"x\"\n{more}");
        parse_inventory_file(&Main::new(Path::new(FILE)), "x.toml", &text).unwrap()
    };
    let certificate = inventory_schema()["properties"]["certificate"]["items"].clone();
    let mut lines = String::new();
    for (key, property) in certificate["properties"].as_object().unwrap() {
        if let Some(default) = property.get("default") {
            lines.push_str(&format!("{key} = {}\n", toml_value(default)));
        }
    }
    assert!(lines.lines().count() >= 12, "{lines}");
    assert_eq!(entry(&lines), entry(""));
}
