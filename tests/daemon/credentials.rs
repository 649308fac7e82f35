//! The ends of API keys and client certificates: told ahead, shown everywhere, and nothing is sent with a dead one.

use std::net::TcpListener;

use jiff::{Timestamp, ToSpan as _};
use rustix::process::Signal;
use serde_json::Value;

use crate::host::{Host, Said};
use crate::simulator::{Access, Fault, FaultKind, MeShape, ProfileSpec, RetryAfter};

const DAY: i64 = 86_400;

fn in_seconds(seconds: i64) -> i64 {
    Timestamp::now().as_second() + seconds
}

fn end_key(host: &Host, seconds: Option<i64>) {
    host.simulator.end_key(&host.simulator.api_key(), seconds.map(in_seconds));
}

fn problem(status: &Value, code: &str) -> Option<Value> {
    status["problems"].as_array()?.iter().find(|problem| problem["code"] == code).cloned()
}

fn lines_with(host: &Host, words: &[&str]) -> usize {
    host.log().lines().filter(|line| words.iter().all(|word| line.contains(word))).count()
}

/// The files that `[api]` names are told by what they are for, and all of them at once.
#[test]
fn what_the_client_lacks_is_told_by_what_it_is() {
    let host = Host::with_www();
    let folder = host.path("").display().to_string();
    host.write("api-key", "two words\n");
    host.write("root.pem", "no root\n");
    host.write("proxy", "nobody\n");
    let proxy = format!("proxy = \"http://127.0.0.1:9\"\nproxy_credentials_file = \"{folder}proxy\"");
    host.configure("", &proxy);
    let told = |host: &Host| -> Vec<(String, String)> {
        let report: Value = serde_json::from_str(&host.says(&["check", "--json"]).out).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        report["findings"].as_array().unwrap().iter().map(|one| (text(&one["check"]), text(&one["message"]))).collect()
    };
    let found = told(&host);
    let checks: Vec<&str> = found.iter().map(|(check, _)| check.as_str()).collect();
    assert_eq!(checks, ["key", "proxy", "tls"], "{found:?}");
    let said = ["api-key", "proxy_credentials_file: ", "ca_file "];
    assert!(found.iter().zip(said).all(|((_, message), said)| message.contains(said)), "{found:?}");
    host.write("api-key", &host.simulator.api_key());
    let checks: Vec<String> = told(&host).into_iter().map(|(check, _)| check).collect();
    assert_eq!(checks, ["proxy", "tls"]);
}

