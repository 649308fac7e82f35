//! `renewd plan`: what would be done, when and why.

use std::path::Path;
use std::process::ExitCode;

use crate::core::time::Timestamp;
use crate::daemon::status::Plan;

use super::calendar::{self, Style};
use super::{exit, offline, output, user};

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

/// Looks, decides, prints, and changes nothing.
pub(super) fn run(config: &Path, form: Form, at: Option<Timestamp>) -> ExitCode {
    let main = || crate::config::load_main(config).map_err(|problems| crate::daemon::setup::shown(&problems));
    let look = match user::may_read(config).and_then(|()| main()).and_then(|main| offline::look(main, at)) {
        Ok(look) => look,
        Err(why) => {
            output::complain(&why);
            return exit::CONFIG.into();
        }
    };
    let plan = look.plan();
    match form {
        Form::Text => output::print(&text(&plan, look.now)),
        Form::Json => output::print_json(&plan),
        Form::Calendar => {
            let style = Style { width: output::width(), colours: output::has_colours() };
            output::print(&calendar::chart(&plan, look.now, style));
        }
    }
    exit::OK.into()
}

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
