//! Which runs start, for whom, and when.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn key() -> HookKey {
    HookKey { file: None, name: "nginx".parse().unwrap() }
}

fn pending(name: &str, generation: u64) -> PendingHook {
    (name.parse().unwrap(), "nginx".parse().unwrap(), Generation(generation))
}

fn started(hooks: &mut Hooks, now: Timestamp, interval: Duration) -> Vec<String> {
    let runs = hooks.take_runnable(now, |_| interval);
    runs.iter().flat_map(|run| &run.covers).map(|(name, _, generation)| format!("{name} {generation}")).collect()
}

#[test]
fn one_run_covers_every_certificate_when_the_first_is_due() {
    let mut hooks = Hooks::default();
    hooks.enqueue(key(), pending("www", 1), at(3));
    hooks.enqueue(key(), pending("mail", 4), at(5));
    assert_eq!(hooks.next(at(0), |_| Duration::ZERO), Some(at(3)));
    assert!(started(&mut hooks, at(2), Duration::ZERO).is_empty());
    assert_eq!(started(&mut hooks, at(3), Duration::ZERO), ["mail 4", "www 1"]);
    hooks.ended(&key());
    assert_eq!(hooks.next(at(9), |_| Duration::ZERO), None);
}

#[test]
fn a_running_hook_is_not_queued_for_what_it_covers_and_never_runs_twice_at_once() {
    let mut hooks = Hooks::default();
    hooks.enqueue(key(), pending("www", 1), at(0));
    assert_eq!(started(&mut hooks, at(0), Duration::ZERO), ["www 1"]);
    hooks.enqueue(key(), pending("www", 1), at(60));
    assert_eq!(hooks.next(at(60), |_| Duration::ZERO), None, "the run under way covers it");
    hooks.enqueue(key(), pending("www", 2), at(61));
    assert!(started(&mut hooks, at(90), Duration::ZERO).is_empty(), "one run at a time");
    hooks.ended(&key());
    assert_eq!(started(&mut hooks, at(90), Duration::ZERO), ["www 2"], "a newer generation gets its own run");
}

#[test]
fn the_minimal_interval_is_kept_and_a_clock_set_back_ends_it() {
    let mut hooks = Hooks::default();
    hooks.enqueue(key(), pending("www", 1), at(0));
    assert_eq!(started(&mut hooks, at(0), HOUR).len(), 1);
    hooks.ended(&key());
    hooks.enqueue(key(), pending("www", 2), at(10));
    assert_eq!(hooks.next(at(10), |_| HOUR), Some(at(3600)));
    assert!(started(&mut hooks, at(3599), HOUR).is_empty());
    assert_eq!(hooks.next(at(-90_000), |_| HOUR), Some(at(10)));
    assert_eq!(started(&mut hooks, at(3600), HOUR), ["www 2"]);
}

#[test]
fn a_hook_that_is_wanted_no_more_does_not_run() {
    let mut hooks = Hooks::default();
    hooks.enqueue(key(), pending("www", 1), at(0));
    hooks.enqueue(key(), pending("mail", 1), at(0));
    hooks.forget(&"www".parse().unwrap());
    assert_eq!(started(&mut hooks, at(0), Duration::ZERO), ["mail 1"]);
}
