//! Why a request brought no whole answer: tells the stages of HTTP's and TLS's errors apart. Decides no class.

use std::error::Error;
use std::iter::successors;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};

use super::error::{RequestError, WANTS_USER};

/// How requests travel.
pub(super) struct Way {
    /// The time until there is a connection.
    pub(super) connect: Duration,
    /// The time in all.
    pub(super) total: Duration,
    /// Whether a proxy carries them.
    pub(super) proxied: bool,
}

/// What a failed exchange comes down to.
pub(super) fn trouble(error: &reqwest::Error, way: &Way) -> RequestError {
    if let Some(reason) = proxy_reason(error) {
        return RequestError::Proxy(reason);
    }
    let tls = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>());
    if way.proxied && error.is_connect() && !error.is_timeout() && tls.is_none_or(is_no_tls) {
        return RequestError::Proxy(format!("what came through its tunnel is not TLS: {}", root(error)));
    }
    match tls {
        Some(tls) if error.is_connect() || refuses_us(tls) => tls_trouble(tls),
        _ if error.is_connect() => RequestError::Unreachable(reason(error, way)),
        _ => RequestError::NoAnswer(reason(error, way)),
    }
}

/// Whether the other side does not speak TLS at all.
fn is_no_tls(error: &rustls::Error) -> bool {
    matches!(error, rustls::Error::InvalidMessage(_))
}

/// Why an exchange broke off.
pub(super) fn reason(error: &reqwest::Error, way: &Way) -> String {
    if error.is_timeout() {
        let limit = if error.is_connect() { way.connect } else { way.total };
        return format!("timed out; the limit is {limit:?}");
    }
    if error.is_dns() { format!("the name cannot be resolved: {}", root(error)) } else { root(error) }
}

/// The innermost cause, which is the one that says something.
pub(super) fn root(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| "the HTTP client gives no reason".to_owned(), ToString::to_string)
}

/// The causes of `error`, outermost first, without `error` itself, whose text holds the URL.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    successors(error.source(), |error| within(*error))
}

/// What `error` wraps. An I/O error hides the error that it was made of from `source`.
fn within<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    let io = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    io.map_or_else(|| error.source(), |inner| Some(inner as &(dyn Error + 'static)))
}

/// What the proxy did wrong. The tunnel's error has no public type, but a text of its own.
fn proxy_reason(error: &reqwest::Error) -> Option<String> {
    let tunnel = causes(error).map(ToString::to_string).find(|text| text.starts_with("tunnel error"))?;
    if tunnel.contains("authorization required") {
        return Some(WANTS_USER.to_owned());
    }
    if tunnel.contains("unsuccessful") {
        return Some("it refused to open a tunnel".to_owned());
    }
    if tunnel.contains("end of file") {
        return Some("it closed the connection without an answer".to_owned());
    }
    Some(format!("no tunnel through it: {}", root(error)))
}

/// The other side ends the handshake because of our certificate. In TLS 1.3 that is seen after the request was sent.
fn refuses_us(error: &rustls::Error) -> bool {
    let rustls::Error::AlertReceived(alert) = error else { return false };
    matches!(
        alert,
        AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::HandshakeFailure
    )
}

fn tls_trouble(error: &rustls::Error) -> RequestError {
    let plain = |reason: String| RequestError::Tls { reason, by_clock: false };
    let by_clock = |reason: &str| RequestError::Tls { reason: reason.to_owned(), by_clock: true };
    if let rustls::Error::AlertReceived(alert) = error {
        return plain(format!("the API refused the handshake ({alert:?}); is a client certificate missing or wrong?"));
    }
    let rustls::Error::InvalidCertificate(certificate) = error else { return plain(error.to_string()) };
    if matches!(certificate, CertificateError::Expired | CertificateError::ExpiredContext { .. }) {
        return by_clock("the API's certificate is expired");
    }
    if matches!(certificate, CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) {
        return by_clock("the API's certificate is not yet valid");
    }
    if *certificate == CertificateError::UnknownIssuer {
        return plain("the API's certificate leads to no trusted root; is api.ca_file missing or wrong?".to_owned());
    }
    plain(format!("the API's certificate is refused: {certificate}"))
}
