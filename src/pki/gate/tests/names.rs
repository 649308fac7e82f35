//! Names: those that were asked for, extra ones, common names, rare kinds.

use super::*;

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
