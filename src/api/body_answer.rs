//! The bodies of answers about certificates, read into the port's terms. A certificate is handed on as the text that
//! came: checking it is the gate's. A PKCS#12 password, should one come, is left where it is.

use crate::core::known::standing::Standing;
use crate::core::known::validation::DomainValidation;
use crate::core::name::{RequestId, SerialNumber};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::pki::answer as pki_answer;

use super::body_profile::profile_id;
use super::date;
use super::envelope::written;
use super::json::{Json, is_same_key};
use super::port::{Answer, Details, Formats, IssuedCertificate, Me, Page, Pickup, SearchPage};

/// The answer to a request for a certificate, new or renewed; `secrets` are masked in what is said of it.
///
/// # Errors
///
/// When there is neither a certificate, nor a serial number, nor a request id.
pub fn answer(body: Json<'_>, secrets: &[&str]) -> Result<Answer, String> {
    match body.at("request_id").text().filter(|id| !is_placeholder(id)) {
        Some(request) if !shows_leaf(body) => {
            Ok(Answer::Pending(RequestId(graphic(&request)?), domain_validation(body, secrets)))
        }
        _ => issued(serial(body), certificates(body))
            .map(Answer::Issued)
            .ok_or_else(|| "neither a certificate nor a `request_id`".to_owned()),
    }
}

/// Whether a certificate came that may be the one asked for: not CAs alone, and no word in its place.
fn shows_leaf(body: Json<'_>) -> bool {
    LEAF_PLACES
        .into_iter()
        .flat_map(|key| texts(body.at(key)))
        .any(|text| text.len() >= SHORTEST_CERTIFICATE || text.contains("-----BEGIN"))
}

/// What stands where there is no id; a dot would be another path.
fn is_placeholder(id: &str) -> bool {
    let id = id.trim().to_ascii_lowercase();
    matches!(id.as_str(), "" | "." | ".." | "-" | "0" | "null" | "nil" | "none" | "false" | "n/a" | "na" | "undefined")
}

/// What is no id would go into a path.
fn graphic(id: &str) -> Result<String, String> {
    let id = id.trim();
    let is_id = id.len() <= LONGEST_ID && id.bytes().all(|c| c.is_ascii_graphic());
    if is_id { Ok(id.to_owned()) } else { Err(format!("`request_id` \"{id}\"")) }
}

/// The answer to a pickup. What is said to be rejected is never a success, whatever else comes along; `secrets` are
/// masked in what is said of it.
///
/// # Errors
///
/// When there is neither a certificate nor a state.
pub fn pickup(body: Json<'_>, secrets: &[&str]) -> Result<Pickup, String> {
    let word = body.at("status").word();
    let status = Status::read(&word);
    // The number alone says nothing beside a word that is not known.
    let (number, certificates) = (serial(body), certificates(body));
    let is_known = matches!(status, Status::Unsaid | Status::Issued) || !certificates.is_empty();
    match (status, issued(number.filter(|_| is_known), certificates)) {
        (Status::Rejected, _) => Ok(Pickup::Rejected(remarks(body, secrets))),
        (Status::Waiting, _) => Ok(Pickup::Pending(domain_validation(body, secrets))),
        (Status::Decided, _) if !shows_leaf(body) => Ok(Pickup::Pending(domain_validation(body, secrets))),
        (_, Some(issued)) => Ok(Pickup::Issued(issued)),
        (Status::Unsaid, None) => Err("neither a certificate nor a `status`".to_owned()),
        (Status::Issued, None) => Ok(odd(&format!("`status` \"{word}\" without a certificate"), secrets)),
        (Status::Decided | Status::Unknown, None) => {
            let what = format!("`status` \"{word}\", which renewd does not know, without a certificate");
            Ok(odd(&what, secrets))
        }
    }
}

fn odd(what: &str, secrets: &[&str]) -> Pickup {
    Pickup::Unknown(Text::masked(what, secrets.iter().copied()))
}

