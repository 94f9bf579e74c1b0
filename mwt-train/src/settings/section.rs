//! How a section of the settings is written: each setting once, with its meaning, type, default and range, from which
//! the struct, its key, the flag, its help and the documentation follow.

/// Defines a section: a struct of settings that `settings.toml` has under the section's name, and its keys.
///
/// A setting is `/// Meaning.` and `field: type = default, kind`, then `was "old_name"` where it had another name, then
/// `[flag]` where the command line has one.
macro_rules! section {
    (
        $(#[$attribute:meta])*
        pub struct $name:ident in $section:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $default:expr, $kind:expr
                $(, was $old:literal)? $(, [$flag:ident])?;
            )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $(
                $(#[doc = $doc])+
                $(#[serde(alias = $old)])?
                pub $field: $type,
            )+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default),+ }
            }
        }

        impl $name {
            /// The keys of the section, in its order.
            pub(super) const KEYS: &'static [crate::settings::key::Key] = &[
                $(
                    crate::settings::key::Key {
                        name: concat!($section, ".", stringify!($field)),
                        kind: $kind,
                        text: concat!($($doc),+),
                        old: crate::settings::section::optional!($(concat!($section, ".", $old))?),
                        flag: crate::settings::section::optional!($(stringify!($flag))?).is_some(),
                    },
                )+
            ];
        }
    };
}

/// Defines a setting that is one of a few words, each with its meaning.
macro_rules! choice {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $( $(#[doc = $doc])+ #[serde(rename = $word)] $variant, )+
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(match self { $(Self::$variant => $word,)+ })
            }
        }

        impl $name {
            /// The words and their meanings.
            pub(super) const WORDS: &'static [(&'static str, &'static str)] =
                &[$(($word, concat!($($doc),+))),+];
        }
    };
}

/// `None`, or `Some` of what is there.
macro_rules! optional {
    () => {
        None::<&'static str>
    };
    ($value:expr) => {
        Some($value)
    };
}

pub(super) use {choice, optional, section};
