//! `mwt-train train` and `mwt-train resume`.

use std::error::Error;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::common::{self, CliResult};
use super::progress::{Console, Verbosity};
use super::recipe::Recipe;
use crate::backend::{self, BackendName};
use crate::data::DataError;
use crate::ranks::Ranks;
use crate::run::{Interrupt, Outcome, Run, RunError, Start, checkpoint};
use crate::train::TrainError;
use crate::util::text::shown;
use crate::{report, with_backend};

#[derive(Debug, Args)]
pub(super) struct Train {
    #[command(flatten)]
    recipe: Recipe,
    /// The run is written to DIR/NAME
    #[arg(long, default_value = "run", value_parser = parse_name)]
    name: String,
    /// Directory of all runs
    #[arg(long, default_value = "runs", value_name = "DIR")]
    runs: PathBuf,
    #[command(flatten)]
    how: How,
}

/// Refuses names that are no folder of their own below the directory of all runs.
fn parse_name(name: &str) -> Result<String, String> {
    let plain = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    match plain && !name.trim().is_empty() {
        true => Ok(name.to_owned()),
        false => Err("expected the name of a new folder, as mnist or first/mnist".into()),
    }
}

impl Train {
    pub(super) fn run(&self) -> CliResult {
        together(|ranks| {
            self.how.backend.check()?;
            let mut layers = self.recipe.layers()?;
            Start::of(&mut layers)?;
            let data = layers.data()?.load_on(ranks)?;
            if ranks.is_first() {
                common::warn_of_left_out(&data);
            }
            let settings = layers.settings(Some(data.shape()))?;
            let run = Run::with_data(ranks, &self.runs.join(&self.name), settings, data)?;
            self.how.train(ranks, run)
        })
    }
}

#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The run's directory
    run: PathBuf,
    /// Where the run's data set lies now, if it was moved; the run remembers it
    #[arg(long, value_name = "DIR")]
    data: Option<String>,
    #[command(flatten)]
    how: How,
}

impl Resume {
    pub(super) fn run(&self) -> CliResult {
        together(|ranks| {
            self.how.backend.check()?;
            let run = Run::resume_with(ranks, &self.run, self.data.as_deref())?;
            if ranks.is_first() {
                common::warn_of_left_out(run.data());
            }
            self.how.train(ranks, run)
        })
    }
}

/// Does something in all the processes that MPI started, or in this one alone. An error of one ends all.
fn together(work: impl FnOnce(&Ranks) -> CliResult) -> CliResult {
    let ranks = Ranks::started()?;
    backend::set_device(ranks.on_machine());
    let result = work(&ranks);
    let (Some(name), Err(error)) = (ranks.name(), &result) else { return result };
    if error.is::<Stopped>() {
        // All stop, and the first says it.
        return result;
    }
    let known = is_known_to_all(&**error);
    let error = shown(&error.to_string());
    if known {
        // One says it.
        if ranks.is_first() {
            say_whole(&format!("error: {error}\n"));
            ranks.abort();
        }
        ranks.any(true);
        ranks.any(true);
    }
    if !ranks.is_first() {
        // Where all have the same trouble, the first says it and ends the others.
        std::thread::sleep(Duration::from_secs(1));
    }
    say_whole(&format!("error: {name}: {error}\n"));
    ranks.abort();
    result
}

