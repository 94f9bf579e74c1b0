//! From learned values to a bundle, its model card, and its bytes as source text.

mod bundle;
pub mod card;
pub mod embed;
pub mod golden;
pub mod mistakes;

pub use bundle::Export;

use std::sync::Arc;

use mwt_core::bundle::{Golden, SampleType};
use mwt_core::{Bundle, Error, ModelConfig, Schemes};
use ndarray::Array2;

use crate::data::{DataError, Signals, Split};
use crate::evaluate;
use crate::model::{MwtBackend, Params};
use crate::weights::from_bundle;
use crate::weights::trained::TrainedModel;

/// Why a model could not be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The bundle reader would refuse what would be written.
    #[error(transparent)]
    Bundle(#[from] Error),
    /// The images of the golden samples are of another shape than they say.
    #[error(transparent)]
    Examples(#[from] DataError),
    /// The model cannot classify its examples.
    #[error("the examples for golden samples: {0}")]
    Golden(#[from] mwt_infer::Error),
}

/// A model as a bundle, with golden samples: those of its examples that notice mistakes best. Their logits are the
/// trainer's, computed on back end `B` from the values as the bundle stores them.
///
/// # Errors
/// Whatever the bundle reader would refuse, and examples that the model cannot classify.
pub fn with_golden<B: MwtBackend>(
    model: &TrainedModel,
    schemes: Schemes,
    device: &B::Device,
) -> Result<Vec<u8>, ExportError> {
    let TrainedModel { weights, summary, examples } = model;
    let (labels, inputs, facts) = (&summary.labels, &summary.inputs, summary.facts());
    let export = Export { schemes, labels, inputs, golden: &[], facts };
    let bytes = export.bundle(weights)?;
    let Some(examples) = examples.as_ref().filter(|e| !e.is_empty()) else { return Ok(bytes) };
    let stored = from_bundle(&Bundle::parse(&bytes)?);
    let params = Params::<B>::from_weights(&stored, device);
    let signals: Vec<_> = examples.rows().into_iter().map(|row| row.to_vec()).collect();
    let split = split(model, examples)?.select(&golden::choose(&stored, inputs, &signals)?);
    let answers = evaluate::on_backend(&params, &split, split.len(), device)?;
    let golden = answers.logits.chunks_exact(answers.classes).enumerate().map(|(n, logits)| {
        Ok(Golden { signal: split.numbers(n)?.encode(), logits: logits.to_vec() })
    });
    let golden = golden.collect::<Result<Vec<_>, DataError>>()?;
    Ok(Export { golden: &golden, ..export }.bundle(weights)?)
}

/// Examples, `[n, positions·C]`, as a split.
fn split(model: &TrainedModel, examples: &Array2<f32>) -> Result<Split, DataError> {
    let ModelConfig { extents, channels, .. } = model.summary.model;
    let (inputs, labels) = (&model.summary.inputs, vec![0; examples.nrows()]);
    let values: Vec<f32> = examples.iter().copied().collect();
    if inputs.sample == SampleType::U8 {
        let bytes = values.into_iter().map(|v| v as u8).collect();
        return Split::from_bytes(bytes, (extents.side(0), extents.side(1), channels), labels);
    }
    let signals = Signals { extents, channels, values, labels };
    Split::from_signals(signals, Arc::new(inputs.clone()))
}
