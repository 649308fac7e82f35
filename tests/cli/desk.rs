//! `explain`, and bad usage of the commands of the operator's desk.

use crate::{check, renewd};

fn shown(call: &[&str]) -> String {
    let output = renewd(call);
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
    format!("$ renewd {}\n{text}exit code {}\n\n", call.join(" "), output.status.code().unwrap())
}

#[test]
fn explain_prints_what_it_printed() {
    let calls: [&[&str]; 7] = [
        &["explain"],
        &["explain", "api-unauthorised"],
        &["explain", "Credential_Expiring"],
        &["explain", "pending", "--json"],
        &["explain", "gate-refusd"],
        &["explain", "x"],
        &["explain", "--config", "/nonexistent/renewd.toml", "not-due"],
    ];
    let text: String = calls.iter().map(|call| shown(call)).collect();
    assert!(!text.contains('\u{1b}'), "no colours where it is piped");
    check("explain.txt", &text);
}

#[test]
fn explain_lists_every_code_as_json_too() {
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&renewd(&["explain", "--json"]).stdout).unwrap();
    let text = String::from_utf8(renewd(&["explain"]).stdout).unwrap();
    assert!(listed.len() > 60, "{}", listed.len());
    for page in listed {
        let (code, summary) = (page["code"].as_str().unwrap(), page["summary"].as_str().unwrap());
        assert!(text.lines().any(|line| line.starts_with(&format!("{code} ")) && line.contains(summary)), "{code}");
    }
}

#[test]
fn bad_usage_of_the_desk_says_what_is_wrong() {
    let calls: [&[&str]; 8] = [
        &["check", "--onlin"],
        &["check", "www"],
        &["profiles", "--entry"],
        &["profiles", "Web"],
        &["explain", "a", "b"],
        &["renew", "--json"],
        &["renew", "www", "--reisue"],
        &["renew", "UPPER"],
    ];
    let text: String = calls.iter().map(|call| shown(call)).collect();
    assert_eq!(text.matches("exit code 2\n").count(), calls.len(), "{text}");
    check("usage-desk.txt", &text);
}
