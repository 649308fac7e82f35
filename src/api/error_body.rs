//! What an error answer says, in whatever shape: TLM's own, those of the frameworks and gateways in front of it, or none.
//! Tells; the class is decided elsewhere.

use std::fmt;

use serde_json::Value;

use super::json::Json;
use super::{body_text, xml};

/// The errors that an answer names; several are possible, and none.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ApiErrors {
    list: Vec<ApiError>,
    /// What there is instead: nothing, or a body that no words can be read from.
    instead: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct ApiError {
    code: Option<String>,
    message: Option<String>,
    field: Option<String>,
}

impl ApiErrors {
    /// Reads the words of a body: of JSON in any shape, of XML, or plain ones. Where no shape fits, the body itself.
    pub fn read(body: &[u8]) -> Self {
        if let Some(compression) = body_text::compression(body, None) {
            return Self::instead(compressed(compression));
        }
        let text = body_text::text(body);
        let text = body_text::bare(&text);
        if text.is_empty() {
            return Self::instead("an empty body".to_owned());
        }
        match serde_json::from_str(text) {
            Ok(value) => Self::of_json(&value),
            Err(error) if error.is_eof() && text.starts_with(['{', '[']) => {
                Self::one(ApiError { message: Some(format!("truncated JSON: {text}")), ..Default::default() })
            }
            Err(_) if text.starts_with('<') => Self::of_xml(text),
            Err(_) => Self::one(ApiError { message: Some(text.to_owned()), ..Default::default() }),
        }
    }

    /// The words of an error in JSON that is no error by its status; `None`: there are none.
    pub fn told_by(value: &Value) -> Option<Self> {
        let (place, mut list) = (Json::of(value), Vec::new());
        let is_of_error = |(key, _)| matches!(known(key), Some(Key::Errors | Key::Code | Key::Message));
        if place.fields().any(is_of_error) {
            collect(place, &Inside::default(), &mut list);
        }
        list.retain(|error| error.message.is_some());
        (!list.is_empty()).then_some(Self { list, instead: None })
    }

    /// Something that says nothing, in words that follow "with".
    pub const fn instead(what: String) -> Self {
        Self { list: Vec::new(), instead: Some(what) }
    }

    fn one(error: ApiError) -> Self {
        Self { list: vec![error], instead: None }
    }

    fn of_json(value: &Value) -> Self {
        let mut list = Vec::new();
        collect(Json::of(value), &Inside::default(), &mut list);
        if list.is_empty() {
            // Without the escapes of JSON, so that a secret is recognised in it.
            let body = value.to_string().replace("\\\"", "\"").replace("\\\\", "\\");
            list.push(ApiError { message: Some(body), ..Default::default() });
        }
        Self { list, instead: None }
    }

    fn of_xml(text: &str) -> Self {
        let words = xml::words(text);
        let of = |names: &[&str]| {
            let found = words.iter().filter(|(name, _)| names.contains(&name.as_str()));
            Some(found.map(|(_, words)| words.as_str()).collect::<Vec<_>>().join("; ")).filter(|text| !text.is_empty())
        };
        let all = || Some(words.iter().map(|(_, words)| words.as_str()).collect::<Vec<_>>().join("; "));
        let message = of(&["faultstring", "message", "text", "detail", "description", "error", "title", "reason"]);
        let message = message.or_else(all).filter(|text| !text.is_empty()).unwrap_or_else(|| text.to_owned());
        let code = of(&["faultcode", "code", "errorcode"]).filter(|code| !message.contains(code.as_str()));
        Self::one(ApiError { code, message: Some(message), field: None })
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
        self.list.iter().filter_map(part).collect::<Vec<_>>().join("\n").to_lowercase()
    }
}

/// What a compressed body is called.
pub fn compressed(compression: &str) -> String {
    format!("a body compressed as \"{compression}\", which was not asked for")
}

/// Where in an answer a value stands.
#[derive(Clone, Debug, Default)]
struct Inside {
    /// The field that it is about.
    field: Option<String>,
    /// Whether it lies under a key for errors, so that texts are messages and unknown keys are fields.
    errors: bool,
    depth: u8,
}

fn collect(place: Json<'_>, inside: &Inside, list: &mut Vec<ApiError>) {
    if inside.depth >= DEEPEST || list.len() >= MOST {
        return;
    }
    let below = Inside { depth: inside.depth + 1, ..inside.clone() };
    if place.is_list() {
        // A list of texts is one of messages.
        let below = Inside { errors: true, ..below };
        return place.items().into_iter().for_each(|item| collect(item, &below, list));
    }
    if place.is_object() {
        return object(place, inside, &below, list);
    }
    let message = place.text().filter(|_| inside.errors || inside.depth == 0);
    list.extend(message.map(|text| ApiError { message: Some(text), field: inside.field.clone(), code: None }));
}

