//! Sums of products of 16-bit pairs, with the DSP extension of Armv7E-M where there is one: two multiply-adds a cycle.

use core::iter;

use mwt_core::math::ROUND;

/// Pairs of a [`block`]'s turn.
pub(super) const TURN: usize = 4;

/// x·factor + [`ROUND`], first all products, then all sums: nothing waits, and no compiler draws the two into a multiply-add,
/// which takes longer than both.
#[cfg(mwt_dsp)]
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
#[cfg(mwt_dsp)]
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
#[cfg(mwt_dsp)]
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

/// Two rows of C and what they are made of: C = start + size·scale·Σ left·right, each product and sum rounded by itself.
pub(super) struct TwoRows<'a> {
    /// `[pairs][2]`, each value two 16-bit integers.
    pub(super) left: &'a [f32],
    /// A panel `[pairs][4]` for each four columns.
    pub(super) right: &'a [f32],
    /// Pairs of a sum, a multiple of [`TURN`].
    pub(super) pairs: usize,
    /// What one of a row's integers is.
    pub(super) sizes: [f32; 2],
    /// What one of a column's integers is; `None`: 1.
    pub(super) scales: Option<&'a [f32]>,
    /// What both rows start from; `None`: from C.
    pub(super) bias: Option<&'a [f32]>,
    /// The rows of C, of which the second may be none.
    pub(super) c: [&'a mut [f32]; 2],
}

impl TwoRows<'_> {
    /// Computes them.
    #[inline(always)]
    pub(super) fn multiply(self) {
        #[cfg(mwt_dsp)]
        if self.is_whole() {
            // SAFETY: as just checked.
            return unsafe { self.multiply_whole() };
        }
        let Self { left, right, pairs, sizes, scales, bias, c: [first, second] } = self;
        let fours = first
            .chunks_mut(4)
            .zip(second.chunks_mut(4).map(Some).chain(iter::repeat_with(|| None)));
        for (n, ((first, second), panel)) in
            fours.zip(right.chunks_exact((4 * pairs).max(1))).enumerate()
        {
            let sums = sums(left, panel);
            for ((c, size), sums) in
                [first, second.unwrap_or_default()].into_iter().zip(sizes).zip(sums)
            {
                for (i, (c, sum)) in c.iter_mut().zip(sums).enumerate() {
                    let at = |values: &[f32]| values.get(4 * n + i).copied().unwrap_or_default();
                    let size = scales.map_or(size, |scales| size * at(scales));
                    *c = size * sum as f32 + bias.map_or(*c, at);
                }
            }
        }
    }

    /// Whether there are two rows of whole panels, and all that they are made of.
    #[cfg(mwt_dsp)]
    fn is_whole(&self) -> bool {
        let n = self.c[0].len();
        let there = |values: Option<&[f32]>| values.is_none_or(|values| values.len() >= n);
        let rows = n > 0 && n.is_multiple_of(4) && self.c[1].len() == n;
        let sums = self.pairs > 0 && self.pairs.is_multiple_of(TURN);
        let operands = self.left.len() >= 2 * self.pairs && self.right.len() >= n * self.pairs;
        rows && sums && operands && there(self.scales) && there(self.bias)
    }

    /// [`multiply`](Self::multiply) in assembly. Where its pointers are kept for want of registers: those of scales, starts
    /// and rows in s24 to s28, the end of `left` in s31; `left` and the count of panels that are left on the stack.
    ///
    /// # Safety
    /// [`is_whole`](Self::is_whole).
    #[cfg(mwt_dsp)]
    #[inline(always)]
    unsafe fn multiply_whole(self) {
        let Self { left, right, pairs, sizes, scales, bias, c: [first, second] } = self;
        let panels = first.len() / 4;
        let (first, second) = (first.as_mut_ptr(), second.as_mut_ptr());
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
}

/// Sums of two rows by four columns.
fn sums(left: &[f32], right: &[f32]) -> [[i32; 4]; 2] {
    let both = |pair: f32| {
        let bits = pair.to_bits();
        [i32::from(bits as u16 as i16), i32::from((bits >> 16) as u16 as i16)]
    };
    let mut sums = [[0; 4]; 2];
    for (left, right) in left.as_chunks::<2>().0.iter().zip(right.as_chunks::<4>().0) {
        let right = right.map(both);
        for (sums, left) in sums.iter_mut().zip(left.map(both)) {
            for (sum, right) in sums.iter_mut().zip(right) {
                *sum += left[0] * right[0] + left[1] * right[1];
            }
        }
    }
    sums
}

