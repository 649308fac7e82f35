//! What TLM holds in the way of a certificate: where it refuses a second one, which it has, since when, and what to do.
//! Another host may be serving it, so that revoking it comes last.

use crate::core::failure::Failure;
use crate::core::name::SerialNumber;
use crate::core::text::Text;
use crate::core::time::Timestamp;

/// A valid certificate of the same seat and name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// The first instant of its validity, where it came along.
    pub issued_at: Option<Timestamp>,
    /// The last instant of its validity, where it came along.
    pub not_after: Option<Timestamp>,
    /// Whether it is the one that is installed here.
    pub is_installed: bool,
}

/// A refusal for the sake of what TLM holds, with that and with what to do about it. `held` is what a search for `seat`
/// found, what is not installed here first; or why there was none.
#[must_use]
pub fn explained(refusal: Failure, seat: &str, held: Result<&[Holding], &Failure>) -> Failure {
    let (said, seat) = (cut(refusal.message.as_str(), LONGEST_SAID), cut(seat, LONGEST_SEAT));
    let message = match held {
        Ok([]) => format!("{said}; a search for seat {seat} found nothing valid; {ALLOW}; {LAST_UNSEEN}"),
        Ok([first, more @ ..]) => {
            let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
            format!("{said}; TLM holds {}{more}; {ALLOW}; {}", first.shown(&seat), first.last_resort())
        }
        Err(why) => {
            let why = cut(why.message.as_str(), LONGEST_WHY);
            format!("{said}; what TLM holds for seat {seat} could not be searched for ({why}); {ALLOW}; {LAST_UNSEEN}")
        }
    };
    Failure { message: Text::new(&message), ..refusal }
}

impl Holding {
    /// Serial number, seat, issue time and expiry.
    #[must_use]
    pub fn shown(&self, seat: &str) -> String {
        let issued = self.issued_at.map_or_else(|| "at an unknown time".to_owned(), |at| at.to_string());
        let expires = self.not_after.map_or(String::new(), |at| format!(", expires {at}"));
        let here = if self.is_installed { ", installed here" } else { "" };
        format!("serial number {} (seat {seat}, issued {issued}{expires}{here})", self.serial_number)
    }

    const fn last_resort(&self) -> &'static str {
        if self.is_installed { LAST_OWN } else { LAST }
    }
}

fn cut(text: &str, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

const ALLOW: &str = "allow duplicate certificates in the profile";
const LAST: &str = "revoke that one only as a last resort: another host may serve it";
const LAST_OWN: &str = "revoke it only as a last resort: this host serves it until it is replaced";
const LAST_UNSEEN: &str = "revoke what TLM holds only as a last resort: another host may serve it";

/// Together they leave room for what follows them in a text of 512 characters.
const LONGEST_SAID: usize = 110;
const LONGEST_SEAT: usize = 48;
const LONGEST_WHY: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::example::{DAY, START, failure};
    use crate::core::failure::FailureClass;

    fn held(is_installed: bool) -> Holding {
        let (issued_at, not_after) = (Some(START), Some(START + 90 * DAY));
        Holding { serial_number: SerialNumber("0A".to_owned()), issued_at, not_after, is_installed }
    }

    #[track_caller]
    fn check(held: Result<&[Holding], &Failure>, parts: &[&str]) {
        let explained = explained(failure(FailureClass::DuplicateRefused), "www", held);
        let message = explained.message.as_str();
        parts.iter().for_each(|part| assert!(message.contains(part), "{part:?} is not in {message:?}"));
        let revoking = message.find("revoke ").unwrap();
        assert!(message.find(ALLOW).unwrap() < revoking, "revoking comes last: {message}");
    }

    #[test]
    fn a_refusal_names_what_tlm_holds_and_revoking_comes_last() {
        let of = "serial number 0A (seat www, issued 2027-01-15T08:00:00Z, expires 2027-04-15T08:00:00Z)";
        check(Ok(&[held(false)]), &["it said no; TLM holds", of, LAST]);
        check(Ok(&[held(false), held(true)]), &["and 1 more", LAST]);
        check(Ok(&[held(true)]), &["installed here", LAST_OWN]);
        check(Ok(&[Holding { issued_at: None, ..held(false) }]), &["issued at an unknown time"]);
        check(Ok(&[]), &["a search for seat www found nothing valid", LAST_UNSEEN]);
        check(Err(&failure(FailureClass::ApiForbidden)), &["could not be searched for (it said no)", LAST_UNSEEN]);
    }

    #[test]
    fn whatever_tlm_says_the_remedy_stays_in_view() {
        let long = "ü".repeat(600);
        let refusal = Failure::new(FailureClass::AlreadyRenewed, &long);
        for held in [Ok(&[held(false)][..]), Ok(&[]), Err(&refusal.clone())] {
            let explained = explained(refusal.clone(), &long, held);
            assert!(explained.message.as_str().ends_with("another host may serve it"), "{explained}");
        }
    }
}
