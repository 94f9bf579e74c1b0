//! A linear layer whose weight lies in a bundle.
//!
//! f32 weights are multiplied where they lie. int8 and f16 ones are widened a panel at a time, which then
//! serves all rows of A.

use core::mem::MaybeUninit;

use mwt_core::quant::{Matrix, Values, Vector};

use super::Simd;
use super::gemm::{Left, Rows, Start, product};
use crate::kernels::{Mat, MatMut};

/// Rows of a widened panel.
const DEPTH: usize = 256;

/// Columns of a widened panel: two of the widest registers.
const COLUMNS: usize = 32;

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
    if let Values::F32(stored) = w.values {
        let right = Rows { data: stored.bytes().as_ptr().cast(), stride: w.columns };
        // SAFETY: m, n and k are within the views and the stored values; loads need no alignment.
        unsafe { product::<S, false>(s, [m, n, k], left, right, start, out) }
        return;
    }
    // On the stack, which hosts have: targets with little of it use the portable kernel.
    let mut panel = MaybeUninit::<[f32; DEPTH * COLUMNS]>::uninit();
    let panel: *mut f32 = panel.as_mut_ptr().cast();
    for column in (0..n).step_by(COLUMNS) {
        let columns = COLUMNS.min(n - column);
        for first in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - first);
            for row in 0..depth {
                // SAFETY: `COLUMNS` values of a row of the panel are there, and all are written.
                unsafe { widen(s, w, first + row, column, columns, panel.add(row * COLUMNS)) }
            }
            // SAFETY: as above, and the panel's rows are written.
            unsafe {
                let left = Left { data: left.data.add(first), ..left };
                let right = Rows { data: panel.cast_const(), stride: COLUMNS };
                let out = Rows { data: out.data.add(column), ..out };
                let start = match start {
                    _ if first > 0 => Start::Add,
                    Start::Row(bias) => Start::Row(bias.add(column)),
                    other => other,
                };
                product::<S, false>(s, [m, columns, depth], left, right, start, out);
            }
        }
    }
}

/// Widens `columns` stored values of a row from `column` on, and fills up to [`COLUMNS`] with anything.
///
/// # Safety
/// The values are there, and [`COLUMNS`] values may be written at `to`.
#[inline(always)]
unsafe fn widen<S: Simd>(
    s: S,
    w: &Matrix<'_>,
    row: usize,
    column: usize,
    columns: usize,
    to: *mut f32,
) {
    let start = row * w.columns + column;
    // Whole registers straight from the bundle, the rest from a copy that is long enough.
    let mut rest = [0u8; 2 * COLUMNS];
    for at in (0..columns).step_by(S::LANES) {
        let whole = columns - at >= S::LANES;
        let count = S::LANES.min(columns - at);
        let value = match w.values {
            Values::Int8 { scales, data } => {
                let data = data.get(start + at..).unwrap_or_default();
                let scale = s.load_bytes(scales.from(column + at).bytes());
                // SAFETY: a register's bytes are at `data`, or in `rest`.
                let value = unsafe {
                    if whole {
                        s.load_i8(data.as_ptr())
                    } else {
                        rest.iter_mut().zip(data.iter().take(count)).for_each(|(r, d)| *r = *d);
                        s.load_i8(rest.as_ptr())
                    }
                };
                s.mul(value, scale)
            }
            Values::F16(data) => {
                let data = data.get(2 * (start + at)..).unwrap_or_default();
                // SAFETY: as above, two bytes a value.
                unsafe {
                    if whole {
                        s.load_f16(data.as_ptr())
                    } else {
                        rest.iter_mut().zip(data.iter().take(2 * count)).for_each(|(r, d)| *r = *d);
                        s.load_f16(rest.as_ptr())
                    }
                }
            }
            Values::F32(_) => s.splat(0.0),
        };
        // SAFETY: the panel's row has room for whole registers.
        unsafe { s.store_all(value, to.add(at)) }
    }
}
