//! Promise 1: each single defect has its own message, and no changed byte passes.

use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, OtherNameValue, SanType,
};

use super::*;
use crate::core::wanted::entry::OtherSans;
use crate::core::wanted::key::KeyType;
use crate::core::wanted::subject::SubjectAttribute;
use crate::pki::csr;
use crate::pki::key::PrivateKey;
use crate::pki::test_ca::{Ca, NOW, leaf_params, unjudged, valid};

const DAY: i64 = 86_400;

/// A leaf that passes, and everything about it that a test may change.
struct Case {
    leaf: CertificateParams,
    key: PrivateKey,
    asked_key: Option<Digest>,
    issuing: Ca,
    finish: fn(Certificate) -> Certificate,
    came: Vec<Certificate>,
    common_name: Option<&'static str>,
    names: Sans,
    subject: Subject,
    subject_from: SubjectFrom,
    exact_names: bool,
    usages: Vec<Usage>,
    issuers: Vec<Certificate>,
    must_outlive: Option<Timestamp>,
    pin: Option<IssuerPin>,
    installed_issuer: Option<Issuer>,
    validity_asked: Option<Duration>,
}

impl Case {
    fn good() -> Self {
        let root = Ca::root("Root");
        let issuing = root.below("Issuing");
        let mut leaf = leaf_params(&["www.example.com", "192.0.2.1"]);
        leaf.distinguished_name.push(DnType::CommonName, "www.example.com");
        leaf.distinguished_name.push(DnType::OrganizationName, "Example AG");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        Self {
            leaf,
            key: PrivateKey::generate(KeyType::EcdsaP256).unwrap(),
            asked_key: None,
            finish: |leaf| leaf,
            came: vec![root.certificate, issuing.certificate.clone()],
            issuing,
            common_name: Some("www.example.com"),
            names: Sans {
                dns_names: vec!["www.example.com".into()],
                ip_addresses: vec!["192.0.2.1".parse().unwrap()].into(),
                ..Sans::default()
            },
            subject: Subject::from([(SubjectAttribute::OrganizationName, vec!["example  ag".into()])]),
            subject_from: SubjectFrom::Request,
            exact_names: true,
            usages: vec![Usage::parse("server_auth").unwrap()],
            issuers: Vec::new(),
            must_outlive: Some(NOW),
            pin: None,
            installed_issuer: None,
            validity_asked: None,
        }
    }

    fn demand(&self) -> Demand<'_> {
        Demand {
            common_name: self.common_name,
            names: &self.names,
            subject: &self.subject,
            subject_from: self.subject_from,
            exact_names: self.exact_names,
            usages: &self.usages,
            issuers: &self.issuers,
            must_outlive: self.must_outlive,
            pin: self.pin.as_ref(),
            installed_issuer: self.installed_issuer.as_ref(),
            validity_asked: self.validity_asked,
            now: NOW,
        }
    }

    fn everything(&self) -> Vec<Certificate> {
        let leaf = (self.finish)(self.issuing.leaf(&self.key, &self.leaf));
        self.came.iter().cloned().chain([leaf]).collect()
    }

    fn verdict(&self) -> Verdict {
        let certificates = self.everything();
        let key = self.asked_key.unwrap_or(self.key.spki());
        judge(&Candidate { certificates: &certificates, key }, &self.demand())
    }
}

fn shown(verdict: &Verdict) -> String {
    let listed = |texts: &[Text]| texts.iter().map(Text::as_str).collect::<Vec<_>>().join(" | ");
    match verdict {
        Verdict::Accepted(set) if set.remarks.is_empty() => "accepted".to_owned(),
        Verdict::Accepted(set) => {
            let told = |remark: &Remark| format!("{}: {}", remark.code, remark.message);
            format!("accepted, {}", set.remarks.iter().map(told).collect::<Vec<_>>().join(" | "))
        }
        Verdict::NotYetValid { until, .. } => format!("not before {until}"),
        Verdict::Held { why, .. } => format!("held: {why}"),
        Verdict::Refused(defects) => format!("refused: {}", listed(defects)),
    }
}

