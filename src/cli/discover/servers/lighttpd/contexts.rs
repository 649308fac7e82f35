//! lighttpd's grammar: settings with expressions, conditions around them, and includes.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::Path;
use std::str::Chars;
use std::sync::Arc;

use super::super::super::reading::Reading;
use super::super::{Value, below};

/// A condition with its settings.
#[derive(Debug, Default)]
pub(super) struct Context {
    parent: Option<usize>,
    pub(super) socket: Option<String>,
    /// The names, or the pattern, that the condition is for.
    pub(super) hosts: Vec<String>,
    pub(super) settings: BTreeMap<String, Value>,
}

/// All contexts; the first is the server itself.
#[derive(Debug)]
pub(super) struct Contexts(pub(super) Vec<Context>);

impl Contexts {
    /// A context and those around it, the innermost first.
    pub(super) fn indices(&self, at: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(at), |at| self.0.get(*at)?.parent)
    }

    pub(super) fn chain(&self, at: usize) -> impl Iterator<Item = &Context> {
        self.indices(at).filter_map(|at| self.0.get(at))
    }

    pub(super) fn is_socket(&self, at: usize) -> bool {
        self.0.get(at).is_some_and(|context| context.socket.is_some())
    }
}

pub(super) fn read(reading: &mut Reading, file: &Path) -> Contexts {
    let folder = file.parent().unwrap_or(Path::new("/"));
    let contexts = Contexts(vec![Context::default()]);
    let mut parser = Parser { reading, folder, contexts, current: 0, depth: 0, variables: BTreeMap::new() };
    parser.file(file, (file, 0));
    parser.contexts
}

struct Parser<'a> {
    reading: &'a mut Reading,
    folder: &'a Path,
    contexts: Contexts,
    current: usize,
    depth: usize,
    variables: BTreeMap<String, String>,
}

impl Parser<'_> {
    fn file(&mut self, path: &Path, (from, line): (&Path, usize)) {
        let Some(text) = self.reading.enter(path, from, line) else { return };
        let file: Arc<Path> = path.into();
        let mut tokens = Tokens { rest: text.chars().peekable(), line: 1 };
        let (outer, depth) = (self.current, self.depth);
        let mut condition = Condition::default();
        while let Some(token) = tokens.next() {
            let place = (&file, tokens.line);
            match token {
                Token::Symbol('$') => condition = tokens.condition(),
                Token::Symbol('{') => {
                    if self.depth >= DEPTH {
                        let what = "conditions are nested too deeply: the rest of the file is ignored";
                        self.reading.note(path, tokens.line, what.to_owned());
                        break;
                    }
                    let Condition { socket, hosts } = std::mem::take(&mut condition);
                    let parent = Some(self.current);
                    self.current = self.contexts.0.len();
                    self.depth += 1;
                    self.contexts.0.push(Context { parent, socket, hosts, settings: BTreeMap::new() });
                }
                Token::Symbol('}') if self.depth > depth => self.close(),
                Token::Symbol('}') => self.reading.note(path, tokens.line, "a } closes nothing".to_owned()),
                Token::Symbol('(') => tokens.skip_array(),
                Token::Word(name) if name == "include" => {
                    let pattern = self.expression(&mut tokens);
                    self.include(pattern, place);
                }
                Token::Word(name) if name == "include_shell" => {
                    let command = self.expression(&mut tokens);
                    self.shell(command.as_deref().unwrap_or_default(), place);
                }
                Token::Word(name) if tokens.assigns() => self.assign(&name, &mut tokens, place),
                Token::Word(_) | Token::Text(_) | Token::Symbol(_) => {}
            }
        }
        while self.depth > depth {
            self.close();
        }
        self.current = outer;
        self.reading.leave();
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.current = self.contexts.0.get(self.current).and_then(|context| context.parent).unwrap_or(0);
    }

    fn assign(&mut self, name: &str, tokens: &mut Tokens<'_>, (file, line): (&Arc<Path>, usize)) {
        let value = self.expression(tokens);
        match value {
            Some(text) if WANTED.contains(&name) => {
                if let Some(context) = self.contexts.0.get_mut(self.current) {
                    context.settings.insert(name.to_owned(), Value::new(&text, file, line));
                }
                self.variables.insert(name.to_owned(), text);
            }
            Some(text) if name.starts_with("var.") => drop(self.variables.insert(name.to_owned(), text)),
            None if name == "ssl.pemfile" || name == "ssl.privkey" => {
                self.reading.note(file, line, format!("{name} has a value that is not known: not followed"));
            }
            _ => {}
        }
    }

    /// The text that texts and variables make together; none where one of them is not known, or for a list.
    fn expression(&mut self, tokens: &mut Tokens<'_>) -> Option<String> {
        let mut value = Some(String::new());
        loop {
            let part = match tokens.next()? {
                Token::Text(text) => Some(text),
                Token::Word(name) if name.chars().all(|c| c.is_ascii_digit()) => Some(name),
                Token::Word(name) => {
                    let own = self.variables.get(&name).or_else(|| self.variables.get(&format!("var.{name}")));
                    own.cloned()
                }
                Token::Symbol('(') => {
                    tokens.skip_array();
                    None
                }
                Token::Symbol(_) => None,
            };
            value = match (value, part) {
                (Some(value), Some(part)) if value.len() + part.len() <= LONGEST => Some(value + &part),
                _ => None,
            };
            if !tokens.joins() {
                return value;
            }
        }
    }

    fn include(&mut self, pattern: Option<String>, (file, line): (&Arc<Path>, usize)) {
        let Some(pattern) = pattern else {
            return self.reading.note(file, line, "includes a file that is not known: not followed".to_owned());
        };
        let paths = self.reading.glob(&below(self.folder, &pattern).to_string_lossy());
        if paths.is_empty() && !pattern.contains(['*', '?', '[']) {
            self.reading.note(file, line, format!("includes {pattern}, which is not there"));
        }
        for path in paths {
            self.file(&path, (file, line));
        }
    }

    /// Of scripts only Debian's are known.
    fn shell(&mut self, command: &str, place: (&Arc<Path>, usize)) {
        let script = command.split_whitespace().next().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        match script {
            "include-conf-enabled.pl" => self.include(Some("/etc/lighttpd/conf-enabled/*.conf".to_owned()), place),
            // They print a socket without TLS, types and nothing.
            "use-ipv6.pl" | "create-mime.conf.pl" | "create-mime.assign.pl" => {}
            _ => self.reading.note(place.0, place.1, format!("includes what {command:?} prints: not followed")),
        }
    }
}

