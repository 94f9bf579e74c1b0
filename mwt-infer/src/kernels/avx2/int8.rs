//! Integer products with AVX2: `vpmaddwd` multiplies pairs of 16-bit values and adds the two products up in an i32,
//! without ever saturating, as its 8-bit sibling would. That is twice the products of a fused multiply-add.

use core::arch::x86_64::*;

use super::Avx2;
use crate::kernels::PackedI16;
use crate::kernels::int8::{Ends, Products, SMALLEST, with_rows};

const COLUMNS: usize = 16;

impl Products for Avx2 {
    type Value = i16;
    const GROUP: usize = 2;
    // Two registers of sums.
    const COLUMNS: usize = COLUMNS;
    // 6 × 2 sums, 2 registers of W, one of A and a product are all 16.
    const ROWS: usize = 6;
    type Excess = ();

    #[inline(always)]
    unsafe fn round(self, row: &[f32], to: *mut i16, depth: usize) -> f32 {
        // SAFETY: a value of `Avx2` proves that the CPU has the instructions; the rest is the caller's, here and below.
        unsafe { round(self, row, to, depth) }
    }

    #[inline(always)]
    unsafe fn pack(self, from: *const i8, k: usize, stride: usize, panel: *mut i16) {
        // SAFETY: see above.
        unsafe { pack(from, k, stride, panel) }
    }

    #[inline(always)]
    unsafe fn block(
        self,
        rows: usize,
        depth: usize,
        a: (*const i16, *const f32),
        panel: *const i16,
        ends: &Ends<()>,
        c: (*mut f32, usize),
    ) {
        with_rows!(rows, 1 2 3 4 5 6 => block(self, depth, a, panel, ends, c));
    }
}

/// [`Products::round`].
///
/// # Safety
/// `depth` values, at least as many as the row has, may be written at `to`.
#[target_feature(enable = "avx2,fma")]
unsafe fn round(avx2: Avx2, row: &[f32], to: *mut i16, depth: usize) -> f32 {
    let (eights, rest) = row.as_chunks::<8>();
    let mut last = [0.0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let largest = avx2.largest(row);
    let factor = _mm256_set1_ps(if largest >= SMALLEST { 127.0 / largest } else { 0.0 });
    let mut whole = [0i16; 8];
    for (n, eight) in eights.iter().chain([&last]).enumerate() {
        // SAFETY: eight values are there.
        let x = unsafe { _mm256_loadu_ps(eight.as_ptr()) };
        let q = _mm256_cvtps_epi32(_mm256_mul_ps(x, factor));
        let q = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256::<1>(q));
        // SAFETY: rows are written as far as they have values, then as far as `depth`.
        unsafe {
            if n < eights.len() {
                _mm_storeu_si128(to.add(8 * n).cast(), q);
            } else {
                _mm_storeu_si128(whole.as_mut_ptr().cast(), q);
                let left = (depth - 8 * n).min(8);
                core::ptr::copy_nonoverlapping(whole.as_ptr(), to.add(8 * n), left);
            }
        }
    }
    // No integer can hold a NaN: it comes back out by way of the scale.
    largest / 127.0
}

/// [`Products::pack`].
///
/// # Safety
/// k rows of [`COLUMNS`] values lie `stride` apart at `from`; the panel has room for them.
#[target_feature(enable = "avx2,fma")]
unsafe fn pack(from: *const i8, k: usize, stride: usize, panel: *mut i16) {
    for pair in 0..k.div_ceil(2) {
        // SAFETY: rows of W are read where they are there; the panel has 2·COLUMNS values for each pair of them.
        unsafe {
            let row = from.add(2 * pair * stride);
            let a = _mm_loadu_si128(row.cast());
            let b = if 2 * pair + 1 < k {
                _mm_loadu_si128(row.add(stride).cast())
            } else {
                _mm_setzero_si128()
            };
            let to = panel.add(2 * COLUMNS * pair).cast::<__m256i>();
            _mm256_store_si256(to, _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(a, b)));
            _mm256_store_si256(to.add(1), _mm256_cvtepi8_epi16(_mm_unpackhi_epi8(a, b)));
        }
    }
}

/// [`Products::block`] of `M` rows.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2,fma")]
unsafe fn block<const M: usize>(
    avx2: Avx2,
    depth: usize,
    (a, row_scales): (*const i16, *const f32),
    panel: *const i16,
    ends: &Ends<()>,
    (c, stride): (*mut f32, usize),
) {
    let mut sums = [[_mm256_setzero_si256(); 2]; M];
    for at in (0..depth).step_by(2) {
        // SAFETY: the caller's.
        unsafe {
            let w = panel.add(at * COLUMNS).cast::<__m256i>();
            let w = [_mm256_load_si256(w), _mm256_load_si256(w.add(1))];
            for (r, sums) in sums.iter_mut().enumerate() {
                let pair = a.add(r * depth + at).cast::<i32>().read_unaligned();
                let pair = _mm256_set1_epi32(pair);
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pair, w));
                }
            }
        }
    }
    for (r, [low, high]) in sums.into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe {
            let sums = [_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high)];
            ends.write(avx2, sums, *row_scales.add(r), c.add(r * stride));
        }
    }
}
