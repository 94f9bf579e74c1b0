//! Integer products with AVX-512's VNNI.
//!
//! The instruction multiplies unsigned by signed bytes, four neighbouring ones of A by four rows of W, so q is stored as
//! q + 128. What the 128 adds, 128·Σ w of each column, is taken away again.

use core::arch::x86_64::*;

use super::Avx512;
use crate::kernels::int8::{Ends, Products, SMALLEST, with_rows};

const COLUMNS: usize = 32;

impl Products for Avx512 {
    type Value = u8;
    const GROUP: usize = 4;
    // Two registers of sums.
    const COLUMNS: usize = COLUMNS;
    const ROWS: usize = 14;
    /// 128·Σ w of each column.
    type Excess = [__m512i; 2];

    #[inline(always)]
    unsafe fn round(self, row: &[f32], to: *mut u8, depth: usize) -> f32 {
        // SAFETY: a value of `Avx512` proves that the CPU has the instructions; the rest is the caller's, here and
        // below.
        unsafe { round(row, to, depth) }
    }

    #[inline(always)]
    unsafe fn pack(self, from: *const i8, k: usize, stride: usize, panel: *mut u8) -> [__m512i; 2] {
        // SAFETY: see above.
        unsafe { pack(from, k, stride, panel.cast()) }
    }

    #[inline(always)]
    unsafe fn block(
        self,
        rows: usize,
        depth: usize,
        a: (*const u8, *const f32),
        panel: *const u8,
        ends: &Ends<[__m512i; 2]>,
        c: (*mut f32, usize),
    ) {
        with_rows!(rows, 1 2 3 4 5 6 7 8 9 10 11 12 13 14 => block(self, depth, a, panel.cast(), ends, c));
    }
}

/// Rounds a row to q + 128 and gives its scale. The bytes from the row's end to `depth` meet weights of 0.
///
/// # Safety
/// `depth` bytes, at least as many as the row has values, may be written at `to`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn round(row: &[f32], to: *mut u8, depth: usize) -> f32 {
    let mask = |at: usize| -> __mmask16 { (1 << (row.len() - at)) - 1 };
    let whole = row.len() - row.len() % 16;
    let rest = whole < row.len();
    // As integers, magnitudes have the same order, and what is not finite lies above all of them.
    let magnitude =
        |x: __m512| _mm512_and_si512(_mm512_castps_si512(x), _mm512_set1_epi32(i32::MAX));
    let mut largest = _mm512_setzero_si512();
    for at in (0..whole).step_by(16) {
        // SAFETY: whole registers of the row.
        let x = unsafe { _mm512_loadu_ps(row.as_ptr().add(at)) };
        largest = _mm512_max_epi32(largest, magnitude(x));
    }
    if rest {
        // SAFETY: the mask leaves out what is past the row.
        let x = unsafe { _mm512_maskz_loadu_ps(mask(whole), row.as_ptr().add(whole)) };
        largest = _mm512_max_epi32(largest, magnitude(x));
    }
    let largest = f32::from_bits(_mm512_reduce_max_epi32(largest) as u32);
    let factor = _mm512_set1_ps(if largest >= SMALLEST { 127.0 / largest } else { 0.0 });
    let integers = |x: __m512| {
        let q = _mm512_cvtps_epi32(_mm512_mul_ps(x, factor));
        _mm_xor_si128(_mm512_cvtsepi32_epi8(q), _mm_set1_epi8(-128))
    };
    for at in (0..whole).step_by(16) {
        // SAFETY: bytes are written where the row has values.
        unsafe {
            let x = _mm512_loadu_ps(row.as_ptr().add(at));
            _mm_storeu_si128(to.add(at).cast(), integers(x));
        }
    }
    if rest {
        // SAFETY: as above.
        unsafe {
            let x = _mm512_maskz_loadu_ps(mask(whole), row.as_ptr().add(whole));
            _mm_mask_storeu_epi8(to.add(whole).cast(), mask(whole), integers(x));
        }
    }
    for at in row.len()..depth {
        // SAFETY: `depth` bytes may be written.
        unsafe { to.add(at).write(0) }
    }
    // No byte can hold a NaN: it comes back out by way of the scale.
    if largest < f32::INFINITY { largest / 127.0 } else { f32::NAN }
}

