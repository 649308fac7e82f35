//! `renewd plan --if`: what would follow if TLM revoked certificates now. Two rehearsals with the engine itself: one in which
//! renewd finds out by its own checks, and one in which an operator says `renewd renew` at once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::core::name::CertName;
use crate::core::text::Text;
use crate::core::time::{Span, Timestamp};
use crate::engine::rehearsal::{self, Act, Outlook, Plot};

use super::forecast::{counted, second, told, whole};
use super::offline::{self, Look};
use super::plan::{Form, Options};
use super::{output, select};

/// What is supposed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Supposed {
    /// TLM revoked what the selectors mean; all, where there is none. A CA may be named at once.
    Revoked(Option<String>),
}

/// Reads `revoked`, or `revoked:` with the CA that issued what is revoked.
pub(super) fn supposed(text: &str) -> Result<Supposed, String> {
    match text.split_once(':') {
        None if text == "revoked" => Ok(Supposed::Revoked(None)),
        Some(("revoked", issuer)) => select::issuer(issuer).map(|issuer| Supposed::Revoked(Some(issuer))),
        _ => Err("write `revoked`, with selectors beside it, or `revoked:ISSUER`".to_owned()),
    }
}

/// Rehearses, prints, and changes nothing.
pub(super) fn run(config: &Path, look: Look, supposed: &Supposed, options: &Options) -> Result<(), String> {
    let Supposed::Revoked(issuer) = supposed;
    let status = look.in_full();
    let selectors = issuer.iter().fold(options.selectors.clone(), |all, issuer| all.with_issuer(issuer));
    let chosen = match selectors.is_empty() {
        true => status.certificates.iter().filter_map(|one| one.name.parse().ok()).collect(),
        false => selectors.chosen(&status)?,
    };
    let installed = |name: &CertName| {
        status.certificates.iter().any(|one| one.name == name.as_str() && one.serial_number.is_some())
    };
    let names: BTreeSet<CertName> = chosen.into_iter().filter(installed).collect();
    if names.is_empty() {
        return Err("none of these certificates is installed, so that none can be revoked".to_owned());
    }
    let main = look.main().clone();
    let cast = |look: Look| look.cast();
    let alone = rehearsal::rehearse(cast(look), &Plot::Revoked(names.clone()));
    let again = offline::look_ahead(main.clone(), options.at)?;
    let asked = rehearsal::rehearse(cast(again), &Plot::Renew { names, reissue: true });
    let by = alone.began + options.within;
    if matches!(options.form, Form::Json) {
        output::print_json(&Supposition {
            at: alone.began.to_string(),
            supposed: "revoked",
            by: by.to_string(),
            by_itself: Course::of(&alone, by),
            with_renew: Course::of(&asked, by),
        });
        return Ok(());
    }
    let interval = main.api.status_check_interval;
    let checks = interval.map_or_else(
        || "renewd does not check for revocation (`status_check_interval`)".to_owned(),
        |interval| format!("renewd checks for revocation every {}", Span(interval)),
    );
    output::print(&format!(
        "if TLM revoked {} now:\n\nby itself: {checks}; {}\nwith `renewd renew --reissue{}` at once: {}\n",
        counted(alone.acts.len()),
        told(&alone, &main),
        config_option(config),
        told(&asked, &main),
    ));
    output::print(&table(&alone, &asked, by));
    let late = |outlook: &Outlook| outlook.late(by).count();
    output::print(&format!(
        "\nnot replaced within {}: {} by itself, {} with `renewd renew`",
        Span(options.within),
        late(&alone),
        late(&asked)
    ));
    Ok(())
}

fn config_option(config: &Path) -> String {
    if config == Path::new(super::CONFIG) { String::new() } else { format!(" --config {}", config.display()) }
}

/// The certificates in the order in which renewd replaces them by itself.
fn table(alone: &Outlook, asked: &Outlook, by: Timestamp) -> String {
    let with_renew: BTreeMap<&CertName, &Act> = asked.acts.iter().map(|act| (&act.name, act)).collect();
    let now = alone.began;
    let live = |act: &Act| match (act.live_at, &act.waits) {
        (Some(at), _) => format!("in {}{}", Span(whole(at.since(now))), if at > by { " LATE" } else { "" }),
        (None, waits) => format!("LATE: {}", waits.as_ref().map_or("", Text::as_str)),
    };
    let row = |act: &Act| {
        let with_renew = with_renew.get(&act.name).map_or_else(|| "-".to_owned(), |act| live(act));
        let ends = act.ends_at.map_or_else(|| "-".to_owned(), |at| output::coarse(at, now));
        let at = act.live_at.map_or_else(|| "-".to_owned(), |at| second(at).to_string());
        vec![act.name.to_string(), at, live(act), with_renew, ends]
    };
    let shown = alone.acts.iter().take(MOST_ROWS).map(row);
    let rest = alone.acts.len().saturating_sub(MOST_ROWS);
    let table = output::table(&["CERTIFICATE", "LIVE AT", "BY ITSELF", "WITH RENEW", "EXPIRES"], shown);
    let more = if rest > 0 { format!("\nand {rest} more; --json has them all") } else { String::new() };
    format!("{table}{more}")
}

#[derive(Serialize)]
struct Supposition {
    at: String,
    #[serde(rename = "if")]
    supposed: &'static str,
    /// What is replaced later is late.
    by: String,
    by_itself: Course,
    with_renew: Course,
}

#[derive(Serialize)]
struct Course {
    /// When the last is replaced.
    ends_at: Option<String>,
    requests: u32,
    late: usize,
    /// In the order in which they are replaced.
    certificates: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    name: String,
    requested_at: Option<String>,
    live_at: Option<String>,
    not_after: Option<String>,
    late: bool,
    /// What it waits for, where it is not replaced.
    waits: Option<Text>,
}

impl Course {
    fn of(outlook: &Outlook, by: Timestamp) -> Self {
        let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
        let step = |act: &Act| Step {
            name: act.name.to_string(),
            requested_at: text(act.asked_at),
            live_at: text(act.live_at),
            not_after: text(act.ends_at),
            late: act.live_at.is_none_or(|at| at > by),
            waits: act.waits.clone(),
        };
        Self {
            ends_at: text(outlook.ended()),
            requests: outlook.requests,
            late: outlook.late(by).count(),
            certificates: outlook.acts.iter().map(step).collect(),
        }
    }
}

/// A screen or two.
const MOST_ROWS: usize = 100;
