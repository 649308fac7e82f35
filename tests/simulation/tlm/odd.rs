//! What TLM says otherwise than anybody expects: words, numbers, lists and instants; and what others do at the same TLM.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use renewd::api::json::Json;
use renewd::api::{Pickup, body_answer};
use renewd::core::event::Method;
use renewd::core::failure::{Failure, FailureClass, RetryHint};
use renewd::core::known::standing::{Standing, TlmState};
use renewd::core::name::{CertName, ProfileId, SerialNumber};
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Asked;

use super::weather::failure;
use super::{Answer, Certificate, DAY, Fate, HOUR, MINUTE, Order, Tlm, Weather, digest};

/// How the pickups of one request are answered, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Saying {
    /// The word; empty where there is none.
    pub(crate) word: &'static str,
    /// Whether the serial number comes along.
    pub(crate) names_number: bool,
    /// Whether TLM issued all the same.
    pub(crate) is_issued: bool,
}

/// Every word that is documented for a request, and some that are not.
pub(crate) const WORDS: [&str; 14] = [
    "ISSUED",
    "PENDING",
    "In Progress",
    "APPROVED",
    "REJECTED",
    "DECLINED",
    "CANCELED",
    "EXPIRED",
    "REVOKED",
    "SUSPENDED",
    "FAILED",
    "ON HOLD",
    "ausgestellt",
    "",
];

/// Every word that is documented for a certificate, and some that are not. The word for a revoked one is not among them:
/// it is said of those that are.
pub(crate) const STATES: [&str; 8] =
    ["issued", "EXPIRED", "Suspended", "pending", "deleted", "replaced_external", "widerrufen", ""];

impl Saying {
    /// What the daemon reads out of the answer: its own reader says.
    pub(crate) fn read(self, serial: Option<&SerialNumber>) -> Result<Pickup, Failure> {
        match serial.filter(|_| self.names_number) {
            None => READINGS[self.word].clone(),
            number => read(self.word, number),
        }
    }

    /// Whether by this word the request goes on, so that it is waited for.
    pub(crate) fn goes_on(self) -> bool {
        matches!(READINGS[self.word], Ok(Pickup::Pending(_)))
    }

    /// Whether it says nothing at all, which counts as no answer.
    pub(crate) fn is_mute(self) -> bool {
        READINGS[self.word].is_err()
    }
}

fn read(word: &str, number: Option<&SerialNumber>) -> Result<Pickup, Failure> {
    let body = serde_json::json!({ "status": word, "serial_number": number.map(|number| &number.0) });
    body_answer::pickup(Json::of(&body), &[]).map_err(|what| Failure::new(FailureClass::ApiBadAnswer, what))
}

/// What is read out of each word alone: a request that goes on for ever is asked for, and judged, many thousand times.
static READINGS: LazyLock<BTreeMap<&str, Result<Pickup, Failure>>> =
    LazyLock::new(|| WORDS.into_iter().map(|word| (word, read(word, None))).collect());

/// What the next answer that brings a certificate names as its serial number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// None.
    Empty,
    /// That of another certificate.
    OfAnother,
    /// One that TLM does not know.
    Unknown,
    /// Its own, and nothing else comes.
    Alone,
    /// That of another certificate, and nothing else comes.
    AloneOfAnother,
    /// One that TLM does not know, and nothing else comes.
    AloneUnknown,
}

pub(crate) const NUMBERS: [Number; 6] =
    [Number::Empty, Number::OfAnother, Number::Unknown, Number::Alone, Number::AloneOfAnother, Number::AloneUnknown];

/// What a search lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Listing {
    /// Certificates with their content.
    #[default]
    Whole,
    /// Without: each is fetched.
    Bare,
    /// The oldest comes without its content, and cannot be fetched.
    OneFails(Weather),
    /// Nothing: no answer comes.
    Silent,
}

/// Which instant a renewal that comes too early is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// The right one.
    Right,
    /// None.
    Unsaid,
    /// The last second of the year 9999.
    Huge,
    /// Yesterday.
    Over,
    /// The first second of 1970.
    Zero,
    /// By a clock so many hours ahead.
    Zone(i64),
}

