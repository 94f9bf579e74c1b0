//! f32 products, sines, cosines and exponentials for the Cortex-M4F, whose multiply-add takes three cycles, a product and a sum one each,
//! and one more where a result is needed at once. Compilers know neither.
//!
//! A block of a product is 4 rows by 4 columns of C. Its sums run in the order of their index, and nothing is fused: the bits are those
//! of the portable product.

use core::arch::asm;

use mwt_core::math::{COS, EXP, FRAC_PI_2, FROM_INFINITY, LN_2, ROUND, SIN, TO_INFINITY};

use super::{Init, Mat, MatMut};

/// Rows and columns of a block.
pub(super) const BLOCK: usize = 4;

/// Sums (s0..s15) + a column of A times a row of B (s16..s19): four products, then their sums, so that nothing waits.
macro_rules! outer {
    ($($a:literal [$($sum:literal)*])*) => {
        concat!($(
            "vmul.f32 s28, ", $a, ", s16\n",
            "vmul.f32 s29, ", $a, ", s17\n",
            "vmul.f32 s30, ", $a, ", s18\n",
            "vmul.f32 s31, ", $a, ", s19\n",
            outer!(@sums [$($sum)*] ["s28" "s29" "s30" "s31"]),
        )*)
    };
    (@sums [$($sum:literal)*] [$($product:literal)*]) => {
        concat!($("vadd.f32 ", $sum, ", ", $sum, ", ", $product, "\n"),*)
    };
    ($a0:literal, $a1:literal, $a2:literal, $a3:literal) => {
        outer!(
            $a0 ["s0" "s1" "s2" "s3"]
            $a1 ["s4" "s5" "s6" "s7"]
            $a2 ["s8" "s9" "s10" "s11"]
            $a3 ["s12" "s13" "s14" "s15"]
        )
    };
}

/// `asm!` around a loop over a block's sums: reads them from `start`, four rows `start_stride` bytes apart, and writes them
/// to `c`, rows `c_stride` bytes apart.
macro_rules! block {
    ([$($body:expr),* $(,)?], $start:expr, $start_stride:expr, $c:expr, $c_stride:expr, $($operands:tt)*) => {
        asm!(
            "vldmia {start}, {{s0-s3}}",
            "add {start}, {start}, {start_stride}",
            "vldmia {start}, {{s4-s7}}",
            "add {start}, {start}, {start_stride}",
            "vldmia {start}, {{s8-s11}}",
            "add {start}, {start}, {start_stride}",
            "vldmia {start}, {{s12-s15}}",
            $($body,)*
            "vstmia {c}, {{s0-s3}}",
            "add {c}, {c}, {c_stride}",
            "vstmia {c}, {{s4-s7}}",
            "add {c}, {c}, {c_stride}",
            "vstmia {c}, {{s8-s11}}",
            "add {c}, {c}, {c_stride}",
            "vstmia {c}, {{s12-s15}}",
            start = inout(reg) $start => _,
            start_stride = in(reg) $start_stride,
            c = inout(reg) $c => _,
            c_stride = in(reg) $c_stride,
            $($operands)*
            out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _, out("s7") _,
            out("s8") _, out("s9") _, out("s10") _, out("s11") _, out("s12") _, out("s13") _, out("s14") _,
            out("s15") _, out("s16") _, out("s17") _, out("s18") _, out("s19") _, out("s20") _, out("s21") _,
            out("s22") _, out("s23") _, out("s24") _, out("s25") _, out("s26") _, out("s27") _, out("s28") _,
            out("s29") _, out("s30") _, out("s31") _,
            options(nostack),
        )
    };
}

/// Bytes of `values` values.
const fn bytes(values: usize) -> usize {
    values * size_of::<f32>()
}

