//! An operator's word asks now: whoever fixed a fault sees it fixed at once, whatever renewd was waiting for, by `renew` and
//! by `check --online`; and the word of one for a whole fleet is one trial.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::host::Host;
use crate::simulator::{Endpoint, Fault, FaultKind, Issuance, ProfileSpec, RetryAfter};

const ABSENT: RetryAfter = RetryAfter::Absent;

/// What stands in the way of every certificate, until it is put right.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// Nobody listens.
    Away,
    /// The API key is not taken.
    KeyRefused,
    /// This status, there.
    Status(u16, Endpoint),
}

const TROUBLES: [Trouble; 6] = [
    Trouble::Away,
    Trouble::KeyRefused,
    Trouble::Status(403, Endpoint::Profile),
    Trouble::Status(503, Endpoint::Profile),
    Trouble::Status(403, Endpoint::Issue),
    Trouble::Status(503, Endpoint::Issue),
];

impl Trouble {
    fn begin(self, host: &mut Host) {
        match self {
            Self::Away => host.simulator.stop(),
            Self::KeyRefused => host.simulator.revoke_key(&host.simulator.api_key()),
            Self::Status(status, at) => host.simulator.fault(Fault::new(FaultKind::Status(status, ABSENT)).at(at)),
        }
    }

    fn end(self, host: &mut Host) {
        match self {
            Self::Away => host.simulator.restart(),
            Self::KeyRefused => host.simulator.restore_key(&host.simulator.api_key()),
            Self::Status(..) => host.simulator.clear_faults(),
        }
    }
}

/// A host that began in trouble, with so many certificates, each of a profile of its own, that wait.
fn waiting(trouble: Trouble, count: usize) -> Host {
    let mut host = Host::with_www();
    for number in 1..count {
        let spec = ProfileSpec { name: format!("Profile {number}"), ..ProfileSpec::default() };
        let profile = host.simulator.add_profile(spec);
        host.entry(&format!("site-{number}"), &format!("profile = {profile:?}\n"));
    }
    trouble.begin(&mut host);
    host.start();
    host.until(&format!("{trouble:?}: everybody waits"), || {
        let status = host.status();
        let failed = status["api"]["error"].is_string();
        let is_down =
            count == 1 || ["unreachable", "unauthorised"].iter().any(|state| status["api"]["state"] == *state);
        let waits = |one: &serde_json::Value| {
            let is_told = ["failing", "due"].iter().any(|state| one["state"] == *state);
            is_told && ["now", "reading-profile", "queued"].iter().all(|code| one["reason_code"] != *code)
        };
        let all = status["certificates"].as_array()?;
        (failed && is_down && all.len() == count && all.iter().all(waits)).then_some(())
    });
    host
}

#[test]
fn renew_asks_at_once_whatever_was_waited_for() {
    for trouble in TROUBLES {
        for count in [1, 3] {
            let mut host = waiting(trouble, count);
            trouble.end(&mut host);
            let said = host.says(&["renew", "www"]);
            assert_eq!(said.code, 0, "{trouble:?}, {count}: {said:?}");
            host.live_serial("www");
        }
    }
}

#[test]
fn a_good_check_has_the_daemon_ask_at_once() {
    for trouble in TROUBLES {
        for count in [1, 3] {
            let mut host = waiting(trouble, count);
            trouble.end(&mut host);
            let said = host.says(&["check", "--online"]);
            assert_eq!(said.code, 0, "{trouble:?}, {count}: {said:?}");
            assert!(said.out.contains("asks TLM again now"), "{trouble:?}, {count}: {}", said.out);
            let www = host.wait_state("www", "valid");
            assert_eq!(www["generation"], 1, "{trouble:?}, {count}: {www}");
        }
    }
}

/// The next request there is refused by what the API was when it came.
fn refuse_one_slowly(host: &Host, endpoint: Endpoint) {
    for kind in [FaultKind::Latency(Duration::from_secs(4)), FaultKind::Status(503, ABSENT)] {
        host.simulator.fault(Fault::new(kind).at(endpoint).once());
    }
}

fn met_all_faults(host: &Host) -> Option<()> {
    host.simulator.change(|state| state.faults.is_empty()).then_some(())
}

