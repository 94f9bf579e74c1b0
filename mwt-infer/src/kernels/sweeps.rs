//! The elementary functions of every kernel over the whole of f32, against f64.
//!
//! By default a share of all bit patterns, and everything where something ends; the tests that are ignored take all 2³²:
//! `cargo test --release -p mwt-infer --lib sweeps -- --ignored --nocapture`.

use alloc::{vec, vec::Vec};
use std::println;

use mwt_core::math::{ERF_END, FAR_SCORE, SIN_COS_END};
use mwt_core::quant::{Matrix, Scheme, Vector, encode};

use super::{Isa, Kernel, Mat, MatMut, with_kernel};

/// Values that go through a kernel in one go; no multiple of a register, so that tails are swept too.
const BATCH: u64 = 4099;

/// Where a function's behaviour changes, with the floats around.
fn ends() -> Vec<f32> {
    let gelu = ERF_END * core::f32::consts::SQRT_2;
    let borders = [
        0.0,
        f32::MIN_POSITIVE,
        1e-5,
        core::f32::consts::FRAC_PI_4,
        4.0,
        gelu,
        86.0,
        86.64,
        87.0,
        87.34,
        87.68,
        88.0,
        125.0,
        FAR_SCORE,
        FAR_SCORE * core::f32::consts::LN_2,
        8192.0,
        SIN_COS_END,
        1e5,
        2f32.powi(22),
        2f32.powi(24),
        1e9,
        1e10,
        1.8e19,
        f32::MAX,
        f32::INFINITY,
        f32::from_bits(0x7f80_0001),
        f32::NAN,
    ];
    let near = |x: f32| (-20i32..=20).map(move |i| x.to_bits().wrapping_add_signed(i));
    let bits = borders.into_iter().flat_map(near);
    bits.flat_map(|b| [b & 0x7fff_ffff, b | 0x8000_0000]).map(f32::from_bits).collect()
}

/// Calls `check` with all values, a batch at a time: all ends, then one pattern out of `stride`.
fn batches(stride: u64, mut check: impl FnMut(&[f32])) {
    check(&ends());
    let mut values = Vec::new();
    let count = (1u64 << 32).div_ceil(stride);
    for first in (0..count).step_by(BATCH as usize) {
        let patterns = first..count.min(first + BATCH);
        values.clear();
        values.extend(patterns.map(|n| f32::from_bits((n * stride) as u32)));
        check(&values);
    }
}

/// The largest error of each kernel in each of `N` places. `run` makes values of a batch, `want` is what they should be,
/// `error` takes a value, what came out and what should, and gives a place and an error: infinity for what may not be.
fn worst<const N: usize>(
    stride: u64,
    what: &str,
    bounds: [f64; N],
    run: impl Fn(Isa, &[f32]) -> Vec<f32>,
    want: impl Fn(f32) -> f64,
    error: impl Fn(f32, f32, f64) -> (usize, f64),
) {
    let mut kernels: Vec<_> =
        Isa::all_available().map(|isa| (isa, [(0.0f64, 0.0f32); N])).collect();
    batches(stride, |x| {
        let wanted: Vec<f64> = x.iter().map(|x| want(*x)).collect();
        for (isa, worst) in &mut kernels {
            for ((x, got), want) in x.iter().zip(run(*isa, x)).zip(&wanted) {
                let (place, error) = error(*x, got, *want);
                assert!(error.is_finite(), "{what} {}: {got:e} for {x:e}", isa.name());
                if error > worst[place].0 {
                    worst[place] = (error, *x);
                }
            }
        }
    });
    for (isa, worst) in kernels {
        println!("{what}, {}: {worst:?}", isa.name());
        for ((worst, x), bound) in worst.into_iter().zip(bounds) {
            assert!(worst <= bound, "{what} {}: {worst:e} at {x:e}", isa.name());
        }
    }
}

/// The error, or infinity unless it is allowed.
fn unless(wrong: bool) -> f64 {
    if wrong { f64::INFINITY } else { 0.0 }
}

