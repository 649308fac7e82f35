//! The names that a profile allows (`allowed_list`): hosts, wildcards, addresses, networks and ranges. What is not certain
//! holds nothing back: TLM has the last word.

use std::net::IpAddr;

use crate::core::text::Text;

/// The list of a profile, read.
pub(in crate::core) struct Allowed {
    items: Vec<Item>,
}

/// What an item of the list allows.
enum Item {
    /// Host names: `*` stands for anything, as the widest reading has it.
    Host(String),
    /// Addresses, from the first to the last.
    Addresses(IpAddr, IpAddr),
}

impl Allowed {
    /// The list; `None` where there is none, or where an item of it is not understood and may allow anything.
    pub(in crate::core) fn new(list: &[Text]) -> Option<Self> {
        let items = list.iter().map(|item| Item::parse(item.as_str())).collect::<Option<Vec<_>>>()?;
        (!items.is_empty()).then_some(Self { items })
    }

    /// Whether a host's name is certainly outside. A list of addresses alone says nothing of it.
    pub(in crate::core) fn excludes_host(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        let mut patterns = self.items.iter().filter_map(Item::host).peekable();
        patterns.peek().is_some() && !patterns.any(|pattern| allows(pattern, &name))
    }

    /// Whether an address is certainly outside. A list of hosts alone says nothing of it.
    pub(in crate::core) fn excludes_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_any = self.items.iter().filter_map(Item::host).any(|pattern| pattern == "*");
        let mut ranges = self.items.iter().filter_map(Item::addresses).peekable();
        ranges.peek().is_some() && !is_any && !ranges.any(|(first, last)| is_between(address, first, last))
    }
}

impl Item {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Addresses(address.to_canonical(), address.to_canonical()));
        }
        if let Some((network, bits)) = text.split_once('/') {
            return cidr(network.trim().parse().ok()?, bits.trim().parse().ok()?);
        }
        if let Some((first, last)) = text.split_once('-')
            && let Ok(first) = first.trim().parse::<IpAddr>()
        {
            return range(first.to_canonical(), last.trim());
        }
        host(text)
    }

    fn host(&self) -> Option<&str> {
        match self {
            Self::Host(pattern) => Some(pattern),
            Self::Addresses(..) => None,
        }
    }

    fn addresses(&self) -> Option<(IpAddr, IpAddr)> {
        match self {
            Self::Host(_) => None,
            Self::Addresses(first, last) => Some((*first, *last)),
        }
    }
}

/// A pattern of labels of which at least one is no number: what is not, such as `10.0.0.*`, is none that is understood.
fn host(text: &str) -> Option<Item> {
    let pattern = text.trim_end_matches('.').to_ascii_lowercase();
    let pattern = if pattern.starts_with('.') { format!("*{pattern}") } else { pattern };
    let is_plain = |label: &str| {
        !label.is_empty() && label.bytes().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'*'))
    };
    let has_letters = |label: &str| label.bytes().any(|c| c.is_ascii_alphabetic());
    let is_host = pattern == "*" || (pattern.split('.').all(is_plain) && pattern.split('.').any(has_letters));
    let is_word = ["any", "all", "none"].contains(&pattern.as_str());
    let is_short = pattern.matches('*').count() <= MOST_STARS;
    (is_host && !is_word && is_short).then_some(Item::Host(pattern))
}

/// `*.example.com` surely covers one label; whether it covers more, or `example.com` itself, is not known: it does.
fn allows(pattern: &str, name: &str) -> bool {
    pattern.strip_prefix("*.").is_some_and(|domain| domain == name) || matches(pattern, name)
}

fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    starts.filter_map(|at| rest.get(at..)).any(|rest| matches(tail, rest))
}

fn cidr(network: IpAddr, bits: u32) -> Option<Item> {
    if network.to_canonical() != network {
        return None;
    }
    let width: u32 = if network.is_ipv4() { 32 } else { 128 };
    let free = u128::MAX.checked_shr(128 - width.checked_sub(bits)?).unwrap_or(0);
    let (first, last) = (number(network) & !free, number(network) | free);
    Some(Item::Addresses(address(first, network)?, address(last, network)?))
}

/// To another address, or to another last number: `10.0.0.1-9`.
fn range(first: IpAddr, last: &str) -> Option<Item> {
    let last = match (last.parse::<IpAddr>(), first) {
        (Ok(last), _) => last.to_canonical(),
        (Err(_), IpAddr::V4(start)) => {
            let [a, b, c, _] = start.octets();
            IpAddr::from([a, b, c, last.parse().ok()?])
        }
        (Err(_), IpAddr::V6(_)) => return None,
    };
    (first.is_ipv4() == last.is_ipv4() && first <= last).then_some(Item::Addresses(first, last))
}

