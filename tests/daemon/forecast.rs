//! What is said before it is done: `renew --within`, `plan --if`, and what `plan` knows of holds, freezes and windows.

use std::time::Duration;

use serde_json::Value;

use crate::host::{Host, Said};

const MANY: usize = 32;

/// So many certificates that are installed, and from now on so many requests a minute.
fn host(per_minute: u32) -> Host {
    let host = Host::with_www();
    for number in 1..MANY {
        host.entry(&format!("site-{number}"), "");
    }
    host.configure("", "requests_per_minute = 100000\n");
    assert_eq!(host.says(&["once"]).code, 0);
    host.configure("", &format!("requests_per_minute = {per_minute}\n"));
    host.simulator.clear_requests();
    host
}

fn json(said: &Said) -> Value {
    serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{} {}", said.out, said.err))
}

fn seconds_between(from: &Value, to: &Value) -> f64 {
    let instant = |value: &Value| value.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    instant(to).duration_since(instant(from)).as_secs_f64()
}

/// The estimate is right up to a factor of two, however slow this machine is beside the pace.
#[test]
fn what_does_not_fit_is_refused_and_what_is_said_comes_true() {
    let mut host = host(60);
    host.start();
    let plan = json(&host.says(&["plan", "--json", "--if", "revoked"]));
    let said_to_take = seconds_between(&plan["at"], &plan["with_renew"]["ends_at"]);
    let said = host.says(&["renew", "--all", "--within", "5s"]);
    assert_eq!((said.code, host.submissions()), (1, 0), "{}", said.err);
    for part in [
        "replacing 32 certificates takes about 1",
        "60 a minute, 8 at a time",
        " of 32 are not replaced by then:",
        "nothing was asked for",
    ] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }
    let said = host.says(&["renew", "--all", "--reissue", "--within", "5s", "--anyway"]);
    assert_eq!((said.code, host.submissions()), (0, MANY), "{}", said.err);
    assert!(
        said.err.contains("of 32 are not replaced by 2") && said.err.contains("the daemon continues"),
        "{}",
        said.err
    );
    let times: Vec<_> = host.simulator.requests().iter().filter(|one| one.method == "POST").map(|one| one.at).collect();
    let took = times.iter().max().unwrap().duration_since(*times.iter().min().unwrap()).unwrap().as_secs_f64();
    assert!(
        said_to_take > 10.0 && took <= said_to_take * 2.0 && said_to_take <= took * 2.0,
        "{said_to_take} s, took {took} s"
    );
}

#[test]
fn what_fits_is_done_also_without_a_daemon() {
    let host = host(100_000);
    let said = host.says(&["renew", "www", "site-1", "--within", "1h"]);
    assert_eq!((said.code, host.submissions()), (0, 2), "{}", said.err);
    assert!(said.err.contains("replacing 2 certificates takes about "), "{}", said.err);
    host.entry("www", "deploy_window = \"Mon 02:00-02:01\"\ndeploy_time_zone = \"UTC\"\n");
    host.entry("site-1", "deploy_window = \"Thu 02:00-02:01\"\ndeploy_time_zone = \"UTC\"\n");
    let said = host.says(&["renew", "www", "site-1", "--within", "1h"]);
    assert_eq!((said.code, host.submissions()), (1, 2), "it waits for its window: {}", said.err);
    assert!(said.err.contains("live at ") && said.err.contains("T02:00:0"), "{}", said.err);
    assert_eq!(host.says(&["renew", "www", "--anyway"]).code, 2, "--anyway is a word about --within");
}

