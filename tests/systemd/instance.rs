//! A second renewd beside the first, for a second TLM.

use crate::host::{Host, entry};
use crate::machine;

#[test]
fn an_instance_has_files_of_its_own() {
    if machine::skipped() {
        return;
    }
    let host = Host::with_www("");
    let text = "inventory = \"/etc/renewd/cloud/certs.d\"\nstate_dir = \"/var/lib/renewd-cloud\"\n\
                control_socket = \"/run/renewd-cloud/control.sock\"\n[api]\nurl = \"https://localhost:8443\"\n\
                ca_file = \"/etc/renewd/root.pem\"\n";
    host.write("/etc/renewd/cloud/renewd.toml", 0o644, text);
    host.write("/etc/renewd/cloud/certs.d/shop.toml", 0o644, &entry("shop", ""));
    host.sh("cp /etc/renewd/api-key /etc/renewd/cloud/ && systemctl start renewd@cloud");
    host.until("its certificate is there", |host| {
        (host.property("renewd@cloud.service", "StatusText") == "1 valid").then_some(())
    });
    assert_eq!(
        host.sh("ls /var/lib/renewd-cloud/certs /var/lib/renewd/certs | xargs"),
        "/var/lib/renewd-cloud/certs: shop /var/lib/renewd/certs: www\n"
    );
    host.sh("systemctl stop renewd");
    assert_eq!(host.run(&["renewd", "--config", "/etc/renewd/cloud/renewd.toml", "status"]).code, 0);
}
