//! Every kernel of this CPU against the portable one, over shapes on both sides of every block edge.

use alloc::{vec, vec::Vec};
use std::println;

use mwt_core::draw::mix;
use mwt_core::quant::{Matrix, Scheme, Vector, encode};

use super::{Init, Isa, Kernel, Mat, MatMut, PackedI16, Portable, with_kernel};

pub(super) fn values(n: usize, seed: u32) -> Vec<f32> {
    (0..n as u32).map(|i| (mix(i ^ mix(seed)) as i32) as f32 / 2f32.powi(31)).collect()
}

fn bytes(values: &[f32]) -> Vec<u8> {
    // An odd address, as vectors in a bundle may have.
    core::iter::once(0xee).chain(values.iter().flat_map(|v| v.to_le_bytes())).collect()
}

#[track_caller]
fn assert_close(got: &[f32], want: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), want.len());
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() <= tolerance, "{what}: {got} for {want} at {i}");
    }
}

/// What is allowed between a kernel and the portable one in products, sines and cosines: nothing where no multiply-add is
/// fused.
const fn unless_exact(tolerance: f32) -> f32 {
    if cfg!(target_arch = "wasm32") { 0.0 } else { tolerance }
}

/// Runs a check with each kernel but the portable one.
fn each(check: impl Fn(Isa)) {
    let mut wanted = vec!["avx2", "avxvnni", "avx512"];
    if cfg!(target_arch = "aarch64") {
        wanted = vec!["neon", "neon-dotprod"];
    }
    if cfg!(target_arch = "wasm32") {
        wanted = vec!["simd128"];
    }
    for isa in Isa::all_available().skip(1) {
        wanted.retain(|name| *name != isa.name());
        check(isa);
    }
    wanted.iter().for_each(|name| println!("skipped: this CPU has no {name}"));
}

const ROWS: [usize; 10] = [1, 2, 5, 6, 7, 13, 14, 15, 29, 64];
const COLUMNS: [usize; 12] = [1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 67];

#[test]
fn products() {
    each(|isa| {
        for m in ROWS {
            for n in COLUMNS {
                for k in [0, 1, 2, 17, 64] {
                    with_kernel!(isa, kernel => product(kernel, m, n, k));
                }
            }
        }
    });
}

/// Rows wider apart than they are long; what lies between them must stay as it was.
fn product<K: Kernel>(kernel: K, m: usize, n: usize, k: usize) {
    let (a, at) = (values(m * (k + 3), 1), values(k * (m + 1), 3));
    let (b, start, bias) = (values(k * (n + 2), 2), values(m * (n + 1), 4), values(n, 5));
    let b = Mat::new(&b, k, n, n + 2);
    let a = if k == 0 { Mat::new(&[], 0, 0, 0) } else { Mat::new(&a, m, k, k + 3) };
    for init in [Init::Zero, Init::Add, Init::Bias(&bias)] {
        let (mut got, mut want) = (start.clone(), start.clone());
        kernel.gemm(a, b, init, MatMut::new(&mut got, m, n, n + 1));
        Portable.gemm(a, b, init, MatMut::new(&mut want, m, n, n + 1));
        assert_close(&got, &want, unless_exact(2e-5), &alloc::format!("gemm {init:?} {m}×{k}×{n}"));
    }
    let at = Mat::new(&at, k, m, m + 1);
    let (mut got, mut want) = (start.clone(), start);
    kernel.gemm_tn(at, b, MatMut::new(&mut got, m, n, n + 1));
    Portable.gemm_tn(at, b, MatMut::new(&mut want, m, n, n + 1));
    assert_close(&got, &want, unless_exact(2e-5), &alloc::format!("gemm_tn {m}×{k}×{n}"));
}

