//! The kernels on the shapes of `base`, one instruction set after the other.

#![allow(missing_docs)] // criterion_group! makes functions without any.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mwt_core::quant::{Matrix, Scheme, encode};
use mwt_infer::Isa;
use mwt_infer::kernels::{Init, Kernel, Mat, MatMut, PANEL};

const D: usize = 128;
const ROWS: usize = 64;

fn kernels<K: Kernel>(criterion: &mut Criterion, isa: Isa, kernel: K) {
    let values = |n: usize| (0..n).map(|i| (i as f32 * 0.7).sin()).collect::<Vec<f32>>();
    let (a, b, mut c) = (values(ROWS * D), values(D * D), values(ROWS * D));
    let (a, b) = (Mat::dense(&a, ROWS, D), Mat::dense(&b, D, D));

    let mut group = criterion.benchmark_group("product");
    // Elements per second are floating-point operations per second here.
    group.throughput(Throughput::Elements((2 * ROWS * D * D) as u64));
    group.bench_function(BenchmarkId::new("gemm", isa.name()), |bench| {
        bench.iter(|| kernel.gemm(a, b, Init::Zero, MatMut::dense(&mut c, ROWS, D)));
    });
    let mut gradient = values(D * D);
    group.bench_function(BenchmarkId::new("gemm_tn", isa.name()), |bench| {
        bench.iter(|| kernel.gemm_tn(a, a, MatMut::dense(&mut gradient, D, D)));
    });
    let mut panel = vec![0.0; D * PANEL];
    for scheme in [Scheme::Int8, Scheme::F16, Scheme::F32] {
        let mut stored = Vec::new();
        encode(scheme, D, b.data(), &mut stored);
        let w = Matrix::new(D, D, scheme, &stored);
        let name = format!("linear {}", scheme.name());
        group.bench_function(BenchmarkId::new(name, isa.name()), |bench| {
            bench.iter(|| kernel.linear(a, &w, None, MatMut::dense(&mut c, ROWS, D), &mut panel));
        });
        if scheme == Scheme::Int8 {
            group.bench_function(BenchmarkId::new("linear_int8", isa.name()), |bench| {
                let c = &mut c;
                let panel = &mut panel;
                bench.iter(|| kernel.linear_int8(a, &w, None, MatMut::dense(c, ROWS, D), panel));
            });
        }
    }
    group.finish();

    let mut group = criterion.benchmark_group("elements");
    group.throughput(Throughput::Elements((ROWS * D) as u64));
    let (z, mut x, mut y) = (values(ROWS * D), values(ROWS * D), values(ROWS * D));
    group.bench_function(BenchmarkId::new("sin_cos", isa.name()), |bench| {
        bench.iter(|| {
            x.copy_from_slice(&z);
            kernel.sin_cos(&mut x, &mut y);
        });
    });
    group.bench_function(BenchmarkId::new("gelu", isa.name()), |bench| {
        bench.iter(|| {
            x.copy_from_slice(&z);
            kernel.gelu(&mut x);
        });
    });
    let mut states = [[f32::NEG_INFINITY; ROWS], [0.0; ROWS], [0.0; ROWS]];
    group.bench_function(BenchmarkId::new("softmax", isa.name()), |bench| {
        let [max, sum, correction] = &mut states;
        bench.iter(|| {
            x.copy_from_slice(&z);
            kernel.softmax(MatMut::dense(&mut x, D, ROWS), 0.1, max, sum, correction);
        });
    });
    group.finish();
}

fn all(criterion: &mut Criterion) {
    for isa in Isa::all_available() {
        mwt_infer::with_kernel!(isa, kernel => kernels(criterion, isa, kernel));
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
