//! Pairs of 16-bit integers and sums of their products, in safe Rust; `dsp` and `mve` have what a core does faster.

use mwt_core::math::ROUND;

use super::block::{Block, COLUMNS, ROWS, RUN, TURN};
#[cfg(mwt_dsp)]
use super::dsp as asm;
#[cfg(mwt_mve)]
use super::mve::pairs as asm;

/// Where the n-th pair of the first of a panel's `G` rows or columns lies.
#[inline(always)]
pub(super) const fn place<const G: usize>(n: usize) -> usize {
    n + n / RUN * RUN * (G - 1)
}

impl Block<'_> {
    /// Computes them.
    #[inline(always)]
    pub(super) fn multiply(self) {
        #[cfg(any(mwt_dsp, mwt_mve))]
        if self.is_whole() {
            // SAFETY: as just checked.
            return unsafe { asm::multiply(self) };
        }
        let Self { left, right, pairs, sizes, scales, bias, c, stride, rows, columns } = self;
        let panels = right.chunks_exact((COLUMNS * pairs).max(1));
        for (column, panel) in (0..columns).step_by(COLUMNS).zip(panels) {
            let sums = sums(left, panel);
            for (row, (size, sums)) in sizes.into_iter().zip(sums).enumerate().take(rows) {
                let c = c.get_mut(row * stride..).and_then(|c| c.get_mut(column..columns));
                for (i, (c, sum)) in c.unwrap_or_default().iter_mut().zip(sums).enumerate() {
                    let at = |values: &[f32]| values.get(column + i).copied().unwrap_or_default();
                    let size = scales.map_or(size, |scales| size * at(scales));
                    *c = size * sum as f32 + bias.map_or(*c, at);
                }
            }
        }
    }

    /// Whether all rows are there, in whole panels, and all that they are made of.
    #[cfg(any(mwt_dsp, mwt_mve))]
    fn is_whole(&self) -> bool {
        let n = self.columns;
        let there = |values: Option<&[f32]>| values.is_none_or(|values| values.len() >= n);
        let c = n > 0
            && n.is_multiple_of(COLUMNS)
            && n <= self.stride
            && self.rows == ROWS
            && self.c.len() >= (ROWS - 1) * self.stride + n;
        let sums = self.pairs > 0 && self.pairs.is_multiple_of(TURN);
        let operands = self.left.len() >= ROWS * self.pairs && self.right.len() >= n * self.pairs;
        c && sums && operands && there(self.scales) && there(self.bias)
    }
}

/// Sums of a panel of rows by one of columns.
fn sums(left: &[f32], right: &[f32]) -> [[i32; COLUMNS]; ROWS] {
    let both = |pair: f32| {
        let bits = pair.to_bits();
        [i32::from(bits as u16 as i16), i32::from((bits >> 16) as u16 as i16)]
    };
    let mut sums = [[0; COLUMNS]; ROWS];
    let left = left.as_chunks::<{ ROWS * RUN }>().0.iter();
    for (left, right) in left.zip(right.as_chunks::<{ COLUMNS * RUN }>().0) {
        let (left, right) = (left.map(both), right.map(both));
        let columns = || right.as_chunks::<RUN>().0.iter();
        for (sums, left) in sums.iter_mut().zip(left.as_chunks::<RUN>().0) {
            for (sum, right) in sums.iter_mut().zip(columns()) {
                for (left, right) in left.iter().zip(right) {
                    *sum += left[0] * right[0] + left[1] * right[1];
                }
            }
        }
    }
    sums
}

/// Neighbouring values times `factor`, rounded to the nearest integers, ties to even, as pairs of a panel of `G` that
/// begins with this row's; what is not finite becomes anything. Gives how many values it took: as many steps of them as
/// there are, and there is room for.
#[inline(always)]
pub(super) fn pack_row<const G: usize>(row: &[f32], factor: f32, to: &mut [f32]) -> usize {
    /// Values that are packed in one go.
    const STEP: usize = if cfg!(mwt_mve) { 2 * TURN } else { 4 };
    let room = if to.len() < RUN { 0 } else { ((to.len() - RUN) / (G * RUN) + 1) * RUN };
    let steps = (row.len() / STEP).min(room / (STEP / 2));
    #[cfg(any(mwt_dsp, mwt_mve))]
    if steps > 0 {
        // SAFETY: as many steps are read, and their pairs written, as there are.
        unsafe { asm::pack_row::<G>(row, factor, to, steps) };
    }
    #[cfg(not(any(mwt_dsp, mwt_mve)))]
    for (four, n) in row.as_chunks::<STEP>().0.iter().zip(0..steps) {
        let [a, b, c, d] = four.map(|x| rounded(x, factor));
        for (pair, at) in [(together(a, b), 2 * n), (together(c, d), 2 * n + 1)] {
            if let Some(to) = to.get_mut(at * G) {
                *to = pair;
            }
        }
    }
    STEP * steps
}

