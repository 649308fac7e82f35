//! The strictness of POST certificate: each rule of the API, in the order in which a request meets them.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Map, Value};

use super::certificate::AltName;
use super::csr::{self, Csr};
use super::profile::{AttributeSpec, ProfileSpec, Source};
use super::reply::ApiError;
use super::state::State;
use super::subject::{self, Subject};
use super::variants::{Excess, Refusal, Seats, SubjectRule};

/// An empty object, for a part of the body that is absent.
static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

impl Refusal {
    pub fn error(&self, message: impl Into<String>) -> ApiError {
        let mut error = ApiError::new(self.status, "", message);
        error.code.clone_from(&self.code);
        error
    }
}

/// The body as an object with no other fields than these.
pub fn object<'a>(value: &'a Value, name: &str, known: &[&str]) -> Result<&'a Map<String, Value>, ApiError> {
    if value.is_null() {
        return Ok(&EMPTY);
    }
    let object = value.as_object().ok_or_else(|| wrong(name))?;
    match object.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(ApiError::input(key, format!("Unrecognized field '{key}'"))),
        None => Ok(object),
    }
}

/// A member of an object, `Null` where it is absent.
pub fn member<'a>(object: &'a Map<String, Value>, name: &str) -> &'a Value {
    object.get(name).unwrap_or(&Value::Null)
}

pub fn required(field: &str) -> ApiError {
    ApiError::input(field, format!("Parameter '{field}' is required for this endpoint."))
}

fn wrong(field: &str) -> ApiError {
    ApiError::input(field, "Wrong input or input format.")
}

/// `profile.id` of a body.
pub fn profile_id(body: &Map<String, Value>) -> Result<&str, ApiError> {
    let profile = object(member(body, "profile"), "profile", &["id"])?;
    text(member(profile, "id"), "profile.id")
}

fn text<'a>(value: &'a Value, field: &str) -> Result<&'a str, ApiError> {
    if value.is_null() {
        return Err(required(field));
    }
    value.as_str().filter(|text| !text.is_empty()).ok_or_else(|| wrong(field))
}

/// The profile, if it can be used to issue.
pub fn usable_profile(state: &State, id: &str, key: Option<usize>) -> Result<ProfileSpec, ApiError> {
    let refusals = &state.variants.refusals;
    let unknown = || refusals.unknown_profile.error(format!("User has no access to the profile with id = {id}"));
    let profile = state.profile(id).ok_or_else(unknown)?;
    if profile.status == "Deleted" {
        return Err(refusals.deleted_profile.error(format!("Profile with id {id} was deleted")));
    }
    if profile.status != "Active" {
        return Err(refusals.inactive_profile.error(
            "Enrollment creation and Certificate issuance/renewal for deleted or suspended Profile are not supported. \
             Please contact system Administrator.",
        ));
    }
    if profile.enrollment_method != "rest_api" || profile.authentication_method != "third_party_app" {
        let message = format!("Profile {id} does not support issuance by REST API with a third party app");
        return Err(ApiError::new(400, "invalid_request", message));
    }
    let is_bound = !profile.bound_keys.is_empty();
    if is_bound && key.is_none_or(|key| !profile.bound_keys.contains(&key)) {
        return Err(ApiError::new(403, "access_denied", "The API token is not bound to the profile"));
    }
    Ok(profile.clone())
}

/// The seat id of a body.
pub fn seat(
    state: &State,
    profile: &ProfileSpec,
    body: &Map<String, Value>,
    common_name: &str,
) -> Result<String, ApiError> {
    let seat = object(member(body, "seat"), "seat", &["seat_id", "email"])?;
    let id = text(member(seat, "seat_id"), "seat.seat_id")?;
    let email = member(seat, "email");
    if !email.is_null() || profile.wants_seat_email {
        let email = text(email, "seat.email")?;
        email.contains('@').then_some(()).ok_or_else(|| wrong("seat.email"))?;
    }
    let fits = match &state.variants.seats {
        Seats::Automatic => true,
        Seats::Only(known) => known.iter().any(|known| known == id),
        Seats::EqualCommonName => id == common_name,
        Seats::OneName => {
            let valid = state.issued.iter().filter(|record| record.seat == id && record.status_word() == "issued");
            valid.into_iter().all(|record| record.common_name == common_name)
        }
    };
    if fits {
        Ok(id.to_owned())
    } else {
        Err(state.variants.refusals.unknown_seat.error(format!("Could not find seat with identifier = {id}")))
    }
}

