//! Safe Rust for any target.
//!
//! Every sum runs in the order of its index and nothing is fused, so the bits of a result depend neither on
//! the target nor on the shape of the register blocks.

mod product;
mod rows;
#[cfg(test)]
mod tests;

use mwt_core::math::{self, FAR_SCORE};
use mwt_core::quant::{Matrix, Values, Vector};

use self::rows::{Rows, from};
#[cfg(mwt_fpv4)]
use super::fpv4;
use super::{Init, Kernel, Mat, MatMut, PANEL, PackedI16, panels};

/// The kernel in safe Rust.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

impl PackedI16 for Portable {
    const SHORTEST: usize = 0;

    fn largest(self, x: &[f32]) -> f32 {
        panels::largest(x)
    }
}

impl Kernel for Portable {
    const INTEGER_PANELS: bool = true;

    fn gemm(self, a: Mat<'_>, b: Mat<'_>, init: Init<'_>, c: MatMut<'_>) {
        product::gemm(a, b, init, c);
    }

    fn gemm_tn(self, a: Mat<'_>, b: Mat<'_>, c: MatMut<'_>) {
        product::gemm_tn(a, b, c);
    }

    fn linear(
        self,
        a: Mat<'_>,
        w: &Matrix<'_>,
        bias: Option<Vector<'_>>,
        mut c: MatMut<'_>,
        panel: &mut [f32],
    ) {
        // A few columns of the weight at a time are widened to f32; all rows of A then read them from there.
        for column in (0..w.columns.min(c.columns())).step_by(PANEL) {
            let columns = PANEL.min(w.columns - column);
            let Some(panel) = panel.get_mut(..w.rows * columns) else { return };
            widen(w, column, columns, panel);
            let mut bias_values = [0.0; PANEL];
            if let Some(bias) = bias {
                bias_values.iter_mut().zip(bias.from(column).iter()).for_each(|(o, v)| *o = v);
            }
            let (rows, stride) = (c.rows(), c.stride());
            let Some(out) = c.data_mut().get_mut(column..) else { return };
            let out = MatMut::new(out, rows, columns, stride);
            self.gemm(a, Mat::dense(panel, w.rows, columns), Init::Bias(&bias_values), out);
        }
    }

    fn linear_int8(
        self,
        a: Mat<'_>,
        w: &Matrix<'_>,
        bias: Option<Vector<'_>>,
        mut c: MatMut<'_>,
        panel: &mut [f32],
    ) {
        if !panels::linear(a, w, bias, &mut c, panel) {
            self.linear(a, w, bias, c, panel);
        }
    }

    fn sin_cos(self, x: &mut [f32], cos: &mut [f32]) {
        #[cfg(mwt_fpv4)]
        let done = fpv4::sin_cos(x, cos);
        #[cfg(not(mwt_fpv4))]
        let done = 0;
        for (x, cos) in x.iter_mut().zip(cos).skip(done) {
            (*x, *cos) = math::sin_cos(*x);
        }
    }

