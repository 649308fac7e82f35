//! What is fuzzed: a function for each reader of bytes that others wrote. Each does what the program does with them, and
//! checks what must hold whatever they are.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use renewd::api::call::Call;
use renewd::api::client::read_reply;
use renewd::api::date::{http_date, retry_after};
use renewd::api::error::{RequestContext, RequestError};
use renewd::api::json::Json;
use renewd::api::reply::{End, Reply};
use renewd::api::{
    Answer, IssueRequest, IssuedCertificate, Page, Pickup, RenewRequest, SearchQuery, body_answer as answer,
    body_profile,
};
use renewd::config::{Main, Problem, parse_inventory_file, parse_main};
use renewd::core::failure::{Failure, FailureClass};
use renewd::core::known::profile::Profile;
use renewd::core::known::validation::DomainValidation;
use renewd::core::name::{ProfileId, RequestId, SerialNumber};
use renewd::core::request::compose;
use renewd::core::text::Text;
use renewd::core::time::Timestamp;
use renewd::core::wanted::dn;
use renewd::core::wanted::entry::Sans;
use renewd::core::wanted::subject::Subject;

use crate::{journal, material, standing};

/// One target.
pub type Target = fn(&[u8]);

/// All of them, by the names of their corpora.
pub const TARGETS: [(&str, Target); 19] = [
    ("main", main_file),
    ("drop_in", drop_in),
    ("profiles", profiles),
    ("issue", issue),
    ("pickup", pickup),
    ("details", details),
    ("formats", formats),
    ("search", search),
    ("errors", errors),
    ("roots", roots),
    ("names", names),
    ("answer", material::answer),
    ("pem", material::pem),
    ("key", material::key),
    ("files", material::files),
    ("key_store", material::key_store),
    ("gate", material::gate),
    ("standing", standing::standing),
    ("journal", journal::journal),
];

/// The credential in use: it must not be in any message, however the other side spells it.
pub const SECRET: &str = "the-secret-0123456789";
/// The present, within the validity of the chains.
pub const NOW: Timestamp = Timestamp::from_seconds(1_893_456_000);

/// `renewd.toml`.
fn main_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let file = Path::new("/etc/renewd/renewd.toml");
    match parse_main(file, text) {
        Ok(main) => assert!(main.control_socket(None).is_absolute() && main.state_dir.is_absolute()),
        Err(problems) => shown(&problems),
    }
}

/// A file of the inventory.
fn drop_in(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let main = Main::new(Path::new("/etc/renewd/renewd.toml"));
    match parse_inventory_file(&main, "certs.d/x.toml", text) {
        Ok(content) => {
            let names: BTreeSet<_> = content.entries.iter().map(|entry| &entry.name).collect();
            assert_eq!(names.len(), content.entries.len(), "a name is there twice");
            let targets: Vec<_> = content.entries.iter().flat_map(|entry| entry.targets()).collect();
            let paths: BTreeSet<_> = targets.iter().map(|target| target.path).collect();
            assert_eq!(paths.len(), targets.len(), "a target is there twice");
            assert!(paths.iter().all(|path| path.is_absolute() && !path.starts_with(&main.state_dir)), "{paths:?}");
        }
        Err(problems) => shown(&problems),
    }
}

/// A refusal has a problem, and each is a few clean lines.
fn shown(problems: &[Problem]) {
    assert!(!problems.is_empty(), "refused without a problem");
    for problem in problems {
        let text = problem.to_string();
        assert!(text.lines().count() <= 4 && !problem.summary().contains('\n'), "{text}");
        text.lines().for_each(clean);
    }
}

/// A line that no terminal is steered by.
pub fn clean(line: &str) {
    let raw = |c: char| {
        c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
    };
    assert!(!line.contains(raw), "{line:?}");
}

/// As [`clean`], cut, and without the credential.
pub fn told(text: &Text) {
    clean(text.as_str());
    assert!(text.as_str().chars().count() <= Text::LIMIT, "{text}");
    assert!(!text.as_str().to_ascii_lowercase().contains(SECRET), "{text}");
}

fn profile_id() -> ProfileId {
    ProfileId("d6743d9a-fb67-4a64-a33e-8a3229d28cc4".into())
}

fn serial() -> SerialNumber {
    SerialNumber("0A1B".to_owned())
}