#[track_caller]
fn check(change: impl FnOnce(&mut Case), expected: &str) {
    let mut case = Case::good();
    change(&mut case);
    assert_eq!(shown(&case.verdict()), expected);
}

#[test]
fn what_was_asked_for_is_accepted() {
    let case = Case::good();
    let Verdict::Accepted(set) = case.verdict() else { panic!("{}", shown(&case.verdict())) };
    assert_eq!(set.chain, std::slice::from_ref(&case.issuing.certificate));
    assert_eq!(set.root.as_ref(), case.came.first());
    assert_eq!(set.facts.spki, case.key.spki());
    assert_eq!(set.leaf.spki(), case.key.spki());
}

#[test]
fn the_key_must_be_ours() {
    let other = "no certificate for our public key came (SPKI \
                 0707070707070707070707070707070707070707070707070707070707070707), only for other keys: \
                 \"Root\", \"Issuing\", \"www.example.com\"";
    check(|case| case.asked_key = Some(Digest([7; 32])), &format!("refused: {other}"));
    let nothing = Case::good();
    let verdict = judge(&Candidate { certificates: &[], key: nothing.key.spki() }, &nothing.demand());
    assert_eq!(shown(&verdict), "refused: no certificate came");
}

#[test]
fn every_name_must_be_there() {
    let has = "it has www.example.com (the common name), www.example.com, 192.0.2.1";
    check(
        |case| case.names.dns_names.push("b.example.com".into()),
        &format!("refused: names are missing: b.example.com; {has}"),
    );
    check(
        |case| case.names.ip_addresses.push("2001:db8::1".parse().unwrap()),
        &format!("refused: names are missing: 2001:db8::1; {has}"),
    );
    check(
        |case| case.names.emails.push("a@example.com".into()),
        &format!("refused: names are missing: a@example.com; {has}"),
    );
    check(
        |case| case.names.uris.push("https://example.com/".into()),
        &format!("refused: names are missing: https://example.com/; {has}"),
    );
    check(|case| case.names.dns_names = vec!["WWW.Example.COM".into()], "accepted");
    check(
        |case| case.names.dns_names = vec!["*.example.com".into()],
        &format!("refused: names are missing: *.example.com; {has}"),
    );
}

#[test]
fn the_common_name_is_a_name() {
    let has = "it has www.example.com (the common name), www.example.com, 192.0.2.1";
    let missing = |name: &str| format!("refused: names are missing: {name} (the common name); {has}");
    check(|case| case.common_name = Some("c.example.com"), &missing("c.example.com"));
    check(|case| case.common_name = Some("Example service"), &missing("Example service"));
    check(|case| case.common_name = Some("192.0.2.1"), "accepted");
    check(
        |case| {
            case.leaf.distinguished_name.remove(DnType::CommonName);
        },
        "accepted",
    );
    check(|case| case.names.dns_names.clear(), "accepted");
    let by_ca = |case: &mut Case| case.subject_from = SubjectFrom::Ca;
    check(|case| (by_ca(case), case.common_name = Some("Example service")).1, "accepted");
    check(|case| (by_ca(case), case.common_name = Some("c.example.com")).1, &missing("c.example.com"));
}

