//! What the protocol wants performed, what may come of it, and what one effect hands to the next.

use std::fmt::Debug;
use std::sync::Arc;

use super::super::event::{Event, Lack, Method};
use super::super::failure::Failure;
use super::super::name::{Attempt, Digest, Generation, HookName, RequestId, SerialNumber};
use super::super::text::Text;
use super::super::time::Timestamp;
use crate::core::known::holding::Holding;
use crate::core::known::issuer::ServedChain;
use crate::core::known::observed::Leaf;
use crate::core::known::replaced::Replaced;
use crate::core::known::served::AddressProbe;
use crate::core::known::standing::Standing;
use crate::core::known::validation::DomainValidation;
use crate::core::wanted::key::KeyType;

/// What the effects of a shell hand to each other. It travels with the phases of the protocol, which never looks inside: so
/// nothing can be judged before it came, or installed before it was judged.
pub trait Payload: Clone + Debug {
    /// A private key with its signing request, which are on the disk.
    type Key: Clone + Debug;
    /// What TLM answered; by default nothing.
    type Answer: Clone + Debug + Default;
    /// Whether there is no certificate in an answer.
    fn is_empty(answer: &Self::Answer) -> bool;
    /// What the gate took.
    type Set: Clone + Debug;
}

/// A key in hand.
#[derive(Clone, Debug)]
pub struct Keyed<P: Payload> {
    /// The SHA-256 of its public key.
    pub spki: Digest,
    /// Its type.
    pub kind: KeyType,
    /// The key itself.
    pub key: P::Key,
}

/// A certificate that TLM issued, and what is in hand of it.
#[derive(Clone, Debug)]
pub struct Issued<P: Payload> {
    /// Its serial number; empty where TLM names none.
    pub serial_number: SerialNumber,
    /// The public key that was asked for.
    pub spki: Digest,
    /// The private key, where it was made or read for this action.
    pub key: Option<P::Key>,
    /// What came.
    pub answer: P::Answer,
}

/// Something that the daemon performs for the protocol.
#[derive(Clone, Debug)]
pub enum Effect<P: Payload> {
    /// Prove that every target can take a set: write, sync, rename, remove.
    CheckRoom,
    /// Make key and CSR and put them on the disk, synced.
    MakeKey {
        /// For this request.
        attempt: Attempt,
        /// Of this type.
        key: KeyType,
    },
    /// Read key and CSR of an earlier try.
    ReadKey {
        /// Of this request.
        attempt: Attempt,
    },
    /// Append to the journal, synced.
    Record(Event),
    /// Send the request.
    Send(Method, P::Key),
    /// Search TLM for a certificate with this public key.
    LookUp(Digest),
    /// Search TLM for what it holds of the same seat and name.
    SearchHeld,
    /// Ask for a pending request.
    PickUp {
        /// Its id at TLM.
        id: RequestId,
        /// The public key that it was made for.
        spki: Digest,
    },
    /// Keep what TLM answered beside the key, synced.
    KeepAnswer {
        /// Of this request.
        attempt: Attempt,
        /// The answer.
        answer: P::Answer,
    },
    /// Read the kept answer; where there is none, fetch the certificate by its serial number.
    ReadAnswer {
        /// Of this request.
        attempt: Attempt,
        /// Its certificate.
        serial_number: SerialNumber,
        /// The public key that it was made for.
        spki: Digest,
    },
    /// Fetch what is missing of leaf and chain by the serial number.
    FetchChain {
        /// The certificate.
        issued: Issued<P>,
        /// Whether the gate takes what is there: only the root is missing.
        is_good: bool,
    },
    /// Put what came before the gate.
    Judge {
        /// Of this request.
        attempt: Attempt,
        /// Whether the end of the installed certificate is the reason; `None`: as the record of the request says.
        expiring: Option<bool>,
        /// Whether a missing usage counts for nothing.
        emergency: bool,
        /// The public key that the request was made for.
        spki: Digest,
        /// What came.
        answer: P::Answer,
    },
    /// Ask the programs that the hooks of the entry run before a switch.
    AskBefore,
    /// Write the generation, switch `live`, copy to the fixed paths.
    Install {
        /// Of this request.
        attempt: Attempt,
        /// What the gate took.
        set: P::Set,
        /// The request's key, where it need not be read from the disk.
        key: Option<P::Key>,
    },
    /// Remove the files of a request that ended.
    Forget {
        /// The request.
        attempt: Attempt,
    },
    /// Put the installed files back as they should be.
    Repair {
        /// Whether a newer certificate of the CA that is found in place of ours may be switched in.
        refreshes: bool,
    },
    /// Install the same key and leaf with the better chain that the profile shows.
    RefreshChain,
    /// Look at what each address of the probe serves.
    Probe,
    /// Make the newest usable generation before this one live.
    RollBack(Generation),
    /// Make a generation live.
    Switch(Generation),
    /// Ask TLM for the state of a certificate.
    CheckStatus(SerialNumber),
    /// Have TLM revoke a certificate that was replaced, unless it is live after all.
    Revoke(Box<Replaced>),
}

