//! What the operator reads: the history of a certificate and the calendar, with the daemon up and down.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::process::Command;

use rustix::process::Signal;

use crate::golden::check;
use crate::host::Host;
use crate::simulator::{Issuance, ProfileSpec};

const FAILING: &str = "hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", \"printf 'no such service\\\\033[31m'; exit 3\"]\n";

/// A certificate with a hook that fails, one that is pending and then given up, and one that nothing happened to.
fn host() -> Host {
    let named = |name: &str| ProfileSpec { name: name.to_owned(), ..ProfileSpec::default() };
    let host = Host::new(named("Web servers"));
    let slow = ProfileSpec { issuance: Issuance::Pending { approve_after: None }, ..named("With approval") };
    let slow = host.simulator.add_profile(slow);
    host.entry("www", FAILING);
    host.entry("mail", &format!("profile = {slow:?}\n"));
    host.entry("odd", "key = \"rsa-4096\"\n");
    host
}

fn events(host: &Host, name: &str) -> Vec<String> {
    let said = host.says(&["history", name, "--json"]);
    let history: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let events = history["events"].as_array().unwrap();
    events.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_history_tells_what_happened() {
    let mut host = host();
    check("history-nothing.txt", &host, 0, &["history", "www"]);
    host.start();
    host.until("the hook failed", || events(&host, "www").contains(&"hook-failed".to_owned()).then_some(()));
    host.wait_state("mail", "pending");
    check("history-www.txt", &host, 0, &["history", "www"]);
    check("history-www.json", &host, 0, &["history", "www", "--json"]);
    check("history-mail.txt", &host, 0, &["history", "mail"]);
    assert_eq!(host.end(Signal::TERM), Some(0));
    check("history-www.txt", &host, 0, &["history", "www"]);
    check("history-unknown.txt", &host, 3, &["history", "nobody"]);
    fs::remove_file(host.path("certs.d/www.toml")).unwrap();
    assert_eq!(host.says(&["history", "www"]).code, 0, "what is no longer in the inventory still has a history");
    let journal = host.path("state/journal");
    let whole = host.says(&["history", "www"]);
    let mut file = OpenOptions::new().append(true).open(&journal).unwrap();
    file.write_all(b"0000abcd {\"at\":1,\"na").unwrap();
    let torn = host.says(&["history", "www"]);
    assert_eq!((torn.out, torn.err), (whole.out.clone(), whole.err), "a line that is being written is passed over");
    file.write_all(b"\nnonsense\nnonsense\n").unwrap();
    let damaged = host.says(&["history", "www"]);
    assert_eq!((damaged.code, damaged.out), (0, whole.out));
    assert!(damaged.err.starts_with("damaged lines of the journal: "), "{}", damaged.err);
    fs::write(&journal, "renewd journal 9\n").unwrap();
    let newer = host.says(&["history", "mail"]);
    assert_eq!((newer.code, newer.out.trim()), (0, "mail: nothing has happened yet"));
    assert!(newer.err.starts_with("a newer renewd wrote the journal"), "{}", newer.err);
}

/// What a hook printed steers no terminal, and no lock is taken: both run at once.
#[test]
fn the_history_is_clean_and_takes_no_lock() {
    let mut host = host();
    host.start();
    host.until("the hook failed", || events(&host, "www").contains(&"hook-failed".to_owned()).then_some(()));
    let before = fs::read(host.path("state/journal")).unwrap();
    let said = host.says(&["history", "www"]);
    assert!(said.out.contains("no such service[31m") && !said.out.contains('\u{1b}'), "{}", said.out);
    let opened = Command::new("strace")
        .args(["-f", "-e", "trace=openat,flock,fcntl", env!("CARGO_BIN_EXE_renewd"), "--config"])
        .arg(host.path("renewd.toml"))
        .args(["history", "www"])
        .output();
    if let Ok(opened) = opened {
        let calls = String::from_utf8_lossy(&opened.stderr).into_owned();
        assert!(calls.contains("state/journal\", O_RDONLY"), "{calls}");
        let writes = calls.lines().filter(|line| {
            ["O_WRONLY", "O_RDWR", "O_CREAT", "F_OFD_SETLK", "flock("].iter().any(|word| line.contains(word))
        });
        assert_eq!(writes.filter(|line| line.contains("state/")).collect::<Vec<_>>(), Vec::<&str>::new());
    }
    assert!(fs::read(host.path("state/journal")).unwrap().starts_with(&before), "nothing was rewritten");
}

#[test]
fn the_calendar_shows_what_is_to_come() {
    let mut host = Host::with_www();
    host.entry("mail", "");
    let empty = Host::new(ProfileSpec::default());
    assert!(empty.says(&["plan", "--calendar"]).out.starts_with("warning: no certificate is in "));
    let first = host.says(&["plan", "--calendar"]);
    assert!(
        first.out.contains("2 renewals; the most in one day: 2 (") && !first.out.contains("expiries;"),
        "{}",
        first.out
    );
    host.start();
    host.wait_state("www", "valid");
    host.wait_state("mail", "valid");
    let said = host.says(&["plan", "--calendar"]);
    assert_eq!((said.code, said.err.as_str()), (0, ""));
    assert!(said.out.starts_with("WEEK OF "), "{}", said.out);
    for line in ["2 renewals; the most in one week: ", "2 expiries; the most in one week: 2 ("] {
        assert!(said.out.contains(line), "{line}\n{}", said.out);
    }
    let later = host.says(&["plan", "--calendar", "--at", "2099-01-01T00:00:00Z"]);
    assert!(later.out.contains("\noverdue  "), "{}", later.out);
    assert!(!said.out.contains('\u{1b}'), "no colours where it is piped");
    terminal(&host);
}

/// On a terminal there are colours, but for NO_COLOR; the bars are as wide as the window.
fn terminal(host: &Host) {
    let command =
        format!("{} --config {} plan --calendar", env!("CARGO_BIN_EXE_renewd"), host.path("renewd.toml").display());
    let on = |columns: usize, variables: &[(&str, &str)]| {
        let mut script = Command::new("script");
        script
            .args(["-qec", &format!("stty cols {columns}; {command}"), "/dev/null"])
            .env("TERM", "xterm")
            .env_remove("NO_COLOR");
        script.envs(variables.iter().copied());
        let output = script.output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let plain = on(100, &[("NO_COLOR", "1")]);
    assert!(plain.contains('█') && !plain.contains('\u{1b}'), "{plain}");
    assert!(on(100, &[]).contains("\u{1b}[32m█"), "renewals are green");
    assert!(!on(100, &[("TERM", "dumb")]).contains('\u{1b}'));
    let head = |columns| on(columns, &[("NO_COLOR", "1")]).lines().next().unwrap().find("EXPIRIES").unwrap();
    assert!(head(160) > head(100) + 20, "{} {}", head(160), head(100));
}
