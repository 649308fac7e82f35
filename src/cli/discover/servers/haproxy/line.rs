//! The words of a line of HAProxy's, with its variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::super::mention::{Mention, Server};
use super::super::words::{self, HAPROXY};

/// The file and the line of a statement.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    pub(super) file: Arc<Path>,
    pub(super) line: usize,
}

impl Origin {
    pub(super) fn mention(&self, certificate: PathBuf) -> Mention {
        Mention::new(Server::Haproxy, &self.file, self.line, certificate)
    }
}

/// A statement: its words.
pub(super) struct Words(Vec<String>);

impl Words {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A word, or none.
    pub(super) fn at(&self, at: usize) -> &str {
        self.0.get(at).map_or("", String::as_str)
    }

    pub(super) fn has(&self, word: &str) -> bool {
        self.0.iter().any(|other| other == word)
    }

    /// The words that follow a keyword.
    pub(super) fn after(&self, keyword: &str) -> Vec<String> {
        let pairs = self.0.iter().zip(self.0.iter().skip(1));
        pairs.filter(|(word, _)| *word == keyword).map(|(_, value)| value.clone()).collect()
    }
}

/// Splits a line, and replaces the variables that are known; the others stay, but for those with a default.
pub(super) fn words(line: &str, variables: &BTreeMap<String, String>) -> Words {
    let words = words::words(line, HAPROXY);
    Words(words.into_iter().map(|word| if word.contains('$') { replaced(&word, variables) } else { word }).collect())
}

fn replaced(word: &str, variables: &BTreeMap<String, String>) -> String {
    let (mut done, mut rest) = (String::new(), word);
    while let Some((before, after)) = rest.split_once('$') {
        done.push_str(before);
        let (written, name, after) = match after.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, after)) => (format!("${{{name}}}"), name, after),
            None => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                let (name, after) = after.split_at(end);
                (format!("${name}"), name, after)
            }
        };
        let (name, default) = name.split_once('-').map_or((name, None), |(name, default)| (name, Some(default)));
        let name = name.trim_end_matches("[*]");
        let value = variables.get(name).map(String::as_str).or(default);
        done.push_str(value.filter(|value| done.len() + value.len() < LONGEST).unwrap_or(&written));
        rest = after;
    }
    done + rest
}

/// So long may a word become by its variables.
const LONGEST: usize = 65_536;
