//! Linear layers in int8 with AVX-512's VNNI.
//!
//! A row of A becomes a = q·scale with q in -127..=127, stored as q + 128, because the instruction multiplies
//! unsigned by signed bytes: four neighbouring ones of A by four rows of W, summed into an i32. What the 128
//! adds, 128·Σ w of each column, is taken away again. With the scales of A's rows and W's columns,
//! c = Σ q·w · scale_a · scale_w + bias.

use core::arch::x86_64::*;
use core::mem::MaybeUninit;

use mwt_core::quant::{Matrix, Values, Vector};

use super::{Mat, MatMut};

/// The longest sum: W's rows, a multiple of 4.
const DEPTH: usize = 1024;
/// The shortest sum that pays for rounding A and packing W.
const SHORTEST: usize = 64;
/// Bytes for rows of A.
const ROUNDED: usize = 16 * 1024;
/// Columns of a panel of W: two registers.
const COLUMNS: usize = 32;
/// Rows of a register block.
const ROWS: usize = 14;
/// The most rows of A that are rounded at a time.
const TILE: usize = 128;

#[repr(align(64))]
struct Aligned<T>(MaybeUninit<T>);

impl<T> Aligned<T> {
    const fn new() -> Self {
        Self(MaybeUninit::uninit())
    }

    const fn as_mut_ptr<V>(&mut self) -> *mut V {
        self.0.as_mut_ptr().cast()
    }
}

/// C = A·W + bias. Gives false, having done nothing, for weights that are not int8, sums that are
/// shorter than [`SHORTEST`] or longer than [`DEPTH`], and widths that are no multiple of [`COLUMNS`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
pub(super) fn linear(
    a: Mat<'_>,
    w: &Matrix<'_>,
    bias: Option<Vector<'_>>,
    c: &mut MatMut<'_>,
) -> bool {
    let Values::Int8 { scales, data } = w.values else { return false };
    let (m, k, n) = (a.rows().min(c.rows()), w.rows, w.columns);
    let depth = k.next_multiple_of(4);
    let fits = depth <= DEPTH && n.is_multiple_of(COLUMNS) && a.columns() == k && c.columns() == n;
    let there = data.len() >= k * n && scales.len() >= n && bias.is_none_or(|b| b.len() >= n);
    if !fits || !there || k < SHORTEST {
        return false;
    }
    let mut rounded = Aligned::<[u8; ROUNDED]>::new();
    let mut panel = Aligned::<[u8; DEPTH * COLUMNS]>::new();
    let (rounded, panel) = (rounded.as_mut_ptr::<u8>(), panel.as_mut_ptr::<i8>());
    let mut row_scales = [0.0f32; TILE];
    let (stride, out) = (c.stride(), c.data_mut().as_mut_ptr());
    let tile = (ROUNDED / depth).min(TILE);
    for first in (0..m).step_by(tile) {
        let rows = tile.min(m - first);
        for (row, scale) in row_scales.iter_mut().enumerate().take(rows) {
            // SAFETY: `tile` rows of `depth` bytes fit into `rounded`.
            *scale = unsafe { round(a.row(first + row), rounded.add(row * depth), depth) };
        }
        for column in (0..n).step_by(COLUMNS) {
            // SAFETY: COLUMNS columns of k rows are there from `column` on, as checked above; so are the
            // scales and biases, and rows first..first+rows of C.
            unsafe {
                let excess = pack(data.as_ptr().cast::<i8>().add(column), k, n, panel);
                let scales = scales.bytes().as_ptr().cast::<f32>().add(column);
                let bias = bias.map(|b| b.bytes().as_ptr().cast::<f32>().add(column));
                let ends = Ends { excess, scales, bias };
                let blocks = rows.div_ceil(ROWS);
                let mut row = 0;
                for b in 0..blocks {
                    let count = (rows - row).div_ceil(blocks - b);
                    let a = rounded.cast_const().add(row * depth);
                    let row_scales = row_scales.as_ptr().add(row);
                    let c = out.add((first + row) * stride + column);
                    sized(count, depth, a, panel, &ends, row_scales, c, stride);
                    row += count;
                }
            }
        }
    }
    true
}

/// What ends a block: the excess of the unsigned bytes, and the columns' scales and biases.
struct Ends {
    excess: [__m512i; 2],
    scales: *const f32,
    bias: Option<*const f32>,
}

