//! Whether what `renewd.toml` says is in force: what a reload could not take, and what was written since the last one.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use crate::api::Tlm;
use crate::config::{self, Change, Main, Problem as Fault};
use crate::core::code::Code;
use crate::core::text::Text;
use crate::engine::Input;
use crate::engine::status::Problem;

use super::preflight;
use super::run::Daemon;

/// What tells one content of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Stamp {
    /// The file as it is now, where it is there.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let of = |found: Metadata| Self {
            inode: found.ino(),
            size: found.size(),
            changed: (found.ctime(), found.ctime_nsec()),
        };
        std::fs::metadata(path).ok().map(of)
    }
}

impl<T: Tlm> Daemon<T> {
    /// Looks at what changes without a word to the daemon: the modes of the credentials' files, and `renewd.toml`.
    pub(super) fn look_around(&mut self) {
        self.look_due = self.context.clock.steady() + INTERVAL;
        self.look_at_exposure();
        let stamp = Stamp::of(&self.context.config);
        if stamp.is_some() && std::mem::replace(&mut self.main_stamp, stamp) != stamp {
            let outdated = match config::load_main(&self.context.config) {
                Ok(main) => self.outdated(&main),
                Err(faults) => Some(self.would_be_refused(&faults)),
            };
            self.handle(Input::ProblemChanged(CODE, outdated));
        }
    }

    /// What of `file` is not in force.
    pub(super) fn outdated(&self, file: &Main) -> Option<Problem> {
        let changes = self.engine.main().changes(file);
        let needs_restart = changes.iter().any(|change| RESTART.contains(&change.key));
        let told = |change: &Change| {
            let Change { key, in_force, in_file } = change;
            format!("`{key}`: {in_force} is in force, {in_file} is in the file")
        };
        let message = changes.iter().map(told).collect::<Vec<_>>().join("; ");
        let verb = if needs_restart { "restart" } else { "reload" };
        (!changes.is_empty()).then(|| self.not_in_force(&message, verb))
    }

    fn would_be_refused(&self, faults: &[Fault]) -> Problem {
        let first = faults.first().map(Fault::summary).unwrap_or_default();
        let problem = self.not_in_force(&format!("it was written since, and would be refused: {first}"), "reload");
        Problem { remedy: Text::new(&format!("correct it (`renewd check`), then {}", problem.remedy)), ..problem }
    }

    fn not_in_force(&self, what: &str, verb: &str) -> Problem {
        let file = self.context.config.display();
        Problem::warning(
            CODE,
            &format!("{file} is not in force as it stands: {what}"),
            &format!("run: systemctl {verb} {}", preflight::own_unit(&self.context.config)),
        )
    }
}

/// The keys that a reload cannot take: everything that is in force was read from there, or is kept there.
pub(super) const RESTART: [&str; 2] = ["inventory", "state_dir"];
pub(super) const CODE: &str = Code::ConfigOutdated.as_str();
/// How often it is looked at what changes unsaid.
const INTERVAL: Duration = Duration::from_secs(60);
