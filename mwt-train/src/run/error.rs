//! Why a run could not begin, go on or come to its end.

use std::path::PathBuf;

use super::checkpoint::CheckpointError;
use crate::data::DataError;
use crate::ranks::OtherRank;
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
    /// The data set is not the one that the run began with.
    #[error(
        "{source_name}: not the data that {} began with: {difference}; give the place of those by --data, or train anew",
        run.display()
    )]
    OtherData {
        /// The data set.
        source_name: String,
        /// The run's directory.
        run: PathBuf,
        /// What is different.
        difference: String,
    },
    /// What a run's directory says of its data cannot be understood.
    #[error("{}: {source}", path.display())]
    Facts {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The processes that shall train together do not have the same.
    #[error(transparent)]
    OtherRank(#[from] OtherRank),
    /// The bundle to start from is refused.
    #[error("{}: {source}", path.display())]
    StartBundle {
        /// The bundle.
        path: PathBuf,
        /// Why.
        source: mwt_core::Error,
    },
    /// The model to start from has other sizes or constants than the run's.
    #[error(
        "{}: has {key} {found}, the run {wanted}: what is learned there is of no use here; leave the setting out{}",
        path.display(),
        if *key == "model.channels" { ", or bring the images to its colours (--grey)" } else { "" }
    )]
    OtherSizes {
        /// The model to start from.
        path: PathBuf,
        /// What differs.
        key: &'static str,
        /// As the model to start from has it.
        found: f64,
        /// As the run has it.
        wanted: f64,
    },
    /// A run has written no model yet.
    #[error("{}: has no model yet: the run was stopped before its first checkpoint", path.display())]
    NoModel {
        /// The run's directory.
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
