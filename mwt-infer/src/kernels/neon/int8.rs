//! Integer products with SDOT: sixteen products of signed bytes an instruction, added up in fours as i32. That is four
//! times the products of a fused multiply-add.

use core::arch::aarch64::*;
use core::arch::asm;

use crate::kernels::int8::{Ends, Products, SMALLEST, with_rows};
use crate::kernels::simd::Simd;

const COLUMNS: usize = 8;
/// What a register holds of a row of A: four groups, which meet four rows of W each.
const VALUES: usize = 16;

/// A value exists only where the CPU has the instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sdot(());

impl Sdot {
    /// Asks the operating system where there is `std`; without it, the target has to say so.
    pub(super) fn detect() -> Option<Self> {
        #[cfg(feature = "std")]
        let there = std::arch::is_aarch64_feature_detected!("dotprod");
        #[cfg(not(feature = "std"))]
        let there = cfg!(target_feature = "dotprod");
        there.then_some(Self(()))
    }
}

/// The instruction, beside the kernel that ends the blocks.
impl<K: Simd<F = float32x4_t>> Products for (Sdot, K) {
    type Value = i8;
    const GROUP: usize = VALUES;
    // Two registers of sums.
    const COLUMNS: usize = COLUMNS;
    // 8 × 2 sums, 8 registers of A and 2 of W are 26 of 32.
    const ROWS: usize = 8;
    type Excess = ();

    #[inline(always)]
    unsafe fn round(self, row: &[f32], to: *mut i8, depth: usize) -> f32 {
        // SAFETY: the caller's.
        unsafe { round(row, to, depth) }
    }

    /// As `[k / 4][column][4]`, which is what the instruction takes.
    #[inline(always)]
    unsafe fn pack(self, from: *const i8, k: usize, stride: usize, panel: *mut i8) {
        // SAFETY: the caller's.
        unsafe { pack(from, k, stride, panel) }
    }

    #[inline(always)]
    unsafe fn block(
        self,
        rows: usize,
        depth: usize,
        a: (*const i8, *const f32),
        panel: *const i8,
        ends: &Ends<()>,
        c: (*mut f32, usize),
    ) {
        with_rows!(rows, 1 2 3 4 5 6 7 8 => block(self.1, depth, a, panel, ends, c));
    }
}

/// [`Products::round`].
///
/// # Safety
/// `depth` values, a multiple of [`VALUES`] and at least as many as the row has, may be written at `to`.
unsafe fn round(row: &[f32], to: *mut i8, depth: usize) -> f32 {
    let (chunks, rest) = row.as_chunks::<VALUES>();
    let mut last = [0.0; VALUES];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let chunks = || chunks.iter().chain([&last]).take(depth / VALUES);
    // SAFETY: every target of this module has NEON; a chunk's values are there, and `depth` of the integers.
    unsafe {
        let load = |chunk: &[f32; VALUES]| {
            let at = chunk.as_ptr();
            [vld1q_f32(at), vld1q_f32(at.add(4)), vld1q_f32(at.add(8)), vld1q_f32(at.add(12))]
        };
        // A NaN remains the largest.
        let mut maxima = [vdupq_n_f32(0.0); 4];
        for chunk in chunks() {
            for (max, x) in maxima.iter_mut().zip(load(chunk)) {
                *max = vmaxq_f32(*max, vabsq_f32(x));
            }
        }
        let [a, b, c, d] = maxima;
        let largest = vmaxvq_f32(vmaxq_f32(vmaxq_f32(a, b), vmaxq_f32(c, d)));
        let largest = if largest < f32::INFINITY { largest } else { f32::NAN };
        let factor = if largest >= SMALLEST { 127.0 / largest } else { 0.0 };
        for (n, chunk) in chunks().enumerate() {
            let [a, b, c, d] = load(chunk).map(|x| vcvtnq_s32_f32(vmulq_n_f32(x, factor)));
            let low = vcombine_s16(vqmovn_s32(a), vqmovn_s32(b));
            let high = vcombine_s16(vqmovn_s32(c), vqmovn_s32(d));
            vst1q_s8(to.add(VALUES * n), vcombine_s8(vqmovn_s16(low), vqmovn_s16(high)));
        }
        // No integer can hold a NaN: it comes back out by way of the scale.
        largest / 127.0
    }
}

/// [`Products::pack`].
///
/// # Safety
/// k rows of [`COLUMNS`] values lie `stride` apart at `from`; the panel has room for them, and for zeros up to a multiple of
/// [`VALUES`].
unsafe fn pack(from: *const i8, k: usize, stride: usize, panel: *mut i8) {
    for first in (0..k.next_multiple_of(VALUES)).step_by(4) {
        // SAFETY: every target of this module has NEON; rows of W are read where they are there.
        unsafe {
            let row = |n: usize| {
                let row = first + n;
                if row < k { vld1_s8(from.add(row * stride)) } else { vdup_n_s8(0) }
            };
            vst4_s8(panel.add(COLUMNS * first), int8x8x4_t(row(0), row(1), row(2), row(3)));
        }
    }
}

/// sum + the products of `w`'s sixteen values by group `LANE` of `a`, four and four. The intrinsic for it is not stable.
#[inline]
#[target_feature(enable = "dotprod")]
fn dot<const LANE: u32>(mut sum: int32x4_t, w: int8x16_t, a: int8x16_t) -> int32x4_t {
    // SAFETY: one instruction on three registers.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {w:v}.16b, {a:v}.4b[{lane}]",
            sum = inout(vreg) sum,
            w = in(vreg) w,
            a = in(vreg) a,
            lane = const LANE,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    sum
}

/// [`Products::block`] of `M` rows.
///
/// # Safety
/// As there.
#[target_feature(enable = "dotprod")]
unsafe fn block<const M: usize>(
    kernel: impl Simd<F = float32x4_t>,
    depth: usize,
    (a, row_scales): (*const i8, *const f32),
    panel: *const i8,
    ends: &Ends<()>,
    (c, stride): (*mut f32, usize),
) {
    // SAFETY: the caller's, in the whole of this function.
    unsafe {
        let mut sums = [[vdupq_n_s32(0); 2]; M];
        for at in (0..depth).step_by(VALUES) {
            let mut rows = [vdupq_n_s8(0); M];
            for (r, row) in rows.iter_mut().enumerate() {
                *row = vld1q_s8(a.add(r * depth + at));
            }
            macro_rules! groups {
                ($($group:literal)*) => {$(
                    let w = panel.add(COLUMNS * (at + 4 * $group));
                    let w = [vld1q_s8(w), vld1q_s8(w.add(16))];
                    for (sums, row) in sums.iter_mut().zip(rows) {
                        *sums = [dot::<$group>(sums[0], w[0], row), dot::<$group>(sums[1], w[1], row)];
                    }
                )*};
            }
            groups!(0 1 2 3);
        }
        for (r, sums) in sums.into_iter().enumerate() {
            let sums = [vcvtq_f32_s32(sums[0]), vcvtq_f32_s32(sums[1])];
            ends.write(kernel, sums, *row_scales.add(r), c.add(r * stride));
        }
    }
}
