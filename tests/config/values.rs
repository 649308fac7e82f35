//! What good files come to.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use renewd::config::{FileContent, Main, parse_inventory_file, parse_main};
use renewd::core::wanted::entry::{Sans, StartTls, Validity, ValidityUnit};
use renewd::core::wanted::files::{Access, Format, Pkcs12Encryption};
use renewd::core::wanted::hook::HookRun;
use renewd::core::wanted::subject::SubjectAttribute;

#[track_caller]
fn main(text: &str) -> Main {
    parse_main(Path::new("/etc/renewd/renewd.toml"), text).unwrap_or_else(|problems| panic!("{}", problems[0]))
}

#[track_caller]
fn file(main: &Main, text: &str) -> FileContent {
    parse_inventory_file(main, "certs.d/x.toml", text).unwrap_or_else(|problems| panic!("{}", problems[0]))
}

#[test]
fn an_empty_file_is_every_default() {
    assert_eq!(main(""), Main::new(Path::new("/etc/renewd/renewd.toml")));
}

#[test]
fn a_small_entry_is_completed() {
    let content =
        file(&main(""), "[[certificate]]\nname = \"www\"\nprofile = \"P\"\ndns_names = [\"WWW.Example.com\"]\n");
    let [entry] = &content.entries[..] else { panic!("one entry") };
    assert_eq!((&*entry.naming.seat(), entry.naming.common_name()), ("www.example.com", None));
    assert_eq!(entry.names().dns_names, ["www.example.com"]);
    assert_eq!(entry.source.to_string(), "certs.d/x.toml line 1");
    assert_eq!((entry.access.key_mode, entry.access.mode), (0o600, 0o644));
    assert_eq!((entry.key, entry.validity, entry.usages.as_deref()), (None, None, None));
}

#[test]
fn the_seat_is_the_common_name_else_the_first_name() {
    #[track_caller]
    fn check(names: &str, seat: &str) {
        let content = file(&main(""), &format!("[[certificate]]\nname = \"x\"\nprofile = \"P\"\n{names}"));
        assert_eq!(content.entries[0].naming.seat(), seat);
    }
    check("common_name = \"Foo Bar\"\ndns_names = [\"a.example\"]", "Foo Bar");
    check("ip_addresses = [\"2001:DB8::1\"]\nemails = [\"a@b.example\"]", "2001:db8::1");
    check("emails = [\"a@b.example\"]\nuris = [\"urn:x:y\"]", "a@b.example");
    check("uris = [\"urn:x:y\"]", "urn:x:y");
    check("seat = \"mine\"\nuris = [\"urn:x:y\"]", "mine");
}

#[test]
fn names_of_rare_kinds_and_custom_values_are_taken() {
    let defaults =
        main("[defaults]\nprofile = \"P\"\nseat_email = \"pki@example.com\"\ncustom_values = { a = 1, b = 2 }\n");
    let content = file(
        &defaults,
        concat!(
            "[[certificate]]\nname = \"x\"\nuser_principal_names = [\"host$@corp.example\"]\nregistered_ids = [\"1.2.3\"]\n",
            "directory_name = \"CN=host,O=Example\"\ncustom_values = { b = \"two\", c = true }\ncert_owner_ids = [\"o\", \"o\"]\n",
            "[certificate.other_names]\nguid = [\"{1B671A64-40D5-491E-99B0-DA01FF1F3341}\"]\n",
            "raw_other_names = [{ oid = \"1.2.4\", values = [{ label = \"l\", value = \"v\" }, { value = \"w\" }] }]\n",
        ),
    );
    let entry = &content.entries[0];
    let names = entry.names();
    assert_eq!(
        names.missing_in(&Sans::default()),
        [
            "user principal name host$@corp.example",
            "registered ID 1.2.3",
            "directory name CN=host,O=Example",
            "GUID 1b671a64-40d5-491e-99b0-da01ff1f3341",
            "other name 1.2.4 v, w",
        ]
    );
    assert_eq!(entry.naming.seat(), "host$@corp.example");
    assert_eq!(
        (entry.seat_email.as_deref(), &**entry.cert_owner_ids),
        (Some("pki@example.com"), &["o".to_owned()][..])
    );
    let values: Vec<String> = entry.custom_values.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(values, ["a=1", "b=two", "c=true"]);
    let kept = serde_json::to_string(&content).unwrap();
    assert_eq!(serde_json::from_str::<FileContent>(&kept).unwrap(), content, "it is kept across a restart");
}

