//! The life of a request, crashed at every point: first install, renewal, fixed paths, a request that is issued later or
//! rejected.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use renewd::core::event::{self, Event};
use renewd::core::known::observed::Installed;
use renewd::core::name::{Attempt, Digest};
use renewd::core::wanted::entry::Entry;
use renewd::store::content::Content;
use renewd::store::disk::Disk as _;
use renewd::store::generation::read_manifest;
use renewd::store::journal::Journal;
use renewd::store::targets::{self, Target};

use crate::api::{Api, Mode};
use crate::daemon::{Daemon, Swap, layout};
use crate::disk::{Ignored, Machine, Point, Sync};
use crate::material::{self, sets};

/// One way in which a request goes.
#[derive(Clone)]
pub struct Case {
    entry: Entry,
    mode: Mode,
    is_first: bool,
    /// Whether what is there before lies in the lower layer of an overlay.
    is_layered: bool,
    /// The files of every set.
    files: Arc<Vec<Vec<Content>>>,
}

impl Case {
    fn of(entry: Entry, mode: Mode) -> Self {
        let files = Arc::new(sets().iter().map(|set| set.files(&entry)).collect());
        Self { entry, mode, is_first: false, is_layered: false, files }
    }

    fn first() -> Self {
        Self { is_first: true, ..Self::renewal() }
    }

    fn renewal() -> Self {
        Self::of(material::entry(), Mode::AtOnce)
    }

    fn with_copies() -> Self {
        Self::of(material::with_copies(), Mode::AtOnce)
    }

    fn layered() -> Self {
        Self { is_layered: true, ..Self::renewal() }
    }

    fn later() -> Self {
        Self::of(material::entry(), Mode::Later)
    }

    fn rejected() -> Self {
        Self::of(material::entry(), Mode::Rejects)
    }

    /// The machine before the request: all that is on it is durable.
    fn before(&self) -> Point {
        let machine = Machine::with_folders(&["/var/lib", "/etc/keys", "/etc/tls"]);
        if !self.is_first {
            let (mut daemon, _) = Daemon::start(&machine, &self.entry, None).unwrap();
            daemon.run().unwrap();
            daemon.ask_renewal();
            machine.settle();
        }
        if self.is_layered {
            machine.layer();
        }
        machine.point()
    }

    /// The machine while the request goes its way.
    fn recorded(&self, before: &Point, ignored: Option<Ignored>, swap: Option<Swap>) -> Machine {
        let machine =
            Machine::boot(before.disk.clone(), Api { mode: self.mode, events: before.api.events, ..Api::default() });
        machine.ignore(ignored);
        machine.record();
        let (mut daemon, _) = Daemon::start(&machine, &self.entry, swap).unwrap();
        if self.is_first {
            daemon.ask_renewal();
        }
        daemon.run().unwrap();
        machine
    }

