//! What a run writes while it trains: metrics, checkpoints, the best model.

use std::time::{Duration, Instant};

use ndarray::Array2;

use super::checkpoint;
use super::dir::RunDir;
use super::error::RunError;
use super::metrics::{self, Row};
use super::observer::Observer;
use super::pace::Stopwatch;
use crate::data::Split;
use crate::evaluate::{self, Evaluation};
use crate::model::TrainBackend;
use crate::settings::TrainSettings;
use crate::train::{Next, Position, Progress, Trainer, Watch};
use crate::weights::trained::{Summary, TrainedModel};

/// Writes down a run's reports and passes them on to its observer.
pub(super) struct Recorder<'r, B: TrainBackend> {
    pub(super) dir: &'r RunDir,
    pub(super) train: &'r TrainSettings,
    pub(super) device: &'r B::Device,
    pub(super) observer: &'r mut dyn Observer,
    pub(super) model: ModelParts,
    /// Images that are evaluated at the end of each epoch.
    pub(super) validation: Split,
    /// The best accuracy on them so far.
    pub(super) best: Option<f32>,
    pub(super) stopwatch: Stopwatch,
    /// When the last checkpoint was written.
    pub(super) saved: Instant,
    /// What went wrong with a file. The trainer knows of none: it is stopped, and the error waits here.
    pub(super) written: Result<(), RunError>,
}

/// What goes into every model that a run writes, besides its weights.
pub(super) struct ModelParts {
    pub(super) facts: Summary,
    /// Images for the self-test of a bundle.
    pub(super) examples: Array2<f32>,
}

impl ModelParts {
    /// The model as a trainer has it, with what was measured of it.
    pub(super) fn of<B: TrainBackend>(
        &self,
        trainer: &Trainer<B>,
        evaluation: Option<&Evaluation>,
    ) -> TrainedModel {
        TrainedModel {
            weights: trainer.weights(),
            summary: Summary {
                // The trainer's own count: a run killed after its last checkpoint reports no more steps.
                outer_steps: trainer.position().total,
                accuracy: evaluation.map(Evaluation::accuracy),
                psnr: evaluation.map(Evaluation::mean_psnr),
                ..self.facts.clone()
            },
            examples: Some(self.examples.clone()),
        }
    }
}

impl<B: TrainBackend> Recorder<'_, B> {
    fn record(&mut self, trainer: &Trainer<B>, progress: &Progress) -> Result<(), RunError> {
        let pace = self.stopwatch.report(progress);
        self.observer.on_progress(progress, &pace);
        let images_per_second = pace.recent.map(|pace| pace as f32);
        let mut row = Row { images_per_second, ..Row::new(progress) };
        if progress.end_of_epoch && !self.validation.is_empty() {
            self.validate(trainer, progress, &mut row)?;
        }
        row.memory_mib = metrics::peak_memory_mib();
        self.dir.log(&row)?;
        self.observer.on_row(&row);
        let checkpoint_every = Duration::from_secs_f64(self.train.checkpoint_seconds);
        if progress.end_of_epoch || self.saved.elapsed() >= checkpoint_every {
            checkpoint::save(self.dir.path(), &trainer.state())?;
            self.saved = Instant::now();
        }
        Ok(())
    }

    /// Evaluates the validation images, and keeps the model if it is the best so far.
    fn validate(
        &mut self,
        trainer: &Trainer<B>,
        progress: &Progress,
        row: &mut Row,
    ) -> Result<(), RunError> {
        let (params, batch) = (trainer.params(), self.train.batch);
        let evaluation = evaluate::on_backend(params, &self.validation, batch, self.device)?;
        let accuracy = evaluation.accuracy();
        row.validation_accuracy = Some(accuracy);
        row.validation_psnr = Some(evaluation.mean_psnr());
        self.observer.on_validation(progress, &evaluation);
        self.stopwatch.pause();
        if self.best.is_none_or(|best| accuracy > best) {
            self.best = Some(accuracy);
            self.dir.save_best(&self.model.of(trainer, Some(&evaluation)))?;
        }
        Ok(())
    }
}

impl<B: TrainBackend> Watch<B> for Recorder<'_, B> {
    fn on_progress(&mut self, trainer: &Trainer<B>, progress: &Progress) -> Next {
        self.written = self.record(trainer, progress);
        if self.written.is_err() { Next::Stop } else { Next::Continue }
    }

    fn should_stop(&self, position: Position) -> bool {
        self.observer.should_stop(position)
    }
}
