//! Apache: reloaded by `-k graceful`, as `systemctl reload apache2` does it.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::server::{Server, is_installed};
use crate::stage::Stage;

const APACHE: &str = "/usr/sbin/apache2";

fn start(stage: &Stage) -> Server {
    let folder = stage.folder();
    let shown = folder.display();
    let modules: String = ["mpm_event", "authz_core", "ssl"]
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .concat();
    let config = format!(
        "{modules}ServerRoot {shown}\nDefaultRuntimeDir {shown}\nPidFile {shown}/apache.pid\nErrorLog {shown}/error.log\n\
         Mutex file:{shown} default\nUser www-data\nGroup www-data\nServerName www.example.com\nListen {}\n\
         SSLEngine on\nSSLCertificateFile {}\nSSLCertificateKeyFile {}\n",
        stage.address,
        stage.live("fullchain.pem"),
        stage.live("privkey.pem"),
    );
    fs::write(folder.join("apache.conf"), config).unwrap();
    let mut command = Command::new(APACHE);
    command.arg("-f").arg(folder.join("apache.conf")).arg("-DFOREGROUND");
    Server::start(&mut command, Signal::TERM, &folder.join("log"))
}

#[test]
fn apache_serves_what_is_renewed_and_a_broken_reload_is_loud() {
    if !is_installed(APACHE) {
        return;
    }
    let Some(stage) = Stage::new(None, "") else { return };
    let reload = format!("{APACHE} -f {}/apache.conf -k graceful", stage.folder().display());
    stage.play(&reload, start);
}
