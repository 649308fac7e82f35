//! What an endpoint answers: a reply, or an error in one of the shapes that the API is known to use.

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};

use super::variants::ErrorShape;

/// The web app's page, which the API host shows for every path that it does not know.
pub const WEB_APP: &str =
    "<!DOCTYPE html>\n<html><head><title>DigiCert ONE</title></head><body><div id=\"root\"></div></body></html>\n";

/// A successful or already rendered answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(status: u16, body: &Value) -> Self {
        let body = serde_json::to_vec(body).unwrap();
        Self { status, content_type: "application/json", headers: Vec::new(), body }
    }

    pub fn html(status: u16, page: &str) -> Self {
        Self { status, content_type: "text/html;charset=utf-8", headers: Vec::new(), body: page.into() }
    }

    pub fn text(status: u16, text: &str) -> Self {
        Self { status, content_type: "text/plain", headers: Vec::new(), body: text.into() }
    }

    pub fn empty(status: u16) -> Self {
        Self { status, content_type: "", headers: Vec::new(), body: Vec::new() }
    }

    pub fn header(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The HTTP answer with this body in place of the reply's own.
    pub fn into_response(self, body: Body) -> Response<Body> {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        let headers = response.headers_mut();
        if !self.content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        }
        for (name, value) in self.headers {
            headers.insert(name, HeaderValue::from_str(&value).unwrap());
        }
        response
    }
}

/// An error of the API.
#[derive(Clone, Debug)]
pub struct ApiError {
    pub status: u16,
    /// Absent where the API gives none.
    pub code: Option<String>,
    pub message: String,
    pub field: Option<String>,
    pub extra: Vec<(&'static str, Value)>,
}

impl ApiError {
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: Some(code.to_owned()), message: message.into(), field: None, extra: Vec::new() }
    }

    /// A field that is missing, unknown or of the wrong form.
    pub fn input(field: &str, message: impl Into<String>) -> Self {
        Self::new(400, "invalid_input_field", message).field(field)
    }

    pub fn field(mut self, field: &str) -> Self {
        self.field = Some(field.to_owned());
        self
    }

    pub fn with(mut self, name: &'static str, value: Value) -> Self {
        self.extra.push((name, value));
        self
    }

    pub fn render(&self, shape: ErrorShape) -> Reply {
        let mut error = Map::new();
        if let Some(code) = &self.code {
            error.insert("code".to_owned(), json!(code));
        }
        error.insert("message".to_owned(), json!(self.message));
        if let Some(field) = &self.field {
            error.insert("field".to_owned(), json!(field));
        }
        error.extend(self.extra.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let body = match shape {
            ErrorShape::List => json!({"errors": [error]}),
            ErrorShape::Single => json!({"error": error}),
            ErrorShape::Status => {
                let code = self.code.as_deref().unwrap_or("unknown").to_uppercase();
                json!({"error": {"status": code, "message": self.message}})
            }
            ErrorShape::Bare => Value::Object(error),
            ErrorShape::Numeric => json!({"code": -1002, "description": self.message}),
            ErrorShape::Problem => {
                json!({"type": "about:blank", "title": "Error", "status": self.status, "detail": self.message})
            }
            ErrorShape::Map => json!({"errors": {self.field.as_deref().unwrap_or("request"): [self.message]}}),
            ErrorShape::Xml => {
                let text = self.message.replace('&', "&amp;").replace('<', "&lt;");
                let fault = format!(
                    "<?xml version=\"1.0\"?>\n<s:Envelope xmlns:s=\"urn:x\"><s:Body><s:Fault><faultcode>s:Client\
                     </faultcode><faultstring>{text}</faultstring></s:Fault></s:Body></s:Envelope>\n"
                );
                return Reply { content_type: "text/xml", ..Reply::text(self.status, &fault) };
            }
            ErrorShape::Text => return Reply::text(self.status, &self.message),
        };
        Reply::json(self.status, &body)
    }
}
