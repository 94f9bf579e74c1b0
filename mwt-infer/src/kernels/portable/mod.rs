//! Safe Rust for any target.
//!
//! Every sum runs in the order of its index and nothing is fused, so the bits of a result depend neither on
//! the target nor on the shape of the register blocks.

#[cfg(not(mwt_mve))]
mod each;
mod product;
mod rows;
#[cfg(test)]
mod tests;

use mwt_core::math::FAR_SCORE;
use mwt_core::quant::{Matrix, Values, Vector};

#[cfg(mwt_mve)]
use super::mve::each;
use super::{Init, Kernel, LANES, Mat, MatMut, PANEL, PackedI16, panels};

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
        each::sin_cos(x, cos);
    }

    fn gelu(self, x: &mut [f32]) {
        each::gelu(x);
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
            each::raise(max, scores.row_mut(row, 0));
        }
        // Far from 0 the rounding of a scaled score is felt in its weight: the maximum is taken away before the scaling.
        let far = max.iter().any(|max| (scale * max).abs() >= FAR_SCORE);
        let (near, scaled) = if far { (1.0, 0.0) } else { (0.0, scale) };
        let by = [scale, near, scaled];
        // The earlier maximum first, then the rows.
        each::weights(correction, max, by);
        self.multiply(sum, correction);
        for row in 0..scores.rows() {
            let row = scores.row_mut(row, 0);
            each::weights(row, max, by);
            each::add(sum, row);
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
        let d = weight.len();
        if d == 0 {
            return;
        }
        for (x, out) in x.chunks_exact(d).zip(out.chunks_exact_mut(d)) {
            let n = d as f32;
            let mean = self.sum(x) / n;
            each::subtract(out, x, mean);
            let variance = self.dot(out, out) / n;
            // 1, or NaN where the variance overflows: what is divided by infinity would pass for a row of zeros.
            let one = 1.0 + 0.0 * variance;
            let scale = one / libm::sqrtf(variance + eps);
            each::affine(out, scale, weight, bias);
        }
    }

    fn add_scaled(self, x: &mut [f32], branch: &[f32], scale: Vector<'_>) {
        let d = scale.len();
        if d == 0 {
            return;
        }
        for (x, branch) in x.chunks_exact_mut(d).zip(branch.chunks_exact(d)) {
            each::add_scaled(x, scale, branch);
        }
    }

    fn scale_rows(self, mut x: MatMut<'_>, factors: &[f32]) {
        for (row, factor) in factors.iter().enumerate() {
            self.scale(x.row_mut(row, 0), *factor);
        }
    }

    fn add_rows(self, x: Mat<'_>, sums: &mut [f32]) {
        each::add_rows(x, sums);
    }

    fn scale(self, x: &mut [f32], factor: f32) {
        each::scale(x, factor);
    }

    fn multiply(self, x: &mut [f32], y: &[f32]) {
        each::multiply(x, y);
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
                check = each::descend(phi, &rates, gradient, check);
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
        each::add_eights(&mut lanes, chunks);
        lanes.iter_mut().zip(rest).for_each(|(lane, x)| *lane += x);
        pairwise(lanes)
    }

    fn dot(self, a: &[f32], b: &[f32]) -> f32 {
        let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<LANES>(), b.as_chunks::<LANES>());
        let mut lanes = [0.0; LANES];
        each::add_products(&mut lanes, a, b);
        lanes.iter_mut().zip(a_rest.iter().zip(b_rest)).for_each(|(lane, (a, b))| *lane += a * b);
        pairwise(lanes)
    }
}

/// The sum of the lanes in a fixed order.
fn pairwise([a, b, c, d, e, f, g, h]: [f32; LANES]) -> f32 {
    ((a + e) + (c + g)) + ((b + f) + (d + h))
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
