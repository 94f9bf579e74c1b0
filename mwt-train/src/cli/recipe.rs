//! What a run may be told: flags for the most common settings, a file, and `--set` for all of them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mwt_core::ModelConfig;
use toml::Value;

use crate::layers::Layers;
use crate::settings::{Mode, OnDivergence};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(super) enum PresetName {
    /// For tests: D 16, L 2, k 3, B 2
    Nano,
    /// For microcontrollers: D 32, L 2, k 4, B 4
    Micro,
    /// For large microcontrollers: D 64, L 2, k 4, B 6
    Small,
    /// The paper's MWT: D 128, L 4, k 6, B 10
    Base,
    /// The paper's MWT-W: base with an MLP four times as wide
    Wide,
    /// The paper's MWT-L: base with D 256
    Large,
}

impl PresetName {
    pub(super) const fn config(self) -> ModelConfig {
        match self {
            Self::Nano => ModelConfig::NANO,
            Self::Micro => ModelConfig::MICRO,
            Self::Small => ModelConfig::SMALL,
            Self::Base => ModelConfig::BASE,
            Self::Wide => ModelConfig::WIDE,
            Self::Large => ModelConfig::LARGE,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DrawName {
    /// The paper's: fresh pixels for each step and image
    Random,
    /// One fixed shuffled partition of the pixels over the steps, the same for every image
    Partition,
}

/// Settings: a preset, changed by a file, then by flags, then by --set. `mwt-train config list` shows all of them.
#[derive(Debug, Args)]
pub(super) struct Recipe {
    /// `digits` (built in), or a directory: MNIST-style idx files, CIFAR-10 binary batches, or an image folder
    /// with train/<class>/ and test/ or val/
    #[arg(long)]
    data: Option<String>,
    /// Sizes of the model [default: micro]
    #[arg(long, value_enum)]
    preset: Option<PresetName>,
    /// Settings from a TOML file: any part of a run's settings.toml
    #[arg(long, value_name = "FILE.toml")]
    config: Option<PathBuf>,
    /// Change a setting, as train.epochs=20; may be given more than once, the last one wins
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Bring the images of a folder to this size [default: their own]
    #[arg(long, value_name = "HxW", value_parser = super::parse_size)]
    image_size: Option<(usize, usize)>,
    /// GiB that the decoded images of a folder may take in memory; when they would take more, each is decoded as it
    /// is used [default: 8]
    #[arg(long)]
    memory_gib: Option<f64>,
    /// Seed of everything random [default: 0]
    #[arg(long)]
    seed: Option<u64>,
    /// Passes over the training images [default: 10]
    #[arg(long)]
    epochs: Option<u64>,
    /// N: images an outer step [default: 32]
    #[arg(long)]
    batch: Option<usize>,
    /// How SIREN and classifier are trained together [default: mwt]
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Weight of the classification loss's gradient on θ, α and the head [default: 0.01]
    #[arg(long)]
    w_cls: Option<f64>,
    /// Share of the target that is spread over all classes evenly [default: 0]
    #[arg(long)]
    label_smoothing: Option<f64>,
    /// Peak rate of θ and the head [default: 0.001]
    #[arg(long)]
    rate_siren: Option<f64>,
    /// Peak rate of α [default: 0.01]
    #[arg(long)]
    rate_alpha: Option<f64>,
    /// Peak rate of the Transformer and β [default: 0.001]
    #[arg(long)]
    rate_classifier: Option<f64>,
    /// Which pixels each inner step looks at [default: partition]
    #[arg(long, value_enum)]
    draw: Option<DrawName>,
    /// s: share of the pixels that each inner step looks at [default: the preset's]
    #[arg(long)]
    sampling: Option<f64>,
    /// Training images held out; the run reports its accuracy on them [default: 5000]
    #[arg(long)]
    held_out: Option<usize>,
    /// Shift training images at random by up to so many pixels, reflected at the border [default: 0]
    #[arg(long)]
    pad: Option<usize>,
    /// Mirror half of the training images left to right
    #[arg(long)]
    flip: bool,
    /// Turn training images at random by up to so many degrees [default: 0]
    #[arg(long)]
    rotate: Option<f64>,
    /// Crop training images at random to no less than this share of their area [default: 1]
    #[arg(long)]
    crop: Option<f64>,
    /// The most images of each split
    #[arg(long)]
    limit: Option<usize>,
    /// Seconds between two checkpoints; there is one at the end of each epoch besides [default: 60]
    #[arg(long)]
    checkpoint_seconds: Option<f64>,
    /// What becomes of an outer step whose losses or gradients are not finite [default: stop]
    #[arg(long, value_enum)]
    on_divergence: Option<OnDivergence>,
}

impl Recipe {
    /// All that was said, in its order.
    pub(super) fn layers(&self) -> Result<Layers, String> {
        fn word<T: ValueEnum>(value: Option<T>) -> Option<Value> {
            let name = value?.to_possible_value()?.get_name().to_owned();
            Some(Value::String(name))
        }
        fn integer(value: Option<impl TryInto<i64>>) -> Option<Value> {
            // More than an i64 holds is out of every range.
            value.map(|n| Value::Integer(n.try_into().unwrap_or(i64::MAX)))
        }
        fn number(value: Option<f64>) -> Option<Value> {
            value.map(Value::Float)
        }
        let size = self.image_size.map(|(height, width)| {
            Value::Array(vec![Value::Integer(height as i64), Value::Integer(width as i64)])
        });
        let flags = [
            ("data.source", self.data.clone().map(Value::String)),
            ("data.image_size", size),
            ("data.memory_gib", number(self.memory_gib)),
            ("data.held_out", integer(self.held_out)),
            ("data.limit", integer(self.limit)),
            ("train.seed", integer(self.seed)),
            ("train.epochs", integer(self.epochs)),
            ("train.batch", integer(self.batch)),
            ("train.mode", word(self.mode)),
            ("train.w_cls", number(self.w_cls)),
            ("train.label_smoothing", number(self.label_smoothing)),
            ("train.rate_siren", number(self.rate_siren)),
            ("train.rate_alpha", number(self.rate_alpha)),
            ("train.rate_classifier", number(self.rate_classifier)),
            ("train.checkpoint_seconds", number(self.checkpoint_seconds)),
            ("train.on_divergence", word(self.on_divergence)),
            ("augment.pad", integer(self.pad)),
            ("augment.flip", self.flip.then_some(Value::Boolean(true))),
            ("augment.rotate", number(self.rotate)),
            ("augment.crop", number(self.crop)),
            ("model.draw.kind", word(self.draw)),
            ("model.sampling", number(self.sampling)),
        ];
        let mut layers = Layers::default();
        if let Some(Value::String(name)) = word(self.preset) {
            layers.preset(&name)?;
        }
        if let Some(file) = &self.config {
            layers.file(file)?;
        }
        for (key, value) in flags {
            if let Some(value) = value {
                layers.set(key, value)?;
            }
        }
        for assignment in &self.set {
            layers.assign(assignment)?;
        }
        Ok(layers)
    }
}
