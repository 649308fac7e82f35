//! A request that was started, and how far it is.

use crate::core::event::{Lack, Method};
use crate::core::known::validation::DomainValidation;
use crate::core::name::{Attempt, Digest, ProfileId, RequestId, SerialNumber};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Asked;
use crate::core::wanted::key::KeyType;
use crate::core::wanted::usage::Usage;

/// A request in flight.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its number, which names its files.
    pub attempt: Attempt,
    /// How it asks.
    pub method: Method,
    /// What it asks for.
    pub asked: Asked,
    /// Under which profile.
    pub profile: ProfileId,
    /// What the profile said then ([`crate::core::known::profile::Profile::version`]).
    pub profile_version: u64,
    /// The type of its key.
    pub key: KeyType,
    /// The SHA-256 of its public key.
    pub spki: Digest,
    /// Whether the new certificate has to end later than the installed one.
    pub expiring: bool,
    /// What the entry said of how to ask and what to take; `None`: an older version asked.
    pub demands: Option<u32>,
    /// How far it got.
    pub stage: Stage,
    /// Since when it is at this stage.
    pub since: Timestamp,
    /// When it left for the first time.
    pub first_sent: Timestamp,
    /// Whether TLM may have accepted an earlier try, whose answer is not known.
    pub is_unsure: bool,
    /// How often TLM refused it for the sake of what may be its own, with a search that failed.
    pub unclear_refusals: u32,
}

/// How far a request got.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Key and CSR are there; TLM has accepted nothing.
    Prepared,
    /// It left, and the answer is not known (yet, or any more).
    Submitted {
        /// How often it was looked up.
        looks: u32,
        /// When last.
        looked_at: Option<Timestamp>,
    },
    /// TLM will issue later.
    Pending {
        /// TLM's id.
        request_id: RequestId,
        /// How often it was polled in this life of the daemon.
        polls: u32,
        /// When last.
        polled_at: Option<Timestamp>,
        /// When TLM first claimed not to know it, and how often since.
        unknown: Option<(Timestamp, u32)>,
        /// When a search answered, since pickups fail, that there is no certificate for its key.
        not_found_at: Option<Timestamp>,
        /// What somebody has to publish first.
        dv_details: Option<Box<DomainValidation>>,
    },
    /// TLM issued it.
    Issued {
        /// Its serial number.
        serial_number: SerialNumber,
        /// When its validity starts, where that lies ahead.
        waits_until: Option<Timestamp>,
    },
    /// Issued, and kept for want of something.
    Held {
        /// Its serial number.
        serial_number: SerialNumber,
        /// What it lacks.
        why: Text,
        /// Of which kind that is.
        lack: Lack,
        /// What the entry wanted when it was judged.
        usages: Option<Vec<Usage>>,
        /// What the profile said then.
        profile_version: Option<u64>,
    },
}

impl Request {
    /// What somebody has to publish before TLM issues.
    #[must_use]
    pub fn validation(&self) -> Option<&DomainValidation> {
        match &self.stage {
            Stage::Pending { dv_details, .. } => dv_details.as_deref(),
            Stage::Prepared | Stage::Submitted { .. } | Stage::Issued { .. } | Stage::Held { .. } => None,
        }
    }

    /// The serial number, once TLM issued.
    #[must_use]
    pub fn serial_number(&self) -> Option<&SerialNumber> {
        match &self.stage {
            Stage::Issued { serial_number, .. } | Stage::Held { serial_number, .. } => Some(serial_number),
            Stage::Prepared | Stage::Submitted { .. } | Stage::Pending { .. } => None,
        }
    }

    /// Whether TLM may hold something that this request brought about.
    #[must_use]
    pub fn may_be_accepted(&self) -> bool {
        self.is_unsure || !matches!(self.stage, Stage::Prepared)
    }
}
