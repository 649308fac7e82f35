//! The first screen of the README, as a newcomer types it: from the package to what nginx serves.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

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

/// Has renewd ask the simulated TLM.
const SIMULATED_TLM: &str = r#"
sed -i 's|^url = .*|url = "https://localhost:8443"\nca_file = "/etc/renewd/root.pem"|' /etc/renewd/renewd.toml
install -m 0644 /srv/sim/root.pem /etc/renewd/
"#;

/// Types the first screen up to what nginx serves.
fn walk(host: &Host, mut enter: impl FnMut(&str)) {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    host.sh("systemctl start nginx");
    for line in commands(&readme) {
        if line == "renewd profiles" {
            host.sh(SIMULATED_TLM);
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
}

#[test]
fn the_first_screen_of_the_readme_leads_to_a_served_certificate() {
    let Some(packages) = package::made() else { return };
    let host = Host::without_renewd(vec![(packages, "/srv/packages".to_owned())]);
    let (begun, mut typed, mut transcript) = (Instant::now(), 0, String::new());
    let mut enter = |line: &str| {
        let said = host.run(&["sh", "-c", line]);
        typed += 1;
        writeln!(transcript, "[{:>4.1} s] $ {line}\n{}{}", begun.elapsed().as_secs_f32(), said.out, said.err).unwrap();
        assert_eq!(said.code, 0, "{transcript}{}", host.journal());
    };
    walk(&host, &mut enter);
    let took = begun.elapsed();
    enter("renewd status");
    println!("{transcript}served after {typed} commands and {:.1} s", took.as_secs_f32());
    assert!(typed <= MOST_COMMANDS && took <= LONGEST, "{typed} commands, {took:?}\n{transcript}");
}

/// The commands that the pages of `renewd explain` say to give, with names of this host.
fn remedies(pages: &str) -> BTreeSet<String> {
    let pages: Value = serde_json::from_str(pages).unwrap();
    let pages = pages.as_array().unwrap().iter().map(|page| page["text"].as_str().unwrap());
    let lines = pages.flat_map(|page| page.split("What you do").nth(1).unwrap().lines());
    let begins = ["renewd ", "systemctl ", "journalctl "];
    let given = lines
        .filter_map(|line| line.strip_prefix("      "))
        .map(str::trim)
        .filter(|line| begins.iter().any(|begin| line.starts_with(begin)));
    let host = [
        ("NAME", "www"),
        ("CODE", "not-due"),
        ("CLASS", "disk"),
        ("--entry ID", "--entry Example --name www --dns www.example.com,example.com"),
        ("CN=Example Issuing CA", "CN=Simulated Issuing CA, O=Simulated Trust AG, C=CH"),
    ];
    given.map(|line| host.iter().fold(line.to_owned(), |line, (from, to)| line.replace(from, to))).collect()
}

/// As root on what the package installed, while all is well: each does what it says, or says that there is nothing to do.
#[test]
fn every_command_of_every_page_of_explain_runs_on_what_the_package_installed() {
    let Some(packages) = package::made() else { return };
    let host = Host::without_renewd(vec![(packages, "/srv/packages".to_owned())]);
    walk(&host, |line| drop(host.sh(line)));
    let all = remedies(&host.sh("renewd explain --json"));
    assert!(all.len() > 12, "{all:?}");
    for line in &all {
        let said = host.run(&["sh", "-c", line]);
        println!("$ {line}\n{}{}(exit {})", said.out, said.err, said.code);
        // After the rollback the certificate is held, which `status` tells by its exit code.
        let told = i32::from(line.starts_with("renewd status"));
        assert!((0..=told).contains(&said.code), "{line}\n{}{}(exit {})", said.out, said.err, said.code);
    }
}

/// What certbot leaves on a host: a lineage whose configuration has it renewed, and a site that reads it.
const CERTBOT: &str = r#"
set -e
cd /etc && mkdir -p letsencrypt/renewal letsencrypt/archive/www.example.com letsencrypt/live/www.example.com
cd letsencrypt/archive/www.example.com
openssl req -x509 -newkey rsa:2048 -nodes -keyout /root/ca.key -out chain1.pem -days 900 -subj '/CN=Some other CA' 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout privkey1.pem -out /root/csr -subj /CN=www.example.com 2>/dev/null
printf 'subjectAltName=DNS:www.example.com,DNS:example.com\n' > /root/extensions
openssl x509 -req -in /root/csr -CA chain1.pem -CAkey /root/ca.key -out cert1.pem -days 90 -extfile /root/extensions 2>/dev/null
cat cert1.pem chain1.pem > fullchain1.pem
chmod 600 privkey1.pem
for file in cert chain fullchain privkey; do ln -s ../../archive/www.example.com/${file}1.pem ../../live/www.example.com/$file.pem; done
printf 'version = 2.1.0\n[renewalparams]\nauthenticator = nginx\ninstaller = nginx\n' > ../../renewal/www.example.com.conf
"#;

/// From somebody else's certificate to one that renewd keeps: each command as `discover` and the entry that it prints say.
#[test]
fn a_host_of_nginx_and_certbot_is_taken_over_by_what_discover_prints() {
    let Some(packages) = package::made() else { return };
    let host = Host::without_renewd(vec![(packages, "/srv/packages".to_owned())]);
    host.sh(CERTBOT);
    let site = "server {\n    listen 443 ssl;\n    server_name www.example.com;\n    \
                ssl_certificate /etc/letsencrypt/live/www.example.com/fullchain.pem;\n    \
                ssl_certificate_key /etc/letsencrypt/live/www.example.com/privkey.pem;\n}\n";
    host.write("/etc/nginx/conf.d/www.conf", 0o644, site);
    host.sh("systemctl start nginx && dpkg --install /srv/packages/1.deb");
    let (begun, mut transcript) = (Instant::now(), String::new());
    let mut enter = |line: &str| {
        let said = host.run(&["sh", "-c", line]);
        writeln!(transcript, "[{:>4.1} s] $ {line}\n{}{}", begun.elapsed().as_secs_f32(), said.out, said.err).unwrap();
        assert_eq!(said.code, 0, "{transcript}{}", host.journal());
        said.out
    };
    let found = enter("renewd discover");
    let row = found.lines().find(|line| line.starts_with("www.example.com +1 ")).unwrap_or_else(|| panic!("{found}"));
    assert!(
        ["certbot", "nginx:443", "rsa-2048", "/etc/letsencrypt/live/www.example.com/fullchain.pem"]
            .iter()
            .all(|word| row.contains(word)),
        "{row}"
    );
    let key_stays_closed = host.run(&["setpriv", "--reuid=nobody", "--clear-groups", "renewd", "discover"]);
    let said = format!("{}{}", key_stays_closed.out, key_stays_closed.err);
    assert!(said.contains("NOT READ /etc/letsencrypt/live/www.example.com/privkey.pem: Permission denied"), "{said}");
    assert!(said.contains("run this as root"), "{said}");
    enter("install -m 0600 /dev/stdin /etc/renewd/api-key < /srv/sim/api-key");
    host.sh(SIMULATED_TLM);
    enter("renewd discover --entries --profile Example > /etc/renewd/certs.d/discovered.toml");
    enter("cat /etc/renewd/certs.d/discovered.toml");
    enter("renewd check --online");
    enter("systemctl enable --now renewd renewd-heal");
    let entry = host.sh("cat /etc/renewd/certs.d/discovered.toml");
    assert!(entry.contains("hooks = [\"nginx\"]") && entry.contains("probe = \"127.0.0.1:443\""), "{entry}");
    host.wait_state("www.example.com", "deploying");
    let commands: Vec<&str> = entry.lines().filter_map(|line| line.strip_prefix("#   ")).collect();
    assert!(commands.len() >= 3, "{entry}");
    commands.iter().for_each(|line| drop(enter(line)));
    host.wait_state("www.example.com", "valid");
    let took = begun.elapsed();
    let found = enter("renewd discover");
    // The one before lies beside it, where nobody reads it.
    let is_own = |line: &&str| line.starts_with("www.example.com +1 ") && line.contains(" renewd ");
    let row = found.lines().find(is_own).unwrap_or_else(|| panic!("{found}"));
    assert!(row.contains("nginx:443"), "{found}");
    println!("{transcript}served after {:.1} s", took.as_secs_f32());
}
