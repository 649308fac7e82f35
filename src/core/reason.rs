//! Why a certificate stands as it stands: exactly one reason at a time, each naming what ends the wait (promise 9).

use std::fmt;
use std::time::Duration;

use super::event::Lack;
use super::failure::Failure;
use super::name::{CertName, Generation, HookName, ProfileRef, RequestId, SerialNumber};
use super::record::Hold;
use super::text::Text;
use super::time::Timestamp;
use crate::core::known::issuer::End;
use crate::core::known::validation::DomainValidation;

/// The state of a certificate, as the status and the metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Installed, and nothing to do.
    Valid,
    /// To be replaced, now or when something lets it.
    Due,
    /// TLM will issue later.
    Pending,
    /// Issued, and waiting to be accepted.
    Staged,
    /// Installed, and a hook is owed.
    Deploying,
    /// Something failed; it is tried again.
    Failing,
    /// Stopped until the entry, the profile or the operator changes something.
    Rejected,
    /// Held back, or at an older generation, by the operator's word.
    Held,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 8] = [
        Self::Valid,
        Self::Due,
        Self::Pending,
        Self::Staged,
        Self::Deploying,
        Self::Failing,
        Self::Rejected,
        Self::Held,
    ];

    /// The word in status and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Due => "due",
            Self::Pending => "pending",
            Self::Staged => "staged",
            Self::Deploying => "deploying",
            Self::Failing => "failing",
            Self::Rejected => "rejected",
            Self::Held => "held",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a certificate is due.
#[derive(Clone, Debug, PartialEq)]
pub enum Cause {
    /// Nothing is installed.
    Absent,
    /// What is installed is unusable.
    Damaged(Text),
    /// The entry asks for something else.
    Differs(Text),
    /// The entry names another profile than the one that issued it.
    OtherProfile,
    /// The entry's fallback issued it.
    OfFallback,
    /// TLM says that it is revoked.
    Revoked,
    /// The operator asked for it.
    Asked,
    /// It is past the end that counts.
    Expired(End),
    /// Its renewal time has come.
    Expiring(End),
}

impl Cause {
    /// Whether the end of the validity is the reason, so that the new certificate has to end later.
    #[must_use]
    pub const fn is_expiry(&self) -> bool {
        matches!(self, Self::Expired(_) | Self::Expiring(_))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("nothing is installed"),
            Self::Damaged(what) => write!(f, "the installed files are unusable: {what}"),
            Self::Differs(how) => write!(f, "the entry asks for something else: {how}"),
            Self::OtherProfile => f.write_str("the entry names another profile"),
            Self::OfFallback => f.write_str("the fallback profile issued what is installed"),
            Self::Revoked => f.write_str("TLM reports the certificate as revoked"),
            Self::Asked => f.write_str("an operator requested it"),
            Self::Expired(end) => write!(f, "expired at {end}"),
            Self::Expiring(end) => write!(f, "expires at {end}"),
        }
    }
}

