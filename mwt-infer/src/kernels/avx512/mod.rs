//! AVX-512, as found from Cascade Lake and Zen 4 on: with VNNI.

mod int8;

use core::arch::x86_64::*;

use mwt_core::quant::{Matrix, Vector};

use super::simd::{Pairs, Simd, register_ops};
use super::{Mat, MatMut};

/// The AVX-512 kernel. A value exists only where the CPU has the instructions.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

cpufeatures::new!(features, "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx2", "fma");

impl Avx512 {
    /// The kernel, where the CPU and the operating system support it.
    pub fn detect() -> Option<Self> {
        /// VNNI's bit of CPUID leaf 7, which `cpufeatures` does not know.
        const VNNI: u32 = 1 << 11;
        let there = features::get() && __cpuid_count(7, 0).ecx & VNNI != 0;
        there.then_some(Self(()))
    }
}

/// Runs `f` with the instructions allowed.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
fn with_features<R>(f: impl FnOnce() -> R) -> R {
    f()
}

// SAFETY of every block below: a value of `Avx512` proves that the CPU has the instructions; what pointers
// must point at is the caller's to keep, as `Simd` says.
impl Simd for Avx512 {
    const LANES: usize = 16;
    // 14 × 2 sums, 2 registers of B and one of A are 31 of 32.
    const ROWS: usize = 14;
    type F = __m512;
    type Mask = __mmask16;

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        // SAFETY: see above.
        unsafe { with_features(f) }
    }

    #[inline(always)]
    fn mask(self, n: usize) -> __mmask16 {
        if n >= 16 { 0xffff } else { (1 << n) - 1 }
    }

    #[inline(always)]
    unsafe fn load_all(self, from: *const f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_some(self, from: *const f32, mask: __mmask16) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_maskz_loadu_ps(mask, from) }
    }

    #[inline(always)]
    unsafe fn store_all(self, value: __m512, to: *mut f32) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(to, value) }
    }

    #[inline(always)]
    unsafe fn store_some(self, value: __m512, to: *mut f32, mask: __mmask16) {
        // SAFETY: see above.
        unsafe { _mm512_mask_storeu_ps(to, mask, value) }
    }

    #[inline(always)]
    unsafe fn load_i8(self, from: *const u8) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u8) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
    }

    #[inline(always)]
    fn linear_int8(
        self,
        a: Mat<'_>,
        w: &Matrix<'_>,
        bias: Option<Vector<'_>>,
        c: &mut MatMut<'_>,
    ) -> bool {
        super::int8::linear(self, a, w, bias, c)
    }

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        // SAFETY: a prefetch of any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(value) }
    }

    register_ops! {
        add(a, b) = _mm512_add_ps(a, b);
        sub(a, b) = _mm512_sub_ps(a, b);
        mul(a, b) = _mm512_mul_ps(a, b);
        div(a, b) = _mm512_div_ps(a, b);
        mul_add(a, b, c) = _mm512_fmadd_ps(a, b, c);
        mul_sub(a, b, c) = _mm512_fmsub_ps(a, b, c);
        neg_mul_add(a, b, c) = _mm512_fnmadd_ps(a, b, c);
        sqrt(a) = _mm512_sqrt_ps(a);
        max(a, b) = _mm512_max_ps(a, b);
        min(a, b) = _mm512_min_ps(a, b);
        and(a, b) = _mm512_and_ps(a, b);
        xor(a, b) = _mm512_xor_ps(a, b);
        add_bits(a, b) = {
            _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)))
        };
        select(sign, negative, positive) = {
            let mask = _mm512_movepi32_mask(_mm512_castps_si512(sign));
            _mm512_mask_blend_ps(mask, positive, negative)
        };
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, a: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32::<BITS>(_mm512_castps_si512(a))) }
    }

    #[inline(always)]
    fn sum(self, a: __m512) -> f32 {
        // SAFETY: see above.
        unsafe { _mm512_reduce_add_ps(a) }
    }

    #[inline(always)]
    unsafe fn transpose(
        self,
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        // SAFETY: see above; rows 0..16 of both blocks are there.
        unsafe {
            let row = |i: usize| _mm512_loadu_ps(from.add(i * from_stride));
            // Pairs of rows, then of pairs: each 128-bit lane now holds four rows of one column.
            let mut columns = [_mm512_setzero_ps(); 16];
            for i in 0..4 {
                let [a, b, c, d] = [row(4 * i), row(4 * i + 1), row(4 * i + 2), row(4 * i + 3)];
                let (ab_low, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let (cd_low, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                columns[i] = _mm512_shuffle_ps::<0x44>(ab_low, cd_low);
                columns[4 + i] = _mm512_shuffle_ps::<0xee>(ab_low, cd_low);
                columns[8 + i] = _mm512_shuffle_ps::<0x44>(ab_high, cd_high);
                columns[12 + i] = _mm512_shuffle_ps::<0xee>(ab_high, cd_high);
            }
            // Lane l of columns[4·c..4·c+4] belongs to column 4·l + c.
            for c in 0..4 {
                let [a, b, x, y] =
                    [columns[4 * c], columns[4 * c + 1], columns[4 * c + 2], columns[4 * c + 3]];
                let even_low = _mm512_shuffle_f32x4::<0x88>(a, b);
                let odd_low = _mm512_shuffle_f32x4::<0xdd>(a, b);
                let even_high = _mm512_shuffle_f32x4::<0x88>(x, y);
                let odd_high = _mm512_shuffle_f32x4::<0xdd>(x, y);
                let lanes = [
                    _mm512_shuffle_f32x4::<0x88>(even_low, even_high),
                    _mm512_shuffle_f32x4::<0x88>(odd_low, odd_high),
                    _mm512_shuffle_f32x4::<0xdd>(even_low, even_high),
                    _mm512_shuffle_f32x4::<0xdd>(odd_low, odd_high),
                ];
                for (l, lane) in lanes.into_iter().enumerate() {
                    _mm512_storeu_ps(to.add((4 * l + c) * to_stride), lane);
                }
            }
        }
    }
}

/// `_mm512_dpwssd_epi32`, which is at times compiled to a product and a sum: on some CPUs they compete for the same units.
#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn add_products(a: __m512, b: __m512, mut sum: __m512) -> __m512 {
    // SAFETY: one instruction on three registers.
    unsafe {
        core::arch::asm!(
            "vpdpwssd {sum}, {a}, {b}",
            sum = inout(zmm_reg) sum,
            a = in(zmm_reg) a,
            b = in(zmm_reg) b,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

impl Pairs for Avx512 {
    register_ops! {
        add_products(a, b, sum) = add_products(a, b, sum);
        integers(a) = _mm512_cvtepi32_ps(_mm512_castps_si512(a));
        pair(low, high) = {
            let high = _mm512_slli_epi32::<16>(_mm512_cvtps_epi32(high));
            let pairs = _mm512_mask_blend_epi16(0xaaaa_aaaa, _mm512_cvtps_epi32(low), high);
            _mm512_castsi512_ps(pairs)
        };
        pair_neighbours(first, second) = {
            let (first, second) = (_mm512_cvtps_epi32(first), _mm512_cvtps_epi32(second));
            // Within lanes of 128 bits: the fours of both take turns.
            let order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
            let packed = _mm512_packs_epi32(first, second);
            _mm512_castsi512_ps(_mm512_permutexvar_epi64(order, packed))
        };
    }
}
