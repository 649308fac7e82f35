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

mod issuers;
mod names;

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
fn a_placeholder_that_signed_itself_is_not_our_leaf() {
    let mut case = Case::good();
    let mut params = leaf_params(&["www.example.com"]);
    valid(&mut params, -DAY, 4000 * DAY);
    let key = rcgen::KeyPair::from_pem(&case.key.to_pem()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "placeholder");
    case.came.push(Certificate::from_der(params.self_signed(&key).unwrap().der()).unwrap());
    assert_eq!(shown(&case.verdict()), "accepted");
}
