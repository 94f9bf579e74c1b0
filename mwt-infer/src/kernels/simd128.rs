//! WebAssembly's SIMD128, where a module is compiled with it: a module that has its instructions runs nowhere else, so
//! nothing needs to be detected.
//!
//! It has no fused multiply-add. Products, linear layers, sines and cosines therefore have the very bits of the portable
//! kernel.

use core::arch::wasm32::*;

use half::f16;

use super::PackedI16;
use super::simd::Simd;

/// The SIMD128 kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct Simd128;

impl PackedI16 for Simd128 {}

// SAFETY of every block below: this module is only compiled for targets that have SIMD128; what pointers must point at is
// the caller's to keep, as `Simd` says.
impl Simd for Simd128 {
    const LANES: usize = 4;
    // 4 × 2 sums, 2 registers of B, one of A and a product are 12 of the 16 that x86-64 has; engines need some themselves,
    // and with five rows they spill.
    const ROWS: usize = 4;
    const FUSED: bool = false;
    type F = v128;
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
    unsafe fn load_all(self, from: *const f32) -> v128 {
        // SAFETY: see above; loads need no alignment, here and below.
        unsafe { v128_load(from.cast()) }
    }

    #[inline(always)]
    unsafe fn load_some(self, from: *const f32, mask: usize) -> v128 {
        let mut values = [0.0f32; 4];
        // SAFETY: see above.
        unsafe {
            if mask >= 4 {
                return v128_load(from.cast());
            }
            for (i, value) in values.iter_mut().enumerate().take(mask) {
                *value = from.add(i).read_unaligned();
            }
            v128_load(values.as_ptr().cast())
        }
    }

    #[inline(always)]
    unsafe fn store_all(self, value: v128, to: *mut f32) {
        // SAFETY: see above.
        unsafe { v128_store(to.cast(), value) }
    }

    #[inline(always)]
    unsafe fn store_some(self, value: v128, to: *mut f32, mask: usize) {
        let mut values = [0.0f32; 4];
        // SAFETY: see above.
        unsafe {
            if mask >= 4 {
                return v128_store(to.cast(), value);
            }
            v128_store(values.as_mut_ptr().cast(), value);
            for (i, value) in values.iter().enumerate().take(mask) {
                to.add(i).write_unaligned(*value);
            }
        }
    }

    #[inline(always)]
    unsafe fn load_i8(self, from: *const u8) -> v128 {
        // SAFETY: see above.
        let four = unsafe { v128_load32_zero(from.cast()) };
        f32x4_convert_i32x4(i32x4_extend_low_i16x8(i16x8_extend_low_i8x16(four)))
    }

    #[inline(always)]
    unsafe fn load_f16(self, from: *const u8) -> v128 {
        // SAFETY: see above.
        let halves = unsafe { from.cast::<[[u8; 2]; 4]>().read() };
        let [a, b, c, d] = halves.map(|half| f16::from_le_bytes(half).to_f32());
        f32x4(a, b, c, d)
    }

    #[inline(always)]
    fn splat(self, value: f32) -> v128 {
        f32x4_splat(value)
    }

    #[inline(always)]
    fn add(self, a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }

    #[inline(always)]
    fn sub(self, a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }

    #[inline(always)]
    fn mul(self, a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }

    #[inline(always)]
    fn div(self, a: v128, b: v128) -> v128 {
        f32x4_div(a, b)
    }

    #[inline(always)]
    fn mul_add(self, a: v128, b: v128, c: v128) -> v128 {
        f32x4_add(c, f32x4_mul(a, b))
    }

    #[inline(always)]
    fn mul_sub(self, a: v128, b: v128, c: v128) -> v128 {
        f32x4_sub(f32x4_mul(a, b), c)
    }

    #[inline(always)]
    fn neg_mul_add(self, a: v128, b: v128, c: v128) -> v128 {
        f32x4_sub(c, f32x4_mul(a, b))
    }

    #[inline(always)]
    fn sqrt(self, a: v128) -> v128 {
        f32x4_sqrt(a)
    }

    // A comparison and a choice: the plain maximum would give a NaN from either side.
    #[inline(always)]
    fn max(self, a: v128, b: v128) -> v128 {
        f32x4_pmax(b, a)
    }

    #[inline(always)]
    fn min(self, a: v128, b: v128) -> v128 {
        f32x4_pmin(b, a)
    }

    #[inline(always)]
    fn shift_left<const BITS: u32>(self, a: v128) -> v128 {
        i32x4_shl(a, BITS)
    }

    #[inline(always)]
    fn add_bits(self, a: v128, b: v128) -> v128 {
        i32x4_add(a, b)
    }

    #[inline(always)]
    fn and(self, a: v128, b: v128) -> v128 {
        v128_and(a, b)
    }

    #[inline(always)]
    fn xor(self, a: v128, b: v128) -> v128 {
        v128_xor(a, b)
    }

    #[inline(always)]
    fn select(self, sign: v128, negative: v128, positive: v128) -> v128 {
        v128_bitselect(negative, positive, i32x4_shr(sign, 31))
    }

    #[inline(always)]
    fn sum(self, a: v128) -> f32 {
        let halves = f32x4_add(a, i32x4_shuffle::<2, 3, 0, 1>(a, a));
        f32x4_extract_lane::<0>(halves) + f32x4_extract_lane::<1>(halves)
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
            let row = |i: usize| v128_load(from.add(i * from_stride).cast());
            let [a, b, c, d] = [row(0), row(1), row(2), row(3)];
            let low = |a, b| i32x4_shuffle::<0, 4, 1, 5>(a, b);
            let high = |a, b| i32x4_shuffle::<2, 6, 3, 7>(a, b);
            let (ab, cd) = ([low(a, b), high(a, b)], [low(c, d), high(c, d)]);
            for half in 0..2 {
                let first = i32x4_shuffle::<0, 1, 4, 5>(ab[half], cd[half]);
                let second = i32x4_shuffle::<2, 3, 6, 7>(ab[half], cd[half]);
                v128_store(to.add(2 * half * to_stride).cast(), first);
                v128_store(to.add((2 * half + 1) * to_stride).cast(), second);
            }
        }
    }
}
