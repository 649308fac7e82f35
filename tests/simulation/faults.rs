//! What may go wrong: the faults of a year, drawn from a seed, and what each does to the world.

use std::time::Duration;

use renewd::core::compact::packed_names::Naming;
use renewd::core::failure::FailureClass;
use renewd::core::name::{CertName, HookName, ProfileId};
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Entry;

use crate::host::HookMood;
use crate::put_off::Order;
use crate::random::Random;
use crate::tlm::{DEFECTS, Defect, Endpoint, Fate, Mode, Part, Weather};
use crate::world::{START, Task, World};

mod furnish;
mod odd;
mod operator;

pub(crate) use furnish::{entry, furnish_year, has_hosts, probe, profile, window, world};
pub(crate) use odd::{Act, Odd, moment, newcomer};

/// Something that goes wrong, or right again.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    Weather(Weather, Duration),
    WeatherEnds(u64),
    /// A part of TLM fails alone, for a while or for ever.
    Part(Part, Option<Duration>),
    PartEnds(Part),
    /// One of the API keys is refused, or taken again.
    KeyRefused(usize, bool),
    /// TLM reports an end of an API key, and refuses it from then on; it is not replaced.
    KeyEnds(usize, Duration),
    LoseReplies(u32),
    Defects(Vec<Defect>),
    Refuse(CertName, bool),
    Mode(ProfileId, Mode),
    /// An administrator looks at everything that waits: issued, rejected, or forgotten by TLM.
    Decide(Verdict),
    Revoke(CertName),
    Forbid(ProfileId, bool),
    ForbidSearch(bool),
    Suspend(ProfileId, bool),
    Dates(bool),
    /// One answer has a `Date` that is so many milliseconds off.
    OddDate(i64),
    Disk(Option<FailureClass>),
    Unreadable(bool),
    Damage(CertName),
    Delete(CertName),
    Drift(CertName),
    LosePending(CertName),
    LoseJournal,
    Clock(i64),
    ClockSet,
    Sleep(Duration),
    Hook(HookName, HookMood),
    /// No server answers.
    Silent(bool),
    /// A server starts with old files.
    ServeOld(CertName),
    /// Somebody else renews.
    RenewElsewhere(CertName),
    /// The operator goes back to the generation before.
    RollBack(CertName),
    Edit(CertName),
    Remove(CertName),
    Add(Box<Entry>),
    Ask(CertName),
    Reload,
    /// The process dies at the so-manyth boundary from now, and starts again after that time.
    Crash(u32, Duration),
    /// The process is ended in order, or killed while nothing runs.
    Kill(Duration),
    Odd(Odd),
    Order(Order),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Approve,
    Reject,
    Forget,
}