/// Rounds a row to q + 128 and gives its scale. The bytes from the row's end to `depth` meet weights of 0.
///
/// # Safety
/// `depth` bytes, at least as many as the row has values, may be written at `to`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn round(row: &[f32], to: *mut u8, depth: usize) -> f32 {
    let mask = |at: usize| -> __mmask16 {
        if row.len() - at >= 16 { 0xffff } else { (1 << (row.len() - at)) - 1 }
    };
    let (mut largest, mut check) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    for at in (0..row.len()).step_by(16) {
        // SAFETY: the mask leaves out what is past the row.
        let x = unsafe { _mm512_maskz_loadu_ps(mask(at), row.as_ptr().add(at)) };
        largest = _mm512_max_ps(largest, _mm512_abs_ps(x));
        // x·0 is 0 for every finite x and NaN for the rest.
        check = _mm512_fmadd_ps(x, _mm512_setzero_ps(), check);
    }
    let largest = _mm512_reduce_max_ps(largest);
    let factor = _mm512_set1_ps(if largest > 0.0 { 127.0 / largest } else { 0.0 });
    for at in (0..row.len()).step_by(16) {
        // SAFETY: as above; bytes are written where the row has values.
        unsafe {
            let x = _mm512_maskz_loadu_ps(mask(at), row.as_ptr().add(at));
            let q = _mm512_cvtps_epi32(_mm512_mul_ps(x, factor));
            let q = _mm_xor_si128(_mm512_cvtsepi32_epi8(q), _mm_set1_epi8(-128));
            _mm_mask_storeu_epi8(to.add(at).cast(), mask(at), q);
        }
    }
    for at in row.len()..depth {
        // SAFETY: `depth` bytes may be written.
        unsafe { to.add(at).write(0) }
    }
    // No byte can hold a NaN: it comes back out by way of the scale.
    largest / 127.0 + _mm512_reduce_add_ps(check)
}

/// Packs [`COLUMNS`] columns of W as [k/4][column][4], short sums filled up with 0, and gives 128·Σ w of each.
///
/// # Safety
/// k rows of [`COLUMNS`] values lie `stride` apart at `from`; the panel has room for them.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn pack(from: *const i8, k: usize, stride: usize, panel: *mut i8) -> [__m512i; 2] {
    let mut excess = [_mm512_setzero_si512(); 2];
    let offset = _mm512_set1_epi8(-128);
    for group in 0..k.div_ceil(4) {
        for (half, excess) in excess.iter_mut().enumerate() {
            // SAFETY: rows of W are read where they are there; the panel has 4·COLUMNS bytes for each group.
            unsafe {
                let row = |r: usize| {
                    let row = 4 * group + r;
                    if row < k {
                        _mm_loadu_si128(from.add(row * stride + 16 * half).cast())
                    } else {
                        _mm_setzero_si128()
                    }
                };
                let (a, b, c, d) = (row(0), row(1), row(2), row(3));
                let (ab_low, ab_high) = (_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b));
                let (cd_low, cd_high) = (_mm_unpacklo_epi8(c, d), _mm_unpackhi_epi8(c, d));
                let to = panel.add(4 * COLUMNS * group + 64 * half).cast::<__m128i>();
                _mm_store_si128(to, _mm_unpacklo_epi16(ab_low, cd_low));
                _mm_store_si128(to.add(1), _mm_unpackhi_epi16(ab_low, cd_low));
                _mm_store_si128(to.add(2), _mm_unpacklo_epi16(ab_high, cd_high));
                _mm_store_si128(to.add(3), _mm_unpackhi_epi16(ab_high, cd_high));
                *excess = _mm512_dpbusd_epi32(*excess, offset, _mm512_load_si512(to.cast()));
            }
        }
    }
    excess
}

/// A block of `rows` rows, 1 to [`ROWS`].
///
/// # Safety
/// As [`block`].
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
#[allow(clippy::too_many_arguments)] // The operands of a product.
unsafe fn sized(
    rows: usize,
    depth: usize,
    a: *const u8,
    panel: *const i8,
    ends: &Ends,
    row_scales: *const f32,
    c: *mut f32,
    stride: usize,
) {
    macro_rules! rows {
        ($($m:literal)*) => {
            match rows {
                // SAFETY: the caller's.
                $($m => unsafe { block::<$m>(depth, a, panel, ends, row_scales, c, stride) },)*
                _ => {}
            }
        };
    }
    rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// `M` rows by [`COLUMNS`] columns.
///
/// # Safety
/// `M` rows of `depth` bytes are at `a`, `M` scales at `row_scales`, `M` rows of C `stride` apart at `c`, a
/// packed panel of that depth at `panel`, and [`COLUMNS`] values at the pointers of `ends`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma")]
unsafe fn block<const M: usize>(
    depth: usize,
    a: *const u8,
    panel: *const i8,
    ends: &Ends,
    row_scales: *const f32,
    c: *mut f32,
    stride: usize,
) {
    let mut sums = [[_mm512_setzero_si512(); 2]; M];
    for at in (0..depth).step_by(4) {
        // SAFETY: the caller's.
        unsafe {
            let w = panel.add(at * COLUMNS);
            let w = [_mm512_load_si512(w.cast()), _mm512_load_si512(w.add(64).cast())];
            for r in 0..M {
                let four = a.add(r * depth + at).cast::<i32>().read_unaligned();
                let four = _mm512_set1_epi32(four);
                sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], four, w[0]);
                sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], four, w[1]);
            }
        }
    }
    for (r, sums) in sums.iter().enumerate() {
        for (i, sum) in sums.iter().enumerate() {
            // SAFETY: the caller's.
            unsafe {
                let sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(*sum, ends.excess[i]));
                let scale = _mm512_set1_ps(*row_scales.add(r));
                let scale = _mm512_mul_ps(scale, _mm512_loadu_ps(ends.scales.add(16 * i)));
                let bias = match ends.bias {
                    Some(bias) => _mm512_loadu_ps(bias.add(16 * i)),
                    None => _mm512_setzero_ps(),
                };
                _mm512_storeu_ps(c.add(r * stride + 16 * i), _mm512_fmadd_ps(sum, scale, bias));
            }
        }
    }
}
