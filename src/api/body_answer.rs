//! The bodies of answers about certificates, read into the port's terms. A certificate is handed on as the text that
//! came: checking it is the gate's. A PKCS#12 password, should one come, is left where it is.

use crate::core::name::{RequestId, SerialNumber};
use crate::core::text::Text;

use crate::core::time::Timestamp;

use super::body_profile::profile_id;
use super::date;
use super::json::Json;
use super::port::{Answer, CertificateStatus, Details, Formats, IssuedCertificate, Me, Page, Pickup, SearchPage};

/// The answer to a request for a certificate, new or renewed.
///
/// # Errors
///
/// When there is neither a certificate nor a request id.
pub fn answer(body: Json<'_>) -> Result<Answer, String> {
    if let Some(issued) = issued(body) {
        return Ok(Answer::Issued(issued));
    }
    let request = body.at("request_id").text().ok_or("neither a certificate nor a `request_id`")?;
    let request = request.trim();
    if request.len() > LONGEST_ID || !request.bytes().all(|c| c.is_ascii_graphic()) {
        return Err(format!("`request_id` \"{request}\""));
    }
    Ok(Answer::Pending(RequestId(request.to_owned())))
}

/// The answer to a pickup. What is said to be rejected is never a success, whatever else comes along; `secrets` are
/// masked in what is said of it.
///
/// # Errors
///
/// When there is neither a certificate nor a state.
pub fn pickup(body: Json<'_>, secrets: &[&str]) -> Result<Pickup, String> {
    let status = body.at("status").text().unwrap_or_default().trim().to_ascii_lowercase();
    if status == "rejected" {
        return Ok(Pickup::Rejected(remarks(body, secrets)));
    }
    if is_waiting(&status) {
        return Ok(Pickup::Pending);
    }
    match issued(body) {
        Some(issued) => Ok(Pickup::Issued(issued)),
        None if status.is_empty() => Err("neither a certificate nor a `status`".to_owned()),
        None => Err(format!("`status` \"{status}\" without a certificate")),
    }
}

/// PENDING, and the states of an enrollment that is still under way.
fn is_waiting(status: &str) -> bool {
    status.starts_with("pending") || matches!(status, "in_progress" | "created" | "approved")
}

fn issued(body: Json<'_>) -> Option<IssuedCertificate> {
    let leaf = body.at("certificate").items().into_iter().filter_map(|item| pem(item, "pem"));
    let mut certificates: Vec<_> = leaf.collect();
    if certificates.is_empty() {
        return None;
    }
    certificates.extend(body.at("ca_certs").items().into_iter().filter_map(|item| pem(item, "pem")));
    let serial_number = SerialNumber(serial(body).unwrap_or_default());
    Some(IssuedCertificate { serial_number, certificates })
}

/// A certificate by itself, or under `key` of an object.
fn pem(item: Json<'_>, key: &str) -> Option<String> {
    if item.is_object() { item.at(key).text() } else { item.text() }
}

/// The serial number as it is spelt, if it is one: it goes into paths, messages and the journal.
fn serial(body: Json<'_>) -> Option<String> {
    let serial = body.at("serial_number").text()?.trim().to_owned();
    (serial.len() <= LONGEST_ID && serial.bytes().all(|c| c.is_ascii_hexdigit())).then_some(serial)
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

/// What TLM knows of the certificate `asked` for.
///
/// # Errors
///
/// When it is about another certificate, or names none.
pub fn details_of(asked: &SerialNumber, body: Json<'_>) -> Result<Details, String> {
    let details = details(body)?;
    if details.serial_number.same(asked) {
        return Ok(details);
    }
    Err(format!("it is about the certificate {}", details.serial_number))
}

/// What TLM knows of a certificate.
fn details(body: Json<'_>) -> Result<Details, String> {
    Ok(Details {
        serial_number: SerialNumber(serial(body).ok_or("a certificate without `serial_number`")?),
        status: status(body),
        thumbprint: body.at("thumbprint").text().map(|thumbprint| thumbprint.trim().to_owned()),
        profile: body.at("profile").at("id").text().map(|id| profile_id(&id)),
        certificate: body.at("certificate").text(),
    })
}

fn status(body: Json<'_>) -> CertificateStatus {
    match body.at("status").text().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "issued" => CertificateStatus::Issued,
        "revoked" => CertificateStatus::Revoked,
        "expired" => CertificateStatus::Expired,
        "suspended" => CertificateStatus::Suspended,
        _ => CertificateStatus::Other,
    }
}

/// A certificate with its chain.
///
/// # Errors
///
/// When there is neither a chain nor PKCS#7.
pub fn formats(body: Json<'_>) -> Result<Formats, String> {
    let links = body.at("x509_cert_chain").items().into_iter();
    let formats =
        Formats { chain: links.filter_map(|link| pem(link, "cert_blob")).collect(), pkcs7: body.at("pkcs7").text() };
    if formats.chain.is_empty() && formats.pkcs7.is_none() {
        return Err("neither `x509_cert_chain` nor `pkcs7`".to_owned());
    }
    Ok(formats)
}

/// One page of a search. `has_more` is new; before it, `total` told, and without either a full page hints at another.
///
/// # Errors
///
/// When there is no list, or an item names no certificate.
pub fn search(body: Json<'_>, page: Page) -> Result<SearchPage, String> {
    let list = if body.is_list() { body } else { body.at("items") };
    if !list.is_list() {
        return Err("no `items`".to_owned());
    }
    let items = list.items().into_iter().map(details).collect::<Result<Vec<_>, _>>()?;
    let count = u32::try_from(items.len()).unwrap_or(u32::MAX);
    let by_total = || Some(page.offset.saturating_add(count) < body.at("total").number()?);
    let has_more = body.at("has_more").flag().or_else(by_total).unwrap_or(count >= page.limit);
    Ok(SearchPage { items, has_more: has_more && count > 0 })
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

/// Serial numbers have up to 40 digits, request ids 36 characters.
const LONGEST_ID: usize = 128;
