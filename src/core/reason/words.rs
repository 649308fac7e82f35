//! Reasons in words, as status and log show them.

use std::fmt;
use std::time::Duration;

use super::Reason;
use crate::core::event::Lack;
use crate::core::time::Span;

impl fmt::Display for Reason {
    #[expect(clippy::too_many_lines, reason = "one arm for each reason")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDue { renew_at, window } => {
                write!(f, "not due until {renew_at} (renewal window {})", Span(*window))
            }
            Self::HookOwed { hook, failure: None, at } => write!(f, "installed; hook {hook} is owed, runs at {at}"),
            Self::HookOwed { hook, failure: Some(failure), at } => {
                write!(f, "installed, but hook {hook} failed: {failure}; runs again at {at}")
            }
            Self::Probing => f.write_str("installed; whether it is served is looked at now"),
            Self::NotServed { what, since, next, hooks_again } => {
                let then = if *hooks_again { "the hooks run again, and it is looked at" } else { "looked at" };
                write!(f, "installed, but not seen to be served since {since}: {what}; {then} again at {next}")
            }
            Self::ClosedWindow { opens: None, emergency_at } => {
                f.write_str("issued; the deploy window stays shut until its time zone can be read")?;
                emergency_at.map_or(Ok(()), |at| write!(f, ", or until {at}, shortly before the installed one ends"))
            }
            Self::ClosedWindow { opens: Some(opens), emergency_at } => {
                write!(f, "issued; installed when the deploy window opens at {opens}")?;
                let sooner = emergency_at.filter(|at| at < opens);
                sooner.map_or(Ok(()), |at| write!(f, ", or at {at}, shortly before the installed one ends"))
            }
            Self::RollingBack => f.write_str("a hook failed: the generation before is made live again"),
            Self::RolledBack { from, to, next } => {
                write!(
                    f,
                    "a hook failed on generation {from}: generation {to} is live, and {from} is tried again at {next}"
                )
            }
            Self::HeldBack { generation, until } => {
                write!(f, "generation {generation} is held by the operator's word until `renewd renew` is given")?;
                until.map_or(Ok(()), |until| write!(f, ", it is revoked, or it nears its end at {until}"))
            }
            Self::Drifted(what) => write!(f, "put back now: {what}"),
            Self::Due(cause) => write!(f, "due: {cause}"),
            Self::Queued(cause) => write!(f, "due: {cause}; starts as soon as one of the running requests ends"),
            Self::ApiDown { why, until } => write!(f, "due; the API cannot be used: {why}; tried again at {until}"),
            Self::RateLimited { until } => {
                write!(f, "due; TLM limits the rate of this API key (429); requests go on at {until}")
            }
            Self::ReadingProfile { profile, .. } => write!(f, "the profile has to be read first: {profile}"),
            Self::ProfileUnknown { profile, until } => {
                write!(f, "cannot tell: profile never read: {profile}; the next pass reads it")?;
                until.map_or(Ok(()), |until| write!(f, ", next attempt at {until}"))
            }
            Self::ProfileUnread { profile, failure, until } => {
                write!(f, "profile {profile} could not be read: {failure}; tried again at {until}")
            }
            Self::Unfit { failure, until } => {
                write!(f, "{failure}; nothing is sent until the entry or the profile changes (read again at {until})")
            }
            Self::BackOff { failure, failures, until } => match failures {
                0 | 1 => write!(f, "failed: {failure}; tried again at {until}"),
                _ => write!(f, "failed {failures} times in a row, last: {failure}; tried again at {until}"),
            },
            Self::TooEarly { until, opens: Some(opens) } => {
                write!(f, "TLM lets it be renewed from {opens}")?;
                if until < opens { write!(f, "; next attempt at {until}") } else { Ok(()) }
            }
            Self::TooEarly { until, opens: None } => {
                write!(f, "TLM refuses the renewal as too early; next attempt at {until}")
            }
            Self::BudgetSpent { limit, until } => {
                write!(f, "all {limit} submissions of a day are spent; the next at {until}, or by `renewd renew`")
            }
            Self::ClockWrong { offset: Some(offset) } => write!(
                f,
                "the host's clock is {} {}: nothing is submitted until it is set right",
                Span(Duration::from_secs(offset.unsigned_abs())),
                if *offset > 0 { "behind" } else { "ahead" }
            ),
            Self::ClockWrong { offset: None } => {
                f.write_str("the host's clock is evidently wrong: nothing is submitted until it is set right")
            }
            Self::JournalTooNew => f.write_str(
                "the journal was written by a newer renewd: nothing is submitted until that version runs again",
            ),
            Self::Pending { request_id, since, next, failure, dv_details } => {
                write!(f, "request {request_id} is pending at TLM since {since}")?;
                dv_details.as_ref().map_or(Ok(()), |details| write!(f, "; {details}"))?;
                if let Some(failure) = failure {
                    write!(f, "; the last pickup failed: {failure}")?;
                }
                write!(f, "; asked again at {next}")
            }
            Self::AnswerLost { since, next, failure } => {
                match failure {
                    Some(failure) => write!(f, "{failure}")?,
                    None => write!(f, "no answer to the request of {since} was recorded")?,
                }
                write!(f, "; TLM may have issued a certificate: next search, or submission, at {next}")
            }
            Self::Installing => f.write_str("issued; checked and installed now"),
            Self::RefreshingChain(ca) => {
                write!(f, "installing the chain with the newer certificate of {ca} that the profile shows")
            }
            Self::Unrecorded(generation) => {
                write!(
                    f,
                    "generation {generation} is live, and the journal has another; it goes on record, and its hooks run"
                )
            }
            Self::NotYetValid(until) => write!(f, "issued; installed when its validity starts at {until}"),
            Self::InstalledEarly(from) => {
                write!(f, "installed, but valid only from {from}: TLS clients refuse it until then")
            }
            Self::Held { why, lack, until } => {
                write!(f, "issued, but {why}; installed as soon as {}", acceptance(*lack))?;
                until.map_or(Ok(()), |until| {
                    write!(f, ", and in any case at {until}, shortly before the installed one expires")
                })
            }
            Self::Abandoning => f.write_str("the entry changed: the request under way is given up"),
            Self::Forgetting => f.write_str("the key of a request that was given up is removed"),
            Self::Stopped { failure, until } => {
                write!(f, "{failure}; stopped until the entry or the profile changes or `renewd renew` is given")?;
                until.map_or(Ok(()), |until| write!(f, ", asked for again at {until}"))
            }
            Self::DiskTrouble { failure, until } => write!(f, "{failure}; tried again at {until}"),
            Self::Unreadable(what) => {
                write!(f, "what is installed cannot be read: {what}; nothing is replaced until it can")
            }
            Self::CheckingStatus => f.write_str("its state at TLM is being checked"),
        }
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
