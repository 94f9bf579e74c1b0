//! Why a run could not begin, go on or come to its end.

use std::path::PathBuf;

use super::checkpoint::CheckpointError;
use crate::data::DataError;
use crate::settings::SettingsError;
use crate::train::TrainError;
use crate::util::durable::FileError;
use crate::weights::trained::TrainedModelError;

/// Why a run could not begin, go on or come to its end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The directory of a new run holds one already.
    #[error("{}: holds a run already", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// Another process is training in the directory.
    #[error("{}: another process is training here", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A checkpoint belongs to another model than `settings.toml`.
    #[error("{}: belongs to another model than settings.toml", path.display())]
    OtherModel {
        /// The checkpoint.
        path: PathBuf,
    },
    /// A line of `metrics.jsonl` is no row of metrics.
    #[error("{}: line {line}: {source}", path.display())]
    Metrics {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// A file of the run cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The settings are refused.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The data set cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A checkpoint cannot be read or written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The model cannot be written.
    #[error(transparent)]
    Model(#[from] TrainedModelError),
    /// Training stopped; what was saved before is good.
    #[error(transparent)]
    Train(#[from] TrainError),
}
