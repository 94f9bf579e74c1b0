//! What runs over values and rows between the products, in plain loops that the compiler vectorizes: called inside
//! [`Kernel::compiled`](mwt_infer::kernels::Kernel::compiled), into which all of it is inlined.

use mwt_core::math::{self, NORM_EPS};

/// Sums that run side by side: one alone would wait for itself, and the order of additions is the program's.
const LANES: usize = 16;

/// Σ term(values) over slices as long as the first one.
#[inline(always)]
fn sum<const N: usize>(slices: [&[f32]; N], term: impl Fn([f32; N]) -> f32) -> f32 {
    let len = slices[0].len();
    let slices = slices.map(|s| &s[..len]);
    let mut lanes = [0.0; LANES];
    let whole = len - len % LANES;
    for at in (0..whole).step_by(LANES) {
        let chunks = slices.map(|s| &s[at..at + LANES]);
        for i in 0..LANES {
            lanes[i] += term(chunks.map(|c| c[i]));
        }
    }
    let rest: f32 = (whole..len).map(|i| term(slices.map(|s| s[i]))).sum();
    lanes.iter().sum::<f32>() + rest
}

#[inline(always)]
fn max(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for i in 0..LANES {
            lanes[i] = larger(lanes[i], chunk[i]);
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, b| larger(a, *b))
}

/// a += b.
#[inline(always)]
pub(super) fn add(a: &mut [f32], b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}

/// a += factor·b.
#[inline(always)]
pub(super) fn add_times(a: &mut [f32], factor: f32, b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += factor * b);
}

/// The dot product.
#[inline(always)]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum([a, b], |[a, b]| a * b)
}

/// x += scale ⊙ branch, row by row.
#[inline(always)]
pub(super) fn add_scaled(x: &mut [f32], branch: &[f32], scale: &[f32]) {
    for (x, branch) in x.chunks_exact_mut(scale.len()).zip(branch.chunks_exact(scale.len())) {
        x.iter_mut().zip(branch).zip(scale).for_each(|((x, b), s)| *x += b * s);
    }
}

/// Mean and 1/√(variance + eps) of a row.
#[inline(always)]
fn moments(x: &[f32]) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum([x], |[x]| x) / n;
    let variance = sum([x], |[x]| (x - mean) * (x - mean)) / n;
    (mean, 1.0 / (variance + NORM_EPS).sqrt())
}

/// Layer norm of each row.
#[inline(always)]
pub(super) fn norm(x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
    for (x, y) in x.chunks_exact(weight.len()).zip(y.chunks_exact_mut(weight.len())) {
        let (mean, scale) = moments(x);
        for (((y, x), w), b) in y.iter_mut().zip(x).zip(weight).zip(bias) {
            *y = (x - mean) * scale * w + b;
        }
    }
}

/// Adds to x̄ what comes through a layer norm, and to the gradients of its weight and bias.
#[inline(always)]
pub(super) fn norm_backward(
    x: &[f32],
    weight: &[f32],
    y_bar: &[f32],
    x_bar: &mut [f32],
    [weight_bar, bias_bar]: [&mut [f32]; 2],
) {
    let d = weight.len();
    let rows = x.chunks_exact(d).zip(y_bar.chunks_exact(d)).zip(x_bar.chunks_exact_mut(d));
    for ((x, y_bar), x_bar) in rows {
        let (mean, scale) = moments(x);
        for ((g, x), y) in weight_bar.iter_mut().zip(x).zip(y_bar) {
            *g += y * (x - mean) * scale;
        }
        add(bias_bar, y_bar);
        let mean_bar = sum([y_bar, weight], |[y, w]| y * w) / d as f32;
        let along = sum([y_bar, weight, x], |[y, w, x]| y * w * (x - mean)) * scale / d as f32;
        for (((x_bar, x), y), w) in x_bar.iter_mut().zip(x).zip(y_bar).zip(weight) {
            *x_bar += scale * (y * w - mean_bar - (x - mean) * scale * along);
        }
    }
}

/// y = gelu(x).
#[inline(always)]
pub(super) fn gelu(x: &[f32], y: &mut [f32]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y = math::gelu(*x));
}

/// bar *= gelu'(x), with gelu'(x) = Φ(x) + x·φ(x) of the normal distribution.
#[inline(always)]
pub(super) fn gelu_backward(x: &[f32], bar: &mut [f32]) {
    /// 1/√(2π).
    const DENSITY: f32 = 0.398_942_3;
    for (bar, x) in bar.iter_mut().zip(x) {
        let cumulative = 0.5 * (1.0 + math::erf(x * std::f32::consts::FRAC_1_SQRT_2));
        *bar *= cumulative + x * DENSITY * math::exp(-0.5 * x * x);
    }
}

/// A row of scores to exp(scale·score - max); gives their sum and the row's log-sum-exp.
#[inline(always)]
pub(super) fn softmax(scores: &mut [f32], scale: f32) -> (f32, f32) {
    let max = max(scores) * scale;
    scores.iter_mut().for_each(|s| *s = math::exp(*s * scale - max));
    let sum = sum([scores], |[s]| s);
    (sum, max + sum.ln())
}

/// A row of scores to probabilities p = exp(scale·score - lse), and p̄ to the gradient of the scores,
/// p ⊙ (p̄ - along)·scale.
#[inline(always)]
pub(super) fn softmax_backward(
    scores: &mut [f32],
    bars: &mut [f32],
    (scale, lse, along): (f32, f32, f32),
) {
    for (p, bar) in scores.iter_mut().zip(bars) {
        *p = math::exp(*p * scale - lse);
        *bar = *p * (*bar - along) * scale;
    }
}
