//! Remarks (promise 19): what is worth knowing of an installed set and no reason to refuse it. They are written into the
//! manifest of the generation and stay in the status until the next one.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::code::Code;
use super::text::Text;
use super::time::Timestamp;
use crate::core::compact::boxed_default::BoxedDefault;

/// Something worth knowing of an installed set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// The page of `renewd explain` that tells more.
    #[serde(with = "word")]
    pub code: Code,
    /// What was seen.
    pub message: Text,
}

impl Remark {
    /// A remark; the message is cleaned.
    #[must_use]
    pub fn new(code: Code, message: &str) -> Self {
        Self { code, message: Text::new(message) }
    }
}

/// The remarks of a generation, with the instant when it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remarks {
    /// Since when they hold; `None` where no manifest says so.
    pub since: Option<Timestamp>,
    /// The remarks.
    pub list: Vec<Remark>,
    /// When an older certificate began that has the same key, by the manifest, which has it beside these; here as it is as rare.
    #[serde(skip)]
    pub older_key: Option<Timestamp>,
}

impl Remarks {
    /// The remarks of a set that is installed now.
    #[must_use]
    pub fn at(now: Timestamp, list: Vec<Remark>) -> Self {
        if list.is_empty() { Self::default() } else { Self { since: Some(now), list, older_key: None } }
    }
}

impl crate::core::compact::boxed_default::ConstDefault for Remarks {
    const DEFAULT: &'static Self = &Self { since: None, list: Vec::new(), older_key: None };
}

/// The remarks of most sets are none.
pub type RareRemarks = BoxedDefault<Remarks>;

/// A code as its word. One that a newer version wrote becomes [`Code::Remark`]: the message still tells.
mod word {
    use super::{Code, Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
        code.as_str().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        let word = String::deserialize(deserializer)?;
        Ok(Code::ALL.iter().copied().find(|code| code.as_str() == word).unwrap_or(Code::Remark))
    }
}
