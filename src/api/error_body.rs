//! What an error answer says, in each of the shapes that TLM uses. Tells; the class is decided elsewhere.

use std::fmt;

use super::json::Json;

/// The errors that an answer names; several are possible, and none.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ApiErrors(Vec<ApiError>);

#[derive(Debug, PartialEq, Eq)]
struct ApiError {
    code: Option<String>,
    message: Option<String>,
    field: Option<String>,
}

impl ApiErrors {
    /// Reads `{"errors": […]}`, `{"error": {…}}`, `{"error": "…"}` or a bare `{"code", "message"}`; text that is no JSON
    /// is one message.
    pub fn read(body: &[u8]) -> Self {
        let Ok(value) = serde_json::from_slice(body) else { return Self::plain(body) };
        let answer = Json::of(&value);
        let listed = answer.first_of(&["errors", "error"]).items();
        let errors: Vec<_> = listed.into_iter().filter_map(|error| ApiError::read(error, answer)).collect();
        if errors.is_empty() { Self(ApiError::read(answer, answer).into_iter().collect()) } else { Self(errors) }
    }

    fn plain(body: &[u8]) -> Self {
        let text = String::from_utf8_lossy(body).trim().to_owned();
        let error = ApiError { code: None, message: Some(text), field: None };
        Self(if error.message.as_deref() == Some("") { Vec::new() } else { vec![error] })
    }

    /// Whether the answer names no error.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Codes, in lower case.
    pub fn codes(&self) -> String {
        self.joined(|error| error.code.as_deref())
    }

    /// Messages, in lower case.
    pub fn messages(&self) -> String {
        self.joined(|error| error.message.as_deref())
    }

    fn joined<'a>(&'a self, part: impl Fn(&'a ApiError) -> Option<&'a str>) -> String {
        self.0.iter().filter_map(part).collect::<Vec<_>>().join("\n").to_lowercase()
    }
}

impl ApiError {
    /// An error as an object, or as text beside a message of the whole answer.
    fn read(error: Json<'_>, answer: Json<'_>) -> Option<Self> {
        let read = if error.is_object() {
            Self {
                code: error.first_of(&["code", "status"]).text(),
                message: error.at("message").text(),
                field: error.at("field").text(),
            }
        } else {
            Self { code: error.text(), message: answer.at("message").text(), field: None }
        };
        (read.code.is_some() || read.message.is_some()).then_some(read)
    }
}

impl fmt::Display for ApiErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.0.iter().enumerate() {
            write!(f, "{}{error}", if at == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, &self.message) {
            (Some(code), Some(message)) => write!(f, "{code}: {message}")?,
            (one, other) => f.write_str(one.as_ref().or(other.as_ref()).map_or("", String::as_str))?,
        }
        self.field.as_ref().map_or(Ok(()), |field| write!(f, " (field {field})"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_read() {
        #[track_caller]
        fn check(body: &str, expected: &str) {
            assert_eq!(ApiErrors::read(body.as_bytes()).to_string(), expected, "{body}");
        }
        check(r#"{"errors":[{"code":"c","message":"m"}]}"#, "c: m");
        check(r#"{"errors":[{"code":"c","message":"m","field":"f"},{"message":"n"}]}"#, "c: m (field f); n");
        check(r#"{"error":{"code":"c","message":"m"}}"#, "c: m");
        check(r#"{"error":{"status":"INVALID_INPUT_FIELD","message":"m"}}"#, "INVALID_INPUT_FIELD: m");
        check(r#"{"code":"c","message":"m"}"#, "c: m");
        check(r#"{"message":"m"}"#, "m");
        check(r#"{"errors":["m"]}"#, "m");
        check(r#"{"status":404,"error":"Not Found","message":"m"}"#, "Not Found: m");
        check(r#"{"errors":[]}"#, "");
        check("plain words\n", "plain words");
        check("", "");
        check("[]", "");
    }
}
