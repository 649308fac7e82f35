//! kill -9 while twenty certificates renew: at random instants, and on entering chosen system calls. A reader looks on
//! without pause; in the end each certificate that was issued has been installed, once, and all are valid.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use rcgen::PublicKeyData as _;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::host::{Host, ISSUE, safe_folder};
use crate::process::{self, BINARY, Process};
use crate::reader::Reader;
use crate::simulator::{Fault, FaultKind, Issuance, ProfileSpec};
use crate::tools::{self, WallClock};

/// Enough numbers that nobody could guess, and the same for a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Twenty certificates that live for a quarter of a minute or so, of which they renew after two thirds: four that wait
/// for an approval and live longer, four with copies at fixed paths.
struct Site {
    host: Host,
    fixed: TempDir,
}

impl Site {
    fn new() -> Self {
        let brief = |lifetime| ProfileSpec { lifetime: Duration::from_secs(lifetime), ..ProfileSpec::default() };
        let host = Host::new(brief(12));
        let others = [15, 18, 21].map(|lifetime| host.simulator.add_profile(brief(lifetime)));
        let slow = Issuance::Pending { approve_after: Some(Duration::ZERO) };
        let slow = host.simulator.add_profile(ProfileSpec { issuance: slow, ..brief(90) });
        host.configure(
            "keep_generations = 1000",
            "requests_per_minute = 6000\nstatus_check_interval = \"off\"\ntimeout = \"5s\"\n",
        );
        let site = Self { host, fixed: safe_folder() };
        for number in 0..20 {
            let name = format!("site-{number:02}");
            let more = match number {
                0..4 => format!("profile = {slow:?}\nrenew_before = \"60s\"\n"),
                4..8 => format!("formats = [\"bundle\"]\n{}", site.targets(&name)),
                8..17 => format!("profile = {:?}\n", others[number % 3]),
                _ => String::new(),
            };
            site.host.entry(&name, &more);
        }
        site
    }

    fn targets(&self, name: &str) -> String {
        let path = |kind: &str| self.fixed.path().join(format!("{name}-{kind}.pem"));
        let (key, fullchain, bundle) = (path("key"), path("fullchain"), path("bundle"));
        format!("[certificate.files]\nprivate_key = {key:?}\nfullchain = {fullchain:?}\nbundle = {bundle:?}\n")
    }

