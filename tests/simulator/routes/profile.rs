//! GET profile: the list by pages, and one by its id.

use serde_json::{Value, json};

use super::super::faults::FaultKind;
use super::super::profile::ProfileSpec;
use super::super::reply::{ApiError, Reply};
use super::super::state::State;
use super::super::variants::ProfileList;
use super::Call;

pub fn list(state: &State, call: &Call<'_>) -> Result<Reply, ApiError> {
    call.knows_query(&["offset", "limit", "sort", "api_token_id"])?;
    let (offset, limit) = call.page(state.variants.profile_limit)?;
    let offset = if state.variants.ignores_offset { 0 } else { offset };
    let limit = state.variants.profile_cap.map_or(limit, |cap| cap.min(limit));
    let page = state.profiles.iter().skip(offset).take(limit);
    let mut profiles: Vec<Value> = page.map(|profile| render(state, call, profile)).collect();
    if state.variants.odd_profiles && !profiles.is_empty() {
        profiles.extend([json!(null), json!({"name": "without id"})]);
    }
    let body = match state.variants.profile_list {
        ProfileList::Bare => json!(profiles),
        ProfileList::Wrapped => json!({"items": profiles}),
        ProfileList::Nested => json!([profiles]),
    };
    Ok(Reply::json(200, &body))
}

pub fn single(state: &State, call: &Call<'_>) -> Result<Reply, ApiError> {
    call.knows_query(&[])?;
    let refusal = &state.variants.refusals.unknown_profile;
    let unknown = || refusal.error(format!("User has no access to the profile with id = {}", call.id));
    let profile = state.profile(call.id).ok_or_else(unknown)?;
    Ok(Reply::json(200, &render(state, call, profile)))
}

fn render(state: &State, call: &Call<'_>, profile: &ProfileSpec) -> Value {
    let ids: Vec<String> = state.keys.iter().map(|key| key.id.clone()).collect();
    let mut body = profile.to_json(&state.variants.profile_spelling, &ids);
    let issuer = profile.authority().intermediate_until(state.variants.profile_ca_ends);
    if profile.shows_issuer {
        body["certificate"]["issuer"]["certificate"] = json!(issuer.pem);
    }
    if call.has_fault(&FaultKind::OtherCaseStatus) {
        body["status"] = json!(profile.status.to_uppercase());
    }
    body
}
