//! Fetches what certificates point to: revocation lists, OCSP answers, issuers. Knows neither API key nor client
//! certificate, follows no redirect, goes nowhere that a certificate must not send anybody, and takes little.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue, LOCATION};
use reqwest::{ClientBuilder, RequestBuilder, Response, StatusCode, Url, redirect, retry};

use super::address::{Allowed, Resolver};
use super::fault::{self, Way};
use super::settings::{ProxySettings, Roots};
use super::transport::{carries, host_of, is_loopback, proxy_of, with_roots};
use crate::core::failure::{Failure, FailureClass};
use crate::core::text::Text;

/// How it is fetched: as the API is reached, without its credentials.
#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// The URL of the API: only where that is at a loopback address may another one be.
    pub api: String,
    /// Which roots the certificate of an `https` server may lead to.
    pub roots: Roots,
    /// The proxy.
    pub proxy: Option<ProxySettings>,
    /// The time for a whole request.
    pub timeout: Duration,
}

/// Fetches by HTTP.
#[derive(Debug)]
pub struct Fetcher {
    direct: reqwest::Client,
    proxied: Option<(ProxySettings, reqwest::Client)>,
    allowed: Allowed,
    timeout: Duration,
}

impl Fetcher {
    /// Opens nothing yet.
    ///
    /// # Errors
    ///
    /// When the roots or the proxy cannot be used.
    pub fn new(settings: &FetchSettings) -> Result<Self, Failure> {
        let allowed = Allowed { loopback: Url::parse(&settings.api).is_ok_and(|url| is_loopback(&url)) };
        let builder = || with_roots(bare(settings.timeout), &settings.roots);
        let proxied = |settings: &ProxySettings| {
            Ok::<_, Failure>((settings.clone(), made(builder()?.proxy(proxy_of(settings)?))?))
        };
        Ok(Self {
            direct: made(builder()?.dns_resolver(Resolver(allowed).shared()))?,
            proxied: settings.proxy.as_ref().map(proxied).transpose()?,
            allowed,
            timeout: settings.timeout,
        })
    }

    /// Fetches `url`, of at most `limit` bytes.
    ///
    /// # Errors
    ///
    /// Why nothing came that could be used.
    pub async fn get(&self, url: &str, limit: usize) -> Result<Vec<u8>, Text> {
        self.fetch(url, limit, |client, url| client.get(url)).await
    }

    /// Sends `body`, of this media type, to `url`.
    ///
    /// # Errors
    ///
    /// Why nothing came that could be used.
    pub async fn post(&self, url: &str, kind: &'static str, body: Vec<u8>, limit: usize) -> Result<Vec<u8>, Text> {
        let request = |client: &reqwest::Client, url| {
            client.post(url).header(CONTENT_TYPE, HeaderValue::from_static(kind)).body(body)
        };
        self.fetch(url, limit, request).await
    }

    async fn fetch(
        &self,
        url: &str,
        limit: usize,
        request: impl FnOnce(&reqwest::Client, Url) -> RequestBuilder,
    ) -> Result<Vec<u8>, Text> {
        let told = |why: String| Text::new(&format!("{url}: {why}"));
        let target = self.target(url).map_err(|why| told(why.to_owned()))?;
        let (client, proxied) = match &self.proxied {
            Some((settings, client)) if carries(settings, &target) => (client, true),
            Some(_) | None => (&self.direct, false),
        };
        let way = Way { connect: self.timeout, total: self.timeout, proxied };
        let response = request(client, target).send().await;
        let response = response.map_err(|error| told(fault::reason(&error, &way)))?;
        take(response, limit, &way).await.map_err(told)
    }

    fn target(&self, url: &str) -> Result<Url, &'static str> {
        let url = Url::parse(url).map_err(|_| "it is not a URL")?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err("it is neither http nor https");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("it contains a user or a password");
        }
        if self.allowed.host(&url) { Ok(url) } else { Err("a certificate may not lead to this host") }
    }
}

/// A client that adds nothing of its own, and comes back at once.
fn bare(timeout: Duration) -> ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("renewd/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .no_proxy()
        .timeout(timeout)
        .pool_max_idle_per_host(0)
}

fn made(builder: ClientBuilder) -> Result<reqwest::Client, Failure> {
    builder.build().map_err(|error| {
        Failure::new(FailureClass::Internal, format!("cannot make an HTTP client: {}", fault::root(&error)))
    })
}

/// Takes the body of a success.
async fn take(mut response: Response, limit: usize, way: &Way) -> Result<Vec<u8>, String> {
    let status = response.status();
    if status.is_redirection() {
        let to = response.headers().get(LOCATION).and_then(|to| host_of(response.url(), to.to_str().ok()?));
        return Err(format!("it redirects to {}, which renewd does not follow", to.as_deref().unwrap_or("nowhere")));
    }
    if status != StatusCode::OK {
        return Err(format!("it answers {}", status.as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| fault::reason(&error, way))? {
        if body.len() + chunk.len() > limit {
            return Err(format!("it is larger than {} KiB", limit >> 10));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