#[test]
fn a_mass_revocation_is_rehearsed_and_nothing_is_changed() {
    let mut host = host(600);
    host.start();
    let said = host.says(&["plan", "--if", "revoked:Simulated Issuing CA"]);
    assert_eq!(said.code, 0, "{}", said.err);
    for part in [
        "if TLM revoked 32 certificates now:",
        "by itself: renewd checks for revocation every 1 d; replacing 32 certificates takes about ",
        "at once: replacing 32 certificates takes about ",
        "not replaced within 1 d: 0 by itself, 0 with `renewd renew`",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let plan = json(&host.says(&["plan", "--json", "--if", "revoked", "--file", "www.toml", "--within", "1s"]));
    let [alone, asked] = ["by_itself", "with_renew"].map(|course| plan[course].clone());
    assert_eq!((alone["certificates"][0]["name"].as_str(), &alone["late"]), (Some("www"), &1.into()), "{plan:#}");
    assert!(seconds_between(&asked["ends_at"], &alone["ends_at"]) > 60.0, "the next check is hours ahead: {plan:#}");
    let said = host.says(&["plan", "--if", "revoked:Nobody"]);
    assert!(said.code == 1 && said.err.contains("no certificate matches --issuer Nobody"), "{}", said.err);
    assert_eq!(host.says(&["plan", "--if", "rain"]).code, 2);
    let generations = host.status()["certificates"].clone();
    assert!(generations.as_array().unwrap().iter().all(|one| one["generation"] == 1 && one["state"] == "valid"));
    assert_eq!(host.submissions(), 0);
}

#[test]
fn the_plan_knows_holds_freezes_and_windows() {
    let host = Host::with_www();
    host.entry("mail", "request_window = \"Mon-Thu 08:00-18:00\"\nrequest_time_zone = \"UTC\"\n");
    assert_eq!(host.says(&["once"]).code, 0);
    let at = |hours: i64| (jiff::Timestamp::now() + jiff::SignedDuration::from_hours(hours)).to_string();
    let (from, until) = (at(24), at(240));
    host.configure(
        &format!(
            "[[freeze]]\nfrom = {from:?}\nuntil = {until:?}\n[[freeze]]\nhours = \"Fri 16:00-24:00\"\ntime_zone = \"UTC\"\n\
             [[freeze]]\nfrom = \"2020-01-01T00:00:00Z\"\nuntil = \"2020-01-02T00:00:00Z\"\n"
        ),
        "",
    );
    assert_eq!(host.says(&["hold", "www", "--until", &at(48), "--reason", "4711"]).code, 0);
    let plan = json(&host.says(&["plan", "--json"]));
    let [mail, www] = [0, 1].map(|at| plan["certificates"][at].clone());
    assert_eq!((mail["name"].as_str(), www["name"].as_str()), (Some("mail"), Some("www")));
    assert_eq!(www["hold"]["reason"], "4711");
    assert_eq!(mail["request_window"]["hours"], "Mon,Tue,Wed,Thu 08:00-18:00 UTC");
    assert_eq!(mail["request_window"]["open"].as_bool().unwrap(), mail["request_window"]["opens_at"].is_null());
    let freezes = plan["freezes"].as_array().unwrap();
    assert_eq!(freezes.len(), 2, "one is over: {freezes:?}");
    assert_eq!(freezes[1]["hours"], "Fri 16:00-24:00 UTC");
    let chart = host.says(&["plan", "--calendar"]).out;
    for part in [
        ": nothing is switched in\n",
        "  freeze ends at ",
        "  hold ends at ",
        "freeze each week: Fri 16:00-24:00 UTC",
        "requested only Mon,Tue,Wed,Thu 08:00-18:00 UTC: mail",
    ] {
        assert!(chart.contains(part), "{part}: {chart}");
    }
    let one = host.says(&["plan", "--file", "www.toml"]);
    assert!(one.out.contains("www") && !one.out.contains("mail"), "{}", one.out);
    let later = Duration::from_secs(86_400 * 20).as_secs();
    let after = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(i64::try_from(later).unwrap())).to_string();
    let plan = json(&host.says(&["plan", "--json", "--at", &after]));
    assert!(plan["freezes"].as_array().unwrap().len() == 1 && plan["certificates"][1]["hold"].is_null(), "{plan:#}");
}
