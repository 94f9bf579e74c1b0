//! What runs over the rows of a matrix: norms, softmax, sums, the update of φ.

use mwt_core::math::FAR_SCORE;
use mwt_core::quant::{Matrix, Values, Vector};

use super::Simd;
use super::math::exp2;
use crate::kernels::{Mat, MatMut};

#[inline(always)]
pub(super) fn sum<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut sum = s.splat(0.0);
    for x in x.chunks(S::LANES) {
        sum = s.add(sum, s.load(x));
    }
    s.sum(sum)
}

#[inline(always)]
pub(super) fn dot<S: Simd>(s: S, a: &[f32], b: &[f32]) -> f32 {
    let mut sum = s.splat(0.0);
    for (a, b) in a.chunks(S::LANES).zip(b.chunks(S::LANES)) {
        sum = s.mul_add(s.load(a), s.load(b), sum);
    }
    s.sum(sum)
}

/// What a weight is measured against: 2 to the power of scale·(score - `near`) - `far`, in which one of the two is 0.
///
/// That power is one fused multiply-add as long as the largest score, scaled and rounded, can be `far`. Once it is so far
/// from 0 that its rounding would be felt, the score itself is taken away, exactly, as `near`.
#[derive(Clone, Copy)]
struct Origin<F> {
    near: F,
    far: F,
    /// Whether `near` is not 0 in some lane.
    any_near: bool,
}

impl<F: Copy> Origin<F> {
    #[inline(always)]
    fn new<S: Simd<F = F>>(s: S, highest: F, scale: F) -> Self {
        let scaled = s.mul(highest, scale);
        let magnitude = s.xor(scaled, s.and(scaled, s.splat(-0.0)));
        // Of negative sign where the magnitude is too large.
        let room = s.sub(s.splat(FAR_SCORE), magnitude);
        let (zero, one) = (s.splat(0.0), s.splat(1.0));
        Self {
            near: s.select(room, highest, zero),
            far: s.select(room, zero, scaled),
            any_near: s.sum(s.select(room, one, zero)) > 0.0,
        }
    }
}

#[inline(always)]
pub(super) fn softmax<S: Simd>(
    s: S,
    mut scores: MatMut<'_>,
    scale: f32,
    [max, sum, correction]: [&mut [f32]; 3],
) {
    let (rows, columns, stride) = (scores.rows(), scores.columns(), scores.stride());
    let data = scores.data_mut().as_mut_ptr();
    let scale = s.splat(scale * core::f32::consts::LOG2_E);
    let states = max.chunks_mut(S::LANES).zip(sum.chunks_mut(S::LANES));
    let states = states.zip(correction.chunks_mut(S::LANES));
    for (n, ((max, sum), correction)) in states.enumerate() {
        let first = n * S::LANES;
        if first >= columns || rows == 0 {
            return;
        }
        let (before, lanes) = (s.load(max), columns - first);
        let column = Column { rows, stride, lanes, data: data.wrapping_add(first) };
        // SAFETY: these lanes of the rows are within the view, which lies within its slice.
        let (highest, total, new) = unsafe {
            if lanes >= S::LANES {
                softmax_lanes::<S, true>(s, column, scale, before)
            } else {
                softmax_lanes::<S, false>(s, column, scale, before)
            }
        };
        let old = Origin::new(s, before, scale);
        let moved = s.mul_add(s.sub(old.near, new.near), scale, s.sub(old.far, new.far));
        let factor = exp2(s, moved);
        s.store(s.mul_add(s.load(sum), factor, total), sum);
        s.store(factor, correction);
        s.store(highest, max);
    }
}

/// `rows` rows of `lanes` values, `stride` apart.
#[derive(Clone, Copy)]
struct Column {
    rows: usize,
    stride: usize,
    lanes: usize,
    data: *mut f32,
}

