//! What is odd rather than broken: answers in words that nobody knows, hints without sense, others at the same TLM, and an
//! operator who acts at the worst moment.

use std::time::Duration;

use renewd::core::failure::RetryHint;
use renewd::core::name::{CertName, ProfileId, ProfileRef};
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Entry;
use renewd::core::wanted::key::KeyType;

use crate::random::Random;
use crate::tlm::{LAGS, Listing, NUMBERS, Number, STATES, Saying, Until, WORDS, Weather};
use crate::world::{START, Task, World};

use super::{DAY, Fault, YEAR, furnish};

/// Something odd, or its end.
#[derive(Clone, Debug)]
pub(crate) enum Odd {
    /// The next request of a certificate is answered so for ever.
    Says(CertName, Saying),
    /// TLM says this of the installed certificate.
    State(CertName, &'static str),
    /// The next answers that bring a certificate name these serial numbers.
    Numbers(Vec<Number>),
    Listing(Listing),
    Lag(Duration),
    /// When TLM lets certificates be renewed, and what it says before that.
    Window(Option<(Duration, Until)>),
    /// Another host gets a certificate of the same name.
    Another(CertName),
    /// And withdraws what it has.
    AnotherRevokes(CertName),
    /// TLM's own clock is wrong by so many milliseconds.
    TlmClock(i64),
    /// All API keys end for good.
    KeysEnd,
    /// The operator brings new ones.
    NewKeys,
    /// The operator acts as soon as this part of an effect is over.
    Lurk(&'static str, Act),
    Act(CertName, Act),
    /// The next look at files hangs so long.
    Hang(Duration),
    /// A certificate comes, or leaves the inventory for good.
    Comes(Box<Entry>),
    Gone(CertName),
}

/// What an operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Renew,
    RollBack,
    Hold {
        lasts: Option<Duration>,
        even_emergency: bool,
    },
    Release,
    Names,
    Profile,
    Key,
    Window,
    /// He removes the entry, and puts it back soon.
    Away,
}

const ACTS: [Act; 7] = [Act::Renew, Act::RollBack, Act::Names, Act::Profile, Act::Key, Act::Window, Act::Away];
/// The worst moments: right after a submission, between install and hook, and what else is half done.
const MOMENTS: [&str; 9] = ["send", "send", "intent", "rename", "installed", "installed", "search", "pickup", "answer"];

/// What a seed has of them in a year.
pub(super) fn draw(world: &mut World) {
    for _ in 0..8 + world.random.below(24) {
        let at = Duration::from_secs(world.random.below(YEAR.as_secs()));
        one(world, at);
    }
    if world.random.percent(30) {
        let at = Duration::from_secs(world.random.below(YEAR.as_secs()));
        let away = world.random.span(HOUR, DAY * 30);
        odd(world, at, Odd::KeysEnd);
        odd(world, at + away, Odd::NewKeys);
    }
    for (id, stays) in [("m20", HOUR * 6), ("h1", DAY), ("d1", DAY * 40)] {
        for _ in 0..1 + world.random.below(2) {
            let at = Duration::from_secs(world.random.below(YEAR.as_secs()));
            let mut entry = furnish::entry(id, id);
            if world.random.percent(30) {
                entry.deploy_window = Some(furnish::window().into());
            }
            if world.random.percent(50) {
                entry.hooks = vec!["web".parse().expect("a valid name")];
                entry.rollback = true;
            }
            odd(world, at, Odd::Comes(Box::new(entry.clone())));
            odd(world, at + stays, Odd::Gone(entry.name));
        }
    }
}

pub(super) fn odd(world: &mut World, at: Duration, odd: Odd) {
    world.later(at, Task::Fault(Fault::Odd(odd)));
}

/// One oddity, with its end where it has one.
fn one(world: &mut World, at: Duration) {
    let name: CertName = world.random.pick(&NAMES).parse().expect("a valid name");
    let span = world.random.span(HOUR, DAY * 20);
    match world.random.below(18) {
        0..=5 => words(world, at, name),
        6..=8 => searches(world, at, span),
        9 => {
            let until = until(&mut world.random);
            let window = DAY * (1 + world.random.below(10) as u32);
            odd(world, at, Odd::Window(Some((window, until))));
            odd(world, at + span * 3, Odd::Window(None));
        }
        10 | 11 => {
            let hint = hint(&mut world.random, START + at);
            let weather = *world.random.pick(&[Weather::Limited(hint), Weather::Maintenance(hint)]);
            world.later(at, Task::Fault(Fault::Weather(weather, span / 10)));
        }
        12 | 13 => {
            odd(world, at, Odd::Another(name.clone()));
            odd(world, at + span, Odd::AnotherRevokes(name));
        }
        14..=16 => operator(world, at, span, name),
        _ => {
            let size = world.random.span(MINUTE * 5, DAY * 2).as_millis() as i64;
            let off = if world.random.percent(50) { size } else { -size };
            odd(world, at, Odd::TlmClock(off));
            odd(world, at + span / 4, Odd::TlmClock(0));
        }
    }
}

/// Words and numbers that nobody expects.
fn words(world: &mut World, at: Duration, name: CertName) {
    let random = &mut world.random;
    let strange = match random.below(6) {
        0..=2 => {
            let word = *random.pick(&WORDS);
            Odd::Says(name, Saying { word, names_number: random.percent(50), is_issued: random.percent(50) })
        }
        3 => {
            let word = *random.pick(&STATES);
            Odd::State(name, word)
        }
        _ => Odd::Numbers((0..=random.below(3)).map(|_| *random.pick(&NUMBERS)).collect()),
    };
    odd(world, at, strange);
}

/// A search that shows too much, too late, or nothing; and something to search for.
fn searches(world: &mut World, at: Duration, span: Duration) {
    let random = &mut world.random;
    let is_for_ever = random.percent(20);
    let (begins, ends) = if random.percent(30) {
        (Odd::Lag(*random.pick(&LAGS)), Odd::Lag(Duration::ZERO))
    } else {
        let fails = Listing::OneFails(*random.pick(&[Weather::ServerError, Weather::NoAnswer, Weather::Html]));
        (Odd::Listing(*random.pick(&[Listing::Bare, fails, fails, Listing::Silent])), Odd::Listing(Listing::Whole))
    };
    odd(world, at, begins);
    if !is_for_ever {
        odd(world, at + span, ends);
    }
    world.later(at, Task::Fault(Fault::LoseReplies(2)));
}

/// Somebody acts at the worst moment: while something is half done, in an outage, or while a look hangs.
fn operator(world: &mut World, at: Duration, span: Duration, name: CertName) {
    let act = *world.random.pick(&ACTS);
    if world.random.percent(60) {
        for _ in 0..=world.random.below(2) {
            let (moment, act) = (*world.random.pick(&MOMENTS), *world.random.pick(&ACTS));
            odd(world, at, Odd::Lurk(moment, act));
        }
        return;
    }
    let weather = super::weather(&mut world.random);
    world.later(at, Task::Fault(Fault::Weather(weather, span / 20)));
    odd(world, at + span / 40, Odd::Act(name.clone(), act));
    let hangs = world.random.span(Duration::from_secs(2), HOUR);
    odd(world, at + span, Odd::Hang(hangs));
    world.later(at + span, Task::Fault(Fault::Reload));
    odd(world, at + span + Duration::from_secs(1), Odd::Act(name, act));
}

fn until(random: &mut Random) -> Until {
    let hours = [-12, -2, 1, 14];
    let zone = Until::Zone(*random.pick(&hours));
    *random.pick(&[Until::Right, Until::Unsaid, Until::Huge, Until::Over, Until::Zero, zone, zone])
}

/// Nothing, a year, a date that is over, and one far ahead.
fn hint(random: &mut Random, now: Timestamp) -> RetryHint {
    *random.pick(&[
        RetryHint::After(Duration::ZERO),
        RetryHint::After(YEAR),
        RetryHint::After(Duration::MAX),
        RetryHint::At(now - DAY),
        RetryHint::At(now + YEAR),
        RetryHint::At(Timestamp::from_seconds(0)),
        RetryHint::At(Timestamp::from_seconds(253_402_300_799)),
    ])
}

/// Certificates of all lifetimes, old ones among them, with windows that fit and some that do not.
pub(super) fn furnish_lifetimes(world: &mut World) {
    world.tlm.odd.is_on = true;
    for (id, lifetime, window, duplicates) in LIFETIMES {
        furnish::add_profile(world, id, lifetime, window, duplicates);
    }
    for state in world.tlm.profiles.values_mut() {
        state.profile.keys = vec![KeyType::EcdsaP256, KeyType::EcdsaP384];
    }
    for (id, lifetime, _, _) in LIFETIMES.into_iter().skip(GUESTS) {
        let entry = furnish::entry(id, id);
        if lifetime > DAY * 100 {
            // It ends within the year or not at all in it; one day at least is left.
            let left = DAY + Duration::from_secs(world.random.below((DAY * 500).min(lifetime - DAY).as_secs()));
            furnish::install_old(world, &entry, lifetime - left);
        }
        world.inventory.insert(entry.name.clone(), entry);
    }
}

/// A certificate of one of these lifetimes, for a script.
pub(crate) fn newcomer(world: &mut World, id: &str) -> Entry {
    let (id, lifetime, window, duplicates) = *LIFETIMES.iter().find(|(own, ..)| *own == id).expect("a lifetime");
    furnish::add_profile(world, id, lifetime, window, duplicates);
    furnish::entry(id, id)
}

/// A moment that a script names.
pub(crate) fn moment(word: &str) -> &'static str {
    MOMENTS.into_iter().find(|moment| *moment == word).expect("a moment")
}