/// Why a certificate stands as it stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Reason {
    /// Nothing is due before the renewal time.
    NotDue {
        /// The renewal time.
        renew_at: Timestamp,
        /// The renewal window.
        window: Duration,
    },
    /// Installed; a hook is owed.
    HookOwed {
        /// The hook.
        hook: HookName,
        /// Its last failure.
        failure: Option<Failure>,
        /// When it runs (again).
        at: Timestamp,
    },
    /// Installed; whether it is served is being looked at.
    Probing,
    /// Installed; it is not served, or not known to be.
    NotServed {
        /// What is seen instead.
        what: Text,
        /// Since when.
        since: Timestamp,
        /// When it is looked at again.
        next: Timestamp,
        /// Whether the hooks run again before that.
        hooks_again: bool,
    },
    /// Issued, and waiting for its deploy window.
    ClosedWindow {
        /// When the window opens; `None`: its time zone cannot be read.
        opens: Option<Timestamp>,
        /// When the emergency stage installs it all the same, where that is sooner.
        emergency_at: Option<Timestamp>,
    },
    /// Issued, and waiting for the end of a freeze.
    Frozen {
        /// When it may be switched in.
        until: Timestamp,
        /// When the emergency stage installs it all the same.
        emergency_at: Timestamp,
    },
    /// Issued, and not switched in: a program of a hook says no.
    Vetoed {
        /// The hook.
        hook: HookName,
        /// How.
        failure: Failure,
        /// When it is asked next.
        next: Timestamp,
        /// When the emergency stage installs it all the same.
        emergency_at: Timestamp,
    },
    /// Due, and asked for only at certain hours.
    RequestWindowClosed {
        /// Why it is due.
        cause: Cause,
        /// When the window opens; `None`: its time zone cannot be read.
        opens: Option<Timestamp>,
        /// When the emergency stage asks all the same.
        emergency_at: Timestamp,
    },
    /// An operator wants nothing asked for and nothing switched in.
    OnHold(Box<OnHold>),
    /// A hook failed on a newer generation; the one before is made live again.
    RollingBack,
    /// A hook failed on a newer generation; the one before is live until that one is tried again.
    RolledBack {
        /// The newer one.
        from: Generation,
        /// The live one.
        to: Generation,
        /// When the newer one is tried again.
        next: Timestamp,
    },
    /// An older generation is live by the operator's word.
    HeldBack {
        /// The live one.
        generation: Generation,
        /// When the emergency stage ends that.
        until: Option<Timestamp>,
    },
    /// Files are not as they should be, and are put back now.
    Drifted(Text),
    /// Due, and being worked on.
    Due(Cause),
    /// Due, and waiting for a free place: so many requests run at once.
    Queued(Cause),
    /// Due, and the API as a whole is not usable.
    ApiDown {
        /// What it said.
        why: Text,
        /// When it is tried again.
        until: Timestamp,
    },
    /// Due, and TLM asked for a pause of all requests with this key.
    RateLimited {
        /// When it ends.
        until: Timestamp,
    },
    /// Due, and the profile is being read.
    ReadingProfile {
        /// Which.
        profile: ProfileRef,
        /// Why it is due.
        cause: Cause,
    },
    /// Whether it is due cannot be told: nothing is known of its profile.
    ProfileUnknown {
        /// Which.
        profile: ProfileRef,
        /// When it is tried again, where reading it failed.
        until: Option<Timestamp>,
    },
    /// The profile could not be read.
    ProfileUnread {
        /// Which.
        profile: ProfileRef,
        /// Why.
        failure: Failure,
        /// When it is tried again.
        until: Timestamp,
    },
    /// Entry and profile do not fit; nothing is sent.
    Unfit {
        /// Every misfit.
        failure: Failure,
        /// When the profile is read again.
        until: Timestamp,
    },
    /// The last try failed.
    BackOff {
        /// How.
        failure: Failure,
        /// How often in a row.
        failures: u32,
        /// When it is tried again.
        until: Timestamp,
    },
    /// TLM lets it be renewed only later.
    TooEarly {
        /// When it is tried again.
        until: Timestamp,
        /// From when on TLM, or its profile, allows it, where that is told.
        opens: Option<Timestamp>,
    },
    /// The submissions of a day are spent.
    BudgetSpent {
        /// How many.
        limit: u32,
        /// When one is free again.
        until: Timestamp,
    },
    /// The host's clock is wrong.
    ClockWrong {
        /// How far, in seconds; positive where the API is ahead.
        offset: Option<i64>,
    },
    /// The journal was written by a newer version.
    JournalTooNew,
    /// Waiting for TLM to issue.
    Pending {
        /// TLM's id.
        request_id: RequestId,
        /// Since when.
        since: Timestamp,
        /// When it is asked next.
        next: Timestamp,
        /// Why the last pickup failed.
        failure: Option<Failure>,
        /// What somebody has to publish first.
        dv_details: Option<Box<DomainValidation>>,
    },
    /// A request left, and whether TLM issued for it is not known.
    AnswerLost {
        /// Since when.
        since: Timestamp,
        /// When it is looked up next, or submitted again.
        next: Timestamp,
        /// What came in place of an answer.
        failure: Option<Failure>,
    },
    /// Issued, and being checked and installed.
    Installing,
    /// The chain ends first, and the profile shows a newer certificate of this CA.
    RefreshingChain(Text),
    /// Another generation is live than the journal has.
    Unrecorded(Generation),
    /// Issued, and valid only later.
    NotYetValid(Timestamp),
    /// Installed, and valid only later.
    InstalledEarly(Timestamp),
    /// Issued, and lacking something that the entry can accept.
    Held {
        /// What.
        why: Text,
        /// Of which kind that is.
        lack: Lack,
        /// When the emergency stage installs it all the same.
        until: Option<Timestamp>,
    },
    /// What the request under way asks for is no longer wanted.
    Abandoning,
    /// The entry's profile could not issue; its fallback is asked from now on.
    FallingBack {
        /// The fallback.
        profile: ProfileRef,
        /// Why the other could not.
        why: Text,
    },
    /// The key of an abandoned request is removed.
    Forgetting,
    /// Stopped: a repetition would only repeat it.
    Stopped {
        /// What.
        failure: Failure,
        /// When it is asked for again without anybody's word; `None`: never.
        until: Option<Timestamp>,
    },
    /// A file or folder fails.
    DiskTrouble {
        /// How.
        failure: Failure,
        /// When it is tried again.
        until: Timestamp,
    },
    /// What is installed could not be read, which is no reason to replace it.
    Unreadable(Text),
    /// The state at TLM is being looked at.
    CheckingStatus,
    /// What it replaced is being revoked at TLM.
    RevokingSuperseded(SerialNumber),
    /// What it replaced is to be revoked, and another entry still presents it.
    SupersededInUse {
        /// What it replaced.
        serial_number: SerialNumber,
        /// The other entry.
        by: CertName,
    },
}

