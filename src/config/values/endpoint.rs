//! Where the API and a proxy are: URLs of a scheme, a host and a port, and nothing more. A URL that may carry a
//! password is never quoted in a message.

use url::{Host, Url};

use crate::config::syntax::from_toml::FromText;
use crate::config::syntax::problem::Fault;

/// The URL of the API: https, or plain http for a loopback address; without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct ApiUrl(pub(in crate::config) String);

impl FromText for ApiUrl {
    fn expected() -> String {
        "an https URL of just a host, such as \"https://one.digicert.com\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let url = bare_url(text)?;
        match url.scheme() {
            "https" => {}
            "http" if is_loopback(&url) => {}
            "http" => return Err(Fault::new("the API key may not travel over plain http").hint("write https")),
            _ => return Err(Fault::new("the URL is not an https one")),
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    fn pattern() -> Option<String> {
        Some(URL.to_owned())
    }
}

/// The URL of a proxy, without a slash at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct ProxyUrl(pub(in crate::config) String);

impl FromText for ProxyUrl {
    fn expected() -> String {
        "the URL of an HTTP proxy, such as \"http://proxy.example:3128\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let url = bare_url(text)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Fault::new("the URL is not one of an HTTP proxy").hint("the schemes are http and https"));
        }
        Ok(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    fn pattern() -> Option<String> {
        Some(URL.to_owned())
    }
}

const URL: &str = r"^\s*[Hh][Tt][Tt][Pp][Ss]?:[^@?#]+$";

fn bare_url(text: &str) -> Result<Url, Fault> {
    let url = Url::parse(text).map_err(|error| Fault::new(format!("the URL cannot be read: {error}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        let fault = Fault::new("the URL contains a user or a password");
        return Err(fault.hint("a proxy's belong in `proxy_credentials_file`, the API's key in `api_key_file`"));
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(Fault::new("the URL names no host"));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(Fault::new("the URL has a path, a query or a fragment").hint("renewd adds the paths itself"));
    }
    Ok(url)
}

/// Loopback addresses alone: a name such as `localhost` is resolved by others.
fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(_)) | None => false,
    }
}

/// A host, a domain or an address block that is reached without the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::config) struct NoProxy(pub(in crate::config) String);

impl FromText for NoProxy {
    fn expected() -> String {
        "a host, a domain or an address block, such as \"intranet.example\" or \"10.0.0.0/8\"".to_owned()
    }

    fn from_text(text: &str) -> Result<Self, Fault> {
        let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'_' | b':' | b'/' | b'*');
        if text.is_empty() || !text.bytes().all(allowed) || text.contains("://") {
            return Err(Fault::new("this names no host"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    fn pattern() -> Option<String> {
        Some("^[A-Za-z0-9._:/*-]+$".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_reached_over_https_alone() {
        #[track_caller]
        fn check(text: &str, expected: Option<&str>) {
            assert_eq!(ApiUrl::from_text(text).ok().map(|url| url.0).as_deref(), expected, "{text}");
        }
        check("https://one.digicert.com", Some("https://one.digicert.com"));
        check("https://One.DigiCert.com/", Some("https://one.digicert.com"));
        check("https://tlm.example:8443/", Some("https://tlm.example:8443"));
        check("http://127.0.0.1:8080", Some("http://127.0.0.1:8080"));
        check("http://127.9.9.9", Some("http://127.9.9.9"));
        check("http://[::1]:8080/", Some("http://[::1]:8080"));
        for bad in [
            "",
            "one.digicert.com",
            "http://one.digicert.com",
            "http://localhost:1",
            "http://192.0.2.1",
            "ftp://127.0.0.1",
            "https://",
            "https://a/mpki",
            "https://a/?q",
            "https://a/#f",
            "https://u@a",
            "https://u:p@a",
            "unix:/x",
            "http://[::ffff:127.0.0.1]",
            "http://127.0.0.1.example",
        ] {
            check(bad, None);
        }
    }

    #[test]
    fn a_password_in_a_url_is_not_repeated() {
        let fault = ProxyUrl::from_text("http://me:hunter2@proxy:3128").unwrap_err();
        assert!(!format!("{fault:?}").contains("hunter2"));
    }
}
