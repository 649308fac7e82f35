//! `revoke_superseded`: what was replaced is revoked at TLM once the new one was in service for so long, and nothing else.
//! The hour of the shortest span is written into the journal, as if it had passed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::Value;

use renewd::store::lines;

use crate::host::{Host, safe_folder};
use crate::simulator::{Endpoint, Fault, FaultKind, RetryAfter};

const HOUR: Duration = Duration::from_secs(3600);
const WANTED: &str = "hooks = [\"tell\"]\nrevoke_superseded = \"1h\"\n[hook.tell]\ncommand = [\"/bin/true\"]\n";

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn standing(host: &Host, serial: &str) -> (String, Option<String>) {
    host.simulator.change(|state| {
        let record = state.certificate_mut(serial).unwrap();
        (record.status_word().to_owned(), record.revocation_reason.clone())
    })
}

fn orders(host: &Host) -> usize {
    host.simulator.requests().iter().filter(|request| request.method == "PUT").count()
}

/// What the history tells of an event of this kind, last.
fn told(host: &Host, kind: &str) -> Option<String> {
    let history: Value = serde_json::from_str(&host.says(&["history", "www", "--json"]).out).unwrap();
    let found = history["events"].as_array().unwrap().iter().rev().find(|event| event["event"] == kind).cloned();
    found.map(|event| event["message"].as_str().unwrap().to_owned())
}

/// A certificate that was replaced once, with the new one in service; the daemon runs. The serial numbers of both.
fn replaced(more: &str) -> (Host, String, String) {
    let mut host = Host::with_www();
    host.entry("www", &format!("{more}{WANTED}"));
    host.start();
    host.wait_state("www", "valid");
    let first = host.live_serial("www");
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    let second = host.live_serial("www");
    host.until("it is in service", || told(&host, "service-seen"));
    (host, first, second)
}

/// Ends the daemon, and has the new one in service since this long ago.
fn in_service_for(host: &mut Host, span: Duration) -> Duration {
    assert_eq!(host.end(Signal::TERM), Some(0));
    let since = now() - span;
    let path = host.path("state/journal");
    let text = host.read(&path);
    let moved = text.split_inclusive('\n').map(|line| {
        let event = lines::decode(line.as_bytes()).and_then(|json| serde_json::from_slice::<Value>(json).ok());
        match event.filter(|event| event["event"] == "service-seen") {
            Some(mut event) => {
                event["at"] = u64::try_from(since.as_millis()).unwrap().into();
                String::from_utf8(lines::encode(&event)).unwrap()
            }
            None => line.to_owned(),
        }
    });
    host.write("state/journal", &moved.collect::<String>());
    since
}

#[test]
fn what_was_replaced_is_revoked_once_the_new_one_was_in_service_for_so_long() {
    let (mut host, first, second) = replaced("");
    let superseded = &host.certificate("www")["superseded"];
    assert_eq!(superseded[0]["serial_number"], first.as_str(), "{superseded}");
    assert!(superseded[0]["revoke_at"].is_string() && superseded.as_array().unwrap().len() == 1, "{superseded}");
    let shown = host.says(&["status", "www"]).out;
    assert!(shown.contains(&format!("{first}, to be revoked ")), "{shown}");

    let plan = host.says(&["plan", "--json"]).out;
    assert!(plan.contains("; what it replaced is to be revoked at ") && plan.contains(&first), "{plan}");

    let since = in_service_for(&mut host, HOUR - Duration::from_secs(6));
    host.start();
    host.wait_state("www", "valid");
    assert_eq!((orders(&host), standing(&host, &first).0), (0, "issued".to_owned()), "not a second before");
    let said = host.until("it is revoked", || told(&host, "superseded-revoked"));
    assert!(now() >= since + HOUR && said == format!("TLM revoked {first}, which it replaced"), "{said}");
    assert_eq!(standing(&host, &first), ("revoked".to_owned(), Some("superseded".to_owned())));
    assert_eq!((orders(&host), standing(&host, &second).0), (1, "issued".to_owned()));
    let certificate = host.certificate("www");
    assert!(certificate["superseded"].is_null() && certificate["state"] == "valid", "{certificate}");

    // Nobody goes back to it.
    let said = host.says(&["rollback", "www"]);
    assert!(said.code == 1 && said.err.contains("generation 1 is revoked"), "{said:?}");
    assert_eq!(host.live_serial("www"), second);
}

