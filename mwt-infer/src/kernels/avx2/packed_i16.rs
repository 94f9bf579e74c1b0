//! Products of 16-bit integers with AVX2's `vpmaddwd`: twice the products of a fused multiply-add.

use core::arch::x86_64::*;

use super::Avx2;
use crate::kernels::{Mat, MatMut, PackedI16, Portable};

/// Columns of a block: two registers of sums.
const COLUMNS: usize = 16;
/// Rows of a block: 6 × 2 sums, 2 registers of B, one of A and a product are all 16.
const ROWS: usize = 6;

impl PackedI16 for Avx2 {
    const FASTER: bool = true;

    #[inline]
    fn largest(self, x: &[f32]) -> f32 {
        // SAFETY: a value of `Avx2` proves that the CPU has the instructions, here and below.
        unsafe { largest(x) }
    }

    #[inline]
    fn pack_rows(self, x: &mut [f32], columns: usize, factor: f32) {
        if columns.is_multiple_of(8) {
            // SAFETY: see above.
            unsafe { pack_rows(x, columns, factor) }
        } else {
            Portable.pack_rows(x, columns, factor);
        }
    }

    #[inline]
    fn pack_columns(self, x: &mut [f32], factor: f32) {
        // SAFETY: see above.
        unsafe { pack_columns(x, factor) }
    }

    #[inline]
    fn packed_product(self, a: Mat<'_>, b: Mat<'_>, c: MatMut<'_>) {
        if !c.columns().is_multiple_of(COLUMNS) || b.columns() != c.columns() {
            return Portable.packed_product(a, b, c);
        }
        let sizes = [a.columns().min(b.rows()), a.rows().min(c.rows())];
        // SAFETY: rows of as many pairs are there.
        unsafe { blocks::<false>(sizes, a, b, c, |sum, _| sum) }
    }

    #[inline]
    fn packed_product_tn(self, a: Mat<'_>, b: Mat<'_>, scale: f32, c: MatMut<'_>) {
        if !c.columns().is_multiple_of(COLUMNS) || b.columns() != c.columns() {
            return Portable.packed_product_tn(a, b, scale, c);
        }
        let sizes = [a.rows().min(b.rows()), a.columns().min(c.rows())];
        let add = |sum: __m256, old: *const f32| {
            // SAFETY: eight values of C are there.
            unsafe { _mm256_fmadd_ps(sum, _mm256_set1_ps(scale), _mm256_loadu_ps(old)) }
        };
        // SAFETY: rows of as many pairs are there.
        unsafe { blocks::<true>(sizes, a, b, c, add) }
    }
}

/// The largest magnitude, NaN when a value is not finite.
#[target_feature(enable = "avx2,fma")]
pub(super) fn largest(x: &[f32]) -> f32 {
    let (eights, rest) = x.as_chunks::<8>();
    let mut last = [0.0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let sign = _mm256_set1_ps(-0.0);
    let (mut largest, mut check) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    for eight in eights.iter().chain([&last]) {
        // SAFETY: eight values are there.
        let x = unsafe { _mm256_loadu_ps(eight.as_ptr()) };
        largest = _mm256_max_ps(_mm256_andnot_ps(sign, x), largest);
        // x·0 is 0 for every finite x and NaN for the rest.
        check = _mm256_fmadd_ps(x, _mm256_setzero_ps(), check);
    }
    let mut lanes = [[0.0f32; 8]; 2];
    // SAFETY: eight values each may be written.
    unsafe {
        _mm256_storeu_ps(lanes[0].as_mut_ptr(), largest);
        _mm256_storeu_ps(lanes[1].as_mut_ptr(), check);
    }
    lanes[0].into_iter().fold(0.0, f32::max) + lanes[1].iter().sum::<f32>()
}

/// Two rows of eight values as eight pairs.
#[target_feature(enable = "avx2,fma")]
fn pairs(low: __m256, high: __m256, factor: __m256) -> __m256i {
    let low = _mm256_cvtps_epi32(_mm256_mul_ps(low, factor));
    let high = _mm256_cvtps_epi32(_mm256_mul_ps(high, factor));
    _mm256_blend_epi16::<0xaa>(low, _mm256_slli_epi32::<16>(high))
}

/// # Safety
/// Only where there is AVX2; `columns` is a multiple of 8.
#[target_feature(enable = "avx2,fma")]
unsafe fn pack_rows(x: &mut [f32], columns: usize, factor: f32) {
    let factor = _mm256_set1_ps(factor);
    let (rows, x) = (x.len() / (2 * columns.max(1)), x.as_mut_ptr());
    for row in 0..rows {
        for column in (0..columns).step_by(8) {
            // SAFETY: two rows are read where they are, and one is written no later in the slice than they end.
            unsafe {
                let from = x.add(2 * row * columns + column);
                let (low, high) = (_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(columns)));
                let to = x.add(row * columns + column).cast();
                _mm256_storeu_si256(to, pairs(low, high, factor));
            }
        }
    }
}