/// C = init + A·B for as many whole blocks as there are, and how many rows and columns they take.
pub(super) fn gemm(a: Mat<'_>, b: Mat<'_>, init: Init<'_>, c: &mut MatMut<'_>) -> [usize; 2] {
    const ZEROS: [f32; BLOCK] = [0.0; BLOCK];
    let depth = a.columns().min(b.rows());
    let mut columns = b.columns().min(c.columns());
    if let Init::Bias(bias) = init {
        columns = columns.min(bias.len());
    }
    let (m, n) = (whole(a.rows().min(c.rows())), whole(columns));
    let (a_stride, b_stride, c_stride) = (a.stride(), bytes(b.stride()), c.stride());
    let (a, b, c) = (a.data().as_ptr(), b.data().as_ptr(), c.data_mut().as_mut_ptr());
    for row in (0..m).step_by(BLOCK) {
        for column in (0..n).step_by(BLOCK) {
            // SAFETY: m, n and depth are within all operands, whose views lie within their slices.
            unsafe {
                let c = c.add(row * c_stride + column);
                let (start, start_stride) = match init {
                    Init::Zero => (ZEROS.as_ptr(), 0),
                    Init::Bias(bias) => (bias.as_ptr().add(column), 0),
                    Init::Add => (c.cast_const(), bytes(c_stride)),
                };
                let row_of_a = |r: usize| a.add((row + r) * a_stride);
                block!(
                    [
                        "lsrs {start}, {depth}, #1",
                        "beq 3f",
                        "2:",
                        "vldmia {b}, {{s16-s19}}",
                        "add {b}, {b}, {b_stride}",
                        "vldmia {a0}!, {{s20-s21}}",
                        "vldmia {a1}!, {{s22-s23}}",
                        "vldmia {a2}!, {{s24-s25}}",
                        "vldmia {a3}!, {{s26-s27}}",
                        outer!("s20", "s22", "s24", "s26"),
                        "vldmia {b}, {{s16-s19}}",
                        "add {b}, {b}, {b_stride}",
                        outer!("s21", "s23", "s25", "s27"),
                        "subs {start}, {start}, #1",
                        "bne 2b",
                        "3:",
                        "lsls {depth}, {depth}, #31",
                        "beq 4f",
                        "vldmia {b}, {{s16-s19}}",
                        "vldr s20, [{a0}]",
                        "vldr s22, [{a1}]",
                        "vldr s24, [{a2}]",
                        "vldr s26, [{a3}]",
                        outer!("s20", "s22", "s24", "s26"),
                        "4:",
                    ],
                    start,
                    start_stride,
                    c,
                    bytes(c_stride),
                    a0 = inout(reg) row_of_a(0) => _,
                    a1 = inout(reg) row_of_a(1) => _,
                    a2 = inout(reg) row_of_a(2) => _,
                    a3 = inout(reg) row_of_a(3) => _,
                    b = inout(reg) b.add(column) => _,
                    b_stride = in(reg) b_stride,
                    depth = inout(reg) depth => _,
                );
            }
        }
    }
    [m, n]
}

/// C = C + Aᵀ·B, as [`gemm`].
pub(super) fn gemm_tn(a: Mat<'_>, b: Mat<'_>, c: &mut MatMut<'_>) -> [usize; 2] {
    let depth = a.rows().min(b.rows());
    let (m, n) = (whole(a.columns().min(c.rows())), whole(b.columns().min(c.columns())));
    let (a_stride, b_stride, c_stride) = (bytes(a.stride()), bytes(b.stride()), c.stride());
    let (a, b, c) = (a.data().as_ptr(), b.data().as_ptr(), c.data_mut().as_mut_ptr());
    if depth == 0 {
        return [m, n];
    }
    for row in (0..m).step_by(BLOCK) {
        for column in (0..n).step_by(BLOCK) {
            // SAFETY: as in `gemm`; `depth` is at least 1.
            unsafe {
                let c = c.add(row * c_stride + column);
                block!(
                    [
                        "2:",
                        "vldmia {b}, {{s16-s19}}",
                        "add {b}, {b}, {b_stride}",
                        "vldmia {a}, {{s20-s23}}",
                        "add {a}, {a}, {a_stride}",
                        outer!("s20", "s21", "s22", "s23"),
                        "subs {depth}, {depth}, #1",
                        "bne 2b",
                    ],
                    c.cast_const(),
                    bytes(c_stride),
                    c,
                    bytes(c_stride),
                    a = inout(reg) a.add(row) => _,
                    a_stride = in(reg) a_stride,
                    b = inout(reg) b.add(column) => _,
                    b_stride = in(reg) b_stride,
                    depth = inout(reg) depth => _,
                );
            }
        }
    }
    [m, n]
}