/// What the word of a pickup comes down to.
enum Status {
    Unsaid,
    Issued,
    /// Still under way.
    Waiting,
    /// Agreed to; the certificate may be there already, and the word stays as it is.
    Decided,
    /// Refused or withdrawn.
    Rejected,
    Unknown,
}

impl Status {
    /// Reads a word in whatever case, with whatever between its parts.
    fn read(word: &str) -> Self {
        let letters: String = word.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
        let begins = |words: &[&str]| words.iter().any(|word| letters.starts_with(word));
        match letters.as_str() {
            "" => Self::Unsaid,
            "issued" => Self::Issued,
            _ if begins(&["pending", "inprogress", "processing", "waiting", "awaiting", "queued"]) => Self::Waiting,
            _ if begins(&["approved", "created"]) => Self::Decided,
            _ if begins(&["reject", "declined", "denied", "cancel"]) => Self::Rejected,
            _ => Self::Unknown,
        }
    }
}

/// A certificate, or the number of one that has to be fetched.
fn issued(serial_number: Option<String>, certificates: Vec<String>) -> Option<IssuedCertificate> {
    let is_one = serial_number.is_some() || !certificates.is_empty();
    is_one.then(|| IssuedCertificate { serial_number: SerialNumber(serial_number.unwrap_or_default()), certificates })
}

/// Everything that came as certificate.
fn certificates(body: Json<'_>) -> Vec<String> {
    LEAF_PLACES.into_iter().chain(CHAIN_PLACES).flat_map(|key| texts(body.at(key))).collect()
}

/// The texts of a place where certificates are expected: by themselves, in objects, or in JSON that was written as text. An
/// object without one is handed on as it is: that it cannot be read is not to be passed over.
fn texts(place: Json<'_>) -> Vec<String> {
    let of_one = |item: Json<'_>| match item.string() {
        Some(text) => written(&text).map_or_else(|| vec![text], |inner| texts(Json::of(&inner))),
        None if item.is_object() => in_object(item),
        None => Vec::new(),
    };
    place.items().into_iter().flat_map(of_one).filter(|text| !text.trim().is_empty()).collect()
}

/// The certificates of an object: every text in it that is one, else the text under a key that is known for it or that
/// looks like one.
fn in_object(item: Json<'_>) -> Vec<String> {
    let readable: Vec<String> = item.texts().into_iter().filter(|text| is_readable(text)).map(str::to_owned).collect();
    if !readable.is_empty() {
        return readable;
    }
    let keys = ["pem", "cert_blob", "certificate", "cert", "x509", "value", "data", "content"];
    let known = keys.iter().find_map(|key| item.at(key).text());
    let by_looks = || item.texts().into_iter().find(|text| text.contains("-----BEGIN") || text.starts_with("MII"));
    vec![known.or_else(|| by_looks().map(str::to_owned)).unwrap_or_else(|| item.shown())]
}

/// Whether a certificate can be read out of a text.
fn is_readable(text: &str) -> bool {
    let mut answer = pki_answer::Answer::default();
    answer.read(text, &|raw| Text::new(raw));
    !answer.certificates.is_empty()
}

/// What somebody has to publish before TLM issues: of several domains all, each value with its domain.
fn domain_validation(body: Json<'_>, secrets: &[&str]) -> Option<DomainValidation> {
    let (mut methods, mut values) = (Vec::new(), Vec::new());
    collect_validations(body.at("dv_details"), None, &mut methods, &mut values);
    let is_one = values.iter().all(|(value, _)| values.first().is_some_and(|(first, _)| first == value));
    values.truncate(if is_one { 1 } else { values.len() });
    let shown = |(value, domain): (String, Option<String>)| match domain.filter(|_| !is_one) {
        Some(domain) => format!("{value} ({domain})"),
        None => value,
    };
    let text =
        |parts: Vec<String>| (!parts.is_empty()).then(|| Text::masked(&parts.join(", "), secrets.iter().copied()));
    let (method, random_value) = (text(methods), text(values.into_iter().map(shown).collect()));
    (method.is_some() || random_value.is_some()).then_some(DomainValidation { method, random_value })
}

