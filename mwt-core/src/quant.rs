//! How a matrix is stored in a bundle, and how it is read where it lies.
//!
//! A matrix is `[rows = inputs, columns = outputs]`, row by row. int8 is symmetric with one f32 scale per
//! output: value = q·scale, q in -127..=127, so a linear layer may sum integers and scale once at the end.
//! All numbers are little-endian and need no alignment.

use half::f16;

/// Storage of the matrices of one part of a model. Vectors (biases, norms, layer scales), the first sine
/// layer and the SIREN's head are few values that much depends on: they are always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Scheme {
    /// Symmetric int8 with one f32 scale per output.
    #[default]
    Int8,
    /// IEEE 754 binary16.
    F16,
    /// IEEE 754 binary32.
    F32,
}

impl Scheme {
    /// The scheme's name in command lines and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Int8 => "int8",
            Self::F16 => "f16",
            Self::F32 => "f32",
        }
    }

    /// Bytes of a matrix, scales included.
    pub const fn matrix_bytes(self, rows: usize, columns: usize) -> u64 {
        let (rows, columns) = (rows as u64, columns as u64);
        match self {
            Self::Int8 => (rows + 4) * columns,
            Self::F16 => 2 * rows * columns,
            Self::F32 => 4 * rows * columns,
        }
    }
}

/// The schemes of a bundle, part by part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Schemes {
    /// θ: the start of the fit.
    pub theta: Scheme,
    /// α: the learned rates.
    pub alpha: Scheme,
    /// β: the learned base of the tokens.
    pub beta: Scheme,
    /// The Transformer's linear layers.
    pub transformer: Scheme,
}

impl Schemes {
    /// The same scheme for every part.
    pub const fn all(scheme: Scheme) -> Self {
        Self { theta: scheme, alpha: scheme, beta: scheme, transformer: scheme }
    }
}

/// f32 values where they lie in a bundle.
#[derive(Clone, Copy, Debug)]
pub struct Vector<'a> {
    bytes: &'a [u8],
}

impl<'a> Vector<'a> {
    /// Views little-endian f32 values; a remainder of fewer than four bytes is ignored.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// Number of values.
    pub const fn len(&self) -> usize {
        self.bytes.len() / 4
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = f32> + use<'a> {
        self.bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b))
    }

    /// The values from `start` on; none when that is past the end.
    pub fn from(&self, start: usize) -> Self {
        Self { bytes: self.bytes.get(4 * start..).unwrap_or_default() }
    }

    /// The bytes behind the values.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

/// A matrix where it lies in a bundle.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    /// Inputs.
    pub rows: usize,
    /// Outputs.
    pub columns: usize,
    /// The stored values, row by row.
    pub values: Values<'a>,
}

