//! `[hook.NAME]`: what it says, checked. Runs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use toml::Spanned;

use crate::config::syntax::diagnostics::Diagnostics;
use crate::config::syntax::from_toml::{FromText, Named, bare, listed};
use crate::config::syntax::problem::{Fault, quoted};
use crate::config::syntax::table::{Table, table};
use crate::config::values::duration::within;
use crate::config::values::path::Account;
use crate::core::name::HookName;
use crate::core::wanted::hook::{Hook, HookRun};

table! {
    /// `[hook.NAME]` as it is written.
    HookTable, "a hook", where run_rules();
    /// A systemd unit, to which `verb` applies. polkit has to allow that to the service's user.
    unit: Unit => "\"nginx.service\"",
    /// What to do with the `unit`.
    verb: Verb => "\"reload\"",
    /// A program's absolute path and its arguments, in place of `unit` and `verb`. No shell is used.
    command: Vec<Spanned<Argument>> => "[\"/usr/local/bin/after-renewal\", \"--fast\"]",
    /// A program's absolute path and its arguments, run after the switch and before the `command` or the `verb`: where it
    /// fails, the hook has failed and does not run. It has the hook's user, environment and time-out.
    test: Vec<Spanned<Argument>> => "[\"/usr/sbin/nginx\", \"-t\"]",
    /// A program's absolute path and its arguments, run before a new set is switched in: where it fails, the switch waits,
    /// and renewd asks it again on the ladder of the hooks. Not in the emergency stage. It has the hook's user and time-out.
    before: Vec<Spanned<Argument>> => "[\"/usr/local/bin/drain\", \"www\"]",
    /// The user who runs the `command`, with all of its groups, so that it can read no key. Only a renewd that runs as root
    /// becomes another user; elsewhere name a unit with `User=`, such as renewd-hook@NAME.
    user: Account => "\"nginx\"",
    /// After this time the hook is killed with all that it started: from 1s to 1h.
    timeout: Duration = "\"60s\"",
    /// At most one run begins in this time: from 0s to 1d.
    min_interval: Duration = "\"10s\"",
}

/// Either a unit with its verb, or a command.
pub(super) fn run_rules() -> serde_json::Value {
    let unit =
        json!({"required": ["unit", "verb"], "not": {"anyOf": [{"required": ["command"]}, {"required": ["user"]}]}});
    let command = json!({
        "required": ["command"],
        "not": {"anyOf": [{"required": ["unit"]}, {"required": ["verb"]}]},
        "properties": {"command": {"minItems": 1}},
    });
    json!({"oneOf": [unit, command]})
}

/// The hooks of a file.
pub(super) fn hooks(
    named: Option<Spanned<Named<HookTable>>>,
    diagnostics: &mut Diagnostics<'_>,
) -> BTreeMap<HookName, Hook> {
    let named = named.map(|named| named.into_inner().0).unwrap_or_default();
    named
        .into_iter()
        .filter_map(|(name, table)| Some((name.clone(), hook("hook", name, table, diagnostics)?)))
        .collect()
}

/// The names of the hooks of a file, those with a problem as well.
pub(super) fn hook_names(hooks: Option<&Spanned<Named<HookTable>>>) -> BTreeSet<HookName> {
    hooks.into_iter().flat_map(|hooks| hooks.get_ref().0.keys().cloned()).collect()
}

/// What is run, under this name, of the kind that messages call `kind`.
pub(super) fn hook(
    kind: &str,
    name: HookName,
    table: Spanned<HookTable>,
    diagnostics: &mut Diagnostics<'_>,
) -> Option<Hook> {
    let span = table.span();
    let mut table = table.into_inner();
    let timeout = bounded(table.timeout.take(), TIMEOUT, SHORTEST_TIMEOUT, LONGEST_TIMEOUT, diagnostics);
    let min_interval = bounded(table.min_interval.take(), MIN_INTERVAL, Duration::ZERO, LONGEST_INTERVAL, diagnostics);
    let fault = |message: &str| Fault::new(format!("{kind} `{name}` {message}"));
    if let (true, Some(user)) = (table.has("unit"), &table.user) {
        let expected = "`User=` in the unit";
        diagnostics.refuse(user.span(), fault("has a unit and a user").expected(expected));
        return None;
    }
    let user = table.user.take().map(|user| user.into_inner().0);
    let mut beside = |arguments: Option<Spanned<Vec<Spanned<Argument>>>>| {
        arguments.map_or(Some(None), |arguments| command(arguments, diagnostics).map(Some))
    };
    let (test, before) = (beside(table.test.take()), beside(table.before.take()));
    let expected = "either `unit` and `verb`, or `command`";
    let run = match (table.has("unit"), table.has("verb"), table.has("command")) {
        (true, true, false) => HookRun::Unit { unit: table.unit?.into_inner().0, verb: table.verb?.into_inner().0 },
        (false, false, true) => HookRun::Command(command(table.command?, diagnostics)?),
        (false, false, false) => {
            diagnostics.refuse(span, fault("runs nothing").expected(expected));
            return None;
        }
        (_, _, true) => {
            diagnostics.refuse(span, fault("has a unit and a command").expected(expected));
            return None;
        }
        (true, false, false) => {
            diagnostics.refuse(span, fault("has a unit but no verb").expected("`verb`, such as verb = \"reload\""));
            return None;
        }
        (false, true, false) => {
            diagnostics
                .refuse(span, fault("has a verb but no unit").expected("`unit`, such as unit = \"nginx.service\""));
            return None;
        }
    };
    Some(Hook { name, run, user, timeout, min_interval, test: test?, before: before? })
}

