//! A rehearsal: the engine itself, at work in a world in which nothing fails and no time is lost but by its own rules. So what it
//! says of order and pace is what the daemon does: places, bursts, budget, holds, freezes and windows are not modelled a
//! second time. It is a third shell around the engine, beside the daemon and the simulation, and changes nothing.
//!
//! What it takes for granted: TLM answers each request within [`ANSWER`] and issues at once, after an approval at the first
//! pickup; a hook takes [`HOOK`]; profiles stay as they were read last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Inventory, Main};
use crate::core::known::observed::Observed;
use crate::core::name::CertName;
use crate::core::record::Record;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;

use super::profiles::ProfileCache;

use stage::Stage;

mod stage;

/// What a rehearsal begins with.
#[derive(Debug)]
pub struct Cast {
    /// `renewd.toml`.
    pub main: Main,
    /// The inventory in force.
    pub inventory: Inventory,
    /// Every certificate of it, as its files show it.
    pub seen: Vec<(Arc<Entry>, Observed)>,
    /// What the journal tells of each.
    pub records: BTreeMap<CertName, Record>,
    /// The profiles as they were read last.
    pub profiles: ProfileCache,
    /// When it begins.
    pub now: Timestamp,
}

/// What happens in it.
#[derive(Clone, Debug, PartialEq)]
pub enum Plot {
    /// An operator says `renewd renew`.
    Renew {
        /// Of these.
        names: BTreeSet<CertName>,
        /// By new certificates.
        reissue: bool,
    },
    /// TLM revoked these; renewd finds out by its own checks.
    Revoked(BTreeSet<CertName>),
}

impl Plot {
    fn names(&self) -> &BTreeSet<CertName> {
        match self {
            Self::Renew { names, .. } | Self::Revoked(names) => names,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Outlook {
    /// When it began.
    pub began: Timestamp,
    /// The certificates that it was about: those that were replaced in the order in which they were, then the others.
    pub acts: Vec<Act>,
    /// How many requests left for TLM, for whatever certificate.
    pub requests: u32,
}

impl Outlook {
    /// When the last of them was replaced.
    #[must_use]
    pub fn ended(&self) -> Option<Timestamp> {
        self.acts.iter().filter_map(|act| act.live_at).max()
    }

    /// Those that are not replaced by then.
    pub fn late(&self, by: Timestamp) -> impl Iterator<Item = &Act> {
        self.acts.iter().filter(move |act| act.live_at.is_none_or(|at| at > by))
    }
}

/// What becomes of a certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// Which.
    pub name: CertName,
    /// When it is asked for.
    pub asked_at: Option<Timestamp>,
    /// When the new one is live; `None`: not as long as the rehearsal lasts.
    pub live_at: Option<Timestamp>,
    /// The end that counts of the one that it replaces.
    pub ends_at: Option<Timestamp>,
    /// What it waits for at the end of the rehearsal, where it is not replaced.
    pub waits: Option<Text>,
}

/// Rehearses, until everything that it is about is replaced, or [`HORIZON`] is over.
#[must_use]
pub fn rehearse(cast: Cast, plot: &Plot) -> Outlook {
    let mut stage = Stage::set(cast, plot);
    stage.run();
    stage.outlook(plot)
}

/// How long TLM takes to answer.
pub const ANSWER: Duration = Duration::from_secs(1);
/// How long a hook takes.
pub const HOOK: Duration = Duration::from_secs(1);
/// A rehearsal lasts no longer: what is not replaced by then waits for somebody.
pub const HORIZON: Duration = Duration::from_secs(60 * 86_400);
/// Nor does it take more steps: a hundred thousand certificates need a tenth of them.
const MOST_STEPS: u64 = 10_000_000;
/// Of a certificate of which nothing says how long it lives.
const USUAL_LIFETIME: Duration = Duration::from_secs(90 * 86_400);
/// Who waits for a turn asks again after so long, as in the daemon.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
