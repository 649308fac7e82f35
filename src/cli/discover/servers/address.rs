//! Addresses to listen at, as most configurations write them: `443`, `:443`, `*:443`, `192.0.2.1:443`, `[::1]:https`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use super::super::mention::Listen;
use super::super::reading::Reading;
use crate::core::wanted::entry::StartTls;

/// Whom a server listens for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Host {
    All,
    At(IpAddr),
    /// A name that nobody resolved.
    Named(String),
}

/// An address with its ports, which are none where the text says none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) host: Host,
    pub(super) ports: Vec<u16>,
}

impl Spot {
    /// Reads an address; nothing where a port is neither a number, a range, nor a known service.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, rest)) => (host, Some(rest.strip_prefix(':')?)),
            None => match text.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None if ports(text).is_some() => ("", Some(text)),
                None => (text, None),
            },
        };
        Some(Self { host: Host::parse(host), ports: port.map_or(Some(Vec::new()), ports)? })
    }

    /// Where that is, `default` being the ports where the text has none. A name other than `localhost` is noted and taken
    /// for all addresses.
    pub(super) fn listens(
        &self,
        reading: &mut Reading,
        (file, line): (&Path, usize),
        default: &[u16],
        starttls: Option<StartTls>,
    ) -> Vec<Listen> {
        let address = match &self.host {
            Host::All => None,
            Host::At(address) => Some(*address),
            Host::Named(name) => {
                reading.note(file, line, format!("{name} is not resolved: taken for all addresses"));
                None
            }
        };
        let ports = if self.ports.is_empty() { default } else { &self.ports };
        ports.iter().map(|&port| Listen { address, port, starttls }).collect()
    }
}

impl Host {
    pub(super) fn parse(text: &str) -> Self {
        let text = text.trim_start_matches('[').trim_end_matches(']');
        // An interface's zone is none of the address.
        let plain = text.split('%').next().unwrap_or_default();
        match plain.parse::<IpAddr>() {
            Ok(address) if address.is_unspecified() => Self::All,
            Ok(IpAddr::V6(address)) => Self::At(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)),
            Ok(address) => Self::At(address),
            Err(_) => match text.to_ascii_lowercase().as_str() {
                "" | "*" | "_default_" => Self::All,
                "localhost" | "ip4-localhost" => Self::At(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                "ip6-localhost" => Self::At(IpAddr::V6(Ipv6Addr::LOCALHOST)),
                name => Self::Named(name.to_owned()),
            },
        }
    }
}

/// A port, a range of ports, or a service's name.
fn ports(text: &str) -> Option<Vec<u16>> {
    if let Some(port) = port(text) {
        return Some(vec![port]);
    }
    let (first, last) = text.split_once('-')?;
    let (first, last) = (first.parse::<u16>().ok()?, last.parse::<u16>().ok()?);
    (first <= last).then(|| (first..=last).take(RANGE).collect())
}

/// A port by its number, or by the name that `/etc/services` has for it where TLS is usual.
pub(super) fn port(text: &str) -> Option<u16> {
    let named = || SERVICES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name)).map(|(_, port)| *port);
    text.parse().ok().or_else(named)
}

/// Adds those that are not there yet, up to as many as one range may have.
pub(super) fn add(listens: &mut Vec<Listen>, more: impl IntoIterator<Item = Listen>) {
    for listen in more {
        if listens.len() < RANGE && !listens.contains(&listen) {
            listens.push(listen);
        }
    }
}

const SERVICES: [(&str, u16); 18] = [
    ("smtp", 25),
    ("http", 80),
    ("pop3", 110),
    ("imap", 143),
    ("imap2", 143),
    ("ldap", 389),
    ("https", 443),
    ("smtps", 465),
    ("submissions", 465),
    ("ssmtp", 465),
    ("urd", 465),
    ("submission", 587),
    ("ldaps", 636),
    ("imaps", 993),
    ("pop3s", 995),
    ("mysql", 3306),
    ("postgresql", 5432),
    ("redis", 6379),
];
/// So many ports of a range are enough to find who serves it.
const RANGE: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let shown = Spot::parse(text).map_or("nothing".to_owned(), |spot| format!("{:?} {:?}", spot.host, spot.ports));
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn addresses_are_read_in_all_their_forms() {
        check("443", "All [443]");
        check("https", "All [443]");
        check(":443", "All [443]");
        check("*:443", "All [443]");
        check("_default_:443", "All [443]");
        check("0.0.0.0:443", "All [443]");
        check("[::]:443", "All [443]");
        check(":::443", "All [443]");
        check("::1:443", "At(::1) [443]");
        check("[2001:db8::1]:443", "At(2001:db8::1) [443]");
        check("[fe80::1%eth0]:443", "At(fe80::1) [443]");
        check("[::ffff:192.0.2.1]:443", "At(192.0.2.1) [443]");
        check("192.0.2.1", "At(192.0.2.1) []");
        check("[::1]", "At(::1) []");
        check("localhost:465", "At(127.0.0.1) [465]");
        check("Host.example:8443", "Named(\"host.example\") [8443]");
        check("host.example", "Named(\"host.example\") []");
        check("*:8000-8002", "All [8000, 8001, 8002]");
        check("*:9-1", "nothing");
        check("*:", "nothing");
        check("*:65536", "nothing");
        check("", "All []");
    }
}
