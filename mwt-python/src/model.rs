//! A bundle in memory, and what is computed with it for many signals.

use std::sync::Arc;

use mwt_core::bundle::SampleType;
use mwt_infer::{Bundle, Classifier, Error, Isa, WorkspaceBuf, fit_batch, workspace_len};
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::refused;
use crate::fit::Fit;
use crate::loaded::Loaded;
use crate::signals::{bytes_of_one, floats, grid, sample_type, signal};

/// Multiply-adds after which a batch looks whether Python wants it to stop: about a second of one core.
const MACS_BETWEEN_LOOKS: u64 = 20_000_000_000;

/// A parsed bundle.
#[pyclass(frozen, module = "mwt._native")]
pub(crate) struct Model(Arc<Loaded>);

impl Model {
    fn bundle(&self) -> &Bundle<'_> {
        self.0.borrow_dependent()
    }

    /// Fits each signal and puts together what `read` takes from each fit.
    fn batch<'py>(
        &self,
        py: Python<'py>,
        (sample, signals): (&str, &[u8]),
        threads: usize,
        read: impl Fn(&mut Classifier<'_, '_>) -> Result<Vec<f32>, Error> + Sync,
    ) -> PyResult<Bound<'py, PyByteArray>> {
        let (bundle, sample) = (self.bundle(), sample_type(sample)?);
        let sources: Result<Vec<_>, _> = signals
            .chunks(bytes_of_one(bundle, sample))
            .map(|bytes| signal(bundle, sample, bytes))
            .collect();
        let sources = sources.map_err(refused)?;
        let pool = pool(threads, sources.len())?;
        let mut numbers = Vec::new();
        let at_once = (MACS_BETWEEN_LOOKS / bundle.macs().max(1)).max(64) as usize;
        for (chunk, sources) in sources.chunks(at_once).enumerate() {
            let results = py.detach(|| match &pool {
                Some(pool) => pool.install(|| fit_batch(bundle, sources, &read)),
                None => {
                    let mut workspace = WorkspaceBuf::new(bundle.config());
                    let one = |source| {
                        let mut classifier = Classifier::new(bundle, workspace.as_mut_slice())?;
                        classifier.fit(source)?;
                        read(&mut classifier)
                    };
                    sources.iter().map(one).collect()
                }
            });
            for (n, result) in results.into_iter().enumerate() {
                let one =
                    result.map_err(|e| match signals.len() > bytes_of_one(bundle, sample) {
                        true => refused(format!("signal {}: {e}", chunk * at_once + n)),
                        false => refused(e),
                    })?;
                numbers.extend(one);
            }
            py.check_signals()?;
        }
        Ok(floats(py, &numbers))
    }
}

/// Threads for a batch, which end with it: a program may fork between two of them. None where one is enough.
fn pool(threads: usize, signals: usize) -> PyResult<Option<ThreadPool>> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if threads == 0 { cores } else { threads }.min(signals);
    if threads <= 1 {
        return Ok(None);
    }
    let pool = ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map(Some).map_err(|e| pyo3::exceptions::PyRuntimeError::new_err(e.to_string()))
}

#[pymethods]
impl Model {
    #[new]
    fn new(bytes: &[u8]) -> PyResult<Self> {
        let loaded = Loaded::try_new(bytes.to_vec(), |bytes| Bundle::parse(bytes));
        loaded.map(|loaded| Self(Arc::new(loaded))).map_err(refused)
    }

