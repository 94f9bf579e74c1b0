//! AVX2 with FMA and F16C, as found from Haswell and Zen on.

mod int8;
mod vnni;

use core::arch::x86_64::*;

use mwt_core::quant::{Matrix, Vector};

use super::simd::{Pairs, Simd, register_ops};
use super::{Mat, MatMut};

/// The AVX2 kernel. A value exists only where the CPU has the instructions.
#[derive(Clone, Copy, Debug)]
pub struct Avx2 {
    /// Whether there is AVX-VNNI too, and used.
    vnni: bool,
}

cpufeatures::new!(features, "avx2", "fma");

impl Avx2 {
    /// The kernel, where the CPU and the operating system support it, without AVX-VNNI.
    pub fn detect() -> Option<Self> {
        /// F16C's bit of CPUID leaf 1, which `cpufeatures` does not know.
        const F16C: u32 = 1 << 29;
        let there = features::get() && __cpuid(1).ecx & F16C != 0;
        there.then_some(Self { vnni: false })
    }

    /// The kernel with AVX-VNNI for linear layers in int8, where the CPU has it.
    pub fn detect_vnni() -> Option<Self> {
        /// Its bit of CPUID leaf 7, part 1, which `cpufeatures` does not know.
        const AVX_VNNI: u32 = 1 << 4;
        let there = __cpuid(0).eax >= 7 && __cpuid_count(7, 1).eax & AVX_VNNI != 0;
        Self::detect().filter(|_| there).map(|_| Self { vnni: true })
    }

    /// Its name in reports.
    pub(super) const fn name(self) -> &'static str {
        if self.vnni { "avxvnni" } else { "avx2" }
    }
}

/// Runs `f` with the instructions allowed.
#[target_feature(enable = "avx2,fma,f16c")]
fn with_features<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Eight set lanes, then eight clear ones: a window onto them is a mask.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

