//! Events in words.

use renewd::core::event::Event;

/// An event as the log of a run shows it.
pub(crate) fn shown(event: &Event) -> String {
    match event {
        Event::Submitting { attempt, .. } => format!("intends request {attempt}"),
        Event::NotAccepted { failure, .. } | Event::RefusalUnclear { failure, .. } => {
            format!("not accepted: {failure}")
        }
        Event::AnswerLost { failure, .. } => format!("answer lost: {failure}"),
        Event::LookedUp { failure: None, .. } => "looked up: nothing".to_owned(),
        Event::LookedUp { .. } => "looked up: no answer".to_owned(),
        Event::Pending { request_id, .. } => format!("pending as {request_id}"),
        Event::Polled { .. } => "polled".to_owned(),
        Event::PickupUnknown { failure, .. } => format!("pickup: {failure}"),
        Event::Issued { serial_number, .. } => format!("issued as {serial_number}"),
        Event::Held { why, .. } => format!("held: {why}"),
        Event::Waits { until, .. } => format!("waits until {until}"),
        Event::GateRefused { why, .. } => {
            format!("refused by the gate: {}", why.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        }
        Event::Rejected { why, .. } => format!("rejected: {why}"),
        Event::Abandoned { attempt } => format!("request {attempt} given up"),
        Event::KeyForgotten { attempt } => format!("key of request {attempt} removed"),
        Event::Installed { generation, serial_number, .. } => format!("installed {serial_number} as {generation}"),
        Event::Repaired => "repaired".to_owned(),
        Event::ChainRefreshed { generation, .. } => format!("chain refreshed as {generation}"),
        Event::ChainKept { .. } => "the chain stays".to_owned(),
        Event::Adopted { generation, serial_number, .. } => format!("{serial_number} taken over as {generation}"),
        Event::HookDone { hook, generation, .. } => format!("hook {hook} ran for {generation}"),
        Event::HookBegun { hook, generation } => format!("hook {hook} starts for {generation}"),
        Event::HookFailed { hook, failure, .. } => format!("hook {hook} failed: {failure}"),
        Event::SwitchVetoed { hook, failure, overruled: false } => format!("not switched in for {hook}: {failure}"),
        Event::SwitchVetoed { hook, failure, .. } => format!("switched in in spite of {hook}: {failure}"),
        Event::Failed { failure } => format!("failed: {failure}"),
        Event::StatusChecked { revoked, .. } => format!("revoked at TLM: {revoked}"),
        Event::ServiceSeen { in_service: true, .. } => "it is in service".to_owned(),
        Event::ServiceSeen { .. } => "it is not served any more".to_owned(),
        Event::SupersededRevoked { serial_number, outcome } => format!("{serial_number} is revoked: {outcome:?}"),
        Event::RevocationFailed { serial_number, failure } => format!("{serial_number} is not revoked: {failure}"),
        Event::StatusUnread => "its state at TLM could not be read".to_owned(),
        Event::Probed { .. } => "what is served is looked at".to_owned(),
        Event::HoldBegun { .. } => "an operator puts it on hold".to_owned(),
        Event::FellBack { why } => format!("asks the fallback: {why}"),
        Event::FallbackLeft => "asks its own profile again".to_owned(),
        Event::HoldReleased => "an operator releases the hold".to_owned(),
        Event::DeployAsked { .. } => "an operator wants hooks and probe".to_owned(),
        Event::HooksAgain { .. } => "the hooks are owed once more".to_owned(),
        Event::RolledBack { to, .. } => format!("generation {to} is live again"),
        Event::RollbackRefused { .. } => "there is no way back".to_owned(),
        Event::Forward { generation, .. } => format!("generation {generation} is tried again"),
        Event::RenewalAsked { .. } => "the operator asks for a replacement".to_owned(),
        Event::EntryChanged => "starts anew with another entry".to_owned(),
        Event::LeftInventory => "let go".to_owned(),
        Event::Unknown => "unknown".to_owned(),
    }
}
