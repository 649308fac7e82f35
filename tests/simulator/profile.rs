//! Certificate profiles: what tests set, and the JSON in which the API shows it.

use std::time::Duration;

use serde_json::{Value, json};

use super::ca::{Authority, CaCertificate};
use super::certificate::{self, Usage};
use super::variants::ProfileSpelling;

pub const ACCOUNT_ID: &str = "3ff33f88-5717-4542-b3fc-3f312f44afa4";
pub const BUSINESS_UNIT_ID: &str = "e5bf49f0-a77b-4301-85e9-c15eb12df70f";

/// A profile.
#[derive(Clone, Debug)]
pub struct ProfileSpec {
    pub id: String,
    pub name: String,
    /// `Active`, `Suspended`, `Deleted` or `Action needed`.
    pub status: String,
    pub enrollment_method: String,
    pub authentication_method: String,
    /// The lifetime of what it issues; shown rounded up to whole minutes.
    pub lifetime: Duration,
    pub renewal_window_days: Option<u32>,
    pub renewal_period_days: Option<u32>,
    /// How long before its end a certificate may be renewed, in place of `renewal_window_days`.
    pub renewal_window_override: Option<Duration>,
    pub allows_duplicates: bool,
    pub allows_validity_override: bool,
    pub signature_algorithm: String,
    /// The first is the default; bits of the modulus or of the field.
    pub key_sizes: Vec<String>,
    pub subject: Vec<AttributeSpec>,
    pub san: Vec<AttributeSpec>,
    /// What its custom extensions take from requests.
    pub custom_values: Vec<AttributeSpec>,
    /// The names that it allows; empty: all.
    pub allowed_list: Vec<String>,
    /// Whether a request has to bring the seat's e-mail address.
    pub wants_seat_email: bool,
    pub issuance: Issuance,
    /// Whether an administrator rejects what would otherwise approve itself.
    pub rejects: bool,
    pub usages: Vec<Usage>,
    /// Whether DigiCert makes and keeps the keys: then no CSR is needed.
    pub escrow: bool,
    /// The API keys' numbers (from 0) that may use the profile; empty: every one.
    pub bound_keys: Vec<usize>,
    /// Whether an RSA CA issues.
    pub rsa_issuer: bool,
    /// Whether the profile shows its issuer.
    pub shows_issuer: bool,
}

/// How a request turns into a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuance {
    /// At once.
    Immediate,
    /// After an approval, which comes by itself after this time, if one is given.
    Pending { approve_after: Option<Duration> },
    /// By a Microsoft CA: a request id alone, and a certificate at the next pickup.
    Microsoft,
}

/// An attribute that a profile lists.
#[derive(Clone, Debug)]
pub struct AttributeSpec {
    pub key: String,
    pub mandatory: bool,
    pub multiple: bool,
    pub source: Source,
}

/// Where the value of an attribute comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `REST Request`
    RestRequest,
    /// `ENTERED_BY_USER_DURING_ENROLLMENT`
    EnteredByUser,
    /// `FROM_CSR`
    FromCsr,
    /// `FIXED_VALUE`
    Fixed(String),
    /// `UPLOADED_BY_ADMIN`
    UploadedByAdmin,
    /// Not said.
    Unsaid,
}

impl AttributeSpec {
    pub fn optional(key: &str) -> Self {
        Self { key: key.to_owned(), mandatory: false, multiple: false, source: Source::RestRequest }
    }

    pub fn mandatory(key: &str) -> Self {
        Self { mandatory: true, ..Self::optional(key) }
    }

    pub fn fixed(key: &str, value: &str) -> Self {
        Self { source: Source::Fixed(value.to_owned()), ..Self::mandatory(key) }
    }

    pub fn many(self) -> Self {
        Self { multiple: true, ..self }
    }

    /// Whether the request must bring it.
    pub fn is_required(&self) -> bool {
        let from_request = matches!(self.source, Source::RestRequest | Source::EnteredByUser | Source::Unsaid);
        self.mandatory && from_request
    }

