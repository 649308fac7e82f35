//! What is true, as it was seen last: files, servers, TLM, the CAs above a certificate.

pub(super) mod allowed;
pub mod ca_status;
pub mod cached_profile;
pub mod credential;
pub mod holding;
pub mod issuer;
pub mod observed;
pub mod profile;
pub mod replaced;
pub mod revocation;
pub mod served;
pub mod standing;
pub mod validation;
