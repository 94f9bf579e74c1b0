//! Sums of products of 16-bit pairs: eight multiply-adds an instruction (`vmladav`), into a general register.
//!
//! Those of two rows by two columns take as many loads as multiply-adds, which a core does side by side.

use core::arch::asm;

use crate::kernels::block::{Block, COLUMNS, ROWS, RUN, TURN};

/// A row's or column's share of a turn is one register, and a panel of A lies as one of B does.
const _: () = assert!(RUN == 4 && TURN == RUN && ROWS == 4 && COLUMNS == 4);

/// A turn of two rows, in q0 and q1, by two columns, the first of which lies `$step` bytes behind the last one that was
/// loaded: the first row's sums in r0 and r2, the second's in r4 and r8.
macro_rules! turn {
    ($add:literal, $step:literal) => {
        concat!(
            "vldrw.u32 q2, [r3, #",
            $step,
            "]!\n",
            $add,
            ".s16 r0, q0, q2\n",
            "vldrw.u32 q3, [r3, #32]\n",
            $add,
            ".s16 r4, q1, q2\n",
            $add,
            ".s16 r2, q0, q3\n",
            $add,
            ".s16 r8, q1, q3\n",
        )
    };
}

/// All turns of two rows by two columns, from the one in q0 and q1 on, later ones lying `$step` bytes further. The sums
/// go to the lanes `$first` and `$second` of q4 and q5.
macro_rules! turns {
    ($step:literal, $first:literal, $second:literal) => {
        concat!(
            turn!("vmladav", "16"),
            "wls lr, r5, 3f\n",
            "2:\n",
            "vldrw.u32 q0, [r1, #",
            $step,
            "]!\n",
            "vldrw.u32 q1, [r1, #16]\n",
            turn!("vmladava", $step),
            "le lr, 2b\n",
            "3:\n",
            "vmov q4[",
            $second,
            "], q4[",
            $first,
            "], r0, r2\n",
            "vmov q5[",
            $second,
            "], q5[",
            $first,
            "], r4, r8\n",
        )
    };
}

/// [`Block::multiply`].
///
/// # Safety
/// The block is whole.
#[inline(always)]
pub(in crate::kernels) unsafe fn multiply(block: Block<'_>) {
    let Block { left, right, pairs, sizes, scales, bias, c, stride, columns, .. } = block;
    let c = c.as_mut_ptr();
    for (n, sizes) in sizes.as_chunks::<2>().0.iter().enumerate() {
        let (first, row) = (2 * n, c.wrapping_add(2 * n * stride));
        macro_rules! run {
            ($scales:expr, $bias:expr, $begin:expr, $size:expr, $start:expr) => {
                asm!(
                    $begin,
                    "vldrw.u32 q0, [r1]",
                    "vldrw.u32 q1, [r1, #16]",
                    "subs r3, #16",
                    "4:",
                    // The first and third column from the first turn to the last one, the others back to the first.
                    turns!("64", "0", "2"),
                    turns!("-64", "1", "3"),
                    "vcvt.f32.s32 q4, q4",
                    "add r3, r3, r5, lsl #6",
                    "vcvt.f32.s32 q5, q5",
                    "adds r3, #32",
                    $size,
                    $start,
                    "vstrw.32 q4, [r11], #16",
                    "subs r10, #1",
                    "vstrw.32 q5, [r12], #16",
                    "bne 4b",
                    inout("r0") sizes[0].to_bits() => _,
                    inout("r1") left.as_ptr().wrapping_add(first * RUN) => _,
                    inout("r2") sizes[1].to_bits() => _,
                    inout("r3") right.as_ptr() => _,
                    inout("r4") $scales => _,
                    in("r5") pairs / TURN - 1,
                    out("r8") _,
                    inout("r9") $bias => _,
                    inout("r10") columns / COLUMNS => _,
                    inout("r11") row => _,
                    inout("r12") row.wrapping_add(stride) => _,
                    out("lr") _, out("q0") _, out("q1") _, out("q2") _, out("q3") _, out("q4") _, out("q5") _,
                    out("q6") _, out("q7") _,
                    options(nostack),
                )
            };
        }
        // Sizes are kept in q6 and q7, or the first two values of q6, behind which the address of scales is.
        macro_rules! sizes {
            ($bias:expr, $start:expr) => {
                match scales {
                    None => run!(
                        0,
                        $bias,
                        "vdup.32 q6, r0\n vdup.32 q7, r2",
                        "vmul.f32 q4, q4, q6\n vmul.f32 q5, q5, q7",
                        $start
                    ),
                    Some(scales) => run!(
                        scales.as_ptr(),
                        $bias,
                        "vmov s24, s25, r0, r2\n vmov s26, r4",
                        concat!(
                            "vmov r4, s26\n",
                            "vmov r0, r2, s24, s25\n",
                            "vldrw.u32 q2, [r4], #16\n",
                            "vmul.f32 q3, q2, r0\n",
                            "vmul.f32 q2, q2, r2\n",
                            "vmov s26, r4\n",
                            "vmul.f32 q4, q4, q3\n",
                            "vmul.f32 q5, q5, q2\n",
                        ),
                        $start
                    ),
                }
            };
        }
        // SAFETY: the caller's.
        unsafe {
            match bias {
                Some(bias) => sizes!(
                    bias.as_ptr(),
                    "vldrw.u32 q2, [r9], #16\n vadd.f32 q4, q4, q2\n vadd.f32 q5, q5, q2"
                ),
                None => sizes!(
                    0,
                    concat!(
                        "vldrw.u32 q2, [r11]\n",
                        "vadd.f32 q4, q4, q2\n",
                        "vldrw.u32 q3, [r12]\n",
                        "vadd.f32 q5, q5, q3\n",
                    )
                ),
            }
        }
    }
}

