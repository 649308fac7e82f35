//! A journal event in words. All its strings pass through `Text`, because a journal may hold untrusted text.

use serde::Serialize;

use crate::core::event::{Entry, Event, Method, RollbackBy, Withdrawal};
use crate::core::failure::Failure;
use crate::core::known::issuer::ChainEnd;
use crate::core::known::served::AddressProbe;
use crate::core::known::standing::Standing;
use crate::core::name::{Attempt, Digest, Generation, HookName, SerialNumber};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::{Asked, Sans};

/// The JSON form of an event; absent fields are omitted.
#[derive(Default, Serialize)]
pub(super) struct EventView {
    pub(super) at: String,
    /// Its kind, as the journal calls it.
    pub(super) event: String,
    pub(super) message: String,
    /// Which of renewd's own requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<Attempt>,
    /// TLM's id of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<Generation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial_number: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<Text>,
    /// The first end in the chain, where that comes before the leaf's.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain_not_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hook: Option<HookName>,
    /// The class of a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
}

impl EventView {
    pub(super) fn new(entry: &Entry) -> Self {
        let kind = serde_json::to_value(&entry.event).ok();
        let kind = kind.as_ref().and_then(|event| event.get("event")?.as_str()).unwrap_or("unknown");
        Self { at: entry.at.to_string(), event: kind.to_owned(), ..told(&entry.event) }
    }

    fn attempt(self, attempt: Attempt) -> Self {
        Self { attempt: Some(attempt), ..self }
    }

    fn generation(self, generation: Generation) -> Self {
        Self { generation: Some(generation), ..self }
    }

    fn serial_number(self, serial_number: &SerialNumber) -> Self {
        Self { serial_number: Some(serial_number.to_string()), ..self }
    }

    fn hook(self, hook: &HookName) -> Self {
        Self { hook: Some(hook.clone()), ..self }
    }
}

fn say(message: impl Into<String>) -> EventView {
    EventView { message: message.into(), ..EventView::default() }
}

fn told(event: &Event) -> EventView {
    match event {
        Event::Submitting { attempt, method, asked, profile, key, .. } => {
            let (how, names) = (how(method), names(asked));
            say(format!("requests {how} of profile {profile}, with a key of {key}, for {names}")).attempt(*attempt)
        }
        Event::NotAccepted { attempt, failure } | Event::RefusalUnclear { attempt, failure } => {
            failed("TLM accepted nothing: ", failure).attempt(*attempt)
        }
        Event::AnswerLost { attempt, failure } => {
            failed("renewd does not know whether TLM issued a certificate: ", failure).attempt(*attempt)
        }
        Event::LookedUp { attempt, failure } => looked_up(failure.as_ref()).attempt(*attempt),
        Event::Pending { attempt, request_id, dv_details } => {
            let waits = dv_details.as_ref().map_or_else(String::new, |details| format!(", {details}"));
            let message = format!("TLM will issue later: request {request_id}{waits}");
            EventView { request_id: Some(request_id.to_string()), ..say(message) }.attempt(*attempt)
        }
        Event::Polled { attempt, .. } => say("TLM has not issued yet").attempt(*attempt),
        Event::PickupUnknown { attempt, failure } => failed("TLM does not know it: ", failure).attempt(*attempt),
        Event::Issued { attempt, serial_number } => {
            say(format!("TLM issued {serial_number}")).attempt(*attempt).serial_number(serial_number)
        }
        Event::Held { attempt, why, .. } => say(format!("kept, but not installed: {why}")).attempt(*attempt),
        Event::Waits { attempt, until } => say(format!("it is valid from {until} on")).attempt(*attempt),
        Event::GateRefused { attempt, why, .. } => {
            say(format!("the certificate from TLM is refused: {}", joined(why, "; "))).attempt(*attempt)
        }
        Event::Rejected { attempt, why } => say(format!("an administrator rejected it: {why}")).attempt(*attempt),
        Event::Abandoned { attempt } => say("given up because it is no longer wanted").attempt(*attempt),
        Event::KeyForgotten { attempt } => say("request key removed (no longer needed)").attempt(*attempt),
        Event::Installed { .. } | Event::Adopted { .. } | Event::ChainRefreshed { .. } | Event::ChainKept { .. } => {
            set(event)
        }
        Event::Repaired => say("files that had been changed or lost were put back"),
        Event::HookDone { hook, generation, output } => {
            let printed = output.as_ref().map_or_else(String::new, |output| format!("; it printed: {output}"));
            say(format!("hook {hook} ran for generation {generation}{printed}")).hook(hook).generation(*generation)
        }
        Event::HookBegun { hook, generation } => {
            say(format!("hook {hook} started for generation {generation}")).hook(hook).generation(*generation)
        }
        Event::HookFailed { hook, generation, failure, .. } => {
            failed(&format!("for generation {generation}: "), failure).hook(hook).generation(*generation)
        }
        Event::SwitchVetoed { hook, failure, overruled } => {
            let what = if *overruled { "switched in anyway, for want of time: " } else { "not switched in: " };
            failed(what, failure).hook(hook)
        }
        Event::HooksAgain { .. }
        | Event::RolledBack { .. }
        | Event::RollbackRefused { .. }
        | Event::Forward { .. }
        | Event::DeployAsked { .. } => deployed(event),
        Event::Failed { failure } => failed("", failure),
        Event::StatusChecked { serial_number, revoked, standing } => {
            let state = state(*revoked, standing.as_deref());
            say(format!("TLM reports {serial_number} as {state}")).serial_number(serial_number)
        }
        Event::ServiceSeen { .. } | Event::SupersededRevoked { .. } | Event::RevocationFailed { .. } => {
            superseded(event)
        }
        Event::StatusUnread => say("could not ask TLM whether it is revoked"),
        Event::Probed { fingerprint, sights } => say(what_is_served(*fingerprint, sights)),
        Event::HoldBegun { until, why, even_emergency } => say(what_is_held(*until, why.as_ref(), *even_emergency)),
        Event::FellBack { .. } | Event::FallbackLeft | Event::HoldReleased => say(what_goes_on(event)),
        Event::RenewalAsked { reissue } => say(what_was_asked(*reissue)),
        Event::EntryChanged => say("its entry changed: what the old one waited for is over"),
        Event::LeftInventory => say("its entry left the inventory; its files stay"),
        Event::Unknown => say("a newer renewd wrote what happened"),
    }
}

