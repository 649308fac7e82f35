//! The client against the simulator's misbehaviours: the class of each, and whether TLM may have accepted the request.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use renewd::api::{Client, ClientSettings, Observer, ProxySettings, Tlm};
use renewd::core::failure::{Accepted, Failure, FailureClass, RetryHint};
use renewd::core::time::Timestamp;
use renewd::pki::certificate::certificates;

use crate::simulator::faults::DEFAULT;
use crate::simulator::{ConnectProxy, Fault, ProxyFailure};
use crate::variants::{World, settings_for};

fn world_with(fault: &str) -> World {
    let world = World::new("");
    world.simulator.fault(fault.parse().unwrap());
    world
}

/// A client that waits no longer than a second.
fn hurried(world: &World) -> Client {
    Client::new(ClientSettings { timeout: Duration::from_secs(1), ..settings_for(&world.simulator) }).unwrap()
}

#[tokio::test]
async fn each_misbehaviour_has_its_class() {
    use FailureClass as C;
    let cases = [
        ("status=400", C::RequestRefused, Accepted::No, 0),
        ("status=401", C::ApiUnauthorised, Accepted::No, 0),
        ("status=403", C::ApiForbidden, Accepted::No, 0),
        ("status=404", C::RequestRefused, Accepted::No, 0),
        ("status=410", C::RequestRefused, Accepted::No, 0),
        ("status=429", C::ApiRateLimited, Accepted::No, 0),
        ("status=500", C::ApiUnavailable, Accepted::Unknown, 0),
        ("status=502", C::ApiUnavailable, Accepted::Unknown, 0),
        ("status=503", C::ApiUnavailable, Accepted::No, 0),
        ("status=504", C::ApiUnavailable, Accepted::Unknown, 0),
        ("html", C::ApiBadAnswer, Accepted::Unknown, 0),
        ("redirect", C::ApiBadAnswer, Accepted::No, 0),
        ("reset", C::ApiNoAnswer, Accepted::Unknown, 0),
        ("lost-reply", C::ApiNoAnswer, Accepted::Unknown, 1),
        ("truncated", C::ApiBadAnswer, Accepted::Unknown, 1),
        ("cut-off", C::ApiNoAnswer, Accepted::Unknown, 1),
        ("oversized=5", C::ApiBadAnswer, Accepted::Unknown, 1),
        ("late-reply=5000", C::ApiNoAnswer, Accepted::Unknown, 1),
        ("drip=20", C::ApiNoAnswer, Accepted::Unknown, 1),
    ];
    for (fault, class, accepted, issued) in cases {
        let world = world_with(fault);
        let failure = hurried(&world).issue(&world.request()).await.unwrap_err();
        assert_eq!((failure.class, failure.accepted), (class, accepted), "{fault}: {failure}");
        assert_eq!(world.simulator.issued().len(), issued, "{fault}");
        let failure = hurried(&world).profile(&world.profile).await.unwrap_err();
        let class =
            if ["404", "410"].iter().any(|status| fault.ends_with(status)) { C::ProfileNotFound } else { class };
        assert_eq!((failure.class, failure.accepted), (class, Accepted::No), "{fault}: {failure}");
    }
}

#[tokio::test]
async fn retry_after_in_both_forms() {
    let limited = async |fault: &str| {
        let world = world_with(fault);
        world.tlm.issue(&world.request()).await.unwrap_err()
    };
    let seconds = limited("status=503+7").await;
    assert_eq!(seconds.retry, Some(RetryHint::After(Duration::from_secs(7))));
    let date = limited("status=429@3600").await;
    let Some(RetryHint::After(wait)) = date.retry else { panic!("{date}") };
    assert!((3595..=3601).contains(&wait.as_secs()), "{wait:?}");
}

/// A date counts from the answer's own, so that no clock that is wrong makes a wait longer or shorter.
#[tokio::test]
async fn a_date_is_waited_for_by_the_clock_of_who_named_it() {
    let limited = async |fault: &str| {
        let world = world_with("status=429@3600");
        world.simulator.fault(fault.parse().unwrap());
        world.tlm.issue(&world.request()).await.unwrap_err()
    };
    // The instant stays what it was, and the clock that it is counted by is an hour behind, or ahead.
    let Some(RetryHint::After(wait)) = limited("date-shifted=-3600").await.retry else { panic!("no wait") };
    assert!((7195..=7201).contains(&wait.as_secs()), "{wait:?}");
    let Some(RetryHint::After(wait)) = limited("date-shifted=3000").await.retry else { panic!("no wait") };
    assert!((595..=601).contains(&wait.as_secs()), "{wait:?}");
    // Without one, there is only ours.
    let Some(RetryHint::At(at)) = limited("date-absent").await.retry else { panic!("no instant") };
    assert!(at > Timestamp::from_seconds(jiff::Timestamp::now().as_second() + 3500), "{at}");
}

