//! One turn of the loop's own work on n certificates, as `src/daemon/attend.rs` has it: the real fleet, profiles,
//! breaker and decision, without the files and the API.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use renewd::core::admission::Places;
use renewd::core::breaker::Breaker;
use renewd::core::decide::{Action, Surroundings};
use renewd::core::entry::Entry;
use renewd::core::name::CertName;
use renewd::core::observed::{Leaf, Observed};
use renewd::core::record::Record;
use renewd::core::time::Timestamp;
use renewd::daemon::fleet::{Fleet, Managed};
use renewd::daemon::profiles::Profiles;

use crate::material::{self, DAY, NOW};

/// Everything that an event touches.
pub(crate) struct Turn {
    fleet: Fleet,
    profiles: Profiles,
    breaker: Breaker,
    surroundings: Surroundings,
    places: Places,
    facts: Leaf,
}

impl Turn {
    /// `count` certificates, all valid, looked at one after the other within six hours, in another order than by name.
    pub(crate) fn new(count: usize, facts: &Leaf) -> Self {
        let mut fleet = Fleet::default();
        let entry = material::entry("c");
        let observed = Observed::Installed(Box::new(material::installed(facts, DAY, NOW)));
        let mut record = Record::default();
        material::renewal(&entry, facts, NOW).iter().for_each(|told| record.apply(told.at, &told.event));
        let (reading, surroundings) = (material::reading(), material::surroundings(None));
        let step = LOOK_AGAIN / u32::try_from(count).unwrap();
        for number in 0..count {
            let name: CertName = format!("c{number:06}").parse().unwrap();
            let at = NOW + step * u32::try_from(number * 617 % count).unwrap();
            let entry = Arc::new(Entry { name, ..entry.clone() });
            let mut managed = Managed::new(entry, observed.clone(), record.clone(), NOW);
            managed.decide(&reading, &surroundings, NOW);
            fleet.add(managed, at);
        }
        let mut profiles = Profiles::new(BTreeMap::new());
        profiles.note(&entry.profile, Ok(material::profile()), NOW);
        Self {
            fleet,
            profiles,
            breaker: Breaker::default(),
            surroundings,
            places: Places::new(8),
            facts: facts.clone(),
        }
    }

    /// Takes the next certificate, and puts it back in line.
    pub(crate) fn queue(&mut self) {
        let now = self.fleet.next_wake().unwrap();
        let name = self.fleet.pop_due(now).unwrap();
        self.fleet.wake(&name, now + LOOK_AGAIN);
    }

    /// The next certificate comes due: it is seen, decided for, lined up and given a place; then its renewal ends, and
    /// it is seen and decided for again. The decisions are all of one instant, so that the profile stays fresh.
    pub(crate) fn event(&mut self) {
        let at = self.fleet.next_wake().unwrap();
        let name = self.fleet.pop_due(at).unwrap();
        assert!(self.settle(&name, DAY * 80, at), "it is not due");
        let (first, emergency) = self.fleet.first_in_line().unwrap();
        assert!(first == name && self.places.take(emergency), "it has no place");
        self.fleet.leave_line();
        black_box(self.fleet.one(&name).unwrap().decision().action.clone());
        self.fleet.begin(&name);
        self.places.give_back();
        // The line that systemd is told.
        black_box((self.fleet.states().collect::<Vec<_>>(), self.fleet.notable().count()));
        self.fleet.end(&name);
        assert!(!self.settle(&name, DAY, at), "it is due again");
    }

    /// `Daemon::observed` with `Daemon::settle`; whether it lines up. It came due `at`.
    fn settle(&mut self, name: &CertName, age: Duration, at: Timestamp) -> bool {
        let observed = Observed::Installed(Box::new(material::installed(&self.facts, age, NOW)));
        self.fleet.change(name, |managed| managed.observed = observed);
        self.fleet.step_out(name);
        self.surroundings.api_recovered_at = self.breaker.recovered_at();
        let managed = self.fleet.one(name).filter(|managed| !managed.is_busy()).unwrap();
        let (entry, before) = (Arc::clone(&managed.entry), managed.decision().reason.clone());
        let reading = self.profiles.reading(&entry.profile);
        let decide = |managed: &mut Managed| {
            managed.decide(reading, &self.surroundings, NOW);
            (managed.decision().action.clone(), managed.decision().wake_at)
        };
        let (action, wake_at) = self.fleet.change(name, decide).unwrap();
        let nap = wake_at.since(NOW).clamp(Duration::from_millis(20), LOOK_AGAIN);
        black_box((before, self.profiles.is_stale(&entry.profile, NOW), self.breaker.open_until()));
        self.fleet.wake(name, at + nap);
        let is_due = matches!(action, Action::Submit(_));
        if is_due {
            self.fleet.line_up(name);
        }
        is_due
    }
}

const LOOK_AGAIN: Duration = Duration::from_secs(6 * 3600);
