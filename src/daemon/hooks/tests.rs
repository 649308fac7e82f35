//! What a hook is told.

use std::time::Duration;

use super::*;

#[test]
fn a_hook_is_told_what_somebody_has_to_publish() {
    let told = |validation| HookSubject { name: "www".parse().unwrap(), installed: None, validation };
    let names = |validation| {
        let environment =
            environment(&[told(validation)], None, None).into_iter().filter(|(key, _)| key.starts_with("RENEWD_DV"));
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

/// Three thousand names are more than the kernel takes in one variable: such a hook never ran.
#[tokio::test]
async fn a_hook_runs_for_more_names_than_a_variable_holds() {
    let told =
        |number| HookSubject { name: format!("{number:0>63}").parse().unwrap(), installed: None, validation: None };
    let many: Vec<HookSubject> = (0..3000).map(told).collect();
    let environment = environment(&many, None, Some(Path::new("/names")));
    let value = |key: &str| environment.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str());
    let names: Vec<&str> = value("RENEWD_NAMES").unwrap().split(' ').collect();
    assert_eq!(names.len(), 1024);
    assert!(names.iter().zip(&many).all(|(name, told)| *name == told.name.as_str()), "whole names, from the first on");
    assert_eq!((value("RENEWD_NAMES_CUT"), value("RENEWD_NAMES_FILE")), (Some("1976"), Some("/names")));
    let hook = Hook {
        name: "tell".parse().unwrap(),
        run: HookRun::Command(["/bin/sh", "-c", "echo $RENEWD_NAMES_CUT"].map(str::to_owned).to_vec()),
        timeout: Duration::from_secs(3600),
        min_interval: Duration::ZERO,
        user: None,
        test: None,
        before: None,
    };
    let stop = watch::Sender::new(false);
    let ended = run(&hook, Errand::hook(environment), stop.subscribe(), |output, _| Text::new(output)).await;
    assert!(matches!(&ended, Ended::Done(Some(printed)) if printed.as_str().starts_with("1976")), "{ended:?}");
    let few = super::environment(&many[..1024], None, None);
    assert!(!few.iter().any(|(key, _)| key == "RENEWD_NAMES_CUT" || key == "RENEWD_NAMES_FILE"));
}
