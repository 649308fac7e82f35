//! The certificate that another one took the place of.

use serde::{Deserialize, Serialize};

use crate::core::name::{Digest, SerialNumber};
use crate::core::time::Timestamp;

/// A certificate that TLM issued for an entry, and that is not live any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Its serial number.
    pub serial_number: SerialNumber,
    /// Its fingerprint, which tells two certificates with one serial number apart.
    pub fingerprint: Digest,
    /// Its end: from then on it needs no revocation.
    pub not_after: Timestamp,
}

impl Replaced {
    /// Whether it is that one: by either mark, since what is withdrawn cannot be taken back.
    #[must_use]
    pub fn is(&self, serial_number: &SerialNumber, fingerprint: Digest) -> bool {
        self.fingerprint == fingerprint || self.serial_number.same(serial_number)
    }
}
