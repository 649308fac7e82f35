//! What is on the disk, as an observation: facts, judged against the entry once.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::issuer::{ChainEnd, End, ServedChain};
use crate::core::compact::boxed_default::BoxedDefault;
use crate::core::name::{Attempt, Digest, Generation, ProfileId, SerialNumber};
use crate::core::remark::RareRemarks;
use crate::core::text::Text;
use crate::core::time::Timestamp;
use crate::core::wanted::entry::{Asked, Entry, Sans, SubjectFrom};
use crate::core::wanted::key::KeyType;
use crate::core::wanted::subject::{Subject, SubjectAttribute, same_value};
use crate::core::wanted::usage::{Usage, Usages};

/// The facts of a leaf certificate that decisions need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// Upper-case hex.
    pub serial_number: SerialNumber,
    /// SHA-256 of the DER.
    pub fingerprint: Digest,
    /// SHA-256 of the SPKI.
    pub spki: Digest,
    /// The first instant of the validity.
    pub not_before: Timestamp,
    /// The last instant of the validity.
    pub not_after: Timestamp,
    /// The key type; `None`: one that renewd does not make.
    pub key: Option<KeyType>,
    /// The common name.
    pub common_name: Option<String>,
    /// The other subject attributes that TLM knows.
    pub subject: Subject,
    /// The subject alternative names.
    pub names: Sans,
    /// The extended key usages; empty: no such extension.
    pub usages: Vec<Usage>,
}

/// What is known of the set that the live path names.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// Nothing there.
    Absent,
    /// Read, and unusable: it does not parse, or key and certificate do not belong together.
    Damaged(Box<Text>),
    /// Could not be read; says nothing about what is there.
    Unreadable(Box<Text>),
    /// A usable set.
    Installed(Box<Installed>),
}

impl Observed {
    /// The installed set, if one is usable.
    #[must_use]
    pub fn installed(&self) -> Option<&Installed> {
        match self {
            Self::Installed(installed) => Some(installed),
            Self::Absent | Self::Damaged(_) | Self::Unreadable(_) => None,
        }
    }
}

/// A usable installed set, judged against its entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Installed {
    /// The generation that `live` names.
    pub generation: Generation,
    /// The request that brought it, where the manifest says so.
    pub attempt: Option<Attempt>,
    /// Upper-case hex.
    pub serial_number: SerialNumber,
    /// SHA-256 of the DER.
    pub fingerprint: Digest,
    /// SHA-256 of the SPKI.
    pub spki: Digest,
    /// The first instant of the validity.
    pub not_before: Timestamp,
    /// The last instant of the leaf's validity. What counts is [`Self::ends_at`].
    pub not_after: Timestamp,
    /// What is served above the leaf.
    pub chain: Arc<ServedChain>,
    /// The key type; `None`: one that renewd does not make.
    pub key: Option<KeyType>,
    /// The extended key usages.
    pub usages: Usages,
    /// The profile that issued it, where the manifest says so.
    pub profile: Option<ProfileId>,
    /// How the entry asks for something else than this certificate answers.
    pub differs: Option<Box<Text>>,
    /// Files of the set, at fixed paths or in the generation, that are not as they should be.
    pub drift: BoxedDefault<Vec<Text>>,
    /// Whether somebody put a certificate that ends later in its place, which may pass the gate or not.
    pub renewed_elsewhere: bool,
    /// Whether it only gave the leaf of the generation before another chain, by its manifest.
    pub is_refreshed: bool,
    /// What was worth knowing when it was installed.
    pub remarks: RareRemarks,
}

impl Installed {
    /// When its key was first used, as far as that is known: the start of the first certificate with it.
    #[must_use]
    pub fn key_since(&self) -> Timestamp {
        self.remarks.older_key.unwrap_or(self.not_before)
    }

    /// How long TLS clients take the set: from the start of the leaf to the end that counts.
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        self.ends_at().since(self.not_before)
    }

    /// The end that counts: the earliest of leaf and served chain.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.chain.ends_at(self.not_after)
    }

    /// The end that counts, with whose it is.
    #[must_use]
    pub fn end(&self) -> End {
        End { at: self.ends_at(), ca: self.chain_end().map(|chain| chain.subject.clone()) }
    }

    /// The first end in the served chain, where it comes before the leaf's.
    #[must_use]
    pub fn chain_end(&self) -> Option<&ChainEnd> {
        self.chain.end_before(self.not_after)
    }

    /// What the set of a request that renews this one has to outlive; nothing where this one is what the request
    /// brought, and only the end of the install was not recorded.
    #[must_use]
    pub fn to_outlive(&self, attempt: Attempt) -> Option<Timestamp> {
        (self.attempt != Some(attempt)).then(|| self.ends_at())
    }
}

/// How an entry asks for something else than the generation answers: by the manifest where there is one, by the
/// certificate's content where the files were adopted. What passed the gate is never drift, so that with a manifest
/// the content does not count.
#[must_use]
pub fn difference(entry: &Entry, manifest: Option<&Asked>, leaf: &Leaf) -> Option<Text> {
    match manifest {
        Some(asked) if entry.asks_certificate(asked) => None,
        Some(asked) => Some(differs_from_asked(&entry.asked(), asked)),
        None => differs_from_content(entry, leaf),
    }
    .map(|what| Text::new(&what))
}

fn differs_from_asked(wanted: &Asked, asked: &Asked) -> String {
    let missing = wanted.names.missing_in(&asked.names);
    let surplus = asked.names.missing_in(&wanted.names);
    if !missing.is_empty() {
        return format!("names added: {}", missing.join(", "));
    }
    if !surplus.is_empty() {
        return format!("names removed: {}", surplus.join(", "));
    }
    if wanted.common_name != asked.common_name {
        return format!("common_name is now {:?}", wanted.common_name.as_deref().unwrap_or_default());
    }
    if wanted.key != asked.key {
        return wanted.key.map_or("key is no longer named".to_owned(), |key| format!("key is now {key}"));
    }
    if wanted.extras.custom_values != asked.extras.custom_values {
        return "the custom values changed".to_owned();
    }
    "the subject changed".to_owned()
}

fn differs_from_content(entry: &Entry, leaf: &Leaf) -> Option<String> {
    let missing = entry.names().missing_in(&leaf.names);
    if !missing.is_empty() {
        return Some(format!("the certificate lacks {}", missing.join(", ")));
    }
    if let Some(key) = entry.key.filter(|key| Some(*key) != leaf.key) {
        return Some(format!("the key is not {key}"));
    }
    if entry.subject_from == SubjectFrom::Ca {
        return None;
    }
    if let Some(wanted) = entry.naming.common_name()
        && !leaf.common_name.as_ref().is_some_and(|there| same_value(wanted, there))
    {
        return Some(format!("the common name is not {wanted:?}"));
    }
    missing_attribute(&entry.subject, &leaf.subject)
        .map(|(attribute, value)| format!("the subject lacks {attribute} {value:?}"))
}

/// The first attribute value of `wanted` that `there` lacks.
#[must_use]
pub fn missing_attribute<'a>(wanted: &'a Subject, there: &Subject) -> Option<(SubjectAttribute, &'a str)> {
    let has = |attribute: &SubjectAttribute, value: &str| {
        there.get(attribute).is_some_and(|values| values.iter().any(|other| same_value(value, other)))
    };
    wanted
        .iter()
        .flat_map(|(attribute, values)| values.iter().map(move |value| (*attribute, value.as_str())))
        .find(|(attribute, value)| !has(attribute, value))
}
