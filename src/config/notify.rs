//! `[notify.NAME]`: what it says, checked by the rules of hooks. Tells nobody.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use toml::Spanned;

use super::hook::{Argument, HookTable, Unit, Verb, bounded, hook, run_rules};
use crate::config::syntax::diagnostics::Diagnostics;
use crate::config::syntax::from_toml::{FromText, Named, listed, one_of};
use crate::config::syntax::problem::Fault;
use crate::config::syntax::table::{Table, table};
use crate::config::values::path::Account;
use crate::core::name::HookName;
use crate::core::wanted::notify::{Notify, Occasion};

table! {
    /// `[notify.NAME]` as it is written.
    NotifyTable, "a notification", where rules();
    /// A program's absolute path and its arguments, which reads a JSON document on its standard input. No shell is used.
    /// Until it exits with 0 it runs again.
    command: Vec<Spanned<Argument>> => "[\"/usr/local/bin/tell-ops\"]",
    /// A systemd unit, in place of `command`. It is only started, and reads nothing.
    unit: Unit => "\"tell-ops.service\"",
    /// What to do with the `unit`.
    verb: Verb => "\"start\"",
    /// The user who runs the `command`, as for a hook.
    user: Account => "\"mail\"",
    /// After this time the command is killed with all that it started: from 1s to 1h.
    timeout: Duration = "\"60s\"",
    /// What to report: the default is all but \"renewed\".
    on: Vec<Spanned<Occasion>> = "[\"failing\", \"rejected\", \"not-served\", \"expiring\", \"held\", \"file-refused\", \"credential-expiring\", \"mended\"]",
    /// How long changes are gathered, so that one call reports them: from 0s to 1h.
    gather: Duration = "\"1min\"",
}

fn rules() -> serde_json::Value {
    let mut rules = run_rules();
    if let Some(rules) = rules.as_object_mut() {
        rules.insert("allOf".to_owned(), json!([{"properties": {"on": {"minItems": 1}}}]));
    }
    rules
}

/// The notifications of a file.
pub(super) fn notifies(
    named: Option<Spanned<Named<NotifyTable>>>,
    diagnostics: &mut Diagnostics<'_>,
) -> BTreeMap<HookName, Notify> {
    let named = named.map(|named| named.into_inner().0).unwrap_or_default();
    named.into_iter().filter_map(|(name, table)| Some((name.clone(), notify(name, table, diagnostics)?))).collect()
}

fn notify(name: HookName, table: Spanned<NotifyTable>, diagnostics: &mut Diagnostics<'_>) -> Option<Notify> {
    let span = table.span();
    let mut table = table.into_inner();
    let gather = bounded(table.gather.take(), GATHER, Duration::ZERO, LONGEST_GATHER, diagnostics);
    let on = match table.on.take() {
        Some(on) if on.get_ref().is_empty() => {
            let fault = Fault::new(format!("notification `{name}` is for nothing"));
            diagnostics.refuse(on.span(), fault.expected(format!("one or more of {}", Occasion::expected())));
            return None;
        }
        Some(on) => on.into_inner().into_iter().map(Spanned::into_inner).collect(),
        None => Occasion::ALL.iter().copied().filter(|occasion| *occasion != Occasion::Renewed).collect(),
    };
    let mut run = HookTable::default();
    table.given().iter().for_each(|key| run.misspelt(key));
    (run.unit, run.verb, run.command) = (table.unit, table.verb, table.command);
    (run.user, run.timeout) = (table.user, table.timeout);
    let run = hook("notification", name, Spanned::new(span, run), diagnostics)?;
    Some(Notify { run, on, gather })
}

impl FromText for Occasion {
    fn expected() -> String {
        listed(Self::ALL.iter().map(|occasion| occasion.as_str()))
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let words: Vec<(&'static str, Self)> = Self::ALL.iter().map(|one| (one.as_str(), *one)).collect();
        one_of(text, &words)
    }

    fn words() -> Vec<&'static str> {
        Self::ALL.iter().map(|occasion| occasion.as_str()).collect()
    }
}

const GATHER: Duration = Duration::from_secs(60);
const LONGEST_GATHER: Duration = Duration::from_secs(3600);
