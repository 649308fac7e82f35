//! When a certificate is renewed: the renewal window, the instant inside it, and the emergency stage.

use std::time::Duration;

use super::code::Code;
use super::name::{CertName, Digest};
use super::remark::Remark;
use super::time::{Span, Timestamp};
use crate::core::known::observed::Installed;
use crate::core::known::profile::Profile;
use crate::core::wanted::entry::Entry;

/// The times that govern one installed certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The renewal window: how long before the end that counts renewal may start.
    pub window: Duration,
    /// The chosen instant in the first tenth of the window.
    pub renew_at: Timestamp,
    /// The start of the last tenth of the validity.
    pub emergency_at: Timestamp,
}

impl Schedule {
    /// The schedule of `installed` under `entry` and `profile`.
    #[must_use]
    pub fn of(entry: &Entry, profile: Option<&Profile>, installed: &Installed) -> Self {
        let window = window(entry, profile, installed.lifetime());
        let ends_at = installed.ends_at();
        let start = ends_at - window;
        Self {
            window,
            renew_at: start + spread(window, &installed.fingerprint),
            emergency_at: ends_at - installed.lifetime() / EMERGENCY_SHARE,
        }
    }
}

/// The renewal window: the entry's, else the profile's, else a third of the lifetime. One longer than two thirds of
/// the lifetime becomes a third of it; one that begins after the emergency stage begins with it. Where the profile
/// allows no duplicates it cannot be wider than the profile's.
#[must_use]
pub fn window(entry: &Entry, profile: Option<&Profile>, lifetime: Duration) -> Duration {
    let wanted = wanted_window(entry, profile, lifetime).max(lifetime / EMERGENCY_SHARE);
    let allowed = limit(profile).map_or(wanted, |limit| wanted.min(limit));
    if allowed.saturating_mul(3) > lifetime.saturating_mul(2) { lifetime / 3 } else { allowed }
}

fn wanted_window(entry: &Entry, profile: Option<&Profile>, lifetime: Duration) -> Duration {
    entry.renew_before.or_else(|| profile?.renewal_window()).unwrap_or(lifetime / 3)
}

/// The longest window that TLM lets a certificate be renewed in.
fn limit(profile: Option<&Profile>) -> Option<Duration> {
    profile.filter(|profile| !profile.allows_duplicates)?.renewal_window()
}

/// A renewal window that leaves too little time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doubt {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: &'static str,
}

impl Doubt {
    /// As a status tells it.
    #[must_use]
    pub fn remark(&self) -> Remark {
        Remark::new(Code::WindowShort, &format!("{}; {}", self.message, self.remedy))
    }
}

/// What is wrong with the renewal window of a certificate that lives so long, if it leaves too little time.
#[must_use]
pub fn doubt(entry: &Entry, profile: Option<&Profile>, lifetime: Duration) -> Option<Doubt> {
    let (window, wanted) = (window(entry, profile, lifetime), wanted_window(entry, profile, lifetime));
    let emergency = lifetime / EMERGENCY_SHARE;
    let needs_approval = profile.is_some_and(|profile| profile.needs_approval);
    let (who, own_remedy) = match entry.renew_before {
        Some(_) => ("`renew_before`", "raise `renew_before` of the entry"),
        None => ("the profile's renewal window", OF_PROFILE),
    };
    let (message, remedy) = if window < emergency {
        let (window, lifetime) = (Span(window), Span(lifetime));
        let message = format!(
            "the profile allows no duplicates and renewal only in the last {window} of {lifetime}: that is less than a \
             tenth, and leaves little time when something fails"
        );
        (message, OF_PROFILE)
    } else if wanted < emergency {
        let message = format!(
            "{who} is {}, less than a tenth of the {} that the certificate lives; renewal starts {} before the expiry",
            Span(wanted),
            Span(lifetime),
            Span(window)
        );
        (message, own_remedy)
    } else if let Some(said) = profile.filter(|_| entry.renew_before.is_none()).and_then(Profile::unusable_window) {
        let window = Span(window);
        let message = format!(
            "the profile's renewal window is {said}, which counts as not set; renewal starts {window} before the expiry"
        );
        (message, OF_PROFILE)
    } else if needs_approval && window < APPROVAL {
        let window = Span(window);
        let message = format!(
            "the profile needs approval, and {who} leaves {window} for it, less than the 7 days that it may take"
        );
        (message, own_remedy)
    } else {
        return None;
    };
    Some(Doubt { message, remedy })
}

/// When a certificate is looked at again though nothing is due: within six hours, spread over the later half of them by
/// its name, and at the full ten minutes, so that those that come together cost one awakening.
#[must_use]
pub fn look_again(name: &CertName, now: Timestamp) -> Timestamp {
    // FNV-1a: any hash that stays the same would do.
    let hash = name
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let slots = LOOK_AGAIN.as_secs() / SLOT / 2;
    let wanted = now + LOOK_AGAIN / 2 + Duration::from_secs(hash % slots * SLOT);
    let into_slot = wanted.seconds().rem_euclid(SLOT.cast_signed());
    wanted + Duration::from_secs(SLOT - into_slot.cast_unsigned())
}

const OF_PROFILE: &str = "raise the renewal window of the profile in TLM";
/// The emergency stage is one part in so many of the validity: its last tenth.
pub const EMERGENCY_SHARE: u32 = 10;
/// Administrators do not approve at weekends and on holidays.
const APPROVAL: Duration = Duration::from_secs(7 * 86_400);
const LOOK_AGAIN: Duration = Duration::from_secs(6 * 3600);
const SLOT: u64 = 600;

/// The share of the window's first tenth that the fingerprint chooses: the same after every restart, different for
/// every certificate.
fn spread(window: Duration, fingerprint: &Digest) -> Duration {
    let tenth = window.as_millis() / 10;
    let chosen = (tenth * u128::from(fingerprint.prefix())) >> 64;
    Duration::from_millis(u64::try_from(chosen).unwrap_or(0))
}

#[cfg(test)]
mod tests;
