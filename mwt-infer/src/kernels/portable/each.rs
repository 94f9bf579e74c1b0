//! What the kernel does to each value of a row; `mve` has the same for its vectors.

use mwt_core::math;
use mwt_core::quant::Vector;

use super::rows::{Rows, from};
#[cfg(mwt_fpv4)]
use crate::kernels::fpv4;
use crate::kernels::{LANES, Mat};

/// x ← sin x, cos ← cos x.
#[inline(always)]
pub(super) fn sin_cos(x: &mut [f32], cos: &mut [f32]) {
    #[cfg(mwt_fpv4)]
    let done = fpv4::sin_cos(x, cos);
    #[cfg(not(mwt_fpv4))]
    let done = 0;
    for (x, cos) in x.iter_mut().zip(cos).skip(done) {
        (*x, *cos) = math::sin_cos(*x);
    }
}

/// x ← gelu(x).
#[inline(always)]
pub(super) fn gelu(x: &mut [f32]) {
    x.iter_mut().for_each(|x| *x = math::gelu(*x));
}

/// The weights of scores in place of them: exp(scale·(score - near·max) - scaled·max).
pub(super) fn weights(scores: &mut [f32], max: &[f32], [scale, near, scaled]: [f32; 3]) {
    #[cfg(mwt_fpv4)]
    let done = fpv4::weights(scores, max, [scale, near, scaled]);
    #[cfg(not(mwt_fpv4))]
    let done = 0;
    for (score, max) in scores.iter_mut().zip(max).skip(done) {
        *score = math::exp(scale * (*score - near * max) - scaled * max);
    }
}

/// max ← the larger one of max and x, which may be a NaN.
#[inline(always)]
pub(super) fn raise(max: &mut [f32], x: &[f32]) {
    both(max, x, |max, x| *max = if x > *max { x } else { *max });
}

/// sums ← sums + x.
#[inline(always)]
pub(super) fn add(sums: &mut [f32], x: &[f32]) {
    both(sums, x, |sum, x| *sum += x);
}

/// x ← x ⊙ y.
#[inline(always)]
pub(super) fn multiply(x: &mut [f32], y: &[f32]) {
    both(x, y, |x, y| *x *= y);
}

/// x ← factor·x.
#[inline(always)]
pub(super) fn scale(x: &mut [f32], factor: f32) {
    x.iter_mut().for_each(|x| *x *= factor);
}

/// out ← x - mean.
#[inline(always)]
pub(super) fn subtract(out: &mut [f32], x: &[f32], mean: f32) {
    both(out, x, |o, x| *o = x - mean);
}

/// x ← scale·x ⊙ weight + bias.
#[inline(always)]
pub(super) fn affine(x: &mut [f32], scale: f32, weight: Vector<'_>, bias: Vector<'_>) {
    let done = x.len() / LANES * LANES;
    let (weights, biases) = (weight.bytes().as_chunks(), bias.bytes().as_chunks());
    let (lanes, rest) = x.as_chunks_mut::<LANES>();
    let weights = weights.0.as_chunks::<LANES>().0.iter();
    let biases = biases.0.as_chunks::<LANES>().0.iter();
    for (x, (weights, biases)) in lanes.iter_mut().zip(weights.zip(biases)) {
        for i in 0..LANES {
            let [w, b] = [weights[i], biases[i]].map(f32::from_le_bytes);
            x[i] = x[i] * scale * w + b;
        }
    }
    let affine = weight.from(done).iter().zip(bias.from(done).iter());
    rest.iter_mut().zip(affine).for_each(|(x, (w, b))| *x = *x * scale * w + b);
}

/// x ← x + scale ⊙ branch.
#[inline(always)]
pub(super) fn add_scaled(x: &mut [f32], scale: Vector<'_>, branch: &[f32]) {
    let scaled = branch.iter().zip(scale.iter());
    x.iter_mut().zip(scaled).for_each(|(x, (b, s))| *x += s * b);
}

/// x ← x - rates ⊙ y. Gives 0 if all of x is finite then, and a NaN otherwise.
#[inline(always)]
pub(super) fn descend(x: &mut [f32], rates: &[f32], y: &[f32], check: f32) -> f32 {
    let mut check = check;
    for ((x, y), rate) in x.iter_mut().zip(y).zip(rates) {
        *x -= rate * y;
        // x·0 is 0 for every finite x and NaN for the rest.
        check += *x * 0.0;
    }
    check
}

/// sums ← sums + the sum of the rows of x.
#[inline(always)]
pub(super) fn add_rows(x: Mat<'_>, sums: &mut [f32]) {
    // Down a few columns at a time, whose sums stay in registers.
    let (rows, columns) = (Rows::new(x, x.rows()), sums.len().min(x.columns()));
    let mut column = 0;
    while column + LANES <= columns {
        column_sums::<LANES>(&rows, sums, column);
        column += LANES;
    }
    (column..columns).for_each(|column| column_sums::<1>(&rows, sums, column));
}

/// Adds `N` columns up from `column` on.
#[inline(always)]
fn column_sums<const N: usize>(x: &Rows<'_>, sums: &mut [f32], column: usize) {
    let Some(sums) = sums.get_mut(column..).and_then(|s| s.first_chunk_mut::<N>()) else { return };
    let mut totals = *sums;
    for row in x.whole.clone() {
        let Some(row) = from::<N>(row, column) else { break };
        add_few(&mut totals, row);
    }
    if let Some(row) = from::<N>(x.last, column) {
        add_few(&mut totals, row);
    }
    *sums = totals;
}

#[inline(always)]
fn add_few(lanes: &mut [f32], x: &[f32]) {
    lanes.iter_mut().zip(x).for_each(|(lane, x)| *lane += x);
}

/// lanes ← lanes + x for each eight of x.
#[inline(always)]
pub(super) fn add_eights(lanes: &mut [f32; LANES], x: &[[f32; LANES]]) {
    x.iter().for_each(|x| add_few(lanes, x));
}

/// lanes ← lanes + a ⊙ b for each eight of a and b.
#[inline(always)]
pub(super) fn add_products(lanes: &mut [f32; LANES], a: &[[f32; LANES]], b: &[[f32; LANES]]) {
    for (a, b) in a.iter().zip(b) {
        lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
    }
}

/// Runs over two slices, a few values at a time: less counting.
#[inline(always)]
fn both(x: &mut [f32], y: &[f32], run: impl Fn(&mut f32, f32)) {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks_mut::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in x.iter_mut().zip(y) {
        x.iter_mut().zip(y).for_each(|(x, y)| run(x, *y));
    }
    x_rest.iter_mut().zip(y_rest).for_each(|(x, y)| run(x, *y));
}
