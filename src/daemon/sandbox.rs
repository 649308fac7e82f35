//! A second net under mistakes with paths, by Landlock: where the daemon's threads can write. It is no boundary against
//! code that runs in the process: whoever runs code in one thread runs it in all, and one of them is not restricted.
//!
//! Landlock restricts a thread and what that starts later, and a thread cannot be widened. So there are three kinds.
//!
//! * The *starter* begins first and stays as the process was. Whoever is started (a hook, `systemctl`) is started by it, and
//!   has every right that it would have without this, `no_new_privs` as it was among them.
//! * The loop and its pool write only below the state directory. They inherit that, since the runtime comes after.
//! * Work on paths of the configuration (an entry's targets, the text file, the control socket) has a thread of its own, which
//!   the starter makes and which may write, beside the state directory, only to the folders of that one piece of work.
//!
//! Nothing is ever widened, so that a reload has no case that fails: a new target, socket or text file comes with its folder.
//! And a rule is about the folder that is there when the work begins: one that was made anew or mounted over since the start
//! is the one that counts. A folder that is exchanged between the judging and the writing is another one, which the kernel
//! refuses.
//!
//! Only changes are restricted: writing, making, removing, renaming; never reading, and nothing but files. But who is
//! restricted may not look into a process that is not ([`apart`] is for that).

use std::io;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};
use std::thread;

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, RulesetCreatedAttr as _,
    RulesetError, RulesetStatus, make_bitflags, path_beneath_rules,
};
use tokio::runtime::Handle;

/// Lets this thread and those that it starts from now on write only below `state_dir`. What the kernel lacks for that is
/// said at debug level, and then nothing is restricted.
pub fn enter(state_dir: &Path) {
    let entered = start().map_err(|error| error.to_string()).and_then(|starter| {
        restrict([state_dir]).map_err(|error| error.to_string())?;
        Ok(Net { starter, state_dir: state_dir.to_owned() })
    });
    match entered {
        // The second in a process would only be narrower.
        Ok(net) => drop(NET.set(net)),
        Err(why) => tracing::debug!("the kernel does not restrict where renewd writes: {why}"),
    }
}

/// Does `work` on a thread that may write to `folders` and below the state directory.
pub fn within<R: Send + 'static>(folders: Vec<PathBuf>, work: impl FnOnce() -> R + Send + 'static) -> R {
    match NET.get() {
        Some(net) if !folders.is_empty() => net.hand(Place::Within(folders), work),
        Some(_) | None => work(),
    }
}

/// Does `work` on a thread that is not restricted: the kernel shows nothing of a hook's environment to one that is.
pub fn apart<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    match NET.get() {
        Some(net) => net.hand(Place::Apart, work),
        None => work(),
    }
}

/// Starts a process, which inherits from the thread that starts it.
pub(super) fn start_process<R: Send + 'static>(start: impl FnOnce() -> R + Send + 'static) -> R {
    match NET.get() {
        Some(net) => net.hand(Place::Starter, start),
        None => start(),
    }
}

struct Net {
    starter: Sender<Job>,
    state_dir: PathBuf,
}

type Job = Box<dyn FnOnce() + Send>;

/// Where work is done.
enum Place {
    /// A thread that lives as long as the process, so that its children always have the same one for their parent.
    Starter,
    Apart,
    Within(Vec<PathBuf>),
}

impl Net {
    /// Has the work done there, and waits for it. Where the system gives no thread, the starter does it, without this net.
    fn hand<R: Send + 'static>(&self, place: Place, work: impl FnOnce() -> R + Send + 'static) -> R {
        let (sender, done) = channel();
        let left = Arc::new(Mutex::new(Some(work)));
        let (own, runtime) = (Arc::clone(&left), Handle::try_current().ok());
        let work = move || {
            let _within = runtime.as_ref().map(Handle::enter);
            if let Some(work) = take(&own) {
                // Whoever wants it waits for it.
                sender.send(work()).unwrap_or_default();
            }
        };
        let job: Job = match place {
            Place::Starter => Box::new(work),
            Place::Apart => Box::new(move || spawn(work.clone()).unwrap_or_else(|_| work())),
            Place::Within(mut folders) => {
                folders.push(self.state_dir.clone());
                let restricted = work.clone();
                let restricted = move || {
                    if let Err(error) = restrict(folders) {
                        SAID.call_once(|| tracing::debug!("a thread was not restricted: {error}"));
                    }
                    restricted();
                };
                Box::new(move || spawn(restricted).unwrap_or_else(|_| work()))
            }
        };
        // Without a starter the work is left.
        drop(self.starter.send(job));
        match (done.recv(), take(&left)) {
            (Ok(done), _) => done,
            (Err(_), Some(work)) => work(),
            (Err(_), None) => resume_unwind(Box::new("what was handed to another thread panicked")),
        }
    }
}

