//! Products of f32, in blocks of 2 rows by 8 columns of C.

use core::arch::asm;

use crate::kernels::{Init, Mat, MatMut};

/// Rows of a block.
const ROWS: usize = 2;
/// Columns of a block.
const COLUMNS: usize = 8;

/// The sums in q0 to q3 + two values of A times a row of B, which lies at `{b}`; no instruction waits for the one before.
macro_rules! outer {
    ($a0:literal, $a1:literal) => {
        concat!(
            "vldrw.u32 q4, [{b}]\n",
            "vmul.f32 q6, q4, ",
            $a0,
            "\n",
            "vldrw.u32 q5, [{b}, #16]\n",
            "vmul.f32 q7, q5, ",
            $a0,
            "\n",
            "vadd.f32 q0, q0, q6\n",
            "vmul.f32 q4, q4, ",
            $a1,
            "\n",
            "vadd.f32 q1, q1, q7\n",
            "vmul.f32 q5, q5, ",
            $a1,
            "\n",
            "vadd.f32 q2, q2, q4\n",
            "add {b}, {b}, {b_stride}\n",
            "vadd.f32 q3, q3, q5\n",
        )
    };
}

/// `asm!` around a loop over a block's sums: reads them from `{v0}`, two rows `{v1}` bytes apart, and writes them to
/// `{c}`, rows `{c_stride}` bytes apart.
macro_rules! block {
    ([$($body:expr),* $(,)?], $start:expr, $start_stride:expr, $c:expr, $c_stride:expr, $($operands:tt)*) => {
        asm!(
            "vldrw.u32 q0, [{v0}]",
            "vldrw.u32 q1, [{v0}, #16]",
            "add {v0}, {v0}, {v1}",
            "vldrw.u32 q2, [{v0}]",
            "vldrw.u32 q3, [{v0}, #16]",
            $($body,)*
            "vstrw.32 q0, [{c}]",
            "vstrw.32 q1, [{c}, #16]",
            "add {c}, {c}, {c_stride}",
            "vstrw.32 q2, [{c}]",
            "vstrw.32 q3, [{c}, #16]",
            v0 = inout(reg) $start => _,
            v1 = inout(reg) $start_stride => _,
            c = inout(reg) $c => _,
            c_stride = in(reg) $c_stride,
            $($operands)*
            out("lr") _,
            out("q0") _, out("q1") _, out("q2") _, out("q3") _, out("q4") _, out("q5") _, out("q6") _, out("q7") _,
            options(nostack),
        )
    };
}

/// Bytes of `values` values.
const fn bytes(values: usize) -> usize {
    values * size_of::<f32>()
}

/// The part of a side that whole blocks take.
const fn whole(side: usize, block: usize) -> usize {
    side / block * block
}

/// C = init + A·B for as many whole blocks as there are, and how many rows and columns they take.
pub(in crate::kernels) fn gemm(
    a: Mat<'_>,
    b: Mat<'_>,
    init: Init<'_>,
    c: &mut MatMut<'_>,
) -> [usize; 2] {
    const ZEROS: [f32; COLUMNS] = [0.0; COLUMNS];
    let depth = a.columns().min(b.rows());
    let mut columns = b.columns().min(c.columns());
    if let Init::Bias(bias) = init {
        columns = columns.min(bias.len());
    }
    let (m, n) = (whole(a.rows().min(c.rows()), ROWS), whole(columns, COLUMNS));
    let (a_stride, b_stride, c_stride) = (a.stride(), bytes(b.stride()), c.stride());
    let (a, b, c) = (a.data().as_ptr(), b.data().as_ptr(), c.data_mut().as_mut_ptr());
    for row in (0..m).step_by(ROWS) {
        for column in (0..n).step_by(COLUMNS) {
            // SAFETY: m, n and depth are within all operands, whose views lie within their slices.
            unsafe {
                let c = c.add(row * c_stride + column);
                let (start, start_stride) = match init {
                    Init::Zero => (ZEROS.as_ptr(), 0),
                    Init::Bias(bias) => (bias.as_ptr().add(column), 0),
                    Init::Add => (c.cast_const(), bytes(c_stride)),
                };
                block!(
                    [
                        "lsr {v0}, {depth}, #1",
                        "wls lr, {v0}, 3f",
                        "2:",
                        "ldrd {v0}, {v2}, [{a0}], #8",
                        "ldrd {v1}, {v3}, [{a1}], #8",
                        outer!("{v0}", "{v1}"),
                        outer!("{v2}", "{v3}"),
                        "le lr, 2b",
                        "3:",
                        "lsls {depth}, {depth}, #31",
                        "beq 4f",
                        "ldr {v0}, [{a0}]",
                        "ldr {v1}, [{a1}]",
                        outer!("{v0}", "{v1}"),
                        "4:",
                    ],
                    start,
                    start_stride,
                    c,
                    bytes(c_stride),
                    v2 = out(reg) _,
                    v3 = out(reg) _,
                    a0 = inout(reg) a.add(row * a_stride) => _,
                    a1 = inout(reg) a.add((row + 1) * a_stride) => _,
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
pub(in crate::kernels) fn gemm_tn(a: Mat<'_>, b: Mat<'_>, c: &mut MatMut<'_>) -> [usize; 2] {
    let depth = a.rows().min(b.rows());
    let m = whole(a.columns().min(c.rows()), ROWS);
    let n = whole(b.columns().min(c.columns()), COLUMNS);
    let (a_stride, b_stride, c_stride) = (bytes(a.stride()), bytes(b.stride()), c.stride());
    let (a, b, c) = (a.data().as_ptr(), b.data().as_ptr(), c.data_mut().as_mut_ptr());
    for row in (0..m).step_by(ROWS) {
        for column in (0..n).step_by(COLUMNS) {
            // SAFETY: as in `gemm`.
            unsafe {
                let c = c.add(row * c_stride + column);
                block!(
                    [
                        "wls lr, {depth}, 3f",
                        "2:",
                        "ldrd {v0}, {v1}, [{a}]",
                        "add {a}, {a}, {a_stride}",
                        outer!("{v0}", "{v1}"),
                        "le lr, 2b",
                        "3:",
                    ],
                    c.cast_const(),
                    bytes(c_stride),
                    c,
                    bytes(c_stride),
                    a = inout(reg) a.add(row) => _,
                    a_stride = in(reg) a_stride,
                    b = inout(reg) b.add(column) => _,
                    b_stride = in(reg) b_stride,
                    depth = in(reg) depth,
                );
            }
        }
    }
    [m, n]
}
