//! `mwt-train demo`.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use mwt_core::{Bundle, Scheme, Schemes};
use mwt_infer::workspace_len;

use super::common::CliResult;
use super::progress::Verbosity;
use super::train::{Stopped, train};
use crate::backend::BackendName;
use crate::data::Split;
use crate::evaluate::Conditions;
use crate::model::{MwtBackend, Params};
use crate::ranks::Ranks;
use crate::report::{self, picture};
use crate::run::{Interrupt, Outcome, Run, RunDir};
use crate::settings::{Layers, SettingsError};
use crate::util::durable::{FileError, write};
use crate::weights::trained::TrainedModel;
use crate::{evaluate, export, with_backend};

/// The built-in sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shown {
    /// Images of 28×28, with the preset micro
    Digits,
    /// Series of a motion sensor's three axes, with the preset wrist
    Gestures,
    /// Volumes of 16×16×16, with the preset solid
    Solids,
}

impl Shown {
    /// The source, the preset and the epochs.
    const fn recipe(self) -> (&'static str, &'static str, u64) {
        match self {
            Self::Digits => ("digits", "micro", 6),
            Self::Gestures => ("gestures", "wrist", 32),
            Self::Solids => ("solids", "solid", 10),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// What to train on
    #[arg(long, value_enum, default_value = "digits")]
    data: Shown,
    /// Everything is written here
    #[arg(long, short, default_value = "runs/demo", value_name = "DIR")]
    output: PathBuf,
    /// Passes over the training images, series or volumes [default: 6 for digits, 32 for gestures, 10 for solids]
    #[arg(long)]
    epochs: Option<u64>,
    /// Training images, series or volumes to draw [default: 12000 digits, 6000 gestures, 4000 solids]
    #[arg(long)]
    images: Option<usize>,
    /// Seed of everything random
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=9_000_000_000_000_000_000))]
    seed: u64,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
}

impl Demo {
    pub(super) fn run(&self) -> CliResult {
        self.backend.check()?;
        let start = Instant::now();
        let layers = self.layers()?;
        let data = layers.data()?.load()?;
        let settings = layers.settings(Some(data.shape()))?;
        let test = data.test.clone();
        let (name, preset, ..) = self.data.recipe();
        println!(
            "training `{preset}` on {} built-in {name} for {} epochs",
            data.train.len(),
            settings.train.epochs
        );
        // A demo may be run again: its last run makes way.
        if RunDir::holds_a_run(&self.output) {
            std::fs::remove_dir_all(&self.output).map_err(FileError::at(&self.output))?;
        }
        let run = Run::with_data(&Ranks::alone(), &self.output, settings, data)?;
        let interrupt = Interrupt::on_signals();
        if train(&Ranks::alone(), run, self.backend, Verbosity::default(), &interrupt)?
            == Outcome::Stopped
        {
            println!("stopped before the end");
            return Err(Stopped::by(&interrupt).into());
        }
        println!("trained in {:.0} s", start.elapsed().as_secs_f64());
        with_backend!(self.backend, B, device => {
            type Inner = <B as burn::tensor::backend::AutodiffBackend>::InnerBackend;
            self.table::<Inner>(&test, &device)
        })
    }

    fn layers(&self) -> Result<Layers, SettingsError> {
        let (source, preset, epochs) = self.data.recipe();
        let mut layers = Layers::default();
        layers.preset(preset)?;
        layers.set("data.source", source)?;
        // The test images say how the model does, and nothing is chosen: no validation images.
        layers.set("data.validation", 0)?;
        if let Some(images) = self.images {
            layers.set(&format!("data.{source}"), images as i64)?;
        }
        layers.set("train.seed", self.seed as i64)?;
        layers.set("train.epochs", self.epochs.unwrap_or(epochs) as i64)?;
        // For so short a run: a classifier that shapes the SIREN more, and larger learning rates.
        layers.set("train.w_cls", 0.1)?;
        layers.set("train.lr_siren", 3e-3)?;
        layers.set("train.lr_classifier", 3e-3)?;
        Ok(layers)
    }

    /// Exports two bundles and prints how each does on the test images.
    fn table<B: MwtBackend>(&self, test: &Split, device: &B::Device) -> CliResult {
        let model = TrainedModel::load(&self.output)?;
        let params = Params::<B>::from_weights(&model.weights, device);
        let evaluation = evaluate::on_backend(&params, test, 50, device)?;
        println!();
        let (name, ..) = self.data.recipe();
        let tested = format!("{} test {name}", test.len());
        println!("{tested:<24} accuracy     PSNR      bundle");
        println!(
            "float, through burn      {:6.2} %  {:5.2} dB",
            100.0 * evaluation.accuracy(),
            evaluation.mean_psnr()
        );
        for scheme in [Scheme::F32, Scheme::Int8] {
            let bytes = export::with_golden::<B>(&model, Schemes::all(scheme), device)?;
            let path = self.output.join(format!("{name}-{}.mwt", scheme.name()));
            write(&path, &bytes)?;
            let bundle = Bundle::parse(&bytes)?;
            let evaluation = evaluate::on_bundle(&bundle, test, Conditions::default())?;
            println!(
                "{:4} bundle, mwt-infer   {:6.2} %  {:5.2} dB  {:8} bytes  {}",
                scheme.name(),
                100.0 * evaluation.accuracy(),
                evaluation.mean_psnr(),
                bytes.len(),
                path.display()
            );
            if scheme == Scheme::Int8 {
                println!();
                println!("workspace: {} bytes of RAM", 4 * workspace_len(bundle.config()));
                self.draw(&bundle, &test.clone().take(8), &model.summary.labels)?;
            }
        }
        Ok(())
    }

    fn draw(&self, bundle: &Bundle<'_>, shown: &Split, labels: &[String]) -> CliResult {
        let (file, what, drawn) = if shown.has_pictures() {
            let images = shown.to_array()?;
            let images: Vec<_> = images.outer_iter().collect();
            let drawn = picture::steps(bundle, &images, 3)?;
            ("steps.png", "originals beside the fit after each step", Some(drawn))
        } else {
            let drawn = report::fits(bundle, shown, labels, 5)?;
            ("fits.png", "signals and their fits", drawn)
        };
        if let Some(drawn) = drawn {
            let path = self.output.join(file);
            picture::save(&drawn, &path)?;
            println!("{what}: {}", path.display());
        }
        Ok(())
    }
}