/// What there is to know of a hold while it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct OnHold {
    /// Since when, until when, and why.
    pub hold: Hold,
    /// When it gives way, as the emergency stage begins; `None`: never.
    pub gives_way: Option<Timestamp>,
    /// Whether it holds although the certificate is about to expire, or revoked.
    pub in_emergency: bool,
    /// Whether a new certificate is issued and waits for its end.
    pub is_issued: bool,
}

impl Reason {
    /// The state that the reason stands for.
    #[must_use]
    pub const fn state(&self) -> State {
        match self {
            Self::NotDue { .. }
            | Self::ProfileUnknown { .. }
            | Self::CheckingStatus
            | Self::RevokingSuperseded(_)
            | Self::SupersededInUse { .. }
            | Self::TooEarly { .. }
            | Self::Drifted(_)
            | Self::RefreshingChain(_)
            | Self::Forgetting => State::Valid,
            Self::HookOwed { failure: None, .. } | Self::Unrecorded(_) | Self::Probing | Self::NotServed { .. } => {
                State::Deploying
            }
            Self::HeldBack { .. } | Self::OnHold(_) => State::Held,
            Self::Pending { .. } => State::Pending,
            Self::Held { .. }
            | Self::NotYetValid(_)
            | Self::InstalledEarly(_)
            | Self::Vetoed { .. }
            | Self::Frozen { .. }
            | Self::ClosedWindow { .. } => State::Staged,
            Self::Stopped { .. } => State::Rejected,
            Self::Due(_)
            | Self::RequestWindowClosed { .. }
            | Self::Queued(_)
            | Self::ApiDown { .. }
            | Self::RateLimited { .. }
            | Self::ReadingProfile { .. }
            | Self::ClockWrong { .. }
            | Self::Installing
            | Self::Abandoning
            | Self::FallingBack { .. }
            | Self::AnswerLost { .. } => State::Due,
            Self::HookOwed { failure: Some(_), .. }
            | Self::RollingBack
            | Self::RolledBack { .. }
            | Self::ProfileUnread { .. }
            | Self::Unfit { .. }
            | Self::BackOff { .. }
            | Self::BudgetSpent { .. }
            | Self::JournalTooNew
            | Self::DiskTrouble { .. }
            | Self::Unreadable(_) => State::Failing,
        }
    }
}

mod brief;
mod codes;
mod words;
