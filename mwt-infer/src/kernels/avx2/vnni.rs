//! Integer products with AVX-VNNI, as found in client CPUs from Alder Lake on: those of AVX-512's VNNI in half as wide registers, twice
//! the products of `vpmaddwd`.

use core::arch::x86_64::*;

use crate::kernels::int8::{Ends, Products, SMALLEST, with_rows};
use crate::kernels::simd::Simd;

const COLUMNS: usize = 16;

/// A kernel on a CPU that has AVX-VNNI too.
#[derive(Clone, Copy)]
pub(super) struct Vnni<K>(pub(super) K);

impl<K: Simd<F = __m256>> Products for Vnni<K> {
    /// q + 128, as for AVX-512: the instruction multiplies unsigned by signed bytes.
    type Value = u8;
    const GROUP: usize = 4;
    // Two registers of sums.
    const COLUMNS: usize = COLUMNS;
    // 6 × 2 sums, 2 registers of W and one of A are 15 of 16.
    const ROWS: usize = 6;
    /// 128·Σ w of each column.
    type Excess = [__m256i; 2];

    #[inline(always)]
    unsafe fn round(self, row: &[f32], to: *mut u8, depth: usize) -> f32 {
        // SAFETY: who makes a value of `Vnni` has found the instructions; the rest is the caller's, here and below.
        unsafe { round(self.0.largest(row), row, to, depth) }
    }

    #[inline(always)]
    unsafe fn pack(self, from: *const i8, k: usize, stride: usize, panel: *mut u8) -> [__m256i; 2] {
        // SAFETY: see above.
        unsafe { pack(from, k, stride, panel) }
    }

    #[inline(always)]
    unsafe fn block(
        self,
        rows: usize,
        depth: usize,
        a: (*const u8, *const f32),
        panel: *const u8,
        ends: &Ends<[__m256i; 2]>,
        c: (*mut f32, usize),
    ) {
        with_rows!(rows, 1 2 3 4 5 6 => block(self.0, depth, a, panel, ends, c));
    }
}

/// [`Products::round`] of a row whose largest magnitude is known.
///
/// # Safety
/// `depth` bytes, at least as many as the row has values, may be written at `to`.
#[target_feature(enable = "avx2,fma,avxvnni")]
unsafe fn round(largest: f32, row: &[f32], to: *mut u8, depth: usize) -> f32 {
    let factor = _mm256_set1_ps(if largest >= SMALLEST { 127.0 / largest } else { 0.0 });
    for (n, some) in row.chunks(8).enumerate() {
        let mut eight = [0.0; 8];
        eight[..some.len()].copy_from_slice(some);
        // SAFETY: eight values are read, and bytes written where the row has values.
        unsafe {
            let q = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(eight.as_ptr()), factor));
            let q = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256::<1>(q));
            let q = _mm_xor_si128(_mm_packs_epi16(q, q), _mm_set1_epi8(-128));
            let to = to.add(8 * n);
            if some.len() == 8 {
                _mm_storel_epi64(to.cast(), q);
            } else {
                let mut bytes = [0u8; 16];
                _mm_storeu_si128(bytes.as_mut_ptr().cast(), q);
                core::ptr::copy_nonoverlapping(bytes.as_ptr(), to, some.len());
            }
        }
    }
    for at in row.len()..depth {
        // SAFETY: `depth` bytes may be written. They meet weights of 0.
        unsafe { to.add(at).write(0) }
    }
    // No byte can hold a NaN: it comes back out by way of the scale.
    largest / 127.0
}

/// Packs [`COLUMNS`] columns of W as [k/4][column][4], short sums filled up with 0, and gives 128·Σ w of each.
///
/// # Safety
/// k rows of [`COLUMNS`] values lie `stride` apart at `from`; the panel has room for them.
#[target_feature(enable = "avx2,fma,avxvnni")]
unsafe fn pack(from: *const i8, k: usize, stride: usize, panel: *mut u8) -> [__m256i; 2] {
    let mut excess = [_mm256_setzero_si256(); 2];
    let offset = _mm256_set1_epi8(-128);
    for group in 0..k.div_ceil(4) {
        // SAFETY: rows of W are read where they are there; the panel has 4·COLUMNS bytes for each group.
        unsafe {
            let row = |r: usize| {
                let row = 4 * group + r;
                if row < k {
                    _mm_loadu_si128(from.add(row * stride).cast())
                } else {
                    _mm_setzero_si128()
                }
            };
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            let (ab_low, ab_high) = (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
            let (cd_low, cd_high) = (_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d));
            let both =
                |ab, cd| _mm256_set_m128i(_mm_unpackhi_epi16(ab, cd), _mm_unpacklo_epi16(ab, cd));
            let to = panel.add(4 * COLUMNS * group).cast::<__m256i>();
            for (half, w) in [both(ab_low, cd_low), both(ab_high, cd_high)].into_iter().enumerate()
            {
                _mm256_store_si256(to.add(half), w);
                excess[half] = _mm256_dpbusd_avx_epi32(excess[half], offset, w);
            }
        }
    }
    excess
}

/// [`Products::block`] of `M` rows.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx2,fma,avxvnni")]
unsafe fn block<const M: usize>(
    kernel: impl Simd<F = __m256>,
    depth: usize,
    (a, row_scales): (*const u8, *const f32),
    panel: *const u8,
    ends: &Ends<[__m256i; 2]>,
    (c, stride): (*mut f32, usize),
) {
    let mut sums = [[_mm256_setzero_si256(); 2]; M];
    for at in (0..depth).step_by(4) {
        // SAFETY: the caller's.
        unsafe {
            let w = panel.add(at * COLUMNS).cast::<__m256i>();
            let w = [_mm256_load_si256(w), _mm256_load_si256(w.add(1))];
            for (r, sums) in sums.iter_mut().enumerate() {
                let four = a.add(r * depth + at).cast::<i32>().read_unaligned();
                let four = _mm256_set1_epi32(four);
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = _mm256_dpbusd_avx_epi32(*sum, four, w);
                }
            }
        }
    }
    for (r, [low, high]) in sums.into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe {
            let sums = [
                _mm256_cvtepi32_ps(_mm256_sub_epi32(low, ends.excess[0])),
                _mm256_cvtepi32_ps(_mm256_sub_epi32(high, ends.excess[1])),
            ];
            ends.write(kernel, sums, *row_scales.add(r), c.add(r * stride));
        }
    }
}
