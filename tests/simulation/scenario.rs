//! Scripts with their transcripts: `> command` lines, each followed by what happened. `RENEWD_BLESS=1` rewrites what
//! follows them. A word that the script does not know, or a broken promise, fails the test.
//!
//! A scenario has three certificates: `www` (90 days, hook `web`), `mail` (47 days, no duplicates) and `slow` (90 days,
//! issued when an administrator approves). It begins some minutes after they were installed for the first time.

use std::time::Duration;

use renewd::core::failure::{FailureClass, RetryHint};
use renewd::core::name::{CertName, HookName, ProfileId, ProfileRef};
use renewd::core::time::Timestamp;
use renewd::core::wanted::entry::Entry;
use renewd::core::wanted::window::Freeze;

use crate::faults::{self, Act, Fault, Odd, Verdict};
use crate::host::{Before, HookMood};
use crate::put_off::Order;
use crate::tlm::{
    Defect, Endpoint, Listing, Mode, NUMBERS, Number, Part, ProfileState, STATES, Saying, Until, WORDS, Weather,
};
use crate::world::{AUDIT_EVERY, START, Task, World};

/// Runs the commands of a script, and returns its transcript.
pub(crate) fn transcript(script: &str) -> String {
    let mut world = stage();
    let mut text = String::new();
    for line in script.lines() {
        if line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
        let Some(command) = line.strip_prefix("> ") else { continue };
        text.push_str(&format!("> {command}\n"));
        let answer = obey(&mut world, command);
        world
            .events
            .drain(..)
            .filter(|event| !event.contains(" * "))
            .for_each(|event| text.push_str(&format!("{event}\n")));
        text.push_str(&answer);
        if let Some(broken) = &world.broken {
            return format!("{text}{broken}\n");
        }
    }
    text
}

fn stage() -> World {
    let mut world = World::new(0, START);
    (world.is_told, world.keep_all) = (true, true);
    for (id, days, window, duplicates, mode) in [
        ("web", 90, 30, true, Mode::Immediate),
        ("once", 47, 15, false, Mode::Immediate),
        ("manual", 90, 30, true, Mode::Approval),
    ] {
        let profile = faults::profile(id, Some(window), duplicates);
        world.tlm.profiles.insert(ProfileId(id.into()), ProfileState { profile, lifetime: DAY * days, mode });
    }
    for (name, profile) in [("mail", "once"), ("slow", "manual"), ("www", "web")] {
        let mut entry = faults::entry(name, profile);
        if name == "www" {
            entry.hooks = vec!["web".parse().expect("a valid name")];
        }
        world.inventory.insert(entry.name.clone(), entry);
    }
    world.hook_moods = world.hooks().into_iter().map(|hook| (hook, HookMood::Fine)).collect();
    world.later(AUDIT_EVERY, Task::Audit);
    world.start();
    world.run_until(START + MINUTE);
    world.apply(Fault::Decide(Verdict::Approve));
    world.run_until(START + MINUTE * 5);
    world.events.clear();
    world
}

