//! How a run tells about itself: a bar on a terminal, plain lines elsewhere, nothing when asked to be quiet.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::trainer::Progress;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Reporter {
    bar: Option<ProgressBar>,
    plain: bool,
    batch: usize,
    /// Start, and the first step told: a run that goes on did not do those before.
    start: Option<Instant>,
    first: Option<u64>,
    line: Instant,
}

impl Reporter {
    pub(super) fn new(batch: usize, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
            let style = "{bar:30} {pos}/{len} steps, {eta} left, {msg}";
            // The template is a constant and valid.
            bar.with_style(ProgressStyle::with_template(style).expect("constant"))
        });
        let now = Instant::now();
        Self { bar, plain: !quiet && !terminal, batch, start: None, first: None, line: now }
    }

    pub(super) fn look(&mut self, p: &Progress) {
        let first = *self.first.get_or_insert(p.step);
        let speed = (p.step - first) as f64 * self.batch as f64
            / self.start.get_or_insert_with(Instant::now).elapsed().as_secs_f64();
        let db = mwt_core::grid::psnr(p.reconstruction / 4.0);
        let message = format!(
            "{speed:.0} images/s, reconstruction {db:.1} dB, cross-entropy {:.3}, training accuracy {:.1} %",
            p.classification,
            100.0 * p.accuracy
        );
        if let Some(bar) = &self.bar {
            bar.set_length(p.steps);
            bar.set_position(p.step);
            bar.set_message(message);
        } else if self.plain && (p.end_of_epoch || self.line.elapsed() >= LINE_EVERY) {
            self.line = Instant::now();
            eprintln!("step {}/{}, epoch {}: {message}", p.step, p.steps, p.epoch + 1);
        }
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}
