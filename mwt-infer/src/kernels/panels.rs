//! Products of 16-bit integers in panels, for microcontrollers: what they are, in safe Rust around
//! [`pairs`](super::pairs).
//!
//! Two neighbouring integers of a sum share the 32 bits of an f32 in the caller's memory. A panel has `G` rows of A
//! ([`ROWS`]) or columns of B ([`COLUMNS`]), whose pairs lie side by side, so that a block of the product walks through
//! both its panels from one end to the other. Sums are exact: rounded to [`limit`], their terms cannot overflow an i32.

use core::array;

use mwt_core::quant::{Matrix, Values, Vector};

use super::block::{Block, RUN, TURN};
pub(crate) use super::block::{COLUMNS, ROWS};
use super::pairs;
use super::{Init, Mat, MatMut, PANEL};

/// Pairs of a sum of `terms`, filled up with zeros to whole turns.
pub(crate) const fn pairs(terms: usize) -> usize {
    terms.div_ceil(2 * TURN) * TURN
}

/// Values that the panels of `sides` rows or columns take.
pub(crate) const fn panels_len<const G: usize>(sides: usize, terms: usize) -> usize {
    sides.div_ceil(G) * G * pairs(terms)
}

/// The largest magnitude to round to, for sums of `terms` products.
pub(crate) fn limit(terms: usize) -> f32 {
    libm::floorf(libm::sqrtf((i32::MAX as usize / terms.max(1)) as f32 - 64.0))
}

/// What a row of values is rounded to, and the way back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Integers are `factor` times what they stand for, rounded to the nearest.
    pub(crate) factor: f32,
    /// One integer is so much.
    pub(crate) size: f32,
}

impl Step {
    /// For values up to `largest` in sums of `terms` of them and others that are rounded by the same rule.
    pub(crate) fn new(largest: f32, terms: usize) -> Self {
        Self::up_to(largest, limit(terms))
    }

    fn up_to(largest: f32, limit: f32) -> Self {
        /// Above it, what is next to 0 would have factors that overflow.
        const STEEPEST: f32 = f32::from_bits((127 + 120) << 23);
        let factor = limit / largest;
        if factor < STEEPEST {
            Self { factor, size: largest / limit }
        } else {
            // A NaN comes back out by way of the size: no integer can hold it.
            Self { factor: STEEPEST, size: 1.0 / STEEPEST + 0.0 * largest }
        }
    }
}

/// The largest magnitude in a slice, NaN when one of its values is not finite.
pub(crate) fn largest(x: &[f32]) -> f32 {
    /// The bits of infinity without a sign, above which NaNs lie; magnitudes are in the order of their bits.
    const INFINITY: u32 = f32::INFINITY.to_bits() << 1;
    let bits = pairs::largest_bits(x);
    if bits < INFINITY { f32::from_bits(bits >> 1) } else { f32::NAN }
}

/// Panels of `G` rows of `x` each, whose sums run along the rows.
pub(crate) fn pack_rows<const G: usize>(x: Mat<'_>, factor: f32, to: &mut [f32]) {
    let panels = to.chunks_exact_mut((G * pairs(x.columns())).max(1));
    for (n, panel) in panels.enumerate().take(x.rows().div_ceil(G)) {
        for at in 0..G {
            pack_row::<G>(x.row(n * G + at), factor, panel.get_mut(at * RUN..).unwrap_or_default());
        }
    }
}

/// The pairs of a row into a panel that begins with them, then zeros.
fn pack_row<const G: usize>(row: &[f32], factor: f32, panel: &mut [f32]) {
    let done = pairs::pack_row::<G>(row, factor, panel);
    let twos = row.get(done..).unwrap_or_default().chunks(2);
    let rest = twos.map(|two| match *two {
        [low, high] => pairs::pair(low, high, factor),
        _ => pairs::pair(two[0], 0.0, factor),
    });
    for (n, pair) in (done / 2..).zip(rest.chain(core::iter::repeat(0.0))) {
        let Some(to) = panel.get_mut(pairs::place::<G>(n)) else { break };
        *to = pair;
    }
}

/// Panels of `G` columns of `x` each, whose sums run down the columns.
pub(crate) fn pack_columns<const G: usize>(x: Mat<'_>, factor: f32, to: &mut [f32]) {
    let panels = to.chunks_exact_mut((G * pairs(x.rows())).max(1));
    let all = x.data().get(..x.rows().saturating_sub(1) * x.stride() + x.columns());
    for (n, panel) in panels.enumerate().take(x.columns().div_ceil(G)) {
        let (column, mut done) = (n * G, 0);
        if column + G <= x.columns() {
            let from = all.and_then(|all| all.get(column..)).unwrap_or_default();
            done = pairs::pack_columns::<G>(from, x.stride(), factor, panel);
        }
        // What is left at an edge of x, then zeros.
        for p in done / 2..panel.len() / G {
            let at = |row, g| x.row(row).get(column + g).copied().unwrap_or_default();
            let both = |g| pairs::pair(at(2 * p, g), at(2 * p + 1, g), factor);
            pairs::put(panel, p, array::from_fn::<_, G, _>(both));
        }
    }
}

