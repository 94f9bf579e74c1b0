//! What a bundle says about itself.

use serde::{Deserialize, Serialize};

use crate::config::ModelConfig;
use crate::error::Error;
use crate::grid::InputScaling;
use crate::quant::Schemes;

/// The header of a bundle, encoded by postcard 1.x in this order of fields.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header<'a> {
    /// Sizes and constants of the model.
    pub config: ModelConfig,
    /// Storage of the tensors.
    pub schemes: Schemes,
    /// How bytes of an image become values.
    pub input: InputScaling,
    /// K class labels, separated by line feeds.
    pub labels: &'a str,
    /// Golden samples in the file.
    pub golden_samples: u8,
    /// Where the model comes from.
    #[serde(borrow)]
    pub facts: Facts<'a>,
}

/// Where a model comes from and what it was measured to do. For people: inference reads none of it.
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct Facts<'a> {
    /// Name of the data set.
    pub data_set: &'a str,
    /// The program that wrote the file, with its version.
    pub producer: &'a str,
    /// Seed of the training run.
    pub seed: u64,
    /// Outer steps taken.
    pub outer_steps: u64,
    /// Share of held-out images that the trainer classified right before quantization.
    pub accuracy: Option<f32>,
    /// PSNR of the same images after k steps, in dB, before quantization.
    pub psnr: Option<f32>,
}

impl<'a> Header<'a> {
    /// The class labels in order.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.labels.split('\n')
    }

    /// The label of a class; empty when there is no such class.
    pub fn label(&self, class: usize) -> &'a str {
        self.labels().nth(class).unwrap_or_default()
    }

    /// Bytes of one golden sample: an image, then its logits.
    pub(crate) fn golden_bytes(&self) -> u64 {
        let config = &self.config;
        config.image.pixels() as u64 * config.channels as u64 + 4 * config.classes as u64
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.config.check()?;
        // Counted in bytes: the search of `str::split` has a panic that the compiler cannot rule out.
        let separators = self.labels.bytes().filter(|byte| *byte == b'\n').count();
        if separators + 1 != self.config.classes {
            return Err(Error::Labels);
        }
        let InputScaling { scale, offset } = self.input;
        if !(scale.is_finite() && scale > 0.0 && offset.is_finite()) {
            return Err(Error::InputScaling);
        }
        Ok(())
    }
}
