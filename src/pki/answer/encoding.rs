//! Base64 as answers spell it: either alphabet, with or without padding, in lines, in quotes.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Decodes; `None`: there is something else in it, or nothing.
pub(super) fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let mut compact = Zeroizing::new(Vec::with_capacity(text.len()));
    for byte in text.bytes().filter(|byte| !is_passed_over(*byte)) {
        compact.push(match byte {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        });
    }
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(compact.len())]);
    let length = LENIENT.decode_slice(&*compact, &mut bytes).ok()?;
    bytes.truncate(length);
    (!bytes.is_empty()).then_some(bytes)
}

/// White space, and the quotes and commas of a list that was written as text.
const fn is_passed_over(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b',' | b'\x0b')
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);
