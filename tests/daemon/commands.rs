//! Exit codes and words of the commands, with the daemon up and down.

use serde_json::Value;

use crate::host::Host;

#[test]
fn check_tells_every_mistake_of_every_file() {
    let host = Host::with_www();
    let good = host.says(&["check"]);
    assert_eq!(good.code, 0);
    assert!(good.out.contains("1 certificate in 1 file"), "{}", good.out);
    host.entry("a", "seet = \"x\"\n");
    host.entry("b", "key = \"dsa\"\n");
    let bad = host.says(&["check"]);
    assert_eq!(bad.code, 78);
    for part in ["certs.d/a.toml:6:1", "`seat`", "certs.d/b.toml:6:7", "rsa-2048", "2 problems", "^"] {
        assert!(bad.err.contains(part), "{part}: {}", bad.err);
    }
    assert!(!host.path("state").exists(), "check writes nothing");
}

#[test]
fn a_bad_main_file_stops_every_command_that_needs_it() {
    let host = Host::with_www();
    host.configure("keep_generation = 3\n", "");
    for (command, code) in [("run", 78), ("once", 78), ("check", 78), ("plan", 78), ("status", 3)] {
        let said = host.says(&[command]);
        assert_eq!(said.code, code, "{command}: {}", said.err);
        assert!(said.err.contains("keep_generations"), "{command}: {}", said.err);
    }
}

#[test]
fn a_second_daemon_is_refused_by_name() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    for command in ["run", "once"] {
        let said = host.says(&[command]);
        assert_eq!(said.code, 75, "{command}");
        assert!(said.err.contains(&format!("pid {}", host.pid())), "{}", said.err);
    }
}

#[test]
fn a_refused_file_leaves_out_its_own_certificates_alone_and_is_unhealthy() {
    let host = Host::with_www();
    host.entry("bad", "seet = \"x\"\n");
    let said = host.says(&["once"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("certs.d/bad.toml"), "{}", said.err);
    host.live_serial("www");
    let status = host.status();
    assert_eq!(
        (status["healthy"].as_bool(), status["problems"][0]["code"].as_str()),
        (Some(false), Some("inventory-file-refused"))
    );
    let states: Vec<_> = status["inventory"].as_array().unwrap().iter().map(|file| file["state"].clone()).collect();
    assert_eq!(states, ["refused", "loaded"]);
}

#[test]
fn plan_says_what_when_and_why_and_changes_nothing() {
    let host = Host::with_www();
    assert_eq!(host.says(&["plan"]).code, 0);
    assert!(!host.path("state").exists());
    assert_eq!(host.says(&["once"]).code, 0);
    let plan = |arguments: &[&str]| -> Value { serde_json::from_str(&host.says(arguments).out).unwrap() };
    let now = plan(&["plan", "--json"]);
    let www = &now["certificates"][0];
    assert_eq!((www["name"].as_str(), www["due"].as_bool()), (Some("www"), Some(false)));
    let renew_at: jiff::Timestamp = www["renew_at"].as_str().unwrap().parse().unwrap();
    // What is shown is cut to the second.
    let then = (renew_at + jiff::SignedDuration::from_secs(1)).to_string();
    let then = plan(&["plan", "--json", "--at", &then]);
    let www = &then["certificates"][0];
    assert_eq!((www["due"].as_bool(), www["action"].as_str()), (Some(true), Some("submit")));
    assert_eq!(host.submissions(), 1);
}

#[test]
fn status_is_the_same_with_the_daemon_up_and_down() {
    let mut host = Host::with_www();
    host.start();
    let up = host.wait_state("www", "valid");
    host.end(rustix::process::Signal::TERM);
    let said = host.says(&["status", "--json"]);
    assert_eq!(said.code, 0);
    let mut down: Value = serde_json::from_str(&said.out).unwrap();
    let mut down = down["certificates"][0].take();
    down["next_action_at"] = up["next_action_at"].clone();
    assert_eq!(down, up);
    assert!(host.says(&["status"]).err.contains("is not running"));
    assert_eq!(host.says(&["status", "nobody"]).code, 3);
}

/// Every path below a folder with when it was last changed.
fn tree(folder: &std::path::Path) -> Vec<(std::path::PathBuf, i64, i64)> {
    use std::os::unix::fs::MetadataExt as _;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = std::fs::symlink_metadata(&path).unwrap();
        found.push((path.clone(), metadata.ctime(), metadata.ctime_nsec()));
        if metadata.is_dir() {
            found.extend(tree(&path));
        }
    }
    found.sort();
    found
}

