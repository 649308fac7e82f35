//! Files in service, in every form that somebody may have written: what TLS servers load is never asked for anew before its
//! time, and what they refuse is not called healthy. OpenSSL is the arbiter, as the program of Python that loads key and
//! chain the way a server does; where Python is missing, the test says so and is skipped. `RENEWD_FILES_RUNS` sets how many
//! mutations there are, `RENEWD_FILES_SEED` where they begin.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

mod arbiter;
mod kinds;
mod mutate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use renewd::core::code::Code;
use renewd::core::compact::boxed_default::BoxedDefault;
use renewd::core::compact::packed_names::Naming;
use renewd::core::compact::settings::EntrySettings;
use renewd::core::known::observed::Observed;
use renewd::core::name::ProfileRef;
use renewd::core::wanted::entry::{Entry, Sans, Source};
use renewd::core::wanted::files::FixedFiles;
use renewd::store::layout::Layout;
use renewd::store::observe::observe;
use renewd::store::real_disk::RealDisk;

/// A certificate file and a key file.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

/// What renewd makes of a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// Kept, without a remark.
    Healthy,
    /// Kept, with remarks.
    Kept,
    /// Asked for at once.
    Due,
}

/// An entry whose files are those of a case.
fn entry(certificate: PathBuf, key: PathBuf) -> Entry {
    let files = FixedFiles { private_key: Some(key), fullchain: Some(certificate), ..FixedFiles::default() };
    let naming = Naming {
        own_seat: None,
        common_name: Some("www.example.com".to_owned()),
        names: Sans { dns_names: vec!["www.example.com".to_owned()], ..Sans::default() },
    };
    Entry {
        name: "www".parse().unwrap(),
        source: Source { file: "certs.d/www.toml".into(), line: 1 },
        naming: naming.into(),
        probes: BoxedDefault::new(),
        files: files.into(),
        terms: Arc::new(EntrySettings::new(ProfileRef::new("Web"))),
    }
}

fn judged(folder: &Path, number: usize) -> (Verdict, String) {
    let [certificate, key] = arbiter::paths(folder, number);
    let observed = observe(&RealDisk, &Layout::new(Path::new("/nonexistent/state")), &entry(certificate, key));
    match observed {
        // An entry that differs is due as well. That most cases are a leaf without its chain says nothing of their form.
        Observed::Installed(installed) => {
            let mut remarks = installed.remarks.list.iter().filter(|remark| remark.code != Code::FilesIncomplete);
            match (installed.differs, remarks.next()) {
                (Some(what), _) => (Verdict::Due, what.to_string()),
                (None, None) => (Verdict::Healthy, String::new()),
                (None, Some(remark)) => (Verdict::Kept, remark.message.to_string()),
            }
        }
        Observed::Damaged(what) => (Verdict::Due, what.to_string()),
        other @ (Observed::Absent | Observed::Unreadable(_)) => (Verdict::Due, format!("{other:?}")),
    }
}

/// Disagreements that are accepted, each with its reason; `None`: it is none of them.
fn accepted(loads: &Result<(), String>, case: &Case, said: &str) -> Option<&'static str> {
    let says = |what: &str| said.contains(what);
    match loads {
        Ok(()) if says("does not parse") || says("malformed") => {
            Some("OpenSSL looks at dates when a client does, and every client refuses such a certificate")
        }
        Ok(()) if says("the certificate lacks") || says("the common name is not") => {
            Some("another name stands there now: the entry asks for what the certificate has not")
        }
        Ok(()) => None,
        Err(why) if why.contains("TOO_SMALL") || why.contains("TOO_WEAK") => {
            Some("a point that is on no curve, or an algorithm that OpenSSL's security level refuses in a CA")
        }
        // A flipped bit of base64 is one of the DER.
        Err(_) if case.name.contains(" der") || case.name.contains("flip") => {
            Some("contents that decide nothing, and that only OpenSSL's decoder looks at")
        }
        Err(_) => None,
    }
}

