//! NEON, which every 64-bit ARM target with floating point has; nothing but SDOT needs to be detected.

mod int8;

use core::arch::aarch64::*;

use half::f16;
use mwt_core::quant::{Matrix, Vector};

use super::simd::{Simd, register_ops};
use super::{Mat, MatMut, PackedI16};

/// The NEON kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Neon {
    sdot: Option<int8::Sdot>,
}

impl Neon {
    /// With SDOT for linear layers in int8, where the CPU has it: with the feature `std` the operating system is asked, without
    /// it the target has to have it (`-Ctarget-feature=+dotprod`).
    pub fn detect_dotprod() -> Option<Self> {
        int8::Sdot::detect().map(|sdot| Self { sdot: Some(sdot) })
    }

    /// Its name in reports.
    pub(super) const fn name(self) -> &'static str {
        if self.sdot.is_some() { "neon-dotprod" } else { "neon" }
    }
}

impl PackedI16 for Neon {}

// SAFETY of every block below: this module is only compiled for targets that have NEON; what pointers must
// point at is the caller's to keep, as `Simd` says.
impl Simd for Neon {
    const LANES: usize = 4;
    // 12 × 2 sums, 2 registers of B and up to 3 of A are 29 of 32.
    const ROWS: usize = 12;
    type F = float32x4_t;
    type Mask = usize;

    #[inline(always)]
    fn vectorize<R>(self, f: impl FnOnce() -> R) -> R {
        f()
    }

    #[inline(always)]
    fn mask(self, n: usize) -> usize {
        n
    }

    #[inline(always)]
    unsafe fn load_all(self, from: *const f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    unsafe fn load_some(self, from: *const f32, mask: usize) -> float32x4_t {
        // NEON has no masked loads: through a register's worth of memory.
        let mut values = [0.0f32; 4];
        // SAFETY: see above.
        unsafe {
            if mask >= 4 {
                return vld1q_f32(from);
            }
            for (i, value) in values.iter_mut().enumerate().take(mask) {
                *value = from.add(i).read_unaligned();
            }
            vld1q_f32(values.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn store_all(self, value: float32x4_t, to: *mut f32) {
        // SAFETY: see above.
        unsafe { vst1q_f32(to, value) }
    }

    #[inline(always)]
    unsafe fn store_some(self, value: float32x4_t, to: *mut f32, mask: usize) {
        let mut values = [0.0f32; 4];
        // SAFETY: see above.
        unsafe {
            if mask >= 4 {
                return vst1q_f32(to, value);
            }
            vst1q_f32(values.as_mut_ptr(), value);
            for (i, value) in values.iter().enumerate().take(mask) {
                to.add(i).write_unaligned(*value);
            }
        }
    }

    #[inline(always)]
    unsafe fn load_i8(self, from: *const u8) -> float32x4_t {
        // SAFETY: see above.
        unsafe {
            let four = from.cast::<u32>().read_unaligned();
            let wide = vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four)));
            vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)))
        }
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u8) -> float32x4_t {
        // SAFETY: see above. The conversion instruction has no stable intrinsic; `half` uses what it can.
        unsafe {
            let halves = from.cast::<[[u8; 2]; 4]>().read();
            let values = halves.map(|half| f16::from_le_bytes(half).to_f32());
            vld1q_f32(values.as_ptr())
        }
    }

    #[inline(always)]
    fn splat(self, value: f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vdupq_n_f32(value) }
    }

    register_ops! {
        add(a, b) = vaddq_f32(a, b);
        sub(a, b) = vsubq_f32(a, b);
        mul(a, b) = vmulq_f32(a, b);
        div(a, b) = vdivq_f32(a, b);
        mul_add(a, b, c) = vfmaq_f32(c, a, b);
        mul_sub(a, b, c) = vfmaq_f32(vnegq_f32(c), a, b);
        neg_mul_add(a, b, c) = vfmsq_f32(c, a, b);
        sqrt(a) = vsqrtq_f32(a);
        // A comparison and a choice: NEON's maximum would give a NaN from either side.
        max(a, b) = vbslq_f32(vcgtq_f32(a, b), a, b);
        min(a, b) = vbslq_f32(vcltq_f32(a, b), a, b);
        and(a, b) = {
            let bits = vandq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b));
            vreinterpretq_f32_u32(bits)
        };
        xor(a, b) = {
            let bits = veorq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b));
            vreinterpretq_f32_u32(bits)
        };
        add_bits(a, b) = {
            let bits = vaddq_u32(vreinterpretq_u32_f32(a), vreinterpretq_u32_f32(b));
            vreinterpretq_f32_u32(bits)
        };
        select(sign, negative, positive) = {
            let mask = vcltzq_s32(vreinterpretq_s32_f32(sign));
            vbslq_f32(mask, negative, positive)
        };
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, a: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe {
            let bits = vshlq_u32(vreinterpretq_u32_f32(a), vdupq_n_s32(BITS as i32));
            vreinterpretq_f32_u32(bits)
        }
    }

    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        // SAFETY: see above.
        unsafe { vaddvq_f32(a) }
    }

    #[inline(always)]
    fn linear_int8(
        self,
        a: Mat<'_>,
        w: &Matrix<'_>,
        bias: Option<Vector<'_>>,
        c: &mut MatMut<'_>,
    ) -> bool {
        self.sdot.is_some_and(|sdot| super::int8::linear((sdot, self), a, w, bias, c))
    }

    #[inline(always)]
    unsafe fn transpose(
        self,
        from: *const f32,
        from_stride: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        // SAFETY: see above; rows 0..4 of both blocks are there.
        unsafe {
            let row = |i: usize| vld1q_f32(from.add(i * from_stride));
            let [a, b, c, d] = [row(0), row(1), row(2), row(3)];
            let pair = |low, high| {
                (
                    vreinterpretq_f64_f32(vtrn1q_f32(low, high)),
                    vreinterpretq_f64_f32(vtrn2q_f32(low, high)),
                )
            };
            let ((ab_even, ab_odd), (cd_even, cd_odd)) = (pair(a, b), pair(c, d));
            let columns = [
                vtrn1q_f64(ab_even, cd_even),
                vtrn1q_f64(ab_odd, cd_odd),
                vtrn2q_f64(ab_even, cd_even),
                vtrn2q_f64(ab_odd, cd_odd),
            ];
            for (i, column) in columns.into_iter().enumerate() {
                vst1q_f32(to.add(i * to_stride), vreinterpretq_f32_f64(column));
            }
        }
    }
}
