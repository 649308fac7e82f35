//! Reasons in words, as status and log show them.

use std::fmt;
use std::time::Duration;

use super::{OnHold, Reason};
use crate::core::event::Lack;
use crate::core::record::Hold;
use crate::core::time::{Span, Timestamp};

impl fmt::Display for Reason {
    #[expect(clippy::too_many_lines, reason = "one arm for each reason")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDue { renew_at, window } => {
                write!(f, "not due until {renew_at} (renewal window {})", Span(*window))
            }
            Self::HookOwed { hook, failure: None, at } => write!(f, "installed; hook {hook} scheduled for {at}"),
            Self::HookOwed { hook, failure: Some(failure), at } => {
                write!(f, "installed, but hook {hook} failed: {failure}; next attempt at {at}")
            }
            Self::Probing => f.write_str("installed; probing whether it is served"),
            Self::NotServed { what, since, next, hooks_again } => {
                let then = if *hooks_again { "hooks and probe run again" } else { "next probe" };
                write!(f, "installed, but not served since {since}: {what}; {then} at {next}")
            }
            Self::ClosedWindow { opens: None, emergency_at } => {
                f.write_str("issued; the deploy window stays closed until its time zone can be read")?;
                emergency_at.map_or(Ok(()), |at| write!(f, ", or until {at}, shortly before the installed one expires"))
            }
            Self::ClosedWindow { opens: Some(opens), emergency_at } => {
                write!(f, "issued; renewd installs it when the deploy window opens at {opens}")?;
                let sooner = emergency_at.filter(|at| at < opens);
                sooner.map_or(Ok(()), |at| write!(f, ", or at {at}, shortly before the installed one expires"))
            }
            Self::Frozen { until, emergency_at } => {
                write!(f, "issued; renewd installs it when the freeze ends at {until}")?;
                sooner(f, *until, *emergency_at)
            }
            Self::Vetoed { hook, failure, next, emergency_at } => write!(
                f,
                "issued, but hook {hook} postpones the switch: {failure}; next attempt at {next}; renewd installs it at \
                 {emergency_at} at the latest"
            ),
            Self::RequestWindowClosed { cause, opens: None, emergency_at } => write!(
                f,
                "due: {cause}; the request window stays closed until its time zone can be read, or until {emergency_at}, \
                 shortly before the installed one expires"
            ),
            Self::RequestWindowClosed { cause, opens: Some(opens), emergency_at } => {
                write!(f, "due: {cause}; renewd requests it when the request window opens at {opens}")?;
                sooner(f, *opens, *emergency_at)
            }
            Self::OnHold(held) => held.fmt(f),
            Self::RollingBack => f.write_str("a hook failed: switching back to the previous generation"),
            Self::RolledBack { from, to, next } => {
                write!(
                    f,
                    "a hook failed on generation {from}: generation {to} is live; next attempt with {from} at {next}"
                )
            }
            Self::HeldBack { generation, until } => {
                write!(
                    f,
                    "held at generation {generation} (rolled back by an operator); `renewd release` or `renewd renew` ends that"
                )?;
                until.map_or(Ok(()), |until| write!(f, ", as does revocation or approaching expiry ({until})"))
            }
            Self::Drifted(what) => write!(f, "putting files back: {what}"),
            Self::Due(cause) => write!(f, "due: {cause}"),
            Self::Queued(cause) => write!(f, "due: {cause}; waiting for one of the running requests to end"),
            Self::ApiDown { why, until } => write!(f, "due; the API cannot be used: {why}; next attempt at {until}"),
            Self::RateLimited { until } => {
                write!(f, "due; TLM limits the rate of this API key (429); requests resume at {until}")
            }
            Self::ReadingProfile { profile, .. } => write!(f, "reading its profile first: {profile}"),
            Self::ProfileUnknown { profile, until } => {
                write!(f, "cannot tell: profile never read: {profile}; the next pass reads it")?;
                until.map_or(Ok(()), |until| write!(f, ", next attempt at {until}"))
            }
            Self::ProfileUnread { profile, failure, until } => {
                write!(f, "profile {profile} could not be read: {failure}; next attempt at {until}")
            }
            Self::Unfit { failure, until } => {
                write!(
                    f,
                    "{failure}; renewd sends nothing until the entry or the profile changes (next read at {until})"
                )
            }
            Self::BackOff { failure, failures, until } => match failures {
                0 | 1 => write!(f, "failed: {failure}; next attempt at {until}"),
                _ => write!(f, "failed {failures} times in a row, last: {failure}; next attempt at {until}"),
            },
            Self::TooEarly { until, opens: Some(opens) } => {
                write!(f, "TLM allows renewal from {opens}")?;
                if until < opens { write!(f, "; next attempt at {until}") } else { Ok(()) }
            }
            Self::TooEarly { until, opens: None } => {
                write!(f, "TLM refuses the renewal as too early; next attempt at {until}")
            }
            Self::BudgetSpent { limit, until } => {
                write!(f, "all {limit} submissions of 24 hours are used; next attempt at {until}, or on `renewd renew`")
            }
            Self::ClockWrong { offset: Some(offset) } => write!(
                f,
                "this host's clock is {} {}: renewd submits nothing until it is corrected",
                Span(Duration::from_secs(offset.unsigned_abs())),
                if *offset > 0 { "behind" } else { "ahead" }
            ),
            Self::ClockWrong { offset: None } => {
                f.write_str("this host's clock is wrong: renewd submits nothing until it is corrected")
            }
            Self::JournalTooNew => {
                f.write_str("a newer renewd wrote the journal: this one submits nothing until that version runs again")
            }
            Self::Pending { request_id, since, next, failure, dv_details } => {
                write!(f, "request {request_id} has been pending at TLM since {since}")?;
                dv_details.as_ref().map_or(Ok(()), |details| write!(f, "; {details}"))?;
                if let Some(failure) = failure {
                    write!(f, "; the last pickup failed: {failure}")?;
                }
                write!(f, "; next poll at {next}")
            }
            Self::AnswerLost { since, next, failure } => {
                match failure {
                    Some(failure) => write!(f, "{failure}")?,
                    None => write!(f, "no answer to the request of {since} was recorded")?,
                }
                write!(f, "; TLM may have issued a certificate: next search, or submission, at {next}")
            }
            Self::Installing => f.write_str("issued; checking and installing it"),
            Self::RefreshingChain(ca) => {
                write!(f, "installing the chain with the newer certificate of {ca} that the profile shows")
            }
            Self::Unrecorded(generation) => {
                write!(
                    f,
                    "generation {generation} is live, but the journal has another; recording it and running its hooks"
                )
            }
            Self::NotYetValid(until) => write!(f, "issued; renewd installs it when its validity starts at {until}"),
            Self::InstalledEarly(from) => {
                write!(f, "installed, but valid only from {from}: TLS clients refuse it until then")
            }
            Self::Held { why, lack, until } => {
                write!(f, "issued, but {why}; renewd installs it as soon as {}", acceptance(*lack))?;
                until.map_or(Ok(()), |until| write!(f, ", or at {until}, shortly before the installed one expires"))
            }
            Self::FallingBack { profile, why } => {
                write!(f, "due; asking the fallback profile {profile}, since its own could not issue: {why}")
            }
            Self::Abandoning => f.write_str("what the pending request asks for is no longer wanted: giving it up"),
            Self::Forgetting => f.write_str("removing the key of an abandoned request"),
            Self::Stopped { failure, until } => {
                write!(f, "{failure}; stopped until the entry or the profile changes or you run `renewd renew`")?;
                until.map_or(Ok(()), |until| write!(f, "; next attempt at {until}"))
            }
            Self::DiskTrouble { failure, until } => write!(f, "{failure}; next attempt at {until}"),
            Self::Unreadable(what) => {
                write!(f, "cannot read the installed files: {what}; renewd replaces nothing until it can")
            }
            Self::CheckingStatus => f.write_str("checking its state at TLM"),
            Self::RevokingSuperseded(serial) => {
                write!(f, "in service; revoking the certificate that it replaced ({serial})")
            }
            Self::SupersededInUse { serial_number, by } => write!(
                f,
                "in service; renewd revokes the certificate that it replaced ({serial_number}) once {by} no longer presents it"
            ),
        }
    }
}

