//! What the engine is told, and what it wants done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::breaker::Function;
use crate::config::{Difference, HookKey, Main};
use crate::core::event;
use crate::core::failure::Failure;
use crate::core::known::ca_status::{Ca, Found, LiveSet, Outcome as CaOutcome};
use crate::core::known::cached_profile::CachedProfile;
use crate::core::known::credential::{CredentialEnd, Nearness};
use crate::core::known::observed::{Installed, Observed};
use crate::core::known::profile::Profile;
use crate::core::known::validation::DomainValidation;
use crate::core::name::{Attempt, CertName, Digest, HookName, ProfileRef};
use crate::core::reason::Reason;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::Entry;
use crate::core::wanted::hook::Hook;

use super::hooks::{Ended, PendingHook};
use super::job::Job;
use super::notices::Told;
use super::status::Problem;
use super::telling::Telling;

/// The present, by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The host's wall clock, which may be set.
    pub wall: Timestamp,
    /// The time since some fixed instant, without suspends, which nobody can set.
    pub steady: Duration,
}

impl Now {
    /// The wall clock's time at `later`, had nobody set it and the machine not slept.
    #[must_use]
    pub fn expected(&self, later: &Self) -> Timestamp {
        self.wall + later.steady.saturating_sub(self.steady)
    }
}

/// What takes its time to come to, so that it may not be wanted any more by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A request leaves.
    Ask,
    /// A new set becomes live.
    Switch,
    /// A set that was live becomes so once more, or the chain of the live one is exchanged.
    Exchange,
    /// A new set becomes live although a program says no.
    Overrule,
    /// TLM is asked to revoke what was replaced.
    Revoke,
}

/// A certificate of the inventory that is new to the engine, as the disk shows it.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// What is wanted.
    pub entry: Arc<Entry>,
    /// What its files show.
    pub observed: Observed,
    /// The requests whose keys are on the disk.
    pub attempts: Vec<Attempt>,
}

/// What a reading of the inventory directory brought.
#[derive(Clone, Debug, Default)]
pub struct InventoryRead {
    /// What is different, if anything is.
    pub difference: Option<Difference>,
    /// What looks like a drop-in file and is not read.
    pub overlooked: Vec<Text>,
    /// How long it took.
    pub took: Duration,
    /// Whether the directory is watched.
    pub is_watched: bool,
    /// Whether a file changed just now, which may change once more unseen.
    pub is_unsettled: bool,
}

/// The answer for each credential: its end as TLM reports it, or why TLM does not.
pub type CredentialReports = Vec<(String, Result<Option<Timestamp>, Failure>)>;

/// Whose request wants to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// That of a certificate.
    Certificate(CertName),
    /// The reading of a profile.
    Profile(ProfileRef),
    /// One that is made for no certificate.
    Nobody,
}

