//! The engine: everything that renewd knows and decides between two looks at the world, as one synchronous state machine.
//!
//! A shell around it tells it what happened ([`Input`]) and performs what it wants done ([`Command`]), and asks it when to
//! turn next ([`Engine::next_wake`]). The daemon is such a shell; the simulation is another, around the same engine. So it
//! has no task, no file, no log and no clock: every instant is an argument.
//!
//! What is decided for one certificate stands in [`crate::core::decide`]; here is who is next, who waits for whom, and what
//! the failure of one says of the others. Each part is a type of its own with its own state: the [`fleet`] of certificates,
//! the [`api_health`], the [`profiles`], the [`credentials`], the [`hooks`], the [`notices`], the [`ca_status`], the
//! [`rescan`] of the inventory. [`Engine`] lets them act on each other.

pub mod admission;
pub mod api_health;
pub mod breaker;
pub mod ca_status;
pub mod calendar;
mod certificates;
pub mod credentials;
pub mod fleet;
mod holds;
mod hook_runs;
pub mod hooks;
pub mod io;
pub mod job;
mod looks;
pub mod managed;
pub mod notices;
mod operator;
mod parts;
pub mod profiles;
pub mod rehearsal;
pub mod report;
pub mod rescan;
pub mod status;
mod telling;

pub use holds::HoldOrder;
pub use io::{Asker, Command, Input, News, Now, Step};
pub use operator::{NoDeploy, NoRollback};
pub use telling::{Document, Telling, ToldChange};

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::config::{Inventory, Main};
use crate::core::clock::ClockCheck;
use crate::core::decide::GlobalState;
use crate::core::event::{self, Event};
use crate::core::known::ca_status::CaWatch;
use crate::core::known::credential::CredentialEnd;
use crate::core::name::CertName;
use crate::core::record::Record;
use crate::core::text::Text;
use crate::core::time::Timestamp;

use api_health::ApiHealth;
use ca_status::CaStatus;
use credentials::Credentials;
use fleet::Fleet;
use hooks::Hooks;
use looks::Looks;
use notices::Notices;
use profiles::ProfileCache;
use rescan::Rescan;
use status::Problem;

/// How long the loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Until it is told to stop.
    Forever,
    /// One pass, waiting for pending pickups at most so long.
    Once {
        /// `--wait`.
        wait: Duration,
    },
}

/// What an engine starts with.
#[derive(Debug)]
pub struct Start {
    /// How long it runs.
    pub mode: Mode,
    /// `renewd.toml`.
    pub main: Main,
    /// What is in force of the inventory.
    pub inventory: Inventory,
    /// What looks like a drop-in file and is not read.
    pub overlooked: Vec<Text>,
    /// What the journal tells of each certificate.
    pub records: BTreeMap<CertName, Record>,
    /// Whether the journal is of a newer format.
    pub journal_too_new: bool,
    /// No time before this one can be right.
    pub earliest: Timestamp,
    /// The readings of the profiles that were kept.
    pub profiles: ProfileCache,
    /// What was kept of the CA certificates that are served.
    pub cas: CaWatch,
    /// What was kept of what somebody was told.
    pub notices: Notices,
    /// The credentials that requests leave with.
    pub credentials: Vec<CredentialEnd>,
    /// The present.
    pub now: Now,
}

/// Everything that renewd knows. Both shells change it by [`Engine::handle`] alone, and by what an operator asks.
#[derive(Debug)]
pub struct Engine {
    mode: Mode,
    main: Main,
    /// Why the configuration on the disk is not in force, if it is not.
    config_error: Option<Text>,
    inventory: Inventory,
    overlooked: Vec<Text>,
    rescan: Option<Rescan>,
    fleet: Fleet,
    /// What is known of certificates that are not in the inventory, or not under management yet.
    records: BTreeMap<CertName, Record>,
    looks: Looks,
    global: GlobalState,
    api: ApiHealth,
    profiles: ProfileCache,
    credentials: Credentials,
    hooks: Hooks,
    cas: CaStatus,
    notices: Notices,
    clock: ClockCheck,
    last_tick: Now,
    /// What else somebody has to look at, by its code.
    problems: BTreeMap<String, Problem>,
    /// Those whose replacement an operator asked for while something was under way for them, which left before that.
    asked_while_busy: BTreeSet<CertName>,
    status_line: StatusLine,
    commands: VecDeque<Command>,
    tells_all: bool,
}

/// The line of `systemctl status`.
#[derive(Clone, Copy, Debug)]
struct StatusLine {
    /// Whether what was told last is out of date.
    is_old: bool,
    /// When it was told last, by the steady clock.
    told_at: Option<Duration>,
}