/// C = init + scale·A·B, for sums of `terms`; a bias is as long as C is wide.
pub(crate) fn product(
    a: &[f32],
    b: &[f32],
    terms: usize,
    scale: f32,
    init: Init<'_>,
    mut c: MatMut<'_>,
) {
    let mut bias = None;
    match init {
        Init::Zero => (0..c.rows()).for_each(|row| c.row_mut(row, 0).fill(0.0)),
        Init::Bias(values) => bias = Some(values),
        Init::Add => {}
    }
    rows([a, b], terms, &mut c, |_| Ends { sizes: [scale; ROWS], scales: None, bias });
}

/// What becomes of a panel's sums.
struct Ends<'a> {
    sizes: [f32; ROWS],
    scales: Option<&'a [f32]>,
    bias: Option<&'a [f32]>,
}

/// Goes through C, a panel of rows at a time, of which `ends` gives what belongs to the n-th.
#[inline(always)]
fn rows<'e>(
    [a, b]: [&[f32]; 2],
    terms: usize,
    c: &mut MatMut<'_>,
    ends: impl Fn(usize) -> Ends<'e>,
) {
    let pairs = pairs(terms).max(1);
    let (columns, stride, rows) = (c.columns(), c.stride().max(1), c.rows());
    let panels = a.chunks_exact((ROWS * pairs).max(1));
    let all = c.data_mut().chunks_mut((ROWS * stride).max(1)).take(rows.div_ceil(ROWS));
    for (n, (left, c)) in panels.zip(all).enumerate() {
        let Ends { sizes, scales, bias } = ends(n);
        let rows = ROWS.min(rows - ROWS * n);
        Block { left, right: b, pairs, sizes, scales, bias, c, stride, rows, columns }.multiply();
    }
}

/// Rows of A that [`linear`] rounds in one go.
const GROUP: usize = PANEL;

/// C = A·W + bias for a weight whose bytes are used as they are: each row of A is rounded with a step of its own. `scratch`
/// is W.rows × [`PANEL`] values. Gives false, having done nothing, for other weights and for sums too short to pay.
pub(super) fn linear(
    a: Mat<'_>,
    w: &Matrix<'_>,
    bias: Option<Vector<'_>>,
    c: &mut MatMut<'_>,
    scratch: &mut [f32],
) -> bool {
    /// The shortest sum that pays for the rounding.
    const SHORTEST: usize = 16;
    /// The largest magnitude of an integer.
    const LARGEST: f32 = i16::MAX as f32;
    let (k, n) = (w.rows, w.columns);
    let pairs = pairs(k);
    let Values::Int8 { scales, data } = w.values else { return false };
    // Each takes half of the scratch where k is a multiple of a turn.
    let (rows_len, panel_len) = (GROUP * pairs, PANEL * pairs);
    let Some((rounded, rest)) = scratch.split_at_mut_checked(rows_len) else { return false };
    let Some(panel) = rest.get_mut(..panel_len) else { return false };
    if k < SHORTEST || a.columns() != k || c.columns() != n || !n.is_multiple_of(PANEL) {
        return false;
    }
    // Bytes are 127 at most.
    let limit = LARGEST.min((i32::MAX as usize / (127 * k)) as f32 - 1.0);
    let (m, stride) = (a.rows().min(c.rows()), c.stride());
    for first in (0..m).step_by(GROUP) {
        let count = GROUP.min(m - first);
        let mut sizes = [0.0; GROUP];
        for (r, size) in sizes.iter_mut().enumerate().take(count.next_multiple_of(ROWS)) {
            let row = if r < count { a.row(first + r) } else { &[] };
            let step = Step::up_to(largest(row), limit);
            *size = step.size;
            let panel =
                rounded.chunks_exact_mut((ROWS * pairs).max(1)).nth(r / ROWS).unwrap_or_default();
            let panel = panel.get_mut(r % ROWS * RUN..).unwrap_or_default();
            pack_row::<ROWS>(row, step.factor, panel);
        }
        for column in (0..n).step_by(PANEL) {
            widen(data, [k, n], column, panel);
            let scale = eight(scales.from(column));
            let start = bias.map_or([0.0; PANEL], |bias| eight(bias.from(column)));
            let Some(out) = c.data_mut().get_mut(first * stride + column..) else { return true };
            let mut out = MatMut::new(out, count, PANEL, stride);
            rows([rounded, panel], k, &mut out, |n| Ends {
                sizes: sizes.as_chunks().0.get(n).copied().unwrap_or_default(),
                scales: Some(&scale),
                bias: Some(&start),
            });
        }
    }
    true
}

