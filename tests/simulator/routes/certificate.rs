//! POST certificate, its details and its additional formats.

use serde_json::{Value, json};

use super::super::csr::Csr;
use super::super::delivery::{self, RequestSpec};
use super::super::faults::FaultKind;
use super::super::profile::{ACCOUNT_ID, BUSINESS_UNIT_ID, Issuance, ProfileSpec};
use super::super::reply::{ApiError, Reply};
use super::super::state::{IssuedRecord, State, Wanted};
use super::super::subject::{self, Subject};
use super::super::{certificate as x509, clock, validate};
use super::Call;

const FIELDS: [&str; 11] = [
    "profile",
    "seat",
    "csr",
    "validity",
    "delivery_format",
    "include_ca_chain",
    "attributes",
    "tags",
    "cert_owner_ids",
    "custom_attributes",
    "ca_attributes",
];

pub fn issue(state: &mut State, call: &Call<'_>) -> Result<Reply, ApiError> {
    call.knows_query(&[])?;
    let body = validate::object(&call.body, "body", &FIELDS)?;
    let profile = validate::usable_profile(state, validate::profile_id(body)?, call.key)?;
    let wanted = wanted(state, call, &profile)?;
    submit(state, call, wanted, profile.issuance, state.variants.issue_status)
}

fn wanted(state: &State, call: &Call<'_>, profile: &ProfileSpec) -> Result<Wanted, ApiError> {
    let body = validate::object(&call.body, "body", &FIELDS)?;
    let part = |name: &str| validate::member(body, name);
    let known = ["subject", "extensions", "custom_values", "tnc_accepted"];
    let attributes = validate::object(part("attributes"), "attributes", &known)?;
    let asked = validate::subject(state, profile, validate::member(attributes, "subject"))?;
    let names = validate::names(state, profile, validate::member(attributes, "extensions"))?;
    validate::custom_values(state, profile, validate::member(attributes, "custom_values"))?;
    let csr = validate::signing_request(profile, part("csr"))?;
    validate::same_names(state, &csr, &names)?;
    validate::extras(body)?;
    let subject = validate::reconciled(state.variants.subject_rule, asked, &csr, profile)?;
    let common_name = subject::first(&subject, "common_name");
    let seat = validate::seat(state, profile, body, &common_name)?;
    validate::duplicates(state, profile, &seat, &common_name)?;
    let Csr { spki, key_bits, is_rsa, .. } = csr;
    Ok(Wanted {
        profile_id: profile.id.clone(),
        seat,
        subject,
        names,
        spki,
        key_bits,
        is_rsa,
        lifetime: validate::lifetime(state, profile, part("validity"))?,
        format: validate::format(profile, part("delivery_format"))?,
        include_chain: validate::flag(part("include_ca_chain"), "include_ca_chain")?,
        renews: None,
        defects: call.faults.to_vec(),
    })
}

/// Issues at once, or puts in waiting.
pub fn submit(
    state: &mut State,
    call: &Call<'_>,
    wanted: Wanted,
    issuance: Issuance,
    status: u16,
) -> Result<Reply, ApiError> {
    if issuance == Issuance::Immediate {
        let serial = state.issue(&wanted)?;
        let wish = RequestSpec { format: &wanted.format, include_chain: wanted.include_chain, faults: call.faults };
        let record = state.certificate(&serial).unwrap();
        return Ok(Reply::json(status, &delivery::answer(state, record, &wish)));
    }
    let renewed = wanted.renews.clone();
    let id = state.enqueue(wanted, issuance);
    if let Some((serial, _)) = renewed {
        state.certificate_mut(&serial).into_iter().for_each(|old| old.renewed = true);
    }
    let mut body = json!({"request_id": id});
    if state.variants.pending_has_empty_fields {
        body["serial_number"] = json!("");
        body["certificate"] = json!("");
    }
    if state.variants.dv_details {
        body["dv_details"] = dv_details();
    }
    Ok(Reply::json(status, &body))
}

/// What the holder of the domain has to publish.
pub fn dv_details() -> Value {
    json!({"dcv_method": "dns-txt-token", "dcv_random_value": "_p9f3kq2x"})
}