    fn gelu(self, x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = math::gelu(*x));
    }

    fn softmax(
        self,
        mut scores: MatMut<'_>,
        scale: f32,
        max: &mut [f32],
        sum: &mut [f32],
        correction: &mut [f32],
    ) {
        // `correction` holds the earlier maximum meanwhile.
        correction.iter_mut().zip(&*max).for_each(|(c, m)| *c = *m);
        for row in 0..scores.rows() {
            each(max, scores.row_mut(row, 0), |max, score| {
                *max = if score > *max { score } else { *max };
            });
        }
        // Far from 0 the rounding of a scaled score is felt in its weight: the maximum is taken away before the scaling.
        let far = max.iter().any(|max| (scale * max).abs() >= FAR_SCORE);
        let (near, scaled) = if far { (1.0, 0.0) } else { (0.0, scale) };
        let by = [scale, near, scaled];
        // The earlier maximum first, then the rows.
        weights(correction, max, by);
        self.multiply(sum, correction);
        for row in 0..scores.rows() {
            let row = scores.row_mut(row, 0);
            weights(row, max, by);
            each(sum, row, |sum, weight| *sum += weight);
        }
    }

    fn layer_norm(
        self,
        x: &[f32],
        weight: Vector<'_>,
        bias: Vector<'_>,
        eps: f32,
        out: &mut [f32],
    ) {
        let d = weight.len().max(1);
        for (x, out) in x.chunks_exact(d).zip(out.chunks_exact_mut(d)) {
            let n = d as f32;
            let mean = self.sum(x) / n;
            each(out, x, |o, x| *o = x - mean);
            let variance = self.dot(out, out) / n;
            // 1, or NaN where the variance overflows: what is divided by infinity would pass for a row of zeros.
            let one = 1.0 + 0.0 * variance;
            let scale = one / libm::sqrtf(variance + eps);
            let (weights, biases) = (weight.bytes().as_chunks(), bias.bytes().as_chunks());
            let (lanes, rest) = out.as_chunks_mut::<LANES>();
            let weights = weights.0.as_chunks::<LANES>().0.iter();
            let biases = biases.0.as_chunks::<LANES>().0.iter();
            for (out, (weights, biases)) in lanes.iter_mut().zip(weights.zip(biases)) {
                for i in 0..LANES {
                    let [w, b] = [weights[i], biases[i]].map(f32::from_le_bytes);
                    out[i] = out[i] * scale * w + b;
                }
            }
            let done = d - rest.len();
            let affine = weight.from(done).iter().zip(bias.from(done).iter());
            rest.iter_mut().zip(affine).for_each(|(o, (w, b))| *o = *o * scale * w + b);
        }
    }

    fn add_scaled(self, x: &mut [f32], branch: &[f32], scale: Vector<'_>) {
        let d = scale.len().max(1);
        for (x, branch) in x.chunks_exact_mut(d).zip(branch.chunks_exact(d)) {
            let scaled = branch.iter().zip(scale.iter());
            x.iter_mut().zip(scaled).for_each(|(x, (b, s))| *x += s * b);
        }
    }

    fn scale_rows(self, mut x: MatMut<'_>, factors: &[f32]) {
        for (row, factor) in factors.iter().enumerate() {
            self.scale(x.row_mut(row, 0), *factor);
        }
    }

    fn add_rows(self, x: Mat<'_>, sums: &mut [f32]) {
        // Down a few columns at a time, whose sums stay in registers.
        let (rows, columns) = (Rows::new(x, x.rows()), sums.len().min(x.columns()));
        let mut column = 0;
        while column + LANES <= columns {
            column_sums::<LANES>(&rows, sums, column);
            column += LANES;
        }
        (column..columns).for_each(|column| column_sums::<1>(&rows, sums, column));
    }

    fn scale(self, x: &mut [f32], factor: f32) {
        x.iter_mut().for_each(|x| *x *= factor);
    }

    fn multiply(self, x: &mut [f32], y: &[f32]) {
        each(x, y, |x, y| *x *= y);
    }

    fn descend(self, phi: &mut [f32], alpha: &Matrix<'_>, gradient: &[f32]) -> bool {
        /// Rates that are decoded in one go.
        const CHUNK: usize = 32;
        let d = alpha.columns.max(1);
        let mut check = 0.0;
        let rows = phi.chunks_exact_mut(d).zip(gradient.chunks_exact(d));
        for (row, (phi, gradient)) in rows.enumerate().take(alpha.rows) {
            let chunks = phi.chunks_mut(CHUNK).zip(gradient.chunks(CHUNK));
            for (n, (phi, gradient)) in chunks.enumerate() {
                let mut rates = [0.0; CHUNK];
                alpha.read(row, n * CHUNK, rates.get_mut(..phi.len()).unwrap_or_default());
                for ((value, g), rate) in phi.iter_mut().zip(gradient).zip(rates) {
                    *value -= rate * g;
                    // x·0 is 0 for every finite x and NaN for the rest.
                    check += *value * 0.0;
                }
            }
        }
        check == 0.0
    }

    fn transpose(self, from: Mat<'_>, mut to: MatMut<'_>) {
        for row in 0..to.rows().min(from.columns()) {
            let column = from.data().get(row..).unwrap_or_default();
            let column = column.iter().step_by(from.stride().max(1)).take(from.rows());
            to.row_mut(row, 0).iter_mut().zip(column).for_each(|(to, from)| *to = *from);
        }
    }

    fn sum(self, x: &[f32]) -> f32 {
        let (chunks, rest) = x.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for x in chunks {
            add(&mut lanes, x);
        }
        add(&mut lanes, rest);
        pairwise(lanes)
    }

    fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        let mut lanes = [0.0; LANES];
        for (a, b) in a.iter().zip(b) {
            add_products(&mut lanes, a, b);
        }
        add_products(&mut lanes, a_rest, b_rest);
        pairwise(lanes)
    }
}