fn draw(random: &mut Random) -> Fault {
    let name: CertName = format!("c{}", random.below(10)).parse().expect("a valid name");
    let profile = ProfileId(format!("p{}", random.below(4)).into());
    let hook: HookName = random.pick(&["web", "mail"]).parse().expect("a valid name");
    let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3600));
    match random.below(40) {
        0..=4 => Fault::Weather(weather(random), random.span(minute, DAY * 7)),
        5 | 6 => Fault::LoseReplies(1 + random.below(3) as u32),
        7 | 8 => Fault::Defects((0..=random.below(2)).map(|_| *random.pick(&DEFECTS)).collect()),
        9 => Fault::Refuse(name, true),
        10 => Fault::Mode(
            profile,
            *random.pick(&[
                Mode::Immediate,
                Mode::Slow(minute * 7),
                Mode::Slow(hour * 9),
                Mode::Approval,
                Mode::Approval,
                Mode::Approval,
            ]),
        ),
        11 => Fault::Decide(Verdict::Forget),
        12 => Fault::Revoke(name),
        13 => Fault::Forbid(profile, true),
        14 => Fault::ForbidSearch(true),
        15 => Fault::Suspend(profile, true),
        16 if random.percent(50) => Fault::OddDate(*random.pick(&[-DAY_MILLIS * 400, DAY_MILLIS])),
        16 => Fault::Dates(random.percent(50)),
        17 | 18 => Fault::Disk(Some(*random.pick(&[
            FailureClass::DiskFull,
            FailureClass::DiskReadOnly,
            FailureClass::DiskPermission,
            FailureClass::Disk,
        ]))),
        19 => Fault::Unreadable(true),
        20 => random.pick(&[Fault::Damage(name.clone()), Fault::Delete(name.clone()), Fault::Drift(name)]).clone(),
        21 => {
            if random.percent(80) {
                Fault::LosePending(name)
            } else {
                Fault::LoseJournal
            }
        }
        22 | 23 => Fault::Clock(clock_step(random)),
        24 => Fault::Sleep(random.span(minute, DAY * 7)),
        25 | 34 => Fault::Hook(hook, *random.pick(&[HookMood::Fails, HookMood::Hangs, HookMood::Lies])),
        35 => Fault::Silent(true),
        36 => Fault::ServeOld(name),
        37 => Fault::RenewElsewhere(name),
        38 => Fault::RollBack(name),
        26 => Fault::Edit(name),
        27 => Fault::Remove(name),
        28 => Fault::Ask(name),
        29 => Fault::Kill(random.span(minute, DAY * 3)),
        _ => Fault::Crash(random.below(40) as u32, random.span(Duration::from_secs(1), DAY)),
    }
}

/// Trouble of one endpoint, for one profile or one certificate of it: for hours, for weeks, or for good.
fn part(random: &mut Random) -> Fault {
    let number = random.below(9);
    let profile = PROFILES[number as usize];
    let endpoints = [
        Endpoint::Profile,
        Endpoint::Create,
        Endpoint::Create,
        Endpoint::PickUp,
        Endpoint::Search,
        Endpoint::Details,
        Endpoint::Formats,
    ];
    let endpoint = *random.pick(&endpoints);
    let is_one = endpoint != Endpoint::Profile && random.percent(40);
    let weather = *random.pick(&[
        Weather::Unavailable,
        Weather::ServerError,
        Weather::NoAnswer,
        Weather::Html,
        Weather::Unreachable,
    ]);
    let names = is_one.then(|| vec![format!("c{number}").parse().expect("a valid name")]);
    let span = *random.pick(&[Some(DAY / 4), Some(DAY * 3), Some(DAY * 40), None]);
    Fault::Part(Part { endpoint, profile: Some(ProfileId(profile.into())), names, weather }, span)
}

fn weather(random: &mut Random) -> Weather {
    let span = random.span(Duration::from_secs(1), DAY);
    let after = *random.pick(&[span, span, Duration::ZERO, DAY * 365]);
    *random.pick(&[
        Weather::Unreachable,
        Weather::Tls,
        Weather::Proxy,
        Weather::NoAnswer,
        Weather::Unavailable,
        Weather::ServerError,
        Weather::CreationError,
        Weather::CreationError,
        Weather::Html,
        Weather::RateLimited(None),
        Weather::RateLimited(Some(after)),
        Weather::Unauthorised,
    ])
}

/// From seconds to ten years, either way.
fn clock_step(random: &mut Random) -> i64 {
    let size = random.span(Duration::from_secs(90), DAY * 3650).as_millis() as i64;
    if random.percent(50) { size } else { -size }
}

