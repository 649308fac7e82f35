//! The port: what the daemon asks of TLM, and what comes back, in the core's terms. No HTTP and no JSON here.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::core::failure::Failure;
use crate::core::known::credential::CredentialEnd;
use crate::core::known::profile::Profile;
use crate::core::known::standing::Standing;
use crate::core::known::validation::DomainValidation;
use crate::core::name::{ProfileId, RequestId, SerialNumber};
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::{Sans, Validity, Value};
use crate::core::wanted::subject::Subject;

/// What the daemon asks of TLM. Every method makes exactly one request, and no redirect is followed.
pub trait Tlm: Send + Sync + 'static {
    /// `GET /mpki/api/v2/profile`: one page of the account's profiles.
    fn profiles(&self, page: Page) -> impl Future<Output = Result<ProfilePage, Failure>> + Send;

    /// `GET /mpki/api/v2/profile/{id}`.
    fn profile(&self, id: &ProfileId) -> impl Future<Output = Result<Profile, Failure>> + Send;

    /// `POST /mpki/api/v1/certificate`.
    fn issue(&self, request: &IssueRequest) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// `POST /mpki/api/v1/certificate/{serial_number}/renew`.
    fn renew(&self, request: &RenewRequest) -> impl Future<Output = Result<Answer, Failure>> + Send;

    /// `POST /mpki/api/v1/certificate-pickup/{request_id}`.
    fn pick_up(&self, request: &RequestId, profile: &ProfileId)
    -> impl Future<Output = Result<Pickup, Failure>> + Send;

    /// `GET /mpki/api/v1/certificate/{serial_number}`; the thumbprint (upper-case hex) tells two certificates with one
    /// serial number apart.
    fn details(
        &self,
        serial: &SerialNumber,
        thumbprint: Option<&str>,
    ) -> impl Future<Output = Result<Details, Failure>> + Send;

    /// `GET /mpki/api/v1/certificate/{serial_number}/additional-formats`; the thumbprint as for the details.
    fn formats(
        &self,
        serial: &SerialNumber,
        thumbprint: Option<&str>,
    ) -> impl Future<Output = Result<Formats, Failure>> + Send;

    /// `PUT /mpki/api/v1/certificate/{serial_number}/revoke`: withdraws a certificate for ever; the thumbprint as for the
    /// details. `certificate-revoked`: it was revoked already.
    fn revoke(
        &self,
        serial: &SerialNumber,
        thumbprint: Option<&str>,
        reason: RevocationReason,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// `GET /mpki/api/v1/certificate-search`: one page.
    fn search(&self, query: &SearchQuery, page: Page) -> impl Future<Output = Result<SearchPage, Failure>> + Send;

    /// `GET /account/api/v1/user/me`, with the credential in use.
    fn me(&self) -> impl Future<Output = Result<Me, Failure>> + Send;

    /// The same with the credential of this name.
    fn me_as(&self, _credential: &str) -> impl Future<Output = Result<Me, Failure>> + Send {
        self.me()
    }

    /// Every credential that there is, with the end that it shows by itself.
    fn credentials(&self) -> Vec<CredentialEnd> {
        vec![CredentialEnd { name: self.credential(), not_after: None }]
    }

    /// Makes the next of several API keys active. `false`: there is no other.
    fn use_next_key(&self) -> bool;

    /// The name of the credential in use; never the credential.
    fn credential(&self) -> String;

    /// A text from outside, clean and without any credential that may stand in it.
    fn shown(&self, text: &str) -> Text {
        Text::new(text)
    }

    /// The last `limit` bytes of a text from outside, without any credential that may stand in it.
    fn end_of(&self, text: &str, limit: usize) -> Text {
        Text::end_masked(text, [], limit)
    }

    /// `GET /mpki/api/v1/version`; needs no credential.
    fn version(&self) -> impl Future<Output = Result<String, Failure>> + Send;
}

/// Why a certificate is withdrawn: the reasons of RFC 5280 section 5.3.1 that TLM takes and that end it for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevocationReason {
    /// None is given; private CAs alone take it.
    Unspecified,
    /// Somebody else may have the private key.
    KeyCompromise,
    /// The subject's names are no longer right.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// The service is no more.
    CessationOfOperation,
    /// Its holder may no longer have it; private CAs alone take it.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// TLM's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key_compromise",
            Self::AffiliationChanged => "affiliation_changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation_of_operation",
            Self::PrivilegeWithdrawn => "privilege_withdrawn",
        }
    }
}

/// A page of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The first item, from 0.
    pub offset: u32,
    /// How many items at most.
    pub limit: u32,
}

impl Page {
    /// The most items that every list of the API gives at once.
    pub const LIMIT: u32 = 100;

    /// The first page.
    pub const FIRST: Self = Self { offset: 0, limit: Self::LIMIT };

    /// The page after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { offset: self.offset.saturating_add(self.limit), limit: self.limit }
    }
}