/// The methods, each once, and the values of a place, each with its domain where one is named beside it or above it.
fn collect_validations(
    place: Json<'_>,
    domain: Option<&str>,
    methods: &mut Vec<String>,
    values: &mut Vec<(String, Option<String>)>,
) {
    for item in place.items() {
        if values.len() + methods.len() >= MOST_DOMAINS {
            return;
        }
        let texts = |keys: &[&str]| item.first_of(keys).items().into_iter().filter_map(Json::text);
        let own = item.first_of(&["domain", "domain_name", "dns_name", "name"]).text();
        let domain_of = || own.clone().or_else(|| domain.map(str::to_owned));
        let bare = domain.and_then(|_| item.string());
        let new = bare.into_iter().chain(texts(&["dcv_random_value", "random_value", "token", "value", "values"]));
        let (before, known) = (values.len(), methods.len());
        for value in new.filter(|value| !value.trim().is_empty()) {
            values.push((value, domain_of()));
        }
        for method in texts(&["dcv_method", "method"]) {
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        if (before, known) != (values.len(), methods.len()) {
            continue;
        }
        // A map from domains, or something around a list of them.
        for (key, value) in item.fields() {
            collect_validations(value, Some(key).filter(|key| key.contains('.')), methods, values);
        }
    }
}

/// The serial number as it is spelt, if it is one: it goes into paths, messages and the journal.
fn serial(body: Json<'_>) -> Option<String> {
    let said = body.at("serial_number").text()?;
    let said = said.trim();
    let digits = said.strip_prefix("0x").or_else(|| said.strip_prefix("0X")).unwrap_or(said);
    let serial: String = digits.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    ((1..=LONGEST_ID).contains(&serial.len()) && serial.bytes().all(|c| c.is_ascii_hexdigit())).then_some(serial)
}

/// The fields of a rejection that may hold its reason, wherever they stand; which ones there are is not documented.
fn remarks(body: Json<'_>, secrets: &[&str]) -> Text {
    let mut said = Vec::new();
    collect_remarks(body, None, &mut said);
    Text::masked(&said.join("; "), secrets.iter().copied())
}

/// What is below a telling key is told with the key that is nearest to it.
fn collect_remarks(place: Json<'_>, telling: Option<&str>, said: &mut Vec<String>) {
    for item in place.items() {
        said.extend(telling.and_then(|key| Some(format!("{key}: {}", item.text()?))));
        for (key, value) in item.fields() {
            let folded = key.to_ascii_lowercase();
            let is_telling = TELLING.iter().any(|word| folded.contains(word));
            let is_of_others = ["profile", "seat", "certificate"].contains(&folded.as_str());
            if !is_of_others {
                collect_remarks(value, Some(key).filter(|_| is_telling || telling.is_some()), said);
            }
        }
    }
}

/// What TLM knows of the certificate `asked` for; `secrets` are masked in what is said of it.
///
/// # Errors
///
/// When it is about another certificate, or shows none.
pub fn details_of(asked: &SerialNumber, body: Json<'_>, secrets: &[&str]) -> Result<Details, String> {
    let details = details(body, secrets).ok_or("a certificate without `serial_number`")?;
    if details.serial_number.0.is_empty() {
        return Ok(Details { serial_number: asked.clone(), ..details });
    }
    if details.serial_number.same(asked) {
        return Ok(details);
    }
    Err(format!("it is about the certificate {}", details.serial_number))
}

/// What TLM knows of a certificate; `None`: it names none and shows none.
fn details(body: Json<'_>, secrets: &[&str]) -> Option<Details> {
    let (number, texts) = (serial(body), texts(body.at("certificate")));
    if number.is_none() && texts.is_empty() {
        return None;
    }
    Some(Details {
        serial_number: SerialNumber(number.unwrap_or_default()),
        standing: standing(body, secrets),
        thumbprint: body.at("thumbprint").text().map(|thumbprint| thumbprint.trim().to_owned()),
        profile: body.at("profile").at("id").text().map(|id| profile_id(&id)),
        certificate: Some(texts.join("\n")).filter(|text| !text.is_empty()),
    })
}

fn standing(body: Json<'_>, secrets: &[&str]) -> Standing {
    let revocation = body.at("revocation");
    let reasons = [revocation.first_of(&["reason", "revocation_reason"]), body.at("revocation_reason")];
    let reason = reasons.into_iter().map(Json::word).find(|reason| !reason.is_empty());
    let since = revocation.first_of(&["revocation_date", "date"]).text();
    let since = since.or_else(|| body.at("revocation_date").text()).and_then(|date| date::instant_in(&date));
    let word = Text::masked(&body.at("status").word(), secrets.iter().copied());
    Standing::read(word.as_str(), reason.map(|reason| Text::masked(&reason, secrets.iter().copied())), since)
}

/// A certificate with its chain.
///
/// # Errors
///
/// When there is no place for a chain or PKCS#7, be it empty.
pub fn formats(body: Json<'_>) -> Result<Formats, String> {
    let pkcs7 = texts(body.at("pkcs7"));
    let formats = Formats {
        chain: texts(body.at("x509_cert_chain")),
        pkcs7: Some(pkcs7.join("\n")).filter(|text| !text.is_empty()),
    };
    let names_one =
        body.fields().any(|(key, _)| ["x509_cert_chain", "pkcs7"].iter().any(|known| is_same_key(key, known)));
    if !names_one {
        return Err("neither `x509_cert_chain` nor `pkcs7`".to_owned());
    }
    Ok(formats)
}

/// One page of a search. `has_more` is new; before it, `total` told, and without either a full page hints at another.
/// An item that neither names nor shows a certificate is passed over; `secrets` are masked.
///
/// # Errors
///
/// When there is no list.
pub fn search(body: Json<'_>, page: Page, secrets: &[&str]) -> Result<SearchPage, String> {
    let members = body.list(&["items"]).ok_or("no `items`")?.members();
    let received = u32::try_from(members.len()).unwrap_or(u32::MAX);
    let items = members.into_iter().filter_map(|item| details(item, secrets)).collect();
    let by_total = || Some(page.offset.saturating_add(received) < body.at("total").number()?);
    let has_more = body.at("has_more").flag().or_else(by_total).unwrap_or(received >= page.limit);
    Ok(SearchPage { items, received, has_more: has_more && received > 0 })
}

/// The roles of the caller: every text below a key that speaks of roles or permissions, since the shape of this answer
/// is not documented.
pub fn me(body: Json<'_>) -> Me {
    let mut roles = Vec::new();
    collect_roles(body, false, &mut roles);
    roles.sort();
    roles.dedup();
    Me { roles, not_after: end_in(body) }
}

/// The end of `key` in a list of keys: of the one whose id the key begins with, or of the one that is in force alone. Which of
/// several it is stays open.
pub fn key_end(body: Json<'_>, key: &str) -> Option<Timestamp> {
    let list = body.list(&["items", "tokens", "api_access_tokens", "data"])?.items();
    let is_its_id = |text: &&str| text.len() >= SHORTEST_KEY_ID && key.starts_with(*text);
    let own = list.iter().find(|item| item.texts().iter().any(is_its_id));
    let is_in_force = |item: &&Json<'_>| {
        let word = item.first_of(&["status", "state"]).word().to_ascii_lowercase();
        matches!(word.as_str(), "" | "active" | "enabled" | "valid")
    };
    let mut in_force = list.iter().filter(is_in_force);
    let only = in_force.next().filter(|_| in_force.next().is_none());
    own.or(only).and_then(|item| end_in(*item))
}

