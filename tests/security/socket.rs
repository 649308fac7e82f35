//! The control socket asks the kernel who speaks.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

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
    fs::set_permissions(host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let (socket, tester) = (host.path("control.sock"), host.path("tester"));
    fs::copy(std::env::current_exe().unwrap(), &tester).unwrap();
    let as_nobody = || {
        let output = Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&tester)
            .args(["socket::asks_as_another_user", "--exact", "--ignored", "--nocapture"])
            .env("RENEWD_TEST_SOCKET", &socket)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && told.contains("1 passed"), "{told}");
        told
    };
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
