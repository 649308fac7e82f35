//! `renewd profiles`: the account's profiles as the API key sees them, and an inventory entry for one.

use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;

use crate::config::parse_inventory_file;
use crate::core::known::profile::{Origin, Profile, ProfileAttribute};
use crate::core::name::{CertName, ProfileRef};
use crate::core::request::unusable;
use crate::core::text::Text;
use crate::core::time::Span;
use crate::core::wanted::entry::Validity;
use crate::core::wanted::subject::SubjectAttribute;
use crate::daemon::setup;

use super::{account, exit, output};

/// What `profiles --json` says of one.
#[derive(Debug, Serialize)]
struct Listed {
    id: Text,
    name: Text,
    status: Text,
    enrollment_method: Text,
    authentication_method: Text,
    renewal_window_days: Option<u32>,
    allows_duplicates: bool,
    /// The lifetime that it gives, and whether an entry may ask for another.
    validity: Option<Validity>,
    allows_validity: bool,
    /// Whether administrators have to approve each request.
    needs_approval: bool,
    /// How the issuer signs, in TLM's words.
    signature_algorithm: Option<Text>,
    /// `public` or `private`.
    trust_type: Option<Text>,
    /// Which attribute of a request names the seat.
    seat_id_mapping: Option<Text>,
    /// The names that it allows, as TLM writes them; empty: it does not say.
    allowed_names: Vec<Text>,
    /// The CAs that it shows, from the issuing one upward.
    issuers: Vec<IssuerRow>,
    keys: Vec<&'static str>,
    /// The key types that the profile names and renewd cannot make.
    unknown_keys: Vec<Text>,
    /// The request keys of what a request has to bring.
    mandatory: Vec<Text>,
    /// Whether renewd can use it.
    usable: bool,
    /// Why not.
    unusable_because: Option<Text>,
}

/// A CA of a profile.
#[derive(Debug, Serialize)]
struct IssuerRow {
    subject: Text,
    not_after: String,
}

/// What an entry is made of beside the profile. What is not given stays a placeholder, or a hint in a comment.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) name: Option<CertName>,
    pub(super) dns: Vec<String>,
    pub(super) hooks: Vec<String>,
    pub(super) probe: Option<String>,
}

/// Lists them.
pub(super) fn list(config: &Path, json: bool) -> ExitCode {
    ended(account::asked(config).and_then(|(_, account, runtime)| {
        let listing = runtime.block_on(account.profiles()).map_err(account::told)?;
        print(&listing.profiles, json);
        for what in &listing.broken {
            output::remark(&format!("skipped a profile in TLM's list that cannot be read: {what}"));
        }
        Ok(())
    }))
}

/// Prints an entry for one, named by its id or its exact name.
pub(super) fn entry(config: &Path, json: bool, named: &str, given: &Given) -> ExitCode {
    ended(account::asked(config).and_then(|(main, account, runtime)| {
        let profile = runtime.block_on(account.profile(&ProfileRef::new(named))).map_err(account::told)?;
        if let Some(why) = unusable(&profile) {
            return Err(format!("profile {:?} cannot be used: {why}", Text::new(&profile.name).as_str()));
        }
        let entry = written(&profile, given)?;
        // Names, hooks and addresses are read as the daemon will read them, before anybody puts the entry in place.
        parse_inventory_file(&main, "entry", &entry).map_err(|problems| setup::shown(&problems))?;
        if json {
            output::print_json(&serde_json::json!({ "entry": entry }))
        } else {
            output::print(&entry)
        }
        Ok(())
    }))
}

fn ended(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => exit::OK.into(),
        Err(why) => {
            output::complain(&why);
            exit::UNWELL.into()
        }
    }
}