fn obey(world: &mut World, command: &str) -> String {
    let words: Vec<&str> = command.split(' ').collect();
    let fault = match words[..] {
        ["start"] => {
            world.start();
            world.run_until(world.now + SETTLE);
            return String::new();
        }
        ["day", day] => {
            world.run_until(START + DAY * day.parse().expect("a number"));
            return String::new();
        }
        ["wait", wait] => {
            world.run_until(world.now + span(wait));
            return String::new();
        }
        ["status"] => return status(world),
        ["crash", "after", mark] => {
            world.crash_after = Some(mark.to_owned());
            return String::new();
        }
        ["look", "hangs", wait] => {
            world.look_hangs = Some(span(wait));
            return String::new();
        }
        ["reload"] => {
            world.reload();
            return String::new();
        }
        ["notify"] => return notify(world),
        ["servers", "silent"] => Fault::Silent(true),
        ["key", ..] => key(&words[1..]),
        ["dates" | "search" | "revoking" | "profile" | "part", ..] => return trouble(world, &words),
        ["remove", name] => return remove(world, name),
        ["add", name, profile] => return add(world, name, profile),
        ["api", "429", "dated", after, wait] => {
            let at = world.tlm.clock(world.now) + span(after);
            Fault::Weather(Weather::Limited(RetryHint::At(at)), span(wait))
        }
        ["api", ..] => api(&words[1..]),
        ["clock", "right"] => Fault::ClockSet,
        ["clock", step] => return clock(world, step),
        ["sleep", wait] => Fault::Sleep(span(wait)),
        ["disk", "full"] => return disk(world, Some(FailureClass::DiskFull)),
        ["disk", "ok"] => return disk(world, None),
        ["hook", name, mood] => return hook(world, name, mood),
        ["probe", name] => return change(world, name, |entry| entry.probes = faults::probe().into()),
        ["superseded", name, wait] => return change(world, name, |it| it.revoke_superseded = Some(span(wait))),
        ["rollback", name, "on"] => return change(world, name, |entry| entry.rollback = true),
        ["hooks", name, hook] => return change(world, name, |entry| entry.hooks = hook.parse().into_iter().collect()),
        ["hold" | "hold-firmly" | "release" | "freeze" | "thaw" | "hours" | "window" | "fallback", ..] => {
            return put_off(world, &words);
        }
        ["rollback", name] => Fault::RollBack(name.parse().expect("a name")),
        ["renewed-elsewhere", name] => Fault::RenewElsewhere(name.parse().expect("a name")),
        ["kill"] => {
            world.crash(None);
            return String::new();
        }
        ["approve"] => Fault::Decide(Verdict::Approve),
        ["reject"] => Fault::Decide(Verdict::Reject),
        ["forget"] => Fault::Decide(Verdict::Forget),
        ["revoke", name] => Fault::Revoke(name.parse().expect("a name")),
        ["edit", name] => Fault::Edit(name.parse().expect("a name")),
        ["renew", name] => Fault::Ask(name.parse().expect("a name")),
        ["delete", name] => Fault::Delete(name.parse().expect("a name")),
        ["damage", name] => Fault::Damage(name.parse().expect("a name")),
        _ => Fault::Odd(odd(world, &words)),
    };
    world.apply(fault);
    String::new()
}

/// What the operator puts off, or no longer, and whom else a certificate may be asked of.
fn put_off(world: &mut World, words: &[&str]) -> String {
    let named = |name: &str| name.parse::<CertName>().expect("a name");
    match *words {
        ["hold", name] => world.hold(&named(name), None, false),
        ["hold", name, lasts] => world.hold(&named(name), Some(span(lasts)), false),
        ["hold-firmly", name] => world.hold(&named(name), None, true),
        ["release", name] => world.release(&named(name)),
        ["freeze", from, until] => {
            let day = |day: &str| START + DAY * day.parse().expect("a day");
            world.freeze(Freeze::Dates { from: day(from), until: day(until) });
        }
        ["thaw"] => world.freezes.clone().into_iter().for_each(|freeze| world.apply(Fault::Order(Order::Thaw(freeze)))),
        ["window", name] => return change(world, name, |entry| entry.deploy_window = Some(faults::window().into())),
        ["fallback", name, profile] => {
            let fallback = ProfileRef::Id(ProfileId(profile.into()));
            return change(world, name, |entry| entry.fallback = Some(Box::new(fallback)));
        }
        ["hours", name] => return change(world, name, |entry| entry.request_window = Some(faults::window().into())),
        _ => panic!("no such order: {words:?}"),
    }
    String::new()
}

fn api(words: &[&str]) -> Fault {
    match *words {
        ["down", wait] => Fault::Weather(Weather::Unreachable, span(wait)),
        ["silent", wait] => Fault::Weather(Weather::NoAnswer, span(wait)),
        ["401", wait] => Fault::Weather(Weather::Unauthorised, span(wait)),
        ["429", "in-the-past", wait] => Fault::Weather(Weather::Limited(RetryHint::At(START - DAY)), span(wait)),
        ["503", after, wait] => Fault::Weather(Weather::Maintenance(RetryHint::After(span(after))), span(wait)),
        ["429", after, wait] => Fault::Weather(Weather::RateLimited(Some(span(after))), span(wait)),
        ["loses", count] => Fault::LoseReplies(count.parse().expect("a number")),
        ["tells", "a-wrong-date"] => Fault::OddDate(faults::DAY_MILLIS),
        ["issues", "wrong-key"] => Fault::Defects(vec![Defect::Key]),
        ["issues", "no-usage"] => Fault::Defects(vec![Defect::Usage]),
        ["issues", "no-chain"] => Fault::Defects(vec![Defect::NoChain]),
        ["issues", "early"] => Fault::Defects(vec![Defect::Early]),
        ["issues", "short"] => Fault::Defects(vec![Defect::Short]),
        _ => panic!("no such state of the API: {words:?}"),
    }
}

