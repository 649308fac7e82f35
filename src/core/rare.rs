//! What few have: where nothing is said, it takes one pointer, and reads as the default.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that is its type's default for most.
#[derive(Clone, Debug)]
pub struct Rare<T>(Option<Box<T>>);

/// A type whose default is a constant.
pub trait Plain: Clone + PartialEq + 'static {
    /// The default.
    const PLAIN: &'static Self;
}

impl<T: Clone + PartialEq + 'static> Plain for Vec<T> {
    const PLAIN: &'static Self = &Self::new();
}

impl<K: Clone + PartialEq + 'static, V: Clone + PartialEq + 'static> Plain for std::collections::BTreeMap<K, V> {
    const PLAIN: &'static Self = &Self::new();
}

impl<T: Plain> From<T> for Rare<T> {
    fn from(value: T) -> Self {
        Self((value != *T::PLAIN).then(|| Box::new(value)))
    }
}

impl<T> Rare<T> {
    /// The default.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }
}

impl<T: Plain> Rare<T> {
    /// Whether it is the default.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        **self == *T::PLAIN
    }

    /// Gives the memory back where the value has become the default.
    pub fn settle(&mut self) {
        self.0.take_if(|value| **value == *T::PLAIN);
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Plain> Deref for Rare<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::PLAIN)
    }
}

impl<T: Plain> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::PLAIN.clone()))
    }
}

impl<T: Plain> PartialEq for Rare<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Plain + Eq> Eq for Rare<T> {}

impl<T: Plain + Serialize> Serialize for Rare<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: Plain + Deserialize<'de>> Deserialize<'de> for Rare<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_what_it_holds_or_as_the_default() {
        let mut rare = Rare::from(Vec::<u8>::new());
        assert!(rare.0.is_none() && rare.is_empty() && rare == Rare::default());
        rare.push(7);
        assert_eq!(*rare, [7]);
        rare.clear();
        assert!(rare.0.is_some() && rare == Rare::default(), "however it came to be empty");
        rare.settle();
        assert!(rare.0.is_none());
        assert_eq!(std::mem::size_of::<Rare<[u8; 99]>>(), std::mem::size_of::<usize>());
    }
}
