//! The files that ship in `config/`: they are read, they show every key, and what they call a default is one.

use std::fs;
use std::path::{Path, PathBuf};

use renewd::config::{Main, known_keys, parse_inventory_file, parse_main};
use renewd::core::wanted::hook::HookRun;

const FILE: &str = "/etc/renewd/renewd.toml";

fn shipped(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name)).unwrap()
}

fn drop_ins() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/certs.d");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|found| found.unwrap().path()).collect();
    files.sort();
    files
}

#[track_caller]
fn main(text: &str) -> Main {
    parse_main(Path::new(FILE), text).unwrap_or_else(|problems| panic!("{}", problems[0]))
}

/// The text with each key active that is commented out (`#key = …`, no blank after the sign).
fn uncommented(text: &str) -> String {
    let active = |line: &str| {
        let bare = line.strip_prefix('#').filter(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '['));
        bare.unwrap_or(line).to_owned() + "\n"
    };
    text.lines().map(active).collect()
}

#[test]
fn what_is_active_in_the_shipped_file_is_the_default() {
    let mut shipped = main(&shipped("renewd.toml"));
    let hooks = std::mem::take(&mut shipped.hooks);
    shipped.hook_names.clear();
    assert_eq!(shipped, Main::new(Path::new(FILE)));
    let bare = main("[hook.nginx]\nunit = \"nginx.service\"\nverb = \"reload\"\n");
    assert_eq!(hooks, bare.hooks, "timeout and min_interval are the defaults");
}

#[test]
fn what_is_commented_out_can_be_made_active() {
    let text = uncommented(&shipped("renewd.toml")).replace("client_identity_file", "#client_identity_file");
    let shipped = main(&text);
    assert_eq!(shipped.api.api_key_files, [Path::new("/etc/renewd/api-key")]);
    assert_eq!(shipped.control_socket(None), Main::new(Path::new(FILE)).control_socket(None));
    assert!(shipped.hooks.values().any(|hook| matches!(hook.run, HookRun::Command(_))));
    let bare = main("[notify.ops]\ncommand = [\"/usr/local/bin/tell-ops\"]\nuser = \"mail\"\n");
    assert_eq!(
        shipped.notifies[&"ops".parse().unwrap()],
        bare.notifies[&"ops".parse().unwrap()],
        "timeout, gather and on are the defaults"
    );
    main("[api]\nclient_identity_file = \"/etc/renewd/client.pem\"\n");
}

/// The keys of `[defaults]` that have a default of their own show it.
#[test]
fn the_defaults_shown_for_entries_are_those_of_the_code() {
    let text = uncommented(&shipped("renewd.toml")).replace("client_identity_file", "#client_identity_file");
    let examples = [
        "profile",
        "fallback",
        "seat",
        "seat_email",
        "subject",
        "key",
        "validity",
        "renew_before",
        "usages",
        "issuer",
        "deploy_window",
        "deploy_time_zone",
        "request_window",
        "request_time_zone",
        "owner",
        "group",
    ];
    let without_examples: String = text
        .lines()
        .filter(|line| !examples.iter().any(|key| line.starts_with(&format!("{key} ="))))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(without_examples.contains("\nkey_mode = "));
    let entry = "[[certificate]]\nname = \"x\"\nprofile = \"P\"\ncommon_name = \"x\"\n";
    let read = |main: &Main| parse_inventory_file(main, "certs.d/x.toml", entry).unwrap().entries;
    assert_eq!(read(&main(&without_examples)), read(&Main::new(Path::new(FILE))));
}

#[test]
fn every_key_is_shown_in_its_own_table() {
    let main: toml::Table = uncommented(&shipped("renewd.toml")).parse().unwrap();
    let texts: Vec<String> = drop_ins().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let files: Vec<toml::Table> = texts.iter().map(|text| text.parse().unwrap()).collect();
    let certificates: Vec<_> = files.iter().flat_map(|file| below(file, "certificate")).collect();
    for (table, keys) in known_keys() {
        let examples: Vec<&toml::Table> = match table.split_once('.') {
            None if table.is_empty() => vec![&main],
            None if table == "certificate" => certificates.clone(),
            None => below(&main, table),
            Some((kind @ ("hook" | "notify"), _)) => {
                main[kind].as_table().unwrap().values().filter_map(|one| one.as_table()).collect()
            }
            Some((_, part)) => certificates.iter().flat_map(|certificate| below(certificate, part)).collect(),
        };
        for key in keys {
            assert!(examples.iter().any(|table| table.contains_key(*key)), "`{key}` of `{table}` is shown nowhere");
            let own = OWN.contains(key);
            let default = main["defaults"].as_table().unwrap().contains_key(*key);
            assert!(table != "certificate" || own != default, "`{key}` in `[defaults]`");
        }
    }
}

/// The keys that `[defaults]` may not hold.
const OWN: [&str; 11] = [
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

/// The tables under a key: one, or a list of them.
fn below<'t>(table: &'t toml::Table, key: &str) -> Vec<&'t toml::Table> {
    match table.get(key) {
        Some(toml::Value::Table(table)) => vec![table],
        Some(toml::Value::Array(items)) => items.iter().filter_map(|item| item.as_table()).collect(),
        _ => Vec::new(),
    }
}

/// Each key has a comment: right above it, or one of its paragraph that names it.
#[test]
fn every_key_of_the_main_file_is_explained() {
    let text = shipped("renewd.toml");
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.contains("[defaults]")) {
        let mut comments = String::new();
        let mut is_above = false;
        for line in paragraph.lines() {
            let active = uncommented(line);
            let key = active.split_once(" = ").map(|(key, _)| key).filter(|key| !key.starts_with('#'));
            if let Some(key) = key {
                assert!(is_above || comments.contains(key), "no comment on: {line}");
            }
            is_above = line.starts_with("# ");
            if is_above {
                comments += line;
            }
        }
    }
}

#[test]
fn the_drop_in_files_are_read() {
    let main = main(&shipped("renewd.toml"));
    let mut certificates = 0;
    for path in drop_ins() {
        let text = fs::read_to_string(&path).unwrap();
        let content = parse_inventory_file(&main, path.to_str().unwrap(), &text);
        certificates += content.unwrap_or_else(|problems| panic!("{}", problems[0])).entries.len();
    }
    assert_eq!(certificates, 5);
}