/// One page of the profiles.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProfilePage {
    /// Those that could be read.
    pub profiles: Vec<Profile>,
    /// What is wrong with each of the others.
    pub broken: Vec<Text>,
    /// How many items came, of whatever kind.
    pub received: u32,
}

/// A request for a new certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct IssueRequest {
    /// The profile.
    pub profile: ProfileId,
    /// The seat id.
    pub seat: String,
    /// The e-mail address of the seat.
    pub seat_email: Option<String>,
    /// The signing request as PEM.
    pub csr: String,
    /// Subject attributes, common name included.
    pub subject: Subject,
    /// Subject alternative names.
    pub names: Sans,
    /// The validity to ask for.
    pub validity: Option<Validity>,
    /// The values for the profile's custom extensions.
    pub custom_values: BTreeMap<String, Value>,
    /// The owners that TLM notes.
    pub cert_owner_ids: Vec<String>,
    /// `tags`, as they are.
    pub tags: Vec<Value>,
    /// `custom_attributes`, as they are.
    pub custom_attributes: Vec<Value>,
    /// `ca_attributes`, as they are.
    pub ca_attributes: BTreeMap<String, Value>,
}

/// A request to renew a certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct RenewRequest {
    /// The certificate to renew.
    pub serial_number: SerialNumber,
    /// Its fingerprint (upper-case hex), which tells two certificates with one serial number apart.
    pub thumbprint: Option<String>,
    /// The signing request as PEM.
    pub csr: String,
    /// The validity to ask for.
    pub validity: Option<Validity>,
}

/// What a request for a certificate brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The certificate at once.
    Issued(IssuedCertificate),
    /// An id to pick the certificate up with, and what somebody has to publish first.
    Pending(RequestId, Option<DomainValidation>),
}

/// A certificate as an answer brings it: text that nobody has checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// The serial number as the answer spells it; empty where it names none.
    pub serial_number: SerialNumber,
    /// Everything that came as certificate: PEM or base64, leaf and perhaps chain, in any order; none where only the
    /// serial number came.
    pub certificates: Vec<String>,
}

/// What a pickup brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pickup {
    /// The certificate.
    Issued(IssuedCertificate),
    /// Not yet; and what somebody has to publish first.
    Pending(Option<DomainValidation>),
    /// A state that renewd does not know, or that brings no certificate though it should: said in words.
    Unknown(crate::core::text::Text),
    /// An administrator said no; with the companion fields that came along, if any.
    Rejected(crate::core::text::Text),
}

/// What TLM knows of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Details {
    /// The serial number; empty where a search shows the certificate without it.
    pub serial_number: SerialNumber,
    /// How it stands.
    pub standing: Standing,
    /// The SHA-256 of the certificate, where the answer names it.
    pub thumbprint: Option<String>,
    /// Its profile, where the answer names it.
    pub profile: Option<ProfileId>,
    /// The certificate: PEM or base64, if it came.
    pub certificate: Option<String>,
}

/// A certificate and its chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formats {
    /// The certificates as PEM, as the answer orders them.
    pub chain: Vec<String>,
    /// PKCS#7 as PEM, if it came.
    pub pkcs7: Option<String>,
}

/// What to search for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchQuery {
    /// The profile.
    pub profile: Option<ProfileId>,
    /// The seat id.
    pub seat: Option<String>,
    /// The common name.
    pub common_name: Option<String>,
    /// Only those whose validity starts on or after this day (UTC).
    pub valid_from: Option<Timestamp>,
}

/// One page of a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPage {
    /// The certificates, but for those that cannot be read.
    pub items: Vec<Details>,
    /// How many items came, of whatever kind.
    pub received: u32,
    /// Whether another page follows, as the answer has it. Not to be relied on: see [`super::paging`].
    pub has_more: bool,
}

/// Who the API key belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Me {
    /// Every text in the answer that names a role or a permission.
    pub roles: Vec<String>,
    /// The end of the key, or of the service user that it belongs to, where the answer names one.
    pub not_after: Option<Timestamp>,
}

/// The endpoints, as metrics name them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// Profiles, listed or by id.
    Profile,
    /// POST certificate.
    Issue,
    /// Pickup.
    Pickup,
    /// GET certificate.
    Details,
    /// Additional formats.
    Formats,
    /// Renew.
    Renew,
    /// Search.
    Search,
    /// user/me.
    User,
    /// Revoke.
    Revoke,
    /// version.
    Version,
}

impl Endpoint {
    /// The label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Issue => "issue",
            Self::Pickup => "pickup",
            Self::Details => "details",
            Self::Formats => "formats",
            Self::Renew => "renew",
            Self::Search => "search",
            Self::User => "user",
            Self::Revoke => "revoke",
            Self::Version => "version",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One request as it went, for metrics and for the clock check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestSeen {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// The status of the answer; `None`: there was none.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// The `Date` header of the answer.
    pub date: Option<Timestamp>,
}

/// Is told of every request.
pub type Observer = Arc<dyn Fn(RequestSeen) + Send + Sync>;
