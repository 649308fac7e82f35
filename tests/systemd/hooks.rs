//! Hooks that ask systemd for something, as a user that is not root: polkit decides, by the shipped rule.

use std::fs;

use crate::host::{Host, shipped};
use crate::machine;

/// A host with a service that notes each reload, a rule that names these units, and a certificate with this hook.
fn host(rule: &str, hook: &str) -> Host {
    let host = Host::new();
    host.write(
        "/etc/systemd/system/web.service",
        0o644,
        "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\nExecReload=/bin/sh -c 'echo reloaded >> /run/reloads'\n",
    );
    host.sh("systemctl daemon-reload && systemctl start web");
    let shipped = fs::read_to_string(shipped("polkit/60-renewd.rules")).unwrap();
    let named = shipped.replace("\"nginx.service\": [\"reload\"],", rule);
    assert_ne!(named, shipped, "the shipped rule names nginx");
    host.write("/etc/polkit-1/rules.d/60-renewd.rules", 0o644, &named);
    host.sh("systemctl restart polkit");
    host.configure(&format!("[hook.web]\n{hook}\n"));
    host.entry("www", "hooks = [\"web\"]");
    host.start();
    host
}

/// Waits until the hook is done, and the certificate valid with it.
fn done(host: &Host) {
    host.until("the hook is done", |_| (host.certificate("www")["hooks"][0]["state"] == "done").then_some(()));
    host.wait_state("www", "valid");
}

fn hook_error(host: &Host) -> String {
    host.until("the hook failed", |_| {
        let hook = host.certificate("www")["hooks"][0].clone();
        (hook["state"] == "failing").then(|| hook["error"].to_string())
    })
}

#[test]
fn a_named_unit_is_reloaded_without_root() {
    if machine::skipped() {
        return;
    }
    let host = host("\"web.service\": [\"reload\"],", "unit = \"web.service\"\nverb = \"reload\"");
    done(&host);
    let said = host.run(&["renewd", "check", "--online"]);
    assert!(said.out.contains("ok      hook     web: web.service is known to systemd, which lets"), "{said:?}");
    assert_eq!(host.sh("cat /run/reloads"), "reloaded\n", "what is asked runs nothing");
}

#[test]
fn each_verb_is_named_as_the_hook_names_it() {
    if machine::skipped() {
        return;
    }
    let host = host(
        "\"web.service\": [\"try-reload-or-restart\"],",
        "unit = \"web.service\"\nverb = \"try-reload-or-restart\"",
    );
    done(&host);
    assert_eq!(host.sh("cat /run/reloads"), "reloaded\n");
    for verb in ["reload", "restart", "stop", "try-restart", "reload-or-restart"] {
        let said = host.as_renewd(&["systemctl", "--no-ask-password", verb, "web.service"]);
        assert_ne!(said.code, 0, "{verb} is not named");
    }
    assert_ne!(host.as_renewd(&["systemctl", "--no-ask-password", "reload", "polkit.service"]).code, 0);
    assert_ne!(host.as_renewd(&["systemctl", "--no-ask-password", "enable", "web.service"]).code, 0);
    assert_eq!(host.property("web.service", "ActiveState"), "active");
}

#[test]
fn what_is_not_named_is_refused_and_the_hook_stays_owed() {
    if machine::skipped() {
        return;
    }
    let host = host("\"web.service\": [\"restart\"],", "unit = \"web.service\"\nverb = \"reload\"");
    let error = hook_error(&host);
    assert!(error.contains("Access denied") || error.contains("authentication required"), "{error}");
    assert_eq!(host.submissions(), 1);
    assert_eq!(host.run(&["test", "-e", "/run/reloads"]).code, 1);
    // Found before it is needed, with the daemon and without; and what it says to do helps.
    for command in ["systemctl is-active renewd", "systemctl stop renewd"] {
        host.sh(command);
        let said = host.run(&["renewd", "check", "--online"]);
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.out.contains("FAILED  hook     web: polkit does not let the service"), "{said:?}");
        assert!(said.out.contains("write \"web.service\": [\"reload\"] into RENEWD_UNITS of"), "{said:?}");
    }
    host.sh("sed -i 's/\"web.service\": .*/\"web.service\": [\"reload\"],/' /etc/polkit-1/rules.d/60-renewd.rules");
    host.sh("systemctl restart polkit");
    let said = host.run(&["renewd", "check", "--online"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(host.run(&["test", "-e", "/run/reloads"]).code, 1, "what is asked runs nothing");
}

/// What needs more than renewd has: a program of root's, in a unit of its own, that renewd may start.
#[test]
fn a_hook_with_its_own_privileges_runs_and_its_failure_is_seen() {
    if machine::skipped() {
        return;
    }
    let rule = "\"renewd-hook@web.service\": [\"start\"],";
    let host = host(rule, "unit = \"renewd-hook@web.service\"\nverb = \"start\"\nmin_interval = \"1s\"");
    hook_error(&host);
    host.write("/etc/renewd/hooks/web", 0o755, "#!/bin/sh\nexit 3\n");
    assert_eq!(host.run(&["renewd", "renew", "www"]).code, 1, "the command tells of the hook");
    host.until("the program failed", |host| {
        (host.property("renewd-hook@web.service", "ExecMainStatus") == "3").then_some(())
    });
    host.write("/etc/renewd/hooks/web", 0o755, "#!/bin/sh\nid -un > /etc/made && systemctl reload web.service\n");
    host.sh("renewd renew www");
    done(&host);
    assert_eq!(host.sh("cat /etc/made /run/reloads"), "root\nreloaded\n");
}
