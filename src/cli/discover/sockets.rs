//! Which TCP ports of this host somebody listens on, by `/proc/net/tcp` and `tcp6`. Addresses in there are the host's own, so
//! that whoever connects to them leaves it never.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A port on which somebody listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listener {
    /// As it was bound.
    pub(super) address: SocketAddr,
    /// The socket's number, by which its process is found.
    pub(super) inode: u64,
}

impl Listener {
    /// Where a client on this host connects to.
    pub(super) fn reachable(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            // One for both families, unless IPv6 alone was asked for: then the other one is not there.
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip @ (IpAddr::V4(_) | IpAddr::V6(_)) => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }
}

/// Every listener, the first of those that share a port by address; and what could not be read.
pub(super) fn listening() -> (Vec<Listener>, Vec<String>) {
    let (mut found, mut unread) = (BTreeMap::new(), Vec::new());
    for path in ["/proc/net/tcp", "/proc/net/tcp6"] {
        match fs::read_to_string(path) {
            Ok(table) => {
                for listener in table.lines().filter_map(listener) {
                    // Several sockets of one address (SO_REUSEPORT) are one server's.
                    found.entry(listener.address).or_insert(listener);
                }
            }
            // A kernel without IPv6 has no such table.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.ends_with('6') => {}
            Err(error) => unread.push(format!("{path}: {error}")),
        }
    }
    let all: Vec<Listener> = found.into_values().collect();
    // A wildcard of one family beside the same of the other is one server's as well.
    let is_twin = |listener: &Listener| {
        let wildcard = SocketAddr::from((Ipv4Addr::UNSPECIFIED, listener.address.port()));
        listener.address.is_ipv6()
            && listener.address.ip().is_unspecified()
            && all.iter().any(|o| o.address == wildcard)
    };
    (all.iter().filter(|listener| !is_twin(listener)).cloned().collect(), unread)
}

/// A line of the table, where it is of a listening socket.
fn listener(line: &str) -> Option<Listener> {
    let mut fields = line.split_whitespace();
    let (address, state) = (fields.nth(1)?, fields.nth(1)?);
    let inode = fields.nth(5)?.parse().ok()?;
    (state == LISTEN).then_some(())?;
    let (ip, port) = address.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok().filter(|port| *port > 0)?;
    Some(Listener { address: SocketAddr::new(ip_address(ip)?, port), inode })
}

/// An address in the kernel's hexadecimal: words of 32 bits, each in the order of the host.
fn ip_address(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// The kernel's number of the state.
const LISTEN: &str = "0A";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_listening_sockets_are_read() {
        let shown = |line: &str| listener(line).map(|found| (found.address.to_string(), found.inode));
        let rest = "00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 21344 1 0000 100 0 0 10 0";
        assert_eq!(shown(&format!("   0: 0100007F:01BB {rest}")), Some(("127.0.0.1:443".to_owned(), 21344)));
        let rest6 = rest.replacen("00000000:", "00000000000000000000000000000000:", 1);
        let any = "00000000000000000000000000000000";
        assert_eq!(shown(&format!("   1: {any}:01BB {rest6}")), Some(("[::]:443".to_owned(), 21344)));
        let loopback = "00000000000000000000000001000000";
        assert_eq!(shown(&format!("   1: {loopback}:01BB {rest6}")), Some(("[::1]:443".to_owned(), 21344)));
        let mapped = "0000000000000000FFFF00000100007F";
        assert_eq!(shown(&format!("   1: {mapped}:0050 {rest6}")), Some(("127.0.0.1:80".to_owned(), 21344)));
        let established = format!("   0: 0100007F:01BB {rest}").replacen(" 0A ", " 01 ", 1);
        for other in [established.as_str(), "", "  sl  local_address rem_address   st", "0: 01:02 03 0A"] {
            assert_eq!(shown(other), None, "{other}");
        }
    }

    #[test]
    fn what_listens_here_is_seen_and_reached() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (found, unread) = listening();
        assert!(unread.is_empty(), "{unread:?}");
        assert_eq!(found.iter().filter(|one| one.reachable() == address).count(), 1, "{found:?}");
    }
}
