//! Who gets a place when there are few: the engine alone, with three places, of which two are kept for emergencies. In the
//! seeds there are hardly ever more who are due at once than places.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use renewd::config::{Inventory, parse_main};
use renewd::core::event::{self, Event, Method};
use renewd::core::failure::{Failure, FailureClass, RetryHint};
use renewd::core::known::ca_status::CaWatch;
use renewd::core::name::{Attempt, CertName, ProfileId, SerialNumber};
use renewd::core::reason::Reason;
use renewd::core::wanted::key::KeyType;
use renewd::engine::breaker::Function;
use renewd::engine::io::Arrival;
use renewd::engine::notices::Notices;
use renewd::engine::profiles::ProfileCache;
use renewd::engine::{Command, Engine, Input, Mode, Now, Start};

use crate::disk::Disk;
use crate::faults;
use crate::tlm::{Certificate, digest};
use crate::world::START;

struct Bench {
    engine: Engine,
    disk: Disk,
    count: u64,
}

const NOW: Now = Now { wall: START, steady: Duration::from_secs(1000) };
const DAY: Duration = Duration::from_secs(86_400);

/// With `a`, `b` and `c`, which end in 20, 18 and 19 days: all are due, and `b` has the one place.
fn bench() -> Bench {
    let text = "inventory = '/etc/renewd/certs.d'\nstate_dir = '/var/lib/renewd'\nca_status_check = 'off'\n\
                [api]\nurl = 'https://tlm.test'\napi_key_file = '/etc/renewd/a.key'\nmax_concurrent_requests = 3\n";
    let engine = Engine::new(Start {
        mode: Mode::Forever,
        main: parse_main(Path::new("/etc/renewd/renewd.toml"), text).expect("a good configuration"),
        inventory: Inventory::default(),
        overlooked: Vec::new(),
        records: [].into(),
        journal_too_new: false,
        earliest: START,
        profiles: ProfileCache::default(),
        cas: CaWatch::default(),
        notices: Notices::default(),
        credentials: Vec::new(),
        now: NOW,
    });
    let mut bench = Bench { engine, disk: Disk::default(), count: 0 };
    let arrivals = [("a", 20), ("b", 18), ("c", 19)].map(|(name, left)| bench.arrival(name, left)).into();
    assert_eq!(bench.tell(Input::Began { arrivals, gone: Vec::new(), is_watched: None }), ["b"]);
    bench
}

fn named(name: &str) -> CertName {
    name.parse().expect("a name")
}

impl Bench {
    /// Installs a certificate that ends in so many days.
    fn arrival(&mut self, name: &str, left: u32) -> Arrival {
        self.count += 1;
        let entry = faults::entry(name, "web");
        // Its state at TLM is looked at late on the first day.
        let fingerprint = digest(86_000_000 + self.count);
        let set = Arc::new(Certificate {
            name: entry.name.clone(),
            serial: SerialNumber(format!("{:X}", self.count)),
            fingerprint,
            spki: fingerprint,
            asked: entry.asked(),
            profile: ProfileId("web".into()),
            not_before: START + DAY * left - DAY * 90,
            not_after: START + DAY * left,
            visible_at: START,
            defect: None,
        });
        let attempt = Attempt(self.count);
        let generation = self.disk.install(&entry.name, attempt, &set, &entry);
        let event = Event::Installed {
            attempt,
            generation,
            serial_number: set.serial.clone(),
            fingerprint,
            not_after: set.not_after,
            hooks: Vec::new(),
            chain_end: None,
            issuer: None,
            replaces: None,
        };
        self.engine.handle(Input::Happened(event::Entry { at: START, name: entry.name.clone(), event }), NOW);
        Arrival { observed: self.disk.observe(&entry), entry: Arc::new(entry), attempts: Vec::new() }
    }

    /// What is run then.
    fn tell(&mut self, input: Input) -> Vec<String> {
        let mut runs = Vec::new();
        self.engine.handle(input, NOW);
        self.engine.handle(Input::Tick, NOW);
        while let Some(command) = self.engine.next_command() {
            let answer = match command {
                Command::Run(job) => {
                    runs.push(job.entry.name.to_string());
                    continue;
                }
                Command::Observe { look, entries } => {
                    let found = entries.iter().map(|entry| (entry.name.clone(), self.disk.observe(entry))).collect();
                    Input::Observed { look, found }
                }
                Command::ReadProfile(profile) => {
                    Input::ProfileRead(profile, Box::new(Ok(faults::profile("web", Some(30), true))))
                }
                Command::ReadCredentials(_) => Input::CredentialsRead(Vec::new()),
                _ => continue,
            };
            self.engine.handle(answer, NOW);
            self.engine.handle(Input::Tick, NOW);
        }
        runs
    }

