//! The first screen of the README, as a newcomer types it: from the package to what nginx serves.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::host::Host;
use crate::package;

/// What it may take, without compiling.
const MOST_COMMANDS: usize = 12;
const LONGEST: Duration = Duration::from_secs(60);

/// The commands that follow the one that makes the packages. Of the simulated TLM are the name of the profile and the key,
/// which is read from a file instead of pasted; the package lies where the machine sees it.
fn commands(readme: &str) -> Vec<String> {
    let (_, rest) = readme.split_once("\n.ci/release ").unwrap();
    let (block, _) = rest.split_once("\n```").unwrap();
    let (_, block) = block.split_once('\n').unwrap();
    let typed = block
        .replace("apt install ./target/dist/renewd_*_amd64.deb", "dpkg --install /srv/packages/1.deb")
        .replace("/dev/stdin /etc/renewd/api-key", "/dev/stdin /etc/renewd/api-key < /srv/sim/api-key")
        .replace("\"Web servers\"", "Example");
    typed.lines().map(|line| line.split(" # ").next().unwrap().trim().to_owned()).collect()
}

/// The lines for nginx, in the site of somebody who has one.
fn site(readme: &str) -> String {
    let (_, rest) = readme.split_once("\n```nginx\n").unwrap();
    let (lines, _) = rest.split_once("\n```").unwrap();
    format!("server {{\n    listen 443 ssl;\n    server_name www.example.com;\n{lines}\n}}\n")
}

#[test]
fn the_first_screen_of_the_readme_leads_to_a_served_certificate() {
    let Some(packages) = package::made() else { return };
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let host = Host::without_renewd(vec![(packages, "/srv/packages".to_owned())]);
    host.sh("systemctl start nginx");

    let (begun, mut typed, mut transcript) = (Instant::now(), 0, String::new());
    let mut enter = |line: &str| {
        let said = host.run(&["sh", "-c", line]);
        typed += 1;
        writeln!(transcript, "[{:>4.1} s] $ {line}\n{}{}", begun.elapsed().as_secs_f32(), said.out, said.err).unwrap();
        assert_eq!(said.code, 0, "{transcript}{}", host.journal());
    };
    for line in commands(&readme) {
        if line == "renewd profiles" {
            host.sh(
                "sed -i 's|^url = .*|url = \"https://localhost:8443\"\\nca_file = \"/etc/renewd/root.pem\"|' /etc/renewd/renewd.toml
                 install -m 0644 /srv/sim/root.pem /etc/renewd/",
            );
        }
        enter(&line);
    }
    host.write("/etc/nginx/conf.d/www.conf", 0o644, &site(&readme));
    host.wait_state("www", "valid");
    enter("systemctl reload nginx");
    let served =
        "openssl s_client -connect 127.0.0.1:443 -servername www.example.com </dev/null 2>/dev/null | openssl x509";
    let installed = host.sh("openssl x509 -in /var/lib/renewd/certs/www/live/cert.pem");
    host.until("nginx serves it", |host| (host.run(&["sh", "-c", served]).out == installed).then_some(()));
    let took = begun.elapsed();
    enter("renewd status");
    println!("{transcript}served after {typed} commands and {:.1} s", took.as_secs_f32());
    assert!(typed <= MOST_COMMANDS && took <= LONGEST, "{typed} commands, {took:?}\n{transcript}");
}
