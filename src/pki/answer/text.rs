//! Takes a text apart: armoured blocks, base64, and what is neither.

use super::plain::plain;
use super::{Answer, encoding, signed_data};
use crate::core::text::Text;
use crate::pki::certificate::Certificate;

/// Reads a text into `answer`.
pub(super) fn read(text: &str, shown: &dyn Fn(&str) -> Text, answer: &mut Answer) {
    TextReader { shown, answer, depth: 0 }.text(text);
}

struct TextReader<'a> {
    shown: &'a dyn Fn(&str) -> Text,
    answer: &'a mut Answer,
    /// How often base64 was found to hold text again.
    depth: u8,
}

impl TextReader<'_> {
    fn text(&mut self, text: &str) {
        if text.len() > MOST_TEXT {
            return self.note("a text far too large for a certificate and its chain");
        }
        let text = plain(text);
        if text.starts_with('<') && !text.contains(BEGIN) {
            return self.note("an HTML page or XML where a certificate was expected");
        }
        let mut rest = &*text;
        for _ in 0..MOST_BLOCKS {
            let Some((before, block, after)) = next_block(rest) else { return self.outside(rest) };
            self.outside(before);
            self.block(&block);
            rest = after;
        }
        self.note("more blocks than any chain has");
    }

    /// What stands outside of all armour: base64 with certificates in it, or text that is passed over and noted.
    fn outside(&mut self, text: &str) {
        let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | '[' | ']' | '-'));
        if text.is_empty() || is_stray_end(text) {
            return;
        }
        if self.encoded(text, "") || self.each(text) {
            return;
        }
        // It may be a key: what base64 holds is never quoted.
        if text.split(|c: char| !is_of_base64(c)).any(|word| word.len() >= LONGEST_WORD) {
            return self.note("base64 that holds no certificate that can be read");
        }
        let quote = self.quote(text);
        self.note(&format!("text that is not a certificate: \"{quote}\""));
    }

    /// Certificates one on each line, or with commas between them. `false`: there is none.
    fn each(&mut self, text: &str) -> bool {
        let items = text.split(['\n', ',']).take(MOST_BLOCKS).filter(|item| item.len() >= SHORTEST);
        items.filter(|item| self.encoded(item, "")).count() > 0
    }

    fn block(&mut self, block: &Block<'_>) {
        let body = without_headers(block.body);
        if body.trim().is_empty() {
            return;
        }
        if block.label.contains("KEY") && !block.label.contains("CERTIFICATE") {
            let label = self.quote(block.label);
            return self.note(&format!("a PEM block \"{label}\" where a certificate was expected"));
        }
        if self.encoded(&body, block.label) {
            return;
        }
        let label = self.quote(block.label);
        let what =
            if encoding::decode(&body).is_none() { "is damaged" } else { "holds no certificate that can be read" };
        let cut = if block.is_closed { "" } else { ", and is cut off" };
        self.note(&format!("a PEM block \"{label}\" {what}{cut}"));
    }

    /// Base64 of certificates, of PKCS#7, or of one of the texts that are read here. `false`: of nothing of that kind.
    fn encoded(&mut self, encoded: &str, label: &str) -> bool {
        let Some(bytes) = encoding::decode(encoded) else { return false };
        if bytes.first() == Some(&0x30) {
            return self.der(&bytes, label);
        }
        let inner = std::str::from_utf8(&bytes).ok().filter(|text| text.contains("BEGIN ") || text.starts_with("MII"));
        match inner {
            Some(text) if self.depth < DEEPEST => {
                self.depth += 1;
                self.text(text);
                self.depth -= 1;
                true
            }
            _ => false,
        }
    }

    /// One certificate after the other, or PKCS#7.
    fn der(&mut self, der: &[u8], label: &str) -> bool {
        if let Some(members) = signed_data::certificates(der) {
            members.iter().for_each(|member| self.member(member));
            if members.is_empty() {
                self.note("PKCS#7 without certificates");
            }
            return true;
        }
        let (mut rest, mut any) = (der, false);
        while let Some((first, after)) = signed_data::first(rest) {
            let Ok(certificate) = Certificate::from_der(first) else { break };
            self.answer.add(certificate);
            (rest, any) = (after, true);
        }
        // What trusts a certificate, and how far, follows it in OpenSSL's own form.
        if any && rest.iter().any(|byte| *byte != 0) && !label.contains("TRUSTED") {
            self.note("more bytes after a certificate");
        }
        any
    }

    fn member(&mut self, der: &[u8]) {
        match Certificate::from_der(der) {
            Ok(certificate) => self.answer.add(certificate),
            Err(error) => self.note(&format!("PKCS#7 with a member that is not readable: {error}")),
        }
    }

    fn note(&mut self, what: &str) {
        self.answer.note(Text::new(what));
    }

    /// The beginning of a text, clean and without secrets: cut after it was cleaned, so that no part of one is left.
    fn quote(&self, text: &str) -> String {
        let shown = (self.shown)(text);
        let mut quote: String = shown.as_str().chars().take(LONGEST_QUOTE).collect();
        if quote.len() < shown.as_str().len() {
            quote.push('…');
        }
        quote
    }
}

const fn is_of_base64(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')
}

struct Block<'a> {
    label: &'a str,
    body: &'a str,
    is_closed: bool,
}

/// What stands before the next block, the block, and what follows it. A block that is not closed ends where another
/// one begins.
fn next_block(text: &str) -> Option<(&str, Block<'_>, &str)> {
    let (before, opened) = text.split_once(BEGIN)?;
    let end = [opened.find("--"), opened.find('\n')].into_iter().flatten().min().unwrap_or(opened.len());
    let (label, rest) = opened.split_at(end);
    let body = rest.trim_start_matches('-');
    let end = body.find(END).unwrap_or(body.len());
    let next = body.find(BEGIN).unwrap_or(body.len());
    let is_closed = end < next;
    let (body, after) = body.split_at(end.min(next));
    let after = if is_closed { past_end(after) } else { after };
    Some((before, Block { label: label.trim(), body: body.trim_end_matches('-'), is_closed }, after))
}

/// What follows an END line, which may stand in one line with what follows.
fn past_end(text: &str) -> &str {
    let label = text.get(END.len()..).unwrap_or_default();
    let dashes = label.find("--").unwrap_or(label.len());
    let line = label.find('\n').unwrap_or(label.len());
    let rest = label.get(dashes.min(line)..).unwrap_or_default();
    // Five dashes end the line; further ones begin what follows.
    let ending = rest.len() - rest.trim_start_matches('-').len();
    rest.get(ending.min(5)..).unwrap_or_default()
}

/// The END line that is left of an armour within an armour.
fn is_stray_end(text: &str) -> bool {
    text.strip_prefix("END ").is_some_and(|label| label.len() < LONGEST_QUOTE && !label.contains('\n'))
}

/// The body without the lines `Name: value` of RFC 1421.
fn without_headers(body: &str) -> String {
    body.lines().filter(|line| !line.contains(": ")).collect::<Vec<_>>().join("\n")
}

const BEGIN: &str = "--BEGIN ";
const END: &str = "--END ";
const MOST_TEXT: usize = 1 << 20;
const MOST_BLOCKS: usize = 128;
const DEEPEST: u8 = 2;
/// No certificate is shorter in base64.
const SHORTEST: usize = 200;
/// No word of a language is longer.
const LONGEST_WORD: usize = 32;
const LONGEST_QUOTE: usize = 60;
