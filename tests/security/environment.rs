//! TLS cannot be switched off: neither by a key of the configuration nor by the environment.

use std::path::Path;

use renewd::config::{known_keys, parse_main};

use crate::host::Host;
use crate::renewd;

/// A self-signed certificate that signed nothing.
fn foreign_root() -> String {
    let key = rcgen::KeyPair::generate().unwrap();
    rcgen::CertificateParams::new(vec!["foreign".to_owned()]).unwrap().self_signed(&key).unwrap().pem()
}

#[test]
fn the_environment_neither_weakens_nor_breaks_tls() {
    let host = Host::with_www();
    host.write("foreign.pem", &foreign_root());
    let once = |root: &str| {
        let root = host.path(root);
        let mut command = renewd(&host);
        command.arg("once").env("SSL_CERT_FILE", &root).env("SSL_CERT_DIR", host.path("")).env("CURL_CA_BUNDLE", &root);
        command.env("SSLKEYLOGFILE", host.path("keylog")).env("RENEWD_INSECURE", "1");
        for proxy in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"] {
            command.env(proxy, "http://127.0.0.1:9");
        }
        command.output().unwrap()
    };
    let good = host.read(&host.path("root.pem"));
    host.write("root.pem", &foreign_root());
    host.write("good.pem", &good);
    let said = String::from_utf8(once("good.pem").stderr).unwrap();
    assert!(said.contains("TLS failed"), "{said}");
    assert!(host.simulator.requests().is_empty(), "something was sent to a server that is not trusted");
    host.write("root.pem", &good);
    let output = once("foreign.pem");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    host.live_serial("www");
    assert!(!host.path("keylog").exists(), "the keys of the connection were written down");
}

#[test]
fn no_key_of_the_configuration_switches_tls_off() {
    let keys: Vec<&str> = known_keys().iter().flat_map(|(_, keys)| keys.iter().copied()).collect();
    assert!(keys.contains(&"ca_file"));
    for word in ["insecure", "verify", "skip", "accept", "danger", "tls_", "ciphers"] {
        let found: Vec<_> = keys.iter().filter(|key| key.contains(word)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
    let refused = |api: &str| parse_main(Path::new("/etc/renewd/renewd.toml"), &format!("[api]\n{api}\n")).is_err();
    assert!(!refused("url = \"https://tlm.example.com\""));
    for api in ["insecure = true", "verify = false", "url = \"http://tlm.example.com\"", "url = \"ftp://127.0.0.1\""] {
        assert!(refused(api), "{api}");
    }
}
