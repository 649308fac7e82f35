//! Reasons in a few words, as the table of all certificates shows them: the state and the next step stand beside it, and
//! the whole cause once below the table.

use std::time::Duration;

use super::{Cause, Reason};
use crate::core::event::Lack;
use crate::core::time::Span;

impl Reason {
    /// The cause in a few words, without ids and what somebody else wrote.
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::NotDue { renew_at, .. } => format!("not due until {renew_at}"),
            Self::HookOwed { hook, failure: None, .. } => format!("installed; hook {hook} scheduled"),
            Self::HookOwed { hook, failure: Some(_), .. } => format!("installed, but hook {hook} failed"),
            Self::NotServed { since, .. } => format!("installed, but not served since {since}"),
            Self::ClosedWindow { opens: None, .. } => "issued; its deploy window has no time zone".to_owned(),
            Self::ClosedWindow { opens: Some(opens), .. } => format!("issued; deploy window opens at {opens}"),
            Self::Frozen { until, .. } => format!("issued; frozen until {until}"),
            Self::Vetoed { hook, next, .. } => {
                format!("issued; hook {hook} postpones the switch until {next}")
            }
            Self::RequestWindowClosed { opens: None, .. } => "due; its request window has no time zone".to_owned(),
            Self::RequestWindowClosed { opens: Some(opens), .. } => format!("due; request window opens at {opens}"),
            Self::OnHold(held) => held.told(),
            Self::RolledBack { from, to, .. } => format!("hook failed on generation {from}; {to} is live"),
            Self::HeldBack { generation, .. } => format!("held at generation {generation} by an operator"),
            Self::Drifted(_) => "putting files back".to_owned(),
            Self::Due(cause) => format!("due: {}", cause.brief()),
            Self::Queued(_) => "due; waiting for a running request to end".to_owned(),
            Self::ApiDown { .. } => "due; the API cannot be used".to_owned(),
            Self::RateLimited { .. } => "due; TLM limits the request rate".to_owned(),
            Self::ReadingProfile { .. } => "due; reading its profile first".to_owned(),
            Self::ProfileUnknown { .. } => "its profile was never read".to_owned(),
            Self::ProfileUnread { failure, .. } | Self::Unfit { failure, .. } | Self::DiskTrouble { failure, .. } => {
                failure.class.brief().to_owned()
            }
            Self::BackOff { failure, failures, .. } => match failures {
                0 | 1 => format!("failed: {}", failure.class.brief()),
                _ => format!("failed {failures} times: {}", failure.class.brief()),
            },
            Self::TooEarly { opens: Some(opens), .. } => format!("TLM allows renewal from {opens}"),
            Self::TooEarly { opens: None, .. } => "TLM refuses the renewal as too early".to_owned(),
            Self::BudgetSpent { limit, .. } => format!("all {limit} submissions of 24 hours are used"),
            Self::ClockWrong { offset: Some(offset) } => format!(
                "due; this host's clock is {} {}",
                Span(Duration::from_secs(offset.unsigned_abs())),
                if *offset > 0 { "behind" } else { "ahead" }
            ),
            Self::ClockWrong { offset: None } => "due; this host's clock is wrong".to_owned(),
            Self::JournalTooNew => "a newer renewd wrote the journal".to_owned(),
            Self::Pending { since, failure: None, dv_details: None, .. } => format!("pending at TLM since {since}"),
            Self::Pending { failure: Some(failure), .. } => format!("pending; last pickup: {}", failure.class.brief()),
            Self::Pending { dv_details: Some(_), .. } => "pending; TLM waits for domain validation".to_owned(),
            Self::AnswerLost { since, .. } => format!("no answer to the request of {since}"),
            Self::RefreshingChain(_) => "installing a newer chain".to_owned(),
            Self::Unrecorded(generation) => format!("recording generation {generation}, which is live"),
            Self::NotYetValid(from) => format!("issued; valid from {from}"),
            Self::InstalledEarly(from) => format!("installed, but valid only from {from}"),
            Self::Held { lack: Lack::Usage, .. } => "issued, but lacks a usage".to_owned(),
            Self::Held { lack: Lack::Signature, .. } => "issued; its signature cannot be judged".to_owned(),
            Self::Held { lack: Lack::Both, .. } => "issued, but lacks a usage; signature not judged".to_owned(),
            Self::Stopped { failure, .. } => format!("stopped: {}", failure.class.brief()),
            Self::Unreadable(_) => "cannot read the installed files".to_owned(),
            Self::RevokingSuperseded(_) => "revoking what it replaced".to_owned(),
            Self::SupersededInUse { by, .. } => format!("what it replaced is used by {by}"),
            Self::Probing | Self::RollingBack | Self::Installing => self.to_string(),
            Self::FallingBack { .. } => "due; asking its fallback".to_owned(),
            Self::Abandoning | Self::Forgetting | Self::CheckingStatus => self.to_string(),
        }
    }
}

impl Cause {
    fn brief(&self) -> String {
        match self {
            Self::Damaged(_) => "the installed files are unusable".to_owned(),
            Self::Differs(_) => "the entry asks for something else".to_owned(),
            Self::Expired(end) => format!("expired at {}", end.at),
            Self::Expiring(end) => format!("expires at {}", end.at),
            Self::Absent | Self::OtherProfile | Self::OfFallback | Self::Revoked | Self::Asked => self.to_string(),
        }
    }
}
