//! From learned values to a bundle, its model card, and its bytes as source text.

pub mod card;
pub mod embed;
pub mod golden;
pub mod mistakes;

use mwt_core::bundle::{Facts, Golden, Header, Input, SampleType};
use std::sync::{Arc, LazyLock};

use mwt_core::{Bundle, Error, ModelConfig, Schemes};
use ndarray::Array2;

use crate::data::{DataError, Inputs, Signals, Split};
use crate::evaluate;
use crate::model::{MwtBackend, Params};
use crate::weights::trained::TrainedModel;
use crate::weights::{Weights, from_bundle};

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

/// What a bundle says besides its weights.
#[derive(Clone, Debug)]
pub struct Export<'a> {
    /// Storage of the tensors.
    pub schemes: Schemes,
    /// K class labels; numbers when empty.
    pub labels: &'a [String],
    /// What the numbers of a signal are.
    pub inputs: &'a Inputs,
    /// Golden samples.
    pub golden: &'a [Golden],
    /// Where the model comes from.
    pub facts: Facts<'a>,
}

/// Pictures, whatever they are of.
static PICTURES: LazyLock<Inputs> = LazyLock::new(Inputs::default);

impl Default for Export<'_> {
    /// Of pictures, in int8, with numbers for labels and nothing else.
    fn default() -> Self {
        Self {
            schemes: Schemes::default(),
            labels: &[],
            inputs: &PICTURES,
            golden: &[],
            facts: Facts::default(),
        }
    }
}

impl Export<'_> {
    /// The bytes of the bundle.
    ///
    /// # Errors
    /// Whatever the bundle reader would refuse: a value that is not finite, a configuration outside its limits.
    pub fn bundle(&self, weights: &Weights) -> Result<Vec<u8>, Error> {
        let config = *weights.config();
        let labels = if self.labels.is_empty() {
            (0..config.classes).map(|n| n.to_string()).collect::<Vec<_>>().join("\n")
        } else {
            // A line feed separates labels, so a label cannot hold one.
            self.labels.iter().map(|l| l.replace('\n', " ")).collect::<Vec<_>>().join("\n")
        };
        let scalings = self.inputs.encode();
        let header = Header {
            config,
            schemes: self.schemes,
            input: Input::new(self.inputs.sample, &scalings),
            labels: &labels,
            golden_samples: 0,
            facts: self.facts,
        };
        mwt_core::bundle::write(&header, self.golden, |tensor| weights.bundle_tensor(tensor))
    }
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
