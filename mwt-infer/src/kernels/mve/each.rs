//! What the portable kernel does to each value of a row, four values at a time. What is left over at the end has a
//! register of its own, whose other lanes are off (`dlstp`).
//!
//! A product that is exact is fused with its sum, which then rounds the same number.

use core::arch::asm;
use core::f32::consts::{FRAC_1_SQRT_2, FRAC_2_PI, LOG2_E};

use mwt_core::math::{
    COS, ERF, ERF_END, EXP, FRAC_PI_2, FROM_INFINITY, LN_2, ROUND, SIN, TO_INFINITY,
};
use mwt_core::quant::Vector;

use crate::kernels::{LANES, Mat};

/// [`math::sin_cos`](mwt_core::math::sin_cos) of as many values as both slices have.
pub(in crate::kernels) fn sin_cos(x: &mut [f32], cos: &mut [f32]) {
    /// For q5 to q7, then for r2 to r5 and r8 to r12.
    const CONSTANTS: [f32; 12] = [
        COS[0],
        COS[1],
        COS[2],
        TO_INFINITY,
        FRAC_2_PI * FROM_INFINITY,
        ROUND,
        -FRAC_PI_2[0],
        FRAC_PI_2[1],
        FRAC_PI_2[2],
        SIN[0],
        SIN[1],
        SIN[2],
    ];
    const { assert!(COS[3] == -0.5 && COS[4] == 1.0) };
    let len = x.len().min(cos.len());
    if len == 0 {
        return;
    }
    // SAFETY: as many values are read and written as both slices have.
    unsafe {
        asm!(
            "ldm r12!, {{r3, r4, r5}}",
            "vdup.32 q5, r3",
            "vdup.32 q6, r4",
            "vdup.32 q7, r5",
            "dlstp.32 lr, r2",
            "ldm r12, {{r2, r3, r4, r5, r8, r9, r10, r11, r12}}",
            "2:",
            "vldrw.u32 q0, [r0]",
            "vmul.f32 q2, q0, r2",
            "vmul.f32 q2, q2, r3",
            "vadd.f32 q2, q2, r4",
            "vsub.f32 q1, q2, r4",
            // n has 16 bits, this part of π/2 8.
            "vfma.f32 q0, q1, r5",
            "vmul.f32 q3, q1, r8",
            "vmul.f32 q4, q1, r9",
            "vsub.f32 q0, q0, q3",
            "vsub.f32 q0, q0, q4",
            // z, then the polynomials.
            "vmul.f32 q1, q0, q0",
            "vmul.f32 q3, q1, r10",
            "vmul.f32 q4, q1, q5",
            "vadd.f32 q3, q3, r11",
            "vadd.f32 q4, q4, q6",
            "vmul.f32 q3, q3, q1",
            "vmul.f32 q4, q4, q1",
            "vadd.f32 q3, q3, r12",
            "vadd.f32 q4, q4, q7",
            "vmul.f32 q3, q3, q1",
            "vmul.f32 q4, q4, q1",
            "vmul.f32 q3, q3, q0",
            "vmul.f32 q4, q4, q1",
            "vadd.f32 q3, q3, q0",
            "vmov.f32 q0, #-0.5",
            "vmul.f32 q1, q1, q0",
            "vmov.f32 q0, #1.0",
            "vadd.f32 q4, q4, q1",
            "vshl.i32 q1, q2, #31",
            "vadd.f32 q4, q4, q0",
            // Odd quadrants swap sine and cosine: q0 is what they differ in, there, else 0.
            "vshr.s32 q0, q1, #31",
            "veor q3, q3, q4",
            "vand q0, q0, q3",
            "veor q4, q4, q0",
            "veor q3, q3, q4",
            // The signs.
            "vshr.u32 q2, q2, #1",
            "vshl.i32 q2, q2, #31",
            "veor q3, q3, q2",
            "veor q2, q2, q1",
            "vstrw.32 q3, [r0], #16",
            "veor q4, q4, q2",
            "vstrw.32 q4, [r1], #16",
            "letp lr, 2b",
            inout("r0") x.as_mut_ptr() => _,
            inout("r1") cos.as_mut_ptr() => _,
            inout("r2") len => _,
            inout("r12") CONSTANTS.as_ptr() => _,
            out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("lr") _,
            out("q0") _, out("q1") _, out("q2") _, out("q3") _, out("q4") _, out("q5") _, out("q6") _, out("q7") _,
            options(nostack),
        );
    }
}

