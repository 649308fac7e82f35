//! Logical lines: those that a backslash continues, and those that an indented one continues.

/// A logical line, and the line it begins at, from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
}

/// Lines, those that end in a backslash together with the next; what they are joined by is left out.
pub(super) fn by_backslash(text: &str) -> Vec<Line> {
    joined(numbered(text))
}

/// The same of lines that somebody chose.
pub(super) fn joined<'t>(chosen: impl Iterator<Item = (usize, &'t str)>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut is_open = false;
    for (number, line) in chosen {
        let (part, continues) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
        match lines.last_mut().filter(|_| is_open) {
            Some(last) => last.text.push_str(part),
            None => lines.push(Line { number, text: part.to_owned() }),
        }
        is_open = continues;
    }
    lines
}

/// Lines, indented ones together with the one before; empty ones and comments are left out, even between the two.
pub(super) fn by_indent(text: &str) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (number, line) in numbered(text) {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match lines.last_mut().filter(|_| line.starts_with([' ', '\t'])) {
            Some(last) => {
                last.text.push(' ');
                last.text.push_str(content);
            }
            None => lines.push(Line { number, text: content.to_owned() }),
        }
    }
    lines
}

/// Lines with their numbers, without the ends of Windows and without a mark of the byte order.
pub(super) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.trim_start_matches('\u{feff}').lines().enumerate().map(|(at, line)| (at + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(lines: Vec<Line>) -> Vec<String> {
        lines.into_iter().map(|line| format!("{}: {}", line.number, line.text)).collect()
    }

    #[test]
    fn continued_lines_are_one() {
        assert_eq!(shown(by_backslash("a \\\r\n b\\\nc\r\n\nd\\")), ["1: a  bc", "4: ", "5: d"]);
        assert_eq!(shown(by_indent("a\n# no\n\n b\n\t c\nd\n#\n")), ["1: a b c", "6: d"]);
        assert_eq!(shown(by_indent("  first\n")), ["1: first"]);
    }
}
