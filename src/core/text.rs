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
        let mut shown = String::new();
        let mut count = 0;
        for c in raw.trim().chars() {
            if count == Self::LIMIT {
                shown.pop();
                shown.push('…');
                break;
            }
            let c = if c.is_whitespace() { ' ' } else { c };
            if is_hidden(c) || (c == ' ' && shown.ends_with(' ')) {
                continue;
            }
            shown.push(c);
            count += 1;
        }
        Self(shown)
    }

    /// Cleans `raw` after replacing every occurrence of one of `secrets` by `***`.
    #[must_use]
    pub fn masked<'a>(raw: &str, secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut masked = raw.to_owned();
        for secret in secrets {
            if !secret.is_empty() && masked.contains(secret) {
                masked = masked.replace(secret, "***");
            }
        }
        Self::new(&masked)
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

/// Characters that steer a terminal or reorder what a reader sees.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}' | '\u{e0000}'..='\u{e007f}')
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
    }
}
