//! Matrix products in register blocks.

use core::array;

use super::rows::{Rows, from};
#[cfg(mwt_fpv4)]
use crate::kernels::fpv4 as asm;
#[cfg(mwt_mve)]
use crate::kernels::mve::product as asm;
use crate::kernels::{Init, Mat, MatMut};

/// Rows of a register block. Four rows by [`COLUMNS`] keep their sums in the registers of M4F and RISC-V (32 singles)
/// and of SSE2 alike.
const ROWS: usize = 4;

/// Rows that are left over together; where blocks are in assembly, next to none are.
const LEFT: usize = if cfg!(any(mwt_fpv4, mwt_mve)) { 1 } else { ROWS };

/// Columns of a register block.
const COLUMNS: usize = if cfg!(any(target_arch = "arm", target_arch = "riscv32")) { 4 } else { 8 };

/// C = init + A·B.
pub(super) fn gemm(a: Mat<'_>, b: Mat<'_>, init: Init<'_>, mut c: MatMut<'_>) {
    #[cfg(any(mwt_fpv4, mwt_mve))]
    let done = asm::gemm(a, b, init, &mut c);
    #[cfg(not(any(mwt_fpv4, mwt_mve)))]
    let done = [0; 2];
    let rows = c.rows().min(a.rows());
    let b_rows = Rows::new(b, a.columns());
    let mut row = 0;
    while row + LEFT <= rows {
        gemm_rows::<LEFT>(a, &b_rows, init, &mut c, row, from_column(row, done));
        row += LEFT;
    }
    (row..rows).for_each(|row| gemm_rows::<1>(a, &b_rows, init, &mut c, row, 0));
}

/// C = C + Aᵀ·B.
pub(super) fn gemm_tn(a: Mat<'_>, b: Mat<'_>, mut c: MatMut<'_>) {
    #[cfg(any(mwt_fpv4, mwt_mve))]
    let done = asm::gemm_tn(a, b, &mut c);
    #[cfg(not(any(mwt_fpv4, mwt_mve)))]
    let done = [0; 2];
    let rows = c.rows().min(a.columns());
    let (a, b) = Rows::pair(a, b);
    let mut row = 0;
    while row + LEFT <= rows {
        gemm_tn_rows::<LEFT>(&a, &b, &mut c, row, from_column(row, done));
        row += LEFT;
    }
    (row..rows).for_each(|row| gemm_tn_rows::<1>(&a, &b, &mut c, row, 0));
}

/// The first column of a row that is not among the rows and columns that are done.
fn from_column(row: usize, [rows, columns]: [usize; 2]) -> usize {
    if row < rows { columns } else { 0 }
}

/// `M` ≤ [`ROWS`] rows of C = init + A·B, from `column` on.
#[inline(always)]
fn gemm_rows<const M: usize>(
    a: Mat<'_>,
    b: &Rows<'_>,
    init: Init<'_>,
    c: &mut MatMut<'_>,
    row: usize,
    mut column: usize,
) {
    let a = array::from_fn(|r| a.row(row + r.min(M - 1)));
    let Some(mut c) = rows_mut::<M>(c, row) else { return };
    while column + COLUMNS <= c[0].len() {
        block::<M, COLUMNS>(a, b, init, &mut c, column);
        column += COLUMNS;
    }
    while column < c[0].len() {
        block::<M, 1>(a, b, init, &mut c, column);
        column += 1;
    }
}

/// `M` rows of C = C + Aᵀ·B, from `column` on.
#[inline(always)]
fn gemm_tn_rows<const M: usize>(
    a: &Rows<'_>,
    b: &Rows<'_>,
    c: &mut MatMut<'_>,
    row: usize,
    mut column: usize,
) {
    let Some(mut c) = rows_mut::<M>(c, row) else { return };
    while column + COLUMNS <= c[0].len() {
        block_tn::<M, COLUMNS>(a, b, &mut c, row, column);
        column += COLUMNS;
    }
    while column < c[0].len() {
        block_tn::<M, 1>(a, b, &mut c, row, column);
        column += 1;
    }
}

