//! What a request to TLM says: composed from entry and profile, with every reason why it may not be sent.

use std::collections::BTreeMap;

use super::failure::{Failure, FailureClass};
use super::text::Text;
use super::time::Span;
use crate::core::known::allowed::Allowed;
use crate::core::known::profile::{Origin, Profile, ProfileAttribute};
use crate::core::wanted::entry::{Entry, RequestMethod, SubjectFrom, Validity, Value};
use crate::core::wanted::key::KeyType;
use crate::core::wanted::subject::{Subject, SubjectAttribute};

/// What is asked of TLM, without the CSR.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestSpec {
    /// The key type to make.
    pub key: KeyType,
    /// The subject, common name included, without the attributes that the profile fixes.
    pub subject: Subject,
    /// The validity, where the entry asks for one.
    pub validity: Option<Validity>,
    /// The values for custom extensions, without those that the profile fixes.
    pub custom_values: BTreeMap<String, Value>,
}

/// Composes the request of `entry` under `profile`.
///
/// # Errors
///
/// When the profile cannot be used, or the entry does not fit it; every misfit is named in one message.
pub fn compose(entry: &Entry, profile: &Profile) -> Result<RequestSpec, Failure> {
    usable(entry, profile)?;
    let key = entry.key.unwrap_or_else(|| profile.default_key());
    let mut subject = entry.subject.clone();
    if let Some(common_name) = entry.naming.common_name() {
        subject.insert(SubjectAttribute::CommonName, vec![common_name.to_owned()]);
    }
    let mut misfits = subject_misfits(entry, profile, &subject);
    misfits.extend(san_misfits(entry, profile));
    if !profile.keys.is_empty() && !profile.keys.contains(&key) {
        misfits.push(format!("the profile does not accept {key} (it accepts {}): change `key`", taken_keys(profile)));
    }
    misfits.extend(custom_misfits(entry, profile));
    misfits.extend(names_outside(entry, profile));
    if entry.validity.is_some() && !profile.allows_validity {
        misfits.push("the profile does not allow a request to set its validity: remove `validity`".to_owned());
    }
    if !misfits.is_empty() {
        let message = format!("{} does not fit profile {:?}: {}", entry.source, profile.name, misfits.join("; "));
        return Err(Failure::new(FailureClass::EntryMismatch, message));
    }
    subject.retain(|attribute, _| !is_fixed(&profile.subject, attribute.key()));
    let mut custom_values = BTreeMap::clone(&entry.custom_values);
    custom_values.retain(|key, _| !is_fixed(&profile.custom_values, key));
    Ok(RequestSpec { key, subject, validity: entry.validity, custom_values })
}

fn usable(entry: &Entry, profile: &Profile) -> Result<(), Failure> {
    let Some(why) = unusable(profile) else { return Ok(()) };
    let message = format!("profile {:?} cannot be used for {}: {why}", profile.name, entry.source);
    Err(Failure::new(FailureClass::ProfileUnusable, message))
}

/// Why a profile cannot be used at all, and what to do about it.
#[must_use]
pub fn unusable(profile: &Profile) -> Option<String> {
    if !profile.status.eq_ignore_ascii_case("active") {
        return Some(format!(
            "its status is {:?}, not Active; activate it in TLM or name another profile",
            profile.status
        ));
    }
    if !profile.enrollment_method.eq_ignore_ascii_case("rest_api") {
        return Some(format!(
            "its enrollment method is {:?}, not rest_api; name a profile for the REST API",
            profile.enrollment_method
        ));
    }
    if !profile.authentication_method.eq_ignore_ascii_case("third_party_app") {
        return Some(format!(
            "its authentication method is {:?}, not third_party_app; change it in TLM or name another profile",
            profile.authentication_method
        ));
    }
    if profile.escrows_keys {
        return Some("DigiCert makes its keys (cloud key escrow); renewd makes keys only on the host".to_owned());
    }
    if profile.keys.is_empty() && !profile.unknown_keys.is_empty() {
        return Some(format!(
            "it accepts only keys that renewd cannot make ({}); let it accept RSA or ECDSA keys in TLM, or name another profile",
            taken_keys(profile)
        ));
    }
    None
}

/// Every key type that the profile names, those that renewd cannot make as well.
fn taken_keys(profile: &Profile) -> String {
    let known = profile.keys.iter().map(|key| key.as_str());
    known.chain(profile.unknown_keys.iter().map(Text::as_str)).collect::<Vec<_>>().join(", ")
}

/// The entry's names that the profile's list certainly does not allow.
fn names_outside(entry: &Entry, profile: &Profile) -> Option<String> {
    let allowed = Allowed::new(&profile.allowed_names)?;
    let names = entry.names();
    let mut outside: Vec<String> = names.dns_names.iter().filter(|name| allowed.excludes_host(name)).cloned().collect();
    outside.extend(names.ip_addresses.iter().filter(|one| allowed.excludes_address(**one)).map(ToString::to_string));
    let common_name = entry.naming.common_name().filter(|name| is_excluded(name, &allowed));
    outside.extend(common_name.filter(|name| !outside.iter().any(|other| other == name)).map(str::to_owned));
    if outside.is_empty() {
        return None;
    }
    let list = few(&profile.allowed_names);
    Some(format!("the profile's allowed_list does not have {} (it lists {list}): change the names", few(&outside)))
}

/// A common name is judged where it is an address, or a host's name with a dot.
fn is_excluded(common_name: &str, allowed: &Allowed) -> bool {
    if let Ok(address) = common_name.parse() {
        return allowed.excludes_address(address);
    }
    let is_plain = |c: u8| c.is_ascii_alphanumeric() || b"-_.*".contains(&c);
    let is_host = common_name.contains('.') && common_name.bytes().all(is_plain);
    is_host && allowed.excludes_host(common_name)
}

