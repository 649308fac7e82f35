//! Markdown to roff: what the manual's pages use of it, and no more. A table becomes a list of its rows, since its columns
//! would not fit a terminal.

#![expect(clippy::wildcard_enum_match_arm, clippy::panic, reason = "whatever else Markdown knows, no page may use")]

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// A page of the manual, as its file `NAME.SECTION.md` has it.
pub(crate) struct Page {
    /// The heading without its section, such as `renewd-status`.
    pub(crate) name: String,
    pub(crate) section: String,
    /// The line of the section NAME; empty where the command line has it.
    pub(crate) summary: String,
    /// The sections in roff, each with its heading.
    pub(crate) sections: Vec<(String, String)>,
}

/// Reads a page.
pub(crate) fn page(text: &str) -> Page {
    let mut writer = Writer::default();
    let options = Options::ENABLE_TABLES;
    Parser::new_ext(text, options).for_each(|event| writer.take(event));
    let (name, section) = writer.title.trim_end_matches(')').split_once('(').unwrap_or((&writer.title, ""));
    let mut parts = writer.roff.split("\n.SH ");
    let summary = parts.next().unwrap_or_default().trim().trim_start_matches(".PP\n").to_owned();
    let sections = parts.map(|part| part.split_once('\n').unwrap_or((part, "")));
    let sections =
        sections.map(|(heading, text)| (heading.trim_matches('"').to_owned(), format!("{text}\n"))).collect();
    Page { name: name.to_owned(), section: section.to_owned(), summary, sections }
}

/// What is open while the events of a text come by.
#[derive(Default)]
struct Writer {
    roff: String,
    title: String,
    /// The text of the block that is open.
    line: String,
    in_code: bool,
    /// Where the link that is open leads.
    link: Option<String>,
    /// The numbers of the lists that are open; `None` for bullets.
    lists: Vec<Option<u64>>,
    /// Whether the next paragraph is the text of a mark that stands already.
    follows_mark: bool,
    heads: Vec<String>,
    cells: Vec<String>,
    in_head: bool,
}

impl Writer {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.in_code => self.line.push_str(&text),
            Event::Text(text) => self.line.push_str(&escaped(&text)),
            Event::Code(text) => {
                // A long name may be broken where a reader would break it.
                let roff = escaped(&text).replace('/', "/\\:").replace('_', "_\\:").replace('{', "\\:{");
                self.line.push_str(&format!("\\fB{roff}\\fR"));
            }
            Event::SoftBreak | Event::HardBreak => self.line.push('\n'),
            Event::Html(_) => {}
            other => panic!("the manual has no {other:?}"),
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Strong => self.line.push_str("\\fB"),
            Tag::Emphasis => self.line.push_str("\\fI"),
            Tag::Link { dest_url, .. } => self.link = Some(dest_url.into_string()),
            Tag::CodeBlock(CodeBlockKind::Fenced(_)) => self.in_code = true,
            Tag::List(first) => self.lists.push(first),
            Tag::Item => {
                self.flush(".PP");
                self.mark();
            }
            Tag::Table(_) => self.heads.clear(),
            Tag::TableHead => self.in_head = true,
            Tag::Paragraph | Tag::Heading { .. } | Tag::TableRow | Tag::TableCell | Tag::HtmlBlock => {}
            other => panic!("the manual has no {other:?}"),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Strong | TagEnd::Emphasis => self.line.push_str("\\fR"),
            TagEnd::Link => {
                let target = self.link.take().filter(|target| target.starts_with("https://"));
                self.line.push_str(&target.map_or_else(String::new, |target| format!(" <{}>", escaped(&target))));
            }
            TagEnd::Heading(HeadingLevel::H1) => self.title = std::mem::take(&mut self.line).replace("\\-", "-"),
            TagEnd::Heading(_) => {
                let heading = std::mem::take(&mut self.line).to_uppercase();
                self.roff.push_str(&format!("\n.SH \"{heading}\"\n"));
            }
            TagEnd::Paragraph => self.flush(".PP"),
            TagEnd::Item => self.flush(".PP"),
            TagEnd::List(_) => drop(self.lists.pop()),
            TagEnd::CodeBlock => {
                let code = std::mem::take(&mut self.line);
                let lines = code.lines().map(|line| format!("{}\n", guarded(&escaped(line))));
                self.roff.push_str(&format!(".PP\n.RS 4\n.nf\n{}.fi\n.RE\n", lines.collect::<String>()));
                self.in_code = false;
            }
            TagEnd::TableCell => self.cells.push(std::mem::take(&mut self.line)),
            TagEnd::TableHead => {
                self.heads = std::mem::take(&mut self.cells);
                self.in_head = false;
            }
            TagEnd::TableRow => self.row(),
            TagEnd::Table | TagEnd::HtmlBlock => {}
            other => panic!("the manual has no {other:?}"),
        }
    }

    /// The mark of an item.
    fn mark(&mut self) {
        let mark = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number += 1;
                format!(".IP {}. 4\n", *number - 1)
            }
            _ => ".IP \\(bu 2\n".to_owned(),
        };
        self.roff.push_str(&mark);
        self.follows_mark = true;
    }

    /// Ends the block that is open.
    fn flush(&mut self, request: &str) {
        let text = std::mem::take(&mut self.line);
        if text.trim().is_empty() {
            return;
        }
        if !std::mem::take(&mut self.follows_mark) {
            self.roff.push_str(&format!("{request}\n"));
        }
        self.roff.push_str(&lines(&text));
    }

    /// A row: the first cell as its tag, the others below it, each with its column where there are several. A row without
    /// a first cell goes on with the one above.
    fn row(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        let mut cells = cells.into_iter().zip(&self.heads);
        let tag = cells.next().map(|(cell, _)| cell).unwrap_or_default();
        self.roff.push_str(&if tag.is_empty() { ".sp\n".to_owned() } else { format!(".TP\n{}", lines(&tag)) });
        let is_labelled = self.heads.len() > 2;
        let texts = cells.filter(|(cell, _)| !cell.is_empty()).map(|(cell, head)| match is_labelled {
            true => lines(&format!("\\fI{head}:\\fR {cell}")),
            false => lines(&cell),
        });
        self.roff.push_str(&texts.collect::<Vec<_>>().join(".br\n"));
    }
}

/// Text, line by line.
fn lines(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", guarded(line.trim()))).collect()
}

/// A line that roff must not take for a request.
fn guarded(line: &str) -> String {
    format!("{}{line}", if line.starts_with(['.', '\'']) { "\\&" } else { "" })
}

/// Text as roff reads it: in ASCII, with hyphens that can be copied.
pub(crate) fn escaped(text: &str) -> String {
    let mut roff = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => roff.push_str("\\e"),
            '-' => roff.push_str("\\-"),
            c if c.is_ascii() => roff.push(c),
            c => roff.push_str(&format!("\\[u{:04X}]", u32::from(c))),
        }
    }
    roff
}
