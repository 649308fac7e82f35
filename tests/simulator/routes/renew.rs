//! POST renew: a new certificate with the names of an old one, once, inside its window.

use serde_json::{Map, Value};

use super::super::profile::{Issuance, ProfileSpec};
use super::super::reply::{ApiError, Reply};
use super::super::state::{CertificateStatus, IssuedRecord, State, Wanted};
use super::super::subject::{self, Subject};
use super::super::variants::SubjectRule;
use super::super::{clock, validate};
use super::{Call, certificate};

const FIELDS: [&str; 5] = ["csr", "validity", "delivery_format", "include_ca_chain", "renewal_comment"];

pub fn renew(state: &mut State, call: &Call<'_>) -> Result<Reply, ApiError> {
    call.knows_query(&["thumbprint_sha256", "account_id"])?;
    let body = validate::object(&call.body, "body", &FIELDS)?;
    let serial = certificate::serial(state, call)?;
    let old = state.certificate(&serial).unwrap().clone();
    let profile = validate::usable_profile(state, &old.profile_id, call.key)?;
    is_renewable(state, &old, &profile)?;
    let wanted = wanted(state, call, body, &old, &profile)?;
    let issuance = if state.variants.renew_may_pend { profile.issuance } else { Issuance::Immediate };
    certificate::submit(state, call, wanted, issuance, state.variants.renew_status)
}

fn is_renewable(state: &State, old: &IssuedRecord, profile: &ProfileSpec) -> Result<(), ApiError> {
    let refusals = &state.variants.refusals;
    let failed = |why: String| format!("Failed to renew the specified certificate: {why}");
    if old.status != CertificateStatus::Issued {
        return Err(refusals.revoked.error(failed(format!("certificate is {}", old.status_word()))));
    }
    if old.renewed {
        return Err(refusals.already_renewed.error(failed("certificate is already renewed".to_owned())));
    }
    if old.not_after < clock::now() {
        return Err(refusals.expired.error(failed("certificate is expired".to_owned())));
    }
    let opens = old.not_after - i64::try_from(profile.renewal_window().as_secs()).unwrap();
    if clock::now() < opens {
        let why = if state.variants.too_early_names_date {
            format!("renewal is not permitted until {}[UTC]", clock::zulu(opens))
        } else {
            "certificate is not within its renewal window".to_owned()
        };
        return Err(refusals.too_early.error(failed(why)));
    }
    Ok(())
}

fn wanted(
    state: &State,
    call: &Call<'_>,
    body: &Map<String, Value>,
    old: &IssuedRecord,
    profile: &ProfileSpec,
) -> Result<Wanted, ApiError> {
    let part = |name: &str| validate::member(body, name);
    let csr = validate::signing_request(profile, part("csr"))?;
    let fixed = profile.fixed();
    let asked: Subject = old.subject.iter().filter(|pair| !fixed.contains(pair)).cloned().collect();
    let is_same = subject::same(&csr.subject, &asked) || subject::same(&csr.subject, &old.subject);
    if !is_same && state.variants.subject_rule == SubjectRule::MustMatch {
        let message =
            "Failed to renew the specified certificate: the subject DN of the CSR differs from the certificate's";
        return Err(ApiError::new(400, "invalid_request", message).field("csr"));
    }
    validate::same_names(state, &csr, &old.names)?;
    Ok(Wanted {
        profile_id: profile.id.clone(),
        seat: old.seat.clone(),
        subject: asked,
        names: old.names.clone(),
        spki: csr.spki,
        key_bits: csr.key_bits,
        is_rsa: csr.is_rsa,
        lifetime: validate::lifetime(state, profile, part("validity"))?,
        format: validate::format(profile, part("delivery_format"))?,
        include_chain: validate::flag(part("include_ca_chain"), "include_ca_chain")?,
        renews: Some((old.serial.clone(), old.not_after)),
        defects: call.faults.to_vec(),
    })
}
