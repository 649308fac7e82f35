//! A value that equals its default for most certificates: `Option<Box<T>>`, so one pointer where nothing is said, and
//! read as the default then.

use std::ops::{Deref, DerefMut};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value that is its type's default for most.
#[derive(Clone, Debug)]
pub struct BoxedDefault<T>(Option<Box<T>>);

/// A type whose default is a constant.
pub trait ConstDefault: Clone + PartialEq + 'static {
    /// The default.
    const DEFAULT: &'static Self;
}

impl<T: Clone + PartialEq + 'static> ConstDefault for Vec<T> {
    const DEFAULT: &'static Self = &Self::new();
}

impl<K: Clone + PartialEq + 'static, V: Clone + PartialEq + 'static> ConstDefault for std::collections::BTreeMap<K, V> {
    const DEFAULT: &'static Self = &Self::new();
}

impl<T: ConstDefault> From<T> for BoxedDefault<T> {
    fn from(value: T) -> Self {
        Self((value != *T::DEFAULT).then(|| Box::new(value)))
    }
}

impl<T> BoxedDefault<T> {
    /// The default.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }
}

impl<T: ConstDefault> BoxedDefault<T> {
    /// Whether it is the default.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        **self == *T::DEFAULT
    }

    /// Gives the memory back where the value has become the default.
    pub fn shrink(&mut self) {
        self.0.take_if(|value| **value == *T::DEFAULT);
    }
}

impl<T> Default for BoxedDefault<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: ConstDefault> Deref for BoxedDefault<T> {
    type Target = T;
    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::DEFAULT)
    }
}

impl<T: ConstDefault> DerefMut for BoxedDefault<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(|| Box::new(T::DEFAULT.clone()))
    }
}

impl<T: ConstDefault> PartialEq for BoxedDefault<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: ConstDefault + Eq> Eq for BoxedDefault<T> {}

impl<T: ConstDefault + Serialize> Serialize for BoxedDefault<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl<'de, T: ConstDefault + Deserialize<'de>> Deserialize<'de> for BoxedDefault<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_what_it_holds_or_as_the_default() {
        let mut rare = BoxedDefault::from(Vec::<u8>::new());
        assert!(rare.0.is_none() && rare.is_empty() && rare == BoxedDefault::default());
        rare.push(7);
        assert_eq!(*rare, [7]);
        rare.clear();
        assert!(rare.0.is_some() && rare == BoxedDefault::default(), "however it came to be empty");
        rare.shrink();
        assert!(rare.0.is_none());
        assert_eq!(std::mem::size_of::<BoxedDefault<[u8; 99]>>(), std::mem::size_of::<usize>());
    }
}
