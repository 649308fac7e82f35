//! What the workers tell the loop.

use std::collections::BTreeSet;

use tokio::sync::oneshot;

use crate::api::Seen;
use crate::core::breaker::Function;
use crate::core::event;
use crate::core::failure::Failure;
use crate::core::name::{CertName, Digest, ProfileRef};
use crate::core::observed::Observed;
use crate::core::profile::Profile;

/// Something that the loop has to know.
#[derive(Debug)]
pub enum Message {
    /// A certificate's files were looked at.
    Observed(Vec<(CertName, Observed)>),
    /// An event is in the journal, or happened although the journal could not take it.
    Happened(event::Entry),
    /// A request was answered in a way that shows API and key to be in order, or failed.
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
    /// The chains of these certificates, or of all, were read.
    ChainsRead(Option<BTreeSet<CertName>>, Box<crate::store::chains::Chains>),
    /// A CA certificate was asked after at its issuer.
    CaAsked(Digest, crate::core::ca_status::Outcome),
    /// A profile was read, or not.
    ProfileRead(ProfileRef, Box<Result<Profile, Failure>>),
    /// What TLM said of the credentials.
    CredentialsRead(super::credentials::Told),
    /// The trial request after an outage, for a profile.
    Tried(Option<ProfileRef>, Option<Failure>),
    /// Any request, for clock and metrics.
    Seen(Seen),
    /// A hook ended.
    HookEnded {
        /// Which, as the inventory keys it.
        hook: crate::config::HookKey,
        /// For which certificates and generations, under the name that their entries use.
        served: Vec<super::hooks::Debt>,
        /// How it ended.
        ended: super::hooks::Ended,
    },
    /// Something beside the certificates is amiss, or, without a problem, is well again.
    Trouble(&'static str, Option<super::status::Problem>),
    /// Somebody wants the metrics.
    Measured(oneshot::Sender<String>),
    /// Somebody at the control socket asks.
    Asked(super::control::Request, oneshot::Sender<String>),
}
