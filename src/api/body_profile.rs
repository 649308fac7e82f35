//! A profile as TLM describes it, read into the core's terms. Tells facts; whether the profile can be used is decided
//! elsewhere.

use crate::core::entry::{Validity, ValidityUnit};
use crate::core::key::KeyType;
use crate::core::name::{ProfileId, ProfileRef};
use crate::core::profile::{Origin, Profile, ProfileAttribute};
use crate::pki::certificate::certificates;
use crate::pki::served::end_of;

use super::json::Json;

/// The profiles of a list: a bare array, or `items` of an object.
///
/// # Errors
///
/// When there is no list, or a profile has no id.
pub fn profiles(answer: Json<'_>) -> Result<Vec<Profile>, String> {
    let list = if answer.is_list() { answer } else { answer.at("items") };
    if !list.is_list() {
        return Err("neither a list of profiles nor `items`".to_owned());
    }
    list.items().into_iter().map(profile).collect()
}

/// The profile `asked` for.
///
/// # Errors
///
/// When it is about another profile, or names none.
pub fn profile_of(asked: &ProfileId, answer: Json<'_>) -> Result<Profile, String> {
    let profile = profile(answer)?;
    if profile.id.0.eq_ignore_ascii_case(&asked.0) {
        return Ok(profile);
    }
    Err(format!("it is about the profile {}", profile.id))
}

/// One profile.
fn profile(answer: Json<'_>) -> Result<Profile, String> {
    let id = answer.at("id").text().ok_or("a profile without `id`")?;
    let text = |key| answer.at(key).text().unwrap_or_default();
    let certificate = answer.at("certificate");
    let san = certificate.at("extensions").at("san");
    let issuers = issuers(certificate.at("issuer"));
    Ok(Profile {
        id: profile_id(&id),
        name: text("name"),
        status: text("status"),
        enrollment_method: text("enrollment_method"),
        authentication_method: text("authentication_method"),
        renewal_window_days: renewal_window(answer),
        allows_duplicates: answer
            .first_of(&["duplicate_cert_policy", "duplicate_certificate_allowed"])
            .flag()
            .unwrap_or(false),
        allows_validity: answer.at("override_cert_validity_via_api").flag().unwrap_or(false),
        validity: validity(certificate.at("validity")),
        keys: keys(answer),
        escrows_keys: escrows_keys(answer.at("key_escrow_policy")),
        subject: attributes(certificate.at("subject")),
        san: attributes(san),
        cas: issuers.iter().filter_map(|text| certificates(text).ok()).flatten().filter_map(|ca| end_of(&ca)).collect(),
        issuers,
        needs_approval: answer.at("enable_dual_admin_approval").flag() == Some(true),
    })
}

/// A profile id in the spelling that the rest of renewd uses.
pub fn profile_id(text: &str) -> ProfileId {
    match ProfileRef::new(text.trim()) {
        ProfileRef::Id(id) => id,
        ProfileRef::Name(other) => ProfileId(other.into()),
    }
}

/// `renewal_period_days` is an older name of `renewal_window_days`. Of the two, the first above 0 counts: a window of 0
/// days, the least that the API takes, would renew at the instant of expiry.
fn renewal_window(answer: Json<'_>) -> Option<u32> {
    ["renewal_window_days", "renewal_period_days"].iter().find_map(|key| days(answer.at(key)))
}

/// A number of days above 0, also as text or with a fraction, which is dropped; one beyond `u32` is the most that it holds.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates, and is at least 1")]
fn days(answer: Json<'_>) -> Option<u32> {
    let days: f64 = answer.text()?.trim().parse().ok()?;
    (days >= 1.0 && days.is_finite()).then_some(days as u32)
}

