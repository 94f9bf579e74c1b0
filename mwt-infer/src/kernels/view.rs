//! Row-major matrices inside slices.

/// A matrix to read.
#[derive(Clone, Copy, Debug)]
pub struct Mat<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

/// A matrix to write.
#[derive(Debug)]
pub struct MatMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    columns: usize,
    stride: usize,
}

/// How many rows of `columns` values, `stride` apart, lie within `len` values.
const fn rows_within(len: usize, rows: usize, columns: usize, stride: usize) -> usize {
    // The last condition follows from the first two, which compilers miss.
    if columns == 0 || stride < columns || len < columns || stride == 0 {
        return 0;
    }
    let there = (len - columns) / stride + 1;
    if rows < there { rows } else { there }
}

impl<'a> Mat<'a> {
    /// `rows` × `columns` values whose rows lie `stride` apart. Rows that `data` does not hold whole are
    /// left out, so that no product can reach past it.
    pub fn new(data: &'a [f32], rows: usize, columns: usize, stride: usize) -> Self {
        let there = rows_within(data.len(), rows, columns, stride);
        debug_assert_eq!(there, rows, "{rows}×{columns} by {stride} in {}", data.len());
        Self { data, rows: there, columns, stride }
    }

    /// A matrix whose rows touch.
    pub fn dense(data: &'a [f32], rows: usize, columns: usize) -> Self {
        Self::new(data, rows, columns, columns)
    }

    /// Rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Distance from one row to the next.
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// The values, of which the last row may be followed by others.
    pub const fn data(&self) -> &'a [f32] {
        self.data
    }

    /// The values of one row; none when there is no such row.
    pub fn row(&self, row: usize) -> &'a [f32] {
        if row >= self.rows {
            return &[];
        }
        self.data.get(row * self.stride..).and_then(|r| r.get(..self.columns)).unwrap_or_default()
    }
}

impl<'a> MatMut<'a> {
    /// As [`Mat::new`].
    pub fn new(data: &'a mut [f32], rows: usize, columns: usize, stride: usize) -> Self {
        let there = rows_within(data.len(), rows, columns, stride);
        debug_assert_eq!(there, rows, "{rows}×{columns} by {stride} in {}", data.len());
        Self { data, rows: there, columns, stride }
    }

    /// As [`Mat::dense`].
    pub fn dense(data: &'a mut [f32], rows: usize, columns: usize) -> Self {
        Self::new(data, rows, columns, columns)
    }

    /// Rows.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// Distance from one row to the next.
    pub const fn stride(&self) -> usize {
        self.stride
    }

    /// The values, of which the last row may be followed by others.
    pub const fn data_mut(&mut self) -> &mut [f32] {
        self.data
    }

    /// The values of one row from `column` on; none when there is no such row.
    pub fn row_mut(&mut self, row: usize, column: usize) -> &mut [f32] {
        if row >= self.rows {
            return &mut [];
        }
        let start = row * self.stride;
        self.data.get_mut(start + column..start + self.columns).unwrap_or_default()
    }
}
