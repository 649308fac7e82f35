//! The instructions of each part of the work, held to the bounds of `counts.txt`: `cargo bench --bench counts [-- NAME]`.
//!
//! Wall time on a shared machine says little about a loss of a tenth; the number of instructions does. The program runs
//! itself under valgrind's callgrind, once for each part, and counts inside [`measured`] alone, after one turn that
//! fills what is filled once: preparation falls out. A count of more than a tenth above its bound fails. After a change
//! that is meant, `RENEWD_BLESS=1 cargo bench --bench counts` writes the bounds anew. Without valgrind the run is skipped,
//! and says so; with `RENEWD_REQUIRE_COUNTS=1` that fails.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark that cannot go on has failed"
)]

mod material;
mod turn;
mod work;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;

use work::PARTS;

/// The parts that are counted, and how many turns of each: the slowest first. Left out is where chance decides.
const COUNTED: [(&str, u32); 17] = [
    ("event-100k", 50),
    ("look-100k", 50),
    ("event-1k", 50),
    ("look-1k", 50),
    ("parse-inventory-100", 5),
    ("parse-leaf", 50),
    ("parse-chain", 50),
    ("observe", 50),
    ("decide-valid", 200),
    ("decide-due", 200),
    ("journal-append-1", 50),
    ("journal-append-16", 20),
    ("journal-read-1k", 5),
    ("install", 20),
    ("gate-p256", 10),
    ("gate-rsa-2048", 10),
    ("key-and-csr-p256", 20),
];

/// What may grow with the number of certificates, and by how much from a thousand to a hundred thousand.
const GROWTH: [(&str, &str, f64); 2] = [("event-1k", "event-100k", 1.5), ("look-1k", "look-100k", 2.0)];

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [ONE, name, turns, folder] = arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        work_under_valgrind(name, turns.parse().unwrap(), Path::new(folder));
        return ExitCode::SUCCESS;
    }
    // Cargo's own `--bench`.
    arguments.retain(|argument| !argument.starts_with("--"));
    if let Some(why) = obstacle() {
        println!("instruction counts are skipped: {why}");
        return if std::env::var_os("RENEWD_REQUIRE_COUNTS").is_some() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
    }
    let wanted = |name: &str| arguments.is_empty() || arguments.iter().any(|part| name.contains(part.as_str()));
    let counts = count(&wanted);
    if std::env::var_os("RENEWD_BLESS").is_some() {
        bless(&counts);
    }
    let failed = judge(&counts);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Why nothing can be counted here.
fn obstacle() -> Option<String> {
    if !cfg!(target_arch = "x86_64") {
        return Some(format!("the bounds are those of x86_64, this is {}", std::env::consts::ARCH));
    }
    match Command::new("valgrind").arg("--version").output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => Some(format!("`valgrind --version` ended with {}", output.status)),
        Err(error) => Some(format!("`valgrind` cannot be run: {error}; install valgrind")),
    }
}

/// One part, in a process of its own.
fn work_under_valgrind(name: &str, turns: u32, folder: &Path) {
    let part = PARTS.iter().find(|part| part.name == name).unwrap();
    let own = folder.join(name);
    fs::create_dir(&own).unwrap();
    let mut work = part.prepare(&own, folder);
    work();
    measured(turns, &mut *work);
}

/// Callgrind counts while this runs: it knows it by its name.
#[inline(never)]
fn measured(turns: u32, work: &mut dyn FnMut()) {
    (0..turns).for_each(|_| work());
}

/// Counts the parts, as many at a time as there are processors.
fn count(wanted: &dyn Fn(&str) -> bool) -> BTreeMap<&'static str, u64> {
    let folder = tempfile::tempdir().unwrap();
    material::keep(folder.path());
    fs::copy(std::env::current_exe().unwrap(), folder.path().join(PROGRAM)).unwrap();
    let mut left: Vec<(&'static str, u32)> = COUNTED.into_iter().filter(|(name, _)| wanted(name)).collect();
    left.reverse();
    let (left, counts) = (Mutex::new(left), Mutex::new(BTreeMap::new()));
    let worker = || {
        loop {
            let next = left.lock().unwrap().pop();
            let Some((name, turns)) = next else { return };
            let count = count_one(name, turns, folder.path());
            counts.lock().unwrap().insert(name, count);
        }
    };
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        (0..workers).for_each(|_| drop(scope.spawn(worker)));
    });
    counts.into_inner().unwrap()
}

