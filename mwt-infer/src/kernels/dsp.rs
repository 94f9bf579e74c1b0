//! Sums of products of 16-bit pairs with the DSP extension of Armv7E-M: two multiply-adds a cycle.

use mwt_core::math::ROUND;

use super::block::Block;

/// x·factor + [`ROUND`], first all products, then all sums: nothing waits, and no compiler draws the two into a multiply-add,
/// which takes longer than both.
macro_rules! multiply_and_round {
    ($($x:literal)*, $factor:literal, $round:literal) => {
        concat!(
            $("vmul.f32 ", $x, ", ", $x, ", ", $factor, "\n",)*
            $("vadd.f32 ", $x, ", ", $x, ", ", $round, "\n",)*
        )
    };
}

/// The product of two left values, in r12 and lr, with two right ones, in r6 and r7, added to the sums: those of the first
/// row are in r0 to r3, those of the second in r4, r5, r8 and r9.
macro_rules! multiply {
    ($a0:literal, $a1:literal, $b0:literal, $b1:literal) => {
        concat!(
            "smlad ",
            $a0,
            ", r12, r6, ",
            $a0,
            "\n",
            "smlad ",
            $b0,
            ", lr, r6, ",
            $b0,
            "\n",
            "smlad ",
            $a1,
            ", r12, r7, ",
            $a1,
            "\n",
            "smlad ",
            $b1,
            ", lr, r7, ",
            $b1,
            "\n",
        )
    };
}

/// A pair of each row and column, from four bytes behind r10 and r11 on, which the last one of a turn moves `on`. Loads that
/// follow each other take a cycle each, but for the first.
macro_rules! pair {
    ($left:literal, $right:literal, $on:literal) => {
        concat!(
            pair!(@load "r12", "r10", $left, "4", ""),
            pair!(@load "lr", "r10", $left, "8", $on),
            pair!(@load "r6", "r11", $right, "4", ""),
            pair!(@load "r7", "r11", $right, "8", ""),
            multiply!("r0", "r1", "r4", "r5"),
            pair!(@load "r6", "r11", $right, "12", ""),
            pair!(@load "r7", "r11", $right, "16", $on),
            multiply!("r2", "r3", "r8", "r9"),
        )
    };
    (@load $to:literal, $from:literal, $at:literal, $behind:literal, $on:literal) => {
        concat!("ldr ", $to, ", [", $from, ", #", $at, " + ", $behind, "]", $on, "\n")
    };
}

