//! Takes an answer out of what it was wrapped in: an envelope such as `{"data": {…}}`, or JSON that was written as text
//! into JSON. An answer that stands at the top is left as it is.

use serde_json::Value;

use super::json::is_same_key;

/// The answer itself. What stands beside its envelope stays, where the answer says nothing else.
pub(super) fn opened(value: Value) -> Value {
    if let Some(written) = value.as_str().and_then(written) {
        return opened(written);
    }
    let Value::Object(mut fields) = value else { return value };
    let is_said = |value: &Value| !value.is_null() && value.as_str() != Some("");
    let is_answer = fields.iter().any(|(key, value)| is_said(value) && is_one_of(key, &OF_ANSWERS));
    let envelopes: Vec<String> =
        fields.keys().filter(|key| !is_answer && is_one_of(key, &ENVELOPES)).cloned().collect();
    for key in envelopes {
        let inner = fields.remove(&key).map_or(Value::Null, opened);
        let Value::Object(content) = inner else {
            fields.insert(key, inner);
            continue;
        };
        fields.extend(content);
        break;
    }
    Value::Object(fields)
}

/// The JSON object or list that a text holds.
pub(super) fn written(text: &str) -> Option<Value> {
    let text = text.trim();
    text.starts_with(['{', '[']).then(|| serde_json::from_str(text).ok())?
}

fn is_one_of(key: &str, keys: &[&str]) -> bool {
    keys.iter().any(|known| is_same_key(key, known))
}

const ENVELOPES: [&str; 6] = ["data", "result", "response", "payload", "body", "content"];
/// What an envelope has not: these are fields of answers.
const OF_ANSWERS: [&str; 9] = [
    "serial_number",
    "request_id",
    "certificate",
    "certificates",
    "x509_cert_chain",
    "pkcs7",
    "items",
    "enrollment_method",
    "roles",
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_envelope_is_opened_and_an_answer_is_left_alone() {
        #[track_caller]
        fn check(value: Value, expected: Value) {
            assert_eq!(opened(value.clone()), expected, "{value}");
        }
        let answer = json!({"serial_number": "1", "data": {"serial_number": "2"}});
        check(answer.clone(), answer.clone());
        check(
            json!({"data": {"status": "PENDING"}, "status": "ok", "code": 0}),
            json!({"status": "PENDING", "code": 0}),
        );
        check(json!({"Response": {"result": answer}}), answer.clone());
        check(json!(json!({"payload": answer.to_string()}).to_string()), answer);
        let deep = format!("{}1{}", "{\"data\":".repeat(100), "}".repeat(100));
        check(serde_json::from_str(&deep).unwrap(), json!({"data": 1}));
        for same in [json!({"data": [1]}), json!({"data": "x", "status": "ok"}), json!([1]), json!("[1"), json!(null)] {
            check(same.clone(), same);
        }
    }
}