#[test]
fn linear_layers_of_every_scheme() {
    each(|isa| {
        for scheme in [Scheme::Int8, Scheme::F16, Scheme::F32] {
            for m in ROWS {
                for n in [1, 8, 10, 16, 31, 32, 40, 64, 100] {
                    for k in [1, 9, 33, 257] {
                        with_kernel!(isa, kernel => linear(kernel, scheme, m, n, k));
                    }
                }
            }
        }
    });
}

fn linear<K: Kernel>(kernel: K, scheme: Scheme, m: usize, n: usize, k: usize) {
    let (a, w, bias) = (values(m * (k + 1), 1), values(k * n, 2), values(n, 3));
    let (mut stored, bias) = (vec![0xee], bytes(&bias));
    encode(scheme, n, &w, &mut stored);
    let w = Matrix::new(k, n, scheme, &stored[1..]);
    let a = Mat::new(&a, m, k, k + 1);
    let mut panel = vec![0.0; k * super::PANEL];
    for bias in [None, Some(Vector::new(&bias[1..]))] {
        let (mut got, mut want) = (vec![7.0; m * (n + 1)], vec![7.0; m * (n + 1)]);
        kernel.linear(a, &w, bias, MatMut::new(&mut got, m, n, n + 1), &mut panel);
        Portable.linear(a, &w, bias, MatMut::new(&mut want, m, n, n + 1), &mut panel);
        assert_close(
            &got,
            &want,
            unless_exact(1e-4),
            &alloc::format!("linear {scheme:?} {m}×{k}×{n}"),
        );
    }
}

/// The integers of both operands, multiplied in f64, are what int8 arithmetic must give.
#[test]
fn linear_layers_in_integers() {
    each(|isa| {
        for m in ROWS {
            for (k, n) in [(64, 32), (65, 64), (67, 96), (129, 128), (1023, 32)] {
                let (a, w, bias) = (values(m * k, 1), values(k * n, 2), values(n, 3));
                let mut stored = vec![0xee];
                encode(Scheme::Int8, n, &w, &mut stored);
                let w = Matrix::new(k, n, Scheme::Int8, &stored[1..]);
                let stored_bias = bytes(&bias);
                let mut decoded = vec![0.0; k * n];
                for (row, out) in decoded.chunks_exact_mut(n).enumerate() {
                    w.read(row, 0, out);
                }
                let mut got = vec![0.0; m * n];
                let mut panel = vec![0.0; k * super::PANEL];
                let bias_view = Some(Vector::new(&stored_bias[1..]));
                let (a_view, c) = (Mat::dense(&a, m, k), MatMut::dense(&mut got, m, n));
                with_kernel!(isa, kernel => {
                    kernel.linear_int8(a_view, &w, bias_view, c, &mut panel);
                });
                for (row, (a, got)) in a.chunks_exact(k).zip(got.chunks_exact(n)).enumerate() {
                    let largest = a.iter().fold(0.0f32, |l, a| l.max(a.abs()));
                    // Half a step of each value of A times its weight bounds the rounding; f32 kernels have none.
                    for column in 0..n {
                        let (mut want, mut allowed) = (f64::from(bias[column]), 1e-4);
                        for (p, a) in a.iter().enumerate() {
                            let w = f64::from(decoded[p * n + column]);
                            want += f64::from(*a) * w;
                            allowed += 0.5001 * f64::from(largest) / 127.0 * w.abs();
                        }
                        // Errors add up like a random walk: far below the bound's sum.
                        let error = (f64::from(got[column]) - want).abs();
                        assert!(error <= 0.35 * allowed, "{m}×{k}×{n} row {row}: {error}");
                    }
                }
            }
        }
    });
}

