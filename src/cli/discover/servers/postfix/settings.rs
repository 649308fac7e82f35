//! Postfix's grammar: parameters with their references to one another, and services with parameters of their own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::super::reading::Reading;
use super::super::Value;
use super::super::lines::by_indent;

/// The parameters in force for a service.
pub(super) struct Settings<'a> {
    main: Arc<BTreeMap<String, Value>>,
    own: Option<&'a BTreeMap<String, Value>>,
}

/// A line of `master.cf`.
pub(super) struct Service {
    pub(super) name: String,
    /// Without its arguments.
    pub(super) command: String,
    kind: String,
    own: BTreeMap<String, Value>,
    pub(super) file: Arc<Path>,
    pub(super) line: usize,
}

impl Service {
    /// Whether it answers clients over TCP.
    pub(super) fn is_smtp_server(&self) -> bool {
        self.kind == "inet" && matches!(self.command.as_str(), "smtpd" | "postscreen")
    }
}

impl<'a> Settings<'a> {
    pub(super) fn read(reading: &mut Reading, path: &Path) -> Self {
        let mut main = BTreeMap::new();
        let file: Arc<Path> = path.into();
        if let Some(text) = reading.text(path) {
            for line in by_indent(&text) {
                if let Some((name, value)) = line.text.split_once('=') {
                    let value = Value::new(value.trim(), &file, line.number);
                    main.insert(name.trim().to_owned(), value);
                }
            }
        }
        let folder = path.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
        for (name, text) in [("config_directory", folder.as_str())].iter().chain(&DEFAULTS) {
            main.entry((*name).to_owned()).or_insert_with(|| Value::new(text, &file, 0));
        }
        Self { main: Arc::new(main), own: None }
    }

    /// The parameters of a service.
    pub(super) fn with(&self, service: &'a Service) -> Self {
        Self { main: self.main.clone(), own: Some(&service.own) }
    }

    /// Whether the service has parameters of its own of that kind.
    pub(super) fn is_own(&self, is_asked: impl Fn(&str) -> bool) -> bool {
        self.own.is_some_and(|own| own.keys().any(|name| is_asked(name)))
    }

    /// A parameter's value, with what it refers to in place.
    pub(super) fn value(&self, name: &str) -> Option<Value> {
        let value = self.raw(name)?;
        let mut left = EXPANDED;
        Some(Value { text: self.replaced(&value.text, DEPTH, &mut left), ..value.clone() })
    }

    pub(super) fn expanded(&self, text: &str) -> String {
        self.replaced(text, DEPTH, &mut EXPANDED.clone())
    }

    /// Where relative paths begin: the programs work in the queue's folder.
    pub(super) fn folder(&self) -> PathBuf {
        PathBuf::from(self.value("queue_directory").map_or(String::new(), |value| value.text))
    }

    fn raw(&self, name: &str) -> Option<&Value> {
        self.own.and_then(|own| own.get(name)).or_else(|| self.main.get(name))
    }

    /// Replaces `$name`, `${name}`, `$(name)`, `${name?text}` and `${name:text}`; what is not known stays.
    fn replaced(&self, text: &str, depth: usize, left: &mut usize) -> String {
        let (mut done, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once('$') {
            done.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                done.push('$');
                rest = after;
                continue;
            }
            let (inner, written, after) = reference(after);
            rest = after;
            *left = left.saturating_sub(1);
            let value = if depth == 0 || *left == 0 { None } else { self.referred(inner, depth - 1, left) };
            match value {
                Some(value) if done.len() + value.len() <= EXPANDED => done.push_str(&value),
                _ => {
                    done.push('$');
                    done.push_str(written);
                }
            }
        }
        done + rest
    }

    fn referred(&self, inner: &str, depth: usize, left: &mut usize) -> Option<String> {
        let end = inner.find(['?', ':']).unwrap_or(inner.len());
        let (name, operator) = inner.split_at(end);
        let value = self.raw(name.trim());
        let is_set = value.is_some_and(|value| !value.text.is_empty());
        if operator.is_empty() {
            return value.map(|value| self.replaced(&value.text, depth, left));
        }
        let (sign, text) = operator.split_at(1);
        let (first, other) = match text.strip_prefix('{').and_then(|text| text.split_once('}')) {
            Some((first, other)) => (first, other.trim_start_matches(':').trim_matches(['{', '}'])),
            None => (text, ""),
        };
        let chosen = if (sign == "?") == is_set { first } else { other };
        Some(self.replaced(chosen, depth, left))
    }
}

