//! `mwt-train bench`.

use std::time::Instant;

use clap::Args;
use mwt_core::ModelConfig;

use super::recipe::PresetName;
use crate::backend::BackendName;
use crate::batch::{self, DrawSeed, Sampler};
use crate::data::Split;
use crate::model::TrainBackend;
use crate::model::params::{Params, host, initial};
use crate::optim::{AdamW, AdamWConfig, OneCycle};
use crate::random::Rng;
use crate::step::{Objective, outer_step};
use crate::with_backend;

#[derive(Debug, Args)]
pub(super) struct Bench {
    /// Sizes of the model
    #[arg(long, value_enum, default_value = "micro")]
    preset: PresetName,
    /// N: images an outer step
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Steps to time, after three that are not
    #[arg(long, default_value_t = 20)]
    steps: u64,
    /// P: pixels an inner step [default: the preset's]
    #[arg(long)]
    pixels_per_step: Option<usize>,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Bench {
    pub(super) fn run(&self) -> Result<(), String> {
        self.backend.check()?;
        let mut config = self.preset.config();
        config.pixels_per_step = self.pixels_per_step.unwrap_or(config.pixels_per_step);
        config.check().map_err(|e| e.to_string())?;
        let mut times = with_backend!(self.backend, B, device => self.times::<B>(config, &device));
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
        let speed = self.batch as f64 / median;
        let peak = peak_memory().map(|bytes| bytes / (1 << 20));
        if self.json {
            let report = serde_json::json!({
                "batch": self.batch,
                "config": config,
                "ms_per_step": 1e3 * median,
                "images_per_second": speed,
                "peak_mib": peak,
            });
            println!("{report}");
        } else {
            println!(
                "{:.1} ms a step of {}: {speed:.1} images/s (median)",
                1e3 * median,
                self.batch
            );
            if let Some(peak) = peak {
                println!("peak memory of the process: {peak} MiB");
            }
        }
        Ok(())
    }

    /// Seconds of each step, the device waited for.
    fn times<B: TrainBackend>(&self, config: ModelConfig, device: &B::Device) -> Vec<f64> {
        let mut params = Params::<B::InnerBackend>::from_weights(&initial(&config, 0), device);
        let mut optimizer = AdamW::new(&params, AdamWConfig::default());
        let sampler = Sampler::new(&config);
        let (split, labels) = noise(&config, self.batch);
        let images: Vec<_> = (0..self.batch).map(|n| split.image(n)).collect();
        let schedule = OneCycle { steps: 100_000, rise: 0.05 };
        (0..self.steps + 3)
            .map(|step| {
                let start = Instant::now();
                let seed = DrawSeed::Training { seed: 0, step };
                let pixels = sampler.pixels::<B>(&images, seed, device);
                let labels = batch::labels::<B>(&labels, device);
                let rates = [1e-4, 1e-2, 1e-4].map(|peak| schedule.at(step, peak));
                let (params, optimizer) = (&mut params, &mut optimizer);
                let taken = outer_step::<B>(
                    params,
                    optimizer,
                    &pixels,
                    labels,
                    Objective::both(0.01),
                    rates,
                );
                // The last thing computed, read back: everything before it is done.
                host(taken.norms);
                start.elapsed().as_secs_f64()
            })
            .skip(3)
            .collect()
    }
}

/// Images of noise: what a step costs does not depend on what it sees.
fn noise(config: &ModelConfig, batch: usize) -> (Split, Vec<u16>) {
    let mut random = Rng::new(0, 0);
    let shape = (batch, config.image.height, config.image.width, config.channels);
    let images = ndarray::Array4::from_shape_simple_fn(shape, || random.next_u64() as u8);
    let labels: Vec<u16> = (0..batch).map(|n| (n % config.classes) as u16).collect();
    (Split { images, labels: labels.clone() }, labels)
}

/// The largest resident size so far, in bytes, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
