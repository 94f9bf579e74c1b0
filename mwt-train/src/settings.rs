//! Every setting of a training run.

use mwt_core::ModelConfig;
use serde::{Deserialize, Serialize};

use crate::augment::AugmentSettings;
use crate::data::{DataError, Dataset, LoadOptions, Split, load};
use crate::keys;

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

/// Which images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// `digits`, or a directory.
    pub source: String,
    /// Training images held out to choose by.
    pub held_out: usize,
    /// The most images of each split; all when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Height and width to which the images of a folder are brought; their own when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<(usize, usize)>,
    /// GiB that the decoded images of a folder may take in memory; when they would take more, each is decoded as it is used.
    #[serde(default = "memory_gib")]
    pub memory_gib: f64,
    /// Training images of the built-in digits.
    pub digits: usize,
}

impl DataSettings {
    /// GiB that decoded images may take when nothing is said.
    pub const MEMORY_GIB: f64 = (LoadOptions::MEMORY >> 30) as f64;

    /// Loads the data set.
    ///
    /// # Errors
    /// What [`load`] says.
    pub fn load(&self) -> Result<Dataset, DataError> {
        let options = LoadOptions {
            image_size: self.image_size,
            limit: self.limit,
            memory: (self.memory_gib * f64::from(1 << 30)) as u64,
            digits_train: self.digits,
            ..LoadOptions::default()
        };
        load(&self.source, &options)
    }
}

/// Settings of earlier versions do not say.
const fn memory_gib() -> f64 {
    DataSettings::MEMORY_GIB
}

/// How the classifier and the SIREN are trained together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// End to end: the classification loss shapes θ and α, weighted by w_cls.
    Mwt,
    /// The paper's WT: both losses at once, no gradient from the classifier into the SIREN.
    WtSimultaneous,
    /// The paper's WT, one after the other: first the SIREN, then the classifier, for the same epochs each.
    WtSequential,
}

/// What becomes of an outer step whose losses or gradients are infinite or not a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OnDivergence {
    /// The run stops, and says which checkpoint is the last good one.
    #[default]
    Stop,
    /// The step is left out, as if its images had not been there; ten in a row stop the run after all. Costs a wait for
    /// the device at each step.
    Skip,
}

/// The outer loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSettings {
    /// Seed of everything random.
    pub seed: u64,
    /// Passes over the training images.
    pub epochs: u64,
    /// N: images an outer step.
    pub batch: usize,
    /// How SIREN and classifier are trained together.
    pub mode: Mode,
    /// w_cls: weight of the classification loss's gradient on θ, α and the head.
    pub w_cls: f64,
    /// Share of the target that every class gets, the right one besides: label smoothing.
    #[serde(default)]
    pub label_smoothing: f64,
    /// Peak rate of θ and the head.
    pub rate_siren: f64,
    /// Peak rate of α.
    pub rate_alpha: f64,
    /// Peak rate of the Transformer and β.
    pub rate_classifier: f64,
    /// Share of the steps in which the rates rise.
    pub rise: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Norm to which each group's gradient is clipped.
    pub clip: f64,
    /// Seconds between two checkpoints; there is one at the end of each epoch besides.
    pub checkpoint_seconds: f64,
    /// Images held out that are evaluated at the end of each epoch, to choose the best; the end of the run evaluates all.
    #[serde(default = "epoch_images")]
    pub epoch_images: usize,
    /// What becomes of a step that diverges.
    #[serde(default)]
    pub on_divergence: OnDivergence,
}

/// Settings of earlier versions do not say.
const fn epoch_images() -> usize {
    1000
}

impl Default for TrainSettings {
    /// The paper's recipe but for batch and rates, which suit the small models of this machine class better.
    fn default() -> Self {
        Self {
            seed: 0,
            epochs: 10,
            batch: 32,
            mode: Mode::Mwt,
            w_cls: 0.01,
            label_smoothing: 0.0,
            rate_siren: 1e-3,
            rate_alpha: 1e-2,
            rate_classifier: 1e-3,
            rise: 0.05,
            weight_decay: 1e-4,
            clip: 1.0,
            checkpoint_seconds: 60.0,
            epoch_images: epoch_images(),
            on_divergence: OnDivergence::Stop,
        }
    }
}

impl Settings {
    /// The training images of a run, and those that it holds out: at most a fifth, for a small set must keep enough to
    /// train on.
    pub fn hold_out(&self, train: Split) -> (Split, Split) {
        let n = self.data.held_out.min(train.len() / 5);
        train.hold_out(n, self.train.seed)
    }

    /// Refuses settings that no run could use.
    ///
    /// # Errors
    /// One line naming the setting, its value and its range.
    pub fn check(&self) -> Result<(), String> {
        let table = toml::Table::try_from(self).map_err(|e| e.to_string())?;
        for (name, value) in keys::flatten(&table) {
            keys::find(&name)?.value(value)?;
        }
        self.model.check().map_err(|e| e.to_string())
    }
}
