//! The gate against a suite of paths in the manner of x509-limbo: each case changes one thing on a path of root, upper CA
//! and leaf, and says what the gate says. Where the openssl command is installed it is the arbiter: what it refuses is not
//! accepted, what it takes is not refused, or the case says why.

use std::process::Command;

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, CustomExtension, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, KeyPair, KeyUsagePurpose, NameConstraints, OtherNameValue, SanType,
    SigningKey,
};

use super::*;
use crate::core::wanted::key::KeyType;
use crate::pki::key::PrivateKey;
use crate::pki::openssl::file;
use crate::pki::test_ca::{Ca, NOW, leaf_params, valid};

const DAY: i64 = 86_400;
type Change = fn(&mut CertificateParams);

/// What is changed on the path.
struct Case {
    name: &'static str,
    root: Change,
    issuing: Change,
    leaf: Change,
    wanted: &'static str,
    says: &'static str,
    /// Why openssl says something else.
    differs: Option<&'static str>,
}

const fn case(name: &'static str, says: &'static str) -> Case {
    Case { name, root: |_| {}, issuing: |_| {}, leaf: |_| {}, wanted: "server_auth", says, differs: None }
}

impl Case {
    const fn root(self, root: Change) -> Self {
        Self { root, ..self }
    }

    const fn issuing(self, issuing: Change) -> Self {
        Self { issuing, ..self }
    }

    const fn leaf(self, leaf: Change) -> Self {
        Self { leaf, ..self }
    }

    const fn wanted(self, wanted: &'static str) -> Self {
        Self { wanted, ..self }
    }

    const fn differs(self, why: &'static str) -> Self {
        Self { differs: Some(why), ..self }
    }

    fn failure(&self) -> Option<String> {
        let key = || KeyPair::generate().unwrap();
        let root = Ca::root_with("Root", key(), self.root);
        let issuing = root.below_with("Issuing", key(), self.issuing);
        let mut params = leaf_params(&["www.example.com", "192.0.2.1"]);
        params.distinguished_name.push(DnType::CommonName, "www.example.com");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        (self.leaf)(&mut params);
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let leaf = issuing.leaf(&key, &params);
        let pile = Pile { root: root.certificate, between: vec![issuing.certificate], leaf, wanted: self.wanted };
        pile.failure(self.says, self.differs).map(|failure| format!("{}: {failure}", self.name))
    }
}

/// Certificates as they come, with the root that clients have.
struct Pile {
    root: Certificate,
    between: Vec<Certificate>,
    leaf: Certificate,
    wanted: &'static str,
}

impl Pile {
    fn failure(&self, says: &str, differs: Option<&str>) -> Option<String> {
        let verdict = self.verdict();
        if shown(&verdict) != says {
            return Some(format!("the gate says {:?}, not {says:?}", shown(&verdict)));
        }
        let takes = self.arbiter()?;
        let agrees = match verdict {
            Verdict::Accepted(_) | Verdict::NotYetValid { .. } => takes,
            Verdict::Refused(_) | Verdict::Held { .. } => !takes,
        };
        (agrees != differs.is_none()).then(|| format!("openssl {}", if takes { "takes it" } else { "refuses it" }))
    }

    /// The names are not what this suite is about: those that came were asked for.
    fn verdict(&self) -> Verdict {
        let facts = crate::pki::leaf::read(&self.leaf).unwrap();
        let usages: Vec<_> = self.wanted.split(' ').filter_map(Usage::parse).collect();
        let demand = Demand {
            common_name: facts.common_name.as_deref(),
            names: &facts.names,
            subject: &Subject::new(),
            subject_from: SubjectFrom::Ca,
            exact_names: false,
            usages: &usages,
            issuers: &[],
            pin: None,
            installed_issuer: None,
            validity_asked: None,
            must_outlive: None,
            now: NOW,
        };
        let pool: Vec<_> = [&self.leaf, &self.root].into_iter().chain(&self.between).cloned().collect();
        judge(&Candidate { certificates: &pool, key: self.leaf.spki() }, &demand)
    }

