//! The text of a body, in whatever encoding it comes. The API speaks UTF-8; what stands in its place does not always.

use std::borrow::Cow;

/// Reads UTF-8, UTF-16 by its mark or by the zeros of ASCII, and everything else as Latin-1.
pub(super) fn text(body: &[u8]) -> Cow<'_, str> {
    match body {
        [0xef, 0xbb, 0xbf, rest @ ..] => text(rest),
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [first, 0, ..] if first.is_ascii_graphic() => utf16(body, u16::from_le_bytes),
        [0, first, 0, ..] if first.is_ascii_graphic() => utf16(body, u16::from_be_bytes),
        _ => std::str::from_utf8(body).map_or_else(|_| latin_1(body).into(), Cow::Borrowed),
    }
}

/// A text without the blanks and marks around it, and what a buffer was filled up with.
pub(super) fn bare(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{feff}' | '\0'))
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Cow<'_, str> {
    let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| unit(*pair)).collect();
    String::from_utf16_lossy(&units).into()
}

fn latin_1(body: &[u8]) -> String {
    body.iter().map(|byte| char::from(*byte)).collect()
}

/// How a body is compressed: as its first bytes show, else as its head says. None is asked for, and none is undone.
pub(super) fn compression<'a>(body: &[u8], head: Option<&'a str>) -> Option<&'a str> {
    match body {
        [0x1f, 0x8b, ..] => Some("gzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some("zstd"),
        [0x78, 0x01 | 0x9c | 0xda, ..] => Some("deflate"),
        // A head that speaks of the character set, or of what a proxy has undone: the body is what it looks like.
        [] | [0x20..=0x7e | b'\t' | b'\n' | b'\r' | 0xef | 0xfe | 0xff, ..] if looks_like_text(body) => None,
        _ => head,
    }
}

/// Whether nothing in the first bytes is of a compressed body.
fn looks_like_text(body: &[u8]) -> bool {
    let is_text =
        |byte: &u8| matches!(byte, 0x20..=0x7e | b'\t' | b'\n' | b'\r' | 0xef | 0xbb | 0xbf | 0xfe | 0xff | 0);
    body.iter().take(8).all(is_text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_encoding_is_read() {
        let word = "{\"é\": 1}";
        let wide = |unit: fn(u16) -> [u8; 2]| word.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        let narrow = b"{\"\xe9\": 1}".to_vec();
        for body in [
            word.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", word.as_bytes()].concat(),
            [&[0xff, 0xfe], wide(u16::to_le_bytes).as_slice()].concat(),
            [&[0xfe, 0xff], wide(u16::to_be_bytes).as_slice()].concat(),
            wide(u16::to_le_bytes),
            wide(u16::to_be_bytes),
            narrow,
        ] {
            assert_eq!(text(&body), word, "{body:?}");
        }
        assert_eq!(text(b""), "");
    }

    #[test]
    fn a_compressed_body_is_known_by_its_bytes_before_its_head() {
        for (body, head, expected) in [
            (b"\x1f\x8b\x08\0".as_slice(), None, Some("gzip")),
            (b"\x1f\x8b\x08\0", Some("x-gzip"), Some("gzip")),
            (b"\x28\xb5\x2f\xfd\x04", None, Some("zstd")),
            (b"\x78\x9c\x01", None, Some("deflate")),
            (b"\x8b\x01\x80{}", Some("br"), Some("br")),
            (b"{\"a\": 1}", Some("gzip"), None),
            (b"{\"a\": 1}", Some("UTF-8"), None),
            (b"", Some("gzip"), None),
            (b"{}", None, None),
        ] {
            assert_eq!(compression(body, head), expected, "{body:?} {head:?}");
        }
    }
}