/// The stored values of a [`Matrix`].
#[derive(Clone, Copy, Debug)]
pub enum Values<'a> {
    /// One signed byte a value and one scale per column.
    Int8 {
        /// Scale of each column.
        scales: Vector<'a>,
        /// Two's complement bytes.
        data: &'a [u8],
    },
    /// binary16 bytes.
    F16(&'a [u8]),
    /// binary32 values.
    F32(Vector<'a>),
}

impl<'a> Matrix<'a> {
    /// Views the bytes that `encode` wrote. Missing bytes read as missing values, never as a panic;
    /// the bundle reader makes sure that none are missing.
    pub fn new(rows: usize, columns: usize, scheme: Scheme, bytes: &'a [u8]) -> Self {
        let values = match scheme {
            Scheme::Int8 => {
                let (scales, data) = bytes.split_at_checked(4 * columns).unwrap_or_default();
                Values::Int8 { scales: Vector::new(scales), data }
            }
            Scheme::F16 => Values::F16(bytes),
            Scheme::F32 => Values::F32(Vector::new(bytes)),
        };
        Self { rows, columns, values }
    }

    /// Reads row `row` from `column` on into `out`, as many values as `out` holds.
    ///
    /// What lies past the matrix is left as it was.
    pub fn read(&self, row: usize, column: usize, out: &mut [f32]) {
        let start = row * self.columns + column;
        match self.values {
            Values::Int8 { scales, data } => {
                let data = data.get(start..).unwrap_or_default();
                for ((o, &q), s) in out.iter_mut().zip(data).zip(scales.from(column).iter()) {
                    *o = f32::from(q as i8) * s;
                }
            }
            Values::F16(bytes) => {
                let data = bytes.get(2 * start..).unwrap_or_default().as_chunks::<2>().0;
                for (o, b) in out.iter_mut().zip(data) {
                    *o = f16::from_le_bytes(*b).to_f32();
                }
            }
            Values::F32(values) => {
                for (o, v) in out.iter_mut().zip(values.from(start).iter()) {
                    *o = v;
                }
            }
        }
    }

    /// Whether every value is one that [`encode`] may write.
    pub(crate) fn check(&self) -> Result<(), crate::Error> {
        let finite = match self.values {
            Values::Int8 { scales, data } => {
                if scales.iter().any(|s| s < 0.0) {
                    return Err(crate::Error::NegativeScale);
                }
                if data.contains(&0x80) {
                    return Err(crate::Error::NotSymmetric);
                }
                // The largest value of a column, not its scale alone.
                scales.iter().all(|s| (127.0 * s).is_finite())
            }
            Values::F16(bytes) => {
                bytes.as_chunks::<2>().0.iter().all(|b| f16::from_le_bytes(*b).is_finite())
            }
            Values::F32(values) => values.iter().all(f32::is_finite),
        };
        if finite { Ok(()) } else { Err(crate::Error::NonFinite) }
    }
}

/// Appends `values` ([rows, columns], row by row) to `out` in `scheme`.
///
/// int8 rounds to the nearest step of max|column|/127; f16 to the nearest value. A value that is not
/// finite, or overflows f16, is written as such and refused by the reader.
#[cfg(feature = "alloc")]
pub fn encode(scheme: Scheme, columns: usize, values: &[f32], out: &mut alloc::vec::Vec<u8>) {
    match scheme {
        Scheme::F32 => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
        Scheme::F16 => out.extend(values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes())),
        Scheme::Int8 => {
            let mut scales = alloc::vec![0.0f32; columns];
            for row in values.chunks_exact(columns) {
                for (s, v) in scales.iter_mut().zip(row) {
                    // Keeps a NaN, which f32::max would hide.
                    *s = if v.abs() > *s || v.is_nan() { v.abs() } else { *s };
                }
            }
            for s in &mut scales {
                *s /= 127.0;
            }
            out.extend(scales.iter().flat_map(|s| s.to_le_bytes()));
            for row in values.chunks_exact(columns) {
                out.extend(row.iter().zip(&scales).map(|(v, s)| {
                    let q = if *s > 0.0 { libm::roundf(v / s) } else { 0.0 };
                    q.clamp(-127.0, 127.0) as i8 as u8
                }));
            }
        }
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const VALUES: [f32; 6] = [0.5, -2.0, 0.0, 0.25, 1.0, 0.0];

    fn read_back(scheme: Scheme) -> Vec<f32> {
        let mut bytes = Vec::new();
        encode(scheme, 3, &VALUES, &mut bytes);
        assert_eq!(bytes.len() as u64, scheme.matrix_bytes(2, 3));
        let m = Matrix::new(2, 3, scheme, &bytes);
        assert_eq!(m.check(), Ok(()));
        let mut out = [[9.0; 3]; 2];
        m.read(0, 0, &mut out[0]);
        m.read(1, 0, &mut out[1]);
        let mut middle = [9.0; 1];
        m.read(1, 1, &mut middle);
        assert_eq!(middle[0], out[1][1]);
        out.concat()
    }

    #[test]
    fn floats_come_back_and_int8_within_half_a_step() {
        assert_eq!(read_back(Scheme::F32), VALUES);
        assert_eq!(read_back(Scheme::F16), VALUES);
        let steps = [0.5 / 127.0, 2.0 / 127.0, 0.0];
        for (i, (got, want)) in read_back(Scheme::Int8).iter().zip(VALUES).enumerate() {
            assert!((got - want).abs() <= 0.5001 * steps[i % 3], "{got} {want}");
        }
    }

    #[test]
    fn what_encode_never_writes_is_refused() {
        use crate::Error::*;
        for scheme in [Scheme::Int8, Scheme::F16, Scheme::F32] {
            for bad in [f32::NAN, f32::INFINITY] {
                let mut bytes = Vec::new();
                encode(scheme, 2, &[1.0, 2.0, bad, 3.0], &mut bytes);
                assert_eq!(Matrix::new(2, 2, scheme, &bytes).check(), Err(NonFinite), "{scheme:?}");
            }
        }
        let mut bytes = Vec::new();
        encode(Scheme::Int8, 1, &[1.0], &mut bytes);
        bytes[4] = 0x80;
        assert_eq!(Matrix::new(1, 1, Scheme::Int8, &bytes).check(), Err(NotSymmetric));
        bytes[3] |= 0x80;
        assert_eq!(Matrix::new(1, 1, Scheme::Int8, &bytes).check(), Err(NegativeScale));
        // A scale that is finite, of values that are not.
        let bytes = [f32::MAX.to_le_bytes().as_slice(), &[127]].concat();
        assert_eq!(Matrix::new(1, 1, Scheme::Int8, &bytes).check(), Err(NonFinite));
    }

    #[test]
    fn a_short_matrix_reads_short() {
        let mut out = [7.0; 4];
        Matrix::new(2, 4, Scheme::Int8, &[0; 3]).read(1, 0, &mut out);
        Matrix::new(2, 4, Scheme::F32, &[0; 3]).read(5, 9, &mut out);
        assert_eq!(out, [7.0; 4]);
    }
}
