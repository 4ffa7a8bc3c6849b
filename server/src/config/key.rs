//! One key of the configuration: what it takes, and where it is kept; and the forms that rows of the tables of keys have.

use std::fmt;
use std::time::Duration;

use super::Config;

/// Declares a choice whose names in the file and in the environment are one list.
macro_rules! choice {
    ($(#[$meta:meta])* $name:ident { $($(#[$variant_meta:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_meta])* $variant),+ }

        impl $name {
            /// All names, as they are written in the configuration.
            pub const NAMES: &[&str] = &[$($text),+];

            /// The name, as it is written in the configuration.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err(format!("must be one of {}", Self::NAMES.join(", "))),
                }
            }
        }
    };
}

choice! {
    /// Whether something is done.
    Switch {
        /// It is.
        On = "on",
        /// It is not.
        Off = "off",
    }
}

impl Switch {
    /// Whether it is done.
    #[must_use]
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// What kind of value a key takes: decides how it is written in the file, and how it is read from the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// A string. The empty string means "not configured".
    Text,
    /// One of these strings.
    Choice(&'static [&'static str]),
    /// A whole number from `0` to `1`, both included.
    Integer(i64, i64),
    /// A list of strings, in the environment with commas between.
    List,
}

/// A value of the right [`ValueKind`], from the file or from the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// For [`ValueKind::Text`] and [`ValueKind::Choice`].
    Text(String),
    /// For [`ValueKind::Integer`]; within its range.
    Integer(i64),
    /// For [`ValueKind::List`].
    List(Vec<String>),
}

impl Value {
    pub(super) fn text(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Integer(_) | Self::List(_) => "",
        }
    }

    pub(super) fn list(&self) -> &[String] {
        match self {
            Self::List(items) => items,
            Self::Text(_) | Self::Integer(_) => &[],
        }
    }

    pub(super) fn number<T: TryFrom<i64>>(&self) -> Result<T, String> {
        match self {
            Self::Integer(number) => T::try_from(*number).map_err(|_| "is too large for this computer".to_owned()),
            Self::Text(_) | Self::List(_) => Err("must be a whole number".to_owned()),
        }
    }

    /// So many units of `seconds` each.
    pub(super) fn duration(&self, seconds: u64) -> Result<Duration, String> {
        Ok(Duration::from_secs(self.number::<u64>()?.saturating_mul(seconds)))
    }
}

/// A key that was given up. A server that leaves it out unawares would behave otherwise than its operator believes.
pub(super) struct Gone {
    pub(super) path: &'static str,
    pub(super) env: &'static str,
    /// What to write instead, with the number that stood there.
    pub(super) instead: fn(Option<i64>) -> String,
}

impl Gone {
    /// Why it is refused, after the name.
    pub(super) fn why(&self, written: Option<i64>) -> String {
        format!("is no key any more: take it out; {}", (self.instead)(written))
    }
}

/// One key of the configuration.
pub struct Key {
    /// The key in the file: `section.name`, or just `name` above the first section.
    pub path: &'static str,
    /// The environment variable.
    pub env: &'static str,
    /// What it takes.
    pub kind: ValueKind,
    /// What it means, in a sentence or two of the manual.
    pub meaning: &'static str,
    pub(super) set: fn(&mut Config, &Value) -> Result<(), String>,
    pub(super) get: fn(&Config) -> Value,
}

impl Key {
    /// The value in `config`, as it is written in the file.
    #[must_use]
    pub fn shown(&self, config: &Config) -> String {
        match (self.get)(config) {
            Value::Text(text) => format!("{text:?}"),
            Value::Integer(number) => number.to_string(),
            Value::List(items) => format!("{items:?}"),
        }
    }

    /// The row of this key in the manual: `| key | variable | default | meaning |`.
    #[must_use]
    pub fn manual_row(&self) -> String {
        let default = match self.path {
            "handsets.country" => "that of `default_region`".to_owned(),
            _ => match self.shown(&Config::default()).as_str() {
                "\"\"" => "none".to_owned(),
                shown => format!("`{shown}`"),
            },
        };
        format!("| `{}` | `{}` | {default} | {} |", self.path, self.env, self.meaning)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("path", &self.path).field("env", &self.env).finish_non_exhaustive()
    }
}

/// A row for a key that takes whole seconds (or minutes, or hours: `$unit` in seconds).
macro_rules! time_key {
    ($path:literal, $env:literal, $range:expr, $unit:expr, $section:ident . $field:ident, $meaning:literal) => {
        Key {
            path: $path,
            env: $env,
            kind: ValueKind::Integer($range.0, $range.1),
            meaning: $meaning,
            set: |config, value| {
                config.$section.$field = value.duration($unit)?;
                Ok(())
            },
            get: |config| Value::Integer(i64::try_from(config.$section.$field.as_secs() / $unit).unwrap_or(i64::MAX)),
        }
    };
}

/// A row for a key that takes a plain count.
macro_rules! count_key {
    ($path:literal, $env:literal, $range:expr, $section:ident . $field:ident, $meaning:literal) => {
        Key {
            path: $path,
            env: $env,
            kind: ValueKind::Integer($range.0, $range.1),
            meaning: $meaning,
            set: |config, value| {
                config.$section.$field = value.number()?;
                Ok(())
            },
            get: |config| Value::Integer(i64::try_from(config.$section.$field).unwrap_or(i64::MAX)),
        }
    };
}

/// A row for a key that takes one of several names.
macro_rules! choice_key {
    ($path:literal, $env:literal, $choice:ident, $section:ident . $field:ident, $meaning:literal) => {
        Key {
            path: $path,
            env: $env,
            kind: ValueKind::Choice($choice::NAMES),
            meaning: $meaning,
            set: |config, value| {
                config.$section.$field = value.text().parse()?;
                Ok(())
            },
            get: |config| Value::Text(config.$section.$field.as_str().to_owned()),
        }
    };
}

/// A row for a key that takes networks.
macro_rules! networks_key {
    ($path:literal, $env:literal, $field:ident, $meaning:literal) => {
        Key {
            path: $path,
            env: $env,
            kind: ValueKind::List,
            meaning: $meaning,
            set: |config, value| {
                config.http.$field = value.list().iter().map(|item| network(item)).collect::<Result<_, _>>()?;
                Ok(())
            },
            get: |config| Value::List(config.http.$field.iter().map(IpNet::to_string).collect()),
        }
    };
}

/// A row for a phrase of an announcement.
macro_rules! phrase_key {
    ($path:literal, $env:literal, $field:ident[$index:literal], $meaning:literal) => {
        Key {
            path: $path,
            env: $env,
            kind: ValueKind::Text,
            meaning: $meaning,
            set: |config, value| {
                config.barista.$field[$index] = phrase(value.text())?;
                Ok(())
            },
            get: |config| Value::Text(config.barista.$field[$index].clone()),
        }
    };
}

pub(super) const MINUTE: u64 = 60;

pub(super) const HOUR: u64 = 60 * MINUTE;
