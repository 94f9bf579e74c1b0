//! Linear layers in int8: the loops around what an instruction set multiplies.
//!
//! A row of A becomes a = q·scale with q in -127..=127, and W's bytes are used as they are. With the scales of A's rows
//! and W's columns, c = Σ q·w · scale_a · scale_w + bias, and Σ q·w is exact: it is the same integer on every
//! instruction set.

use core::mem::MaybeUninit;

use mwt_core::quant::{Matrix, Values, Vector};

use super::simd::Simd;
use super::{Mat, MatMut};

/// The longest sum: W's rows.
const DEPTH: usize = 1024;
/// The shortest sum that pays for rounding A and packing W.
const SHORTEST: usize = 64;
/// Bytes for rounded rows of A, and for a panel of W.
const BYTES: usize = 32 * 1024;
/// The most rows of A that are rounded at a time.
const TILE: usize = 128;

/// The least that a row's largest magnitude must be: of a smaller one the reciprocal may overflow, and the row is rounded
/// to 0.
pub(super) const SMALLEST: f32 = 128.0 * f32::MIN_POSITIVE;

#[repr(align(64))]
struct Aligned(MaybeUninit<[u8; BYTES]>);

/// What an instruction set multiplies: [`GROUP`](Self::GROUP) neighbouring values of A by as many rows of W, summed
/// into an i32, in blocks of up to [`ROWS`](Self::ROWS) rows by [`COLUMNS`](Self::COLUMNS) columns.
pub(super) trait Products: Copy {
    /// A value of A or W as the instruction takes it.
    type Value;
    /// Values of one sum that are multiplied at a time.
    const GROUP: usize;
    /// Columns of a panel of W.
    const COLUMNS: usize;
    /// Rows of a block.
    const ROWS: usize;
    /// What a panel's blocks take away from their sums.
    type Excess;

    /// Rounds a row to int8, each value to the nearest of its multiples of the scale, and gives the scale: the largest
    /// magnitude / 127, a NaN when one of the row's values is not finite. All of a row become 0 whose largest magnitude is
    /// below [`SMALLEST`]. The values from the row's end to `depth` meet weights of 0.
    ///
    /// # Safety
    /// `depth` values, at least as many as the row has, may be written at `to`.
    unsafe fn round(self, row: &[f32], to: *mut Self::Value, depth: usize) -> f32;

    /// Packs [`COLUMNS`](Self::COLUMNS) columns of W as \[k / GROUP\]\[column\]\[GROUP\], short sums filled up with 0.
    ///
    /// # Safety
    /// k rows of that many values lie `stride` apart at `from`; the panel has room for them.
    unsafe fn pack(
        self,
        from: *const i8,
        k: usize,
        stride: usize,
        panel: *mut Self::Value,
    ) -> Self::Excess;

    /// A block of `rows` rows, 1 to [`ROWS`](Self::ROWS).
    ///
    /// # Safety
    /// That many rows of `depth` values are at `a` and as many scales at `row_scales`, rows of C `stride` apart at `c`,
    /// a packed panel of that depth at `panel`, and [`COLUMNS`](Self::COLUMNS) values at the pointers of `ends`.
    unsafe fn block(
        self,
        rows: usize,
        depth: usize,
        a: (*const Self::Value, *const f32),
        panel: *const Self::Value,
        ends: &Ends<Self::Excess>,
        c: (*mut f32, usize),
    );
}

/// What ends a block: what the sums have too much, and the columns' scales and biases.
pub(super) struct Ends<E> {
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "AVX-512 alone has some"))]
    pub(super) excess: E,
    pub(super) scales: *const f32,
    pub(super) bias: Option<*const f32>,
}

