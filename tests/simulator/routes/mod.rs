//! Which path is which endpoint, and what every endpoint checks before its own work.

mod account;
mod certificate;
mod pickup;
mod profile;
mod renew;
mod revoke;
mod search;

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use serde_json::Value;

use super::faults::FaultKind;
use super::reply::{ApiError, Reply, WEB_APP};
use super::state::{Access, State};
use super::variants::UnknownPath;

/// An endpoint of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// GET profile, list and single.
    Profile,
    /// POST certificate.
    Issue,
    Pickup,
    /// GET certificate.
    Details,
    /// GET additional-formats.
    Formats,
    Renew,
    /// PUT and DELETE revoke.
    Revoke,
    Search,
    /// GET user/me.
    User,
    /// GET api-access-token.
    Tokens,
    Version,
    Hello,
    /// Every other path.
    Unknown,
}

impl Endpoint {
    /// The endpoint of a flag's name.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, endpoint)| *endpoint)
    }

    /// The names of all, for messages.
    pub fn names() -> String {
        NAMES.map(|(name, _)| name).join(", ")
    }

    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(_, endpoint)| *endpoint == self).map_or("unknown", |(name, _)| *name)
    }
}

static NAMES: [(&str, Endpoint); 13] = [
    ("profile", Endpoint::Profile),
    ("issue", Endpoint::Issue),
    ("pickup", Endpoint::Pickup),
    ("details", Endpoint::Details),
    ("formats", Endpoint::Formats),
    ("renew", Endpoint::Renew),
    ("revoke", Endpoint::Revoke),
    ("search", Endpoint::Search),
    ("user", Endpoint::User),
    ("tokens", Endpoint::Tokens),
    ("version", Endpoint::Version),
    ("hello", Endpoint::Hello),
    ("unknown", Endpoint::Unknown),
];

/// Where a request leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    pub endpoint: Endpoint,
    /// The id or serial number in the path.
    pub id: Option<String>,
    pub is_known_method: bool,
}

/// The route of a path.
pub fn find(method: &str, path: &str) -> Route {
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let (endpoint, methods, id): (Endpoint, &[&str], Option<&str>) = match segments.as_slice() {
        ["mpki", "api", "v1" | "v2" | "v3", "profile"] => (Endpoint::Profile, &["GET"], None),
        ["mpki", "api", "v1" | "v2" | "v3", "profile", id] => (Endpoint::Profile, &["GET"], Some(id)),
        ["mpki", "api", "v1", "certificate"] => (Endpoint::Issue, &["POST"], None),
        ["mpki", "api", "v1", "certificate-pickup", id] => (Endpoint::Pickup, &["POST"], Some(id)),
        ["mpki", "api", "v1", "certificate-search"] => (Endpoint::Search, &["GET"], None),
        ["mpki", "api", "v1", "certificate", id] => (Endpoint::Details, &["GET"], Some(id)),
        ["mpki", "api", "v1", "certificate", id, "additional-formats"] => (Endpoint::Formats, &["GET"], Some(id)),
        ["mpki", "api", "v1", "certificate", id, "renew"] => (Endpoint::Renew, &["POST"], Some(id)),
        ["mpki", "api", "v1", "certificate", id, "revoke"] => (Endpoint::Revoke, &["PUT", "DELETE"], Some(id)),
        ["account", "api", "v1", "user", "me"] => (Endpoint::User, &["GET"], None),
        ["account", "api", "v1", "api-access-token"] => (Endpoint::Tokens, &["GET"], None),
        ["mpki", "api", "v1", "version"] => (Endpoint::Version, &["GET"], None),
        ["mpki", "api", "v1", "hello"] => (Endpoint::Hello, &["GET"], None),
        _ => (Endpoint::Unknown, &[], None),
    };
    let is_known_method = endpoint == Endpoint::Unknown || methods.contains(&method);
    Route { endpoint, id: id.map(str::to_owned), is_known_method }
}

/// A request as the server read it.
pub struct Incoming<'a> {
    pub method: &'a str,
    pub route: Route,
    pub query: Vec<(String, String)>,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    pub has_client_certificate: bool,
    pub faults: &'a [FaultKind],
}

/// A request that passed the common checks.
pub struct Call<'a> {
    pub method: &'a str,
    /// The id in the path; empty where the path has none.
    pub id: &'a str,
    pub has_id: bool,
    query: &'a [(String, String)],
    pub body: Value,
    /// The number of the API key.
    pub key: Option<usize>,
    pub faults: &'a [FaultKind],
}

impl Call<'_> {
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub fn has_fault(&self, kind: &FaultKind) -> bool {
        self.faults.contains(kind)
    }

    /// Refuses query parameters that the endpoint does not know.
    fn knows_query(&self, known: &[&str]) -> Result<(), ApiError> {
        match self.query.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            Some((key, _)) => Err(ApiError::input(key, format!("Unknown parameter '{key}'"))),
            None => Ok(()),
        }
    }

    /// A whole number of the query.
    fn number(&self, name: &str, default: i64) -> Result<i64, ApiError> {
        let Some(text) = self.query(name) else { return Ok(default) };
        text.parse().map_err(|_| ApiError::input(name, "Wrong input or input format."))
    }

    /// `offset` and `limit`, in bounds.
    fn page(&self, most: usize) -> Result<(usize, usize), ApiError> {
        let (offset, limit) = (self.number("offset", 0)?, self.number("limit", 20)?);
        if offset < 0 {
            return Err(ApiError::input("offset", "Wrong input or input format."));
        }
        if limit < 1 {
            return Err(ApiError::input("limit", "Wrong input or input format."));
        }
        if limit > i64::try_from(most).unwrap() || offset + limit > 10_000 {
            let error = ApiError::new(400, "pagination_limit_exceeded", "The page is too large or too deep");
            return Err(error.with("max_limit", most.into()).with("max_result_window", 10_000.into()));
        }
        Ok((usize::try_from(offset).unwrap(), usize::try_from(limit).unwrap()))
    }
}