fn sines(stride: u64) {
    let error = |x: f32, got: f32, want: f64| {
        if x.abs() < SIN_COS_END {
            (usize::from(x.abs() > 8192.0), (f64::from(got) - want).abs())
        } else {
            (0, unless(!got.is_nan()))
        }
    };
    let run = |isa: Isa, x: &[f32], cosine: bool| {
        let (mut sin, mut cos) = (x.to_vec(), vec![0.0; x.len()]);
        with_kernel!(isa, k => k.sin_cos(&mut sin, &mut cos));
        if cosine { cos } else { sin }
    };
    let within = |f: fn(f64) -> f64| {
        move |x: f32| if x.abs() < SIN_COS_END { f(f64::from(x)) } else { f64::NAN }
    };
    let bounds = [1.2e-7, 1.1e-6];
    worst(stride, "sin", bounds, |isa, x| run(isa, x, false), within(libm::sin), error);
    worst(stride, "cos", bounds, |isa, x| run(isa, x, true), within(libm::cos), error);
}

fn gelus(stride: u64) {
    let run = |isa: Isa, x: &[f32]| {
        let mut y = x.to_vec();
        with_kernel!(isa, k => k.gelu(&mut y));
        y
    };
    let want = |x: f32| {
        let wide = f64::from(x.clamp(-6.0, 6.0));
        0.5 * wide * libm::erfc(-wide / core::f64::consts::SQRT_2)
    };
    worst(stride, "gelu", [1.4e-6], run, want, |x, got, want| {
        let error = match x {
            x if x.is_nan() || x == f32::NEG_INFINITY => unless(!got.is_nan()),
            x if x > 5.66 => unless(got != x),
            x if x < -5.66 => unless(got != 0.0),
            _ => (f64::from(got) - want).abs(),
        };
        (0, error)
    });
}

/// The weights of scores x below 0, whose maximum is 0.
fn weights(stride: u64) {
    let run = |isa: Isa, x: &[f32]| {
        let n = x.len();
        let mut scores = vec![0.0; 2 * n];
        let below = |x: &f32| if x.is_nan() { *x } else { -x.abs() };
        scores[n..].iter_mut().zip(x).for_each(|(s, x)| *s = below(x));
        let (mut max, mut sum, mut factor) =
            (vec![f32::NEG_INFINITY; n], vec![0.0; n], vec![0.0; n]);
        let view = MatMut::dense(&mut scores, 2, n);
        with_kernel!(isa, k => k.softmax(view, 1.0, &mut max, &mut sum, &mut factor));
        scores.split_off(n)
    };
    let want = |x: f32| libm::exp(-f64::from(x.abs()));
    worst(stride, "weight", [3.5e-7, 4e-6], run, want, |x, got, want| {
        let error = (f64::from(got) - want).abs();
        match x.abs() {
            x if x.is_nan() => (0, unless(!got.is_nan())),
            x if x > 88.0 => (0, unless(got != 0.0)),
            x if x < 70.0 => (if x < 1.0 { 0 } else { 1 }, error / want),
            // What is taken away from each weight, so that the last one is 0, is felt.
            _ => (1, (error - 2.4e-38).max(0.0) / want),
        }
    });
}

#[test]
fn sines_and_cosines() {
    sines(4099);
}

#[test]
fn gelu() {
    gelus(4099);
}

#[test]
fn weights_of_scores_below_the_largest() {
    weights(4099);
}

#[test]
#[ignore = "all of f32: minutes with --release"]
fn all_sines_and_cosines() {
    sines(1);
}

#[test]
#[ignore = "all of f32: minutes with --release"]
fn all_gelus() {
    gelus(1);
}

#[test]
#[ignore = "all of f32: minutes with --release"]
fn all_weights_of_scores_below_the_largest() {
    weights(1);
}

