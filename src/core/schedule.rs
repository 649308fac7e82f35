//! When a certificate is renewed: the renewal window, the instant inside it, and the emergency stage.

use std::time::Duration;

use super::entry::Entry;
use super::name::{CertName, Digest};
use super::observed::Installed;
use super::profile::Profile;
use super::time::Timestamp;

/// The times that govern one installed certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The renewal window: how long before `not_after` renewal may start.
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
        let start = installed.not_after - window;
        Self {
            window,
            renew_at: start + spread(window, &installed.fingerprint),
            emergency_at: installed.not_after - installed.lifetime() / 10,
        }
    }
}

/// The renewal window: the entry's, else the profile's, else a third of the lifetime. One longer than two thirds of
/// the lifetime becomes a third of it. Where the profile allows no duplicates it cannot be wider than the profile's.
#[must_use]
pub fn window(entry: &Entry, profile: Option<&Profile>, lifetime: Duration) -> Duration {
    let of_profile = profile.and_then(Profile::renewal_window);
    let wanted = entry.renew_before.or(of_profile).unwrap_or(lifetime / 3);
    let allowed = match (profile, of_profile) {
        (Some(profile), Some(limit)) if !profile.allows_duplicates => wanted.min(limit),
        _ => wanted,
    };
    if allowed > lifetime * 2 / 3 { lifetime / 3 } else { allowed }
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
