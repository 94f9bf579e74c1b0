//! What a run shows of itself: a bar on a terminal, plain lines elsewhere, objects for programs, nothing when asked to be
//! quiet. `log.txt` in the run's directory always has the plain lines.

use std::fs::{File, OpenOptions};
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::evaluate::Evaluation;
use crate::run::metrics::Row;
use crate::run::{Interrupt, Observer, Pace};
use crate::settings::Precision;
use crate::train::{Position, Progress};
use crate::util::durable::FileError;

/// Between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// How much a run says.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(super) struct Verbosity {
    /// Say nothing but the result
    #[arg(long, conflicts_with = "json")]
    pub(super) quiet: bool,
    /// Print one JSON object per line on stdout: a row of metrics every few steps, then the result
    #[arg(long)]
    pub(super) json: bool,
}

/// Shows a run on the terminal, and stops it at Ctrl-C.
pub(super) struct Console {
    bar: Option<ProgressBar>,
    plain: bool,
    json: bool,
    log: File,
    /// When the last plain line was written.
    line: Instant,
    interrupt: Interrupt,
    /// The precision that the settings ask for.
    wanted: Precision,
}

impl Console {
    pub(super) fn new(
        verbosity: Verbosity,
        run: &Path,
        wanted: Precision,
        interrupt: Interrupt,
    ) -> Result<Self, FileError> {
        let silent = verbosity.quiet || verbosity.json;
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
            json: verbosity.json,
            log: log.map_err(FileError::at(&path))?,
            line: Instant::now(),
            interrupt,
            wanted,
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
}

impl Observer for Console {
    fn on_begin(&mut self, precision: Precision) {
        if precision != Precision::F32 {
            self.say(&format!(
                "the Transformer's products in {precision}, the inner loop's in f32"
            ));
        } else if self.wanted != Precision::F32 {
            self.say(&format!("all products in f32: the device has no {}", self.wanted));
        }
    }

    fn on_progress(&mut self, p: &Progress, pace: &Pace) {
        let db = mwt_core::grid::psnr(p.reconstruction / 4.0);
        let speed = pace.mean.map_or_else(String::new, |mean| format!("{mean:.0} images/s, "));
        let message = format!(
            "{speed}reconstruction {db:.1} dB, cross-entropy {:.3}, training accuracy {:.1} %",
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
            let left = pace.seconds_left.map(|left| format!(", {} left", duration(left)));
            let left = left.unwrap_or_default();
            let line =
                format!("step {}/{}, epoch {}{left}: {message}", p.step, p.steps, p.epoch + 1);
            let _ = writeln!(self.log, "{line}");
            if self.plain {
                eprintln!("{line}");
            }
        }
    }

    fn on_validation(&mut self, p: &Progress, evaluation: &Evaluation) {
        let text = format!(
            "epoch {} done: validation accuracy {:.2} %, PSNR {:.2} dB ({} images)",
            p.epoch + 1,
            100.0 * evaluation.accuracy(),
            evaluation.mean_psnr(),
            evaluation.labels.len()
        );
        self.say(&text);
    }

    fn on_row(&mut self, row: &Row) {
        if self.json {
            print!("{}", row.json());
        }
    }

    fn on_end(&mut self, position: Position) {
        if let Some(bar) = &self.bar {
            bar.abandon();
        }
        let skipped = position.skipped;
        if skipped > 0 {
            eprintln!("warning: {skipped} outer steps diverged and were left out");
        }
    }

    fn should_stop(&self, _: Position) -> bool {
        self.interrupt.is_set()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // A run that ends in an error leaves its bar as it was.
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