impl Column {
    /// # Safety
    /// The column's values are there, and all lanes when `WHOLE`: masked stores are slow on some CPUs.
    #[inline(always)]
    unsafe fn load<S: Simd, const WHOLE: bool>(self, s: S, row: usize) -> S::F {
        // SAFETY: the caller's.
        unsafe {
            let from = self.data.add(row * self.stride);
            if WHOLE { s.load_all(from) } else { s.load_some(from, s.mask(self.lanes)) }
        }
    }

    /// # Safety
    /// As [`load`](Self::load).
    #[inline(always)]
    unsafe fn store<S: Simd, const WHOLE: bool>(self, s: S, row: usize, value: S::F) {
        // SAFETY: the caller's.
        unsafe {
            let to = self.data.add(row * self.stride);
            if WHOLE {
                s.store_all(value, to);
            } else {
                s.store_some(value, to, s.mask(self.lanes));
            }
        }
    }
}

/// One register's columns of [`softmax`]: the new maximum, the sum of the weights, and what they are measured against.
///
/// # Safety
/// As [`Column::load`].
#[inline(always)]
unsafe fn softmax_lanes<S: Simd, const WHOLE: bool>(
    s: S,
    column: Column,
    scale: S::F,
    before: S::F,
) -> (S::F, S::F, Origin<S::F>) {
    // Four maxima side by side: one alone would wait for itself.
    let mut maxima = [s.splat(f32::NEG_INFINITY); 4];
    for first in (0..column.rows).step_by(4) {
        for (i, max) in maxima.iter_mut().enumerate() {
            // The last row may be looked at more than once.
            let row = (first + i).min(column.rows - 1);
            // SAFETY: the caller's.
            *max = s.max(*max, unsafe { column.load::<S, WHOLE>(s, row) });
        }
    }
    let [a, b, c, d] = maxima;
    let highest = s.max(before, s.max(s.max(a, b), s.max(c, d)));
    let origin = Origin::new(s, highest, scale);
    // SAFETY: the caller's.
    let total = unsafe {
        // Most models never need the subtraction.
        if origin.any_near {
            weights::<S, WHOLE, true>(s, column, scale, origin)
        } else {
            weights::<S, WHOLE, false>(s, column, scale, origin)
        }
    };
    (highest, total, origin)
}

/// Turns scores into weights and gives their sum. `NEAR` says that a lane's [`near`](Origin::near) is not 0.
///
/// # Safety
/// As [`Column::load`].
#[inline(always)]
unsafe fn weights<S: Simd, const WHOLE: bool, const NEAR: bool>(
    s: S,
    column: Column,
    scale: S::F,
    origin: Origin<S::F>,
) -> S::F {
    let mut total = s.splat(0.0);
    for row in 0..column.rows {
        // SAFETY: the caller's.
        let score = unsafe { column.load::<S, WHOLE>(s, row) };
        let score = if NEAR { s.sub(score, origin.near) } else { score };
        let weight = exp2(s, s.mul_sub(score, scale, origin.far));
        total = s.add(total, weight);
        // SAFETY: the caller's.
        unsafe { column.store::<S, WHOLE>(s, row, weight) }
    }
    total
}

#[inline(always)]
pub(super) fn layer_norm<S: Simd>(
    s: S,
    x: &[f32],
    weight: Vector<'_>,
    bias: Vector<'_>,
    eps: f32,
    out: &mut [f32],
) {
    let d = weight.len().min(bias.len());
    if d == 0 {
        return;
    }
    let affine = [weight, bias].map(|v| v.bytes().as_ptr().cast());
    for (x, out) in x.chunks_exact(d).zip(out.chunks_exact_mut(d)) {
        let (x, out) = (x.as_ptr(), out.as_mut_ptr());
        // SAFETY: d values are at each of the four.
        unsafe {
            if d.is_multiple_of(S::LANES) {
                layer_norm_row::<S, true>(s, d, x, affine, eps, out);
            } else {
                layer_norm_row::<S, false>(s, d, x, affine, eps, out);
            }
        }
    }
}

