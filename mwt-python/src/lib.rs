//! What the Python package `mwt` takes from mwt-infer. Signals come in and numbers go out as bytes, which numpy views
//! without a copy; shapes, types and labels are the business of `python/mwt`.

mod error;
mod fit;
mod loaded;
mod model;
mod signals;

#[pyo3::pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::error::Error;
    #[pymodule_export]
    use super::fit::Fit;
    #[pymodule_export]
    use super::model::Model;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
