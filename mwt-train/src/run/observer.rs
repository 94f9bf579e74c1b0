//! Who watches a run.

use super::metrics::Row;
use super::pace::Pace;
use crate::evaluate::Evaluation;
use crate::settings::Precision;
use crate::train::{Position, Progress};

/// Is told how a run goes, and may stop it. Every method does nothing unless it is written; `()` watches in silence.
pub trait Observer {
    /// Training begins or goes on, with the Transformer's products in this precision.
    fn on_begin(&mut self, precision: Precision) {
        let _ = precision;
    }

    /// A report, every few outer steps and at the end of each epoch.
    fn on_progress(&mut self, progress: &Progress, pace: &Pace) {
        let _ = (progress, pace);
    }

    /// The validation images were evaluated at the end of an epoch.
    fn on_validation(&mut self, progress: &Progress, evaluation: &Evaluation) {
        let _ = (progress, evaluation);
    }

    /// A row of metrics was written.
    fn on_row(&mut self, row: &Row) {
        let _ = row;
    }

    /// No more steps are taken, because all are or because the run was stopped.
    fn on_end(&mut self, position: Position) {
        let _ = position;
    }

    /// Asked after every outer step: whether to stop there, with a checkpoint.
    fn should_stop(&self, position: Position) -> bool {
        let _ = position;
        false
    }
}

impl Observer for () {}

/// Stops a run where a function of its position says so.
#[derive(Clone, Copy, Debug)]
pub struct StopWhen<F: Fn(Position) -> bool>(pub F);

impl<F: Fn(Position) -> bool> Observer for StopWhen<F> {
    fn should_stop(&self, position: Position) -> bool {
        (self.0)(position)
    }
}