/// [`Block::multiply`]. Where its pointers are kept for want of registers: those of scales, starts
/// and rows in s24 to s28, the end of `left` in s31; `left` and the count of panels that are left on the stack.
///
/// # Safety
/// The block is whole.
#[inline(always)]
pub(super) unsafe fn multiply(block: Block<'_>) {
    let Block { left, right, pairs, sizes, scales, bias, c, stride, columns, .. } = block;
    let panels = columns / 4;
    let first = c.as_mut_ptr();
    let second = first.wrapping_add(stride);
    let starts = bias.map_or([first.cast_const(), second], |bias| [bias.as_ptr(); 2]);
    let address = |at: *const f32| at.addr() as u32;
    // SAFETY: 2·pairs values are there.
    let end = unsafe { left.as_ptr().add(2 * pairs) }.wrapping_sub(1);
    let kept = [
        address(scales.map_or(core::ptr::null(), |scales| scales.as_ptr())),
        address(starts[0]),
        address(starts[1]),
        address(first),
        address(second),
        sizes[0].to_bits(),
        sizes[1].to_bits(),
        address(end),
    ];
    macro_rules! run {
        ($($scale:expr,)*) => {
            core::arch::asm!(
                "push {{r6, r7}}",
                "push {{r10, r12}}",
                "vldmia lr, {{s24-s31}}",
                "3:",
                "movs r0, #0",
                "movs r1, #0",
                "movs r2, #0",
                "movs r3, #0",
                "movs r4, #0",
                "movs r5, #0",
                "mov r8, #0",
                "mov r9, #0",
                "2:",
                pair!("0", "0", ""),
                pair!("8", "16", ""),
                pair!("16", "32", ""),
                pair!("24", "48", "!"),
                "vmov r7, s31",
                "cmp r10, r7",
                "bne 2b",
                "vmov s0, s1, r0, r1",
                "vmov s2, s3, r2, r3",
                "vmov s4, s5, r4, r5",
                "vmov s6, s7, r8, r9",
                "vcvt.f32.s32 s0, s0",
                "vcvt.f32.s32 s1, s1",
                "vcvt.f32.s32 s2, s2",
                "vcvt.f32.s32 s3, s3",
                "vcvt.f32.s32 s4, s4",
                "vcvt.f32.s32 s5, s5",
                "vcvt.f32.s32 s6, s6",
                "vcvt.f32.s32 s7, s7",
                "vmov r3, r4, s25, s26",
                $($scale,)*
                "vldmia r3!, {{s8-s11}}",
                "vldmia r4!, {{s12-s15}}",
                "vmov s25, s26, r3, r4",
                "vmov r5, r8, s27, s28",
                "vadd.f32 s0, s0, s8",
                "vadd.f32 s1, s1, s9",
                "vadd.f32 s2, s2, s10",
                "vadd.f32 s3, s3, s11",
                "vadd.f32 s4, s4, s12",
                "vadd.f32 s5, s5, s13",
                "vadd.f32 s6, s6, s14",
                "vadd.f32 s7, s7, s15",
                "vstmia r5!, {{s0-s3}}",
                "vstmia r8!, {{s4-s7}}",
                "vmov s27, s28, r5, r8",
                "ldr r1, [sp, #4]",
                "ldr r10, [sp]",
                "subs r1, r1, #1",
                "str r1, [sp, #4]",
                "bne 3b",
                "add sp, sp, #8",
                "pop {{r6, r7}}",
                out("r0") _, out("r1") _, out("r2") _, out("r3") _, out("r4") _, out("r5") _, out("r8") _,
                out("r9") _, inout("r10") left.as_ptr().wrapping_sub(1) => _,
                inout("r11") right.as_ptr().wrapping_sub(1) => _, inout("r12") panels => _,
                inout("lr") kept.as_ptr() => _,
                out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                out("s7") _, out("s8") _, out("s9") _, out("s10") _, out("s11") _, out("s12") _, out("s13") _,
                out("s14") _, out("s15") _, out("s16") _, out("s17") _, out("s18") _, out("s19") _, out("s20") _,
                out("s21") _, out("s22") _, out("s23") _, out("s24") _, out("s25") _, out("s26") _, out("s27") _,
                out("s28") _, out("s29") _, out("s30") _, out("s31") _,
            )
        };
    }
    // SAFETY: the caller's; r6 and r7, which the compiler keeps for itself, and the stack come back.
    unsafe {
        if scales.is_some() {
            run!(
                "vmov r2, s24",
                "vldmia r2!, {{s8-s11}}",
                "vmov s24, r2",
                "vmul.f32 s16, s29, s8",
                "vmul.f32 s17, s29, s9",
                "vmul.f32 s18, s29, s10",
                "vmul.f32 s19, s29, s11",
                "vmul.f32 s20, s30, s8",
                "vmul.f32 s21, s30, s9",
                "vmul.f32 s22, s30, s10",
                "vmul.f32 s23, s30, s11",
                "vmul.f32 s0, s0, s16",
                "vmul.f32 s1, s1, s17",
                "vmul.f32 s2, s2, s18",
                "vmul.f32 s3, s3, s19",
                "vmul.f32 s4, s4, s20",
                "vmul.f32 s5, s5, s21",
                "vmul.f32 s6, s6, s22",
                "vmul.f32 s7, s7, s23",
            );
        } else {
            run!(
                "vmul.f32 s0, s0, s29",
                "vmul.f32 s1, s1, s29",
                "vmul.f32 s2, s2, s29",
                "vmul.f32 s3, s3, s29",
                "vmul.f32 s4, s4, s30",
                "vmul.f32 s5, s5, s30",
                "vmul.f32 s6, s6, s30",
                "vmul.f32 s7, s7, s30",
            );
        }
    }
}

/// [`pack_row`](super::pairs::pack_row) of `fours` fours.
///
/// # Safety
/// They are there, at least one, and `to` has room for their pairs.
#[inline(always)]
pub(super) unsafe fn pack_row<const G: usize>(
    row: &[f32],
    factor: f32,
    to: &mut [f32],
    fours: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        core::arch::asm!(
            "vmov s4, {a}",
            "vmov s5, {b}",
            "2:",
            "vldmia {x}!, {{s0-s3}}",
            multiply_and_round!("s0" "s1" "s2" "s3", "s4", "s5"),
            "vmov {a}, {b}, s0, s1",
            "vmov {c}, {d}, s2, s3",
            "pkhbt {a}, {a}, {b}, lsl #16",
            "pkhbt {c}, {c}, {d}, lsl #16",
            "str {a}, [{to}], #{step}",
            "str {c}, [{to}], #{step}",
            "subs {n}, {n}, #1",
            "bne 2b",
            x = inout(reg) row.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            n = inout(reg) fours => _,
            a = inout(reg) factor.to_bits() => _,
            b = inout(reg) ROUND.to_bits() => _,
            c = out(reg) _, d = out(reg) _,
            step = const 4 * G,
            out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _,
            options(nostack),
        );
    }
}

