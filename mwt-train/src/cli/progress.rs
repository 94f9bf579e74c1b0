//! How a run tells about itself: a bar on a terminal, plain lines elsewhere, nothing when asked to be quiet.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::evaluate::Evaluation;
use crate::trainer::Progress;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

pub(super) struct Reporter {
    bar: Option<ProgressBar>,
    plain: bool,
    batch: usize,
    /// Start, and the first step told: a run that goes on did not do those before.
    start: Option<(Instant, u64)>,
    /// When the last steps were told of, and which.
    last: Option<(Instant, u64)>,
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
        Self { bar, plain: !quiet && !terminal, batch, start: None, last: None, line: now }
    }

    /// Tells of a few steps, and gives the images a second since the last ones.
    pub(super) fn look(&mut self, p: &Progress) -> Option<f32> {
        let (now, batch) = (Instant::now(), self.batch as f64);
        let (start, first) = *self.start.get_or_insert((now, p.step));
        let speed = (p.step - first) as f64 * batch / (now - start).as_secs_f64();
        let (before, then) = self.last.replace((now, p.step)).unwrap_or((now, p.step));
        let recent = (p.step - then) as f64 * batch / (now - before).as_secs_f64();
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
        recent.is_finite().then_some(recent as f32)
    }

    /// Tells how the images held out did at the end of an epoch.
    pub(super) fn epoch(&mut self, p: &Progress, evaluation: &Evaluation) {
        let text = format!(
            "epoch {} done: held-out accuracy {:.2} %, PSNR {:.2} dB ({} images)",
            p.epoch + 1,
            100.0 * evaluation.accuracy(),
            evaluation.mean_psnr(),
            evaluation.labels.len()
        );
        if let Some(bar) = &self.bar {
            bar.println(text);
        } else if self.plain {
            eprintln!("{text}");
        }
        // What the evaluation took is not training's.
        self.last = None;
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}