impl World {
    pub(crate) fn apply(&mut self, fault: Fault) {
        self.ledger.faults += 1;
        let now = self.now;
        self.ledger.disturb(now);
        self.tell(|| format!("* {fault:?}"));
        match fault {
            Fault::Weather(weather, span) => {
                self.tlm.weather = weather;
                self.weather_count += 1;
                let count = self.weather_count;
                self.later(span, Task::Fault(Fault::WeatherEnds(count)));
            }
            Fault::WeatherEnds(count) if count == self.weather_count => self.tlm.weather = Weather::Fine,
            Fault::WeatherEnds(_) => {}
            Fault::Part(part, span) => {
                self.tlm.parts.push(part.clone());
                if let Some(span) = span {
                    self.later(span, Task::Fault(Fault::PartEnds(part)));
                }
            }
            Fault::PartEnds(part) => self.tlm.parts.retain(|other| *other != part),
            Fault::KeyRefused(number, refused) => self.tlm.refused_keys[number] = refused,
            Fault::KeyEnds(number, after) => {
                self.tlm.key_ends[number] = Some(now + after);
                self.later(after, Task::Fault(Fault::KeyRefused(number, true)));
            }
            Fault::LoseReplies(count) => self.tlm.lost_replies = count,
            Fault::Defects(defects) => self.tlm.defects = defects,
            Fault::Dates(dates) => {
                self.tlm.dates = dates;
                if !dates {
                    self.ends_later(Fault::Dates(true));
                }
            }
            Fault::OddDate(off) => self.tlm.odd_date = off,
            Fault::Decide(verdict) => self.decide_requests(verdict),
            Fault::Revoke(name) => {
                let serial = self.disk.live.get(&name).map(|live| live.certificate.serial.clone());
                self.tlm.revoked.extend(serial);
            }
            Fault::Mode(id, mode) => {
                if mode != Mode::Immediate {
                    self.ends_later(Fault::Mode(id.clone(), Mode::Immediate));
                }
                if let Some(state) = self.tlm.profiles.get_mut(&id) {
                    state.mode = mode;
                }
            }
            Fault::Refuse(..) | Fault::Forbid(..) | Fault::ForbidSearch(_) | Fault::Suspend(..) => self.refuse(fault),
            Fault::Disk(_) | Fault::Unreadable(_) | Fault::Hook(..) | Fault::Silent(_) => self.for_a_while(fault),
            Fault::Damage(_) | Fault::Delete(_) | Fault::Drift(_) | Fault::LosePending(_) | Fault::LoseJournal => {
                self.damage(&fault);
            }
            Fault::ServeOld(name) => self.serve_old(&name),
            Fault::RenewElsewhere(name) => self.renew_elsewhere(&name),
            Fault::RollBack(name) => {
                if self.is_awake() {
                    self.operator_rolls_back(&name);
                }
            }
            Fault::Clock(_) | Fault::ClockSet | Fault::Sleep(_) => self.change_clock(&fault),
            Fault::Edit(_) | Fault::Remove(_) | Fault::Add(_) | Fault::Ask(_) => self.operate(fault),
            Fault::Reload => self.reload_awake(),
            Fault::Crash(count, down) => self.crash_in = Some((count, down)),
            Fault::Kill(down) => self.crash(Some(down)),
            Fault::Odd(odd) => self.apply_odd(odd),
            Fault::Order(order) => self.order(order),
        }
    }

    fn decide_requests(&mut self, verdict: Verdict) {
        let now = self.now;
        for request in self.tlm.requests.values_mut().filter(|request| request.fate == Fate::Waits) {
            request.fate = match verdict {
                Verdict::Approve => Fate::Issues(now),
                Verdict::Reject => Fate::Rejected,
                Verdict::Forget => Fate::Forgotten,
            };
        }
    }

    /// Refusals of TLM, each for a while.
    fn refuse(&mut self, fault: Fault) {
        let (ends, is_new) = match fault {
            Fault::Refuse(name, on) => {
                set(&mut self.tlm.refused, &name, on);
                (Fault::Refuse(name, false), on)
            }
            Fault::Forbid(id, on) => {
                set(&mut self.tlm.forbidden, &id, on);
                (Fault::Forbid(id, false), on)
            }
            Fault::Suspend(id, on) => {
                if let Some(state) = self.tlm.profiles.get_mut(&id) {
                    state.profile.status = if on { "Suspended" } else { "Active" }.to_owned();
                }
                (Fault::Suspend(id, false), on)
            }
            Fault::ForbidSearch(on) => {
                self.tlm.search_forbidden = on;
                (Fault::ForbidSearch(false), on)
            }
            _ => return,
        };
        if is_new {
            self.ends_later(ends);
        }
    }

