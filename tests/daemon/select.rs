//! Selectors: which certificates `renew`, `hold`, `release`, `status` and `history` mean, with the daemon and without.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::Stdio;
use std::time::Duration;

use crate::host::{Host, Said};
use crate::simulator::ProfileSpec;

const DAY: Duration = Duration::from_secs(86_400);

/// Two certificates of a profile of 90 days, and two of one of 30 days, of which one keeps its key.
struct Fleet {
    host: Host,
    mail: String,
}

fn fleet() -> Fleet {
    let host = Host::with_www();
    let mail = host.simulator.add_profile(ProfileSpec {
        name: "Mail hosts".to_owned(),
        lifetime: DAY * 30,
        ..ProfileSpec::default()
    });
    host.entry("api", "");
    host.entry("imap", "profile = \"Mail hosts\"\n");
    host.entry("smtp", &format!("profile = {mail:?}\nreuse_key = true\n"));
    assert_eq!(host.says(&["once"]).code, 0);
    Fleet { host, mail }
}

impl Fleet {
    /// The certificates that the status shows of these selectors.
    #[track_caller]
    fn shown(&self, selectors: &[&str]) -> Vec<String> {
        let said = self.host.says(&[&["status", "--json"], selectors].concat());
        let status: serde_json::Value =
            serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{selectors:?}: {}", said.err));
        let names = status["certificates"].as_array().unwrap().iter();
        names.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    }