/// The earliest end that the answer names, under whatever key. What is in a list of several is not followed: which of
/// them is ours is not said. A password or a licence ends by itself.
fn end_in(place: Json<'_>) -> Option<Timestamp> {
    if place.is_list() {
        let items = place.items();
        return items.first().filter(|_| items.len() == 1).and_then(|item| end_in(*item));
    }
    let end = |(key, value): (&str, Json<'_>)| {
        let key = key.to_ascii_lowercase().replace(['_', '-'], "");
        let is_other = ["password", "licen", "mfa", "session"].iter().any(|word| key.contains(word));
        let is_end = ["expir", "enddate", "validto", "notafter"].iter().any(|word| key.contains(word));
        match () {
            () if is_other => None,
            () if is_end && !value.is_object() && !value.is_list() => date::end(&value.text()?),
            () => end_in(value),
        }
    };
    place.fields().filter_map(end).min()
}

fn collect_roles(place: Json<'_>, inside: bool, roles: &mut Vec<String>) {
    if place.is_list() {
        place.items().into_iter().for_each(|item| collect_roles(item, inside, roles));
        return;
    }
    if place.is_object() {
        for (key, value) in place.fields() {
            let key = key.to_ascii_lowercase();
            let inside = inside || key.contains("role") || key.contains("permission");
            collect_roles(value, inside, roles);
        }
        return;
    }
    roles.extend(place.text().filter(|_| inside).map(|role| Text::new(&role).to_string()));
}

