//! The exception.

use pyo3::prelude::*;

pyo3::create_exception!(
    mwt,
    Error,
    pyo3::exceptions::PyValueError,
    "A bundle or a signal is refused, or a fit fails; the text is the one that mwt-infer gives."
);

/// mwt-infer's error as Python's.
pub(crate) fn refused(e: impl std::fmt::Display) -> PyErr {
    Error::new_err(e.to_string())
}