/// The largest score at any distance from 0, others beside and below it, in two chunks of which either may have it.
#[test]
fn weights_of_scores_of_any_size() {
    for isa in Isa::all_available() {
        for scale in [1.0f32, 0.354] {
            let mut worst = [0.0f64; 2];
            batches(65_537, |x| {
                let x: Vec<f32> = x.iter().copied().filter(|x| x.is_finite()).collect();
                let n = x.len();
                let below = |x: f32, steps: f32| {
                    let next = x - x.abs() * f32::EPSILON * steps - steps;
                    if next.is_finite() { next } else { x }
                };
                let rows: [Vec<f32>; 4] = [
                    x.iter().map(|x| below(*x, 3.0)).collect(),
                    x.iter().map(|x| below(*x, 1.0)).collect(),
                    x.clone(),
                    vec![f32::MIN; n],
                ];
                for order in [[0, 1, 2, 3], [2, 0, 3, 1], [3, 0, 1, 2]] {
                    let (mut max, mut sum) = (vec![f32::NEG_INFINITY; n], vec![0.0; n]);
                    let (mut factor, mut all) = (vec![0.0; n], Vec::<f32>::new());
                    for pair in order.chunks(2) {
                        let mut chunk: Vec<f32> =
                            pair.iter().flat_map(|r| rows[*r].clone()).collect();
                        let view = MatMut::dense(&mut chunk, 2, n);
                        with_kernel!(isa, k => k.softmax(view, scale, &mut max, &mut sum, &mut factor));
                        all.iter_mut().enumerate().for_each(|(i, w)| *w *= factor[i % n]);
                        all.extend(chunk);
                    }
                    for i in 0..n {
                        let exact = |r: usize| {
                            libm::exp((f64::from(rows[r][i]) - f64::from(x[i])) * f64::from(scale))
                        };
                        let total: f64 = (0..4).map(exact).sum();
                        for (n_row, r) in order.iter().enumerate() {
                            let got = f64::from(all[n_row * n + i] / sum[i]);
                            assert!(all[n_row * n + i] <= 1.000_062, "{:e}", x[i]);
                            let error = (got - exact(*r) / total).abs();
                            assert!(error.is_finite(), "{} {:e} {got}", isa.name(), x[i]);
                            let place = usize::from(x[i].abs() > 30.0);
                            worst[place] = worst[place].max(error);
                        }
                    }
                }
            });
            println!("weights, {} by {scale}: {worst:?}", isa.name());
            assert!(worst[0] < 3e-6 && worst[1] < 4e-5, "{} {worst:?}", isa.name());
        }
    }
}

/// Every binary16 and every int8 is widened to what it is, wherever in a row it lies.
#[test]
fn stored_values_are_widened_exactly() {
    let halves: Vec<u16> = (0..=u16::MAX).filter(|b| b >> 10 & 31 != 31).collect();
    let bytes: Vec<u8> = halves.iter().flat_map(|b| b.to_le_bytes()).collect();
    // By the definition of the format, not by a conversion that a kernel uses.
    let value = |b: &u16| {
        let (exponent, fraction) = (i32::from(b >> 10 & 31), f64::from(b & 1023));
        let magnitude = match exponent {
            0 => fraction * 2f64.powi(-24),
            e => (1024.0 + fraction) * 2f64.powi(e - 25),
        };
        (if b >> 15 == 1 { -magnitude } else { magnitude }) as f32
    };
    for isa in Isa::all_available() {
        for columns in [1, 7, 16, 2048] {
            let rows = halves.len() / columns;
            let alpha = Matrix::new(rows, columns, Scheme::F16, &bytes[..2 * rows * columns]);
            let (mut phi, gradient) = (vec![0.0; rows * columns], vec![-1.0; rows * columns]);
            assert!(with_kernel!(isa, k => k.descend(&mut phi, &alpha, &gradient)));
            assert!(phi.iter().zip(&halves).all(|(p, b)| *p == value(b)), "{}", isa.name());
        }
        let integers: Vec<f32> = (-127..=127).map(|q| q as f32).collect();
        for columns in [1, 3, 17, 85] {
            let mut stored = Vec::new();
            stored.extend((0..columns).flat_map(|_| 1f32.to_le_bytes()));
            stored.extend(integers.iter().map(|q| *q as i8 as u8));
            let alpha = Matrix::new(255 / columns, columns, Scheme::Int8, &stored);
            let (mut phi, gradient) = (vec![0.0; 255], vec![-1.0; 255]);
            assert!(with_kernel!(isa, k => k.descend(&mut phi, &alpha, &gradient)));
            let used = 255 / columns * columns;
            assert_eq!(phi[..used], integers[..used], "{}", isa.name());
        }
    }
}