/// The subject of a body, judged by the profile.
pub fn subject(state: &State, profile: &ProfileSpec, subject: &Value) -> Result<Subject, ApiError> {
    let known: Vec<_> = subject::ATTRIBUTES.iter().map(|attribute| attribute.key).collect();
    let given = object(subject, "attributes.subject", &known)?;
    let mut pairs = Subject::new();
    for (key, value) in given {
        let attribute = subject::attribute(key).unwrap();
        let spec = allowed(state, &profile.subject, key)?;
        let values = if attribute.many { strings(value, key)? } else { vec![text(value, key)?.to_owned()] };
        count(spec, values.len())?;
        for value in values {
            length(key, &value, attribute.max)?;
            pairs.push((key.clone(), value));
        }
    }
    if let Some(missing) = profile.subject.iter().find(|spec| spec.is_required() && !given.contains_key(&spec.key)) {
        return Err(unavailable(&missing.key));
    }
    Ok(pairs)
}

fn length(key: &str, value: &str, max: usize) -> Result<(), ApiError> {
    let count = value.chars().count();
    if count > max || count == 0 {
        return Err(ApiError::input(key, format!("The length of '{key}' must be between 1 and {max}")));
    }
    let is_country = value.len() == 2 && value.bytes().all(|letter| letter.is_ascii_uppercase());
    if key == "country" && !is_country {
        return Err(ApiError::input(key, "The country must be an ISO 3166 code of two letters"));
    }
    Ok(())
}

/// The attribute in the profile's list, if a request may bring it.
fn allowed<'a>(state: &State, specs: &'a [AttributeSpec], key: &str) -> Result<&'a AttributeSpec, ApiError> {
    let refusal = &state.variants.refusals.unlisted_attribute;
    let spec = specs.iter().find(|spec| spec.key == key);
    let spec = spec.ok_or_else(|| refusal.error(format!("Attribute '{key}' is not configured in the profile")))?;
    if matches!(spec.source, Source::Fixed(_)) {
        return Err(refusal.error(format!("Attribute '{key}' has a fixed value in the profile")));
    }
    Ok(spec)
}

fn count(spec: &AttributeSpec, values: usize) -> Result<(), ApiError> {
    if values > 1 && !spec.multiple {
        return Err(ApiError::input(&spec.key, format!("Multiple values are not allowed for '{}'", spec.key)));
    }
    if values == 0 && spec.is_required() {
        return Err(unavailable(&spec.key));
    }
    Ok(())
}

fn unavailable(key: &str) -> ApiError {
    ApiError::new(400, "mandatory_attribute_unavailable", format!("Mandatory attribute '{key}' is not available"))
        .field(key)
}

fn strings(value: &Value, key: &str) -> Result<Vec<String>, ApiError> {
    let items = value.as_array().ok_or_else(|| wrong(key))?;
    items.iter().map(|item| item.as_str().map(str::to_owned).ok_or_else(|| wrong(key))).collect()
}

/// The kinds of names that the API knows.
const SAN_KEYS: [&str; 8] = [
    "dns_names",
    "ip_addresses",
    "emails",
    "uris",
    "user_principal_names",
    "registered_ids",
    "directory_name",
    "other_names",
];