impl World {
    pub(super) fn apply_odd(&mut self, odd: Odd) {
        match odd {
            Odd::Says(name, saying) => drop(self.tlm.odd.sayings.insert(name, saying)),
            Odd::State(name, word) => {
                if let Some(live) = self.disk.live.get(&name) {
                    self.tlm.odd.states.insert(live.certificate.serial.clone(), word);
                }
            }
            Odd::Numbers(numbers) => self.tlm.odd.numbers = numbers,
            Odd::Listing(listing) => self.tlm.odd.listing = listing,
            Odd::Lag(lag) => self.tlm.odd.lag = lag,
            Odd::Window(window) => self.tlm.odd.window = window,
            Odd::Another(name) => {
                if let Some(entry) = self.inventory.get(&name)
                    && let ProfileRef::Id(profile) = &entry.profile
                {
                    let (asked, profile) = (entry.asked(), profile.clone());
                    self.tlm.issue_to_another(&name, asked, profile, self.now);
                }
            }
            Odd::AnotherRevokes(name) => self.tlm.revoke_of_another(&name),
            Odd::TlmClock(off) => (self.tlm.odd.clock, self.tlm.odd.told_at) = (off, None),
            Odd::KeysEnd => self.tlm.refused_keys = [true; 2],
            Odd::NewKeys => {
                (self.tlm.refused_keys, self.tlm.key_ends) = ([false; 2], [None; 2]);
                if self.is_awake() {
                    self.reload();
                } else if self.asleep_until > self.now {
                    let wait = self.asleep_until.since(self.now) + MINUTE;
                    self.later(wait, Task::Fault(Fault::Odd(Odd::NewKeys)));
                }
            }
            Odd::Lurk(moment, act) => self.lurking.push((moment, act)),
            Odd::Act(name, act) => self.act(&name, act),
            Odd::Hang(span) => self.look_hangs = Some(span),
            Odd::Comes(entry) => self.operate(Fault::Add(entry)),
            Odd::Gone(name) => {
                if self.inventory.remove(&name).is_some() {
                    self.reload_awake();
                } else {
                    // The operator may be about to put it back.
                    self.later(HOUR * 7, Task::Fault(Fault::Odd(Odd::Gone(name))));
                }
            }
        }
    }

