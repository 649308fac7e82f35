//! `renewd hold` and `renewd release`: certificates that are left alone for a while. Through the daemon where it runs, by
//! itself where not.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::core::event::{self, Event};
use crate::core::name::CertName;
use crate::core::record::Record;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::daemon::answer::{told_held, told_released, unknown_names};
use crate::daemon::clock::{Clock, SystemClock};
use crate::daemon::control::{Reply, Request};
use crate::daemon::setup::StartError;
use crate::daemon::{last_good, setup};
use crate::engine::HoldOrder;
use crate::store::journal::{Folded, Journal};
use crate::store::layout::Layout;
use crate::store::lock::{Lock, Purpose};
use crate::store::real_disk::RealDisk;

use super::select::Selection;
use super::{control, exit, offline, order, output, start};

/// Why, as a status shows it.
pub(super) fn reason(text: &str) -> Result<Text, String> {
    let why = Text::new(text);
    if why.as_str().is_empty() {
        return Err("say why, or leave --reason out".to_owned());
    }
    if why.as_str().chars().count() > LONGEST_REASON { Err(TOO_LONG.to_owned()) } else { Ok(why) }
}

/// Puts certificates on hold.
pub(super) fn hold(config: &Path, selection: &Selection, order: &HoldOrder) -> ExitCode {
    if let Some(until) = order.until.filter(|until| *until <= SystemClock::default().now()) {
        output::complain(&format!("{until} is over; name a time that is ahead, or leave --until out"));
        return exit::UNWELL.into();
    }
    let request = |names| {
        let HoldOrder { until, why, even_emergency } = order.clone();
        Request::Hold { names, until, why, even_emergency }
    };
    give(config, selection, request, &order.event(), |_, all| told_held(all.len(), order))
}

/// Takes holds back.
pub(super) fn release(config: &Path, selection: &Selection) -> ExitCode {
    give(config, selection, |names| Request::Release { names }, &Event::HoldReleased, told_released)
}

fn give(
    config: &Path,
    selection: &Selection,
    request: impl FnOnce(Vec<CertName>) -> Request,
    event: &Event,
    told: impl FnOnce(&[CertName], &BTreeSet<CertName>) -> String,
) -> ExitCode {
    let (path, status) = match order::daemon(config) {
        Ok(found) => found,
        Err(code) => return code.into(),
    };
    let unwell = |why: String| {
        output::complain(&why);
        exit::UNWELL
    };
    let done = match status {
        Ok(status) => selection.resolve(|| Ok(Cow::Owned(status))).map_err(unwell).and_then(|names| {
            let answer = control::ask(&path, &request(names));
            let answer = answer.map_err(|error| format!("the daemon does not answer: {error}"));
            answer.and_then(|answer| Reply::done_in(&answer)).map_err(unwell)
        }),
        // Who may not ask is told so by what the files allow.
        Err(_) => by_itself(config, selection, event).map(|(names, concerned)| told(&names, &concerned)),
    };
    match done {
        Ok(done) => {
            output::tell(&done);
            exit::OK.into()
        }
        Err(code) => code.into(),
    }
}

/// Writes it into the journal, where the next start finds it; whom the selection named, and of which certificates.
fn by_itself(config: &Path, selection: &Selection, event: &Event) -> Result<(Vec<CertName>, BTreeSet<CertName>), u8> {
    let main = start::configuration(config)?.main;
    let layout = Layout::new(&main.state_dir);
    setup::make_place(&RealDisk, &main, &layout).map_err(|error| start::told(&error))?;
    let _lock = Lock::take(&layout, Purpose::Command).map_err(|error| start::told(&error.into()))?;
    let inventory =
        setup::inventory(&main, &last_good::read(&RealDisk, &layout)).map_err(|error| start::told(&error))?;
    let status = || Ok(Cow::Owned(offline::look(main.clone(), None)?.in_full()));
    let names = selection.resolve(status).map_err(|why| {
        output::complain(&why);
        exit::UNWELL
    })?;
    let known: BTreeSet<CertName> = inventory.entries.iter().map(|entry| entry.name.clone()).collect();
    let unknown: Vec<CertName> = names.iter().filter(|name| !known.contains(name)).cloned().collect();
    if !unknown.is_empty() {
        output::complain(&unknown_names(&unknown));
        return Err(exit::UNWELL);
    }
    let mut concerned = if names.is_empty() { known } else { names.iter().cloned().collect() };
    let at = SystemClock::default().now();
    let unwell = |failure| start::told(&StartError::State(failure));
    let (mut journal, content) = Journal::open::<Folded>(Arc::new(RealDisk), &layout, at).map_err(unwell)?;
    if *event == Event::HoldReleased {
        let has_hold = |record: &Record| record.has_hold(at);
        concerned.retain(|name| content.entries.records.get(name).is_some_and(has_hold));
    }
    journal.append(&entries(&concerned, event, at)).map_err(unwell)?;
    Ok((names, concerned))
}

fn entries(names: &BTreeSet<CertName>, event: &Event, at: Timestamp) -> Vec<event::Entry> {
    names.iter().map(|name| event::Entry { at, name: name.clone(), event: event.clone() }).collect()
}

/// So much leaves the rest of a sentence its room.
const LONGEST_REASON: usize = 200;
const TOO_LONG: &str = "at most 200 characters";