/// The answer of 200 with this body to `call`, read.
fn read<T>(data: &[u8], call: &Call, read: impl FnOnce(Json<'_>) -> Result<T, String>) -> Option<T> {
    judged(reply(200, None, false, data), call, read).ok()
}

fn judged<T>(reply: Reply, call: &Call, read: impl FnOnce(Json<'_>) -> Result<T, String>) -> Result<T, Failure> {
    read_reply(reply, read).map_err(|trouble| failure(trouble, call))
}

fn failure(trouble: RequestError, call: &Call) -> Failure {
    let place = RequestContext {
        host: "one.digicert.com",
        proxy: None,
        credential: "api-key",
        by_certificate: false,
        secrets: vec![SECRET],
    };
    let failure = trouble.into_failure(call, place);
    told(&failure.message);
    assert!(failure.retry.is_none_or(|hint| hint.instant(NOW) >= Timestamp::from_millis(i64::MIN)));
    failure
}

fn reply(status: u16, retry: Option<&str>, labelled_html: bool, body: &[u8]) -> Reply {
    Reply {
        status,
        date: retry.and_then(http_date),
        retry: retry.and_then(retry_after),
        location: None,
        labelled_html,
        encoding: None,
        body: body.to_vec(),
        end: End::Whole,
    }
}

/// Profiles, as a list and alone.
fn profiles(data: &[u8]) {
    for profile in read(data, &Call::profiles(Page::FIRST), |body| body_profile::profiles(body, &[SECRET]))
        .unwrap_or_default()
        .profiles
    {
        assert!(profile.version() == profile.clone().version() && profile.default_key() == profile.default_key());
        assert!(profile.renewal_window().is_none_or(|window| window >= Duration::from_secs(86_400)));
        assert!(
            profile.renewal_window().is_none_or(|window| window <= Duration::from_secs(86_400 * u64::from(u32::MAX)))
        );
        profile.unknown_keys.iter().chain(&profile.allowed_names).for_each(|text| clean(text.as_str()));
        composed(&profile);
    }
    let one = read(data, &Call::profile(&profile_id()), |body| body_profile::profile_of(&profile_id(), body));
    assert!(one.is_none_or(|profile| profile.id == profile_id()), "another profile than was asked for");
}

/// An entry against a profile that says anything: what is refused says why.
fn composed(profile: &Profile) {
    let main = Main::new(Path::new("/etc/renewd/renewd.toml"));
    let content = parse_inventory_file(&main, "certs.d/x.toml", ENTRY).unwrap();
    for entry in content.entries.iter() {
        match compose(entry, profile) {
            Ok(wish) => assert!(profile.keys.is_empty() || profile.keys.contains(&wish.key)),
            Err(failure) => clean(failure.message.as_str()),
        }
    }
}

const ENTRY: &str = "[[certificate]]\nname = \"x\"\nprofile = \"P\"\ncommon_name = \"www.example.com\"\n\
                     dns_names = [\"www.example.com\", \"*.example.com\"]\nip_addresses = [\"10.0.0.1\", \"2001:db8::1\"]\n\
                     custom_values = { user_id = 1 }\n";

/// The roots of `ca_file`.
fn roots(data: &[u8]) {
    match renewd::api::roots::read(data) {
        Ok(found) => {
            assert!(!found.ders.is_empty() && found.ders.iter().all(|der| der.len() <= data.len()));
            found.passed_over.iter().for_each(|odd| assert!(odd.starts_with("certificate "), "{odd}"));
        }
        Err(why) => assert!(!why.is_empty()),
    }
}

/// Distinguished names as text, which are written again as the same name.
fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(printed) = dn::parse_printed(text) {
        assert!(dn::is_same_name(&printed, &printed) && printed.iter().all(|one| dn::is_oid(&one.oid)));
    }
    let Some(name) = dn::parse(text) else { return };
    let written = dn::written(&name);
    assert_eq!(dn::parse(&written), Some(name), "{written}");
    assert!(dn::same(text, &written));
}

fn ids(issued: &IssuedCertificate) {
    assert!(issued.serial_number.0.bytes().all(|c| c.is_ascii_hexdigit()) && issued.serial_number.0.len() <= 128);
    assert!(!issued.certificates.is_empty() || !issued.serial_number.0.is_empty());
    issued.certificates.iter().for_each(|text| material::answer_text(text));
}

/// The answer to a request for a certificate. What it brings goes into paths and the journal.
fn issue(data: &[u8]) {
    match read(data, &creating(), |body| answer::answer(body, &[SECRET])) {
        Some(Answer::Issued(issued)) => ids(&issued),
        Some(Answer::Pending(RequestId(id), validation)) => {
            told_validation(validation.as_ref());
            assert!(id.bytes().all(|c| c.is_ascii_graphic()) && (1..=128).contains(&id.len()), "{id:?}");
        }
        None => {}
    }
}

/// The answer to a pickup.
fn pickup(data: &[u8]) {
    let call = Call::pick_up(&RequestId("r".to_owned()), &profile_id()).unwrap();
    match read(data, &call, |body| answer::pickup(body, &[SECRET])) {
        Some(Pickup::Issued(issued)) => ids(&issued),
        Some(Pickup::Rejected(remarks) | Pickup::Unknown(remarks)) => told(&remarks),
        Some(Pickup::Pending(validation)) => told_validation(validation.as_ref()),
        None => {}
    }
}

fn told_validation(validation: Option<&DomainValidation>) {
    let texts = validation.into_iter().flat_map(|found| found.method.iter().chain(&found.random_value));
    texts.for_each(told);
}

/// The state of a certificate.
fn details(data: &[u8]) {
    let call = Call::details(&serial(), None);
    let details = read(data, &call, |body| answer::details_of(&serial(), body, &[SECRET]));
    details.iter().for_each(|details| told(&Text::new(&details.standing.to_string())));
    assert!(details.is_none_or(|details| details.serial_number.same(&serial())), "another certificate");
    drop(read(data, &Call::me(), |body| Ok(answer::me(body))));
    drop(read(data, &Call::version(), answer::version));
}

/// A certificate and its chain.
fn formats(data: &[u8]) {
    let formats = read(data, &Call::formats(&serial(), None), answer::formats);
    let texts = formats.into_iter().flat_map(|formats| formats.chain.into_iter().chain(formats.pkcs7));
    texts.for_each(|text| material::answer_text(&text));
}

/// A page of a search: an empty one is the last, or it would be turned for ever.
fn search(data: &[u8]) {
    let call = Call::search(&SearchQuery::default(), Page::FIRST);
    let found = read(data, &call, |body| answer::search(body, Page::FIRST, &[SECRET]));
    assert!(
        found.is_none_or(|page| (!page.has_more || page.received > 0) && page.items.len() <= page.received as usize)
    );
}

/// An answer with its head: a line with the status, one with `Retry-After`, one that is not empty where HTML is
/// announced, and the body.
fn errors(data: &[u8]) {
    let mut parts = data.splitn(4, |byte| *byte == b'\n');
    let mut line = || parts.next().map(|line| String::from_utf8_lossy(line).into_owned()).unwrap_or_default();
    let (status, retry, html) = (line(), line(), line());
    let body = parts.next().unwrap_or_default();
    let status = status.trim().parse().unwrap_or(400);
    let renew = RenewRequest { serial_number: serial(), thumbprint: None, csr: String::new(), validity: None };
    let calls = [
        creating(),
        Call::renew(&renew).unwrap(),
        Call::pick_up(&RequestId("r".to_owned()), &profile_id()).unwrap(),
        Call::details(&serial(), None),
        Call::search(&SearchQuery::default(), Page::FIRST),
        Call::profile(&profile_id()),
    ];
    for call in calls {
        let told =
            judged(reply(status, Some(&retry), !html.is_empty(), body), &call, |body| answer::answer(body, &[SECRET]));
        let is_refusal = told.as_ref().is_err_and(|failure| failure.class == FailureClass::ApiUnauthorised);
        assert!(!is_refusal || status == 401, "{told:?}");
        assert!(told.is_err() || (200..300).contains(&status), "{status} is a success");
    }
}

fn creating() -> Call {
    let request = IssueRequest {
        profile: profile_id(),
        seat: "www.example.com".to_owned(),
        seat_email: None,
        csr: String::new(),
        subject: Subject::new(),
        names: Sans::default(),
        validity: None,
        custom_values: std::collections::BTreeMap::new(),
        cert_owner_ids: Vec::new(),
        tags: Vec::new(),
        custom_attributes: Vec::new(),
        ca_attributes: std::collections::BTreeMap::new(),
    };
    Call::issue(&request).unwrap()
}
