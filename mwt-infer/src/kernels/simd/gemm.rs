//! Matrix products in register blocks, of f32 or of packed integers.
//!
//! A block is up to [`Simd::ROWS`] rows by two registers of C, whose sums stay in registers while k runs. Where several
//! blocks of rows use the same columns of B, these are first copied into a [`Panel`]: rows of B that lie a power of two
//! apart would share a few sets of the first-level cache and drive each other out of it.

use core::mem::MaybeUninit;

use super::Simd;
use crate::kernels::{Init, Mat, MatMut};

/// What a block starts from.
#[derive(Clone, Copy)]
pub(super) enum Start {
    Zero,
    /// A row that lies at the block's first column.
    Row(*const f32),
    /// C itself.
    Add,
}

/// What a block sums up.
pub(super) trait Terms<S: Simd>: Copy {
    /// Whether the sums are integers, so that they cannot begin with what C holds.
    const INTEGERS: bool;

    /// sum + a·b.
    fn add(self, s: S, a: S::F, b: S::F, sum: S::F) -> S::F;

    /// What C becomes, for a sum and, of integers, what it starts from.
    fn end(self, s: S, sum: S::F, c: S::F) -> S::F;
}

/// Products of f32.
#[derive(Clone, Copy)]
pub(super) struct Floats;

impl<S: Simd> Terms<S> for Floats {
    const INTEGERS: bool = false;

    #[inline(always)]
    fn add(self, s: S, a: S::F, b: S::F, sum: S::F) -> S::F {
        s.mul_add(a, b, sum)
    }

    #[inline(always)]
    fn end(self, _: S, sum: S::F, _: S::F) -> S::F {
        sum
    }
}

/// A of a product: element (row, p) lies at `data` + row·`row` + p·`step`.
#[derive(Clone, Copy)]
pub(super) struct Left {
    pub(super) data: *const f32,
    pub(super) row: usize,
    pub(super) step: usize,
}

/// Rows of a panel.
pub(super) const DEPTH: usize = 256;

/// Columns of a panel: two of the widest registers.
pub(super) const COLUMNS: usize = 32;

/// Some columns of B, row by row, on the stack, which hosts have: targets with little of it use the portable kernel.
/// Aligned, so that no load crosses a cache line.
#[repr(align(64))]
pub(super) struct Panel(
    #[expect(dead_code, reason = "written and read through a pointer")] [f32; DEPTH * COLUMNS],
);

/// Rows of a matrix, `stride` apart.
#[derive(Clone, Copy)]
pub(super) struct Rows<P> {
    pub(super) data: P,
    pub(super) stride: usize,
}

#[inline(always)]
pub(super) fn gemm<S: Simd>(s: S, a: Mat<'_>, b: Mat<'_>, init: Init<'_>, c: MatMut<'_>) {
    rows::<S, _>(s, Floats, a, b, init, c);
}

/// C = init + A·B of any terms.
#[inline(always)]
pub(super) fn rows<S: Simd, T: Terms<S>>(
    s: S,
    terms: T,
    a: Mat<'_>,
    b: Mat<'_>,
    init: Init<'_>,
    mut c: MatMut<'_>,
) {
    let (m, k) = (a.rows().min(c.rows()), a.columns().min(b.rows()));
    let mut n = b.columns().min(c.columns());
    let start = match init {
        Init::Zero => Start::Zero,
        Init::Add => Start::Add,
        Init::Bias(bias) => {
            n = n.min(bias.len());
            Start::Row(bias.as_ptr())
        }
    };
    let left = Left { data: a.data().as_ptr(), row: a.stride(), step: 1 };
    let right = Rows { data: b.data().as_ptr(), stride: b.stride() };
    let out = Rows { stride: c.stride(), data: c.data_mut().as_mut_ptr() };
    // SAFETY: m, n and k are within all operands, whose views lie within their slices.
    unsafe { packed::<S, T, false>(s, terms, [m, n, k], left, right, start, out) }
}

#[inline(always)]
pub(super) fn gemm_tn<S: Simd>(s: S, a: Mat<'_>, b: Mat<'_>, c: MatMut<'_>) {
    columns::<S, _>(s, Floats, a, b, c);
}

