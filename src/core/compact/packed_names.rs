//! Whom an entry's certificate is for, packed into one piece of memory: most of what entries do not share are such texts.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use crate::core::wanted::sans::{OtherName, OtherValue, Sans};

/// Whom a certificate is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// TLM's seat id, where the entry names one.
    pub own_seat: Option<String>,
    /// The common name.
    pub common_name: Option<String>,
    /// The subject alternative names.
    pub names: Sans,
}

/// A [`Naming`] in one piece of memory: each text behind a byte that says what it is, and its length.
#[derive(Clone, PartialEq, Eq)]
pub struct PackedNaming(Box<[u8]>);

const OWN_SEAT: u8 = 0;
const COMMON_NAME: u8 = 1;
const DNS_NAME: u8 = 2;
const IP_ADDRESS: u8 = 3;
const EMAIL: u8 = 4;
const URI: u8 = 5;
const USER_PRINCIPAL_NAME: u8 = 6;
const REGISTERED_ID: u8 = 7;
const DIRECTORY_NAME: u8 = 8;
const GUID: u8 = 9;
const OTHER_NAME: u8 = 10;

impl From<&Naming> for PackedNaming {
    fn from(naming: &Naming) -> Self {
        let mut packed = Vec::new();
        let mut put = |kind: u8, text: &[u8]| {
            packed.push(kind);
            let mut length = text.len();
            while length > 0x7F {
                packed.push(0x80 | u8::try_from(length & 0x7F).unwrap_or_default());
                length >>= 7;
            }
            packed.push(u8::try_from(length).unwrap_or_default());
            packed.extend_from_slice(text);
        };
        let Naming { own_seat, common_name, names } = naming;
        own_seat.iter().for_each(|seat| put(OWN_SEAT, seat.as_bytes()));
        common_name.iter().for_each(|name| put(COMMON_NAME, name.as_bytes()));
        each_of(names, put);
        Self(packed.into())
    }
}

/// The items of the alternative names, in the order in which they are packed.
fn each_of(names: &Sans, mut put: impl FnMut(u8, &[u8])) {
    names.dns_names.iter().for_each(|name| put(DNS_NAME, name.as_bytes()));
    for address in names.ip_addresses.iter() {
        match address {
            IpAddr::V4(address) => put(IP_ADDRESS, &address.octets()),
            IpAddr::V6(address) => put(IP_ADDRESS, &address.octets()),
        }
    }
    names.emails.iter().for_each(|email| put(EMAIL, email.as_bytes()));
    names.uris.iter().for_each(|uri| put(URI, uri.as_bytes()));
    let others = &names.others;
    others.user_principal_names.iter().for_each(|name| put(USER_PRINCIPAL_NAME, name.as_bytes()));
    others.registered_ids.iter().for_each(|id| put(REGISTERED_ID, id.as_bytes()));
    others.directory_names.iter().for_each(|name| put(DIRECTORY_NAME, name.as_bytes()));
    others.guids.iter().for_each(|guid| put(GUID, guid.as_bytes()));
    others.other_names.iter().for_each(|name| put(OTHER_NAME, joined(name).as_bytes()));
}

impl From<Naming> for PackedNaming {
    fn from(naming: Naming) -> Self {
        Self::from(&naming)
    }
}

impl From<&PackedNaming> for Naming {
    fn from(packed: &PackedNaming) -> Self {
        let mut naming = Self::default();
        for (kind, bytes) in packed.items() {
            let text = || text(bytes).to_owned();
            match kind {
                OWN_SEAT => naming.own_seat = Some(text()),
                COMMON_NAME => naming.common_name = Some(text()),
                DNS_NAME => naming.names.dns_names.push(text()),
                IP_ADDRESS => naming.names.ip_addresses.extend(address(bytes)),
                EMAIL => naming.names.emails.push(text()),
                URI => naming.names.uris.push(text()),
                USER_PRINCIPAL_NAME => naming.names.others.user_principal_names.push(text()),
                REGISTERED_ID => naming.names.others.registered_ids.push(text()),
                DIRECTORY_NAME => naming.names.others.directory_names.push(text()),
                GUID => naming.names.others.guids.push(text()),
                _ => naming.names.others.other_names.push(parted(&text())),
            }
        }
        naming
    }
}

impl PackedNaming {
    /// The common name.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.of_kind(COMMON_NAME).next()
    }

    /// The DNS names.
    pub fn dns_names(&self) -> impl Iterator<Item = &str> {
        self.of_kind(DNS_NAME)
    }

    /// Whether the alternative names are these, in this order. It is asked at each look: nothing is unpacked for it.
    #[must_use]
    pub fn names_are(&self, names: &Sans) -> bool {
        let mut items = self.items().filter(|(kind, _)| *kind >= DNS_NAME);
        let mut is_same = true;
        each_of(names, |kind, bytes| is_same &= items.next() == Some((kind, bytes)));
        is_same && items.next().is_none()
    }

    /// How many alternative names there are of each kind, by TLM's keys.
    #[must_use]
    pub fn counts(&self) -> [(&'static str, usize); 8] {
        let mut counts = KINDS.map(|kind| (kind, 0));
        let place = |kind: u8| usize::from(kind.min(GUID)).checked_sub(usize::from(DNS_NAME));
        for place in self.items().filter_map(|(kind, _)| place(kind)) {
            if let Some((_, count)) = counts.get_mut(place) {
                *count += 1;
            }
        }
        counts
    }

    /// TLM's seat id: the entry's own, else the common name, else its first name. Empty where it names nobody, which no
    /// checked entry does.
    #[must_use]
    pub fn seat(&self) -> Cow<'_, str> {
        // It is the order in which they are packed.
        match self.items().next() {
            Some((IP_ADDRESS, bytes)) => address(bytes).map_or_else(String::new, |address| address.to_string()).into(),
            Some((_, bytes)) => text(bytes).split(BETWEEN).next().unwrap_or_default().into(),
            None => "".into(),
        }
    }

    fn of_kind(&self, wanted: u8) -> impl Iterator<Item = &str> {
        self.items().filter(move |(kind, _)| *kind == wanted).map(|(_, bytes)| text(bytes))
    }

    fn items(&self) -> impl Iterator<Item = (u8, &[u8])> {
        let mut rest = &*self.0;
        std::iter::from_fn(move || {
            let (kind, mut behind) = rest.split_first()?;
            let (mut length, mut shift) = (0, 0);
            loop {
                let (byte, more) = behind.split_first()?;
                (length, shift, behind) = (length | usize::from(byte & 0x7F) << shift, shift + 7, more);
                if byte & 0x80 == 0 {
                    break;
                }
            }
            let (item, behind) = behind.split_at_checked(length)?;
            rest = behind;
            Some((*kind, item))
        })
    }
}

