//! From learned values to a bundle, its model card, and its bytes as source text.

pub mod card;
pub mod embed;

use mwt_core::bundle::{Facts, Golden, Header, Input};
use mwt_core::{Bundle, Error, Schemes};

use crate::data::{DataError, Split};
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
}

/// What a bundle says besides its weights.
#[derive(Clone, Debug, Default)]
pub struct Export<'a> {
    /// Storage of the tensors.
    pub schemes: Schemes,
    /// K class labels; numbers when empty.
    pub labels: &'a [String],
    /// Golden samples.
    pub golden: &'a [Golden],
    /// Where the model comes from.
    pub facts: Facts<'a>,
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
        let header = Header {
            config,
            schemes: self.schemes,
            input: Input::PICTURE,
            labels: &labels,
            golden_samples: 0,
            facts: self.facts,
        };
        mwt_core::bundle::write(&header, self.golden, |tensor| weights.bundle_tensor(tensor))
    }
}

/// A model as a bundle, with the golden samples that its examples make: their logits are the trainer's, computed
/// on back end `B` from the values as the bundle stores them.
///
/// # Errors
/// Whatever the bundle reader would refuse.
pub fn with_golden<B: MwtBackend>(
    model: &TrainedModel,
    schemes: Schemes,
    device: &B::Device,
) -> Result<Vec<u8>, ExportError> {
    let TrainedModel { weights, summary, examples } = model;
    let export = Export { schemes, labels: &summary.labels, golden: &[], facts: summary.facts() };
    let bytes = export.bundle(weights)?;
    let Some(images) = examples.as_ref().filter(|e| !e.is_empty()) else { return Ok(bytes) };
    let stored = from_bundle(&Bundle::parse(&bytes)?);
    let (n, height, width, channels) = images.dim();
    let pixels = images.iter().copied().collect();
    let split = Split::from_bytes(pixels, (height, width, channels), vec![0; n])?;
    let params = Params::<B>::from_weights(&stored, device);
    let answers = evaluate::on_backend(&params, &split, n, device)?;
    let golden: Vec<Golden> = images
        .outer_iter()
        .zip(answers.logits.chunks_exact(answers.classes))
        .map(|(image, logits)| Golden {
            signal: image.iter().copied().collect(),
            logits: logits.to_vec(),
        })
        .collect();
    Ok(Export { golden: &golden, ..export }.bundle(weights)?)
}