/// When the loop turns next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// After so long.
    pub after: Duration,
    /// What for.
    pub why: Timer,
}

/// What the loop turns for, if nothing is told before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A certificate is to be looked at.
    Certificate,
    /// A trial request, or one that compares the clock.
    Trial,
    /// A hook.
    Hook,
    /// A CA certificate is to be looked at.
    CaStatus,
    /// The first readings of profiles.
    Profiles,
    /// The inventory directory is to be read.
    Inventory,
    /// The line of `systemctl status` is out of date.
    StatusLine,
    /// Somebody is to be told something.
    Notice,
}

impl Engine {
    /// An engine before [`Input::Began`].
    #[must_use]
    pub fn new(start: Start) -> Self {
        let Start { mode, main, inventory, overlooked, mut records, journal_too_new, earliest, profiles, cas, .. } =
            start;
        let now = start.now;
        // By both clocks: neither of them alone may free what a wrong one counts as spent.
        records.values_mut().for_each(|record| {
            record.forget_submissions(earliest.min(now.wall));
            record.cut_off_hooks();
        });
        let mut credentials = Credentials::default();
        credentials.replace(start.credentials, now.wall);
        Self {
            mode,
            global: global_state(&main, mode, journal_too_new),
            api: ApiHealth::new(&main.api),
            main,
            config_error: None,
            inventory,
            overlooked,
            rescan: None,
            fleet: Fleet::default(),
            records,
            looks: Looks::default(),
            profiles,
            credentials,
            hooks: Hooks::default(),
            cas: CaStatus::new(cas),
            notices: start.notices,
            clock: ClockCheck::new(earliest, now.wall),
            last_tick: now,
            problems: BTreeMap::new(),
            asked_while_busy: BTreeSet::new(),
            status_line: StatusLine { is_old: true, told_at: None },
            commands: VecDeque::new(),
            tells_all: false,
        }
    }

    /// Tells every decision, those as well that are no news to anybody.
    #[must_use]
    pub fn telling_all(self, tells_all: bool) -> Self {
        Self { tells_all, ..self }
    }

    /// The same from now on, or no more.
    pub const fn tell_all(&mut self, tells_all: bool) {
        self.tells_all = tells_all;
    }