/// As [`pack_row`], pairs of two neighbouring rows' values: the first `G` columns of rows that lie `stride` apart as a
/// panel. Gives how many rows it took.
#[inline(always)]
pub(super) fn pack_columns<const G: usize>(
    x: &[f32],
    stride: usize,
    factor: f32,
    to: &mut [f32],
) -> usize {
    let rows = if x.len() < G || stride < G { 0 } else { (x.len() - G) / stride + 1 };
    let pairs = whole((rows / 2).min(to.len() / G));
    #[cfg(any(mwt_dsp, mwt_mve))]
    if pairs > 0 {
        // SAFETY: 2·pairs rows begin in `x` and have G values there, and `to` has room for as many pairs.
        unsafe { asm::pack_columns::<G>(x, stride, factor, to, pairs) };
    }
    #[cfg(not(any(mwt_dsp, mwt_mve)))]
    for (to, two) in to.as_chunks_mut().0.iter_mut().zip(x.chunks((2 * stride).max(1))).take(pairs)
    {
        let row = |at| two.get(at..).and_then(|row: &[f32]| row.first_chunk::<G>());
        if let (Some(low), Some(high)) = (row(0), row(stride)) {
            *to = core::array::from_fn::<_, G, _>(|g| pair(low[g], high[g], factor));
        }
    }
    2 * pairs
}

/// Pairs that make whole runs.
#[inline(always)]
const fn whole(pairs: usize) -> usize {
    pairs / RUN * RUN
}

/// Writes the n-th pair of each of a panel's `G` rows or columns, if it has so many.
#[inline(always)]
pub(super) fn put<const G: usize>(panel: &mut [f32], n: usize, pairs: [f32; G]) {
    let Some(to) = panel.get_mut(place::<G>(n)..) else { return };
    to.iter_mut().step_by(RUN).zip(pairs).for_each(|(to, pair)| *to = pair);
}

/// Two values times `factor`, rounded, as a pair.
pub(super) fn pair(low: f32, high: f32, factor: f32) -> f32 {
    together(rounded(low, factor), rounded(high, factor))
}

/// The low half is the integer.
#[inline(always)]
fn rounded(x: f32, factor: f32) -> u32 {
    (x * factor + ROUND).to_bits()
}

/// The low halves of both.
#[inline(always)]
fn together(low: u32, high: u32) -> f32 {
    f32::from_bits(low & 0xffff | high << 16)
}

/// The largest bits without their sign bit, one place to the left.
#[inline(always)]
pub(super) fn largest_bits(x: &[f32]) -> u32 {
    #[cfg(any(mwt_dsp, mwt_mve))]
    let (mut largest, done) = match x.len() / 4 {
        0 => (0, 0),
        // SAFETY: as many fours are read as there are.
        fours => (unsafe { asm::largest_bits(x, fours) }, 4 * fours),
    };
    #[cfg(not(any(mwt_dsp, mwt_mve)))]
    let (mut largest, done) = (0, 0);
    for x in x.get(done..).unwrap_or_default() {
        let bits = x.to_bits() << 1;
        largest = if bits > largest { bits } else { largest };
    }
    largest
}

/// [`COLUMNS`] columns of bytes as a panel of integers: `from` begins with the first row's, and rows lie `stride` apart.
/// Gives how many rows it took: all that lie whole in `from` and make pairs.
#[inline(always)]
pub(super) fn widen(from: &[u8], stride: usize, to: &mut [f32]) -> usize {
    let rows = if from.len() < COLUMNS || stride < COLUMNS {
        0
    } else {
        (from.len() - COLUMNS) / stride + 1
    };
    let pairs = whole((rows / 2).min(to.len() / COLUMNS));
    #[cfg(any(mwt_dsp, mwt_mve))]
    if pairs > 0 {
        // SAFETY: 2·pairs rows begin in `from` and have four bytes there, and `to` has room for as many pairs.
        unsafe { asm::widen(from, stride, to, pairs) };
    }
    #[cfg(not(any(mwt_dsp, mwt_mve)))]
    for (to, two) in
        to.as_chunks_mut().0.iter_mut().zip(from.chunks((2 * stride).max(1))).take(pairs)
    {
        let four = |at| two.get(at..).and_then(|row: &[u8]| row.first_chunk()).copied();
        if let (Some(low), Some(high)) = (four(0), four(stride)) {
            *to = widened(low, high);
        }
    }
    2 * pairs
}

/// [`COLUMNS`] columns of two rows.
pub(super) fn widened(low: [u8; COLUMNS], high: [u8; COLUMNS]) -> [f32; COLUMNS] {
    let integer = |byte: u8| i16::from(byte as i8) as u32;
    core::array::from_fn(|i| together(integer(low[i]), integer(high[i])))
}
