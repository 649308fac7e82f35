//! Hooks under another user: renewd runs itself once more between itself and the hook, which becomes that user with all of
//! its groups and then the hook's program. Only root becomes another.

use std::ffi::CString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::{Uid, User, geteuid, initgroups, setgid, setuid};

use super::children;
use super::program::{self, Flaw};
use crate::store::access;

/// The first argument of the program in between.
pub const ARGUMENT: &str = "--run-hook-as";

/// The arguments that run a command as `user`.
#[must_use]
pub fn argv(user: &str, command: &[String]) -> Vec<String> {
    [SELF, ARGUMENT, user].map(str::to_owned).into_iter().chain(command.iter().cloned()).collect()
}

/// Becomes the user that the first argument names and the program that the rest names; or judges that program as that
/// user sees it.
///
/// # Errors
///
/// Why it is still this process.
pub fn run(arguments: &[String]) -> Result<String, String> {
    let [user, argv @ ..] = arguments else { return Err("names no user".to_owned()) };
    become_user(user)?;
    match argv {
        [judge, program] if judge == JUDGE => {
            let flaw = program::flaw(Path::new(program)).map(|Flaw { what, remedy }| (what, remedy));
            serde_json::to_string(&flaw).map_err(|error| error.to_string())
        }
        [program, rest @ ..] => {
            let error = Command::new(program).args(rest).exec();
            Err(format!("{program} could not be started: {error}"))
        }
        [] => Err("names no program".to_owned()),
    }
}

/// What keeps this process from running a hook as `user`, and what to do.
#[must_use]
pub fn obstacle(user: &str) -> Option<Flaw> {
    let uid = match access::user(user, "user") {
        Ok(uid) => uid,
        Err(failure) => {
            let remedy = "or name a unit in place of `command` and `user`".to_owned();
            return Some(Flaw { what: failure.message.to_string(), remedy });
        }
    };
    if uid == geteuid().as_raw() || geteuid().is_root() {
        return None;
    }
    Some(Flaw {
        what: format!("user {} may not run it as {user}: only root becomes another user", geteuid()),
        remedy: format!(
            "in place of `command` and `user` name a unit, such as unit = \"renewd-hook@NAME.service\" with verb = \
             \"start\", and give that User={user} (systemctl edit renewd-hook@NAME)"
        ),
    })
}

/// What keeps `program` from being run by `user`, as that user sees it.
#[must_use]
pub fn flaw(user: &str, program: &Path) -> Option<Flaw> {
    if let Some(obstacle) = obstacle(user) {
        return Some(obstacle);
    }
    let mut judge = Command::new(SELF);
    judge.args([ARGUMENT, user, JUDGE]).arg(program).env_clear().stdin(Stdio::null());
    judge.stdout(Stdio::piped()).stderr(Stdio::piped());
    let untold = |why: String| Some(Flaw { what: why, remedy: "see that renewd may become that user".to_owned() });
    let judged = children::start(move || judge.spawn(), |child| Some(child.id())).and_then(|(child, own)| {
        let output = child.wait_with_output();
        drop(own);
        output
    });
    match judged {
        Ok(output) if output.status.success() => {
            match serde_json::from_slice::<Option<(String, String)>>(&output.stdout) {
                Ok(flaw) => flaw.map(|(what, remedy)| Flaw { what, remedy }),
                Err(error) => untold(format!("{} was not judged: {error}", program.display())),
            }
        }
        Ok(output) => untold(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => untold(format!("{} was not judged: {error}", program.display())),
    }
}

fn become_user(name: &str) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot become user {name}: {error}");
    let uid = access::user(name, "user").map_err(|failure| failure.message.to_string())?;
    if uid == geteuid().as_raw() {
        return Ok(());
    }
    let user = User::from_uid(Uid::from_raw(uid)).map_err(|error| failed(&error))?;
    let user = user.ok_or_else(|| failed(&"the system knows no groups of it"))?;
    let login = CString::new(user.name).map_err(|error| failed(&error))?;
    let became = initgroups(&login, user.gid).and_then(|()| setgid(user.gid)).and_then(|()| setuid(user.uid));
    became.map_err(|error| failed(&io::Error::from(error)))
}

/// This very program, also where its file was replaced meanwhile.
const SELF: &str = "/proc/self/exe";
/// In place of a program, to judge the one that follows.
const JUDGE: &str = "--judge";
