//! Tricks with links in the folders that renewd writes to, on the real file system.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use renewd::store::disk::{Disk as _, Perms};
use renewd::store::real_disk::RealDisk;
use renewd::store::replace;

use crate::Targets;
use crate::account::run;
use crate::host::Host;

const KEPT: &[u8] = b"belongs to somebody else";

/// A folder with a file that nothing here may touch.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("victim"), KEPT).unwrap();
    folder
}

#[track_caller]
fn untouched(victim: &Path) {
    assert_eq!(fs::read(victim).unwrap(), KEPT, "{}", victim.display());
}

#[test]
fn a_name_that_is_taken_is_never_opened() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    symlink(path("victim"), path("link")).unwrap();
    symlink(path("nothing"), path("dangling")).unwrap();
    fs::hard_link(path("victim"), path("hard")).unwrap();
    for name in ["link", "dangling", "hard"] {
        let refused = RealDisk.create(&path(name), Perms::PRIVATE).err().map(|error| error.kind());
        assert_eq!(refused, Some(std::io::ErrorKind::AlreadyExists), "{name}");
    }
    assert!(RealDisk.append(&path("link")).is_err() && RealDisk.overwrite(&path("link"), b"x").is_err());
    assert!(RealDisk.read(&path("link"), 100).is_err(), "a key is not read through a symlink");
    untouched(&path("victim"));
    assert!(!path("nothing").exists());
}

/// Between the check and the rename somebody puts a link in the target's place: it is replaced, what it names is not.
#[test]
fn a_target_that_becomes_a_link_is_replaced_and_not_followed() {
    for hard in [false, true] {
        let folder = folder();
        let (target, victim) = (folder.path().join("target"), folder.path().join("victim"));
        let staged = replace::stage(&RealDisk, &target, b"new", Perms::PRIVATE).unwrap();
        if hard {
            fs::hard_link(&victim, &target).unwrap()
        } else {
            symlink(&victim, &target).unwrap()
        }
        staged.switch(&RealDisk).unwrap();
        untouched(&victim);
        let metadata = fs::symlink_metadata(&target).unwrap();
        assert!(metadata.is_file() && metadata.nlink() == 1 && metadata.mode() & 0o7777 == 0o600, "hard: {hard}");
        assert_eq!(fs::read(&target).unwrap(), b"new");
    }
}

/// What an attacker makes look like a left-over is removed itself, never what it points at.
#[test]
fn what_is_swept_and_removed_is_never_followed() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("other")).unwrap();
    fs::write(path("other/file"), KEPT).unwrap();
    let planted = [replace::beside(&path("target")), replace::beside(&path("target"))];
    symlink(path("other"), &planted[0]).unwrap();
    symlink(path("victim"), &planted[1]).unwrap();
    fs::create_dir(path("old")).unwrap();
    symlink(path("other"), path("old/folder")).unwrap();
    symlink(path("victim"), path("old/key")).unwrap();
    replace::sweep(&RealDisk, &path("target"), None);
    replace::remove_tree(&RealDisk, &path("old")).unwrap();
    assert!(planted.iter().all(|path| fs::symlink_metadata(path).is_err()) && !path("old").exists());
    untouched(&path("victim"));
    untouched(&path("other/file"));
}

/// Beside a target, whose folder may be anybody's, only a file of renewd's own goes: no folder, whatever its name, and
/// nothing of a stranger's.
#[test]
fn beside_a_target_only_own_files_are_swept() {
    let folder = folder();
    let target = folder.path().join("target");
    let [tree, strangers, own, given] = std::array::from_fn(|_| replace::beside(&target));
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("key"), KEPT).unwrap();
    for file in [&strangers, &own, &given] {
        fs::write(file, KEPT).unwrap();
    }
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        chown(&strangers, Some(65534), None).unwrap();
        chown(&given, Some(65533), None).unwrap();
    } else {
        println!("skipped in part: only root can give a file away");
    }
    replace::sweep(&RealDisk, &target, Some(65533));
    untouched(&tree.join("key"));
    assert!(!own.exists() && !given.exists(), "what renewd staged goes, whoever it was staged for");
    assert_eq!(strangers.exists(), is_root, "a stranger's stays");
}