/// Rows of any magnitude are rounded to int8 alike.
#[test]
fn rows_of_any_magnitude_are_rounded() {
    let mut stored = Vec::new();
    encode(Scheme::Int8, 32, &[1.0; 64 * 32], &mut stored);
    let w = Matrix::new(64, 32, Scheme::Int8, &stored);
    let mut panel = vec![0.0; 64 * super::PANEL];
    for isa in Isa::all_available() {
        batches(1_000_003, |x| {
            for x in x {
                let mut a = [0.0; 64];
                a[..40].fill(*x);
                a[40] = -x;
                let mut c = [7.0; 32];
                let (a, view) = (Mat::dense(&a, 1, 64), MatMut::dense(&mut c, 1, 32));
                with_kernel!(isa, k => k.linear_int8(a, &w, None, view, &mut panel));
                let want = 39.0 * f64::from(*x);
                for c in c {
                    let error = (f64::from(c) - want).abs();
                    // Tiny rows become 0; sums on the way may leave the finite numbers where x nearly does.
                    let fits = error <= 1e-6 * want.abs() + 64.0 * 1.6e-36;
                    let right =
                        if x.is_finite() { fits || want.abs() > 1e38 } else { !c.is_finite() };
                    assert!(right, "{} {x:e} {c:e}", isa.name());
                }
            }
        });
    }
}

/// Rows of any magnitude and any mean, on both sides of a register's width.
#[test]
fn norms_of_rows_of_any_magnitude() {
    let bytes = |v: f32, d: usize| -> Vec<u8> { (0..d).flat_map(|_| v.to_le_bytes()).collect() };
    for isa in Isa::all_available() {
        for d in [8, 16, 24, 40] {
            let (weight, bias) = (bytes(0.5, d), bytes(0.25, d));
            let (weight, bias) = (Vector::new(&weight), Vector::new(&bias));
            let norm = |x: &[f32]| {
                let mut out = vec![7.0; d];
                with_kernel!(isa, k => k.layer_norm(x, weight, bias, 1e-5, &mut out));
                out
            };
            batches(1_000_003, |x| {
                for x in x {
                    let row: Vec<f32> = (0..d).map(|i| if i % 2 == 0 { *x } else { -x }).collect();
                    let wide = f64::from(*x);
                    let want = 0.5 * wide / libm::sqrt(wide * wide + f64::from(1e-5f32)) + 0.25;
                    let got = norm(&row)[0];
                    // The sum of the squares is what overflows first.
                    let (right, least) =
                        ((f64::from(got) - want).abs() < 2e-7, 1.8e19 / libm::sqrt(d as f64));
                    let fine = if wide.abs() < least { right } else { right || got.is_nan() };
                    assert!(fine, "{} {d} {x:e} {got:e}", isa.name());
                    assert!(x.abs() < 1.9e19 || got.is_nan(), "{} {d} {x:e}", isa.name());
                }
            });
            for mean in [0.0, 1e3, 65_536.0, -1_048_576.0f32] {
                let row: Vec<f32> =
                    (0..d).map(|i| mean + if i % 2 == 0 { 1.0 } else { -1.0 }).collect();
                let got = norm(&row);
                let unit = 0.5 / libm::sqrt(1.0 + 1e-5);
                for (i, got) in got.iter().enumerate() {
                    let want = 0.25 + if i % 2 == 0 { unit } else { -unit };
                    assert!(
                        (f64::from(*got) - want).abs() < 2e-7,
                        "{} {d} {mean} {got}",
                        isa.name()
                    );
                }
            }
        }
    }
}
