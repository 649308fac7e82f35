//! A map of a few things: a sorted vector, which takes what its content takes, and one pointer where it is empty.

use crate::core::compact::boxed_default::BoxedDefault;

/// A map that is ordered by its keys, for at most a few dozen of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SmallMap<K: Ord + Clone + 'static, V: Clone + PartialEq + 'static>(BoxedDefault<Vec<(K, V)>>);

impl<K: Ord + Clone + 'static, V: Clone + PartialEq + 'static> Default for SmallMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone + 'static, V: Clone + PartialEq + 'static> SmallMap<K, V> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self(BoxedDefault::new())
    }

    /// Puts a value in, in the place of the one that was there.
    pub fn insert(&mut self, key: K, value: V) {
        match self.place(&key) {
            Ok(at) => {
                if let Some(old) = self.0.get_mut(at) {
                    old.1 = value;
                }
            }
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, (key, value));
            }
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.place(key).ok()?;
        let (_, value) = self.0.remove(at);
        self.0.shrink();
        Some(value)
    }

    /// One value.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.0.get(self.place(key).ok()?).map(|(_, value)| value)
    }

    /// One value, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.place(key).ok()?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// Whether there is a value under this key.
    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.place(key).is_ok()
    }

    /// Whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Keys and values, in the order of the keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + Clone {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The values, in the order of the keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    fn place(&self, key: &K) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.cmp(key))
    }
}

/// Of two values under one key the later one is kept.
impl<K: Ord + Clone + 'static, V: Clone + PartialEq + 'static> FromIterator<(K, V)> for SmallMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut few = Self::default();
        pairs.into_iter().for_each(|(key, value)| few.insert(key, value));
        few
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_does_what_a_tree_does() {
        let (mut few, mut tree) = (SmallMap::default(), BTreeMap::new());
        for (round, key) in [5, 3, 9, 3, 1, 7, 5, 2].into_iter().enumerate() {
            if key == 9 || key == 7 {
                assert_eq!(few.remove(&5), tree.remove(&5));
            }
            few.insert(key, round);
            tree.insert(key, round);
            assert!(few.iter().eq(tree.iter()) && few.values().eq(tree.values()));
            assert_eq!((few.len(), few.is_empty()), (tree.len(), false));
            for key in 0..10 {
                assert_eq!((few.get(&key), few.contains_key(&key)), (tree.get(&key), tree.contains_key(&key)));
            }
        }
        if let Some(value) = few.get_mut(&2) {
            *value = 99;
        }
        assert_eq!(few.get(&2), Some(&99));
        assert_eq!(
            tree.iter().map(|(key, value)| (*key, if *key == 2 { 99 } else { *value })).collect::<SmallMap<_, _>>(),
            few
        );
    }
}