    /// The operator waited for this moment.
    pub(crate) fn lurk(&mut self, name: &CertName, mark: &str) {
        if let Some(found) = self.lurking.iter().position(|(moment, _)| *moment == mark) {
            let (_, act) = self.lurking.remove(found);
            // Between install and hook nothing is under way that would keep him from it.
            let wait = if mark == "installed" { Duration::from_secs(1) } else { Duration::ZERO };
            self.later(wait, Task::Fault(Fault::Odd(Odd::Act(name.clone(), act))));
        }
    }

    fn act(&mut self, name: &CertName, act: Act) {
        match act {
            Act::Renew => self.operate(Fault::Ask(name.clone())),
            Act::Names => self.operate(Fault::Edit(name.clone())),
            Act::Hold { lasts, even_emergency } => self.hold(name, lasts, even_emergency),
            Act::Release => self.release(name),
            Act::RollBack => {
                if self.is_awake() {
                    self.operator_rolls_back(name);
                }
            }
            Act::Profile => self.change_entry(name, |entry| {
                let others = [("p0", "p2"), ("p2", "p0")];
                let other = |id: &ProfileId| others.iter().find(|(own, _)| *own == &*id.0).map(|(_, other)| *other);
                if let ProfileRef::Id(id) = &entry.profile
                    && let Some(other) = other(id)
                {
                    entry.profile = ProfileRef::Id(ProfileId(other.into()));
                }
            }),
            Act::Key => self.change_entry(name, |entry| {
                entry.key = if entry.key.is_some() { None } else { Some(KeyType::EcdsaP384) };
            }),
            Act::Window => self.change_entry(name, |entry| {
                let closed = entry.deploy_window.is_none();
                entry.deploy_window = closed.then(|| furnish::window().into());
            }),
            Act::Away => {
                let Some(entry) = self.inventory.remove(name) else { return };
                let away = self.random.span(Duration::from_secs(1), HOUR * 6);
                self.later(away, Task::Fault(Fault::Add(Box::new(entry))));
                self.reload_awake();
            }
        }
    }

