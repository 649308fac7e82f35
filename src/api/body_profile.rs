//! A profile as TLM describes it, read into the core's terms. Tells facts; whether the profile can be used is decided
//! elsewhere.

use crate::core::known::profile::{Origin, Profile, ProfileAttribute, ShownTerms};
use crate::core::name::{ProfileId, ProfileRef};
use crate::core::text::Text;
use crate::core::wanted::entry::{Validity, ValidityUnit};
use crate::pki::answer::shown_by_profile;
use crate::pki::served::end_of;

use super::body_keys::Keys;
use super::json::Json;
use super::port::ProfilePage;

/// The profiles of a list, and what is wrong with those that cannot be read; `secrets` are masked in what is said.
///
/// # Errors
///
/// When there is no list.
pub fn profiles(answer: Json<'_>, secrets: &[&str]) -> Result<ProfilePage, String> {
    let list = answer.list(&["items", "profiles"]).ok_or("neither a list of profiles nor `items`")?;
    let members = list.members();
    let mut page = ProfilePage { received: u32::try_from(members.len()).unwrap_or(u32::MAX), ..Default::default() };
    for member in members {
        match profile(member) {
            Ok(profile) => page.profiles.push(profile),
            Err(what) => {
                page.broken.push(Text::masked(&format!("{what}: {}", member.shown()), secrets.iter().copied()))
            }
        }
    }
    Ok(page)
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
    let keys = Keys::of(answer);
    let (renewal_window_days, odd_window) = renewal_window(answer);
    Ok(Profile {
        id: profile_id(&id),
        name: text("name"),
        status: text("status"),
        enrollment_method: text("enrollment_method"),
        authentication_method: text("authentication_method"),
        renewal_window_days,
        odd_window,
        allows_duplicates: answer
            .at("duplicate_cert_policy")
            .flag()
            .or_else(|| answer.at("duplicate_certificate_allowed").flag())
            .unwrap_or(false),
        allows_validity: answer.at("override_cert_validity_via_api").flag().unwrap_or(false),
        validity: validity(certificate.at("validity")),
        keys: keys.known,
        unknown_keys: keys.unknown,
        allowed_names: allowed_names(answer),
        custom_values: custom_values(answer),
        escrows_keys: escrows_keys(answer.at("key_escrow_policy")),
        subject: attributes(certificate.at("subject")),
        san: attributes(san).into_iter().map(of_one_kind).collect(),
        cas: shown_by_profile(&issuers).iter().filter_map(end_of).collect(),
        issuers,
        needs_approval: answer.at("enable_dual_admin_approval").flag() == Some(true),
        shown: ShownTerms {
            signature_algorithm: shown(answer.at("signature_algorithm")),
            trust_type: shown(answer.at("template").first_of(&["trust_type"]))
                .or_else(|| shown(answer.at("trust_type"))),
            seat_id_mapping: shown(answer.at("seat_id_mapping")),
        },
    })
}

/// A text for people, or a list of some.
fn shown(place: Json<'_>) -> Option<Text> {
    let texts: Vec<String> = place.items().into_iter().filter_map(Json::text).collect();
    Some(texts.join(", ")).filter(|text| !text.trim().is_empty()).map(|text| Text::new(text.trim()))
}

/// A profile id in the spelling that the rest of renewd uses.
pub fn profile_id(text: &str) -> ProfileId {
    match ProfileRef::new(text.trim()) {
        ProfileRef::Id(id) => id,
        ProfileRef::Name(other) => ProfileId(other.into()),
    }
}

/// `renewal_period_days` is an older name of `renewal_window_days`. Of the two, the first above 0 counts: a window of 0
/// days, the least that the API takes, would renew at the instant of expiry. What is no number of days is the second part,
/// unless the other name says one.
fn renewal_window(answer: Json<'_>) -> (Option<u32>, Option<Text>) {
    let said = || ["renewal_window_days", "renewal_period_days"].into_iter().filter_map(|key| answer.at(key).text());
    let known: Vec<u32> = said().filter_map(|text| days(&text)).collect();
    let window = known.iter().find(|days| **days > 0).or(known.first()).copied();
    let odd = said().find(|text| days(text).is_none()).filter(|_| window.unwrap_or_default() == 0);
    (window, odd.map(|text| Text::new(&text)))
}

/// A number of days, also with a fraction, which is dropped; what is beyond `u32` is the most that it holds. Less than a day
/// is a window only where it is none.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn days(text: &str) -> Option<u32> {
    let text = text.to_ascii_lowercase();
    let number = ["days", "day", "d"].iter().find_map(|unit| text.trim().strip_suffix(unit));
    let days: f64 = number.unwrap_or(&text).trim().parse().ok()?;
    (days.is_finite() && (days == 0.0 || days >= 1.0)).then_some(days as u32)
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