/// # Safety
/// Only where there is AVX2.
#[target_feature(enable = "avx2,fma")]
unsafe fn pack_columns(x: &mut [f32], factor: f32) {
    let whole = x.len() / 16;
    let all = _mm256_set1_ps(factor);
    let start = x.as_mut_ptr();
    for n in 0..whole {
        // SAFETY: sixteen values are read where they are, and eight written, no later in the slice.
        unsafe {
            let from = start.add(16 * n);
            let (a, b) = (_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8)));
            let a = _mm256_cvtps_epi32(_mm256_mul_ps(a, all));
            let b = _mm256_cvtps_epi32(_mm256_mul_ps(b, all));
            // Within lanes: a's and b's fours take turns.
            let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi32(a, b));
            _mm256_storeu_si256(start.add(8 * n).cast(), packed);
        }
    }
    // The rest goes to where it belongs, behind what was packed.
    let pairs = x.len() / 2 - 8 * whole;
    x.copy_within(16 * whole.., 8 * whole);
    if let Some(rest) = x.get_mut(8 * whole..8 * whole + 2 * pairs) {
        Portable.pack_columns(rest, factor);
    }
}

/// Goes through C in blocks; A is `[m, pairs]`, or `[pairs, m]` when it is `TRANSPOSED`, and B `[pairs, n]`. What is
/// written is what `end` makes of eight sums and the values of C in their place.
///
/// # Safety
/// `pairs` pairs of m rows are in A and B, m rows in C, and C's columns are B's and a multiple of [`COLUMNS`].
#[target_feature(enable = "avx2,fma")]
unsafe fn blocks<const TRANSPOSED: bool>(
    [pairs, m]: [usize; 2],
    a: Mat<'_>,
    b: Mat<'_>,
    mut c: MatMut<'_>,
    end: impl Fn(__m256, *const f32) -> __m256,
) {
    let (a, a_stride) = (a.data().as_ptr(), a.stride());
    let (b, b_stride) = (b.data().as_ptr(), b.stride());
    let (n, c_stride) = (c.columns(), c.stride());
    let c = c.data_mut().as_mut_ptr();
    for column in (0..n).step_by(COLUMNS) {
        let count = m.div_ceil(ROWS);
        let mut row = 0;
        for block in 0..count {
            let rows = (m - row).div_ceil(count - block);
            macro_rules! block {
                ($($m:literal)*) => {
                    match rows {
                        // SAFETY: the caller's.
                        $($m => unsafe {
                            let a = (a.add(if TRANSPOSED { row } else { row * a_stride }), a_stride);
                            let b = (b.add(column), b_stride);
                            let sums = sums::<$m, TRANSPOSED>(pairs, a, b);
                            for (r, sums) in sums.into_iter().enumerate() {
                                for (i, sum) in sums.into_iter().enumerate() {
                                    let to = c.add((row + r) * c_stride + column + 8 * i);
                                    _mm256_storeu_ps(to, end(_mm256_cvtepi32_ps(sum), to));
                                }
                            }
                        },)*
                        _ => {}
                    }
                };
            }
            block!(1 2 3 4 5 6);
            row += rows;
        }
    }
}

/// The sums of `M` rows by [`COLUMNS`] columns.
///
/// # Safety
/// As for [`blocks`].
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn sums<const M: usize, const TRANSPOSED: bool>(
    pairs: usize,
    (a, a_stride): (*const f32, usize),
    (b, b_stride): (*const f32, usize),
) -> [[__m256i; 2]; M] {
    let mut sums = [[_mm256_setzero_si256(); 2]; M];
    for p in 0..pairs {
        // SAFETY: the caller's.
        unsafe {
            let b = b.add(p * b_stride);
            let b = [_mm256_loadu_si256(b.cast()), _mm256_loadu_si256(b.add(8).cast())];
            for (r, sums) in sums.iter_mut().enumerate() {
                // One of the two steps is known to the compiler, so that few addresses are counted up.
                let at = if TRANSPOSED { r + p * a_stride } else { r * a_stride + p };
                let a = _mm256_set1_epi32(a.add(at).cast::<i32>().read());
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(a, b));
                }
            }
        }
    }
    sums
}