    /// Whether openssl takes the path; `None`: it is not installed.
    fn arbiter(&self) -> Option<bool> {
        let between: String = self.between.iter().map(Certificate::to_pem).collect();
        let (_one, root) = file("root.pem", self.root.to_pem().as_bytes());
        let (_two, between) = file("between.pem", between.as_bytes());
        let (_three, leaf) = file("leaf.pem", self.leaf.to_pem().as_bytes());
        let purpose = if self.wanted == "client_auth" { "sslclient" } else { "sslserver" };
        let mut command = Command::new("openssl");
        command.args(["verify", "-purpose", purpose, "-attime", &NOW.seconds().to_string(), "-CAfile"]);
        command.arg(root).arg("-untrusted").arg(between).arg(leaf);
        command.output().ok().map(|output| output.status.success())
    }
}

fn shown(verdict: &Verdict) -> String {
    let listed = |texts: &[Text]| texts.iter().map(Text::as_str).collect::<Vec<_>>().join(" | ");
    let told = |set: &Set| {
        let is_of_path = |remark: &&Remark| remark.code != Code::ExtraNames;
        let told = set.remarks.iter().filter(is_of_path).map(|remark| format!(", {}: {}", remark.code, remark.message));
        told.collect::<String>()
    };
    match verdict {
        Verdict::Accepted(set) => format!("accepted{}", told(set)),
        Verdict::NotYetValid { until, .. } => format!("not before {until}"),
        Verdict::Held { why, .. } => format!("held: {why}"),
        Verdict::Refused(defects) => format!("refused: {}", listed(defects)),
    }
}

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

fn extension(params: &mut CertificateParams, oid: &[u64], content: &[u8], is_critical: bool) {
    let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
    extension.set_criticality(is_critical);
    params.custom_extensions.push(extension);
}

const NULL: [u8; 2] = [5, 0];
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

