//! Tables with a fixed set of keys. The macro makes the struct, the list of its keys and their reader from one
//! declaration, so that none of them can know a key that the others do not.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Fault, nearest};
use super::read::FromToml;
use super::sheet::Sheet;

/// A table with a fixed set of keys.
pub(super) trait Table: Default {
    /// What a key of it is called in messages.
    const WHAT: &'static str;
    /// Every key.
    const KEYS: &'static [&'static str];
    /// The tables below it, with their keys: where a key belongs that stands one level too high.
    const BELOW: &'static [(&'static str, &'static [&'static str])];

    /// Reads the value of `key`; false: there is no such key.
    fn set(&mut self, key: &str, value: &Spanned<DeValue<'_>>, sheet: &mut Sheet<'_>) -> bool;

    /// The keys that were written, those with a bad value or a misspelling as well.
    fn given(&self) -> &[&'static str];

    /// Remembers a key that was written in another spelling, so that it is not missed as well.
    fn misspelt(&mut self, key: &'static str);

    /// Whether the key was written, even with a bad value.
    fn has(&self, key: &str) -> bool {
        self.given().contains(&key)
    }
}

/// Reads every key of `table`, and notes each that is not known.
pub(super) fn read_table<T: Table>(table: &DeTable<'_>, sheet: &mut Sheet<'_>) -> T {
    let mut read = T::default();
    for (key, value) in table {
        if !read.set(key.get_ref(), value, sheet) {
            let fault = Fault::new(format!("unknown key `{}`", key.get_ref()));
            let fault = fault.expected(format!("one of the keys of {}", T::WHAT));
            if let Some((below, _)) = T::BELOW.iter().find(|(_, keys)| keys.contains(&key.get_ref().as_ref())) {
                sheet.refuse(key.span(), fault.hint(format!("`{}` belongs into {below}", key.get_ref())));
                continue;
            }
            let meant = nearest(key.get_ref(), T::KEYS.iter().copied());
            sheet.refuse(key.span(), fault.meant(meant));
            meant.into_iter().for_each(|meant| read.misspelt(meant));
        }
    }
    read
}

/// Declares a [`Table`]: each key with its type.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident, $what:literal $(, $place:literal => $below:ty)*; $($key:ident: $value:ty,)*) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(super) struct $name {
            given: Vec<&'static str>,
            $(pub(super) $key: Option<toml::Spanned<$value>>,)*
        }

        impl $crate::config::table::Table for $name {
            const WHAT: &'static str = $what;
            const KEYS: &'static [&'static str] = &[$(stringify!($key),)*];
            const BELOW: &'static [(&'static str, &'static [&'static str])] =
                &[$(($place, <$below as $crate::config::table::Table>::KEYS),)*];

            fn set(
                &mut self,
                key: &str,
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                sheet: &mut $crate::config::sheet::Sheet<'_>,
            ) -> bool {
                match key {
                    $(stringify!($key) => {
                        self.given.push(stringify!($key));
                        self.$key = <$value as $crate::config::read::FromToml>::read(value, sheet)
                            .map(|read| toml::Spanned::new(value.span(), read));
                    })*
                    _ => return false,
                }
                true
            }

            fn given(&self) -> &[&'static str] {
                &self.given
            }

            fn misspelt(&mut self, key: &'static str) {
                self.given.push(key);
            }
        }

        impl $crate::config::read::FromToml for $name {
            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                sheet: &mut $crate::config::sheet::Sheet<'_>,
            ) -> Option<Self> {
                let table = $crate::config::read::table(value, concat!("a table with the keys of ", $what), sheet)?;
                Some($crate::config::table::read_table(table, sheet))
            }

            fn over(self, default: &Self) -> Self {
                let mut given = self.given;
                given.extend(&default.given);
                Self {
                    given,
                    $($key: $crate::config::table::over(self.$key, default.$key.as_ref()),)*
                }
            }
        }
    };
}

pub(super) use table;

/// The value of an entry, else that of `[defaults]`; tables are joined.
pub(super) fn over<T: FromToml + Clone>(own: Option<Spanned<T>>, default: Option<&Spanned<T>>) -> Option<Spanned<T>> {
    match (own, default) {
        (Some(own), Some(default)) => Some(Spanned::new(own.span(), own.into_inner().over(default.get_ref()))),
        (own, default) => own.or_else(|| default.cloned()),
    }
}