fn is_between(address: IpAddr, first: IpAddr, last: IpAddr) -> bool {
    address.is_ipv4() == first.is_ipv4() && first <= address && address <= last
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(four) => u128::from(u32::from(four)),
        IpAddr::V6(six) => u128::from(six),
    }
}

fn address(number: u128, like: IpAddr) -> Option<IpAddr> {
    match like {
        IpAddr::V4(_) => u32::try_from(number).ok().map(|number| IpAddr::from(number.to_be_bytes())),
        IpAddr::V6(_) => Some(IpAddr::from(number.to_be_bytes())),
    }
}

/// More would take long to compare, and are in no list.
const MOST_STARS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(list: &[&str], name: &str, expected: bool) {
        let list: Vec<Text> = list.iter().map(|item| Text::new(item)).collect();
        let excludes = Allowed::new(&list).is_some_and(|allowed| match name.parse() {
            Ok(address) => allowed.excludes_address(address),
            Err(_) => allowed.excludes_host(name),
        });
        assert_eq!(excludes, expected, "{list:?} {name}");
    }

    #[test]
    fn a_host_outside_is_told_and_what_is_not_certain_is_not() {
        let wildcard = ["*.digicert.com"];
        for inside in ["www.digicert.com", "WWW.DigiCert.com.", "a.b.digicert.com", "digicert.com", "*.digicert.com"] {
            check(&wildcard, inside, false);
        }
        for outside in ["www.example.com", "evildigicert.com", "digicert.com.example.org", "com"] {
            check(&wildcard, outside, true);
        }
        check(&["Www.Example.com"], "www.example.com", false);
        check(&["example.com"], "www.example.com", true);
        check(&["www.example.com"], "*.example.com", true);
        check(&[".example.com"], "www.example.com", false);
        check(&["w*.example.com"], "www.example.com", false);
        check(&["w*.example.com"], "mail.example.com", true);
        check(&["*"], "anything.example", false);
        check(&["printer"], "printer", false);
        check(&["*.digicert.com", "example.com"], "example.com", false);
    }

    #[test]
    fn an_address_outside_is_told() {
        for (item, inside, outside) in [
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.1.2.3/8", "10.0.0.0", "9.255.255.255"),
            ("10.0.0.1/32", "10.0.0.1", "10.0.0.2"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("10.0.0.1-10.0.0.9", "10.0.0.9", "10.0.0.10"),
            ("10.0.0.1 - 10.0.0.9", "10.0.0.1", "10.0.0.0"),
            ("10.0.0.1-9", "10.0.0.5", "10.0.0.10"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("2001:db8::1-2001:db8::9", "2001:db8::5", "2001:db8::a"),
        ] {
            check(&[item], inside, false);
            check(&[item], outside, true);
            check(&[item, "*.example.com"], outside, true);
        }
        check(&["0.0.0.0/0"], "192.0.2.7", false);
        check(&["0.0.0.0/0"], "2001:db8::1", true);
        check(&["::/0"], "2001:db8::1", false);
        check(&["::ffff:192.0.2.7"], "192.0.2.7", false);
        check(&["*", "10.0.0.0/8"], "192.0.2.7", false);
    }

    #[test]
    fn a_list_of_the_other_kind_alone_says_nothing() {
        check(&["*.example.com"], "192.0.2.7", false);
        check(&["10.0.0.0/8"], "www.example.com", false);
        check(&[], "www.example.com", false);
    }

    #[test]
    fn an_item_that_is_not_understood_holds_nothing_back() {
        for odd in [
            r"^.*\.example\.org$",
            "bücher.example",
            "https://example.org",
            "10.0.0.0/255.0.0.0",
            "10.0.0.0/33",
            "10.0.0.9-10.0.0.1",
            "10.0.0.1-2001:db8::1",
            "10.0.0.*",
            "a@example.org",
            "any",
            "a..b",
            "",
            "[a-z].example.org",
            "*a*b*c*d.example.org",
            "::ffff:10.0.0.0/104",
        ] {
            check(&["*.digicert.com", "10.0.0.0/8", odd], "www.example.com", false);
            check(&["*.digicert.com", "10.0.0.0/8", odd], "192.0.2.7", false);
        }
    }
}