/// What a reference refers to, how it was written, and what follows.
fn reference(text: &str) -> (&str, &str, &str) {
    let close = match text.chars().next() {
        Some('{') => '}',
        Some('(') => ')',
        _ => {
            let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
            let (name, after) = text.split_at(end);
            return (name, name, after);
        }
    };
    let open = if close == '}' { '{' } else { '(' };
    let mut level = 0_usize;
    for (at, c) in text.char_indices() {
        level += usize::from(c == open);
        if c == close {
            level -= 1;
            if level == 0 {
                let (inner, after) = text.split_at(at);
                let (written, after) = text.split_at(at + after.chars().next().map_or(0, char::len_utf8));
                return (inner.get(1..).unwrap_or_default(), written, after);
            }
        }
    }
    ("", text, "")
}

/// The services of `master.cf`.
pub(super) fn services(reading: &mut Reading, path: &Path) -> Vec<Service> {
    let file: Arc<Path> = path.into();
    let Some(text) = reading.text(path) else { return Vec::new() };
    let mut services = Vec::new();
    for line in by_indent(&text) {
        let mut words = fields(&line.text).into_iter();
        let (Some(name), Some(kind)) = (words.next(), words.next()) else { continue };
        let Some(command) = words.nth(5) else { continue };
        let mut own = BTreeMap::new();
        while let Some(word) = words.next() {
            let Some(option) = word.strip_prefix("-o") else { continue };
            let option = if option.is_empty() { words.next().unwrap_or_default() } else { option.to_owned() };
            if let Some((name, value)) = option.split_once('=') {
                let value = Value::new(value.trim(), &file, line.number);
                own.insert(name.trim().to_owned(), value);
            }
        }
        services.push(Service { name, command, kind, own, file: file.clone(), line: line.number });
    }
    services
}

/// The words of a service; braces keep words together.
fn fields(text: &str) -> Vec<String> {
    let mut fields: Vec<String> = Vec::new();
    let (mut level, mut is_open) = (0_usize, false);
    for c in text.chars() {
        match c {
            '{' if level == 0 && !is_open => {
                level = 1;
                is_open = true;
                fields.push(String::new());
                continue;
            }
            '{' if level > 0 => level += 1,
            '}' if level > 0 => {
                level -= 1;
                if level == 0 {
                    is_open = false;
                    continue;
                }
            }
            c if c.is_whitespace() && level == 0 => {
                is_open = false;
                continue;
            }
            _ => {}
        }
        if !is_open {
            fields.push(String::new());
            is_open = true;
        }
        if let Some(field) = fields.last_mut() {
            field.push(c);
        }
    }
    fields
}

/// Defaults that other parameters lead to.
const DEFAULTS: [(&str, &str); 12] = [
    ("queue_directory", "/var/spool/postfix"),
    ("data_directory", "/var/lib/postfix"),
    ("daemon_directory", "/usr/lib/postfix/sbin"),
    ("command_directory", "/usr/sbin"),
    ("inet_interfaces", "all"),
    ("smtpd_tls_key_file", "$smtpd_tls_cert_file"),
    ("smtpd_tls_eckey_file", "$smtpd_tls_eccert_file"),
    ("smtpd_tls_dkey_file", "$smtpd_tls_dcert_file"),
    ("smtp_tls_key_file", "$smtp_tls_cert_file"),
    ("smtp_tls_eckey_file", "$smtp_tls_eccert_file"),
    ("lmtp_tls_key_file", "$lmtp_tls_cert_file"),
    ("lmtp_tls_eckey_file", "$lmtp_tls_eccert_file"),
];
const DEPTH: usize = 8;
/// So many references are replaced in one value, and so long may it become.
const EXPANDED: usize = 4096;
