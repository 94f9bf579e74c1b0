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
use crate::ranks::Ranks;
use crate::settings::TrainSettings;
use crate::train::{Next, Position, Progress, Trainer, Watch};
use crate::weights::trained::{Summary, TrainedModel};

/// Writes down a run's reports and passes them on to its observer.
pub(super) struct Recorder<'r, B: TrainBackend> {
    /// The processes that train; all of them evaluate.
    pub(super) ranks: &'r Ranks,
    /// Where it writes; `None` in all processes but the first.
    pub(super) dir: Option<&'r RunDir>,
    pub(super) train: &'r TrainSettings,
    pub(super) device: &'r B::Device,
    pub(super) observer: &'r mut dyn Observer,
    pub(super) model: ModelParts,
    /// Images that are evaluated at the end of each epoch.
    pub(super) validation: Split,
    /// The best accuracy on them so far.
    pub(super) best: Option<f32>,
    pub(super) stopwatch: Stopwatch,
    /// The step of the last report.
    pub(super) reported: u64,
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
        self.exchanged(progress, &mut row);
        let Some(dir) = self.dir else { return Ok(()) };
        dir.log(&row)?;
        self.observer.on_row(&row);
        let checkpoint_every = Duration::from_secs_f64(self.train.checkpoint_seconds);
        if progress.end_of_epoch || self.saved.elapsed() >= checkpoint_every {
            checkpoint::save(dir.path(), &trainer.state())?;
            self.saved = Instant::now();
        }
        Ok(())
    }

    /// How long each process waited in exchanges: the slowest the least.
    fn exchanged(&mut self, progress: &Progress, row: &mut Row) {
        let steps = (progress.step - self.reported).max(1);
        self.reported = progress.step;
        let waited = self.ranks.take_waited();
        if self.ranks.count() == 1 {
            return;
        }
        let all = self.ranks.gather_f32(&[1e3 * waited.as_secs_f32() / steps as f32]);
        row.exchange_ms = all.first().copied();
        let slowest = (0..all.len()).min_by(|a, b| all[*a].total_cmp(&all[*b]));
        row.slowest_rank = slowest.and_then(|rank| u32::try_from(rank).ok());
    }

    /// Evaluates the validation images, and keeps the model if it is the best so far.
    fn validate(
        &mut self,
        trainer: &Trainer<B>,
        progress: &Progress,
        row: &mut Row,
    ) -> Result<(), RunError> {
        let (params, batch) = (trainer.params(), self.train.batch);
        let evaluation =
            evaluate::on_ranks(self.ranks, params, &self.validation, batch, self.device)?;
        let accuracy = evaluation.accuracy();
        row.validation_accuracy = Some(accuracy);
        row.validation_psnr = Some(evaluation.mean_psnr());
        self.observer.on_validation(progress, &evaluation);
        self.stopwatch.pause();
        if self.best.is_none_or(|best| accuracy > best) {
            self.best = Some(accuracy);
            if let Some(dir) = self.dir {
                dir.save_best(&self.model.of(trainer, Some(&evaluation)))?;
            }
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
