//! Each form of name against its constraints, as OpenSSL compares them.

use super::*;

fn within(name: &GeneralName<'_>, base: &GeneralName<'_>) -> Option<bool> {
    is_within(name, base)
}

#[test]
fn a_dns_name_lies_at_or_below_its_base() {
    let check = |name, base, expected| {
        let found = within(&GeneralName::DNSName(name), &GeneralName::DNSName(base));
        assert_eq!(found, Some(expected), "{name} in {base}");
    };
    check("example.com", "example.com", true);
    check("WWW.Example.com", "example.COM", true);
    check("*.example.com", "example.com", true);
    check("badexample.com", "example.com", false);
    check("com", "example.com", false);
    check("www.example.com", ".example.com", true);
    check("example.com", ".example.com", false);
    check("anything", "", true);
}

#[test]
fn an_address_of_mail_is_of_a_box_a_host_or_a_domain() {
    let check = |name, base, expected| {
        let found = within(&GeneralName::RFC822Name(name), &GeneralName::RFC822Name(base));
        assert_eq!(found, expected, "{name} in {base}");
    };
    check("a@example.com", "a@EXAMPLE.com", Some(true));
    check("A@example.com", "a@example.com", Some(false));
    check("a@example.com", "@example.com", Some(true));
    check("a@example.com", "example.com", Some(true));
    check("a@mail.example.com", "example.com", Some(false));
    check("a@mail.example.com", ".example.com", Some(true));
    check("a@example.com", ".example.com", Some(false));
    check("example.com", "example.com", None);
}

#[test]
fn a_uri_is_of_its_host() {
    let check = |name, base, expected| {
        let found = within(&GeneralName::URI(name), &GeneralName::URI(base));
        assert_eq!(found, expected, "{name} in {base}");
    };
    check("https://example.com/a", "example.com", Some(true));
    check("https://example.com:8443/a", "EXAMPLE.com", Some(true));
    check("https://www.example.com/", "example.com", Some(false));
    check("https://www.example.com", ".example.com", Some(true));
    check("spiffe://example.com/app", "example.org", Some(false));
    check("urn:x", "example.com", None);
    check("https:///a", "example.com", None);
}

#[test]
fn an_ip_address_is_compared_under_its_mask() {
    let check = |name: &[u8], base: &[u8], expected| {
        assert_eq!(
            within(&GeneralName::IPAddress(name), &GeneralName::IPAddress(base)),
            expected,
            "{name:?} in {base:?}"
        );
    };
    check(&[192, 0, 2, 7], &[192, 0, 2, 0, 255, 255, 255, 0], Some(true));
    check(&[192, 0, 3, 7], &[192, 0, 2, 0, 255, 255, 255, 0], Some(false));
    check(&[0; 16], &[192, 0, 2, 0, 255, 255, 255, 0], Some(false));
    check(&[0; 16], &[0; 32], Some(true));
    check(&[0; 5], &[0; 8], None);
    check(&[0; 4], &[0; 7], None);
}

#[test]
fn kinds_that_nobody_compares_are_told() {
    let oid = || x509_parser::oid_registry::OID_X509_COMMON_NAME;
    assert_eq!(within(&GeneralName::RegisteredID(oid()), &GeneralName::RegisteredID(oid())), None);
    assert_eq!(within(&GeneralName::OtherName(oid(), &[]), &GeneralName::OtherName(oid(), &[])), None);
}

/// As OpenSSL 3 has it; webpki, which cannot tell the types apart, has its say of the path.
#[test]
fn a_name_of_another_type_is_not_constrained() {
    use x509_parser::oid_registry::{OID_X509_COMMON_NAME as ONE, OID_X509_COUNTRY_NAME as OTHER};
    let bases = || vec![GeneralName::OtherName(ONE, &[])];
    for constraints in [
        Constraints { permitted: bases(), excluded: Vec::new() },
        Constraints { permitted: Vec::new(), excluded: bases() },
    ] {
        assert_eq!(constraints.check_name(&GeneralName::OtherName(OTHER, &[])), Ok(()));
        let same = constraints.check_name(&GeneralName::OtherName(ONE, &[]));
        assert!(matches!(same, Err(Violation::Incomparable(_))), "{same:?}");
    }
}

#[test]
fn only_whole_constraints_are_read() {
    let check = |der: &[u8], expected: Option<(usize, usize)>| {
        let found = Constraints::read(der).map(|found| (found.permitted.len(), found.excluded.len()));
        assert_eq!(found, expected, "{der:02x?}");
    };
    let name = [0x30, 0x04, 0x82, 0x02, b'a', b'b'];
    let list = |tag: u8, parts: &[u8]| {
        [&[0x30, u8::try_from(parts.len()).unwrap() + 2, tag][..], &[u8::try_from(parts.len()).unwrap()], parts]
            .concat()
    };
    check(&list(0xa0, &name), Some((1, 0)));
    check(&list(0xa1, &[name, name].concat()), Some((0, 2)));
    check(&[0x30, 0x00], Some((0, 0)));
    check(&list(0xa2, &name), None);
    check(&list(0xa0, &[0x30, 0x07, 0x82, 0x02, b'a', b'b', 0x80, 0x01, 0x01]), None);
    check(&list(0xa0, &[0x30, 0x04, 0x82, 0x02, 0xff, 0xff]), None);
    check(&[list(0xa0, &name), vec![0]].concat(), None);
    check(&[], None);
    let whole = list(0xa0, &name);
    (1..whole.len()).for_each(|end| check(&whole[..end], None));
}
