//! Whole images: fit and logits on one core, and batches on all of them.

#![allow(missing_docs)] // criterion_group! makes functions without any.

#[path = "../dev/random_model.rs"]
mod random_model;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mwt_core::Schemes;
use mwt_infer::{Arithmetic, Bundle, Classifier, Isa, ModelConfig, Signal, WorkspaceBuf};

fn images(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("image");
    group.sample_size(10);
    for (name, config) in [("micro", ModelConfig::MICRO), ("base", ModelConfig::BASE)] {
        let bytes = random_model::bundle(config, Schemes::default());
        let bundle = Bundle::parse(&bytes).expect("a good bundle");
        let pixels = random_model::image(&config, 1);
        let image = Signal::new(&pixels[..], config.extents, config.channels).expect("an image");
        let mut workspace = WorkspaceBuf::new(&config);
        for isa in Isa::all_available() {
            for arithmetic in [Arithmetic::F32, Arithmetic::Int8] {
                let classifier = Classifier::new(&bundle, workspace.as_mut_slice());
                let mut classifier = classifier.expect("memory").with_isa(isa);
                classifier.set_arithmetic(arithmetic);
                let id = BenchmarkId::new(format!("{name} {arithmetic:?}"), isa.name());
                group.bench_function(id, |bench| {
                    bench.iter(|| {
                        classifier.fit(&image).expect("a fit");
                        classifier.logits().expect("logits")[0]
                    });
                });
            }
        }
    }
    group.finish();
}

fn batches(criterion: &mut Criterion) {
    let config = ModelConfig::MICRO;
    let bytes = random_model::bundle(config, Schemes::default());
    let bundle = Bundle::parse(&bytes).expect("a good bundle");
    let pixels: Vec<_> = (0..64).map(|n| random_model::image(&config, n)).collect();
    let images: Vec<_> =
        pixels.iter().map(|p| Signal::grey(p, 28, 28).expect("an image")).collect();
    let mut group = criterion.benchmark_group("batch");
    group.throughput(criterion::Throughput::Elements(images.len() as u64));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in [1, cores] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        group.bench_function(BenchmarkId::new("micro", threads), |bench| {
            pool.install(|| {
                bench.iter(|| mwt_infer::classify_batch(&bundle, Arithmetic::F32, &images));
            });
        });
    }
    group.finish();
}

criterion_group!(benches, images, batches);
criterion_main!(benches);
