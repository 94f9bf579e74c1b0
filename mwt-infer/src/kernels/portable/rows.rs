//! The rows of an operand as slices that loops over them need not check.

use core::slice::ChunksExact;

use crate::kernels::Mat;

/// The `N` values from `column` on.
#[inline(always)]
pub(super) fn from<const N: usize>(row: &[f32], column: usize) -> Option<&[f32; N]> {
    row.get(column..).and_then(|row| row.first_chunk())
}

/// The rows of an operand, a whole stride each, and the last one apart where the slice ends with it. Chunks of a
/// length that never changes leave a loop over them nothing to check.
pub(super) struct Rows<'a> {
    pub(super) whole: ChunksExact<'a, f32>,
    /// The same rows, two at a time.
    pub(super) pairs: ChunksExact<'a, f32>,
    /// The rows that make no pair, in their order, or nothing.
    pub(super) alone: [&'a [f32]; 2],
    pub(super) last: &'a [f32],
    pub(super) stride: usize,
}

impl<'a> Rows<'a> {
    /// At most `depth` rows.
    pub(super) fn new(x: Mat<'a>, depth: usize) -> Self {
        let depth = depth.min(x.rows());
        Self::split(x, depth, Self::ends_short(x, depth))
    }

    /// The rows of two operands that are walked together: split alike, or the last row of the one would meet no
    /// row of the other.
    pub(super) fn pair(x: Mat<'a>, y: Mat<'a>) -> (Self, Self) {
        let depth = x.rows().min(y.rows());
        let apart = Self::ends_short(x, depth) || Self::ends_short(y, depth);
        (Self::split(x, depth, apart), Self::split(y, depth, apart))
    }

    /// Whether the slice ends within the stride of its last row.
    fn ends_short(x: Mat<'_>, depth: usize) -> bool {
        x.data().len() < depth * x.stride().max(1)
    }

    /// `depth` rows, the last one `apart` or not.
    fn split(x: Mat<'a>, depth: usize, apart: bool) -> Self {
        let stride = x.stride().max(1);
        let count = if apart { depth.saturating_sub(1) } else { depth };
        let (whole, rest) = x.data().split_at_checked(count * stride).unwrap_or_default();
        let last = if apart { rest } else { &[] };
        let pairs = whole.chunks_exact(stride.saturating_mul(2).max(1));
        let odd = pairs.remainder();
        let alone = if odd.is_empty() { [last, &[]] } else { [odd, last] };
        Self { whole: whole.chunks_exact(stride), pairs, alone, last, stride }
    }

    /// Whether rows have `N` values from `column` on.
    #[inline(always)]
    pub(super) fn reach<const N: usize>(&self, column: usize) -> bool {
        column <= self.stride && self.stride - column >= N
    }
}