    /// The one that has the place is renewed.
    fn finish(&mut self, name: &str) -> Vec<String> {
        drop(self.arrival(name, 90));
        self.tell(Input::Finished { name: named(name), had_place: true })
    }

    fn reason(&self, name: &str) -> Reason {
        self.engine.fleet().one(&named(name)).expect("it is there").decision().reason.clone()
    }

    fn answered(&mut self, name: &str, failure: Option<Failure>) -> Vec<String> {
        let profile = faults::entry(name, "web").profile.clone();
        self.tell(Input::Answered { name: named(name), profile, function: Function::Main, failure })
    }
}

#[test]
fn who_ends_first_goes_first_and_an_emergency_takes_a_kept_place() {
    let mut bench = bench();
    assert!(matches!(bench.reason("c"), Reason::Queued(_)), "{}", bench.reason("c"));
    let urgent = bench.arrival("z", 5);
    assert_eq!(bench.tell(Input::Adopted(vec![urgent])), ["z"]);
    assert!(bench.finish("z").is_empty(), "the places left are kept");
    let entry = event::Entry { at: START, name: named("c"), event: Event::StatusUnread };
    assert!(bench.tell(Input::Happened(entry)).is_empty());
    assert_eq!(bench.finish("b"), ["c"], "it stays in the line whatever is learnt of it");
    assert_eq!(bench.finish("c"), ["a"]);
}

#[test]
fn who_is_rolled_back_waits_for_no_place() {
    let mut bench = bench();
    bench.engine.begin_rollback(&named("c")).expect("nobody works on it");
    assert!(bench.engine.begin_rollback(&named("c")).is_err(), "it is on its way");
    assert_eq!(bench.finish("b"), ["a"]);
    assert!(bench.engine.begin_rollback(&named("a")).is_err(), "it is being renewed");
}

#[test]
fn nobody_gets_a_place_before_it_is_looked_at_again() {
    let mut bench = bench();
    drop((bench.arrival("a", 90), bench.arrival("c", 90)));
    // The API answers again, a clock was set, or somebody reloads: what was decided before does not count.
    bench.engine.handle(Input::Reloaded, NOW);
    assert!(bench.finish("b").is_empty());
}

#[test]
fn who_waits_in_line_when_the_api_goes_down_asks_nothing_and_keeps_no_place() {
    let mut bench = bench();
    for name in ["a", "c"] {
        bench.answered(name, Some(Failure::new(FailureClass::ApiUnreachable, "no connection")));
    }
    assert!(bench.engine.api().is_down() && bench.finish("b").is_empty());
    assert!(matches!(bench.reason("c"), Reason::ApiDown { .. }), "{}", bench.reason("c"));
    assert_eq!(bench.answered("b", None), ["c"]);
}

/// What waits for the end of a pause holds no place that an install could use: that needs nothing of TLM.
#[test]
fn a_pause_holds_no_install_back() {
    let mut bench = bench();
    // The one relaxed place is free again; a pause of six hours begins.
    assert_eq!(bench.finish("b"), ["c"]);
    assert_eq!(bench.finish("c"), ["a"]);
    assert!(bench.finish("a").is_empty());
    let limited = Failure {
        retry: Some(RetryHint::After(Duration::from_secs(6 * 3600))),
        ..Failure::new(FailureClass::ApiRateLimited, "429")
    };
    bench.answered("a", Some(limited));
    assert!(bench.engine.api().paused_until(START).is_some());
    // What was issued is here and is to be installed now.
    let mut arrival = bench.arrival("x", 60);
    let other = faults::entry("y", "other");
    let y = Arrival {
        entry: Arc::new(other),
        observed: renewd::core::known::observed::Observed::Absent,
        attempts: Vec::new(),
    };
    let submitting = Event::Submitting {
        attempt: Attempt(99),
        method: Method::New,
        asked: arrival.entry.asked(),
        profile: ProfileId("web".into()),
        profile_version: 1,
        key: KeyType::EcdsaP256,
        spki: digest(5),
        expiring: false,
        demands: None,
    };
    let issued = Event::Issued { attempt: Attempt(99), serial_number: SerialNumber("AA".to_owned()) };
    for event in [submitting, issued] {
        bench.engine.handle(Input::Happened(event::Entry { at: START, name: named("x"), event }), NOW);
    }
    arrival.attempts = vec![Attempt(99)];
    bench.engine.handle(Input::Adopted(vec![y]), NOW);
    bench.engine.handle(Input::Tick, NOW);
    while let Some(command) = bench.engine.next_command() {
        assert!(
            !matches!(command, Command::ReadProfile(_)),
            "a profile that is stale can wait for the end of the pause"
        );
    }
    assert_eq!(bench.tell(Input::Adopted(vec![arrival])), ["x"]);
}