/// What left before the fault was fixed is refused after it: that answer is from before the word.
#[test]
fn an_answer_to_what_left_before_the_word_is_not_the_last_one() {
    for endpoint in [Endpoint::Profile, Endpoint::Issue] {
        let mut host = Host::with_www();
        refuse_one_slowly(&host, endpoint);
        host.start();
        host.until("it is under way", || met_all_faults(&host));
        let said = host.says(&["renew", "www"]);
        assert_eq!(said.code, 0, "{endpoint:?}: {said:?}");
    }
}

#[test]
fn a_trial_that_left_before_the_word_is_followed_by_another() {
    let host = waiting(Trouble::Status(503, Endpoint::Profile), 3);
    host.simulator.clear_faults();
    refuse_one_slowly(&host, Endpoint::Profile);
    let first = host.begin(&["renew", "site-1"]);
    host.until("the trial is under way", || met_all_faults(&host));
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(first.wait_with_output().unwrap().status.code(), Some(0), "who waited is served as well");
}

#[test]
fn the_word_for_a_whole_fleet_is_one_trial() {
    let mut host = waiting(Trouble::Status(503, Endpoint::Profile), 12);
    host.simulator.clear_requests();
    let said = host.says(&["renew", "--all"]);
    assert_eq!(said.code, 1, "{said:?}");
    let asked: Vec<String> = host.simulator.requests().into_iter().map(|call| call.path).collect();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(said.out.contains("the API cannot be used") && said.out.contains(" 503"), "{}", said.out);
    host.end(Signal::TERM);
}

/// `Retry-After` is TLM's own word; a pause that renewd made up is over.
#[test]
fn a_pause_that_tlm_asked_for_is_kept_and_told_and_one_that_it_did_not_is_over() {
    for (after, code) in [(RetryAfter::Seconds(3000), 1), (ABSENT, 0)] {
        let mut host = Host::with_www();
        host.simulator.fault(Fault::new(FaultKind::Status(429, after)).at(Endpoint::Issue));
        host.start();
        host.until("it is limited", || {
            (host.certificate("www")["last_error"]["code"] == "api-rate-limited").then_some(())
        });
        host.simulator.clear_faults();
        host.simulator.clear_requests();
        let begun = Instant::now();
        let said = host.says(&["renew", "www"]);
        assert_eq!(said.code, code, "{after:?}: {said:?}");
        assert!(begun.elapsed() < Duration::from_secs(25), "{after:?}: {:?}", begun.elapsed());
        assert_eq!(host.submissions(), 1 - usize::try_from(code).unwrap(), "{after:?}");
        if code == 1 {
            let parts = ["TLM limits the rate", "requests resume at", "renewd explain api-rate-limited"];
            assert!(parts.iter().all(|part| said.out.contains(part)), "{}", said.out);
            assert_eq!(host.simulator.requests().len(), 0, "nothing leaves before that");
        }
    }
}

#[test]
fn a_pending_request_is_asked_after_at_once() {
    let mut host =
        Host::new(ProfileSpec { issuance: Issuance::Pending { approve_after: None }, ..ProfileSpec::default() });
    host.entry("www", "");
    host.start();
    let www = host.wait_state("www", "pending");
    assert!(host.simulator.approve(www["request_id"].as_str().unwrap()));
    let begun = Instant::now();
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("www: replaced"), "{}", said.out);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    assert_eq!(host.submissions(), 1);
}

/// The operator allowed in TLM what stopped it for good.
#[test]
fn a_stop_by_a_refusal_ends_with_the_word() {
    let mut host =
        Host::new(ProfileSpec { issuance: Issuance::Pending { approve_after: None }, ..ProfileSpec::default() });
    host.entry("www", "");
    host.start();
    let www = host.wait_state("www", "pending");
    assert!(host.simulator.reject(www["request_id"].as_str().unwrap(), "not yet"));
    let said = host.says(&["renew", "www"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.out.contains("www: rejected"), "{}", said.out);
    host.simulator.change_profile(&host.profile, |profile| profile.issuance = Issuance::Immediate);
    assert_eq!(host.says(&["renew", "www"]).code, 0);
}