impl<E> Ends<E> {
    /// Ends a row of a block: two registers of sums, to which the row's scale belongs.
    ///
    /// # Safety
    /// Two registers may be written at `to`, and as many values are at the pointers.
    #[inline(always)]
    pub(super) unsafe fn write<S: Simd>(
        &self,
        s: S,
        sums: [S::F; 2],
        row_scale: f32,
        to: *mut f32,
    ) {
        for (i, sum) in sums.into_iter().enumerate() {
            let at = i * S::LANES;
            // SAFETY: the caller's.
            unsafe {
                let scale = s.mul(s.splat(row_scale), s.load_all(self.scales.add(at)));
                let bias = match self.bias {
                    Some(bias) => s.load_all(bias.add(at)),
                    None => s.splat(0.0),
                };
                s.store_all(s.mul_add(sum, scale, bias), to.add(at));
            }
        }
    }
}

/// Calls a function of [`Products::block`]'s safety that is compiled for each number of rows with the one for `$rows`.
macro_rules! with_rows {
    ($rows:expr, $($m:literal)* => $block:ident $arguments:tt) => {
        match $rows {
            // SAFETY: what calls it proves that the CPU has the instructions; the rest is its caller's.
            $($m => unsafe { $block::<$m> $arguments },)*
            _ => {}
        }
    };
}
pub(super) use with_rows;

/// C = A·W + bias. Gives false, having done nothing, for weights that are not int8, sums that are shorter than
/// [`SHORTEST`] or longer than [`DEPTH`], and widths that are no multiple of [`Products::COLUMNS`].
#[inline(always)]
pub(super) fn linear<P: Products>(
    products: P,
    a: Mat<'_>,
    w: &Matrix<'_>,
    bias: Option<Vector<'_>>,
    c: &mut MatMut<'_>,
) -> bool {
    const {
        let value = size_of::<P::Value>();
        assert!(DEPTH * P::COLUMNS * value <= BYTES && DEPTH * value <= BYTES);
        assert!(DEPTH.is_multiple_of(P::GROUP));
    }
    let Values::Int8 { scales, data } = w.values else { return false };
    let (m, k, n) = (a.rows().min(c.rows()), w.rows, w.columns);
    let depth = k.next_multiple_of(P::GROUP);
    let fits =
        depth <= DEPTH && n.is_multiple_of(P::COLUMNS) && a.columns() == k && c.columns() == n;
    let there = data.len() >= k * n && scales.len() >= n && bias.is_none_or(|b| b.len() >= n);
    if !fits || !there || k < SHORTEST {
        return false;
    }
    let (mut rounded, mut panel) = (Aligned(MaybeUninit::uninit()), Aligned(MaybeUninit::uninit()));
    let rounded: *mut P::Value = rounded.0.as_mut_ptr().cast();
    let panel: *mut P::Value = panel.0.as_mut_ptr().cast();
    let mut row_scales = [0.0f32; TILE];
    let (stride, out) = (c.stride(), c.data_mut().as_mut_ptr());
    let tile = (BYTES / size_of::<P::Value>() / depth).min(TILE);
    for first in (0..m).step_by(tile) {
        let rows = tile.min(m - first);
        for (row, scale) in row_scales.iter_mut().enumerate().take(rows) {
            // SAFETY: `tile` rows of `depth` values fit into `rounded`.
            *scale = unsafe { products.round(a.row(first + row), rounded.add(row * depth), depth) };
        }
        for column in (0..n).step_by(P::COLUMNS) {
            // SAFETY: the panel's columns of k rows are there, as checked above; so are the scales and biases, and rows
            // first..first+rows of C.
            unsafe {
                let excess = products.pack(data.as_ptr().cast::<i8>().add(column), k, n, panel);
                let scales = scales.bytes().as_ptr().cast::<f32>().add(column);
                let bias = bias.map(|b| b.bytes().as_ptr().cast::<f32>().add(column));
                let ends = Ends { excess, scales, bias };
                let blocks = rows.div_ceil(P::ROWS);
                let mut row = 0;
                for b in 0..blocks {
                    let count = (rows - row).div_ceil(blocks - b);
                    let a = (rounded.cast_const().add(row * depth), row_scales.as_ptr().add(row));
                    let c = (out.add((first + row) * stride + column), stride);
                    products.block(count, depth, a, panel, &ends, c);
                    row += count;
                }
            }
        }
    }
    true
}