/// The weights of a softmax, exp(scale·(score - near·max) - scaled·max), in place of as many scores as there are maxima,
/// which make no more than 88 of it.
pub(in crate::kernels) fn weights(
    scores: &mut [f32],
    max: &[f32],
    [scale, near, scaled]: [f32; 3],
) {
    /// The least that [`math::exp`](mwt_core::math::exp) takes.
    const LEAST: f32 = -88.0;
    const { assert!(EXP[5] == 0.5) };
    // For q4 to q7, then for r2 to r5 and r8 to r12.
    let constants: [f32; 13] = [
        LEAST, EXP[2], EXP[3], EXP[4], near, scaled, scale, LOG2_E, ROUND, -LN_2[0], LN_2[1],
        EXP[0], EXP[1],
    ];
    let len = scores.len().min(max.len());
    if len == 0 {
        return;
    }
    // SAFETY: as many values are read and written as both slices have.
    unsafe {
        asm!(
            "ldm r12!, {{r3, r4, r5, r8}}",
            "vdup.32 q4, r3",
            "vdup.32 q5, r4",
            "vdup.32 q6, r5",
            "vdup.32 q7, r8",
            "dlstp.32 lr, r2",
            "ldm r12, {{r2, r3, r4, r5, r8, r9, r10, r11, r12}}",
            "2:",
            "vldrw.u32 q1, [r1], #16",
            "vldrw.u32 q0, [r0]",
            "vmul.f32 q2, q1, r2",
            "vmul.f32 q1, q1, r3",
            "vsub.f32 q0, q0, q2",
            "vmul.f32 q0, q0, r4",
            "vsub.f32 q0, q0, q1",
            // Among negative numbers the bits of lesser ones are larger; the one NaN that a difference may be is positive.
            "vmin.u32 q0, q0, q4",
            "vmul.f32 q2, q0, r5",
            "vadd.f32 q2, q2, r8",
            "vsub.f32 q1, q2, r8",
            // n has 7 bits, this part of ln 2 9.
            "vfma.f32 q0, q1, r9",
            "vmul.f32 q1, q1, r10",
            "vsub.f32 q0, q0, q1",
            "vmov.f32 q1, #0.5",
            "vmul.f32 q3, q0, r11",
            "vadd.f32 q3, q3, r12",
            "vmul.f32 q3, q3, q0",
            "vadd.f32 q3, q3, q5",
            "vmul.f32 q3, q3, q0",
            "vadd.f32 q3, q3, q6",
            "vmul.f32 q3, q3, q0",
            "vadd.f32 q3, q3, q7",
            "vmul.f32 q3, q3, q0",
            "vadd.f32 q3, q3, q1",
            "vmov.f32 q1, #1.0",
            "vmul.f32 q3, q3, q0",
            "vshl.i32 q2, q2, #23",
            "vmul.f32 q3, q3, q0",
            "vadd.i32 q2, q2, q1",
            "vadd.f32 q3, q3, q0",
            "vadd.f32 q3, q3, q1",
            "vmul.f32 q3, q3, q2",
            "vstrw.32 q3, [r0], #16",
            "letp lr, 2b",
            inout("r0") scores.as_mut_ptr() => _,
            inout("r1") max.as_ptr() => _,
            inout("r2") len => _,
            inout("r12") constants.as_ptr() => _,
            out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("lr") _,
            out("q0") _, out("q1") _, out("q2") _, out("q3") _, out("q4") _, out("q5") _, out("q6") _, out("q7") _,
            options(nostack),
        );
    }
}