/// [`pack_row`](crate::kernels::pairs::pack_row) of `turns` turns.
///
/// # Safety
/// They are there, at least one, and `to` has room for their pairs.
#[inline(always)]
pub(in crate::kernels) unsafe fn pack_row<const G: usize>(
    row: &[f32],
    factor: f32,
    to: &mut [f32],
    turns: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "dls lr, {turns}",
            "2:",
            // Values of even and odd places.
            "vld20.32 {{q0, q1}}, [{x}]",
            "vld21.32 {{q0, q1}}, [{x}]!",
            "vmul.f32 q0, q0, {factor}",
            "vmul.f32 q1, q1, {factor}",
            "vcvtn.s32.f32 q0, q0",
            "vcvtn.s32.f32 q1, q1",
            "vmovnt.i32 q0, q1",
            "vstrw.32 q0, [{to}], #{step}",
            "le lr, 2b",
            x = inout(reg) row.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            turns = in(reg) turns,
            factor = in(reg) factor.to_bits(),
            step = const 4 * G * RUN,
            out("lr") _, out("q0") _, out("q1") _,
            options(nostack),
        );
    }
}

/// `asm!` around a loop over turns of eight rows, from which `$pair` makes a register of pairs of two rows each; they are
/// written column by column.
macro_rules! columns {
    ([$($pair:expr),*], $($operands:tt)*) => {
        asm!(
            "dls lr, {turns}",
            "2:",
            $($pair,)*
            "vst40.32 {{q0, q1, q2, q3}}, [{to}]",
            "vst41.32 {{q0, q1, q2, q3}}, [{to}]",
            "vst42.32 {{q0, q1, q2, q3}}, [{to}]",
            "vst43.32 {{q0, q1, q2, q3}}, [{to}]!",
            "le lr, 2b",
            $($operands)*
            out("lr") _, out("q0") _, out("q1") _, out("q2") _, out("q3") _, out("q4") _,
            options(nostack),
        )
    };
}

/// [`pack_columns`](crate::kernels::pairs::pack_columns) of `pairs` pairs of rows.
///
/// # Safety
/// They begin in `x`, at least a turn of them, and have four values there; `to` has room for as many pairs. `G` is 4.
#[inline(always)]
pub(in crate::kernels) unsafe fn pack_columns<const G: usize>(
    x: &[f32],
    stride: usize,
    factor: f32,
    to: &mut [f32],
    pairs: usize,
) {
    const { assert!(G == 4) };
    macro_rules! pair {
        ($low:literal) => {
            concat!(
                "vldrw.u32 ",
                $low,
                ", [{x}]\n",
                "add {x}, {x}, {stride}\n",
                "vmul.f32 ",
                $low,
                ", ",
                $low,
                ", {factor}\n",
                "vldrw.u32 q4, [{x}]\n",
                "add {x}, {x}, {stride}\n",
                "vmul.f32 q4, q4, {factor}\n",
                "vcvtn.s32.f32 ",
                $low,
                ", ",
                $low,
                "\n",
                "vcvtn.s32.f32 q4, q4\n",
                "vmovnt.i32 ",
                $low,
                ", q4\n",
            )
        };
    }
    // SAFETY: the caller's.
    unsafe {
        columns!(
            [pair!("q0"), pair!("q1"), pair!("q2"), pair!("q3")],
            x = inout(reg) x.as_ptr() => _,
            stride = in(reg) 4 * stride,
            to = inout(reg) to.as_mut_ptr() => _,
            turns = in(reg) pairs / TURN,
            factor = in(reg) factor.to_bits(),
        );
    }
}

/// [`widen`](crate::kernels::pairs::widen) of `pairs` pairs of rows.
///
/// # Safety
/// They begin in `from`, at least a turn of them, and have four bytes there; `to` has room for as many pairs.
#[inline(always)]
pub(in crate::kernels) unsafe fn widen(from: &[u8], stride: usize, to: &mut [f32], pairs: usize) {
    macro_rules! pair {
        ($low:literal) => {
            concat!(
                "vldrb.s32 ",
                $low,
                ", [{from}]\n",
                "add {from}, {from}, {stride}\n",
                "vldrb.s32 q4, [{from}]\n",
                "add {from}, {from}, {stride}\n",
                "vmovnt.i32 ",
                $low,
                ", q4\n",
            )
        };
    }
    // SAFETY: the caller's.
    unsafe {
        columns!(
            [pair!("q0"), pair!("q1"), pair!("q2"), pair!("q3")],
            from = inout(reg) from.as_ptr() => _,
            stride = in(reg) stride,
            to = inout(reg) to.as_mut_ptr() => _,
            turns = in(reg) pairs / TURN,
        );
    }
}

/// [`largest_bits`](crate::kernels::pairs::largest_bits) of `fours` fours.
///
/// # Safety
/// They are there, at least one.
#[inline(always)]
pub(in crate::kernels) unsafe fn largest_bits(x: &[f32], fours: usize) -> u32 {
    let mut largest = 0;
    // SAFETY: the caller's.
    unsafe {
        asm!(
            "vmov.i32 q1, #0",
            "dls lr, {fours}",
            "2:",
            "vldrw.u32 q0, [{x}], #16",
            "vshl.i32 q0, q0, #1",
            "vmax.u32 q1, q1, q0",
            "le lr, 2b",
            "vmaxv.u32 {largest}, q1",
            x = inout(reg) x.as_ptr() => _,
            fours = in(reg) fours,
            largest = inout(reg) largest,
            out("lr") _, out("q0") _, out("q1") _,
            options(nostack, readonly),
        );
    }
    largest
}
