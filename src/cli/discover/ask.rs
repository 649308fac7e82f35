//! Asking every listener of this host which certificate it shows: plain TLS, or the words before it where its protocol is
//! known, once without a name and once for each name that a configuration has for it.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::sync::Semaphore;

use super::mention::Mention;
use super::processes::Processes;
use super::sockets::Listener;
use crate::cli::runtime;
use crate::core::text::Text;
use crate::core::wanted::entry::StartTls;
use crate::daemon::probe::{self, Presented, ProbeError};
use crate::pki::certificate::Certificate;

/// A listener, who it is, and what it showed.
pub(super) struct Service {
    pub(super) listener: Listener,
    /// Its process and program, where they can be seen.
    pub(super) pid: Option<u32>,
    pub(super) program: Option<String>,
    pub(super) unit: Option<String>,
    pub(super) starttls: Option<StartTls>,
    pub(super) sights: Vec<Sight>,
    /// What TLS said where it speaks TLS and shows nothing.
    pub(super) refusal: Option<Text>,
}

/// What was shown to whoever asked for a name, or for none.
pub(super) struct Sight {
    pub(super) name: Option<String>,
    pub(super) leaf: Certificate,
    pub(super) chain: Vec<Certificate>,
}

/// Asks every listener, many at a time.
///
/// # Errors
///
/// When the system gives no runtime.
pub(super) fn all(
    listeners: Vec<Listener>,
    processes: &Processes,
    mentions: &[Mention],
) -> Result<Vec<Service>, String> {
    let runtime = runtime::new().map_err(|error| format!("cannot start: {error}"))?;
    let own = std::process::id();
    let services = listeners.into_iter().take(MOST_LISTENERS).filter_map(|listener| {
        let holder = processes.holder(listener.inode);
        let program = holder.map(|(_, process)| process.running.program.clone());
        let is_silent = program.as_deref().is_some_and(|program| SILENT.contains(&program));
        (holder.is_none_or(|(pid, _)| pid != own) && !is_silent).then(|| Service {
            pid: holder.map(|(pid, _)| pid),
            unit: holder.and_then(|(_, process)| process.unit.clone()),
            starttls: protocol(program.as_deref(), listener.address.port(), mentions),
            program,
            listener,
            sights: Vec::new(),
            refusal: None,
        })
    });
    let questions: Vec<_> = services.map(|service| (names(&service, mentions), service)).collect();
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    runtime.block_on(async {
        let asked: Vec<_> = questions
            .into_iter()
            .map(|(names, service)| tokio::spawn(ask(service, names, Arc::clone(&places))))
            .collect();
        let mut services = Vec::new();
        for service in asked {
            services.extend(service.await.ok());
        }
        Ok(services)
    })
}

/// Asks without a name first: who then shows no TLS is not asked again.
async fn ask(mut service: Service, names: BTreeSet<String>, places: Arc<Semaphore>) -> Service {
    let Ok(_place) = places.acquire().await else { return service };
    let anonymous = |address: SocketAddr| ServerName::IpAddress(address.ip().into());
    let mut address = service.listener.reachable();
    let mut shown = presented(address, &anonymous(address), service.starttls).await;
    if matches!(shown, Err(ProbeError::Connection(_))) && service.listener.address.ip().is_unspecified() {
        address = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
        shown = presented(address, &anonymous(address), service.starttls).await;
    }
    service.take(None, shown);
    if service.sights.is_empty() && service.refusal.is_none() {
        return service;
    }
    for name in names {
        let Ok(server_name) = ServerName::try_from(name.clone()) else { continue };
        let shown = presented(address, &server_name, service.starttls).await;
        service.take(Some(name), shown);
    }
    service
}

/// What is shown on this host itself, where whoever speaks TLS answers at once: what is silent holds nobody up.
async fn presented(
    address: SocketAddr,
    name: &ServerName<'static>,
    starttls: Option<StartTls>,
) -> Result<Presented, ProbeError> {
    let address = address.to_string();
    let shown = tokio::time::timeout(PATIENCE, probe::presented(&address, name, starttls, None)).await;
    shown.unwrap_or(Err(ProbeError::TimedOut))
}

