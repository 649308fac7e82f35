//! PUT revoke (and suspend), DELETE to resume.

use super::super::reply::{ApiError, Reply};
use super::super::state::{CertificateStatus, State};
use super::super::validate;
use super::{Call, certificate};

const REASONS: [&str; 8] = [
    "unspecified",
    "key_compromise",
    "affiliation_changed",
    "superseded",
    "cessation_of_operation",
    "privilege_withdrawn",
    "ca_compromise",
    "certificate_hold",
];

pub fn revoke_or_resume(state: &mut State, call: &Call<'_>) -> Result<Reply, ApiError> {
    call.knows_query(&["thumbprint_sha256", "account_id"])?;
    let serial = certificate::serial(state, call)?;
    if call.method == "DELETE" { resume(state, &serial) } else { revoke(state, call, &serial) }
}

fn revoke(state: &mut State, call: &Call<'_>, serial: &str) -> Result<Reply, ApiError> {
    let body = validate::object(&call.body, "body", &["revocation_reason"])?;
    let reason = validate::member(body, "revocation_reason").as_str();
    let reason = reason.ok_or_else(|| validate::required("revocation_reason"))?.to_owned();
    if !REASONS.contains(&reason.as_str()) {
        return Err(ApiError::input("revocation_reason", "Wrong input or input format."));
    }
    let refusal = state.variants.refusals.already_revoked.clone();
    let record = state.certificate_mut(serial).unwrap();
    if record.status == CertificateStatus::Revoked {
        return Err(refusal.error("Certificate already has been revoked"));
    }
    let is_hold = reason == "certificate_hold";
    record.status = if is_hold { CertificateStatus::Suspended } else { CertificateStatus::Revoked };
    record.revocation_reason = Some(reason);
    Ok(Reply::empty(204))
}

fn resume(state: &mut State, serial: &str) -> Result<Reply, ApiError> {
    let record = state.certificate_mut(serial).unwrap();
    if record.status != CertificateStatus::Suspended {
        return Err(ApiError::new(400, "invalid_request", "Certificate is not suspended"));
    }
    record.status = CertificateStatus::Issued;
    record.revocation_reason = None;
    Ok(Reply::empty(204))
}
