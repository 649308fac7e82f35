//! PEM armour (RFC 7468), read tolerantly about line breaks and strictly about everything else. Says nothing about
//! what the blocks hold; buffers are zeroised, since a block may hold a key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A piece of a PEM text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// Something outside of all armour, with white space trimmed; never empty.
    Text(&'a str),
    /// An armoured block.
    Block(Block<'a>),
}

/// An armoured block, not yet decoded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Block<'a> {
    /// What the armour says that it holds, such as `CERTIFICATE`.
    pub label: &'a str,
    /// What stands between the armour.
    pub body: &'a str,
}

/// A text is no valid PEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum PemError {
    /// A block is opened and never closed.
    #[error("a PEM block is cut off: its END line is missing")]
    CutOff,
    /// The body is not base64.
    #[error("its content is not valid base64")]
    Base64,
    /// Lines where none may be.
    #[error("the lines of a PEM block are broken in a way that readers do not accept")]
    Blank,
}

/// Cuts a text into its blocks and what stands outside of them. Line breaks may be missing everywhere.
///
/// # Errors
///
/// When a block is not closed.
pub fn parts(text: &str) -> Result<Vec<Part<'_>>, PemError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, opened)) = rest.split_once(BEGIN) {
        parts.extend(outside(before));
        let (block, after) = block(opened)?;
        parts.push(Part::Block(block));
        rest = after;
    }
    parts.extend(outside(rest));
    Ok(parts)
}

/// Decodes base64 with white space anywhere.
///
/// # Errors
///
/// When anything but white space, padding and base64's alphabet is in it.
pub fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>, PemError> {
    let mut compact = Zeroizing::new(Vec::with_capacity(text.len()));
    text.split_ascii_whitespace().for_each(|line| compact.extend_from_slice(line.as_bytes()));
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(compact.len())]);
    let length = STANDARD.decode_slice(&*compact, &mut bytes).map_err(|_| PemError::Base64)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// Armours `der`: lines of 64 characters that end in `\n`.
#[must_use]
pub fn armour(label: &str, der: &[u8]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(STANDARD.encode(der));
    let lines = encoded.len().div_ceil(LINE);
    let mut text = Zeroizing::new(String::with_capacity(encoded.len() + lines + 2 * label.len() + 40));
    text.extend([BEGIN, label, DASHES, "\n"]);
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.extend([line, "\n"]);
        rest = after;
    }
    text.extend(["-----END ", label, DASHES, "\n"]);
    text
}

/// The block whose label begins `opened`, and what follows it.
fn block(opened: &str) -> Result<(Block<'_>, &str), PemError> {
    let (label, body) = opened.split_once(DASHES).ok_or(PemError::CutOff)?;
    let end = format!("-----END {label}-----");
    let (body, after) = body.split_once(end.as_str()).ok_or(PemError::CutOff)?;
    Ok((Block { label, body }, after))
}

fn outside(text: &str) -> Option<Part<'_>> {
    let text = text.trim();
    (!text.is_empty()).then_some(Part::Text(text))
}

const BEGIN: &str = "-----BEGIN ";
const DASHES: &str = "-----";
const LINE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let one = |part: &Part<'_>| match part {
            Part::Text(text) => format!("text {text}"),
            Part::Block(block) => format!("{} {}", block.label, decode(block.body).map_or(0, |bytes| bytes.len())),
        };
        match parts(text) {
            Ok(parts) => parts.iter().map(one).collect::<Vec<_>>().join("; "),
            Err(error) => error.to_string(),
        }
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(shown(text), expected, "{text:?}");
    }

    #[test]
    fn blocks_are_found_whatever_the_line_breaks() {
        check("-----BEGIN A-----\nAAAA\n-----END A-----\n", "A 3");
        check("-----BEGIN A-----\r\nAAAA\r\nAAAA\r\n-----END A-----\r\n", "A 6");
        check("-----BEGIN A-----AAAA-----END A----------BEGIN B C-----AAAA-----END B C-----", "A 3; B C 3");
        check("so\n-----BEGIN A-----\nAAAA\n-----END A-----\n and so", "text so; A 3; text and so");
        check("", "");
        check("-----BEGIN A-----\nAAAA\n-----END B-----", "a PEM block is cut off: its END line is missing");
        check("-----BEGIN A", "a PEM block is cut off: its END line is missing");
    }

    #[test]
    fn armour_survives_reading() {
        for length in [0, 1, 47, 48, 49, 96, 1000] {
            let der: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let text = armour("X Y", &der);
            let parts = parts(&text).unwrap();
            let [Part::Block(block)] = parts.as_slice() else { panic!("one block") };
            assert_eq!((block.label, decode(block.body).unwrap().to_vec()), ("X Y", der));
            assert!(text.lines().all(|line| line.len() <= 64) && text.ends_with("-----\n"));
        }
    }
}
