//! Who renews what on this host: the programs that keep certificates in places of their own, each with where the one in use
//! lies.

use std::path::{Path, PathBuf};

use super::reading::Reading;
use crate::cli::adopt::source;
use crate::config::Main;
use crate::store::layout::Layout;

/// A certificate that a program looks after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Managed {
    pub(super) by: Manager,
    /// What the program calls it.
    pub(super) name: String,
    /// Where the one in use lies.
    pub(super) certificate: PathBuf,
    /// What `renewd adopt` takes in place of the files, where it knows the program.
    pub(super) source: Option<PathBuf>,
}

#[cfg(test)]
impl Managed {
    pub(super) fn by_certbot(name: &str, certificate: PathBuf) -> Self {
        Self { by: CERTBOT, name: name.to_owned(), certificate, source: None }
    }
}

/// A program that looks after certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manager {
    pub(super) name: &'static str,
    /// How to ask it why it did not renew; `NAME` stands for what it calls the certificate.
    ask: Option<&'static str>,
    /// Whether its certificates are of its own CA, which nobody else can issue.
    pub(super) has_own_ca: bool,
}

impl Manager {
    pub(super) fn is_renewd(self) -> bool {
        self == RENEWD
    }

    /// How to ask it why it did not renew.
    pub(super) fn question(self, name: &str) -> Option<String> {
        self.ask.map(|ask| ask.replace("NAME", name))
    }
}

const fn manager(name: &'static str, ask: Option<&'static str>) -> Manager {
    Manager { name, ask, has_own_ca: false }
}

const fn own_ca(name: &'static str, ask: Option<&'static str>) -> Manager {
    Manager { name, ask, has_own_ca: true }
}

const RENEWD: Manager = manager("renewd", Some("renewd status NAME"));
const CERTBOT: Manager = manager("certbot", Some("certbot renew --cert-name NAME --dry-run"));
const CERTMONGER: Manager = manager("certmonger", Some("getcert list"));
const ACME_SH: Manager = manager("acme.sh", Some("acme.sh --renew -d NAME"));
const LEGO: Manager = manager("lego", None);
const DEHYDRATED: Manager = manager("dehydrated", Some("dehydrated --cron"));
const MOD_MD: Manager = manager("mod_md", Some("journalctl -u apache2 -u httpd"));
const CADDY: Manager = manager("Caddy", Some("journalctl -u caddy"));
const UACME: Manager = manager("uacme", None);
const KUBEADM: Manager = own_ca("kubeadm", Some("kubeadm certs check-expiration"));
const KUBELET: Manager = own_ca("kubelet", Some("journalctl -u kubelet"));
const PUPPET: Manager = own_ca("Puppet", Some("puppet ssl show"));
const COCKPIT: Manager = own_ca("Cockpit", Some("journalctl -u cockpit"));

/// Where each program keeps the certificate in use, and which part of the path names it: the last but so many.
const PLACES: &[(Manager, &str, usize)] = &[
    (ACME_SH, "/root/.acme.sh/*/fullchain.cer", 1),
    (ACME_SH, "/home/*/.acme.sh/*/fullchain.cer", 1),
    (LEGO, "/root/.lego/certificates/*.crt", 0),
    (LEGO, "/etc/lego/certificates/*.crt", 0),
    (LEGO, "/var/lib/lego/certificates/*.crt", 0),
    (DEHYDRATED, "/var/lib/dehydrated/certs/*/fullchain.pem", 1),
    (DEHYDRATED, "/etc/dehydrated/certs/*/fullchain.pem", 1),
    (MOD_MD, "/etc/apache2/md/domains/*/pubcert.pem", 1),
    (MOD_MD, "/var/lib/apache2/md/domains/*/pubcert.pem", 1),
    (MOD_MD, "/etc/httpd/state/md/domains/*/pubcert.pem", 1),
    (CADDY, "/var/lib/caddy/.local/share/caddy/certificates/*/*/*.crt", 1),
    (UACME, "/etc/ssl/uacme/*/cert.pem", 1),
    (KUBEADM, "/etc/kubernetes/pki/*.crt", 0),
    (KUBEADM, "/etc/kubernetes/pki/etcd/*.crt", 0),
    (KUBELET, "/var/lib/kubelet/pki/kubelet-*-current.pem", 0),
    (PUPPET, "/etc/puppetlabs/puppet/ssl/certs/*.pem", 0),
    (PUPPET, "/var/lib/puppet/ssl/certs/*.pem", 0),
    (COCKPIT, "/etc/cockpit/ws-certs.d/*.cert", 0),
    (COCKPIT, "/etc/cockpit/ws-certs.d/*.crt", 0),
];

/// Every certificate that a program looks after.
pub(super) fn all(reading: &mut Reading, main: &Main) -> Vec<Managed> {
    let mut found = Vec::new();
    let own = Layout::new(&main.state_dir).certs();
    for certificate in reading.glob(&format!("{}/*/live/fullchain.pem", glob::Pattern::escape(&own.to_string_lossy())))
    {
        let name = part(&certificate, 2);
        found.push(Managed { by: RENEWD, name, certificate, source: None });
    }
    for certificate in reading.glob("/etc/letsencrypt/live/*/fullchain.pem") {
        let name = part(&certificate, 1);
        // Without this file certbot does not renew it.
        if reading.exists(Path::new(&format!("/etc/letsencrypt/renewal/{name}.conf"))) {
            let source = certificate.parent().map(Path::to_owned);
            found.push(Managed { by: CERTBOT, name, certificate, source });
        }
    }
    for request in reading.glob("/var/lib/certmonger/requests/*") {
        if let Some((name, certificate)) = source::tracked_by_certmonger(&request) {
            found.push(Managed { by: CERTMONGER, name, certificate, source: Some(request) });
        }
    }
    for (by, pattern, at) in PLACES {
        for certificate in reading.glob(pattern) {
            found.push(Managed { by: *by, name: part(&certificate, *at), certificate, source: None });
        }
    }
    found
}

/// The name of the folder so many levels above a file; of the file itself without its ending.
fn part(path: &Path, above: usize) -> String {
    let part = if above == 0 { path.file_stem() } else { path.ancestors().nth(above).and_then(Path::file_name) };
    part.map(|part| part.to_string_lossy().into_owned()).unwrap_or_default()
}