    fn to_json(&self, spelling: &ProfileSpelling) -> Value {
        let mut item = json!({"type": self.key, "mandatory": self.mandatory, "multiple": self.multiple});
        let Some(word) = self.source.word() else { return item };
        let word = if spelling.lower_case_sources { word.to_lowercase().replace(' ', "_") } else { word.to_owned() };
        let mut source = json!({"mandatory": self.mandatory, "source": word});
        if let Source::Fixed(value) = &self.source {
            source["value"] = json!(value);
        }
        item[if spelling.singular_source { "source" } else { "sources" }] = json!([source]);
        item
    }
}

impl Source {
    const fn word(&self) -> Option<&'static str> {
        match self {
            Self::RestRequest => Some("REST Request"),
            Self::EnteredByUser => Some("ENTERED_BY_USER_DURING_ENROLLMENT"),
            Self::FromCsr => Some("FROM_CSR"),
            Self::Fixed(_) => Some("FIXED_VALUE"),
            Self::UploadedByAdmin => Some("UPLOADED_BY_ADMIN"),
            Self::Unsaid => None,
        }
    }
}

impl Default for ProfileSpec {
    fn default() -> Self {
        let id = certificate::uuid();
        let single = ["country", "state", "locality", "street_address", "postal_code", "organization_name", "email"];
        let mut subject = vec![AttributeSpec::mandatory("common_name")];
        subject.extend(single.map(AttributeSpec::optional));
        subject.push(AttributeSpec::optional("organization_units").many());
        let san = ["dns_names", "ip_addresses", "emails", "uris"].map(|key| AttributeSpec::optional(key).many());
        Self {
            name: format!("TLS {}", &id[..8]),
            id,
            status: "Active".to_owned(),
            enrollment_method: "rest_api".to_owned(),
            authentication_method: "third_party_app".to_owned(),
            lifetime: Duration::from_secs(90 * 86_400),
            renewal_window_days: Some(30),
            renewal_period_days: Some(30),
            renewal_window_override: None,
            allows_duplicates: true,
            allows_validity_override: false,
            signature_algorithm: "SHA256_WITH_ECDSA".to_owned(),
            key_sizes: vec!["256".to_owned(), "384".to_owned()],
            subject,
            san: san.to_vec(),
            custom_values: Vec::new(),
            allowed_list: Vec::new(),
            wants_seat_email: false,
            issuance: Issuance::Immediate,
            rejects: false,
            usages: vec![Usage::ServerAuth, Usage::ClientAuth],
            escrow: false,
            bound_keys: Vec::new(),
            rsa_issuer: false,
            shows_issuer: true,
        }
    }
}

