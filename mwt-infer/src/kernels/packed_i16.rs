//! Products of 16-bit integers, for the fit's hidden layers and attention: what they are, in safe Rust.
//!
//! Two neighbouring integers of a sum share the 32 bits of an f32 in the caller's memory, which holds them in place of
//! the values that they were rounded from. A sum is an exact i32: rounded to [`limit`](super::panels::limit), its terms cannot overflow it,
//! and so it is the same number on every instruction set.

use super::panels::{self, COLUMNS, ROWS};
use super::{Init, Mat, MatMut};

/// Two integers as one value; what is not finite becomes anything.
fn pair(low: f32, high: f32) -> f32 {
    let integer = |x: f32| u32::from(libm::rintf(x) as i16 as u16);
    f32::from_bits(integer(low) | integer(high) << 16)
}

/// Both integers.
fn apart(pair: f32) -> [i32; 2] {
    let bits = pair.to_bits();
    [bits as u16 as i16, (bits >> 16) as u16 as i16].map(i32::from)
}

/// The products, as they are defined; an instruction set that is faster with integers has its own.
///
/// Those of attention take what was packed in place. Those of the fit take operands of [`pack_a`](Self::pack_a) and its
/// like, which lie as suits the kernel, in half of the memory of what they were rounded from: by default as
/// the module `panels` has them, and in the order of the matrix where `FASTER`.
pub trait PackedI16: Copy {
    /// Whether these products are faster than those of f32.
    const FASTER: bool = false;

    /// The shortest sums of the fit's hidden layers that are faster in integers.
    const SHORTEST: usize = usize::MAX;

    /// Packs A `[m, k]`, for [`product_i16`](Self::product_i16).
    #[inline]
    fn pack_a(self, a: Mat<'_>, factor: f32, to: &mut [f32]) {
        panels::pack_rows::<ROWS>(a, factor, to);
    }

    /// Packs A `[k, m]`, for [`product_tn_i16`](Self::product_tn_i16).
    #[inline]
    fn pack_a_t(self, a: Mat<'_>, factor: f32, to: &mut [f32]) {
        panels::pack_columns::<ROWS>(a, factor, to);
    }

    /// Packs B `[k, n]`.
    #[inline]
    fn pack_b(self, b: Mat<'_>, factor: f32, to: &mut [f32]) {
        panels::pack_columns::<COLUMNS>(b, factor, to);
    }

    /// Packs B from Bᵀ `[n, k]`; `scratch` holds some of its rows.
    #[inline]
    fn pack_b_t(self, b: Mat<'_>, factor: f32, scratch: &mut [f32], to: &mut [f32]) {
        let _ = scratch;
        panels::pack_rows::<COLUMNS>(b, factor, to);
    }

    /// C = init + scale·A·B for packed A and B, with sums of `terms` integers that are exact.
    #[inline]
    fn product_i16(
        self,
        a: &[f32],
        b: &[f32],
        terms: usize,
        scale: f32,
        init: Init<'_>,
        c: MatMut<'_>,
    ) {
        panels::product(a, b, terms, scale, init, c);
    }

    /// C = C + scale·Aᵀ·B for packed A and B, with sums of `terms` integers that are exact.
    #[inline]
    fn product_tn_i16(self, a: &[f32], b: &[f32], terms: usize, scale: f32, c: MatMut<'_>) {
        panels::product(a, b, terms, scale, Init::Add, c);
    }

    /// The largest magnitude in a slice, NaN when one of its values is not finite.
    #[inline]
    fn largest(self, x: &[f32]) -> f32 {
        // x·0 is 0 for every finite x and NaN for the rest.
        x.iter().fold(0.0, |l: f32, x| l.max(x.abs())) + x.iter().map(|x| x * 0.0).sum::<f32>()
    }

    /// Rounds factor·x to 16-bit integers, in place: values of two neighbouring rows of `columns` share one, so the
    /// first half of `x` holds all of them.
    #[inline]
    fn pack_rows(self, x: &mut [f32], columns: usize, factor: f32) {
        let columns = columns.max(1);
        for row in 0..x.len() / (2 * columns) {
            for column in 0..columns {
                let at = |row: usize| x.get(row * columns + column).copied().unwrap_or_default();
                let packed = pair(at(2 * row) * factor, at(2 * row + 1) * factor);
                if let Some(to) = x.get_mut(row * columns + column) {
                    *to = packed;
                }
            }
        }
    }

    /// As [`pack_rows`](Self::pack_rows), two neighbouring values in one.
    #[inline]
    fn pack_columns(self, x: &mut [f32], factor: f32) {
        for n in 0..x.len() / 2 {
            let at = |n: usize| x.get(n).copied().unwrap_or_default();
            let packed = pair(at(2 * n) * factor, at(2 * n + 1) * factor);
            if let Some(to) = x.get_mut(n) {
                *to = packed;
            }
        }
    }

    /// C = A·B for A `[m, k/2]` of packed columns and B `[k/2, n]` of packed rows: sums of integers, as f32.
    #[inline]
    fn packed_product(self, a: Mat<'_>, b: Mat<'_>, mut c: MatMut<'_>) {
        for row in 0..a.rows().min(c.rows()) {
            for (column, c) in c.row_mut(row, 0).iter_mut().enumerate() {
                let pairs = a.row(row).iter().enumerate();
                *c = pairs.map(|(p, a)| dot(*a, value(b, p, column))).sum::<i32>() as f32;
            }
        }
    }

    /// C = C + scale·Aᵀ·B for A `[p/2, m]` and B `[p/2, n]`, both of packed rows.
    #[inline]
    fn packed_product_tn(self, a: Mat<'_>, b: Mat<'_>, scale: f32, mut c: MatMut<'_>) {
        for row in 0..a.columns().min(c.rows()) {
            for (column, c) in c.row_mut(row, 0).iter_mut().enumerate() {
                let pairs = 0..a.rows().min(b.rows());
                let sum: i32 = pairs.map(|p| dot(value(a, p, row), value(b, p, column))).sum();
                *c = libm::fmaf(sum as f32, scale, *c);
            }
        }
    }
}

fn value(x: Mat<'_>, row: usize, column: usize) -> f32 {
    x.row(row).get(column).copied().unwrap_or_default()
}

fn dot(a: f32, b: f32) -> i32 {
    let ([a0, a1], [b0, b1]) = (apart(a), apart(b));
    a0 * b0 + a1 * b1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_back() {
        for (a, b) in [(0, 0), (1, -1), (-4095, 4095), (32767, -32768)] {
            assert_eq!(apart(pair(a as f32, b as f32)), [a, b]);
        }
    }
}
