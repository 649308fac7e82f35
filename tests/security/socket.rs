//! The control socket asks the kernel who speaks.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::account::{Account, run};
use crate::host::Host;

/// What a user gets who asks for the status, and then for a renewal.
fn ask(socket: &Path) -> String {
    let mut told = String::new();
    for question in ["{\"command\":\"status\"}\n", "{\"command\":\"renew\",\"names\":[\"www\"]}\n"] {
        match UnixStream::connect(socket) {
            Ok(mut stream) => {
                stream.write_all(question.as_bytes()).unwrap();
                stream.read_to_string(&mut told).unwrap();
            }
            Err(error) => told.push_str(&format!("{:?}\n", error.kind())),
        }
    }
    told
}

#[test]
#[ignore = "run by the_control_socket_refuses_other_users, as another user"]
fn asks_as_another_user() {
    print!("{}", ask(Path::new(&std::env::var_os("RENEWD_TEST_SOCKET").unwrap())));
}

#[test]
fn the_control_socket_refuses_other_users() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can try this as another user");
        return;
    }
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    copy_tester(&host);
    let socket = host.path("control.sock");
    let as_nobody = || told(&host, &["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    assert_eq!(as_nobody().matches("PermissionDenied").count(), 2);
    // Were the file open to all, the kernel's word on who asks would still count.
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    let told = as_nobody();
    assert_eq!(told.matches("this user may not ask that").count(), 2, "{told}");
    assert!(!told.contains("www"), "{told}");
    assert_eq!(host.submissions(), 1);
    assert!(ask(&socket).contains("\"name\":\"www\""), "root may");
}

/// What somebody is told at the socket, who has the rights of this identity.
fn told(host: &Host, identity: &[&str]) -> String {
    let output = Command::new("setpriv")
        .args(identity)
        .arg(host.path("tester"))
        .args(["socket::asks_as_another_user", "--exact", "--ignored", "--nocapture"])
        .env("RENEWD_TEST_SOCKET", host.path("control.sock"))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
    told
}

/// A copy of these tests, where everybody may run it.
fn copy_tester(host: &Host) {
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(std::env::current_exe().unwrap(), host.path("tester")).unwrap();
}

/// The daemon runs as root, and as a user who is neither in the group nor may give files away.
#[test]
fn members_of_the_control_group_may_read_and_nothing_else() {
    let Some(Account { name, uid, gid, group, group_gid }) = &Account::new() else { return };
    let beside = format!("--groups={group_gid}");
    for service in ["0:0", "64242:64242"] {
        let mut host = Host::with_www();
        host.configure(&format!("control_group = {group:?}\n"), "");
        fs::create_dir(host.path("state")).unwrap();
        run("chown", &["-R", service, host.path("").to_str().unwrap()]);
        copy_tester(&host);
        host.start();
        host.wait_state("www", "valid");
        let members: [&[&str]; 4] = [
            &["--reuid", name, "--regid", gid, "--init-groups"],
            // As a container or a unit's SupplementaryGroups= gives it, of which the user database knows nothing.
            &["--reuid=65534", "--regid=65534", &beside],
            &["--reuid=65534", "--regid", group_gid, "--clear-groups"],
            &["--reuid", uid, "--regid", group_gid, "--clear-groups"],
        ];
        host.until("the group is let in", || told(&host, members[0]).contains("\"www\"").then_some(()));
        for member in members {
            let told = told(&host, member);
            assert!(told.contains("\"name\":\"www\""), "{service}: {member:?}: {told}");
            assert_eq!(told.matches("this user may not ask that").count(), 1, "{service}: {member:?}: {told}");
        }
        // The command line finds the socket without the configuration, which is not theirs to read.
        let mut status = Command::new("setpriv");
        status.args(members[0]).arg(env!("CARGO_BIN_EXE_renewd")).arg("--config").arg(host.path("renewd.toml"));
        let status = status.arg("status").env("RUNTIME_DIRECTORY", host.path("")).output().unwrap();
        assert_eq!(status.status.code(), Some(0), "{status:?}");
        let strangers: [&[&str]; 2] = [
            &["--reuid=65534", "--regid=65534", "--clear-groups"],
            &["--reuid", uid, "--regid", gid, "--clear-groups"],
        ];
        for stranger in strangers {
            assert_eq!(told(&host, stranger).matches("PermissionDenied").count(), 2, "{service}: {stranger:?}");
        }
        // Were the file open to all, nobody could say by which group somebody came: the user database decides.
        fs::set_permissions(host.path("control.sock"), fs::Permissions::from_mode(0o666)).unwrap();
        assert!(told(&host, members[0]).contains("\"www\""), "{service}");
        assert_eq!(told(&host, strangers[0]).matches("this user may not ask that").count(), 2, "{service}");
        assert_eq!(host.submissions(), 1);
    }
}

#[test]
fn a_control_group_that_is_not_there_is_told() {
    let mut host = Host::with_www();
    host.configure("control_group = \"no-such-group\"\n", "");
    let said = host.says(&["check"]);
    let why = "there is no group \"no-such-group\" on this host";
    assert!(said.code == 1 && said.err.contains(why) && said.err.contains("change `control_group`"), "{said:?}");
    host.start();
    let told = |status: &Value| {
        let problems = status["problems"].as_array().cloned().unwrap_or_default();
        problems.into_iter().find(|one| one["code"] == "control-socket-failed")
    };
    let problem = host.until("the problem is told", || told(&host.status()));
    assert!(problem["message"].as_str().unwrap().contains(why), "{problem}");
}
