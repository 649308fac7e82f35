//! Who calls, which version answers, and hello.

use serde_json::json;

use super::super::clock;
use super::super::reply::Reply;
use super::super::state::State;
use super::super::variants::MeShape;

/// The shape is not documented, and neither is the end of the service user, after which its keys are refused: each variant
/// spells it differently.
pub fn me(state: &State, key: Option<usize>) -> Reply {
    let roles = &state.roles;
    let end = key.and_then(|key| state.keys[key].not_after);
    let mut body = match state.variants.me {
        MeShape::RoleNames => json!({"id": "u-1", "email": "renewd@example.com", "roles": roles}),
        MeShape::RoleObjects => {
            let objects: Vec<_> = roles.iter().map(|role| json!({"id": role, "name": role})).collect();
            json!({"id": "u-1", "service_user": true, "roles": objects})
        }
        MeShape::NoRoles => json!({"id": "u-1", "email": "renewd@example.com"}),
        MeShape::Nested => json!({"user": {"id": "u-1", "permissions": roles}}),
    };
    if let Some(end) = end {
        match state.variants.me {
            MeShape::RoleNames => body["end_date"] = clock::zulu(end).into(),
            MeShape::RoleObjects => body["api_tokens"] = json!([{"id": "t-1", "expires_at": end * 1000}]),
            MeShape::NoRoles => body["expiration_date"] = clock::day(end).into(),
            MeShape::Nested => body["user"]["service_user"] = json!({"expiry": clock::zulu(end)}),
        }
    }
    Reply::json(200, &body)
}

pub fn version() -> Reply {
    Reply::json(200, &json!({"version": "1.2893.0"}))
}

pub fn hello(state: &State) -> Reply {
    let product = if state.variants.old_hello { "Enterprise PKI Manager" } else { "Trust Lifecycle Manager" };
    Reply::text(200, &format!("Hello from DigiCert ONE - {product} REST API!"))
}