/// That a wait which lasts until `at` ends earlier by the emergency stage, where it does.
fn sooner(f: &mut fmt::Formatter<'_>, at: Timestamp, emergency_at: Timestamp) -> fmt::Result {
    if emergency_at >= at {
        return Ok(());
    }
    write!(f, ", or at {emergency_at}, shortly before the installed one expires")
}

impl OnHold {
    /// Since when, until when and why: what those have in common who are held by one order.
    #[must_use]
    pub fn told(&self) -> String {
        let Hold { since, until, why, .. } = &self.hold;
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        let why = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        format!("held by an operator since {since}{until}{why}")
    }
}

/// What the operator said comes last: it may be long, and what ends the hold has to be read.
impl fmt::Display for OnHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Hold { since, until, why, even_emergency } = &self.hold;
        write!(f, "held by an operator since {since}")?;
        match until {
            Some(until) => write!(f, "; the hold ends at {until} or by `renewd release`")?,
            None => f.write_str("; `renewd release` ends the hold")?,
        }
        let is_first = |at: &Timestamp| until.is_none_or(|until| *at < until);
        match self.gives_way.filter(is_first) {
            _ if self.in_emergency => {
                f.write_str(", nothing else, although the certificate is about to expire or revoked")?
            }
            _ if *even_emergency => f.write_str(", nothing else, not even its emergency stage")?,
            Some(at) => write!(f, ", as does revocation or approaching expiry ({at})")?,
            None => {}
        }
        if self.is_issued {
            f.write_str("; a new certificate is issued and waits for that")?;
        }
        why.as_ref().map_or(Ok(()), |why| write!(f, "; reason: {why}"))
    }
}

/// What lets renewd install what it holds.
const fn acceptance(lack: Lack) -> &'static str {
    match lack {
        Lack::Usage => "the entry accepts that (key `usages`)",
        Lack::Signature => {
            "the profile shows the issuing CA (or choose another signature algorithm in the profile, then `renewd renew`)"
        }
        Lack::Both => "the entry accepts the usages (key `usages`) and the profile shows the issuing CA",
    }
}
