//! Dovecot's grammar: settings in blocks, and includes.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::super::super::reading::Reading;
use super::super::lines::by_backslash;
use super::super::{Value, below};

pub(super) type Settings = BTreeMap<String, Value>;

/// The settings of all blocks of one path, e.g. `local 192.0.2.1` and in it `protocol imap`.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) path: Vec<String>,
    pub(super) settings: Settings,
}

impl Block {
    /// What the blocks of a kind that this one is in are for.
    pub(super) fn arguments<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        let of_kind = self.path.iter().filter_map(move |label| label.split_once(' ').filter(|(name, _)| *name == kind));
        of_kind.flat_map(|(_, words)| words.split([' ', ',', '"', '\''])).filter(|word| !word.is_empty())
    }
}

/// All blocks by their paths; the outermost has an empty one.
#[derive(Debug, Default)]
pub(super) struct Blocks(BTreeMap<Vec<String>, Block>);

impl Blocks {
    pub(super) fn all(&self) -> impl Iterator<Item = &Block> {
        self.0.values()
    }

    /// A setting's value in a block, or in the next around it that has one.
    pub(super) fn value(&self, path: &[String], name: &str) -> Option<&Value> {
        (0..=path.len()).rev().find_map(|end| self.0.get(path.get(..end)?)?.settings.get(name))
    }

    fn insert(&mut self, path: &[String], name: &str, value: Value) {
        let block = || Block { path: path.to_vec(), settings: Settings::new() };
        self.0.entry(path.to_vec()).or_insert_with(block).settings.insert(name.to_owned(), value);
    }
}

pub(super) fn read(reading: &mut Reading, file: &Path) -> Blocks {
    let mut parser = Parser { reading, blocks: Blocks::default(), path: Vec::new() };
    parser.file(file, (file, 0));
    parser.blocks
}

struct Parser<'a> {
    reading: &'a mut Reading,
    blocks: Blocks,
    /// The labels of the blocks that are open.
    path: Vec<String>,
}

impl Parser<'_> {
    fn file(&mut self, path: &Path, (from, line): (&Path, usize)) {
        let Some(text) = self.reading.enter(path, from, line) else { return };
        let file: Arc<Path> = path.into();
        let outer = self.path.len();
        let mut last = line;
        for line in by_backslash(&text) {
            let text = without_comment(line.text.trim()).trim();
            let place = (&file, line.number);
            if text.is_empty() {
                continue;
            }
            last = line.number;
            if let Some(pattern) = text.strip_prefix("!include_try").or_else(|| text.strip_prefix("!include")) {
                self.include(pattern.trim(), !text.starts_with("!include_try"), place);
            } else if let Some((label, rest)) = block_start(text) {
                if self.path.len() >= DEPTH {
                    self.reading.note(
                        path,
                        line.number,
                        "blocks are nested too deeply: the rest is ignored".to_owned(),
                    );
                    break;
                }
                self.path.push(label);
                // A whole block in one line.
                let inner = rest.trim_end_matches('}').trim();
                self.setting(inner, place);
                if rest.ends_with('}') {
                    self.path.pop();
                }
            } else if text == "}" {
                if self.path.len() > outer {
                    self.path.pop();
                } else {
                    self.reading.note(path, line.number, "a } closes nothing".to_owned());
                }
            } else {
                self.setting(text, place);
            }
        }
        if self.path.len() > outer {
            self.reading.note(path, last, "a block is not closed".to_owned());
        }
        self.path.truncate(outer);
        self.reading.leave();
    }

    fn setting(&mut self, text: &str, (file, line): (&Arc<Path>, usize)) {
        let Some((name, value)) = text.split_once('=') else { return };
        let (name, value) = (name.trim(), unquoted(value.trim()));
        let (path, name) = match self.path.split_last() {
            // Within a block of that name its prefix may be left out.
            Some((last, path)) if last == "ssl_server" || last == "ssl_client" => {
                let name = if name.starts_with(last.as_str()) { name.to_owned() } else { format!("{last}_{name}") };
                (path, name)
            }
            // So 2.4 writes which protocols there are.
            Some((last, path)) if last == "protocols" => {
                let before = self.blocks.value(path, "protocols").map_or("", |value| &value.text);
                let value = if value == "yes" { format!("{before} {name}") } else { before.to_owned() };
                let path = path.to_vec();
                return self.blocks.insert(&path, "protocols", Value::new(&value, file, line));
            }
            _ => (self.path.as_slice(), name.to_owned()),
        };
        let is_wanted = WANTED.contains(&name.as_str()) || name.starts_with("ssl_");
        if is_wanted {
            let own = format!("${name}");
            let before = self.blocks.value(path, &name).map_or(String::new(), |value| value.text.clone());
            let value = if value.contains(&own) { value.replacen(&own, &before, 1) } else { value.to_owned() };
            if value.len() <= LONGEST {
                let path = path.to_vec();
                self.blocks.insert(&path, &name, Value::new(&value, file, line));
            }
        }
    }

    fn include(&mut self, pattern: &str, must_be: bool, (file, line): (&Arc<Path>, usize)) {
        let pattern = unquoted(pattern);
        let folder = file.parent().unwrap_or(Path::new("/"));
        let paths: Vec<_> = alternatives(&below(folder, pattern).to_string_lossy())
            .iter()
            .flat_map(|pattern| self.reading.glob(pattern))
            .collect();
        if paths.is_empty() && must_be && !pattern.contains(['*', '?', '[', '{']) {
            self.reading.note(file, line, format!("includes {pattern}, which is not there"));
        }
        for path in paths {
            self.file(&path, (file, line));
        }
    }
}

/// The label of a block that a line begins, and what follows the brace.
fn block_start(text: &str) -> Option<(String, &str)> {
    let (label, rest) = text.split_once('{')?;
    let is_setting = label.contains('=') || !(label.ends_with(char::is_whitespace) || rest.is_empty());
    let words = label.split_whitespace().collect::<Vec<_>>().join(" ");
    (!is_setting && !words.is_empty()).then(|| (words, rest.trim()))
}

/// A line up to a `#` that stands by itself, outside of quotes.
fn without_comment(text: &str) -> &str {
    let (mut quote, mut before) = (None, ' ');
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => return text.get(..at).unwrap_or_default(),
            (None, '"' | '\'') if before.is_whitespace() => quote = Some(c),
            (Some(open), c) if c == open && before != '\\' => quote = None,
            _ => {}
        }
        before = c;
    }
    text
}

fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

/// The patterns that one with alternatives in braces stands for.
fn alternatives(pattern: &str) -> Vec<String> {
    let parts = pattern.split_once('{').and_then(|(before, rest)| Some((before, rest.split_once('}')?)));
    match parts {
        Some((before, (inner, after))) => {
            inner.split(',').take(MOST).map(|part| format!("{before}{part}{after}")).collect()
        }
        None => vec![pattern.to_owned()],
    }
}

const WANTED: [&str; 5] = ["ssl", "protocols", "listen", "port", "address"];
const DEPTH: usize = 16;
const LONGEST: usize = 4096;
const MOST: usize = 16;