/// One that cannot be removed is left for the next time, and keeps none of the others.
#[test]
fn a_left_over_that_stays_keeps_no_other_from_being_swept() {
    let folder = folder();
    let target = folder.path().join("target");
    let files: Vec<_> = (0..8).map(|_| replace::beside(&target)).collect();
    files.iter().for_each(|file| fs::write(file, KEPT).unwrap());
    let hold =
        |flag: &str| std::process::Command::new("chattr").arg(flag).arg(&files[3]).stderr(Stdio::null()).status();
    if !hold("+i").is_ok_and(|status| status.success()) {
        println!("skipped: nobody but root makes a file immutable, and not on every file system");
        return;
    }
    replace::sweep(&RealDisk, &target, None);
    let left: Vec<_> = files.iter().filter(|file| file.exists()).collect();
    hold("-i").unwrap();
    assert_eq!(left, [&files[3]]);
}

/// With the real binary: nothing is asked for, nothing is written, and the message says why.
#[test]
fn a_target_below_somebody_elses_folder_is_refused_before_anything_is_asked_for() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can give a folder away");
        return;
    }
    let (host, targets) = (Host::with_www(), Targets::new());
    fs::create_dir(targets.path("theirs")).unwrap();
    chown(targets.path("theirs"), Some(65534), Some(65534)).unwrap();
    fs::create_dir(targets.path("ours")).unwrap();
    symlink("/etc/hostname", targets.path("ours/link.key")).unwrap();
    symlink(targets.path("theirs"), targets.path("ours/folder")).unwrap();
    let cases = [
        ("theirs/a.key", "belongs to user 65534"),
        ("ours/link.key", "it is a symlink"),
        ("ours/folder/a.key", "is a symlink"),
    ];
    for (target, why) in cases {
        host.entry("www", &format!("[certificate.files]\nprivate_key = {:?}\n", targets.path(target)));
        let said = host.says(&["renew", "www"]);
        let told = format!("{}{}", said.err, host.certificate("www"));
        assert!(said.code == 1 && told.contains(why), "{target}: {told}");
        assert_eq!(host.submissions(), 0, "{target}");
    }
    assert_eq!(fs::read_dir(targets.path("theirs")).unwrap().count(), 0, "something was written");
}

/// An owner that the service may not give files to is no folder that is closed to it.
#[test]
fn a_refused_owner_is_told_as_such() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can start renewd as another user");
        return;
    }
    let host = Host::with_www();
    host.entry("www", "owner = \"root\"\n");
    fs::create_dir(host.path("state")).unwrap();
    run("chown", &["-R", "64242:64242", host.path("").to_str().unwrap()]);
    assert_eq!(host.says(&["once"]).code, 1);
    let reason = host.certificate("www")["reason"].as_str().unwrap().to_owned();
    let parts =
        ["renewd may not give a file to user 0", "Operation not permitted", "change `owner` and `group`", "CAP_CHOWN"];
    assert!(parts.iter().all(|part| reason.contains(part)), "{reason}");
    assert!(!reason.contains("ReadWritePaths"), "{reason}");
    assert_eq!(host.submissions(), 0);
    let said = host.says(&["check", "--online"]);
    assert!(said.code == 1 && parts.iter().all(|part| said.out.contains(part)), "{}", said.out);
}

