//! HAProxy: one file with key and chain (`formats = ["bundle"]`), reloaded by SIGUSR2 to its master process.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::server::{Server, is_installed};
use crate::stage::Stage;

const HAPROXY: &str = "/usr/sbin/haproxy";

fn start(stage: &Stage) -> Server {
    let folder = stage.folder();
    let config = format!(
        "defaults\nmode http\ntimeout connect 5s\ntimeout client 5s\ntimeout server 5s\n\
         frontend www\nbind {} ssl crt {}\nhttp-request return status 200\n",
        stage.address,
        stage.live("bundle.pem"),
    );
    fs::write(folder.join("haproxy.cfg"), config).unwrap();
    let mut command = Command::new(HAPROXY);
    command.args(["-W", "-db", "-f"]).arg(folder.join("haproxy.cfg"));
    Server::start(&mut command, Signal::TERM, &folder.join("log"))
}

#[test]
fn haproxy_serves_what_is_renewed_and_a_broken_reload_is_loud() {
    if !is_installed(HAPROXY) {
        return;
    }
    let Some(stage) = Stage::new(None, "formats = [\"bundle\"]\n") else { return };
    stage.play("/bin/kill -USR2 PID", start);
}