fn validity(answer: Json<'_>) -> Option<Validity> {
    let unit = match answer.at("unit").text()?.trim().to_ascii_lowercase().trim_end_matches('s') {
        "year" => ValidityUnit::Years,
        "month" => ValidityUnit::Months,
        "day" => ValidityUnit::Days,
        "hour" => ValidityUnit::Hours,
        "minute" => ValidityUnit::Minutes,
        _ => return None,
    };
    Some(Validity { unit, duration: answer.at("duration").number()? })
}

/// The default key size first, then the allowed ones. A size tells RSA from ECDSA by itself, so that the signature
/// algorithm (the issuer's) decides only where no size is given; `MATCH_ISSUER` says nothing.
fn keys(answer: Json<'_>) -> Vec<KeyType> {
    let private_key = answer.at("private_key_attributes");
    let sizes = [private_key.at("key_size"), private_key.at("allowed_key_sizes"), answer.at("allowed_key_sizes")];
    let mut keys = Vec::new();
    for key in sizes.into_iter().flat_map(Json::items).filter_map(key_of_size) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    if keys.is_empty() { family(answer.at("signature_algorithm")) } else { keys }
}

fn key_of_size(size: Json<'_>) -> Option<KeyType> {
    let text = size.text()?;
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    KeyType::of_bits(digits.parse().ok()?)
}

fn family(algorithm: Json<'_>) -> Vec<KeyType> {
    let algorithm = algorithm.text().unwrap_or_default().to_ascii_uppercase();
    if algorithm.contains("ECDSA") {
        return vec![KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaP521];
    }
    if algorithm.contains("RSA") {
        return vec![KeyType::Rsa2048, KeyType::Rsa3072, KeyType::Rsa4096];
    }
    Vec::new()
}

fn escrows_keys(policy: Json<'_>) -> bool {
    let in_cloud = |mode: String| mode.trim().eq_ignore_ascii_case("cloud");
    policy.at("key_escrow_enabled").flag() == Some(true)
        && policy.at("key_escrow_deployment_mode").text().is_some_and(in_cloud)
}

fn attributes(holder: Json<'_>) -> Vec<ProfileAttribute> {
    holder.at("attributes").items().into_iter().filter_map(attribute).collect()
}

fn attribute(answer: Json<'_>) -> Option<ProfileAttribute> {
    let key = answer.at("type").text()?.trim().to_ascii_lowercase();
    let sources: Vec<_> = answer.first_of(&["sources", "source"]).items().into_iter().map(source).collect();
    let asked = sources.iter().any(|source| source.mandatory && source.origin == Origin::Request);
    Some(ProfileAttribute {
        key,
        mandatory: asked || answer.at("mandatory").flag() == Some(true),
        multiple: answer.at("multiple").flag() == Some(true),
        origin: origin(sources),
    })
}

struct Source {
    mandatory: bool,
    origin: Origin,
}

fn source(answer: Json<'_>) -> Source {
    let word = if answer.is_object() { answer.at("source") } else { answer };
    let word = word.text().unwrap_or_default().trim().to_ascii_lowercase().replace([' ', '-'], "_");
    let origin = match word.as_str() {
        "fixed_value" => Origin::Fixed(answer.first_of(&["value", "custom_value"]).text().unwrap_or_default()),
        "" | "rest_request" | "entered_by_user_during_enrollment" | "from_csr" => Origin::Request,
        _ => Origin::Elsewhere,
    };
    Source { mandatory: answer.at("mandatory").flag() == Some(true), origin }
}

/// A fixed value wins, since TLM adds it whatever the request says; then the request.
fn origin(sources: Vec<Source>) -> Origin {
    let asks = sources.is_empty() || sources.iter().any(|source| source.origin == Origin::Request);
    let fixed = sources.into_iter().map(|source| source.origin).find(|origin| matches!(origin, Origin::Fixed(_)));
    fixed.unwrap_or(if asks { Origin::Request } else { Origin::Elsewhere })
}

fn issuers(issuer: Json<'_>) -> Vec<String> {
    let chain = issuer.at("chain").items();
    std::iter::once(issuer).chain(chain).filter_map(|link| link.at("certificate").text()).collect()
}
