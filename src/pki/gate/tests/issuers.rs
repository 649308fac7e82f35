//! Who issued it: the chain, the CA that the entry pins, those that the profile shows.

use super::*;

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
