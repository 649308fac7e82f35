//! A refusal that names its own remedy is followed in the same pass: `once` and `renew` without a daemon end with what
//! was asked for, not with a line for tomorrow's cron.

use std::time::{Duration, SystemTime};

use crate::host::{Host, ISSUE, Said};
use crate::simulator::{Endpoint, Fault, FaultKind, Issuance, ProfileSpec, RetryAfter};

/// One installed certificate under a profile that allows no duplicates, whose state at TLM is never looked at.
fn strict() -> Host {
    let host = Host::new(ProfileSpec { allows_duplicates: false, ..ProfileSpec::default() });
    host.configure("", "status_check_interval = \"off\"\n");
    host.entry("www", "");
    done(&host, &["once"]);
    host
}

#[track_caller]
fn done(host: &Host, arguments: &[&str]) -> Said {
    let said = host.says(arguments);
    assert_eq!(said.code, 0, "{arguments:?}: {}{}\n{:#}", said.err, said.out, host.status());
    said
}

/// Lets the operator ask for a replacement while nobody can be reached: the next pass finds it asked for.
fn ask_unheard(host: &mut Host) {
    host.simulator.stop();
    assert_eq!(host.says(&["renew", "www"]).code, 1);
    host.simulator.restart();
}

fn renewals(host: &Host) -> usize {
    let calls = host.simulator.requests().into_iter();
    calls.filter(|call| call.method == "POST" && call.path.ends_with("/renew")).count()
}

#[test]
fn what_turns_out_to_be_revoked_is_asked_for_anew_in_the_same_pass() {
    for command in [&["once"][..], &["renew", "www"]] {
        let mut host = strict();
        let old = host.live_serial("www");
        if command == ["once"] {
            ask_unheard(&mut host);
        }
        assert!(host.simulator.revoke(&old));
        done(&host, command);
        assert_ne!(host.live_serial("www"), old, "{command:?}");
        assert_eq!((renewals(&host), host.simulator.count("POST", ISSUE)), (1, 3), "{command:?}");
    }
}

/// The window opens so long from now.
fn opens_in(host: &Host, ahead: Duration) {
    let opens = (SystemTime::now() + ahead).duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let end = Duration::from_secs(host.simulator.issued()[0].not_after.try_into().unwrap());
    host.simulator.change_profile(&host.profile, |profile| {
        profile.renewal_window_override = Some(Duration::from_secs((end - opens).as_secs()));
    });
}

#[test]
fn a_renewal_that_is_too_early_by_seconds_is_waited_for() {
    for command in [&["once"][..], &["renew", "www"]] {
        let mut host = strict();
        if command == ["once"] {
            ask_unheard(&mut host);
        }
        opens_in(&host, Duration::from_secs(5));
        done(&host, command);
        assert_eq!((renewals(&host), host.simulator.issued().len()), (2, 2), "{command:?}");
        assert_eq!(host.live_serial("www"), host.simulator.issued()[1].serial, "{command:?}");
    }
}

#[test]
fn nobody_waits_an_hour_for_a_window() {
    let host = strict();
    opens_in(&host, Duration::from_secs(3600));
    let begun = std::time::Instant::now();
    host.says(&["renew", "www"]);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    assert!(host.certificate("www")["reason"].as_str().unwrap().starts_with("TLM allows renewal from "));
}

#[test]
fn another_key_takes_over_in_the_same_pass() {
    let refused = || Fault::new(FaultKind::Status(401, RetryAfter::Absent)).once();
    for fault in [Some(refused().at(Endpoint::Issue)), Some(refused().at(Endpoint::Profile)), None] {
        let host = Host::with_www();
        host.write("second-key", &host.simulator.add_key());
        let [first, second] = ["api-key", "second-key"].map(|name| host.path(name).display().to_string());
        host.configure("", &format!("api_key_file = [{first:?}, {second:?}]\n"));
        match fault {
            Some(fault) => host.simulator.fault(fault),
            None => host.simulator.revoke_key(&host.simulator.api_key()),
        }
        done(&host, &["once"]);
        host.live_serial("www");
    }
}

#[test]
fn a_key_that_is_lost_is_replaced_in_the_same_pass() {
    let host = Host::new(ProfileSpec { issuance: Issuance::Pending { approve_after: None }, ..ProfileSpec::default() });
    host.entry("www", "");
    assert_eq!(host.says(&["once"]).code, 1, "it is pending");
    std::fs::remove_file(host.path("state/pending/www/1/privkey.pem")).unwrap();
    assert!(host.simulator.approve(&host.simulator.pending()[0]));
    host.simulator.change_profile(&host.profile, |profile| profile.issuance = Issuance::Immediate);
    done(&host, &["once", "--wait", "20s"]);
    assert_eq!(host.live_serial("www"), host.simulator.issued()[1].serial);
}

#[test]
fn a_profile_that_was_deleted_and_came_back_holds_no_pass_back() {
    let host = Host::with_www();
    host.simulator.change_profile(&host.profile, |profile| profile.status = "Deleted".to_owned());
    assert_eq!(host.says(&["once"]).code, 1);
    host.simulator.change_profile(&host.profile, |profile| profile.status = "Active".to_owned());
    done(&host, &["once"]);
    host.live_serial("www");
}
