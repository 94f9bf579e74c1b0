//! Safe Rust for any target.
//!
//! Every sum runs in the order of its index and nothing is fused, so the bits of a result depend neither on
//! the target nor on the shape of the register blocks below.

use core::array;
use core::slice::ChunksExact;

use super::{Init, Kernel, Mat, MatMut, PANEL, Words};
use mwt_core::math;
use mwt_core::quant::{Matrix, Values, Vector};

/// The kernel in safe Rust.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

/// Rows of a register block. Four rows by [`COLUMNS`] keep their sums in the registers of M4F and RISC-V (32 singles)
/// and of SSE2 alike.
const ROWS: usize = 4;

/// Columns of a register block.
const COLUMNS: usize = if cfg!(any(target_arch = "arm", target_arch = "riscv32")) { 4 } else { 8 };

impl Words for Portable {}

impl Kernel for Portable {
    fn gemm(self, a: Mat<'_>, b: Mat<'_>, init: Init<'_>, mut c: MatMut<'_>) {
        let rows = c.rows().min(a.rows());
        let b_rows = Rows::new(b, a.columns());
        let mut row = 0;
        while row + ROWS <= rows {
            gemm_rows::<ROWS>(a, &b_rows, init, &mut c, row);
            row += ROWS;
        }
        (row..rows).for_each(|row| gemm_rows::<1>(a, &b_rows, init, &mut c, row));
    }

