//! Promise 1: each single defect has its own message, and no changed byte passes.

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, OtherNameValue, SanType};

use super::*;
use crate::core::key::KeyType;
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
            let remarks: Vec<Text> = set.remarks.iter().map(|remark| remark.message.clone()).collect();
            format!("accepted: {}", listed(&remarks))
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
    };
    check(|case| named(case, "bücher.example", &["xn--bcher-kva.example"], "x"), "accepted");
    check(|case| named(case, "bücher.example", &[], "xn--bcher-kva.example"), "accepted");
    check(|case| named(case, "xn--bcher-kva.example", &[], "Bücher.example"), "accepted");
    check(|case| named(case, "*.bücher.example", &["*.xn--bcher-kva.example"], "x"), "accepted");
    check(|case| named(case, "2001:DB8:0::1", &[], "2001:db8::1"), "accepted");
    check(
        |case| named(case, "bücher.example", &["xn--bcher-kva.example.com"], "bucher.example"),
        "refused: names are missing: bücher.example (the common name); it has bucher.example (the common name), \
         xn--bcher-kva.example.com | it has names that were not asked for, which exact_names refuses: \
         xn--bcher-kva.example.com",
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
        "accepted: it has names that were not asked for: x.example.com",
    );
    check(add, "refused: it has names that were not asked for, which exact_names refuses: x.example.com");
    let user = (vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], OtherNameValue::Utf8String("u@example.com".into()));
    check(
        |case| case.leaf.subject_alt_names.push(SanType::OtherName(user)),
        "refused: it has names that were not asked for, which exact_names refuses: \
         OtherName(1.3.6.1.4.1.311.20.2.3, [...])",
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
        "accepted: its subject has country \"CH\", which was not sent",
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
    check(|case| valid(&mut case.leaf, -DAY, 5_000 * DAY), "accepted");
}

#[test]
fn a_renewal_for_expiry_must_end_later() {
    let end = NOW + Duration::from_secs(89 * 86_400);
    check(
        |case| case.must_outlive = Some(end),
        "refused: it ends at 2027-02-21T00:00:00Z, no later than the installed one, which ends at \
         2027-02-21T00:00:00Z",
    );
    check(|case| case.must_outlive = Some(end - Duration::from_secs(1)), "accepted");
    check(|case| case.must_outlive = None, "accepted");
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
        "refused: the certificate of \"Root\", which issued \"Issuing\", did not come and the profile does not show it",
    );
    check(
        |case| drop(case.came.remove(1)),
        "refused: the certificate of \"Issuing\", which issued \"www.example.com\", did not come and the profile does \
         not show it",
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
        "accepted: its key usage does not allow digital signatures, as TLS 1.3 needs",
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
         \"www.example.com\", did not come and the profile does not show it",
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