/// [`math::gelu`](mwt_core::math::gelu) of all values. Helium does not divide: that is the FPU's, a lane at a time.
pub(in crate::kernels) fn gelu(x: &mut [f32]) {
    /// For q4 to q7, then for r1 to r5 and r8 to r12.
    const CONSTANTS: [f32; 14] = [
        ERF_END,
        ERF.1[2],
        ERF.1[3],
        ERF.1[4],
        FRAC_1_SQRT_2,
        ERF.0[0],
        ERF.0[1],
        ERF.0[2],
        ERF.0[3],
        ERF.0[4],
        ERF.0[5],
        ERF.0[6],
        ERF.1[0],
        ERF.1[1],
    ];
    if x.is_empty() {
        return;
    }
    // SAFETY: as many values are read and written as there are.
    unsafe {
        asm!(
            "ldm r12!, {{r2, r3, r4, r5}}",
            "vdup.32 q4, r2",
            "vdup.32 q5, r3",
            "vdup.32 q6, r4",
            "vdup.32 q7, r5",
            "dlstp.32 lr, r1",
            "ldm r12, {{r1, r2, r3, r4, r5, r8, r9, r10, r11, r12}}",
            "2:",
            "vldrw.u32 q0, [r0]",
            "vneg.f32 q1, q4",
            "vmul.f32 q0, q0, r1",
            // What a NaN becomes here is multiplied by it in the end.
            "vmaxnm.f32 q0, q0, q1",
            "vminnm.f32 q0, q0, q4",
            "vmul.f32 q1, q0, q0",
            "vmul.f32 q2, q1, r2",
            "vmul.f32 q3, q1, r11",
            "vadd.f32 q2, q2, r3",
            "vadd.f32 q3, q3, r12",
            "vmul.f32 q2, q2, q1",
            "vmul.f32 q3, q3, q1",
            "vadd.f32 q2, q2, r4",
            "vadd.f32 q3, q3, q5",
            "vmul.f32 q2, q2, q1",
            "vmul.f32 q3, q3, q1",
            "vadd.f32 q2, q2, r5",
            "vadd.f32 q3, q3, q6",
            "vmul.f32 q2, q2, q1",
            "vmul.f32 q3, q3, q1",
            "vadd.f32 q2, q2, r8",
            "vadd.f32 q3, q3, q7",
            "vmul.f32 q2, q2, q1",
            "vadd.f32 q2, q2, r9",
            "vmul.f32 q2, q2, q1",
            "vadd.f32 q2, q2, r10",
            "vmul.f32 q2, q2, q0",
            "vdiv.f32 s8, s8, s12",
            "vdiv.f32 s9, s9, s13",
            "vdiv.f32 s10, s10, s14",
            "vdiv.f32 s11, s11, s15",
            "vldrw.u32 q0, [r0]",
            "vmov.f32 q1, #0.5",
            "vmul.f32 q0, q0, q1",
            "vmov.f32 q1, #1.0",
            "vadd.f32 q2, q2, q1",
            "vmul.f32 q0, q0, q2",
            "vstrw.32 q0, [r0], #16",
            "letp lr, 2b",
            inout("r0") x.as_mut_ptr() => _,
            inout("r1") x.len() => _,
            inout("r12") CONSTANTS.as_ptr() => _,
            out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            out("lr") _,
            out("q0") _, out("q1") _, out("q2") _, out("q3") _, out("q4") _, out("q5") _, out("q6") _, out("q7") _,
            options(nostack),
        );
    }
}

/// `asm!` around a loop over `$len` values, four at a time, which uses q0 to q2.
macro_rules! fours {
    ($len:expr, [$($body:literal),* $(,)?], $($operands:tt)*) => {
        asm!(
            "wlstp.32 lr, {len}, 3f",
            "2:",
            $($body,)*
            "letp lr, 2b",
            "3:",
            len = in(reg) $len,
            $($operands)*
            out("lr") _, out("q0") _, out("q1") _, out("q2") _,
            options(nostack),
        )
    };
}

/// max ← the larger one of max and x, which may be a NaN.
#[inline(always)]
pub(in crate::kernels) fn raise(max: &mut [f32], x: &[f32]) {
    // SAFETY: as many values are read and written as both slices have.
    unsafe {
        fours!(
            max.len().min(x.len()),
            [
                "vldrw.u32 q0, [{x}], #16",
                "vldrw.u32 q1, [{max}]",
                "vmaxnm.f32 q0, q0, q1",
                "vstrw.32 q0, [{max}], #16",
            ],
            max = inout(reg) max.as_mut_ptr() => _,
            x = inout(reg) x.as_ptr() => _,
        );
    }
}

