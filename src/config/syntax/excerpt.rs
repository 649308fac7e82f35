//! One line of a file, fit to be shown: on one line, without steering characters, cut around what is marked, and with
//! what may be a secret blotted out. Carets are set by the columns that a terminal gives to each character.
//!
//! The crate annotate-snippets would draw the carets, which are two short functions here, and none of the rest: it neither
//! blots a secret out nor names what cannot be seen, and would change every message for a frame around one line.

use unicode_width::UnicodeWidthChar as _;

use crate::core::text::Text;

/// A line and the part of it that is marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Excerpt {
    line: String,
    /// Columns before the mark.
    before: usize,
    /// Columns that are marked, at least one.
    marked: usize,
    /// The first character that is marked and cannot be seen.
    invisible: Option<char>,
}

impl Excerpt {
    /// Of `raw`, `marked` characters after the first `before` ones.
    pub(in crate::config) fn new(raw: &str, before: usize, marked: usize) -> Self {
        let line = blotted(raw.trim_end_matches([' ', '\t', '\r', '\n']));
        let invisible = line.chars().skip(before).take(marked.max(1)).find(|c| is_invisible(*c));
        let skipped = before.saturating_sub(LEAD);
        let mut chars: Vec<char> = line.chars().skip(skipped).take(WIDTH).collect();
        if let Some(first) = chars.first_mut().filter(|_| skipped > 0) {
            *first = '…';
        }
        if let Some(last) = chars.last_mut().filter(|_| line.chars().nth(skipped + WIDTH).is_some()) {
            *last = '…';
        }
        let before = before - skipped;
        let marked = marked.clamp(1, WIDTH.saturating_sub(before).max(1));
        let shown: Vec<String> = chars.iter().copied().map(shown).collect();
        let columns = |from: usize, count: usize| shown.iter().skip(from).take(count).map(|part| width(part)).sum();
        // Behind the end of the line there is a column as well.
        let behind = before.saturating_sub(shown.len());
        Self {
            before: columns(0, before) + behind,
            marked: usize::max(columns(before, marked), if before < shown.len() { 1 } else { marked }),
            invisible,
            line: shown.concat(),
        }
    }

    /// What to say of a character that is there and cannot be seen.
    pub(in crate::config) fn remark(&self) -> Option<String> {
        let c = self.invisible?;
        let what = match c {
            '\u{a0}' | '\u{202f}' | '\u{2007}' => "a no-break space; type a plain space instead",
            '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{2060}' | '\u{feff}' => "a character of no width; remove it",
            c if c.is_whitespace() => "not a plain space; type one instead",
            _ => "an invisible character; remove it",
        };
        Some(format!("{} is {what}", escaped(c)))
    }

    /// The line.
    pub(in crate::config) fn line(&self) -> &str {
        self.line.trim_end()
    }

    /// Blanks up to the mark.
    pub(in crate::config) fn indent(&self) -> String {
        " ".repeat(self.before)
    }

    /// Carets for the mark.
    pub(in crate::config) fn carets(&self) -> String {
        "^".repeat(self.marked)
    }
}

/// A text of others with the numbers of what cannot be seen in it.
pub(in crate::config) fn visible(text: &str) -> String {
    text.chars().map(shown).collect()
}

/// A character as it is shown: a tab as one blank, what cannot be seen by its number.
fn shown(c: char) -> String {
    match c {
        '\t' => " ".to_owned(),
        c if is_invisible(c) => escaped(c),
        c if c.is_control() => char::REPLACEMENT_CHARACTER.to_string(),
        c => c.to_string(),
    }
}

/// Whether a character looks like a blank, or like nothing at all, and is neither blank nor control character.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    let is_hidden = || Text::new(c.encode_utf8(&mut [0; 4])).as_str().is_empty();
    let is_filler = matches!(c, '\u{ad}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{2800}');
    !c.is_ascii() && !c.is_control() && (c.is_whitespace() || is_filler || is_hidden())
}

pub(super) fn escaped(c: char) -> String {
    format!("\\u{{{:x}}}", u32::from(c))
}

/// The columns of a text on a terminal.
fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(1)).sum()
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

    #[test]
    fn the_mark_stands_below_characters_of_every_width() {
        #[track_caller]
        fn check(line: &str, marked: &str, expected: (&str, usize, usize)) {
            let at = line.find(marked).unwrap();
            let before = line.get(..at).unwrap().chars().count();
            let excerpt = Excerpt::new(line, before, marked.chars().count());
            assert_eq!((excerpt.line(), excerpt.indent().len(), excerpt.carets().len()), expected);
        }
        check("東京 = 1", "1", ("東京 = 1", 7, 1));
        check("x = 東京", "東京", ("x = 東京", 4, 4));
        check("🦀 = 1", "=", ("🦀 = 1", 3, 1));
        check("Zu\u{308}rich = 1", "=", ("Zu\u{308}rich = 1", 7, 1));
        check("u\u{308} = 1", "\u{308}", ("u\u{308} = 1", 1, 1));
        check("\ta\t= 1", "=", (" a = 1", 3, 1));
        check("a\u{a0}= 1", "=", ("a\\u{a0}= 1", 7, 1));
        check("a\u{a0}= 1", "\u{a0}", ("a\\u{a0}= 1", 1, 6));
    }

    #[test]
    fn what_cannot_be_seen_is_shown_and_named() {
        let remark = |line: &str| Excerpt::new(line, 1, 1).remark();
        assert_eq!(remark("name = \"x\"\t# ok"), None);
        assert_eq!(remark("東京 = \"é\""), None);
        let plain = "type a plain space instead";
        assert_eq!(remark("a\u{a0}b"), Some(format!("\\u{{a0}} is a no-break space; {plain}")));
        assert_eq!(remark("a\u{202f}b"), Some(format!("\\u{{202f}} is a no-break space; {plain}")));
        assert_eq!(remark("a\u{3000}b"), Some("\\u{3000} is not a plain space; type one instead".to_owned()));
        assert_eq!(remark("a\u{200b}b"), Some("\\u{200b} is a character of no width; remove it".to_owned()));
        assert_eq!(remark("a\u{202e}b"), Some("\\u{202e} is an invisible character; remove it".to_owned()));
        assert_eq!(remark("a\u{a0}"), Some(format!("\\u{{a0}} is a no-break space; {plain}")), "at the end as well");
        assert_eq!(Excerpt::new("x = 1 # a\u{a0}b", 0, 1).remark(), None, "what is not marked is no cause");
        let long = format!("x{}\u{a0}", "y".repeat(500));
        assert!(Excerpt::new(&long, 0, 502).remark().is_some(), "nor is it lost where the line is cut");
    }
}