#[test]
fn the_common_name_may_be_written_in_either_form() {
    let named = |case: &mut Case, wanted, dns: &[&str], common_name: &str| {
        case.common_name = Some(wanted);
        case.names = Sans::default();
        case.leaf.subject_alt_names = dns.iter().map(|name| SanType::DnsName((*name).try_into().unwrap())).collect();
        case.leaf.distinguished_name.push(DnType::CommonName, common_name);
        case.exact_names = common_name != "x";
    };
    let other = "accepted, unasked-common-name: it has a common name that was not asked for: \"x\"";
    check(|case| named(case, "bücher.example", &["xn--bcher-kva.example"], "x"), other);
    check(|case| named(case, "bücher.example", &[], "xn--bcher-kva.example"), "accepted");
    check(|case| named(case, "xn--bcher-kva.example", &[], "Bücher.example"), "accepted");
    check(|case| named(case, "*.bücher.example", &["*.xn--bcher-kva.example"], "x"), other);
    check(|case| named(case, "2001:DB8:0::1", &[], "2001:db8::1"), "accepted");
    check(
        |case| named(case, "bücher.example", &["xn--bcher-kva.example.com"], "bucher.example"),
        "refused: names are missing: bücher.example (the common name); it has bucher.example (the common name), \
         xn--bcher-kva.example.com | it has names that were not asked for, which exact_names refuses: \
         xn--bcher-kva.example.com | it has a common name that was not asked for, which exact_names refuses: \
         \"bucher.example\"",
    );
}

#[test]
fn the_local_part_of_an_address_has_its_case() {
    let add = |case: &mut Case, wanted: &str, there: &str| {
        case.names.emails.push(wanted.to_owned());
        case.leaf.subject_alt_names.push(SanType::Rfc822Name(there.try_into().unwrap()));
        case.exact_names = false;
    };
    check(|case| add(case, "a@example.com", "a@EXAMPLE.COM"), "accepted");
    check(
        |case| add(case, "a@example.com", "A@example.com"),
        "refused: names are missing: a@example.com; it has www.example.com (the common name), www.example.com, \
         192.0.2.1, A@example.com",
    );
}

#[test]
fn extra_names_are_told_or_refused() {
    let add = |case: &mut Case| case.leaf.subject_alt_names.push(SanType::DnsName("x.example.com".try_into().unwrap()));
    check(
        |case| (add(case), case.exact_names = false).1,
        "accepted, extra-names: it has names that were not asked for: x.example.com",
    );
    check(add, "refused: it has names that were not asked for, which exact_names refuses: x.example.com");
    let user = (vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], OtherNameValue::Utf8String("u@example.com".into()));
    check(
        |case| case.leaf.subject_alt_names.push(SanType::OtherName(user)),
        "refused: it has names that were not asked for, which exact_names refuses: \
         user principal name u@example.com",
    );
}

#[test]
fn names_of_rare_kinds_count_where_they_were_asked_for() {
    let others = OtherSans {
        user_principal_names: vec!["host@corp.example".into()],
        registered_ids: vec!["2.25.329800735698586629295641978511506172918".into()],
        directory_names: vec!["CN=Zürich,O=Example AG".into()],
        ..OtherSans::default()
    };
    let all = |others: &OtherSans| Sans {
        dns_names: vec!["www.example.com".into()],
        ip_addresses: vec!["192.0.2.1".parse().unwrap()].into(),
        others: others.clone().into(),
        ..Sans::default()
    };
    let has = |case: &mut Case, there: &OtherSans| {
        case.leaf.subject_alt_names.clear();
        let names = csr::alternative_names(&all(there)).unwrap();
        case.leaf.custom_extensions.push(CustomExtension::from_oid_content(&[2, 5, 29, 17], names));
    };
    let ask = |case: &mut Case, wanted: &OtherSans| case.names.others = wanted.clone().into();
    check(|case| (has(case, &others), ask(case, &others)).1, "accepted");
    let spelt = OtherSans {
        user_principal_names: vec!["HOST@corp.example".into()],
        directory_names: vec!["O=example ag, CN=ZÜRICH".into()],
        ..others.clone()
    };
    check(|case| (has(case, &others), ask(case, &spelt)).1, "accepted");
    check(
        |case| has(case, &others),
        "refused: it has names that were not asked for, which exact_names refuses: user principal name \
         host@corp.example, registered ID 2.25.329800735698586629295641978511506172918, directory name \
         CN=Zürich,O=Example AG",
    );
    check(
        |case| ask(case, &others),
        "refused: names are missing: user principal name host@corp.example, registered ID \
         2.25.329800735698586629295641978511506172918, directory name CN=Zürich,O=Example AG; it has www.example.com \
         (the common name), www.example.com, 192.0.2.1",
    );
}

