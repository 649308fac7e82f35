//! Who calls, which version answers, and hello.

use serde_json::json;

use super::super::clock;
use super::super::reply::Reply;
use super::super::state::{ApiKey, State};
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
    if let Some(end) = end.filter(|_| !state.variants.me_hides_end) {
        match state.variants.me {
            MeShape::RoleNames => body["end_date"] = clock::zulu(end).into(),
            MeShape::RoleObjects => body["api_tokens"] = json!([{"id": "t-1", "expires_at": end * 1000}]),
            MeShape::NoRoles => body["expiration_date"] = clock::day(end).into(),
            MeShape::Nested => body["user"]["service_user"] = json!({"expiry": clock::zulu(end)}),
        }
    }
    Reply::json(200, &body)
}

/// Every key of the account. The reference names the list, and not what an item looks like.
pub fn tokens(state: &State) -> Reply {
    let shown = |key: &ApiKey| {
        let prefix = key.secret.split('_').next();
        let status = if key.revoked { "REVOKED" } else { "ACTIVE" };
        let end = key.not_after.map(clock::zulu);
        json!({"id": key.id, "name": "renewd", "token_prefix": prefix, "status": status, "end_date": end})
    };
    let items: Vec<_> = state.keys.iter().map(shown).collect();
    Reply::json(200, &json!({"total": items.len(), "offset": 0, "limit": 20, "items": items}))
}

pub fn version() -> Reply {
    Reply::json(200, &json!({"version": "1.2893.0"}))
}

pub fn hello(state: &State) -> Reply {
    let product = if state.variants.old_hello { "Enterprise PKI Manager" } else { "Trust Lifecycle Manager" };
    Reply::text(200, &format!("Hello from DigiCert ONE - {product} REST API!"))
}
