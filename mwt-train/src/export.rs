//! From learned values to a bundle.

use mwt_core::bundle::{Facts, Golden, Header};
use mwt_core::grid::InputScaling;
use mwt_core::{Bundle, Error, Schemes};

use crate::data::Split;
use crate::evaluate;
use crate::model::{MwtBackend, Params};
use crate::run_dir::Model;
use crate::weights::{Weights, from_bundle};

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
            input: InputScaling::SYMMETRIC,
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
/// One line: whatever the bundle reader would refuse.
pub fn with_golden<B: MwtBackend>(
    model: &Model,
    schemes: Schemes,
    device: &B::Device,
) -> Result<Vec<u8>, String> {
    let Model { weights, summary, examples } = model;
    let export = Export { schemes, labels: &summary.labels, golden: &[], facts: summary.facts() };
    let bytes = export.bundle(weights).map_err(|e| e.to_string())?;
    let Some(images) = examples.as_ref().filter(|e| !e.is_empty()) else { return Ok(bytes) };
    let stored = from_bundle(&Bundle::parse(&bytes).map_err(|e| e.to_string())?);
    let (n, height, width, channels) = images.dim();
    let pixels = images.iter().copied().collect();
    let split = Split::from_bytes(pixels, (height, width, channels), vec![0; n]);
    let split = split.map_err(|e| e.to_string())?;
    let params = Params::<B>::from_weights(&stored, device);
    let answers = evaluate::on_backend(&params, &split, n, device).map_err(|e| e.to_string())?;
    let golden: Vec<Golden> = images
        .outer_iter()
        .zip(answers.logits.chunks_exact(answers.classes))
        .map(|(image, logits)| Golden {
            image: image.iter().copied().collect(),
            logits: logits.to_vec(),
        })
        .collect();
    Export { golden: &golden, ..export }.bundle(weights).map_err(|e| e.to_string())
}