/// Writes a line to stderr at once: `eprintln` writes it in pieces, between which other processes' lines would come.
fn say_whole(line: &str) {
    // There is nobody else to tell.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Whether all processes have this error.
fn is_known_to_all(error: &(dyn Error + 'static)) -> bool {
    match error.downcast_ref() {
        Some(RunError::OtherRank(_)) => true,
        Some(RunError::Data(error)) => error.is_known_to_all(),
        _ => error.downcast_ref().is_some_and(DataError::is_known_to_all),
    }
}

/// What beginning and resuming have in common.
#[derive(Debug, Args)]
struct How {
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
    /// Write no report at the end
    #[arg(long)]
    no_report: bool,
    #[command(flatten)]
    verbosity: Verbosity,
}

impl How {
    /// Trains to the end, or until Ctrl-C, writes the report, and says what came of it.
    fn train(&self, ranks: &Ranks, run: Run) -> CliResult {
        let path = run.path().to_owned();
        // Chosen here, so that the report need not read the data set again.
        let images = report::images(run.settings(), run.data());
        let interrupt = Interrupt::on_signals();
        if !ranks.is_first() {
            let outcome = with_backend!(self.backend, B, device => {
                run.train_on::<B>(ranks, &device, &mut ())
            });
            return match outcome.map_err(|error| explained(error, &path))? {
                Outcome::Finished(_) => Ok(()),
                Outcome::Stopped => Err(Stopped::by(&interrupt).into()),
            };
        }
        let outcome = train(ranks, run, self.backend, self.verbosity, &interrupt)?;
        let mut page = None;
        if matches!(outcome, Outcome::Finished(_)) && !self.no_report {
            if !self.verbosity.quiet && !self.verbosity.json {
                // Minutes where images are large.
                eprintln!("writing the report, for which the exported bundles are evaluated");
            }
            page = Some(with_backend!(self.backend, B, device => {
                type Inner = <B as burn::tensor::backend::AutodiffBackend>::InnerBackend;
                report::write_for::<Inner>(&path, Some(images), &device)?
            }));
        }
        if self.verbosity.json {
            println!("{}", event(&path, &outcome));
        }
        let Outcome::Finished(summary) = outcome else {
            if !self.verbosity.json {
                println!("stopped; go on with: mwt-train resume {}", common::quoted(&path));
            }
            return Err(Stopped::by(&interrupt).into());
        };
        if self.verbosity.json {
            return Ok(());
        }
        println!("trained: {}", path.display());
        if let (Some(accuracy), Some(psnr)) = (summary.accuracy, summary.psnr) {
            println!("validation images: accuracy {:.2} %, PSNR {psnr:.2} dB", 100.0 * accuracy);
        }
        if let Some(page) = page {
            println!("report: {}", page.display());
        }
        println!("next: mwt-train export {} -o model.mwt", common::quoted(&path));
        Ok(())
    }
}

/// Trains on a back end, shown on the terminal.
pub(super) fn train(
    ranks: &Ranks,
    run: Run,
    backend: BackendName,
    verbosity: Verbosity,
    interrupt: &Interrupt,
) -> CliResult<Outcome> {
    let path = run.path().to_owned();
    let wanted = run.settings().train.precision;
    let mut console = Console::new(verbosity, &path, wanted, interrupt.clone())?;
    for note in &run.data().remarks.notes {
        console.say(note);
    }
    if let Some(note) = common::memory_note(run.data()) {
        console.say(&note);
    }
    let outcome = with_backend!(backend, B, device => {
        run.train_on::<B>(ranks, &device, &mut console)
    });
    drop(console);
    Ok(outcome.map_err(|error| explained(error, &path))?)
}

/// The last line of `--json`.
fn event(path: &Path, outcome: &Outcome) -> serde_json::Value {
    match outcome {
        Outcome::Finished(summary) => serde_json::json!({
            "event": "trained",
            "run": path.display().to_string(),
            "outer_steps": summary.outer_steps,
            "validation_accuracy": summary.accuracy,
            "validation_psnr": summary.psnr,
            "precision": summary.precision,
        }),
        Outcome::Stopped => serde_json::json!({
            "event": "stopped",
            "resume": format!("mwt-train resume {}", common::quoted(path)),
        }),
    }
}

/// The end of a command because somebody wished so: no error, but not its end either.
#[derive(Debug)]
pub(super) struct Stopped {
    /// The exit status that says so.
    pub(super) status: u8,
}

impl Stopped {
    pub(super) fn by(interrupt: &Interrupt) -> Self {
        Self { status: interrupt.status().unwrap_or(1) }
    }
}

impl std::fmt::Display for Stopped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("stopped")
    }
}

impl std::error::Error for Stopped {}

/// What to do about a run that could not go on.
fn explained(error: RunError, run: &Path) -> String {
    let resume = format!("mwt-train resume {}", common::quoted(run));
    match &error {
        RunError::Data(_) | RunError::Train(TrainError::Data(_)) => format!(
            "{error}; it was readable when the run began: when it is again as it was, go on with {resume}"
        ),
        RunError::Train(TrainError::Diverged { .. }) => {
            let settings = run.join("settings.toml");
            let hint = format!("lower the learning rates in {}, then {resume}", settings.display());
            match checkpoint::load(run) {
                Ok(Some((state, file))) => format!(
                    "{error}; the last good checkpoint is {}, step {}: {hint}",
                    file.display(),
                    state.position.total
                ),
                Ok(None) => format!("{error}; there was no checkpoint yet: {hint}"),
                Err(unreadable) => format!("{error}; {unreadable}"),
            }
        }
        _ => error.to_string(),
    }
}
