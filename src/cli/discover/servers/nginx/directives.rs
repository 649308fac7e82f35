//! nginx's grammar: words, blocks and includes; of what it reads only what the reader asks for is kept.

use std::iter::Peekable;
use std::path::Path;
use std::str::Chars;

use super::super::super::reading::Reading;
use super::super::below;
use super::{File, is_wanted};

/// A directive, with its block where it has one.
#[derive(Debug)]
pub(super) struct Directive {
    pub(super) words: Vec<String>,
    pub(super) block: Option<Vec<Directive>>,
    pub(super) file: File,
    pub(super) line: usize,
}

impl Directive {
    pub(super) fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// Whether one of the words after the name is this.
    pub(super) fn has(&self, word: &str) -> bool {
        self.words.iter().skip(1).any(|other| other == word)
    }
}

/// The directives of a main file and of all it includes.
pub(super) fn read(reading: &mut Reading, file: &Path, folder: &Path) -> Vec<Directive> {
    let mut found = Vec::new();
    Parser { reading, folder, depth: 0 }.file(file, (file, 0), &mut found);
    found
}

struct Parser<'a> {
    reading: &'a mut Reading,
    folder: &'a Path,
    /// How many blocks are open, over all files.
    depth: usize,
}

impl Parser<'_> {
    fn file(&mut self, path: &Path, (from, line): (&Path, usize), found: &mut Vec<Directive>) {
        let Some(text) = self.reading.enter(path, from, line) else { return };
        let mut tokens = Tokens { rest: text.chars().peekable(), line: 1 };
        let file: File = path.into();
        match self.block(&mut tokens, &file, found) {
            End::File => {}
            End::Closed => self.reading.note(path, tokens.line, "a } closes nothing".to_owned()),
            End::TooDeep => {
                let what = "blocks are nested too deeply: the rest of the file is ignored";
                self.reading.note(path, tokens.line, what.to_owned());
            }
        }
        self.reading.leave();
    }

    /// Reads up to the end of a block, or of the file.
    fn block(&mut self, tokens: &mut Tokens<'_>, file: &File, found: &mut Vec<Directive>) -> End {
        let mut words = Vec::new();
        let mut line = 0;
        while let Some(token) = tokens.next() {
            match token {
                Token::Word(word) => {
                    if words.is_empty() {
                        line = tokens.word_line(&word);
                    }
                    words.push(word);
                }
                Token::End => {
                    let words = std::mem::take(&mut words);
                    match words.as_slice() {
                        [name, pattern] if name == "include" => self.include(pattern, (file, line), found),
                        [name, ..] if is_wanted(name) => {
                            found.push(Directive { words, block: None, file: file.clone(), line });
                        }
                        _ => {}
                    }
                }
                Token::Open => {
                    let words = std::mem::take(&mut words);
                    if words.first().is_some_and(|name| name.ends_with("_by_lua_block")) {
                        if words.iter().any(|name| name == "ssl_certificate_by_lua_block") {
                            let what = "a program in Lua chooses certificates: it is not followed";
                            self.reading.note(file, line, what.to_owned());
                        }
                        tokens.skip_lua();
                        continue;
                    }
                    if self.depth >= DEPTH {
                        return End::TooDeep;
                    }
                    let mut block = Vec::new();
                    self.depth += 1;
                    let end = self.block(tokens, file, &mut block);
                    self.depth -= 1;
                    // Blocks with nothing of interest are not kept.
                    if !block.is_empty() {
                        found.push(Directive { words, block: Some(block), file: file.clone(), line });
                    }
                    match end {
                        End::Closed => {}
                        End::TooDeep => return End::TooDeep,
                        End::File => {
                            self.reading.note(file, line, "a block is not closed".to_owned());
                            return End::File;
                        }
                    }
                }
                Token::Close => return End::Closed,
            }
        }
        End::File
    }

    fn include(&mut self, pattern: &str, (file, line): (&File, usize), found: &mut Vec<Directive>) {
        let path = below(self.folder, pattern);
        let paths = self.reading.glob(&path.to_string_lossy());
        if paths.is_empty() && !pattern.contains(['*', '?', '[']) {
            self.reading.note(file, line, format!("includes {pattern}, which is not there"));
        }
        for path in paths {
            self.file(&path, (file, line), found);
        }
    }
}

/// What a block ended with.
enum End {
    Closed,
    File,
    TooDeep,
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
}

struct Tokens<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl Tokens<'_> {
    /// The line that a word that was just read begins in.
    fn word_line(&self, word: &str) -> usize {
        self.line.saturating_sub(word.matches('\n').count())
    }

    fn take(&mut self) -> Option<char> {
        let c = self.rest.next();
        self.line += usize::from(c == Some('\n'));
        c
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            match *self.rest.peek()? {
                '#' => while self.rest.next_if(|&c| c != '\n').is_some() {},
                ';' => return self.take().map(|_| Token::End),
                '{' => return self.take().map(|_| Token::Open),
                '}' => return self.take().map(|_| Token::Close),
                quote @ ('"' | '\'') => {
                    self.take();
                    return Some(Token::Word(self.quoted(quote)));
                }
                c if c.is_whitespace() || c == '\u{feff}' => {
                    self.take();
                }
                _ => return Some(Token::Word(self.plain())),
            }
        }
    }

    fn quoted(&mut self, quote: char) -> String {
        let mut word = String::new();
        while let Some(c) = self.take() {
            match c {
                c if c == quote => break,
                '\\' => self.escaped(&mut word),
                c => word.push(c),
            }
        }
        word
    }

    fn plain(&mut self) -> String {
        let mut word = String::new();
        while let Some(&c) = self.rest.peek() {
            match c {
                ';' => break,
                // `${` begins a variable.
                '{' if !word.ends_with('$') => break,
                c if c.is_whitespace() => break,
                '\\' => {
                    self.take();
                    self.escaped(&mut word);
                }
                c => {
                    self.take();
                    word.push(c);
                }
            }
        }
        word
    }

    /// What follows a backslash: nginx takes it away before quotes, itself and a space alone.
    fn escaped(&mut self, word: &mut String) {
        match self.take() {
            Some(c @ ('"' | '\'' | '\\' | ' ')) => word.push(c),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(c) => word.extend(['\\', c]),
            None => word.push('\\'),
        }
    }

    /// Skips a block of Lua up to the brace that closes it: braces in its strings and comments do not count.
    fn skip_lua(&mut self) {
        let mut open = 1_usize;
        while let Some(c) = self.take() {
            match c {
                '{' => open += 1,
                '}' => open -= 1,
                '"' | '\'' => self.skip_lua_string(c),
                '[' if self.rest.peek() == Some(&'[') => self.skip_lua_brackets(),
                '-' if self.rest.next_if_eq(&'-').is_some() => {
                    if self.rest.next_if_eq(&'[').is_some() && self.rest.peek() == Some(&'[') {
                        self.skip_lua_brackets();
                    } else {
                        while self.rest.next_if(|&c| c != '\n').is_some() {}
                    }
                }
                _ => {}
            }
            if open == 0 {
                return;
            }
        }
    }

    fn skip_lua_string(&mut self, quote: char) {
        while let Some(c) = self.take() {
            match c {
                '\\' => drop(self.take()),
                c if c == quote || c == '\n' => return,
                _ => {}
            }
        }
    }

    fn skip_lua_brackets(&mut self) {
        let mut before = ' ';
        self.take();
        while let Some(c) = self.take() {
            if (before, c) == (']', ']') {
                return;
            }
            before = c;
        }
    }
}

const DEPTH: usize = 64;
