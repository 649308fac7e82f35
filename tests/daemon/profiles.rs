//! Profiles drive: what an entry and its profile do not agree on is told before anything is sent.

use crate::host::Host;
use crate::simulator::{AttributeSpec, ProfileSpec};

#[track_caller]
fn refuses(change: impl FnOnce(&mut ProfileSpec), entry: &str, parts: &[&str]) {
    let mut profile = ProfileSpec::default();
    change(&mut profile);
    let host = Host::new(profile);
    host.entry("www", entry);
    assert_eq!(host.says(&["once"]).code, 1);
    let www = host.certificate("www");
    let reason = www["reason"].as_str().unwrap();
    for part in parts.iter().chain(&["certs.d/www.toml"]) {
        assert!(reason.contains(part), "{part}: {reason}");
    }
    assert_eq!((www["state"].as_str(), host.submissions()), (Some("failing"), 0), "{reason}");
}

#[test]
fn each_misfit_is_told_and_nothing_is_sent() {
    refuses(|profile| profile.status = "Suspended".into(), "", &["\"Suspended\"", "not Active"]);
    refuses(|profile| profile.enrollment_method = "scep".into(), "", &["\"scep\"", "rest_api"]);
    refuses(|profile| profile.authentication_method = "manual_approval".into(), "", &["third_party_app"]);
    refuses(|_| {}, "validity = \"30d\"\n", &["does not allow a request to set its validity", "remove `validity`"]);
    refuses(
        |profile| profile.subject.push(AttributeSpec::mandatory("dn_qualifier")),
        "",
        &["requires subject attribute dn_qualifier", "add `subject.dn_qualifier`"],
    );
    refuses(|profile| profile.san.retain(|san| san.key != "dns_names"), "", &["dns_names", "remove `dns_names`"]);
    refuses(
        |profile| profile.subject.retain(|attribute| attribute.key != "country"),
        "subject = { country = \"CH\" }\n",
        &["does not list subject attribute country", "remove `subject.country`"],
    );
    refuses(|_| {}, "key = \"rsa-2048\"\n", &["not accept rsa-2048", "ecdsa-p256"]);
}

#[test]
fn a_profile_is_found_by_its_exact_name_on_any_page() {
    let host = Host::new(ProfileSpec::default());
    for number in 0..130 {
        host.simulator.add_profile(ProfileSpec { name: format!("Web {number}"), ..ProfileSpec::default() });
    }
    host.entry("www", "profile = \"Web 127\"\n");
    host.entry("lost", "profile = \"Web\"\n");
    assert_eq!(host.says(&["once"]).code, 1);
    host.live_serial("www");
    let lost = host.certificate("lost");
    assert_eq!(lost["last_error"]["code"], "profile-not-found");
    assert!(lost["reason"].as_str().unwrap().contains("is named \"Web\""), "{lost}");
}

#[test]
fn the_profile_gives_window_key_and_fixed_attributes() {
    let host = Host::new(ProfileSpec {
        renewal_window_days: Some(10),
        renewal_period_days: Some(10),
        key_sizes: vec!["384".to_owned()],
        subject: vec![AttributeSpec::mandatory("common_name"), AttributeSpec::fixed("organization_name", "Fixed AG")],
        ..ProfileSpec::default()
    });
    host.entry("www", "");
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(host.simulator.issued()[0].key_bits, 384);
    let www = host.certificate("www");
    let at = |key: &str| www[key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let ahead = at("not_after").duration_since(at("renew_at"));
    assert!((9 * 86_400..=10 * 86_400).contains(&ahead.as_secs()), "{ahead:?}");
    assert_eq!(host.says(&["once"]).code, 0, "the fixed attribute is no mismatch");
    assert_eq!(host.submissions(), 1);
}

#[test]
fn the_last_reading_serves_while_the_api_is_down() {
    let mut host =
        Host::new(ProfileSpec { renewal_window_days: Some(10), renewal_period_days: Some(10), ..Default::default() });
    host.entry("www", "");
    assert_eq!(host.says(&["once"]).code, 0);
    let before = host.certificate("www")["renew_at"].clone();
    host.simulator.stop();
    host.start();
    let after = host.wait_state("www", "valid");
    assert_eq!(after["renew_at"], before);
    assert!(host.says(&["plan"]).out.contains("10 d"), "the window is the profile's");
}

/// A profile that demands what few profiles do: each is told as long as it is missing, and sent when it is there.
#[test]
fn what_few_profiles_demand_is_told_sent_and_found_again() {
    let rare = ["user_principal_names", "registered_ids", "directory_name", "other_names"];
    let mut profile = ProfileSpec { wants_seat_email: true, ..ProfileSpec::default() };
    profile.custom_values = vec![AttributeSpec::mandatory("user_id"), AttributeSpec::optional("site")];
    profile.san.extend(rare.map(|key| AttributeSpec::mandatory(key).many()));
    let host = Host::new(profile);
    host.entry("www", "");
    assert_eq!(host.says(&["once"]).code, 1);
    let reason = host.certificate("www")["reason"].to_string();
    for key in rare.iter().chain(&["custom_values.user_id"]) {
        assert!(reason.contains(&format!("add `{key}`")), "{key}: {reason}");
    }
    assert_eq!(host.submissions(), 0);
    // An at sign stands for the name of the entry here.
    let entry = concat!(
        "seat_email = \"pki\\u0040example.com\"\ncert_owner_ids = [\"owner\"]\ncustom_values = { user_id = 42 }\nexact_names = true\n",
        "user_principal_names = [\"host\\u0040corp.example\"]\nregistered_ids = [\"1.2.3.4\"]\n",
        "directory_name = \"CN=host,O=Example\"\n[certificate.other_names]\n",
        "guid = [\"1b671a64-40d5-491e-99b0-da01ff1f3341\"]\n",
        "raw_other_names = [{ oid = \"1.2.3.5\", values = [{ label = \"site\", value = \"ZRH\" }] }]\n",
    );
    host.entry("www", entry);
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let serial = host.live_serial("www");
    assert_eq!((host.says(&["once"]).code, host.submissions()), (0, 1));
    assert_eq!(host.live_serial("www"), serial, "what came is what was asked for");
    host.entry("www", &entry.replace("\"owner\"", "\"other\""));
    assert_eq!((host.says(&["once"]).code, host.submissions()), (0, 1), "an owner is no part of the certificate");
    host.entry("www", &entry.replace("host\\u0040", "www\\u0040"));
    assert_eq!((host.says(&["once"]).code, host.submissions()), (0, 2), "a name is");
}

#[test]
fn names_and_keys_that_the_profile_does_not_take_are_told() {
    refuses(|profile| profile.allowed_list = vec!["*.example.org".into()], "", &["allowed_list", "*.example.org"]);
    refuses(|profile| profile.key_sizes = vec!["Ed25519".into()], "", &["Ed25519", "cannot make"]);
    refuses(
        |profile| profile.key_sizes = vec!["Ed25519".into(), "384".into()],
        "key = \"ecdsa-p256\"\n",
        &["not accept ecdsa-p256 (it accepts ecdsa-p384, Ed25519)"],
    );
}
