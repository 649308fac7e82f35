//! The end that counts with the real binary: the earliest of leaf and served chain. What a TLS client refuses is never
//! called healthy, and a CA that goes on issuing under the same end is not asked without end.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::host::{Host, safe_folder};

const DAY: i64 = 86_400;

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A host whose CA certificate ends so many seconds from now, as answers and profile show it.
fn with_ca_that_ends_in(seconds: i64) -> (Host, i64) {
    let (host, end) = (Host::with_www(), now() + seconds);
    host.simulator.change(|state| {
        state.variants.ca_ends = Some(end);
        state.variants.profile_ca_ends = Some(end);
    });
    (host, end)
}

fn rfc3339(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

#[test]
fn a_chain_that_ends_before_the_leaf_is_told_everywhere() {
    let (host, end) = with_ca_that_ends_in(40 * DAY);
    assert_eq!(host.says(&["once"]).code, 0);
    let www = host.certificate("www");
    let ca = "CN=Simulated Issuing CA";
    assert_eq!((www["ends"]["at"].as_str(), www["ends"]["of"].as_str()), (Some(&*rfc3339(end)), Some("chain")));
    assert!(www["ends"]["subject"].as_str().unwrap().contains(ca), "{www}");
    assert!(www["issuer"]["subject"].as_str().unwrap().contains(ca), "{www}");
    assert_eq!(www["issuer"]["spki"].as_str().map(str::len), Some(64), "{www}");
    assert_eq!(www["remarks"][0]["code"], "chain-ends-first", "{www}");
    assert!(www["not_after"].as_str() > www["ends"]["at"].as_str(), "the leaf's own end is told, too: {www}");
    assert!(www["renew_at"].as_str() < www["ends"]["at"].as_str(), "{www}");
    for command in [&["status"][..], &["status", "www"], &["plan"], &["history", "www"]] {
        let said = host.says(command).out;
        assert!(said.contains(ca), "{command:?}: {said}");
    }
    let plan: serde_json::Value = serde_json::from_str(&host.says(&["plan", "--json"]).out).unwrap();
    assert_eq!(plan["certificates"][0]["ends"], www["ends"]);
    let late = host.says(&["status", "--json"]);
    assert_eq!(late.code, 0, "there is time: {}", late.out);
    assert_eq!(host.says(&["once"]).code, 0);
    assert_eq!(host.submissions(), 1);
}

#[test]
fn a_ca_that_issues_under_the_same_end_is_not_asked_again_and_again() {
    // What it issues is due by the chain's end in a moment, since the leaf began a minute ago.
    let (host, _) = with_ca_that_ends_in(27);
    host.until("it is due", || {
        host.says(&["once"]);
        (host.submissions() == 2).then_some(())
    });
    let codes: Vec<i32> = (0..5).map(|_| host.says(&["once"]).code).collect();
    let www = host.certificate("www");
    assert_eq!((host.submissions(), codes.last()), (2, Some(&1)), "{www}");
    assert_eq!(www["state"], "rejected", "{www}");
    let reason = www["reason"].as_str().unwrap();
    assert!(reason.contains("ends-no-later") && reason.contains("CN=Simulated Issuing CA"), "{reason}");
}

#[test]
fn leaves_that_the_ca_cuts_at_its_own_end_are_no_loop_either() {
    let (host, _) = with_ca_that_ends_in(15);
    host.simulator.change(|state| state.variants.cuts_at_ca_end = true);
    for _ in 0..6 {
        host.says(&["once"]);
    }
    let www = host.certificate("www");
    assert_eq!(host.submissions(), 2, "{www}");
    assert!(www["reason"].as_str().unwrap().contains("ends-no-later"), "{www}");
}

#[test]
fn a_newer_certificate_of_the_ca_is_taken_from_the_profile_alone() {
    let (mut host, end) = with_ca_that_ends_in(40 * DAY);
    host.configure("[hook.touch]\ncommand = [\"/bin/true\"]\n", "");
    host.entry("www", "hooks = [\"touch\"]\n");
    assert_eq!(host.says(&["once"]).code, 0);
    let before = host.certificate("www");
    let key = host.read(&host.live("www").join("privkey.pem"));
    host.simulator.change(|state| state.variants.profile_ca_ends = None);
    host.start();
    // Of its own accord it reads a profile that it knows within ten minutes of the start, and then daily.
    host.signal(Signal::HUP);
    let after = host.until("the chain is refreshed", || {
        Some(host.certificate("www")).filter(|found| found["ends"]["of"] == "leaf" && found["state"] == "valid")
    });
    assert_eq!(after["serial_number"], before["serial_number"]);
    assert_eq!(host.read(&host.live("www").join("privkey.pem")), key);
    assert_eq!(host.live_serial("www"), after["serial_number"].as_str().unwrap(), "the chain is the usual one");
    assert_eq!((after["generation"].as_u64(), host.submissions()), (Some(2), 1));
    assert_eq!(after["hooks"][0]["state"], "done", "the server has to read the chain: {after}");
    assert!(after["remarks"].as_array().unwrap().is_empty(), "{after}");
    assert!(host.says(&["history", "www"]).out.contains("chain-refreshed"));
    assert!(after["ends"]["at"].as_str() > Some(&*rfc3339(end)), "{after}");
    host.end(Signal::TERM);
}

/// A CA that renewed its certificate is no reason to wait for the renewal of files that were there before renewd.
#[test]
fn files_of_others_get_the_newer_certificate_of_the_ca_from_the_profile_too() {
    let (mut host, _) = with_ca_that_ends_in(40 * DAY);
    let targets = safe_folder();
    let path = |name: &str| targets.path().join(name);
    let files = format!("private_key = {:?}\nfullchain = {:?}\n", path("key.pem"), path("fullchain.pem"));
    host.entry("www", &format!("[certificate.files]\n{files}"));
    assert_eq!(host.says(&["once"]).code, 0);
    std::fs::remove_dir_all(host.path("state")).unwrap();
    let (key, before) = (host.read(&path("key.pem")), host.certificate("www"));
    assert_eq!((before["ends"]["of"].as_str(), before["generation"].as_u64()), (Some("chain"), Some(0)), "{before}");
    host.simulator.change(|state| state.variants.profile_ca_ends = None);
    host.start();
    let after = host.until("the chain is refreshed", || {
        Some(host.certificate("www")).filter(|found| found["ends"]["of"] == "leaf" && found["state"] == "valid")
    });
    assert_eq!((&after["serial_number"], after["generation"].as_u64()), (&before["serial_number"], Some(1)), "{after}");
    assert_eq!(host.read(&path("key.pem")), key);
    assert_eq!(host.read(&path("fullchain.pem")), host.read(&host.live("www").join("fullchain.pem")));
    assert!(host.read(&path("fullchain.pem")).ends_with(&host.simulator.issuing_intermediate_pem()));
    assert_eq!(host.submissions(), 1);
    host.end(Signal::TERM);
}

/// A host on which somebody put the usual certificate of the CA in place of one that ends soon.
fn with_newer_ca_in_place() -> Host {
    let (host, _) = with_ca_that_ends_in(40 * DAY);
    assert_eq!(host.says(&["once"]).code, 0);
    let live = host.live("www");
    let chain = host.simulator.issuing_intermediate_pem();
    let leaf = host.read(&live.join("cert.pem"));
    std::fs::write(live.join("chain.pem"), &chain).unwrap();
    std::fs::write(live.join("fullchain.pem"), format!("{leaf}{chain}")).unwrap();
    host
}

#[test]
fn a_newer_certificate_of_the_ca_that_somebody_put_in_place_stays() {
    let host = with_newer_ca_in_place();
    assert_eq!(host.says(&["once"]).code, 0);
    let www = host.certificate("www");
    assert_eq!((www["ends"]["of"].as_str(), www["generation"].as_u64()), (Some("leaf"), Some(2)), "{www}");
    host.live_serial("www");
    assert_eq!(host.submissions(), 1);
}

#[test]
fn heal_keeps_a_newer_certificate_of_the_ca_and_says_so() {
    let host = with_newer_ca_in_place();
    let said = host.says(&["heal"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.starts_with("www: the newer chain found on disk is live as generation 2"), "{}", said.out);
    assert_eq!(said.out.lines().count(), 1, "{}", said.out);
    assert_eq!(host.says(&["heal"]).out, "every installed set is whole\n");
}
