//! What the README says of containers: renewd as the first process of one, on a read-only root, with an inventory that is
//! mounted as Kubernetes mounts a ConfigMap; and which folder another container has to mount.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::host::Host;
use crate::process::BINARY;
use crate::tools;

/// Whether a container can be had here: root, and namespaces of one's own.
fn has_containers() -> bool {
    let may = || {
        let tried = Command::new("unshare").args(["--mount", "--pid", "--fork", "--mount-proc", "true"]).status();
        tried.is_ok_and(|status| status.success())
    };
    tools::is_root() && tools::is_there("unshare with namespaces", may())
}

/// Runs renewd as the first process of a container: only the host's folder can be written to, and the inventory is a folder
/// for everybody, mounted read-only, with links that are switched as a whole.
fn contained(host: &Host, command: &str) -> Command {
    let folder = host.path("").display().to_string();
    let script = format!(
        "cd {folder} && mount --make-rprivate / && mount --bind {folder} {folder} && cd {folder} && mkdir -p source
         cp certs.d/*.toml source && mount -t tmpfs -o mode=777 none certs.d && mkdir certs.d/..1
         cp source/*.toml certs.d/..1 && chmod 644 certs.d/..1/* && ln -s ..1 certs.d/..data
         for file in source/*; do ln -s ..data/${{file#source/}} certs.d/${{file#source/}}; done
         mount -o remount,ro certs.d && mount -o remount,ro,bind / || exit 99
         touch /new-in-a-read-only-root 2>/dev/null && exit 98
         exec {BINARY} --config {folder}/renewd.toml {command}"
    );
    let mut container = Command::new("unshare");
    container.args(["--mount", "--pid", "--fork", "--mount-proc", "/bin/sh", "-c", &script]);
    container.env_remove("RUST_LOG").stdin(Stdio::null());
    container
}

#[test]
fn one_pass_in_a_container_with_a_mounted_inventory() {
    if !has_containers() {
        return;
    }
    let host = Host::with_www();
    let output = contained(&host, "once").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    host.live_serial("www");
    // Where it can be written to, everybody could.
    fs::set_permissions(host.path("certs.d"), fs::Permissions::from_mode(0o777)).unwrap();
    let said = host.says(&["check"]);
    assert!(said.code == 78 && said.err.contains("everybody may write to this directory"), "{said:?}");
}

#[test]
fn as_the_first_process_it_reaps_what_hooks_leave_and_stops() {
    if !has_containers() {
        return;
    }
    let host = Host::with_www();
    let left = "for n in 1 2 3; do (setsid sleep 0.2 &); done";
    host.entry("www", &format!("hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {left:?}]\n"));
    let log = fs::File::create(host.path("log")).unwrap();
    let mut container = contained(&host, "run").stdout(Stdio::null()).stderr(log).spawn().unwrap();
    host.wait_state("www", "valid");
    let children = |pid: u32| fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let first: u32 = children(container.id()).trim().parse().unwrap();
    let inside = fs::read_to_string(format!("/proc/{first}/status")).unwrap();
    assert!(inside.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1")), "{inside}");
    host.until("nothing is left of the hook, not even dead", || children(first).trim().is_empty().then_some(()));
    let begun = Instant::now();
    kill_process(Pid::from_raw(first.cast_signed()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(container.wait().unwrap().code(), Some(0), "{}", host.log());
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

/// What is mounted is the folder that the link led to when it was mounted.
#[test]
fn a_container_sees_renewals_in_the_folder_of_the_certificate_and_not_in_live_alone() {
    if !has_containers() {
        return;
    }
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let before = host.live_serial("www");
    ["alone", "whole"].iter().for_each(|name| fs::create_dir(host.path(name)).unwrap());
    let folder = host.path("").display().to_string();
    let renew = format!("{BINARY} --config {folder}/renewd.toml renew www >/dev/null 2>&1");
    let script = format!(
        "cd {folder} && mount --make-rprivate / && mount --bind state/certs/www/live alone && \
         mount --bind state/certs/www whole && {renew} && cmp alone/cert.pem whole/live/cert.pem"
    );
    let output = Command::new("unshare").args(["--mount", "/bin/sh", "-c", &script]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "the two differ: {output:?}");
    assert_ne!(host.live_serial("www"), before);
    assert!(Path::new(&folder).join("state/certs/www/live/cert.pem").exists());
}
