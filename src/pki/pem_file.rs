//! The armoured blocks of a file that anybody may have written. It is read as bytes: what stands outside of the armour is
//! no concern, in whatever encoding (RFC 7468). There are two readings: [`Blocks`] finds what OpenSSL finds, line by line,
//! and fails where that fails, so that it says what most TLS servers make of a file; [`lenient`] finds whatever else the
//! armour can mean.

use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use zeroize::Zeroizing;

use super::pem::PemError;

/// A decoded block.
pub(super) struct FileBlock<'a> {
    pub(super) label: &'a [u8],
    pub(super) head: Head,
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// What stands in the armour before the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    None,
    /// `Proc-Type: 4,ENCRYPTED`.
    Encrypted,
    /// Other headers, which OpenSSL refuses.
    Other,
}

impl Head {
    fn of(text: &[u8]) -> Self {
        match (text.is_empty(), find(text, b"ENCRYPTED")) {
            (true, _) => Self::None,
            (false, Some(_)) => Self::Encrypted,
            (false, None) => Self::Other,
        }
    }
}

/// The blocks that OpenSSL finds. Lines end with `\n`; what ends a line and is blank, a control character or no ASCII is
/// dropped, as it does.
pub(super) struct Blocks<'a> {
    lines: Lines<'a>,
    /// Whether a line that begins with NUL ends the file: it does for certificates, not for keys.
    ends_at_nul: bool,
}

impl<'a> Blocks<'a> {
    pub(super) fn of_certificates(bytes: &'a [u8]) -> Self {
        Self { lines: Lines::of(bytes), ends_at_nul: true }
    }

    pub(super) fn of_keys(bytes: &'a [u8]) -> Self {
        Self { lines: Lines::of(bytes), ends_at_nul: false }
    }

    /// What follows the BEGIN line. An empty line ends the headers; after one, lines are of 64 characters but the last.
    fn block(&mut self, label: &'a [u8]) -> Result<FileBlock<'a>, PemError> {
        let room = self.lines.0.len().min(MAX_ROOM);
        let mut body = Zeroizing::new(Vec::with_capacity(room));
        let mut head = None;
        let mut is_over = false;
        for line in self.lines.by_ref() {
            if let Some(end) = line.strip_prefix(END) {
                let is_own = end.strip_suffix(DASHES) == Some(label);
                return if is_own { finished(label, head.unwrap_or(Head::None), &body) } else { Err(PemError::CutOff) };
            }
            if line == NUL {
                return Err(PemError::CutOff);
            }
            if line.is_empty() {
                if head.is_some() {
                    return Err(PemError::Blank);
                }
                head = Some(Head::of(&body));
                body = Zeroizing::new(Vec::with_capacity(room));
                continue;
            }
            if head.is_some() {
                if is_over || line.len() > LINE {
                    return Err(PemError::Blank);
                }
                is_over = line.len() < LINE;
            }
            body.extend_from_slice(line);
        }
        Err(PemError::CutOff)
    }
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Result<FileBlock<'a>, PemError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let line = self.lines.next()?;
            if self.ends_at_nul && line == NUL {
                return None;
            }
            if let Some(label) = line.strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(DASHES)) {
                return Some(self.block(label));
            }
        }
    }
}

/// Lines as OpenSSL's buffer holds them, so that what follows a full one begins a line; cut at a NUL, one that begins with
/// it is [`NUL`].
struct Lines<'a>(&'a [u8]);

impl<'a> Lines<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        Self(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes))
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let held = self.0.get(..BUFFER).unwrap_or(self.0);
        let end = held.iter().position(|byte| *byte == b'\n').unwrap_or(held.len());
        let (line, rest) = self.0.split_at(end);
        // Where the buffer ends with the line, its line break is no empty line.
        self.0 = rest.strip_prefix(b"\n").unwrap_or(rest);
        let end = line.iter().position(|byte| *byte == 0).unwrap_or(line.len());
        let (line, cut) = line.split_at(end);
        if line.is_empty() && !cut.is_empty() {
            return Some(NUL);
        }
        let is_dropped = |byte: &&u8| **byte <= b' ' || !byte.is_ascii();
        let kept = line.len() - line.iter().rev().take_while(is_dropped).count();
        line.get(..kept)
    }
}

/// The blocks that a patient reader finds, wherever lines begin and end. A broken one is an error of its label; after the
/// [`MAX_BLOCKS`]th nothing is looked for.
pub(super) fn lenient(bytes: &[u8]) -> impl Iterator<Item = (&[u8], Result<FileBlock<'_>, PemError>)> {
    let mut rest = bytes;
    let next = move || {
        loop {
            let (_, opened) = cut(rest, BEGIN)?;
            rest = opened;
            let Some((label, body)) = cut(opened, DASHES).filter(|(label, _)| is_label(label)) else { continue };
            let (read, after) = lenient_block(label, body);
            rest = after;
            return Some((label, read));
        }
    };
    std::iter::from_fn(next).take(MAX_BLOCKS)
}

fn lenient_block<'a>(label: &'a [u8], body: &'a [u8]) -> (Result<FileBlock<'a>, PemError>, &'a [u8]) {
    let closed = cut(body, END).and_then(|(inner, end)| {
        let after = end.strip_prefix(label)?.strip_prefix(DASHES)?;
        Some((inner, after))
    });
    let Some((inner, after)) = closed else { return (Err(PemError::CutOff), body) };
    // No base64 has a colon: the last line with one ends the headers.
    let head = inner.iter().rposition(|byte| *byte == b':').map_or(0, |colon| {
        let line = inner.iter().skip(colon).position(|byte| matches!(byte, b'\n' | b'\r'));
        line.map_or(inner.len(), |line| colon + line)
    });
    let (head, inner) = inner.split_at(head);
    (finished(label, Head::of(head), inner), after)
}

fn is_label(label: &[u8]) -> bool {
    label.len() <= LINE && label.iter().all(|byte| (b' '..0x7f).contains(byte))
}

fn finished<'a>(label: &'a [u8], head: Head, body: &[u8]) -> Result<FileBlock<'a>, PemError> {
    Ok(FileBlock { label, head, der: decode(body)? })
}

/// Base64 as OpenSSL takes it: a dash ends it, bits after the last byte do not count, white space is skipped.
fn decode(body: &[u8]) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let end = body.iter().position(|byte| *byte == b'-').unwrap_or(body.len());
    let body = body.get(..end).unwrap_or_default();
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(body.len())]);
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let length = if body.iter().any(is_blank) {
        let mut compact = Zeroizing::new(Vec::with_capacity(body.len()));
        compact.extend(body.iter().filter(|byte| !is_blank(byte)));
        ENGINE.decode_slice(&*compact, &mut bytes)
    } else {
        ENGINE.decode_slice(body, &mut bytes)
    };
    bytes.truncate(length.map_err(|_| PemError::Base64)?);
    if bytes.is_empty() { Err(PemError::Base64) } else { Ok(bytes) }
}

fn cut<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = find(bytes, mark)?;
    Some((bytes.get(..at)?, bytes.get(at + mark.len()..)?))
}

fn find(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

const ENGINE: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const NUL: &[u8] = b"\0";
const LINE: usize = 64;
const BUFFER: usize = 254;
/// More blocks has no file that is worth a second look.
const MAX_BLOCKS: usize = 64;
/// So much room is made at once, that no key is copied where it is not overwritten.
const MAX_ROOM: usize = 64 * 1024;

#[cfg(test)]
mod tests;
