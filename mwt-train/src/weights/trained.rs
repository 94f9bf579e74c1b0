//! A trained model as a file: its learned values, what its run found out, and images for a bundle's self-test.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use mwt_core::bundle::Facts;
use mwt_core::{ConfigError, ModelConfig};
use ndarray::Array2;
use safetensors::SafeTensorError;
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

use super::arrays::{Array, Weights, WeightsError};
use super::exchange::{self, ExchangeError};
use crate::data::Inputs;
use crate::settings::Precision;
use crate::util::durable::{self, FileError};

/// Name of a run's trained model in its directory.
pub const FILE: &str = "model.safetensors";
/// Key of the summary in the metadata of the file.
const SUMMARY: &str = "mwt";
/// Name of the tensor with the images for the self-test.
const EXAMPLES: &str = "mwt.examples";

/// What a run found out, kept beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Sizes and constants of the model.
    pub model: ModelConfig,
    /// K class labels.
    pub labels: Vec<String>,
    /// Name of the data set.
    pub data_set: String,
    /// Seed of the run.
    pub seed: u64,
    /// Outer steps taken.
    pub outer_steps: u64,
    /// Accuracy on the validation images, before quantization.
    pub accuracy: Option<f32>,
    /// Mean PSNR of the validation images in dB, before quantization.
    pub psnr: Option<f32>,
    /// What the numbers of a signal are; those of pictures where the file does not say.
    #[serde(default)]
    pub inputs: Inputs,
    /// Precision of the Transformer's products while it trained; absent where that is not known.
    #[serde(default)]
    pub precision: Option<Precision>,
}

impl Summary {
    /// The facts of a bundle.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            data_set: &self.data_set,
            producer: concat!("mwt-train ", env!("CARGO_PKG_VERSION")),
            seed: self.seed,
            outer_steps: self.outer_steps,
            accuracy: self.accuracy,
            psnr: self.psnr,
        }
    }
}

/// A trained model: its values and what is known of it.
#[derive(Clone, Debug)]
pub struct TrainedModel {
    /// The learned values.
    pub weights: Weights,
    /// What the run found out.
    pub summary: Summary,
    /// Signals for the self-test of a bundle, `[n, positions·C]`: their numbers as the data set has them.
    pub examples: Option<Array2<f32>>,
}

/// Why a trained model could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum TrainedModelError {
    /// Reading or writing the file failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The tensors of the file cannot be read.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The file is no safetensors file.
    #[error("{}: not a safetensors file ({source})", path.display())]
    Format {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: SafeTensorError,
    },
    /// The file does not say which model its tensors are of, as those of other programs do not.
    #[error("{}: has no model configuration", path.display())]
    NoSummary {
        /// Which file.
        path: PathBuf,
    },
    /// What the file says of the model cannot be understood.
    #[error("{}: {source}", path.display())]
    Summary {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The model is outside its limits.
    #[error("{}: {source}", path.display())]
    Config {
        /// Which file.
        path: PathBuf,
        /// Which limit.
        source: ConfigError,
    },
    /// The tensors are not those of the model.
    #[error("{}: {source}", path.display())]
    Weights {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: WeightsError,
    },
}

impl TrainedModel {
    /// Writes the model as safetensors under the reference's tensor names, whole or not at all.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TrainedModelError> {
        let json = serde_json::to_string(&self.summary)
            .map_err(|source| TrainedModelError::Summary { path: path.to_owned(), source })?;
        let mut arrays = self.weights.arrays().clone();
        if let Some(examples) = &self.examples {
            let values = examples.iter().copied().collect();
            arrays.insert(EXAMPLES.into(), Array { shape: examples.shape().to_vec(), values });
        }
        let bytes = exchange::to_safetensors(&arrays, vec![(SUMMARY.into(), json)])
            .map_err(|source| TrainedModelError::Format { path: path.to_owned(), source })?;
        Ok(durable::write(path, &bytes)?)
    }

    /// Reads what [`save`](Self::save) wrote; `path` is the file, or the directory of the run that left it.
    ///
    /// # Errors
    /// A file that cannot be read, is of another program, or lacks a tensor.
    pub fn load(path: &Path) -> Result<Self, TrainedModelError> {
        let file = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
        let path = || file.clone();
        let bytes = fs::read(&file).map_err(FileError::at(&file))?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes)
            .map_err(|source| TrainedModelError::Format { path: path(), source })?;
        let facts: HashMap<String, String> = metadata.metadata().clone().unwrap_or_default();
        let json =
            facts.get(SUMMARY).ok_or_else(|| TrainedModelError::NoSummary { path: path() })?;
        let summary: Summary = serde_json::from_str(json)
            .map_err(|source| TrainedModelError::Summary { path: path(), source })?;
        summary
            .model
            .check()
            .map_err(|source| TrainedModelError::Config { path: path(), source })?;
        let mut arrays = exchange::read(&file)?;
        let examples = arrays.remove(EXAMPLES).and_then(|a| {
            // Earlier versions have [n, H, W, C].
            let (n, rest) = a.shape.split_first()?;
            Array2::from_shape_vec((*n, rest.iter().product()), a.values).ok()
        });
        let weights = Weights::new(summary.model, arrays)
            .map_err(|source| TrainedModelError::Weights { path: path(), source })?;
        Ok(Self { weights, summary, examples })
    }
}