/// [`pack_columns`](super::pairs::pack_columns) of `pairs` pairs of rows.
///
/// # Safety
/// They begin in `x`, at least one, and have `G` values there, 2 or 4; `to` has room for as many pairs.
#[inline(always)]
pub(super) unsafe fn pack_columns<const G: usize>(
    x: &[f32],
    stride: usize,
    factor: f32,
    to: &mut [f32],
    pairs: usize,
) {
    // SAFETY: the caller's.
    unsafe {
        let low = x.as_ptr();
        let high = low.add(stride);
        macro_rules! run {
            ($($body:expr),* $(,)?) => {
                core::arch::asm!(
                    "vmov s8, {a}",
                    "vmov s9, {b}",
                    "2:",
                    $($body,)*
                    "subs {n}, {n}, #1",
                    "bne 2b",
                    low = inout(reg) low => _,
                    high = inout(reg) high => _,
                    step = in(reg) 8 * stride,
                    to = inout(reg) to.as_mut_ptr() => _,
                    n = inout(reg) pairs => _,
                    a = inout(reg) factor.to_bits() => _,
                    b = inout(reg) ROUND.to_bits() => _,
                    c = out(reg) _, d = out(reg) _,
                    out("s0") _, out("s1") _, out("s2") _, out("s3") _, out("s4") _, out("s5") _, out("s6") _,
                    out("s7") _, out("s8") _, out("s9") _,
                    options(nostack),
                )
            };
        }
        if G == 2 {
            run!(
                "vldmia {low}, {{s0-s1}}",
                "vldmia {high}, {{s2-s3}}",
                "add {low}, {low}, {step}",
                "add {high}, {high}, {step}",
                multiply_and_round!("s0" "s1" "s2" "s3", "s8", "s9"),
                "vmov {a}, {b}, s0, s1",
                "vmov {c}, {d}, s2, s3",
                "pkhbt {a}, {a}, {c}, lsl #16",
                "pkhbt {b}, {b}, {d}, lsl #16",
                "str {a}, [{to}], #4",
                "str {b}, [{to}], #4",
            );
        } else {
            run!(
                "vldmia {low}, {{s0-s3}}",
                "vldmia {high}, {{s4-s7}}",
                "add {low}, {low}, {step}",
                "add {high}, {high}, {step}",
                multiply_and_round!("s0" "s1" "s2" "s3" "s4" "s5" "s6" "s7", "s8", "s9"),
                "vmov {a}, {b}, s0, s1",
                "vmov {c}, {d}, s4, s5",
                "pkhbt {a}, {a}, {c}, lsl #16",
                "pkhbt {b}, {b}, {d}, lsl #16",
                "str {a}, [{to}], #4",
                "str {b}, [{to}], #4",
                "vmov {a}, {b}, s2, s3",
                "vmov {c}, {d}, s6, s7",
                "pkhbt {a}, {a}, {c}, lsl #16",
                "pkhbt {b}, {b}, {d}, lsl #16",
                "str {a}, [{to}], #4",
                "str {b}, [{to}], #4",
            );
        }
    }
}

/// [`largest_bits`](super::pairs::largest_bits) of `fours` fours.
///
/// # Safety
/// They are there, at least one.
#[inline(always)]
pub(super) unsafe fn largest_bits(x: &[f32], fours: usize) -> u32 {
    let mut largest = 0u32;
    // SAFETY: the caller's.
    unsafe {
        core::arch::asm!(
            "2:",
            "ldmia {x}!, {{r0-r3}}",
            "cmp {largest}, r0, lsl #1",
            "it lo",
            "lsllo {largest}, r0, #1",
            "cmp {largest}, r1, lsl #1",
            "it lo",
            "lsllo {largest}, r1, #1",
            "cmp {largest}, r2, lsl #1",
            "it lo",
            "lsllo {largest}, r2, #1",
            "cmp {largest}, r3, lsl #1",
            "it lo",
            "lsllo {largest}, r3, #1",
            "subs {n}, {n}, #1",
            "bne 2b",
            x = inout(reg) x.as_ptr() => _,
            n = inout(reg) fours => _,
            largest = inout(reg) largest,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _,
            options(nostack, readonly),
        );
    }
    largest
}

/// [`widen`](super::pairs::widen) of `pairs` pairs of rows.
///
/// # Safety
/// They begin in `from`, at least one, and have four bytes there; `to` has room for as many pairs.
#[inline(always)]
pub(super) unsafe fn widen(from: &[u8], stride: usize, to: &mut [f32], pairs: usize) {
    // SAFETY: the caller's.
    unsafe {
        core::arch::asm!(
            "2:",
            "ldr {low}, [{from}]",
            "ldr {high}, [{from}, {stride}]",
            "add {from}, {from}, {stride}, lsl #1",
            "sxtb16 r0, {low}",
            "sxtb16 {t}, {high}",
            "pkhtb r2, {t}, r0, asr #16",
            "pkhbt r0, r0, {t}, lsl #16",
            "sxtb16 r1, {low}, ror #8",
            "sxtb16 {t}, {high}, ror #8",
            "pkhtb r3, {t}, r1, asr #16",
            "pkhbt r1, r1, {t}, lsl #16",
            "stmia {to}!, {{r0-r3}}",
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            from = inout(reg) from.as_ptr() => _,
            stride = in(reg) stride,
            to = inout(reg) to.as_mut_ptr() => _,
            pairs = inout(reg) pairs => _,
            low = out(reg) _, high = out(reg) _, t = out(reg) _,
            out("r0") _, out("r1") _, out("r2") _, out("r3") _,
            options(nostack),
        );
    }
}
