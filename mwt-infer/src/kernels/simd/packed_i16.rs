//! Products of packed 16-bit integers, written once over [`Pairs`]: the blocks of [`gemm`](super::gemm) with other terms.

use super::gemm::{Terms, columns, rows};
use super::{Pairs, Simd};
use crate::kernels::{Init, Kernel, Mat, MatMut, PackedI16};

/// Pairs of integers, whose sums are scaled when they are whole.
#[derive(Clone, Copy)]
struct Integers {
    scale: f32,
}

impl<S: Pairs> Terms<S> for Integers {
    const INTEGERS: bool = true;

    #[inline(always)]
    fn add(self, s: S, a: S::F, b: S::F, sum: S::F) -> S::F {
        s.add_products(a, b, sum)
    }

    #[inline(always)]
    fn end(self, s: S, sum: S::F, c: S::F) -> S::F {
        s.mul_add(s.integers(sum), s.splat(self.scale), c)
    }
}

impl<S: Pairs> PackedI16 for S {
    const FASTER: bool = true;
    // Shorter ones do not pay for the rounding.
    const SHORTEST: usize = 64;

    #[inline]
    fn largest(self, x: &[f32]) -> f32 {
        self.vectorize(
            #[inline(always)]
            || largest(self, x),
        )
    }

    #[inline]
    fn pack_rows(self, x: &mut [f32], columns: usize, factor: f32) {
        self.vectorize(
            #[inline(always)]
            || pack_rows(self, x, columns, factor),
        );
    }

    #[inline]
    fn pack_columns(self, x: &mut [f32], factor: f32) {
        self.vectorize(
            #[inline(always)]
            || pack_columns(self, x, factor),
        );
    }

    #[inline]
    fn packed_product(self, a: Mat<'_>, b: Mat<'_>, c: MatMut<'_>) {
        self.vectorize(
            #[inline(always)]
            || rows(self, Integers { scale: 1.0 }, a, b, Init::Zero, c),
        );
    }

    #[inline]
    fn packed_product_tn(self, a: Mat<'_>, b: Mat<'_>, scale: f32, c: MatMut<'_>) {
        self.vectorize(
            #[inline(always)]
            || columns(self, Integers { scale }, a, b, c),
        );
    }

    #[inline]
    fn pack_a(self, a: Mat<'_>, factor: f32, to: &mut [f32]) {
        self.vectorize(
            #[inline(always)]
            || neighbours(self, a, factor, to),
        );
    }

    #[inline]
    fn pack_a_t(self, a: Mat<'_>, factor: f32, to: &mut [f32]) {
        self.pack_b(a, factor, to);
    }

    #[inline]
    fn pack_b(self, b: Mat<'_>, factor: f32, to: &mut [f32]) {
        self.vectorize(
            #[inline(always)]
            || two_rows(self, b, factor, to),
        );
    }

    #[inline]
    fn pack_b_t(self, b: Mat<'_>, factor: f32, scratch: &mut [f32], to: &mut [f32]) {
        let (n, pairs) = (b.rows(), b.columns().div_ceil(2));
        let at_once = scratch.len() / pairs.max(1);
        for first in (0..n).step_by(at_once.max(1)) {
            let count = at_once.min(n - first);
            let some = Mat::new(
                b.data().get(first * b.stride()..).unwrap_or_default(),
                count,
                b.columns(),
                b.stride(),
            );
            self.pack_a(some, factor, scratch);
            let to = MatMut::new(to.get_mut(first..).unwrap_or_default(), pairs, count, n);
            Kernel::transpose(self, Mat::dense(scratch, count, pairs), to);
        }
    }

    #[inline]
    fn product_i16(
        self,
        a: &[f32],
        b: &[f32],
        terms: usize,
        scale: f32,
        init: Init<'_>,
        c: MatMut<'_>,
    ) {
        let (m, n, pairs) = (c.rows(), c.columns(), terms.div_ceil(2));
        self.vectorize(
            #[inline(always)]
            || {
                rows(
                    self,
                    Integers { scale },
                    Mat::dense(a, m, pairs),
                    Mat::dense(b, pairs, n),
                    init,
                    c,
                )
            },
        );
    }

    #[inline]
    fn product_tn_i16(self, a: &[f32], b: &[f32], terms: usize, scale: f32, c: MatMut<'_>) {
        let (m, n, pairs) = (c.rows(), c.columns(), terms.div_ceil(2));
        self.vectorize(
            #[inline(always)]
            || {
                columns(
                    self,
                    Integers { scale },
                    Mat::dense(a, pairs, m),
                    Mat::dense(b, pairs, n),
                    c,
                )
            },
        );
    }
}

