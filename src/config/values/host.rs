//! Names and addresses as certificates and connections carry them: DNS names, IP addresses, e-mail addresses, URIs,
//! `host:port`. Resolves nothing.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use url::{Host, Url};

use crate::config::syntax::from_toml::FromText;
use crate::config::syntax::problem::{Fault, quoted};

/// A DNS name in lower case; a wildcard is the whole leftmost label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct DnsName(pub(in crate::config) String);

impl FromText for DnsName {
    fn expected() -> String {
        "a DNS name, such as \"www.example.com\" or \"*.example.com\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let name = text.to_ascii_lowercase();
        let fault = || Fault::new(format!("{} is not a DNS name", quoted(text)));
        if text.parse::<IpAddr>().is_ok() {
            return Err(fault().hint("an IP address belongs in `ip_addresses`"));
        }
        if !name.is_ascii() {
            return Err(match Host::parse(name.trim_end_matches('.')) {
                Ok(Host::Domain(labels)) if Self::from_text(&labels).is_ok() => {
                    fault().hint(format!("write \"{labels}\" for it"))
                }
                Ok(Host::Domain(_) | Host::Ipv4(_) | Host::Ipv6(_)) | Err(_) => fault(),
            });
        }
        if name.ends_with('.') {
            return Err(fault().hint("leave out the dot at the end"));
        }
        let labels = name.strip_prefix("*.").unwrap_or(&name);
        if name == "*" {
            return Err(fault().hint("a wildcard precedes a domain, as in \"*.example.com\""));
        }
        if labels.contains('*') {
            return Err(fault().hint("a wildcard is the whole leftmost label, and other labels follow"));
        }
        if name.len() > 253 || !labels.split('.').all(is_label) {
            return Err(fault().hint("labels have 1 to 63 letters, digits and hyphens"));
        }
        if labels.rsplit('.').next().is_some_and(|label| label.bytes().all(|c| c.is_ascii_digit())) {
            return Err(fault().hint("the last label must not be a number"));
        }
        Ok(Self(name))
    }

    fn pattern() -> Option<String> {
        Some(format!(r"^(\*\.)?{LABELS}$"))
    }
}