/// What an object says by itself, and then what the objects and lists in it say.
fn object(place: Json<'_>, inside: &Inside, below: &Inside, list: &mut Vec<ApiError>) {
    let own = own(place, inside);
    let is_error = own.is_some();
    list.extend(own);
    for (key, value) in place.fields() {
        let is_nested = value.is_object() || value.is_list();
        match known(key) {
            Some(Key::Errors) if is_nested => collect(value, &Inside { errors: true, ..below.clone() }, list),
            Some(Key::Message) if is_nested => collect(value, &Inside { errors: true, ..below.clone() }, list),
            // A map from fields to what is wrong with each.
            None if inside.errors && !is_error => {
                collect(value, &Inside { field: Some(key.to_owned()), ..below.clone() }, list)
            }
            None if is_nested && !is_error && inside.depth == 0 => collect(value, below, list),
            Some(_) | None => {}
        }
    }
}

/// The code, the messages and the field of an object.
fn own(place: Json<'_>, inside: &Inside) -> Option<ApiError> {
    let of = |wanted: Key| {
        let fields = place.fields().filter(move |(key, _)| known(key) == Some(wanted));
        fields.filter_map(|(_, value)| value.text())
    };
    let mut messages: Vec<String> = Vec::new();
    for text in of(Key::Message) {
        if !messages.iter().any(|other| other.contains(&text)) {
            messages.push(text);
        }
    }
    // A word under `error` is a code, a sentence a message; beside a message it only names it.
    let word = of(Key::Errors).next();
    let is_code = |word: &String| !messages.is_empty() || !word.contains(char::is_whitespace);
    let (word, sentence) = match word {
        Some(word) if is_code(&word) => (Some(word), None),
        other => (None, other),
    };
    messages.extend(sentence);
    let status = || of(Key::Status).find(|word| word.parse::<f64>().is_err());
    let code = of(Key::Code).next().or_else(status).or(word);
    if messages.is_empty() && code.is_some() {
        messages = words_of_others(place);
    }
    let message = Some(messages.join("; ")).filter(|text| !text.is_empty());
    let field = of(Key::Field).next().or_else(|| inside.field.clone());
    // `status` alone, or a lone word deep inside, is no error by itself.
    let is_error = message.is_some()
        || code.as_ref().is_some_and(|_| of(Key::Code).next().is_some() || inside.errors)
        || (code.is_some() && inside.depth == 0);
    is_error.then_some(ApiError { code, message, field })
}

/// The words under keys that are not known, each once: sentences, or words that are no identifier.
fn words_of_others(place: Json<'_>) -> Vec<String> {
    let others = place.fields().filter(|(key, _)| known(key).is_none());
    let is_word = |text: &&str| {
        let letters = text.chars().all(|c| c.is_alphabetic() || matches!(c, '_' | '-'));
        text.contains(char::is_alphabetic) && !text.starts_with('/') && (letters || text.trim().contains(' '))
    };
    let mut words: Vec<String> = Vec::new();
    for text in others.flat_map(|(_, value)| value.texts()).filter(is_word) {
        if words.len() < MOST && !words.iter().any(|other| other == text) {
            words.push(text.to_owned());
        }
    }
    words
}

/// What a key of an error answer holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    Code,
    Status,
    Message,
    Field,
    Errors,
}

/// The kind of a key, whatever its case and its underscores.
fn known(key: &str) -> Option<Key> {
    let letters: String = key.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase();
    Some(match letters.as_str() {
        "code" | "errorcode" | "errcode" | "faultcode" => Key::Code,
        "status" | "statuscode" => Key::Status,
        "message" | "messages" | "errormessage" | "errormessages" | "errmsg" | "errormsg" | "msg" | "description"
        | "errordescription" | "detail" | "details" | "title" | "reason" | "faultstring" | "text" | "cause"
        | "usermessage" | "developermessage" | "exceptionmessage" | "messagedetail" | "info" => Key::Message,
        "field" | "fieldname" | "property" | "propertyname" | "parameter" | "param" | "attribute" | "name" => {
            Key::Field
        }
        "errors"
        | "error"
        | "fault"
        | "faults"
        | "modelstate"
        | "violations"
        | "fielderrors"
        | "validationerrors"
        | "constraintviolations"
        | "issues"
        | "problems"
        | "exception"
        | "errordetails"
        | "invalidparams"
        | "errorlist" => Key::Errors,
        _ => return None,
    })
}

