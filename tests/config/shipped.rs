//! The files that ship in `config/`: they are read, they show every key, and what they call a default is one.

use std::fs;
use std::path::{Path, PathBuf};

use renewd::config::{Main, known_keys, parse_inventory_file, parse_main};
use renewd::core::hook::HookRun;

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
    main("[api]\nclient_identity_file = \"/etc/renewd/client.pem\"\n");
}

/// The keys of `[defaults]` that have a default of their own show it.
#[test]
fn the_defaults_shown_for_entries_are_those_of_the_code() {
    let text = uncommented(&shipped("renewd.toml")).replace("client_identity_file", "#client_identity_file");
    let examples = ["profile", "seat", "subject", "key", "validity", "renew_before", "usages", "owner", "group"];
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
fn every_key_is_shown() {
    let text = uncommented(&shipped("renewd.toml"));
    let examples: String = drop_ins().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    for (table, keys) in known_keys() {
        let in_main = !table.starts_with("certificate");
        for key in keys {
            let shows = |text: &str| {
                let assigned =
                    [format!("\n{key} = "), format!("{{ {key} = "), format!(", {key} = "), format!("[{key}")];
                assigned.iter().any(|form| text.contains(form)) || text.contains(&format!("[certificate.{key}]"))
            };
            let own = ["name", "common_name", "dns_names", "ip_addresses", "emails", "uris"].contains(key);
            let shown = match table {
                "certificate" if own => shows(&examples),
                "certificate" => shows(&text),
                _ if in_main => shows(&text),
                _ => shows(&examples),
            };
            assert!(shown, "`{key}` of `{table}` is shown nowhere");
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
    assert_eq!(certificates, 4);
}
