//! `mwt-train train`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;

use super::progress::{Reporter, Tell};
use super::recipe::Recipe;
use crate::backend::BackendName;
use crate::checkpoint;
use crate::data::{Dataset, Split};
use crate::evaluate::{self, Evaluation};
use crate::metrics::{self, Row};
use crate::model::TrainBackend;
use crate::run_dir::{Model, RunDir, Summary};
use crate::settings::Settings;
use crate::trainer::{Next, Progress, TrainError, Trainer};
use crate::{report, with_backend};

#[derive(Debug, Args)]
pub(super) struct Train {
    #[command(flatten)]
    recipe: Recipe,
    /// The run is written to DIR/NAME
    #[arg(long, default_value = "run")]
    name: String,
    /// Directory of all runs
    #[arg(long, default_value = "runs", value_name = "DIR")]
    runs: PathBuf,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
    /// Write no report at the end
    #[arg(long)]
    no_report: bool,
    #[command(flatten)]
    tell: Tell,
}

impl Train {
    pub(super) fn run(&self) -> Result<(), String> {
        self.backend.check()?;
        let layers = self.recipe.layers()?;
        let set = layers.data()?.load().map_err(|e| e.to_string())?;
        super::warn_of_left_out(&set);
        let settings = layers.settings(Some(&set))?;
        let path = self.runs.join(&self.name);
        let run = RunDir::create(&path, &settings)?;
        with_backend!(self.backend, B, device => {
            let trainer = Trainer::<B>::new(&settings, &device);
            train_and_tell(trainer, &settings, set, &run, &device, !self.no_report, self.tell)?;
        });
        Ok(())
    }
}

/// Goes on with a run that was stopped
#[derive(Debug, Args)]
pub(super) struct Resume {
    /// The run's directory
    run: PathBuf,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
    /// Write no report at the end
    #[arg(long)]
    no_report: bool,
    #[command(flatten)]
    tell: Tell,
}

impl Resume {
    pub(super) fn run(&self) -> Result<(), String> {
        self.backend.check()?;
        let settings = RunDir::settings(&self.run)?;
        let saved = checkpoint::load(&self.run)?;
        if let Some((state, file)) = &saved
            && *state.weights.config() != settings.model
        {
            return Err(format!("{}: belongs to another model than settings.toml", file.display()));
        }
        let set = settings.data.load().map_err(|e| e.to_string())?;
        super::warn_of_left_out(&set);
        let step = saved.as_ref().map_or(0, |(state, _)| state.position.total);
        let run = RunDir::open(&self.run, step)?;
        with_backend!(self.backend, B, device => {
            let trainer = match &saved {
                Some((state, _)) => Trainer::<B>::resume(&settings, state, &device),
                // Killed before its first checkpoint: everything follows from the seed.
                None => Trainer::<B>::new(&settings, &device),
            };
            train_and_tell(trainer, &settings, set, &run, &device, !self.no_report, self.tell)?;
        });
        Ok(())
    }
}

/// Trains to the end, or until Ctrl-C, and says what came of it.
fn train_and_tell<B: TrainBackend>(
    trainer: Trainer<B>,
    settings: &Settings,
    set: Dataset,
    run: &RunDir,
    device: &B::Device,
    with_report: bool,
    tell: Tell,
) -> Result<(), String> {
    // Chosen here, so that the report need not read the data set again.
    let shown = with_report.then(|| report::images(settings, set.train.clone()));
    let summary = train(trainer, settings, set, run, device, tell)?;
    finish::<B>(summary, run, device, shown, tell)
}

/// Writes the report of a run that came to its end, where it has images to show, and says what came of it.
fn finish<B: TrainBackend>(
    summary: Option<Summary>,
    run: &RunDir,
    device: &B::Device,
    shown: Option<Split>,
    tell: Tell,
) -> Result<(), String> {
    let path = run.path();
    let page = match (&summary, shown) {
        (Some(_), Some(images)) => {
            if !tell.quiet && !tell.json {
                // Minutes where images are large.
                eprintln!("writing the report, for which the exported bundles are evaluated");
            }
            Some(report::write_for::<B::InnerBackend>(path, Some(images), device)?)
        }
        _ => None,
    };
    if tell.json {
        let resume = format!("mwt-train resume {}", path.display());
        let line = match summary {
            Some(summary) => serde_json::json!({
                "event": "trained",
                "run": path.display().to_string(),
                "outer_steps": summary.outer_steps,
                "held_out_accuracy": summary.accuracy,
                "held_out_psnr": summary.psnr,
            }),
            None => serde_json::json!({"event": "stopped", "resume": resume}),
        };
        println!("{line}");
        return Ok(());
    }
    let Some(summary) = summary else {
        println!("stopped; go on with: mwt-train resume {}", path.display());
        return Ok(());
    };
    println!("trained: {}", path.display());
    if let (Some(accuracy), Some(psnr)) = (summary.accuracy, summary.psnr) {
        println!("held-out images: accuracy {:.2} %, PSNR {psnr:.2} dB", 100.0 * accuracy);
    }
    if let Some(page) = page {
        println!("report: {}", page.display());
    }
    println!("next: mwt-train export {} -o model.mwt", path.display());
    Ok(())
}

