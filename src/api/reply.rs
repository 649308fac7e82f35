//! An answer as it came over the wire, and whether it is one of the API's at all. Knows no endpoint.

use serde_json::Value;

use crate::core::failure::RetryHint;
use crate::core::time::Timestamp;

use super::envelope::opened;
use super::error::{RequestError, WANTS_USER};
use super::error_body::{self, ApiErrors};
use super::{body_text, xml};

/// An answer: its status, what its headers say, and as much of its body as was taken.
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// `Date`.
    pub date: Option<Timestamp>,
    /// `Retry-After`.
    pub retry: Option<RetryHint>,
    /// The host that `Location` names.
    pub location: Option<String>,
    /// Whether `Content-Type` says HTML.
    pub labelled_html: bool,
    /// `Content-Encoding`: none is asked for, and none is undone.
    pub encoding: Option<String>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub end: End,
}

/// How the body ended.
pub enum End {
    /// It is whole.
    Whole,
    /// It broke off.
    Broken(String),
    /// It is larger than any answer of the API.
    Oversized,
}

impl Reply {
    /// The JSON of a success; everything else is trouble.
    ///
    /// # Errors
    ///
    /// When it is no success, or no JSON.
    pub fn into_json(mut self) -> Result<Value, RequestError> {
        let status = self.status;
        if (300..400).contains(&status) {
            return Err(RequestError::Redirect { status, host: self.location });
        }
        if status == 407 {
            return Err(RequestError::Proxy(WANTS_USER.to_owned()));
        }
        let encoding = self.encoding.take();
        let compression = body_text::compression(&self.body, encoding.as_deref()).map(error_body::compressed);
        let is_success = (200..300).contains(&status);
        if let Some(what) = compression {
            let errors = ApiErrors::instead(what.clone());
            let refused = RequestError::Refused { status, errors, retry: self.retry };
            return Err(if is_success { RequestError::WrongShape { status, what } } else { refused });
        }
        if self.is_html() {
            return Err(RequestError::Html {
                status,
                title: xml::page_words(&body_text::text(&self.body)),
                retry: self.retry,
            });
        }
        if !is_success {
            return Err(RequestError::Refused { status, errors: ApiErrors::read(&self.body), retry: self.retry });
        }
        match self.end {
            // It has no body by definition.
            End::Whole if status == 204 => Ok(Value::Null),
            End::Whole => json(&self.body).map_err(|what| RequestError::WrongShape { status, what }),
            End::Broken(reason) => Err(RequestError::NoAnswer(format!("the answer ({status}) broke off: {reason}"))),
            End::Oversized => Err(RequestError::WrongShape { status, what: "a body larger than 4 MiB".to_owned() }),
        }
    }

    /// Whether it is a page for people. XML is none, whatever its label: it has words of its own.
    fn is_html(&self) -> bool {
        let text = body_text::text(&self.body);
        let text = body_text::bare(&text);
        match text.chars().next() {
            Some('<') => xml::is_page(text) || (self.labelled_html && !text.starts_with("<?xml")),
            Some('{' | '[') | None => false,
            Some(_) => self.labelled_html,
        }
    }
}

/// The JSON of a success; an error says what came in its place.
fn json(body: &[u8]) -> Result<Value, String> {
    let text = body_text::text(body);
    let text = body_text::bare(&text);
    if text.is_empty() {
        return Err("an empty body in place of JSON".to_owned());
    }
    serde_json::from_str(text).map(opened).map_err(|error| match text.chars().next() {
        Some('<') => format!("XML in place of JSON: {}", ApiErrors::read(body)),
        Some('{' | '[') if error.is_eof() => format!("truncated JSON: {error}"),
        Some('{' | '[') => format!("a body that is not JSON: {error}"),
        _ => format!("text in place of JSON: {text}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_itself() {
        #[track_caller]
        fn check(page: &str, expected: Option<&str>) {
            assert_eq!(xml::page_words(page).as_deref(), expected, "{page}");
        }
        check(
            "<h1>502 Bad Gateway</h1><p>The <b>upstream</b> is\n down.</p>",
            Some("502 Bad Gateway; The upstream is down."),
        );
        check(
            "<title>Error</title><body><h1>Error</h1><p>Your address is not allowed &amp; logged<p>",
            Some("Error; Your address is not allowed & logged"),
        );
        check("<pre>x</pre><param>y</param>", None);
        check("no such page", Some("no such page"));
        check("<html><head><title>Sign in</title>", Some("Sign in"));
        check("<HTML><TITLE lang=de> Störung </TITLE>", Some("Störung"));
        check("<html><title></title>", None);
        check("<html><title>cut", Some("cut"));
        check("<title", None);
        check("<html>", None);
    }
}