/// sums ← sums + x.
#[inline(always)]
pub(in crate::kernels) fn add(sums: &mut [f32], x: &[f32]) {
    // SAFETY: as many values are read and written as both slices have.
    unsafe {
        fours!(
            sums.len().min(x.len()),
            [
                "vldrw.u32 q0, [{x}], #16",
                "vldrw.u32 q1, [{sums}]",
                "vadd.f32 q0, q0, q1",
                "vstrw.32 q0, [{sums}], #16",
            ],
            sums = inout(reg) sums.as_mut_ptr() => _,
            x = inout(reg) x.as_ptr() => _,
        );
    }
}

/// x ← x ⊙ y.
#[inline(always)]
pub(in crate::kernels) fn multiply(x: &mut [f32], y: &[f32]) {
    // SAFETY: as many values are read and written as both slices have.
    unsafe {
        fours!(
            x.len().min(y.len()),
            [
                "vldrw.u32 q0, [{x}]",
                "vldrw.u32 q1, [{y}], #16",
                "vmul.f32 q0, q0, q1",
                "vstrw.32 q0, [{x}], #16",
            ],
            x = inout(reg) x.as_mut_ptr() => _,
            y = inout(reg) y.as_ptr() => _,
        );
    }
}

/// x ← factor·x.
#[inline(always)]
pub(in crate::kernels) fn scale(x: &mut [f32], factor: f32) {
    // SAFETY: as many values are read and written as there are.
    unsafe {
        fours!(
            x.len(),
            ["vldrw.u32 q0, [{x}]", "vmul.f32 q0, q0, {factor}", "vstrw.32 q0, [{x}], #16"],
            x = inout(reg) x.as_mut_ptr() => _,
            factor = in(reg) factor.to_bits(),
        );
    }
}

/// out ← x - mean.
#[inline(always)]
pub(in crate::kernels) fn subtract(out: &mut [f32], x: &[f32], mean: f32) {
    // SAFETY: as many values are read and written as both slices have.
    unsafe {
        fours!(
            out.len().min(x.len()),
            ["vldrw.u32 q0, [{x}], #16", "vsub.f32 q0, q0, {mean}", "vstrw.32 q0, [{out}], #16"],
            out = inout(reg) out.as_mut_ptr() => _,
            x = inout(reg) x.as_ptr() => _,
            mean = in(reg) mean.to_bits(),
        );
    }
}

/// x ← scale·x ⊙ weight + bias. These lie in a bundle, at any address: they are loaded as bytes.
#[inline(always)]
pub(in crate::kernels) fn affine(x: &mut [f32], scale: f32, weight: Vector<'_>, bias: Vector<'_>) {
    // SAFETY: as many values are read and written as x and both vectors have.
    unsafe {
        fours!(
            x.len().min(weight.len()).min(bias.len()),
            [
                "vldrw.u32 q0, [{x}]",
                "vldrb.u8 q1, [{weight}], #16",
                "vmul.f32 q0, q0, {scale}",
                "vldrb.u8 q2, [{bias}], #16",
                "vmul.f32 q0, q0, q1",
                "vadd.f32 q0, q0, q2",
                "vstrw.32 q0, [{x}], #16",
            ],
            x = inout(reg) x.as_mut_ptr() => _,
            scale = in(reg) scale.to_bits(),
            weight = inout(reg) weight.bytes().as_ptr() => _,
            bias = inout(reg) bias.bytes().as_ptr() => _,
        );
    }
}

/// x ← x + scale ⊙ branch, for a scale that lies at any address.
#[inline(always)]
pub(in crate::kernels) fn add_scaled(x: &mut [f32], scale: Vector<'_>, branch: &[f32]) {
    // SAFETY: as many values are read and written as all of them have.
    unsafe {
        fours!(
            x.len().min(scale.len()).min(branch.len()),
            [
                "vldrb.u8 q0, [{scale}], #16",
                "vldrw.u32 q1, [{branch}], #16",
                "vldrw.u32 q2, [{x}]",
                "vmul.f32 q0, q0, q1",
                "vadd.f32 q0, q0, q2",
                "vstrw.32 q0, [{x}], #16",
            ],
            x = inout(reg) x.as_mut_ptr() => _,
            scale = inout(reg) scale.bytes().as_ptr() => _,
            branch = inout(reg) branch.as_ptr() => _,
        );
    }
}