impl Until {
    fn told(self, opens: Timestamp, now: Timestamp) -> Option<RetryHint> {
        let at = match self {
            Self::Unsaid => return None,
            Self::Right => opens,
            Self::Huge => Timestamp::from_seconds(253_402_300_799),
            Self::Over => now - DAY,
            Self::Zero => Timestamp::from_seconds(0),
            Self::Zone(hours) => Timestamp::from_millis(opens.millis() + hours * HOUR.as_millis() as i64),
        };
        Some(RetryHint::At(at))
    }
}

/// What is odd about TLM.
#[derive(Debug, Default)]
pub(crate) struct Oddities {
    /// Whether its answers are read as the daemon reads them, item by item; without, what they come down to is handed on.
    pub(crate) is_on: bool,
    /// How the next request of a certificate is answered.
    pub(crate) sayings: BTreeMap<CertName, Saying>,
    /// What it says of certificates.
    pub(crate) states: BTreeMap<SerialNumber, &'static str>,
    pub(crate) numbers: Vec<Number>,
    pub(crate) listing: Listing,
    /// How long search may take to show a certificate.
    pub(crate) lag: Duration,
    /// How long before their end certificates can be renewed, whatever their profiles say, and what it says before that.
    pub(crate) window: Option<(Duration, Until)>,
    /// How far its clock is ahead, in milliseconds.
    pub(crate) clock: i64,
    /// When an answer first told the time by that clock, since it was set.
    pub(crate) told_at: Option<Timestamp>,
    /// What others were issued.
    pub(crate) of_others: BTreeSet<SerialNumber>,
}

