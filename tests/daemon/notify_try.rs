//! `renewd notify`: an operator tries what `[notify.NAME]` runs, through the daemon and without one.

use rustix::process::Signal;
use serde_json::Value;

use crate::host::Host;

fn shell(script: &str) -> String {
    format!("command = [\"/bin/sh\", \"-c\", {script:?}]\n")
}

/// One that takes what it reads, one that fails, and one that does not end.
fn with_three() -> Host {
    let host = Host::with_www();
    let told = host.path("told").display().to_string();
    let ops = shell(&format!("[ \"$RENEWD_TEST\" = 1 ] && cat > {told} && echo \"$RENEWD_NOTIFY heard\""));
    let bad = shell("echo no route to the gateway; exit 3");
    let slow = shell("echo dialling; sleep 100");
    let tables = format!(
        "[notify.bad]\n{bad}on = [\"held\"]\n[notify.ops]\n{ops}on = [\"expiring\", \"failing\"]\n\
         [notify.slow]\n{slow}timeout = \"1s\"\non = [\"held\"]\n"
    );
    host.configure(&tables, "");
    host
}

#[test]
fn a_test_call_tells_exit_output_and_time_and_counts_as_nothing() {
    let mut host = with_three();
    for is_up in [true, false] {
        if is_up {
            host.start();
            host.wait_state("www", "valid");
        }
        let said = host.says(&["notify", "ops"]);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(
            said.out.starts_with("ops: OK, exit status 0 after 0.") && said.out.contains(" s; it printed: ops heard"),
            "{said:?}"
        );
        let document: Value = serde_json::from_str(&host.read(&host.path("told"))).unwrap();
        assert_eq!((&document["test"], &document["notify"]), (&Value::from(true), &Value::from("ops")), "{document:#}");
        assert!(document["summary"].as_str().unwrap().ends_with(": test by `renewd notify`, nothing is wrong"));
        let change = &document["changes"][0];
        assert_eq!((&change["event"], &change["what"]), (&Value::from("expiring"), &Value::from("host")), "{change:#}");
        let said = host.says(&["notify", "bad"]);
        assert_eq!(said.code, 1, "{said:?}");
        let why = "notification bad ended with exit status: 3; it printed: no route to the gateway";
        assert!(said.err.contains("bad: failed after 0.") && said.err.contains(why), "{said:?}");
        let said = host.says(&["notify", "opps"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("no notification named opps; there is bad, ops, slow; "), "{said:?}");
        let said = host.says(&["notify", "--json"]);
        assert_eq!(said.code, 1, "all, of which two fail: {said:?}");
        let all: Value = serde_json::from_str(&said.out).unwrap();
        let all = all["notifications"].as_array().unwrap();
        let results: Vec<&str> = all.iter().map(|one| one["result"].as_str().unwrap()).collect();
        assert_eq!(results, ["failed", "ok", "timeout"], "{all:#?}");
        assert!(all[2]["took_ms"].as_u64().is_some_and(|took| took >= 1000), "{all:#?}");
        assert!(all[2]["message"].as_str().unwrap().contains("killed; it printed: dialling"), "{all:#?}");
        if is_up {
            let status = host.says(&["status"]);
            assert!(status.code == 0 && !status.out.contains("notify-failing"), "{status:?}");
            assert_eq!(host.end(Signal::TERM), Some(0));
        }
    }
}

#[test]
fn where_nobody_is_notified_it_says_so() {
    let mut host = Host::with_www();
    let why = "renewd.toml has no [notify.NAME], so nobody is notified";
    let said = host.says(&["notify"]);
    assert!(said.code == 1 && said.err.contains(why), "{said:?}");
    host.start();
    let said = host.says(&["notify"]);
    assert!(said.code == 1 && said.err.contains(why), "{said:?}");
}
