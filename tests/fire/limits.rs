//! Promise 18, as a walk: each command with each descriptor full, closed or read by nobody, and with next to no files,
//! bytes of a file, or threads. Each ends by itself, with a code of its own, and says nothing of a panic; then all is well.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

use crate::host::Host;
use crate::process::BINARY;
use crate::tools;

/// Every command, with the codes that the README gives it for any reason; 74 comes on top where its result goes nowhere.
const CALLS: [(&[&str], &[i32]); 19] = [
    (&["run"], &[0, 70, 75, 78]),
    (&["once"], &[0, 1, 70, 75, 78]),
    (&["heal"], &[0, 1, 70, 78]),
    (&["check"], &[0, 1, 78]),
    (&["check", "--online"], &[0, 1, 78]),
    (&["check", "--json"], &[0, 1, 78]),
    (&["plan"], &[0, 78]),
    (&["plan", "--calendar"], &[0, 78]),
    (&["status"], &[0, 1, 3]),
    (&["status", "--json"], &[0, 1, 3]),
    (&["history", "www"], &[0, 3, 78]),
    (&["renew", "www"], &[0, 1, 70, 75, 78]),
    (&["rollback", "www"], &[0, 1, 70, 75, 78]),
    (&["profiles"], &[0, 1]),
    (&["adopt", "LIVE/fullchain.pem", "LIVE/privkey.pem", "--profile", "P"], &[0, 1]),
    (&["schema", "inventory"], &[0]),
    (&["explain"], &[0]),
    (&["--help"], &[0]),
    (&["no-such-command"], &[2]),
];