/// The weights of scores in place of them: exp(scale·(score - near·max) - scaled·max).
fn weights(scores: &mut [f32], max: &[f32], [scale, near, scaled]: [f32; 3]) {
    #[cfg(mwt_fpv4)]
    let done = fpv4::weights(scores, max, [scale, near, scaled]);
    #[cfg(not(mwt_fpv4))]
    let done = 0;
    for (score, max) in scores.iter_mut().zip(max).skip(done) {
        *score = math::exp(scale * (*score - near * max) - scaled * max);
    }
}

/// Runs over two slices, a few values at a time: less counting.
#[inline(always)]
fn each(x: &mut [f32], y: &[f32], run: impl Fn(&mut f32, f32)) {
    let ((x, x_rest), (y, y_rest)) = (x.as_chunks_mut::<LANES>(), y.as_chunks::<LANES>());
    for (x, y) in x.iter_mut().zip(y) {
        x.iter_mut().zip(y).for_each(|(x, y)| run(x, *y));
    }
    x_rest.iter_mut().zip(y_rest).for_each(|(x, y)| run(x, *y));
}

/// Partial sums of a dot product.
const LANES: usize = 8;

/// The sum of the lanes in a fixed order.
fn pairwise([a, b, c, d, e, f, g, h]: [f32; LANES]) -> f32 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

#[inline(always)]
fn add(lanes: &mut [f32], x: &[f32]) {
    lanes.iter_mut().zip(x).for_each(|(lane, x)| *lane += x);
}

#[inline(always)]
fn add_products(lanes: &mut [f32], a: &[f32], b: &[f32]) {
    lanes.iter_mut().zip(a.iter().zip(b)).for_each(|(lane, (a, b))| *lane += a * b);
}

/// Adds `N` columns up from `column` on.
#[inline(always)]
fn column_sums<const N: usize>(x: &Rows<'_>, sums: &mut [f32], column: usize) {
    let Some(sums) = sums.get_mut(column..).and_then(|s| s.first_chunk_mut::<N>()) else { return };
    let mut totals = *sums;
    for row in x.whole.clone() {
        let Some(row) = from::<N>(row, column) else { break };
        add(&mut totals, row);
    }
    if let Some(row) = from::<N>(x.last, column) {
        add(&mut totals, row);
    }
    *sums = totals;
}

/// Decodes `columns` columns of a weight into a panel.
fn widen(w: &Matrix<'_>, column: usize, columns: usize, panel: &mut [f32]) {
    match w.values {
        // The common case with its scales in registers.
        Values::Int8 { scales, data } if columns == PANEL => {
            let mut scale = [0.0; PANEL];
            scale.iter_mut().zip(scales.from(column).iter()).for_each(|(s, v)| *s = v);
            let rows = data.chunks_exact(w.columns.max(PANEL));
            for (values, row) in panel.as_chunks_mut::<PANEL>().0.iter_mut().zip(rows) {
                let Some(row) = row.get(column..).and_then(|r| r.first_chunk::<PANEL>()) else {
                    return;
                };
                for i in 0..PANEL {
                    values[i] = f32::from(row[i] as i8) * scale[i];
                }
            }
        }
        _ => {
            for (row, values) in panel.chunks_exact_mut(columns.max(1)).enumerate() {
                w.read(row, column, values);
            }
        }
    }
}
