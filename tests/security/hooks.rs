//! What a hook is given: its arguments as they are written, a clean environment, and no open file of renewd's.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};

use crate::account::{Account, run};
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
        "RENEWD_RUN",
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

/// The signals that renewd outlives end a hook as they end any program, and none is ignored in it.
#[test]
fn a_hook_has_the_usual_signals() {
    let host = Host::with_www();
    let out = host.path("out");
    let script = format!("grep ^Sig /proc/self/status > {}; kill -USR1 $$; echo lived >> {0}", out.display());
    host.entry("www", &format!("hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n"));
    assert_eq!(renewd(&host).arg("once").status().unwrap().code(), Some(1));
    let told = host.read(&out);
    let mask = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    // USR1, USR2, ALRM, STKFLT, XFSZ, VTALRM, PROF, IO and PWR.
    let outlived =
        [10, 12, 14, 16, 25, 26, 27, 29, 30].into_iter().fold(0, |mask, signal| mask | 1_u64 << (signal - 1));
    assert_eq!((mask("SigBlk:"), mask("SigIgn:") & outlived), (0, 0), "{told}");
    assert!(!told.contains("lived"), "{told}");
}

/// A hook that wants to know everything, as somebody else: it has all groups of that user and reads no key.
#[test]
fn a_hook_of_another_user_reads_no_key() {
    let Some(Account { name, uid, gid, group_gid, .. }) = &Account::new() else { return };
    let host = Host::with_www();
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(host.path("out")).unwrap();
    chown(host.path("out"), Some(uid.parse().unwrap()), None).unwrap();
    let out = host.path("out/told").display().to_string();
    let secrets = ["state/certs/www/live/privkey.pem", "state/journal", "api-key", "renewd.toml", "state/hooks/*"];
    let secrets = secrets.map(|file| host.path(file).display().to_string()).join(" ");
    let script = format!(
        "cat $RENEWD_NAMES_FILE $RENEWD_LIVE_DIR/cert.pem > {out}; cat {secrets} /proc/$PPID/environ >> {out}
         echo $(id -u) $(id -G) >> {out}; kill -0 $PPID 2>/dev/null && echo may kill >> {out}; exit 0"
    );
    host.write("hook", &format!("#!/bin/sh\n{script}\n"));
    fs::set_permissions(host.path("hook"), fs::Permissions::from_mode(0o700)).unwrap();
    let program = host.path("hook");
    host.entry("www", &format!("hooks = [\"tell\"]\n[hook.tell]\ncommand = [{program:?}]\nuser = {name:?}\n"));
    let check = || renewd(&host).arg("check").output().unwrap();
    let said = check();
    let why = format!("{} may not be run by user {uid}", program.display());
    assert_eq!(said.status.code(), Some(1), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stderr).contains(&why), "{said:?}");
    assert_eq!(renewd(&host).args(["renew", "www"]).status().unwrap().code(), Some(1));
    assert!(host.certificate("www")["reason"].as_str().unwrap().contains(&why), "{}", host.certificate("www"));
    fs::set_permissions(host.path("hook"), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(check().status.success(), "{:?}", check());
    let renewed = renewd(&host).args(["renew", "www"]).output().unwrap();
    assert!(renewed.status.success(), "{renewed:?}");
    let certificate = host.read(&host.live("www").join("cert.pem"));
    assert_eq!(host.read(&host.path("out/told")), format!("www\n{certificate}{uid} {gid} {group_gid}\n"));
}

/// Root can end it with all that it started, as it ends its own.
#[test]
fn a_hook_of_another_user_is_ended_with_all_that_it_started() {
    let Some(Account { name, uid, .. }) = &Account::new() else { return };
    let host = Host::with_www();
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(host.path("out")).unwrap();
    chown(host.path("out"), Some(uid.parse().unwrap()), None).unwrap();
    let out = host.path("out/pid");
    let script = format!("setsid sh -c 'echo $$ > {}; exec sleep 321' & sleep 321", out.display());
    host.entry(
        "www",
        &format!(
            "hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\nuser = {name:?}\n\
             timeout = \"1s\"\n"
        ),
    );
    assert_eq!(renewd(&host).arg("once").status().unwrap().code(), Some(1));
    assert!(!std::path::Path::new("/proc").join(host.read(&out).trim()).exists());
}

/// Whoever is not root becomes nobody else: told by `check`, and by the hook's failure, with what to do.
#[test]
fn a_service_that_may_not_become_the_hooks_user_says_so() {
    let host = Host::with_www();
    host.entry("www", "hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/true\"]\nuser = \"no-such-user\"\n");
    let told = |why: &str, remedy: &str| {
        let said = renewd(&host).arg("check").output().unwrap();
        let err = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.status.code() == Some(1) && err.contains(why) && err.contains(remedy), "{err}");
        assert_eq!(renewd(&host).args(["renew", "www"]).status().unwrap().code(), Some(1));
        let reason = host.certificate("www")["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains(why) && reason.contains(remedy), "{reason}");
    };
    told("there is no user \"no-such-user\" on this host", "create it or change `user`");
    if !rustix::process::geteuid().is_root() {
        println!("skipped in part: only root can start renewd as another user");
        return;
    }
    host.entry("www", "hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/true\"]\nuser = \"root\"\n");
    run("chown", &["-R", "64242:64242", host.path("").to_str().unwrap()]);
    told("user 64242 may not run it as root", "User=root (systemctl edit renewd-hook@NAME)");
}

/// Who may put another program in the place of a hook's runs it as the service: `check --online` says so.
#[test]
fn a_hook_that_others_may_replace_is_told() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a folder to somebody else");
        return;
    }
    let host = Host::with_www();
    let (folder, program) = (host.path("theirs"), host.path("theirs/hook"));
    fs::create_dir(&folder).unwrap();
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    host.entry("www", &format!("hooks = [\"tell\"]\n[hook.tell]\ncommand = [{program:?}]\n"));
    let told = || host.says(&["check", "--online"]).out;
    let good = told();
    assert!(good.contains("exists and can be run") && !good.contains("may replace"), "{good}");
    for (path, mode, owner, why) in [
        (&folder, 0o755, 65534, "belongs to user 65534"),
        (&folder, 0o777, 0, "everybody may write to"),
        (&program, 0o775, 0, "group 65534 may write to"),
        (&program, 0o755, 65534, "belongs to user 65534"),
    ] {
        chown(path, Some(owner), Some(65534)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        let bad = told();
        assert!(bad.contains("others may replace") && bad.contains(why), "{why}: {bad}");
        chown(path, Some(0), Some(0)).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}
