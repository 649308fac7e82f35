//! Deterministic simulation: the engine that ships, in a simulated world, for a year, with faults drawn from a seed.
//! `RENEWD_SIM_SEEDS=N` runs N seeds, a twentieth of them of two hosts, or with `RENEWD_SIM_FIRST=n` those from n on;
//! `RENEWD_SIM_SEED=n` runs that one and shows what happens.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed"
)]

mod disk;
mod effects;
mod faults;
mod host;
mod hosts;
mod line;
mod promises;
mod put_off;
mod random;
mod scenario;
mod shell;
mod telling;
mod tlm;
mod world;

use hosts::Hosts;
use world::World;

/// Runs a year, and returns the world as it is then, or when a promise was broken.
fn year(seed: u64, is_told: bool) -> World {
    if faults::has_hosts(seed) {
        return Hosts::new(seed, is_told).run_until(faults::year_end());
    }
    let mut world = faults::world(seed, is_told);
    world.run_until(faults::year_end());
    world
}

fn report(seed: u64, world: &World) -> String {
    let broken = world.broken.clone().unwrap_or_default();
    let events = world.events_of_the_broken();
    format!("seed {seed}: {broken}\n  {}\nrun it alone with RENEWD_SIM_SEED={seed}", events.join("\n  "))
}

/// Runs the seeds on two threads; the first that breaks a promise is shown.
fn check(seeds: &[u64]) {
    let halves: Vec<Vec<u64>> = (0..2).map(|part| seeds.iter().copied().skip(part).step_by(2).collect()).collect();
    let failed = std::thread::scope(|scope| {
        let runs: Vec<_> = halves.iter().map(|half| scope.spawn(move || run(half))).collect();
        runs.into_iter().flat_map(|run| run.join().unwrap()).collect::<Vec<_>>()
    });
    let lines: Vec<&str> = failed.iter().filter_map(|report| report.lines().next()).collect();
    let (count, of) = (failed.len(), seeds.len());
    assert!(failed.is_empty(), "{count} of {of} seeds break a promise\n{}\n\n{}", lines.join("\n"), failed[0]);
}

fn run(seeds: &[u64]) -> Vec<String> {
    let mut failed = Vec::new();
    for seed in seeds {
        if year(*seed, false).broken.is_some() {
            failed.push(report(*seed, &year(*seed, true)));
        }
    }
    failed
}

/// Seeds that once broke a promise.
fn regressions() -> Vec<u64> {
    let lines = include_str!("regressions.txt").lines();
    lines.filter_map(|line| line.split(' ').next()?.parse().ok()).collect()
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[test]
fn every_promise_holds_for_a_year_of_faults() {
    if let Some(seed) = variable("RENEWD_SIM_SEED") {
        let world = year(seed, true);
        println!("{}", report(seed, &world));
        let l = &world.ledger;
        println!(
            "{} decisions {} submissions {} installs {} crashes {} faults",
            l.decisions, l.submissions, l.installs, l.crashes, l.faults
        );
        assert!(world.broken.is_none());
        return;
    }
    let count = variable("RENEWD_SIM_SEEDS").unwrap_or(500);
    if let Some(first) = variable("RENEWD_SIM_FIRST") {
        check(&(first..first + count).collect::<Vec<_>>());
        return;
    }
    let known = regressions();
    check(&known);
    // A year of two hosts takes four times as long.
    let parts = [
        (0, 5),
        (faults::WITH_PARTS, 4),
        (faults::WITH_ODDITIES, 3),
        (faults::WITH_FALLBACKS, 2),
        (faults::WITH_HOSTS, 1),
        (faults::WITH_OPERATOR, 3),
        (faults::WITH_REVOCATIONS, 2),
    ];
    let ranges = parts.map(|(first, twentieths)| first..first + count * twentieths / 20);
    check(&ranges.into_iter().flatten().filter(|seed| !known.contains(seed)).collect::<Vec<_>>());
}

#[test]
fn scenarios_go_as_written() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulation/scenarios");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() >= 8, "{paths:?}");
    for path in paths {
        let script = std::fs::read_to_string(&path).unwrap();
        let transcript = scenario::transcript(&script);
        if std::env::var_os("RENEWD_BLESS").is_some() {
            std::fs::write(&path, &transcript).unwrap();
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), transcript, "{}", path.display());
        assert!(!transcript.contains("is broken:"), "{transcript}");
    }
}
