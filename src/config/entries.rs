//! The entries of one drop-in file.

use std::ops::{Deref, DerefMut};
use std::slice;
use std::sync::Arc;

use crate::core::wanted::entry::Entry;

/// A slice of entries, which takes no memory beside itself where there is one alone, as in most files.
#[derive(Clone, Debug)]
pub enum Entries {
    /// The only one.
    One(Arc<Entry>),
    /// None, or several.
    Others(Box<[Arc<Entry>]>),
}

impl From<Vec<Arc<Entry>>> for Entries {
    fn from(entries: Vec<Arc<Entry>>) -> Self {
        match <[Arc<Entry>; 1]>::try_from(entries) {
            Ok([one]) => Self::One(one),
            Err(others) => Self::Others(others.into()),
        }
    }
}

impl Default for Entries {
    fn default() -> Self {
        Self::Others(Box::default())
    }
}

impl Deref for Entries {
    type Target = [Arc<Entry>];
    fn deref(&self) -> &[Arc<Entry>] {
        match self {
            Self::One(one) => slice::from_ref(one),
            Self::Others(others) => others,
        }
    }
}

impl DerefMut for Entries {
    fn deref_mut(&mut self) -> &mut [Arc<Entry>] {
        match self {
            Self::One(one) => slice::from_mut(one),
            Self::Others(others) => others,
        }
    }
}

impl PartialEq for Entries {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}