/// The serial number in the path, as it is remembered.
pub fn serial(state: &State, call: &Call<'_>) -> Result<String, ApiError> {
    let variants = &state.variants;
    let thumbprint = call.query("thumbprint_sha256");
    if variants.serials_collide && thumbprint.is_none() {
        let message = "Collision occurred! Please specify additional parameter: thumbprint_sha256";
        return Err(variants.refusals.collision.error(message));
    }
    let spelt = |serial: &str| {
        let plain = if variants.strips_leading_zeros { serial.trim_start_matches('0') } else { serial };
        if variants.serial_in_any_case { plain.to_uppercase() } else { plain.to_owned() }
    };
    let is_meant = |record: &&IssuedRecord| {
        let fits = thumbprint.is_none_or(|wanted| wanted == x509::thumbprint(&record.der));
        fits && spelt(&record.serial) == spelt(call.id)
    };
    let found = state.issued.iter().rfind(is_meant).map(|record| record.serial.clone());
    let message = || format!("Certificate with serial number {} was not found", call.id);
    found.ok_or_else(|| variants.refusals.unknown_serial.error(message()))
}

pub fn details(state: &State, call: &Call<'_>) -> Result<Reply, ApiError> {
    call.knows_query(&["thumbprint_sha256", "account_id"])?;
    let serial = serial(state, call)?;
    let record = state.certificate(&serial).unwrap();
    Ok(Reply::json(200, &describe(state, record, call.faults)))
}

/// A certificate as details and search show it.
pub fn describe(state: &State, record: &IssuedRecord, faults: &[FaultKind]) -> Value {
    let profile_name = state.profile(&record.profile_id).map(|profile| profile.name.clone());
    let issuer = delivery::issuers(state, record, &[])[0];
    let certificate =
        if state.variants.details_in_pem { delivery::text(&record.der, faults) } else { x509::base64(&record.der) };
    let mut body = json!({
        "profile": {"id": record.profile_id, "name": profile_name},
        "seat": {"seat_id": record.seat},
        "business_unit": {"id": BUSINESS_UNIT_ID, "name": "Test BU"},
        "account": {"id": ACCOUNT_ID},
        "certificate": certificate,
        "ica": {"id": issuer.serial_hex},
        "common_name": record.common_name,
        "status": status(state, record, faults),
        "serial_number": delivery::serial(state, record),
        "thumbprint": x509::thumbprint(&record.der),
        "valid_from": clock::styled(state.variants.dates, record.not_before),
        "valid_to": clock::styled(state.variants.dates, record.not_after),
        "template_name": "Private Server",
        "issuing_ca_name": issuer.common_name,
        "key_size": record.key_bits,
        "signature_algorithm": if record.is_rsa { "RSA" } else { "EC" },
        "subject": shown_subject(&record.subject),
        "cert_security_rating": "Secure",
        "ca_response_attributes": {"order_id": "1234567890"},
    });
    if let Some(notes) = &record.notes {
        body["notes"] = json!(notes);
    }
    if let Some(reason) = &record.revocation_reason {
        body["revocation"] = json!({"reason": reason, "comments": ""});
    }
    body
}

fn status(state: &State, record: &IssuedRecord, faults: &[FaultKind]) -> String {
    let is_upper = state.variants.upper_case_status != faults.contains(&FaultKind::OtherCaseStatus);
    if is_upper { record.status_word().to_uppercase() } else { record.status_word().to_owned() }
}

/// In answers lists are texts and the postal code is a number.
fn shown_subject(subject: &Subject) -> Value {
    let mut shown = json!({});
    for (key, _) in subject {
        let values: Vec<&str> = subject::values(subject, key).collect();
        let text = values.join(", ");
        shown[key] = match text.parse::<u64>() {
            Ok(number) if key == "postal_code" => json!(number),
            _ => json!(text),
        };
    }
    shown
}

pub fn formats(state: &State, call: &Call<'_>) -> Result<Reply, ApiError> {
    call.knows_query(&["thumbprint_sha256", "account_id"])?;
    let serial = serial(state, call)?;
    let record = state.certificate(&serial).unwrap();
    let mut chain = vec![(record.common_name.as_str(), record.der.as_slice())];
    if !call.has_fault(&FaultKind::MissingChain) {
        let issuers = delivery::issuers(state, record, call.faults);
        chain.extend(issuers.into_iter().map(|issuer| (issuer.common_name, issuer.der.as_slice())));
    }
    if call.has_fault(&FaultKind::ShuffledChain) {
        chain.reverse();
    }
    let ders: Vec<&[u8]> = chain.iter().map(|(_, der)| *der).collect();
    let item =
        |(name, der): &(&str, &[u8])| json!({"common_name": name, "cert_blob": delivery::text(der, call.faults)});
    let mut body = json!({"x509_cert_chain": chain.iter().map(item).collect::<Vec<_>>()});
    if !call.has_fault(&FaultKind::NoPkcs7) {
        body["pkcs7"] = json!(x509::pkcs7(&ders));
    }
    if call.has_fault(&FaultKind::Pkcs7Alone) {
        body["x509_cert_chain"] = json!([null, {"common_name": "broken", "cert_blob": "-----BEGIN"}]);
    }
    Ok(Reply::json(200, &body))
}
