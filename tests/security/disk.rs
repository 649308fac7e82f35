//! Tricks with links in the folders that renewd writes to, on the real file system.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::Path;
use std::process::Stdio;

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
