//! How fast a run is.

use std::time::Instant;

use crate::train::Progress;

/// Training images per second; absent while there is nothing to measure by.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Since the last report, evaluations left out.
    pub recent: Option<f64>,
    /// Since the start of this process.
    pub mean: Option<f64>,
    /// Seconds to the end at the mean pace.
    pub seconds_left: Option<f64>,
}

/// Measures a run's pace from its reports.
#[derive(Debug)]
pub(super) struct Stopwatch {
    /// Images per outer step.
    batch: f64,
    /// When the first report came, and of which step: a resumed run did not take those before.
    first: Option<(Instant, u64)>,
    last: Option<(Instant, u64)>,
}

impl Stopwatch {
    pub(super) fn new(batch: usize) -> Self {
        Self { batch: batch as f64, first: None, last: None }
    }

    /// The pace at a report.
    pub(super) fn report(&mut self, progress: &Progress) -> Pace {
        let now = (Instant::now(), progress.step);
        let first = *self.first.get_or_insert(now);
        let last = self.last.replace(now).unwrap_or(now);
        let since = |(then, step): (Instant, u64)| {
            let pace = (now.1 - step) as f64 * self.batch / (now.0 - then).as_secs_f64();
            pace.is_finite().then_some(pace)
        };
        let mean = since(first);
        // A run whose epochs were lowered may have taken more.
        let left = progress.steps.saturating_sub(progress.step) as f64 * self.batch;
        let seconds_left = mean.map(|mean| left / mean).filter(|left| left.is_finite());
        Pace { recent: since(last), mean, seconds_left }
    }

    /// Leaves out the time since the last report: it was not spent on training.
    pub(super) fn pause(&mut self) {
        self.last = None;
    }
}