    /// What a command says with this on its standard input.
    fn piped(&self, call: &[&str], input: &str) -> Said {
        let mut command = self.host.command();
        command.args(call).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Said {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn generations(&self) -> Vec<u64> {
        let status = self.host.status();
        status["certificates"].as_array().unwrap().iter().map(|one| one["generation"].as_u64().unwrap()).collect()
    }
}

#[test]
fn each_selector_means_what_the_status_shows() {
    let mut fleet = fleet();
    let mail = fleet.mail.clone();
    let in_forty_days = (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(40 * 24)).to_string();
    let file = fleet.host.path("certs.d/api.toml").display().to_string();
    let serial = fleet.host.certificate("www")["serial_number"].as_str().unwrap().to_ascii_lowercase();
    fleet.host.write("serials.txt", &format!("# theirs\nserial=00{serial}\nDEADBEEF\n"));
    let list = fleet.host.path("serials.txt").display().to_string();
    for with_daemon in [false, true] {
        if with_daemon {
            fleet.host.start();
        }
        for (selectors, expected) in [
            (&["--profile", "Mail hosts"][..], &["imap", "smtp"][..]),
            (&["--profile", &mail], &["imap", "smtp"]),
            (
                &["--profile", &mail.to_ascii_uppercase(), "--profile", &fleet.host.profile],
                &["api", "imap", "smtp", "www"],
            ),
            (&["--issuer", "Simulated Issuing CA"], &["api", "imap", "smtp", "www"]),
            (&["--ends-before", &in_forty_days], &["imap", "smtp"]),
            (&["--ends-before", &in_forty_days, "--file", "imap.toml"], &["imap"]),
            (&["--file", &file], &["api"]),
            (&["--file", "api.toml", "--file", "www.toml", "--profile", &fleet.host.profile], &["api", "www"]),
            (&["--key-older-than", "1s"], &["api", "imap", "smtp", "www"]),
            (&["--serials", &list], &["www"]),
        ] {
            assert_eq!(fleet.shown(selectors), expected, "{selectors:?}, with a daemon: {with_daemon}");
        }
        for (selectors, parts) in [
            (&["--profile", "Mial hosts"][..], &["no certificate matches --profile Mial hosts"][..]),
            (&["--profile", &mail, "--profile", "nix"], &["no certificate matches --profile nix"]),
            (&["--issuer", "Nobody"], &["matches --issuer Nobody; the issuers are:\n  CN=Simulated Issuing CA"]),
            (&["--ends-before", "2020-01-01T00:00:00Z"], &["matches --ends-before 2020-01-01T00:00:00Z"]),
            (&["--key-older-than", "400d"], &["matches --key-older-than 400 d"]),
            (&["--file", "other.toml"], &["matches --file other.toml"]),
            (&["--profile", &mail, "--file", "api.toml"], &["no certificate matches all of --profile (2), --file (1)"]),
        ] {
            for command in [&["status"][..], &["history"], &["renew"], &["hold"], &["release"]] {
                let said = fleet.host.says(&[command, selectors].concat());
                assert_eq!((said.code, said.out.as_str()), (1, ""), "{command:?} {selectors:?}: {}", said.err);
                parts.iter().for_each(|part| assert!(said.err.contains(part), "{part}: {}", said.err));
            }
        }
        assert_eq!(fleet.host.submissions(), 4, "nothing that matches nothing means all");
    }
}

#[test]
fn renew_hold_release_and_history_take_the_same_selectors() {
    let mut fleet = fleet();
    let host = &mut fleet.host;
    // Without a daemon, and with one.
    assert_eq!(host.says(&["renew", "--profile", "Mail hosts"]).code, 0);
    host.start();
    let said = host.says(&["renew", "--profile", "Mail hosts", "--file", "smtp.toml"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(fleet.generations(), [1, 2, 3, 1], "api, imap, smtp, www");
    let host = &fleet.host;
    let said = host.says(&["hold", "--profile", "Mail hosts", "--reason", "4711"]);
    assert!(said.code == 0 && said.out.starts_with("holding 2 certificates "), "{} {}", said.out, said.err);
    let said = host.says(&["release", "--file", "imap.toml", "--file", "api.toml"]);
    assert_eq!((said.code, said.out.trim_end()), (0, "released 1 certificate; not on hold: api"), "{}", said.err);
    let table = host.says(&["status", "--profile", "Mail hosts"]);
    assert!(table.code == 0 && table.out.contains("\nsmtp ") && !table.out.contains("\nwww "), "{}", table.out);
    let others = host.says(&["status", "--file", "www.toml"]);
    assert!(!others.out.contains("certificate-held"), "what concerns others alone is not told: {}", others.out);
    let history = host.says(&["history", "--profile", "Mail hosts"]).out;
    assert!(history.starts_with("WHEN") && history.contains(" smtp ") && !history.contains(" www "), "{history}");
    let history: serde_json::Value =
        serde_json::from_str(&host.says(&["history", "--json", "--profile", "Mail hosts"]).out).unwrap();
    let named: Vec<_> = history["certificates"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(named, ["imap", "smtp"]);
    for with in [&["www"][..], &["--all"]] {
        for command in ["renew", "hold", "release"] {
            assert_eq!(host.says(&[&[command, "--file", "www.toml"], with].concat()).code, 2, "{command} {with:?}");
        }
    }
    for command in ["status", "history"] {
        assert_eq!(host.says(&[command, "--file", "www.toml", "www"]).code, 2, "{command}");
    }
}

#[test]
fn a_list_of_serial_numbers_is_taken_as_cas_send_it() {
    let mut fleet = fleet();
    fleet.host.start();
    let host = &fleet.host;
    let serial = |name: &str| host.certificate(name)["serial_number"].as_str().unwrap().to_owned();
    let pairs = |serial: &str, between: &str| {
        let pairs: Vec<String> = serial.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into()).collect();
        pairs.join(between)
    };
    let (www, api) = (serial("www"), serial("api"));
    let table = format!(
        "Order number,Serial number,Names\n1,{},\"a, b\"\n2,0x{},c\n3,0BADCAFE,d\n4,0BADCAFF,e\n",
        pairs(&www, ":"),
        api.to_ascii_lowercase()
    );
    let said = fleet.piped(&["status", "--json", "--serials", "-"], &table);
    let strange =
        "--serials -: 2 of 4 serial numbers belong to no certificate that is installed here: 0BADCAFE, 0BADCAFF";
    assert!(said.err.contains(strange), "{}", said.err);
    let status: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let named: BTreeSet<&str> =
        status["certificates"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(named, BTreeSet::from(["api", "www"]));
    let said = fleet.piped(&["renew", "--serials", "-"], &format!("{}\r\n\r\n{}\r\n", pairs(&www, " "), www));
    assert_eq!((said.code, host.submissions()), (0, 5), "{}", said.err);
    assert_eq!(said.err, "", "every serial number is somebody's");
    let said = fleet.piped(&["renew", "--serials", "-"], &format!("{www}\n"));
    assert_eq!(said.code, 1, "it is installed no more: {}", said.err);
    assert!(
        said.err.contains("1 of 1 serial numbers") && said.err.contains("no certificate matches --serials -"),
        "{}",
        said.err
    );
    let said = fleet.piped(&["renew", "--serials", "-"], &format!("{api}\nwww.example.com\n"));
    assert_eq!((said.code, host.submissions()), (1, 5), "{}", said.err);
    assert_eq!(said.err, "--serials -: line 2: \"www.example.com\" is not a serial number\n");
    let said = host.says(&["hold", "--serials", "/nonexistent/list"]);
    assert!(said.code == 1 && said.err.starts_with("--serials /nonexistent/list: No such file"), "{}", said.err);
}

/// The oldest generation that had it is gone by then.
#[test]
fn a_key_is_as_old_as_the_first_certificate_with_it() {
    let fleet = fleet();
    let host = &fleet.host;
    host.configure("keep_generations = 1", "");
    let (first, fresh) = (host.certificate("smtp"), host.certificate("imap"));
    assert_eq!(first["key_since"], first["not_before"]);
    let renewed = host.until("a certificate of another second has the same key", || {
        assert_eq!(host.says(&["renew", "smtp", "imap"]).code, 0);
        let smtp = host.certificate("smtp");
        let is_done = smtp["generation"].as_u64() > Some(2) && smtp["not_before"] != first["not_before"];
        is_done.then_some((smtp, host.certificate("imap")))
    });
    let (smtp, imap) = renewed;
    assert_eq!(smtp["key_since"], first["key_since"], "{smtp:#}");
    assert_eq!(imap["key_since"], imap["not_before"], "a new key is new: {fresh:#} {imap:#}");
    assert!(host.says(&["status", "smtp"]).out.contains("key since"));
}

/// Twenty thousand names of the greatest length, which are more than a megabyte, are one order.
#[test]
fn an_order_takes_twenty_thousand_names() {
    let mut host = Host::with_www();
    host.start();
    let names: Vec<String> = (0..20_000).map(|number| format!("{number:0>64}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let said = host.says(&[&["hold"], names.as_slice()].concat());
    assert_eq!(said.code, 1);
    assert!(said.err.starts_with("no certificate named 0000") && said.err.len() > 20_000 * 64, "{}", said.err.len());
}
