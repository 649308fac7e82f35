//! What is wrong with a file of the configuration, told so that an operator can mend it. Says it; decides nothing.

use std::fmt;
use std::ops::Range;

use super::excerpt::{Excerpt, escaped, is_invisible};
use crate::core::text::Text;

/// One defect of one file.
///
/// `Display` writes one line for a defect of the file as a whole, and adds the offending line with a caret where there
/// is a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file: the path of `renewd.toml`, or a label such as `certs.d/www.toml`.
    pub file: Text,
    /// Where in the file; `None`: the file as a whole.
    pub place: Option<Box<Location>>,
    /// What is wrong.
    pub message: Text,
    /// What belongs there.
    pub expected: Option<Text>,
    /// What the operator probably meant, or a command to run.
    pub hint: Option<Text>,
}

/// Where in a file a defect is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
    /// The line as it is shown, with what is marked.
    excerpt: Excerpt,
}

impl Problem {
    /// A defect of the file as a whole.
    #[must_use]
    pub fn of_file(file: &str, message: &str) -> Self {
        Self { file: Text::new(file), place: None, message: Text::new(message), expected: None, hint: None }
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: &str) -> Self {
        self.hint = Some(Text::new(hint));
        self
    }

    /// A defect at `span` (in bytes) of `text`.
    pub(in crate::config) fn at(file: &str, text: &str, span: Range<usize>, fault: Fault) -> Self {
        Self::at_location(file, Location::of(text, span), fault)
    }

    /// A defect at a place.
    pub(in crate::config) fn at_location(file: &str, place: Location, fault: Fault) -> Self {
        let hints: Vec<String> = fault.hint.into_iter().chain(place.excerpt.remark()).collect();
        Self {
            file: Text::new(file),
            place: Some(Box::new(place)),
            message: Text::new(&fault.message),
            expected: fault.expected.as_deref().map(Text::new),
            hint: (!hints.is_empty()).then(|| Text::new(&hints.join("; "))),
        }
    }

    /// The problem on one line, for a status or a log.
    #[must_use]
    pub fn summary(&self) -> String {
        let head = self.head();
        match self.advice() {
            Some(advice) => format!("{head}: {advice}"),
            None => head,
        }
    }

    fn head(&self) -> String {
        match &self.place {
            Some(place) => format!("{}:{}:{}: {}", self.file, place.line, place.column, self.message),
            None => format!("{}: {}", self.file, self.message),
        }
    }

    fn advice(&self) -> Option<String> {
        let expected = self.expected.as_ref().map(|expected| format!("expected {expected}"));
        match (expected, &self.hint) {
            (Some(expected), Some(hint)) => Some(format!("{expected}; {hint}")),
            (Some(expected), None) => Some(expected),
            (None, hint) => hint.as_ref().map(ToString::to_string),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(place) = &self.place else { return f.write_str(&self.summary()) };
        let number = place.line.to_string();
        let gutter = " ".repeat(number.len());
        writeln!(f, "{}", self.head())?;
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{}", format!("{number} | {}", place.excerpt.line()).trim_end())?;
        let advice = self.advice().unwrap_or_default();
        write!(f, "{gutter} | {}", format!("{}{} {advice}", place.excerpt.indent(), place.excerpt.carets()).trim_end())
    }
}

impl Location {
    /// Of `span` (in bytes) in `text`.
    pub(in crate::config) fn of(text: &str, span: Range<usize>) -> Self {
        let start = floor(text, span.start);
        let (before, rest) = text.split_at(start);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_end = rest.find('\n').map_or(text.len(), |at| start + at);
        let end = floor(text, span.end).clamp(start, line_end.max(start));
        let part = |range: Range<usize>| text.get(range).unwrap_or_default();
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            line: count(before.matches('\n').count() + 1),
            column: count(part(line_start..start).chars().count() + 1),
            excerpt: Excerpt::new(
                part(line_start..line_end),
                part(line_start..start).chars().count(),
                part(start..end).chars().count(),
            ),
        }
    }
}

/// The last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Why a value is not taken, before it is known where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Fault {
    message: String,
    expected: Option<String>,
    hint: Option<String>,
}

