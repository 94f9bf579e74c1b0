//! From learned values to a bundle.

use mwt_core::bundle::{Facts, Golden, Header};
use mwt_core::grid::InputScaling;
use mwt_core::{Bundle, Error, Schemes};

use crate::weights::Weights;

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

/// The values that a bundle really holds, after quantization: what the trainer has to be asked for golden
/// logits.
///
/// # Errors
/// Whatever the bundle reader refuses.
pub fn stored_weights(bundle: &[u8]) -> Result<Weights, Error> {
    let bundle = Bundle::parse(bundle)?;
    Ok(crate::weights::from_bundle(&bundle))
}