/// With the same rounding, sums of integers are the same whatever adds them up.
#[test]
#[cfg(target_arch = "x86_64")]
fn linear_layers_in_integers_do_not_depend_on_the_instructions() {
    for (m, k, n) in [(1, 64, 32), (7, 65, 64), (29, 129, 128)] {
        let (a, mut stored) = (values(m * k, 1), Vec::new());
        encode(Scheme::Int8, n, &values(k * n, 2), &mut stored);
        let w = Matrix::new(k, n, Scheme::Int8, &stored);
        let mut all = Isa::all_available().skip(1).map(|isa| {
            let (mut c, mut panel) = (vec![0.0; m * n], vec![0.0; k * super::PANEL]);
            let (a, view) = (Mat::dense(&a, m, k), MatMut::dense(&mut c, m, n));
            with_kernel!(isa, kernel => kernel.linear_int8(a, &w, None, view, &mut panel));
            c
        });
        let first = all.next();
        assert!(all.all(|c| Some(&c) == first.as_ref()), "{m}×{k}×{n}");
    }
}

/// Where rows, weights and scales are whole numbers nothing is rounded, and a linear layer is its sums of integers.
#[test]
fn sums_of_int8_are_exact() {
    let whole = |n: usize, length: usize, seed: u32| -> Vec<f32> {
        let mut x: Vec<f32> = values(n, seed).iter().map(|v| libm::rintf(v * 127.0)).collect();
        // The largest magnitude makes the scale 1.
        x.chunks_exact_mut(length).for_each(|x| x[length / 2] = -127.0);
        x
    };
    each(|isa| {
        for m in ROWS {
            for (k, n) in [(64, 32), (65, 64), (67, 96), (129, 128), (1023, 32)] {
                let a = whole(m * k, k, 1);
                let columns = whole(k * n, k, 2);
                let w: Vec<f32> = (0..k * n).map(|i| columns[i % n * k + i / n]).collect();
                let mut stored = Vec::new();
                encode(Scheme::Int8, n, &w, &mut stored);
                let view = Matrix::new(k, n, Scheme::Int8, &stored);
                let (mut got, mut panel) = (vec![0.0; m * n], vec![0.0; k * super::PANEL]);
                let c = MatMut::dense(&mut got, m, n);
                with_kernel!(isa, kernel => {
                    kernel.linear_int8(Mat::dense(&a, m, k), &view, None, c, &mut panel);
                });
                for (a, got) in a.chunks_exact(k).zip(got.chunks_exact(n)) {
                    for (w, got) in columns.chunks_exact(k).zip(got) {
                        let sum: i32 = a.iter().zip(w).map(|(a, w)| *a as i32 * *w as i32).sum();
                        assert_eq!(*got, sum as f32, "{} {m}×{k}×{n}", isa.name());
                    }
                }
            }
        }
    });
}

#[test]
fn a_nan_is_not_rounded_away() {
    each(|isa| {
        let mut a = values(2 * 64, 1);
        a[70] = f32::NAN;
        let mut stored = Vec::new();
        encode(Scheme::Int8, 32, &values(64 * 32, 2), &mut stored);
        let w = Matrix::new(64, 32, Scheme::Int8, &stored);
        let (mut c, mut panel) = (vec![0.0; 64], vec![0.0; 64 * super::PANEL]);
        let view = MatMut::dense(&mut c, 2, 32);
        with_kernel!(isa, k => k.linear_int8(Mat::dense(&a, 2, 64), &w, None, view, &mut panel));
        assert!(c[..32].iter().all(|c| c.is_finite()) && c[32..].iter().all(|c| c.is_nan()));
    });
}

