//! What makes another generation live without a request, crashed at every point: the way back after a failed hook, taking
//! over what somebody else renewed, and another chain for the same leaf. Whatever is live afterwards is on record, its hooks ran, and nothing was
//! asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use renewd::core::event::{self, Event, RollbackBy};
use renewd::core::known::observed::Observed;
use renewd::core::name::{Attempt, Generation};
use renewd::core::remark::RareRemarks;
use renewd::core::wanted::entry::Entry;
use renewd::pki::certificate::Certificate;
use renewd::pki::served;
use renewd::store::content::{Content, Parts, contents};
use renewd::store::disk::Disk as _;
use renewd::store::generation::{self, NewSet};
use renewd::store::journal::Journal;
use renewd::store::targets::{self, Target};

use crate::daemon::{Daemon, identity, layout};
use crate::disk::{Ignored, Machine, Point, Sync};
use crate::material::{self, SHORT, Short, sets};
use crate::points::require;

pub fn with_hook() -> Entry {
    let mut entry = material::entry();
    entry.hooks = vec!["web".parse().unwrap()];
    entry
}

pub fn installed(entry: &Entry) -> Machine {
    let machine = Machine::with_folders(&["/var/lib", "/etc/keys", "/etc/tls"]);
    Daemon::start(&machine, entry, None).unwrap().0.run().unwrap();
    machine
}

/// Which generation is live when all has come to rest, and whether its hook ran.
pub fn comes_to_rest(machine: &Machine, entry: &Entry, requests: usize) -> Result<(Daemon, Generation), String> {
    let mut daemon = Daemon::start(machine, entry, None).map_err(|failure| failure.to_string())?.0;
    daemon.run()?;
    let Observed::Installed(live) = daemon.observed() else { return Err("nothing is installed".to_owned()) };
    let record = daemon.record();
    require(record.generation == Some(live.generation), "the journal has another generation than is live")?;
    let ran = record.hooks.values().all(|hook| hook.done_at.is_some() && hook.generation == live.generation);
    require(ran && !record.hooks.is_empty(), "its hook did not run")?;
    require(machine.api_now().accepted.len() == requests, "a request was spent")?;
    Ok((daemon, live.generation))
}

/// Crashes at every point of what the daemon does from `before` on. The syncs without which no case fails: another flow
/// needs them.
pub fn check(name: &str, entry: &Entry, before: &Point, holds: impl Fn(&Machine) -> Result<(), String>) -> Vec<Sync> {
    let recorded = |ignored| {
        let machine = Machine::boot(before.disk.clone(), before.api.clone());
        let mut daemon = Daemon::start(&machine, entry, None).unwrap().0;
        machine.ignore(ignored);
        machine.record();
        daemon.run().unwrap();
        machine
    };
    // Nearly all that an ignored sync leaves behind others leave as well.
    let good = RefCell::new(BTreeSet::new());
    let survives = |point: &Point| -> Result<usize, String> {
        let images = point.disk.images();
        let count = images.len();
        for (names, data, image) in images {
            let key = (image.digest(), format!("{:?}", point.api));
            if !good.borrow().contains(&key) {
                holds(&Machine::boot(image, point.api.clone()))
                    .map_err(|what| format!("{name}: after {}, {names:?}, {data:?}: {what}", point.after))?;
                good.borrow_mut().insert(key);
            }
        }
        Ok(count)
    };
    let machine = recorded(None);
    let (points, syncs) = (machine.points(), machine.syncs());
    let images: usize = points.iter().map(|point| survives(point).unwrap()).sum();
    let is_missed = |number: usize| {
        let points = recorded(Some(Ignored::Nth(number))).points_after_ignored();
        points.iter().any(|point| survives(point).is_err())
    };
    let count = syncs.len();
    let unneeded = syncs.into_iter().enumerate().filter(|(number, _)| !is_missed(*number));
    let unneeded: Vec<Sync> = unneeded.map(|(_, sync)| sync).collect();
    let needed = count - unneeded.len();
    println!("{name}: {} crash points, {images} images, {needed} of {count} syncs needed", points.len());
    unneeded
}

#[test]
fn the_way_back_survives_every_crash() {
    let mut entry = with_hook();
    entry.rollback = true;
    let machine = installed(&entry);
    Daemon::start(&machine, &entry, None).unwrap().0.ask_renewal();
    machine.settle();
    check("way back", &entry, &machine.point(), |machine| {
        let (daemon, live) = comes_to_rest(machine, &entry, 2)?;
        require(live == Generation(1), "the newer generation is live")?;
        let back = daemon.record().rolled_back.as_ref();
        let by_hook = back.is_some_and(|back| back.by == RollbackBy::Hook && back.from > live);
        require(by_hook, "the newer generation is forgotten")
    });
}

