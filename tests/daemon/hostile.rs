//! Text from outside that would steer a terminal, forge a line of the log or speak to systemd: promise 16.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use crate::host::Host;
use crate::simulator::{Issuance, ProfileSpec};

/// With a marker at its end, so that it is seen to arrive.
const HOSTILE: &str =
    "no\r\nMAINPID=1\n<3>2026-01-01 forged\n\u{1b}]0;title\u{7}\u{1b}[31mred\u{202e}\u{2066}\u{200b}\nREADY=1 marker";

/// What a reader may be shown: lines of visible characters, none of which the other side began.
#[track_caller]
fn check(place: &str, text: &str) {
    let raw = |c: char| (c.is_control() && c != '\n') || ('\u{200b}'..='\u{206f}').contains(&c);
    assert!(!text.contains(raw), "{place}: {text:?}");
    for start in ["MAINPID", "<3>2026", "READY=1 m"] {
        assert!(!text.lines().any(|line| line.starts_with(start)), "{place}: {text}");
    }
}

#[test]
fn what_the_other_side_writes_is_one_clean_line_everywhere() {
    let mut host =
        Host::new(ProfileSpec { issuance: Issuance::Pending { approve_after: None }, ..ProfileSpec::default() });
    host.simulator.change_variants(|variants| variants.pickup_has_companions = true);
    host.entry("www", "");
    let other = host.simulator.add_profile(ProfileSpec::default());
    host.write("says", HOSTILE);
    let says = format!("\"cat {} >&2; exit 3\"", host.path("says").display());
    host.entry(
        "hooked",
        &format!("profile = {other:?}\nhooks = [\"loud\"]\n[hook.loud]\ncommand = [\"/bin/sh\", \"-c\", {says}]\n"),
    );
    host.says(&["once"]);
    assert!(host.simulator.reject(&host.simulator.pending().pop().unwrap(), HOSTILE));
    let once = host.says(&["once", "--wait", "60s"]);
    assert_eq!(once.code, 1);

    let socket = host.path("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    host.environment.push(("NOTIFY_SOCKET".to_owned(), socket.display().to_string()));
    host.start();
    host.wait_state("www", "rejected");
    let hooked = host.wait_state("hooked", "failing");
    let mut told = String::new();
    let mut buffer = [0; 8192];
    while let Ok(length) = systemd.recv(&mut buffer) {
        told.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        told.push('\n');
    }

    let mut places = vec![
        ("once", once.err),
        ("the log", host.log()),
        ("systemd", told.clone()),
        ("an element of the status", hooked["hooks"][0]["error"].as_str().unwrap().to_owned()),
    ];
    for command in [&["status"][..], &["status", "www"], &["status", "--json"], &["status", "hooked"]] {
        places.push(("status", host.says(command).out));
    }
    host.end(Signal::TERM);
    places.push(("status from the files", host.says(&["status"]).out));
    places.push(("plan", host.says(&["plan"]).out));
    for (place, text) in &places {
        assert!(text.contains("marker"), "{place}: {text}");
        check(place, text);
    }
    let is_ours = |line: &str| ["READY=1", "STATUS=", "WATCHDOG=1"].iter().any(|key| line.starts_with(key));
    assert!(told.lines().filter(|line| !line.is_empty()).all(is_ours), "{told}");
    assert_eq!(told.lines().filter(|line| *line == "READY=1").count(), 1, "{told}");
}
