//! What TLM waits for before it issues: the proof that the domain is ours.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::core::text::Text;

/// `dv_details` of a pending request: what somebody has to publish. The value is no secret, since everybody will see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainValidation {
    /// How: `dns-txt-token`, `dns-cname-token`, `http-token`.
    #[serde(rename = "dcv_method", default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Text>,
    /// What.
    #[serde(rename = "dcv_random_value", default, skip_serializing_if = "Option::is_none")]
    pub random_value: Option<Text>,
}

impl fmt::Display for DomainValidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("waiting for domain validation")?;
        match (&self.random_value, &self.method) {
            (Some(value), Some(method)) => write!(f, ": publish {value} by {method}"),
            (Some(value), None) => write!(f, ": publish {value}"),
            (None, Some(method)) => write!(f, " by {method}"),
            (None, None) => Ok(()),
        }
    }
}
