//! `mwt-train demo`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use mwt_core::{Bundle, Draw, ModelConfig, Scheme, Schemes};
use mwt_infer::workspace_len;

use super::progress::Tell;
use super::train::train;
use crate::augment::AugmentSettings;
use crate::backend::BackendName;
use crate::data::Split;
use crate::model::TrainBackend;
use crate::run_dir::RunDir;
use crate::settings::{DataSettings, Settings, TrainSettings};
use crate::trainer::Trainer;
use crate::{evaluate, export, picture, run_dir, with_backend};

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
    pub(super) fn run(&self) -> Result<(), String> {
        self.backend.check()?;
        with_backend!(self.backend, B, device => self.run_on::<B>(&device))
    }

    fn run_on<B: TrainBackend>(&self, device: &B::Device) -> Result<(), String> {
        let start = Instant::now();
        let data = DataSettings {
            source: "digits".into(),
            held_out: 0,
            limit: None,
            image_size: None,
            memory_gib: DataSettings::MEMORY_GIB,
            digits: self.images,
        };
        let set = data.load().map_err(|e| e.to_string())?;
        let test = set.test.clone();
        println!(
            "training `micro` on {} built-in digits for {} epochs",
            set.train.len(),
            self.epochs
        );
        let settings = Settings {
            data,
            train: TrainSettings {
                seed: self.seed,
                epochs: self.epochs,
                // For so short a run: a classifier that shapes the SIREN more, and larger rates.
                w_cls: 0.1,
                rate_siren: 3e-3,
                rate_classifier: 3e-3,
                ..TrainSettings::default()
            },
            augment: AugmentSettings::default(),
            model: ModelConfig { draw: Draw::partition(self.seed as u32), ..ModelConfig::MICRO },
        };
        settings.check()?;
        // A demo may be run again: its last run makes way.
        if self.output.join("metrics.csv").exists() {
            std::fs::remove_dir_all(&self.output)
                .map_err(|e| format!("{}: {e}", self.output.display()))?;
        }
        let run = RunDir::create(&self.output, &settings)?;
        let trainer = Trainer::<B>::new(&settings, device);
        if train(trainer, &settings, set, &run, device, Tell::default())?.is_none() {
            return Err("stopped before the end".into());
        }
        println!("trained in {:.0} s", start.elapsed().as_secs_f64());
        self.report::<B>(&test, device)
    }

    /// Exports both bundles and tells how each does on images that the training has not seen.
    fn report<B: TrainBackend>(&self, test: &Split, device: &B::Device) -> Result<(), String> {
        let mut model = run_dir::load_model(&self.output)?;
        let evaluation = {
            let params =
                crate::model::Params::<B::InnerBackend>::from_weights(&model.weights, device);
            evaluate::on_backend(&params, test, 50, device).map_err(|e| e.to_string())?
        };
        model.summary.accuracy = Some(evaluation.accuracy());
        model.summary.psnr = Some(evaluation.mean_psnr());
        println!();
        println!("{} held-out digits      accuracy     PSNR      bundle", test.len());
        println!(
            "float, through burn      {:6.2} %  {:5.2} dB",
            100.0 * evaluation.accuracy(),
            evaluation.mean_psnr()
        );
        for scheme in [Scheme::F32, Scheme::Int8] {
            let bytes =
                export::with_golden::<B::InnerBackend>(&model, Schemes::all(scheme), device)?;
            let path = self.output.join(format!("digits-{}.mwt", scheme.name()));
            run_dir::write(&path, &bytes)?;
            let bundle = Bundle::parse(&bytes).map_err(|e| e.to_string())?;
            let evaluation = evaluate::on_bundle(&bundle, test).map_err(|e| e.to_string())?;
            println!(
                "{:4} bundle, mwt-infer   {:6.2} %  {:5.2} dB  {:8} bytes  {}",
                scheme.name(),
                100.0 * evaluation.accuracy(),
                evaluation.mean_psnr(),
                bytes.len(),
                path.display()
            );
            if scheme == Scheme::Int8 {
                let images = test.clone().take(8).to_array().map_err(|e| e.to_string())?;
                let images: Vec<_> = images.outer_iter().collect();
                let picture = picture::steps(&bundle, &images, 3).map_err(|e| e.to_string())?;
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