/// The version of TLM.
///
/// # Errors
///
/// When there is none.
pub fn version(body: Json<'_>) -> Result<String, String> {
    Ok(Text::new(&body.at("version").text().ok_or("no `version`")?).to_string())
}

/// Where the certificate stands that was asked for, perhaps with its chain.
const LEAF_PLACES: [&str; 7] = ["certificate", "certificates", "certificate_pem", "pem", "x509", "cert", "pkcs7"];
/// Where CAs alone may stand.
const CHAIN_PLACES: [&str; 5] = ["ca_certs", "x509_cert_chain", "certificate_chain", "ca_chain", "chain"];
/// What the key of a reason has in it.
const TELLING: [&str; 8] = ["reason", "comment", "message", "note", "description", "reject", "decline", "denial"];
/// More than that no text shows.
const MOST_DOMAINS: usize = 64;
/// No certificate is shorter, unless it is one by its own word.
const SHORTEST_CERTIFICATE: usize = 100;
/// Shorter texts begin many keys.
const SHORTEST_KEY_ID: usize = 8;
/// Serial numbers have up to 40 digits, request ids 36 characters.
const LONGEST_ID: usize = 128;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    fn check(list: Value, expected: Option<&str>) {
        let end = key_end(Json::of(&list), "0123456789abcdef0123456789_secret");
        assert_eq!(end.map(|end| end.to_string()).as_deref(), expected, "{list}");
    }

    /// The list is documented by its name alone: what might be told of another key is not told.
    #[test]
    fn the_end_of_a_key_is_that_of_the_key_whose_id_it_begins_with_or_of_the_only_one() {
        let (own, other) = ("2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z");
        let item = |id: &str, status: &str, end: &str| json!({"id": id, "status": status, "expires_at": end});
        check(json!([item("0123456789abcdef", "ACTIVE", own), item("ff", "ACTIVE", other)]), Some(own));
        check(json!({"items": [item("a", "REVOKED", other), item("b", "active", own)]}), Some(own));
        check(json!({"tokens": [item("a", "ACTIVE", own)], "total": 1}), Some(own));
        check(json!([item("a", "ACTIVE", own), item("b", "ACTIVE", other)]), None);
        // What begins a key and every other one, too, is no id.
        check(json!([item("0123", "ACTIVE", own), item("b", "ACTIVE", other)]), None);
        check(json!([{"id": "a", "status": "ACTIVE", "expires_at": null}]), None);
        check(json!([]), None);
        check(json!({"error": "no"}), None);
    }
}
