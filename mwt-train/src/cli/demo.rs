//! `mwt-train demo`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use mwt_core::{Bundle, Draw, ModelConfig, Scheme, Schemes};
use mwt_infer::workspace_len;

use super::common::CliResult;
use super::progress::Verbosity;
use super::train::train;
use crate::backend::BackendName;
use crate::data::Split;
use crate::evaluate::Conditions;
use crate::model::{MwtBackend, Params};
use crate::report::picture;
use crate::run::{Outcome, Run, RunDir};
use crate::settings::{DataSettings, Settings, TrainSettings};
use crate::util::durable::{FileError, write};
use crate::weights::trained::TrainedModel;
use crate::{evaluate, export, with_backend};

#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Everything is written here
    #[arg(long, short, default_value = "runs/demo", value_name = "DIR")]
    output: PathBuf,
    /// Passes over the training images
    #[arg(long, default_value_t = 6)]
    epochs: u64,
    /// Training images to draw
    #[arg(long, default_value_t = 12_000)]
    images: usize,
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
}

impl Demo {
    pub(super) fn run(&self) -> CliResult {
        self.backend.check()?;
        let start = Instant::now();
        let settings = self.settings();
        let data = settings.data.load()?;
        let test = data.test.clone();
        println!(
            "training `micro` on {} built-in digits for {} epochs",
            data.train.len(),
            self.epochs
        );
        // A demo may be run again: its last run makes way.
        if RunDir::holds_a_run(&self.output) {
            std::fs::remove_dir_all(&self.output).map_err(FileError::at(&self.output))?;
        }
        let run = Run::with_data(&self.output, settings, data)?;
        if train(run, self.backend, Verbosity::default())? == Outcome::Stopped {
            return Err("stopped before the end".into());
        }
        println!("trained in {:.0} s", start.elapsed().as_secs_f64());
        with_backend!(self.backend, B, device => {
            type Inner = <B as burn::tensor::backend::AutodiffBackend>::InnerBackend;
            self.table::<Inner>(&test, &device)
        })
    }

    fn settings(&self) -> Settings {
        let model = ModelConfig { draw: Draw::partition(self.seed as u32), ..ModelConfig::MICRO };
        Settings {
            // The test images say how the model does, and nothing is chosen: no validation images.
            data: DataSettings {
                source: "digits".into(),
                validation: 0,
                digits: self.images,
                ..DataSettings::default()
            },
            train: TrainSettings {
                seed: self.seed,
                epochs: self.epochs,
                // For so short a run: a classifier that shapes the SIREN more, and larger learning rates.
                w_cls: 0.1,
                lr_siren: 3e-3,
                lr_classifier: 3e-3,
                ..TrainSettings::default()
            },
            ..Settings::of(model)
        }
    }

    /// Exports two bundles and prints how each does on the test images.
    fn table<B: MwtBackend>(&self, test: &Split, device: &B::Device) -> CliResult {
        let model = TrainedModel::load(&self.output)?;
        let params = Params::<B>::from_weights(&model.weights, device);
        let evaluation = evaluate::on_backend(&params, test, 50, device)?;
        println!();
        println!("{} test digits          accuracy     PSNR      bundle", test.len());
        println!(
            "float, through burn      {:6.2} %  {:5.2} dB",
            100.0 * evaluation.accuracy(),
            evaluation.mean_psnr()
        );
        for scheme in [Scheme::F32, Scheme::Int8] {
            let bytes = export::with_golden::<B>(&model, Schemes::all(scheme), device)?;
            let path = self.output.join(format!("digits-{}.mwt", scheme.name()));
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
                let images = test.clone().take(8).to_array()?;
                let images: Vec<_> = images.outer_iter().collect();
                let picture = picture::steps(&bundle, &images, 3)?;
                let path = self.output.join("steps.png");
                picture::save(&picture, &path)?;
                println!();
                println!("workspace: {} bytes of RAM", 4 * workspace_len(bundle.config()));
                println!("originals beside the fit after each step: {}", path.display());
            }
        }
        Ok(())
    }
}