#[test]
fn an_entry_wins_over_the_defaults_and_tables_are_joined() {
    let main = main(concat!(
        "[defaults]\nprofile = \"P\"\nkey = \"rsa-2048\"\nvalidity = \"30d\"\nhooks = [\"n\"]\nmode = \"0640\"\n",
        "subject = { organization_name = \"Example AG\", country = \"CH\", locality = \"Bern\" }\n",
        "files = { pkcs12_password_file = \"/etc/p12\" }\nca_attributes = { a = 1, b = 2 }\n",
        "[hook.n]\ncommand = [\"/bin/true\"]\n",
    ));
    let content = file(
        &main,
        concat!(
            "[[certificate]]\nname = \"one\"\ncommon_name = \"a\"\n",
            "[[certificate]]\nname = \"two\"\ncommon_name = \"b\"\nprofile = \"Q\"\nkey = \"ecdsa-p384\"\nhooks = []\n",
            "subject = { country = \"DE\", locality = [] }\nca_attributes = { b = 3 }\nfiles = { pkcs12 = \"/srv/b.p12\" }\n",
        ),
    );
    let [one, two] = &content.entries[..] else { panic!("two entries") };
    let subject = |entry: &renewd::core::wanted::entry::Entry| {
        entry.subject.iter().map(|(key, values)| format!("{key}={}", values.join("+"))).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(subject(one), "organization_name=Example AG locality=Bern country=CH");
    assert_eq!(subject(two), "organization_name=Example AG country=DE");
    assert_eq!((one.hooks.len(), two.hooks.len()), (1, 0));
    assert_eq!((one.access.mode, two.access.mode), (0o640, 0o640));
    assert_eq!(one.validity, Some(Validity { unit: ValidityUnit::Days, duration: 30 }));
    assert_eq!((one.profile.to_string(), two.profile.to_string()), ("\"P\"".to_owned(), "\"Q\"".to_owned()));
    assert_eq!(serde_json::to_value(&two.ca_attributes).unwrap(), serde_json::json!({"a": 1, "b": 3}));
    assert_eq!(two.files.pkcs12_password_file.as_deref(), Some(Path::new("/etc/p12")));
    assert_eq!(two.formats, [Format::Pkcs12], "a fixed file is a copy of a file in the generation");
    assert_eq!(*content.inherited, main.hooks);
}

#[test]
fn a_path_implies_its_format_and_aes_is_the_default() {
    let text = "[[certificate]]\nname = \"a\"\nprofile = \"P\"\ncommon_name = \"a\"\nformats = [\"bundle\"]\n\
                include_root = true\nfiles = { pkcs12 = \"/a\", pkcs7 = \"/b\", der = \"/c\", pkcs12_password_file = \"/d\" }\n";
    let entry = file(&main(""), text).entries[0].clone();
    assert_eq!(entry.formats, [Format::Bundle, Format::Pkcs12, Format::Pkcs7, Format::Der]);
    assert_eq!((entry.include_root, entry.files.pkcs12_encryption), (true, Pkcs12Encryption::Aes256));
    let paths: Vec<_> = entry.files.targets().map(|(key, path)| format!("{key} {}", path.display())).collect();
    assert_eq!(paths, ["pkcs12 /a", "pkcs7 /b", "der /c"], "keys first");
    let old = file(&main(""), &text.replace("\"/d\" }", "\"/d\", pkcs12_encryption = \"legacy-3des\" }"));
    assert_eq!(old.entries[0].files.pkcs12_encryption, Pkcs12Encryption::Legacy3des);
}

#[test]
fn a_copy_says_what_is_otherwise_and_inherits_the_rest() {
    let text = "[[certificate]]\nname = \"a\"\nprofile = \"P\"\ncommon_name = \"a\"\nowner = \"root\"\ngroup = \"ssl\"\n\
                key_mode = \"0640\"\nfiles = { private_key = \"/k\", pkcs12_password_file = \"/p\", \
                pkcs12_encryption = \"legacy-3des\" }\n\
                [[certificate.copy]]\nowner = \"pg\"\nkey_mode = \"0600\"\nfiles = { bundle = \"/b\" }\n\
                [[certificate.copy]]\nmode = \"0444\"\nfiles = { pkcs12 = \"/j\", chain = \"/c\" }\n\
                [[certificate.copy]]\nfiles = { pkcs12 = \"/k2\", pkcs12_password_file = \"/q\", pkcs12_encryption = \"aes256\" }\n";
    let content = file(&main(""), text);
    let entry = &content.entries[0];
    assert_eq!(entry.formats, [Format::Bundle, Format::Pkcs12], "each path implies its format");
    let access: Vec<_> = entry.placements().map(|place| place.access.clone()).collect();
    let named = |access: &Access| {
        let Access { owner, group, key_mode, mode } = access;
        format!("{} {} {key_mode:o} {mode:o}", owner.as_deref().unwrap(), group.as_deref().unwrap())
    };
    let said: Vec<_> = access.iter().map(named).collect();
    assert_eq!(said, ["root ssl 640 644", "pg ssl 600 644", "root ssl 640 444", "root ssl 640 644"]);
    let paths: Vec<_> = entry.targets().map(|target| format!("{} {}", target.label(), target.path.display())).collect();
    let copies = ["`bundle` of copy 1 /b", "`pkcs12` of copy 2 /j", "`chain` of copy 2 /c", "`pkcs12` of copy 3 /k2"];
    assert_eq!(paths, [&["`private_key` /k"], &copies[..]].concat());
    let passwords: Vec<_> = entry.copies.iter().map(|copy| copy.files.pkcs12_password_file.clone().unwrap()).collect();
    assert_eq!(passwords, ["/p", "/p", "/q"].map(PathBuf::from));
    let encryptions: Vec<_> = entry.copies.iter().map(|copy| copy.files.pkcs12_encryption).collect();
    assert_eq!(encryptions[1..], [Pkcs12Encryption::Legacy3des, Pkcs12Encryption::Aes256]);
    let kept: FileContent = serde_json::from_str(&serde_json::to_string(&content).unwrap()).unwrap();
    assert_eq!(kept, content, "they are kept across a restart");
    let mut moved = entry.as_ref().clone();
    moved.copies = Vec::new().into();
    assert!(
        moved.asks(&entry.asked()) && !moved.is_another_request(entry),
        "a copy is no reason to ask for another one"
    );
}

#[test]
fn a_hook_of_the_file_stands_before_the_one_of_renewd_toml() {
    let main = main("[hook.n]\nunit = \"n.service\"\nverb = \"reload\"\n");
    let text = "[hook.n]\ncommand = [\"/bin/x\", \"\"]\ntimeout = \"5s\"\nmin_interval = \"0s\"\n\
                [[certificate]]\nname = \"a\"\nprofile = \"P\"\ncommon_name = \"a\"\nhooks = [\"n\", \"n\"]\n";
    let content = file(&main, text);
    let hook = &content.hooks[&content.entries[0].hooks[0]];
    assert_eq!(hook.run, HookRun::Command(vec!["/bin/x".into(), String::new()]));
    assert_eq!((hook.timeout, hook.min_interval), (Duration::from_secs(5), Duration::ZERO));
    assert_eq!(content.entries[0].hooks.len(), 1);
    assert!(content.inherited.is_empty());
}

#[test]
fn probes_are_written_in_three_ways() {
    #[track_caller]
    fn check(probe: &str, expected: &[(&str, Option<&str>, Option<StartTls>)]) {
        let text = format!("[[certificate]]\nname = \"a\"\nprofile = \"P\"\ncommon_name = \"a\"\nprobe = {probe}\n");
        let probes = file(&main(""), &text).entries[0].probes.clone();
        let read: Vec<_> =
            probes.iter().map(|probe| (probe.address.as_str(), probe.server_name.as_deref(), probe.starttls)).collect();
        assert_eq!(read, expected);
    }
    check("\"[::1]:443\"", &[("[::1]:443", None, None)]);
    check("{ address = \"mx:25\", starttls = \"smtp\" }", &[("mx:25", None, Some(StartTls::Smtp))]);
    check(
        "[\"a:1\", { address = \"b:2\", server_name = \"C.example\" }]",
        &[("a:1", None, None), ("b:2", Some("c.example"), None)],
    );
    check("[]", &[]);
}

#[test]
fn the_api_settings_are_read() {
    let api = main(
        "[api]\nurl = \"http://127.0.0.1:8080/\"\napi_key_file = [\"/a\", \"/b\"]\nstatus_check_interval = \"off\"\n\
         proxy = \"http://proxy.example:3128\"\nno_proxy = [\"10.0.0.0/8\"]\n",
    )
    .api;
    assert_eq!((api.url.as_str(), api.api_key_files.len()), ("http://127.0.0.1:8080", 2));
    assert_eq!((api.status_check_interval, api.proxy.as_deref()), (None, Some("http://proxy.example:3128")));
    assert_eq!(main("[api]\napi_key_file = \"/a\"\n").api.api_key_files, [Path::new("/a")]);
}

#[test]
fn the_check_of_ca_certificates_can_be_turned_off() {
    let check = |text: &str, hours: Option<u64>| {
        assert_eq!(
            main(text).ca_status_check,
            hours.map(|hours| std::time::Duration::from_secs(hours * 3600)),
            "{text}"
        );
    };
    check("", Some(24));
    check("ca_status_check = \"6h\"", Some(6));
    check("ca_status_check = \"off\"", None);
}

#[test]
fn the_control_socket_lies_in_the_runtime_directory() {
    let default = main("");
    assert_eq!(default.control_socket(None), Path::new("/run/renewd/control.sock"));
    assert_eq!(default.control_socket(Some(Path::new("/run/x"))), Path::new("/run/x/control.sock"));
    let named = main("control_socket = \"/srv/s\"");
    assert_eq!(named.control_socket(Some(Path::new("/run/x"))), Path::new("/srv/s"));
}

#[test]
fn what_was_read_survives_being_kept() {
    let main = main("[hook.n]\nunit = \"n.service\"\nverb = \"reload\"\n");
    let text = "[hook.m]\ncommand = [\"/bin/x\"]\n[[certificate]]\nname = \"a\"\nprofile = \"P\"\ncommon_name = \"a\"\n\
                hooks = [\"n\", \"m\"]\ntags = [\"x\", 1]\nsubject = { country = \"CH\" }\nrenew_before = \"90s\"\n\
                [[certificate]]\nname = \"b\"\nprofile = \"P\"\nseat = \"s\"\ndns_names = [\"b.example\"]\n\
                ip_addresses = [\"192.0.2.1\"]\nfiles = { certificate = \"/srv/b.pem\" }\n\
                [[certificate.probe]]\naddress = \"b.example:443\"\n\
                [[certificate]]\nname = \"c\"\nprofile = \"P\"\ncommon_name = \"c\"\n";
    let content = file(&main, text);
    let kept = serde_json::to_string(&content).unwrap();
    let read: FileContent = serde_json::from_str(&kept).unwrap();
    assert_eq!(read, content);
    assert!(Arc::ptr_eq(&read.entries[1].terms, &read.entries[2].terms), "what two have in common is held once");
    let astray = kept.replace("\"terms\":1", "\"terms\":7");
    assert!(astray != kept && serde_json::from_str::<FileContent>(&astray).is_err());
    assert_eq!(content.entries[0].subject[&SubjectAttribute::Country], ["CH"]);
}

#[test]
fn an_issuer_is_pinned_by_digest_or_subject_and_by_default() {
    let pin = |defaults: &str, own: &str| {
        let text = format!("[[certificate]]\nname = \"a\"\nprofile = \"P\"\ncommon_name = \"a\"\n{own}");
        let entry = file(&main(&format!("[defaults]\n{defaults}")), &text).entries[0].clone();
        entry.issuer.as_ref().map(ToString::to_string)
    };
    let digest = format!("sha256:{}", "AB".repeat(32));
    assert_eq!(pin("", ""), None);
    assert_eq!(pin("", &format!("issuer = \"SHA256:{}\"", "ab:".repeat(32))), Some(digest.clone()));
    assert_eq!(pin(&format!("issuer = \"{digest}\""), ""), Some(digest.clone()));
    let subject = "CN=R1, O=Example AG";
    assert_eq!(pin(&format!("issuer = \"{digest}\""), &format!("issuer = \"{subject}\"")), Some(subject.to_owned()));
}