#[test]
fn readers_create_and_change_nothing() {
    let host = Host::with_www();
    for command in [&["status"][..], &["status", "--json"], &["plan"], &["check"]] {
        assert_eq!(host.says(command).code, 0, "{command:?}");
        assert!(!host.path("state").exists(), "{command:?}");
    }
    assert_eq!(host.says(&["once"]).code, 0);
    // A line that is being written, and drift that the daemon would put back.
    let mut journal = std::fs::read(host.path("state/journal")).unwrap();
    journal.extend(b"0badc0de {\"at\":");
    std::fs::write(host.path("state/journal"), journal).unwrap();
    std::fs::set_permissions(host.live("www").join("cert.pem"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let before = tree(&host.path("state"));
    for command in [&["status"][..], &["status", "www"], &["status", "--json"], &["plan"], &["check"]] {
        assert_eq!(host.says(command).code, 0, "{command:?}");
        assert_eq!(tree(&host.path("state")), before, "{command:?}");
    }
}

#[test]
fn the_status_of_a_failing_certificate_answers_four_questions() {
    let host = Host::with_www();
    host.entry("www", "subject = { country = \"CH\", organization_units = [\"a\", \"b\"] }\nkey = \"rsa-4096\"\n");
    host.says(&["once"]);
    let said = host.says(&["status", "www"]);
    assert_eq!(said.code, 1);
    for part in ["entry-mismatch", "certs.d/www.toml", "not accept rsa-4096", "fix", "change the entry", "next read at"]
    {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    assert_eq!(host.submissions(), 0, "nothing is sent");
}

#[test]
fn other_users_are_refused_by_the_commands_that_write() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can try this as another user");
        return;
    }
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let folder = host.path("");
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for name in ["renewd.toml", "api-key", "certs.d/www.toml"] {
        std::fs::set_permissions(folder.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    }
    let binary = folder.join("renewd");
    std::fs::copy(env!("CARGO_BIN_EXE_renewd"), &binary).unwrap();
    let run = |command: &str| {
        let arguments: &[&str] = if command == "renew" { &["renew", "www"] } else { &[command] };
        std::process::Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&binary)
            .arg("--config")
            .arg(folder.join("renewd.toml"))
            .args(arguments)
            .output()
            .unwrap()
    };
    let check = |command: &str, code: i32| {
        let output = run(command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{command}: {said}");
        assert!(said.contains("run this as root or as "), "{command}: {said}");
    };
    let writers = ["run", "once", "heal", "renew"];
    writers.iter().for_each(|command| check(command, 77));
    assert_eq!(run("check").status.code(), Some(0), "readers may read");
    check("status", 3);
    std::fs::set_permissions(folder.join("renewd.toml"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    writers.iter().for_each(|command| check(command, 77));
    check("status", 3);
}

#[test]
fn root_becomes_the_owner_of_the_state_directory() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can become somebody else");
        return;
    }
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
    let host = Host::with_www();
    let folder = host.path("");
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(folder.join("state")).unwrap();
    for name in ["state", "root.pem", "api-key", "renewd.toml", "certs.d", "certs.d/www.toml"] {
        chown(folder.join(name), Some(65534), Some(65534)).unwrap();
    }
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    for name in ["state/journal", "state/certs/www/1/privkey.pem"] {
        assert_eq!(std::fs::metadata(folder.join(name)).unwrap().uid(), 65534, "{name}");
    }
}

/// What a start, or a renewal at night, would find as well.
#[test]
fn check_finds_credentials_and_targets_that_will_not_do() {
    use std::os::unix::fs::{PermissionsExt, chown};
    let (host, targets) = (Host::with_www(), crate::files::Targets::new());
    std::fs::set_permissions(host.path("api-key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = host.says(&["check"]);
    assert_eq!(said.code, 78);
    assert!(said.err.contains(&format!("run: chmod 0600 {}", host.path("api-key").display())), "{}", said.err);
    std::fs::set_permissions(host.path("api-key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let target = targets.path("www.key");
    let entry = |target: &std::path::Path| {
        host.entry("www", &format!("[certificate.files]\nprivate_key = {:?}\n", target.display().to_string()));
    };
    entry(std::path::Path::new("/tmp/www.key"));
    let said = host.says(&["check"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("everybody may write to /tmp above it"), "{}", said.err);
    entry(&target);
    assert_eq!(host.says(&["check"]).code, 0);
    if !rustix::process::geteuid().is_root() {
        println!("the rest is skipped: only root can become somebody else");
        return;
    }
    std::fs::set_permissions(host.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::create_dir(host.path("state")).unwrap();
    for name in ["state", "renewd.toml", "certs.d", "certs.d/www.toml", "api-key", "root.pem"] {
        chown(host.path(name), Some(65534), Some(65534)).unwrap();
    }
    let said = host.says(&["check"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let remedy =
        format!("run: setfacl -m u:65534:rwx {}", targets.path("").display().to_string().trim_end_matches('/'));
    assert!(said.err.contains("`private_key`") && said.err.contains(&remedy), "{}", said.err);
}