fn print(profiles: &[Profile], json: bool) {
    if json {
        output::print_json(&profiles.iter().map(listed).collect::<Vec<_>>());
        return;
    }
    if profiles.is_empty() {
        output::print("the API key sees no profile: give its user one in TLM");
        return;
    }
    let rows = profiles.iter().map(|profile| {
        let Listed { id, name, status, enrollment_method, authentication_method, keys, unknown_keys, .. } =
            listed(profile);
        let keys: Vec<&str> = keys.into_iter().chain(unknown_keys.iter().map(Text::as_str)).collect();
        let window = profile.renewal_window().map_or_else(|| "-".to_owned(), |window| Span(window).to_string());
        let keys = if keys.is_empty() { "-".to_owned() } else { keys.join(" ") };
        let texts = [id, name, status, enrollment_method, authentication_method].map(|text| text.to_string());
        let duplicates = if profile.allows_duplicates { "yes" } else { "no" };
        texts.into_iter().chain([window, duplicates.to_owned(), keys]).collect()
    });
    let head = ["ID", "NAME", "STATUS", "ENROLLMENT", "AUTHENTICATION", "WINDOW", "DUPLICATES", "KEYS"];
    output::print(&output::table(&head, rows));
    for profile in profiles {
        if let Some(why) = unusable(profile) {
            output::remark(&format!("{} cannot be used by renewd: {}", Text::new(&profile.name), Text::new(&why)));
        }
    }
}

fn listed(profile: &Profile) -> Listed {
    let because = unusable(profile);
    Listed {
        id: Text::new(&profile.id.0),
        name: Text::new(&profile.name),
        status: Text::new(&profile.status),
        enrollment_method: Text::new(&profile.enrollment_method),
        authentication_method: Text::new(&profile.authentication_method),
        renewal_window_days: profile.renewal_window_days,
        allows_duplicates: profile.allows_duplicates,
        validity: profile.validity,
        allows_validity: profile.allows_validity,
        needs_approval: profile.needs_approval,
        signature_algorithm: profile.shown.signature_algorithm.clone(),
        trust_type: profile.shown.trust_type.clone(),
        seat_id_mapping: profile.shown.seat_id_mapping.clone(),
        allowed_names: profile.allowed_names.clone(),
        issuers: profile
            .cas
            .iter()
            .map(|ca| IssuerRow { subject: ca.subject.clone(), not_after: ca.at.to_string() })
            .collect(),
        keys: profile.keys.iter().map(|key| key.as_str()).collect(),
        unknown_keys: profile.unknown_keys.clone(),
        mandatory: profile
            .subject
            .iter()
            .chain(&profile.san)
            .chain(&profile.custom_values)
            .filter(|one| is_asked(one))
            .map(key)
            .collect(),
        usable: because.is_none(),
        unusable_because: because.as_deref().map(Text::new),
    }
}

fn key(attribute: &ProfileAttribute) -> Text {
    Text::new(&attribute.key)
}

fn is_asked(attribute: &ProfileAttribute) -> bool {
    attribute.mandatory && attribute.origin == Origin::Request
}

/// An entry that fits the profile as soon as its placeholders are replaced.
fn written(profile: &Profile, given: &Given) -> Result<String, String> {
    let names = Names::of(profile, given)?;
    let mut lines = vec!["[[certificate]]".to_owned(), format!("name = {}", quoted(&names.own))];
    lines.push(format!("profile = {}", quoted(&profile.id.0)));
    if has_common_name(profile) {
        lines.push(format!("common_name = {}", quoted(&names.common)));
    }
    let mut unknown = Vec::new();
    for attribute in profile.san.iter().filter(|attribute| is_asked(attribute) || attribute.key == "dns_names") {
        match san(attribute, &names) {
            Some(line) => lines.push(line),
            None => unknown.push(key(attribute)),
        }
    }
    let mut subject = Vec::new();
    for attribute in profile.subject.iter().filter(|attribute| is_asked(attribute)) {
        match SubjectAttribute::of_key(&attribute.key) {
            Some(SubjectAttribute::CommonName) => {}
            Some(known) => subject.push(placeholder(known)),
            None => unknown.push(key(attribute)),
        }
    }
    if !subject.is_empty() {
        lines.push(format!("subject = {{ {} }}", subject.join(", ")));
    }
    let custom = profile.custom_values.iter().filter(|value| value.origin == Origin::Request);
    let custom: Vec<String> = custom.map(|value| format!("{} = \"VALUE\"", quoted_key(&value.key))).collect();
    if !custom.is_empty() {
        lines.push(format!("custom_values = {{ {} }}", custom.join(", ")));
    }
    if !profile.keys.is_empty() {
        let keys: Vec<&str> = profile.keys.iter().map(|key| key.as_str()).collect();
        lines.push(format!("# key = \"{}\"    # the profile accepts {}", profile.default_key(), keys.join(", ")));
    }
    lines.extend(unknown.iter().map(|key| format!("# The profile requires {key} as well, which renewd cannot send.")));
    lines.push(match given.hooks.as_slice() {
        [] => "# hooks = [\"nginx\"]    # what to run after an install".to_owned(),
        hooks => format!("hooks = {}", list_of(hooks)),
    });
    lines.push(match &given.probe {
        None => "# probe = \"127.0.0.1:443\"    # where to see that it is served".to_owned(),
        Some(probe) => format!("probe = {}", quoted(probe)),
    });
    let is_asked_for = |attribute: &&ProfileAttribute| is_asked(attribute) && !given.covers(&attribute.key);
    let has_placeholders = given.dns.is_empty()
        || !custom.is_empty()
        || profile.subject.iter().chain(&profile.san).any(|attribute| is_asked_for(&attribute));
    let hint = if has_placeholders { " Replace what is in capitals, and example.com." } else { "" };
    lines.insert(0, format!("# For profile {:?}.{hint}", Text::new(&profile.name).as_str()));
    Ok(lines.join("\n"))
}