const USAGES: &[Case] = &[
    case("the CA has the usage", "accepted").issuing(|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
    case("the CA has more usages", "accepted").issuing(|ca| {
        ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    }),
    case(
        "the CA lacks the usage",
        "refused: CA \"Issuing\" may not issue for server authentication: its extended key usages are client_auth",
    )
    .issuing(|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
    case(
        "the root lacks the usage",
        "refused: CA \"Root\" may not issue for server authentication: its extended key usages are client_auth",
    )
    .root(|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
    case(
        "any is not the usage",
        "refused: CA \"Issuing\" may not issue for server authentication: its extended key usages are any",
    )
    .issuing(|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
    case("the leaf names none", "accepted").leaf(|leaf| leaf.extended_key_usages.clear()),
    case("the leaf lacks it", "held: usages are missing: server_auth; it has client_auth")
        .leaf(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
    case("the leaf has any", "held: usages are missing: server_auth; it has any")
        .leaf(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
    case("a client's", "accepted")
        .wanted("client_auth")
        .issuing(|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])
        .leaf(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
    case(
        "a client's by a CA for servers",
        "refused: CA \"Issuing\" may not issue for client authentication: its extended key usages are server_auth",
    )
    .wanted("client_auth")
    .issuing(|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth])
    .leaf(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
    case("for mail", "accepted")
        .wanted("email_protection")
        .issuing(|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection])
        .leaf(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection])
        .differs("it is no certificate of TLS, and openssl is asked as for a server's"),
    case("nothing is wanted, and the leaf is a client's", "accepted")
        .wanted("")
        .issuing(|ca| ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])
        .leaf(|leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])
        .differs("openssl is asked as for a server's"),
    case("an outdated name of the usage", "accepted, path-unjudged: some TLS clients may refuse the path: it names its \
         extended key usage in an outdated way")
        .issuing(|ca| {
            ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::Other(vec![2, 16, 840, 1, 113_730, 4, 1])];
        }),
    case(
        "the leaf's key may do nothing in TLS",
        "refused: \"www.example.com\" is not a certificate for server authentication: its key usage allows neither digital \
         signatures nor key encipherment nor key agreement",
    )
    .leaf(|leaf| leaf.key_usages = vec![KeyUsagePurpose::ContentCommitment]),
    case(
        "a client's key that only enciphers",
        "refused: \"www.example.com\" is not a certificate for client authentication: its key usage allows neither digital \
         signatures nor key agreement",
    )
    .wanted("client_auth")
    .leaf(|leaf| {
        leaf.key_usages = vec![KeyUsagePurpose::KeyEncipherment];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    }),
    case(
        "Netscape's type of a client",
        "refused: \"www.example.com\" is not a certificate for server authentication: its Netscape certificate type names \
         another purpose",
    )
    .leaf(|leaf| extension(leaf, &[2, 16, 840, 1, 113_730, 1, 1], &[3, 2, 7, 0x80], false)),
    case("Netscape's type of a server", "accepted")
        .leaf(|leaf| extension(leaf, &[2, 16, 840, 1, 113_730, 1, 1], &[3, 2, 6, 0x40], false)),
];

const EXTENSIONS: &[Case] = &[
    case("unknown in the leaf", "accepted").leaf(|leaf| extension(leaf, &[1, 2, 3], &NULL, false)),
    case(
        "unknown and critical in the leaf",
        "refused: an extension marked critical (OID 1.2.3) is unknown to TLS clients in \"www.example.com\"",
    )
    .leaf(|leaf| extension(leaf, &[1, 2, 3], &NULL, true)),
    case(
        "unknown and critical in the CA",
        "refused: an extension marked critical (OID 1.2.3) is unknown to TLS clients in \"Issuing\"",
    )
    .issuing(|ca| extension(ca, &[1, 2, 3], &NULL, true)),
    case(
        "unknown and critical in the root",
        "refused: an extension marked critical (OID 1.2.3) is unknown to TLS clients in \"Root\"",
    )
    .root(|ca| extension(ca, &[1, 2, 3], &NULL, true)),
    case(
        "of the standard, and unknown",
        "refused: an extension marked critical (OID 2.5.29.9) is unknown to TLS clients in \"Issuing\"",
    )
    .issuing(|ca| extension(ca, &[2, 5, 29, 9], &[0x30, 0], true)),
    case(
        "must-staple, critical",
        "refused: an extension marked critical (OID 1.3.6.1.5.5.7.1.24) is unknown to TLS clients in \"www.example.com\"",
    )
    .leaf(|leaf| extension(leaf, &[1, 3, 6, 1, 5, 5, 7, 1, 24], &[0x30, 3, 2, 1, 5], true)),
    case(
        "critical policies",
        "accepted, path-unjudged: an extension marked critical (OID 2.5.29.32, 2.5.29.54) is unknown to some TLS clients \
         in \"Issuing\"",
    )
    .issuing(|ca| {
        extension(ca, &[2, 5, 29, 32], &[0x30, 6, 0x30, 4, 6, 2, 42, 3], true);
        extension(ca, &[2, 5, 29, 54], &[2, 1, 0], true);
    }),
    case(
        "critical policies in the leaf",
        "accepted, path-unjudged: an extension marked critical (OID 2.5.29.32) is unknown to some TLS clients in \
         \"www.example.com\"",
    )
    .leaf(|leaf| extension(leaf, &[2, 5, 29, 32], &[0x30, 6, 0x30, 4, 6, 2, 42, 3], true)),
    case("critical policies in the root", "accepted")
        .root(|ca| extension(ca, &[2, 5, 29, 32], &[0x30, 6, 0x30, 4, 6, 2, 42, 3], true)),
    case("name constraints in the leaf say nothing", "accepted")
        .leaf(|leaf| extension(leaf, &[2, 5, 29, 30], &[0x30, 8, 0xa0, 6, 0x30, 4, 0x82, 2, b'a', b'b'], true)),
    case("no subject, and critical names", "accepted").leaf(|leaf| leaf.distinguished_name = DistinguishedName::new()),
];

const CAS: &[Case] = &[
    case(
        "no room below the root",
        "refused: the certificate of \"Root\", which issued \"Issuing\", cannot be used: it \
         allows fewer CAs below it",
    )
    .root(|ca| ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
    case("room for one CA", "accepted").root(|ca| ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(1))),
    case("no room below the CA", "accepted").issuing(|ca| ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
    case(
        "no basic constraints",
        "refused: the certificate of \"Issuing\", which issued \"www.example.com\", cannot be \
         used: it is not a CA certificate",
    )
    .issuing(|ca| ca.is_ca = IsCa::NoCa),
    case(
        "not a CA",
        "refused: the certificate of \"Issuing\", which issued \"www.example.com\", cannot be used: it is not \
         a CA certificate",
    )
    .issuing(|ca| ca.is_ca = IsCa::ExplicitNoCa),
    case(
        "the root is not a CA",
        "refused: the certificate of \"Root\", which issued \"Issuing\", cannot be used: it is not \
         a CA certificate",
    )
    .root(|ca| ca.is_ca = IsCa::ExplicitNoCa),
    case("a CA without key usage", "accepted").issuing(|ca| ca.key_usages.clear()),
    case(
        "a CA that may not sign",
        "refused: the certificate of \"Issuing\", which issued \"www.example.com\", cannot be \
         used: its key usage does not allow it to sign certificates",
    )
    .issuing(|ca| ca.key_usages = vec![KeyUsagePurpose::CrlSign]),
    case(
        "a root that may not sign",
        "refused: the certificate of \"Root\", which issued \"Issuing\", cannot be used: its \
         key usage does not allow it to sign certificates",
    )
    .root(|ca| ca.key_usages = vec![KeyUsagePurpose::CrlSign]),
    case("an expired leaf", "refused: it expired at 2026-11-23T23:59:59Z, 1 s ago").leaf(|leaf| valid(leaf, -DAY, -1)),
    case(
        "an expired CA",
        "refused: the certificate of \"Issuing\", which issued \"www.example.com\", cannot be used: it \
         expired at 2026-11-23T23:59:59Z",
    )
    .issuing(|ca| valid(ca, -DAY, -1)),
    case(
        "an expired root",
        "refused: the certificate of \"Root\", which issued \"Issuing\", cannot be used: it expired at \
         2026-11-23T23:59:59Z",
    )
    .root(|ca| valid(ca, -DAY, -1)),
    case("a leaf of tomorrow", "refused: it is not valid before 2026-11-25T00:00:00Z, in 1 d")
        .leaf(|leaf| valid(leaf, DAY, 2 * DAY)),
    case("a leaf of soon", "not before 2026-11-24T00:05:00Z")
        .leaf(|leaf| valid(leaf, 300, DAY))
        .differs("renewd waits for it"),
    case(
        "a CA of tomorrow",
        "refused: the certificate of \"Issuing\", which issued \"www.example.com\", cannot be used: \
         it is not valid before 2026-11-25T00:00:00Z",
    )
    .issuing(|ca| valid(ca, DAY, 900 * DAY)),
    case(
        "a root of tomorrow",
        "refused: the certificate of \"Root\", which issued \"Issuing\", cannot be used: it is not \
         valid before 2026-11-25T00:00:00Z",
    )
    .root(|ca| valid(ca, DAY, 900 * DAY)),
    case(
        "a CA that ends before the leaf",
        "accepted, chain-ends-first: CN=Issuing of the chain expires at \
         2026-11-27T00:00:00Z, before the certificate, which expires at 2027-02-21T00:00:00Z",
    )
    .issuing(|ca| valid(ca, -DAY, 3 * DAY)),
    case("a leaf that is a CA", "refused: it is the certificate of a CA, where that of an end entity was asked for")
        .leaf(|leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))
        .differs("a CA's key has no place on a server"),
    case(
        "an identifier of another key",
        "refused: the certificate of \"Issuing\", which issued \"www.example.com\", \
         cannot be used: its key differs from the issuer's",
    )
    .leaf(|leaf| {
        leaf.use_authority_key_identifier_extension = false;
        extension(leaf, &[2, 5, 29, 35], &[0x30, 4, 0x80, 2, 1, 2], false);
    }),
    case(
        "the serial number of another certificate",
        "refused: the certificate of \"Issuing\", which issued \
         \"www.example.com\", cannot be used: its serial number is not the one that the authorityKeyIdentifier names",
    )
    .leaf(|leaf| {
        leaf.use_authority_key_identifier_extension = false;
        extension(leaf, &[2, 5, 29, 35], &[0x30, 3, 0x82, 1, 7], false);
    }),
    case(
        "the issuer of another certificate",
        "refused: the certificate of \"Issuing\", which issued \
         \"www.example.com\", cannot be used: its issuer is not the one that the authorityKeyIdentifier names",
    )
    .leaf(|leaf| {
        leaf.use_authority_key_identifier_extension = false;
        let name = [0x30, 0x0c, 0x31, 0x0a, 0x30, 0x08, 0x06, 0x03, 0x55, 0x04, 0x03, 0x0c, 0x01, b'X'];
        extension(leaf, &[2, 5, 29, 35], &[&[0x30, 0x12, 0xa1, 0x10, 0xa4, 0x0e][..], &name].concat(), false);
    }),
    case("no key identifiers", "accepted").leaf(|leaf| leaf.use_authority_key_identifier_extension = false),
];

#[track_caller]
fn check_all(cases: &[Case]) {
    let failures: Vec<_> = cases.iter().filter_map(Case::failure).collect();
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

#[test]
fn name_constraints_are_obeyed() {
    check_all(NAME_CONSTRAINTS);
}

#[test]
fn key_usages_are_obeyed_up_to_the_root() {
    check_all(USAGES);
}

#[test]
fn critical_extensions_are_known_or_refused() {
    check_all(EXTENSIONS);
}

#[test]
fn every_member_of_the_path_may_do_what_it_does() {
    check_all(CAS);
}

/// A leaf by `issuer`.
fn leaf_of(issuer: &Ca) -> Certificate {
    issuer.leaf(&PrivateKey::generate(KeyType::EcdsaP256).unwrap(), &leaf_params(&["www.example.com"]))
}

#[track_caller]
fn check(name: &str, root: &Ca, between: &[&Certificate], leaf: &Certificate, says: &str) {
    let between = between.iter().map(|one| (*one).clone()).collect();
    let pile = Pile { root: root.certificate.clone(), between, leaf: leaf.clone(), wanted: "server_auth" };
    assert_eq!(pile.failure(says, None), None, "{name}");
}

#[test]
fn a_pile_in_any_order_with_duplicates_and_strangers_is_one_path() {
    let (root, stranger) = (Ca::root("Root"), Ca::root("Stranger"));
    let upper = root.below("Upper");
    let lower = upper.below("Lower");
    let leaf = leaf_of(&lower);
    let (lower, upper, stranger) = (&lower.certificate, &upper.certificate, &stranger.certificate);
    for pile in [[lower, upper, upper], [upper, lower, stranger], [stranger, upper, lower], [lower, &leaf, upper]] {
        check("a pile", &root, &pile, &leaf, "accepted");
    }
    let missing = "refused: the certificate of \"Upper\", which issued \"Lower\", is missing, and the profile does not show \
                   it";
    check("a gap", &root, &[lower, stranger], &leaf, missing);
    let limited = root.below_with("Upper", KeyPair::generate().unwrap(), |ca| {
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let lower = limited.below("Lower");
    let too_deep = "refused: the certificate of \"Upper\", which issued \"Lower\", cannot be used: it allows fewer CAs below \
                    it";
    check("no room", &root, &[&lower.certificate, &limited.certificate], &leaf_of(&lower), too_deep);
}

#[test]
fn cross_signs_lead_to_the_root_that_is_known() {
    let (old, new) = (Ca::root("Old"), Ca::root("New"));
    let issuing = new.below("Issuing");
    let leaf = leaf_of(&issuing);
    let (new_by_old, old_by_new) = (old.cross(&new), new.cross(&old));
    let pile = [&issuing.certificate, &new_by_old, &old_by_new];
    check("to the new root", &new, &pile, &leaf, "accepted");
    check("across to the old root", &old, &pile, &leaf, "accepted");
}

#[test]
fn a_leaf_that_signed_itself_is_refused() {
    let mut params = leaf_params(&["www.example.com"]);
    params.distinguished_name.push(DnType::CommonName, "Self");
    let own = Certificate::from_der(params.self_signed(&KeyPair::generate().unwrap()).unwrap().der()).unwrap();
    let says = "refused: \"Self\" is self-signed, no CA issued it";
    check("alone", &Ca::root("Root"), &[], &own, says);
}

#[test]
fn a_path_that_some_clients_do_not_follow_is_told() {
    let root = Ca::root("CA 0");
    let mut cas = vec![root.below("CA 1")];
    (2..=7).for_each(|number| cas.push(cas[number - 2].below(&format!("CA {number}"))));
    let leaf = leaf_of(&cas[6]);
    let between: Vec<_> = cas.iter().map(|ca| &ca.certificate).collect();
    let told = "accepted, path-unjudged: some TLS clients may refuse the path: it is longer than they follow";
    check("seven CAs", &root, &between, &leaf, told);
    check("six CAs", &root, &between[..6], &leaf_of(&cas[5]), "accepted");
}

#[test]
fn a_root_of_version_1_is_a_root_and_any_other_of_version_1_is_no_ca() {
    let root = Ca::root("Root");
    let issuing = root.below("Issuing");
    let leaf = leaf_of(&issuing);
    let old = Ca { certificate: first_version(&root.certificate, &root.key), ..root };
    let told = "accepted, path-unjudged: the root \"Root\" is an X.509 certificate of version 1, which does not say that it \
                is a CA";
    check("the root", &old, &[&issuing.certificate], &leaf, told);
    let lower = first_version(&issuing.certificate, &old.key);
    let refused = "refused: the certificate of \"Issuing\", which issued \"www.example.com\", cannot be used: it is not a CA \
                   certificate";
    check("the CA", &old, &[&lower], &leaf, refused);
}

/// The certificate without extensions and version, signed anew.
fn first_version(certificate: &Certificate, by: &KeyPair) -> Certificate {
    let parsed = certificate.parsed().unwrap();
    let parts =
        yasna::parse_der(parsed.tbs_certificate.as_ref(), |tbs| tbs.collect_sequence_of(|part| part.read_der()))
            .unwrap();
    let parts: Vec<_> = parts.iter().filter(|part| !matches!(part.first(), Some(0xa0 | 0xa3))).collect();
    let tbs = yasna::construct_der(|writer| {
        writer.write_sequence(|tbs| parts.iter().for_each(|part| tbs.next().write_der(part)));
    });
    let signature = by.sign(&tbs).unwrap();
    let der = yasna::construct_der(|writer| {
        writer.write_sequence(|whole| {
            whole.next().write_der(&tbs);
            whole.next().write_der(parts[1]);
            whole.next().write_bitvec_bytes(&signature, signature.len() * 8);
        });
    });
    Certificate::from_der(&der).unwrap()
}