impl Fault {
    /// What is wrong.
    pub(in crate::config) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), expected: None, hint: None }
    }

    /// Says what belongs there.
    pub(in crate::config) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what was probably meant, or what to do.
    pub(in crate::config) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether it already says what belongs there.
    pub(in crate::config) fn says_expected(&self) -> bool {
        self.expected.is_some()
    }

    /// Names what was probably meant.
    pub(in crate::config) fn meant(self, meant: Option<&str>) -> Self {
        match meant {
            Some(meant) => self.hint(format!("did you mean `{meant}`?")),
            None => self,
        }
    }

    /// Names the nearest of `known` as what was meant.
    pub(in crate::config) fn nearest<'k>(self, word: &str, known: impl IntoIterator<Item = &'k str>) -> Self {
        self.meant(nearest(word, known))
    }
}

/// The word of `known` that `word` is most likely a misspelling of.
pub(in crate::config) fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    const ENOUGH: usize = 4;
    let spelt = word.to_lowercase().replace('-', "_");
    let distance = |known: &str| strsim::damerau_levenshtein(&spelt, &known.replace('-', "_"));
    let (distance, meant) = known.into_iter().map(|known| (distance(known), known)).min()?;
    let is_cut = spelt.len() >= ENOUGH && meant.starts_with(&spelt);
    (is_cut || distance <= 1 + spelt.chars().count() / 4).then_some(meant)
}

/// A value as a message quotes it: short, on one line, and never a text of several lines (which may be a key).
pub(in crate::config) fn quoted(value: &str) -> String {
    const LIMIT: usize = 80;
    if value.is_empty() {
        return "an empty text".to_owned();
    }
    if value.lines().count() > 1 {
        return "a text of several lines".to_owned();
    }
    if value.chars().count() > LIMIT {
        return format!("`{}…`", value.chars().take(LIMIT).collect::<String>());
    }
    format!("`{value}`")
}

/// Refuses a name with a character that nobody sees: what it is shall be told by its place.
pub(in crate::config) fn all_visible(name: &str) -> Result<(), Fault> {
    let fault = |c| Fault::new(format!("the name has an invisible character, {}", escaped(c)));
    name.chars().find(|c| is_invisible(*c)).map_or(Ok(()), |c| Err(fault(c).expected("characters that can be seen")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, span: Range<usize>, expected: &str) {
        let fault = Fault::new("wrong").expected("right").hint("do this");
        assert_eq!(Problem::at("f.toml", text, span, fault).to_string(), expected);
    }

    #[test]
    fn the_caret_stands_below_what_is_meant() {
        check("a = 1\nbb = 2\n", 6..8, "f.toml:2:1: wrong\n  |\n2 | bb = 2\n  | ^^ expected right; do this");
        check("\ta\t= 1", 3..4, "f.toml:1:4: wrong\n  |\n1 |  a = 1\n  |    ^ expected right; do this");
        check("é = ü", 5..7, "f.toml:1:5: wrong\n  |\n1 | é = ü\n  |     ^ expected right; do this");
        check(
            "x = \"\u{1b}[31m\"",
            0..1,
            "f.toml:1:1: wrong\n  |\n1 | x = \"\u{fffd}[31m\"\n  | ^ expected right; do this",
        );
        check("a = [\n1]", 4..8, "f.toml:1:5: wrong\n  |\n1 | a = [\n  |     ^ expected right; do this");
        check(
            "a\u{a0}= 1",
            1..3,
            "f.toml:1:2: wrong\n  |\n1 | a\\u{a0}= 1\n  |  ^^^^^^ expected right; do this; \\u{a0} is a no-break space; \
             type a plain space instead",
        );
        check("", 0..0, "f.toml:1:1: wrong\n  |\n1 |\n  | ^ expected right; do this");
        check("é", 1..99, "f.toml:1:1: wrong\n  |\n1 | é\n  | ^ expected right; do this");
    }

    #[test]
    fn the_gutter_grows_with_the_number() {
        let text = format!("{}x = 1", "\n".repeat(99));
        check(&text, 99..100, "f.toml:100:1: wrong\n    |\n100 | x = 1\n    | ^ expected right; do this");
    }

    #[test]
    fn a_misspelt_word_finds_its_like() {
        let known = ["common_name", "dns_names", "key", "mode"];
        assert_eq!(nearest("comon_name", known), Some("common_name"));
        assert_eq!(nearest("Common-Name", known), Some("common_name"));
        assert_eq!(nearest("dns_name", known), Some("dns_names"));
        assert_eq!(nearest("common", known), Some("common_name"));
        assert_eq!(nearest("zzzzzz", known), None);
    }
}
