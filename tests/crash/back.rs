//! What makes another generation live without a request, crashed at every point: the way back after a failed hook, and
//! taking over what somebody else renewed. Whatever is live afterwards is on record, its hooks ran, and nothing was
//! asked for.

use renewd::core::entry::Entry;
use renewd::core::event::RollbackBy;
use renewd::core::name::Generation;
use renewd::core::observed::Observed;

use crate::daemon::{Daemon, layout};
use crate::disk::{Ignored, Machine, Point, Sync};
use crate::material::{self, sets};
use crate::points::require;

fn with_hook() -> Entry {
    let mut entry = material::entry();
    entry.hooks = vec!["web".parse().unwrap()];
    entry
}

fn installed(entry: &Entry) -> Machine {
    let machine = Machine::with_folders(&["/var/lib", "/etc/keys", "/etc/tls"]);
    Daemon::start(&machine, entry, None).unwrap().0.run().unwrap();
    machine
}

/// Which generation is live when all has come to rest, and whether its hook ran.
fn comes_to_rest(machine: &Machine, entry: &Entry, requests: usize) -> Result<(Daemon, Generation), String> {
    let mut daemon = Daemon::start(machine, entry, None).map_err(|failure| failure.to_string())?.0;
    daemon.run()?;
    let Observed::Installed(live) = daemon.observed() else { return Err("nothing is installed".to_owned()) };
    let record = &daemon.record;
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
    let survives = |point: &Point| -> Result<usize, String> {
        let images = point.disk.images();
        let count = images.len();
        for (names, data, image) in images {
            holds(&Machine::boot(image, point.api.clone()))
                .map_err(|what| format!("{name}: after {}, {names:?}, {data:?}: {what}", point.after))?;
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
        let back = daemon.record.rolled_back.as_ref();
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
        machine.edit(&home.join(file.name), &file.bytes);
    }
    machine.settle();
    check("take-over", &entry, &machine.point(), |machine| {
        let (daemon, _) = comes_to_rest(machine, &entry, 1)?;
        let Observed::Installed(found) = daemon.observed() else { return Err("nothing is installed".to_owned()) };
        require(found.fingerprint == theirs.facts.fingerprint, "what was renewed elsewhere is not live")
    });
}