#[tokio::test]
async fn every_misspelling_of_a_certificate_is_handed_on() {
    for fault in
        ["bare-base64", "crlf", "shuffled-chain", "missing-chain", "no-pkcs7", "other-case-status", "latency=20"]
    {
        let world = world_with(fault);
        assert!(DEFAULT.iter().any(|(name, _)| *name == fault) || fault.contains('='));
        let Ok(renewd::api::Answer::Issued(issued)) = world.tlm.issue(&world.request()).await else {
            panic!("{fault}")
        };
        let record = world.simulator.issued().remove(0);
        let text = issued.certificates.join("\n");
        let found = certificates(&text).unwrap();
        assert!(found.iter().any(|certificate| certificate.der() == record.der), "{fault}: {text}");
        let details = world.tlm.details(&issued.serial_number, None).await.unwrap();
        assert_eq!(details.standing.state, renewd::core::known::standing::TlmState::Issued, "{fault}");
        assert!(!world.tlm.formats(&issued.serial_number, None).await.unwrap().chain.is_empty(), "{fault}");
    }
}

#[tokio::test]
async fn the_date_of_an_answer_is_told() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let observer: Observer = Arc::new(move |seen| told.lock().unwrap().push(seen.date));
    for fault in ["date-shifted=86400", "date-absent"] {
        let world = world_with(fault);
        let observed = ClientSettings { observer: Some(Arc::clone(&observer)), ..settings_for(&world.simulator) };
        assert!(Client::new(observed).unwrap().version().await.is_ok());
    }
    let seen = seen.lock().unwrap().clone();
    let tomorrow = jiff::Timestamp::now().as_second() + 86_400;
    let [Some(shifted), None] = seen.as_slice() else { panic!("{seen:?}") };
    let bounds = (Timestamp::from_seconds(tomorrow - 60), Timestamp::from_seconds(tomorrow + 60));
    assert!(*shifted > bounds.0 && *shifted < bounds.1, "{shifted}");
}

#[tokio::test]
async fn every_shape_of_an_error_is_understood() {
    for shape in ["list", "single", "status", "bare"] {
        let world = world_with(&format!("shape={shape}"));
        world.simulator.fault("status=400:issue".parse::<Fault>().unwrap());
        let failure = world.tlm.issue(&world.request()).await.unwrap_err();
        let code = if shape == "status" { "INVALID_REQUEST" } else { "invalid_request" };
        let words = format!(": 400 {code}: Wrong input or input format.");
        assert!(failure.message.as_str().ends_with(&words), "{shape}: {failure}");
    }
}

#[tokio::test]
async fn a_failing_proxy_is_named_and_a_good_one_carries() {
    let world = World::new("");
    let proxy = ConnectProxy::start(None);
    let settings = |no_proxy: &[&str]| {
        let no_proxy = no_proxy.iter().map(|name| (*name).to_owned()).collect();
        let proxy = ProxySettings { url: proxy.url(), credentials: None, no_proxy };
        ClientSettings { proxy: Some(proxy), ..settings_for(&world.simulator) }
    };
    let tlm = Client::new(settings(&["example.com"])).unwrap();
    assert!(tlm.profile(&world.profile).await.is_ok());
    assert_eq!(proxy.tunnels(), 1);
    let failures =
        [ProxyFailure::AuthenticationRequired, ProxyFailure::BadGateway, ProxyFailure::Html, ProxyFailure::Reset];
    for failure in failures {
        proxy.fail(Some(failure));
        // The tunnel of before may still be there.
        let tlm = Client::new(settings(&["example.com"])).unwrap();
        let found: Failure = tlm.issue(&world.request()).await.unwrap_err();
        assert_eq!((found.class, found.accepted), (FailureClass::Proxy, Accepted::No), "{failure:?}: {found}");
        assert!(found.message.as_str().contains(&format!("the proxy {} failed", proxy.url())), "{found}");
    }
    assert_eq!(world.simulator.count("POST", "/"), 0);
    let direct = Client::new(settings(&["localhost"])).unwrap();
    assert!(direct.profile(&world.profile).await.is_ok(), "no_proxy goes past the failing proxy");
}