/// Letters, digits, hyphens inside, and the underscore that private names carry.
fn is_label(label: &str) -> bool {
    let inner = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_');
    (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
}

/// A name to ask a server for: a DNS name without wildcard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct ServerName(pub(in crate::config) String);

impl FromText for ServerName {
    fn expected() -> String {
        "the name to ask for, such as \"www.example.com\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let DnsName(name) = DnsName::from_text(text)?;
        if name.starts_with('*') {
            return Err(Fault::new("a client cannot ask a server for a wildcard"));
        }
        Ok(Self(name))
    }

    fn pattern() -> Option<String> {
        Some(format!("^{LABELS}$"))
    }
}

impl FromText for IpAddr {
    fn expected() -> String {
        "an IP address, such as \"192.0.2.7\" or \"2001:db8::7\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|_| Fault::new(format!("{} is not an IP address", quoted(text))))
    }

    fn pattern() -> Option<String> {
        Some("^[0-9A-Fa-f.:]+$".to_owned())
    }
}

/// An e-mail address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Email(pub(in crate::config) String);

impl FromText for Email {
    fn expected() -> String {
        "an e-mail address, such as \"admin@example.com\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let fault = || Fault::new(format!("{} is not an e-mail address", quoted(text)));
        let (local, domain) = text.split_once('@').ok_or_else(fault)?;
        let is_local = (1..=64).contains(&local.len()) && local.bytes().all(|c| c.is_ascii_graphic());
        let is_domain = DnsName::from_text(domain).is_ok_and(|name| !name.0.starts_with('*'));
        if is_local && is_domain { Ok(Self(text.to_owned())) } else { Err(fault()) }
    }

    fn pattern() -> Option<String> {
        Some(r"^[^@\s]+@[^@\s]+$".to_owned())
    }
}

/// A URI with its scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct Uri(pub(in crate::config) String);

impl FromText for Uri {
    fn expected() -> String {
        "a URI in ASCII, such as \"spiffe://example.org/web\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let is_plain = text.bytes().all(|c| c.is_ascii_graphic());
        match Url::parse(text) {
            Ok(_) if is_plain => Ok(Self(text.to_owned())),
            Ok(_) | Err(_) => Err(Fault::new(format!("{} is not a URI", quoted(text)))),
        }
    }

    fn pattern() -> Option<String> {
        Some(r"^[A-Za-z][A-Za-z0-9+.-]*:\S+$".to_owned())
    }
}

/// `host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct HostPort(pub(in crate::config) String);

impl FromText for HostPort {
    fn expected() -> String {
        "host and port, such as \"127.0.0.1:443\", \"[::1]:443\" or \"localhost:443\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let fault = || Fault::new(format!("{} is not an address to connect to", quoted(text)));
        let (host, port) = text.rsplit_once(':').ok_or_else(|| fault().hint("the port is missing"))?;
        let port: u16 = port.parse().map_err(|_| fault().hint("the port is a number from 1 to 65535"))?;
        if port == 0 {
            return Err(fault().hint("the port is a number from 1 to 65535"));
        }
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bracketed {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => host.parse::<std::net::Ipv4Addr>().is_ok() || ServerName::from_text(host).is_ok(),
        };
        if is_host {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        let is_bare = host.parse::<Ipv6Addr>().is_ok();
        Err(if is_bare { fault().hint("an IPv6 address needs brackets") } else { fault() })
    }

    fn pattern() -> Option<String> {
        Some(r"^\S+:[0-9]+$".to_owned())
    }
}

impl FromText for SocketAddr {
    fn expected() -> String {
        "an IP address and a port, such as \"127.0.0.1:9465\" or \"[::1]:9465\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        text.parse().map_err(|_| Fault::new(format!("{} is not an address to listen on", quoted(text))))
    }

    fn pattern() -> Option<String> {
        Some(r"^(\[\S+\]|[0-9.]+):[0-9]+$".to_owned())
    }
}

/// The labels of a DNS name.
const LABELS: &str = r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dns_names_are_checked_and_lowered() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(DnsName::from_text(text).ok().map(|name| name.0).as_deref(), expected, "{text}");
        }
        let long_label = format!("{}.example", "a".repeat(64));
        let long_name =
            ["a".repeat(60), "b".repeat(60), "c".repeat(60), "d".repeat(60), "example.com".into()].join(".");
        check("WWW.Example.com", Some("www.example.com"));
        check("*.example.com", Some("*.example.com"));
        check("localhost", Some("localhost"));
        check("xn--bcher-kva.example", Some("xn--bcher-kva.example"));
        check("my_host.corp", Some("my_host.corp"));
        for bad in [
            "",
            ".",
            "a..b",
            "*",
            "*.",
            "w*.example.com",
            "*.*.example.com",
            "a.*.com",
            "-a.com",
            "a-.com",
            "a b.com",
            "example.com.",
            "192.0.2.1",
            "::1",
            "1.2.3.400",
            "bücher.example",
            "https://a.com",
            "a:443",
            &long_label,
            &long_name,
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn every_spelling_of_a_name_leads_to_one_a_label() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            let fault = format!("{:?}", DnsName::from_text(text).unwrap_err());
            match expected {
                Some(label) => assert!(fault.contains(&format!("write \\\"{label}\\\" for it")), "{text}: {fault}"),
                None => assert!(!fault.contains("write "), "{text}: {fault}"),
            }
        }
        check("bücher.example", Some("xn--bcher-kva.example"));
        check("bu\u{308}cher.example", Some("xn--bcher-kva.example"));
        check("BÜCHER.example.", Some("xn--bcher-kva.example"));
        check("*.bücher.example", Some("*.xn--bcher-kva.example"));
        check("straße.example", Some("xn--strae-oqa.example"));
        check("οδος.example", Some("xn--pxavbm.example"));
        check("İzmir.example", Some("xn--izmir-7fd.example"));
        check("１９２.0.2.1", None);
        check("bü cher.example", None);
        check("b\u{a0}.example", None);
        check("a*ü.example", None);
    }

    #[test]
    fn addresses_to_connect_to_have_a_port() {
        for good in ["127.0.0.1:443", "[::1]:443", "localhost:1", "www.example.com:65535"] {
            assert!(HostPort::from_text(good).is_ok(), "{good}");
        }
        for bad in
            ["", "a", ":443", "a:", "a:0", "a:65536", "::1:443", "[::1]", "[a]:1", "a b:1", "http://a:1", "*.a:1"]
        {
            assert!(HostPort::from_text(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn mail_addresses_and_uris_are_sane() {
        for good in ["a@example.com", "a.b+c@x.example"] {
            assert!(Email::from_text(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "@a.com", "a@", "a@b@c", "a b@c.com", "ä@c.com", "a@*.com"] {
            assert!(Email::from_text(bad).is_err(), "{bad}");
        }
        for good in ["https://example.com/x", "urn:uuid:1", "spiffe://td/web"] {
            assert!(Uri::from_text(good).is_ok(), "{good}");
        }
        for bad in ["", "example.com", "/a", "http://", "https://a b/", "https://bücher.example/"] {
            assert!(Uri::from_text(bad).is_err(), "{bad}");
        }
    }
}
