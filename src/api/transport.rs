//! Sends one request and takes one answer, bounded in time and size. Follows no redirect, repeats nothing, reads no
//! environment, and verifies TLS always.

use std::net::IpAddr;
use std::time::Duration;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
};
use reqwest::{Certificate, ClientBuilder, Identity, Proxy, Response, Url, redirect, retry};

use crate::core::failure::{Failure, FailureClass};

use super::call::Call;
use super::credentials::{ClientIdentity, Credential};
use super::date::{http_date, retry_after};
use super::error::RequestError;
use super::fault::{self, Way};
use super::reply::{End, Reply};
use super::roots;
use super::settings::{ClientSettings, ProxySettings, Roots};

/// The way to the API.
pub(super) struct Transport {
    http: reqwest::Client,
    base: Url,
    way: Way,
}

impl Transport {
    /// Opens nothing yet.
    ///
    /// # Errors
    ///
    /// When the URL, the roots, the identity or the proxy cannot be used.
    pub(super) fn new(settings: &ClientSettings) -> Result<Self, Failure> {
        let base = base_url(&settings.url)?;
        let proxy = settings.proxy.as_ref().filter(|_| base.scheme() == "https");
        let proxy = proxy.map(|settings| Ok::<_, Failure>((settings, proxy_of(settings)?))).transpose()?;
        let proxy = proxy.filter(|(settings, _)| carries(settings, &base));
        let way = Way {
            connect: CONNECT_TIMEOUT.min(settings.timeout / 2),
            total: settings.timeout,
            proxied: proxy.is_some(),
        };
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("renewd/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_proxy()
            .connect_timeout(way.connect)
            .timeout(way.total)
            // A connection that went stale while idle would make the fate of a submission unknown: it is used again at
            // once or not at all.
            .pool_idle_timeout(KEPT);
        builder = with_roots(builder, &settings.roots)?;
        if let Some(identity) = &settings.client_identity {
            builder = builder.identity(tls_identity(identity)?);
        }
        if let Some((_, proxy)) = proxy {
            builder = builder.proxy(proxy);
        }
        let http = builder.build().map_err(|error| {
            Failure::new(FailureClass::ApiTls, format!("cannot make a TLS client: {}", fault::root(&error)))
        })?;
        Ok(Self { http, base, way })
    }

    /// The host of the API, with the port where one is named.
    pub(super) fn host(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        self.base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// Whether the proxy carries the requests.
    pub(super) const fn is_proxied(&self) -> bool {
        self.way.proxied
    }

    /// The address of `call`.
    ///
    /// # Errors
    ///
    /// As [`Call::url`].
    pub(super) fn address(&self, call: &Call) -> Result<Url, Failure> {
        call.url(&self.base)
    }

    /// Sends `call` to `url`.
    pub(super) async fn send(&self, call: &Call, url: Url, key: Option<&Credential>) -> Result<Reply, RequestError> {
        let mut request = self.http.request(call.method.clone(), url).header(ACCEPT, JSON);
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, JSON).body(body.clone());
        }
        if let Some(key) = key {
            request = request.header(API_KEY, key.header());
        }
        let response = request.send().await.map_err(|error| fault::trouble(&error, &self.way))?;
        Ok(take(response, &self.way).await)
    }
}

/// Takes what the API may send, and no more.
async fn take(mut response: Response, way: &Way) -> Reply {
    let headers = response.headers();
    let mut reply = Reply {
        status: response.status().as_u16(),
        date: header(headers, DATE).and_then(http_date),
        retry: header(headers, RETRY_AFTER).and_then(retry_after),
        location: header(headers, LOCATION).and_then(|to| host_of(response.url(), to)),
        labelled_html: header(headers, CONTENT_TYPE).is_some_and(|kind| kind.to_ascii_lowercase().contains("html")),
        encoding: header(headers, CONTENT_ENCODING).filter(|name| *name != "identity").map(str::to_owned),
        body: Vec::new(),
        end: End::Whole,
    };
    loop {
        match response.chunk().await {
            Ok(None) => return reply,
            Ok(Some(chunk)) if reply.body.len() + chunk.len() <= BODY_LIMIT => reply.body.extend_from_slice(&chunk),
            Ok(Some(_)) => return Reply { end: End::Oversized, ..reply },
            Err(error) => return Reply { end: End::Broken(fault::reason(&error, way)), ..reply },
        }
    }
}

fn header(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

pub(super) fn host_of(base: &Url, location: &str) -> Option<String> {
    base.join(location).ok()?.host_str().map(str::to_owned)
}

/// The base URL. The configuration has checked it; nothing may reach the network in plain text all the same.
fn base_url(text: &str) -> Result<Url, Failure> {
    let refuse = |why: &str| Failure::new(FailureClass::Internal, format!("cannot use the URL of the API: {why}"));
    let url = Url::parse(text).map_err(|error| refuse(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it contains a user or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it has a query or a fragment"));
    }
    let safe = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
    if safe { Ok(url) } else { Err(refuse("it is neither https nor http to a loopback address")) }
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(super) fn with_roots(builder: ClientBuilder, roots: &Roots) -> Result<ClientBuilder, Failure> {
    match roots {
        Roots::System => Ok(builder),
        Roots::Only(pem) => Ok(builder.tls_certs_only(certificates(pem)?)),
        Roots::WithSystem(pem) => Ok(builder.tls_certs_merge(certificates(pem)?)),
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, Failure> {
    let refuse =
        |why: &str| Failure::new(FailureClass::ApiTls, format!("the roots of api.ca_file cannot be used: {why}"));
    let found = roots::read(pem).map_err(|why| refuse(&why))?;
    found.ders.iter().map(|der| Certificate::from_der(der).map_err(|error| refuse(&fault::root(&error)))).collect()
}

fn tls_identity(identity: &ClientIdentity) -> Result<Identity, Failure> {
    Identity::from_pem(identity.pem()).map_err(|_| {
        let message =
            format!("the client identity {} needs one private key and its certificates as PEM", identity.name());
        Failure::new(FailureClass::ApiTls, message)
    })
}

/// Whether `no_proxy` leaves this host to the proxy.
pub(super) fn carries(proxy: &ProxySettings, base: &Url) -> bool {
    let matcher = Matcher::builder().all(proxy.url.as_str()).no(proxy.no_proxy.join(",")).build();
    base.as_str().parse().is_ok_and(|address| matcher.intercept(&address).is_some())
}

pub(super) fn proxy_of(settings: &ProxySettings) -> Result<Proxy, Failure> {
    let refuse =
        || Failure::new(FailureClass::Proxy, "the URL of the proxy cannot be used; it looks like http://host:port");
    let url = Url::parse(&settings.url).map_err(|_| refuse())?;
    if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
        return Err(refuse());
    }
    let mut proxy = Proxy::all(url).map_err(|_| refuse())?;
    if let Some(credentials) = &settings.credentials {
        proxy = proxy.basic_auth(credentials.user(), credentials.password());
    }
    Ok(proxy)
}

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_LIMIT: usize = 4 << 20;
/// So long a connection is kept for the next request: within a burst it is used again.
const KEPT: Duration = Duration::from_secs(3);
