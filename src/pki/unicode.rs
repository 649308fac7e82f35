//! One form of Unicode for texts that are compared: what a Mac writes as a letter and a mark is elsewhere one character.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

/// The text in its composed form (NFC).
#[must_use]
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { ComposingNormalizerBorrowed::new_nfc().normalize(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letter_and_mark_become_one() {
        assert_eq!(composed("Zu\u{308}rich"), "Z\u{fc}rich");
        assert_eq!(composed("Vie\u{302}\u{323}t"), composed("Vi\u{1ec7}t"));
        assert_eq!(composed("plain"), "plain");
    }
}