/// Judges all cases by both; gives how many there were of each kind of answer.
fn compare(cases: &[Case]) {
    let folder = tempfile::tempdir().unwrap();
    let Some(loads) = arbiter::loads(folder.path(), cases) else { return };
    let mut counts: BTreeMap<(bool, Verdict), usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut excused: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, (case, loads)) in cases.iter().zip(&loads).enumerate() {
        let (verdict, said) = judged(folder.path(), number);
        *counts.entry((loads.is_ok(), verdict)).or_default() += 1;
        let is_fine = if loads.is_ok() { verdict != Verdict::Due } else { verdict != Verdict::Healthy };
        match accepted(loads, case, &said) {
            _ if is_fine => {}
            Some(why) => *excused.entry(why).or_default() += 1,
            None => {
                let said = said.replace(folder.path().to_str().unwrap(), "");
                wrong.push(format!("{}: {loads:?}, {verdict:?} {said}", case.name));
                arbiter::keep(case, wrong.len());
            }
        }
    }
    println!("(OpenSSL loads it, renewd's verdict): {counts:?}; accepted: {excused:#?}");
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn forms_that_people_write() {
    compare(&kinds::forms());
}

#[test]
fn keys_of_every_kind() {
    compare(&kinds::keys());
}

/// What is said of a case.
#[track_caller]
fn says(cases: Vec<Case>, name: &str, verdict: Verdict, said: &str) {
    let folder = tempfile::tempdir().unwrap();
    let case = cases.into_iter().find(|case| case.name == name).unwrap();
    let [certificate, key] = arbiter::paths(folder.path(), 0);
    std::fs::write(certificate, &case.certificate).unwrap();
    std::fs::write(key, &case.key).unwrap();
    let found = judged(folder.path(), 0);
    assert_eq!(found.0, verdict, "{name}: {}", found.1);
    assert!(found.1.contains(said), "{name}: {}", found.1);
}

#[test]
fn each_form_is_told_for_what_it_is() {
    let check = |name: &str, verdict, said: &str| says(kinds::forms(), name, verdict, said);
    check("Latin-1 before", Verdict::Healthy, "");
    check("TRUSTED with more", Verdict::Healthy, "");
    check(
        "CR",
        Verdict::Kept,
        "0.crt: OpenSSL does not load this file: it has no PEM block of a certificate on lines of its own",
    );
    check(
        "DER",
        Verdict::Kept,
        "0.crt: OpenSSL does not load this file: it has no PEM block of a certificate on lines of its own",
    );
    check("many", Verdict::Healthy, "");
    check("a full buffer before", Verdict::Healthy, "");
    check("BER", Verdict::Healthy, "");
    check("BER within", Verdict::Kept, "does not compare its names: the certificate is in BER, not in DER");
    check("key in clear as ENCRYPTED", Verdict::Healthy, "");
    check("CA cut", Verdict::Due, "0.crt: the certificate is damaged: a PEM block is cut off: its END line is missing");
    check("CA first", Verdict::Due, "0.crt begins with another certificate than that of the key in ");
    check("another certificate first", Verdict::Due, "begins with another certificate than that of the key in ");
    check("garbage", Verdict::Due, "0.crt: the certificate is empty");
    check("key of another", Verdict::Due, "0.key does not belong to the certificate");
    check("key missing", Verdict::Due, "0.key: there is no private key in it");
    check("key cut", Verdict::Due, "0.key: the private key is damaged");
    check("key as ANY", Verdict::Kept, "0.key holds an EC key on P-256 in a form that OpenSSL does not load");
}

#[test]
fn each_kind_of_key_is_told_for_what_it_is() {
    let check = |name: &str, verdict, said: &str| says(kinds::keys_named(name), name, verdict, said);
    if kinds::keys_named("RSA-PSS").is_empty() {
        return;
    }
    check("RSA-PSS", Verdict::Healthy, "");
    check("RSA of three primes", Verdict::Healthy, "");
    check("RSA of a long exponent", Verdict::Healthy, "");
    check("explicit", Verdict::Healthy, "");
    check("RSA of 1024 bits", Verdict::Kept, "an RSA key of 1024 bits: OpenSSL's default security level refuses it");
    check("Ed448", Verdict::Kept, "0.key holds an Ed448 key: renewd cannot tell whether it is the certificate's");
    check(
        "encrypted",
        Verdict::Kept,
        "0.key holds an encrypted key: renewd cannot tell whether it is the certificate's",
    );
    let point = "holds an EC key on brainpoolP256r1: renewd cannot tell whether it is the certificate's";
    check("brainpool without the point", Verdict::Kept, point);
}

#[test]
fn mutations() {
    let first = number("RENEWD_FILES_SEED", 0);
    let cases: Vec<Case> = (first..first + number("RENEWD_FILES_RUNS", RUNS)).map(mutate::case).collect();
    compare(&cases);
}

const RUNS: u64 = 400;
