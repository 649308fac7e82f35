//! POST certificate-pickup: what became of a request.

use serde_json::json;

use super::super::delivery::{self, RequestSpec};
use super::super::faults::FaultKind;
use super::super::reply::{ApiError, Reply};
use super::super::state::{Decision, State};
use super::super::validate;
use super::{Call, certificate};

pub fn pick_up(state: &State, call: &Call<'_>) -> Result<Reply, ApiError> {
    call.knows_query(&[])?;
    let body = validate::object(&call.body, "body", &["profile"])?;
    let profile_id = validate::profile_id(body)?;
    let refusal = &state.variants.refusals.unknown_request;
    let unknown = || refusal.error(format!("Request with id {} was not found", call.id));
    let request = state.pending.iter().find(|request| request.id == call.id).ok_or_else(unknown)?;
    if request.wanted.profile_id != profile_id {
        return Err(unknown());
    }
    let word = |word: &str| {
        if call.has_fault(&FaultKind::OtherCaseStatus) { word.to_lowercase() } else { word.to_owned() }
    };
    let (mut answer, status) = match &request.decision {
        Decision::Waiting => (json!({}), "PENDING"),
        Decision::Rejected(comment) => {
            let has_more = state.variants.pickup_has_companions;
            (if has_more { json!({"comment": comment}) } else { json!({}) }, "REJECTED")
        }
        Decision::Issued(serial) => {
            let wanted = &request.wanted;
            let wish = RequestSpec { format: &wanted.format, include_chain: wanted.include_chain, faults: call.faults };
            let gone = || refusal.error(format!("The certificate of request {} is gone", call.id));
            let record = state.certificate(serial).ok_or_else(gone)?;
            (delivery::answer(state, record, &wish), "ISSUED")
        }
    };
    answer["status"] = json!(word(status));
    if state.variants.dv_details && request.decision == Decision::Waiting {
        answer["dv_details"] = certificate::dv_details();
    }
    if state.variants.pickup_has_companions && !matches!(request.decision, Decision::Issued(_)) {
        answer["id"] = json!(request.id);
    }
    Ok(Reply::json(200, &answer))
}
