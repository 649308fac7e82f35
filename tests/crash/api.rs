//! What the API has done so far. A crash of the machine does not undo it.

use renewd::core::name::{Digest, SerialNumber};

/// How the API issues.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Mode {
    #[default]
    AtOnce,
    Later,
    Rejects,
}

/// The API's side of the history.
#[derive(Clone, Debug, Default)]
pub struct Api {
    pub mode: Mode,
    /// The public key of every request that was accepted.
    pub accepted: Vec<Digest>,
    /// Those of which the certificate exists, so that a search finds it.
    pub issued: Vec<Digest>,
    /// The certificates that are revoked, and how often that was ordered.
    pub revoked: Vec<SerialNumber>,
    pub orders: usize,
    /// Whether the journal took the id of the pending request.
    pub is_id_kept: bool,
    /// Whether the profile shows the newer certificate of the CA by now.
    pub shows_newer: bool,
    /// How many events the journal has taken, as far as it says.
    pub events: usize,
}

impl Api {
    /// Whether it is revoked by this order, and not by one before.
    pub fn revoke(&mut self, serial: &SerialNumber) -> bool {
        self.orders += 1;
        let is_new = !self.revoked.contains(serial);
        self.revoked.extend(is_new.then(|| serial.clone()));
        is_new
    }

    pub fn submit(&mut self, key: Digest) {
        self.accepted.push(key);
        if self.mode == Mode::AtOnce {
            self.issued.push(key);
        }
    }
}
