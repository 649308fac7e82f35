//! No daemon answers for a configuration: whether one should, and what to do.

use std::io::{self, ErrorKind};
use std::path::Path;

use crate::core::code::Code;
use crate::core::text::Text;
use crate::daemon::preflight;
use crate::daemon::service::{self, Service};
use crate::engine::status::Problem;
use crate::store::lock::{Held, Purpose};

/// Why the control socket gave no status of this configuration.
pub(super) enum Silence {
    /// Nobody listens there.
    Closed(Text),
    /// This user may not ask.
    Forbidden,
    /// Somebody listens there, and does not answer.
    Mute(Text),
    /// Who answers runs with another configuration.
    IsOther(String),
}

impl Silence {
    pub(super) fn of(error: &io::Error) -> Self {
        let said = Text::new(&error.to_string());
        #[expect(clippy::wildcard_enum_match_arm, reason = "anything else came after the connection")]
        match error.kind() {
            ErrorKind::PermissionDenied => Self::Forbidden,
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Self::Closed(said),
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Self::Mute(Text::new("no answer in time")),
            _ => Self::Mute(said),
        }
    }
}

/// The configuration of the daemon that answered, where it is another one than `own`. A file that is not on this host, as
/// that of a container's daemon, tells nothing.
pub(super) fn other_configuration(its: &str, own: &Path) -> Option<String> {
    let its_real = Path::new(its).is_absolute().then(|| std::fs::canonicalize(its).ok()).flatten()?;
    (std::fs::canonicalize(own).ok()? != its_real).then(|| its.to_owned())
}

/// No daemon answers.
pub(super) struct Absent {
    /// What is said above what the files say.
    pub(super) remark: String,
    /// Where one should answer.
    pub(super) problem: Option<Problem>,
}

impl Absent {
    /// For the configuration `file`, by what the lock on its state directory says.
    pub(super) fn of(file: &Path, socket: &Path, held: &Held, silence: Silence) -> Self {
        let (socket, unit) = (socket.display(), preflight::own_unit(file));
        let silent = |remark: String, message: String, fix: &str| {
            Self::new(&remark, Some(Problem::error(Code::DaemonSilent.as_str(), &message, fix)))
        };
        match (held, silence) {
            (_, Silence::IsOther(other)) => {
                let message = format!("the daemon at {socket} runs with {other}, and none with {}", file.display());
                let fix = "name the right file by --config, or give each configuration a `control_socket` of its own";
                Self::new("another daemon answers", Some(Problem::error(Code::DaemonDown.as_str(), &message, fix)))
            }
            (Held::By(who, Purpose::Daemon), Silence::Forbidden) => silent(
                format!("renewd is running ({who}), but this user may not ask it"),
                format!("this user may not use {socket}, and the files do not say whether the daemon renews anything"),
                "run this as root, or as a member of the service's group or of `control_group`",
            ),
            (Held::By(who, Purpose::Daemon), Silence::Closed(why)) => silent(
                format!("renewd is running ({who}), but cannot be asked"),
                format!("the daemon ({who}) does not listen at {socket}: {why}"),
                &format!("read its log: journalctl -u {unit}; then restart it: systemctl restart {unit}"),
            ),
            (Held::By(who, Purpose::Daemon), Silence::Mute(why)) => silent(
                format!("renewd is running ({who}), but does not answer"),
                format!("the daemon ({who}) does not answer at {socket}: {why}; it may be stuck and renew nothing"),
                &format!("restart it: systemctl restart {unit}; nothing under way is lost"),
            ),
            (Held::By(who, Purpose::Command), _) => match missed(service::of(file), None) {
                Missed::Yes(problem) => Self::down(problem),
                Missed::No | Missed::Changing => Self::new(&format!("another renewd command is running ({who})"), None),
            },
            (Held::LeftBehind(_) | Held::Not, _) => {
                let left = if let Held::LeftBehind(who) = held { Some(who) } else { None };
                match missed(service::of(file), left) {
                    Missed::Yes(problem) => Self::down(problem),
                    Missed::Changing => Self::new("renewd is starting or stopping", None),
                    Missed::No => Self::new("renewd is not running", None),
                }
            }
        }
    }

    fn down(problem: Problem) -> Self {
        Self::new("renewd is NOT running, and should be: nothing is renewed", Some(problem))
    }

    fn new(what: &str, problem: Option<Problem>) -> Self {
        Self { remark: format!("{what}; showing state from disk:"), problem }
    }
}

/// Whether a daemon is missed.
enum Missed {
    No,
    Changing,
    Yes(Problem),
}

/// By systemd, and by a daemon that ended without being stopped.
fn missed(service: Service, left: Option<&Text>) -> Missed {
    let (how, fix) = match (service, left) {
        (Service::Down(how, fix), _) => (how, fix),
        (Service::Changing, _) => return Missed::Changing,
        (Service::NotWanted, None) => return Missed::No,
        (Service::NotWanted, Some(who)) => (
            format!("the daemon ended without being stopped ({who})"),
            "start it again; where no daemon is meant to run: `renewd heal`".to_owned(),
        ),
    };
    Missed::Yes(Problem::error(Code::DaemonDown.as_str(), &how, &fix))
}
