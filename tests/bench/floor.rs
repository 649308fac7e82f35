//! `cargo run --release --example floor -- DIR`: the floor that the machine sets to a pass with nothing due.
//!
//! DIR is a host of the example `inventory`, or any state directory of renewd. On one thread, for every certificate of
//! `certs/`, whose files lie behind `live`:
//!
//! - `a`: read `fullchain.pem`, decode the first PEM block, parse it with x509-parser;
//! - `b`: that, and read `manifest.json` and parse it with serde_json as a plain value;
//! - `c`: that, and look at (stat) each file of the set.
//!
//! Nothing here is clever: it is the yardstick. Printed are the medians of several rounds, the least and the most beside
//! them, in milliseconds of CPU time, and the wall time.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "the figures are for the terminal and for scripts")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use x509_parser::pem::parse_x509_pem;

/// Reads and parses what a pass with nothing due has to.
#[derive(Debug, Parser)]
#[command(name = "floor")]
struct Arguments {
    /// A host that `inventory` made, or a state directory.
    dir: PathBuf,
    /// How often.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Work {
    Certificate,
    Manifest,
    Files,
}

fn main() {
    let arguments = Arguments::parse();
    let state = arguments.dir.join("state");
    let certs = if state.is_dir() { state } else { arguments.dir }.join("certs");
    println!("work     count   cpu_ms  (least..most)   wall_ms  us_each");
    for (name, work) in [("a", Work::Certificate), ("b", Work::Manifest), ("c", Work::Files)] {
        let rounds: Vec<Round> = (0..arguments.rounds.max(1)).map(|_| Round::of(&certs, work)).collect();
        let count = rounds.first().unwrap().count;
        let (least, cpu, most) = spread(rounds.iter().map(|round| round.cpu));
        let (_, wall, _) = spread(rounds.iter().map(|round| round.wall));
        let each = cpu * 1000.0 / f64::from(u32::try_from(count.max(1)).unwrap());
        println!("{name} {count:12} {cpu:8.2}  ({least:.2}..{most:.2}) {wall:9.2} {each:8.2}");
    }
}

struct Round {
    count: usize,
    cpu: Duration,
    wall: Duration,
}

impl Round {
    #[expect(clippy::disallowed_methods, reason = "a stopwatch")]
    fn of(certs: &Path, work: Work) -> Self {
        let (began, cpu) = (Instant::now(), cpu_time());
        let count = pass(certs, work);
        Self { count, cpu: cpu_time().checked_sub(cpu).unwrap(), wall: began.elapsed() }
    }
}

/// One pass; how many certificates there are.
fn pass(certs: &Path, work: Work) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(certs).unwrap() {
        let live = entry.unwrap().path().join("live");
        let Ok(bytes) = fs::read(live.join("fullchain.pem")) else { continue };
        let (_, pem) = parse_x509_pem(&bytes).unwrap();
        let leaf = pem.parse_x509().unwrap();
        assert!(leaf.validity().not_after.timestamp() > 0, "{}", live.display());
        count += 1;
        if work >= Work::Manifest {
            let bytes = fs::read(live.join("manifest.json")).unwrap();
            let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert!(manifest.is_object(), "{}", live.display());
        }
        if work >= Work::Files {
            for file in ["privkey.pem", "fullchain.pem", "cert.pem", "chain.pem"] {
                assert!(fs::symlink_metadata(live.join(file)).unwrap().is_file(), "{}", live.display());
            }
        }
    }
    count
}

fn cpu_time() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).try_into().unwrap()
}

/// Least, median and most, in milliseconds.
fn spread(values: impl Iterator<Item = Duration>) -> (f64, f64, f64) {
    let mut values: Vec<f64> = values.map(|value| value.as_secs_f64() * 1000.0).collect();
    values.sort_by(f64::total_cmp);
    (*values.first().unwrap(), *values.get(values.len() / 2).unwrap(), *values.last().unwrap())
}