#[test]
fn a_take_over_survives_every_crash() {
    let entry = with_hook();
    let machine = installed(&entry);
    let theirs = &sets()[3];
    let home = layout().generation(&entry.name, Generation(1));
    for file in theirs.files(&entry) {
        machine.edit(&home.join(&*file.name), &file.bytes);
    }
    machine.settle();
    check("take-over", &entry, &machine.point(), |machine| {
        let (daemon, _) = comes_to_rest(machine, &entry, 1)?;
        let Observed::Installed(found) = daemon.observed() else { return Err("nothing is installed".to_owned()) };
        require(found.fingerprint == theirs.facts.fingerprint, "what was renewed elsewhere is not live")
    });
}

/// The set whose chain ends early, live and on record.
fn installed_short(entry: &Entry) -> Machine {
    let machine = Machine::with_folders(&["/var/lib", "/etc/keys", "/etc/tls"]);
    drop(Daemon::start(&machine, entry, None).unwrap());
    let Short { set, root, .. } = &*SHORT;
    let set = NewSet {
        leaf: &set.leaf,
        facts: &set.facts,
        chain: &set.chain,
        root: Some(root),
        key: &set.key,
        attempt: Attempt(0),
        profile: &material::profile().id,
        served: &served::served(&set.leaf, &set.chain),
        refreshes: None,
        remarks: &RareRemarks::new(),
    };
    generation::install(&machine, &layout(), &identity(), entry, &set, 1).unwrap();
    Daemon::start(&machine, entry, None).unwrap().0.run().unwrap();
    machine
}

/// Either chain is whole in every generation that has a number, and each copy is that of a whole one.
fn is_whole(machine: &Machine, entry: &Entry) -> Result<(), String> {
    let Short { set, newer, root } = &*SHORT;
    let made = |chain: &[Certificate]| {
        contents(entry, &Parts { leaf: &set.leaf, chain, root: Some(root), key: &set.key }, Vec::new())
    };
    let sets = [made(&set.chain), made(std::slice::from_ref(newer))];
    let is_at = |file: &Content, path: &Path| machine.read(path, 1 << 20).is_ok_and(|bytes| bytes == *file.bytes);
    let home = layout().certificate(&entry.name);
    for name in machine.list(&home).map_err(|error| error.to_string())? {
        let folder = home.join(&name);
        let is_one = |files: &Vec<Content>| files.iter().all(|file| is_at(file, &folder.join(&*file.name)));
        let is_numbered = name.to_string_lossy().parse::<u64>().is_ok();
        require(!is_numbered || sets.iter().any(is_one), &format!("{} is no whole set", folder.display()))?;
    }
    for Target { path: target, source, .. } in targets::targets(entry).map_err(|failure| failure.to_string())? {
        let is_one = |files: &Vec<Content>| files.iter().any(|file| file.name == source && is_at(file, target));
        require(sets.iter().any(is_one), &format!("{} is half-written", target.display()))?;
    }
    Ok(())
}

/// The same request, key and leaf; and the journal does not say that somebody else brought it.
#[test]
fn a_refresh_of_the_chain_survives_every_crash() {
    let mut entry = material::with_copies();
    entry.hooks = vec!["web".parse().unwrap()];
    let machine = installed_short(&entry);
    machine.note(|api| api.shows_newer = true);
    machine.settle();
    check("refresh", &entry, &machine.point(), |machine| {
        is_whole(machine, &entry)?;
        let (daemon, _) = comes_to_rest(machine, &entry, 0)?;
        is_whole(machine, &entry)?;
        let Observed::Installed(found) = daemon.observed() else { return Err("nothing is installed".to_owned()) };
        require(found.ends_at() == found.not_after, "the chain is not refreshed")?;
        require(found.fingerprint == SHORT.set.facts.fingerprint, "the leaf is another one")?;
        require(found.drift.is_empty(), &format!("{:?}", found.drift))?;
        let journal = Journal::read::<Vec<event::Entry>>(machine, &layout()).map_err(|failure| failure.to_string())?;
        let adopted = journal.entries.iter().filter(|entry| matches!(entry.event, Event::Adopted { .. })).count();
        require(adopted == 1, "the journal says that somebody else brought the set")?;
        let refreshed = journal.entries.iter().any(|entry| matches!(entry.event, Event::ChainRefreshed { .. }));
        require(refreshed, "the journal does not tell of the new chain")
    });
}
