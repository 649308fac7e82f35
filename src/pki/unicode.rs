//! One form of Unicode for texts that are compared: what a Mac writes as a letter and a mark is elsewhere one character.

use std::borrow::Cow;

use icu_normalizer::ComposingNormalizerBorrowed;

use crate::core::wanted::entry::Asked;

/// The text in its composed form (NFC).
#[must_use]
pub fn composed(text: &str) -> Cow<'_, str> {
    if text.is_ascii() { Cow::Borrowed(text) } else { ComposingNormalizerBorrowed::new_nfc().normalize(text) }
}

/// The texts of what an older version asked for, in the form in which entries have them now, so that none counts as changed.
pub fn compose(asked: &mut Asked) {
    let texts = asked.subject.values_mut().flatten().chain(&mut asked.common_name);
    texts.for_each(|text| *text = composed(text).into_owned());
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
