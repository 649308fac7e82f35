//! What an operator puts off: holds, freezes, and the hours in which a certificate is asked for.

use std::time::Duration;

use rustix::process::Signal;

use crate::host::Host;
use crate::simulator::{Issuance, ProfileSpec};

/// An instant so many seconds from now.
fn from_now(seconds: i64) -> String {
    (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string()
}

/// The entry asks for something else from now on, so that it is due at once.
fn edit(host: &Host, name: &str, more: &str) {
    host.entry(name, &format!("dns_names = [\"@.example.com\", \"new.@.example.com\"]\n{more}"));
}

fn is_replaced(host: &Host, name: &str) -> Option<()> {
    let found = host.certificate(name);
    (found["generation"] == 2 && found["state"] == "valid").then_some(())
}

#[test]
fn nothing_is_asked_for_or_switched_until_the_hold_is_released() {
    let mut host = Host::with_www();
    host.entry("mail", "");
    assert_eq!(host.says(&["once"]).code, 0);
    let old = host.live_serial("www");
    host.start();
    let said = host.says(&["hold", "www", "--reason", "the \u{1b}[31mmigration\nof\u{202e} 4711"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.starts_with("holding 1 certificate until `renewd release`"), "{}", said.out);
    let www = host.wait_state("www", "held");
    assert_eq!(www["hold"]["reason"], "the [31mmigration of 4711");
    assert!(www["reason"].as_str().unwrap().contains("`renewd release` ends the hold"), "{www:#}");
    edit(&host, "www", "");
    edit(&host, "mail", "");
    host.signal(Signal::HUP);
    host.until("the other one is replaced", || is_replaced(&host, "mail"));
    assert_eq!(host.end(Signal::TERM), Some(0));
    host.start();
    let said = host.says(&["status"]);
    assert_eq!(said.code, 0, "a hold is healthy: {}", said.out);
    assert!(said.out.contains("held by an operator since"), "{}", said.out);
    let problem = host.status()["problems"][0].clone();
    assert_eq!(
        (&problem["code"], &problem["severity"]),
        (&"certificate-held".into(), &"warning".into()),
        "{problem:#}"
    );
    assert_eq!((host.submissions(), host.live_serial("www")), (3, old));
    let plan = host.says(&["plan"]);
    assert!(plan.out.contains("held by an operator"), "{}", plan.out);
    let said = host.says(&["release", "www", "mail"]);
    assert_eq!((said.code, said.out.trim_end()), (0, "released 1 certificate; not on hold: mail"), "{}", said.err);
    host.until("it is replaced", || is_replaced(&host, "www"));
    assert_eq!(host.submissions(), 4);
    let history = host.says(&["history", "www"]).out;
    for part in ["an operator put it on hold: the [31mmigration of 4711", "an operator released the hold"] {
        assert!(history.contains(part), "{part}: {history}");
    }
}

#[test]
fn an_operators_renewal_ends_the_hold_and_says_so() {
    let mut host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    for generation in [2, 3] {
        assert_eq!(host.says(&["hold", "--all"]).code, 0);
        assert_eq!(host.certificate("www")["state"], "held");
        let said = host.says(&["renew", "www"]);
        assert_eq!(said.code, 0, "{}", said.err);
        assert!(said.err.contains("www: on hold; this ends the hold"), "{}", said.err);
        let www = host.certificate("www");
        assert_eq!((www["generation"].as_i64(), www["state"].as_str()), (Some(generation), Some("valid")), "{www:#}");
        if generation == 2 {
            host.start();
        }
    }
}

/// Without a daemon the order is in the journal, for each pass; what TLM issues meanwhile waits beside its key.
#[test]
fn what_is_pending_is_collected_and_installed_after_the_hold() {
    let host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let old = host.live_serial("www");
    let issuance = Issuance::Pending { approve_after: None };
    host.simulator.change_profile(&host.profile, |profile| profile.issuance = issuance);
    edit(&host, "www", "");
    assert_eq!(host.says(&["once"]).code, 1);
    assert_eq!(host.certificate("www")["state"], "pending");
    assert_eq!(host.says(&["hold", "www"]).code, 0);
    let id = host.simulator.pending().pop().unwrap();
    let www = host.certificate("www");
    assert_eq!((www["state"].as_str(), &www["request"]["id"]), (Some("held"), &id.clone().into()), "{www:#}");
    assert!(host.simulator.approve(&id));
    host.until("it is collected", || {
        assert_eq!(host.says(&["once"]).code, 1, "it is not done");
        let reason = host.certificate("www")["reason"].as_str().unwrap().to_owned();
        reason.contains("a new certificate is issued and waits for that").then_some(())
    });
    assert_eq!(host.live_serial("www"), old);
    assert_eq!(host.says(&["release", "--all"]).out.trim_end(), "released 1 certificate");
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!((host.certificate("www")["generation"].as_i64(), host.submissions()), (Some(2), 2));
}

#[test]
fn a_hold_ends_by_itself_at_its_time() {
    let mut host = Host::with_www();
    assert_eq!(host.says(&["once"]).code, 0);
    let said = host.says(&["hold", "www", "--until", &from_now(-1)]);
    assert!(said.code == 1 && said.err.contains("is over; name a time that is ahead"), "{}", said.err);
    host.start();
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(6);
    assert_eq!(host.says(&["hold", "www", "--until", &until.to_string()]).code, 0);
    edit(&host, "www", "");
    host.signal(Signal::HUP);
    host.until("it is replaced", || is_replaced(&host, "www"));
    let issued = host.simulator.issued();
    // The simulator's certificates begin a minute before they are made.
    let begun = issued[1].not_before + 60;
    assert!(begun >= until.as_second(), "asked for {} s too early", until.as_second() - begun);
    assert_eq!(host.status()["problems"].as_array().unwrap().len(), 0, "{:#}", host.status());
}

#[test]
fn the_emergency_stage_ends_a_hold_unless_it_is_to_outlast_it() {
    let lifetime = Duration::from_secs(24);
    let mut host = Host::new(ProfileSpec { lifetime, ..ProfileSpec::default() });
    host.entry("www", "");
    host.entry("firm", "");
    assert_eq!(host.says(&["once"]).code, 0);
    for arguments in [&["hold", "www"][..], &["hold", "firm", "--even-emergency"]] {
        assert_eq!(host.says(arguments).code, 0);
    }
    host.start();
    host.until("the hold gives way", || (host.certificate("www")["generation"] == 2).then_some(()));
    let held = host.wait_state("www", "held");
    assert!(held["reason"].as_str().unwrap().contains("as does revocation or approaching expiry"), "{held:#}");
    let firm = host.until("the other one is loud", || {
        let problems = host.status()["problems"].as_array().cloned().unwrap_or_default();
        let is_its = |problem: &serde_json::Value| problem["certificates"] == serde_json::json!(["firm"]);
        problems.into_iter().find(is_its).filter(|problem| problem["severity"] == "error")
    });
    assert!(["certificate-held", "certificate-expired"].contains(&firm["code"].as_str().unwrap()), "{firm:#}");
    assert_eq!(host.says(&["status"]).code, 1);
    assert_eq!(host.certificate("firm")["generation"], 1);
}

#[test]
fn who_is_not_there_cannot_be_held() {
    let mut host = Host::with_www();
    for _ in ["without a daemon", "with one"] {
        for command in ["hold", "release"] {
            let said = host.says(&[command, "www", "nosuch"]);
            assert_eq!((said.code, said.err.trim_end()), (1, "no certificate named nosuch"), "{command}");
            assert_eq!(host.says(&[command]).code, 2, "{command} of nothing");
        }
        if host.log().is_empty() {
            host.start();
        }
    }
    assert_eq!(host.says(&["hold", "www", "--reason", " \n"]).code, 2);
    assert_eq!(host.says(&["hold", "www", "--reason", &"x".repeat(201)]).code, 2);
    assert!(!host.says(&["history", "www"]).out.contains("hold"), "nothing was held");
}

#[test]
fn a_freeze_lets_tlm_issue_and_puts_the_switch_off() {
    let mut host = Host::with_www();
    host.start();
    host.wait_state("www", "valid");
    let old = host.live_serial("www");
    let until = from_now(3600);
    host.configure("", &format!("[[freeze]]\nfrom = \"{}\"\nuntil = \"{until}\"\n", from_now(-3600)));
    edit(&host, "www", "");
    host.signal(Signal::HUP);
    let www = host.wait_state("www", "staged");
    let reason = www["reason"].as_str().unwrap();
    assert!(reason.contains(&format!("renewd installs it when the freeze ends at {}", &until[..16])), "{www:#}");
    assert_eq!(www["reason_code"], "frozen");
    assert_eq!((host.submissions(), host.live_serial("www")), (2, old.clone()));
    assert_eq!(host.says(&["status"]).code, 0, "a freeze is healthy");
    assert_eq!(host.end(Signal::TERM), Some(0));
    assert_eq!(host.says(&["once"]).code, 1, "nor does a pass of its own switch it in");
    assert_eq!(host.live_serial("www"), old);
    host.start();
    host.configure("", "");
    host.signal(Signal::HUP);
    host.until("it is installed", || is_replaced(&host, "www"));
    assert_eq!(host.submissions(), 2);
}

#[test]
fn a_certificate_is_asked_for_in_its_window() {
    let host = Host::new(ProfileSpec::default());
    // It opens in two hours, for an hour.
    let at = |hours: i64| from_now(hours * 3600)[11..16].to_owned();
    let window = format!("request_window = \"{}-{}\"\nrequest_time_zone = \"UTC\"\n", at(2), at(3));
    host.entry("www", &window);
    assert_eq!(host.says(&["once"]).code, 0, "the first one does not wait");
    edit(&host, "www", &window);
    assert_eq!(host.says(&["once"]).code, 1);
    let www = host.certificate("www");
    assert_eq!((www["state"].as_str(), www["reason_code"].as_str()), (Some("due"), Some("request-window-closed")));
    assert!(www["reason"].as_str().unwrap().contains("when the request window opens at"), "{www:#}");
    assert!(host.says(&["plan"]).out.contains("when the request window opens at"));
    assert_eq!((host.submissions(), host.says(&["status"]).code), (1, 0));
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    assert_eq!(host.submissions(), 2);
}

#[test]
fn freezes_that_are_over_or_leave_no_time_are_remarked() {
    let host = Host::new(ProfileSpec::default());
    host.entry("www", "deploy_window = \"Sat 02:00-05:00\"\ndeploy_time_zone = \"UTC\"\n");
    host.entry("mail", "deploy_window = \"Sat,Sun 02:00-05:00\"\ndeploy_time_zone = \"UTC\"\n");
    let over = format!("[[freeze]]\nfrom = \"{}\"\nuntil = \"{}\"\n", from_now(-7200), from_now(-3600));
    let weekly = |days: &str| format!("[[freeze]]\nhours = \"{days} 00:00-24:00\"\ntime_zone = \"UTC\"\n");
    host.configure("", &format!("{over}{}", weekly("Sat")));
    let said = host.says(&["check"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("is over\n  fix: take it out of the file"), "{}", said.err);
    assert!(said.err.contains("certificate `www`: `deploy_window` is open only while"), "{}", said.err);
    assert!(!said.err.contains("`mail`"), "{}", said.err);
    host.configure("", &format!("{}{}", weekly("Mon-Fri"), weekly("Sat,Sun")));
    let said = host.says(&["check"]);
    assert!(said.err.contains("the weekly freezes leave no time for a switch"), "{}", said.err);
}
