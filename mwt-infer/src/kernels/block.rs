//! What sums of products of 16-bit pairs are made of: panels, and the block of C that two of them give.
//!
//! Where the pairs of a panel's row or column lie follows from what loads them: one beside those of its neighbours for a
//! core that takes a pair at a time, [`RUN`] one after the other for a vector register.

/// Pairs of a turn of the loops over them, by which the lengths of sums go up.
pub(super) const TURN: usize = 4;
/// Pairs that lie together: a panel of `G` is `[pairs / RUN][G][RUN]`.
pub(super) const RUN: usize = if cfg!(mwt_mve) { TURN } else { 1 };
/// Rows of a panel of A.
pub(crate) const ROWS: usize = if cfg!(mwt_mve) { 4 } else { 2 };
/// Columns of a panel of B.
pub(crate) const COLUMNS: usize = 4;

/// The rows of C that a panel makes: C = start + size·scale·Σ left·right, each product and sum rounded by itself.
pub(super) struct Block<'a> {
    /// A panel of [`ROWS`], each value two 16-bit integers.
    pub(super) left: &'a [f32],
    /// A panel of [`COLUMNS`] for each four columns.
    pub(super) right: &'a [f32],
    /// Pairs of a sum, a multiple of [`TURN`].
    pub(super) pairs: usize,
    /// What one of a row's integers is.
    pub(super) sizes: [f32; ROWS],
    /// What one of a column's integers is; `None`: 1.
    pub(super) scales: Option<&'a [f32]>,
    /// What all rows start from; `None`: from C.
    pub(super) bias: Option<&'a [f32]>,
    /// C from its first row on, rows `stride` apart.
    pub(super) c: &'a mut [f32],
    pub(super) stride: usize,
    /// Rows of C, [`ROWS`] or fewer.
    pub(super) rows: usize,
    /// Columns of C.
    pub(super) columns: usize,
}
