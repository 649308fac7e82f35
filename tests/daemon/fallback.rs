//! The fallback: another profile, where the entry's own cannot issue and time is short.

use crate::host::Host;
use crate::simulator::ProfileSpec;

/// A host whose certificate may be issued by two profiles.
fn host() -> (Host, String) {
    let host = Host::new(ProfileSpec::default());
    let backup = host.simulator.add_profile(ProfileSpec { name: "Backup".to_owned(), ..ProfileSpec::default() });
    let own = &host.profile;
    host.entry("www", &format!("profile = \"{own}\"\nfallback = {{ profile = \"Backup\" }}\n"));
    (host, backup)
}

fn suspend(host: &Host, id: &str, is_suspended: bool) {
    let status = if is_suspended { "Suspended" } else { "Active" };
    host.simulator.change_profile(id, |profile| profile.status = status.to_owned());
}

fn issuers(host: &Host) -> Vec<String> {
    host.simulator.issued().iter().map(|issued| issued.profile_id.clone()).collect()
}

#[test]
fn the_fallback_issues_while_the_own_profile_cannot_and_is_left_when_that_one_can() {
    let (mut host, backup) = host();
    suspend(&host, &host.profile, true);
    host.start();
    let www = host.until("the fallback issued", || Some(host.certificate("www")).filter(|www| www["generation"] == 1));
    assert_eq!(issuers(&host), std::slice::from_ref(&backup));
    let remark = &www["remarks"][0];
    assert_eq!(remark["code"], "fallback-asked", "{www}");
    let message = remark["message"].as_str().unwrap();
    assert!(message.contains("fallback profile \"Backup\"") && message.contains("Suspended"), "{message}");
    let www = host.wait_state("www", "failing");
    assert!(www["reason"].as_str().unwrap().contains("Suspended"), "what keeps the own one is told still: {www}");
    let history = host.says(&["history", "www"]).out;
    assert!(history.contains("asking the fallback profile: its own could not issue"), "{history}");
    suspend(&host, &host.profile, false);
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    assert_eq!(issuers(&host), [backup, host.profile.clone()]);
    let www = host.wait_state("www", "valid");
    assert_eq!(www["remarks"].as_array().map(Vec::len), Some(0), "{www}");
}

#[test]
fn nobody_falls_back_while_the_installed_one_has_time() {
    let (host, _) = host();
    assert_eq!(host.says(&["once"]).code, 0);
    suspend(&host, &host.profile, true);
    assert_eq!(host.says(&["renew", "www"]).code, 1);
    assert_eq!(issuers(&host), std::slice::from_ref(&host.profile));
    let www = host.certificate("www");
    assert_eq!((www["state"].as_str(), www["remarks"].as_array().map(Vec::len)), (Some("failing"), Some(0)), "{www}");
}

#[test]
fn two_that_cannot_issue_take_turns_and_are_both_told() {
    let (mut host, backup) = host();
    suspend(&host, &host.profile, true);
    suspend(&host, &backup, true);
    host.start();
    let history = || host.says(&["history", "www"]).out;
    host.until("the fallback was asked", || history().contains("asking the fallback").then_some(()));
    host.until("both are told", || {
        let (www, problems) = (host.certificate("www"), host.status()["problems"].to_string());
        let tells = |key: &str, profile: &str| www[key].to_string().contains(profile);
        let is_told = tells("reason", "Backup") && tells("remarks", "as its own could not issue");
        (is_told && problems.contains("Backup")).then_some(())
    });
    suspend(&host, &backup, false);
    host.says(&["renew", "www", "--no-wait"]);
    host.until("the fallback issued", || (issuers(&host) == [backup.clone()]).then_some(()));
}

#[test]
fn check_online_looks_at_the_fallback_too() {
    let (host, backup) = host();
    suspend(&host, &backup, true);
    let said = host.says(&["check", "--online"]);
    let told = format!("{}{}", said.out, said.err);
    assert!(said.code == 1 && told.contains("Backup") && told.contains("not Active"), "{told}");
    suspend(&host, &backup, false);
    let said = host.says(&["check", "--online"]);
    assert!(said.code == 0 && said.out.contains("fits profile \"Backup\""), "{}", said.out);
}
