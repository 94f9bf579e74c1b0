//! How many kernels an outer step launches on a GPU. Each costs the host and the device some microseconds whatever it
//! computes, so that steps of few images take as long as their launches.
//!
//! `cargo test --profile quick -p mwt-tests --no-default-features --features wgpu --test launches -- --nocapture` prints
//! them by name. They do not depend on the device, nor on the images or their pixels.
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
use mwt_train::train::batch::{DrawSeed, Sampler};
use mwt_train::train::optim::{AdamW, AdamWConfig, OneCycle};
use mwt_train::train::step::{Objective, outer_step};
use ndarray::ArrayView3;

/// Launches of a step of `base`.
const BUDGET: usize = 2460;

/// cubecl writes a line for every kernel that it launches into this file, behind the launch.
const LOG: &str = "launches.log";

/// The names in the log, once the device is done and nothing more comes.
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

/// The launches of one outer step by name.
fn launches<B: TrainBackend>(config: &ModelConfig) -> BTreeMap<String, usize> {
    let device = B::Device::default();
    let mut params = Params::<B::InnerBackend>::from_weights(&initial(config, 0), &device);
    let mut optimizer = AdamW::new(&params, AdamWConfig::default());
    let (h, w, c) = (config.extents.side(0), config.extents.side(1), config.channels);
    let bytes: Vec<u8> = (0..h * w * c).map(|i| (i % 251) as u8).collect();
    let image = ArrayView3::from_shape((h, w, c), &bytes).unwrap();
    let sampler = Sampler::new(config);
    let schedule = OneCycle { steps: 100, warmup: 0.05 };
    let mut before = 0;
    let mut step = |number: u64| {
        let seed = DrawSeed::Training { seed: 0, step: number };
        let pixels = sampler.draw(&[image, image], seed).to_device::<B>(&device);
        let labels = Tensor::<B, 1, Int>::from_data(TensorData::from([0i64, 1]), &device);
        let scheduled = [1e-4, 1e-2, 1e-4].map(|peak| schedule.at(number, peak));
        let objective = Objective::both(0.01);
        let (params, optimizer) = (&mut params, &mut optimizer);
        host(outer_step::<B>(params, optimizer, &pixels, labels, objective, scheduled).norms);
        let all = logged();
        let new = all[before..].to_vec();
        before = all.len();
        new
    };
    // The first step makes what all share.
    step(0);
    let mut by_name = BTreeMap::new();
    for name in step(1) {
        *by_name.entry(name).or_insert(0) += 1;
    }
    by_name
}

#[test]
fn a_step_of_base_stays_within_its_launches() {
    // Read when the device is first asked for.
    let dir = tempfile::tempdir().unwrap();
    std::env::set_current_dir(dir.path()).unwrap();
    let config = format!("[profiling]\nlogger = {{ level = \"minimal\", file = \"{LOG}\" }}\n");
    fs::write(Path::new("cubecl.toml"), config).unwrap();
    if let Err(why) = BackendName::Wgpu.check() {
        let required = std::env::var("MWT_REQUIRE_GPU");
        assert!(required.as_deref() != Ok("wgpu"), "{why}");
        eprintln!("skipped a_step_of_base_stays_within_its_launches: {why}");
        return;
    }

    let base = ModelConfig { pixels_per_step: 8, ..ModelConfig::BASE };
    let by_name = launches::<Autodiff<Wgpu>>(&base);
    let mut sorted: Vec<_> = by_name.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    sorted.iter().for_each(|(name, count)| println!("{count:5} {name}"));
    let all: usize = by_name.values().sum();
    println!("{all:5} launches");
    assert!(all <= BUDGET, "{all} launches, the budget is {BUDGET}");
    // The log has not gone blind: every block has products.
    assert!(all > 10 * base.blocks, "only {all} launches");
}
