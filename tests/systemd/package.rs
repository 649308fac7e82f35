//! The packages: what is in them, and a Debian package from its installation to its purge.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use toml::{Table, Value};

use crate::host::{Host, RENEWD, UNITS, entry, shipped};
use crate::machine;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The tables of Cargo.toml that describe the packages.
fn metadata() -> Table {
    let manifest: Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    manifest["package"]["metadata"].as_table().unwrap().clone()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// What each kind of package holds, by its sources.
fn sources() -> [BTreeSet<String>; 2] {
    let metadata = metadata();
    let assets = |kind: &str| metadata[kind]["assets"].as_array().unwrap().clone();
    [
        assets("deb").iter().map(|asset| text(&asset[0])).collect(),
        assets("generate-rpm").iter().map(|asset| text(&asset["source"])).collect(),
    ]
}

#[test]
fn both_kinds_of_package_hold_the_same_files() {
    let [deb, rpm] = sources();
    assert_eq!(deb, rpm);
}

#[test]
fn everything_of_the_folder_systemd_is_in_the_packages() {
    let [deb, _] = sources();
    let is_packed = |file: &str| {
        deb.contains(file)
            || deb.iter().any(|source| {
                source.split_once('*').is_some_and(|(begin, end)| {
                    file.strip_prefix(begin).is_some_and(|rest| rest.ends_with(end) && !rest.contains('/'))
                })
            })
    };
    let files = Command::new("find").args(["systemd", "-type", "f"]).current_dir(root()).output().unwrap().stdout;
    let files = String::from_utf8(files).unwrap();
    let scripts = ["systemd/deb/", "systemd/rpm/"];
    let left_out: Vec<&str> = files
        .lines()
        .filter(|file| !scripts.iter().any(|folder| file.starts_with(folder)) && !is_packed(file))
        .collect();
    assert!(left_out.is_empty(), "{left_out:?}");
}

#[test]
fn the_scripts_of_the_packages_are_good_shell() {
    for (folder, names) in [("deb", ["postinst", "prerm", "postrm"]), ("rpm", ["post", "preun", "postun"])] {
        for name in names {
            let checked = Command::new("sh").arg("-n").arg(shipped(folder).join(name)).output().unwrap();
            assert!(checked.status.success(), "{folder}/{name}: {}", String::from_utf8_lossy(&checked.stderr));
        }
    }
    let named = ["post_install", "pre_uninstall", "post_uninstall"]
        .map(|script| text(&metadata()["generate-rpm"][&format!("{script}_script")]));
    assert_eq!(named, ["systemd/rpm/post", "systemd/rpm/preun", "systemd/rpm/postun"]);
}

#[track_caller]
fn cargo(arguments: &[&str]) {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The package that `.ci/release` made, and its successor; `None` where they are not asked for.
pub(crate) fn made() -> Option<PathBuf> {
    if std::env::var_os("RENEWD_REQUIRE_PACKAGE").is_none() {
        println!("skipped: RENEWD_REQUIRE_PACKAGE is not set; it needs what `.ci/release` makes");
        return None;
    }
    assert!(!machine::skipped());
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    Some(BUILT.get_or_init(build).clone())
}

fn build() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = tmp.join("packages");
    fs::create_dir_all(&folder).unwrap();
    let released = fs::read_dir(tmp.with_file_name("dist")).unwrap().map(|entry| entry.unwrap().path());
    let released: Vec<PathBuf> = released.filter(|file| file.to_str().unwrap().ends_with("_amd64.deb")).collect();
    assert_eq!(released.len(), 1, "{released:?}");
    fs::copy(&released[0], folder.join("1.deb")).unwrap();
    cargo(&["deb", "--no-build", "--fast", "--deb-version", "2", "--output", folder.join("2.deb").to_str().unwrap()]);
    folder
}

/// What has to be there for as long as the operator does not delete it.
const KEPT: [&str; 5] = [
    "/var/lib/renewd/certs/www/live/privkey.pem",
    "/var/lib/renewd/certs/www/live/fullchain.pem",
    "/var/lib/renewd/journal",
    "/etc/renewd/api-key",
    "/etc/renewd/certs.d/www.toml",
];

#[track_caller]
fn nothing_is_broken(host: &Host) {
    assert_eq!(host.sh("systemctl --failed --no-legend --plain"), "");
    assert_eq!(host.sh("dpkg --audit"), "");
    for file in KEPT {
        host.sh(&format!("test -s {file}"));
    }
}

#[test]
fn a_package_is_installed_used_upgraded_removed_and_purged() {
    let Some(packages) = made() else { return };
    let host = Host::without_renewd(vec![(packages, "/srv/packages".to_owned())]);
    host.sh("dpkg --install /srv/packages/1.deb");
    installed(&host);
    used(&host);
    upgraded(&host);
    removed(&host);
    purged(&host);
}

fn installed(host: &Host) {
    let said = host.run(&["renewd", "check"]);
    assert_eq!(said.code, 78, "a key comes first: {said:?}");
    assert!(said.err.contains("/etc/renewd/api-key: does not exist"), "{said:?}");
    assert_eq!(host.sh("systemctl is-enabled renewd || true"), "disabled\n");
    let modes = host.sh("cd /etc/renewd && stat -c '%n %U:%G %a' . renewd.toml certs.d hooks /var/lib/renewd");
    assert_eq!(
        modes,
        ". root:renewd 750\nrenewd.toml root:renewd 640\ncerts.d root:renewd 750\nhooks root:root 755\n\
         /var/lib/renewd renewd:renewd 755\n"
    );
    let conffiles = host.sh("dpkg-query --show --showformat '${Conffiles}\\n' renewd | awk '{print $1}' | xargs");
    assert_eq!(conffiles, "/etc/renewd/renewd.toml /etc/polkit-1/rules.d/60-renewd.rules\n");
    let files = host.sh("dpkg --listfiles renewd");
    let commands =
        renewd::cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect::<Vec<_>>();
    let pages = commands.iter().map(|name| format!("/usr/share/man/man1/renewd-{name}.1.gz"));
    let more = [
        "man/man8/renewd.8.gz",
        "man/man5/renewd.toml.5.gz",
        "man/man7/renewd-operations.7.gz",
        "renewd/schema/main.json",
    ];
    for file in pages.chain(more.map(|file| format!("/usr/share/{file}"))) {
        assert!(files.contains(&file), "{file} is not in\n{files}");
    }
    for unit in UNITS.iter().filter(|unit| !unit.contains("hook")) {
        let said = host.run(&["systemd-analyze", "verify", "--man=no", &unit.replace('@', "@second")]);
        assert_eq!((said.code, said.out + &said.err), (0, String::new()), "{unit}");
    }
}

/// As the manual has it: a key, a drop-in file, one command.
fn used(host: &Host) {
    host.sh(
        "sed -i 's|^url = .*|url = \"https://localhost:8443\"\\nca_file = \"/etc/renewd/root.pem\"|' /etc/renewd/renewd.toml
         install -m 0644 /srv/sim/root.pem /etc/renewd/ && install -m 0600 /srv/sim/api-key /etc/renewd/",
    );
    host.write("/etc/renewd/certs.d/www.toml", 0o644, &entry("www", ""));
    host.sh("systemctl enable --now renewd");
    host.wait_state("www", "valid");
    nothing_is_broken(host);
}

fn upgraded(host: &Host) {
    let before = host.main_pid();
    host.sh("dpkg --install /srv/packages/2.deb </dev/null");
    assert_ne!(host.main_pid(), before, "the new program runs");
    assert_eq!(host.property(RENEWD, "ActiveState"), "active");
    host.wait_state("www", "valid");
    assert_eq!(host.submissions(), 1, "what was there is still known, and the operator's changes are still there");
    nothing_is_broken(host);
}

fn removed(host: &Host) {
    host.sh("dpkg --remove renewd");
    assert_eq!(host.run(&["pgrep", "--exact", "renewd"]).out, "");
    nothing_is_broken(host);
    host.sh("grep localhost:8443 /etc/renewd/renewd.toml");
    host.sh("dpkg --install /srv/packages/2.deb");
    let shown = host.sh("systemctl is-enabled renewd && systemctl is-active renewd");
    assert_eq!(shown, "enabled\nactive\n", "it is as it was before the removal");
    host.wait_state("www", "valid");
    assert_eq!(host.submissions(), 1);
}

fn purged(host: &Host) {
    host.sh("dpkg --purge renewd");
    nothing_is_broken(host);
    assert_eq!(host.sh("find /etc/systemd/system -xtype l"), "", "no link is left that leads nowhere");
    assert_eq!(host.run(&["ls", "/etc/renewd/renewd.toml", "/etc/polkit-1/rules.d/60-renewd.rules"]).out, "");
    host.sh("getent passwd renewd");
}
