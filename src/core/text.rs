//! Text from outside (promise 16): the one type through which an API message, a certificate's name, a hook's output
//! or a path reaches a log, a status, a label, a terminal or systemd.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Text that is safe to show: at most [`Text::LIMIT`] characters, on one line, without control and bidirectional
/// characters. Deserialising cleans as well, so that a damaged or foreign journal cannot bring raw text back.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String")]
pub struct Text(String);

impl Text {
    /// The most characters that are kept.
    pub const LIMIT: usize = 512;

    /// Cleans `raw`.
    #[must_use]
    pub fn new(raw: &str) -> Self {
        Self(cut(clean(raw)))
    }

    /// Cleans `raw`, and replaces every occurrence of one of `secrets` by `***`, in whatever case and whatever invisible
    /// characters it was broken up by.
    #[must_use]
    pub fn masked<'a>(raw: &str, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let shown = secrets.into_iter().fold(clean(raw), |shown, secret| without(shown, &clean(secret)));
        Self(cut(shown))
    }

    /// The last `limit` bytes of what [`Self::masked`] makes of the whole: no secret is cut before it is masked.
    #[must_use]
    pub fn end_masked<'a>(raw: &str, secrets: impl IntoIterator<Item = &'a str>, limit: usize) -> Self {
        let shown = secrets.into_iter().fold(clean(raw), |shown, secret| without(shown, &clean(secret)));
        let from = (shown.len().saturating_sub(limit)..shown.len()).find(|at| shown.is_char_boundary(*at));
        Self(cut(shown.get(from.unwrap_or(shown.len())..).unwrap_or_default().trim_start().to_owned()))
    }

    /// The cleaned text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Text {
    fn from(raw: String) -> Self {
        Self::new(&raw)
    }
}

impl From<&str> for Text {
    fn from(raw: &str) -> Self {
        Self::new(raw)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line of visible characters, however long.
fn clean(raw: &str) -> String {
    if is_clean(raw.as_bytes()) {
        return raw.to_owned();
    }
    let mut shown = String::with_capacity(raw.len());
    for c in raw.trim().chars() {
        let c = if c.is_whitespace() { ' ' } else { c };
        let is_surplus = c == ' ' && shown.ends_with(' ');
        if !is_surplus && !is_hidden(c) {
            shown.push(c);
        }
    }
    shown
}

/// Whether nothing is to be done, as far as that is seen at a glance: visible ASCII, and single spaces between words.
fn is_clean(raw: &[u8]) -> bool {
    let mut after_space = true;
    for byte in raw {
        if !matches!(byte, b' '..=b'~') || (*byte == b' ' && after_space) {
            return false;
        }
        after_space = *byte == b' ';
    }
    !after_space || raw.is_empty()
}

/// At most [`Text::LIMIT`] characters; the last of a text that was cut says so.
fn cut(mut shown: String) -> String {
    if shown.len() <= Text::LIMIT {
        return shown;
    }
    let mut places = shown.char_indices().map(|(at, _)| at).skip(Text::LIMIT - 1);
    if let (Some(last), Some(_)) = (places.next(), places.next()) {
        shown.truncate(last);
        shown.push('…');
    }
    shown
}

fn without(shown: String, secret: &str) -> String {
    if secret.is_empty() {
        return shown;
    }
    // ASCII lower case keeps every offset.
    let (folded, wanted) = (shown.to_ascii_lowercase(), secret.to_ascii_lowercase());
    let mut masked = String::with_capacity(shown.len());
    let mut after = 0;
    for (at, found) in folded.match_indices(&wanted) {
        masked.push_str(shown.get(after..at).unwrap_or_default());
        masked.push_str("***");
        after = at + found.len();
    }
    masked.push_str(shown.get(after..).unwrap_or_default());
    masked
}

/// Characters that steer a terminal, reorder what a reader sees, or show as nothing (Unicode's default ignorable ones).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}')
        || matches!(c, '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}')
        || matches!(c, '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_one_clean_line() {
        let check = |raw: &str, expected: &str| assert_eq!(Text::new(raw).as_str(), expected);
        check("a\nb\r\n  c", "a b c");
        check("\u{1b}[31mred\u{7}", "[31mred");
        check("ab\u{202e}cd\u{2066}", "abcd");
        check("x\nMAINPID=1", "x MAINPID=1");
        for same in ["", "a", "a b c", "a-b_c.d: e, f (g)"] {
            check(same, same);
        }
        for (raw, expected) in
            [(" ", ""), (" a", "a"), ("a ", "a"), ("a  b", "a b"), ("a\u{7f}b", "ab"), ("a\tb", "a b")]
        {
            check(raw, expected);
        }
    }

    #[test]
    fn text_is_cut_and_says_so() {
        let text = Text::new(&"é".repeat(600));
        assert_eq!(text.as_str().chars().count(), Text::LIMIT);
        assert!(text.as_str().ends_with('…'));
        assert_eq!(Text::new(&"é".repeat(512)).as_str().chars().count(), 512);
    }

    #[test]
    fn a_held_secret_is_masked() {
        assert_eq!(Text::masked("key k-123 is bad", ["k-123"]).as_str(), "key *** is bad");
        assert_eq!(Text::masked("nothing", [""]).as_str(), "nothing");
        assert_eq!(Text::masked("two: k-1, k-2.", ["k-1", "k-2"]).as_str(), "two: ***, ***.");
    }

    #[test]
    fn the_end_of_a_text_shows_no_part_of_a_secret() {
        let end = |raw: &str, limit| Text::end_masked(raw, ["k-12345"], limit);
        assert_eq!(end("a k-12345 b", 99).as_str(), "a *** b");
        assert_eq!(end("a k-12345 b", 4).as_str(), "** b");
        assert_eq!(end("a k-12345 é", 2).as_str(), "é");
        assert_eq!(end("a k-12345 é", 1).as_str(), "");
        assert_eq!(end("", 9).as_str(), "");
    }

    #[test]
    fn a_secret_that_is_broken_up_folded_or_cut_is_masked() {
        #[track_caller]
        fn check(raw: &str, expected: &str) {
            assert_eq!(Text::masked(raw, ["Key-123"]).as_str(), expected, "{raw:?}");
        }
        for hidden in ["\u{200b}", "\u{ad}", "\u{2060}", "\u{fe0f}", "\u{202e}", "\0", "\u{1b}", "\u{e0020}"] {
            check(&format!("a K{hidden}ey-12{hidden}3 b"), "a *** b");
        }
        check("key-123 and KEY-123", "*** and ***");
        check("é kEy-123é", "é ***é");
        let before = "x".repeat(Text::LIMIT - 3);
        check(&format!("{before}Key-123"), &format!("{before}***"));
        check(&format!("{before}yKey-123"), &format!("{before}y*…"));
    }
}
