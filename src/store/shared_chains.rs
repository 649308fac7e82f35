//! The chains that are served, held once: thousands of certificates of one CA have the same.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::core::known::issuer::ServedChain;

/// The chain as it is held for all who serve it.
#[must_use]
pub(super) fn share(chain: &ServedChain) -> Arc<ServedChain> {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = known.iter().filter_map(Weak::upgrade).find(|held| **held == *chain) {
        return shared;
    }
    let shared = Arc::new(chain.clone());
    known.retain(|held| held.strong_count() > 0);
    if known.len() < MOST {
        known.push(Arc::downgrade(&shared));
    }
    shared
}

static KNOWN: Mutex<Vec<Weak<ServedChain>>> = Mutex::new(Vec::new());
/// More different chains than any host serves; beyond, each certificate holds its own.
const MOST: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::known::issuer::Issuer;
    use crate::core::text::Text;

    #[test]
    fn equal_chains_are_held_once_and_let_go_with_the_last() {
        let chain = |ca: &str| ServedChain { issuer: Issuer { subject: Text::new(ca), spki: None }, end: None };
        let (one, same, other) = (share(&chain("A")), share(&chain("A")), share(&chain("B")));
        assert!(Arc::ptr_eq(&one, &same) && !Arc::ptr_eq(&one, &other));
        let held = Arc::downgrade(&one);
        drop((one, same));
        assert!(held.upgrade().is_none());
        assert_eq!(*share(&chain("A")), chain("A"));
    }
}