#[test]
fn the_end_of_a_key_is_told_ahead_and_louder_on_the_last_day() {
    let mut host = Host::with_www();
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    host.configure(&format!("[metrics]\nlisten = \"{address}\"\n"), "");
    end_key(&host, Some(20 * DAY));
    let end = in_seconds(20 * DAY);
    host.start();
    host.wait_state("www", "valid");
    let status = host.until("the end is known", || {
        let status = host.status();
        status["credentials"][0]["not_after"].is_string().then_some(status)
    });
    let shown: Timestamp = status["credentials"][0]["not_after"].as_str().unwrap().parse().unwrap();
    assert!((shown.as_second() - end).abs() < 30, "{status:#}");
    let warning = problem(&status, "credential-expiring").unwrap();
    assert_eq!((&warning["severity"], &status["healthy"]), (&"warning".into(), &true.into()), "{status:#}");
    let said = host.says(&["status"]);
    assert_eq!(said.code, 0, "a warning is no reason for an alarm: {}", said.out);
    for part in ["WARNING credential-expiring", "extend the expiry date in TLM", "renewd explain", "Credential "] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let metric =
        format!("renewd_credential_not_after_timestamp_seconds{{credential=\"{}\"}} ", host.path("api-key").display());
    let scraped = host.until("a scrape", || scrape(address));
    let shown: i64 = scraped.split(&metric).nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    assert!((shown - end).abs() < 30, "{shown}");
    // Once, however often it is looked at, also after a reload.
    let asked = || host.simulator.count("GET", "/account/api/v1/user/me");
    let before = asked();
    host.signal(Signal::HUP);
    let later = Timestamp::now() + 3.seconds();
    host.until("it was looked at again and again", || {
        let at: Timestamp = host.status()["at"].as_str()?.parse().ok()?;
        (at >= later && asked() > before).then_some(())
    });
    assert_eq!(lines_with(&host, &["WARN", "credential-expiring"]), 1, "once: {}", host.log());
    // The next steps, each once.
    end_key(&host, Some(6 * DAY));
    host.signal(Signal::HUP);
    host.until("the second step", || {
        (lines_with(&host, &["WARN", "credential-expiring", "in 5 d"]) == 1).then_some(())
    });
    assert_eq!(host.says(&["status"]).code, 0);
    end_key(&host, Some(DAY / 2));
    host.signal(Signal::HUP);
    host.until("the last step", || {
        (lines_with(&host, &["ERROR", "credential-expiring", "in 11 h"]) == 1).then_some(())
    });
    assert_eq!(host.says(&["status"]).code, 1, "somebody has to act while the end can still be put off");
    end_key(&host, None);
    host.signal(Signal::HUP);
    host.until("all is well", || (host.says(&["status"]).code == 0).then_some(()));
    assert_eq!(host.status()["credentials"][0]["not_after"], Value::Null);
}

fn scrape(address: std::net::SocketAddr) -> Option<String> {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// Every request since the last look is one that only reads.
#[track_caller]
fn only_reads(host: &Host) -> usize {
    let requests = host.simulator.requests();
    let writing: Vec<String> =
        requests.iter().filter(|call| call.method != "GET").map(|call| call.path.clone()).collect();
    assert!(writing.is_empty(), "{writing:?}");
    requests.len()
}

#[test]
fn nothing_is_submitted_with_a_dead_key_until_another_is_in_place() {
    let mut host = Host::with_www();
    end_key(&host, Some(4));
    host.start();
    host.wait_state("www", "valid");
    host.until("the end is known", || host.status()["credentials"][0]["not_after"].as_str().map(drop));
    let status = host.until("the key has ended", || {
        let status = host.status();
        let refused = status["api"]["state"] == "unauthorised";
        (refused && problem(&status, "credential-expired").is_some()).then_some(status)
    });
    assert_eq!(status["healthy"], false);
    assert_eq!(
        lines_with(&host, &["ERROR", "credential-expired", "renewd submits nothing with it"]),
        1,
        "{}",
        host.log()
    );
    host.simulator.clear_requests();
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out.contains("the API cannot be used") && said.out.contains("renewd explain api-down"),
        "{}",
        said.out
    );
    assert!(only_reads(&host) <= 2, "at most a trial or two: {:?}", host.simulator.requests());
    // The operator's word is kept: as soon as there is a key that is taken, it is done.
    host.write("api-key", &host.simulator.add_key());
    host.signal(Signal::HUP);
    host.until("a second generation is live", || (host.certificate("www")["generation"] == 2).then_some(()));
    host.until("all is well", || (host.says(&["status"]).code == 0).then_some(()));
}

#[test]
fn an_end_that_tlm_does_not_keep_to_stops_nothing() {
    let mut host = Host::with_www();
    end_key(&host, Some(4));
    host.start();
    host.wait_state("www", "valid");
    host.until("the end is known", || host.status()["credentials"][0]["not_after"].as_str().map(drop));
    // It was put off in TLM, and renewd has not asked again yet.
    end_key(&host, None);
    host.until("the end has come", || problem(&host.status(), "credential-expired"));
    host.until("the trial was answered", || (host.status()["api"]["state"] == "ok").then_some(()));
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    assert_eq!(host.certificate("www")["generation"], 2);
}

