//! The ends of the credentials for the API, and how loudly they are told. A credential that has ended is not asked with.

use std::time::Duration;

use crate::core::failure::{Failure, FailureClass};
use crate::core::time::{Span, Timestamp};

/// A credential by its name, with its end where that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialEnd {
    /// Its name, never itself.
    pub name: String,
    /// When it ends.
    pub not_after: Option<Timestamp>,
}

/// How near an end is. Each step is told once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// Further away than 30 days, or not known.
    #[default]
    Far,
    /// Within 30 days.
    Month,
    /// Within 7 days.
    Week,
    /// Within a day: somebody has to act while it can be put off.
    Day,
    /// Past.
    Ended,
}

impl CredentialEnd {
    /// How near the end is.
    #[must_use]
    pub fn nearness(&self, now: Timestamp) -> Nearness {
        let Some(end) = self.not_after else { return Nearness::Far };
        let left = end.since(now);
        match () {
            () if end <= now => Nearness::Ended,
            () if left <= DAY => Nearness::Day,
            () if left <= 7 * DAY => Nearness::Week,
            () if left <= 30 * DAY => Nearness::Month,
            () => Nearness::Far,
        }
    }

    /// What is to be said of it, where that is something.
    #[must_use]
    pub fn remark(&self, now: Timestamp) -> Option<String> {
        let (name, end) = (&self.name, self.not_after?);
        match self.nearness(now) {
            Nearness::Far => None,
            Nearness::Ended => Some(format!(
                "the credential {name} expired at {end}, {} ago: renewd submits nothing with it",
                Span(now.since(end))
            )),
            Nearness::Month | Nearness::Week | Nearness::Day => Some(format!(
                "the credential {name} expires at {end}, in {}: renewals will stop then",
                Span(end.since(now))
            )),
        }
    }

    /// Why nothing is sent with it, where it has ended.
    #[must_use]
    pub fn failure(&self, now: Timestamp) -> Option<Failure> {
        let remark = self.remark(now).filter(|_| self.nearness(now) == Nearness::Ended)?;
        Some(Failure::new(FailureClass::ApiUnauthorised, remark))
    }
}

impl Nearness {
    /// Whether status and exit code are unhealthy for it: a warning becomes more on the last day.
    #[must_use]
    pub fn is_unhealthy(self) -> bool {
        self >= Self::Day
    }
}

/// What the operator does about it.
pub const REMEDY: &str =
    "extend the expiry date in TLM, or put a new key or client certificate in place and run: systemctl restart renewd";

const DAY: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests {
    use super::*;

    const END: Timestamp = Timestamp::from_seconds(1_800_000_000);

    #[track_caller]
    fn check(before_end: i64, expected: Nearness) {
        let end = CredentialEnd { name: "api-key".to_owned(), not_after: Some(END) };
        let now = Timestamp::from_seconds(END.seconds() - before_end);
        assert_eq!(end.nearness(now), expected);
        assert_eq!(end.remark(now).is_some(), expected != Nearness::Far);
        assert_eq!(end.failure(now).is_some(), expected == Nearness::Ended);
        assert_eq!(expected.is_unhealthy(), before_end <= 86_400);
    }

    #[test]
    fn each_step_begins_on_its_second() {
        for (days, before, at) in [
            (30, Nearness::Far, Nearness::Month),
            (7, Nearness::Month, Nearness::Week),
            (1, Nearness::Week, Nearness::Day),
        ] {
            check(days * 86_400 + 1, before);
            check(days * 86_400, at);
        }
        check(1, Nearness::Day);
        check(0, Nearness::Ended);
        check(-1, Nearness::Ended);
    }

    #[test]
    fn what_has_no_known_end_says_nothing() {
        let end = CredentialEnd { name: "api-key".to_owned(), not_after: None };
        assert_eq!((end.nearness(END), end.remark(END)), (Nearness::Far, None));
    }
}