/// Packs [`COLUMNS`] columns of W as [k/4][column][4], short sums filled up with 0, and gives 128·Σ w of each.
///
/// # Safety
/// k rows of [`COLUMNS`] values lie `stride` apart at `from`; the panel has room for them.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn pack(from: *const i8, k: usize, stride: usize, panel: *mut i8) -> [__m512i; 2] {
    let mut excess = [_mm512_setzero_si512(); 2];
    let offset = _mm512_set1_epi8(-128);
    for group in 0..k.div_ceil(4) {
        // SAFETY: rows of W are read where they are there; the panel has 4·COLUMNS bytes for each group.
        unsafe {
            let row = |r: usize| {
                let row = 4 * group + r;
                if row < k {
                    let at = from.add(row * stride);
                    // The panel after the next: too far apart for the CPU to foresee.
                    _mm_prefetch::<_MM_HINT_T0>(at.wrapping_add(2 * COLUMNS));
                    _mm256_loadu_si256(at.cast())
                } else {
                    _mm256_setzero_si256()
                }
            };
            let (a, b, c, d) = (row(0), row(1), row(2), row(3));
            // Both lanes of 128 bits hold columns 16 apart, four of them in each of these.
            let (ab_low, ab_high) = (_mm256_unpacklo_epi8(a, b), _mm256_unpackhi_epi8(a, b));
            let (cd_low, cd_high) = (_mm256_unpacklo_epi8(c, d), _mm256_unpackhi_epi8(c, d));
            let both = |a, b| _mm512_inserti64x4::<1>(_mm512_castsi256_si512(a), b);
            let low =
                both(_mm256_unpacklo_epi16(ab_low, cd_low), _mm256_unpackhi_epi16(ab_low, cd_low));
            let high = both(
                _mm256_unpacklo_epi16(ab_high, cd_high),
                _mm256_unpackhi_epi16(ab_high, cd_high),
            );
            let halves =
                [_mm512_shuffle_i64x2::<0x88>(low, high), _mm512_shuffle_i64x2::<0xdd>(low, high)];
            let to = panel.add(4 * COLUMNS * group).cast::<__m512i>();
            for (half, w) in halves.into_iter().enumerate() {
                _mm512_store_si512(to.add(half), w);
                excess[half] = _mm512_dpbusd_epi32(excess[half], offset, w);
            }
        }
    }
    excess
}

/// [`Products::block`] of `M` rows.
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn block<const M: usize>(
    avx512: Avx512,
    depth: usize,
    (a, row_scales): (*const u8, *const f32),
    panel: *const i8,
    ends: &Ends<[__m512i; 2]>,
    (c, stride): (*mut f32, usize),
) {
    let mut sums = [[_mm512_setzero_si512(); 2]; M];
    for at in (0..depth).step_by(4) {
        // SAFETY: the caller's.
        unsafe {
            let w = panel.add(at * COLUMNS);
            let w = [_mm512_load_si512(w.cast()), _mm512_load_si512(w.add(64).cast())];
            for r in 0..M {
                let four = a.add(r * depth + at).cast::<i32>().read_unaligned();
                let four = _mm512_set1_epi32(four);
                sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], four, w[0]);
                sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], four, w[1]);
            }
        }
    }
    for (r, [low, high]) in sums.into_iter().enumerate() {
        // SAFETY: the caller's.
        unsafe {
            let sums = [
                _mm512_cvtepi32_ps(_mm512_sub_epi32(low, ends.excess[0])),
                _mm512_cvtepi32_ps(_mm512_sub_epi32(high, ends.excess[1])),
            ];
            ends.write(avx512, sums, *row_scales.add(r), c.add(r * stride));
        }
    }
}
