//! What the service, and with it every command hook, cannot do; and the little that it can.

use crate::host::{Host, RENEWD};
use crate::machine;

/// Tries what the script tries, from inside the sandbox, as a hook; what it printed.
fn tried(host: &Host, script: &str) -> String {
    host.write("/usr/local/bin/try", 0o755, &format!("#!/bin/sh\nexec >/var/lib/renewd/tried 2>&1\n{script}\n"));
    host.configure("[hook.try]\ncommand = [\"/usr/local/bin/try\"]\n");
    host.entry("www", "hooks = [\"try\"]");
    host.start();
    host.until("it was tried", |_| (host.certificate("www")["hooks"][0]["state"] == "done").then_some(()));
    host.sh("cat /var/lib/renewd/tried")
}

#[test]
fn the_sandbox_holds() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    // Where the modes alone would let anybody in.
    host.sh("install -d -m 0777 /etc/open /usr/open /srv/open /home/open /root/open && chmod 0755 /root");
    let told = tried(
        &host,
        "may() { \"$@\" 2>/dev/null && echo \"may: $*\"; }
         may touch /etc/renewd/x; may touch /etc/renewd/certs.d/x.toml; may touch /etc/open/x; may touch /usr/open/x
         may touch /srv/open/x; may touch /home/open/x; may ls /home/open; may touch /root/open/x; may ls /root/open
         may chmod u+s /var/lib/renewd/tried; may unshare --user true; may mount -t tmpfs none /var/lib/renewd/certs
         may cat /etc/renewd/api-key; may cat /proc/1/cmdline; may test -e /proc/kmsg; may kill -0 1
         may hostname x; may mknod /var/lib/renewd/x b 8 0; may touch /sys/x; may renice -n 5 $$
         may touch /var/lib/renewd/own /run/renewd/own /tmp/own
         grep -E '^(NoNewPrivs|Seccomp|CapInh|CapPrm|CapEff|CapBnd|CapAmb):' /proc/self/status | tr -d '\\t'
         echo core $(ulimit -Hc), umask $(umask), user $(id -un):$(id -Gn)",
    );
    assert_eq!(
        told,
        "may: touch /var/lib/renewd/own /run/renewd/own /tmp/own\n\
         CapInh:0000000000000001\nCapPrm:0000000000000001\nCapEff:0000000000000001\nCapBnd:0000000000000001\n\
         CapAmb:0000000000000001\nNoNewPrivs:1\nSeccomp:2\ncore 0, umask 0077, user renewd:renewd\n"
    );
    assert_eq!(host.run(&["test", "-e", "/tmp/own"]).code, 1, "its /tmp is its own");
}

/// The one capability: a key that belongs to whom needs it.
#[test]
fn a_key_can_be_given_to_another_user() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    host.configure("");
    host.entry("www", "owner = \"daemon\"\ngroup = \"games\"\nkey_mode = \"0640\"");
    host.start();
    // Five, so that the oldest are pruned, which are no longer renewd's own.
    for generation in 1..=5 {
        host.until("the generation is there", |_| (host.certificate("www")["generation"] == generation).then_some(()));
        host.wait_state("www", "valid");
        let of_key = host.sh("stat -Lc '%U:%G %a' /var/lib/renewd/certs/www/live/privkey.pem");
        assert_eq!(of_key, "daemon:games 640\n");
        host.sh("renewd renew www");
    }
    assert!(!host.log(RENEWD).contains("cannot"), "{}", host.log(RENEWD));
}

#[test]
fn a_fixed_target_needs_the_shipped_drop_in_and_a_folder_of_its_own() {
    if machine::skipped() {
        return;
    }
    let host = Host::new();
    let example = std::fs::read_to_string(crate::host::shipped("examples/fixed-targets.conf")).unwrap();
    host.sh("install -d -o renewd -g daemon -m 0750 /etc/ssl/www");
    host.entry(
        "www",
        "owner = \"games\"\ngroup = \"daemon\"\nkey_mode = \"0640\"\n[certificate.files]\nbundle = \"/etc/ssl/www/www.pem\"",
    );
    host.start();
    let refused = host.wait_state("www", "failing");
    assert!(refused["last_error"]["message"].to_string().contains("/etc/ssl/www"), "{refused:#}");
    assert_eq!(host.submissions(), 0, "found before anything was asked for");
    host.write("/etc/systemd/system/renewd.service.d/fixed-targets.conf", 0o644, &example);
    host.sh("systemctl daemon-reload && systemctl restart renewd && renewd renew www");
    host.wait_state("www", "valid");
    assert_eq!(host.sh("stat -c '%U:%G %a' /etc/ssl/www/www.pem"), "games:daemon 640\n");
}
