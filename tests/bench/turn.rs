//! One turn of the engine on n certificates, without the files and the API: what a shell around it pays for each event.

use std::collections::VecDeque;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use renewd::config::{Inventory, parse_main};
use renewd::core::decide::Action;
use renewd::core::known::ca_status::CaWatch;
use renewd::core::known::observed::{Leaf, Observed};
use renewd::core::name::CertName;
use renewd::core::record::Record;
use renewd::core::wanted::entry::Entry;
use renewd::engine::io::Arrival;
use renewd::engine::job::Job;
use renewd::engine::notices::Notices;
use renewd::engine::profiles::ProfileCache;
use renewd::engine::{Command, Engine, Input, Mode, Now, Start};

use crate::material::{self, DAY, NOW};

/// An engine with certificates.
pub(crate) struct Turn {
    engine: Engine,
    now: Now,
    facts: Leaf,
    /// The looks that the engine wants: those of ten minutes come together.
    looks: VecDeque<(u64, CertName)>,
}

impl Turn {
    /// `count` certificates, all valid, looked at one after the other within six hours, in another order than by name.
    pub(crate) fn new(count: usize, facts: &Leaf) -> Self {
        let text = "inventory = '/etc/renewd/certs.d'\nstate_dir = '/var/lib/renewd'\nca_status_check = 'off'\n\
                    [api]\nurl = 'https://tlm.test'\napi_key_file = '/etc/renewd/a.key'\nstatus_check_interval = 'off'\n";
        let main = parse_main(Path::new("/etc/renewd/renewd.toml"), text).unwrap();
        let mut record = Record::default();
        let entry = material::entry("c");
        material::renewal(&entry, facts, NOW).iter().for_each(|told| record.apply(told.at, &told.event));
        let of_number = |number| -> CertName { format!("c{number:06}").parse().unwrap() };
        let entries: Vec<_> =
            (0..count).map(|number| Arc::new(Entry { name: of_number(number), ..entry.clone() })).collect();
        let now = Now { wall: NOW, steady: Duration::ZERO };
        let engine = Engine::new(Start {
            mode: Mode::Forever,
            main,
            records: entries.iter().map(|entry| (entry.name.clone(), record.clone())).collect(),
            inventory: Inventory { entries: entries.clone(), ..Inventory::default() },
            overlooked: Vec::new(),
            journal_too_new: false,
            earliest: NOW,
            profiles: ProfileCache::default(),
            cas: CaWatch::default(),
            notices: Notices::default(),
            credentials: Vec::new(),
            now,
        });
        let mut turn = Self { engine, now, facts: facts.clone(), looks: VecDeque::new() };
        let arrival = |entry: Arc<Entry>| Arrival { entry, observed: turn.observed(DAY), attempts: Vec::new() };
        let arrivals = entries.into_iter().map(arrival).collect();
        turn.tell(Input::Began { arrivals, gone: Vec::new(), is_watched: None });
        turn.tell(Input::ProfileRead(entry.profile.clone(), Box::new(Ok(material::profile()))));
        turn.tell(Input::Tick);
        turn
    }

    fn observed(&self, age: Duration) -> Observed {
        Observed::Installed(Box::new(material::installed(&self.facts, age, NOW)))
    }

    /// Tells the engine; the action that it wants done, if any. Looks are kept for later, and all else is answered at
    /// once, as good.
    #[expect(clippy::wildcard_enum_match_arm, reason = "whatever else is to be done costs the shell, not the engine")]
    fn tell(&mut self, input: Input) -> Option<Job> {
        let mut job = None;
        self.engine.handle(input, self.now);
        while let Some(command) = self.engine.next_command() {
            match command {
                Command::Run(begun) => {
                    assert!(job.is_none(), "one certificate comes due at a time");
                    job = Some(*begun);
                }
                Command::Observe { look, entries } => {
                    self.looks.extend(entries.iter().map(|entry| (look, entry.name.clone())));
                }
                Command::ReadProfile(profile) => {
                    let read = Input::ProfileRead(profile, Box::new(Ok(material::profile())));
                    self.engine.handle(read, self.now);
                }
                Command::ReadCredentials(_) => self.engine.handle(Input::CredentialsRead(Vec::new()), self.now),
                other => drop(black_box(other)),
            }
        }
        job
    }

    /// The next certificate that comes due to be looked at.
    fn next_look(&mut self) -> (u64, CertName) {
        loop {
            if let Some(look) = self.looks.pop_front() {
                return look;
            }
            let after = self.engine.next_wake(self.now).unwrap().after;
            self.now = Now { wall: self.now.wall + after, steady: self.now.steady + after };
            assert!(self.tell(Input::Tick).is_none(), "nothing is due");
        }
    }

    /// The loop comes round until what was decided is done: the profile may have to be read first.
    fn next_job(&mut self) -> Job {
        loop {
            if let Some(job) = self.tell(Input::Tick) {
                return job;
            }
        }
    }

    /// A certificate is looked at, and nothing is new.
    pub(crate) fn look(&mut self) {
        let (look, name) = self.next_look();
        let found = vec![(name, self.observed(DAY))];
        assert!(self.tell(Input::Observed { look, found }).is_none(), "it is due");
    }

    /// The next certificate comes due: it is seen, decided for, lined up and given a place; then its renewal ends, and
    /// it is seen and decided for again.
    pub(crate) fn event(&mut self) {
        let (look, name) = self.next_look();
        let found = vec![(name.clone(), self.observed(DAY * 80))];
        self.tell(Input::Observed { look, found });
        let had_place = self.next_job().had_place;
        let action = self.engine.fleet().one(&name).unwrap().decision().action.clone();
        assert!(had_place && matches!(action, Action::Submit(_)), "{action:?}");
        self.tell(Input::Finished { name: name.clone(), had_place });
        let (look, seen) = self.looks.pop_back().unwrap();
        assert_eq!(seen, name, "what came of it is looked at");
        let found = vec![(name, self.observed(DAY))];
        assert!(self.tell(Input::Observed { look, found }).is_none(), "it is due again");
    }
}
