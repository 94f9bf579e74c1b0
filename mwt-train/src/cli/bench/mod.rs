//! `mwt-train bench`: training by default, inference with `--bundle`.

mod growth;

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, ValueEnum};
use mwt_core::ModelConfig;
use mwt_infer::{Arithmetic, Classifier, Isa, Signal, WorkspaceBuf};
use ndarray::Array4;

use growth::Sizes;

use super::common::{self, CliResult};
use super::recipe::PresetName;
use crate::backend::BackendName;
use crate::model::params::{Params, host, initial};
use crate::model::{Product as _, TrainBackend};
use crate::ranks::Ranks;
use crate::run::metrics;
use crate::settings::Precision;
use crate::train::batch::{self, DrawSeed, Sampler};
use crate::train::example::Example;
use crate::train::optim::{AdamW, AdamWConfig, OneCycle};
use crate::train::step::{Contribution, Objective, outer_step};
use crate::util::random::Rng;
use crate::with_backend;

#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Time a bundle's images through mwt-infer on one core instead of training
    #[arg(long, value_name = "BUNDLE.mwt", conflicts_with_all = ["preset", "batch", "pixels_per_step", "dim", "inner_steps", "precision", "backend"])]
    bundle: Option<PathBuf>,
    /// Sizes of the model
    #[arg(long, value_enum, default_value = "micro")]
    preset: PresetName,
    /// N: images per outer step
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Outer steps, or images, to time, after three that are not
    #[arg(long, default_value_t = 20)]
    steps: u64,
    /// P: pixels per inner step [default: the preset's]
    #[arg(long)]
    pixels_per_step: Option<usize>,
    /// D: neurons of a sine layer, and width of the Transformer [default: the preset's]
    #[arg(long, alias = "width")]
    dim: Option<usize>,
    /// k: inner steps [default: the preset's]
    #[arg(long)]
    inner_steps: Option<usize>,
    /// Precision of the Transformer's products, where the device has it: f32, tf32 or bf16
    #[arg(long, default_value = "f32", value_parser = common::parse_precision)]
    precision: Precision,
    /// Measure how time and memory grow with N, P, D and k up to the given sizes, and draw it
    #[arg(long, value_name = "PICTURE.png", conflicts_with_all = ["bundle", "json"])]
    growth: Option<PathBuf>,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) fn run(&self) -> CliResult {
        if let Some(path) = &self.bundle {
            return self.infer(path);
        }
        self.backend.check()?;
        let mut config = self.preset.config();
        config.pixels_per_step = self.pixels_per_step.unwrap_or(config.pixels_per_step);
        config.dim = self.dim.unwrap_or(config.dim);
        config.inner_steps = self.inner_steps.unwrap_or(config.inner_steps);
        config.check()?;
        if let Some(path) = &self.growth {
            return growth::run(self.sizes(&config), &self.options(), path);
        }
        let (times, precision) =
            with_backend!(self.backend, B, device => self.times::<B>(config, &device));
        let median = median(times);
        let speed = self.batch as f64 / median;
        let peak = metrics::peak_memory_mib();
        if self.json {
            let report = serde_json::json!({
                "batch": self.batch,
                "config": config,
                "precision": precision,
                "ms_per_step": 1e3 * median,
                "images_per_second": speed,
                "peak_mib": peak,
            });
            println!("{report}");
        } else {
            println!(
                "{:.1} ms per step of {}, precision {precision}: {speed:.1} images/s (median)",
                1e3 * median,
                self.batch
            );
            if let Some(peak) = peak {
                println!("peak memory of the process: {peak:.0} MiB");
            }
        }
        Ok(())
    }

    fn sizes(&self, config: &ModelConfig) -> Sizes {
        Sizes {
            batch: self.batch,
            pixels_per_step: config.pixels_per_step,
            dim: config.dim,
            inner_steps: config.inner_steps,
        }
    }

    /// What every point of a growth has in common.
    fn options(&self) -> Vec<String> {
        vec![
            format!("--preset={}", name(&self.preset)),
            format!("--backend={}", name(&self.backend)),
            format!("--steps={}", self.steps),
            format!("--precision={}", self.precision),
        ]
    }

    /// Milliseconds of one image, fitted and classified, with each instruction set and arithmetic.
    fn infer(&self, path: &Path) -> CliResult {
        let bytes = common::read(path)?;
        let bundle = common::parse(path, &bytes)?;
        let config = *bundle.config();
        let (images, _) = noise(&config, 1);
        let pixels = images.as_slice().unwrap_or_default();
        let image = Signal::new(pixels, config.extents, config.channels)?;
        let mut workspace = WorkspaceBuf::new(&config);
        let mut results = Vec::new();
        for isa in Isa::all_available() {
            for arithmetic in [Arithmetic::F32, Arithmetic::Int8] {
                let classifier = Classifier::new(&bundle, workspace.as_mut_slice());
                let mut classifier = classifier?.with_isa(isa);
                classifier.set_arithmetic(arithmetic);
                let mut once = || -> Result<f64, mwt_infer::Error> {
                    let start = Instant::now();
                    classifier.fit(&image)?;
                    classifier.logits()?;
                    Ok(1e3 * start.elapsed().as_secs_f64())
                };
                let times =
                    (0..self.steps + 3).map(|_| once()).skip(3).collect::<Result<Vec<_>, _>>();
                let median = median(times?);
                results.push((isa.name(), format!("{arithmetic:?}").to_lowercase(), median));
            }
        }
        if self.json {
            let rows = results.iter().map(|(isa, arithmetic, ms)| {
                serde_json::json!({"isa": isa, "arithmetic": arithmetic, "ms_per_image": ms})
            });
            println!("{}", serde_json::Value::from_iter(rows));
        } else {
            for (isa, arithmetic, ms) in results {
                println!(
                    "{isa:9} {arithmetic:5} {ms:9.3} ms per image, {:.0} images/s (median)",
                    1e3 / ms
                );
            }
        }
        Ok(())
    }

    /// Seconds of each step, the device waited for, and the precision that it has. Pixels are drawn ahead of the step, as
    /// a run's loader does.
    fn times<B: TrainBackend>(
        &self,
        config: ModelConfig,
        device: &B::Device,
    ) -> (Vec<f64>, Precision) {
        let precision = B::InnerBackend::precision(device, self.precision);
        let objective = Objective { precision, ..Objective::both(0.01) };
        let mut params = Params::<B::InnerBackend>::from_weights(&initial(&config, 0), device);
        let mut optimizer = AdamW::new(&params, AdamWConfig::default());
        let sampler = Sampler::new(&config);
        let (images, labels) = noise(&config, self.batch);
        let bytes = images.as_slice().unwrap_or_default();
        let examples: Vec<_> =
            bytes.chunks_exact(bytes.len() / self.batch).map(Example::picture).collect();
        let schedule = OneCycle { steps: 100_000, warmup: 0.05 };
        let times = (0..self.steps + 3)
            .map(|step| {
                let drawn = sampler.draw(&examples, DrawSeed::Training { seed: 0, step, first: 0 });
                let start = Instant::now();
                let pixels = drawn.to_device::<B>(device);
                let labels = batch::labels::<B>(&labels, device);
                let scheduled = [1e-4, 1e-2, 1e-4].map(|peak| schedule.at(step, peak));
                let (params, optimizer) = (&mut params, &mut optimizer);
                let whole = Contribution { ranks: &Ranks::alone(), weight: 1.0 };
                let taken = outer_step::<B>(
                    params, optimizer, &pixels, labels, objective, scheduled, whole,
                );
                // The last thing computed, read back: everything before it is done.
                host(taken.norms);
                start.elapsed().as_secs_f64()
            })
            .skip(3);
        (times.collect(), precision)
    }
}

/// A value as it is written on the command line.
fn name(value: &impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Images of noise: what a step costs does not depend on what it sees.
fn noise(config: &ModelConfig, batch: usize) -> (Array4<u8>, Vec<u16>) {
    let mut random = Rng::new(0, 0);
    let shape = (batch, config.extents.side(0), config.extents.side(1), config.channels);
    let images = Array4::from_shape_simple_fn(shape, || random.next_u64() as u8);
    (images, (0..batch).map(|n| (n % config.classes) as u16).collect())
}