/// The first of a list, and how many more there are.
fn few<T: ToString>(items: &[T]) -> String {
    let shown: Vec<String> = items.iter().take(MOST_SHOWN).map(ToString::to_string).collect();
    match items.len().saturating_sub(MOST_SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A message has room for so many names.
const MOST_SHOWN: usize = 6;

/// How the entry's renewals do not go with its profile, each with what to do.
#[must_use]
pub fn renewal_misfits(entry: &Entry, profile: &Profile) -> Vec<(String, String)> {
    let mut misfits = Vec::new();
    if profile.allows_duplicates {
        return misfits;
    }
    let (wanted, allowed) = (entry.renew_before, profile.renewal_window());
    if let (Some(wanted), Some(allowed)) = (wanted, allowed)
        && wanted > allowed
    {
        let message = format!(
            "`renew_before` is {}, but TLM renews only in the last {}, since the profile allows no duplicates",
            Span(wanted),
            Span(allowed)
        );
        misfits.push((
            message,
            format!("lower `renew_before` to \"{}d\", or let the profile allow duplicates", allowed.as_secs() / 86_400),
        ));
    }
    if entry.request_method == RequestMethod::New {
        let message =
            "`request_method` is \"new\", and the profile allows no second certificate while one is valid".to_owned();
        misfits.push((message, "remove `request_method`, or let the profile allow duplicates".to_owned()));
    }
    misfits
}

fn subject_misfits(entry: &Entry, profile: &Profile, subject: &Subject) -> Vec<String> {
    if entry.subject_from == SubjectFrom::Ca && profile.subject.is_empty() {
        return Vec::new();
    }
    let mut misfits = Vec::new();
    for (attribute, values) in subject {
        let key = attribute.key();
        match listed(&profile.subject, key) {
            None => misfits.push(format!("the profile does not list subject attribute {key}: remove {}", written(key))),
            Some(found) if values.len() > 1 && !found.multiple => {
                misfits.push(format!("the profile accepts one value of {key}, and the entry names {}", values.len()));
            }
            Some(_) => {}
        }
    }
    for wanted in profile.subject.iter().filter(|wanted| is_required(wanted)) {
        let given = SubjectAttribute::of_key(&wanted.key).is_some_and(|attribute| subject.contains_key(&attribute));
        if !given {
            misfits.push(match SubjectAttribute::of_key(&wanted.key) {
                Some(_) => {
                    format!("the profile requires subject attribute {}: add {}", wanted.key, written(&wanted.key))
                }
                None => cannot_send("subject attribute", &wanted.key),
            });
        }
    }
    misfits
}

/// Where the entry writes a subject attribute.
fn written(key: &str) -> String {
    if key == SubjectAttribute::CommonName.key() { "`common_name`".to_owned() } else { format!("`subject.{key}`") }
}

fn san_misfits(entry: &Entry, profile: &Profile) -> Vec<String> {
    let counts = entry.naming.counts();
    let mut misfits = Vec::new();
    for (key, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        match listed(&profile.san, key) {
            None => misfits
                .push(format!("the profile does not list subject alternative names of kind {key}: remove `{key}`")),
            Some(_) if count > 1 && !takes_many(&profile.san, key) => {
                misfits.push(format!("the profile accepts one of {key}, and the entry names {count}"));
            }
            Some(_) => {}
        }
    }
    for wanted in profile.san.iter().filter(|wanted| is_required(wanted)) {
        match counts.iter().find(|(key, _)| *key == wanted.key) {
            Some((_, count)) if *count > 0 => {}
            Some((key, _)) => misfits.push(format!("the profile requires {key}: add `{key}`")),
            None => misfits.push(cannot_send("names of kind", &wanted.key)),
        }
    }
    misfits
}

/// A profile that does not tell its custom values is taken at the entry's word.
fn custom_misfits(entry: &Entry, profile: &Profile) -> Vec<String> {
    if profile.custom_values.is_empty() {
        return Vec::new();
    }
    let unlisted = entry.custom_values.keys().filter(|key| listed(&profile.custom_values, key).is_none());
    let missing = profile.custom_values.iter().filter(|wanted| is_required(wanted)).map(|wanted| &wanted.key);
    let missing = missing.filter(|key| !entry.custom_values.contains_key(*key));
    unlisted
        .map(|key| format!("the profile does not list custom value {key}: remove `custom_values.{key}`"))
        .chain(missing.map(|key| format!("the profile requires custom value {key}: add `custom_values.{key}`")))
        .collect()
}

fn cannot_send(kind: &str, key: &str) -> String {
    format!(
        "the profile requires {kind} {key}, which renewd cannot send: make it optional in TLM, or name another profile"
    )
}

fn listed<'a>(attributes: &'a [ProfileAttribute], key: &str) -> Option<&'a ProfileAttribute> {
    attributes.iter().find(|attribute| attribute.key == key)
}

/// Whether a kind may be there more than once: by its own word, or since the profile lists several parts of it, as the
/// GUIDs and the other types of `other_names`.
fn takes_many(attributes: &[ProfileAttribute], key: &str) -> bool {
    let mut of_kind = attributes.iter().filter(|attribute| attribute.key == key);
    of_kind.clone().count() > 1 || of_kind.any(|attribute| attribute.multiple)
}

fn is_required(attribute: &ProfileAttribute) -> bool {
    attribute.mandatory && attribute.origin == Origin::Request
}

/// Whether TLM adds this attribute by itself.
fn is_fixed(attributes: &[ProfileAttribute], key: &str) -> bool {
    listed(attributes, key).is_some_and(|attribute| matches!(attribute.origin, Origin::Fixed(_)))
}

#[cfg(test)]
mod tests;