/// Integers leave no room for rounding: packed values and products must be those of the portable kernel, bit for bit.
#[test]
fn products_of_packed_integers() {
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    each(|isa| {
        for x in [vec![], values(7, 1), values(8, 2), values(100, 3), vec![-3.0, f32::NAN, 1.0]] {
            let largest = with_kernel!(isa, k => k.largest(&x));
            let want = Portable.largest(&x);
            assert!(largest == want || largest.is_nan() && want.is_nan(), "{largest} {want}");
        }
        for n in [0, 2, 14, 16, 18, 64, 126] {
            let (mut got, mut want) = (values(n, 4), values(n, 4));
            with_kernel!(isa, k => k.pack_columns(&mut got, 4095.0));
            Portable.pack_columns(&mut want, 4095.0);
            assert_eq!(bits(&got[..n / 2]), bits(&want[..n / 2]), "{n}");
        }
        for (rows, columns) in [(2, 8), (4, 5), (6, 16), (2, 1), (8, 24)] {
            let (mut got, mut want) = (values(rows * columns, 5), values(rows * columns, 5));
            with_kernel!(isa, k => k.pack_rows(&mut got, columns, 4095.0));
            Portable.pack_rows(&mut want, columns, 4095.0);
            let half = rows / 2 * columns;
            assert_eq!(bits(&got[..half]), bits(&want[..half]), "{rows}×{columns}");
        }
        for m in ROWS {
            for n in COLUMNS.into_iter().chain([48, 64]) {
                for pairs in [1, 2, 16, 33] {
                    with_kernel!(isa, kernel => product_of_packed_integers(kernel, m, n, pairs));
                }
            }
        }
    });
}

fn product_of_packed_integers<K: Kernel>(kernel: K, m: usize, n: usize, pairs: usize) {
    let packed = |len: usize, seed: u32| {
        let mut x = values(2 * len, seed);
        Portable.pack_columns(&mut x, 4095.0);
        x.truncate(len);
        x
    };
    let (a, b) = (packed(m * (pairs + 1), 1), packed(pairs * (n + 3), 2));
    let at = packed(pairs * (m + 1), 3);
    let b = Mat::new(&b, pairs, n, n + 3);
    let run = |k: &dyn Fn(MatMut<'_>)| {
        let mut c = values(m * (n + 2), 4);
        k(MatMut::new(&mut c, m, n, n + 2));
        c
    };
    let a = Mat::new(&a, m, pairs, pairs + 1);
    let want = run(&|c| Portable.packed_product(a, b, c));
    assert_eq!(run(&|c| kernel.packed_product(a, b, c)), want, "{m}×{n}×{pairs}");
    let at = Mat::new(&at, pairs, m, m + 1);
    let want = run(&|c| Portable.packed_product_tn(at, b, 1e-7, c));
    assert_eq!(run(&|c| kernel.packed_product_tn(at, b, 1e-7, c)), want, "{m}×{n}×{pairs}");
}

/// Those of the fit: both ways of packing A and B, with sums of odd lengths too. A scale that is a power of two rounds nothing,
/// so that they are the portable kernel's to the last bit.
#[test]
fn products_of_integers_packed_apart() {
    each(|isa| {
        for m in ROWS {
            for n in COLUMNS.into_iter().chain([64, 128]) {
                for k in [1, 2, 9, 64, 70] {
                    let want = products_of_integers(Portable, m, n, k);
                    let got = with_kernel!(isa, kernel => products_of_integers(kernel, m, n, k));
                    assert_eq!(got, want, "{} {m}×{k}×{n}", isa.name());
                }
            }
        }
    });
}