/// Something that the engine has to know.
#[derive(Debug)]
pub enum Input {
    /// The daemon starts, with every certificate of the inventory in order of their names.
    Began {
        /// The certificates.
        arrivals: Vec<Arrival>,
        /// Those that were in force before the start, and are in no file any more.
        gone: Vec<CertName>,
        /// Whether the inventory directory is watched; `None`: it is not looked at again.
        is_watched: Option<bool>,
    },
    /// Certificates that [`Command::Adopt`] asked for.
    Adopted(Vec<Arrival>),
    /// Files of certificates were looked at.
    Observed {
        /// For which [`Command::Observe`].
        look: u64,
        /// What they show.
        found: Vec<(CertName, Observed)>,
    },
    /// An event is in the journal, or happened although the journal could not take it.
    Happened(event::Entry),
    /// A request for a certificate was answered in a way that shows API and key to be in order, or failed.
    Answered {
        /// For which certificate.
        name: CertName,
        /// Under which profile.
        profile: ProfileRef,
        /// Which function of the API.
        function: Function,
        /// How it failed, if it did.
        failure: Option<Failure>,
    },
    /// An action is over.
    Finished {
        /// Of which certificate.
        name: CertName,
        /// Whether it held a place among the running requests.
        had_place: bool,
    },
    /// A profile was read, or not.
    ProfileRead(ProfileRef, Box<Result<Profile, Failure>>),
    /// The trial request after an outage, for a profile.
    Tried(Option<ProfileRef>, Option<Failure>),
    /// The API answered something, with the `Date` that its answer bore.
    Dated(Option<Timestamp>),
    /// The answers to [`Command::ReadCredentials`].
    CredentialsRead(CredentialReports),
    /// Requests leave with these credentials from now on, the first of them first.
    CredentialsReplaced(Vec<CredentialEnd>),
    /// The chains of these certificates, or of all, were read.
    ChainsRead(Option<BTreeSet<CertName>>, Found),
    /// A CA certificate was asked after at its issuer.
    CaAsked(Digest, CaOutcome),
    /// A hook ended.
    HookEnded {
        /// Which.
        key: HookKey,
        /// For which certificates and generations, under the name that their entries use.
        covers: Vec<PendingHook>,
        /// How it ended.
        ended: Ended,
    },
    /// An action that is under way needs its place no longer.
    PlaceReturned,
    /// A call to tell somebody ended.
    NotifyEnded {
        /// By which notification.
        name: HookName,
        /// How it ended.
        ended: Ended,
    },
    /// The key of a request that is on record was removed.
    KeyRemoved {
        /// Of which certificate.
        name: CertName,
        /// Of which request.
        attempt: Attempt,
    },
    /// Something may have changed in the inventory directory.
    Hinted,
    /// The operator has everything read anew: what follows is what was read, up to [`Input::Reloaded`].
    Reloading,
    /// `renewd.toml` was read, or is refused.
    MainRead(Result<Box<Main>, Text>),
    /// The inventory directory was read.
    InventoryRead(InventoryRead),
    /// Everything was read anew.
    Reloaded,
    /// Something beside the certificates is amiss, or, without a problem, is well again.
    ProblemChanged(&'static str, Option<Problem>),
    /// Time passed, or everything that was to be told for now has been.
    Tick,
}

/// A hook that starts now.
#[derive(Clone, Debug)]
pub struct HookStart {
    /// Which.
    pub key: HookKey,
    /// What it runs.
    pub hook: Hook,
    /// For which certificates and generations.
    pub covers: Vec<PendingHook>,
    /// What it is told of each.
    pub subjects: Vec<HookSubject>,
}

/// A certificate as a hook is told of it.
#[derive(Clone, Debug)]
pub struct HookSubject {
    /// Its name.
    pub name: CertName,
    /// The installed certificate, as it was seen last.
    pub installed: Option<Installed>,
    /// What somebody has to publish before TLM issues the next one.
    pub validation: Option<DomainValidation>,
}

/// Something that the engine wants done. Each is performed in its turn; what comes of it is told as an [`Input`].
#[derive(Debug)]
pub enum Command {
    /// Look at the files of certificates, beside the loop and in as many parts as it likes: [`Input::Observed`].
    Observe {
        /// The number of the look: what a later one shows is newer.
        look: u64,
        /// Which certificates.
        entries: Vec<Arc<Entry>>,
    },
    /// Look at the files of certificates that are new: [`Input::Adopted`].
    Adopt(Vec<Arc<Entry>>),
    /// Perform an action to its end: [`Input::Happened`], [`Input::Answered`], and [`Input::Finished`].
    Run(Box<Job>),
    /// Read a profile: [`Input::ProfileRead`].
    ReadProfile(ProfileRef),
    /// Ask the API for something that is made for no certificate, of a profile where one is known: [`Input::Tried`].
    Try(Option<ProfileRef>),
    /// Ask TLM for the ends of these credentials: [`Input::CredentialsRead`].
    ReadCredentials(Vec<String>),
    /// Let requests leave with the next API key.
    UseNextKey,
    /// Run a hook to its end: [`Input::HookEnded`].
    StartHook(Box<HookStart>),
    /// Write these events to the journal before what follows; where it does not take them, with the next that it takes.
    Journal(Vec<event::Entry>),
    /// Remove the key of a request that nothing comes of any more.
    RemoveKey {
        /// Of which certificate.
        name: CertName,
        /// Of which request.
        attempt: Attempt,
        /// Whether the journal knows the request: then [`Input::KeyRemoved`].
        is_on_record: bool,
    },
    /// Keep the readings of the profiles for the next start.
    KeepProfiles(Vec<(ProfileRef, CachedProfile)>),
    /// Read which CA certificates are served: [`Input::ChainsRead`].
    ReadChains {
        /// With these certificates; `None`: with all.
        names: Option<BTreeSet<CertName>>,
        /// Their sets.
        sets: Vec<LiveSet>,
        /// The CA certificates of which it is noted who serves them.
        revoked: BTreeSet<Digest>,
    },
    /// Ask the issuer of a CA certificate for its status: [`Input::CaAsked`].
    AskCa(Digest),
    /// Keep what is known of CA certificates for the next start.
    KeepCas(Vec<Ca>),
    /// Tell somebody, beside the loop: [`Input::NotifyEnded`].
    Notify(Box<Telling>),
    /// Keep what somebody was told for the next start.
    KeepNotices(BTreeMap<HookName, Told>),
    /// Read the inventory directory: [`Input::InventoryRead`].
    ReadInventory,
    /// The line of `systemctl status`.
    StatusLine(Text),
    /// Something that the log has to show.
    Tell(News),
}

/// Something worth a line in the log, beside the events of the journal.
#[derive(Clone, Debug)]
pub enum News {
    /// Something else was decided for a certificate.
    Decided {
        /// For which.
        name: CertName,
        /// Why.
        reason: Reason,
        /// Whether nothing was known of it before.
        is_first: bool,
        /// Whether it is more than the same wait with another end.
        is_change: bool,
    },
    /// The wall clock was set, or the machine slept.
    ClockStepped {
        /// The time before.
        before: Timestamp,
        /// The time after.
        after: Timestamp,
    },
    /// The host's clock counts as wrong, or, `false`, no more.
    ClockWrong(bool),
    /// An outage ended.
    ApiAnswers,
    /// A trial failed that decides nothing.
    TrialFailed(Failure),
    /// A function that the API key may not use is used no more.
    FunctionForbidden(Failure),
    /// Requests leave with another API key.
    NextKey(String),
    /// A profile could not be read.
    ProfileUnread(ProfileRef, Failure),
    /// The end of a credential comes near.
    CredentialEnds(Nearness, String),
    /// TLM does not report the end of a credential.
    CredentialUnread(String, Failure),
    /// A certificate is no longer in the inventory.
    Removed(CertName),
    /// Another inventory is in force.
    InventoryChanged {
        /// How many certificates are new.
        added: usize,
        /// How many changed.
        changed: usize,
        /// How many left.
        removed: usize,
    },
    /// Something beside the certificates is amiss.
    Problem(Problem),
    /// It is well again.
    Mended(String),
    /// A CA certificate is revoked.
    CaRevoked(Problem),
    /// A CA certificate was asked after.
    CaAsked(Text, CaOutcome),
}
