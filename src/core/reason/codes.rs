//! The code of a reason, and the failure behind it.

use super::Reason;
use crate::core::code::Code;
use crate::core::failure::{Failure, FailureClass};

impl Reason {
    /// The code under which `renewd explain` tells more: that of the failure behind it, else its own.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::ProfileUnread { failure, .. }
            | Self::Unfit { failure, .. }
            | Self::BackOff { failure, .. }
            | Self::Stopped { failure, .. }
            | Self::DiskTrouble { failure, .. }
            | Self::Vetoed { failure, .. }
            | Self::HookOwed { failure: Some(failure), .. } => failure.class.code(),
            Self::TooEarly { .. } => FailureClass::RenewalTooEarly.code(),
            Self::NotDue { .. } => Code::NotDue.as_str(),
            Self::HookOwed { failure: None, .. } => Code::HookOwed.as_str(),
            Self::Probing => Code::Probing.as_str(),
            Self::NotServed { .. } => Code::NotServed.as_str(),
            Self::ClosedWindow { .. } => Code::ClosedWindow.as_str(),
            Self::RollingBack | Self::RolledBack { .. } => Code::RolledBack.as_str(),
            Self::Frozen { .. } => Code::Frozen.as_str(),
            Self::RequestWindowClosed { .. } => Code::RequestWindowClosed.as_str(),
            Self::HeldBack { .. } | Self::OnHold(_) => Code::CertificateHeld.as_str(),
            Self::Drifted(_) => Code::Drifted.as_str(),
            Self::Due(_) => Code::Due.as_str(),
            Self::Queued(_) => Code::Queued.as_str(),
            Self::ApiDown { .. } => Code::ApiDown.as_str(),
            Self::RateLimited { .. } => FailureClass::ApiRateLimited.code(),
            Self::ReadingProfile { .. } => Code::ReadingProfile.as_str(),
            Self::ProfileUnknown { .. } => Code::ProfileUnknown.as_str(),
            Self::BudgetSpent { .. } => Code::BudgetSpent.as_str(),
            Self::ClockWrong { .. } => Code::ClockWrong.as_str(),
            Self::JournalTooNew => Code::JournalTooNew.as_str(),
            Self::Pending { .. } => Code::Pending.as_str(),
            Self::AnswerLost { .. } => Code::AnswerLost.as_str(),
            Self::Installing => Code::Installing.as_str(),
            Self::RefreshingChain(_) => Code::ChainRefreshing.as_str(),
            Self::NotYetValid(_) | Self::InstalledEarly(_) => Code::NotYetValid.as_str(),
            Self::Held { .. } => Code::CertificateStaged.as_str(),
            Self::Abandoning => Code::RequestAbandoned.as_str(),
            Self::FallingBack { .. } => Code::FallbackAsked.as_str(),
            Self::Forgetting => Code::KeyForgotten.as_str(),
            Self::Unrecorded(_) => Code::Unrecorded.as_str(),
            Self::Unreadable(_) => Code::Unreadable.as_str(),
            Self::CheckingStatus => Code::CheckingStatus.as_str(),
            Self::RevokingSuperseded(_) | Self::SupersededInUse { .. } => Code::Superseded.as_str(),
        }
    }

    /// The failure behind it, if any.
    #[must_use]
    pub const fn failure(&self) -> Option<&Failure> {
        match self {
            Self::ProfileUnread { failure, .. }
            | Self::Unfit { failure, .. }
            | Self::BackOff { failure, .. }
            | Self::Stopped { failure, .. }
            | Self::DiskTrouble { failure, .. }
            | Self::Vetoed { failure, .. }
            | Self::HookOwed { failure: Some(failure), .. }
            | Self::Pending { failure: Some(failure), .. }
            | Self::AnswerLost { failure: Some(failure), .. } => Some(failure),
            Self::NotDue { .. }
            | Self::HookOwed { .. }
            | Self::Probing
            | Self::NotServed { .. }
            | Self::ClosedWindow { .. }
            | Self::Frozen { .. }
            | Self::RequestWindowClosed { .. }
            | Self::OnHold(_)
            | Self::RollingBack
            | Self::RolledBack { .. }
            | Self::HeldBack { .. }
            | Self::Drifted(_)
            | Self::Due(_)
            | Self::Queued(_)
            | Self::ApiDown { .. }
            | Self::RateLimited { .. }
            | Self::ReadingProfile { .. }
            | Self::ProfileUnknown { .. }
            | Self::TooEarly { .. }
            | Self::BudgetSpent { .. }
            | Self::ClockWrong { .. }
            | Self::JournalTooNew
            | Self::Pending { .. }
            | Self::AnswerLost { .. }
            | Self::Installing
            | Self::RefreshingChain(_)
            | Self::Unrecorded(_)
            | Self::NotYetValid(_)
            | Self::InstalledEarly(_)
            | Self::Held { .. }
            | Self::Abandoning
            | Self::FallingBack { .. }
            | Self::Forgetting
            | Self::Unreadable(_)
            | Self::RevokingSuperseded(_)
            | Self::SupersededInUse { .. }
            | Self::CheckingStatus => None,
        }
    }
}
