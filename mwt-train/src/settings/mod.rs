//! Every setting of a training run, each written once in `sections.rs`.
//!
//! [`Settings`] are what a run is given, and what its directory keeps as `settings.toml`; [`layers`] makes them from a
//! preset, a file, flags and `--set`; [`keys`] has each by its name, with type, range and meaning.

mod error;
mod key;
pub mod keys;
pub mod layers;
mod section;
mod sections;
mod value;

pub use error::SettingsError;
pub use key::Key;
pub(crate) use key::phrase;
pub use layers::{DataShape, Layers};
pub use sections::{
    AugmentSettings, DataSettings, Fit, Missing, Mode, OnDivergence, Precision, TrainSettings,
};
pub use value::{Range, ValueType};

use mwt_core::ModelConfig;
use serde::{Deserialize, Serialize};

use crate::util::words::kind;

/// A run's settings, as they are written into its directory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Data.
    pub data: DataSettings,
    /// Outer loop.
    pub train: TrainSettings,
    /// How training images are varied; as they are when absent.
    #[serde(default, skip_serializing_if = "AugmentSettings::is_off")]
    pub augment: AugmentSettings,
    /// Sizes and constants of the model.
    pub model: ModelConfig,
}

impl Settings {
    /// The defaults for a model.
    pub fn of(model: ModelConfig) -> Self {
        Self {
            data: DataSettings::default(),
            train: TrainSettings::default(),
            augment: AugmentSettings::default(),
            model,
        }
    }

    /// Reads and checks a `settings.toml`.
    ///
    /// # Errors
    /// Text that is no TOML, or a setting that no run could use.
    pub fn parse(text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text)?;
        settings.check()?;
        Ok(settings)
    }

    /// The text of a `settings.toml`.
    ///
    /// # Errors
    /// A number that TOML cannot write.
    pub fn to_toml(&self) -> Result<String, SettingsError> {
        Ok(toml::to_string(self)?)
    }

    /// Refuses settings that signals of this kind cannot have.
    ///
    /// # Errors
    /// [`SettingsError::Augmentation`] for one that varies images, or one that varies other signals.
    pub fn check_for(&self, data: &DataShape) -> Result<(), SettingsError> {
        let (key, varied, type_) = if data.pictures {
            (self.augment.of_signals(), "series and volumes in floats", "bytes")
        } else {
            (self.augment.of_images(), "8-bit images", "floats")
        };
        let found = format!("{} in {type_}", kind(data.extents));
        match key {
            Some(key) => Err(SettingsError::Augmentation { key, varied, found }),
            None => Ok(()),
        }
    }

    /// Refuses settings that no run could use.
    ///
    /// # Errors
    /// The first setting outside its range, by name.
    pub fn check(&self) -> Result<(), SettingsError> {
        let table = toml::Table::try_from(self)?;
        for (name, value) in keys::flatten(&table) {
            keys::find(&name)?.value(value)?;
        }
        if self.train.freeze_siren && self.train.init.is_none() {
            return Err(SettingsError::NothingToFreeze);
        }
        Ok(self.model.check()?)
    }
}
