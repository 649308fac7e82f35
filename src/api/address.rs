//! Which addresses a URL from a certificate may lead to. Private ones, since private CAs are there; none of this host's own
//! and none that clouds give their secrets out at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowed {
    /// Loopback addresses: only where the API itself is at one.
    pub(super) loopback: bool,
}

impl Allowed {
    /// Whether an address may be connected to.
    pub(super) fn address(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => self.v4(address),
            IpAddr::V6(address) => self.v6(address),
        }
    }

    /// Whether the host that a URL names is none that must not be asked, as far as its name tells.
    pub(super) fn host(self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_ascii_lowercase();
        if let Ok(address) = host.trim_matches(['[', ']']).parse() {
            return self.address(address);
        }
        let is_local = host == "localhost" || host.ends_with(".localhost");
        (self.loopback || !is_local) && !METADATA_HOSTS.contains(&host.as_str())
    }

    fn v4(self, address: Ipv4Addr) -> bool {
        if address.is_loopback() {
            return self.loopback;
        }
        let [first, ..] = address.octets();
        first != 0 && !address.is_link_local() && first < MULTICAST && !METADATA.contains(&IpAddr::V4(address))
    }

    fn v6(self, address: Ipv6Addr) -> bool {
        if address.is_loopback() {
            return self.loopback;
        }
        if let Some(inner) = embedded(address) {
            return self.v4(inner);
        }
        !address.is_unicast_link_local() && !address.is_multicast() && !METADATA.contains(&IpAddr::V6(address))
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible (the unspecified one as well), 6to4, NAT64.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

/// Resolves names to allowed addresses only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver(pub(super) Allowed);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allowed = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let found: Vec<SocketAddr> = found.filter(|address| allowed.address(address.ip())).collect();
            if found.is_empty() {
                return Err("it has no address that renewd may ask".into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

impl Resolver {
    /// As reqwest takes it.
    pub(super) fn shared(self) -> Arc<dyn Resolve> {
        Arc::new(self)
    }
}

const METADATA_HOSTS: [&str; 2] = ["metadata.google.internal", "metadata"];
/// Metadata services beside 169.254.0.0/16: Alibaba's, Azure's, Oracle's, Amazon's.
const METADATA: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];
/// Multicast, reserved and broadcast addresses begin here.
const MULTICAST: u8 = 224;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &str, expected: bool) {
        let url = Url::parse(&format!("http://{host}/ca.crl")).unwrap();
        assert_eq!(Allowed { loopback: false }.host(&url), expected, "{host}");
    }

    #[test]
    fn private_and_public_hosts_may_be_asked() {
        for host in ["crl.example", "93.184.216.34", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "223.1.1.1"]
        {
            check(host, true);
        }
        for host in ["[2001:db8::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]", "localhost.example"] {
            check(host, true);
        }
    }

    #[test]
    fn this_host_and_metadata_services_may_not() {
        for host in
            ["127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "localhost", "LOCALHOST.", "a.localhost", "2130706433"]
        {
            check(host, false);
        }
        for host in ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "metadata"]
        {
            check(host, false);
        }
        for host in ["metadata.google.internal", "224.0.0.1", "240.0.0.1", "255.255.255.255"] {
            check(host, false);
        }
        for host in
            ["[::1]", "[::]", "[::ffff:127.0.0.1]", "[::127.0.0.1]", "[::ffff:a9fe:a9fe]", "[64:ff9b::a9fe:a9fe]"]
        {
            check(host, false);
        }
        for host in ["[2002:a9fe:a9fe::1]", "[2002:7f00:1::]", "[fe80::1]", "[ff02::1]", "[fd00:ec2::254]"] {
            check(host, false);
        }
    }

    #[test]
    fn loopback_is_open_where_the_api_is_there() {
        for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"] {
            assert!(Allowed { loopback: true }.host(&Url::parse(&format!("http://{host}/")).unwrap()), "{host}");
        }
        assert!(!Allowed { loopback: true }.host(&Url::parse("http://169.254.169.254/").unwrap()));
    }
}
