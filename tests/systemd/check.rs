//! `renewd check --online` on a real host: the key that only root reads, the units that systemd knows, and the sandbox
//! that the daemon alone knows.

use std::fs;

use crate::host::{Host, shipped};
use crate::machine;

#[test]
fn check_asks_the_daemon_what_its_sandbox_allows_and_systemd_for_units() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    host.write("/etc/systemd/system/web.service", 0o644, "[Service]\nExecStart=/bin/sleep infinity\n");
    host.sh("systemctl daemon-reload && install -d -o renewd -g renewd -m 0750 /etc/ssl/www");
    let rule = fs::read_to_string(shipped("polkit/60-renewd.rules")).unwrap();
    let rule = rule.replace("\"nginx.service\": [\"reload\"],", "\"web.service\": [\"restart\"],");
    host.write("/etc/polkit-1/rules.d/60-renewd.rules", 0o644, &rule);
    host.sh("systemctl restart polkit");
    host.configure("[hook.web]\nunit = \"web.service\"\nverb = \"restart\"\n");
    host.entry("www", "hooks = [\"web\"]\n[certificate.files]\nbundle = \"/etc/ssl/www/www.pem\"");
    let check = || host.run(&["renewd", "check", "--online"]);
    // No daemon: as the service's user, with the key that systemd would hand to it.
    let said = check();
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    for line in ["ok      key      api-key: ", "ok      target   www: ", "ok      hook     web: "] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    host.start();
    let said = check();
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    let refused = said.out.lines().find(|line| line.starts_with("FAILED  target")).unwrap_or_default().to_owned();
    assert!(refused.contains("/etc/ssl/www") && refused.contains("(disk-read-only)"), "{}", said.out);
    assert!(said.out.contains("fix: name /etc/ssl/www by ReadWritePaths= in the unit"), "{}", said.out);
    // What it says to do helps.
    host.drop_in("ReadWritePaths=/etc/ssl/www");
    host.sh("systemctl restart renewd");
    host.wait_state("www", "failing");
    assert!(check().out.contains("ok      target   www: "), "{}", check().out);
    host.configure("[hook.web]\nunit = \"wbe.service\"\nverb = \"restart\"\n");
    host.sh("systemctl restart renewd");
    let said = check();
    assert!(
        said.out.contains("FAILED  hook     web: systemd does not know unit wbe.service (not found)"),
        "{}",
        said.out
    );
}