fn command(arguments: Spanned<Vec<Spanned<Argument>>>, diagnostics: &mut Diagnostics<'_>) -> Option<Vec<String>> {
    let expected =
        "the program's absolute path and its arguments, such as [\"/usr/local/bin/after-renewal\", \"--fast\"]";
    let span = arguments.span();
    let arguments = arguments.into_inner();
    let Some(program) = arguments.first() else {
        diagnostics.refuse(span, Fault::new("the command is empty").expected(expected));
        return None;
    };
    if !program.get_ref().0.starts_with('/') {
        let fault = Fault::new(format!("{} is not an absolute path", quoted(&program.get_ref().0))).expected(expected);
        diagnostics.refuse(program.span(), fault.hint("no shell and no PATH is used"));
        return None;
    }
    Some(bare(arguments).into_iter().map(|argument| argument.0).collect())
}

/// The duration, `default` if none is written; one outside of the bounds is a problem.
pub(super) fn bounded(
    written: Option<Spanned<Duration>>,
    default: Duration,
    least: Duration,
    most: Duration,
    diagnostics: &mut Diagnostics<'_>,
) -> Duration {
    let Some(written) = written else { return default };
    if let Err(fault) = within(*written.get_ref(), least, most) {
        diagnostics.refuse(written.span(), fault);
    }
    written.into_inner()
}

/// An argument of a command: any text without NUL.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Argument(String);

impl FromText for Argument {
    fn expected() -> String {
        "an argument of the command".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        if text.contains('\0') { Err(Fault::new("an argument cannot hold NUL")) } else { Ok(Self(text.to_owned())) }
    }
}

/// The name of a unit with its suffix.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unit(String);

impl FromText for Unit {
    fn expected() -> String {
        "a systemd unit with its suffix, such as \"nginx.service\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let inner = |c: u8| c.is_ascii_alphanumeric() || b":_.\\@-".contains(&c);
        let has_suffix =
            text.rsplit_once('.').is_some_and(|(stem, suffix)| !stem.is_empty() && SUFFIXES.contains(&suffix));
        if text.len() > 255 || text.starts_with('-') || !text.bytes().all(inner) || !has_suffix {
            return Err(Fault::new(format!("{} is not the name of a unit", quoted(text))));
        }
        Ok(Self(text.to_owned()))
    }

    fn pattern() -> Option<String> {
        Some(format!(r"^[A-Za-z0-9:_.\\@][A-Za-z0-9:_.\\@-]*\.({})$", SUFFIXES.join("|")))
    }
}

/// A verb of systemd.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verb(String);

impl FromText for Verb {
    fn expected() -> String {
        listed(VERBS)
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        if VERBS.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
        Err(Fault::new(format!("{} is not a verb for a unit", quoted(text))).nearest(text, VERBS))
    }

    fn words() -> Vec<&'static str> {
        VERBS.to_vec()
    }
}

/// The verbs of systemctl(1) that act on one running unit.
const VERBS: [&str; 7] =
    ["reload", "restart", "reload-or-restart", "try-restart", "try-reload-or-restart", "start", "stop"];
/// The types of units that a verb can be given to.
const SUFFIXES: [&str; 9] = ["service", "socket", "target", "timer", "path", "mount", "automount", "swap", "slice"];
const TIMEOUT: Duration = Duration::from_secs(60);
const SHORTEST_TIMEOUT: Duration = Duration::from_secs(1);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);
const MIN_INTERVAL: Duration = Duration::from_secs(10);
const LONGEST_INTERVAL: Duration = Duration::from_secs(86_400);