    /// Trouble of the host, each for a while.
    fn for_a_while(&mut self, fault: Fault) {
        let (ends, is_new) = match fault {
            Fault::Disk(class) => {
                self.disk.fault = class;
                (Fault::Disk(None), class.is_some())
            }
            Fault::Unreadable(on) => {
                self.disk.unreadable = on;
                (Fault::Unreadable(false), on)
            }
            Fault::Silent(on) => {
                self.silent = on;
                (Fault::Silent(false), on)
            }
            Fault::Hook(hook, mood) => {
                self.hook_moods.insert(hook.clone(), mood);
                (Fault::Hook(hook, HookMood::Fine), mood != HookMood::Fine)
            }
            _ => return,
        };
        if is_new {
            self.ends_later(ends);
        }
    }

    fn ends_later(&mut self, fault: Fault) {
        // What is looked at every minute need not last a week.
        let longest = if matches!(fault, Fault::Unreadable(_) | Fault::ClockSet) { DAY / 2 } else { DAY * 7 };
        let span = self.random.span(Duration::from_secs(60), longest);
        self.later(span, Task::Fault(fault));
    }

    /// Somebody edits or deletes files by hand.
    fn damage(&mut self, fault: &Fault) {
        match fault {
            Fault::Damage(name) => {
                if let Some(live) = self.disk.live.get_mut(name) {
                    live.damaged = true;
                }
            }
            Fault::Delete(name) => {
                self.disk.live.remove(name);
                self.disk.others.remove(name);
            }
            Fault::Drift(name) => {
                if let Some(live) = self.disk.live.get_mut(name) {
                    live.drifted = true;
                }
            }
            Fault::LosePending(name) => {
                self.disk.pending.retain(|(of, _), _| of != name);
                self.ledger.history_lost_at = Some(self.now);
            }
            Fault::LoseJournal => {
                // Nobody removes the journal under a running daemon.
                self.crash(Some(Duration::from_secs(60)));
                self.disk.journal.clear();
                self.disk.pending.clear();
                self.holds.clear();
                self.ledger.history_lost_at = Some(self.now);
                self.ledger.forget();
            }
            _ => {}
        }
    }

    /// The daemon notices within half a minute.
    fn change_clock(&mut self, fault: &Fault) {
        match fault {
            Fault::Clock(step) => {
                self.set_clock(*step);
                self.ends_later(Fault::ClockSet);
            }
            Fault::Sleep(span) => {
                self.asleep_until = self.now + *span;
                self.slept += *span;
                self.later(*span, Task::Tick);
            }
            _ => self.set_clock(-self.skew),
        }
    }

    /// Sets the host's clock forward or back.
    pub(crate) fn set_clock(&mut self, step: i64) {
        self.skew += step;
        self.ledger.clock_set_at = Some(self.now);
        let notice = Duration::from_millis(self.random.below(30_000));
        self.later(notice, Task::Tick);
    }

