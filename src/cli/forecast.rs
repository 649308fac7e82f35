//! How long it takes to replace certificates at this pace, told before it is done: by a rehearsal with the engine itself, on
//! what the files say.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::config::Main;
use crate::core::name::CertName;
use crate::core::text::Text;
use crate::core::time::{Span, Timestamp};
use crate::engine::rehearsal::{self, Act, Outlook, Plot};

use super::offline;

/// What a rehearsal says of `renewd renew` for these; of all, where none is named.
///
/// # Errors
///
/// When this user may not read what it begins with.
pub(super) fn of_renewal(main: Main, names: &[CertName], reissue: bool) -> Result<Outlook, String> {
    let cast = offline::look_ahead(main, None)?.cast();
    let all = || cast.seen.iter().map(|(entry, _)| entry.name.clone()).collect::<BTreeSet<_>>();
    let names = if names.is_empty() { all() } else { names.iter().cloned().collect() };
    Ok(rehearsal::rehearse(cast, &Plot::Renew { names, reissue }))
}

/// How long it takes, in a sentence.
pub(super) fn told(outlook: &Outlook, main: &Main) -> String {
    let Outlook { began, acts, requests } = outlook;
    let replaced = acts.iter().filter(|act| act.live_at.is_some()).count();
    let (per_minute, at_once) = (main.api.requests_per_minute, main.api.max_concurrent_requests);
    let pace = format!("{requests} requests, {per_minute} a minute, {at_once} at a time");
    match outlook.ended() {
        Some(end) => {
            let takes = Span(whole(end.since(*began)));
            format!("replacing {} takes about {takes}, until {} ({pace})", counted(replaced), second(end))
        }
        None => format!("nothing is replaced within {} ({pace})", Span(rehearsal::HORIZON)),
    }
}

/// Those that are not replaced in time, and why, a line each; of many, the first.
pub(super) fn late(outlook: &Outlook, by: Timestamp) -> Option<String> {
    let late: Vec<&Act> = outlook.late(by).collect();
    let mut lines: Vec<String> = late.iter().take(MOST_SHOWN).map(|act| format!("  {}", fate(act))).collect();
    let rest = late.len().saturating_sub(MOST_SHOWN);
    lines.extend((rest > 0).then(|| format!("  and {rest} more")));
    let told = || format!("{} of {} are not replaced by then:\n{}", late.len(), outlook.acts.len(), lines.join("\n"));
    (!late.is_empty()).then(told)
}

fn fate(act: &Act) -> String {
    let waits = || format!("nobody knows when: {}", act.waits.as_ref().map_or("", Text::as_str));
    let fate = act.live_at.map_or_else(waits, |at| format!("live at {}", second(at)));
    format!("{}: {fate}", act.name)
}

/// To the second: more is not known.
pub(super) fn second(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.seconds())
}

/// In whole seconds, begun ones as well.
pub(super) const fn whole(span: Duration) -> Duration {
    Duration::from_secs(if span.subsec_nanos() > 0 { span.as_secs() + 1 } else { span.as_secs() })
}

pub(super) fn counted(count: usize) -> String {
    format!("{count} certificate{}", if count == 1 { "" } else { "s" })
}

const MOST_SHOWN: usize = 10;