/// At least as many as a register has lanes.
static ONES: [f32; 16] = [1.0; 16];

/// `WHOLE` says that d is a multiple of the lanes.
///
/// # Safety
/// `d` values are at each pointer.
#[inline(always)]
unsafe fn layer_norm_row<S: Simd, const WHOLE: bool>(
    s: S,
    d: usize,
    x: *const f32,
    [weight, bias]: [*const f32; 2],
    eps: f32,
    out: *mut f32,
) {
    let lanes = || (0..d).step_by(S::LANES);
    // SAFETY: the caller's.
    let load = |from: *const f32, at: usize| unsafe {
        if WHOLE { s.load_all(from.add(at)) } else { s.load_some(from.add(at), s.mask(d - at)) }
    };
    let mut sum = s.splat(0.0);
    for at in lanes() {
        sum = s.add(sum, load(x, at));
    }
    let mean = s.sum(sum) / d as f32;
    let means = s.splat(mean);
    let mut squares = s.splat(0.0);
    for at in lanes() {
        // A tail's empty lanes stay 0: counted as mean² each and taken away again, they would cost the variance of values
        // far from 0 all its digits.
        let means = if WHOLE || d - at >= S::LANES {
            means
        } else {
            // SAFETY: a register has at most as many lanes as there are ones.
            s.mul(means, unsafe { s.load_some(ONES.as_ptr(), s.mask(d - at)) })
        };
        let offset = s.sub(load(x, at), means);
        squares = s.mul_add(offset, offset, squares);
    }
    let variance = s.sum(squares) / d as f32;
    // 1, or NaN where the variance overflows: what is divided by infinity would pass for a row of zeros.
    let one = 1.0 + 0.0 * variance;
    let factor = s.div(s.splat(one), s.sqrt(s.splat(variance + eps)));
    for at in lanes() {
        let normed = s.mul(s.sub(load(x, at), means), factor);
        let value = s.mul_add(normed, load(weight, at), load(bias, at));
        // SAFETY: the caller's.
        unsafe {
            if WHOLE {
                s.store_all(value, out.add(at));
            } else {
                s.store_some(value, out.add(at), s.mask(d - at));
            }
        }
    }
}

#[inline(always)]
pub(super) fn add_scaled<S: Simd>(s: S, x: &mut [f32], branch: &[f32], scale: Vector<'_>) {
    let d = scale.len().max(1);
    for (x, branch) in x.chunks_exact_mut(d).zip(branch.chunks_exact(d)) {
        let chunks = x.chunks_mut(S::LANES).zip(branch.chunks(S::LANES));
        for ((x, branch), scale) in chunks.zip(scale.bytes().chunks(4 * S::LANES)) {
            let sum = s.mul_add(s.load(branch), s.load_bytes(scale), s.load(x));
            s.store(sum, x);
        }
    }
}

#[inline(always)]
pub(super) fn scale_rows<S: Simd>(s: S, mut x: MatMut<'_>, factors: &[f32]) {
    for (row, factor) in factors.iter().enumerate() {
        scale(s, x.row_mut(row, 0), *factor);
    }
}

#[inline(always)]
pub(super) fn scale<S: Simd>(s: S, x: &mut [f32], factor: f32) {
    let factor = s.splat(factor);
    for x in x.chunks_mut(S::LANES) {
        s.store(s.mul(s.load(x), factor), x);
    }
}

#[inline(always)]
pub(super) fn multiply<S: Simd>(s: S, x: &mut [f32], y: &[f32]) {
    let len = x.len().min(y.len());
    let Some(x) = x.get_mut(..len) else { return };
    for (x, y) in x.chunks_mut(S::LANES).zip(y.chunks(S::LANES)) {
        s.store(s.mul(s.load(x), s.load(y)), x);
    }
}

