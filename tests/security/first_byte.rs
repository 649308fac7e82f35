//! Seen by strace: each file is made new, under a name that nobody can know, for the owner alone, and gets its mode and
//! owner before its first byte.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crate::host::Host;
use crate::{Targets, renewd};

/// The calls of a run of `once` that succeeded, in their order; `None`: there is no strace that may trace. Nobody but root
/// reaches into renewd.
fn traced(host: &Host) -> Option<Vec<String>> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let log = host.path("trace");
    let renewd = renewd(host);
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-qq",
        "-y",
        "-s",
        "0",
        "-e",
        "trace=open,openat,creat,mkdir,chmod,fchmod,fchmodat,write,pwrite64",
    ]);
    // With no umask, what the program asks for is what it gets.
    command.arg("-o").arg(&log).args(["/bin/sh", "-c", "umask 0; exec \"$@\"", "sh"]);
    command.arg(renewd.get_program()).args(renewd.get_args()).arg("once");
    let output = command.output().ok()?;
    let trace = fs::read_to_string(&log).unwrap_or_default();
    if trace.is_empty() {
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(whole(&trace).into_iter().filter(|call| !call.contains("= -1 E")).collect())
}

/// The calls in the order of their ends: one that another thread's cut in two is put together.
fn whole(trace: &str) -> Vec<String> {
    let mut begun: BTreeMap<&str, &str> = BTreeMap::new();
    let mut calls = Vec::new();
    for (thread, call) in trace.lines().filter_map(|line| line.split_once(' ')) {
        let call = call.trim();
        if let Some(start) = call.strip_suffix("<unfinished ...>") {
            begun.insert(thread, start.trim_end());
        } else if let Some((_, rest)) = call.strip_prefix("<... ").and_then(|call| call.split_once(" resumed>")) {
            calls.push(format!("{}{rest}", begun.remove(thread).unwrap_or_default()));
        } else {
            calls.push(call.to_owned());
        }
    }
    calls
}

#[test]
fn calls_that_others_cut_in_two_are_whole() {
    let trace = "7 openat(1, \"a\", 0600 <unfinished ...>\n8 mkdir(\"b\", 0700) = 0\n7 <... openat resumed>) = 3</a>\n";
    assert_eq!(whole(trace), ["mkdir(\"b\", 0700) = 0", "openat(1, \"a\", 0600) = 3</a>"]);
}

/// The file that the descriptor of a call names: `fchmod(9</a/b>, 0640)`.
fn described(call: &str) -> Option<&str> {
    call.split_once('<')?.1.split_once('>').map(|(path, _)| path)
}

#[test]
fn no_file_is_ever_wider_than_its_mode() {
    let (host, targets) = (Host::with_www(), Targets::new());
    let entry = format!(
        "key_mode = \"0640\"\n[certificate.files]\nprivate_key = {:?}\nfullchain = {:?}\n",
        targets.path("www.key"),
        targets.path("www.pem")
    );
    host.entry("www", &entry);
    let Some(calls) = traced(&host) else {
        println!("skipped: there is no strace here, or it may not trace");
        return;
    };
    let state = host.path("state").display().to_string();
    let folder = targets.path("").display().to_string();
    let ours = |path: &str| path.starts_with(&state) || path.starts_with(folder.trim_end_matches('/'));
    let mut modes: BTreeMap<String, String> = BTreeMap::new();
    let (mut staged, mut folders) = (BTreeSet::new(), BTreeSet::new());
    for call in &calls {
        if call.contains("O_CREAT") {
            let path = call.split('"').nth(1).unwrap();
            assert!(call.contains(", 0600)"), "made for more than the owner: {call}");
            assert!(call.contains("O_NOFOLLOW"), "a link would be followed: {call}");
            if path.contains("/.renewd-") {
                assert!(call.contains("O_EXCL"), "an existing file would be taken: {call}");
                assert!(staged.insert(path.to_owned()), "a name comes twice: {path}");
            }
        } else if call.starts_with("fchmod(") {
            let mode = call.rsplit_once(", ").unwrap().1.split(')').next().unwrap();
            modes.insert(described(call).unwrap().to_owned(), mode.to_owned());
        } else if call.starts_with("write(") && described(call).is_some_and(|path| path.contains("/.renewd-")) {
            assert!(modes.contains_key(described(call).unwrap()), "written before its mode was set: {call}");
        }
        let named = call.split('"').nth(1).unwrap_or_default().to_owned();
        if call.starts_with("mkdir(") {
            folders.insert(named);
        } else if call.starts_with("chmod(") || call.starts_with("fchmodat(") {
            let is_socket = named.ends_with(".sock");
            assert!(folders.contains(&named) || is_socket || !ours(&named), "a file, by its path: {call}");
        }
    }
    let of_target = |path: &&String| path.starts_with(folder.trim_end_matches('/'));
    assert!(staged.iter().filter(of_target).count() >= 3 && staged.len() > 8, "{staged:?}");
    let random: BTreeSet<&str> = staged.iter().filter_map(|path| path.rsplit('-').next()?.split('/').next()).collect();
    assert!(random.len() > 8 && random.iter().all(|part| part.len() == 24), "{random:?}");
    let wide: Vec<_> = modes.values().filter(|mode| !["0600", "0640", "0644"].contains(&mode.as_str())).collect();
    assert!(wide.is_empty(), "{wide:?}");
}