impl Service {
    fn take(&mut self, name: Option<String>, shown: Result<Presented, ProbeError>) {
        match shown {
            Ok(shown) => {
                // What cannot be read at all is no certificate that anybody could manage.
                let Ok(leaf) = Certificate::from_der(&shown.leaf) else { return };
                let chain = shown.chain.iter().filter_map(|der| Certificate::from_der(der).ok()).collect();
                self.sights.push(Sight { name, leaf, chain });
            }
            Err(error) if name.is_none() => {
                self.refusal = error.refusal().map(|refusal| Text::new(&refusal.to_string()));
            }
            Err(_) => {}
        }
    }
}

/// The names that configurations have for a listener.
fn names(service: &Service, mentions: &[Mention]) -> BTreeSet<String> {
    let port = service.listener.address.port();
    let here = mentions.iter().filter(|mention| mention.listens.iter().any(|listen| listen.port == port));
    // A wildcard is asked for by a name that it covers; a pattern is no name.
    let named = here.flat_map(|mention| &mention.names).map(|name| match name.strip_prefix("*.") {
        Some(rest) => format!("renewd-discover.{rest}"),
        None => name.clone(),
    });
    named.filter(|name| name.contains('.') && !name.starts_with('.')).take(MOST_NAMES).collect()
}

/// The protocol before TLS: the configuration's word, else by the program, else by the port's number.
fn protocol(program: Option<&str>, port: u16, mentions: &[Mention]) -> Option<StartTls> {
    let mut listens = mentions.iter().flat_map(|mention| &mention.listens);
    if let Some(listen) = listens.find(|listen| listen.port == port) {
        return listen.starttls;
    }
    let by_port = match port {
        25 | 587 | 2525 => Some(StartTls::Smtp),
        110 => Some(StartTls::Pop3),
        143 => Some(StartTls::Imap),
        389 => Some(StartTls::Ldap),
        5432 => Some(StartTls::Postgres),
        3306 => Some(StartTls::Mysql),
        _ => None,
    };
    match program {
        Some("postgres") => Some(StartTls::Postgres),
        Some("mysqld" | "mariadbd") => Some(StartTls::Mysql),
        Some("master" | "exim4" | "exim" | "smtpd" | "sendmail") if port != 465 => Some(StartTls::Smtp),
        Some(_) | None => by_port,
    }
}

/// Programs that print or log whatever comes to their port, or close it after too many odd words.
const SILENT: [&str; 3] = ["p910nd", "lpd", "sshd"];
/// More listeners than a host has services.
const MOST_LISTENERS: usize = 1_000;
const MOST_NAMES: usize = 64;
const AT_A_TIME: usize = 128;
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::mention::{Listen, Server, Side};
    use super::*;

    fn mention(port: u16, starttls: Option<StartTls>, names: &[&str]) -> Mention {
        Mention {
            server: Server::Nginx,
            file: PathBuf::from("/etc/nginx/nginx.conf"),
            line: 1,
            certificate: PathBuf::from("/c"),
            key: None,
            chain: None,
            password: None,
            side: Side::Server,
            listens: vec![Listen { address: None, port, starttls }],
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn the_configuration_says_first_which_protocol_a_port_speaks() {
        let odd = [mention(8025, Some(StartTls::Smtp), &[]), mention(25, None, &[])];
        for (program, port, mentions, expected) in [
            (Some("nginx"), 8025, &odd[..], Some(StartTls::Smtp)),
            (Some("master"), 25, &odd[..], None),
            (Some("postgres"), 6000, &[], Some(StartTls::Postgres)),
            (Some("mariadbd"), 3307, &[], Some(StartTls::Mysql)),
            (Some("master"), 587, &[], Some(StartTls::Smtp)),
            (Some("master"), 465, &[], None),
            (None, 143, &[], Some(StartTls::Imap)),
            (Some("nginx"), 443, &[], None),
        ] {
            assert_eq!(protocol(program, port, mentions), expected, "{program:?} {port}");
        }
    }
}