impl ProfileSpec {
    pub fn authority(&self) -> &'static Authority {
        if self.rsa_issuer { Authority::rsa() } else { Authority::ecdsa() }
    }

    /// How long before its end a certificate may be renewed.
    pub fn renewal_window(&self) -> Duration {
        let said = [self.renewal_window_days, self.renewal_period_days].into_iter().flatten().find(|days| *days > 0);
        let days = said.unwrap_or(30);
        self.renewal_window_override.unwrap_or(Duration::from_secs(u64::from(days) * 86_400))
    }

    /// The attributes whose value the profile itself gives.
    pub fn fixed(&self) -> Vec<(String, String)> {
        let values = self.subject.iter().filter_map(|attribute| match &attribute.source {
            Source::Fixed(value) => Some((attribute.key.clone(), value.clone())),
            Source::RestRequest | Source::EnteredByUser | Source::FromCsr => None,
            Source::UploadedByAdmin | Source::Unsaid => None,
        });
        values.collect()
    }

    /// As GET profile shows it.
    pub fn to_json(&self, spelling: &ProfileSpelling, key_ids: &[String]) -> Value {
        let mut profile = self.policy();
        profile["private_key_attributes"] = json!({"key_size": self.shown_sizes(spelling).first()});
        if !spelling.no_allowed_key_sizes {
            profile["allowed_key_sizes"] = json!(self.shown_sizes(spelling));
        }
        let duplicates = if spelling.duplicate_certificate_allowed {
            "duplicate_certificate_allowed"
        } else {
            "duplicate_cert_policy"
        };
        profile[duplicates] = json!(self.allows_duplicates);
        profile["api_token_binding_enabled"] = json!(!self.bound_keys.is_empty());
        let bound: Vec<_> = self.bound_keys.iter().filter_map(|key| key_ids.get(*key)).collect();
        profile["api_token_ids"] = json!(bound);
        for (name, days) in
            [("renewal_window_days", self.renewal_window_days), ("renewal_period_days", self.renewal_period_days)]
        {
            if let Some(days) = days {
                profile[name] = json!(days);
            }
        }
        if !self.allowed_list.is_empty() {
            profile["allowed_list"] = json!(self.allowed_list);
        }
        profile["certificate"] = self.contents(spelling);
        profile["fields"] = if spelling.fields_array { json!([common_name_field()]) } else { common_name_field() };
        profile
    }

    fn policy(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "status": self.status,
            "signature_algorithm": self.signature_algorithm,
            "seat_id_mapping": "common_name",
            "publish_to_public_directory": false,
            "override_cert_validity_via_api": self.allows_validity_override,
            "certificate_delivery_format": "pkcs7",
            "account_id": ACCOUNT_ID,
            "business_unit_id": BUSINESS_UNIT_ID,
            "enrollment_method": self.enrollment_method,
            "authentication_method": self.authentication_method,
            "days_till_enrollment_expires": 10,
            "automated_renewal": true,
            "custom_extended_key_usages": [],
            "key_escrow_policy": {
                "key_escrow_enabled": self.escrow,
                "key_escrow_deployment_mode": "CLOUD",
                "dual_admin_recovery": false,
            },
            "enable_dual_admin_approval": matches!(self.issuance, Issuance::Pending { .. }),
            "enable_ldap_search": false,
            "useCustomContact": false,
            "cert_delivery_format": "x509",
            "template": {
                "id": "99bfc12d-6732-e6c6-3f6d-a8c30e7833c1",
                "name": "Private Server",
                "trust_type": "private",
            },
            "business_unit": {"id": BUSINESS_UNIT_ID, "name": "Test BU"},
            "account": {"id": ACCOUNT_ID},
        })
    }

    fn shown_sizes(&self, spelling: &ProfileSpelling) -> Vec<String> {
        let is_curve = |size: &str| matches!(size, "256" | "384" | "521");
        let shown = |size: &String| match spelling.prefixed_curves && is_curve(size) {
            true => format!("P-{size}"),
            false => size.clone(),
        };
        self.key_sizes.iter().map(shown).collect()
    }

    fn contents(&self, spelling: &ProfileSpelling) -> Value {
        let list = |attributes: &[AttributeSpec]| -> Vec<Value> {
            attributes.iter().map(|attribute| attribute.to_json(spelling)).collect()
        };
        let authority = self.authority();
        let mut issuer = ca_json(&authority.intermediate, false);
        issuer["chain"] = json!([ca_json(&authority.root, true)]);
        let (unit, duration) = self.validity();
        let mut contents = json!({
            "subject": {"attributes": list(&self.subject)},
            "validity": {"unit": unit, "duration": duration},
            "extensions": {"san": {"critical": false, "attributes": list(&self.san)}},
            "issuer": if self.shows_issuer { issuer } else { Value::Null },
        });
        if !self.custom_values.is_empty() {
            contents["custom_values"] = json!({"attributes": list(&self.custom_values)});
        }
        contents
    }

    fn validity(&self) -> (&'static str, u64) {
        let seconds = self.lifetime.as_secs();
        match seconds {
            _ if seconds.is_multiple_of(365 * 86_400) => ("years", seconds / (365 * 86_400)),
            _ if seconds.is_multiple_of(86_400) => ("days", seconds / 86_400),
            _ if seconds.is_multiple_of(3600) => ("hours", seconds / 3600),
            _ => ("minutes", seconds.div_ceil(60)),
        }
    }
}

fn ca_json(certificate: &CaCertificate, is_root: bool) -> Value {
    json!({
        "serial_number": certificate.serial_decimal,
        "subject_dn": certificate.subject_dn,
        "certificate": certificate.pem,
        "root": is_root,
    })
}

fn common_name_field() -> Value {
    json!({
        "optional": false,
        "multiple": false,
        "key": "subject_common_name",
        "type": "string",
        "input": "text",
        "sources": {
            "source": "entered_by_user_during_enrollment",
            "optional": false,
            "multi_value": false,
            "labels": [],
        },
        "labels": [],
        "max": 64,
        "default_value": null,
    })
}