#[test]
fn every_attribute_that_was_sent_must_be_there() {
    let send = |case: &mut Case, attribute, value: &str| {
        case.subject.entry(attribute).or_default().push(value.to_owned());
    };
    check(
        |case| send(case, SubjectAttribute::Country, "CH"),
        "refused: subject attribute country: \"CH\" was sent, it has none",
    );
    check(
        |case| send(case, SubjectAttribute::OrganizationName, "Other AG"),
        "refused: subject attribute organization_name: \"Other AG\" was sent, it has \"Example AG\"",
    );
    check(|case| (send(case, SubjectAttribute::Country, "CH"), case.subject_from = SubjectFrom::Ca).1, "accepted");
    check(
        |case| case.leaf.distinguished_name.push(DnType::CountryName, "CH"),
        "accepted, extra-subject: its subject has country \"CH\", which was not sent",
    );
    check(|case| send(case, SubjectAttribute::CommonName, "www.example.com"), "accepted");
}

#[test]
fn the_validity_must_contain_now() {
    check(|case| valid(&mut case.leaf, -DAY, -1), "refused: it expired at 2026-11-23T23:59:59Z, 1 s ago");
    check(|case| (valid(&mut case.leaf, -DAY, 0), case.must_outlive = None).1, "accepted");
    check(|case| valid(&mut case.leaf, 1, DAY), "not before 2026-11-24T00:00:01Z");
    check(|case| valid(&mut case.leaf, 600, DAY), "not before 2026-11-24T00:10:00Z");
    check(
        |case| valid(&mut case.leaf, 601, DAY),
        "refused: it is not valid before 2026-11-24T00:10:01Z, in 10 min 1 s",
    );
    check(
        |case| valid(&mut case.leaf, -DAY, 5_000 * DAY),
        "accepted, chain-ends-first: CN=Issuing of the chain expires at 2036-11-21T00:00:00Z, before the certificate, \
         which expires at 2040-08-02T00:00:00Z",
    );
}

#[test]
fn a_renewal_for_expiry_must_end_later() {
    let end = NOW + Duration::from_secs(89 * 86_400);
    check(
        |case| case.must_outlive = Some(end),
        "refused: it expires at 2027-02-21T00:00:00Z, no later than the installed one, which expires at \
         2027-02-21T00:00:00Z",
    );
    check(|case| case.must_outlive = Some(end - Duration::from_secs(1)), "accepted");
    check(|case| case.must_outlive = None, "accepted");
}

#[test]
fn a_ca_that_cuts_what_it_issues_is_the_limit_wherever_it_stands() {
    let limited = |root_ends: i64, issuing_ends: i64, leaf_ends: i64, installed: i64| {
        let mut case = Case::good();
        let key = || KeyPair::generate().unwrap();
        let root = Ca::root_with("Root", key(), |root| valid(root, -DAY, root_ends * DAY));
        case.issuing = root.below_with("Issuing", key(), |ca| valid(ca, -DAY, issuing_ends * DAY));
        case.came = vec![root.certificate, case.issuing.certificate.clone()];
        valid(&mut case.leaf, -DAY, leaf_ends * DAY);
        case.must_outlive = None;
        let installed = NOW + Duration::from_secs(u64::try_from(installed * DAY).unwrap());
        let Verdict::Accepted(set) = case.verdict() else { panic!("{}", shown(&case.verdict())) };
        set.is_limited_by_ca(installed)
    };
    assert!(!limited(3650, 900, 40, 50), "the profile's validity is short");
    assert!(limited(3650, 40, 40, 40));
    assert!(limited(3650, 42, 40, 40) && !limited(3650, 43, 40, 40), "two days before its own end");
    assert!(limited(41, 900, 40, 40), "the root");
    // What outlives the installed one by its leaf and not by its chain; a root's end is no end of what is served.
    assert!(limited(3650, 45, 90, 50) && limited(3650, 50, 90, 50) && !limited(3650, 51, 90, 50));
    assert!(!limited(50, 900, 90, 50));
}

