//! What the journal holds: events of one certificate, in the words of the status and the history.

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::name::{Attempt, CertName, Digest, Generation, HookName, ProfileId, RequestId, SerialNumber};
use super::text::Text;
use super::time::Timestamp;
use crate::core::known::issuer::ChainEnd;
use crate::core::known::replaced::Replaced;
use crate::core::known::served::AddressProbe;
use crate::core::known::standing::Standing;
use crate::core::known::validation::DomainValidation;
use crate::core::wanted::entry::Asked;
use crate::core::wanted::key::KeyType;
use crate::core::wanted::usage::Usage;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When it happened.
    pub at: Timestamp,
    /// The certificate that it happened to.
    pub name: CertName,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Something that happened to a certificate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// Key and CSR are on the disk and the request is about to leave: from here on TLM may have accepted it.
    Submitting {
        /// The request.
        attempt: Attempt,
        /// How it asks.
        method: Method,
        /// What it asks for.
        asked: Asked,
        /// Under which profile.
        profile: ProfileId,
        /// What the profile said ([`crate::core::known::profile::Profile::version`]).
        profile_version: u64,
        /// The type of its key.
        key: KeyType,
        /// The SHA-256 of its public key.
        spki: Digest,
        /// Whether the installed certificate's end was the reason, so that the new one has to end later.
        expiring: bool,
        /// What the entry says of how to ask and what to take ([`crate::core::wanted::entry::Entry::demands`]).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        demands: Option<u32>,
    },
    /// The answer says that nothing was accepted; key and CSR serve the next try.
    NotAccepted {
        /// The request.
        attempt: Attempt,
        /// Why.
        failure: Failure,
    },
    /// TLM refused it for the sake of a certificate that may be this request's own, and the search that would tell failed.
    RefusalUnclear {
        /// The request.
        attempt: Attempt,
        /// Both.
        failure: Failure,
    },
    /// What came back does not say whether TLM issues: no answer, or one of another kind.
    AnswerLost {
        /// The request.
        attempt: Attempt,
        /// What was seen instead.
        failure: Failure,
    },
    /// A look-up at TLM brought no certificate for the key. Not written: it is done again after a restart.
    LookedUp {
        /// The request.
        attempt: Attempt,
        /// Why TLM did not tell; `None`: it answered that it has none.
        failure: Option<Failure>,
    },
    /// TLM will issue later.
    Pending {
        /// The request.
        attempt: Attempt,
        /// TLM's id of it.
        request_id: RequestId,
        /// What somebody has to publish first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dv_details: Option<Box<DomainValidation>>,
    },
    /// A pickup said PENDING. Not written: it is polled again after a restart.
    Polled {
        /// The request.
        attempt: Attempt,
        /// What somebody has to publish first, where this answer says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dv_details: Option<Box<DomainValidation>>,
    },
    /// A pickup was refused as if TLM did not know the request.
    PickupUnknown {
        /// The request.
        attempt: Attempt,
        /// What TLM said.
        failure: Failure,
    },
    /// TLM issued; the answer is kept beside the key where the disk allowed it.
    Issued {
        /// The request.
        attempt: Attempt,
        /// The serial number as TLM spells it.
        serial_number: SerialNumber,
    },
    /// Issued, and kept until the entry accepts it or the emergency stage installs it.
    Held {
        /// The request.
        attempt: Attempt,
        /// What it lacks.
        why: Text,
        /// Of which kind that is.
        #[serde(default)]
        lack: Lack,
        /// What the entry wanted when it was judged.
        usages: Option<Vec<Usage>>,
        /// What the profile said then ([`crate::core::known::profile::Profile::version`]), where that was known.
        #[serde(default)]
        profile_version: Option<u64>,
    },
    /// Issued, and valid only later. Not written: it is judged again after a restart.
    Waits {
        /// The request.
        attempt: Attempt,
        /// When its validity starts.
        until: Timestamp,
    },
    /// The gate refused what TLM issued.
    GateRefused {
        /// The request.
        attempt: Attempt,
        /// Every defect.
        why: Vec<Text>,
        /// Whether it is that a CA of its path keeps it from serving longer than what is installed, and nothing else.
        #[serde(default, skip_serializing_if = "is_false")]
        ends_no_later: bool,
    },
    /// An administrator rejected the request.
    Rejected {
        /// The request.
        attempt: Attempt,
        /// What came with it.
        why: Text,
    },
    /// A request under way is no longer wanted: what it brings is never installed.
    Abandoned {
        /// The request.
        attempt: Attempt,
    },
    /// The key of an abandoned request was removed.
    KeyForgotten {
        /// The request.
        attempt: Attempt,
    },
    /// The new set is live.
    Installed {
        /// The request.
        attempt: Attempt,
        /// The generation that `live` names.
        generation: Generation,
        /// Its serial number.
        serial_number: SerialNumber,
        /// Its fingerprint.
        fingerprint: Digest,
        /// Its end.
        not_after: Timestamp,
        /// The hooks that are owed for it.
        hooks: Vec<HookName>,
        /// Who issued it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<Text>,
        /// The first end in its chain, where that comes before its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chain_end: Option<Box<ChainEnd>>,
        /// What was live before, where the entry wants that revoked in time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<Box<Replaced>>,
    },
    /// The same key and leaf are live with a chain that ends later.
    ChainRefreshed {
        /// The generation that `live` names.
        generation: Generation,
        /// The end that counts now.
        ends_at: Timestamp,
        /// The hooks that are owed for it.
        hooks: Vec<HookName>,
    },
    /// The profile shows no chain that could take the place of the installed one. Not written: it is looked at once more
    /// after a restart.
    ChainKept {
        /// What the profile said ([`crate::core::known::profile::Profile::version`]).
        profile_version: u64,
    },
    /// Files that had drifted were put back.
    Repaired,
    /// What somebody else had renewed in the place of ours passed the gate, and is live.
    Adopted {
        /// The generation that `live` names.
        generation: Generation,
        /// Its serial number.
        serial_number: SerialNumber,
        /// Its fingerprint.
        fingerprint: Digest,
        /// Its end.
        not_after: Timestamp,
        /// The hooks that are owed for it.
        hooks: Vec<HookName>,
        /// Who issued it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        issuer: Option<Text>,
        /// The first end in its chain, where that comes before its own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        chain_end: Option<Box<ChainEnd>>,
        /// What was live before, where the entry wants that revoked in time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        replaces: Option<Box<Replaced>>,
    },
    /// A hook exited with 0.
    HookDone {
        /// The hook.
        hook: HookName,
        /// The generation that it ran for.
        generation: Generation,
        /// The end of what it printed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        output: Option<Text>,
    },
    /// A hook began to run. Where neither of the two that follow comes after it, renewd ended before the hook did.
    HookBegun {
        /// Which.
        hook: HookName,
        /// For this generation.
        generation: Generation,
    },
    /// A hook failed; it stays owed.
    HookFailed {
        /// The hook.
        hook: HookName,
        /// The generation that it ran for.
        generation: Generation,
        /// How, with the end of what it printed.
        failure: Failure,
        /// Which step of it.
        #[serde(default, skip_serializing_if = "HookStep::is_run")]
        step: HookStep,
    },
    /// What a hook runs before a switch did not let a new set be switched in.
    SwitchVetoed {
        /// The hook.
        hook: HookName,
        /// How, with the end of what it printed.
        failure: Failure,
        /// Whether it was switched in all the same, since there was no time left to wait.
        #[serde(default, skip_serializing_if = "is_false")]
        overruled: bool,
    },
    /// Something else failed: it is tried again on its ladder.
    Failed {
        /// What.
        failure: Failure,
    },
    /// TLM told the state of the installed certificate.
    StatusChecked {
        /// Its serial number.
        serial_number: SerialNumber,
        /// Whether it is revoked.
        revoked: bool,
        /// How it stands, in TLM's words; older versions did not write it.
        #[serde(flatten)]
        standing: Option<Box<Standing>>,
    },
    /// TLM could not be asked for the state of the installed certificate. Not written.
    StatusUnread,
    /// The addresses of the probe were looked at. Not written: they are looked at again after a restart.
    Probed {
        /// The certificate that was installed then.
        fingerprint: Digest,
        /// What each showed.
        sights: Vec<AddressProbe>,
    },
    /// The certificate is not served although its hooks ran: they are owed once more.
    HooksAgain {
        /// The generation.
        generation: Generation,
    },
    /// An older generation is live again.
    RolledBack {
        /// Instead of this one.
        from: Generation,
        /// The live one.
        to: Generation,
        /// By whose word.
        by: RollbackBy,
        /// The hooks that are owed for it.
        hooks: Vec<HookName>,
    },
    /// There was no generation to go back to.
    RollbackRefused {
        /// From this one.
        from: Generation,
        /// Why.
        failure: Failure,
    },
    /// A generation that had been rolled back is live once more.
    Forward {
        /// The generation.
        generation: Generation,
        /// The hooks that are owed for it.
        hooks: Vec<HookName>,
        /// Whether it stays, whatever its hooks say: the older one is about to end.
        #[serde(default)]
        stays: bool,
    },
    /// The installed certificate is seen to be in service, or not any more: what it replaced is revoked some time after.
    ServiceSeen {
        /// The installed certificate.
        fingerprint: Digest,
        /// Whether it is: its hooks are done, and the probe, where there is one, sees it everywhere.
        in_service: bool,
    },
    /// A certificate that was replaced is revoked at TLM, or need not be.
    SupersededRevoked {
        /// Its serial number.
        serial_number: SerialNumber,
        /// What TLM said.
        #[serde(default)]
        outcome: Withdrawal,
    },
    /// A certificate that was replaced could not be revoked: it is tried again.
    RevocationFailed {
        /// Its serial number.
        serial_number: SerialNumber,
        /// Why.
        failure: Failure,
    },
    /// The operator asked for a replacement.
    RenewalAsked {
        /// As a new certificate, whatever the entry's request method is.
        #[serde(default)]
        reissue: bool,
    },
    /// The operator wants nothing asked for and nothing switched in until further notice.
    HoldBegun {
        /// When that ends by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Timestamp>,
        /// Why, in the operator's words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<Text>,
        /// Whether not even an emergency ends it.
        #[serde(default, skip_serializing_if = "is_false")]
        even_emergency: bool,
    },
    /// The operator takes a hold back, that of a rollback as well.
    HoldReleased,
    /// The operator asked for the hooks and the probe of what is installed.
    DeployAsked {
        /// The generation.
        generation: Generation,
        /// The hooks that are owed for it.
        hooks: Vec<HookName>,
    },
    /// The profile could not issue, and the fallback is asked: a request under way is given up, and what the profile met is
    /// put aside.
    FellBack {
        /// Why the profile could not.
        why: Text,
    },
    /// The fallback could not issue either, or need not any more: the entry's profile is asked again.
    FallbackLeft,
    /// The entry asks for something else, or otherwise, than when TLM refused or failed it: what that would wait for is over.
    EntryChanged,
    /// The entry left the inventory; its files stay.
    #[serde(rename = "let-go")]
    LeftInventory,
    /// A kind of event that a newer version wrote: kept in the journal, and skipped.
    #[serde(other)]
    Unknown,
}

