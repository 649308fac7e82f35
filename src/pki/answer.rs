//! What TLM's answers hold: every certificate that can be read out of them, in whatever wrapping, and a note of what
//! cannot. A note keeps nothing from being installed; the gate decides over what was read.

mod encoding;
mod plain;
mod signed_data;
mod text;

use super::certificate::Certificate;
use crate::core::text::Text;

/// What was read out of one or several texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The certificates, each once, in the order in which they came.
    pub certificates: Vec<Certificate>,
    /// What could not be read.
    pub unreadable: Vec<Text>,
}

impl Answer {
    /// Reads more: PEM under any label that holds certificates, PKCS#7, or base64 without armour, whatever stands around
    /// it. `shown` cleans what a note quotes.
    pub fn read(&mut self, text: &str, shown: &dyn Fn(&str) -> Text) {
        text::read(text, shown, self);
    }

    /// Takes what another one holds.
    pub fn extend(&mut self, other: Self) {
        other.certificates.into_iter().for_each(|certificate| self.add(certificate));
        other.unreadable.into_iter().for_each(|note| self.note(note));
    }

    /// The answer as it is kept on the disk: its certificates as PEM, its notes as comments. Nothing else that came with
    /// it is kept, which may have been a private key.
    #[must_use]
    pub fn kept(&self) -> String {
        let certificates = self.certificates.iter().map(Certificate::to_pem);
        certificates.chain(self.unreadable.iter().map(|note| format!("{NOTE}{note}\n"))).collect()
    }

    /// Reads what [`Self::kept`] wrote, or what an older version kept as it came.
    #[must_use]
    pub fn of_kept(text: &str) -> Self {
        let mut answer = Self::default();
        let (notes, rest): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with(NOTE));
        notes.iter().filter_map(|note| note.strip_prefix(NOTE)).for_each(|note| answer.note(Text::new(note)));
        answer.read(&rest.join("\n"), &|raw| Text::new(raw));
        answer
    }

    fn add(&mut self, certificate: Certificate) {
        if self.certificates.contains(&certificate) {
            return;
        }
        if self.certificates.len() >= MOST_CERTIFICATES {
            return self.note(Text::new(&format!("more than {MOST_CERTIFICATES} certificates")));
        }
        self.certificates.push(certificate);
    }

    fn note(&mut self, note: Text) {
        if self.unreadable.len() < MOST_NOTES && !self.unreadable.contains(&note) {
            self.unreadable.push(note);
        }
    }
}

/// The CA certificates that a profile shows, in whatever wrapping. What cannot be read of them is passed over.
#[must_use]
pub fn shown_by_profile<'t>(texts: impl IntoIterator<Item = &'t String>) -> Vec<Certificate> {
    let mut shown = Answer::default();
    texts.into_iter().for_each(|text| shown.read(text, &|raw| Text::new(raw)));
    shown.certificates
}

/// What a note in a kept answer begins with. No base64 and no armour does.
const NOTE: &str = "# unreadable: ";
const MOST_CERTIFICATES: usize = 128;
const MOST_NOTES: usize = 16;

#[cfg(test)]
mod tests;