/// The names of a body, judged by the profile.
pub fn names(state: &State, profile: &ProfileSpec, extensions: &Value) -> Result<Vec<AltName>, ApiError> {
    let known = ["san", "issuer_alt_name", "security_identifier", "lei", "lei_role"];
    let extensions = object(extensions, "attributes.extensions", &known)?;
    let given = object(member(extensions, "san"), "attributes.extensions.san", &SAN_KEYS)?;
    let mut names = Vec::new();
    for (key, value) in given {
        let spec = allowed(state, &profile.san, key)?;
        if key == "other_names" {
            let others = other_names(value)?;
            count(spec, others.len())?;
            names.extend(others);
            continue;
        }
        let values = if key == "directory_name" { vec![text(value, key)?.to_owned()] } else { strings(value, key)? };
        count(spec, values.len())?;
        for value in &values {
            names.push(alt_name(key, value)?);
        }
    }
    within_allowed_list(state, profile, &names)?;
    if let Some(missing) = profile.san.iter().find(|spec| spec.is_required() && !given.contains_key(&spec.key)) {
        return Err(unavailable(&missing.key));
    }
    Ok(names)
}

fn alt_name(key: &str, value: &str) -> Result<AltName, ApiError> {
    let malformed = || ApiError::input(key, format!("'{value}' is not valid for '{key}'"));
    let owned = value.to_owned();
    match key {
        "dns_names" => is_host(value).then_some(AltName::Dns(owned)).ok_or_else(malformed),
        "ip_addresses" => value.parse::<IpAddr>().map(AltName::Ip).map_err(|_| malformed()),
        "emails" => {
            let is_email =
                value.is_ascii() && value.split_once('@').is_some_and(|(user, host)| !user.is_empty() && is_host(host));
            is_email.then_some(AltName::Email(owned)).ok_or_else(malformed)
        }
        "uris" => {
            let is_uri = value.is_ascii()
                && value.split_once(':').is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty());
            is_uri.then_some(AltName::Uri(owned)).ok_or_else(malformed)
        }
        "user_principal_names" => {
            let is_name = value.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty());
            is_name.then_some(AltName::UserPrincipal(owned)).ok_or_else(malformed)
        }
        "registered_ids" => is_oid(value).then_some(AltName::RegisteredId(owned)).ok_or_else(malformed),
        "directory_name" => {
            let is_name = value.split(',').all(|part| part.split_once('=').is_some_and(|(_, value)| !value.is_empty()));
            is_name.then_some(AltName::Directory(owned)).ok_or_else(malformed)
        }
        _ => Err(malformed()),
    }
}

/// `{guid: [..], raw_other_names: [{oid, values: [{label, value}]}]}`
fn other_names(value: &Value) -> Result<Vec<AltName>, ApiError> {
    let given = object(value, "other_names", &["guid", "raw_other_names"])?;
    let mut names = Vec::new();
    if let Some(guids) = given.get("guid") {
        for guid in strings(guids, "other_names.guid")? {
            let is_guid = guid.len() == 36 && guid.bytes().all(|c| c.is_ascii_hexdigit() || c == b'-');
            names.push(is_guid.then_some(AltName::Guid(guid)).ok_or_else(|| wrong("other_names.guid"))?);
        }
    }
    for raw in given.get("raw_other_names").into_iter().flat_map(|raw| raw.as_array().cloned().unwrap_or_default()) {
        let raw = object(&raw, "raw_other_names", &["oid", "values"])?;
        let oid = text(member(raw, "oid"), "raw_other_names.oid")?;
        let values = member(raw, "values").as_array().filter(|values| !values.is_empty());
        let first = object(&values.ok_or_else(|| required("values"))?[0], "values", &["label", "value"])?;
        let value = text(member(first, "value"), "values.value")?;
        let name = || AltName::Other(oid.to_owned(), value.to_owned());
        names.push(is_oid(oid).then(name).ok_or_else(|| wrong("raw_other_names.oid"))?);
    }
    Ok(names)
}

fn is_oid(text: &str) -> bool {
    text.split('.').count() > 1 && text.split('.').all(|arc| arc.parse::<u64>().is_ok())
}

