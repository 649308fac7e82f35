//! One request as data: which endpoint, which path, which query, which body. Sends nothing.

use reqwest::{Method, Url};
use serde::Serialize;

use crate::core::failure::{Failure, FailureClass};
use crate::core::name::{ProfileId, RequestId, SerialNumber};
use crate::core::time::Timestamp;

use super::body_request::{IssueBody, PickupBody, RenewBody, RevokeBody};
use super::port::{Endpoint, IssueRequest, Page, RenewRequest, RevocationReason, SearchQuery};

/// One request.
pub struct Call {
    /// Which endpoint.
    pub endpoint: Endpoint,
    /// The method.
    pub method: Method,
    /// The segments of the path, not yet encoded.
    segments: Vec<String>,
    /// The query, not yet encoded.
    query: Vec<(&'static str, String)>,
    /// The body as JSON.
    pub body: Option<Vec<u8>>,
    /// Whether the request carries the credential.
    pub authenticated: bool,
    /// What a 404 or 410 means that says nothing more.
    pub missing: FailureClass,
    /// The seat that it is for.
    pub seat: Option<String>,
}

impl Call {
    /// `GET /mpki/api/v2/profile`.
    pub fn profiles(page: Page) -> Self {
        Self::to(Endpoint::Profile, "mpki/api/v2/profile", FailureClass::ApiBadAnswer).paged(page)
    }

    /// `GET /mpki/api/v2/profile/{id}`.
    pub fn profile(id: &ProfileId) -> Self {
        Self::to(Endpoint::Profile, "mpki/api/v2/profile", FailureClass::ProfileNotFound).below(&id.0)
    }

    /// `POST /mpki/api/v1/certificate`.
    ///
    /// # Errors
    ///
    /// When its body is no JSON.
    pub fn issue(request: &IssueRequest) -> Result<Self, Failure> {
        let call = Self::to(Endpoint::Issue, CERTIFICATE, FailureClass::RequestRefused);
        Self { seat: Some(request.seat.clone()), ..call }.post(&IssueBody::new(request))
    }

    /// `POST /mpki/api/v1/certificate/{serial_number}/renew`.
    ///
    /// # Errors
    ///
    /// When its body is no JSON.
    pub fn renew(request: &RenewRequest) -> Result<Self, Failure> {
        let call = Self::to(Endpoint::Renew, CERTIFICATE, FailureClass::NotFound)
            .below(&request.serial_number.0.to_ascii_uppercase())
            .below("renew")
            .asking("thumbprint_sha256", request.thumbprint.clone());
        call.post(&RenewBody::new(request))
    }

    /// `POST /mpki/api/v1/certificate-pickup/{request_id}`.
    ///
    /// # Errors
    ///
    /// When its body is no JSON.
    pub fn pick_up(request: &RequestId, profile: &ProfileId) -> Result<Self, Failure> {
        let call = Self::to(Endpoint::Pickup, "mpki/api/v1/certificate-pickup", FailureClass::NotFound);
        call.below(&request.0).post(&PickupBody::new(profile))
    }

    /// `GET /mpki/api/v1/certificate/{serial_number}`.
    pub fn details(serial: &SerialNumber, thumbprint: Option<&str>) -> Self {
        Self::to(Endpoint::Details, CERTIFICATE, FailureClass::NotFound)
            .below(&serial.0.to_ascii_uppercase())
            .asking("thumbprint_sha256", thumbprint.map(str::to_owned))
    }

    /// `GET /mpki/api/v1/certificate/{serial_number}/additional-formats`.
    pub fn formats(serial: &SerialNumber, thumbprint: Option<&str>) -> Self {
        Self::to(Endpoint::Formats, CERTIFICATE, FailureClass::NotFound)
            .below(&serial.0.to_ascii_uppercase())
            .below("additional-formats")
            .asking("thumbprint_sha256", thumbprint.map(str::to_owned))
    }