/// What is spoiled: its name, words before the program, and a descriptor with what it is.
struct Trouble {
    name: String,
    before: Vec<String>,
    descriptor: Option<(i32, fn() -> Stdio)>,
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe whose other end is gone.
fn broken() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

/// A pipe that takes no byte more, and whose reader reads nothing for as long as the tests run.
fn stuffed() -> Stdio {
    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setfl(writer.as_fd(), OFlags::NONBLOCK).unwrap();
    for size in [4096, 1] {
        while writer.write(&vec![b'-'; size]).is_ok() {}
    }
    fcntl_setfl(writer.as_fd(), OFlags::empty()).unwrap();
    std::mem::forget(reader);
    writer.into()
}

fn troubles() -> Vec<Trouble> {
    let limited = |limit: &str| Trouble {
        name: limit.to_owned(),
        before: vec!["prlimit".to_owned(), limit.to_owned()],
        descriptor: None,
    };
    let closed = |name: &str, words: &str| Trouble {
        name: name.to_owned(),
        before: vec!["/bin/sh".to_owned(), "-c".to_owned(), format!("exec \"$0\" \"$@\" {words}")],
        descriptor: None,
    };
    let spoiled = |name: &str, descriptor, with| Trouble {
        name: name.to_owned(),
        before: Vec::new(),
        descriptor: Some((descriptor, with)),
    };
    let mut all = vec![
        closed("no input", "<&-"),
        closed("no output", ">&-"),
        closed("no error output", "2>&-"),
        closed("none of the three", "<&- >&- 2>&-"),
        spoiled("output full", 1, full as fn() -> Stdio),
        spoiled("output broken", 1, broken),
        spoiled("error output full", 2, full),
        spoiled("error output broken", 2, broken),
        spoiled(UNREAD, 2, stuffed),
    ];
    all.extend(["--nofile=4", "--nofile=6", "--nofile=8", "--nofile=10", "--nofile=14", "--nofile=20"].map(limited));
    all.extend(["--fsize=0", "--fsize=100", "--fsize=4096"].map(limited));
    all
}

/// Waits for the end of a command; the daemon is told to stop when it has had its time.
fn ended(child: &mut Child, is_daemon: bool) -> ExitStatus {
    let begun = Instant::now();
    let mut told = false;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "it does not end");
        if is_daemon && !told && begun.elapsed() > ENOUGH {
            kill_process(Pid::from_raw(child.id().cast_signed()).unwrap(), Signal::TERM).unwrap();
            told = true;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Runs each command in each trouble, by these words before it.
fn walk(host: &Host, program: &Path, by: &[String], troubles: &[Trouble]) {
    let live = host.live("www").display().to_string();
    for Trouble { name, before, descriptor } in troubles {
        for (call, codes) in CALLS {
            // What a terminal's user reads waits for its reader, as everything does that is not a daemon's.
            if name == UNREAD && !["run", "once", "heal"].contains(&call[0]) {
                continue;
            }
            let mut words: Vec<String> = by.iter().chain(before).cloned().collect();
            words.extend([program.display().to_string(), "--config".to_owned()]);
            words.push(host.path("renewd.toml").display().to_string());
            words.extend(call.iter().map(|word| word.replace("LIVE", &live)));
            let said = File::create(host.path("said")).unwrap();
            let mut command = Command::new(&words[0]);
            command.args(&words[1..]).env_remove("RUST_LOG").stdin(Stdio::null());
            command.stdout(said.try_clone().unwrap()).stderr(said);
            match descriptor {
                Some((1, with)) => drop(command.stdout(with())),
                Some((_, with)) => drop(command.stderr(with())),
                None => {}
            }
            let status = ended(&mut command.spawn().unwrap(), call[0] == "run");
            let told = fs::read_to_string(host.path("said")).unwrap();
            let loses_result = matches!(name.as_str(), "output full") || name.starts_with("--fsize");
            let is_right = |code: i32| codes.contains(&code) || code == 74 && loses_result;
            assert!(status.code().is_some_and(is_right), "{name}: {call:?}: {status:?} {:?}\n{told}", status.signal());
            assert!(!told.contains("panicked"), "{name}: {call:?}\n{told}");
        }
        println!("{name}: {} commands", CALLS.len());
    }
}

/// Nothing is lost by what was tried: a pass puts on record what could not be recorded, and a renewal works.
fn is_well(host: &Host, program: &Path, by: &[String]) {
    let run = |call: &[&str]| {
        let mut words = by.to_vec();
        words.extend([program.display().to_string(), "--config".to_owned()]);
        words.push(host.path("renewd.toml").display().to_string());
        Command::new(&words[0]).args(&words[1..]).args(call).output().unwrap()
    };
    let pass = run(&["once"]);
    assert!(matches!(pass.status.code(), Some(0 | 1)), "{pass:?}");
    let renewed = run(&["renew", "www"]);
    assert!(renewed.status.success(), "{renewed:?}");
    host.live_serial("www");
}

#[test]
fn no_descriptor_and_no_limit_ends_a_command_by_an_abort() {
    if !tools::is_there("prlimit", Path::new("/usr/bin/prlimit").exists()) {
        return;
    }
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    walk(&host, Path::new(BINARY), &[], &troubles());
    is_well(&host, Path::new(BINARY), &[]);
}

/// As a user of its own, since root may have as many processes as it likes: no thread beside the first, then a few.
#[test]
fn no_thread_that_is_missing_ends_a_command_by_an_abort() {
    if !tools::is_root() || !tools::is_there("prlimit", Path::new("/usr/bin/prlimit").exists()) {
        return;
    }
    let host = Host::with_www();
    let program = host.path("renewd");
    fs::copy(BINARY, &program).unwrap();
    assert_eq!(host.says(&["once"]).code, 0);
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    tools::run("chown", &["-R", "64244:64244", host.path("").to_str().unwrap()].map(AsRef::as_ref));
    fs::set_permissions(host.path(""), Permissions::from_mode(0o755)).unwrap();
    let by = ["setpriv", "--reuid=64244", "--regid=64244", "--clear-groups"].map(str::to_owned);
    let troubles = [1, 2, 3, 4, 6].map(|most| Trouble {
        name: format!("--nproc={most}"),
        before: vec!["prlimit".to_owned(), format!("--nproc={most}")],
        descriptor: None,
    });
    walk(&host, &program, &by, &troubles);
    is_well(&host, &program, &by);
}

const UNREAD: &str = "error output read by nobody";
/// Long enough for the daemon to have started, where it can; how far it came makes no difference to what is asked of it.
const ENOUGH: Duration = Duration::from_millis(700);