fn products_of_integers<K: Kernel>(kernel: K, m: usize, n: usize, k: usize) -> Vec<u32> {
    let (factor, scale) = (4095.0, 2f32.powi(-24));
    let transposed = |x: &[f32], rows: usize, columns: usize| {
        let mut to = vec![0.0; x.len()];
        let (x, view) = (Mat::dense(x, rows, columns), MatMut::dense(&mut to, columns, rows));
        Portable.transpose(x, view);
        to
    };
    let (a, b, start) = (values(m * k, 1), values(k * n, 2), values(m * n, 3));
    let (a_t, b_t) = (transposed(&a, m, k), transposed(&b, k, n));
    let panel = |sides: usize| vec![7.0; sides.next_multiple_of(4) * k.next_multiple_of(64)];
    let (mut left, mut right) = ([panel(m), panel(m)], [panel(n), panel(n)]);
    kernel.pack_a(Mat::dense(&a, m, k), factor, &mut left[0]);
    kernel.pack_a_t(Mat::dense(&a_t, k, m), factor, &mut left[1]);
    kernel.pack_b(Mat::dense(&b, k, n), factor, &mut right[0]);
    kernel.pack_b_t(Mat::dense(&b_t, n, k), factor, &mut vec![0.0; 3 * k], &mut right[1]);
    let mut all = Vec::new();
    for b in &right {
        for init in [Init::Zero, Init::Add, Init::Bias(&values(n, 4))] {
            let mut c = start.clone();
            let view = MatMut::dense(&mut c, m, n);
            kernel.product_i16(&left[0], b, k, scale, init, view);
            all.extend(c.iter().map(|c| c.to_bits()));
        }
        let mut c = start.clone();
        kernel.product_tn_i16(&left[1], b, k, scale, MatMut::dense(&mut c, m, n));
        all.extend(c.iter().map(|c| c.to_bits()));
    }
    all
}

#[test]
fn sines_cosines_and_gelu() {
    each(|isa| {
        for n in [0, 1, 7, 8, 15, 16, 17, 1000] {
            for range in [1.0, 30.0, 8000.0] {
                let x: Vec<f32> = values(n, 1).iter().map(|v| v * range).collect();
                let (mut sin, mut want_sin) = (x.clone(), x.clone());
                let (mut cos, mut want_cos) = (vec![0.0; n + 1], vec![0.0; n + 1]);
                with_kernel!(isa, kernel => kernel.sin_cos(&mut sin, &mut cos));
                Portable.sin_cos(&mut want_sin, &mut want_cos);
                assert_close(&sin, &want_sin, unless_exact(2.4e-7), "sin");
                assert_close(&cos, &want_cos, unless_exact(2.4e-7), "cos");
            }
            let x: Vec<f32> = values(n, 2).iter().map(|v| v * 8.0).collect();
            let (mut got, mut want) = (x.clone(), x);
            with_kernel!(isa, kernel => kernel.gelu(&mut got));
            Portable.gelu(&mut want);
            assert_close(&got, &want, 2e-6, "gelu");
        }
        let mut x = vec![f32::NAN, f32::INFINITY, 1.0];
        with_kernel!(isa, kernel => kernel.sin_cos(&mut x, &mut [0.0; 3]));
        assert!(x[0].is_nan() && x[1].is_nan());
        assert!((f64::from(x[2]) - 1f64.sin()).abs() < 1.2e-7);
    });
}

/// Chunk after chunk, a softmax of each column must come out, whatever unit a kernel keeps the maximum in.
#[test]
fn running_softmax() {
    fn run<K: Kernel>(kernel: K, scores: &[f32], rows: usize, columns: usize) -> Vec<f32> {
        let (mut max, mut sum) = (vec![f32::NEG_INFINITY; columns], vec![0.0; columns]);
        let (mut correction, mut all) = (vec![0.0; columns], Vec::new());
        for chunk in scores.chunks(rows * columns) {
            let mut chunk = chunk.to_vec();
            let view = MatMut::dense(&mut chunk, rows, columns);
            kernel.softmax(view, 0.7, &mut max, &mut sum, &mut correction);
            all.chunks_exact_mut(columns).for_each(|row: &mut [f32]| {
                row.iter_mut().zip(&correction).for_each(|(x, c)| *x *= c);
            });
            all.extend(chunk);
        }
        all.chunks_exact(columns).flat_map(|row| row.iter().zip(&sum).map(|(x, s)| x / s)).collect()
    }
    each(|isa| {
        for columns in COLUMNS {
            for rows in [1, 2, 5, 32] {
                let scores: Vec<f32> =
                    values(3 * rows * columns, 1).iter().map(|v| v * 40.0).collect();
                let got = with_kernel!(isa, kernel => run(kernel, &scores, rows, columns));
                let want = run(Portable, &scores, rows, columns);
                assert_close(&got, &want, 5e-6, "softmax");
            }
        }
    });
}

