//! Exim's grammar: options of the main part and of transports, macros, conditions and includes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::super::reading::Reading;
use super::super::lines::{self, Line, numbered};
use super::super::{Value, below};

pub(super) type Options = BTreeMap<String, Value>;

/// What a configuration says.
#[derive(Debug, Default)]
pub(super) struct Statements {
    pub(super) main: Options,
    pub(super) transports: BTreeMap<String, Options>,
}

pub(super) fn read(reading: &mut Reading, file: &Path) -> Statements {
    let mut parser = Parser {
        reading,
        found: Statements::default(),
        macros: Vec::new(),
        conditions: Vec::new(),
        section: String::new(),
        driver: String::new(),
    };
    parser.file(file, (file, 0));
    parser.found
}

struct Parser<'a> {
    reading: &'a mut Reading,
    found: Statements,
    /// In their order: names and texts.
    macros: Vec<(String, String)>,
    conditions: Vec<Condition>,
    /// What `begin` began; empty before the first.
    section: String,
    /// The transport that is being described.
    driver: String,
}

/// An `.ifdef` that is open.
struct Condition {
    is_true: bool,
    /// One of its branches was true already.
    was_true: bool,
}

impl Parser<'_> {
    fn file(&mut self, path: &Path, (from, line): (&Path, usize)) {
        let Some(text) = self.reading.enter(path, from, line) else { return };
        let file: Arc<Path> = path.into();
        for line in joined(&text) {
            let text = line.text.trim();
            let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            if self.condition(word, rest) || self.conditions.iter().any(|condition| !condition.is_true) {
                continue;
            }
            match word {
                ".include" | ".include_if_exists" => self.include(rest, word == ".include", (&file, line.number)),
                "begin" => {
                    rest.trim().clone_into(&mut self.section);
                    self.driver.clear();
                }
                _ => self.statement(text, (&file, line.number)),
            }
        }
        self.reading.leave();
    }

    /// Whether a line is one of a condition: it is then in force.
    fn condition(&mut self, word: &str, rest: &str) -> bool {
        let is_defined = |parser: &Self| {
            let name = rest.trim();
            // What begins like this says what the program was built with; with TLS, else there is no certificate.
            name.starts_with('_') || parser.macros.iter().any(|(other, _)| name.contains(other.as_str()))
        };
        match word {
            ".ifdef" | ".ifndef" => {
                let is_true = is_defined(self) == (word == ".ifdef");
                self.conditions.push(Condition { is_true, was_true: is_true });
            }
            ".elifdef" | ".elifndef" | ".else" => {
                let is_true = word == ".else" || is_defined(self) == (word == ".elifdef");
                if let Some(last) = self.conditions.last_mut() {
                    last.is_true = is_true && !last.was_true;
                    last.was_true |= is_true;
                }
            }
            ".endif" => drop(self.conditions.pop()),
            _ => return false,
        }
        true
    }

    fn statement(&mut self, text: &str, (file, line): (&Arc<Path>, usize)) {
        if let Some(name) = text.strip_suffix(':').filter(|name| !name.contains(char::is_whitespace)) {
            return name.clone_into(&mut self.driver);
        }
        let text = text.strip_prefix("hide ").unwrap_or(text);
        let Some((name, value)) = text.split_once('=') else { return };
        let (name, value) = (name.trim(), value.trim_start_matches('=').trim());
        if name.starts_with(|c: char| c.is_ascii_uppercase()) {
            let is_full = self.macros.len() >= MACROS;
            match self.macros.iter_mut().find(|(other, _)| other == name) {
                Some((_, text)) => value.clone_into(text),
                None if is_full => {
                    self.reading.note(file, line, format!("more than {MACROS} macros: {name} is ignored"))
                }
                None => self.macros.push((name.to_owned(), value.to_owned())),
            }
            return;
        }
        if !WANTED.contains(&name) {
            return;
        }
        let value = self.expanded(value);
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(&value);
        let value = Value::new(value, file, line);
        match self.section.as_str() {
            "" => drop(self.found.main.insert(name.to_owned(), value)),
            "transports" => {
                let options = self.found.transports.entry(self.driver.clone()).or_default();
                options.insert(name.to_owned(), value);
            }
            _ => {}
        }
    }

    fn include(&mut self, rest: &str, must_be: bool, (file, line): (&Arc<Path>, usize)) {
        let name = self.expanded(rest.trim().trim_matches('"'));
        let path: PathBuf = below(file.parent().unwrap_or(Path::new("/")), &name);
        if must_be && !self.reading.exists(&path) {
            return self.reading.note(file, line, format!("includes {name}, which is not there"));
        }
        self.file(&path, (file, line));
    }

    /// A text with its macros, and with theirs.
    fn expanded(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for _ in 0..ROUNDS {
            let before = text.clone();
            for (name, value) in &self.macros {
                if text.len() < LONGEST && value.len() < LONGEST && text.contains(name.as_str()) {
                    text = text.replace(name.as_str(), value);
                }
            }
            if text == before {
                break;
            }
        }
        text.truncate(text.floor_char_boundary(LONGEST));
        text
    }
}

/// Lines, those that a backslash continues together; comments and empty lines are left out, even between the two.
fn joined(text: &str) -> Vec<Line> {
    let trimmed = numbered(text).map(|(number, line)| (number, line.trim()));
    lines::joined(trimmed.filter(|(_, line)| !line.starts_with('#') && !line.is_empty()))
}

const WANTED: [&str; 7] = [
    "daemon_smtp_port",
    "daemon_smtp_ports",
    "local_interfaces",
    "tls_advertise_hosts",
    "tls_certificate",
    "tls_on_connect_ports",
    "tls_privatekey",
];
const MACROS: usize = 2000;
const ROUNDS: usize = 8;
const LONGEST: usize = 4096;
