//! An answer's JSON, read leniently: a number where text was expected, a lone item where a list was, text where a
//! truth value was, `camelCase` where a key has underscores. What is missing or of no use reads as missing; what is required
//! is the caller's to say.

use serde_json::Value;

/// A place in an answer, which may be empty.
#[derive(Clone, Copy)]
pub struct Json<'a>(Option<&'a Value>);

impl<'a> Json<'a> {
    /// The whole answer.
    pub const fn of(value: &'a Value) -> Self {
        Self(Some(value))
    }

    /// The value under `key`, else under the same key in another spelling.
    pub fn at(self, key: &str) -> Self {
        let exact = self.0.and_then(|value| value.get(key)).filter(|value| !value.is_null());
        let respelt = || self.fields().find(|(other, value)| is_same_key(other, key) && !value.is_null());
        exact.map_or_else(|| respelt().map_or(Self(None), |(_, value)| value), Self::of)
    }

    /// The value under the first of `keys` that has one.
    pub fn first_of(self, keys: &[&str]) -> Self {
        keys.iter().map(|key| self.at(key)).find(|found| !found.is_null()).unwrap_or(Self(None))
    }

    /// The items of a list, and of lists in it; a lone value is a list of one.
    pub fn items(self) -> Vec<Self> {
        match self.0 {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.iter().flat_map(|item| Self::of(item).items()).collect(),
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => vec![self],
        }
    }

    /// The members of a list and of lists in it, also those that are null.
    pub fn members(self) -> Vec<Self> {
        match self.0 {
            Some(Value::Array(items)) => items.iter().flat_map(|item| Self::of(item).members()).collect(),
            None | Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
                vec![self]
            }
        }
    }

    /// A list: this itself, or in an envelope, under one of `keys` or as the only list there.
    pub fn list(self, keys: &[&str]) -> Option<Self> {
        if self.is_list() {
            return Some(self);
        }
        let under_key = keys.iter().map(|key| self.at(key)).find(|found| found.is_list());
        let lists = || self.fields().map(|(_, value)| value).filter(|value| value.is_list());
        under_key.or_else(|| lists().next().filter(|_| lists().count() == 1))
    }

    /// Text, if it is one.
    pub fn string(self) -> Option<String> {
        self.0.and_then(Value::as_str).map(str::to_owned)
    }

    /// The value as JSON.
    pub fn shown(self) -> String {
        self.0.map_or_else(|| "null".to_owned(), ToString::to_string)
    }

    /// The fields of an object.
    pub fn fields(self) -> impl Iterator<Item = (&'a str, Self)> {
        self.0.and_then(Value::as_object).into_iter().flatten().map(|(key, value)| (key.as_str(), Self::of(value)))
    }

    /// Every text in it, however deep.
    pub fn texts(self) -> Vec<&'a str> {
        match self.0 {
            Some(Value::String(text)) => vec![text],
            Some(Value::Array(items)) => items.iter().flat_map(|item| Self::of(item).texts()).collect(),
            Some(Value::Object(fields)) => fields.values().flat_map(|field| Self::of(field).texts()).collect(),
            None | Some(Value::Null | Value::Bool(_) | Value::Number(_)) => Vec::new(),
        }
    }

    /// Text that is not blank; a number or a truth value as it is written.
    pub fn text(self) -> Option<String> {
        let text = match self.0? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => return None,
        };
        (!text.trim().is_empty()).then_some(text)
    }

    /// A whole number, also as text.
    pub fn number(self) -> Option<u32> {
        self.text()?.trim().parse().ok()
    }

    /// A truth value, also as text or number.
    pub fn flag(self) -> Option<bool> {
        match self.text()?.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "y" | "1" | "on" | "allowed" | "enabled" => Some(true),
            "false" | "no" | "n" | "0" | "off" | "not_allowed" | "disabled" => Some(false),
            _ => None,
        }
    }

    /// The word that it is, or, of an object such as a code with its name, the word in it; of a list each word once, with
    /// commas.
    pub fn word(self) -> String {
        if self.is_list() {
            let mut words: Vec<String> = Vec::new();
            for word in self.items().into_iter().take(MOST_WORDS).map(Self::word) {
                if !word.is_empty() && !words.contains(&word) {
                    words.push(word);
                }
            }
            return words.join(", ");
        }
        if !self.is_object() {
            return self.text().unwrap_or_default().trim().to_owned();
        }
        let rank = |key: &str| NAMES.iter().position(|name| is_same_key(name, key)).unwrap_or(NAMES.len());
        let mut fields: Vec<_> = self.fields().collect();
        fields.sort_by_key(|(key, _)| rank(key));
        let words: Vec<String> =
            fields.into_iter().map(|(_, value)| value.word()).filter(|word| !word.is_empty()).collect();
        let is_word = |word: &&String| word.contains(char::is_alphabetic);
        words.iter().find(is_word).or(words.first()).cloned().unwrap_or_default()
    }

    /// Whether nothing is there.
    pub fn is_null(self) -> bool {
        self.0.is_none_or(Value::is_null)
    }

    /// Whether this is a list.
    pub fn is_list(self) -> bool {
        self.0.is_some_and(Value::is_array)
    }

    /// Whether this is an object.
    pub fn is_object(self) -> bool {
        self.0.is_some_and(Value::is_object)
    }
}

/// Where an object has its word, rather than under another key.
const NAMES: [&str; 6] = ["name", "value", "status", "state", "label", "code"];
const MOST_WORDS: usize = 16;

/// Whether two keys have the same letters and digits, whatever their case and what stands between.
pub(super) fn is_same_key(one: &str, other: &str) -> bool {
    letters(one).eq(letters(other))
}

fn letters(key: &str) -> impl Iterator<Item = u8> {
    key.bytes().filter(u8::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_in_any_spelling() {
        let answer = serde_json::json!({
            "number": 5, "digits": " 5 ", "flag": true, "word": "TRUE", "blank": " ", "nothing": null,
            "nested": [[1, 2], 3, null], "lone": {"a": "b"}, "camelCase": 7, "snake_case": null, "SnakeCase": 8,
        });
        let answer = Json::of(&answer);
        assert_eq!(answer.at("number").number(), Some(5));
        assert_eq!(answer.at("digits").number(), Some(5));
        assert_eq!(answer.at("number").text().as_deref(), Some("5"));
        assert_eq!(answer.at("flag").flag(), Some(true));
        assert_eq!(answer.at("word").flag(), Some(true));
        for (word, flag) in [("Yes", Some(true)), ("ALLOWED", Some(true)), ("0", Some(false)), ("maybe", None)] {
            assert_eq!(Json::of(&serde_json::json!(word)).flag(), flag, "{word}");
        }
        assert_eq!(Json::of(&serde_json::json!(1)).flag(), Some(true));
        assert_eq!(answer.at("blank").text(), None);
        assert_eq!(answer.first_of(&["nothing", "absent", "digits"]).number(), Some(5));
        assert_eq!((answer.at("camel_case").number(), answer.at("snake_case").number()), (Some(7), Some(8)));
        assert_eq!(answer.at("nested").items().len(), 3);
        assert_eq!(answer.at("lone").items().len(), 1);
        assert_eq!(answer.at("absent").at("deeper").text(), None);
        let deep = format!("{}1{}", "{\"name\":".repeat(100), "}".repeat(100));
        assert_eq!(Json::of(&serde_json::from_str(&deep).unwrap()).word(), "1");
    }
}