/// Trains to the end, or until Ctrl-C, and evaluates on the images held out. Gives nothing when stopped.
pub(super) fn train<B: TrainBackend>(
    mut trainer: Trainer<B>,
    settings: &Settings,
    set: Dataset,
    run: &RunDir,
    device: &B::Device,
    tell: Tell,
) -> Result<Option<Summary>, String> {
    let note = super::memory_note(&set);
    let checkpoint_every = Duration::from_secs_f64(settings.train.checkpoint_seconds);
    let (split, held_out) = settings.hold_out(set.train);
    let judged: Vec<usize> = (0..held_out.len().min(settings.train.epoch_images)).collect();
    let judged = held_out.select(&judged);
    let examples = golden_examples(&held_out, &split).to_array().map_err(|e| e.to_string())?;
    let facts = Summary {
        model: settings.model,
        labels: set.classes,
        data_set: set.name,
        seed: settings.train.seed,
        outer_steps: 0,
        accuracy: None,
        psnr: None,
    };
    let model = |trainer: &Trainer<B>, evaluation: Option<&Evaluation>| Model {
        weights: trainer.weights(),
        summary: Summary {
            // Not from what `look` was told: a run killed after its last checkpoint takes no more steps.
            outer_steps: trainer.position().total,
            accuracy: evaluation.map(Evaluation::accuracy),
            psnr: evaluation.map(Evaluation::mean_psnr),
            ..facts.clone()
        },
        examples: Some(examples.clone()),
    };
    let rows = RunDir::metrics(run.path())?;
    let mut best = rows.iter().filter_map(|row| row.held_out_accuracy).reduce(f32::max);
    let mut reporter = Reporter::new(settings.train.batch, tell, run.path())?;
    if let Some(note) = note {
        reporter.say(&note);
    }
    let interrupted = interrupted();
    let mut saved = Instant::now();
    let mut tell = |trainer: &Trainer<B>, progress: &Progress| -> Result<(), String> {
        let images_per_second = reporter.look(progress);
        let mut row = Row { images_per_second, ..Row::new(progress) };
        if progress.end_of_epoch && !judged.is_empty() {
            let batch = settings.train.batch;
            let evaluation = evaluate::on_backend(trainer.params(), &judged, batch, device)
                .map_err(|e| e.to_string())?;
            let accuracy = evaluation.accuracy();
            row.held_out_accuracy = Some(accuracy);
            row.held_out_psnr = Some(evaluation.mean_psnr());
            reporter.epoch(progress, &evaluation);
            if best.is_none_or(|best| accuracy > best) {
                best = Some(accuracy);
                run.save_best(&model(trainer, Some(&evaluation)))?;
            }
        }
        row.memory_mib = metrics::peak_memory_mib();
        run.log(&row)?;
        reporter.row(&row);
        if progress.end_of_epoch || saved.elapsed() >= checkpoint_every {
            checkpoint::save(run.path(), &trainer.state())?;
            saved = Instant::now();
        }
        Ok(())
    };
    let mut written = Ok(());
    let look = &mut |trainer: &Trainer<B>, progress: &Progress| {
        written = tell(trainer, progress);
        if written.is_err() { Next::Stop } else { Next::Continue }
    };
    let finished = trainer.run(&split, look, &|| interrupted.load(Ordering::Relaxed));
    reporter.finish();
    let finished = finished.map_err(|e| match e {
        TrainError::Diverged { .. } => format!("{e}; {}", way_out(run.path())),
        TrainError::NoImages => e.to_string(),
        TrainError::Data(e) => {
            format!(
                "{e}; it was readable when the run began: when it is again, go on with mwt-train resume {}",
                run.path().display()
            )
        }
    })?;
    written?;
    let skipped = trainer.position().skipped;
    if skipped > 0 {
        eprintln!("warning: {skipped} outer steps diverged and were left out");
    }
    if !finished {
        checkpoint::save(run.path(), &trainer.state())?;
        return Ok(None);
    }
    let evaluation = (!held_out.is_empty())
        .then(|| evaluate::on_backend(trainer.params(), &held_out, settings.train.batch, device))
        .transpose()
        .map_err(|e| e.to_string())?;
    let model = model(&trainer, evaluation.as_ref());
    run.save(&model)?;
    Ok(Some(model.summary))
}

/// What to do about a run that diverged.
fn way_out(run: &Path) -> String {
    let settings = run.join("settings.toml");
    match checkpoint::load(run) {
        Ok(Some((state, file))) => format!(
            "the last good checkpoint is {}, step {}: lower the rates in {}, then mwt-train resume {}",
            file.display(),
            state.position.total,
            settings.display(),
            run.display()
        ),
        Ok(None) => format!(
            "there was no checkpoint yet: lower the rates in {}, then mwt-train resume {}",
            settings.display(),
            run.display()
        ),
        Err(e) => e,
    }
}

/// Becomes true at the first Ctrl-C; a second one ends the program at once.
fn interrupted() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    // Fails only when there is a handler already: then Ctrl-C ends the program as usual.
    let _ = ctrlc::set_handler(move || {
        if set.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
    });
    flag
}

/// Images that a bundle carries for its self-test: the first ones of different classes.
fn golden_examples(held_out: &Split, split: &Split) -> Split {
    /// A few: each takes an image's bytes of flash.
    const COUNT: usize = 2;
    let from = if held_out.is_empty() { split } else { held_out };
    let mut chosen: Vec<usize> = Vec::new();
    for (n, label) in from.labels.iter().enumerate() {
        if chosen.len() < COUNT && chosen.iter().all(|c| from.labels[*c] != *label) {
            chosen.push(n);
        }
    }
    from.select(&chosen)
}