/// What root overwrites and removes below its state directory must be there: nobody else may exchange it, a folder above
/// it, or a link on the way.
#[test]
fn root_works_in_no_state_directory_that_others_may_exchange() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root is asked to");
        return;
    }
    let host = Host::with_www();
    let text = host.read(&host.path("renewd.toml"));
    for folder in ["above", "above/state", "theirs"] {
        fs::create_dir(host.path(folder)).unwrap();
    }
    symlink(host.path("above"), host.path("theirs/link")).unwrap();
    symlink("above", host.path("link")).unwrap();
    chown(host.path("theirs"), Some(65534), Some(65534)).unwrap();
    let set = |folder: &str, mode: u32, gid: u32| {
        chown(host.path(folder), Some(0), Some(gid)).unwrap();
        fs::set_permissions(host.path(folder), fs::Permissions::from_mode(mode)).unwrap();
    };
    let shown = |folder: &str| host.path(folder).display().to_string();
    let cases: [(&str, &dyn Fn(), String); 5] = [
        ("above/state", &|| set("above", 0o777, 0), format!("everybody may write to {} above it", shown("above"))),
        ("above/state", &|| set("above", 0o775, 65534), format!("group 65534 may write to {}", shown("above"))),
        ("above/state", &|| set("above/state", 0o777, 0), format!("everybody may write to {};", shown("above/state"))),
        ("theirs/link/state", &|| {}, format!("{} above it belongs to user 65534", shown("theirs"))),
        ("theirs/new", &|| {}, format!("{} above it belongs to user 65534", shown("theirs"))),
    ];
    for (state, open, why) in cases {
        open();
        host.write("renewd.toml", &text.replace("/state\"", &format!("/{state}\"")));
        for command in ["once", "heal", "run"] {
            let said = host.says(&[command]);
            // Before the first start of all there is nothing to heal.
            let is_idle = command == "heal" && state == "theirs/new";
            assert!(is_idle || said.code == 78 && said.err.contains(&why), "{command}: {why}: {said:?}");
        }
        assert_eq!(fs::read_dir(host.path("above/state")).unwrap().count(), 0, "{why}");
        set("above", 0o755, 0);
        set("above/state", 0o755, 0);
    }
    assert!(!host.path("theirs/new").exists() && host.submissions() == 0);
    // By root's own link, and in a sticky folder, as the temporary one is.
    host.write("renewd.toml", &text.replace("/state\"", "/link/state\""));
    set("above", 0o1777, 0);
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{said:?}");
}

/// Root of a user namespace, as a container without privileges has it, owns nothing of the host's, not even `/`.
#[test]
fn root_of_a_user_namespace_works_as_any_user_does() {
    let host = Host::with_www();
    let as_root_inside = |command: &str| {
        let mut inside = Command::new("setpriv");
        inside.args(["--reuid=64242", "--regid=64242", "--clear-groups", "unshare", "--user", "--map-root-user"]);
        inside.args([env!("CARGO_BIN_EXE_renewd"), "--config", host.path("renewd.toml").to_str().unwrap(), command]);
        inside.output()
    };
    fs::create_dir(host.path("state")).unwrap();
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root becomes another user");
        return;
    }
    run("chown", &["-R", "64242:64242", host.path("").to_str().unwrap()]);
    let output = as_root_inside("once").unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    if said.contains("unshare") {
        println!("skipped: there are no user namespaces here: {said}");
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{said}");
    host.live_serial("www");
}

/// Who owns the state directory puts a pipe where the lock is, or a link to what never ends: who asks goes on.
#[test]
fn a_lock_that_is_no_file_holds_nobody_up() {
    let host = Host::with_www();
    fs::create_dir(host.path("state")).unwrap();
    let lock = host.path("state/lock");
    let ask = || {
        let mut status = host.begin(&["status"]);
        let begun = std::time::Instant::now();
        while status.try_wait().unwrap().is_none() {
            if begun.elapsed() > crate::host::BOUND {
                status.kill().unwrap();
                return false;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        true
    };
    rustix::fs::mknodat(rustix::fs::CWD, &lock, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert!(ask(), "it waits for the pipe");
    fs::remove_file(&lock).unwrap();
    symlink("/dev/zero", &lock).unwrap();
    assert!(ask(), "it reads the link");
}