const fn what_was_asked(reissue: bool) -> &'static str {
    if reissue { "an operator requested a new certificate in its place" } else { "an operator requested a replacement" }
}

/// Which of two profiles is asked from now on, or that a hold is over.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others have words of their own")]
fn what_goes_on(event: &Event) -> String {
    match event {
        Event::FellBack { why } => format!("asking the fallback profile: its own could not issue: {why}"),
        Event::FallbackLeft => "asking its own profile again, no longer the fallback".to_owned(),
        _ => "an operator released the hold".to_owned(),
    }
}

fn what_is_held(until: Option<Timestamp>, why: Option<&Text>, even_emergency: bool) -> String {
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    let stage = if even_emergency { ", even in its emergency stage" } else { "" };
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    format!("an operator put it on hold{until}{stage}{why}")
}

/// What happened to a set that had been installed before.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are of other kinds")]
fn deployed(event: &Event) -> EventView {
    match event {
        Event::HooksAgain { generation } => {
            say(format!("generation {generation} is not served: its hooks run again")).generation(*generation)
        }
        Event::RolledBack { from, to, by, hooks } => {
            let why = why_back(*by);
            say(format!("generation {to} is live again in place of {from}, {why}{}", owed(hooks))).generation(*to)
        }
        Event::RollbackRefused { from, failure } => {
            failed(&format!("generation {from} stays live: "), failure).generation(*from)
        }
        Event::Forward { generation, hooks, stays } => {
            let why = if *stays { ", and stays: the previous one is about to expire" } else { "" };
            say(format!("generation {generation} is live again{why}{}", owed(hooks))).generation(*generation)
        }
        Event::DeployAsked { generation, hooks } => {
            let message =
                format!("an operator requested that generation {generation} be deployed again{}", owed(hooks));
            say(message).generation(*generation)
        }
        _ => EventView::default(),
    }
}

/// What becomes of a certificate that was replaced.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others are of other kinds")]
fn superseded(event: &Event) -> EventView {
    match event {
        Event::ServiceSeen { fingerprint, in_service } => {
            let message = if *in_service {
                "it is in service: the wait until what it replaced is revoked begins"
            } else {
                "it is no longer served everywhere: what it replaced is not revoked"
            };
            EventView { fingerprint: Some(*fingerprint), ..say(message) }
        }
        Event::SupersededRevoked { serial_number, outcome } => {
            let message = match outcome {
                Withdrawal::Revoked => format!("TLM revoked {serial_number}, which it replaced"),
                Withdrawal::Already => format!("{serial_number}, which it replaced, had been revoked before"),
                Withdrawal::Unknown => {
                    format!("TLM does not know {serial_number}, which it replaced: nothing to revoke")
                }
            };
            say(message).serial_number(serial_number)
        }
        Event::RevocationFailed { serial_number, failure } => {
            failed(&format!("could not revoke {serial_number}, which it replaced: "), failure)
                .serial_number(serial_number)
        }
        _ => EventView::default(),
    }
}