/// What came of an effect.
#[derive(Clone, Debug)]
pub enum Outcome<P: Payload> {
    /// It is done.
    Done,
    /// It failed.
    Failed(Failure),
    /// The key is on the disk, or was read from it.
    Key(Keyed<P>),
    /// TLM issued, and answered this.
    Issued(SerialNumber, P::Answer),
    /// What there is of what was issued, and why it is not all that was to be read or fetched.
    Fetched(P::Answer, Option<Failure>),
    /// TLM will issue later, under this id, or, at a pickup, still later; and what somebody has to publish first.
    Pending(Option<RequestId>, Option<Box<DomainValidation>>),
    /// An administrator said no.
    Rejected(Text),
    /// The search found nothing.
    NotFound,
    /// What TLM holds of the same seat and name, what is not installed here first.
    Holds(Vec<Holding>),
    /// The gate's verdict.
    Judged(Verdict<P>),
    /// The set is live.
    Installed {
        /// As this generation.
        generation: Generation,
        /// With this leaf.
        leaf: Box<Leaf>,
        /// And this above it.
        chain: Arc<ServedChain>,
        /// In place of this one, where that is to be revoked in time.
        replaces: Option<Box<Replaced>>,
    },
    /// The same leaf is live with a chain that ends later.
    Refreshed {
        /// As this generation.
        generation: Generation,
        /// The end that counts now.
        ends_at: Timestamp,
    },
    /// In place of a repair, what somebody else had renewed is live.
    Adopted {
        /// As this generation.
        generation: Generation,
        /// With this leaf.
        leaf: Box<Leaf>,
        /// Served with this chain.
        chain: Box<ServedChain>,
        /// In place of this one, where that is to be revoked in time.
        replaces: Option<Box<Replaced>>,
    },
    /// What the addresses showed, compared with the certificate that is installed.
    Probed {
        /// The installed one's.
        fingerprint: Digest,
        /// What each showed.
        sights: Vec<AddressProbe>,
    },
    /// Not done: a hold or a freeze began, or the deploy window closed, since the decision.
    NotNow,
    /// A program of a hook says that nothing is to be switched in.
    Vetoed {
        /// The hook.
        hook: HookName,
        /// How.
        failure: Failure,
        /// Whether it is switched in all the same.
        overruled: bool,
    },
    /// A generation is live again.
    Switched(Generation),
    /// How a certificate stands.
    Status(Box<Standing>),
}

/// What the gate says.
#[derive(Clone, Debug)]
pub enum Verdict<P: Payload> {
    /// It may be installed.
    Accepted(P::Set),
    /// It may be installed; the root that the entry wants beside it did not come.
    Rootless(P::Set),
    /// It may be installed from this instant on.
    NotYetValid(Timestamp),
    /// It lacks only something that the entry can accept.
    Held(Text, Lack),
    /// It may not be installed: every defect.
    Refused(Vec<Text>),
    /// It may not be installed, only because a CA of its path keeps it from serving longer than what is.
    EndsNoLater(Vec<Text>),
}
