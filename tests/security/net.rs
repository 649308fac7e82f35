//! The second net: where the kernel lets renewd's threads write, and that neither hooks nor a reload find it in their way.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use crate::host::{Host, safe_folder};
use crate::{Targets, renewd};

/// The loop and its pool have given their rights up, and a hook has what the process began with: it writes anywhere, and
/// sudo works in it. Root's never gain anything.
#[test]
fn the_daemons_threads_are_restricted_and_its_hooks_are_not() {
    let host = Host::with_www();
    let elsewhere = safe_folder();
    let (own, threads) = (elsewhere.path().join("own"), elsewhere.path().join("threads"));
    let script = format!(
        "grep NoNewPrivs /proc/self/status > {}; for t in /proc/$PPID/task/*; do
         echo $(cat $t/comm) $(grep NoNewPrivs $t/status) >> {}; done",
        own.display(),
        threads.display()
    );
    host.entry("www", &format!("hooks = [\"tell\"]\n[hook.tell]\ncommand = [\"/bin/sh\", \"-c\", {script:?}]\n"));
    if rustix::process::geteuid().is_root() {
        // renewd becomes the owner of its state directory.
        fs::create_dir_all(host.path("state")).unwrap();
        let run = |command: &mut Command| assert!(command.status().unwrap().success(), "{command:?}");
        run(Command::new("chown").args(["-R", "65534:65534"]).arg(host.path("")).arg(elsewhere.path()));
        let configuration = [host.path("renewd.toml"), host.path("certs.d")];
        run(Command::new("chown").args(["-R", "0:0"]).args(&configuration));
        run(Command::new("chmod").args(["-R", "a+rX"]).args(&configuration));
    }
    let output = renewd(&host).arg("once").env("RUST_LOG", "debug").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let began_with = fs::read_to_string("/proc/self/status").unwrap();
    let began_with = began_with.lines().find(|line| line.starts_with("NoNewPrivs")).unwrap();
    assert_eq!(host.read(&own).trim(), began_with, "the hook");
    let threads = host.read(&threads);
    let is_free = |name: &str| threads.lines().any(|thread| thread == format!("{name} NoNewPrivs: 0"));
    if told.contains("the kernel does not restrict where renewd writes") {
        println!("skipped: this kernel has no Landlock");
        return;
    }
    assert_eq!(is_free("starter"), began_with.ends_with('0'), "{threads}");
    let restricted: Vec<&str> = threads.lines().filter(|thread| thread.ends_with('1')).collect();
    assert!(restricted.iter().any(|thread| thread.starts_with("renewd ")), "the loop: {threads}");
    assert!(restricted.iter().any(|thread| thread.starts_with("tokio")), "the pool: {threads}");
    let others: Vec<&str> = threads.lines().filter(|thread| !thread.ends_with('1')).collect();
    assert!(others.iter().all(|thread| ["starter ", "log "].iter().any(|name| thread.starts_with(name))), "{threads}");
}

/// Targets, text file and control socket in folders that were not there at the start; and one that was made anew.
#[test]
fn what_a_reload_brings_in_another_folder_is_written_there() {
    let mut host = Host::with_www();
    let targets = Targets::new();
    host.start();
    host.wait_state("www", "valid");
    ["certs", "metrics", "run"].into_iter().for_each(|folder| fs::create_dir(targets.path(folder)).unwrap());
    let (certificate, text, socket) =
        (targets.path("certs/cert.pem"), targets.path("metrics/renewd.prom"), targets.path("run/control.sock"));
    host.entry("www", &format!("[certificate.files]\ncertificate = {:?}\n", certificate.display().to_string()));
    let read = |path: &Path| fs::read_to_string(path).ok().filter(|text| !text.is_empty());
    let configuration = host.read(&host.path("renewd.toml"));
    let old = format!("control_socket = {:?}", host.path("control.sock").display().to_string());
    assert!(configuration.contains(&old), "{configuration}");
    let configuration = configuration.replace(&old, &format!("control_socket = {:?}", socket.display().to_string()));
    let text_file = format!("\n[metrics]\ntextfile = {:?}\n", text.display().to_string());
    host.write("renewd.toml", &(configuration + &text_file));
    host.signal(Signal::HUP);
    let installed = host.until("the target is there", || read(&certificate));
    assert_eq!(installed, host.read(&host.live("www").join("cert.pem")));
    host.until("the text file is there", || read(&text));
    assert!(socket.exists() && !host.path("control.sock").exists());
    host.wait_state("www", "valid");
    fs::remove_dir_all(targets.path("certs")).unwrap();
    fs::create_dir(targets.path("certs")).unwrap();
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    assert_eq!(host.read(&certificate), host.read(&host.live("www").join("cert.pem")));
    assert_eq!(host.end(Signal::TERM), Some(0));
    assert!(!socket.exists(), "the socket goes with the daemon");
}
