//! `--quiet` and `--verbose`, which mean the same for every command.

use crate::host::Host;

#[track_caller]
fn silent(host: &Host, call: &[&str]) {
    let said = host.says(call);
    assert_eq!((said.code, said.out.as_str(), said.err.as_str()), (0, "", ""), "{call:?}");
}

#[test]
fn quiet_leaves_errors_and_what_was_asked_for() {
    let mut host = Host::with_www();
    host.write(
        "renewd.toml",
        &format!("{}[hook.flag]\ncommand = [\"/bin/false\"]\n", host.read(&host.path("renewd.toml"))),
    );
    silent(&host, &["check", "--quiet"]);
    assert!(host.says(&["check"]).out.contains("OK"));
    silent(&host, &["renew", "www", "-q"]);
    silent(&host, &["heal", "-q"]);
    silent(&host, &["hold", "www", "-q"]);
    host.entry("mail", "hooks = [\"flag\"]\n");
    host.start();
    silent(&host, &["-q", "release", "www"]);
    silent(&host, &["hold", "www", "-q"]);
    silent(&host, &["renew", "www", "-q", "--within", "1h"]);
    assert!(host.says(&["renew", "www"]).out.contains("www: replaced"));
    let said = host.says(&["status", "-q"]);
    assert!(said.out.contains("\nwww ") && said.err.is_empty(), "{} {}", said.out, said.err);
    let said = host.says(&["renew", "www", "-q", "--json"]);
    assert!(said.code == 0 && said.out.contains("\"replaced\""), "{} {}", said.out, said.err);
    host.until("the hook has failed", || (host.certificate("mail")["state"] == "failing").then_some(()));
    let said = host.says(&["deploy", "mail", "-q"]);
    assert!(
        said.code == 1 && said.out.is_empty() && said.err.starts_with("mail: failing: "),
        "{} {}",
        said.out,
        said.err
    );
    let said = host.says(&["hold", "nobody", "-q"]);
    assert_eq!((said.code, said.err.trim_end()), (1, "no certificate named nobody"));
    assert_eq!(host.says(&["status", "-q", "-v"]).code, 2);
}

#[test]
fn verbose_tells_each_step_on_standard_error() {
    let mut host = Host::with_www();
    let said = host.says(&["once", "-v"]);
    assert!(said.code == 0 && said.err.contains("asked TLM: 200 after "), "{}", said.err);
    assert!(!said.err.contains("hyper"), "what libraries say is noise: {}", said.err);
    assert!(!host.says(&["once"]).err.contains("asked TLM"));
    let louder = host.command().args(["profiles", "-v"]).env("RUST_LOG", "error").output().unwrap();
    assert_eq!(String::from_utf8(louder.stderr).unwrap(), "", "the variable is the operator's last word");
    for (call, step) in
        [(&["profiles", "-v"][..], "asked TLM: 200 after "), (&["status", "-v"], "reading the state in ")]
    {
        let said = host.says(call);
        assert!(said.code == 0 && said.err.contains(step), "{call:?}: {}", said.err);
        let usual = host.says(&call[..1]);
        assert!(usual.out.len() == said.out.len() && !usual.err.contains(step), "{call:?}: {}", usual.err);
    }
    host.start();
    let said = host.says(&["status", "-v"]);
    assert!(said.err.contains("asking the daemon at "), "{}", said.err);
    assert!(host.says(&["status", "-v", "--json"]).out.starts_with('{'), "the log is not in the result");
}