#[test]
fn of_several_leaves_with_our_key_the_one_that_passes_is_taken() {
    let mut case = Case::good();
    let mut longer = leaf_params(&["other.example.com"]);
    valid(&mut longer, -DAY, 300 * DAY);
    case.came.push(case.issuing.leaf(&case.key, &longer));
    assert_eq!(shown(&case.verdict()), "accepted");
    case.leaf = leaf_params(&["third.example.com"]);
    let told = shown(&case.verdict());
    assert!(told.starts_with("refused: names are missing") && told.contains("other.example.com"), "{told}");
}

#[test]
fn a_leaf_of_its_issuers_own_name_is_refused() {
    let mut case = Case::good();
    case.leaf.distinguished_name = DistinguishedName::new();
    case.leaf.distinguished_name.push(DnType::CommonName, "Issuing");
    (case.subject, case.exact_names, case.common_name) = (Subject::new(), false, None);
    let told = shown(&case.verdict());
    assert!(told.contains("its subject is the name of its issuer: TLS clients treat it as self-signed"), "{told}");
}

#[test]
fn a_chain_without_end_says_so() {
    let mut case = Case::good();
    let mut top = Ca::root("Root");
    case.came = vec![top.certificate.clone()];
    for number in 0..10 {
        top = top.below(&format!("CA {number}"));
        case.came.push(top.certificate.clone());
    }
    case.issuing = top;
    let told = shown(&case.verdict());
    assert!(told.contains("certificates away from the leaf"), "{told}");
}

#[test]
fn a_missing_usage_holds() {
    let want = |case: &mut Case, usages: &[&str]| {
        case.usages = usages.iter().filter_map(|usage| Usage::parse(usage)).collect();
    };
    check(
        |case| want(case, &["client_auth", "server_auth", "1.2.3.4"]),
        "held: usages are missing: client_auth, 1.2.3.4; it has server_auth",
    );
    check(
        |case| {
            want(case, &["client_auth"]);
            case.names.dns_names.push("b.example.com".into());
        },
        "refused: names are missing: b.example.com; it has www.example.com (the common name), www.example.com, \
         192.0.2.1 | usages are missing: client_auth; it has server_auth",
    );
    check(
        |case| (want(case, &["client_auth"]), case.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]).1,
        "held: usages are missing: client_auth; it has any",
    );
    check(
        |case| {
            (want(case, &["email_protection"]), case.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]).1
        },
        "accepted",
    );
    check(|case| (want(case, &["client_auth"]), case.leaf.extended_key_usages = vec![]).1, "accepted");
    check(|case| want(case, &[]), "accepted");
}

#[test]
fn a_signature_that_cannot_be_judged_holds() {
    check(
        |case| case.finish = |leaf| unjudged(&leaf),
        "held: the signature on \"www.example.com\" (ecdsa-with-SHA224) has an algorithm that renewd cannot judge",
    );
    check(
        |case| case.came[1] = unjudged(&case.came[1]),
        "held: the signature on \"Issuing\" (ecdsa-with-SHA224) has an algorithm that renewd cannot judge",
    );
    check(|case| case.came[0] = unjudged(&case.came[0]), "accepted");
}

#[test]
fn the_chain_must_be_whole() {
    check(
        |case| drop(case.came.remove(0)),
        "refused: the certificate of \"Root\", which issued \"Issuing\", is missing, and the profile does not show it",
    );
    check(
        |case| drop(case.came.remove(1)),
        "refused: the certificate of \"Issuing\", which issued \"www.example.com\", is missing, and the profile does not show it",
    );
    check(|case| case.issuers = case.came.drain(..).collect(), "accepted");
    check(|case| (case.came.clear(), case.issuers = vec![case.issuing.certificate.clone()]).1, "accepted");
}

#[test]
fn a_leaf_is_no_ca() {
    check(
        |case| case.leaf.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained),
        "refused: it is the certificate of a CA, where that of an end entity was asked for",
    );
    check(
        |case| case.leaf.key_usages = vec![KeyUsagePurpose::KeyEncipherment],
        "accepted, no-digital-signature: its key usage does not allow digital signatures, as TLS 1.3 needs",
    );
}

