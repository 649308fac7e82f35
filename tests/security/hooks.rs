//! What a hook is given: its arguments as they are written, a clean environment, and no open file of renewd's.

use std::collections::BTreeSet;
use std::fs;

use crate::host::Host;
use crate::renewd;

#[test]
fn a_hook_has_a_clean_environment_and_no_shell_sees_its_arguments() {
    let host = Host::with_www();
    // Whatever a shell would make of it, it is the name of a folder.
    let odd = "x'\"; touch pwned; $(touch pwned) `touch pwned` $HOME *";
    fs::create_dir(host.path(odd)).unwrap();
    let target = host.path(odd).display().to_string().replace('\\', "\\\\").replace('"', "\\\"");
    host.entry(
        "www",
        &format!(
            "hooks = [\"tell\"]\n[hook.tell]\n\
             command = [\"/usr/bin/cp\", \"/proc/self/environ\", \"/proc/self/cmdline\", \"{target}\"]\n"
        ),
    );
    let mut once = renewd(&host);
    once.arg("once").env("SECRET", "s").env("LD_LIBRARY_PATH", "/nowhere").env("NOTIFY_SOCKET", "/nowhere");
    once.env("CREDENTIALS_DIRECTORY", "/nowhere").env("HOME", "/root").env("BASH_ENV", "/nowhere").env("IFS", "x");
    let output = once.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let environment = host.read(&host.path(odd).join("environ"));
    let names: BTreeSet<&str> =
        environment.split_terminator('\0').map(|variable| variable.split('=').next().unwrap()).collect();
    let expected = [
        "LANG",
        "PATH",
        "RENEWD_ENDS_AT",
        "RENEWD_FINGERPRINT",
        "RENEWD_GENERATION",
        "RENEWD_LIVE_DIR",
        "RENEWD_NAME",
        "RENEWD_NAMES",
        "RENEWD_NAMES_FILE",
        "RENEWD_NOT_AFTER",
        "RENEWD_SERIAL_NUMBER",
    ];
    assert_eq!(names, BTreeSet::from(expected), "{environment}");
    let arguments = host.read(&host.path(odd).join("cmdline"));
    assert_eq!(arguments.split_terminator('\0').next_back(), Some(host.path(odd).display().to_string().as_str()));
    assert!(!host.path("pwned").exists() && !std::path::Path::new("/pwned").exists());
}

/// Neither the journal, the lock, a key nor the connection to the API is open in a hook.
#[test]
fn a_hook_inherits_no_open_file() {
    let mut host = Host::with_www();
    let files = host.path("files");
    let script = format!("/bin/ls -l /proc/self/fd > {}", files.display());
    host.entry("www", &format!("hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n"));
    host.start();
    host.wait_state("www", "valid");
    let open = host.read(&files);
    let open: Vec<&str> = open.lines().filter_map(|line| Some(line.split_once(" -> ")?.1)).collect();
    let own = |file: &&str| file.contains("/dev/null") || file.starts_with("pipe:") || file.starts_with("/proc/");
    assert!(open.len() >= 3, "{open:?}");
    let strange: Vec<_> = open.iter().filter(|file| !own(file) && **file != files.display().to_string()).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

/// A hook that prints the API key, at the very place where what is kept of its output begins, too.
#[test]
fn what_a_hook_prints_of_a_credential_is_masked() {
    let mut host = Host::with_www();
    let key = host.read(&host.path("api-key")).trim().to_owned();
    let script = format!("cat {0}; head -c 380 /dev/zero | tr '\\0' x; exit 1", host.path("api-key").display());
    host.entry("www", &format!("hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n"));
    host.start();
    host.wait_state("www", "failing");
    let places = [host.log(), host.status().to_string(), host.read(&host.path("state/journal"))];
    for place in places {
        assert!(place.contains("xxxxx"), "the output is there: {place}");
        let parts = (0..key.len() - 7).map(|at| &key[at..at + 8]);
        assert!(parts.into_iter().all(|part| !place.contains(part)), "{place}");
    }
}

/// A hook that runs as renewd's own user can neither trace it nor read its memory or environment.
#[test]
fn a_hook_of_the_same_user_cannot_reach_into_renewd() {
    let host = Host::with_www();
    let (out, done) = (host.path("out"), host.path("done"));
    let script = format!(
        "cat /proc/$PPID/environ > {}; head -c 1 /proc/$PPID/mem >> {}; grep ^Name /proc/$PPID/status > {}",
        out.display(),
        out.display(),
        done.display()
    );
    host.entry("www", &format!("hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n"));
    if rustix::process::geteuid().is_root() {
        // Root may look into everything: renewd becomes the owner of its state directory.
        fs::create_dir_all(host.path("state")).unwrap();
        let run = |command: &mut std::process::Command| assert!(command.status().unwrap().success(), "{command:?}");
        run(std::process::Command::new("chown").args(["-R", "65534:65534"]).arg(host.path("")));
        let configuration = [host.path("renewd.toml"), host.path("certs.d")];
        run(std::process::Command::new("chown").args(["-R", "0:0"]).args(&configuration));
        run(std::process::Command::new("chmod").args(["-R", "a+rX"]).args(&configuration));
    }
    let output = renewd(&host).arg("once").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(fs::read_to_string(&done).is_ok_and(|name| name.contains("renewd")), "{told}");
    let read = host.read(&out);
    assert!(read.is_empty(), "the hook read {} bytes of renewd", read.len());
}