/// Rows `row..row + M`, all of one length, or none.
#[inline(always)]
fn rows_mut<'c, const M: usize>(c: &'c mut MatMut<'_>, row: usize) -> Option<[&'c mut [f32]; M]> {
    let (columns, stride) = (c.columns(), c.stride().max(1));
    let mut rows = c.data_mut().get_mut(row * stride..)?.chunks_mut(stride);
    let rows =
        array::from_fn(|_| rows.next().and_then(|row| row.get_mut(..columns)).unwrap_or_default());
    rows.iter().all(|row| row.len() == columns).then_some(rows)
}

/// `N` columns of `M` ≤ [`ROWS`] rows of C = init + A·B.
#[inline(always)]
fn block<const M: usize, const N: usize>(
    [a0, a1, a2, a3]: [&[f32]; ROWS],
    b: &Rows<'_>,
    init: Init<'_>,
    c: &mut [&mut [f32]; M],
    column: usize,
) {
    // Known ahead, the loop has no other way out than its end.
    if !b.reach::<N>(column) {
        return;
    }
    let mut sums = match init {
        Init::Zero => [[0.0; N]; M],
        Init::Bias(bias) => match from(bias, column) {
            Some(bias) => [*bias; M],
            None => return,
        },
        Init::Add => load(c, column),
    };
    // Two rows of B a turn: half the counting, and one address of each row of A for two of its values.
    fn pairs(a: &[f32]) -> core::slice::Iter<'_, [f32; 2]> {
        a.as_chunks().0.iter()
    }
    let rows_of_a = pairs(a0).zip(pairs(a1)).zip(pairs(a2)).zip(pairs(a3));
    for ((((a0, a1), a2), a3), b_rows) in rows_of_a.zip(b.pairs.clone()) {
        let pair = (from(b_rows, column), from(b_rows, b.stride + column));
        let (Some(first), Some(second)) = pair else { break };
        add_outer(&mut sums, &[a0[0], a1[0], a2[0], a3[0]], first);
        add_outer(&mut sums, &[a0[1], a1[1], a2[1], a3[1]], second);
    }
    for (p, b) in (2 * b.pairs.len()..).zip(b.alone) {
        if let (Some(a0), Some(a1), Some(a2), Some(a3), Some(b)) =
            (a0.get(p), a1.get(p), a2.get(p), a3.get(p), from(b, column))
        {
            add_outer(&mut sums, &[*a0, *a1, *a2, *a3], b);
        }
    }
    store(&sums, c, column);
}

/// `N` columns of `M` rows of C = C + Aᵀ·B.
#[inline(always)]
fn block_tn<const M: usize, const N: usize>(
    a: &Rows<'_>,
    b: &Rows<'_>,
    c: &mut [&mut [f32]; M],
    row: usize,
    column: usize,
) {
    if !a.reach::<M>(row) || !b.reach::<N>(column) {
        return;
    }
    let mut sums: [[_; N]; M] = load(c, column);
    for (a, b) in a.whole.clone().zip(b.whole.clone()) {
        let (Some(a), Some(b)) = (from::<M>(a, row), from(b, column)) else { break };
        add_outer(&mut sums, a, b);
    }
    if let (Some(a), Some(b)) = (from::<M>(a.last, row), from(b.last, column)) {
        add_outer(&mut sums, a, b);
    }
    store(&sums, c, column);
}

/// Reads a block.
#[inline(always)]
fn load<const M: usize, const N: usize>(c: &[&mut [f32]; M], column: usize) -> [[f32; N]; M] {
    array::from_fn(|r| from(c[r], column).copied().unwrap_or([0.0; N]))
}

/// Writes a block.
#[inline(always)]
fn store<const M: usize, const N: usize>(
    sums: &[[f32; N]; M],
    c: &mut [&mut [f32]; M],
    column: usize,
) {
    for (c, sums) in c.iter_mut().zip(sums) {
        let Some(c) = c.get_mut(column..).and_then(|c| c.first_chunk_mut()) else { return };
        *c = *sums;
    }
}

/// sums ← sums + a ⊗ b, for the first `M` values of `a`.
#[inline(always)]
fn add_outer<const M: usize, const N: usize>(sums: &mut [[f32; N]; M], a: &[f32], b: &[f32; N]) {
    for (sums, a) in sums.iter_mut().zip(a) {
        for i in 0..N {
            sums[i] += a * b[i];
        }
    }
}