impl fmt::Display for ApiErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(instead) = &self.instead {
            return write!(f, "with {instead}");
        }
        for (at, error) in self.list.iter().enumerate() {
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

const DEEPEST: u8 = 8;
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(ApiErrors::read(body.as_bytes()).to_string(), expected, "{body}");
    }

    #[test]
    fn every_shape_of_tlm_is_read() {
        check(r#"{"errors":[{"code":"c","message":"m"}]}"#, "c: m");
        check(r#"{"errors":[{"code":"c","message":"m","field":"f"},{"message":"n"}]}"#, "c: m (field f); n");
        check(r#"{"error":{"code":"c","message":"m"}}"#, "c: m");
        check(r#"{"error":{"status":"INVALID_INPUT_FIELD","message":"m"}}"#, "INVALID_INPUT_FIELD: m");
        check(r#"{"code":"c","message":"m"}"#, "c: m");
        check(r#"{"message":"m"}"#, "m");
        check("\u{feff}{\"message\":\"m\"}", "m");
    }

    #[test]
    fn every_shape_of_frameworks_and_gateways_is_read() {
        check(r#"{"code":-1002,"description":"d"}"#, "-1002: d");
        check(r#"{"type":"about:blank","title":"t","status":400,"detail":"d","instance":"/x"}"#, "d; t");
        check(r#"{"status":404,"error":"Not Found","message":"m","path":"/x"}"#, "Not Found: m");
        check(r#"{"error_message":"m"}"#, "m");
        check(r#"{"Message":"m"}"#, "m");
        check(r#"{"msg":"m"}"#, "m");
        check(r#"{"error":"some text"}"#, "some text");
        check(r#"{"error":"invalid_request","error_description":"d"}"#, "invalid_request: d");
        check(
            r#"{"errors":{"dns_names":["a","b"],"seat":"c"}}"#,
            "a (field dns_names); b (field dns_names); c (field seat)",
        );
        check(r#"{"errors":[["a",["b"]]]}"#, "a; b");
        check(r#"{"errors":["m"]}"#, "m");
        check(r#"["a","b"]"#, "a; b");
        check(
            r#"{"Message":"The request is invalid.","ModelState":{"csr":["bad"]}}"#,
            "The request is invalid.; bad (field csr)",
        );
        check(r#"{"title":"t","errors":{"csr":["bad"]}}"#, "t; bad (field csr)");
        check(r#"{"errors":[{"errorCode":7,"errorMessage":"m","propertyName":"p"}]}"#, "7: m (field p)");
        check(r#"{"response":{"error":{"code":"c","message":"m"}}}"#, "c: m");
        check(r#"{"fault":{"faultstring":"m","detail":{"errorcode":"c"}}}"#, "m; c");
        check(r#"{"message":{"en":"m"}}"#, "m (field en)");
        check("\"m\"", "m");
        check("plain words\n", "plain words");
        let soap =
            "<s:Envelope><s:Fault><faultcode>s:Client</faultcode><faultstring>m</faultstring></s:Fault></s:Envelope>";
        check(soap, "s:Client: m");
        check("<Error><Code>AccessDenied</Code><Message>m</Message></Error>", "AccessDenied: m");
        check("<a><b>x</b><c>y</c></a>", "x; y");
    }

    #[test]
    fn the_words_beside_a_code_are_told_whatever_their_key() {
        check(r#"{"code":"c","explanation":"not today"}"#, "c: not today");
        check(r#"{"errors":[{"code":"c","hint":"ask first","path":"/x"}]}"#, "c: ask first");
        check(
            r#"{"code":"c","extra":{"why":["no seat is left","no seat is left"],"who":"Ann B"}}"#,
            "c: Ann B; no seat is left",
        );
        check(r#"{"errorCode":7,"timestamp":"2026-11-24 10:00:00","trace":"a1b2","note":"denied"}"#, "7: denied");
        check(r#"{"code":"c","message":"m","explanation":"not today"}"#, "c: m");
        check(r#"{"code":"c","path":"/a b"}"#, "c");
    }

    #[test]
    fn where_no_shape_fits_the_body_speaks_for_itself() {
        check(r#"{"a":{"b":"c \"d\""}}"#, r#"{"a":{"b":"c "d""}}"#);
        check(r#"{"errors":[]}"#, r#"{"errors":[]}"#);
        check("[]", "[]");
        check("null", "null");
        check("", "with an empty body");
        check(" \n", "with an empty body");
        check("{\"errors\":[{\"mess", "truncated JSON: {\"errors\":[{\"mess");
        let read = |body: &[u8]| ApiErrors::read(body).to_string();
        assert_eq!(read(b"\x1f\x8b\x08\0\0"), "with a body compressed as \"gzip\", which was not asked for");
        assert_eq!(read(b"{\"message\":\"Z\xfcrich\"}"), "Zürich");
        let wide: Vec<u8> = "{\"message\":\"m\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&wide), "m");
        let deep = format!("{}\"m\"{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(read(deep.as_bytes()), "m");
        let deep = format!("{}\"m\"{}", "{\"error\":".repeat(100), "}".repeat(100));
        assert_eq!(read(deep.as_bytes()), deep);
        let many = format!("[{}\"m\"]", "\"m\",".repeat(1000));
        assert_eq!(read(many.as_bytes()).matches('m').count(), MOST);
    }
}