    fn change_entry(&mut self, name: &CertName, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.inventory.get_mut(name) else { return };
        let before = entry.clone();
        change(entry);
        let is_other = !entry.asks(&before.asked()) || entry.profile != before.profile;
        let is_edited = *entry != before;
        // Another window asks for no other certificate.
        if is_other {
            self.edited(name);
        }
        if is_edited {
            self.reload_awake();
        }
    }

    /// Whether the host's clock and TLM's show the same time, as far as anybody would notice.
    pub(crate) fn clocks_agree(&self) -> bool {
        (self.skew - self.tlm.odd.clock).unsigned_abs() < (MINUTE * 9).as_millis() as u64
    }
}

/// Beside those of every seed: name and profile, lifetime, renewal window in days, and whether duplicates are allowed.
const LIFETIMES: [(&str, Duration, Option<u32>, bool); 7] = [
    ("m20", Duration::from_secs(1200), Some(1), true),
    ("h1", HOUR, None, true),
    ("d1", DAY, Some(30), true),
    ("d6", Duration::from_secs(6 * 86_400), Some(2), false),
    ("d47", Duration::from_secs(47 * 86_400), Some(1), false),
    ("y1", YEAR, Some(30), true),
    ("y10", Duration::from_secs(3650 * 86_400), Some(1), true),
];
/// The first of them come and go: a year of their renewals would take too long.
const GUESTS: usize = 3;
pub(super) const NAMES: [&str; 17] =
    ["c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "m20", "h1", "d1", "d6", "d47", "y1", "y10"];
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