    /// What holds at every instant, before anybody recovers (promise 2).
    fn holds(&self, machine: &Machine) -> Result<(), String> {
        let journal = Journal::read::<Vec<event::Entry>>(machine, &layout()).map_err(|failure| failure.to_string())?;
        let events = machine.api_now().events;
        require(journal.entries.len() >= events, "the journal lacks an event that it had taken")?;
        let said = journal.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Installed { fingerprint, .. } => number_of(fingerprint),
            _ => None,
        });
        match machine.read_link(&layout().live(&self.entry.name)) {
            Ok(generation) => {
                let folder = layout().certificate(&self.entry.name).join(generation);
                let live = self.set_in(machine, &folder)?;
                require(Some(live) >= said, "the journal says that a newer set is live")?;
            }
            Err(_) => require(self.is_first && said.is_none(), "nothing is live")?,
        }
        let home = layout().certificate(&self.entry.name);
        for name in machine.list(&home).unwrap_or_default() {
            let left = machine.list(&home.join(&name)).unwrap_or_default();
            let is_retired = left.is_empty() || left.iter().any(|file| file == "retired");
            if name.to_string_lossy().parse::<u64>().is_ok() && !is_retired {
                self.set_in(machine, &home.join(name))?;
            }
        }
        for Target { path: target, source, .. } in
            targets::targets(&self.entry).map_err(|failure| failure.to_string())?
        {
            let Ok(bytes) = machine.read(target, 1 << 20) else {
                require(self.is_first && said.is_none(), &format!("{} is gone", target.display()))?;
                continue;
            };
            let is_of = |files: &Vec<Content>| files.iter().any(|file| file.name == source && *file.bytes == bytes);
            let found = self.files.iter().rposition(is_of);
            require(found.is_some(), &format!("{} is half-written", target.display()))?;
            require(found >= said, &format!("the journal says that a newer set is at {}", target.display()))?;
        }
        let shown = |bytes: &[u8]| bytes.starts_with(b"-----BEGIN PRIVATE KEY");
        for (path, (mode, content)) in machine.all() {
            require(!shown(&content) || mode & 0o077 == 0, &format!("{} is open to others", path.display()))?;
            require(!path.to_string_lossy().contains("damaged"), "a crash is taken for damage")?;
        }
        Ok(())
    }

    /// Which set is in a folder, whole.
    fn set_in(&self, machine: &Machine, folder: &Path) -> Result<usize, String> {
        let is_there =
            |file: &Content| machine.read(&folder.join(&*file.name), 1 << 20).is_ok_and(|b| b == *file.bytes);
        let whole = self.files.iter().position(|files| files.iter().all(is_there));
        whole.ok_or_else(|| format!("{} is no whole set", folder.display()))
    }

    /// Starts the daemon on what is there, and lets it come to rest (promises 3, 4 and 11).
    fn recovers(&self, machine: &Machine, most: usize) -> Result<(), String> {
        let (mut daemon, content) = Daemon::start(machine, &self.entry, None).map_err(|failure| failure.to_string())?;
        require(content.damaged == 0, "a crash is taken for damage")?;
        daemon.run()?;
        self.holds(machine)?;
        let api = machine.api_now();
        require((1..=most).contains(&api.accepted.len()), &format!("{} were issued", api.accepted.len()))?;
        require(api.accepted.windows(2).all(|two| two[0] == two[1]), "a key was lost, and another one asked for")?;
        require(
            daemon.record().submissions.len() > api.accepted.len() - usize::from(self.is_first),
            "not all counted",
        )?;
        let observed = daemon.observed();
        let installed = observed.installed().ok_or_else(|| format!("{observed:?}"))?;
        require(installed.drift.is_empty(), &format!("{:?}", installed.drift))?;
        if self.mode == Mode::Rejects {
            return require(daemon.record().stopped.is_some(), "the rejection is forgotten");
        }
        self.is_installed(machine, installed, api.accepted.last().unwrap())?;
        let left = machine.list(&layout().pending_of(&self.entry.name)).unwrap_or_default();
        require(left.is_empty(), &format!("keys are left: {left:?}"))
    }

    fn is_installed(&self, machine: &Machine, installed: &Installed, accepted: &Digest) -> Result<(), String> {
        require(installed.spki == *accepted, "what was issued last is not installed")?;
        let folder = layout().generation(&self.entry.name, installed.generation);
        let manifest = read_manifest(machine, &folder).ok().flatten().ok_or("the manifest is gone")?;
        let attempt = Attempt(number_of(&installed.fingerprint).unwrap() as u64 + 1);
        require(
            (manifest.fingerprint, manifest.attempt) == (installed.fingerprint, attempt),
            "the manifest is of another set",
        )
    }

    /// A request that is pending and whose id is lost may be asked for once more; nothing else may.
    fn most(&self, api: &Api) -> usize {
        if self.mode == Mode::AtOnce || api.is_id_kept { 1 } else { 2 }
    }

    /// Loses the power at a point, in every way; how many.
    fn loses_power(&self, point: &Point) -> Result<usize, String> {
        let images = point.disk.images();
        let count = images.len();
        for (names, data, image) in images {
            let machine = Machine::boot(image, point.api.clone());
            self.holds(&machine)
                .and_then(|()| self.recovers(&machine, self.most(&point.api)))
                .map_err(|what| format!("after {}, {names:?}, {data:?}: {what}", point.after))?;
        }
        Ok(count)
    }

    /// Whether some loss of power at these points breaks a promise; those that break at once are found first.
    fn is_missed(&self, points: &[Point]) -> bool {
        let is_broken = |point: &Point| {
            let images = point.disk.images();
            images.into_iter().any(|(_, _, image)| self.holds(&Machine::boot(image, point.api.clone())).is_err())
        };
        points.iter().any(is_broken) || points.iter().any(|point| self.loses_power(point).is_err())
    }

    /// Kills the process at a point and lets another one recover.
    fn killed(&self, point: &Point, ignored: Option<Ignored>) -> Result<Machine, String> {
        let machine = Machine::killed(point);
        machine.ignore(ignored);
        machine.record();
        self.recovers(&machine, self.most(&point.api))
            .map_err(|what| format!("killed after {}: {what}", point.after))?;
        Ok(machine)
    }
}

