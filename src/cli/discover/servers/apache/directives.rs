//! Apache's grammar: directives with their words, variables replaced, includes followed, sections left but for virtual
//! hosts; of what it reads only what the reader asks for is kept.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::super::reading::Reading;
use super::super::below;
use super::super::lines::{Line, by_backslash};
use super::super::words::{APACHE, words};
use super::is_wanted;

/// A directive, or the start of a virtual host (`virtualhost`).
#[derive(Debug)]
pub(super) struct Directive {
    /// In lower case.
    pub(super) name: String,
    pub(super) words: Vec<String>,
    /// The number of the virtual host it is in.
    pub(super) host: Option<usize>,
    pub(super) file: Arc<Path>,
    pub(super) line: usize,
}

/// The directives of a main file and of all it includes, and the root below which relative paths are.
pub(super) fn read(
    reading: &mut Reading,
    file: &Path,
    root: &Path,
    variables: BTreeMap<String, String>,
) -> (Vec<Directive>, PathBuf) {
    let mut parser = Parser {
        reading,
        root: root.to_owned(),
        variables,
        macros: BTreeMap::new(),
        uses: 0,
        host: None,
        hosts: 0,
        found: Vec::new(),
    };
    parser.file(file, (file, 0));
    (parser.found, parser.root)
}

struct Parser<'a> {
    reading: &'a mut Reading,
    root: PathBuf,
    variables: BTreeMap<String, String>,
    macros: BTreeMap<String, Macro>,
    /// How many macros were used.
    uses: usize,
    host: Option<usize>,
    hosts: usize,
    found: Vec<Directive>,
}

/// A macro of mod_macro.
#[derive(Clone)]
struct Macro {
    parameters: Vec<String>,
    lines: Arc<[Line]>,
    file: Arc<Path>,
}

impl Parser<'_> {
    fn file(&mut self, path: &Path, (from, line): (&Path, usize)) {
        let Some(text) = self.reading.enter(path, from, line) else { return };
        self.lines(&by_backslash(&text), &path.into(), 0);
        self.reading.leave();
    }

    fn lines(&mut self, lines: &[Line], file: &Arc<Path>, depth: usize) {
        let mut lines = lines.iter();
        while let Some(line) = lines.next() {
            let text = line.text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
            let name = name.to_ascii_lowercase();
            if name == "<macro" {
                let is_end = |line: &&Line| line.text.trim().to_ascii_lowercase().starts_with("</macro");
                let body: Vec<Line> = lines.by_ref().take_while(|line| !is_end(line)).cloned().collect();
                let mut parameters = words(rest.trim_end_matches('>'), APACHE).into_iter();
                let name = parameters.next().unwrap_or_default().to_ascii_lowercase();
                let made = Macro { parameters: parameters.collect(), lines: body.into(), file: file.clone() };
                self.macros.insert(name, made);
                continue;
            }
            let rest = self.replaced(rest);
            self.directive(name, &rest, (file, line.number), depth);
        }
    }

    fn directive(&mut self, name: String, rest: &str, (file, line): (&Arc<Path>, usize), depth: usize) {
        match name.as_str() {
            "<virtualhost" => {
                self.hosts += 1;
                self.host = Some(self.hosts);
                let words = words(rest.trim_end().trim_end_matches('>'), APACHE);
                let name = "virtualhost".to_owned();
                self.found.push(Directive { name, words, host: self.host, file: file.clone(), line });
            }
            "</virtualhost>" => self.host = None,
            "include" | "includeoptional" => {
                for pattern in words(rest, APACHE) {
                    self.include(&pattern, name == "include", (file, line));
                }
            }
            "define" => {
                let mut words = words(rest, APACHE).into_iter();
                if let Some(variable) = words.next() {
                    self.variables.insert(variable, words.next().unwrap_or_default());
                }
            }
            "undefine" => drop(self.variables.remove(rest.trim())),
            "serverroot" => {
                if let Some(root) = words(rest, APACHE).first() {
                    self.root = below(&self.root, root);
                }
            }
            "use" => self.expand(&words(rest, APACHE), (file, line), depth),
            name if is_wanted(name) => {
                let words = words(rest, APACHE);
                self.found.push(Directive { name: name.to_owned(), words, host: self.host, file: file.clone(), line });
            }
            _ => {}
        }
    }

    /// Reads the lines of a macro, its parameters replaced.
    fn expand(&mut self, arguments: &[String], (file, line): (&Path, usize), depth: usize) {
        let Some((name, arguments)) = arguments.split_first() else { return };
        let Some(made) = self.macros.get(&name.to_ascii_lowercase()).cloned() else {
            return self.reading.note(file, line, format!("macro {name} is not known: not followed"));
        };
        let mut lines = made.lines.to_vec();
        self.uses += 1;
        if depth >= MACROS || self.uses > USES {
            return self.reading.note(file, line, format!("macro {name} is not followed: too many are used"));
        }
        // The longest name first: one may begin with another.
        let mut pairs: Vec<(&String, &String)> = made.parameters.iter().zip(arguments).collect();
        pairs.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        pairs.retain(|(parameter, argument)| !parameter.is_empty() && argument.len() < LINE);
        for line in &mut lines {
            for (parameter, argument) in &pairs {
                line.text.truncate(line.text.floor_char_boundary(LINE));
                line.text = line.text.replace(parameter.as_str(), argument);
            }
        }
        self.lines(&lines, &made.file, depth + 1);
    }

    fn include(&mut self, pattern: &str, must_be: bool, (file, line): (&Path, usize)) {
        if pattern.contains("${") {
            return self.reading.note(file, line, format!("includes {pattern}, whose variable is not defined"));
        }
        let path = below(&self.root, pattern);
        let paths = self.reading.glob(&path.to_string_lossy());
        if paths.is_empty() && must_be && !pattern.contains(['*', '?', '[']) {
            self.reading.note(file, line, format!("includes {pattern}, which is not there"));
        }
        for path in paths {
            self.file_or_folder(&path, (file, line), FOLDERS);
        }
    }

    /// A folder stands for all that is in it, and in its folders.
    fn file_or_folder(&mut self, path: &Path, from: (&Path, usize), depth: usize) {
        if !self.reading.is_folder(path) {
            return self.file(path, from);
        }
        for path in self.reading.entries(path) {
            if depth > 0 {
                self.file_or_folder(&path, from, depth - 1);
            }
        }
    }

    /// The text with its variables; unknown ones stay.
    fn replaced(&self, text: &str) -> String {
        let (mut done, mut rest) = (String::new(), text);
        while let Some((before, after)) = rest.split_once("${") {
            done.push_str(before);
            match after.split_once('}').and_then(|(name, after)| Some((self.variables.get(name)?, after))) {
                Some((value, after)) if done.len() < LONGEST && value.len() < LONGEST => {
                    done.push_str(value);
                    rest = after;
                }
                _ => {
                    done.push_str("${");
                    rest = after;
                }
            }
        }
        done + rest
    }
}

/// So deep may macros use one another, and so often in all.
const MACROS: usize = 8;
const USES: usize = 10_000;
/// So much of a macro's line is read, and so long may a value be that is put in a place.
const LINE: usize = 2048;
const LONGEST: usize = 65_536;
const FOLDERS: usize = 4;
