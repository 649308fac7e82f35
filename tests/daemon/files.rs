//! Where the files go: fixed paths, formats, modes, drift, and what is refused before anything is spent.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{IFlags, XattrFlags, ioctl_setflags, setxattr};
use tempfile::TempDir;

use crate::host::{Host, safe_folder};
use crate::simulator::{Issuance, ProfileSpec};

/// A folder for targets of which every ancestor is safe, which the usual temporary folder is not.
pub(crate) struct Targets(TempDir);

impl Targets {
    pub(crate) fn new() -> Self {
        Self(safe_folder())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn entry(&self) -> String {
        let path = |name: &str| self.path(name).display().to_string();
        format!(
            "key_mode = \"0640\"\nformats = [\"bundle\"]\n[certificate.files]\nprivate_key = {:?}\ncertificate = {:?}\n\
             chain = {:?}\nfullchain = {:?}\nbundle = {:?}\n",
            path("key.pem"),
            path("cert.pem"),
            path("chain.pem"),
            path("fullchain.pem"),
            path("bundle.pem")
        )
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn fixed_paths_hold_copies_of_the_live_set() {
    let (host, targets) = (Host::with_www(), Targets::new());
    host.entry("www", &targets.entry());
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    host.live_serial("www");
    let live = |name: &str| host.read(&host.live("www").join(name));
    let pairs =
        [("key", "privkey"), ("cert", "cert"), ("chain", "chain"), ("fullchain", "fullchain"), ("bundle", "bundle")];
    for (target, source) in pairs {
        assert_eq!(host.read(&targets.path(&format!("{target}.pem"))), live(&format!("{source}.pem")), "{target}");
    }
    assert_eq!(live("bundle.pem"), format!("{}{}", live("privkey.pem"), live("fullchain.pem")));
    assert_eq!(["key.pem", "bundle.pem", "cert.pem"].map(|name| mode(&targets.path(name))), [0o640, 0o640, 0o644]);
    let names: Vec<_> = fs::read_dir(targets.path("")).unwrap().map(|found| found.unwrap().file_name()).collect();
    assert_eq!(names.len(), 5, "nothing staged is left: {names:?}");
}

#[test]
fn drift_is_mended_without_a_request() {
    let (host, targets) = (Host::with_www(), Targets::new());
    host.entry("www", &targets.entry());
    assert_eq!(host.says(&["once"]).code, 0);
    let good = host.read(&targets.path("fullchain.pem"));
    fs::write(targets.path("fullchain.pem"), "somebody's edit").unwrap();
    fs::set_permissions(targets.path("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::remove_file(targets.path("bundle.pem")).unwrap();
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(host.read(&targets.path("fullchain.pem")), good);
    assert_eq!(mode(&targets.path("key.pem")), 0o640);
    assert!(targets.path("bundle.pem").exists());
    assert_eq!(host.submissions(), 1);
}

#[test]
fn a_target_that_may_not_be_written_is_found_before_anything_is_asked_for() {
    let (host, targets) = (Host::with_www(), Targets::new());
    host.entry("www", &targets.entry());
    let elsewhere = targets.path("elsewhere");
    fs::write(&elsewhere, "mine").unwrap();
    symlink(&elsewhere, targets.path("key.pem")).unwrap();
    assert_eq!(host.says(&["once"]).code, 1);
    let www = host.certificate("www");
    assert_eq!(www["last_error"]["code"], "target-refused");
    assert!(www["reason"].as_str().unwrap().contains("key.pem"), "{www}");
    assert_eq!((host.submissions(), host.read(&elsewhere)), (0, "mine".to_owned()));
    fs::remove_file(targets.path("key.pem")).unwrap();
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    host.live_serial("www");
}

/// What is missing is made, not looked for in the kernel's log.
#[test]
fn a_folder_that_is_missing_is_told_with_what_to_do_and_gets_its_files_once_it_is_there() {
    let fixed = safe_folder();
    let (folder, target) = (fixed.path().join("tls"), fixed.path().join("tls/www.key"));
    let mut host = Host::with_www();
    host.entry("www", &format!("[certificate.files]\nprivate_key = {target:?}\n"));
    host.start();
    let www = host.wait_state("www", "failing");
    let said = www["last_error"]["message"].as_str().unwrap();
    assert!(said.contains("create the folder, or name another path") && !said.contains("device"), "{said}");
    assert_eq!(host.submissions(), 0);
    fs::create_dir(&folder).unwrap();
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    assert!(target.exists());
}

/// Beside a key that can be replaced: nothing is asked for, the pair stays one, and each command names what refuses.
#[test]
fn an_immutable_certificate_is_found_before_anything_is_asked_for() {
    let (mut host, targets) = (Host::with_www(), Targets::new());
    host.entry("www", &targets.entry());
    assert_eq!(host.says(&["once"]).code, 0);
    let names = ["key.pem", "cert.pem", "chain.pem", "fullchain.pem", "bundle.pem"];
    let pair = || names.map(|name| fs::read_to_string(targets.path(name)).unwrap());
    let (before, certificate) = (pair(), fs::File::open(targets.path("cert.pem")).unwrap());
    if ioctl_setflags(&certificate, IFlags::IMMUTABLE).is_err() {
        println!("skipped: no attribute can be set here");
        return;
    }
    let remedy = format!("chattr -i {}", targets.path("cert.pem").display());
    let checks = [&["check"][..], &["check", "--online"]].map(|command| host.says(command));
    let renewed = host.says(&["renew", "www"]);
    host.start();
    let asked = host.says(&["renew", "www"]);
    ioctl_setflags(&certificate, IFlags::empty()).unwrap();
    for said in checks.iter().chain([&renewed, &asked]) {
        assert_eq!(said.code, 1, "{}{}", said.out, said.err);
        assert!(format!("{}{}", said.out, said.err).contains(&remedy), "{}{}", said.out, said.err);
    }
    assert_eq!((host.submissions(), pair()), (1, before.clone()));
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_ne!(pair(), before);
    host.live_serial("www");
}

#[test]
fn old_generations_are_removed_and_the_newest_kept() {
    let host = Host::with_www();
    host.configure("keep_generations = 2\n", "");
    for _ in 0..4 {
        assert_eq!(host.says(&["renew", "www"]).code, 0);
    }
    let mut left: Vec<_> = fs::read_dir(host.path("state/certs/www"))
        .unwrap()
        .map(|found| found.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["3", "4", "csr.pem", "live"]);
    assert_eq!(fs::read_link(host.live("www")).unwrap(), Path::new("4"));
}

/// The open file shows what became of what had that name: each generation has a copy of a key that is kept. A hard link
/// is somebody's backup, and stays what it is.
#[test]
fn the_keys_of_pruned_generations_are_overwritten_and_a_reused_one_lives_on() {
    let host = Host::with_www();
    host.entry("www", "reuse_key = true\nformats = [\"bundle\"]\n");
    host.configure("keep_generations = 1\n", "");
    assert_eq!(host.says(&["once"]).code, 0);
    let key = host.read(&host.live("www").join("privkey.pem"));
    let bundle = host.path("state/certs/www/1/bundle.pem");
    let mut pruned = fs::File::open(&bundle).unwrap();
    fs::hard_link(host.path("state/certs/www/1/privkey.pem"), host.path("privkey.pem")).unwrap();
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    assert!(!host.path("state/certs/www/1").exists());
    let mut left = Vec::new();
    pruned.read_to_end(&mut left).unwrap();
    assert!(!left.is_empty() && left.iter().all(|byte| *byte == 0));
    assert_eq!(host.read(&host.path("privkey.pem")), key);
    assert_eq!(host.read(&host.live("www").join("privkey.pem")), key);
    host.live_serial("www");
}

#[test]
fn a_damaged_certificate_is_replaced() {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let old = host.live_serial("www");
    fs::remove_dir_all(host.path("state/certs/www/1")).unwrap();
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_ne!(host.live_serial("www"), old);
}

/// As people and backups write the link: the pair that is there is kept, and the link is written as renewd does.
#[test]
fn the_link_to_the_live_set_may_be_spelled_otherwise() {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let (serial, live) = (host.live_serial("www"), host.live("www"));
    let home = live.parent().unwrap().display().to_string();
    symlink(host.path("state"), host.path("by-link")).unwrap();
    let by_link = format!("{}/certs/www/1", host.path("by-link").display());
    let moved = "/srv/of-an-earlier-host/certs/www/1".to_owned();
    for spelling in [format!("{home}/1"), "1/".to_owned(), "./1".to_owned(), "../www/1".to_owned(), by_link, moved] {
        fs::remove_file(&live).unwrap();
        symlink(&spelling, &live).unwrap();
        let said = host.says(&["once"]);
        assert_eq!(said.code, 0, "{spelling}: {}", said.err);
        assert_eq!((host.live_serial("www"), host.submissions()), (serial.clone(), 1), "{spelling}");
        assert_eq!(fs::read_link(&live).unwrap(), Path::new("1"), "{spelling}");
    }
}

/// What `scp -r` and `cp -rL` make of links: told with a command that works, and nothing is asked for.
#[test]
fn a_live_set_that_became_a_folder_is_told_with_the_way_back() {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let (serial, live) = (host.live_serial("www"), host.live("www"));
    fs::remove_file(&live).unwrap();
    fs::rename(host.path("state/certs/www/1"), &live).unwrap();
    let said = host.says(&["once"]);
    assert_eq!((said.code, host.submissions()), (1, 1), "{}", said.err);
    let reason = host.certificate("www")["reason"].as_str().unwrap().to_owned();
    let command = reason.split("run: ").nth(1).unwrap().split(';').next().unwrap();
    assert!(Command::new("/bin/sh").args(["-c", command]).status().unwrap().success(), "{command}");
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!((host.live_serial("www"), host.submissions()), (serial, 1));
}

#[test]
fn a_live_link_to_another_folder_with_a_set_is_told_and_nothing_is_asked_for() {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let live = host.live("www");
    fs::rename(host.path("state/certs/www/1"), host.path("state/certs/www/by-hand")).unwrap();
    fs::remove_file(&live).unwrap();
    symlink("by-hand", &live).unwrap();
    assert_eq!((host.says(&["once"]).code, host.submissions()), (1, 1));
    let reason = host.certificate("www")["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("by-hand, which is not a generation here"), "{reason}");
    let command = reason.split("run: ").nth(1).unwrap().split(';').next().unwrap();
    assert!(Command::new("/bin/sh").args(["-c", command]).status().unwrap().success(), "{command}");
    let said = host.says(&["once"]);
    assert_eq!((said.code, host.submissions()), (0, 1), "{}", said.err);
    host.live_serial("www");
}

#[test]
fn a_folder_in_the_place_of_a_file_of_a_set_is_replaced() {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let serial = host.live_serial("www");
    for name in ["cert.pem", "fullchain.pem"] {
        let path = host.path("state/certs/www/1").join(name);
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::write(path.join("cert.pem"), "a copy").unwrap();
        let said = host.says(&["once"]);
        assert_eq!(said.code, 0, "{name}: {}", said.err);
        assert_eq!((host.live_serial("www"), host.submissions()), (serial.clone(), 1), "{name}");
    }
}

#[test]
fn a_state_directory_that_is_a_symlink_is_told_with_the_path_to_set() {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    fs::rename(host.path("state"), host.path("disk2")).unwrap();
    symlink(host.path("disk2"), host.path("state")).unwrap();
    let said = host.says(&["once"]);
    assert_ne!(said.code, 0);
    let real = fs::canonicalize(host.path("disk2")).unwrap();
    let setting = format!("state_dir = {real:?}");
    assert!(said.err.contains(&setting), "{}", said.err);
    let text = host.read(&host.path("renewd.toml"));
    host.write("renewd.toml", &text.replace(&format!("state_dir = {:?}", host.path("state")), &setting));
    assert_eq!((host.says(&["once"]).code, host.submissions()), (0, 1));
}

/// The mode of a folder with a list has the list's mask in the place of the group's rights.
#[test]
fn a_folder_that_a_list_opens_to_the_service_is_taken_and_to_a_stranger_refused() {
    let (host, targets) = (Host::with_www(), Targets::new());
    let folder = targets.path("tls");
    fs::create_dir(&folder).unwrap();
    let uid = rustix::process::geteuid().as_raw();
    if !rustix::process::geteuid().is_root() || chown(&folder, None, Some(4242)).is_err() {
        println!("skipped: only root can give a folder to another group");
        return;
    }
    host.entry("www", &format!("[certificate.files]\nprivate_key = {:?}\n", folder.join("www.key")));
    let none = u32::MAX;
    let cases = [(uid, 5, None), (4243, 5, Some("setfacl -x u:4243")), (uid, 7, Some("setfacl -m g::r-x"))];
    for (user, group, remedy) in cases {
        let entries = [(1, 7, none), (2, 7, user), (4, group, none), (16, 7, none), (32, 5, none)];
        let entry = |(tag, rights, id): &(u16, u16, u32)| {
            [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let list: Vec<u8> = 2_u32.to_le_bytes().into_iter().chain(entries.iter().flat_map(entry)).collect();
        if setxattr(&folder, "system.posix_acl_access", &list, XattrFlags::empty()).is_err() {
            println!("skipped: there are no access lists here");
            return;
        }
        let said = host.says(&["check"]);
        assert_eq!(said.code, i32::from(remedy.is_some()), "{user} {group}: {}{}", said.out, said.err);
        assert!(format!("{}{}", said.out, said.err).contains(remedy.unwrap_or("")), "{}{}", said.out, said.err);
    }
}

/// What was issued cannot be installed at first: each `renew` ends, the one that finishes the install as a success.
#[test]
fn a_renewal_that_finishes_an_install_ends_as_one() {
    let issuance = Issuance::Pending { approve_after: None };
    let (mut host, targets) = (Host::new(ProfileSpec { issuance, ..ProfileSpec::default() }), Targets::new());
    host.entry("www", &targets.entry());
    host.says(&["once"]);
    assert!(host.simulator.approve(&host.simulator.pending().pop().unwrap()));
    assert_eq!(host.says(&["once", "--wait", "60s"]).code, 0);
    host.says(&["renew", "www"]);
    let certificate = fs::File::open(targets.path("cert.pem")).unwrap();
    if ioctl_setflags(&certificate, IFlags::IMMUTABLE).is_err() {
        println!("skipped: no attribute can be set here");
        return;
    }
    let names = ["key.pem", "cert.pem", "fullchain.pem"];
    let pair = || names.map(|name| fs::read_to_string(targets.path(name)).unwrap());
    let before = pair();
    assert!(host.simulator.approve(&host.simulator.pending().pop().unwrap()));
    // A pass polls sooner than the daemon would.
    assert_eq!(host.says(&["once", "--wait", "60s"]).code, 1);
    host.start();
    let failing =
        host.until("the install fails", || Some(host.certificate("www")).filter(|found| found["state"] == "failing"));
    ioctl_setflags(&certificate, IFlags::empty()).unwrap();
    assert!(failing["reason"].as_str().unwrap().contains("chattr -i"), "{failing:#}");
    assert_eq!(pair(), before, "the old set is whole");
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert_ne!(pair(), before);
    host.live_serial("www");
}
