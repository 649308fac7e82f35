//! Sections of `name = value`: MySQL's and stunnel's files.

use super::lines::numbered;

/// A line in a section; sections are in lower case, and before the first there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) section: Option<String>,
    /// As it is written.
    pub(super) name: String,
    /// Empty where there is none.
    pub(super) value: String,
    pub(super) line: usize,
}

/// Whether a `#` in a value begins a comment, and quotes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Values {
    Plain,
    Quoted,
}

pub(super) fn entries(text: &str, values: Values) -> Vec<Entry> {
    let mut section = None;
    let mut entries = Vec::new();
    for (line, text) in numbered(text) {
        let text = text.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = text.strip_prefix('[') {
            section = name.split(']').next().map(|name| name.trim().to_lowercase());
            continue;
        }
        let text = if values == Values::Quoted { without_comment(text) } else { text };
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let value = if values == Values::Quoted { unquoted(value.trim()) } else { value.trim() };
        entries.push(Entry { section: section.clone(), name: name.trim().to_owned(), value: value.to_owned(), line });
    }
    entries
}

/// A line up to a `#` outside of quotes.
fn without_comment(text: &str) -> &str {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (None, '#') => return text.get(..at).unwrap_or_default(),
            (None, '"' | '\'') => quote = Some(c),
            (Some(open), c) if c == open => quote = None,
            _ => {}
        }
    }
    text
}

fn unquoted(text: &str) -> &str {
    let inner = |quote: char| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_values_are_read() {
        let text = "a=1\n[One ]\n; no\n# no\nssl-cert = '/a #b' # c\nskip-ssl\n[two\n x = \"y\n";
        let shown = |values| -> Vec<String> {
            let entries = entries(text, values).into_iter();
            entries.map(|one| format!("{:?} {}={} {}", one.section, one.name, one.value, one.line)).collect()
        };
        assert_eq!(
            shown(Values::Quoted),
            ["None a=1 1", "Some(\"one\") ssl-cert=/a #b 5", "Some(\"one\") skip-ssl= 6", "Some(\"two\") x=\"y 8"]
        );
        assert_eq!(shown(Values::Plain)[1], "Some(\"one\") ssl-cert='/a #b' # c 5");
    }
}
