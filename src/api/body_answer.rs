//! The bodies of answers about certificates, read into the port's terms. A certificate is handed on as the text that
//! came: checking it is the gate's. A PKCS#12 password, should one come, is left where it is.

use crate::core::name::{RequestId, SerialNumber};
use crate::core::standing::Standing;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::validation::DomainValidation;

use super::body_profile::profile_id;
use super::date;
use super::json::Json;
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
    let places = ["certificate", "certificates", "pkcs7"];
    places
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
/// When there is neither a certificate nor a state that is known.
pub fn pickup(body: Json<'_>, secrets: &[&str]) -> Result<Pickup, String> {
    let word = body.at("status").text().unwrap_or_default().trim().to_owned();
    let status = word.to_ascii_lowercase();
    if status == "rejected" {
        return Ok(Pickup::Rejected(remarks(body, secrets)));
    }
    if is_waiting(&status) {
        return Ok(Pickup::Pending(domain_validation(body, secrets)));
    }
    // The number alone says nothing beside a word that is not known.
    let number = serial(body);
    let certificates = certificates(body);
    let is_known = matches!(status.as_str(), "" | "issued") || !certificates.is_empty();
    match issued(number.filter(|_| is_known), certificates) {
        Some(issued) => Ok(Pickup::Issued(issued)),
        None if status.is_empty() => Err("neither a certificate nor a `status`".to_owned()),
        None if status == "issued" => Err(format!("`status` \"{word}\" without a certificate")),
        None => Err(format!("`status` \"{word}\", which renewd does not know, without a certificate")),
    }
}

/// PENDING, and the states of an enrollment that is still under way.
fn is_waiting(status: &str) -> bool {
    status.starts_with("pending") || matches!(status, "in_progress" | "created" | "approved")
}

/// A certificate, or the number of one that has to be fetched.
fn issued(serial_number: Option<String>, certificates: Vec<String>) -> Option<IssuedCertificate> {
    let is_one = serial_number.is_some() || !certificates.is_empty();
    is_one.then(|| IssuedCertificate { serial_number: SerialNumber(serial_number.unwrap_or_default()), certificates })
}

/// Everything that came as certificate.
fn certificates(body: Json<'_>) -> Vec<String> {
    let places = ["certificate", "certificates", "ca_certs", "x509_cert_chain", "pkcs7"];
    places.into_iter().flat_map(|key| texts(body.at(key))).collect()
}

/// The texts of a place where certificates are expected, by themselves or in objects. An object without one is
/// handed on as it is: that it cannot be read is not to be passed over.
fn texts(place: Json<'_>) -> Vec<String> {
    let text = |item: Json<'_>| {
        if item.is_object() { Some(in_object(item).unwrap_or_else(|| item.shown())) } else { item.string() }
    };
    place.items().into_iter().filter_map(text).filter(|text| !text.trim().is_empty()).collect()
}

/// The text of an object that is a certificate: under a key that is known for it, or by its looks.
fn in_object(item: Json<'_>) -> Option<String> {
    let known = item.first_of(&["pem", "cert_blob", "certificate", "cert", "x509", "value", "data", "content"]).text();
    let by_looks = || {
        let texts = item.fields().filter_map(|(_, value)| value.text());
        texts.into_iter().find(|text| text.contains("-----BEGIN") || text.starts_with("MII"))
    };
    known.or_else(by_looks)
}

/// What somebody has to publish before TLM issues. Of several domains, the first.
fn domain_validation(body: Json<'_>, secrets: &[&str]) -> Option<DomainValidation> {
    let details = body.first_of(&["dv_details", "dvDetails"]).items().into_iter().next()?;
    let text = |keys: &[&str]| details.first_of(keys).text().map(|text| Text::masked(&text, secrets.iter().copied()));
    let found = DomainValidation {
        method: text(&["dcv_method", "dcvMethod", "method"]),
        random_value: text(&["dcv_random_value", "dcvRandomValue", "random_value", "token"]),
    };
    (found.method.is_some() || found.random_value.is_some()).then_some(found)
}

/// The serial number as it is spelt, if it is one: it goes into paths, messages and the journal.
fn serial(body: Json<'_>) -> Option<String> {
    let said = body.at("serial_number").text()?;
    let said = said.trim();
    let digits = said.strip_prefix("0x").or_else(|| said.strip_prefix("0X")).unwrap_or(said);
    let serial: String = digits.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    ((1..=LONGEST_ID).contains(&serial.len()) && serial.bytes().all(|c| c.is_ascii_hexdigit())).then_some(serial)
}

/// The fields of a rejection that may hold its reason; which ones there are is not documented.
fn remarks(body: Json<'_>, secrets: &[&str]) -> Text {
    let telling = |key: &str| {
        let key = key.to_ascii_lowercase();
        ["reason", "comment", "message", "note", "description"].iter().any(|word| key.contains(word))
    };
    let said = body.fields().filter(|(key, _)| telling(key));
    let said: Vec<_> = said.filter_map(|(key, value)| Some(format!("{key}: {}", value.text()?))).collect();
    Text::masked(&said.join("; "), secrets.iter().copied())
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
    let reason = revocation.first_of(&["reason", "revocation_reason"]).text();
    let reason = reason.or_else(|| body.at("revocation_reason").text());
    let since = revocation.first_of(&["revocation_date", "date"]).text();
    let since = since.or_else(|| body.at("revocation_date").text()).and_then(|date| date::instant_in(&date));
    let word = Text::masked(&body.at("status").text().unwrap_or_default(), secrets.iter().copied());
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
    let names_one = body.fields().any(|(key, _)| matches!(key, "x509_cert_chain" | "pkcs7"));
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

/// No certificate is shorter, unless it is one by its own word.
const SHORTEST_CERTIFICATE: usize = 100;
/// Serial numbers have up to 40 digits, request ids 36 characters.
const LONGEST_ID: usize = 128;
