//! The configuration and the credentials are judged as they were read, and before anything is sent by them.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use renewd::api::credentials::CredentialFiles;

use crate::account::run;
use crate::host::Host;

fn is_root() -> bool {
    let is_root = rustix::process::geteuid().is_root();
    if !is_root {
        println!("skipped: only root can give a file to somebody else");
    }
    is_root
}

/// Whoever owns the folder of `renewd.toml` puts a file of its own in its place for an instant, to have that one read and
/// root's judged. With its file there is nothing to heal; with root's the state directory is none.
#[test]
fn the_configuration_that_was_read_is_the_one_that_is_judged() {
    if !is_root() || Command::new("strace").arg("--version").output().is_err() {
        println!("skipped: it takes root and strace");
        return;
    }
    let host = Host::with_www();
    let text = host.read(&host.path("renewd.toml"));
    host.write("roots.toml", &text.replace("/state\"", "/root.pem\""));
    host.write("theirs.toml", &text.replace("/state\"", "/nothing\""));
    chown(host.path("theirs.toml"), Some(65534), Some(65534)).unwrap();
    let (config, is_over) = (host.path("renewd.toml"), AtomicBool::new(false));
    // Each look at a file takes a while, and so does each step from reading to judging.
    let heal = || {
        let mut traced = Command::new("strace");
        traced.args([
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            "inject=statx:delay_enter=2000",
            env!("CARGO_BIN_EXE_renewd"),
        ]);
        traced.arg("--config").arg(&config).arg("heal").output().unwrap()
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for file in ["theirs.toml", "roots.toml"] {
                    symlink(host.path(file), host.path("next")).unwrap();
                    fs::rename(host.path("next"), &config).unwrap();
                }
            }
        });
        let taken: Vec<_> = (0..40).map(|_| heal()).filter(|output| output.status.success()).collect();
        is_over.store(true, Ordering::Relaxed);
        assert!(taken.is_empty(), "{} of 40: {:?}", taken.len(), taken.first());
    });
    let said = String::from_utf8(heal().stderr).unwrap();
    assert!(said.contains("root.pem"), "root's own is read: {said}");
    fs::rename(host.path("theirs.toml"), &config).unwrap();
    let said = String::from_utf8(heal().stderr).unwrap();
    assert!(said.contains("belongs to user 65534"), "{said}");
}

/// `renewd.toml` says where the key goes: the commands that ask TLM judge it before they do.
#[test]
fn no_key_is_sent_where_others_may_say_where_to() {
    if !is_root() {
        return;
    }
    let host = Host::with_www();
    let config = host.path("renewd.toml");
    let by_group = || {
        chown(&config, Some(0), Some(65534)).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o660)).unwrap();
    };
    let by_owner = || chown(&config, Some(65534), Some(0)).unwrap();
    let ways: [(&dyn Fn(), &str); 2] = [
        (&by_group, "group 65534, which is neither root's nor the service's, may write"),
        (&by_owner, "belongs to user 65534"),
    ];
    for (open, why) in ways {
        open();
        for command in [["profiles", "--json"].as_slice(), &["profiles", "--entry", "any"], &["check", "--online"]] {
            let said = host.says(command);
            let all = format!("{}{}", said.out, said.err);
            assert!(said.code != 0 && all.contains(why), "{command:?}: {said:?}");
            assert_eq!(host.simulator.requests().len(), 0, "{command:?}: something was sent");
        }
        let said = host.says(&["check", "--online"]);
        assert!(format!("{}{}", said.out, said.err).contains("TLM was not asked"), "{said:?}");
    }
    chown(&config, Some(0), Some(0)).unwrap();
    assert_eq!(host.says(&["profiles"]).code, 0);
}

/// As Kubernetes mounts a Secret: root's, with the fsGroup, on a read-only file system in memory.
#[test]
fn a_secret_of_an_fs_group_is_refused_with_what_to_set() {
    if !is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (at, key) = (folder.path().to_str().unwrap(), folder.path().join("api-key"));
    run("mount", &["-t", "tmpfs", "tmpfs", at]);
    fs::write(&key, "abc").unwrap();
    chown(&key, Some(0), Some(64243)).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o440)).unwrap();
    let read = |user: u32, group: u32| {
        let default_key = folder.path().join("default");
        let files = CredentialFiles { user, group, systemd: None, default_key, held: None, is_sealed: false };
        files.api_keys(std::slice::from_ref(&key)).map(drop).map_err(|error| error.to_string())
    };
    let on_a_disk = read(64242, 64242).unwrap_err();
    run("mount", &["-o", "remount,ro", at]);
    let (other, roots, own) = (read(64242, 64242), read(0, 0), read(64242, 64243));
    run("umount", &[at]);
    assert!(on_a_disk.ends_with(&format!("chmod 0640 {}", key.display())), "{on_a_disk}");
    let told = other.unwrap_err();
    let what = "of a Kubernetes Secret set defaultMode: 0400 and, with an fsGroup, runAsGroup: 64243";
    assert!(told.contains("a group that is not the service's own (mode 0440)") && told.ends_with(what), "{told}");
    let told = roots.unwrap_err();
    assert!(told.ends_with("of a Kubernetes Secret set defaultMode: 0400 and no fsGroup"), "{told}");
    assert_eq!(own, Ok(()), "its primary group");
}
