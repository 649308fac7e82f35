//! Text in columns. Of ten thousand rows it costs no more than the rest of a status.

use unicode_width::UnicodeWidthStr;

/// Lays rows out in columns, two blanks between two of them. Within `width` columns of a terminal the last one is folded
/// between words, where the others leave it room.
pub(super) fn columns(head: &[&str], rows: &[Vec<String>], width: Option<usize>) -> String {
    let widths: Vec<usize> = head
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.width());
            cells.chain([name.width()]).max().unwrap_or_default()
        })
        .collect();
    let others: usize = widths.iter().take(head.len().saturating_sub(1)).map(|width| width + GAP).sum();
    let room = width.and_then(|width| width.checked_sub(others)).filter(|room| *room >= LEAST_LAST);
    let mut text = String::with_capacity((rows.len() + 1) * (widths.iter().sum::<usize>() + widths.len() * GAP));
    row(&mut text, head.iter().copied(), &widths, room);
    for cells in rows {
        text.push('\n');
        row(&mut text, cells.iter().map(String::as_str), &widths, room);
    }
    text
}

fn row<'a>(text: &mut String, cells: impl ExactSizeIterator<Item = &'a str>, widths: &[usize], room: Option<usize>) {
    let last = cells.len().saturating_sub(1);
    let others: usize = widths.iter().take(last).map(|width| width + GAP).sum();
    for (at, (cell, width)) in cells.zip(widths).enumerate() {
        if at == last {
            fold(text, cell, room, others);
        } else {
            text.push_str(cell);
            blanks(text, width + GAP - cell.width());
        }
    }
    // An empty last cell leaves the blanks before it.
    text.truncate(text.trim_end_matches(' ').len());
}

/// Writes a cell, its further lines below the first; a word that is longer than a line stays whole.
pub(super) fn fold(text: &mut String, cell: &str, room: Option<usize>, indent: usize) {
    let Some(room) = room.filter(|room| cell.width() > *room) else { return text.push_str(cell) };
    let mut used = 0;
    for word in cell.split(' ') {
        let needed = word.width();
        if used > 0 && used + 1 + needed > room {
            text.push('\n');
            blanks(text, indent);
            used = 0;
        } else if used > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += needed;
    }
}

fn blanks(text: &mut String, count: usize) {
    text.extend(std::iter::repeat_n(' ', count));
}

const GAP: usize = 2;
/// A narrower last column is no help: the terminal breaks the lines.
const LEAST_LAST: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(width: Option<usize>) -> String {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows = [
            row(["www", "äöü", "one two three four five six seven"]),
            row(["a-long-name", "日本", ""]),
            row(["b", "c", "/a/path/that/is/longer/than/the/line and more"]),
        ];
        columns(&["NAME", "X", "REASON"], &rows, width)
    }

    #[test]
    fn columns_stand_below_each_other() {
        let expected = "NAME         X     REASON\n\
                        www          äöü   one two three four five six seven\n\
                        a-long-name  日本\n\
                        b            c     /a/path/that/is/longer/than/the/line and more";
        assert_eq!(shown(None), expected);
        assert_eq!(shown(Some(30)), expected, "too narrow to fold");
    }

    #[test]
    fn the_last_column_is_folded_between_words() {
        let expected = "NAME         X     REASON\n\
                        www          äöü   one two three four five\n                   six seven\n\
                        a-long-name  日本\n\
                        b            c     /a/path/that/is/longer/than/the/line\n                   and more";
        assert_eq!(shown(Some(19 + LEAST_LAST)), expected);
    }
}
