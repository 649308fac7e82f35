//! Name constraints on the path.

use super::*;

fn permit(ca: &mut CertificateParams, subtrees: Vec<GeneralSubtree>) {
    ca.name_constraints = Some(NameConstraints { permitted_subtrees: subtrees, excluded_subtrees: vec![] });
}

fn exclude(ca: &mut CertificateParams, subtrees: Vec<GeneralSubtree>) {
    ca.name_constraints = Some(NameConstraints { permitted_subtrees: vec![], excluded_subtrees: subtrees });
}

fn dns(name: &str) -> GeneralSubtree {
    GeneralSubtree::DnsName(name.to_owned())
}

fn email(name: &str) -> GeneralSubtree {
    GeneralSubtree::Rfc822Name(name.to_owned())
}

fn network(address: [u8; 4]) -> GeneralSubtree {
    GeneralSubtree::IpAddress(CidrSubnet::V4(address, [255, 255, 255, 0]))
}

fn directory(organization: &str) -> GeneralSubtree {
    let mut name = DistinguishedName::new();
    name.push(DnType::OrganizationName, organization);
    GeneralSubtree::DirectoryName(name)
}

/// The subject of the leaf begins with an organization.
fn of_organization(leaf: &mut CertificateParams) {
    leaf.distinguished_name = DistinguishedName::new();
    leaf.distinguished_name.push(DnType::OrganizationName, "Example AG");
    leaf.distinguished_name.push(DnType::CommonName, "www.example.com");
}

const RARE: &str = "accepted, path-unjudged: some TLS clients may refuse the path: the name constraints of \"Issuing\" are \
                    not only about DNS names and addresses";
const NOT_WWW: &str = "refused: the name constraints of \"Issuing\" do not allow www.example.com";
const NOT_ADDRESS: &str = "refused: the name constraints of \"Issuing\" do not allow 192.0.2.1";

