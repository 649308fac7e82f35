//! Java: a program opens the PKCS#12 files of both encryptions, and uses key and chain.

use std::path::Path;
use std::process::Command;

use crate::host::{Host, safe_folder};
use crate::server::is_there;
use crate::simulator::ProfileSpec;

const PASSWORD: &str = "first word";

#[test]
fn java_opens_the_key_stores_of_both_encryptions_and_serves_with_them() {
    if !is_there("a Java compiler (javac)", Path::new("/usr/bin/javac").exists()) {
        return;
    }
    let sizes = ["256", "2048"].map(str::to_owned).to_vec();
    let host = Host::new(ProfileSpec { key_sizes: sizes, ..ProfileSpec::default() });
    let targets = safe_folder();
    host.write("password", &format!("{PASSWORD}\n"));
    let store = |name: &str| targets.path().join(format!("{name}.p12"));
    let keys = [("modern", "aes256", "ecdsa-p256"), ("older", "legacy-3des", "rsa-2048")];
    for (name, encryption, key) in keys {
        let files = format!(
            "key = {key:?}\n[certificate.files]\npkcs12 = {:?}\npkcs12_password_file = {:?}\npkcs12_encryption = {encryption:?}\n",
            store(name),
            host.path("password"),
        );
        host.entry(name, &files);
    }
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/served/OpenKeyStore.java");
    let output = Command::new("/usr/bin/java")
        .arg(program)
        .arg(PASSWORD)
        .args(keys.map(|(name, ..)| store(name)))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    let expected = keys.map(|(name, ..)| {
        let serial = host.live_serial(name).to_lowercase();
        format!("1 {name} 2 {}\n", serial.trim_start_matches('0'))
    });
    assert_eq!(told, expected.concat());
}