/// C = C + Aᵀ·B of any terms.
#[inline(always)]
pub(super) fn columns<S: Simd, T: Terms<S>>(
    s: S,
    terms: T,
    a: Mat<'_>,
    b: Mat<'_>,
    mut c: MatMut<'_>,
) {
    let (m, n) = (a.columns().min(c.rows()), b.columns().min(c.columns()));
    let k = a.rows().min(b.rows());
    let left = Left { data: a.data().as_ptr(), row: 1, step: a.stride() };
    let right = Rows { data: b.data().as_ptr(), stride: b.stride() };
    let out = Rows { stride: c.stride(), data: c.data_mut().as_mut_ptr() };
    // SAFETY: as in `rows`.
    unsafe { packed::<S, T, true>(s, terms, [m, n, k], left, right, Start::Add, out) }
}

/// As [`product`], through panels where they pay.
///
/// # Safety
/// As [`product`].
#[inline(always)]
pub(super) unsafe fn packed<S: Simd, T: Terms<S>, const TRANSPOSED: bool>(
    s: S,
    terms: T,
    [m, n, k]: [usize; 3],
    a: Left,
    b: Rows<*const f32>,
    start: Start,
    c: Rows<*mut f32>,
) {
    /// Uses of a panel that make up for copying it.
    const BLOCKS: usize = 3;
    // The sums of integers are scaled when they are whole, so that they have no parts.
    let whole = !T::INTEGERS || k <= DEPTH;
    if m <= BLOCKS * S::ROWS || n < 2 * S::LANES || !whole {
        // SAFETY: the caller's.
        return unsafe { product::<S, T, TRANSPOSED>(s, terms, [m, n, k], a, b, start, c) };
    }
    let mut panel = MaybeUninit::<Panel>::uninit();
    let panel: *mut f32 = panel.as_mut_ptr().cast();
    let wide = n - n % (2 * S::LANES);
    // Parts of nearly equal depth, and at least one, so that C is written where k is 0.
    let parts = k.div_ceil(DEPTH).max(1);
    let mut first = 0;
    for part in 0..parts {
        let depth = (k - first).div_ceil(parts - part);
        let start = |column: usize| match start {
            _ if part > 0 => Start::Add,
            // SAFETY: the bias is as long as C is wide.
            Start::Row(bias) => Start::Row(unsafe { bias.add(column) }),
            other => other,
        };
        // SAFETY: part of the operands; the panel has room for `depth` rows of two registers.
        unsafe {
            let a = Left { data: a.data.wrapping_add(first * a.step), ..a };
            let b = Rows { data: b.data.wrapping_add(first * b.stride), ..b };
            for column in (0..wide).step_by(2 * S::LANES) {
                for row in 0..depth {
                    let from = b.data.add(row * b.stride + column);
                    // The next panel's: too far apart for the CPU to foresee.
                    s.prefetch(from.wrapping_add(2 * S::LANES).cast());
                    let to = panel.add(row * 2 * S::LANES);
                    s.store_all(s.load_all(from), to);
                    s.store_all(s.load_all(from.add(S::LANES)), to.add(S::LANES));
                }
                let b = Rows { data: panel.cast_const(), stride: 2 * S::LANES };
                let c = Rows { data: c.data.add(column), ..c };
                let size = [m, 2 * S::LANES, depth];
                product::<S, T, TRANSPOSED>(s, terms, size, a, b, start(column), c);
            }
            let size = [m, n - wide, depth];
            let b = Rows { data: b.data.wrapping_add(wide), ..b };
            let c = Rows { data: c.data.wrapping_add(wide), ..c };
            product::<S, T, TRANSPOSED>(s, terms, size, a, b, start(wide), c);
        }
        first += depth;
    }
}

