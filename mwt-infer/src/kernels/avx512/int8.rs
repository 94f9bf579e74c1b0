//! Integer products with AVX-512's VNNI.
//!
//! The instruction multiplies unsigned by signed bytes, four neighbouring ones of A by four rows of W, so q is stored as
//! q + 128. What the 128 adds, 128·Σ w of each column, is taken away again.

use core::arch::x86_64::*;

use super::Avx512;
use crate::kernels::int8::{Ends, Products, SMALLEST};

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
        macro_rules! rows {
            ($($m:literal)*) => {
                match rows {
                    // SAFETY: see above.
                    $($m => unsafe { block::<$m>(depth, a, panel.cast(), ends, c) },)*
                    _ => {}
                }
            };
        }
        rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
    }
}

/// Rounds a row to q + 128 and gives its scale. The bytes from the row's end to `depth` meet weights of 0.
///
/// # Safety
/// `depth` bytes, at least as many as the row has values, may be written at `to`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn round(row: &[f32], to: *mut u8, depth: usize) -> f32 {
    let mask = |at: usize| -> __mmask16 {
        if row.len() - at >= 16 { 0xffff } else { (1 << (row.len() - at)) - 1 }
    };
    let (mut largest, mut check) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    for at in (0..row.len()).step_by(16) {
        // SAFETY: the mask leaves out what is past the row.
        let x = unsafe { _mm512_maskz_loadu_ps(mask(at), row.as_ptr().add(at)) };
        largest = _mm512_max_ps(largest, _mm512_abs_ps(x));
        // x·0 is 0 for every finite x and NaN for the rest.
        check = _mm512_fmadd_ps(x, _mm512_setzero_ps(), check);
    }
    let largest = _mm512_reduce_max_ps(largest);
    let factor = _mm512_set1_ps(if largest >= SMALLEST { 127.0 / largest } else { 0.0 });
    for at in (0..row.len()).step_by(16) {
        // SAFETY: as above; bytes are written where the row has values.
        unsafe {
            let x = _mm512_maskz_loadu_ps(mask(at), row.as_ptr().add(at));
            let q = _mm512_cvtps_epi32(_mm512_mul_ps(x, factor));
            let q = _mm_xor_si128(_mm512_cvtsepi32_epi8(q), _mm_set1_epi8(-128));
            _mm_mask_storeu_epi8(to.add(at).cast(), mask(at), q);
        }
    }
    for at in row.len()..depth {
        // SAFETY: `depth` bytes may be written.
        unsafe { to.add(at).write(0) }
    }
    // No byte can hold a NaN: it comes back out by way of the scale.
    largest / 127.0 + _mm512_reduce_add_ps(check)
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
        for (half, excess) in excess.iter_mut().enumerate() {
            // SAFETY: rows of W are read where they are there; the panel has 4·COLUMNS bytes for each group.
            unsafe {
                let row = |r: usize| {
                    let row = 4 * group + r;
                    if row < k {
                        _mm_loadu_si128(from.add(row * stride + 16 * half).cast())
                    } else {
                        _mm_setzero_si128()
                    }
                };
                let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                let (ab_low, ab_high) = (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
                let (cd_low, cd_high) = (_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d));
                let to = panel.add(4 * COLUMNS * group + 64 * half).cast::<__m128i>();
                _mm_store_si128(to, _mm_unpacklo_epi16(ab_low, cd_low));
                _mm_store_si128(to.add(1), _mm_unpackhi_epi16(ab_low, cd_low));
                _mm_store_si128(to.add(2), _mm_unpacklo_epi16(ab_high, cd_high));
                _mm_store_si128(to.add(3), _mm_unpackhi_epi16(ab_high, cd_high));
                *excess = _mm512_dpbusd_epi32(*excess, offset, _mm512_load_si512(to.cast()));
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
    for (r, sums) in sums.iter().enumerate() {
        for (i, sum) in sums.iter().enumerate() {
            // SAFETY: the caller's.
            unsafe {
                let sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(*sum, ends.excess[i]));
                let scale = _mm512_set1_ps(*row_scales.add(r));
                let scale = _mm512_mul_ps(scale, _mm512_loadu_ps(ends.scales.add(16 * i)));
                let bias = match ends.bias {
                    Some(bias) => _mm512_loadu_ps(bias.add(16 * i)),
                    None => _mm512_setzero_ps(),
                };
                _mm512_storeu_ps(c.add(r * stride + 16 * i), _mm512_fmadd_ps(sum, scale, bias));
            }
        }
    }
}
