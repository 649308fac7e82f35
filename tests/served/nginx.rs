//! nginx: reloaded by its own `-s reload`, as `systemctl reload nginx` does it, and under load.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use crate::load::Load;
use crate::server::{Server, is_installed};
use crate::stage::{Hook, Stage};

const NGINX: &str = "/usr/sbin/nginx";

fn start(stage: &Stage) -> Server {
    start_with(stage, "")
}

fn start_with(stage: &Stage, more: &str) -> Server {
    let folder = stage.folder();
    let shown = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {shown}/{kind};\n"))
        .concat();
    let config = format!(
        "daemon off;\nworker_processes 2;\npid {shown}/nginx.pid;\nerror_log {shown}/error.log;\n\
         events {{ worker_connections 256; }}\n\
         http {{\naccess_log off;\n{temporary}\
         server {{\nlisten {} ssl;\nssl_certificate {};\nssl_certificate_key {};\n{more}\
         location / {{ return 200 \"served\\n\"; }}\n}}\n}}\n",
        stage.address,
        stage.live("fullchain.pem"),
        stage.live("privkey.pem"),
    );
    fs::write(folder.join("nginx.conf"), config).unwrap();
    let mut command = Command::new(NGINX);
    command.arg("-p").arg(&folder).arg("-c").arg(folder.join("nginx.conf"));
    Server::start(&mut command, Signal::TERM, &folder.join("log"))
}

fn reload(stage: &Stage) -> String {
    let folder = stage.folder();
    format!("{NGINX} -p {0} -c {0}/nginx.conf -s reload", folder.display())
}

#[test]
fn nginx_serves_what_is_renewed_and_a_broken_reload_is_loud() {
    if !is_installed(NGINX) {
        return;
    }
    let Some(stage) = Stage::new(None, "") else { return };
    let reload = reload(&stage);
    stage.play(&reload, start);
}

#[test]
fn under_load_no_connection_is_lost_to_a_renewal() {
    if !is_installed(NGINX) {
        return;
    }
    let Some(mut stage) = Stage::new(None, "") else { return };
    let reload = reload(&stage);
    let (_server, reload) = stage.begin(&reload, start);
    stage.hook(Hook::Works, &reload);
    let load = Load::start(stage.address, &stage.host.simulator.issuing_root_pem(), 4);
    load.goes_on();
    for _ in 0..RENEWALS {
        stage.renew();
        stage.is_served();
        load.goes_on();
    }
    let seen = load.end();
    println!("{} requests, {} certificates seen", seen.requests, seen.leaves.len());
    assert!(seen.failures.is_empty(), "{:?}", seen.failures);
    assert_eq!(seen.leaves.len(), RENEWALS + 1, "each certificate was served meanwhile");
}

const RENEWALS: usize = 3;

/// One server with an RSA and an ECDSA certificate: each probe is shown its own.
#[test]
fn nginx_with_certificates_of_two_key_types_serves_both() {
    if !is_installed(NGINX) {
        return;
    }
    let Some(mut stage) = Stage::new(None, "key = \"ecdsa-p256\"\n") else { return };
    let sizes = ["256", "2048"].map(str::to_owned).to_vec();
    stage.host.simulator.change_profile(&stage.host.profile, |profile| profile.key_sizes = sizes);
    let probe = format!("probe = {{ address = \"{}\", server_name = \"www.example.com\" }}\n", stage.address);
    stage.host.entry("rsa", &format!("key = \"rsa-2048\"\n{probe}"));
    stage.hook(Hook::Lies, "");
    assert_eq!(stage.host.says(&["once"]).code, 1, "nobody serves them");
    let rsa = stage.host.live("rsa").display().to_string();
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let more = format!(
            "ssl_protocols {protocol};\nssl_certificate {rsa}/fullchain.pem;\nssl_certificate_key {rsa}/privkey.pem;\n"
        );
        let _server = start_with(&stage, &more);
        stage.host.start();
        for name in ["www", "rsa"] {
            stage.until(&format!("{name} is seen by {protocol}"), |_| {
                let found = stage.host.certificate(name);
                (found["state"] == "valid" && found["served"] == "yes").then_some(())
            });
        }
        assert_eq!(stage.host.says(&["status"]).code, 0, "{}", stage.host.status());
        assert_eq!(stage.host.end(Signal::TERM), Some(0));
    }
}