#[test]
fn rows() {
    each(|isa| {
        for d in COLUMNS {
            with_kernel!(isa, kernel => rows_of(kernel, d));
        }
    });
}

fn rows_of<K: Kernel>(kernel: K, d: usize) {
    let n = 5;
    let (x, y) = (values(n * d, 1), values(n * d, 2));
    let (weight, bias) = (bytes(&values(d, 3)), bytes(&values(d, 4)));
    let (weight, bias) = (Vector::new(&weight[1..]), Vector::new(&bias[1..]));
    let both = |run: &dyn Fn(&mut [f32], bool), tolerance: f32, what: &str| {
        let (mut got, mut want) = (x.clone(), x.clone());
        run(&mut got, true);
        run(&mut want, false);
        assert_close(&got, &want, tolerance, &alloc::format!("{what} of {d}"));
    };
    macro_rules! with {
        ($simd:expr, $k:ident => $run:expr) => {
            if $simd {
                let $k = kernel;
                $run
            } else {
                let $k = Portable;
                $run
            }
        };
    }
    let factors = values(n, 6);
    both(&|o, s| with!(s, k => k.layer_norm(&y, weight, bias, 1e-5, o)), 2e-5, "layer norm");
    both(&|o, s| with!(s, k => k.add_scaled(o, &y, weight)), 1e-6, "add_scaled");
    both(&|o, s| with!(s, k => k.scale(o, 0.3)), 1e-6, "scale");
    both(&|o, s| with!(s, k => k.multiply(o, &y)), 1e-6, "multiply");
    both(&|o, s| with!(s, k => k.scale_rows(MatMut::dense(o, n, d), &factors)), 1e-6, "scale_rows");
    both(&|o, s| with!(s, k => k.add_rows(Mat::dense(&y, n, d), &mut o[..d])), 1e-6, "add_rows");
    both(&|o, s| with!(s, k => o[0] = k.sum(&y)), 1e-5, "sum");
    both(&|o, s| with!(s, k => o[0] = k.dot(&x, &y)), 1e-5, "dot");
    let transposed = |o: &mut [f32], s: bool| {
        with!(s, k => k.transpose(Mat::dense(&y, n, d), MatMut::dense(o, d, n)));
    };
    both(&transposed, 0.0, "transpose");
    for scheme in [Scheme::Int8, Scheme::F16, Scheme::F32] {
        let mut stored = vec![0xee];
        encode(scheme, d, &y, &mut stored);
        let alpha = Matrix::new(n, d, scheme, &stored[1..]);
        let gradient = values(n * d, 7);
        both(&|o, s| with!(s, k => assert!(k.descend(o, &alpha, &gradient))), 1e-6, "descend");
        for bad in [f32::NAN, f32::INFINITY] {
            let (mut phi, mut gradient) = (x.clone(), gradient.clone());
            gradient[n * d - 1] = bad;
            // α may be 0 there: the product is then a NaN, which must be found too.
            assert!(!kernel.descend(&mut phi, &alpha, &gradient), "{scheme:?} {d} {bad}");
        }
    }
}

#[test]
fn wide_blocks_are_transposed() {
    each(|isa| {
        for (m, n) in [(16, 16), (17, 35), (32, 48), (64, 128), (9, 8), (4, 12)] {
            let from = values(m * (n + 3), 1);
            let (mut got, mut want) = (vec![0.5; n * (m + 2)], vec![0.5; n * (m + 2)]);
            let view = Mat::new(&from, m, n, n + 3);
            with_kernel!(isa, k => k.transpose(view, MatMut::new(&mut got, n, m, m + 2)));
            Portable.transpose(view, MatMut::new(&mut want, n, m, m + 2));
            assert_eq!(got, want, "{m}×{n}");
        }
    });
}
