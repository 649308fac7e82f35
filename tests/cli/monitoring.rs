//! Alert rules and dashboard ask for metrics that exist, in words that Prometheus understands.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::file;
use crate::promtool::promtool;

const RULES: &str = "config/prometheus/renewd.rules.yml";
const TESTS: [&str; 2] = ["tests/monitoring/renewd.test.yml", "tests/monitoring/days.test.yml"];

/// The metrics that renewd-metrics(7) lists; `tests/daemon/metrics.rs` holds that to what the daemon shows.
fn known() -> BTreeSet<String> {
    let page = file("src/cli/pages/renewd-metrics.7.md");
    let listed = page.split('`').filter(|text| text.starts_with("renewd_"));
    listed.map(|text| text.split('{').next().unwrap().to_owned()).collect()
}

/// The metrics that an expression names, a histogram's series by its own name.
fn named(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = words.filter(|word| word.starts_with("renewd_"));
    names.map(|name| name.strip_suffix("_bucket").unwrap_or(name).to_owned()).collect()
}

/// Every string under a key, at any depth.
fn under<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(name, value)| match value.as_str() {
            Some(text) if name == key => found.push(text),
            _ => under(value, key, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| under(item, key, found)),
        _ => {}
    }
}

/// The dashboard's expressions, as Grafana sends them.
fn dashboard() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&file("config/grafana/renewd.json")).unwrap();
    let mut expressions = Vec::new();
    under(&dashboard, "expr", &mut expressions);
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() >= 15 && expressions.len() >= panels.len(), "{} panels", panels.len());
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each has an id of its own");
    expressions.into_iter().map(|expression| expression.replace("$instance", ".*")).collect()
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let known = known();
    assert!(known.len() > 15, "{known:?}");
    let mut asked = BTreeSet::new();
    for expression in dashboard() {
        let names = named(&expression);
        // The first row counts what the shipped rules say, by Prometheus' own series.
        assert!(!names.is_empty() || expression.contains(r#"ALERTS{alertname=~"Renewd"#), "{expression}");
        let strange: Vec<_> = names.difference(&known).collect();
        assert!(strange.is_empty(), "{strange:?} in {expression}");
        asked.extend(names);
    }
    let left_out: Vec<_> = known.difference(&asked).collect();
    assert!(left_out.is_empty(), "the dashboard shows nothing of {left_out:?}");
}

#[test]
fn the_alerts_ask_for_metrics_that_exist() {
    let rules = file(RULES);
    let names = named(&rules);
    assert!(names.len() >= 10, "{names:?}");
    let strange: Vec<_> = names.difference(&known()).cloned().collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[test]
fn the_alerts_fire_when_they_should() {
    if let Some(said) = promtool(&["check", "rules", RULES], "") {
        assert_eq!(said, Ok(()));
        TESTS.iter().for_each(|tests| assert_eq!(promtool(&["test", "rules", tests], ""), Some(Ok(())), "{tests}"));
    }
}

/// Each alert is tried, once where it fires and once where it does not.
#[test]
fn every_alert_has_a_test() {
    let (rules, tests) = (file(RULES), TESTS.map(file).concat());
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 12, "{alerts:?}");
    for alert in alerts {
        assert!(tests.contains(&format!("\n        alertname: {alert}\n        exp_alerts:\n")), "{alert} never fires");
        assert!(tests.contains(&format!("alertname: {alert}, exp_alerts: []}}")), "{alert} always fires");
    }
}

/// The expressions of the dashboard, as rules, so that promtool reads them.
#[test]
fn the_dashboards_expressions_are_understood() {
    let rules = |expressions: &[String]| {
        let rule = |(number, expression): (usize, &String)| {
            format!("  - {{record: \"dashboard:{number}\", expr: {}}}\n", serde_json::to_string(expression).unwrap())
        };
        format!(
            "groups:\n- name: dashboard\n  rules:\n{}",
            expressions.iter().enumerate().map(rule).collect::<String>()
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("dashboard.yml");
    let asked = |expressions: &[String]| {
        std::fs::write(&file, rules(expressions)).unwrap();
        promtool(&["check", "rules", file.to_str().unwrap()], "")
    };
    if let Some(said) = asked(&dashboard()) {
        assert_eq!(said, Ok(()));
        assert!(asked(&["sum(renewd_certificates".to_owned()]).unwrap().is_err());
    }
}