/// The answer to a request.
pub fn answer(state: &mut State, incoming: &Incoming<'_>) -> Result<Reply, ApiError> {
    let route = &incoming.route;
    if route.endpoint == Endpoint::Unknown {
        return Ok(unknown_path(state.variants.unknown_path));
    }
    if !route.is_known_method {
        return Err(ApiError::new(405, "invalid_request", "Request method is not supported"));
    }
    let is_open =
        route.endpoint == Endpoint::Version || (route.endpoint == Endpoint::Hello && !state.variants.hello_checks_key);
    let key = if is_open { None } else { authenticate(state, incoming)? };
    acceptable(incoming.headers)?;
    if state.variants.requires_user_agent && !incoming.headers.contains_key(USER_AGENT) {
        return Err(ApiError::new(400, "invalid_request", "The header User-Agent is required"));
    }
    let has_body = matches!(incoming.method, "POST" | "PUT");
    if state.variants.requires_content_length && has_body && !incoming.headers.contains_key(CONTENT_LENGTH) {
        return Err(ApiError::new(411, "invalid_request", "The header Content-Length is required"));
    }
    let call = Call {
        method: incoming.method,
        id: route.id.as_deref().unwrap_or_default(),
        has_id: route.id.is_some(),
        query: &incoming.query,
        body: body(incoming)?,
        key,
        faults: incoming.faults,
    };
    state.ripen();
    dispatch(state, route.endpoint, &call)
}

fn dispatch(state: &mut State, endpoint: Endpoint, call: &Call<'_>) -> Result<Reply, ApiError> {
    match endpoint {
        Endpoint::Profile if call.has_id => profile::single(state, call),
        Endpoint::Profile => profile::list(state, call),
        Endpoint::Issue => certificate::issue(state, call),
        Endpoint::Pickup => pickup::pick_up(state, call),
        Endpoint::Details => certificate::details(state, call),
        Endpoint::Formats => certificate::formats(state, call),
        Endpoint::Renew => renew::renew(state, call),
        Endpoint::Revoke => revoke::revoke_or_resume(state, call),
        Endpoint::Search => search::search(state, call),
        Endpoint::User => call.knows_query(&[]).map(|()| account::me(state, call.key)),
        Endpoint::Tokens => call.knows_query(&[]).map(|()| account::tokens(state)),
        Endpoint::Version => Ok(account::version()),
        Endpoint::Hello => Ok(account::hello(state)),
        Endpoint::Unknown => Ok(unknown_path(state.variants.unknown_path)),
    }
}

fn unknown_path(variant: UnknownPath) -> Reply {
    match variant {
        UnknownPath::Page200 => Reply::html(200, WEB_APP),
        UnknownPath::Page404 => Reply::html(404, WEB_APP),
        UnknownPath::Json404 => {
            let error = ApiError::new(404, "resource_not_found", "The requested resource was not found");
            error.render(super::variants::ErrorShape::List)
        }
    }
}

fn authenticate(state: &mut State, incoming: &Incoming<'_>) -> Result<Option<usize>, ApiError> {
    let refused = || {
        let message = "Access to the requested resource requires a valid access token.";
        ApiError::new(401, "invalid_api_key", message)
    };
    if state.access == Access::ClientCertificate {
        let is_alone = state.variants.key_beside_certificate || !incoming.headers.contains_key("x-api-key");
        return if incoming.has_client_certificate && is_alone { Ok(None) } else { Err(refused()) };
    }
    let secret = incoming.headers.get("x-api-key").and_then(|value| value.to_str().ok()).ok_or_else(refused)?;
    let index = state.keys.iter().position(|key| key.secret == secret && key.is_valid()).ok_or_else(refused)?;
    within_rate(state, secret)?;
    Ok(Some(index))
}

fn within_rate(state: &mut State, secret: &str) -> Result<(), ApiError> {
    let Some((most, window)) = state.variants.rate_limit else { return Ok(()) };
    state.recent.retain(|(_, at)| at.elapsed() < window);
    if state.recent.iter().filter(|(key, _)| key == secret).count() >= most {
        return Err(ApiError::new(429, "client_error", "Rate limit reached, please retry after a delay"));
    }
    state.recent.push((secret.to_owned(), std::time::Instant::now()));
    Ok(())
}

/// Only JSON is to be had.
fn acceptable(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(accept) = headers.get(ACCEPT).and_then(|value| value.to_str().ok()) else { return Ok(()) };
    let media = |range: &str| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if accept.split(',').any(|range| matches!(media(range).as_str(), "*/*" | "application/*" | "application/json")) {
        return Ok(());
    }
    Err(ApiError::new(406, "invalid_request", "Could not find acceptable representation"))
}

/// The JSON of a request that has a body; `Null` for the others.
fn body(incoming: &Incoming<'_>) -> Result<Value, ApiError> {
    if !matches!(incoming.method, "POST" | "PUT") {
        return Ok(Value::Null);
    }
    let content_type = incoming.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        let message = format!("Content type '{content_type}' is not supported");
        return Err(ApiError::new(415, "invalid_request", message));
    }
    serde_json::from_slice(incoming.body)
        .map_err(|_| ApiError::new(400, "invalid_request", "Wrong input or input format."))
}
