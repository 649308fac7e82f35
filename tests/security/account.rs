//! A real user of this machine, for as long as a test needs one.

use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A user of this machine, with a group beside its own, made for a test.
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) gid: String,
    pub(crate) group: String,
    pub(crate) group_gid: String,
}

impl Account {
    /// `None` where users cannot be made here; `RENEWD_REQUIRE_USERS=1` makes that a failure.
    pub(crate) fn new() -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let has_tools = || Command::new("useradd").arg("--help").output().is_ok();
        if !rustix::process::geteuid().is_root() || !has_tools() {
            let why = "users are made by root, with useradd";
            assert!(std::env::var_os("RENEWD_REQUIRE_USERS").is_none(), "RENEWD_REQUIRE_USERS is set, but {why}");
            println!("skipped: {why}");
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let (name, group) =
            (format!("rt{}-{number}", std::process::id()), format!("rg{}-{number}", std::process::id()));
        run("groupadd", &["--system", &group]);
        run("useradd", &["--system", "--user-group", "--no-create-home", "--groups", &group, &name]);
        let id = |arguments: &[&str]| {
            String::from_utf8(Command::new("id").args(arguments).output().unwrap().stdout).unwrap().trim().to_owned()
        };
        let groups = id(&["-G", &name]);
        let (uid, gid) = (id(&["-u", &name]), id(&["-g", &name]));
        let group_gid = groups.split(' ').find(|one| *one != gid).unwrap().to_owned();
        Some(Self { name, uid, gid, group, group_gid })
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        for (program, name) in [("userdel", &self.name), ("groupdel", &self.group)] {
            drop(Command::new(program).arg(name).status());
        }
    }
}

pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {output:?}");
}
