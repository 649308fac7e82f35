//! Postfix: STARTTLS of its SMTP server, reloaded by `postfix reload`.

use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

use nix::unistd::{Group, User};
use rustix::process::Signal;

use crate::server::{Server, is_installed};
use crate::stage::Stage;

const MASTER: &str = "/usr/lib/postfix/sbin/master";

fn start(stage: &Stage) -> Server {
    let folder = stage.folder();
    let shown = folder.display();
    let main = format!(
        "compatibility_level = 3.6\nqueue_directory = {shown}/queue\ndata_directory = {shown}/data\n\
         maillog_file = {shown}/mail.log\nmaillog_file_prefixes = {shown}\nmax_idle = 1h\nmax_use = 10000\nmyhostname = www.example.com\n\
         inet_interfaces = 127.0.0.1\nmydestination =\nalias_maps =\nlocal_recipient_maps =\n\
         smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {}, {}\n",
        stage.live("privkey.pem"),
        stage.live("fullchain.pem"),
    );
    let services = format!(
        "{} inet n - n - 1 smtpd\npostlog unix-dgram n - n - 1 postlogd\ntlsmgr unix - - n 1000? 1 tlsmgr\n\
         anvil unix - - n - 1 anvil\nrewrite unix - - n - - trivial-rewrite\nproxymap unix - - n - - proxymap\n",
        stage.address,
    );
    fs::write(folder.join("main.cf"), main).unwrap();
    fs::write(folder.join("master.cf"), services).unwrap();
    let user = User::from_name("postfix").unwrap().unwrap().uid.as_raw();
    let drop = Group::from_name("postdrop").unwrap().unwrap().gid.as_raw();
    for name in ["data", "queue/public", "queue/private", "queue/maildrop", "queue/active", "queue/pid"] {
        let path = folder.join(name);
        fs::create_dir_all(&path).unwrap();
        let group = ["queue/public", "queue/maildrop"].contains(&name).then_some(drop);
        chown(path, Some(if name == "queue/pid" { 0 } else { user }), group).unwrap();
    }
    let mut command = Command::new(MASTER);
    command.arg("-c").arg(&folder).arg("-d");
    Server::start(&mut command, Signal::TERM, &folder.join("log"))
}

#[test]
fn postfix_serves_what_is_renewed_and_a_broken_reload_is_loud() {
    if !is_installed(MASTER) {
        return;
    }
    let Some(stage) = Stage::new(Some("smtp"), "") else { return };
    let reload = format!("/usr/sbin/postfix -c {} reload", stage.folder().display());
    stage.play(&reload, start);
}
