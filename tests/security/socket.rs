//! The control socket asks the kernel who speaks.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;
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
    told_at(host, &host.path("control.sock"), identity)
}

fn told_at(host: &Host, socket: &Path, identity: &[&str]) -> String {
    let output = Command::new("setpriv")
        .args(identity)
        .arg(host.path("tester"))
        .args(["socket::asks_as_another_user", "--exact", "--ignored", "--nocapture"])
        .env("RENEWD_TEST_SOCKET", socket)
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
    let problem = host.until("the problem is told", || problem(&host));
    assert!(problem.contains(why), "{problem}");
}

/// What the status says against the socket.
fn problem(host: &Host) -> Option<String> {
    let status = host.status();
    let problems = status["problems"].as_array()?;
    let problem = problems.iter().find(|one| one["code"] == "control-socket-failed")?;
    Some(Value::as_str(&problem["message"])?.to_owned())
}

/// A folder on a file system that takes no access list.
struct NoLists(PathBuf);

impl NoLists {
    fn mount(at: PathBuf) -> Self {
        run("mount", &["-t", "ramfs", "-o", "mode=0711", "ramfs", at.to_str().unwrap()]);
        Self(at)
    }
}

impl Drop for NoLists {
    fn drop(&mut self) {
        // Lazily: a daemon that a failed test leaves may still hold it.
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

/// A host whose socket is in a folder of its own, and which belongs to `service`.
fn with_socket_in(folder: &str, group: &str, service: &str) -> (Host, PathBuf) {
    let host = Host::with_www();
    for name in ["state", folder] {
        fs::create_dir(host.path(name)).unwrap();
    }
    let socket = host.path(folder).join("control.sock");
    name_group(&host, &socket, Some(group));
    run("chown", &["-R", service, host.path("").to_str().unwrap()]);
    copy_tester(&host);
    (host, socket)
}

/// Writes the control group, and where the socket is, into `renewd.toml`, which stays whose it is.
fn name_group(host: &Host, socket: &Path, group: Option<&str>) {
    let owner = fs::metadata(host.path("renewd.toml")).unwrap();
    host.configure(&group.map_or_else(String::new, |group| format!("control_group = {group:?}\n")), "");
    let text = host.read(&host.path("renewd.toml"));
    let usual = host.path("control.sock");
    host.write("renewd.toml", &text.replace(usual.to_str().unwrap(), socket.to_str().unwrap()));
    std::os::unix::fs::chown(host.path("renewd.toml"), Some(owner.uid()), Some(owner.gid())).unwrap();
}

/// Where no access list is taken the socket's file is given to the group: root may, and who is a member. Who may not says
/// so, and lets in whom it let in before.
#[test]
fn where_no_access_list_is_taken_the_socket_is_given_to_the_group() {
    let Some(Account { name, uid, gid, group, group_gid }) = &Account::new() else { return };
    let own = format!("{uid}:{gid}");
    for (service, may) in [("0:0", true), (own.as_str(), true), ("64242:64242", false)] {
        let (mut host, socket) = with_socket_in("run", group, service);
        let _mounted = NoLists::mount(host.path("run"));
        run("chown", &[service, host.path("run").to_str().unwrap()]);
        host.start();
        host.wait_state("www", "valid");
        let owning = || fs::symlink_metadata(&socket).unwrap().gid().to_string();
        let member = || told_at(&host, &socket, &["--reuid=65534", "--regid", group_gid, "--clear-groups"]);
        if may {
            host.until("the socket is the group's", || (owning() == *group_gid).then_some(()));
            let told = member();
            assert!(told.contains("\"name\":\"www\""), "{service}: {told}");
            assert_eq!(told.matches("this user may not ask that").count(), 1, "{service}: {told}");
        } else {
            let told = host.until("it is told", || problem(&host));
            assert!(told.contains("SupplementaryGroups=") && told.contains("not permitted"), "{told}");
            assert_eq!((owning().as_str(), member().matches("PermissionDenied").count()), ("64242", 2), "{service}");
        }
        assert_eq!(fs::symlink_metadata(&socket).unwrap().mode() & 0o777, 0o660);
        let stranger = told_at(&host, &socket, &["--reuid=65534", "--regid=65534", "--clear-groups"]);
        assert_eq!(stranger.matches("PermissionDenied").count(), 2, "{service}: {stranger}");
        let by_name = told_at(&host, &socket, &["--reuid", name, "--regid=65534", "--init-groups"]);
        assert_eq!(by_name.contains("\"name\":\"www\""), may || service == own, "{service}: {by_name}");
    }
}

/// By an access list, and where none is taken: the members of the group that is named last are let in, and nobody of the
/// one before.
#[test]
fn another_control_group_at_reload_takes_the_place_of_the_one_before() {
    let (Some(first), Some(second)) = (&Account::new(), &Account::new()) else { return };
    for takes_lists in [true, false] {
        let (mut host, socket) = with_socket_in("run", &first.group, "0:0");
        let _mounted = (!takes_lists).then(|| NoLists::mount(host.path("run")));
        host.start();
        host.wait_state("www", "valid");
        let ask = |gid: &str| told_at(&host, &socket, &["--reuid=65534", "--regid", gid, "--clear-groups"]);
        let reads = |account: &Account| ask(&account.group_gid).contains("\"name\":\"www\"");
        let is_shut = |account: &Account| ask(&account.group_gid).matches("PermissionDenied").count() == 2;
        let reload = |group: Option<&str>| {
            name_group(&host, &socket, group);
            host.signal(Signal::HUP);
        };
        host.until("the first is let in", || reads(first).then_some(()));
        assert!(is_shut(second), "takes_lists: {takes_lists}");
        reload(Some(&second.group));
        host.until("the second is let in", || reads(second).then_some(()));
        assert!(is_shut(first), "takes_lists: {takes_lists}");
        reload(Some("no-such-group"));
        let told = host.until("it is told", || problem(&host));
        assert!(told.contains("there is no group \"no-such-group\""), "{told}");
        assert!(is_shut(first) && is_shut(second), "takes_lists: {takes_lists}");
        reload(Some(&first.group));
        host.until("the first is let in again", || reads(first).then_some(()));
        assert_eq!(problem(&host), None);
        reload(None);
        host.until("nobody is let in", || is_shut(first).then_some(()));
        let file = fs::symlink_metadata(&socket).unwrap();
        assert_eq!((file.uid(), file.gid(), file.mode() & 0o777), (0, 0, 0o660), "as it was made");
    }
}

/// Whoever owns the folder of the socket puts a link in its place just when it is made: nothing is changed of what that
/// leads to.
#[test]
fn a_socket_that_becomes_a_link_is_not_followed() {
    if !rustix::process::geteuid().is_root() || Command::new("strace").arg("--version").output().is_err() {
        println!("skipped: only root traces the daemon, by strace");
        return;
    }
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    fs::create_dir(host.path("theirs")).unwrap();
    host.write("precious", "precious");
    let (socket, precious) = (host.path("theirs/control.sock"), host.path("precious"));
    let said = host.path("strace");
    let mut tracer = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "-e", "inject=bind:delay_exit=1000000", "-p", &host.pid().to_string()])
        .stderr(Stdio::from(fs::File::create(&said).unwrap()))
        .spawn()
        .unwrap();
    host.until("strace is attached", || host.read(&said).contains("attached").then_some(()));
    name_group(&host, &socket, None);
    host.signal(Signal::HUP);
    symlink(&precious, host.path("theirs/link")).unwrap();
    host.until("the socket is made", || socket.symlink_metadata().ok());
    fs::rename(host.path("theirs/link"), &socket).unwrap();
    let mode = || fs::metadata(&precious).unwrap().mode() & 0o777;
    let is_noticed = || host.log().contains("something else was put in its place");
    host.until("the daemon goes on", || (is_noticed() || mode() != 0o600).then_some(()));
    drop(tracer.kill());
    drop(tracer.wait());
    assert_eq!((mode(), host.read(&precious).as_str()), (0o600, "precious"));
    assert!(socket.is_symlink(), "nor is what is not its own taken away");
}