#[test]
fn every_defect_is_told_at_once() {
    check(
        |case| {
            case.names.dns_names.push("b.example.com".into());
            valid(&mut case.leaf, -DAY, -1);
            case.came.clear();
        },
        "refused: names are missing: b.example.com; it has www.example.com (the common name), www.example.com, \
         192.0.2.1 | it expired at 2026-11-23T23:59:59Z, 1 s ago | the certificate of \"Issuing\", which issued \
         \"www.example.com\", is missing, and the profile does not show it",
    );
}

#[test]
fn of_two_with_our_key_the_later_one_counts() {
    let mut case = Case::good();
    let older = case.issuing.leaf(&case.key, &case.leaf);
    valid(&mut case.leaf, -DAY, 100 * DAY);
    case.came.push(older.clone());
    let Verdict::Accepted(set) = case.verdict() else { panic!("{}", shown(&case.verdict())) };
    assert_ne!(set.leaf, older);
}

/// Every byte of every certificate, one bit each: whatever still parses is refused. Only a root that changed its key's
/// algorithm to an unknown one is held: nothing but the root itself says that this is wrong, and it is not installed.
#[test]
fn no_changed_bit_passes() {
    let case = Case::good();
    let good = case.everything();
    for (which, certificate) in good.iter().enumerate() {
        for at in 0..certificate.der().len() {
            let mut der = certificate.der().to_vec();
            der[at] ^= 1 << (at % 8);
            let Ok(changed) = Certificate::from_der(&der) else { continue };
            let is_root = Some(certificate) == case.came.first();
            let mut certificates = good.clone();
            certificates[which] = changed;
            let verdict = judge(&Candidate { certificates: &certificates, key: case.key.spki() }, &case.demand());
            let is_stopped = match &verdict {
                Verdict::Refused(_) => true,
                Verdict::Held { .. } => is_root,
                Verdict::Accepted(_) | Verdict::NotYetValid { .. } => false,
            };
            assert!(is_stopped, "byte {at} of {which}: {}", shown(&verdict));
        }
    }
}

#[test]
fn a_common_name_that_nobody_asked_for_counts_as_an_extra_name() {
    let named = |case: &mut Case, name: &str| {
        case.leaf.distinguished_name.push(DnType::CommonName, name);
        case.common_name = None;
    };
    let refused =
        "refused: it has a common name that was not asked for, which exact_names refuses: \"evil.example.net\"";
    let told = "accepted, unasked-common-name: it has a common name that was not asked for: \"evil.example.net\"";
    check(|case| named(case, "evil.example.net"), refused);
    check(|case| (named(case, "evil.example.net"), case.exact_names = false).1, told);
    check(|case| named(case, "WWW.example.com"), "accepted");
    check(|case| named(case, "192.0.2.1"), "accepted");
    check(
        |case| named(case, "Example service"),
        "refused: it has a common name that was not asked for, which exact_names refuses: \"Example service\"",
    );
    let by_ca = |case: &mut Case, name| (named(case, name), case.subject_from = SubjectFrom::Ca).1;
    check(|case| by_ca(case, "Example service"), "accepted");
    check(|case| by_ca(case, "evil.example.net"), refused);
    let asked = |case: &mut Case| {
        named(case, "evil.example.net");
        case.subject.entry(SubjectAttribute::CommonName).or_default().push("evil.example.net".to_owned());
    };
    check(asked, "accepted");
}

#[test]
fn every_common_name_is_looked_at() {
    check(
        |case| {
            let further = rcgen::DnType::CustomDnType(vec![2, 5, 4, 3]);
            case.leaf.distinguished_name.push(further, "evil.example.net");
        },
        "refused: it has a common name that was not asked for, which exact_names refuses: \"evil.example.net\"",
    );
}