/// The part of a side that whole blocks take.
const fn whole(side: usize) -> usize {
    side - side % BLOCK
}

/// A pair's instruction for each of both values, which lie in neighbouring registers.
macro_rules! both {
    ($($name:literal $to:literal/$to1:literal, $a:literal/$a1:literal, $b:literal/$b1:literal;)*) => {
        concat!($(
            $name, ".f32 ", $to, ", ", $a, ", ", $b, "\n",
            $name, ".f32 ", $to1, ", ", $a1, ", ", $b1, "\n",
        )*)
    };
}

/// [`math::sin_cos`](mwt_core::math::sin_cos) of as many whole pairs as there are, two values in step; gives how many
/// values these are.
pub(super) fn sin_cos(x: &mut [f32], cos: &mut [f32]) -> usize {
    /// In the order of s16 to s30; the reference says what they are for.
    const CONSTANTS: [f32; 15] = [
        TO_INFINITY,
        core::f32::consts::FRAC_2_PI * FROM_INFINITY,
        ROUND,
        FRAC_PI_2[0],
        FRAC_PI_2[1],
        FRAC_PI_2[2],
        SIN[0],
        SIN[1],
        SIN[2],
        COS[0],
        COS[1],
        COS[2],
        COS[3],
        COS[4],
        0.0,
    ];
    /// Swaps sine and cosine in odd quadrants, and gives both their signs.
    macro_rules! quadrant {
        ($q:literal, $sin:literal, $cos:literal) => {
            concat!(
                "lsls {t}, ",
                $q,
                ", #31\n",
                "ittt ne\n",
                "movne {t}, ",
                $sin,
                "\n",
                "movne ",
                $sin,
                ", ",
                $cos,
                "\n",
                "movne ",
                $cos,
                ", {t}\n",
                "and {t}, ",
                $q,
                ", #2\n",
                "eor ",
                $sin,
                ", ",
                $sin,
                ", {t}, lsl #30\n",
                "add ",
                $q,
                ", ",
                $q,
                ", #1\n",
                "and {t}, ",
                $q,
                ", #2\n",
                "eor ",
                $cos,
                ", ",
                $cos,
                ", {t}, lsl #30\n",
            )
        };
    }
    let pairs = x.len().min(cos.len()) / 2;
    if pairs == 0 {
        return 0;
    }
    // SAFETY: as many pairs are read and written as both slices have.
    unsafe {
        asm!(
            "vldmia {t}, {{s16-s30}}",
            "2:",
            "vldmia {x}, {{s0-s1}}",
            both!(
                "vmul" "s2"/"s3", "s0"/"s1", "s16"/"s16";
                "vmul" "s2"/"s3", "s2"/"s3", "s17"/"s17";
                "vadd" "s2"/"s3", "s2"/"s3", "s18"/"s18";
            ),
            "vmov {q0}, {q1}, s2, s3",
            both!(
                "vsub" "s2"/"s3", "s2"/"s3", "s18"/"s18";
                "vmul" "s4"/"s5", "s2"/"s3", "s19"/"s19";
                "vmul" "s6"/"s7", "s2"/"s3", "s20"/"s20";
                "vsub" "s0"/"s1", "s0"/"s1", "s4"/"s5";
                "vmul" "s4"/"s5", "s2"/"s3", "s21"/"s21";
                "vsub" "s0"/"s1", "s0"/"s1", "s6"/"s7";
                "vsub" "s0"/"s1", "s0"/"s1", "s4"/"s5";
                // z, then the polynomials.
                "vmul" "s2"/"s3", "s0"/"s1", "s0"/"s1";
                "vmul" "s4"/"s5", "s2"/"s3", "s22"/"s22";
                "vmul" "s6"/"s7", "s2"/"s3", "s25"/"s25";
                "vadd" "s4"/"s5", "s4"/"s5", "s23"/"s23";
                "vadd" "s6"/"s7", "s6"/"s7", "s26"/"s26";
                "vmul" "s4"/"s5", "s4"/"s5", "s2"/"s3";
                "vmul" "s6"/"s7", "s6"/"s7", "s2"/"s3";
                "vadd" "s4"/"s5", "s4"/"s5", "s24"/"s24";
                "vadd" "s6"/"s7", "s6"/"s7", "s27"/"s27";
                "vmul" "s4"/"s5", "s4"/"s5", "s2"/"s3";
                "vmul" "s6"/"s7", "s6"/"s7", "s2"/"s3";
                "vmul" "s4"/"s5", "s4"/"s5", "s0"/"s1";
                "vmul" "s6"/"s7", "s6"/"s7", "s2"/"s3";
                "vmul" "s2"/"s3", "s2"/"s3", "s28"/"s28";
                "vadd" "s4"/"s5", "s4"/"s5", "s0"/"s1";
                "vadd" "s6"/"s7", "s6"/"s7", "s2"/"s3";
                "vadd" "s6"/"s7", "s6"/"s7", "s29"/"s29";
            ),
            "vmov {s0}, {s1}, s4, s5",
            "vmov {c0}, {c1}, s6, s7",
            quadrant!("{q0}", "{s0}", "{c0}"),
            quadrant!("{q1}", "{s1}", "{c1}"),
            "str {s0}, [{x}]",
            "str {s1}, [{x}, #4]",
            "str {c0}, [{cos}]",
            "str {c1}, [{cos}, #4]",
            "add {x}, {x}, #8",
            "add {cos}, {cos}, #8",
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            x = inout(reg) x.as_mut_ptr() => _,
            cos = inout(reg) cos.as_mut_ptr() => _,
            pairs = inout(reg) pairs => _,
            t = inout(reg) CONSTANTS.as_ptr() => _,
            q0 = out(reg) _, q1 = out(reg) _, s0 = out(reg) _, s1 = out(reg) _, c0 = out(reg) _, c1 = out(reg) _,
            out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _, out("s7") _,
            out("s16") _, out("s17") _, out("s18") _, out("s19") _, out("s20") _, out("s21") _, out("s22") _,
            out("s23") _, out("s24") _, out("s25") _, out("s26") _, out("s27") _, out("s28") _, out("s29") _,
            out("s30") _,
            options(nostack),
        );
    }
    2 * pairs
}

