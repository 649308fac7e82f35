//! What the loop is told beside orders and hints.

use std::collections::BTreeSet;

use tokio::sync::oneshot;

use crate::api::RequestSeen;
use crate::core::name::CertName;
use crate::core::time::Timestamp;
use crate::engine::{Asker, Input, Step};
use crate::store::chains::Chains;

/// Something that the loop has to know.
#[derive(Debug)]
pub enum Message {
    /// Something that the engine has to know.
    Engine(Input),
    /// A worker asks for the right to one request; the answer is whether the clock may be right, or when to ask again.
    TurnWanted {
        /// For whom.
        asker: Asker,
        /// To the worker.
        answer: oneshot::Sender<Result<bool, Timestamp>>,
    },
    /// A worker asks whether what was decided may still be done.
    StepWanted {
        /// For which certificate.
        name: CertName,
        /// What.
        step: Step,
        /// To the worker.
        answer: oneshot::Sender<bool>,
    },
    /// Any request, for clock and metrics.
    RequestSeen(RequestSeen),
    /// The chains of these certificates, or of all, were read.
    ChainsRead(Option<BTreeSet<CertName>>, Box<Chains>),
    /// Somebody wants the metrics.
    Measured(oneshot::Sender<String>),
    /// Somebody at the control socket asks.
    Asked(super::control::Request, oneshot::Sender<String>),
}
