//! A run's directory: `settings.toml`, `metrics.csv` and `.jsonl`, checkpoints, `best.safetensors`, and at the end
//! `model.safetensors`.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use super::error::RunError;
use super::facts::DataFacts;
use super::metrics::{self, Row};
use crate::settings::Settings;
use crate::util::durable::{self, FileError, write};
use crate::weights::trained::{self, TrainedModel};

/// A run's directory, locked for as long as this lives.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    _lock: fs::File,
}

pub(super) const BEST: &str = "best.safetensors";
const METRICS: &str = "metrics.csv";
const METRICS_JSON: &str = "metrics.jsonl";
const SETTINGS: &str = "settings.toml";

impl RunDir {
    /// Makes the directory of a new run.
    ///
    /// # Errors
    /// A directory that holds a run already, or cannot be written.
    pub fn create(path: &Path, settings: &Settings, facts: &DataFacts) -> Result<Self, RunError> {
        fs::create_dir_all(path).map_err(FileError::at(path))?;
        if Self::holds_a_run(path) {
            return Err(RunError::Exists { path: path.to_owned() });
        }
        let lock = lock(path)?;
        let dir = Self { path: path.to_owned(), _lock: lock };
        facts.save(path)?;
        dir.write_settings(settings)?;
        write(&path.join(METRICS_JSON), b"")?;
        // The last of them: a directory with metrics.csv holds a run.
        write(&path.join(METRICS), metrics::head().as_bytes())?;
        Ok(dir)
    }

    /// Writes the run's settings.
    pub(super) fn write_settings(&self, settings: &Settings) -> Result<(), RunError> {
        Ok(write(&self.path.join(SETTINGS), settings.to_toml()?.as_bytes())?)
    }

    /// Whether a run has begun in a directory.
    pub fn holds_a_run(path: &Path) -> bool {
        path.join(METRICS).exists()
    }

    /// The directory of a run that goes on behind `step`: metrics of later steps are cut off. Metrics of earlier versions
    /// get today's names.
    ///
    /// # Errors
    /// A directory that holds no run, or in which one is under way.
    pub fn open(path: &Path, step: u64) -> Result<Self, RunError> {
        let lock = lock(path)?;
        for (file, head) in [(METRICS, metrics::head()), (METRICS_JSON, String::new())] {
            let file = path.join(file);
            let text = match fs::read_to_string(&file) {
                // Killed before it wrote any.
                Err(e) if e.kind() == ErrorKind::NotFound => head.clone(),
                read => read.map_err(FileError::at(&file))?,
            };
            let text = metrics::with_head(metrics::until(&text, step), &head);
            write(&file, text.as_bytes())?;
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The settings of the run in a directory.
    ///
    /// # Errors
    /// A file that cannot be read, or a setting in it that no run could use.
    pub fn settings(path: &Path) -> Result<Settings, RunError> {
        let file = path.join(SETTINGS);
        let text = fs::read_to_string(&file).map_err(FileError::at(&file))?;
        Ok(Settings::parse(&text).map_err(|e| e.in_file(&file))?)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a row to both files of metrics.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn log(&self, row: &Row) -> Result<(), RunError> {
        for (file, line) in [(METRICS, row.csv()), (METRICS_JSON, row.json())] {
            let path = self.path.join(file);
            fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(&path)
                .and_then(|mut file| file.write_all(line.as_bytes()))
                .map_err(FileError::at(&path))?;
        }
        Ok(())
    }

    /// The rows of metrics so far.
    ///
    /// # Errors
    /// A file that cannot be read, or a line in it that is no row.
    pub fn metrics(path: &Path) -> Result<Vec<Row>, RunError> {
        let file = path.join(METRICS_JSON);
        let text = fs::read_to_string(&file).map_err(FileError::at(&file))?;
        metrics::parse(&text).map_err(|(line, source)| RunError::Metrics {
            path: file,
            line,
            source,
        })
    }

    /// The best validation accuracy of the epochs so far.
    ///
    /// # Errors
    /// As [`metrics`](Self::metrics).
    pub fn best(path: &Path) -> Result<Option<f32>, RunError> {
        let rows = Self::metrics(path)?;
        Ok(rows.iter().filter_map(|row| row.validation_accuracy).reduce(f32::max))
    }

    /// Writes the model of the epoch that did best on the validation images.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save_best(&self, model: &TrainedModel) -> Result<(), RunError> {
        Ok(model.save(&self.path.join(BEST))?)
    }

    /// Writes the model of the run's end.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save(&self, model: &TrainedModel) -> Result<(), RunError> {
        Ok(model.save(&self.path.join(trained::FILE))?)
    }
}

/// Takes the lock of a run's directory; the system gives it back when the process ends, however it ends.
fn lock(path: &Path) -> Result<fs::File, RunError> {
    let file = path.join("lock");
    let lock = fs::File::create(&file).map_err(FileError::at(&file))?;
    match lock.try_lock() {
        Ok(()) => {
            // What a run that was killed had not finished; nobody else writes here now.
            durable::tidy(path);
            Ok(lock)
        }
        Err(fs::TryLockError::WouldBlock) => Err(RunError::Locked { path: path.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(FileError { path: file, source }.into()),
    }
}