/// The names that the profile allows: exact hosts, and wildcards for one label or more.
fn within_allowed_list(state: &State, profile: &ProfileSpec, names: &[AltName]) -> Result<(), ApiError> {
    let allows = |item: &String, name: &str| match item.strip_prefix('*') {
        Some(domain) => name.ends_with(domain),
        None => item == name,
    };
    for name in names {
        let text = match name {
            AltName::Dns(name) => name.clone(),
            AltName::Ip(address) => address.to_string(),
            AltName::Email(_) | AltName::Uri(_) | AltName::UserPrincipal(_) | AltName::RegisteredId(_) => continue,
            AltName::Directory(_) | AltName::Guid(_) | AltName::Other(..) => continue,
        };
        if !profile.allowed_list.is_empty() && !profile.allowed_list.iter().any(|item| allows(item, &text)) {
            let refusal = &state.variants.refusals.unlisted_attribute;
            return Err(refusal.error(format!("The name {text} is not allowed by the profile")));
        }
    }
    Ok(())
}

/// `attributes.custom_values`: flat, and judged by the profile.
pub fn custom_values(state: &State, profile: &ProfileSpec, values: &Value) -> Result<(), ApiError> {
    let none = Map::new();
    let given = if values.is_null() { &none } else { values.as_object().ok_or_else(|| wrong("custom_values"))? };
    for (key, value) in given {
        allowed(state, &profile.custom_values, key)?;
        if value.is_array() || value.is_object() || value.is_null() {
            return Err(wrong(key));
        }
    }
    match profile.custom_values.iter().find(|spec| spec.is_required() && !given.contains_key(&spec.key)) {
        Some(missing) => Err(unavailable(&missing.key)),
        None => Ok(()),
    }
}