/// One of the two API keys.
fn key(words: &[&str]) -> Fault {
    let number = |name: &str| ["a", "b"].into_iter().position(|key| key == name).expect("one of the keys");
    match *words {
        [name, "refused"] => Fault::KeyRefused(number(name), true),
        [name, "taken"] => Fault::KeyRefused(number(name), false),
        [name, "ends", after] => Fault::KeyEnds(number(name), span(after)),
        _ => panic!("no such state of a key: {words:?}"),
    }
}

/// What TLM refuses, or fails to give, until the script says otherwise.
fn trouble(world: &mut World, words: &[&str]) -> String {
    let id = |id: &str| ProfileId(id.into());
    let part = |profile: &str, endpoint: &str| {
        let endpoint = match endpoint {
            "create" => Endpoint::Create,
            "details" => Endpoint::Details,
            "formats" => Endpoint::Formats,
            "pickup" => Endpoint::PickUp,
            "revoke" => Endpoint::Revoke,
            "search" => Endpoint::Search,
            other => panic!("no such part: {other}"),
        };
        Part { endpoint, profile: Some(id(profile)), names: None, weather: Weather::Unavailable }
    };
    match *words {
        ["dates", state] => world.tlm.dates = state == "told",
        ["revoking", state] => world.tlm.revoking_forbidden = state == "forbidden",
        ["search", state] => world.tlm.search_forbidden = state == "forbidden",
        ["profile", profile, "forbidden"] => world.tlm.forbidden.extend([id(profile)]),
        ["profile", profile, "allowed"] => world.tlm.forbidden.retain(|other| *other != id(profile)),
        ["part", profile, endpoint, "fails"] => world.tlm.parts.push(part(profile, endpoint)),
        ["part", profile, endpoint, "works"] => {
            let part = part(profile, endpoint);
            world.tlm.parts.retain(|other| *other != part);
        }
        _ => panic!("no such trouble: {words:?}"),
    }
    world.ledger.disturb(world.now);
    String::new()
}

/// The operator removes a drop-in file, or adds one; the watch sees it.
fn remove(world: &mut World, name: &str) -> String {
    world.inventory.remove(&name.parse::<CertName>().expect("a name")).expect("an entry");
    watch(world)
}

fn add(world: &mut World, name: &str, profile: &str) -> String {
    let entry = faults::entry(name, profile);
    world.inventory.insert(entry.name.clone(), entry);
    watch(world)
}

fn watch(world: &mut World) -> String {
    world.ledger.disturb(world.now);
    world.read_inventory();
    world.tick();
    String::new()
}

/// What is odd rather than broken: TLM's answers are read item by item from here on.
fn odd(world: &mut World, words: &[&str]) -> Odd {
    world.tlm.odd.is_on = true;
    let named = |name: &str| name.parse().expect("a name");
    match *words {
        ["tlm", ref rest @ ..] => tlm(rest),
        ["keys", "end"] => Odd::KeysEnd,
        ["keys", "new"] => Odd::NewKeys,
        ["another", name] => Odd::Another(named(name)),
        ["another-revokes", name] => Odd::AnotherRevokes(named(name)),
        ["at", moment, act] => Odd::Lurk(faults::moment(moment), self::act(act)),
        ["operator", act, name] => Odd::Act(named(name), self::act(act)),
        ["add", id] => Odd::Comes(faults::newcomer(world, id).into()),
        ["gone", name] => Odd::Gone(named(name)),
        _ => panic!("no such command: {words:?}"),
    }
}

fn tlm(words: &[&str]) -> Odd {
    match *words {
        ["says", name, word, ref more @ ..] => {
            let spelt = |known: &&&str| known.replace(' ', "-").eq_ignore_ascii_case(word);
            let word = WORDS.iter().find(spelt).expect("a word");
            let saying =
                Saying { word, names_number: more.contains(&"with-number"), is_issued: more.contains(&"issued") };
            Odd::Says(name.parse().expect("a name"), saying)
        }
        ["calls", name, word] => {
            let word = STATES.iter().find(|known| known.eq_ignore_ascii_case(word)).expect("a word");
            Odd::State(name.parse().expect("a name"), word)
        }
        ["numbers", kind] => {
            let spelt = |known: &&Number| format!("{known:?}").eq_ignore_ascii_case(kind);
            Odd::Numbers(vec![*NUMBERS.iter().find(spelt).expect("a kind of number")])
        }
        ["lists", "bare"] => Odd::Listing(Listing::Bare),
        ["lists", "one-fails"] => Odd::Listing(Listing::OneFails(Weather::ServerError)),
        ["lists", "nothing"] => Odd::Listing(Listing::Silent),
        ["lags", lag] => Odd::Lag(span(lag)),
        ["opens", window, until] => {
            let until = match until {
                "unsaid" => Until::Unsaid,
                "huge" => Until::Huge,
                "over" => Until::Over,
                "zero" => Until::Zero,
                "early" => Until::Zone(-2),
                other => panic!("no such instant: {other}"),
            };
            Odd::Window(Some((span(window), until)))
        }
        ["clock", "right"] => Odd::TlmClock(0),
        ["clock", step] => {
            let (sign, size) = step.split_at(1);
            let step = span(size).as_millis() as i64;
            Odd::TlmClock(if sign == "-" { -step } else { step })
        }
        _ => panic!("no such oddity: {words:?}"),
    }
}