#[test]
fn a_shorter_validity_than_asked_for_is_told() {
    let days = |days: u64| Some(Duration::from_secs(days * 86_400));
    check(|case| case.validity_asked = days(90), "accepted");
    check(|case| case.validity_asked = days(91), "accepted");
    check(
        |case| case.validity_asked = days(92),
        "accepted, validity-shortened: it is valid for 90 d, where 92 d was asked for",
    );
    check(|case| case.validity_asked = days(30), "accepted");
    let hours = |case: &mut Case, given: i64| {
        valid(&mut case.leaf, -3600, given * 3600 - 3600);
        case.validity_asked = Some(Duration::from_secs(12 * 3600));
        case.must_outlive = None;
    };
    check(|case| hours(case, 11), "accepted");
    check(|case| hours(case, 10), "accepted, validity-shortened: it is valid for 10 h, where 12 h was asked for");
}

#[test]
fn the_issuer_is_named_and_its_change_told() {
    let case = Case::good();
    let Verdict::Accepted(set) = case.verdict() else { panic!("{}", shown(&case.verdict())) };
    assert_eq!((set.issuer.subject.as_str(), set.issuer.spki), ("CN=Issuing", Some(case.issuing.certificate.spki())));
    let before = |subject: &str, spki| Some(Issuer { subject: Text::new(subject), spki });
    check(|case| case.installed_issuer = before("CN=Issuing", Some(case.issuing.certificate.spki())), "accepted");
    check(|case| case.installed_issuer = before("CN=Old name", Some(case.issuing.certificate.spki())), "accepted");
    check(|case| case.installed_issuer = before("CN=Issuing", None), "accepted");
    let mut case = Case::good();
    case.installed_issuer = before("CN=Other", None);
    let spki = case.issuing.certificate.spki();
    let told =
        format!("accepted, issuer-changed: CN=Issuing (sha256:{spki}) issued it; CN=Other issued the one before");
    assert_eq!(shown(&case.verdict()), told);
}

#[test]
fn an_issuer_that_the_entry_pins_must_be_on_the_path() {
    let pin = |text: &str| Some(IssuerPin::parse(text).unwrap());
    let of = |certificate: &Certificate| pin(&format!("sha256:{}", certificate.spki()));
    check(|case| case.pin = of(&case.came[0]), "accepted");
    check(|case| case.pin = of(&case.came[1]), "accepted");
    check(|case| case.pin = pin("CN=Root"), "accepted");
    check(|case| case.pin = pin("cn = issuing"), "accepted");
    let mut case = Case::good();
    case.pin = pin("CN=Other, O=Example AG");
    let (issuing, root) = (case.came[1].spki(), case.came[0].spki());
    let refused = format!(
        "refused: the entry pins the issuer CN=Other, O=Example AG, which is not on the path; the path has CN=Issuing \
         (sha256:{issuing}); CN=Root (sha256:{root})"
    );
    assert_eq!(shown(&case.verdict()), refused);
    case.pin = pin(&format!("sha256:{}", "07".repeat(32)));
    assert!(shown(&case.verdict()).starts_with("refused: the entry pins the issuer sha256:0707"));
    // The leaf's own key is no CA's.
    case.pin = pin(&format!("sha256:{}", case.key.spki()));
    assert!(shown(&case.verdict()).starts_with("refused: the entry pins"));
}

#[test]
fn a_pinned_ca_is_taken_where_there_is_a_path_through_it() {
    let mut case = Case::good();
    let other = Ca::root("Other root");
    let cross = other.cross(&case.issuing);
    case.came.extend([cross.clone(), other.certificate.clone()]);
    case.issuers = vec![case.came[0].clone()];
    let chain = |case: &Case| {
        let Verdict::Accepted(set) = case.verdict() else { panic!("{}", shown(&case.verdict())) };
        set.chain
    };
    assert_eq!(chain(&case), std::slice::from_ref(&case.issuing.certificate));
    case.pin = Some(IssuerPin::Spki(other.certificate.spki()));
    assert_eq!(chain(&case), [cross]);
}

