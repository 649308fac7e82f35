//! Every fuzz target over its whole corpus and some seeded mutations of it, on any toolchain in seconds. An input that
//! fails is kept in the corpus, and its path is printed. `RENEWD_FUZZ_RUNS` sets how many mutations each target gets,
//! `RENEWD_FUZZ_SEED` where they begin. Long runs, led by coverage, are `long.rs`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test that cannot go on has failed"
)]

mod corpus;
mod journal;
mod material;
mod mutate;
mod standing;
mod targets;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use corpus::{keep, read, words};
use mutate::Mutator;
use renewd::core::event::Event;
use targets::{TARGETS, Target};

/// Runs one target; `Err`: it failed, or took too long.
fn survives(target: Target, input: &[u8]) -> Result<(), String> {
    let begun = Instant::now();
    catch_unwind(AssertUnwindSafe(|| target(input))).map_err(|_| "it failed, as told above".to_owned())?;
    let took = begun.elapsed();
    if took < SLOW { Ok(()) } else { Err(format!("it took {took:?}")) }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|value| value.parse().unwrap())
}

#[track_caller]
fn check(name: &str) {
    let (_, target) = TARGETS.into_iter().find(|(known, _)| *known == name).unwrap();
    let inputs = read(name);
    assert!(!inputs.is_empty(), "no corpus of {name}");
    for (path, input) in &inputs {
        if let Err(what) = survives(target, input) {
            panic!("{}: {what}", path.display());
        }
    }
    let runs = number("RENEWD_FUZZ_RUNS").unwrap_or(RUNS);
    let first = number("RENEWD_FUZZ_SEED").unwrap_or(0);
    let corpus: Vec<&[u8]> = inputs.iter().map(|(_, input)| input.as_slice()).collect();
    let words = words();
    for seed in first..first + runs {
        let input = Mutator::new(seed).mutate(&corpus, &words);
        if let Err(what) = survives(target, &input) {
            panic!("seed {seed}: {what}; the input is kept as {}", keep(name, &input).display());
        }
    }
    println!("{name}: {} inputs and {runs} mutations", inputs.len());
}

macro_rules! each {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            check(stringify!($name));
        }
    )*

        #[test]
        fn every_target_is_run() {
            assert_eq!(TARGETS.map(|(name, _)| name), [$(stringify!($name)),*]);
        }
    };
}

each!(main drop_in profiles issue pickup details formats search errors roots names answer pem key files key_store gate standing journal);

/// The seed of the journal holds every kind of event: what is not understood would be passed over.
#[test]
fn the_journals_seed_holds_every_event() {
    let (_, seed) = read("journal").into_iter().find(|(path, _)| path.ends_with("seeds/journal/every-event")).unwrap();
    let lines = std::str::from_utf8(&seed).unwrap().lines().filter_map(|line| line.strip_prefix('+'));
    let events: Vec<Event> = lines.map(|line| serde_json::from_str::<Event>(line).unwrap()).collect();
    let kinds: BTreeSet<_> = events.iter().map(std::mem::discriminant).map(|kind| format!("{kind:?}")).collect();
    assert_eq!((events.contains(&Event::Unknown), kinds.len()), (false, 28), "{kinds:?}");
}

#[test]
fn a_target_can_fail() {
    let broken: Target = |input| assert!(!input.contains(&b'\x1b'), "steered");
    assert!(survives(broken, b"plain").is_ok() && survives(broken, b"\x1b[0m").is_err());
}

const RUNS: u64 = 1000;
const SLOW: Duration = Duration::from_secs(10);
