//! Tables with a fixed set of keys. The macro makes the struct, the list of its keys, their reader and their description
//! from one declaration, so that none of them can know a key that the others do not.

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Fault, nearest};
use crate::config::syntax::diagnostics::Diagnostics;
use crate::config::syntax::from_toml::FromToml;

/// A table with a fixed set of keys.
pub(in crate::config) trait Table: Default {
    /// What a key of it is called in messages.
    const WHAT: &'static str;
    /// Every key.
    const KEYS: &'static [&'static str];
    /// The tables below it, with their keys: where a key belongs that stands one level too high.
    const BELOW: &'static [(&'static str, &'static [&'static str])];

    /// What each key means.
    fn meanings() -> Vec<Meaning>;

    /// What JSON Schema can say of the keys together.
    fn rules() -> Value;

    /// Reads the value of `key`; false: there is no such key.
    fn set(&mut self, key: &str, value: &Spanned<DeValue<'_>>, diagnostics: &mut Diagnostics<'_>) -> bool;

    /// The keys that were written, those with a bad value or a misspelling as well.
    fn given(&self) -> &[&'static str];

    /// Remembers a key that was written in another spelling, so that it is not missed as well.
    fn misspelt(&mut self, key: &'static str);

    /// Whether the key was written, even with a bad value.
    fn has(&self, key: &str) -> bool {
        self.given().contains(&key)
    }
}

/// A key for those who write it.
pub(in crate::config) struct Meaning {
    pub(in crate::config) key: &'static str,
    /// What it is for, in lines.
    pub(in crate::config) lines: &'static [&'static str],
    /// The default in TOML, where it is a fixed one.
    pub(in crate::config) default: Option<&'static str>,
    /// A value in TOML, where the default shows none.
    pub(in crate::config) example: Option<&'static str>,
    /// The JSON Schema of its value.
    pub(in crate::config) schema: Value,
}

/// Reads every key of `table`, and notes each that is not known.
pub(in crate::config) fn read_table<T: Table>(table: &DeTable<'_>, diagnostics: &mut Diagnostics<'_>) -> T {
    let mut read = T::default();
    for (key, value) in table {
        if !read.set(key.get_ref(), value, diagnostics) {
            let fault = Fault::new(format!("unknown key `{}`", key.get_ref()));
            let fault = fault.expected(format!("one of the keys of {}", T::WHAT));
            if let Some((below, _)) = T::BELOW.iter().find(|(_, keys)| keys.contains(&key.get_ref().as_ref())) {
                diagnostics.refuse(key.span(), fault.hint(format!("`{}` belongs in {below}", key.get_ref())));
                continue;
            }
            let meant = nearest(key.get_ref(), T::KEYS.iter().copied());
            diagnostics.refuse(key.span(), fault.meant(meant));
            meant.into_iter().for_each(|meant| read.misspelt(meant));
        }
    }
    read
}

/// Declares a [`Table`]: each key with its meaning, its type, its default and an example.
macro_rules! table {
    (
        $(#[$doc:meta])* $name:ident, $what:literal $(, $place:literal => $below:ty)* $(, where $rules:expr)?;
        $($(#[doc = $line:literal])+ $key:ident: $value:ty $(= $default:literal)? $(=> $example:literal)?,)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub(in crate::config) struct $name {
            given: Vec<&'static str>,
            $($(#[doc = $line])+ pub(in crate::config) $key: Option<toml::Spanned<$value>>,)*
        }

        impl $crate::config::syntax::table::Table for $name {
            const WHAT: &'static str = $what;
            const KEYS: &'static [&'static str] = &[$(stringify!($key),)*];
            const BELOW: &'static [(&'static str, &'static [&'static str])] =
                &[$(($place, <$below as $crate::config::syntax::table::Table>::KEYS),)*];

            fn meanings() -> Vec<$crate::config::syntax::table::Meaning> {
                vec![$($crate::config::syntax::table::Meaning {
                    key: stringify!($key),
                    lines: &[$($line),+],
                    default: $crate::config::syntax::table::maybe!($($default)?),
                    example: $crate::config::syntax::table::maybe!($($example)?),
                    schema: <$value as $crate::config::syntax::from_toml::FromToml>::schema(),
                },)*]
            }

            fn rules() -> serde_json::Value {
                $crate::config::syntax::table::maybe!($($rules)?).unwrap_or_else(|| serde_json::json!({}))
            }

            fn set(
                &mut self,
                key: &str,
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                diagnostics: &mut $crate::config::syntax::diagnostics::Diagnostics<'_>,
            ) -> bool {
                match key {
                    $(stringify!($key) => {
                        self.given.push(stringify!($key));
                        self.$key = <$value as $crate::config::syntax::from_toml::FromToml>::read(value, diagnostics)
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

        impl $crate::config::syntax::from_toml::FromToml for $name {
            fn read(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                diagnostics: &mut $crate::config::syntax::diagnostics::Diagnostics<'_>,
            ) -> Option<Self> {
                let table = $crate::config::syntax::from_toml::table(value, concat!("a table with the keys of ", $what), diagnostics)?;
                Some($crate::config::syntax::table::read_table(table, diagnostics))
            }

            fn schema() -> serde_json::Value {
                $crate::config::syntax::schema::of_table::<Self>()
            }

            fn over(self, default: &Self) -> Self {
                let mut given = self.given;
                given.extend(&default.given);
                Self {
                    given,
                    $($key: $crate::config::syntax::table::over(self.$key, default.$key.as_ref()),)*
                }
            }
        }
    };
}

/// What may be written, or not.
macro_rules! maybe {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

pub(in crate::config) use maybe;
pub(in crate::config) use table;

/// The value of an entry, else that of `[defaults]`; tables are joined.
pub(in crate::config) fn over<T: FromToml + Clone>(
    own: Option<Spanned<T>>,
    default: Option<&Spanned<T>>,
) -> Option<Spanned<T>> {
    match (own, default) {
        (Some(own), Some(default)) => Some(Spanned::new(own.span(), own.into_inner().over(default.get_ref()))),
        (own, default) => own.or_else(|| default.cloned()),
    }
}
