//! `[[freeze]]`: when nothing is switched in, checked.

use serde_json::json;
use toml::Spanned;
use toml::de::DeValue;

use crate::config::syntax::diagnostics::Diagnostics;
use crate::config::syntax::from_toml::{FromToml, unfit};
use crate::config::syntax::problem::{Fault, quoted};
use crate::config::syntax::table::{Table, table};
use crate::config::values::hours::ZoneName;
use crate::core::time::Timestamp;
use crate::core::wanted::window::{DeployWindow, Freeze};

table! {
    /// `[[freeze]]` as it is written.
    FreezeTable, "a freeze", where rules();
    /// From this instant on, with the offset from UTC.
    from: Instant => "\"2026-12-20T00:00:00+01:00\"",
    /// Until this instant.
    until: Instant => "\"2027-01-04T06:00:00+01:00\"",
    /// In these hours of each week, in place of `from` and `until`.
    hours: DeployWindow => "\"Fri 16:00-24:00\"",
    /// The time zone of `hours`. Without this key the host's.
    time_zone: ZoneName => "\"Europe/Zurich\"",
}

fn rules() -> serde_json::Value {
    let dates = json!({
        "required": ["from", "until"],
        "not": {"anyOf": [{"required": ["hours"]}, {"required": ["time_zone"]}]},
    });
    let hours = json!({"required": ["hours"], "not": {"anyOf": [{"required": ["from"]}, {"required": ["until"]}]}});
    json!({"oneOf": [dates, hours]})
}

/// The freezes of a file, in its order.
pub(super) fn freezes(
    written: Option<Spanned<Vec<Spanned<FreezeTable>>>>,
    diagnostics: &mut Diagnostics<'_>,
) -> Vec<Freeze> {
    let written = written.map(Spanned::into_inner).unwrap_or_default();
    written.into_iter().filter_map(|table| freeze(table, diagnostics)).collect()
}

fn freeze(written: Spanned<FreezeTable>, diagnostics: &mut Diagnostics<'_>) -> Option<Freeze> {
    let span = written.span();
    let table = written.into_inner();
    let mut refuse = |span, message: &str, expected: &str| {
        diagnostics.refuse(span, Fault::new(message).expected(expected));
        None
    };
    let is_dated = table.has("from") || table.has("until");
    match (is_dated, table.has("hours")) {
        (false, false) => return refuse(span, "the freeze says neither when nor how long", EITHER),
        (true, true) => return refuse(span, "the freeze has both dates and hours", EITHER),
        (true, false) | (false, true) => {}
    }
    if is_dated && let Some(zone) = &table.time_zone {
        return refuse(zone.span(), "a time zone without `hours`", "`hours` beside it; dates have their own offset");
    }
    if !is_dated {
        let (hours, zone) = (table.hours?, table.time_zone.map(|zone| zone.into_inner().0));
        if hours.get_ref().longest_closed().is_zero() {
            return refuse(hours.span(), "a freeze that never ends", "hours that leave time for a switch");
        }
        return Some(Freeze::Hours(DeployWindow { zone, ..hours.into_inner() }));
    }
    if !table.has("from") || !table.has("until") {
        return refuse(span, "the freeze has only one end", "`from` and `until`");
    }
    let (from, until) = (table.from?, table.until?);
    if until.get_ref().0 <= from.get_ref().0 {
        return refuse(until.span(), "the freeze ends before it begins", "an instant after `from`");
    }
    Some(Freeze::Dates { from: from.into_inner().0, until: until.into_inner().0 })
}

/// An instant, as a text or as TOML's own date with an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Instant(Timestamp);

impl FromToml for Instant {
    fn read(value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> Option<Self> {
        let text = match value.get_ref() {
            DeValue::String(text) => text.clone().into_owned(),
            DeValue::Datetime(date) => date.to_string(),
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Array(_) | DeValue::Table(_) => {
                diagnostics.refuse(value.span(), unfit(value, INSTANT));
                return None;
            }
        };
        let read = text.parse::<jiff::Timestamp>();
        if read.is_err() {
            let fault = Fault::new(format!("{} is not an instant", quoted(&text))).expected(INSTANT);
            diagnostics.refuse(value.span(), fault);
        }
        read.ok().map(|at| Self(Timestamp::from_millis(at.as_millisecond())))
    }

    fn schema() -> serde_json::Value {
        json!({"type": "string", "description": "A date and a time with an offset from UTC.", "pattern": PATTERN})
    }
}

const EITHER: &str = "either `from` and `until`, or `hours`";
const INSTANT: &str = "a date and a time with an offset, such as \"2026-12-20T00:00:00+01:00\"";
const PATTERN: &str = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?([Zz]|[+-]\d{2}(:?\d{2})?)$";