    /// One life of the daemon, and how it is to end.
    fn round(&self, dice: &mut Dice, is_traced: bool, counts: &mut BTreeMap<&'static str, u64>) {
        let instant = Duration::from_millis(dice.below(LONGEST_LIFE));
        if !is_traced {
            let mut process = Process::spawn(process::command(&self.host, &[BINARY]));
            assert_eq!(process.ends_within(instant), None, "it ended by itself: {}", self.host.log());
            process.end(Signal::KILL);
            *counts.entry("at a random instant").or_default() += 1;
            return;
        }
        let (calls, most) = CALLS[usize::try_from(dice.below(CALLS.len() as u64)).unwrap()];
        let inject = format!("inject={calls}:signal=SIGKILL:when={}", 1 + dice.below(most));
        // Detached, so that the child is the daemon itself and not its tracer.
        let trace = format!("trace={calls}");
        let wrapper = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject, BINARY];
        let mut process = Process::spawn(process::command(&self.host, &wrapper));
        let what = if process.ends_within(LONGEST_TRACED).is_some() { calls } else { "at the end of a traced life" };
        drop(process);
        *counts.entry(what).or_default() += 1;
    }

    /// No more lives end early, and what is asked for from here on lives long: all become valid. Where the request was
    /// lost that takes ten minutes, which the daemon's clock jumps over: `false` where it cannot.
    fn settle(&self) -> bool {
        self.host.simulator.change(|state| {
            state.profiles.iter_mut().for_each(|profile| profile.lifetime = LONG);
            state.pending.iter_mut().for_each(|request| request.wanted.lifetime = LONG);
        });
        let clock = WallClock::new(&self.host);
        let process = Process::start(&self.host, &clock.as_ref().map(WallClock::environment).unwrap_or_default());
        // Of a certificate that lives for seconds it is looked up for a minute, and then asked for again.
        let is_lost = |found: &Value, now: Timestamp| {
            found["reason_code"] == "answer-lost" && time(&found["next_action_at"]) > Some(now)
        };
        self.all("valid, pending, or looked up in vain", |found, now| {
            found["state"] == "pending" || is_long(found, now) || is_lost(found, now)
        });
        let Some(clock) = clock else { return false };
        // To the pickup of what waits for approval; beyond the ten minutes after which a request is repeated, in steps
        // that are small enough for an answer that was on its way; to the pickup of what was asked for meanwhile.
        for later in [35, 350, 660, 720] {
            self.host.simulator.clear_faults();
            self.host.simulator.fault(Fault::new(FaultKind::DateShifted(later)));
            clock.set(later);
            process.signal(Signal::HUP);
            self.all(&format!("as they should be {later} s later"), |found, now| match later {
                35 => time(&found["not_after"]) > Some(now) || is_lost(found, now),
                350 => is_long(found, now) || found["state"] == "pending" || is_lost(found, now),
                660 => is_long(found, now) || found["state"] == "pending",
                _ => is_long(found, now),
            });
        }
        assert_eq!(process.end(Signal::TERM), Some(0));
        true
    }

    /// Waits until each certificate of the status is so, at the instant of the status.
    fn all(&self, what: &str, is_so: impl Fn(&Value, Timestamp) -> bool) {
        self.host.until(&format!("all are {what}"), || {
            let status = self.host.status();
            let now = time(&status["at"])?;
            let so = status["certificates"].as_array()?.iter().filter(|found| is_so(found, now)).count();
            (so == 20).then_some(())
        });
    }

    /// What was issued, by the name it is for: each key once, unless the request had no certificate to be found by, and
    /// each key installed, unless some are still asked for.
    fn check_issued(&self, is_settled: bool) -> usize {
        let issued = self.host.simulator.issued();
        let mut keys: BTreeMap<(String, Vec<u8>), usize> = BTreeMap::new();
        for record in &issued {
            *keys.entry((record.common_name.clone(), record.spki.clone())).or_default() += 1;
        }
        let installed = self.installed();
        for ((name, key), times) in &keys {
            let is_pending = name.as_str() < "site-04";
            assert!(*times == 1 || is_pending, "{name}: {times} certificates for one key");
            assert!(!is_settled || installed.contains(key), "{name}: a certificate was issued and never installed");
        }
        println!("{} certificates were issued, for {} keys; all installed: {is_settled}", issued.len(), keys.len());
        issued.len()
    }

    /// The public keys of every generation.
    fn installed(&self) -> BTreeSet<Vec<u8>> {
        let homes = fs::read_dir(self.host.path("state/certs")).unwrap().map(|home| home.unwrap().path());
        let generations = homes.flat_map(|home| fs::read_dir(home).unwrap().map(|found| found.unwrap().path()));
        let keys =
            generations.filter(|path| path.is_dir() && !path.ends_with("live")).map(|path| path.join("privkey.pem"));
        let spki = |key: PathBuf| rcgen::KeyPair::from_pem(&self.host.read(&key)).unwrap().subject_public_key_info();
        keys.map(spki).collect()
    }

    /// Nothing lies about: no staged file, no damaged journal.
    fn check_tidy(&self, fixed: usize) {
        let is_litter = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with('.') || name.contains("damaged")
        };
        let mut folders = vec![self.host.path("state"), self.fixed.path().to_owned()];
        while let Some(folder) = folders.pop() {
            let found: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            let litter: Vec<&PathBuf> = found.iter().filter(|path| is_litter(path)).collect();
            assert!(litter.is_empty(), "{litter:?}");
            folders.extend(found.into_iter().filter(|path| path.is_dir() && !path.is_symlink()));
        }
        assert_eq!(fs::read_dir(self.fixed.path()).unwrap().count(), fixed);
    }
}