impl Given {
    /// Whether the DNS names say all that the attribute asks for.
    fn covers(&self, key: &str) -> bool {
        ["common_name", "dns_names"].contains(&key) && !self.dns.is_empty()
    }
}

fn has_common_name(profile: &Profile) -> bool {
    profile.subject.is_empty() || profile.subject.iter().any(|attribute| attribute.key == "common_name")
}

/// The names of an entry: those that were given, or examples.
struct Names {
    own: String,
    common: String,
    dns: Vec<String>,
}

impl Names {
    fn of(profile: &Profile, given: &Given) -> Result<Self, String> {
        let takes = profile.san.iter().find(|attribute| attribute.key == "dns_names");
        let says = format!("profile {:?}", Text::new(&profile.name).as_str());
        let alone = usize::from(has_common_name(profile));
        match takes {
            None if given.dns.len() > alone => return Err(format!("{says} does not accept so many DNS names")),
            Some(attribute) if !attribute.multiple && given.dns.len() > 1 => {
                return Err(format!("{says} accepts only one DNS name"));
            }
            _ => {}
        }
        let common = given.dns.first().map_or("www.example.com", String::as_str).to_owned();
        let first = given.dns.first().map(|name| name.trim_start_matches("*.").to_ascii_lowercase());
        let own = given.name.as_ref().map(|name| name.as_str().to_owned()).or(first);
        let is_multiple = takes.is_some_and(|attribute| attribute.multiple);
        let mut dns = given.dns.clone();
        if dns.is_empty() {
            dns.push("www.example.com".to_owned());
            dns.extend(is_multiple.then(|| "example.com".to_owned()));
        }
        Ok(Self { own: own.unwrap_or_else(|| "www".to_owned()), common, dns })
    }
}

fn san(attribute: &ProfileAttribute, names: &Names) -> Option<String> {
    Some(match attribute.key.as_str() {
        "dns_names" => format!("dns_names = {}", list_of(&names.dns)),
        "ip_addresses" => "ip_addresses = [\"192.0.2.1\"]".to_owned(),
        "emails" => "emails = [\"admin@example.com\"]".to_owned(),
        "uris" => "uris = [\"https://www.example.com/\"]".to_owned(),
        "user_principal_names" => "user_principal_names = [\"host$@corp.example.com\"]".to_owned(),
        "registered_ids" => "registered_ids = [\"1.3.6.1.4.1.99999.1\"]".to_owned(),
        "directory_name" => "directory_name = \"CN=www.example.com,O=EXAMPLE\"".to_owned(),
        "other_names" => "other_names = { guid = [\"1b671a64-40d5-491e-99b0-da01ff1f3341\"] }".to_owned(),
        _ => return None,
    })
}

fn placeholder(attribute: SubjectAttribute) -> String {
    let value = if attribute == SubjectAttribute::Country {
        "XX".to_owned()
    } else if attribute == SubjectAttribute::Email {
        "admin@example.com".to_owned()
    } else {
        let word = attribute.key().to_ascii_uppercase().replace('_', " ");
        let word: String = word.chars().take(attribute.max_length().unwrap_or(usize::MAX)).collect();
        word.trim_end().to_owned()
    };
    let value = quoted(&value);
    if attribute.is_list() { format!("{attribute} = [{value}]") } else { format!("{attribute} = {value}") }
}

/// A key of TOML, in quotes where it needs them.
fn quoted_key(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'-'));
    if is_bare { key.to_owned() } else { quoted(key) }
}

/// A list of strings of TOML.
fn list_of(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