/// How a certificate stands at TLM; older versions wrote only whether it is revoked.
fn state(revoked: bool, standing: Option<&Standing>) -> String {
    let known = || if revoked { "revoked" } else { "not revoked" }.to_owned();
    standing.map_or_else(known, ToString::to_string)
}

fn looked_up(failure: Option<&Failure>) -> EventView {
    failure.map_or_else(
        || say("TLM has issued nothing for its key"),
        |failure| failed("TLM did not say whether it has issued anything for its key: ", failure),
    )
}

fn what_is_served(installed: Digest, sights: &[AddressProbe]) -> String {
    let sight = |AddressProbe { address, leaf }: &AddressProbe| match leaf {
        Ok(leaf) if leaf.fingerprint == installed => format!("{address} serves it"),
        Ok(leaf) => format!("{address} serves {}", leaf.what),
        Err(why) => format!("{address}: {why}"),
    };
    joined(&sights.iter().map(sight).collect::<Vec<_>>(), "; ")
}

/// What became live, and what stays so.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others speak of no set")]
fn set(event: &Event) -> EventView {
    match event {
        Event::Installed {
            attempt,
            generation,
            serial_number,
            fingerprint,
            not_after,
            hooks,
            issuer,
            chain_end,
            ..
        } => {
            let set = (serial_number, *fingerprint, *not_after);
            live("", *generation, set, issuer.as_ref(), chain_end.as_deref(), hooks).attempt(*attempt)
        }
        Event::Adopted { generation, serial_number, fingerprint, not_after, hooks, issuer, chain_end, .. } => {
            let set = (serial_number, *fingerprint, *not_after);
            live(", adopted as found", *generation, set, issuer.as_ref(), chain_end.as_deref(), hooks)
        }
        Event::ChainRefreshed { generation, ends_at, hooks } => {
            let what = "is live with the same certificate and a newer chain, valid until";
            say(format!("generation {generation} {what} {ends_at}{}", owed(hooks))).generation(*generation)
        }
        _ => say("the profile shows no better chain"),
    }
}

fn failed(what: &str, failure: &Failure) -> EventView {
    EventView { code: Some(failure.class.code()), ..say(format!("{what}{failure}")) }
}

/// A set that is live now.
fn live(
    whose: &str,
    generation: Generation,
    (serial_number, fingerprint, not_after): (&SerialNumber, Digest, Timestamp),
    issuer: Option<&Text>,
    chain_end: Option<&ChainEnd>,
    hooks: &[HookName],
) -> EventView {
    let by = issuer.map_or_else(String::new, |issuer| format!(", issued by {issuer}"));
    let limit = chain_end.map_or_else(String::new, |ca| {
        format!("; the CA certificate {} in its chain expires first, {}", ca.subject, ca.at)
    });
    let set = format!("{serial_number}, expires {not_after}{by}{limit}");
    EventView {
        fingerprint: Some(fingerprint),
        not_after: Some(not_after.to_string()),
        issuer: issuer.cloned(),
        chain_not_after: chain_end.map(|ca| ca.at.to_string()),
        ..say(format!("generation {generation} is live{whose}: {set}{}", owed(hooks)))
    }
    .generation(generation)
    .serial_number(serial_number)
}

const fn why_back(by: RollbackBy) -> &'static str {
    match by {
        RollbackBy::Hook => "because a hook failed on it",
        RollbackBy::Operator => "by `renewd rollback`",
    }
}

fn owed(hooks: &[HookName]) -> String {
    if hooks.is_empty() { String::new() } else { format!("; hooks: {}", joined(hooks, ", ")) }
}

fn how(method: &Method) -> String {
    match method {
        Method::New => "a new certificate".to_owned(),
        Method::Renew { serial_number, .. } => format!("the renewal of {serial_number}"),
    }
}

fn names(asked: &Asked) -> Text {
    let all = asked.names.missing_in(&Sans::default());
    let common = asked.common_name.iter().filter(|name| !all.contains(name)).cloned();
    Text::new(&joined(&common.chain(all.iter().cloned()).collect::<Vec<_>>(), ", "))
}

fn joined<T: ToString>(items: &[T], between: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}