fn take<W>(left: &Mutex<Option<W>>) -> Option<W> {
    left.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Starts the starter.
fn start() -> io::Result<Sender<Job>> {
    let (starter, jobs) = channel::<Job>();
    thread::Builder::new().name("starter".to_owned()).spawn(move || jobs.iter().for_each(|job| job()))?;
    Ok(starter)
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name("apart".to_owned()).spawn(work).map(drop)
}

/// Restricts this thread for ever. A folder that is not there has no rule: whoever writes there hears that it is missing.
fn restrict<P: AsRef<Path>>(folders: impl IntoIterator<Item = P>) -> Result<(), RulesetError> {
    let status = Ruleset::default()
        // The first version of Landlock refuses every renaming into another folder.
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_write(KNOWN))?
        .create()?
        .add_rules(path_beneath_rules(folders, WRITTEN))?
        // A program is started with /dev/null, and what is printed goes to a terminal.
        .add_rules(path_beneath_rules(["/dev"], AccessFs::WriteFile))?
        .restrict_self()?;
    if status.ruleset != RulesetStatus::FullyEnforced {
        SAID.call_once(|| tracing::debug!("the kernel's Landlock does not know everything that renewd restricts"));
    }
    Ok(())
}

/// With truncation (Linux 6.2); what came later is not about changing files.
const KNOWN: ABI = ABI::V3;
/// What renewd does in a folder: it makes neither devices nor pipes.
const WRITTEN: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    WriteFile | Truncate | MakeReg | MakeDir | MakeSym | MakeSock | RemoveFile | RemoveDir | Refer
});
static NET: OnceLock<Net> = OnceLock::new();
static SAID: Once = Once::new();

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "what a mistake would call, and why none can be tried"
)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// Whether the kernel restricts; a thread of its own asks, since it never comes back from that.
    fn is_there() -> bool {
        let there = thread::spawn(|| restrict(["/nowhere"])).join().unwrap();
        if let Err(why) = &there {
            println!("skipped: {why}");
        }
        there.is_ok()
    }

    /// As the process of a daemon has it, which no test can be for all others.
    fn net(state_dir: &Path) -> Net {
        Net { starter: start().unwrap(), state_dir: state_dir.to_owned() }
    }

    /// The state directory, a target's folder, and another one.
    fn folders() -> (tempfile::TempDir, [PathBuf; 3]) {
        let folder = tempfile::tempdir().unwrap();
        let made = ["state", "target", "other"].map(|name| folder.path().join(name));
        made.iter().for_each(|made| fs::create_dir(made).unwrap());
        (folder, made)
    }

    fn no_new_privs() -> bool {
        rustix::thread::no_new_privs().unwrap()
    }

    #[test]
    fn work_writes_to_its_own_folders_and_to_no_other() {
        if !is_there() {
            return;
        }
        let (_folder, [state, target, other]) = folders();
        fs::write(other.join("theirs"), "theirs").unwrap();
        let net = net(&state);
        let write = |folders: Vec<PathBuf>, to: PathBuf| {
            net.hand(Place::Within(folders), move || fs::write(to, "x").map_err(|error| error.kind()))
        };
        let refused = Err(io::ErrorKind::PermissionDenied);
        assert_eq!(write(vec![target.clone()], target.join("a")), Ok(()));
        assert_eq!(write(vec![target.clone()], state.join("a")), Ok(()));
        assert_eq!(write(vec![target.clone()], PathBuf::from("/dev/null")), Ok(()));
        assert_eq!(write(vec![target.clone()], other.join("a")), refused);
        assert_eq!(write(vec![target.clone()], other.join("theirs")), refused);
        // Nothing is kept of the work before: a folder that a reload brings is there at once, and one that goes is gone.
        assert_eq!(write(vec![other.clone()], other.join("a")), Ok(()));
        assert_eq!(write(vec![other.clone()], target.join("b")), refused);
        // Renaming within and between its own, reading anywhere, and removing nowhere else.
        let (within, theirs) = (target.clone(), other.join("theirs"));
        net.hand(Place::Within(vec![target.clone()]), move || {
            fs::rename(within.join("a"), within.join("b")).unwrap();
            fs::rename(within.join("b"), state.join("b")).unwrap();
            fs::create_dir(within.join("folder")).unwrap();
            fs::rename(within.join("folder"), within.join("moved")).unwrap();
            assert_eq!(fs::read(&theirs).unwrap(), b"theirs");
            let refused = [
                fs::remove_file(&theirs),
                fs::rename(&theirs, within.join("theirs")),
                fs::File::options().write(true).open(&theirs).map(drop),
                fs::create_dir(theirs.with_file_name("folder")),
                symlink("x", theirs.with_file_name("link")),
            ];
            assert!(refused.iter().all(Result::is_err), "{refused:?}");
        });
        assert_eq!(fs::read(other.join("theirs")).unwrap(), b"theirs");
    }

    #[test]
    fn a_folder_that_is_exchanged_while_the_work_runs_is_not_written_to() {
        if !is_there() {
            return;
        }
        let (folder, [state, target, other]) = folders();
        let net = net(&state);
        let exchange = {
            let (target, other, aside) = (target.clone(), other.clone(), folder.path().join("aside"));
            move || {
                fs::rename(&target, aside).unwrap();
                symlink(other, target).unwrap();
            }
        };
        let written = {
            let (net, target) = (&net, target.clone());
            let (begun, has_begun) = channel();
            let (exchanged, is_exchanged) = channel::<()>();
            thread::scope(|scope| {
                scope.spawn(move || {
                    has_begun.recv().unwrap();
                    exchange();
                    exchanged.send(()).unwrap();
                });
                net.hand(Place::Within(vec![target.clone()]), move || {
                    begun.send(()).unwrap();
                    is_exchanged.recv().unwrap();
                    fs::write(target.join("key"), "secret").map_err(|error| error.kind())
                })
            })
        };
        assert_eq!(written, Err(io::ErrorKind::PermissionDenied));
        assert!(!other.join("key").exists());
        // It was made anew before the next work begins.
        fs::remove_file(&target).unwrap();
        fs::create_dir(&target).unwrap();
        net.hand(Place::Within(vec![target.clone()]), move || fs::write(target.join("key"), "secret").unwrap());
    }

    #[test]
    fn the_starter_and_what_it_starts_stay_as_they_were() {
        if !is_there() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (state, other) = (folder.path().join("state"), folder.path().join("other"));
        fs::create_dir(&state).unwrap();
        let net = net(&state);
        let before = no_new_privs();
        thread::spawn(move || {
            restrict([&state]).unwrap();
            let own = (fs::create_dir(&other).map_err(|error| error.kind()), no_new_privs());
            assert_eq!(own, (Err(io::ErrorKind::PermissionDenied), true));
            let made = other.clone();
            let start = move || std::process::Command::new("mkdir").arg(&made).status().unwrap().success();
            assert!(net.hand(Place::Starter, start), "{}", other.display());
            assert_eq!(net.hand(Place::Starter, no_new_privs), before);
            let written = other.join("file");
            net.hand(Place::Apart, move || fs::write(written, "x").unwrap());
        })
        .join()
        .unwrap();
    }

    #[test]
    fn what_cannot_be_handed_over_is_done_here() {
        let (starter, jobs) = channel();
        drop(jobs);
        let net = Net { starter, state_dir: PathBuf::from("/nowhere") };
        let here = thread::current().id();
        for place in [Place::Starter, Place::Apart, Place::Within(vec![PathBuf::from("/")])] {
            assert_eq!(net.hand(place, || thread::current().id()), here);
        }
    }
}
