//! Copies at several places, each with owner and modes of its own: switched whole, put right by their own rules, and let
//! be when the entry names them no more.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::path::Path;

use crate::files::Targets;
use crate::host::Host;

/// Whom the second copy belongs to: somebody else where this user can give files away.
fn other() -> u32 {
    let own = rustix::process::geteuid();
    if own.is_root() { 4242 } else { own.as_raw() }
}

const FILES: [&str; 6] = ["www.key", "www.crt", "one.key", "one.crt", "two.pem", "two.crt"];

/// The usual paths, and two copies.
fn entry(targets: &Targets, second: &str) -> String {
    let path = |name: &str| format!("{:?}", targets.path(name).display().to_string());
    format!(
        "[certificate.files]\nprivate_key = {}\nfullchain = {}\n\
         [[certificate.copy]]\nkey_mode = \"0640\"\nmode = \"0640\"\nfiles = {{ private_key = {}, fullchain = {} }}\n\
         [[certificate.copy]]\n{second}files = {{ bundle = {}, certificate = {} }}\n",
        path("www.key"),
        path("www.crt"),
        path("one.key"),
        path("one.crt"),
        path("two.pem"),
        path("two.crt"),
    )
}

fn contents(targets: &Targets) -> Vec<String> {
    FILES.map(|name| fs::read_to_string(targets.path(name)).unwrap()).to_vec()
}

/// Mode and owner of each.
fn access(targets: &Targets) -> Vec<(u32, u32)> {
    let of = |path: &Path| {
        let found = fs::metadata(path).unwrap();
        (found.mode() & 0o777, found.uid())
    };
    FILES.map(|name| of(&targets.path(name))).to_vec()
}

#[track_caller]
fn once(host: &Host) {
    let said = host.says(&["once"]);
    assert_eq!(said.code, 0, "{}{}", said.err, host.status());
}

#[test]
fn each_copy_has_its_own_owner_and_modes_and_they_cost_no_certificate() {
    let (host, targets) = (Host::with_www(), Targets::new());
    let own = rustix::process::geteuid().as_raw();
    host.entry("www", &entry(&targets, &format!("owner = \"{}\"\nkey_mode = \"0400\"\n", other())));
    once(&host);
    let live = |name: &str| host.read(&host.live("www").join(name));
    let wanted = ["privkey.pem", "fullchain.pem", "privkey.pem", "fullchain.pem", "bundle.pem", "cert.pem"].map(live);
    assert_eq!(contents(&targets), wanted);
    let two = other();
    assert_eq!(access(&targets), [(0o600, own), (0o644, own), (0o640, own), (0o640, own), (0o400, two), (0o644, two)]);
    let www = host.certificate("www");
    assert_eq!(www["files"]["private_key"], targets.path("www.key").display().to_string());
    assert_eq!(www["copies"][0]["files"]["fullchain"], targets.path("one.crt").display().to_string());
    assert_eq!((&www["copies"][0]["key_mode"], &www["copies"][1]["key_mode"]), (&"0640".into(), &"0400".into()));
    assert_eq!(www["copies"][1]["owner"], two.to_string());
    let shown = host.says(&["status", "www"]).out;
    assert!(shown.contains(&format!("bundle of copy 2: {}", targets.path("two.pem").display())), "{shown}");
    // Another owner or mode is no other certificate.
    host.entry("www", &entry(&targets, "key_mode = \"0600\"\nmode = \"0600\"\n"));
    once(&host);
    assert_eq!(access(&targets)[4..], [(0o600, own), (0o600, own)]);
    assert_eq!((contents(&targets), host.submissions()), (wanted.to_vec(), 1));
}

#[test]
fn a_copy_that_drifts_is_put_right_by_its_own_rules_and_one_that_is_dropped_is_let_be() {
    let (host, targets) = (Host::with_www(), Targets::new());
    let whole = entry(&targets, &format!("owner = \"{}\"\nkey_mode = \"0400\"\n", other()));
    host.entry("www", &whole);
    once(&host);
    let good = (contents(&targets), access(&targets));
    fs::write(targets.path("one.crt"), "somebody's edit").unwrap();
    fs::remove_file(targets.path("two.crt")).unwrap();
    chown(targets.path("two.pem"), Some(rustix::process::geteuid().as_raw()), None).unwrap();
    fs::set_permissions(targets.path("one.key"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    once(&host);
    assert_eq!((contents(&targets), access(&targets)), good);
    let (kept, _) = whole.rsplit_once("[[certificate.copy]]").unwrap();
    host.entry("www", kept);
    fs::write(targets.path("two.crt"), "nobody's any more").unwrap();
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    let now = contents(&targets);
    assert_ne!(now[..4], good.0[..4], "the others are renewed");
    assert_eq!((&now[4], now[5].as_str()), (&good.0[4], "nobody's any more"));
}

#[test]
fn where_one_copy_is_refused_none_is_switched_and_nothing_is_asked_for() {
    let (host, targets) = (Host::with_www(), Targets::new());
    host.entry("www", &entry(&targets, ""));
    once(&host);
    let before = contents(&targets);
    fs::rename(targets.path("two.pem"), targets.path("aside.pem")).unwrap();
    symlink(targets.path("aside.pem"), targets.path("two.pem")).unwrap();
    assert_eq!(host.says(&["renew", "www"]).code, 1);
    let www = host.certificate("www");
    assert_eq!(www["last_error"]["code"], "target-refused", "{www}");
    assert!(www["reason"].as_str().unwrap().contains("two.pem"), "{www}");
    assert_eq!((contents(&targets), host.submissions()), (before.clone(), 1));
    let checked = host.says(&["check"]);
    assert!(checked.code != 0 && checked.err.contains("`bundle` of copy 2"), "{checked:?}");
    fs::remove_file(targets.path("two.pem")).unwrap();
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    assert!(contents(&targets).iter().zip(&before).all(|(new, old)| new != old), "all of them are the new set's");
}

/// The folder of a copy is tried like every other.
#[test]
fn check_online_names_the_folder_of_a_copy_that_is_missing() {
    let (host, targets) = (Host::with_www(), Targets::new());
    let gone = targets.path("gone/www.crt");
    host.entry("www", &format!("[[certificate.copy]]\nfiles = {{ fullchain = {:?} }}\n", gone.display().to_string()));
    let said = host.says(&["check", "--online", "--json"]);
    assert!(said.code != 0 && said.out.contains("gone"), "{said:?}");
    assert_eq!(host.says(&["once"]).code, 1);
    assert_eq!(host.submissions(), 0);
    fs::create_dir(targets.path("gone")).unwrap();
    assert_eq!(host.says(&["renew", "www"]).code, 0);
    assert!(gone.exists());
}
