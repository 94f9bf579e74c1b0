//! What can be wrong with settings.

use std::path::PathBuf;

use mwt_core::ConfigError;
use toml::Value;

use super::value::ValueType;
use crate::util::durable::FileError;

/// Why settings are refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// No setting has that name.
    #[error("there is no setting {name}{}", hint(*.nearest))]
    UnknownKey {
        /// What was asked for.
        name: String,
        /// The setting most like it, if any is.
        nearest: Option<&'static str>,
    },
    /// A setting cannot have that value.
    #[error("{key} is {value}, must be {}", bounded(*.allowed, .value))]
    Value {
        /// The setting.
        key: &'static str,
        /// The value.
        value: Value,
        /// What it must be.
        allowed: ValueType,
    },
    /// No preset has that name.
    #[error("there is no preset {name} among {}{}", .names.join(", "), hint(*.nearest))]
    UnknownPreset {
        /// What was asked for.
        name: String,
        /// The presets that there are.
        names: Vec<&'static str>,
        /// The one most like it, if any is.
        nearest: Option<&'static str>,
    },
    /// A file's `preset` is no text.
    #[error("preset is {0}, must be text")]
    PresetValue(Value),
    /// `key=value` without a `=`.
    #[error("{0} is no assignment: write key=value")]
    NotAnAssignment(String),
    /// No data set is named.
    #[error("no data set is named")]
    NoData,
    /// There is nothing to tell apart.
    #[error(
        "the data set has one class alone; a model tells two or more apart: add a folder of another class"
    )]
    OneClass,
    /// What is drawn by chance shall stay as it is.
    #[error("train.freeze_siren needs train.init: a SIREN that nobody trained fits nothing")]
    NothingToFreeze,
    /// A preset, and a model that has its own sizes.
    #[error(
        "a preset has no effect with train.init: the sizes are those of the model to start from"
    )]
    PresetOfStart,
    /// A setting contradicts the data set.
    #[error("{key} is {value}, the data set's is {found}")]
    DataSet {
        /// The setting.
        key: &'static str,
        /// Its value.
        value: Value,
        /// The data set's.
        found: Value,
    },
    /// A setting that varies signals of another kind than the data set's.
    #[error("{key} varies {varied}, the data set has {found}")]
    Augmentation {
        /// The setting.
        key: &'static str,
        /// What it varies.
        varied: &'static str,
        /// What the data set has.
        found: String,
    },
    /// The model is outside its limits.
    #[error(transparent)]
    Model(#[from] ConfigError),
    /// TOML that cannot be read or written, in the parser's words.
    #[error("{0}")]
    Toml(String),
    /// A file of settings cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Something is wrong with the settings of a file.
    #[error("{}: {source}", path.display())]
    In {
        /// Which file.
        path: PathBuf,
        /// What.
        source: Box<SettingsError>,
    },
}

impl SettingsError {
    /// Says in which file the settings stand.
    pub(crate) fn in_file(self, path: &std::path::Path) -> Self {
        Self::In { path: path.to_owned(), source: Box::new(self) }
    }
}

impl From<toml::de::Error> for SettingsError {
    fn from(error: toml::de::Error) -> Self {
        // The parser's own message takes several lines with the place in the file; this one says what is wrong.
        Self::Toml(error.message().replace('\n', " "))
    }
}

impl From<toml::ser::Error> for SettingsError {
    fn from(error: toml::ser::Error) -> Self {
        Self::Toml(error.to_string())
    }
}

/// What a value must be: with its upper bound, where it is above that.
fn bounded(allowed: ValueType, value: &Value) -> String {
    let number = match value {
        Value::Integer(n) => Some(*n as f64),
        Value::Float(x) => Some(*x),
        // An integer beyond those of TOML.
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    match number.is_some_and(|number| allowed.is_exceeded_by(number)) {
        true => format!("{allowed:#}"),
        false => allowed.to_string(),
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean {name}?"))
}