/// The weights of a softmax, exp(scale·(score - near·max) - scaled·max), in place of scores that make no more than 88 of it, for as many whole pairs as there are; gives how many values these are.
pub(super) fn weights(scores: &mut [f32], max: &[f32], [scale, near, scaled]: [f32; 3]) -> usize {
    /// The least that [`math::exp`](mwt_core::math::exp) takes.
    const LEAST: f32 = -88.0;
    let constants: [f32; 15] = [
        scale,
        near,
        scaled,
        LEAST,
        core::f32::consts::LOG2_E,
        ROUND,
        LN_2[0],
        LN_2[1],
        EXP[0],
        EXP[1],
        EXP[2],
        EXP[3],
        EXP[4],
        EXP[5],
        1.0,
    ];
    let pairs = scores.len().min(max.len()) / 2;
    if pairs == 0 {
        return 0;
    }
    // SAFETY: as many pairs are read and written as both slices have.
    unsafe {
        asm!(
            "vldmia {t}, {{s16-s30}}",
            "2:",
            "vldmia {x}, {{s0-s1}}",
            "vldmia {max}!, {{s2-s3}}",
            both!(
                "vmul" "s4"/"s5", "s2"/"s3", "s17"/"s17";
                "vmul" "s2"/"s3", "s2"/"s3", "s18"/"s18";
                "vsub" "s0"/"s1", "s0"/"s1", "s4"/"s5";
                "vmul" "s0"/"s1", "s0"/"s1", "s16"/"s16";
                "vsub" "s0"/"s1", "s0"/"s1", "s2"/"s3";
            ),
            // A NaN passes through.
            "vcmp.f32 s0, s19",
            "vmrs APSR_nzcv, fpscr",
            "it mi",
            "vmovmi.f32 s0, s19",
            "vcmp.f32 s1, s19",
            "vmrs APSR_nzcv, fpscr",
            "it mi",
            "vmovmi.f32 s1, s19",
            both!(
                "vmul" "s2"/"s3", "s0"/"s1", "s20"/"s20";
                "vadd" "s2"/"s3", "s2"/"s3", "s21"/"s21";
            ),
            "vmov {a}, {b}, s2, s3",
            both!(
                "vsub" "s2"/"s3", "s2"/"s3", "s21"/"s21";
                "vmul" "s4"/"s5", "s2"/"s3", "s22"/"s22";
                "vmul" "s2"/"s3", "s2"/"s3", "s23"/"s23";
                "vsub" "s0"/"s1", "s0"/"s1", "s4"/"s5";
                "vsub" "s0"/"s1", "s0"/"s1", "s2"/"s3";
                "vmul" "s2"/"s3", "s0"/"s1", "s24"/"s24";
                "vadd" "s2"/"s3", "s2"/"s3", "s25"/"s25";
                "vmul" "s2"/"s3", "s2"/"s3", "s0"/"s1";
                "vadd" "s2"/"s3", "s2"/"s3", "s26"/"s26";
                "vmul" "s2"/"s3", "s2"/"s3", "s0"/"s1";
                "vadd" "s2"/"s3", "s2"/"s3", "s27"/"s27";
                "vmul" "s2"/"s3", "s2"/"s3", "s0"/"s1";
                "vadd" "s2"/"s3", "s2"/"s3", "s28"/"s28";
                "vmul" "s2"/"s3", "s2"/"s3", "s0"/"s1";
                "vadd" "s2"/"s3", "s2"/"s3", "s29"/"s29";
                "vmul" "s2"/"s3", "s2"/"s3", "s0"/"s1";
                "vmul" "s2"/"s3", "s2"/"s3", "s0"/"s1";
                "vadd" "s2"/"s3", "s2"/"s3", "s0"/"s1";
                "vadd" "s2"/"s3", "s2"/"s3", "s30"/"s30";
            ),
            "add {a}, {one}, {a}, lsl #23",
            "add {b}, {one}, {b}, lsl #23",
            "vmov s4, s5, {a}, {b}",
            both!("vmul" "s2"/"s3", "s2"/"s3", "s4"/"s5";),
            "vstmia {x}!, {{s2-s3}}",
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            x = inout(reg) scores.as_mut_ptr() => _,
            max = inout(reg) max.as_ptr() => _,
            pairs = inout(reg) pairs => _,
            t = in(reg) constants.as_ptr(),
            one = in(reg) const { 1f32.to_bits() },
            a = out(reg) _, b = out(reg) _,
            out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _,
            out("s16") _, out("s17") _, out("s18") _, out("s19") _, out("s20") _, out("s21") _, out("s22") _,
            out("s23") _, out("s24") _, out("s25") _, out("s26") _, out("s27") _, out("s28") _, out("s29") _,
            out("s30") _,
            options(nostack),
        );
    }
    2 * pairs
}
