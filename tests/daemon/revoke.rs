//! `renewd revoke`: what nobody presents is revoked; what somebody does is not, unless it is replaced at once.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::host::Host;
use crate::simulator::{Endpoint, Fault, FaultKind, RetryAfter};

/// How a certificate stands in TLM, and why.
fn standing(host: &Host, serial: &str) -> (String, Option<String>) {
    host.simulator.change(|state| {
        let record = state.certificate_mut(serial).unwrap();
        (record.status_word().to_owned(), record.revocation_reason.clone())
    })
}

fn valid() -> Host {
    let mut host = Host::with_www();
    host.entry("www", "");
    host.start();
    host.wait_state("www", "valid");
    host
}

#[test]
fn what_was_replaced_is_revoked_and_what_is_presented_is_not() {
    let host = valid();
    let first = host.live_serial("www");
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    let second = host.live_serial("www");

    for call in
        [&["revoke", "www", "--reason", "superseded"], &["revoke", "--serial", &second, "--reason", "superseded"][..]]
    {
        let said = host.says(call);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(
            said.err.contains(&format!("{second} is what www presents; replace it first (run: renewd renew www)")),
            "{said:?}"
        );
    }
    assert_eq!(standing(&host, &second).0, "issued");

    // As openssl writes it.
    let pairs: Vec<String> =
        first.to_lowercase().as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned()).collect();
    let said = host.says(&["revoke", "--serial", &pairs.join(":"), "--reason", "superseded"]);
    assert_eq!((said.code, said.out.trim()), (0, format!("revoked {first}").as_str()), "{said:?}");
    assert_eq!(standing(&host, &first), ("revoked".to_owned(), Some("superseded".to_owned())));
    let said = host.says(&["revoke", "--serial", &first, "--reason", "superseded"]);
    assert_eq!((said.code, said.out.trim()), (0, format!("{first} was revoked already").as_str()), "{said:?}");
    assert_eq!(host.live_serial("www"), second);
}

#[test]
fn what_is_presented_is_revoked_by_force_and_replaced_at_once() {
    let host = valid();
    let first = host.live_serial("www");
    let said = host.says(&["revoke", "www", "--reason", "key_compromise", "--force"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains(&format!("revoked {first}")), "{said:?}");
    assert_eq!(standing(&host, &first), ("revoked".to_owned(), Some("key_compromise".to_owned())));
    let second = host.live_serial("www");
    assert!(second != first && standing(&host, &second).0 == "issued");
    assert_eq!(host.wait_state("www", "valid")["generation"], 2);
}

/// Whoever sits at a terminal is asked, with whose certificate it is.
#[test]
fn on_a_terminal_only_yes_revokes() {
    let host = valid();
    let first = host.live_serial("www");
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    let call = format!(
        "{} --config {} revoke --serial {first} --reason superseded",
        env!("CARGO_BIN_EXE_renewd"),
        host.path("renewd.toml").display()
    );
    for (typed, code, standing_then) in [("\n", 1, "issued"), ("y\n", 1, "issued"), ("yes\n", 0, "revoked")] {
        let mut script = Command::new("script");
        script.args(["-qefc", &call, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().unwrap();
        // It stays open: a terminal that is closed would be an answer.
        let mut terminal = script.stdin.take().unwrap();
        terminal.write_all(typed.as_bytes()).unwrap();
        let output = script.wait_with_output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let question = format!("permanently revoke {first} (\"www.example.com\", valid until ");
        assert!(shown.contains(&question) && shown.contains("reason superseded? Type yes to continue:"), "{shown}");
        assert_eq!(output.status.code(), Some(code), "{typed:?}: {shown}");
        assert_eq!(standing(&host, &first).0, standing_then, "{typed:?}: {shown}");
    }
}

#[test]
fn what_cannot_be_revoked_is_told_with_what_to_do() {
    let host = valid();
    let installed = host.live_serial("www");
    for (call, words) in [
        (vec!["revoke", "--serial", "0BAD", "--reason", "superseded"], "`renewd history NAME` show serial numbers"),
        (vec!["revoke", "mail", "--reason", "superseded"], "mail: no certificate of this name is installed"),
        (vec!["revoke", "www", "--reason", "boredom", "--force"], "invalid value 'boredom'"),
        (vec!["revoke", "--serial", "0xyz", "--reason", "superseded"], "a serial number is hexadecimal"),
        (vec!["revoke", "--reason", "superseded"], "required"),
    ] {
        let said = host.says(&call);
        assert!(said.code > 0 && said.err.contains(words), "{call:?}: {said:?}");
    }
    host.simulator.fault(Fault::new(FaultKind::Status(403, RetryAfter::Absent)).at(Endpoint::Revoke));
    let said = host.says(&["revoke", "www", "--reason", "superseded", "--force"]);
    assert!(said.code == 1 && said.err.contains("let the API key's user revoke in TLM"), "{said:?}");
    assert_eq!((host.live_serial("www"), standing(&host, &installed).0), (installed, "issued".to_owned()));
}