/// The instructions of one turn.
fn count_one(name: &str, turns: u32, folder: &Path) -> u64 {
    let out = folder.join(format!("{name}.out"));
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=counts::measured*", "--quiet"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(folder.join(PROGRAM))
        .args([ONE, name, &turns.to_string()])
        .arg(folder)
        // What the loader does with the environment moves the heap, as the length of the program's path does, and that
        // moves the counts.
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{name} ended with {} under valgrind\n{told}", run.status);
    let profile = fs::read_to_string(&out).unwrap();
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ")).map(|total| total.trim().parse::<u64>());
    match total {
        Some(Ok(total)) if total > 0 => total / u64::from(turns),
        _ => panic!("callgrind counted nothing of {name}: has `measured` another name?\n{told}"),
    }
}

fn bounds_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/counts.txt")
}

/// The bounds by part.
fn bounds() -> BTreeMap<String, u64> {
    let text = fs::read_to_string(bounds_path()).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let bound = |line: &str| {
        let (name, bound) = line.split_once(' ').unwrap_or((line, ""));
        (name.to_owned(), bound.trim().parse().unwrap_or_else(|_| panic!("counts.txt: no number in {line:?}")))
    };
    lines.map(bound).collect()
}

/// Writes the counts as bounds; those of parts that were not counted now stay.
fn bless(counts: &BTreeMap<&'static str, u64>) {
    let mut bounds = bounds();
    bounds.retain(|name, _| COUNTED.iter().any(|(counted, _)| counted == name));
    bounds.extend(counts.iter().map(|(name, count)| ((*name).to_owned(), *count)));
    let lines: String = bounds.iter().map(|(name, bound)| format!("{name} {bound}\n")).collect();
    fs::write(bounds_path(), format!("{HEAD}{lines}")).unwrap();
    println!("{} is written", bounds_path().display());
}

/// Compares with the bounds, and says what was found; how many failed.
fn judge(counts: &BTreeMap<&'static str, u64>) -> usize {
    let bounds = bounds();
    let mut failures = Vec::new();
    println!("{:<22} {:>14} {:>14} {:>8}", "part", "instructions", "bound", "change");
    for (name, count) in counts {
        let bound = bounds.get(*name).copied();
        failures.extend(row(name, *count, bound));
    }
    let growths = GROWTH.iter().filter_map(|(small, large, limit)| {
        let growth = ratio(*counts.get(large)?, *counts.get(small)?);
        println!("from {small} to {large}: {growth:.2} times as many, at most {limit}");
        Some((growth > *limit).then(|| {
            format!("{large} takes {growth:.2} times as many instructions as {small}, at most {limit} are allowed")
        }))
    });
    let growths: Vec<_> = growths.collect();
    let all = counts.len() + growths.len();
    failures.extend(growths.into_iter().flatten());
    failures.extend(bounds.keys().filter(|name| !COUNTED.iter().any(|(counted, _)| counted == name)).map(|name| {
        format!("counts.txt has a bound for {name}, which no longer is a part; after a change that is meant: {BLESS}")
    }));
    failures.iter().for_each(|failure| println!("FAILED: {failure}"));
    println!("{} passed, {} failed", all.saturating_sub(failures.len()), failures.len());
    failures.len()
}

/// One line; what is wrong with the count.
fn row(name: &str, count: u64, bound: Option<u64>) -> Option<String> {
    let Some(bound) = bound else {
        println!("{name:<22} {count:>14} {:>14}", "none");
        return Some(format!("{name} has no bound and takes {count} instructions; to set it: {BLESS}"));
    };
    let change = ratio(count, bound) - 1.0;
    let note = if change < -SLACK { "  the bound can be tightened" } else { "" };
    println!("{name:<22} {count:>14} {bound:>14} {:>+7.1}%{note}", change * 100.0);
    (change > SLACK).then(|| {
        format!(
            "{name} takes {count} instructions, {:.1} % more than its bound of {bound}; after a change that is meant: {BLESS}",
            change * 100.0
        )
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(one: u64, other: u64) -> f64 {
    one as f64 / other as f64
}

/// The program's name in the folder of a run.
const PROGRAM: &str = "program";
/// Tells the program to work, not to count.
const ONE: &str = "--one";
/// How much a count may differ from its bound.
const SLACK: f64 = 0.1;
const BLESS: &str = "RENEWD_BLESS=1 cargo bench --bench counts";
const HEAD: &str = "\
# Instructions for one turn of each part, as callgrind counts them; a tenth more fails.
# Written by `RENEWD_BLESS=1 cargo bench --bench counts` after a change that is meant.
";