const NAME_CONSTRAINTS: &[Case] = &[
    case("nothing is constrained", "accepted"),
    case("a permitted domain", "accepted").issuing(|ca| permit(ca, vec![dns("example.com")])),
    case("a permitted domain of the root", "accepted").root(|ca| permit(ca, vec![dns("example.com")])),
    case("one of two permitted domains", "accepted").issuing(|ca| permit(ca, vec![dns("a.example"), dns("example.com")])),
    case("another domain is permitted", NOT_WWW).issuing(|ca| permit(ca, vec![dns("example.net")])),
    case("the root permits another domain", "refused: the name constraints of \"Root\" do not allow www.example.com")
        .root(|ca| permit(ca, vec![dns("example.net")])),
    case("an excluded domain", NOT_WWW).issuing(|ca| exclude(ca, vec![dns("example.com")])),
    case("the root excludes the domain", "refused: the name constraints of \"Root\" do not allow www.example.com")
        .root(|ca| exclude(ca, vec![dns("example.com")])),
    case("another domain is excluded", "accepted").issuing(|ca| exclude(ca, vec![dns("example.net")])),
    case("a label is not part of a domain", NOT_WWW).issuing(|ca| permit(ca, vec![dns("ample.com")])),
    case("a wildcard in a permitted domain", "accepted")
        .issuing(|ca| permit(ca, vec![dns("example.com")]))
        .leaf(|leaf| leaf.subject_alt_names = vec![SanType::DnsName("*.example.com".try_into().unwrap())]),
    case(
        "a wildcard over an excluded name",
        "refused: the name constraints of the path do not allow a name of the certificate",
    )
    .issuing(|ca| exclude(ca, vec![dns("www.example.com")]))
    .leaf(|leaf| leaf.subject_alt_names = vec![SanType::DnsName("*.example.com".try_into().unwrap())])
    .differs("openssl compares the wildcard as a label; webpki sees that it covers the name"),
    case("no DNS name may be there", NOT_WWW).issuing(|ca| exclude(ca, vec![dns("")])),
    case("a common name is a host where no DNS name is", NOT_WWW)
        .issuing(|ca| permit(ca, vec![dns("example.net")]))
        .leaf(|leaf| leaf.subject_alt_names.retain(|name| matches!(name, SanType::IpAddress(_)))),
    case("a permitted network", "accepted").issuing(|ca| permit(ca, vec![network([192, 0, 2, 0])])),
    case("another network is permitted", NOT_ADDRESS).issuing(|ca| permit(ca, vec![network([192, 0, 3, 0])])),
    case("an excluded network", NOT_ADDRESS).issuing(|ca| exclude(ca, vec![network([192, 0, 2, 0])])),
    case("another network is excluded", "accepted").issuing(|ca| exclude(ca, vec![network([192, 0, 3, 0])])),
    case("the other family is permitted", NOT_ADDRESS).issuing(|ca| {
        permit(ca, vec![GeneralSubtree::IpAddress(CidrSubnet::V6([0; 16], [0; 16]))]);
    }),
    case(
        "a mask with holes",
        "accepted, path-unjudged: some TLS clients may refuse the path: a mask in the name constraints is not contiguous",
    )
    .issuing(|ca| permit(ca, vec![GeneralSubtree::IpAddress(CidrSubnet::V4([192, 0, 2, 1], [255, 0, 255, 255]))])),
    case("a permitted mail host", RARE).issuing(|ca| permit(ca, vec![email("example.com")])).leaf(|leaf| {
        leaf.subject_alt_names.push(SanType::Rfc822Name("a@example.com".try_into().unwrap()));
    }),
    case("mail is constrained and none is there", "accepted").issuing(|ca| permit(ca, vec![email("example.com")])),
    case("another mail host is permitted", "refused: the name constraints of \"Issuing\" do not allow a@example.com")
        .issuing(|ca| permit(ca, vec![email("example.net")]))
        .leaf(|leaf| leaf.subject_alt_names.push(SanType::Rfc822Name("a@example.com".try_into().unwrap()))),
    case("an excluded mail box", "refused: the name constraints of \"Issuing\" do not allow a@example.com")
        .issuing(|ca| exclude(ca, vec![email("a@example.com")]))
        .leaf(|leaf| leaf.subject_alt_names.push(SanType::Rfc822Name("a@example.com".try_into().unwrap()))),
    case("another mail box is excluded", RARE).issuing(|ca| exclude(ca, vec![email("b@example.com")])).leaf(|leaf| {
        leaf.subject_alt_names.push(SanType::Rfc822Name("a@example.com".try_into().unwrap()));
    }),
    case("mail in the subject", "refused: the name constraints of \"Issuing\" do not allow a@example.com")
        .issuing(|ca| exclude(ca, vec![email("example.com")]))
        .leaf(|leaf| {
            let address = rcgen::DnValue::Ia5String("a@example.com".try_into().unwrap());
            leaf.distinguished_name.push(DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]), address);
        }),
    case("a permitted part of the directory", RARE)
        .issuing(|ca| permit(ca, vec![directory("Example AG")]))
        .leaf(of_organization),
    case(
        "another part of the directory is permitted",
        "refused: the name constraints of \"Issuing\" do not allow the name O=Example AG, CN=www.example.com",
    )
    .issuing(|ca| permit(ca, vec![directory("Other AG")]))
    .leaf(of_organization),
    case(
        "an excluded part of the directory",
        "refused: the name constraints of \"Issuing\" do not allow the name O=Example AG, CN=www.example.com",
    )
    .issuing(|ca| exclude(ca, vec![directory("Example AG")]))
    .leaf(of_organization),
    case("another part of the directory is excluded", RARE)
        .issuing(|ca| exclude(ca, vec![directory("Other AG")]))
        .leaf(of_organization),
    case(
        "the root's constraints hold for the CAs below it",
        "refused: the name constraints of \"Root\" do not allow the name CN=Issuing in \"Issuing\"",
    )
    .root(|ca| permit(ca, vec![directory("Example AG")]))
    .leaf(of_organization),
    case("a permitted host of a URI", RARE)
        .issuing(|ca| uri_constraint(ca, b"app.example"))
        .leaf(|leaf| leaf.subject_alt_names.push(SanType::URI("spiffe://app.example/a".try_into().unwrap()))),
    case(
        "another host of a URI is permitted",
        "refused: the name constraints of \"Issuing\" do not allow spiffe://app.example/a",
    )
    .issuing(|ca| uri_constraint(ca, b"app.other.example"))
    .leaf(|leaf| leaf.subject_alt_names.push(SanType::URI("spiffe://app.example/a".try_into().unwrap()))),
    case(
        "names of a kind that nobody compares",
        "refused: the name constraints of \"Issuing\" are about a name of the kind 1.2.3.4, which TLS clients cannot \
         compare",
    )
    .issuing(|ca| {
        let other_name = [0x30, 0x0f, 0xa0, 0x0d, 0x30, 0x0b, 0xa0, 0x09, 0x06, 0x03, 42, 3, 4, 0xa0, 0x02, 5, 0];
        extension(ca, &[2, 5, 29, 30], &other_name, true);
    })
    .leaf(|leaf| {
        let name = OtherNameValue::Utf8String("x".to_owned());
        leaf.subject_alt_names.push(SanType::OtherName((vec![1, 2, 3, 4], name)));
    }),
    case(
        "another name of another type than is excluded",
        "accepted, path-unjudged: some TLS clients may refuse the path: the name constraints of \"Issuing\" are not \
         only about DNS names and addresses",
    )
    .issuing(|ca| {
        let other_name = [0x30, 0x0f, 0xa1, 0x0d, 0x30, 0x0b, 0xa0, 0x09, 0x06, 0x03, 42, 3, 5, 0xa0, 0x02, 5, 0];
        extension(ca, &[2, 5, 29, 30], &other_name, true);
    })
    .leaf(|leaf| {
        let name = OtherNameValue::Utf8String("x".to_owned());
        leaf.subject_alt_names.push(SanType::OtherName((vec![1, 2, 3, 4], name)));
    }),
    case("no name of the kind that is excluded", "accepted").issuing(|ca| {
        let other_name = [0x30, 0x0f, 0xa1, 0x0d, 0x30, 0x0b, 0xa0, 0x09, 0x06, 0x03, 42, 3, 5, 0xa0, 0x02, 5, 0];
        extension(ca, &[2, 5, 29, 30], &other_name, true);
    }),
    case("malformed constraints", "refused: \"Issuing\": the nameConstraints of the certificate is malformed")
        .issuing(|ca| extension(ca, &[2, 5, 29, 30], &NULL, true)),
    case("constraints with a minimum", "refused: \"Issuing\": the nameConstraints of the certificate is malformed")
        .issuing(|ca| {
            let minimum = [0x30, 0x0b, 0xa0, 0x09, 0x30, 0x07, 0x82, 0x02, b'a', b'b', 0x80, 0x01, 0x01];
            extension(ca, &[2, 5, 29, 30], &minimum, true);
        }),
];

fn uri_constraint(ca: &mut CertificateParams, host: &[u8]) {
    let part = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    extension(ca, &[2, 5, 29, 30], &part(0x30, &part(0xa0, &part(0x30, &part(0x86, host)))), true);
}

#[test]
fn name_constraints_are_obeyed() {
    check_all(NAME_CONSTRAINTS);
}