    /// The bundle's bytes.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.borrow_owner())
    }

    /// Sides of the model's grid, its channels, and the type of its numbers.
    fn shape(&self) -> (Vec<usize>, usize, &'static str) {
        let header = self.bundle().header();
        let config = &header.config;
        (config.extents.sides().to_vec(), config.channels, header.input.sample.name())
    }

    /// Features of a signal: of all its tokens, and of φ.
    fn lengths(&self) -> (usize, usize) {
        let config = self.bundle().config();
        (config.tokens() * config.token_len(), config.theta_len())
    }

    /// K labels.
    fn labels(&self) -> Vec<&str> {
        self.bundle().header().labels().collect()
    }

    /// What the bundle holds, as JSON; the keys are those of `mwt-train inspect --json`.
    fn inspect(&self) -> String {
        let bundle = self.bundle();
        let (header, config) = (bundle.header(), bundle.config());
        let scaling = |channel| {
            let scaling = header.input.scaling(channel);
            serde_json::json!({"scale": scaling.scale, "offset": scaling.offset})
        };
        let scaling: Vec<_> = (0..config.channels).map(scaling).collect();
        serde_json::json!({
            "bytes": bundle.bytes(),
            "format_version": bundle.version(),
            "workspace_bytes": size_of::<f32>() * workspace_len(config),
            "fit_macs": config.fit_macs(),
            "transformer_macs": config.transformer_macs(),
            "config": config,
            "storage": header.schemes,
            "input": {"type": header.input.sample.name(), "scaling": scaling},
            "labels": self.labels(),
            "golden_samples": header.golden_samples,
            "facts": {
                "data_set": header.facts.data_set,
                "producer": header.facts.producer,
                "seed": header.facts.seed,
                "outer_steps": header.facts.outer_steps,
                "accuracy": header.facts.accuracy,
                "psnr": header.facts.psnr,
            },
            "isa": Isa::detect().name(),
        })
        .to_string()
    }

    /// Samples tried, and the largest distance of a logit from the trainer's.
    fn self_test(&self, py: Python<'_>) -> PyResult<(usize, f32)> {
        let test = py.detach(|| {
            let mut workspace = WorkspaceBuf::new(self.bundle().config());
            Classifier::new(self.bundle(), workspace.as_mut_slice())?.self_test()
        });
        test.map(|test| (test.samples, test.max_error)).map_err(refused)
    }

    /// The golden samples' signals, in the model's own type, and the trainer's logits.
    fn golden_samples<'py>(
        &self,
        py: Python<'py>,
    ) -> (Bound<'py, PyByteArray>, Bound<'py, PyByteArray>) {
        let (mut signals, mut logits) = (Vec::new(), Vec::new());
        for sample in self.bundle().golden_samples() {
            signals.extend_from_slice(sample.signal);
            logits.extend(sample.logits.iter());
        }
        (PyByteArray::new(py, &signals), floats(py, &logits))
    }

    /// K logits of each signal.
    fn logits<'py>(
        &self,
        py: Python<'py>,
        sample: &str,
        signals: &[u8],
        threads: usize,
    ) -> PyResult<Bound<'py, PyByteArray>> {
        self.batch(py, (sample, signals), threads, |classifier| Ok(classifier.logits()?.to_vec()))
    }

    /// What the Transformer reads of each fit: T tokens of D+1 values.
    fn tokens<'py>(
        &self,
        py: Python<'py>,
        sample: &str,
        signals: &[u8],
        threads: usize,
    ) -> PyResult<Bound<'py, PyByteArray>> {
        let config = self.bundle().config();
        let (count, len) = (config.tokens(), config.token_len());
        self.batch(py, (sample, signals), threads, |classifier| {
            let mut tokens = vec![0.0; count * len];
            for (token, out) in tokens.chunks_mut(len).enumerate() {
                classifier.token(token, out)?;
            }
            Ok(tokens)
        })
    }

    /// φ of each fit.
    fn phi<'py>(
        &self,
        py: Python<'py>,
        sample: &str,
        signals: &[u8],
        threads: usize,
    ) -> PyResult<Bound<'py, PyByteArray>> {
        self.batch(py, (sample, signals), threads, |classifier| Ok(classifier.phi()?.to_vec()))
    }

    /// What each fit draws on a grid of any sides.
    fn reconstruct<'py>(
        &self,
        py: Python<'py>,
        sample: &str,
        signals: &[u8],
        threads: usize,
        sides: Vec<usize>,
    ) -> PyResult<Bound<'py, PyByteArray>> {
        let (extents, channels) = (grid(&sides)?, self.bundle().config().channels);
        self.batch(py, (sample, signals), threads, |classifier| {
            let mut numbers = vec![0.0; extents.positions() * channels];
            classifier.reconstruct(extents, &mut numbers)?;
            Ok(numbers)
        })
    }

    /// A fit of one signal, to be taken step by step.
    fn fit(&self, sample: &str, signal: &[u8]) -> PyResult<Fit> {
        let sample: SampleType = sample_type(sample)?;
        Fit::new(self.0.clone(), sample, signal.to_vec())
    }
}