#[inline(always)]
pub(super) fn add_rows<S: Simd>(s: S, x: Mat<'_>, sums: &mut [f32]) {
    for (n, sums) in sums.chunks_mut(S::LANES).enumerate() {
        let mut sum = s.load(sums);
        for row in 0..x.rows() {
            let row = x.row(row).get(n * S::LANES..).unwrap_or_default();
            sum = s.add(sum, s.load(row));
        }
        s.store(sum, sums);
    }
}

#[inline(always)]
pub(super) fn descend<S: Simd>(
    s: S,
    phi: &mut [f32],
    alpha: &Matrix<'_>,
    gradient: &[f32],
) -> bool {
    let d = alpha.columns.max(1);
    let mut check = s.splat(0.0);
    let rows = phi.chunks_exact_mut(d).zip(gradient.chunks_exact(d));
    for (row, (phi, gradient)) in rows.enumerate().take(alpha.rows) {
        let chunks = phi.chunks_mut(S::LANES).zip(gradient.chunks(S::LANES));
        for (n, (phi, gradient)) in chunks.enumerate() {
            let rate = stored(s, alpha, row, n * S::LANES);
            let value = s.neg_mul_add(rate, s.load(gradient), s.load(phi));
            // x·0 is 0 for every finite x and NaN for the rest.
            check = s.mul_add(value, s.splat(0.0), check);
            s.store(value, phi);
        }
    }
    s.sum(check) == 0.0
}

/// A register of stored values; lanes past the end of the row are anything.
#[inline(always)]
fn stored<S: Simd>(s: S, matrix: &Matrix<'_>, row: usize, column: usize) -> S::F {
    let start = row * matrix.columns + column;
    match matrix.values {
        Values::F32(values) => s.load_bytes(values.from(start).bytes()),
        Values::Int8 { scales, data } => {
            let data = data.get(start..).unwrap_or_default();
            let scale = s.load_bytes(scales.from(column).bytes());
            if data.len() < S::LANES {
                return decoded(s, matrix, row, column);
            }
            // SAFETY: a register's bytes are there.
            s.mul(unsafe { s.load_i8(data.as_ptr()) }, scale)
        }
        Values::F16(data) => {
            let data = data.get(2 * start..).unwrap_or_default();
            if data.len() < 2 * S::LANES {
                return decoded(s, matrix, row, column);
            }
            // SAFETY: as above, two bytes a value.
            unsafe { s.load_f16(data.as_ptr()) }
        }
    }
}

/// As [`stored`], at the end of the stored bytes.
#[cold]
fn decoded<S: Simd>(s: S, matrix: &Matrix<'_>, row: usize, column: usize) -> S::F {
    let mut values = [0.0; 16];
    let count = matrix.columns.saturating_sub(column).min(S::LANES);
    matrix.read(row, column, values.get_mut(..count).unwrap_or_default());
    s.load(&values)
}

#[inline(always)]
pub(super) fn transpose<S: Simd>(s: S, from: Mat<'_>, mut to: MatMut<'_>) {
    let (rows, columns) = (from.rows().min(to.columns()), from.columns().min(to.rows()));
    let (from_stride, to_stride) = (from.stride(), to.stride());
    let (source, target) = (from.data().as_ptr(), to.data_mut().as_mut_ptr());
    let whole = |n: usize| n - n % S::LANES;
    for row in (0..whole(rows)).step_by(S::LANES) {
        for column in (0..whole(columns)).step_by(S::LANES) {
            // SAFETY: the block is within both views, which lie within their slices.
            unsafe {
                let source = source.add(row * from_stride + column);
                s.transpose(source, from_stride, target.add(column * to_stride + row), to_stride);
            }
        }
    }
    for row in 0..rows {
        let first = if row < whole(rows) { whole(columns) } else { 0 };
        for (column, value) in from.row(row).iter().enumerate().take(columns).skip(first) {
            if let Some(to) = to.row_mut(column, row).first_mut() {
                *to = *value;
            }
        }
    }
}
