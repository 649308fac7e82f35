//! Undoes what a text went through on its way into JSON once too often: escapes that are spelt out, percent signs, the
//! entities of HTML, typographic dashes. What holds none of it is handed on as it is.

use std::borrow::Cow;

/// The text without byte order mark, surrounding white space and quotes, and without escapes.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let text = trimmed(text);
    if !text.contains(['\\', '%', '&', '–', '—', '‐', '‑', '−', '\0', '\u{a0}']) {
        return Cow::Borrowed(text);
    }
    let text: String = text.chars().flat_map(ascii).collect();
    let mut text = if text.contains('\\') { without_escapes(&text) } else { text };
    for _ in 0..MOST_ROUNDS {
        // In a form a blank is written as a plus sign, and a plus sign as %2B.
        let spaced = if text.contains("BEGIN+") { text.replace('+', " ") } else { text.clone() };
        let plain = without_entities(&without_percent(&spaced));
        if plain == text {
            break;
        }
        text = plain;
    }
    Cow::Owned(trimmed(&text).to_owned())
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\0' | '"' | '\'' | '`'))
}

/// Dashes as armour has them, and blanks.
fn ascii(c: char) -> impl Iterator<Item = char> {
    let (c, count) = match c {
        '—' => ('-', 2),
        '–' | '‐' | '‑' | '−' => ('-', 1),
        '\u{a0}' => (' ', 1),
        '\0' => ('\0', 0),
        other => (other, 1),
    };
    std::iter::repeat_n(c, count)
}

/// A backslash, however often it was doubled, and what follows it.
fn without_escapes(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        let escaped = after.trim_start_matches('\\');
        let (c, length) = escape(escaped);
        plain.extend(c);
        rest = escaped.get(length..).unwrap_or_default();
    }
    plain.push_str(rest);
    plain
}

/// The character that an escape stands for, and its length.
fn escape(escaped: &str) -> (Option<char>, usize) {
    match escaped.bytes().next() {
        Some(b'n' | b'r') => (Some('\n'), 1),
        Some(b't') => (Some(' '), 1),
        Some(b'u') => {
            let code = escaped.get(1..5).and_then(hex).and_then(char::from_u32);
            (code, if code.is_some() { 5 } else { 0 })
        }
        // An end of line, an escaped slash or quote: the character itself stays.
        _ => (None, 0),
    }
}

/// Hexadecimal digits, and nothing else: `from_str_radix` takes a sign as well.
fn hex(digits: &str) -> Option<u32> {
    digits.bytes().all(|c| c.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// `&#10;`, `&#xA;`, and the sign that they begin with, written as one itself.
fn without_entities(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.split('&');
    plain.extend(parts.next());
    for part in parts {
        let entity = part.split_once(';').and_then(|(name, rest)| Some((entity(name)?, rest)));
        match entity {
            Some((c, rest)) => plain.extend([c.to_string().as_str(), rest]),
            None => plain.extend(["&", part]),
        }
    }
    plain
}

fn entity(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else { return (name == "amp").then_some('&') };
    match number.strip_prefix(['x', 'X']) {
        Some(digits) => hex(digits).and_then(char::from_u32),
        None => number.parse().ok().and_then(char::from_u32),
    }
}

/// `%0A` and its like.
fn without_percent(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut parts = text.split('%');
    plain.extend(parts.next());
    for part in parts {
        match part.get(..2).and_then(hex).and_then(|byte| u8::try_from(byte).ok()).filter(u8::is_ascii) {
            Some(byte) => plain.extend([char::from(byte).to_string().as_str(), part.get(2..).unwrap_or_default()]),
            None => plain.extend(["%", part]),
        }
    }
    plain
}

/// So often a text may have been encoded over again.
const MOST_ROUNDS: u8 = 3;
