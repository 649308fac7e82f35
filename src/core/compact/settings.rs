//! What many entries of an inventory have in common, held once for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::compact::boxed_default::BoxedDefault;
use crate::core::known::issuer::IssuerPin;
use crate::core::name::{HookName, ProfileRef};
use crate::core::wanted::entry::{RequestMethod, SubjectFrom, Validity, Value};
use crate::core::wanted::files::{Access, FileCopy, Format};
use crate::core::wanted::key::KeyType;
use crate::core::wanted::subject::Subject;
use crate::core::wanted::usage::Usage;
use crate::core::wanted::window::DeployWindow;

/// The part of an entry that is most often the same for all of a file: how its certificate is made, asked for,
/// installed and deployed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntrySettings {
    /// The profile that issues it.
    pub profile: ProfileRef,
    /// The profile that is asked in the emergency stage, where the other could not issue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Box<ProfileRef>>,
    /// The subject without common name: attributes as TLM names them.
    pub subject: Subject,
    /// The key type; `None`: what the profile asks for.
    pub key: Option<KeyType>,
    /// Keep the installed key for the next certificate.
    pub reuse_key: bool,
    /// The validity to ask for; `None`: the profile's.
    pub validity: Option<Validity>,
    /// The renewal window; `None`: the profile's.
    pub renew_before: Option<Duration>,
    /// How a renewal is asked for.
    pub request_method: RequestMethod,
    /// Extended key usages that a new certificate must have; `None`: those of the installed one.
    pub usages: Option<Vec<Usage>>,
    /// Names that were not asked for are refused.
    pub exact_names: bool,
    /// The CA that must be on the path of its certificate.
    #[serde(default)]
    pub issuer: Option<Box<IssuerPin>>,
    /// Whether the request or the CA writes the subject.
    pub subject_from: SubjectFrom,
    /// Hooks to run after an install, in this order.
    pub hooks: Vec<HookName>,
    /// When a new certificate may be switched in; `None`: at any time.
    #[serde(default)]
    pub deploy_window: Option<Box<DeployWindow>>,
    /// When a certificate is asked for; `None`: at any time.
    #[serde(default)]
    pub request_window: Option<Box<DeployWindow>>,
    /// How long after it was replaced a certificate is revoked; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoke_superseded: Option<Duration>,
    /// Go back to the generation before when a hook fails on a new one.
    #[serde(default)]
    pub rollback: bool,
    /// More files in the generation.
    pub formats: Vec<Format>,
    /// Whether the root stands at the end of each chain, where it is known.
    #[serde(default)]
    pub include_root: bool,
    /// Owner, group and modes of the files.
    pub access: BoxedDefault<Access>,
    /// More copies at fixed paths, each with owner and modes of its own.
    #[serde(default, skip_serializing_if = "BoxedDefault::is_plain")]
    pub copies: BoxedDefault<Vec<FileCopy>>,
    /// The values for the profile's custom extensions, by their placeholders.
    #[serde(default)]
    pub custom_values: BoxedDefault<BTreeMap<String, Value>>,
    /// The owners that TLM notes for the certificate.
    #[serde(default)]
    pub cert_owner_ids: BoxedDefault<Vec<String>>,
    /// The e-mail address of the seat.
    #[serde(default)]
    pub seat_email: Option<String>,
    /// TLM's `tags`, sent as they are.
    pub tags: BoxedDefault<Vec<Value>>,
    /// TLM's `custom_attributes`, sent as they are.
    pub custom_attributes: BoxedDefault<Vec<Value>>,
    /// TLM's `ca_attributes`, sent as they are.
    pub ca_attributes: BoxedDefault<BTreeMap<String, Value>>,
}

impl EntrySettings {
    /// What holds where an entry says nothing, under `profile`.
    #[must_use]
    pub fn new(profile: ProfileRef) -> Self {
        Self {
            profile,
            fallback: None,
            subject: Subject::new(),
            key: None,
            reuse_key: false,
            validity: None,
            renew_before: None,
            request_method: RequestMethod::default(),
            usages: None,
            exact_names: false,
            issuer: None,
            subject_from: SubjectFrom::default(),
            hooks: Vec::new(),
            deploy_window: None,
            request_window: None,
            revoke_superseded: None,
            rollback: false,
            formats: Vec::new(),
            include_root: false,
            access: BoxedDefault::new(),
            copies: BoxedDefault::new(),
            custom_values: BoxedDefault::new(),
            cert_owner_ids: BoxedDefault::new(),
            seat_email: None,
            tags: BoxedDefault::new(),
            custom_attributes: BoxedDefault::new(),
            ca_attributes: BoxedDefault::new(),
        }
    }
}

/// Settings that were seen lately, so that those that say the same become one.
#[derive(Clone, Debug, Default)]
pub struct SettingsPool(Vec<Arc<EntrySettings>>);

impl SettingsPool {
    /// The terms of the pool that say the same, else these, which are in the pool from now on.
    pub fn share(&mut self, terms: Arc<EntrySettings>) -> Arc<EntrySettings> {
        let known = self.0.iter().position(|known| Arc::ptr_eq(known, &terms) || **known == *terms);
        let shared = match known {
            Some(at) => self.0.remove(at),
            None => terms,
        };
        self.0.truncate(MOST - 1);
        self.0.insert(0, Arc::clone(&shared));
        shared
    }
}

/// So many are compared with: an inventory in which every entry has terms of its own costs no more than that.
const MOST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::example::entry;

    #[test]
    fn what_says_the_same_is_held_once() {
        let mut pool = SettingsPool::default();
        let terms = |days| {
            let mut entry = entry();
            entry.renew_before = Some(Duration::from_secs(days * 86_400));
            entry.terms
        };
        let first = pool.share(terms(1));
        let other = pool.share(terms(2));
        assert!(Arc::ptr_eq(&first, &pool.share(terms(1))) && !Arc::ptr_eq(&first, &other));
        (3..3 + MOST as u64).for_each(|days| drop(pool.share(terms(days))));
        let late = pool.share(terms(1));
        assert!(late == first && !Arc::ptr_eq(&late, &first), "a long past is forgotten");
    }
}