#[test]
fn killed_at_any_instant_nothing_breaks_and_nothing_is_lost() {
    let seed = number("RENEWD_KILL_SEED")
        .unwrap_or_else(|| u64::from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().subsec_nanos()));
    let rounds = number("RENEWD_KILL_ROUNDS").unwrap_or(40);
    println!("RENEWD_KILL_SEED={seed} RENEWD_KILL_ROUNDS={rounds}");
    let (site, mut dice) = (Site::new(), Dice(seed | 1));
    let traces = tools::has_strace();
    let reader = Reader::start(site.host.path("state/certs"), site.fixed.path().to_owned());
    let (begun, mut counts) = (Instant::now(), BTreeMap::new());
    for _ in 0..rounds {
        let is_traced = traces && dice.below(2) == 0;
        site.round(&mut dice, is_traced, &mut counts);
    }
    println!("{rounds} rounds in {:?}: {counts:?}", begun.elapsed());
    let is_settled = site.settle();
    let seen = reader.end();
    let (sets, switches) = (seen.sets.load(Ordering::Relaxed), seen.switches.load(Ordering::Relaxed));
    println!(
        "the reader saw {sets} sets and {switches} switches; {} submissions",
        site.host.simulator.count("POST", ISSUE)
    );
    let issued = site.check_issued(is_settled);
    assert!(issued >= 20 && switches >= 1, "{issued} issued, {switches} switches");
    site.check_tidy(12);
}

fn time(found: &Value) -> Option<Timestamp> {
    found.as_str()?.parse().ok()
}

fn is_long(found: &Value, now: Timestamp) -> bool {
    time(&found["not_after"]) > Some(now + LONG / 2)
}

/// Starts a life in which a thread stays at each rename for a moment, after it.
fn start_slowly(site: &Site, output: &str) -> Process {
    let trace = "trace=rename,renameat,renameat2";
    let inject = "inject=rename,renameat,renameat2:delay_exit=50000";
    let wrapper = ["strace", "-D", "-f", "-qq", "-s", "4096", "-o", output, "-e", trace, "-e", inject, BINARY];
    Process::spawn(process::command(&site.host, &wrapper))
}

/// By the name that comes, and not by a count, which strace keeps for each thread.
#[test]
fn killed_at_each_rename_of_an_issue_it_goes_on_and_leaves_nothing() {
    if !tools::has_strace() {
        return;
    }
    let new = || {
        let site = Site { host: Host::with_www(), fixed: safe_folder() };
        site.host.entry("www", &format!("formats = [\"bundle\"]\n{}", site.targets("www")));
        site
    };
    let site = new();
    let seen = site.host.path("renames");
    let process = start_slowly(&site, seen.to_str().unwrap());
    site.host.wait_state("www", "valid");
    assert_eq!(process.end(Signal::TERM), Some(0));
    let roots = |site: &Site| [site.host.path(""), site.fixed.path().to_owned()];
    let text = site.host.read(&seen);
    let targets: BTreeSet<(usize, PathBuf)> = text
        .lines()
        .filter_map(|line| Some(PathBuf::from(line.split('"').nth(3)?)))
        .filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with(".renewd-"))
        .map(|path| {
            let place = roots(&site).iter().position(|root| path.starts_with(root)).unwrap();
            (place, path.strip_prefix(&roots(&site)[place]).unwrap().to_owned())
        })
        .collect();
    assert!(targets.len() >= 10 && targets.iter().any(|(_, path)| path.ends_with("www/live")), "{targets:?}");
    for (place, path) in &targets {
        let site = new();
        let renamed = roots(&site)[*place].join(path);
        let process = start_slowly(&site, "/dev/null");
        site.host.until("it is renamed", || renamed.symlink_metadata().is_ok().then_some(()));
        assert_eq!(process.end(Signal::KILL), None, "{path:?}");
        let process = Process::start(&site.host, &[]);
        site.host.wait_state("www", "valid");
        assert_eq!(process.end(Signal::TERM), Some(0));
        assert_eq!((site.host.submissions(), site.host.simulator.issued().len()), (1, 1), "{path:?}");
        site.host.live_serial("www");
        site.check_tidy(3);
    }
    println!("killed at each of {} renames", targets.len());
}

/// System calls by which the daemon changes the disk or speaks to the API, and up to which of them a life goes.
const CALLS: [(&str, u64); 8] = [
    ("fsync,fdatasync", 16),
    ("rename,renameat,renameat2", 8),
    ("write,pwrite64", 24),
    ("writev,sendto,sendmsg", 4),
    ("recvfrom,read", 50),
    ("symlink,symlinkat", 2),
    ("unlink,unlinkat,rmdir", 8),
    ("mkdir,mkdirat", 3),
];
const LONG: Duration = Duration::from_secs(90 * 86_400);
/// In milliseconds.
const LONGEST_LIFE: u64 = 800;
const LONGEST_TRACED: Duration = Duration::from_millis(1000);