impl Event {
    /// Whether it says that a request is about to leave: it has to be on the disk before that.
    #[must_use]
    pub const fn is_intent(&self) -> bool {
        matches!(self, Self::Submitting { .. })
    }

    /// Whether the journal keeps it. What is not kept is found out again after a restart.
    #[must_use]
    pub const fn is_durable(&self) -> bool {
        !matches!(
            self,
            Self::LookedUp { .. }
                | Self::Polled { .. }
                | Self::Waits { .. }
                | Self::StatusUnread
                | Self::Probed { .. }
                | Self::ChainKept { .. }
        )
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

mod kinds;

pub use kinds::{HookStep, Lack, Method, RollbackBy, Withdrawal};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_before_hooks_had_steps_was_the_hook_itself() {
        let line =
            r#"{"event":"hook-failed","hook":"web","generation":2,"failure":{"class":"hook-failed","message":"x"}}"#;
        let read: Event = serde_json::from_str(line).unwrap();
        assert!(matches!(read, Event::HookFailed { step: HookStep::Run, .. }));
        assert!(!serde_json::to_string(&read).unwrap().contains("step"), "it is written as before");
    }

    #[test]
    fn what_replaced_nothing_that_is_to_be_revoked_is_written_as_before() {
        let line = r#"{"event":"installed","attempt":1,"generation":2,"serial_number":"0A","fingerprint":"FP","not_after":1800000000000,"hooks":[]}"#;
        let line = line.replace("FP", &"0".repeat(64));
        let read: Event = serde_json::from_str(&line).unwrap();
        assert!(matches!(&read, Event::Installed { replaces: None, .. }));
        assert!(!serde_json::to_string(&read).unwrap().contains("replaces"));
    }

    #[test]
    fn what_was_held_before_kinds_were_told_lacks_a_usage() {
        let line = r#"{"event":"held","attempt":1,"why":"it lacks client_auth","usages":null}"#;
        let Event::Held { lack, profile_version, .. } = serde_json::from_str(line).unwrap() else { panic!("{line}") };
        assert_eq!((lack, profile_version), (Lack::Usage, None));
    }
}
