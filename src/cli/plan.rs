//! `renewd plan`: what would be done, when and why.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::core::name::CertName;
use crate::core::time::Timestamp;
use crate::engine::status::{Plan, Problem, RefusedFile};

use super::calendar::{self, Style};
use super::offline::{self, Look};
use super::select::Selectors;
use super::supposition::{self, Supposed};
use super::{exit, output, user};

/// How a plan is printed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// A line for each certificate.
    Text,
    /// For programs.
    Json,
    /// Bars by day or week.
    Calendar,
}

/// What is planned.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) form: Form,
    /// For this instant; `None`: for now.
    pub(super) at: Option<Timestamp>,
    /// Only for these.
    pub(super) selectors: Selectors,
    /// What would follow from it.
    pub(super) supposed: Option<Supposed>,
    /// How soon everything has to be replaced then.
    pub(super) within: Duration,
}

/// Looks, decides, prints, and changes nothing.
pub(super) fn run(config: &Path, options: &Options) -> ExitCode {
    let main = || crate::config::load_main(config).map_err(|problems| crate::daemon::setup::shown(&problems));
    let look = || {
        let main = user::may_read(config).and_then(|()| main())?;
        offline::look_ahead(main, options.at)
    };
    let look = match look() {
        Ok(look) => look,
        Err(why) => {
            output::complain(&why);
            return exit::CONFIG.into();
        }
    };
    let printed = match &options.supposed {
        Some(supposed) => supposition::run(config, look, supposed, options),
        None => planned(&look, options),
    };
    match printed {
        Ok(()) => exit::OK.into(),
        Err(why) => {
            output::complain(&why);
            exit::UNWELL.into()
        }
    }
}

fn planned(look: &Look, options: &Options) -> Result<(), String> {
    let mut plan = look.plan();
    if !options.selectors.is_empty() {
        let names: BTreeSet<CertName> = options.selectors.chosen(&look.in_full())?.into_iter().collect();
        plan.certificates.retain(|one| names.iter().any(|name| name.as_str() == one.name));
    }
    match options.form {
        Form::Text | Form::Calendar if plan.certificates.is_empty() => output::print(&with_rest(String::new(), &plan)),
        Form::Text => output::print(&with_rest(text(&plan, look.now), &plan)),
        Form::Json => output::print_json(&plan),
        Form::Calendar => {
            let style = Style { width: output::width(), colours: output::has_colours() };
            output::print(&with_rest(calendar::chart(&plan, look.now, style), &plan));
        }
    }
    Ok(())
}

/// Below what is planned: a line for each refused file, which certificates are managed no longer, and what else is to be known of the inventory.
fn with_rest(planned: String, plan: &Plan) -> String {
    let refused: Vec<String> = plan.refused.iter().map(line).collect();
    let gone = if plan.gone.is_empty() { String::new() } else { let_go(&plan.gone) };
    let problems =
        plan.problems.iter().map(|Problem { message, remedy, .. }| format!("warning: {message}\n  fix: {remedy}"));
    let parts = [planned, refused.join("\n"), gone].into_iter().chain(problems);
    parts.filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn let_go(gone: &[String]) -> String {
    format!("no longer managed: {}; no file of the inventory names it, and its files stay on disk", named(gone))
}

fn line(file: &RefusedFile) -> String {
    let planned = match file.certificates.as_slice() {
        [] => "its certificates are not planned".to_owned(),
        names => format!("planned by its last good content: {}", named(names)),
    };
    format!("refused: {}; {planned}", file.error)
}

/// The first of the names, and how many there are more.
fn named(names: &[String]) -> String {
    let shown = names.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

const MOST_NAMES: usize = 10;

fn text(plan: &Plan, now: Timestamp) -> String {
    let rows = plan.certificates.iter().map(|one| {
        vec![
            one.name.clone(),
            one.action.clone(),
            output::next(Some(&one.at), now),
            output::told(one.ends.as_ref().map(|ends| ends.at.as_str()).or(one.not_after.as_deref()), now),
            one.reason.to_string(),
        ]
    });
    let mut text = output::table(&["CERTIFICATE", "NEXT STEP", "WHEN", "EXPIRES", "REASON"], rows);
    let remarks = plan.certificates.iter().flat_map(|one| one.remarks.iter().map(move |remark| (&one.name, remark)));
    text.extend(output::remarks(remarks).map(|line| format!("\n{line}")));
    text
}
