//! Who calls, which version answers, and hello.

use serde_json::json;

use super::super::reply::Reply;
use super::super::state::State;
use super::super::variants::MeShape;

pub fn me(state: &State) -> Reply {
    let roles = &state.roles;
    let body = match state.variants.me {
        MeShape::RoleNames => json!({"id": "u-1", "email": "renewd@example.com", "roles": roles}),
        MeShape::RoleObjects => {
            let objects: Vec<_> = roles.iter().map(|role| json!({"id": role, "name": role})).collect();
            json!({"id": "u-1", "service_user": true, "roles": objects})
        }
        MeShape::NoRoles => json!({"id": "u-1", "email": "renewd@example.com"}),
        MeShape::Nested => json!({"user": {"id": "u-1", "permissions": roles}}),
    };
    Reply::json(200, &body)
}

pub fn version() -> Reply {
    Reply::json(200, &json!({"version": "1.2893.0"}))
}

pub fn hello(state: &State) -> Reply {
    let product = if state.variants.old_hello { "Enterprise PKI Manager" } else { "Trust Lifecycle Manager" };
    Reply::text(200, &format!("Hello from DigiCert ONE - {product} REST API!"))
}
