//! The bodies of requests. Empty parts are absent: TLM refuses attributes that a profile does not list.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::core::name::ProfileId;
use crate::core::wanted::entry::{OtherName, OtherSans, Sans, Validity, Value};
use crate::core::wanted::subject::SubjectAttribute;

use super::port::{IssueRequest, RenewRequest};

/// The body of `POST /mpki/api/v1/certificate`.
#[derive(Serialize)]
pub(super) struct IssueBody<'a> {
    profile: Id<'a>,
    seat: Seat<'a>,
    csr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    validity: Option<Validity>,
    delivery_format: &'static str,
    include_ca_chain: bool,
    #[serde(skip_serializing_if = "Attributes::is_empty")]
    attributes: Attributes<'a>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tags: &'a [Value],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    cert_owner_ids: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    custom_attributes: &'a [Value],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ca_attributes: &'a BTreeMap<String, Value>,
}

impl<'a> IssueBody<'a> {
    /// The body that asks for `request`.
    pub(super) fn new(request: &'a IssueRequest) -> Self {
        Self {
            profile: Id { id: &request.profile.0 },
            seat: Seat { seat_id: &request.seat, email: request.seat_email.as_deref() },
            csr: unix_lines(&request.csr),
            validity: request.validity,
            delivery_format: DELIVERY_FORMAT,
            include_ca_chain: true,
            attributes: Attributes::new(request),
            tags: &request.tags,
            cert_owner_ids: &request.cert_owner_ids,
            custom_attributes: &request.custom_attributes,
            ca_attributes: &request.ca_attributes,
        }
    }
}

/// The body of `POST /mpki/api/v1/certificate/{serial_number}/renew`.
#[derive(Serialize)]
pub(super) struct RenewBody {
    csr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    validity: Option<Validity>,
    delivery_format: &'static str,
    include_ca_chain: bool,
}

impl RenewBody {
    /// The body that asks for `request`.
    pub(super) fn new(request: &RenewRequest) -> Self {
        Self {
            csr: unix_lines(&request.csr),
            validity: request.validity,
            delivery_format: DELIVERY_FORMAT,
            include_ca_chain: true,
        }
    }
}

/// The body of `PUT /mpki/api/v1/certificate/{serial_number}/revoke`.
#[derive(Serialize)]
pub(super) struct RevokeBody {
    pub(super) revocation_reason: &'static str,
}

/// The body of `POST /mpki/api/v1/certificate-pickup/{request_id}`.
#[derive(Serialize)]
pub(super) struct PickupBody<'a> {
    profile: Id<'a>,
}

impl<'a> PickupBody<'a> {
    /// The body that names the profile of the request.
    pub(super) fn new(profile: &'a ProfileId) -> Self {
        Self { profile: Id { id: &profile.0 } }
    }
}

#[derive(Serialize)]
struct Id<'a> {
    id: &'a str,
}

#[derive(Serialize)]
struct Seat<'a> {
    seat_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
}

#[derive(Serialize)]
struct Attributes<'a> {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    subject: BTreeMap<&'static str, Values<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<Extensions<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    custom_values: &'a BTreeMap<String, Value>,
}

impl<'a> Attributes<'a> {
    fn new(IssueRequest { subject, names, custom_values, .. }: &'a IssueRequest) -> Self {
        let filled = subject.iter().filter(|(_, values)| !values.is_empty());
        Self {
            subject: filled.map(|(attribute, values)| (attribute.key(), Values::new(*attribute, values))).collect(),
            extensions: (!names.is_empty()).then(|| Extensions { san: San::new(names) }),
            custom_values,
        }
    }

    fn is_empty(&self) -> bool {
        self.subject.is_empty() && self.extensions.is_none() && self.custom_values.is_empty()
    }
}

#[derive(Serialize)]
struct Extensions<'a> {
    san: San<'a>,
}

/// `attributes.extensions.san`.
#[derive(Serialize)]
struct San<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    dns_names: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    ip_addresses: &'a [IpAddr],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    emails: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    uris: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    user_principal_names: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    registered_ids: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    directory_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_names: Option<OtherNames<'a>>,
}

impl<'a> San<'a> {
    fn new(Sans { dns_names, ip_addresses, emails, uris, others }: &'a Sans) -> Self {
        let OtherSans { user_principal_names, registered_ids, directory_names, guids, other_names } = &**others;
        let has_others = !guids.is_empty() || !other_names.is_empty();
        Self {
            dns_names,
            ip_addresses,
            emails,
            uris,
            user_principal_names,
            registered_ids,
            directory_name: directory_names.first().map(String::as_str),
            other_names: has_others.then_some(OtherNames { guid: guids, raw_other_names: other_names }),
        }
    }
}

#[derive(Serialize)]
struct OtherNames<'a> {
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    guid: &'a [String],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    raw_other_names: &'a [OtherName],
}

/// One value as text, several as a list; some keys always carry a list.
#[derive(Serialize)]
#[serde(untagged)]
enum Values<'a> {
    One(&'a str),
    List(&'a [String]),
}

impl<'a> Values<'a> {
    fn new(attribute: SubjectAttribute, values: &'a [String]) -> Self {
        match values {
            [value] if !attribute.is_list() => Self::One(value),
            _ => Self::List(values),
        }
    }
}

fn unix_lines(pem: &str) -> String {
    pem.replace("\r\n", "\n")
}

const DELIVERY_FORMAT: &str = "x509";