fn act(word: &str) -> Act {
    match word {
        "renews" => Act::Renew,
        "goes-back" => Act::RollBack,
        "holds" => Act::Hold { lasts: None, even_emergency: false },
        "releases" => Act::Release,
        "edits-names" => Act::Names,
        "edits-key" => Act::Key,
        "edits-window" => Act::Window,
        "edits-profile" => Act::Profile,
        "removes" => Act::Away,
        other => panic!("no such act: {other}"),
    }
}

fn clock(world: &mut World, step: &str) -> String {
    let (sign, size) = step.split_at(1);
    let step = span(size).as_millis() as i64;
    world.set_clock(if sign == "-" { -step } else { step });
    String::new()
}

fn disk(world: &mut World, fault: Option<FailureClass>) -> String {
    world.disk.fault = fault;
    world.ledger.disturb(world.now);
    String::new()
}

fn hook(world: &mut World, name: &str, mood: &str) -> String {
    let name: HookName = name.parse().expect("a name");
    if mood == "asked-before" {
        world.asked_before.insert(name, Before::Agrees);
        world.reload();
        return String::new();
    }
    if let Some(before) = world.asked_before.get_mut(&name) {
        *before = match mood {
            "vetoes" => Before::SaysNo,
            "hangs-before" => Before::Hangs,
            "takes-its-time" => Before::Slow,
            "cannot-be-asked" => Before::CannotStart,
            _ => Before::Agrees,
        };
    }
    let mood = match mood {
        "fails" => HookMood::Fails,
        "untested" => HookMood::Untested,
        "hangs" => HookMood::Hangs,
        "lies" => HookMood::Lies,
        "works" | "vetoes" | "hangs-before" | "cannot-be-asked" | "takes-its-time" => HookMood::Fine,
        other => panic!("no such mood: {other}"),
    };
    world.hook_moods.insert(name, mood);
    world.ledger.disturb(world.now);
    String::new()
}

fn notify(world: &mut World) -> String {
    world.notify();
    String::new()
}

/// The operator edits an entry, and reloads.
fn change(world: &mut World, name: &str, edit: impl FnOnce(&mut Entry)) -> String {
    edit(world.inventory.get_mut(&name.parse::<CertName>().expect("a name")).expect("an entry"));
    world.apply(Fault::Reload);
    String::new()
}

fn status(world: &World) -> String {
    let Some(daemon) = &world.daemon else { return "  renewd does not run\n".to_owned() };
    let line = |managed: &renewd::engine::managed::Managed| {
        let reason = &managed.decision().reason;
        let ends = managed.observed.installed().map_or("-".to_owned(), |installed| day(installed.not_after));
        format!("  {:<4} {:<9} ends {ends}  {}\n", managed.entry.name, reason.state(), with_days(&reason.to_string()))
    };
    daemon.engine.fleet().iter().map(line).collect()
}

/// Instants of a text as days since the start, which a reader can compare.
pub(crate) fn with_days(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches([';', ',', ')']);
        match instant(bare) {
            Some(at) => word.replace(bare, &day(at)),
            None => word.to_owned(),
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

fn instant(word: &str) -> Option<Timestamp> {
    let at: jiff::Timestamp = word.parse().ok()?;
    Some(Timestamp::from_seconds(at.as_second()))
}

fn day(at: Timestamp) -> String {
    let seconds = at.seconds() - START.seconds();
    let (day, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    format!("day {day} {:02}:{:02}", of_day / 3600, of_day / 60 % 60)
}

fn span(text: &str) -> Duration {
    let (count, unit) = text.split_at(text.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        "y" => 365 * 86_400,
        _ => panic!("no such unit: {text}"),
    };
    Duration::from_secs(seconds * count.parse::<u64>().expect("a number"))
}

const DAY: Duration = Duration::from_secs(86_400);
const MINUTE: Duration = Duration::from_secs(60);
const SETTLE: Duration = Duration::from_secs(20);
