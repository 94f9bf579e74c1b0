//! How a run tells about itself: a bar on a terminal, plain lines elsewhere, objects for programs, nothing when asked to
//! be quiet. `log.txt` in the run's directory has the plain lines always.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::evaluate::Evaluation;
use crate::metrics::Row;
use crate::trainer::Progress;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How much a run says.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Tell {
    /// Say nothing but the result
    #[arg(long, conflicts_with = "json")]
    pub(super) quiet: bool,
    /// Print one JSON object a line on stdout: a row of metrics every few steps, then the result
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) struct Reporter {
    bar: Option<ProgressBar>,
    plain: bool,
    json: bool,
    log: File,
    batch: usize,
    /// Start, and the first step told: a run that goes on did not do those before.
    start: Option<(Instant, u64)>,
    /// When the last steps were told of, and which.
    last: Option<(Instant, u64)>,
    line: Instant,
}

impl Reporter {
    pub(super) fn new(batch: usize, tell: Tell, run: &Path) -> Result<Self, String> {
        let silent = tell.quiet || tell.json;
        let terminal = std::io::stderr().is_terminal() && !silent;
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(4));
            let style = "{bar:30} {pos}/{len} steps, {eta} left, {msg}";
            // The template is a constant and valid.
            bar.with_style(ProgressStyle::with_template(style).expect("constant"))
        });
        let path = run.join("log.txt");
        let log = OpenOptions::new().append(true).create(true).open(&path);
        Ok(Self {
            bar,
            plain: !silent && !terminal,
            json: tell.json,
            log: log.map_err(|e| format!("{}: {e}", path.display()))?,
            batch,
            start: None,
            last: None,
            line: Instant::now(),
        })
    }

    /// A line for the log and for people.
    pub(super) fn say(&mut self, text: &str) {
        // A log that cannot be written, for want of room, does not end a run.
        let _ = writeln!(self.log, "{text}");
        if let Some(bar) = &self.bar {
            bar.println(text);
        } else if self.plain {
            eprintln!("{text}");
        }
    }

    /// A row for programs.
    pub(super) fn row(&self, row: &Row) {
        if self.json {
            print!("{}", row.json());
        }
    }

    /// Tells of a few steps, and gives the images a second since the last ones.
    pub(super) fn look(&mut self, p: &Progress) -> Option<f32> {
        let (now, batch) = (Instant::now(), self.batch as f64);
        let (start, first) = *self.start.get_or_insert((now, p.step));
        let speed = (p.step - first) as f64 * batch / (now - start).as_secs_f64();
        let (before, then) = self.last.replace((now, p.step)).unwrap_or((now, p.step));
        let recent = (p.step - then) as f64 * batch / (now - before).as_secs_f64();
        let db = mwt_core::grid::psnr(p.reconstruction / 4.0);
        // At the first look there is nothing yet to measure by.
        let pace = if speed.is_finite() { format!("{speed:.0} images/s, ") } else { String::new() };
        let message = format!(
            "{pace}reconstruction {db:.1} dB, cross-entropy {:.3}, training accuracy {:.1} %",
            p.classification,
            100.0 * p.accuracy
        );
        if let Some(bar) = &self.bar {
            bar.set_length(p.steps);
            bar.set_position(p.step);
            bar.set_message(message.clone());
        }
        if p.end_of_epoch || self.line.elapsed() >= LINE_EVERY {
            self.line = Instant::now();
            let left = (p.steps - p.step) as f64 * batch / speed;
            let left =
                if left.is_finite() { format!(", {} left", duration(left)) } else { String::new() };
            let line =
                format!("step {}/{}, epoch {}{left}: {message}", p.step, p.steps, p.epoch + 1);
            let _ = writeln!(self.log, "{line}");
            if self.plain {
                eprintln!("{line}");
            }
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
        self.say(&text);
        // What the evaluation took is not training's.
        self.last = None;
    }

    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
    }
}

/// Seconds for people: `45 s`, `12 min`, `3.5 h`.
fn duration(seconds: f64) -> String {
    match seconds {
        ..100.0 => format!("{seconds:.0} s"),
        ..6000.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}