// SAFETY of every block below: a value of `Avx2` proves that the CPU has the instructions; what pointers
// must point at is the caller's to keep, as `Simd` says.
impl Simd for Avx2 {
    const LANES: usize = 8;
    // 6 × 2 sums, 2 registers of B and one of A are 15 of 16.
    const ROWS: usize = 6;
    type F = __m256;
    type Mask = __m256i;

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        // SAFETY: see above.
        unsafe { with_features(f) }
    }

    #[inline(always)]
    fn mask(self, n: usize) -> __m256i {
        // SAFETY: see above; the window ends at the array's end at the latest.
        unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(8 - n.min(8)).cast()) }
    }

    #[inline(always)]
    unsafe fn load_all(self, from: *const f32) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_some(self, from: *const f32, mask: __m256i) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_maskload_ps(from, mask) }
    }

    #[inline(always)]
    unsafe fn store_all(self, value: __m256, to: *mut f32) {
        // SAFETY: see above.
        unsafe { _mm256_storeu_ps(to, value) }
    }

    #[inline(always)]
    unsafe fn store_some(self, value: __m256, to: *mut f32, mask: __m256i) {
        // SAFETY: see above.
        unsafe { _mm256_maskstore_ps(to, mask, value) }
    }

    #[inline(always)]
    unsafe fn load_i8(self, from: *const u8) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u8) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
    }

    #[inline(always)]
    fn linear_int8(
        self,
        a: Mat<'_>,
        w: &Matrix<'_>,
        bias: Option<Vector<'_>>,
        c: &mut MatMut<'_>,
    ) -> bool {
        if self.vnni {
            super::int8::linear(vnni::Vnni(self), a, w, bias, c)
        } else {
            super::int8::linear(self, a, w, bias, c)
        }
    }

    #[inline(always)]
    fn prefetch(self, at: *const u8) {
        // SAFETY: a prefetch of any address is allowed.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: see above.
        unsafe { _mm256_set1_ps(value) }
    }

    register_ops! {
        add(a, b) = _mm256_add_ps(a, b);
        sub(a, b) = _mm256_sub_ps(a, b);
        mul(a, b) = _mm256_mul_ps(a, b);
        div(a, b) = _mm256_div_ps(a, b);
        mul_add(a, b, c) = _mm256_fmadd_ps(a, b, c);
        mul_sub(a, b, c) = _mm256_fmsub_ps(a, b, c);
        neg_mul_add(a, b, c) = _mm256_fnmadd_ps(a, b, c);
        sqrt(a) = _mm256_sqrt_ps(a);
        max(a, b) = _mm256_max_ps(a, b);
        min(a, b) = _mm256_min_ps(a, b);
        and(a, b) = _mm256_and_ps(a, b);
        xor(a, b) = _mm256_xor_ps(a, b);
        add_bits(a, b) = {
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)))
        };
        select(sign, negative, positive) = _mm256_blendv_ps(positive, negative, sign);
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, a: __m256) -> __m256 {
        // SAFETY: see above.
        unsafe {
            // By a count in a register: the one in the instruction is an i32, which BITS cannot become.
            let count = _mm_cvtsi32_si128(BITS as i32);
            _mm256_castsi256_ps(_mm256_sll_epi32(_mm256_castps_si256(a), count))
        }
    }

    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        // SAFETY: see above.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
        }
    }

    #[inline(always)]
    unsafe fn transpose(
        self,
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        // SAFETY: see above; rows 0..8 of both blocks are there.
        unsafe {
            let row = |i: usize| _mm256_loadu_ps(from.add(i * from_stride));
            // Each 128-bit lane of columns[2·c + i] holds rows 4·i..4·i+4 of one column.
            let mut columns = [_mm256_setzero_ps(); 8];
            for i in 0..2 {
                let [a, b, c, d] = [row(4 * i), row(4 * i + 1), row(4 * i + 2), row(4 * i + 3)];
                let (ab_low, ab_high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                let (cd_low, cd_high) = (_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
                columns[i] = _mm256_shuffle_ps::<0x44>(ab_low, cd_low);
                columns[2 + i] = _mm256_shuffle_ps::<0xee>(ab_low, cd_low);
                columns[4 + i] = _mm256_shuffle_ps::<0x44>(ab_high, cd_high);
                columns[6 + i] = _mm256_shuffle_ps::<0xee>(ab_high, cd_high);
            }
            for c in 0..4 {
                let (low, high) = (columns[2 * c], columns[2 * c + 1]);
                let lanes = [
                    _mm256_permute2f128_ps::<0x20>(low, high),
                    _mm256_permute2f128_ps::<0x31>(low, high),
                ];
                _mm256_storeu_ps(to.add(c * to_stride), lanes[0]);
                _mm256_storeu_ps(to.add((4 + c) * to_stride), lanes[1]);
            }
        }
    }
}

impl Pairs for Avx2 {
    register_ops! {
        // Without ever saturating, as the sibling for bytes would.
        add_products(a, b, sum) = {
            let products = _mm256_madd_epi16(_mm256_castps_si256(a), _mm256_castps_si256(b));
            _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(sum), products))
        };
        integers(a) = _mm256_cvtepi32_ps(_mm256_castps_si256(a));
        pair(low, high) = {
            let high = _mm256_slli_epi32::<16>(_mm256_cvtps_epi32(high));
            _mm256_castsi256_ps(_mm256_blend_epi16::<0xaa>(_mm256_cvtps_epi32(low), high))
        };
        pair_neighbours(first, second) = {
            let (first, second) = (_mm256_cvtps_epi32(first), _mm256_cvtps_epi32(second));
            // Within lanes of 128 bits: the fours of both take turns.
            let packed = _mm256_packs_epi32(first, second);
            _mm256_castsi256_ps(_mm256_permute4x64_epi64::<0b11_01_10_00>(packed))
        };
    }
}
