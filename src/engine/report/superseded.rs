//! What the status says of certificates that were replaced, and are to be revoked.

use super::Managed;
use crate::core::code::Code;
use crate::core::failure::FailureClass;
use crate::core::known::replaced::Replaced;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::engine::status::{RemarkStatus, SupersededStatus};

/// Those that wait to be revoked. What ends before it would be is left to its end.
pub(super) fn waiting(managed: &Managed, now: Timestamp) -> Vec<SupersededStatus> {
    let Some(revoke_at) = revoke_at(managed) else { return Vec::new() };
    let told = |one: &Replaced| SupersededStatus {
        serial_number: one.serial_number.to_string(),
        not_after: one.not_after.to_string(),
        revoke_at: revoke_at.map(|at| at.to_string()),
    };
    let lasts = |one: &&Replaced| one.not_after > revoke_at.map_or(now, |at| at.max(now));
    managed.record.superseded.iter().filter(lasts).map(told).collect()
}

/// What the plan says of it, where the time is known.
pub(super) fn planned(managed: &Managed, now: Timestamp) -> Option<String> {
    let waiting = waiting(managed, now);
    let first = waiting.first()?;
    let at = first.revoke_at.as_ref()?;
    let serials: Vec<&str> = waiting.iter().map(|one| one.serial_number.as_str()).collect();
    Some(format!("; what it replaced is to be revoked at {at} ({})", serials.join(", ")))
}

/// When it is the time to revoke; `Some(None)`: some time after the installed certificate is in service; `None`: never.
fn revoke_at(managed: &Managed) -> Option<Option<Timestamp>> {
    let span = managed.entry.revoke_superseded?;
    let installed = managed.observed.installed()?;
    let in_service = managed.record.in_service.as_deref();
    Some(in_service.filter(|(fingerprint, _)| *fingerprint == installed.fingerprint).map(|(_, since)| *since + span))
}

/// That it cannot be revoked: where the API key's user lacks the right, at once, for another reason after some tries.
pub(super) fn remark(managed: &Managed) -> Option<RemarkStatus> {
    let (failure, at) = managed.record.revocation.last.as_deref()?;
    let serial = waiting(managed, *at).into_iter().next()?.serial_number;
    let message = if failure.class == FailureClass::ApiForbidden {
        format!(
            "renewd may not revoke {serial}, which it replaced: let the API key's user revoke in TLM, a right of its own \
             beside issuing; it tries once a day: {failure}"
        )
    } else if managed.record.revocation.count >= SEVERAL {
        format!("renewd cannot revoke {serial}, which it replaced, and keeps trying: {failure}")
    } else {
        return None;
    };
    let code = Code::SupersededUnrevoked.to_string();
    Some(RemarkStatus { code, message: Text::new(&message), since: Some(at.to_string()) })
}

const SEVERAL: u32 = 3;
