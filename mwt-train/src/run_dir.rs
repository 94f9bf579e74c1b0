//! A run's directory: `settings.toml`, `metrics.csv` and `.jsonl`, checkpoints, `best.safetensors`, and at the end
//! `model.safetensors`.

use std::collections::HashMap;
use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use mwt_core::ModelConfig;
use mwt_core::bundle::Facts;
use ndarray::Array4;
use safetensors::tensor::SafeTensors;
use serde::{Deserialize, Serialize};

pub use crate::durable::write;
use crate::exchange;
use crate::metrics::{self, Row};
use crate::settings::Settings;
use crate::weights::{Array, Weights};

/// What a run found out, kept beside its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Sizes and constants of the model.
    pub model: ModelConfig,
    /// K class labels.
    pub labels: Vec<String>,
    /// Name of the data set.
    pub data_set: String,
    /// Seed of the run.
    pub seed: u64,
    /// Outer steps taken.
    pub outer_steps: u64,
    /// Accuracy on the images held out of training, before quantization.
    pub accuracy: Option<f32>,
    /// PSNR of the same images in dB.
    pub psnr: Option<f32>,
}

impl Summary {
    /// The facts of a bundle.
    pub fn facts(&self) -> Facts<'_> {
        Facts {
            data_set: &self.data_set,
            producer: concat!("mwt-train ", env!("CARGO_PKG_VERSION")),
            seed: self.seed,
            outer_steps: self.outer_steps,
            accuracy: self.accuracy,
            psnr: self.psnr,
        }
    }
}

/// A run's directory, locked for as long as this lives.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: fs::File,
}

const MODEL: &str = "model.safetensors";
const BEST: &str = "best.safetensors";
const METRICS: &str = "metrics.csv";
const METRICS_JSON: &str = "metrics.jsonl";
const SETTINGS: &str = "settings.toml";
/// Key of the summary in the metadata of `model.safetensors`.
const SUMMARY: &str = "mwt";
/// Name of the tensor with the images for the self-test.
const EXAMPLES: &str = "mwt.examples";

