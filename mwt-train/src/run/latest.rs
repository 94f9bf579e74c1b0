//! The model of a run, also of one that has not come to its end.

use std::path::{Path, PathBuf};

use super::checkpoint;
use super::dir::{BEST, RunDir};
use super::error::RunError;
use super::facts::DataFacts;
use crate::weights::trained::{self, Summary, TrainedModel};

/// A model, and where it was found where that is not the end of its run.
#[derive(Debug)]
pub struct Latest {
    /// The model.
    pub model: TrainedModel,
    /// The file that it is from, where the run has not come to its end.
    pub unfinished: Option<PathBuf>,
}

/// The model of the run in a directory: that of its end, else of its best epoch so far, else of its last checkpoint,
/// which has no images for a bundle's self-test. Also of a file of a model.
///
/// # Errors
/// A file that cannot be read, or a run without any of them.
pub fn load(path: &Path) -> Result<Latest, RunError> {
    if !path.is_dir() || path.join(trained::FILE).exists() || !RunDir::holds_a_run(path) {
        return Ok(Latest { model: TrainedModel::load(path)?, unfinished: None });
    }
    let best = path.join(BEST);
    if best.exists() {
        return Ok(Latest { model: TrainedModel::load(&best)?, unfinished: Some(best) });
    }
    let none = || RunError::NoModel { path: path.to_owned() };
    let (state, file) = checkpoint::load(path)?.ok_or_else(none)?;
    let facts = DataFacts::load(path)?.ok_or_else(none)?;
    let settings = RunDir::settings(path)?;
    let summary = Summary {
        model: *state.weights.config(),
        labels: facts.classes,
        data_set: facts.name,
        seed: settings.train.seed,
        outer_steps: state.position.total,
        accuracy: None,
        psnr: None,
        inputs: facts.inputs,
        precision: None,
    };
    let model = TrainedModel { weights: state.weights, summary, examples: None };
    Ok(Latest { model, unfinished: Some(file) })
}