#[test]
fn each_of_several_keys_is_watched_and_the_next_takes_over() {
    let mut host = Host::with_www();
    host.write("second", &host.simulator.add_key());
    let (first, second) = (host.path("api-key"), host.path("second"));
    host.configure("", &format!("api_key_file = [{first:?}, {second:?}]\n"));
    end_key(&host, Some(5));
    let secret = host.read(&second);
    host.simulator.end_key(&secret, Some(in_seconds(20 * DAY)));
    host.start();
    host.wait_state("www", "valid");
    host.until("the first has ended", || problem(&host.status(), "credential-expired"));
    let warning = problem(&host.status(), "credential-expiring").unwrap();
    assert!(warning["message"].as_str().unwrap().contains(second.to_str().unwrap()), "{warning}");
    host.until("the second is in use", || (host.status()["api"]["state"] == "ok").then_some(()));
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    assert_eq!(host.certificate("www")["generation"], 2);
}

#[test]
fn who_may_not_ask_about_itself_is_told_once_and_held_back_by_nothing() {
    let mut host = Host::with_www();
    host.simulator.fault(Fault::new(FaultKind::Status(403, RetryAfter::Absent)).at(crate::simulator::Endpoint::User));
    host.start();
    host.wait_state("www", "valid");
    host.until("it is said", || {
        (lines_with(&host, &["WARN", "api-forbidden", "cannot find out when"]) == 1).then_some(())
    });
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(host.says(&["status"]).code, 0);
    assert_eq!(host.simulator.count("GET", "/account/api/v1/user/me"), 1);
    let said = host.says(&["check", "--online"]);
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("not allowed to ask about itself"), "{}", said.out);
}

fn with_identity(days: i64) -> Host {
    let host = Host::with_www();
    host.simulator.require(Access::ClientCertificate);
    let end = Timestamp::now().to_zoned_datetime(jiff::tz::TimeZone::UTC).date() + days.days();
    let end = (i32::from(end.year()), end.month().unsigned_abs(), end.day().unsigned_abs());
    host.write("client.pem", &host.simulator.client_identity_until(end));
    host.configure("", &format!("# no api_key_file\nclient_identity_file = {:?}\n", host.path("client.pem")));
    host
}

#[test]
fn the_end_of_a_client_certificate_is_told_ahead_without_asking() {
    let mut host = with_identity(20);
    host.start();
    host.wait_state("www", "valid");
    let status = host.status();
    assert!(problem(&status, "credential-expiring").is_some(), "{status:#}");
    assert_eq!(status["healthy"], true);
    let said = host.says(&["check", "--online"]);
    assert_eq!(said.code, 0, "{}", said.out);
    assert!(said.out.contains("warning key") && said.out.contains("expires at"), "{}", said.out);
}

#[test]
fn an_expired_client_certificate_is_said_and_nothing_is_made_for_it() {
    let host = with_identity(-1);
    let said = host.says(&["once"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("expired at") && said.err.contains("renewd submits nothing with it"), "{}", said.err);
    assert!(!host.path("state/pending/www").exists(), "no key is made");
    let Said { code, out, .. } = host.says(&["check", "--online"]);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("client.pem") && out.contains("FAILED"), "{out}");
}

#[test]
fn the_end_is_read_in_each_shape_of_the_answer() {
    let host = Host::new(ProfileSpec::default());
    end_key(&host, Some(100 * DAY));
    let day = Timestamp::from_second(in_seconds(100 * DAY)).unwrap().to_string()[..10].to_owned();
    for shape in [MeShape::RoleNames, MeShape::RoleObjects, MeShape::NoRoles, MeShape::Nested] {
        host.simulator.change_variants(|variants| variants.me = shape);
        let said = host.says(&["check", "--online"]);
        assert_eq!(said.code, 0, "{shape:?} {}", said.out);
        assert!(said.out.contains(&format!("expires at {day}T")), "{shape:?} {}", said.out);
    }
}
