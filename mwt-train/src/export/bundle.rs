//! The bytes of a bundle from learned values and what is said of them.

use std::sync::LazyLock;

use mwt_core::bundle::{Facts, Golden, Header, Input};
use mwt_core::{Error, Schemes};

use crate::data::Inputs;
use crate::weights::Weights;

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