impl RunDir {
    /// Makes the directory of a new run.
    ///
    /// # Errors
    /// A directory that holds a run already, or cannot be written.
    pub fn create(path: &Path, settings: &Settings) -> Result<Self, String> {
        let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        fs::create_dir_all(path).map_err(|e| named(&e))?;
        if path.join(METRICS).exists() {
            return Err(named(&format!(
                "holds a run already; go on with it (mwt-train resume {}), choose another --name, or remove it",
                path.display()
            )));
        }
        let lock = lock(path)?;
        let text = toml::to_string(settings).map_err(|e| e.to_string())?;
        write(&path.join(SETTINGS), text.as_bytes())?;
        write(&path.join(METRICS_JSON), b"")?;
        // The last of them: a directory with metrics.csv holds a run.
        write(&path.join(METRICS), metrics::head().as_bytes())?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The directory of a run that goes on behind `step`: what the metrics say of later steps is cut off.
    ///
    /// # Errors
    /// A directory that holds no run, or in which one is under way.
    pub fn open(path: &Path, step: u64) -> Result<Self, String> {
        let lock = lock(path)?;
        for (file, head) in [(METRICS, metrics::head()), (METRICS_JSON, String::new())] {
            let file = path.join(file);
            let text = match fs::read_to_string(&file) {
                // Killed before it wrote any.
                Err(e) if e.kind() == ErrorKind::NotFound => head,
                read => read.map_err(|e| format!("{}: {e}", file.display()))?,
            };
            write(&file, metrics::until(&text, step).as_bytes())?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The settings of the run in a directory.
    ///
    /// # Errors
    /// One line naming the file.
    pub fn settings(path: &Path) -> Result<Settings, String> {
        let file = path.join(SETTINGS);
        let named = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
        let text = fs::read_to_string(&file).map_err(|e| named(&e))?;
        // toml's own message takes several lines; the last one says what is wrong.
        let settings: Settings =
            toml::from_str(&text).map_err(|e| named(&e.message().replace('\n', " ")))?;
        settings.check().map_err(|e| named(&e))?;
        Ok(settings)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line to both files of metrics.
    ///
    /// # Errors
    /// One line naming the file.
    pub fn log(&self, row: &Row) -> Result<(), String> {
        for (file, line) in [(METRICS, row.csv()), (METRICS_JSON, row.json())] {
            let path = self.path.join(file);
            fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(&path)
                .and_then(|mut file| file.write_all(line.as_bytes()))
                .map_err(|e| format!("{}: {e}", path.display()))?;
        }
        Ok(())
    }

    /// The rows of metrics so far.
    ///
    /// # Errors
    /// One line naming the file.
    pub fn metrics(path: &Path) -> Result<Vec<Row>, String> {
        let file = path.join(METRICS_JSON);
        let text = fs::read_to_string(&file).map_err(|e| format!("{}: {e}", file.display()))?;
        metrics::parse(&text).map_err(|e| format!("{}: {e}", file.display()))
    }

    /// Writes the model of the epoch that did best on the images held out.
    ///
    /// # Errors
    /// One line naming the file.
    pub fn save_best(&self, model: &Model) -> Result<(), String> {
        save_model(&self.path.join(BEST), model)
    }

    /// Writes the model.
    ///
    /// # Errors
    /// One line naming the file.
    pub fn save(&self, model: &Model) -> Result<(), String> {
        save_model(&self.path.join(MODEL), model)
    }
}

/// A trained model: its values and what is known of it.
#[derive(Clone, Debug)]
pub struct Model {
    /// The learned values.
    pub weights: Weights,
    /// What the run found out.
    pub summary: Summary,
    /// Images for the self-test of a bundle, `[n, H, W, C]`.
    pub examples: Option<Array4<u8>>,
}

/// Writes a model as safetensors under the reference's tensor names.
///
/// # Errors
/// One line naming the file.
pub fn save_model(path: &Path, model: &Model) -> Result<(), String> {
    let json = serde_json::to_string(&model.summary).map_err(|e| e.to_string())?;
    let mut arrays = model.weights.arrays().clone();
    if let Some(examples) = &model.examples {
        let values = examples.iter().map(|b| f32::from(*b)).collect();
        arrays.insert(EXAMPLES.into(), Array { shape: examples.shape().to_vec(), values });
    }
    let bytes = exchange::to_safetensors(&arrays, vec![(SUMMARY.into(), json)])?;
    write(path, &bytes)
}

/// Reads what [`save_model`] wrote; `path` is the file or its run's directory.
///
/// # Errors
/// One line naming the file.
pub fn load_model(path: &Path) -> Result<Model, String> {
    let file = if path.is_dir() { path.join(MODEL) } else { path.to_owned() };
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let bytes = fs::read(&file).map_err(|e| named(&e))?;
    let (_, metadata) = SafeTensors::read_metadata(&bytes)
        .map_err(|e| named(&format!("not a safetensors file ({e})")))?;
    let facts: HashMap<String, String> = metadata.metadata().clone().unwrap_or_default();
    let json = facts.get(SUMMARY).ok_or_else(|| {
        named(&"has no model configuration: use `mwt-train import` for a file of another program")
    })?;
    let summary: Summary = serde_json::from_str(json).map_err(|e| named(&e))?;
    summary.model.check().map_err(|e| named(&e))?;
    let mut arrays = exchange::read(&file).map_err(|e| e.to_string())?;
    let examples = arrays.remove(EXAMPLES).and_then(|a| {
        let shape: [usize; 4] = a.shape.try_into().ok()?;
        Array4::from_shape_vec(shape, a.values.into_iter().map(|v| v as u8).collect()).ok()
    });
    let weights = Weights::new(summary.model, arrays).map_err(|e| named(&e))?;
    Ok(Model { weights, summary, examples })
}

/// Takes the lock of a run's directory; the system gives it back when the process ends, however it ends.
fn lock(path: &Path) -> Result<fs::File, String> {
    let file = path.join("lock");
    let lock = fs::File::create(&file).map_err(|e| format!("{}: {e}", file.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(fs::TryLockError::WouldBlock) => {
            Err(format!("{}: another process is training here", path.display()))
        }
        Err(fs::TryLockError::Error(e)) => Err(format!("{}: {e}", file.display())),
    }
}
