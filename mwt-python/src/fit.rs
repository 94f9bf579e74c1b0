//! A fit of one signal, step by step.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mwt_core::bundle::SampleType;
use mwt_infer::{Classifier, Signal, WorkspaceBuf};
use pyo3::prelude::*;
use pyo3::types::PyByteArray;
use self_cell::{MutBorrow, self_cell};

use crate::error::refused;
use crate::loaded::Loaded;
use crate::signals::{floats, grid, signal};

/// What a fit borrows.
struct Owned {
    model: Arc<Loaded>,
    sample: SampleType,
    numbers: Vec<u8>,
    workspace: MutBorrow<WorkspaceBuf>,
}

/// What borrows it.
struct Running<'a> {
    classifier: Classifier<'a, 'a>,
    signal: Signal<'a>,
}

self_cell!(
    struct Cell {
        owner: Owned,
        #[covariant]
        dependent: Running,
    }
);

/// A fit that has taken some of its steps. Threads take turns.
#[pyclass(frozen, module = "mwt._native")]
pub(crate) struct Fit(Mutex<Cell>);

impl Fit {
    pub(crate) fn new(model: Arc<Loaded>, sample: SampleType, numbers: Vec<u8>) -> PyResult<Self> {
        let workspace = WorkspaceBuf::new(model.borrow_dependent().config());
        let owned = Owned { model, sample, numbers, workspace: MutBorrow::new(workspace) };
        let cell = Cell::try_new(owned, |owned| {
            let bundle = owned.model.borrow_dependent();
            let signal = signal(bundle, owned.sample, &owned.numbers)?;
            let workspace = owned.workspace.borrow_mut().as_mut_slice();
            let mut classifier = Classifier::new(bundle, workspace)?;
            classifier.begin();
            Ok(Running { classifier, signal })
        });
        cell.map(|cell| Self(Mutex::new(cell))).map_err(|e: mwt_infer::Error| refused(e))
    }

    fn with<T: Send>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&mut Running<'_>) -> Result<T, mwt_infer::Error> + Send,
    ) -> PyResult<T> {
        py.detach(|| {
            let mut cell: MutexGuard<'_, Cell> =
                self.0.lock().unwrap_or_else(PoisonError::into_inner);
            cell.with_dependent_mut(|_, running| call(running))
        })
        .map_err(refused)
    }
}

#[pymethods]
impl Fit {
    /// Takes the next step and gives the loss before it; `None` when all are taken.
    fn step(&self, py: Python<'_>) -> PyResult<Option<f32>> {
        self.with(py, |running| running.classifier.step(&running.signal))
    }

    /// K logits of the fit as it is.
    fn logits<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyByteArray>> {
        let logits = self.with(py, |running| Ok(running.classifier.logits()?.to_vec()))?;
        Ok(floats(py, &logits))
    }

    /// PSNR of the fit as it is, over all samples, in dB.
    fn psnr(&self, py: Python<'_>) -> PyResult<f32> {
        self.with(py, |running| Ok(running.classifier.quality(&running.signal)?.psnr))
    }

    /// What the fit draws as it is.
    fn reconstruct<'py>(
        &self,
        py: Python<'py>,
        sides: Vec<usize>,
    ) -> PyResult<Bound<'py, PyByteArray>> {
        let extents = grid(&sides)?;
        let numbers = self.with(py, |running| {
            let channels = running.classifier.config().channels;
            let mut numbers = vec![0.0f32; extents.positions() * channels];
            running.classifier.reconstruct(extents, &mut numbers)?;
            Ok(numbers)
        })?;
        Ok(floats(py, &numbers))
    }
}