fn number_of(fingerprint: &Digest) -> Option<usize> {
    sets().iter().position(|set| set.facts.fingerprint == *fingerprint)
}

pub fn require(is_so: bool, what: &str) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(what.to_owned()) }
}

#[track_caller]
fn check(name: &str, case: &Case) {
    check_with(name, case, |_| true);
}

#[track_caller]
fn check_with(name: &str, case: &Case, is_needed: impl Fn(&Sync) -> bool) {
    let before = case.before();
    let machine = case.recorded(&before, None, None);
    let (points, syncs) = (machine.points(), machine.syncs());
    let mut images = 0;
    for point in &points {
        images += case.loses_power(point).unwrap();
    }
    for (number, sync) in syncs.iter().enumerate().filter(|(_, sync)| is_needed(sync)) {
        let points = case.recorded(&before, Some(Ignored::Nth(number)), None).points_after_ignored();
        assert!(case.is_missed(&points), "{name}: nothing fails without sync {number}, {sync:?}");
    }
    println!("{name}: {} crash points, {images} images, each of {} syncs needed", points.len(), syncs.len());
}

#[test]
fn a_first_install_survives_every_crash() {
    check("first install", &Case::first());
}

#[test]
fn a_renewal_with_fixed_paths_survives_every_crash() {
    check("renewal with fixed paths", &Case::with_copies());
}

/// A folder of the lower layer cannot be renamed: what was pruned is gone all the same.
#[test]
fn a_renewal_over_the_lower_layer_of_an_overlay_survives_every_crash() {
    let case = Case::layered();
    // Nothing is renamed that `live` may still name, so that the sync before a removal makes the switch durable as well.
    check_with("renewal on an overlay", &case, |sync| sync.what.ends_with("certs/www/N"));
    let machine = case.recorded(&case.before(), None, None);
    let mut left = machine.list(&layout().certificate(&case.entry.name)).unwrap();
    left.sort();
    assert_eq!(left, ["2", "csr.pem", "live"]);
}

#[test]
fn a_pending_request_survives_every_crash() {
    check("pending request", &Case::later());
}

#[test]
fn a_rejected_request_survives_every_crash() {
    check("rejected request", &Case::rejected());
}

/// What an earlier life wrote and did not sync is synced before it is acted on: the power is lost while or after another
/// process recovers.
#[test]
fn a_process_that_is_killed_leaves_nothing_that_a_later_crash_could_take() {
    for (name, case) in [("first install", Case::first()), ("renewal with fixed paths", Case::with_copies())] {
        let before = case.before();
        let points = case.recorded(&before, None, None).points();
        let mut images = 0;
        let mut syncs: BTreeMap<Sync, Vec<&Point>> = BTreeMap::new();
        for point in &points {
            let machine = case.killed(point, None).unwrap();
            for sync in machine.syncs().into_iter().filter(|sync| sync.of_earlier_life) {
                syncs.entry(sync).or_default().push(point);
            }
            let after = machine.points();
            images += case.loses_power(&after[after.len() - 1]).unwrap();
        }
        for (sync, points) in &syncs {
            let is_missed = |point: &&Point| {
                let machine = case.killed(point, Some(Ignored::Like(sync.clone())));
                machine.is_err() || case.is_missed(&machine.unwrap().points_after_ignored())
            };
            assert!(points.iter().any(is_missed), "{name}: nothing fails without {sync:?} at the start");
        }
        println!("{name}: killed at {} points, {images} images, {} syncs needed", points.len(), syncs.len());
    }
}

#[test]
fn the_order_of_the_protocol_is_needed() {
    let swaps = [
        Swap::SendBeforeIntent,
        Swap::IntentBeforeKey,
        Swap::IssuedBeforeAnswer,
        Swap::InstalledBeforeLive,
        Swap::ForgetBeforeInstalled,
    ];
    let case = Case::renewal();
    let before = case.before();
    for swap in swaps {
        let machine = case.recorded(&before, None, Some(swap));
        assert!(case.is_missed(&machine.points()), "nothing fails with {swap:?}");
    }
}