fn is_host(name: &str) -> bool {
    let name_without_star = name.strip_prefix("*.").unwrap_or(name);
    let is_label = |label: &str| {
        let inner = label.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-' || letter == b'_');
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name_without_star.split('.').all(is_label)
}

/// The signing request of a body, its key judged by the profile.
pub fn signing_request(profile: &ProfileSpec, csr: &Value) -> Result<Csr, ApiError> {
    let csr = csr::parse(text(csr, "csr").map_err(|_| required("csr"))?)?;
    let bits = csr.key_bits.to_string();
    if profile.key_sizes.contains(&bits) || profile.key_sizes.contains(&format!("MLDSA-{bits}")) {
        return Ok(csr);
    }
    let allowed = profile.key_sizes.join(", ");
    Err(ApiError::new(400, "invalid_request", format!("CSR key length {bits} does not match {allowed}")))
}

/// Refuses a signing request with other names than those that count; one without names leaves them to the body.
pub fn same_names(state: &State, csr: &Csr, names: &[AltName]) -> Result<(), ApiError> {
    let carried: Vec<_> = names.iter().filter(|name| name.is_in_requests()).collect();
    let is_same = csr.names.len() == carried.len() && carried.iter().all(|name| csr.names.contains(name));
    if csr.names.is_empty() || is_same || !state.variants.csr_names_must_match {
        return Ok(());
    }
    let message = "The subject alternative names of the CSR do not match the request";
    Err(ApiError::new(400, "invalid_request", message).field("csr"))
}

/// The forms of what the request may bring beside the certificate's contents.
pub fn extras(body: &Map<String, Value>) -> Result<(), ApiError> {
    for key in ["tags", "cert_owner_ids"] {
        let value = member(body, key);
        if !value.is_null() {
            strings(value, key)?;
        }
    }
    let custom = member(body, "custom_attributes");
    if !custom.is_null() && !custom.is_array() {
        return Err(wrong("custom_attributes"));
    }
    let known = ["ct_log_option", "dcv_method", "renewal_of_order_id", "skip_domain_validation"];
    let of_ca = object(member(body, "ca_attributes"), "ca_attributes", &known)?;
    for (key, value) in of_ca {
        let fits = match key.as_str() {
            "dcv_method" => value.as_str().is_some_and(|method| DCV_METHODS.contains(&method)),
            "renewal_of_order_id" => value.is_i64(),
            "skip_domain_validation" => value.is_boolean(),
            _ => value.is_string(),
        };
        if !fits {
            return Err(wrong(key));
        }
    }
    Ok(())
}

const DCV_METHODS: [&str; 3] = ["dns-cname-token", "dns-txt-token", "http-token"];

/// The subject that counts, of the body's and the signing request's.
pub fn reconciled(rule: SubjectRule, body: Subject, csr: &Csr, profile: &ProfileSpec) -> Result<Subject, ApiError> {
    let fixed = profile.fixed();
    let asked: Subject = csr.subject.iter().filter(|pair| !fixed.contains(pair)).cloned().collect();
    match rule {
        SubjectRule::BodyWins => Ok(body),
        SubjectRule::CsrWins => Ok(asked),
        SubjectRule::MustMatch if subject::same(&body, &asked) => Ok(body),
        SubjectRule::MustMatch => {
            Err(ApiError::new(400, "invalid_request", "The subject of the CSR does not match the request").field("csr"))
        }
    }
}

/// The lifetime that a request gets.
pub fn lifetime(state: &State, profile: &ProfileSpec, validity: &Value) -> Result<Duration, ApiError> {
    if validity.is_null() {
        return Ok(profile.lifetime);
    }
    let wish = object(validity, "validity", &["unit", "duration"])?;
    let seconds = match text(member(wish, "unit"), "validity.unit")? {
        "years" => 365 * 86_400,
        "months" => 30 * 86_400,
        "days" => 86_400,
        "hours" => 3600,
        "minutes" => 60,
        _ => return Err(wrong("validity.unit")),
    };
    let duration = member(wish, "duration").as_u64().filter(|duration| (1..=100_000).contains(duration));
    let duration = duration.ok_or_else(|| wrong("validity.duration"))?;
    match (profile.allows_validity_override, state.variants.forbidden_validity) {
        (true, _) => Ok(Duration::from_secs(seconds * duration)),
        (false, Excess::Ignored) => Ok(profile.lifetime),
        (false, Excess::Refused) => {
            Err(ApiError::input("validity", "The profile does not allow overriding the validity"))
        }
    }
}

/// `delivery_format` in lower case.
pub fn format(profile: &ProfileSpec, value: &Value) -> Result<String, ApiError> {
    if value.is_null() {
        return Ok("x509".to_owned());
    }
    let format = text(value, "delivery_format")?.to_lowercase();
    match format.as_str() {
        "x509" | "pkcs7" => Ok(format),
        "pkcs12" | "pkcs12_pem" if profile.escrow => Ok(format),
        _ => Err(wrong("delivery_format")),
    }
}

/// A flag, also as the string that some clients send.
pub fn flag(value: &Value, field: &str) -> Result<bool, ApiError> {
    match (value.as_bool(), value.as_str()) {
        (Some(flag), _) => Ok(flag),
        (None, Some("true")) => Ok(true),
        (None, Some("false")) => Ok(false),
        _ if value.is_null() => Ok(false),
        _ => Err(wrong(field)),
    }
}

/// Refuses a second certificate while one is valid, where the profile wants none.
pub fn duplicates(state: &State, profile: &ProfileSpec, seat: &str, common_name: &str) -> Result<(), ApiError> {
    let is_twin = |record: &&super::IssuedRecord| {
        record.seat == seat && record.common_name == common_name && record.profile_id == profile.id
    };
    let has_twin = state.issued.iter().filter(is_twin).any(|record| record.status_word() == "issued");
    if profile.allows_duplicates || !has_twin {
        return Ok(());
    }
    let message = format!(
        "A valid certificate for seat {seat} and common name {common_name} exists already; \
         duplicate certificates are not allowed by the profile"
    );
    Err(state.variants.refusals.duplicate.error(message))
}