/// Neighbouring values times `factor`, rounded to the nearest integers, ties to even, as pairs into the first of each `G`
/// values of `to`; what is not finite becomes anything. Gives how many values it took: as many fours as there are, and
/// there is room for.
#[inline(always)]
pub(super) fn pack_row<const G: usize>(row: &[f32], factor: f32, to: &mut [f32]) -> usize {
    let room = if to.is_empty() { 0 } else { (to.len() - 1) / G + 1 };
    let fours = (row.len() / 4).min(room / 2);
    #[cfg(not(mwt_dsp))]
    for (four, n) in row.as_chunks::<4>().0.iter().zip(0..fours) {
        let [a, b, c, d] = four.map(|x| rounded(x, factor));
        for (pair, at) in [(together(a, b), 2 * n), (together(c, d), 2 * n + 1)] {
            if let Some(to) = to.get_mut(at * G) {
                *to = pair;
            }
        }
    }
    #[cfg(mwt_dsp)]
    if fours > 0 {
        // SAFETY: as many fours are read, and as many pairs of pairs written, as there are.
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
    4 * fours
}

/// As [`pack_row`], pairs of two neighbouring rows' values: the first `G` columns of rows that lie `stride` apart as a
/// panel. Gives how many rows it took.
#[inline(always)]
pub(super) fn pack_columns<const G: usize>(
    x: &[f32],
    stride: usize,
    factor: f32,
    to: &mut [[f32; G]],
) -> usize {
    let rows = if x.len() < G || stride < G { 0 } else { (x.len() - G) / stride + 1 };
    let pairs = (rows / 2).min(to.len());
    #[cfg(not(mwt_dsp))]
    for (to, two) in to.iter_mut().zip(x.chunks((2 * stride).max(1))).take(pairs) {
        let row = |at| two.get(at..).and_then(|row: &[f32]| row.first_chunk::<G>());
        if let (Some(low), Some(high)) = (row(0), row(stride)) {
            *to = core::array::from_fn(|g| pair(low[g], high[g], factor));
        }
    }
    #[cfg(mwt_dsp)]
    if pairs > 0 {
        // SAFETY: 2·pairs rows begin in `x` and have G values there, 2 or 4, and `to` has room for as many pairs.
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
    2 * pairs
}

/// Two values times `factor`, rounded, as a pair.
pub(super) fn pair(low: f32, high: f32, factor: f32) -> f32 {
    together(rounded(low, factor), rounded(high, factor))
}

/// The low half is the integer.
#[inline(always)]
fn rounded(x: f32, factor: f32) -> u32 {
    (x * factor + ROUND).to_bits()
}

/// The low halves of both.
#[inline(always)]
fn together(low: u32, high: u32) -> f32 {
    f32::from_bits(low & 0xffff | high << 16)
}

/// The largest bits without their sign bit, one place to the left.
#[inline(always)]
pub(super) fn largest_bits(x: &[f32]) -> u32 {
    let (mut largest, fours) = (0u32, x.len() / 4);
    #[cfg(mwt_dsp)]
    if fours > 0 {
        // SAFETY: as many fours are read as there are.
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
    }
    let done = if cfg!(mwt_dsp) { 4 * fours } else { 0 };
    for x in x.get(done..).unwrap_or_default() {
        let bits = x.to_bits() << 1;
        largest = if bits > largest { bits } else { largest };
    }
    largest
}

/// Four columns of bytes as a panel of pairs of 16-bit integers, `[pairs][4]`: `from` begins with the first row's, and
/// rows lie `stride` apart. Gives how many rows it took: all that lie whole in `from`, but for the last of an odd number.
#[inline(always)]
pub(super) fn widen(from: &[u8], stride: usize, to: &mut [[f32; 4]]) -> usize {
    let rows = if from.len() < 4 || stride < 4 { 0 } else { (from.len() - 4) / stride + 1 };
    let pairs = (rows / 2).min(to.len());
    #[cfg(mwt_dsp)]
    if pairs > 0 {
        // SAFETY: 2·pairs rows begin in `from` and have four bytes there, and `to` has room for as many pairs.
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
    #[cfg(not(mwt_dsp))]
    for (to, two) in to.iter_mut().zip(from.chunks((2 * stride).max(1))).take(pairs) {
        let four = |at| two.get(at..).and_then(|row: &[u8]| row.first_chunk()).copied();
        if let (Some(low), Some(high)) = (four(0), four(stride)) {
            *to = widened(low, high);
        }
    }
    2 * pairs
}

/// Four columns of two rows.
pub(super) fn widened(low: [u8; 4], high: [u8; 4]) -> [f32; 4] {
    let integer = |byte: u8| i16::from(byte as i8) as u32;
    core::array::from_fn(|i| together(integer(low[i]), integer(high[i])))
}