    /// Takes what happened. What is to be done about it is fetched by [`Engine::next_command`].
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Began { arrivals, gone, is_watched } => self.begin(arrivals, &gone, is_watched, now),
            Input::Adopted(arrivals) => arrivals.into_iter().for_each(|arrival| self.adopt(arrival, now)),
            Input::Observed { look, found } => self.observed(look, found, now),
            Input::Happened(entry) => self.happened(&entry),
            Input::Answered { name, profile, function, failure } => {
                self.answered(std::slice::from_ref(&name), &profile, function, failure.as_ref(), now.wall);
            }
            Input::Finished { name, had_place } => self.finished(&name, had_place, now.wall),
            Input::ProfileRead(profile, result) => self.profile_read(&profile, *result, now),
            Input::Tried(profile, failure) => self.tried(profile.as_ref(), failure.as_ref(), now),
            Input::Dated(date) => self.dated(date, now),
            Input::CredentialsRead(reports) => self.credentials_read(reports, now.wall),
            Input::CredentialsReplaced(credentials) => {
                self.credentials.replace(credentials, now.wall);
                self.api.credentials_replaced(now.wall);
            }
            Input::ChainsRead(names, found) => self.chains_read(names.as_ref(), found, now.wall),
            Input::CaAsked(fingerprint, outcome) => self.ca_asked(&fingerprint, outcome, now.wall),
            Input::HookEnded { key, covers, ended } => self.hook_ended(&key, covers, &ended, now.wall),
            Input::PlaceReturned => self.api.give_place_back(),
            Input::NotifyEnded { name, ended } => self.notify_ended(&name, &ended, now),
            Input::KeyRemoved { name, attempt } => {
                self.note(vec![event::Entry { at: now.wall, name, event: Event::KeyForgotten { attempt } }]);
            }
            Input::Hinted => {
                if let Some(rescan) = &mut self.rescan {
                    rescan.note(now.steady);
                }
            }
            Input::Reloading => self.looking(),
            Input::MainRead(read) => self.main_read(read),
            Input::InventoryRead(read) => self.inventory_read(read, now),
            Input::Reloaded => self.reloaded(now.wall),
            Input::ProblemChanged(_, Some(problem)) => self.report(problem),
            Input::ProblemChanged(code, None) => self.mended(code),
            Input::Tick => self.tick(now),
        }
    }

    /// The next thing to be done.
    pub fn next_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn want(&mut self, command: Command) {
        self.commands.push_back(command);
    }

    fn tell(&mut self, news: News) {
        self.want(Command::Tell(news));
    }

    /// The certificates under management.
    #[must_use]
    pub const fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The inventory in force.
    #[must_use]
    pub const fn inventory(&self) -> &Inventory {
        &self.inventory
    }

    /// The inventory, to read what changed into it; what is different is told by [`Input::InventoryRead`].
    pub const fn inventory_mut(&mut self) -> &mut Inventory {
        &mut self.inventory
    }

    /// `renewd.toml` as it is in force.
    #[must_use]
    pub const fn main(&self) -> &Main {
        &self.main
    }

    /// The readings of the profiles.
    #[must_use]
    pub const fn profiles(&self) -> &ProfileCache {
        &self.profiles
    }

    /// The API as a whole.
    #[must_use]
    pub const fn api(&self) -> &ApiHealth {
        &self.api
    }

    /// What holds for all certificates alike.
    #[must_use]
    pub const fn global_state(&self) -> &GlobalState {
        &self.global
    }

    /// How long the loop runs.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// What the passing of time brings: certificates that are due to be looked at, trials, hooks, places.
    fn tick(&mut self, now: Now) {
        self.watch_clock(now);
        self.watch_inventory(now);
        self.watch_credentials(now);
        self.watch_cas(now.wall);
        let due: Vec<CertName> = std::iter::from_fn(|| self.fleet.pop_due(now.wall)).collect();
        self.look_at(&due);
        if self.api.paused_until(now.wall).is_none() {
            for late in self.profiles.take_late(now.wall) {
                if self.fleet.named_profiles().any(|used| *used == late) {
                    self.profiles.request(&late);
                }
            }
        }
        self.try_api(now.wall);
        self.start_hooks(now.wall);
        self.admit(now);
        let is_news = self.tell_status_line(now);
        self.watch_notices(is_news, now);
    }

    /// When to turn next, unless something is told before; `None`: nothing is due at any time.
    #[must_use]
    pub fn next_wake(&self, now: Now) -> Option<Wake> {
        let paused_until = self.api.paused_until(now.wall);
        let by_wall = [
            (Timer::Certificate, self.fleet.next_wake()),
            (Timer::Trial, self.api.probe_at(&self.clock)),
            (Timer::Hook, self.next_hook(now.wall)),
            (Timer::CaStatus, self.cas.watch.next_due().filter(|_| self.mode == Mode::Forever)),
            (Timer::Notice, self.notices.next_by_wall()),
            (Timer::Profiles, self.profiles.late_until().map(|at| at.max(paused_until.unwrap_or(at)))),
        ];
        let by_steady = [
            (Timer::Inventory, self.rescan.as_ref().map(Rescan::due)),
            (Timer::Notice, self.notices.next_by_steady()),
            (Timer::StatusLine, self.status_line_at().filter(|_| self.status_line.is_old)),
        ];
        let by_wall = by_wall.into_iter().filter_map(|(why, at)| Some(Wake { after: at?.since(now.wall), why }));
        let by_steady =
            by_steady.into_iter().filter_map(|(why, at)| Some(Wake { after: at?.saturating_sub(now.steady), why }));
        let next = by_wall.chain(by_steady).min_by_key(|wake| wake.after)?;
        Some(Wake { after: next.after.max(SHORTEST_NAP), ..next })
    }
}

/// What holds for all certificates at the start.
#[must_use]
pub fn global_state(main: &Main, mode: Mode, journal_too_new: bool) -> GlobalState {
    GlobalState {
        submissions_per_day: main.max_submissions_per_day,
        status_check_interval: main.api.status_check_interval,
        first_poll: if mode == Mode::Forever { FIRST_POLL } else { FIRST_POLL_ONCE },
        clock_wrong: None,
        journal_too_new,
        can_search: true,
        can_check: true,
        clock_is_compared: false,
        api_is_blocked: false,
        api_recovered_at: None,
        api_checked_at: None,
        asks_nobody: false,
        freezes: main.freezes.as_slice().into(),
    }
}

/// No nap is shorter: a loop that finds nothing to do must not spin.
pub const SHORTEST_NAP: Duration = Duration::from_millis(20);
const FIRST_POLL: Duration = Duration::from_secs(30);
const FIRST_POLL_ONCE: Duration = Duration::from_secs(5);
