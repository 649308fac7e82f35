//! What may be decided: an action, and what it takes to perform it.

use crate::core::event::{Event, Method};
use crate::core::failure::Failure;
use crate::core::known::replaced::Replaced;
use crate::core::name::{Attempt, Generation, HookName, ProfileRef, RequestId, SerialNumber};
use crate::core::reason::Reason;
use crate::core::time::Timestamp;
use crate::core::wanted::key::KeyType;

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Nothing.
    Wait,
    /// Read the profile.
    ReadProfile(ProfileRef),
    /// Make a key and submit, or submit a prepared request (again).
    Submit(Submission),
    /// Look for a certificate with the key of a request whose answer was lost.
    LookUp(Attempt),
    /// Ask for a pending request.
    PickUp {
        /// The request.
        attempt: Attempt,
        /// TLM's id of it.
        request_id: RequestId,
        /// Whether the request counts as lost if this fails too: TLM answers others.
        decides: bool,
    },
    /// Check what TLM issued, and install it.
    Install {
        /// The request.
        attempt: Attempt,
        /// Its certificate.
        serial_number: SerialNumber,
        /// Install it even if it lacks a usage.
        emergency: bool,
        /// Whether what TLM does not give is done without, after many tries: then the gate has the last word.
        is_last_try: bool,
    },
    /// Put the installed files back as they should be.
    Repair {
        /// Whether a newer certificate of the CA that is found in place of ours may be switched in.
        refreshes: bool,
    },
    /// Install the same key and leaf with the better chain that the profile shows.
    RefreshChain,
    /// Run a hook for the installed generation.
    RunHook(HookName),
    /// Let the hooks of this generation be owed once more.
    RepeatHooks(Generation),
    /// Look at what is served.
    Probe,
    /// Make the generation before this one live again.
    RollBack(Generation),
    /// Make a generation live again that was rolled back.
    Forward {
        /// The generation.
        generation: Generation,
        /// Whether it stays, whatever its hooks say.
        stays: bool,
    },
    /// Ask TLM for the state of the installed certificate.
    CheckStatus(SerialNumber),
    /// Have TLM revoke a certificate that was replaced.
    RevokeSuperseded(Box<Replaced>),
    /// Give the request in flight up.
    Abandon(Attempt),
    /// Ask the other one of the entry's two profiles from now on, which is this event.
    ChangeProfile(Box<Event>),
    /// Remove the keys of abandoned requests.
    ForgetKeys(Vec<Attempt>),
    /// Write down that another generation is live than the journal has.
    Recognise(Box<Event>),
}

impl Action {
    /// The word in the plan.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::ReadProfile(_) => "read-profile",
            Self::Submit(_) => "submit",
            Self::LookUp(_) => "look-up",
            Self::PickUp { .. } => "pick-up",
            Self::Install { .. } => "install",
            Self::Repair { .. } => "repair",
            Self::RefreshChain => "refresh-chain",
            Self::RunHook(_) => "run-hook",
            Self::RepeatHooks(_) => "repeat-hooks",
            Self::Probe => "probe",
            Self::RollBack(_) => "roll-back",
            Self::Forward { .. } => "forward",
            Self::CheckStatus(_) => "check-status",
            Self::RevokeSuperseded(_) => "revoke-superseded",
            Self::Abandon(_) => "abandon",
            Self::ChangeProfile(_) => "change-profile",
            Self::ForgetKeys(_) => "forget-key",
            Self::Recognise(_) => "recognise",
        }
    }

    /// Whether what TLM does not give is done without.
    pub(in crate::core) const fn is_last_try(&self) -> bool {
        matches!(self, Self::Install { is_last_try: true, .. } | Self::Submit(Submission { is_last_try: true, .. }))
    }

    /// Whether it needs the API, and so a place among the running requests.
    #[must_use]
    pub const fn needs_api(&self) -> bool {
        match self {
            Self::Submit(_)
            | Self::LookUp(_)
            | Self::PickUp { .. }
            | Self::CheckStatus(_)
            | Self::RevokeSuperseded(_)
            | Self::Install { .. } => true,
            Self::Wait
            | Self::ReadProfile(_)
            | Self::Repair { .. }
            | Self::RefreshChain
            | Self::Abandon(_)
            | Self::ChangeProfile(_)
            | Self::ForgetKeys(_)
            | Self::RepeatHooks(_)
            | Self::Probe
            | Self::RollBack(_)
            | Self::Forward { .. }
            | Self::Recognise(_)
            | Self::RunHook(_) => false,
        }
    }

    /// Whether, once begun, it is worth finishing before the process ends: what it needs is here.
    #[must_use]
    pub const fn is_local(&self) -> bool {
        match self {
            Self::Install { .. }
            | Self::Repair { .. }
            | Self::Abandon(_)
            | Self::ChangeProfile(_)
            | Self::ForgetKeys(_)
            | Self::RollBack(_)
            | Self::Forward { .. }
            | Self::Recognise(_) => true,
            Self::Wait
            | Self::ReadProfile(_)
            | Self::Submit(_)
            | Self::LookUp(_)
            | Self::PickUp { .. }
            | Self::RefreshChain
            | Self::RunHook(_)
            | Self::RepeatHooks(_)
            | Self::Probe
            | Self::RevokeSuperseded(_)
            | Self::CheckStatus(_) => false,
        }
    }

    /// Whether it writes to the folders of its certificate.
    #[must_use]
    pub const fn writes(&self) -> bool {
        match self {
            Self::Submit(_)
            | Self::LookUp(_)
            | Self::PickUp { .. }
            | Self::Install { .. }
            | Self::Repair { .. }
            | Self::RefreshChain
            | Self::RollBack(_)
            | Self::Forward { .. }
            | Self::Recognise(_)
            | Self::Abandon(_)
            | Self::ForgetKeys(_) => true,
            Self::Wait
            | Self::ReadProfile(_)
            | Self::ChangeProfile(_)
            | Self::RunHook(_)
            | Self::RepeatHooks(_)
            | Self::Probe
            | Self::RevokeSuperseded(_)
            | Self::CheckStatus(_) => false,
        }
    }
}

/// A request to send.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// Its number.
    pub attempt: Attempt,
    /// Whether key and CSR are there from an earlier try.
    pub prepared: bool,
    /// Whether TLM may have accepted that try, so that it is looked up once more before it is repeated (promise 3).
    pub look_up: bool,
    /// How to ask.
    pub method: Method,
    /// The type of key to make.
    pub key: KeyType,
    /// Whether the new certificate has to end later than the installed one.
    pub expiring: bool,
    /// Whether a refusal stands though the search for what TLM speaks of fails, after many tries.
    pub is_last_try: bool,
    /// What the last request was refused for, where it was explained a short time ago: it is not searched for again.
    pub known: Option<Box<Failure>>,
}

/// A decision.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct Decision {
    /// What to do now.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// When to decide again if nothing happens before.
    pub wake_at: Timestamp,
    /// The renewal time, where something is installed.
    pub renew_at: Option<Timestamp>,
    /// Whether less than a tenth of the validity is left, or nothing valid is there.
    pub emergency: bool,
    /// The hook that the installed generation owes next, and from when on it runs, whatever else is done.
    pub hook: Option<(HookName, Timestamp)>,
}