    /// `GET /mpki/api/v1/certificate-search`.
    pub fn search(query: &SearchQuery, page: Page) -> Self {
        let call = Self::to(Endpoint::Search, "mpki/api/v1/certificate-search", FailureClass::ApiBadAnswer);
        Self { seat: query.seat.clone(), ..call }
            .asking("profile_id", query.profile.as_ref().map(|id| id.0.to_string()))
            .asking("seat_id", query.seat.clone())
            .asking("common_name", query.common_name.clone())
            .asking("status", Some("issued".to_owned()))
            .asking("valid_from", query.valid_from.map(days_from))
            .paged(page)
    }

    /// `PUT /mpki/api/v1/certificate/{serial_number}/revoke`.
    ///
    /// # Errors
    ///
    /// When its body is no JSON.
    pub fn revoke(serial: &SerialNumber, thumbprint: Option<&str>, reason: RevocationReason) -> Result<Self, Failure> {
        let call = Self::to(Endpoint::Revoke, CERTIFICATE, FailureClass::NotFound)
            .below(&serial.0.to_ascii_uppercase())
            .below("revoke")
            .asking("thumbprint_sha256", thumbprint.map(str::to_owned));
        Ok(Self { method: Method::PUT, ..call.post(&RevokeBody { revocation_reason: reason.as_str() })? })
    }

    /// `GET /account/api/v1/api-access-token`.
    pub fn tokens() -> Self {
        Self::to(Endpoint::User, "account/api/v1/api-access-token", FailureClass::ApiBadAnswer)
    }

    /// `GET /account/api/v1/user/me`.
    pub fn me() -> Self {
        Self::to(Endpoint::User, "account/api/v1/user/me", FailureClass::ApiBadAnswer)
    }

    /// `GET /mpki/api/v1/version`.
    pub fn version() -> Self {
        let call = Self::to(Endpoint::Version, "mpki/api/v1/version", FailureClass::ApiBadAnswer);
        Self { authenticated: false, ..call }
    }

    /// Whether the request, once accepted, brings a certificate into being.
    pub const fn creates(&self) -> bool {
        matches!(self.endpoint, Endpoint::Issue | Endpoint::Renew)
    }

    /// The method and the path, for messages.
    pub fn name(&self) -> String {
        format!("{} /{}", self.method, self.segments.join("/"))
    }

    /// The address below `base`, percent-encoded.
    ///
    /// # Errors
    ///
    /// When a segment would make it another endpoint's address.
    pub fn url(&self, base: &Url) -> Result<Url, Failure> {
        let unsafe_segment = |segment: &String| matches!(segment.as_str(), "" | "." | "..");
        let mut url = base.clone();
        let Ok(mut path) = url.path_segments_mut() else { return Err(self.unaddressable()) };
        if self.segments.iter().any(unsafe_segment) {
            return Err(self.unaddressable());
        }
        path.pop_if_empty().extend(&self.segments);
        drop(path);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }

    fn unaddressable(&self) -> Failure {
        Failure::new(FailureClass::Internal, format!("{} has no address: an id in it is empty or a dot", self.name()))
    }

    fn to(endpoint: Endpoint, path: &str, missing: FailureClass) -> Self {
        Self {
            endpoint,
            method: Method::GET,
            segments: path.split('/').map(str::to_owned).collect(),
            query: Vec::new(),
            body: None,
            authenticated: true,
            missing,
            seat: None,
        }
    }

    fn below(mut self, segment: &str) -> Self {
        self.segments.push(segment.to_owned());
        self
    }

    fn asking(mut self, key: &'static str, value: Option<String>) -> Self {
        self.query.extend(value.map(|value| (key, value)));
        self
    }

    fn paged(self, page: Page) -> Self {
        let limit = page.limit.min(Page::LIMIT);
        self.asking("offset", Some(page.offset.to_string())).asking("limit", Some(limit.to_string()))
    }

    fn post(mut self, body: &impl Serialize) -> Result<Self, Failure> {
        self.method = Method::POST;
        let body = serde_json::to_vec(body).map_err(|error| {
            Failure::new(FailureClass::Internal, format!("{} has a body that is not JSON: {error}", self.name()))
        })?;
        self.body = Some(body);
        Ok(self)
    }
}

/// The days from `day` on. Only `valid_to` is known to take a range without an end.
fn days_from(day: Timestamp) -> String {
    format!("{:.10}_9999-12-31", day.to_string())
}

const CERTIFICATE: &str = "mpki/api/v1/certificate";