#[derive(Default)]
struct Condition {
    socket: Option<String>,
    hosts: Vec<String>,
}

enum Token {
    Word(String),
    Text(String),
    Symbol(char),
}

struct Tokens<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Tokens<'_> {
    fn take(&mut self) -> Option<char> {
        let c = self.rest.next();
        self.line += usize::from(c == Some('\n'));
        c
    }

    fn skip_space(&mut self) {
        while let Some(&c) = self.rest.peek() {
            match c {
                '#' => while self.rest.next_if(|&c| c != '\n').is_some() {},
                c if c.is_whitespace() => drop(self.take()),
                _ => return,
            }
        }
    }

    fn next(&mut self) -> Option<Token> {
        self.skip_space();
        let c = self.take()?;
        if c == '"' || c == '\'' {
            return Some(Token::Text(self.quoted(c)));
        }
        if !is_word(c) {
            return Some(Token::Symbol(c));
        }
        let mut word = String::from(c);
        while let Some(c) = self.rest.next_if(|&c| is_word(c)) {
            word.push(c);
        }
        Some(Token::Word(word))
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut text = String::new();
        while let Some(c) = self.take().filter(|c| *c != quote) {
            if c == '\\' && self.rest.peek() == Some(&quote) {
                text.extend(self.take());
            } else {
                text.push(c);
            }
        }
        text
    }

    /// Whether a value follows: `=`, `+=` or `:=`.
    fn assigns(&mut self) -> bool {
        self.skip_space();
        let _ = self.rest.next_if(|&c| c == '+' || c == ':');
        self.rest.next_if_eq(&'=').is_some()
    }

    fn joins(&mut self) -> bool {
        self.skip_space();
        self.rest.next_if_eq(&'+').is_some()
    }

    /// Skips a list, whose opening parenthesis is read.
    fn skip_array(&mut self) {
        let mut open = 1_usize;
        while open > 0 {
            match self.next() {
                Some(Token::Symbol('(')) => open += 1,
                Some(Token::Symbol(')')) => open -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    /// What a condition is about, up to its brace.
    fn condition(&mut self) -> Condition {
        let (mut subject, mut texts, mut is_negated) = (String::new(), Vec::new(), false);
        self.skip_space();
        while let Some(&c) = self.rest.peek() {
            if c == '{' {
                break;
            }
            match self.next() {
                Some(Token::Word(word)) => subject = word,
                Some(Token::Text(text)) => texts.push(text),
                Some(Token::Symbol('!')) => is_negated = true,
                Some(Token::Symbol(_)) => {}
                None => break,
            }
            self.skip_space();
        }
        let mut condition = Condition::default();
        if let ([field, value], false) = (texts.as_slice(), is_negated) {
            match (subject.as_str(), field.as_str()) {
                ("SERVER", "socket") => condition.socket = Some(value.clone()),
                ("HTTP", "host") => condition.hosts.push(value.to_lowercase()),
                _ => {}
            }
        }
        condition
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '-')
}

const WANTED: [&str; 6] = ["ssl.pemfile", "ssl.privkey", "ssl.ca-file", "ssl.engine", "server.port", "server.bind"];
const DEPTH: usize = 16;
const LONGEST: usize = 4096;