/// C = start + A·B; `TRANSPOSED` says that the rows of A lie 1 apart.
///
/// # Safety
/// `[m, n, k]` elements of each operand are there.
#[inline(always)]
pub(super) unsafe fn product<S: Simd, T: Terms<S>, const TRANSPOSED: bool>(
    s: S,
    terms: T,
    [m, n, k]: [usize; 3],
    a: Left,
    b: Rows<*const f32>,
    start: Start,
    c: Rows<*mut f32>,
) {
    if m == 0 || n == 0 {
        return;
    }
    // Blocks of nearly equal height: a low last one would leave the multipliers waiting for their sums.
    let blocks = m.div_ceil(S::ROWS);
    let mut column = 0;
    while column < n {
        let wide = n - column >= 2 * S::LANES;
        let columns = if wide { 2 * S::LANES } else { S::LANES.min(n - column) };
        let mask = s.mask(columns);
        let mut row = 0;
        for block in 0..blocks {
            let rows = (m - row).div_ceil(blocks - block);
            // SAFETY: the block's rows and columns are within the operands.
            unsafe {
                let start = match start {
                    Start::Row(bias) => Start::Row(bias.add(column)),
                    other => other,
                };
                let a = Left { data: a.data.add(row * a.row), ..a };
                let b = Rows { data: b.data.add(column), ..b };
                let c = Rows { data: c.data.add(row * c.stride + column), ..c };
                if wide {
                    sized::<S, T, 2, TRANSPOSED>(s, terms, rows, k, mask, a, b, start, c);
                } else {
                    sized::<S, T, 1, TRANSPOSED>(s, terms, rows, k, mask, a, b, start, c);
                }
            }
            row += rows;
        }
        column += columns;
    }
}

/// A block of 1 to [`Simd::ROWS`] rows, each number of rows with code of its own.
///
/// # Safety
/// As [`product`].
#[inline(always)]
#[allow(clippy::too_many_arguments)] // The operands of a product.
unsafe fn sized<S: Simd, T: Terms<S>, const N: usize, const TRANSPOSED: bool>(
    s: S,
    terms: T,
    rows: usize,
    k: usize,
    mask: S::Mask,
    a: Left,
    b: Rows<*const f32>,
    start: Start,
    c: Rows<*mut f32>,
) {
    macro_rules! rows {
        ($($m:literal)*) => {
            match rows {
                // SAFETY: the caller's.
                $($m if $m <= S::ROWS => unsafe {
                    block::<S, T, $m, N, TRANSPOSED>(s, terms, k, mask, a, b, start, c)
                },)*
                _ => {}
            }
        };
    }
    rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// `M` rows by `N` registers; of one register, the lanes of `mask` alone.
///
/// # Safety
/// As [`product`].
#[inline(always)]
#[allow(clippy::too_many_arguments)] // As above.
unsafe fn block<S: Simd, T: Terms<S>, const M: usize, const N: usize, const TRANSPOSED: bool>(
    s: S,
    terms: T,
    k: usize,
    mask: S::Mask,
    a: Left,
    b: Rows<*const f32>,
    start: Start,
    c: Rows<*mut f32>,
) {
    // SAFETY: the caller's; two registers are only asked for where all their lanes are there.
    let load = |from: *const f32, i: usize| unsafe {
        if N == 1 { s.load_some(from, mask) } else { s.load_all(from.add(i * S::LANES)) }
    };
    let mut sums = [[s.splat(0.0); N]; M];
    match start {
        _ if T::INTEGERS => {}
        Start::Zero => {}
        Start::Row(bias) => sums = [core::array::from_fn(|i| load(bias, i)); M],
        Start::Add => {
            for r in 0..M {
                // SAFETY: row r is there.
                let row = unsafe { c.data.add(r * c.stride) };
                sums[r] = core::array::from_fn(|i| load(row, i));
            }
        }
    }
    let row = if TRANSPOSED { 1 } else { a.row };
    let step = if TRANSPOSED { a.step } else { 1 };
    let (mut left, mut right) = (a.data, b.data);
    for _ in 0..k {
        let b_row: [S::F; N] = core::array::from_fn(|i| load(right, i));
        for r in 0..M {
            // SAFETY: element (r, p) of A is there for p < k.
            let value = s.splat(unsafe { *left.add(r * row) });
            for i in 0..N {
                sums[r][i] = terms.add(s, value, b_row[i], sums[r][i]);
            }
        }
        // Wrapping: the last step may leave the slice, and nothing is read there.
        left = left.wrapping_add(step);
        right = right.wrapping_add(b.stride);
    }
    for (r, sums) in sums.iter().enumerate() {
        for (i, sum) in sums.iter().enumerate() {
            // SAFETY: as for the loads.
            unsafe {
                let row = c.data.add(r * c.stride);
                let from = match start {
                    Start::Add if T::INTEGERS => load(row, i),
                    Start::Row(bias) if T::INTEGERS => load(bias, i),
                    _ => s.splat(0.0),
                };
                let (value, to) = (terms.end(s, *sum, from), row.add(i * S::LANES));
                if N == 1 { s.store_some(value, to, mask) } else { s.store_all(value, to) }
            }
        }
    }
}
