//! How many kernels an outer step launches on a GPU, and how many bytes their results and what the host sends take. Each
//! launch costs the host and the device some microseconds whatever it computes, so that steps of few images take as long
//! as their launches; steps of many take as long as their bytes.
//!
//! `cargo test --profile quick -p mwt-tests --no-default-features --features wgpu --test launches -- --nocapture` prints
//! them by name. They do not depend on the device, nor the launches on the images or their pixels.
#![cfg(feature = "wgpu")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use burn::backend::{Autodiff, Wgpu};
use burn::tensor::{Int, Tensor, TensorData};
use mwt_core::ModelConfig;
use mwt_train::backend::BackendName;
use mwt_train::model::params::{host, initial};
use mwt_train::model::{Params, TrainBackend};
use mwt_train::ranks::Ranks;
use mwt_train::train::batch::{DrawSeed, Sampler};
use mwt_train::train::example::Example;
use mwt_train::train::optim::{AdamW, AdamWConfig, OneCycle};
use mwt_train::train::step::{Contribution, Objective, outer_step};

/// Launches of a step of `base`.
const LAUNCHES: usize = 500;
/// Bytes, in millions, of what a step of `base` on two images writes to tensors: what the host sends, and every kernel's
/// results.
const MEGABYTES: f64 = 270.0;

/// cubecl writes a line for every kernel that it launches and for all memory that it gives out into this file, behind the
/// launch.
const LOG: &str = "cubecl.log";

/// What a step does.
#[derive(Default)]
struct Work {
    /// Launches by the kernel's name.
    launches: BTreeMap<String, usize>,
    /// Bytes of memory for tensors, in millions; the log has three digits of each.
    megabytes: f64,
}

impl Work {
    fn of(lines: &[String]) -> Self {
        let mut work = Self::default();
        for line in lines {
            if let Some(name) = line.strip_prefix("Executing ") {
                *work.launches.entry(name.into()).or_default() += 1;
            }
            let reserved = line.strip_prefix("[Main GPU Memory] Reserved memory ");
            if let Some(size) = reserved {
                let mut words = size.split_whitespace();
                let value: f64 = words.next().unwrap().parse().unwrap();
                work.megabytes += match words.next().unwrap() {
                    "B" => value * 1e-6,
                    "KB" => value * 1e-3,
                    "MB" => value,
                    "GB" => value * 1e3,
                    unit => panic!("{unit}"),
                };
            }
        }
        work
    }
}

/// The lines of the log, once the device is done and nothing more comes.
fn logged() -> Vec<String> {
    let mut text = String::new();
    loop {
        std::thread::sleep(Duration::from_millis(300));
        let now = fs::read_to_string(LOG).unwrap_or_default();
        if now == text && !now.is_empty() {
            return text.lines().map(str::to_owned).collect();
        }
        text = now;
    }
}

/// What one outer step does.
fn work<B: TrainBackend>(config: &ModelConfig) -> Work {
    let device = B::Device::default();
    let mut params = Params::<B::InnerBackend>::from_weights(&initial(config, 0), &device);
    let mut optimizer = AdamW::new(&params, AdamWConfig::default());
    let numbers = config.extents.positions() * config.channels;
    let bytes: Vec<u8> = (0..numbers).map(|i| (i % 251) as u8).collect();
    let image = Example::picture(&bytes);
    let sampler = Sampler::new(config);
    let schedule = OneCycle { steps: 100, warmup: 0.05 };
    let mut before = 0;
    let mut step = |number: u64| {
        let seed = DrawSeed::Training { seed: 0, step: number, first: 0 };
        let pixels = sampler.draw(&[image.clone(), image.clone()], seed).to_device::<B>(&device);
        let labels = Tensor::<B, 1, Int>::from_data(TensorData::from([0i64, 1]), &device);
        let scheduled = [1e-4, 1e-2, 1e-4].map(|peak| schedule.at(number, peak));
        let objective = Objective::both(0.01);
        let (params, optimizer) = (&mut params, &mut optimizer);
        let whole = Contribution { ranks: &Ranks::alone(), weight: 1.0 };
        let step = outer_step::<B>(params, optimizer, &pixels, labels, objective, scheduled, whole);
        host(step.norms);
        let all = logged();
        let new = all[before..].to_vec();
        before = all.len();
        new
    };
    // The first step makes what all share.
    step(0);
    Work::of(&step(1))
}

#[test]
fn a_step_of_base_stays_within_its_launches() {
    // Read when the device is first asked for.
    let dir = tempfile::tempdir().unwrap();
    std::env::set_current_dir(dir.path()).unwrap();
    let logger = |what: &str, level: &str| {
        format!("[{what}]\nlogger = {{ level = \"{level}\", file = \"{LOG}\" }}\n")
    };
    let config = logger("profiling", "minimal") + &logger("memory", "full");
    fs::write(Path::new("cubecl.toml"), config).unwrap();
    if let Err(why) = BackendName::Wgpu.check() {
        let required = std::env::var("MWT_REQUIRE_GPU");
        assert!(required.as_deref() != Ok("wgpu"), "{why}");
        eprintln!("skipped a_step_of_base_stays_within_its_launches: {why}");
        return;
    }

    let base = ModelConfig { pixels_per_step: 8, ..ModelConfig::BASE };
    let Work { launches, megabytes } = work::<Autodiff<Wgpu>>(&base);
    let mut sorted: Vec<_> = launches.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    sorted.iter().for_each(|(name, count)| println!("{count:5} {name}"));
    let all: usize = launches.values().sum();
    println!("{all:5} launches, {megabytes:.1} MB");
    assert!(all <= LAUNCHES, "{all} launches, the budget is {LAUNCHES}");
    assert!(megabytes <= MEGABYTES, "{megabytes} MB, the budget is {MEGABYTES}");
    // The log has not gone blind: every block has products, and they have values.
    assert!(all > 10 * base.blocks, "only {all} launches");
    assert!(megabytes > 100.0, "only {megabytes} MB");
}
