//! A linear layer whose weight lies in a bundle.
//!
//! Weights are widened a panel at a time, which then serves all rows of A from the first-level cache. For a few
//! rows f32 weights are multiplied where they lie.

use core::mem::MaybeUninit;

use mwt_core::quant::{Matrix, Values, Vector};

use super::Simd;
use super::gemm::{COLUMNS, DEPTH, Floats, Left, Panel, Rows, Start, product};
use crate::kernels::{Mat, MatMut};

#[inline(always)]
pub(super) fn linear<S: Simd>(
    s: S,
    a: Mat<'_>,
    w: &Matrix<'_>,
    bias: Option<Vector<'_>>,
    mut c: MatMut<'_>,
) {
    let (m, k) = (a.rows().min(c.rows()), a.columns().min(w.rows));
    let n = w.columns.min(c.columns());
    let left = Left { data: a.data().as_ptr(), row: a.stride(), step: 1 };
    let out = Rows { stride: c.stride(), data: c.data_mut().as_mut_ptr() };
    let start = match bias {
        Some(bias) if bias.len() < n => return,
        Some(bias) => Start::Row(bias.bytes().as_ptr().cast()),
        None => Start::Zero,
    };
    let values = w.rows * w.columns;
    let there = match w.values {
        Values::F32(stored) => stored.len() >= values,
        Values::F16(bytes) => bytes.len() >= 2 * values,
        Values::Int8 { scales, data } => data.len() >= values && scales.len() >= w.columns,
    };
    if !there {
        return;
    }
    if let Values::F32(stored) = w.values
        && m <= S::ROWS
    {
        let right = Rows { data: stored.bytes().as_ptr().cast(), stride: w.columns };
        // SAFETY: m, n and k are within the views and the stored values; loads need no alignment.
        unsafe { product::<S, _, false>(s, Floats, [m, n, k], left, right, start, out) }
        return;
    }
    let mut panel = MaybeUninit::<Panel>::uninit();
    let panel: *mut f32 = panel.as_mut_ptr().cast();
    for column in (0..n).step_by(COLUMNS) {
        let columns = COLUMNS.min(n - column);
        for first in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - first);
            // SAFETY: the stored values are there, and the panel has room for them.
            unsafe { widen(s, w, first, depth, column, columns, panel) }
            // SAFETY: as above, and the panel's values are written.
            unsafe {
                let left = Left { data: left.data.add(first), ..left };
                let right = Rows { data: panel.cast_const(), stride: COLUMNS };
                let out = Rows { data: out.data.add(column), ..out };
                let start = match start {
                    _ if first > 0 => Start::Add,
                    Start::Row(bias) => Start::Row(bias.add(column)),
                    other => other,
                };
                product::<S, _, false>(s, Floats, [m, columns, depth], left, right, start, out);
            }
        }
    }
}

/// Widens `depth` rows by `columns` columns of stored values into a panel.
///
/// # Safety
/// The values are there, and the panel has `depth` rows of [`COLUMNS`].
#[inline(always)]
unsafe fn widen<S: Simd>(
    s: S,
    w: &Matrix<'_>,
    first: usize,
    depth: usize,
    column: usize,
    columns: usize,
    panel: *mut f32,
) {
    let start = first * w.columns + column;
    for at in (0..columns).step_by(S::LANES) {
        // SAFETY: whole registers of stored values are read only where they are there; in the panel there is
        // always room for them.
        unsafe {
            let to = panel.add(at);
            if columns - at < S::LANES {
                for row in 0..depth {
                    let to = to.add(row * COLUMNS);
                    s.store_all(s.splat(0.0), to);
                    let to = core::slice::from_raw_parts_mut(to, columns - at);
                    w.read(first + row, column + at, to);
                }
                continue;
            }
            match w.values {
                Values::Int8 { scales, data } => {
                    let scale = s.load_bytes(scales.from(column + at).bytes());
                    let from = data.as_ptr().add(start + at);
                    for row in 0..depth {
                        let value = s.mul(s.load_i8(from.add(row * w.columns)), scale);
                        s.store_all(value, to.add(row * COLUMNS));
                    }
                }
                Values::F16(data) => {
                    let from = data.as_ptr().add(2 * (start + at));
                    for row in 0..depth {
                        let value = s.load_f16(from.add(2 * row * w.columns));
                        s.store_all(value, to.add(row * COLUMNS));
                    }
                }
                Values::F32(values) => {
                    let from = values.bytes().as_ptr().cast::<f32>().add(start + at);
                    for row in 0..depth {
                        let from = from.add(row * w.columns);
                        let value = s.load_all(from);
                        // The next panel's: too far apart for the CPU to foresee.
                        s.prefetch(from.wrapping_add(COLUMNS).cast());
                        s.store_all(value, to.add(row * COLUMNS));
                    }
                }
            }
        }
    }
}
