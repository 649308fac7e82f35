//! PostgreSQL: STARTTLS of its own, a key that its user reads by its group, reloaded by SIGHUP, as `systemctl reload
//! postgresql` does it.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::User;
use rustix::process::Signal;

use crate::server::{Server, is_installed, is_there};
use crate::stage::Stage;

/// The programs of the newest version that is installed.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten().map(|entry| entry.path().join("bin"));
    versions.filter(|folder| folder.join("postgres").exists()).max()
}

fn start(stage: &Stage, programs: &Path) -> Server {
    let (folder, user) = (stage.folder(), User::from_name("postgres").unwrap().unwrap());
    let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
    chown(&folder, Some(uid), Some(gid)).unwrap();
    let data = folder.join("data");
    let mut make = Command::new(programs.join("initdb"));
    make.uid(uid).gid(gid).current_dir(&folder).arg("-D").arg(&data).args(["-A", "trust", "--no-sync", "--locale=C"]);
    let made = make.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = format!(
        "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\nfsync = off\n\
         ssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
        stage.address.port(),
        folder.display(),
        stage.live("fullchain.pem"),
        stage.live("privkey.pem"),
    );
    fs::write(data.join("postgresql.auto.conf"), config).unwrap();
    let mut command = Command::new(programs.join("postgres"));
    command.uid(uid).gid(gid).current_dir(&folder).arg("-D").arg(&data);
    // A fast shutdown.
    Server::start(&mut command, Signal::INT, &folder.join("log"))
}

#[test]
fn postgresql_serves_what_is_renewed_and_a_broken_reload_is_loud() {
    let programs = programs();
    if !is_there("PostgreSQL's server", programs.is_some()) || !is_installed("/bin/kill") {
        return;
    }
    let entry = "owner = \"root\"\ngroup = \"postgres\"\nkey_mode = \"0640\"\n";
    let Some(stage) = Stage::new(Some("postgres"), entry) else { return };
    stage.play("/bin/kill -HUP PID", |stage| start(stage, &programs.unwrap()));
}