impl Tlm {
    /// TLM's own clock.
    pub(crate) fn clock(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.millis() + self.odd.clock)
    }

    /// Files a request that is answered in an odd way for ever.
    pub(super) fn file_odd(&mut self, order: &Order, now: Timestamp) -> Option<Answer> {
        let saying = self.odd.sayings.remove(&order.name)?;
        let certificate = saying.is_issued.then(|| self.issue(order, now));
        let id = self.file(order, Fate::Says(saying));
        if let Some(request) = self.requests.get_mut(&id) {
            request.certificate = certificate;
        }
        Some(Answer::Pending(id))
    }

    /// The number that the next answer names, where that is odd, and whether the certificate comes along.
    pub(crate) fn odd_number(&mut self, certificate: &Certificate) -> Option<(SerialNumber, bool)> {
        let number = self.odd.numbers.pop()?;
        let other = self.certificates.iter().rev().find(|other| other.serial != certificate.serial);
        let of_another = other.map_or_else(String::new, |other| other.serial.0.clone());
        let (number, is_there) = match number {
            Number::Empty => (String::new(), true),
            Number::OfAnother => (of_another, true),
            Number::Unknown => ("DEADBEEF".to_owned(), true),
            Number::Alone => (certificate.serial.0.clone(), false),
            Number::AloneOfAnother => (of_another, false),
            Number::AloneUnknown => ("DEADBEEF".to_owned(), false),
        };
        Some((SerialNumber(number), is_there))
    }

    /// What a search lists for the seat and name of a certificate, the oldest first.
    pub(crate) fn list_of(
        &self,
        name: &CertName,
        profile: Option<&ProfileId>,
        since: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Vec<Arc<Certificate>>, Failure> {
        self.look()?;
        if self.odd.listing == Listing::Silent {
            failure(Weather::NoAnswer)?;
        }
        if self.search_forbidden {
            return Err(Failure::new(FailureClass::ApiForbidden, "403"));
        }
        let is_listed = |certificate: &&Arc<Certificate>| {
            certificate.name == *name
                && certificate.visible_at <= now
                && profile.is_none_or(|profile| certificate.profile == *profile)
                && since.is_none_or(|since| certificate.not_before >= since)
        };
        Ok(self.certificates.iter().filter(is_listed).cloned().collect())
    }

    /// Whether an item of a list brings its content along, or why its details cannot be had.
    pub(crate) fn content_of(&self, is_first: bool) -> Result<bool, Failure> {
        match self.odd.listing {
            Listing::Whole | Listing::Silent => Ok(true),
            Listing::Bare => Ok(false),
            Listing::OneFails(weather) if is_first => failure(weather).map(|()| false),
            Listing::OneFails(_) => Ok(true),
        }
    }

    /// What it says of a certificate that is not revoked.
    pub(crate) fn standing(&self, serial: &SerialNumber) -> Standing {
        self.odd.states.get(serial).map_or(Standing::of(TlmState::Issued), |word| Standing::read(word, None, None))
    }

    /// Whether a certificate can be renewed already, and what a renewal is told that comes too early.
    pub(super) fn opens(&self, old: &Certificate, now: Timestamp) -> Result<(), Option<RetryHint>> {
        let of_profile = || self.profiles[&old.profile].profile.renewal_window().unwrap_or_default();
        let (window, until) = self.odd.window.unwrap_or_else(|| (of_profile(), Until::Right));
        let opens = old.not_after - window;
        if now < opens { Err(until.told(opens, now)) } else { Ok(()) }
    }

    /// Whether a renewal of it is refused as too early.
    pub(crate) fn is_too_early(&self, old: &Certificate, now: Timestamp) -> bool {
        let allows = self.profiles.get(&old.profile).is_none_or(|state| state.profile.allows_duplicates);
        !allows && self.opens(old, self.clock(now)).is_err()
    }

    /// Whether a request for this certificate is refused for the sake of what TLM holds: of a profile without duplicates,
    /// where another one is valid that cannot be renewed.
    pub(crate) fn stands_in_the_way(&self, name: &CertName, profile: &ProfileId, now: Timestamp) -> bool {
        let is_valid = |certificate: &&Arc<Certificate>| {
            certificate.name == *name
                && certificate.profile == *profile
                && certificate.not_after > self.clock(now)
                && !self.revoked.contains(&certificate.serial)
        };
        let allows = self.profiles.get(profile).is_none_or(|state| state.profile.allows_duplicates);
        !allows && self.certificates.iter().any(|certificate| is_valid(&certificate))
    }

    /// Another host gets a certificate of the same name, by TLM's own rules.
    pub(crate) fn issue_to_another(&mut self, name: &CertName, asked: Asked, profile: ProfileId, now: Timestamp) {
        let order = Order { name: name.clone(), spki: digest(self.random.next()), asked, profile, method: Method::New };
        if !self.profiles.contains_key(&order.profile) || self.check_duplicate(&order, self.clock(now)).is_err() {
            return;
        }
        let defects = std::mem::take(&mut self.defects);
        let theirs = self.issue(&order, now);
        self.defects = defects;
        self.odd.of_others.insert(theirs.serial.clone());
    }

    /// And withdraws what it has of that name.
    pub(crate) fn revoke_of_another(&mut self, name: &CertName) {
        let of_name = |serial: &&SerialNumber| {
            self.certificates.iter().any(|certificate| certificate.serial == **serial && certificate.name == *name)
        };
        let theirs: Vec<_> = self.odd.of_others.iter().filter(of_name).cloned().collect();
        self.revoked.extend(theirs);
    }

    /// A certificate from before the simulation began.
    pub(crate) fn issued_before(
        &mut self,
        name: &CertName,
        asked: Asked,
        profile: ProfileId,
        age: Duration,
        now: Timestamp,
    ) -> Arc<Certificate> {
        let order = Order { name: name.clone(), spki: digest(self.random.next()), asked, profile, method: Method::New };
        self.issue(&order, now - age)
    }
}

/// A lag of search, from minutes to hours.
pub(crate) const LAGS: [Duration; 4] =
    [MINUTE.saturating_mul(8), MINUTE.saturating_mul(40), HOUR.saturating_mul(3), HOUR.saturating_mul(9)];