/// x ← x - rates ⊙ y. Gives `check`, or a NaN if x is not finite then.
#[inline(always)]
pub(in crate::kernels) fn descend(x: &mut [f32], rates: &[f32], y: &[f32], check: f32) -> f32 {
    let mut lanes = [check; 4];
    // SAFETY: as many values are read and written as all of them have.
    unsafe {
        fours!(
            x.len().min(rates.len()).min(y.len()),
            [
                "vldrw.u32 q0, [{rates}], #16",
                "vldrw.u32 q1, [{y}], #16",
                "vldrw.u32 q2, [{x}]",
                "vmul.f32 q0, q0, q1",
                "vsub.f32 q2, q2, q0",
                "vstrw.32 q2, [{x}], #16",
                "vmul.f32 q2, q2, {zero}",
                "vldrw.u32 q0, [{lanes}]",
                "vadd.f32 q0, q0, q2",
                "vstrw.32 q0, [{lanes}]",
            ],
            x = inout(reg) x.as_mut_ptr() => _,
            rates = inout(reg) rates.as_ptr() => _,
            y = inout(reg) y.as_ptr() => _,
            lanes = in(reg) lanes.as_mut_ptr(),
            zero = in(reg) 0,
        );
    }
    lanes[0] + lanes[1] + lanes[2] + lanes[3]
}

/// sums ← sums + the sum of the rows of x.
#[inline(always)]
pub(in crate::kernels) fn add_rows(x: Mat<'_>, sums: &mut [f32]) {
    (0..x.rows()).for_each(|row| add(sums, x.row(row)));
}

/// `asm!` around a loop over eights, whose sums are in q0 and q1.
macro_rules! eights {
    ($lanes:expr, $count:expr, [$($body:literal),* $(,)?], $($operands:tt)*) => {
        asm!(
            "vldrw.u32 q0, [{lanes}]",
            "vldrw.u32 q1, [{lanes}, #16]",
            "wls lr, {count}, 3f",
            "2:",
            $($body,)*
            "le lr, 2b",
            "3:",
            "vstrw.32 q0, [{lanes}]",
            "vstrw.32 q1, [{lanes}, #16]",
            lanes = in(reg) $lanes.as_mut_ptr(),
            count = in(reg) $count,
            $($operands)*
            out("lr") _, out("q0") _, out("q1") _, out("q2") _, out("q3") _, out("q4") _, out("q5") _,
            options(nostack),
        )
    };
}

/// lanes ← lanes + x for each eight of x.
#[inline(always)]
pub(in crate::kernels) fn add_eights(lanes: &mut [f32; LANES], x: &[[f32; LANES]]) {
    // SAFETY: as many eights are read as there are.
    unsafe {
        eights!(
            lanes,
            x.len(),
            [
                "vldrw.u32 q2, [{x}], #16",
                "vadd.f32 q0, q0, q2",
                "vldrw.u32 q3, [{x}], #16",
                "vadd.f32 q1, q1, q3",
            ],
            x = inout(reg) x.as_ptr() => _,
        );
    }
}

/// lanes ← lanes + a ⊙ b for each eight of a and b.
#[inline(always)]
pub(in crate::kernels) fn add_products(
    lanes: &mut [f32; LANES],
    a: &[[f32; LANES]],
    b: &[[f32; LANES]],
) {
    // SAFETY: as many eights are read as both slices have.
    unsafe {
        eights!(
            lanes,
            a.len().min(b.len()),
            [
                "vldrw.u32 q2, [{a}], #16",
                "vldrw.u32 q3, [{b}], #16",
                "vmul.f32 q2, q2, q3",
                "vldrw.u32 q4, [{a}], #16",
                "vadd.f32 q0, q0, q2",
                "vldrw.u32 q5, [{b}], #16",
                "vmul.f32 q4, q4, q5",
                "vadd.f32 q1, q1, q4",
            ],
            a = inout(reg) a.as_ptr() => _,
            b = inout(reg) b.as_ptr() => _,
        );
    }
}
