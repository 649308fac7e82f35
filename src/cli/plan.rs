//! `renewd plan`: what would be done, when and why.

use std::path::Path;
use std::process::ExitCode;

use crate::core::time::Timestamp;
use crate::daemon::status::{Plan, RefusedFile};

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
    let look = match user::may_read(config).and_then(|()| main()).and_then(|main| offline::look_ahead(main, at)) {
        Ok(look) => look,
        Err(why) => {
            output::complain(&why);
            return exit::CONFIG.into();
        }
    };
    let plan = look.plan();
    match form {
        Form::Text => output::print(&with_refused(text(&plan, look.now), &plan.refused)),
        Form::Json => output::print_json(&plan),
        Form::Calendar => {
            let style = Style { width: output::width(), colours: output::has_colours() };
            output::print(&with_refused(calendar::chart(&plan, look.now, style), &plan.refused));
        }
    }
    exit::OK.into()
}

/// A line for each refused file below what is planned.
fn with_refused(planned: String, refused: &[RefusedFile]) -> String {
    let lines: Vec<String> = refused.iter().map(line).collect();
    if lines.is_empty() { planned } else { format!("{planned}\n\n{}", lines.join("\n")) }
}

fn line(file: &RefusedFile) -> String {
    let shown = file.certificates.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    let more = match file.certificates.len().saturating_sub(MOST_NAMES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let planned = match file.certificates.as_slice() {
        [] => "its certificates are not planned".to_owned(),
        _ => format!("planned by its last good content: {shown}{more}"),
    };
    format!("refused: {}; {planned}", file.error)
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