/// The first values of a vector, zeros where there are none. A value at a time: they lie at any address.
fn eight(from: Vector<'_>) -> [f32; PANEL] {
    let bytes = from.bytes().as_chunks().0;
    array::from_fn(|i| bytes.get(i).map_or(0.0, |bytes| f32::from_le_bytes(*bytes)))
}

/// [`PANEL`] columns of a weight's bytes as panels of B.
fn widen(data: &[u8], [k, n]: [usize; 2], column: usize, to: &mut [f32]) {
    let panels = to.chunks_exact_mut((COLUMNS * pairs(k)).max(1));
    for (panel, column) in panels.zip((column..).step_by(COLUMNS)) {
        let from = data.get(column..k * n).unwrap_or_default();
        let done = pairs::widen(from, n, panel);
        // What makes no whole run, then zeros.
        let four = |row: usize| {
            let row = from.get(row * n..).and_then(|row| row.first_chunk());
            row.copied().unwrap_or_default()
        };
        for p in done / 2..panel.len() / COLUMNS {
            pairs::put(panel, p, pairs::widened(four(2 * p), four(2 * p + 1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    /// Integers up to `largest`, which rounding with a factor of 1 keeps.
    fn integers(len: usize, largest: i64) -> Vec<f32> {
        let mut seed = 1u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((seed >> 33) as i64 % (2 * largest + 1) - largest) as f32
        };
        (0..len).map(|_| next()).collect()
    }

    /// Both ways into panels, over shapes on both sides of a panel's and a turn's edge: the sums are exact.
    #[test]
    fn products_are_exact_sums() {
        for (m, n, k) in [(1, 1, 1), (2, 4, 8), (3, 5, 7), (16, 32, 32), (5, 32, 33), (4, 6, 17)] {
            let (a, b) = (integers(m * k, 4095), integers(k * n, 4095));
            let transposed = |x: &[f32], rows: usize| -> Vec<f32> {
                let columns = x.len() / rows;
                (0..x.len()).map(|i| x[i % rows * columns + i / rows]).collect()
            };
            let (a_t, b_t) = (transposed(&a, m), transposed(&b, k));
            let mut left =
                [vec![7.0; panels_len::<ROWS>(m, k)], vec![7.0; panels_len::<ROWS>(m, k)]];
            let len = panels_len::<COLUMNS>(n, k);
            let mut right = [vec![7.0; len], vec![7.0; len]];
            pack_rows::<ROWS>(Mat::dense(&a, m, k), 1.0, &mut left[0]);
            pack_columns::<ROWS>(Mat::dense(&a_t, k, m), 1.0, &mut left[1]);
            pack_columns::<COLUMNS>(Mat::dense(&b, k, n), 1.0, &mut right[0]);
            pack_rows::<COLUMNS>(Mat::dense(&b_t, n, k), 1.0, &mut right[1]);
            let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&left[0]), bits(&left[1]));
            assert_eq!(bits(&right[0]), bits(&right[1]));
            for init in [Init::Zero, Init::Add, Init::Bias(&integers(n, 9))] {
                let mut c = integers(m * n, 9);
                let start = c.clone();
                product(&left[0], &right[0], k, 2.0, init, MatMut::dense(&mut c, m, n));
                for (i, c) in c.iter().enumerate() {
                    let terms = (0..k).map(|p| a[i / n * k + p] as i64 * b[p * n + i % n] as i64);
                    let start = match init {
                        Init::Zero => 0.0,
                        Init::Add => start[i],
                        Init::Bias(bias) => bias[i % n],
                    };
                    assert_eq!(*c, 2.0 * terms.sum::<i64>() as f32 + start, "{m} {n} {k}");
                }
            }
        }
    }

    #[test]
    fn sums_of_the_largest_terms_fit() {
        for terms in [2, 32, 64, 128, 1000] {
            let limit = limit(terms) as i64;
            assert!(terms as i64 * limit * limit <= i64::from(i32::MAX), "{terms}");
            let next = limit + 1;
            assert!(
                limit >= i64::from(i16::MAX) || terms as i64 * next * next > (1 << 31) - (1 << 20)
            );
        }
    }

    /// The largest terms of a sum do not overflow it, and what is not finite comes out as such.
    #[test]
    fn steps_hold_what_they_are_for() {
        for terms in [1, 8, 32, 64, 128] {
            for magnitude in [0.0, 1e-42, 1e-36, 0.3, 1.0, 1e30] {
                let step = Step::new(magnitude, terms);
                let integer = (magnitude * step.factor).round_ties_even();
                assert!(i64::from(integer as i32).pow(2) * terms as i64 <= i64::from(i32::MAX));
                let error = (integer * step.size - magnitude).abs();
                assert!(error <= magnitude * 1e-4 + 1e-36, "{terms} {magnitude:e} {error:e}");
            }
            for bad in [f32::NAN, f32::INFINITY] {
                assert!(!Step::new(largest(&[1.0, bad, 2.0]), terms).size.is_finite());
            }
        }
        assert_eq!(largest(&[1.0, -3.0, 2.0, 0.5, -0.0]), 3.0);
    }
}
