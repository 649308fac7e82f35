//! One line of a file, fit to be shown: on one line, without steering characters, cut around what is marked, and with
//! what may be a secret blotted out. Character for character, so that a caret below it stays in its place.

use crate::core::text::Text;

/// A line and the part of it that is marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Excerpt {
    line: String,
    /// Characters before the mark.
    before: usize,
    /// Characters that are marked, at least one.
    marked: usize,
}

impl Excerpt {
    /// Of `raw`, `marked` characters after the first `before` ones.
    pub(super) fn new(raw: &str, before: usize, marked: usize) -> Self {
        let line = blotted(raw.trim_end());
        let skipped = before.saturating_sub(LEAD);
        let mut shown: Vec<char> = line.chars().skip(skipped).take(WIDTH).map(shown).collect();
        if let Some(first) = shown.first_mut().filter(|_| skipped > 0) {
            *first = '…';
        }
        if let Some(last) = shown.last_mut().filter(|_| line.chars().nth(skipped + WIDTH).is_some()) {
            *last = '…';
        }
        let before = before - skipped;
        let marked = marked.clamp(1, WIDTH.saturating_sub(before).max(1));
        Self { line: shown.into_iter().collect(), before, marked }
    }

    /// The line.
    pub(super) fn line(&self) -> &str {
        self.line.trim_end()
    }

    /// Blanks up to the mark.
    pub(super) fn indent(&self) -> String {
        " ".repeat(self.before)
    }

    /// Carets for the mark.
    pub(super) fn carets(&self) -> String {
        "^".repeat(self.marked)
    }
}

/// A character as it is shown: one for one.
fn shown(c: char) -> char {
    if c.is_whitespace() {
        return ' ';
    }
    let mut buffer = [0; 4];
    if Text::new(c.encode_utf8(&mut buffer)).as_str().is_empty() { char::REPLACEMENT_CHARACTER } else { c }
}

/// Blots out user information of URLs, and values of keys that sound like a secret: an operator who wrote the secret
/// itself where its file belongs must not find it in the log. A quoted absolute path stays.
fn blotted(line: &str) -> String {
    let mut chars: Vec<char> = line.chars().collect();
    blot_user_information(&mut chars);
    blot_secrets(&mut chars);
    chars.into_iter().collect()
}

fn blot_user_information(chars: &mut [char]) {
    let mut rest = chars;
    while let Some(at) = rest.windows(3).position(|window| *window == [':', '/', '/']) {
        let (_, authority) = rest.split_at_mut(at + 3);
        let ends = |c: &char| matches!(c, '/' | '"' | '\'') || c.is_whitespace();
        let end = authority.iter().position(ends).unwrap_or(authority.len());
        let (authority, after) = authority.split_at_mut(end);
        if let Some(at) = authority.iter().rposition(|c| *c == '@') {
            authority.iter_mut().take(at).for_each(|c| *c = BLOT);
        }
        rest = after;
    }
}

fn blot_secrets(chars: &mut [char]) {
    let mut reader = Reader::default();
    for c in chars {
        if reader.hides(*c) {
            *c = BLOT;
        }
    }
}

/// Reads a line of TOML just well enough to tell values of secret-sounding keys.
#[derive(Default)]
struct Reader {
    /// The bare or quoted word that was read last: a key, once `=` (or YAML's colon) follows.
    word: String,
    /// Inside the value of a key that sounds secret.
    secret: bool,
    /// How many brackets of lists are open.
    lists: usize,
    /// The quote that ends the string, and whether its content is hidden; unknown before its first character.
    string: Option<(char, Option<bool>)>,
}

impl Reader {
    /// Whether the next character must not be shown.
    fn hides(&mut self, c: char) -> bool {
        let Some((quote, hidden)) = self.string else { return self.hides_bare(c) };
        if c == quote {
            self.string = None;
            return false;
        }
        self.word.push(c);
        let hidden = hidden.unwrap_or(self.secret && c != '/');
        self.string = Some((quote, Some(hidden)));
        hidden
    }

    fn hides_bare(&mut self, c: char) -> bool {
        match c {
            '"' | '\'' => self.string = Some((c, None)),
            '=' | ':' => self.secret = sounds_secret(&self.word),
            '[' => self.lists += 1,
            ']' => self.lists = self.lists.saturating_sub(1),
            ',' if self.lists == 0 => self.secret = false,
            '{' | '}' => self.secret = false,
            ',' => {}
            c if c.is_whitespace() => return false,
            c => {
                self.word.push(c);
                return self.secret;
            }
        }
        if !matches!(c, '"' | '\'') {
            self.word.clear();
        }
        false
    }
}

fn sounds_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    ["api_key", "api-key", "apikey", "password", "passphrase", "secret", "token", "credential", "private_key"]
        .iter()
        .any(|word| key.contains(word))
}

const BLOT: char = '*';
/// The most characters of a line that are shown.
const WIDTH: usize = 160;
/// The most characters before the mark.
const LEAD: usize = 80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_blotted_out_and_paths_are_not() {
        #[track_caller]
        fn check(line: &str, expected: &str) {
            assert_eq!(blotted(line), expected);
        }
        check(r#"api_key = "01_abc/d""#, r#"api_key = "********""#);
        check(r#"api_key_file = "/etc/renewd/api-key""#, r#"api_key_file = "/etc/renewd/api-key""#);
        check(r#"api_key_file = ["/etc/k", "01_abc"]"#, r#"api_key_file = ["/etc/k", "******"]"#);
        check("password = hunter2", "password = *******");
        check(r"api_key = 'it''s'", r"api_key = '**''*'");
        check(r#"proxy = "http://me:pw@proxy:3128/""#, r#"proxy = "http://*****@proxy:3128/""#);
        check(r#"a = "http://x:1/", b = "https://u@y""#, r#"a = "http://x:1/", b = "https://*@y""#);
        check(r#"api = { api_key = "k1", url = "x" }"#, r#"api = { api_key = "**", url = "x" }"#);
        check(r#"common_name = "www.example.com""#, r#"common_name = "www.example.com""#);
    }

    #[test]
    fn a_long_line_is_cut_around_its_mark() {
        let line = format!("{}MARK{}", "a".repeat(400), "b".repeat(400));
        let excerpt = Excerpt::new(&line, 400, 4);
        assert_eq!(excerpt.line().chars().count(), WIDTH);
        assert!(excerpt.line().starts_with('…') && excerpt.line().ends_with('…'));
        let marked: String = excerpt.line().chars().skip(excerpt.indent().len()).take(excerpt.carets().len()).collect();
        assert_eq!(marked, "MARK");
    }
}
