//! An answer as it came over the wire, and whether it is one of the API's at all. Knows no endpoint.

use serde_json::Value;

use crate::core::failure::RetryHint;
use crate::core::time::Timestamp;

use super::error::{Trouble, WANTS_USER};
use super::error_body::ApiErrors;

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
    pub fn into_json(self) -> Result<Value, Trouble> {
        let status = self.status;
        if (300..400).contains(&status) {
            return Err(Trouble::Redirect { status, host: self.location });
        }
        if status == 407 {
            return Err(Trouble::Proxy(WANTS_USER.to_owned()));
        }
        if self.is_html() {
            return Err(Trouble::Html { status, title: title(&self.body), retry: self.retry });
        }
        if !(200..300).contains(&status) {
            return Err(Trouble::Refused { status, errors: ApiErrors::read(&self.body), retry: self.retry });
        }
        if let Some(encoding) = self.encoding {
            let what = format!("a body encoded as \"{encoding}\", which was not asked for");
            return Err(Trouble::WrongShape { status, what });
        }
        match self.end {
            End::Whole => serde_json::from_slice(&self.body)
                .map_err(|error| Trouble::WrongShape { status, what: format!("a body that is no JSON: {error}") }),
            End::Broken(reason) => Err(Trouble::NoAnswer(format!("the answer ({status}) broke off: {reason}"))),
            End::Oversized => Err(Trouble::WrongShape { status, what: "a body larger than 4 MiB".to_owned() }),
        }
    }

    fn is_html(&self) -> bool {
        match self
            .body
            .trim_ascii_start()
            .strip_prefix(b"\xef\xbb\xbf")
            .unwrap_or(&self.body)
            .trim_ascii_start()
            .first()
        {
            Some(b'<') => true,
            Some(b'{' | b'[') | None => false,
            Some(_) => self.labelled_html,
        }
    }
}

/// The title of an HTML page.
fn title(body: &[u8]) -> Option<String> {
    let page = String::from_utf8_lossy(body);
    // ASCII lower case keeps every offset.
    let folded = page.to_ascii_lowercase();
    let opening = folded.find("<title")?;
    let from = opening + folded.get(opening..)?.find('>')? + 1;
    let length = folded.get(from..)?.find("</title")?;
    let title = page.get(from..from + length)?.trim();
    (!title.is_empty()).then(|| title.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_itself() {
        #[track_caller]
        fn check(page: &str, expected: Option<&str>) {
            assert_eq!(title(page.as_bytes()).as_deref(), expected, "{page}");
        }
        check("<html><head><title>Sign in</title>", Some("Sign in"));
        check("<HTML><TITLE lang=de> Störung </TITLE>", Some("Störung"));
        check("<html><title></title>", None);
        check("<html><title>cut", None);
        check("<title", None);
        check("<html>", None);
    }
}