impl fmt::Debug for PackedNaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Naming::from(self).fmt(f)
    }
}

/// TLM's keys for the kinds of names, in the order in which they are packed; GUIDs and those of other types share one.
const KINDS: [&str; 8] = [
    "dns_names",
    "ip_addresses",
    "emails",
    "uris",
    "user_principal_names",
    "registered_ids",
    "directory_name",
    "other_names",
];

/// A name of another type as one text.
fn joined(name: &OtherName) -> String {
    let values = name.values.iter().flat_map(|value| [&*value.label, &*value.value]);
    std::iter::once(&*name.oid).chain(values).collect::<Vec<_>>().join(BETWEEN)
}

fn parted(text: &str) -> OtherName {
    let mut parts = text.split(BETWEEN).map(str::to_owned);
    let oid = parts.next().unwrap_or_default();
    let mut values = Vec::new();
    while let (Some(label), Some(value)) = (parts.next(), parts.next()) {
        values.push(OtherValue { label, value });
    }
    OtherName { oid, values }
}

/// In no text of an entry.
const BETWEEN: &str = "\0";

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::wanted::sans::OtherSans;

    fn others() -> OtherSans {
        let value = |label: &str, value: &str| OtherValue { label: label.to_owned(), value: value.to_owned() };
        let name = |values| OtherName { oid: "1.2.3".to_owned(), values };
        OtherSans {
            user_principal_names: vec!["host@corp.example".to_owned()],
            registered_ids: vec!["1.2.3.4".to_owned(), "1.2.3.5".to_owned()],
            directory_names: vec!["CN=host,O=Example".to_owned()],
            guids: vec!["00112233-4455-6677-8899-aabbccddeeff".to_owned()],
            other_names: vec![name(vec![value("a", "b"), value("", "c")]), name(Vec::new())],
        }
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let names = Sans {
            dns_names: vec!["a.example.com".to_owned(), "b.example.com".to_owned()],
            ip_addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()].into(),
            emails: vec!["a@example.com".to_owned()].into(),
            uris: vec![format!("https://example.com/{}", "ä\0\n".repeat(30_000)), String::new()].into(),
            others: others().into(),
        };
        for naming in [
            Naming { own_seat: Some("seat".to_owned()), common_name: Some("x".repeat(127)), names: names.clone() },
            Naming { own_seat: None, common_name: Some("x".repeat(128)), names: Sans::default() },
            Naming { own_seat: None, common_name: None, names },
            Naming::default(),
        ] {
            let packed = PackedNaming::from(&naming);
            assert_eq!(Naming::from(&packed), naming);
            assert_eq!(packed.common_name(), naming.common_name.as_deref());
            assert!(packed.dns_names().eq(&naming.names.dns_names));
            let Sans { dns_names, ip_addresses, emails, uris, others } = &naming.names;
            let counts = [
                dns_names.len(),
                ip_addresses.len(),
                emails.len(),
                uris.len(),
                others.user_principal_names.len(),
                others.registered_ids.len(),
                others.directory_names.len(),
                others.guids.len() + others.other_names.len(),
            ];
            assert_eq!(packed.counts().map(|(_, count)| count), counts);
        }
    }

    #[test]
    fn the_seat_is_what_the_entry_names_first() {
        let address = || vec!["192.0.2.1".parse().unwrap()].into();
        let named = |own_seat: Option<&str>, common_name: Option<&str>, names| {
            let own = |text: Option<&str>| text.map(str::to_owned);
            PackedNaming::from(Naming { own_seat: own(own_seat), common_name: own(common_name), names })
                .seat()
                .into_owned()
        };
        let email = Sans { emails: vec!["a@example.com".to_owned()].into(), ..Sans::default() };
        assert_eq!(named(Some("s"), Some("c"), Sans::default()), "s");
        assert_eq!(named(None, Some("c"), email.clone()), "c");
        assert_eq!(named(None, None, Sans { ip_addresses: address(), ..email.clone() }), "192.0.2.1");
        assert_eq!(named(None, None, email), "a@example.com");
        let rare = |others: OtherSans| named(None, None, Sans { others: others.into(), ..Sans::default() });
        assert_eq!(rare(others()), "host@corp.example");
        assert_eq!(rare(OtherSans { other_names: others().other_names, ..OtherSans::default() }), "1.2.3");
    }
}