fn escrows_keys(policy: Json<'_>) -> bool {
    let in_cloud = |mode: String| mode.trim().eq_ignore_ascii_case("cloud");
    policy.at("key_escrow_enabled").flag() == Some(true)
        && policy.at("key_escrow_deployment_mode").text().is_some_and(in_cloud)
}

/// The parts of `other_names`, and user principal names by their type, under the keys of requests.
fn of_one_kind(mut attribute: ProfileAttribute) -> ProfileAttribute {
    let key = match attribute.key.as_str() {
        "guid" | "other_name_guid" | "other_names.guid" | "raw_other_names" | "other_names.raw_other_names" => {
            "other_names"
        }
        "upn" | "other_name_upn" | "user_principal_name" => "user_principal_names",
        _ => return attribute,
    };
    key.clone_into(&mut attribute.key);
    attribute
}

/// The items of `allowed_list`, also several in one text. Regular expressions stand among them, for the core to see that
/// there are some.
fn allowed_names(answer: Json<'_>) -> Vec<Text> {
    let mut names = Vec::new();
    for item in answer.at("allowed_list").items() {
        let found = if item.is_object() { item.first_of(&["value", "name", "fqdn"]) } else { item };
        let text = found.text().unwrap_or_else(|| "(of another form)".to_owned());
        names.extend(text.split([',', ';', '\n']).filter(|name| !name.trim().is_empty()).map(Text::new));
    }
    let patterns = answer.at("allowed_fqdn_regex").items().into_iter().filter_map(Json::text);
    names.extend(patterns.map(|pattern| Text::new(&format!("regex: {pattern}"))));
    names
}

/// What custom extensions take from requests: listed as attributes, or as the placeholders (`${user_id}`) of their
/// templates, of which it is not known whether a request has to bring them.
fn custom_values(answer: Json<'_>) -> Vec<ProfileAttribute> {
    let certificate = answer.at("certificate");
    let holders = [certificate, certificate.at("extensions"), answer];
    let listed = holders.iter().flat_map(|holder| holder.at("custom_values").at("attributes").items());
    let mut values: Vec<_> =
        listed.filter_map(|answer| Some(attribute(answer.at("type").text()?.trim().to_owned(), answer))).collect();
    let templates = holders.iter().flat_map(|holder| holder.at("custom_extensions").texts());
    for key in templates.flat_map(placeholders) {
        if !values.iter().any(|value| value.key == key) {
            values.push(ProfileAttribute { key, mandatory: false, multiple: false, origin: Origin::Request });
        }
    }
    values
}

fn placeholders(template: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = template;
    while let Some((_, behind)) = rest.split_once("${") {
        let Some((name, after)) = behind.split_once('}') else { break };
        found.push(name.trim().to_owned());
        rest = after;
    }
    found
}

fn attributes(holder: Json<'_>) -> Vec<ProfileAttribute> {
    let key = |answer: Json<'_>| Some(answer.at("type").text()?.trim().to_ascii_lowercase());
    holder.at("attributes").items().into_iter().filter_map(|answer| Some(attribute(key(answer)?, answer))).collect()
}

fn attribute(key: String, answer: Json<'_>) -> ProfileAttribute {
    let sources: Vec<_> = answer.first_of(&["sources", "source"]).items().into_iter().map(source).collect();
    let asked = sources.iter().any(|source| source.mandatory && source.origin == Origin::Request);
    ProfileAttribute {
        key,
        mandatory: asked || answer.at("mandatory").flag() == Some(true),
        multiple: answer.at("multiple").flag() == Some(true),
        origin: origin(sources),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pki::answer::shown_by_profile;
    use crate::pki::pkcs7::certificates_only;
    use crate::pki::test_ca::Ca;

    /// What the gate trusts of a profile is what the decision to refresh a chain goes by.
    #[test]
    fn the_cas_of_a_profile_are_read_as_its_issuers_are() {
        let root = Ca::root("Root");
        let issuing = root.below("Issuing").certificate;
        let pair = [issuing.clone(), root.certificate.clone()];
        let pem = issuing.to_pem();
        let texts = [pem.clone(), format!("Bag Attributes\n{pem}"), certificates_only(&pair), format!("{pem}no PEM")];
        for text in texts {
            let told = serde_json::json!({"id": "p", "certificate": {"issuer": {"certificate": text}}});
            let profile = profile(Json::of(&told)).unwrap();
            let shown = shown_by_profile(&profile.issuers);
            assert_eq!(shown.first(), Some(&issuing), "{text}");
            assert_eq!(profile.cas, shown.iter().filter_map(end_of).collect::<Vec<_>>(), "{text}");
        }
    }
}
