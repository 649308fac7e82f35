//! Which runs start, for whom, and when.

use super::*;

const HOUR: Duration = Duration::from_secs(3600);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 + seconds)
}

fn key() -> HookKey {
    HookKey { file: None, name: "nginx".parse().unwrap() }
}

fn debt(name: &str, generation: u64) -> Debt {
    (name.parse().unwrap(), "nginx".parse().unwrap(), Generation(generation))
}

fn started(hooks: &mut Hooks, now: Timestamp, interval: Duration) -> Vec<String> {
    let runs = hooks.take_runnable(now, |_| interval);
    runs.iter().flat_map(|run| &run.serves).map(|(name, _, generation)| format!("{name} {generation}")).collect()
}

#[test]
fn one_run_serves_all_who_owe_it_when_the_first_is_due() {
    let mut hooks = Hooks::default();
    hooks.owe(key(), debt("www", 1), at(3));
    hooks.owe(key(), debt("mail", 4), at(5));
    assert_eq!(hooks.next(at(0), |_| Duration::ZERO), Some(at(3)));
    assert!(started(&mut hooks, at(2), Duration::ZERO).is_empty());
    assert_eq!(started(&mut hooks, at(3), Duration::ZERO), ["mail 4", "www 1"]);
    hooks.ended(&key());
    assert_eq!(hooks.next(at(9), |_| Duration::ZERO), None);
}

#[test]
fn a_running_hook_is_not_owed_again_for_what_it_serves_and_never_runs_twice_at_once() {
    let mut hooks = Hooks::default();
    hooks.owe(key(), debt("www", 1), at(0));
    assert_eq!(started(&mut hooks, at(0), Duration::ZERO), ["www 1"]);
    hooks.owe(key(), debt("www", 1), at(60));
    assert_eq!(hooks.next(at(60), |_| Duration::ZERO), None, "the run under way serves it");
    hooks.owe(key(), debt("www", 2), at(61));
    assert!(started(&mut hooks, at(90), Duration::ZERO).is_empty(), "one run at a time");
    hooks.ended(&key());
    assert_eq!(started(&mut hooks, at(90), Duration::ZERO), ["www 2"], "a newer generation is owed its own run");
}

#[test]
fn the_minimal_interval_is_kept_and_a_clock_set_back_ends_it() {
    let mut hooks = Hooks::default();
    hooks.owe(key(), debt("www", 1), at(0));
    assert_eq!(started(&mut hooks, at(0), HOUR).len(), 1);
    hooks.ended(&key());
    hooks.owe(key(), debt("www", 2), at(10));
    assert_eq!(hooks.next(at(10), |_| HOUR), Some(at(3600)));
    assert!(started(&mut hooks, at(3599), HOUR).is_empty());
    assert_eq!(hooks.next(at(-90_000), |_| HOUR), Some(at(10)));
    assert_eq!(started(&mut hooks, at(3600), HOUR), ["www 2"]);
}

#[test]
fn a_hook_is_told_what_somebody_has_to_publish() {
    let told = |validation| Told { name: "www".parse().unwrap(), live: "/live".into(), installed: None, validation };
    let names = |validation| {
        let environment =
            environment(&[told(validation)], None).into_iter().filter(|(key, _)| key.starts_with("RENEWD_DV"));
        environment.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
    };
    assert!(names(None).is_empty());
    let details = |method: Option<&str>, value: Option<&str>| {
        Some(DomainValidation { method: method.map(Text::new), random_value: value.map(Text::new) })
    };
    let whole = names(details(Some("dns-txt-token"), Some("_p9")));
    assert_eq!(whole, ["RENEWD_DV_METHOD=dns-txt-token", "RENEWD_DV_RANDOM_VALUE=_p9"]);
    assert_eq!(names(details(None, Some("_p9"))), ["RENEWD_DV_RANDOM_VALUE=_p9"]);
}

#[test]
fn who_owes_nothing_any_more_is_not_served() {
    let mut hooks = Hooks::default();
    hooks.owe(key(), debt("www", 1), at(0));
    hooks.owe(key(), debt("mail", 1), at(0));
    hooks.forget(&"www".parse().unwrap());
    assert_eq!(started(&mut hooks, at(0), Duration::ZERO), ["mail 1"]);
}

/// Three thousand names are more than the kernel takes in one variable: such a hook never ran.
#[tokio::test]
async fn a_hook_runs_for_more_names_than_a_variable_holds() {
    let told = |number| Told {
        name: format!("{number:0>63}").parse().unwrap(),
        live: "/live".into(),
        installed: None,
        validation: None,
    };
    let many: Vec<Told> = (0..3000).map(told).collect();
    let environment = environment(&many, Some(Path::new("/names")));
    let value = |key: &str| environment.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str());
    let names: Vec<&str> = value("RENEWD_NAMES").unwrap().split(' ').collect();
    assert_eq!(names.len(), 1024);
    assert!(names.iter().zip(&many).all(|(name, told)| *name == told.name.as_str()), "whole names, from the first on");
    assert_eq!((value("RENEWD_NAMES_CUT"), value("RENEWD_NAMES_FILE")), (Some("1976"), Some("/names")));
    let hook = Hook {
        name: "tell".parse().unwrap(),
        run: HookRun::Command(["/bin/sh", "-c", "echo $RENEWD_NAMES_CUT"].map(str::to_owned).to_vec()),
        timeout: HOUR,
        min_interval: Duration::ZERO,
    };
    let stop = watch::Sender::new(false);
    let ended = run(&hook, environment, stop.subscribe(), |output, _| Text::new(output)).await;
    assert!(matches!(&ended, Ended::Done(Some(printed)) if printed.as_str().starts_with("1976")), "{ended:?}");
    let few = super::environment(&many[..1024], None);
    assert!(!few.iter().any(|(key, _)| key == "RENEWD_NAMES_CUT" || key == "RENEWD_NAMES_FILE"));
}
