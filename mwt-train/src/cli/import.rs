//! `mwt-train import`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use mwt_core::{Draw, Extents, ModelConfig};

use super::common::{self, CliResult};
use super::quant::QuantArgs;
use super::recipe::PresetName;
use super::view;
use crate::data::{self, Inputs};
use crate::export::Export;
use crate::util::durable::write;
use crate::weights::trained::{Summary, TrainedModel};
use crate::weights::{Weights, exchange};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DrawName {
    /// The paper's: fresh pixels for each step and image
    Random,
    /// One fixed shuffled partition of the pixels over the steps, the same for every image
    Partition,
}

#[derive(Debug, Args)]
pub(super) struct Import {
    /// A reference checkpoint (as PyTorch saves it, read as data and never executed), or the same tensors as safetensors; by
    /// itself or wrapped, as by Lightning, DataParallel or torch.compile
    #[arg(value_name = "REF.pt")]
    checkpoint: PathBuf,
    /// What to write: a bundle (.mwt), or a run's model (.safetensors)
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,
    /// What the shapes do not tell: image size, ω, λ and pixels per step
    #[arg(long, value_enum, default_value = "base")]
    preset: PresetName,
    /// Size of the images that the model is for [default: the preset's]
    #[arg(long, value_name = "HxW", value_parser = common::parse_size)]
    image_size: Option<(usize, usize)>,
    /// ω, the frequency of the first sine layer [default: the preset's]
    #[arg(long)]
    omega: Option<f32>,
    /// λ, the scale of the tokens [default: the preset's]
    #[arg(long)]
    lambda: Option<f32>,
    /// P, pixels that each inner step looks at [default: the preset's share of the image]
    #[arg(long, value_name = "P")]
    pixels_per_step: Option<usize>,
    /// k, when one α serves all steps [default: one step for each α]
    #[arg(long, value_name = "K")]
    shared_alpha_steps: Option<usize>,
    /// Which pixels each inner step looks at
    #[arg(long, value_enum, default_value = "random")]
    draw: DrawName,
    /// Class labels: a file with one a line, or separated by commas [default: numbers]
    #[arg(long, value_name = "FILE")]
    labels: Option<String>,
    #[command(flatten)]
    quant: QuantArgs,
}

impl Import {
    pub(super) fn run(&self) -> CliResult {
        view::require_other(&self.output, &[&self.checkpoint])?;
        let to_model =
            self.output.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors"));
        if let Some(flag) = self.quant.given().filter(|_| to_model) {
            return Err(format!(
                "{flag} has no effect: a model is stored in f32, a bundle (.mwt) may be smaller"
            )
            .into());
        }
        if !to_model && !self.output.extension().is_none_or(|e| e.eq_ignore_ascii_case("mwt")) {
            return Err(format!(
                "{}: give it the ending .mwt for a bundle, or .safetensors for a model",
                self.output.display()
            )
            .into());
        }
        let arrays = exchange::read_wrapped(&self.checkpoint)?;
        let named = |e: &dyn std::fmt::Display| format!("{}: {e}", self.checkpoint.display());
        let mut defaults = self.preset.config();
        if let Some(steps) = self.shared_alpha_steps {
            (defaults.shared_alpha, defaults.inner_steps) = (true, steps);
        }
        let mut config = exchange::infer_config(&arrays, defaults).map_err(|e| named(&e))?;
        if let Some((height, width)) = self.image_size {
            config = config.with_extents(Extents::image(height, width), config.channels);
        }
        let config = ModelConfig {
            omega: self.omega.unwrap_or(config.omega),
            lambda: self.lambda.unwrap_or(config.lambda),
            pixels_per_step: self.pixels_per_step.unwrap_or(config.pixels_per_step),
            draw: match self.draw {
                DrawName::Random => Draw::random(0),
                DrawName::Partition => Draw::partition(0),
            },
            ..config
        };
        config.check().map_err(|e| named(&e))?;
        let weights = Weights::new(config, arrays).map_err(|e| named(&e))?;
        let numbers: Vec<String> = (0..config.classes).map(|n| n.to_string()).collect();
        let labels = match &self.labels {
            Some(given) => data::label_names(given, &numbers)?,
            None => numbers,
        };
        let summary = Summary {
            model: config,
            labels,
            data_set: String::new(),
            seed: 0,
            outer_steps: 0,
            accuracy: None,
            psnr: None,
            inputs: Inputs::default(),
            precision: None,
        };
        if to_model {
            TrainedModel { weights, summary, examples: None }.save(&self.output)?;
        } else {
            let export = Export {
                schemes: self.quant.schemes(),
                labels: &summary.labels,
                inputs: &summary.inputs,
                facts: summary.facts(),
                golden: &[],
            };
            write(&self.output, &export.bundle(&weights).map_err(|e| named(&e))?)?;
        }
        println!("{}: {}", self.output.display(), super::inspect::sizes(&config));
        Ok(())
    }
}
