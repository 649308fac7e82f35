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

mod constraints;
mod piles;

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

fn extension(params: &mut CertificateParams, oid: &[u64], content: &[u8], is_critical: bool) {
    let mut extension = CustomExtension::from_oid_content(oid, content.to_vec());
    extension.set_criticality(is_critical);
    params.custom_extensions.push(extension);
}

const NULL: [u8; 2] = [5, 0];

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