/// The largest magnitude, NaN when a value is not finite.
#[inline(always)]
fn largest<S: Simd>(s: S, x: &[f32]) -> f32 {
    let (mut largest, mut check) = (s.splat(0.0), s.splat(0.0));
    for x in x.chunks(S::LANES) {
        let x = s.load(x);
        largest = s.max(s.and(x, s.splat(f32::from_bits(0x7fff_ffff))), largest);
        // x·0 is 0 for every finite x and NaN for the rest.
        check = s.mul_add(x, s.splat(0.0), check);
    }
    /// Of the widest register.
    const LANES: usize = 16;
    const { assert!(S::LANES <= LANES) };
    let mut lanes = [0.0; LANES];
    s.store(largest, &mut lanes);
    lanes.into_iter().fold(0.0, f32::max) + s.sum(check)
}

#[inline(always)]
fn pack_rows<S: Pairs>(s: S, x: &mut [f32], columns: usize, factor: f32) {
    let factor = s.splat(factor);
    let (rows, x) = (x.len() / (2 * columns.max(1)), x.as_mut_ptr());
    let whole = columns - columns % S::LANES;
    let mask = s.mask(columns - whole);
    for row in 0..rows {
        // SAFETY: two rows are read where they are, and one is written no later in the slice than they end.
        unsafe {
            let (from, to) = (x.add(2 * row * columns), x.add(row * columns));
            for column in (0..whole).step_by(S::LANES) {
                let low = s.load_all(from.add(column));
                let high = s.load_all(from.add(columns + column));
                let pairs = s.pair(s.mul(low, factor), s.mul(high, factor));
                s.store_all(pairs, to.add(column));
            }
            if whole < columns {
                let low = s.load_some(from.add(whole), mask);
                let high = s.load_some(from.add(columns + whole), mask);
                let pairs = s.pair(s.mul(low, factor), s.mul(high, factor));
                s.store_some(pairs, to.add(whole), mask);
            }
        }
    }
}

#[inline(always)]
fn pack_columns<S: Pairs>(s: S, x: &mut [f32], factor: f32) {
    let factor = s.splat(factor);
    let (pairs, start) = (x.len() / 2, x.as_mut_ptr());
    for at in (0..pairs).step_by(S::LANES) {
        let count = (pairs - at).min(S::LANES);
        let (first, second) = ((2 * count).min(S::LANES), (2 * count).saturating_sub(S::LANES));
        // SAFETY: twice `count` values are read where they are, and `count` written, no later in the slice.
        unsafe {
            let from = start.add(2 * at);
            let first = s.load_some(from, s.mask(first));
            let second =
                s.load_some(from.add(if second > 0 { S::LANES } else { 0 }), s.mask(second));
            let packed = s.pair_neighbours(s.mul(first, factor), s.mul(second, factor));
            s.store_some(packed, start.add(at), s.mask(count));
        }
    }
}

/// Pairs of neighbours of each row of x, rows one after the other; the last of an odd number has a 0 beside it.
#[inline(always)]
fn neighbours<S: Pairs>(s: S, x: Mat<'_>, factor: f32, to: &mut [f32]) {
    let factor = s.splat(factor);
    let pairs = x.columns().div_ceil(2);
    for (row, to) in to.chunks_exact_mut(pairs.max(1)).enumerate().take(x.rows()) {
        for (from, to) in x.row(row).chunks(2 * S::LANES).zip(to.chunks_mut(S::LANES)) {
            let (first, second) = from.split_at(from.len().min(S::LANES));
            let (first, second) = (s.mul(s.load(first), factor), s.mul(s.load(second), factor));
            s.store(s.pair_neighbours(first, second), to);
        }
    }
}

/// Pairs of two neighbouring rows of x; the last of an odd number has zeros beside it.
#[inline(always)]
fn two_rows<S: Pairs>(s: S, x: Mat<'_>, factor: f32, to: &mut [f32]) {
    let factor = s.splat(factor);
    let pairs = x.rows().div_ceil(2);
    for (pair, to) in to.chunks_exact_mut(x.columns().max(1)).enumerate().take(pairs) {
        let (low, high) = (x.row(2 * pair), x.row(2 * pair + 1));
        for (n, to) in to.chunks_mut(S::LANES).enumerate() {
            let some =
                |row: &[f32]| s.mul(s.load(row.get(n * S::LANES..).unwrap_or_default()), factor);
            s.store(s.pair(some(low), some(high)), to);
        }
    }
}