    /// The operator changes the inventory, and reloads.
    pub(crate) fn operate(&mut self, fault: Fault) {
        match fault {
            Fault::Ask(name) => {
                if self.is_awake() && self.inventory.contains_key(&name) {
                    self.ledger.asked(&name, self.now);
                    self.ask_renewal(&name);
                }
                return;
            }
            Fault::Edit(name) => {
                let added = format!("n{}.example.com", self.random.below(100));
                let Some(entry) = self.inventory.get_mut(&name) else { return };
                let (before, mut naming) = (entry.asked(), Naming::from(&entry.naming));
                if naming.names.dns_names.len() > 2 {
                    naming.names.dns_names.pop();
                } else {
                    naming.names.dns_names.push(added);
                }
                entry.naming = naming.into();
                // A name that stands there twice is asked for once.
                if !entry.asks(&before) {
                    self.edited(&name);
                }
            }
            Fault::Remove(name) => {
                let Some(entry) = self.inventory.remove(&name) else { return };
                let away = self.random.span(Duration::from_secs(60), DAY * 20);
                self.later(away, Task::Fault(Fault::Add(Box::new(entry))));
            }
            Fault::Add(entry) => drop(self.inventory.insert(entry.name.clone(), *entry)),
            _ => {}
        }
        self.reload_awake();
    }

    /// The operator reloads, or the watch sees it. A machine that sleeps does so when it wakes.
    pub(crate) fn reload_awake(&mut self) {
        if self.is_awake() {
            if self.random.percent(50) { self.reload() } else { self.read_inventory() }
        } else if self.asleep_until > self.now {
            let wait = self.asleep_until.since(self.now) + Duration::from_secs(1);
            self.later(wait, Task::Fault(Fault::Reload));
        }
    }

    pub(crate) fn is_awake(&self) -> bool {
        self.daemon.is_some() && self.asleep_until <= self.now
    }

    /// Whether this is the boundary at which the process dies.
    pub(crate) fn crashes(&mut self) -> bool {
        let Some((count, _)) = &mut self.crash_in else { return false };
        *count = count.saturating_sub(1);
        self.dying |= *count == 0;
        self.dying
    }

    /// The process dies; what is in the air takes place, or not. It starts again after `down`.
    pub(crate) fn crash(&mut self, down: Option<Duration>) {
        self.dying = false;
        let planned = self.crash_in.take().map(|(_, down)| down);
        for running in self.take_running() {
            self.cut_off(running);
        }
        let Some(daemon) = self.daemon.take() else { return };
        self.doubt_holds(&daemon.backlog);
        self.ledger.crashes += 1;
        self.tell(|| "renewd is killed".to_owned());
        let now = self.now;
        self.ledger.disturb(now);
        if let Some(down) = down.or(planned) {
            self.later(down, Task::Start);
        }
    }
}

fn set<T: Ord + Clone>(among: &mut std::collections::BTreeSet<T>, one: &T, on: bool) {
    if on {
        among.insert(one.clone());
    } else {
        among.remove(one);
    }
}

pub(crate) fn year_end() -> Timestamp {
    START + YEAR
}

const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const DAY_MILLIS: i64 = 86_400_000;
const YEAR: Duration = Duration::from_secs(365 * 86_400);
const FAULTS: u64 = 25;
/// The profiles of the first nine certificates.
const PROFILES: [&str; 9] = ["p0", "p1", "p2", "p3", "p0", "p1", "p2", "p0", "p1"];
/// Seeds from here on have parts of TLM that fail alone; those below go as they always went.
pub(crate) const WITH_PARTS: u64 = 1_000_000;
/// And from here on what is odd rather than broken, certificates of all lifetimes, and an operator who meddles.
pub(crate) const WITH_ODDITIES: u64 = 2_000_000;
/// And from here on certificates with fallbacks.
pub(crate) const WITH_FALLBACKS: u64 = 2_500_000;
/// And from here on two hosts, and seats that fail alone.
pub(crate) const WITH_HOSTS: u64 = 3_000_000;
/// And from here on one host again, with an operator who holds and freezes, and hooks that are asked and tested.
pub(crate) const WITH_OPERATOR: u64 = 4_000_000;
/// And from here on, instead of those, certificates that are revoked some time after they were replaced.
pub(crate) const WITH_REVOCATIONS: u64 = 5_000_000;
/// Certificates of one seat under several profiles.
const SEAT: [&str; 4] = ["c0", "c1", "c6", "y1"];