#[test]
fn a_hold_puts_it_off_and_so_does_another_entry_that_presents_it() {
    let (mut host, first, _) = replaced("");
    let (old, folder) = (host.path("state/certs/www/1"), safe_folder());
    let copies = [("private_key", "privkey.pem"), ("fullchain", "fullchain.pem")].map(|(key, file)| {
        let copy = folder.path().join(file);
        std::fs::copy(old.join(file), &copy).unwrap();
        format!("{key} = {copy:?}\n")
    });
    let files = copies.concat();
    let names = "dns_names = [\"www.example.com\", \"alt.www.example.com\"]\n";
    host.write(
        "certs.d/other.toml",
        &format!(
            "[[certificate]]\nname = \"other\"\nprofile = {:?}\ncommon_name = \"www.example.com\"\n{names}\
             [certificate.files]\n{files}",
            host.profile
        ),
    );
    assert_eq!(host.says(&["hold", "www"]).code, 0);
    in_service_for(&mut host, HOUR * 2);
    host.start();
    host.wait_state("www", "held");
    assert_eq!(host.wait_state("other", "valid")["serial_number"], first.as_str());
    assert_eq!(orders(&host), 0, "it is held");

    assert_eq!(host.says(&["release", "www"]).code, 0);
    let reason = host.until("it waits for the other", || {
        Some(host.certificate("www")["reason"].as_str()?.to_owned()).filter(|reason| reason.contains("other"))
    });
    assert!(reason.contains(&format!("({first}) once other no longer presents it")), "{reason}");
    assert_eq!((orders(&host), standing(&host, &first).0), (0, "issued".to_owned()));
}

#[test]
fn a_missing_right_is_a_remark_and_delays_no_renewal() {
    let (mut host, first, second) = replaced("");
    host.simulator.fault(Fault::new(FaultKind::Status(403, RetryAfter::Absent)).at(Endpoint::Revoke));
    in_service_for(&mut host, HOUR * 2);
    host.start();
    host.until("TLM refuses", || told(&host, "revocation-failed"));
    let certificate = host.until("the remark", || {
        Some(host.certificate("www")).filter(|found| found["remarks"][0]["code"] == "superseded-unrevoked")
    });
    let message = certificate["remarks"][0]["message"].as_str().unwrap();
    assert!(message.contains(&first) && message.contains("a right of its own beside issuing"), "{message}");
    assert_eq!((certificate["state"].as_str(), certificate["failures"].as_u64()), (Some("valid"), Some(0)));
    assert_eq!(host.status()["healthy"], true);
    assert_eq!(host.status()["api"]["state"], "ok", "it says nothing of anything else");

    // A renewal goes on, and the same is not tried again before a day, also across a restart.
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    assert_ne!(host.live_serial("www"), second);
    host.end(Signal::TERM);
    host.start();
    host.wait_state("www", "valid");
    assert_eq!(orders(&host), 1);
}

#[test]
fn what_was_revoked_meanwhile_is_no_failure() {
    let (mut host, first, _) = replaced("");
    // As after an order whose answer nobody wrote down.
    assert_eq!(host.says(&["revoke", "--serial", &first, "--reason", "superseded"]).code, 0);
    in_service_for(&mut host, HOUR * 2);
    host.start();
    let said = host.until("it is settled", || told(&host, "superseded-revoked"));
    assert_eq!(said, format!("{first}, which it replaced, had been revoked before"));
    assert_eq!((orders(&host), host.wait_state("www", "valid")["superseded"].is_null()), (2, true));
}
