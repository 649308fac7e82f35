//! An order to the daemon: given, watched until it is done, and told as it ended. One way for `renew`, `rollback`, `deploy`.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::core::time::Timestamp;
use crate::daemon::control::{Reply, Request};
use crate::engine::status::Status;

use super::output::Volume;
use super::progress::{self, Goal, Narration, Outcome, Settled, Watched};
use super::{control, exit, output};

/// What the daemon is to do, and how it is followed.
pub(super) struct Order<'a> {
    pub(super) path: &'a Path,
    pub(super) request: Request,
    /// The certificates that it concerns.
    pub(super) asked: BTreeSet<String>,
    pub(super) goal: Goal,
    pub(super) following: Following,
}

/// How an order is followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Following {
    pub(super) json: bool,
    /// Not at all.
    pub(super) no_wait: bool,
    /// When it is to be done, by the daemon's clock.
    pub(super) by: Option<Timestamp>,
}

/// The control socket that the configuration names, and the status behind it, or why the daemon does not give it.
pub(super) fn daemon(config: &Path) -> Result<(PathBuf, io::Result<Status>), u8> {
    let path = control::path(&control::configuration(config)?);
    let status = progress::status(&path);
    Ok((path, status))
}

/// Gives the order. Only where everything is done the exit code is 0, or where TLM lets everybody wait.
pub(super) fn give(order: Order<'_>) -> ExitCode {
    let Order { path, request, asked, goal, following } = order;
    let Following { json, no_wait, by } = following;
    let is_silent = json || output::volume() == Volume::Quiet;
    let narration = Narration::begin(path, &asked, is_silent || no_wait);
    let is_rollback = matches!(request, Request::Rollback { .. });
    let answer = control::ask(path, &request).map_err(|error| format!("the daemon does not answer: {error}"));
    let done = match answer.and_then(|answer| Reply::done_in(&answer)) {
        Ok(done) => done,
        Err(why) => {
            output::complain(&why);
            return exit::UNWELL.into();
        }
    };
    if (no_wait || is_rollback) && !json {
        output::tell(&done);
    }
    if no_wait {
        return exit::OK.into();
    }
    let (settled, code) = match progress::watch(path, &asked, &goal, narration, (by, json)) {
        Watched::All(settled) => {
            let failed = settled.iter().any(|one| one.outcome == Outcome::Failed);
            (settled, if failed { exit::UNWELL } else { exit::OK })
        }
        Watched::Interrupted(settled) => {
            let left = asked.len() - settled.len();
            output::complain(&format!(
                "{left} of {} left to the daemon, which continues; see `renewd status`",
                asked.len()
            ));
            (settled, exit::INTERRUPTED)
        }
        Watched::Lost(settled, why) => {
            output::complain(&format!(
                "the daemon stopped answering ({why}); its journal has the pending work, which continues at its next start; see `renewd status`"
            ));
            (settled, exit::UNWELL)
        }
    };
    sum_up(&settled, json);
    code.into()
}

/// All together: as JSON, or how many of several ended in which way.
pub(super) fn sum_up(settled: &[Settled], json: bool) {
    if json {
        output::print_json(&serde_json::json!({"certificates": settled}));
        return;
    }
    let count = |outcome: Outcome| settled.iter().filter(|one| one.outcome == outcome).count();
    if settled.len() > 1 {
        let is_deploy = count(Outcome::Deployed) > 0;
        let (done, word) = if is_deploy { (Outcome::Deployed, "deployed") } else { (Outcome::Replaced, "replaced") };
        let [done, waiting, failed] = [done, Outcome::Waiting, Outcome::Failed].map(count);
        let waiting = if is_deploy { String::new() } else { format!("{waiting} waiting, ") };
        output::tell(&format!("{done} {word}, {waiting}{failed} failed"));
    }
}