    fn gemm_tn(self, a: Mat<'_>, b: Mat<'_>, mut c: MatMut<'_>) {
        let rows = c.rows().min(a.columns());
        let (a, b) = Rows::pair(a, b);
        let mut row = 0;
        while row + ROWS <= rows {
            gemm_tn_rows::<ROWS>(&a, &b, &mut c, row);
            row += ROWS;
        }
        (row..rows).for_each(|row| gemm_tn_rows::<1>(&a, &b, &mut c, row));
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

    fn sin_cos(self, z: &mut [f32], cos: &mut [f32]) {
        for (z, c) in z.iter_mut().zip(cos) {
            (*z, *c) = math::sin_cos(*z);
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
            for (max, score) in max.iter_mut().zip(scores.row_mut(row, 0)) {
                let score = scale * *score;
                *max = if score > *max { score } else { *max };
            }
        }
        for ((sum, correction), max) in sum.iter_mut().zip(&mut *correction).zip(&*max) {
            *correction = math::exp(*correction - max);
            *sum *= *correction;
        }
        for row in 0..scores.rows() {
            for ((score, max), sum) in scores.row_mut(row, 0).iter_mut().zip(&*max).zip(&mut *sum) {
                *score = math::exp(scale * *score - max);
                *sum += *score;
            }
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
            out.iter_mut().zip(x).for_each(|(o, x)| *o = x - mean);
            let variance = self.dot(out, out) / n;
            let scale = 1.0 / libm::sqrtf(variance + eps);
            let affine = weight.iter().zip(bias.iter());
            out.iter_mut().zip(affine).for_each(|(o, (w, b))| *o = *o * scale * w + b);
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
        // A few at a time: less counting.
        let ((x, x_rest), (y, y_rest)) = (x.as_chunks_mut::<LANES>(), y.as_chunks::<LANES>());
        for (x, y) in x.iter_mut().zip(y) {
            x.iter_mut().zip(y).for_each(|(x, y)| *x *= y);
        }
        x_rest.iter_mut().zip(y_rest).for_each(|(x, y)| *x *= y);
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

/// `M` ≤ [`ROWS`] rows of C = init + A·B.
#[inline(always)]
fn gemm_rows<const M: usize>(
    a: Mat<'_>,
    b: &Rows<'_>,
    init: Init<'_>,
    c: &mut MatMut<'_>,
    row: usize,
) {
    let a = array::from_fn(|r| a.row(row + r.min(M - 1)));
    let Some(mut c) = rows_mut::<M>(c, row) else { return };
    let mut column = 0;
    while column + COLUMNS <= c[0].len() {
        block::<M, COLUMNS>(a, b, init, &mut c, column);
        column += COLUMNS;
    }
    while column < c[0].len() {
        block::<M, 1>(a, b, init, &mut c, column);
        column += 1;
    }
}

/// `M` rows of C = C + Aᵀ·B.
#[inline(always)]
fn gemm_tn_rows<const M: usize>(a: &Rows<'_>, b: &Rows<'_>, c: &mut MatMut<'_>, row: usize) {
    let Some(mut c) = rows_mut::<M>(c, row) else { return };
    let mut column = 0;
    while column + COLUMNS <= c[0].len() {
        block_tn::<M, COLUMNS>(a, b, &mut c, row, column);
        column += COLUMNS;
    }
    while column < c[0].len() {
        block_tn::<M, 1>(a, b, &mut c, row, column);
        column += 1;
    }
}

/// Rows `row..row + M`, all of one length, or none.
#[inline(always)]
fn rows_mut<'c, const M: usize>(c: &'c mut MatMut<'_>, row: usize) -> Option<[&'c mut [f32]; M]> {
    let (columns, stride) = (c.columns(), c.stride().max(1));
    let mut rows = c.data_mut().get_mut(row * stride..)?.chunks_mut(stride);
    let rows =
        array::from_fn(|_| rows.next().and_then(|row| row.get_mut(..columns)).unwrap_or_default());
    rows.iter().all(|row| row.len() == columns).then_some(rows)
}

/// `N` columns of `M` ≤ [`ROWS`] rows of C = init + A·B.
#[inline(always)]
fn block<const M: usize, const N: usize>(
    [a0, a1, a2, a3]: [&[f32]; ROWS],
    b: &Rows<'_>,
    init: Init<'_>,
    c: &mut [&mut [f32]; M],
    column: usize,
) {
    // Known ahead, the loop has no other way out than its end.
    if !b.reach::<N>(column) {
        return;
    }
    let mut sums = match init {
        Init::Zero => [[0.0; N]; M],
        Init::Bias(bias) => match from(bias, column) {
            Some(bias) => [*bias; M],
            None => return,
        },
        Init::Add => load(c, column),
    };
    // Two rows of B a turn: half the counting, and one address of each row of A for two of its values.
    fn pairs(a: &[f32]) -> core::slice::Iter<'_, [f32; 2]> {
        a.as_chunks().0.iter()
    }
    let rows_of_a = pairs(a0).zip(pairs(a1)).zip(pairs(a2)).zip(pairs(a3));
    for ((((a0, a1), a2), a3), b_rows) in rows_of_a.zip(b.pairs.clone()) {
        let pair = (from(b_rows, column), from(b_rows, b.stride + column));
        let (Some(first), Some(second)) = pair else { break };
        add_outer(&mut sums, &[a0[0], a1[0], a2[0], a3[0]], first);
        add_outer(&mut sums, &[a0[1], a1[1], a2[1], a3[1]], second);
    }
    for (p, b) in (2 * b.pairs.len()..).zip(b.alone) {
        if let (Some(a0), Some(a1), Some(a2), Some(a3), Some(b)) =
            (a0.get(p), a1.get(p), a2.get(p), a3.get(p), from(b, column))
        {
            add_outer(&mut sums, &[*a0, *a1, *a2, *a3], b);
        }
    }
    store(&sums, c, column);
}

/// `N` columns of `M` rows of C = C + Aᵀ·B.
#[inline(always)]
fn block_tn<const M: usize, const N: usize>(
    a: &Rows<'_>,
    b: &Rows<'_>,
    c: &mut [&mut [f32]; M],
    row: usize,
    column: usize,
) {
    if !a.reach::<M>(row) || !b.reach::<N>(column) {
        return;
    }
    let mut sums: [[_; N]; M] = load(c, column);
    for (a, b) in a.whole.clone().zip(b.whole.clone()) {
        let (Some(a), Some(b)) = (from::<M>(a, row), from(b, column)) else { break };
        add_outer(&mut sums, a, b);
    }
    if let (Some(a), Some(b)) = (from::<M>(a.last, row), from(b.last, column)) {
        add_outer(&mut sums, a, b);
    }
    store(&sums, c, column);
}

/// Reads a block.
#[inline(always)]
fn load<const M: usize, const N: usize>(c: &[&mut [f32]; M], column: usize) -> [[f32; N]; M] {
    array::from_fn(|r| from(c[r], column).copied().unwrap_or([0.0; N]))
}

/// Writes a block.
#[inline(always)]
fn store<const M: usize, const N: usize>(
    sums: &[[f32; N]; M],
    c: &mut [&mut [f32]; M],
    column: usize,
) {
    for (c, sums) in c.iter_mut().zip(sums) {
        let Some(c) = c.get_mut(column..).and_then(|c| c.first_chunk_mut()) else { return };
        *c = *sums;
    }
}

/// The `N` values from `column` on.
#[inline(always)]
fn from<const N: usize>(row: &[f32], column: usize) -> Option<&[f32; N]> {
    row.get(column..).and_then(|row| row.first_chunk())
}

/// The rows of an operand, a whole stride each, and the last one apart where the slice ends with it. Chunks of a
/// length that never changes leave a loop over them nothing to check.
struct Rows<'a> {
    whole: ChunksExact<'a, f32>,
    /// The same rows, two at a time.
    pairs: ChunksExact<'a, f32>,
    /// The rows that make no pair, in their order, or nothing.
    alone: [&'a [f32]; 2],
    last: &'a [f32],
    stride: usize,
}

impl<'a> Rows<'a> {
    /// At most `depth` rows.
    fn new(x: Mat<'a>, depth: usize) -> Self {
        let depth = depth.min(x.rows());
        Self::split(x, depth, Self::ends_short(x, depth))
    }

    /// The rows of two operands that are walked together: split alike, or the last row of the one would meet no
    /// row of the other.
    fn pair(x: Mat<'a>, y: Mat<'a>) -> (Self, Self) {
        let depth = x.rows().min(y.rows());
        let apart = Self::ends_short(x, depth) || Self::ends_short(y, depth);
        (Self::split(x, depth, apart), Self::split(y, depth, apart))
    }

    /// Whether the slice ends within the stride of its last row.
    fn ends_short(x: Mat<'_>, depth: usize) -> bool {
        x.data().len() < depth * x.stride().max(1)
    }

    /// `depth` rows, the last one `apart` or not.
    fn split(x: Mat<'a>, depth: usize, apart: bool) -> Self {
        let stride = x.stride().max(1);
        let count = if apart { depth.saturating_sub(1) } else { depth };
        let (whole, rest) = x.data().split_at_checked(count * stride).unwrap_or_default();
        let last = if apart { rest } else { &[] };
        let pairs = whole.chunks_exact(stride.saturating_mul(2).max(1));
        let odd = pairs.remainder();
        let alone = if odd.is_empty() { [last, &[]] } else { [odd, last] };
        Self { whole: whole.chunks_exact(stride), pairs, alone, last, stride }
    }

    /// Whether rows have `N` values from `column` on.
    #[inline(always)]
    fn reach<const N: usize>(&self, column: usize) -> bool {
        column <= self.stride && self.stride - column >= N
    }
}

/// sums ← sums + a ⊗ b, for the first `M` values of `a`.
#[inline(always)]
fn add_outer<const M: usize, const N: usize>(sums: &mut [[f32; N]; M], a: &[f32], b: &[f32; N]) {
    for (sums, a) in sums.iter_mut().zip(a) {
        for i in 0..N {
            sums[i] += a * b[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};
    use mwt_core::draw::mix;

    fn values(n: usize, seed: u32) -> Vec<f32> {
        (0..n as u32).map(|i| (mix(i ^ mix(seed)) as i32) as f32 / 2f32.powi(31)).collect()
    }

    /// Every shape around the block edges, rows wider apart than they are long, against f64; each operand's slice
    /// ends a stride after its last row, or with it.
    #[test]
    fn products_agree_with_their_definition() {
        for m in [1, 2, 3, 4, 5, 8, 13] {
            for n in [1, 3, 7, 8, 9, 16, 21] {
                for k in [1, 2, 5, 17, 33] {
                    let (a, b) = (values(m * (k + 3), 1), values(k * (n + 2), 2));
                    let (at, start) = (values(k * (m + 1), 3), values(m * (n + 1), 4));
                    let bias = values(n, 5);
                    for (case, ends) in (0..4).flat_map(|case| (0..4).map(move |ends| (case, ends)))
                    {
                        let end = |cut: bool, rows: usize, columns: usize, stride: usize| {
                            if cut { (rows - 1) * stride + columns } else { rows * stride }
                        };
                        let (cut_a, cut_b) = (ends & 1 == 1, ends & 2 == 2);
                        let a_view = Mat::new(&a[..end(cut_a, m, k, k + 3)], m, k, k + 3);
                        let at_view = Mat::new(&at[..end(cut_a, k, m, m + 1)], k, m, m + 1);
                        let b_view = Mat::new(&b[..end(cut_b, k, n, n + 2)], k, n, n + 2);
                        let mut c = start.clone();
                        let view = MatMut::new(&mut c, m, n, n + 1);
                        match case {
                            0 => Portable.gemm(a_view, b_view, Init::Zero, view),
                            1 => Portable.gemm(a_view, b_view, Init::Bias(&bias), view),
                            2 => Portable.gemm(a_view, b_view, Init::Add, view),
                            _ => Portable.gemm_tn(at_view, b_view, view),
                        }
                        for (i, (&got, &before)) in c.iter().zip(&start).enumerate() {
                            let (row, column) = (i / (n + 1), i % (n + 1));
                            if column == n {
                                assert_eq!(got, before, "wrote between the rows");
                                continue;
                            }
                            let sum: f64 = (0..k)
                                .map(|p| {
                                    let a = if case == 3 {
                                        at[p * (m + 1) + row]
                                    } else {
                                        a[row * (k + 3) + p]
                                    };
                                    f64::from(a) * f64::from(b[p * (n + 2) + column])
                                })
                                .sum();
                            let want = sum
                                + match case {
                                    0 => 0.0,
                                    1 => f64::from(bias[column]),
                                    _ => f64::from(before),
                                };
                            assert!(
                                (f64::from(got) - want).abs() < 1e-5,
                                "case {case}, ends {ends}, {m}×{k}×{n}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_stored_weight_multiplies_like_its_values() {
        use mwt_core::quant::{Scheme, encode};
        let (m, k, n) = (5, 33, 19);
        let (a, w, bias) = (values(m * k, 1), values(k * n, 2), values(n, 3));
        let bias_bytes: Vec<u8> = bias.iter().flat_map(|v| v.to_le_bytes()).collect();
        for scheme in [Scheme::Int8, Scheme::F16, Scheme::F32] {
            let mut bytes = vec![0xee]; // an odd address
            encode(scheme, n, &w, &mut bytes);
            let matrix = Matrix::new(k, n, scheme, &bytes[1..]);
            let mut decoded = vec![0.0; k * n];
            decoded.chunks_exact_mut(n).enumerate().for_each(|(r, out)| matrix.read(r, 0, out));
            let (mut got, mut want) = (vec![0.0; m * n], vec![0.0; m * n]);
            let mut panel = vec![0.0; k * PANEL];
            let a = Mat::dense(&a, m, k);
            let bias_view = Some(Vector::new(&bias_bytes));
            Portable.linear(a, &matrix, bias_view, MatMut::dense(&mut got, m, n), &mut panel);
            let b = Mat::dense(&decoded, k, n);
            Portable.gemm(a, b, Init::Bias(&bias), MatMut::dense(&mut want, m, n));
            assert_eq!(got, want, "{scheme:?}");
        }
    }

    #[test]
    fn sums_take_every_value() {
        for n in [0, 1, 7, 8, 9, 40] {
            let (a, b) = (values(n, 1), values(n, 2));
            let want: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            assert!((f64::from(Portable.dot(&a, &b)) - want).abs() < 1e-6);
        }
    }
}
