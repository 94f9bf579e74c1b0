//! Signals of a model's shape, one after the other in bytes.

use mwt_core::bundle::SampleType;
use mwt_infer::{Bundle, Error, Extents, Numbers, Signal};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

/// The type of numbers that Python calls so.
pub(crate) fn sample_type(name: &str) -> PyResult<SampleType> {
    [SampleType::U8, SampleType::I16, SampleType::F32]
        .into_iter()
        .find(|sample| sample.name() == name)
        .ok_or_else(|| PyValueError::new_err(format!("no type of numbers: {name}")))
}

/// Bytes of one signal.
pub(crate) fn bytes_of_one(bundle: &Bundle<'_>, sample: SampleType) -> usize {
    bundle.config().extents.positions() * bundle.config().channels * sample.bytes()
}

/// The signal that some little-endian bytes are.
pub(crate) fn signal<'a>(
    bundle: &Bundle<'_>,
    sample: SampleType,
    bytes: &'a [u8],
) -> Result<Signal<'a>, Error> {
    let config = bundle.config();
    Signal::new(Numbers::Encoded(sample, bytes), config.extents, config.channels)
}

/// A grid to reconstruct on.
pub(crate) fn grid(sides: &[usize]) -> PyResult<Extents> {
    Extents::new(sides).filter(Extents::within_limits).ok_or_else(|| {
        let (side, positions) = (Extents::MAX_SIDE, Extents::MAX_POSITIONS);
        PyValueError::new_err(format!(
            "size {sides:?}: a grid has one to three sides of 1 to {side}, and at most {positions} positions"
        ))
    })
}

/// Numbers as little-endian bytes that numpy may view and write.
pub(crate) fn floats<'py>(py: Python<'py>, numbers: &[f32]) -> Bound<'py, PyByteArray> {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    PyByteArray::new(py, &bytes)
}