#[test]
fn the_profiles_own_issuer_stands_for_a_signature_that_nobody_judges() {
    let told = |whose: &str| {
        format!(
            "accepted, signature-unjudged: the signature on \"{whose}\" (ecdsa-with-SHA224) has an algorithm that renewd \
             cannot judge"
        )
    };
    let leaf = |case: &mut Case| case.finish = |leaf| unjudged(&leaf);
    check(|case| (leaf(case), case.issuers = vec![case.came[1].clone()]).1, &told("www.example.com"));
    check(
        |case| (case.came[1] = unjudged(&case.came[1]), case.issuers = vec![case.came[1].clone()]).1,
        &told("Issuing"),
    );
    check(
        |case| (case.came[1] = unjudged(&case.came[1]), case.issuers = vec![case.came[0].clone()]).1,
        &told("Issuing"),
    );
    let stranger = Ca::root("Root").below("Issuing").certificate;
    check(
        |case| (leaf(case), case.issuers = vec![stranger]).1,
        "held: the signature on \"www.example.com\" (ecdsa-with-SHA224) has an algorithm that renewd cannot judge",
    );
    check(
        |case| (leaf(case), case.issuers = vec![case.came[0].clone()]).1,
        "held: the signature on \"www.example.com\" (ecdsa-with-SHA224) has an algorithm that renewd cannot judge",
    );
}

#[test]
fn what_is_held_says_of_which_kind_and_carries_the_remark() {
    let check = |change: &dyn Fn(&mut Case), expected: (Lack, &[Code])| {
        let mut case = Case::good();
        change(&mut case);
        let Verdict::Held { lack, set, .. } = case.verdict() else { panic!("{}", shown(&case.verdict())) };
        let codes: Vec<_> = set.remarks.iter().map(|remark| remark.code).collect();
        assert_eq!((lack, codes.as_slice()), expected);
    };
    let usage = |case: &mut Case| case.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let signature = |case: &mut Case| case.finish = |leaf| unjudged(&leaf);
    check(&usage, (Lack::Usage, &[Code::UsageMissing]));
    check(&signature, (Lack::Signature, &[Code::SignatureUnjudged]));
    check(&|case| (usage(case), signature(case)).1, (Lack::Both, &[Code::UsageMissing, Code::SignatureUnjudged]));
}

#[test]
fn a_usage_that_a_ca_withholds_is_missing() {
    let want = |case: &mut Case| {
        case.usages = ["server_auth", "client_auth"].iter().filter_map(|usage| Usage::parse(usage)).collect();
        case.leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    };
    check(want, "accepted");
    check(
        |case| {
            want(case);
            let root = Ca::root("Root");
            case.issuing = root.below_with("Issuing", rcgen::KeyPair::generate().unwrap(), |ca| {
                ca.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            });
            case.came = vec![root.certificate, case.issuing.certificate.clone()];
        },
        "held: CA \"Issuing\" may not issue for client_auth",
    );
}

#[test]
fn a_placeholder_that_signed_itself_is_not_our_leaf() {
    let mut case = Case::good();
    let mut params = leaf_params(&["www.example.com"]);
    valid(&mut params, -DAY, 4000 * DAY);
    let key = rcgen::KeyPair::from_pem(&case.key.to_pem()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "placeholder");
    case.came.push(Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap());
    assert_eq!(shown(&case.verdict()), "accepted");
}

/// Nobody would learn otherwise that a first certificate comes from a CA that the profile does not know.
#[test]
fn a_ca_that_the_profile_does_not_show_is_told() {
    let mut case = Case::good();
    let Verdict::Accepted(set) = case.verdict() else { panic!() };
    case.issuers = vec![Ca::root("Expected").certificate];
    let told = shown(&case.verdict());
    assert!(told.contains("issuer-changed: ") && told.contains("the profile shows no CA of its path"), "{told}");
    for named in [set.chain.first().cloned(), set.root] {
        case.issuers = named.into_iter().collect();
        assert_eq!(shown(&case.verdict()), "accepted");
    }
}
