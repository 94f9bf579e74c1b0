//! `mwt-train train`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use mwt_core::{Draw, ImageSize, ModelConfig};

use super::progress::Reporter;
use crate::augment::AugmentSettings;
use crate::backend::BackendName;
use crate::checkpoint;
use crate::data::{Dataset, LoadOptions, Split};
use crate::evaluate::{self, Evaluation};
use crate::metrics::{self, Row};
use crate::model::TrainBackend;
use crate::run_dir::{Model, RunDir, Summary};
use crate::settings::{DataSettings, Mode, OnDivergence, Settings, TrainSettings};
use crate::trainer::{Next, Progress, TrainError, Trainer};
use crate::with_backend;

#[derive(Debug, Args)]
pub(super) struct Train {
    /// `digits` (built in), or a directory: MNIST-style idx files, CIFAR-10 binary batches, or an image folder
    /// with train/<class>/ and test/ or val/
    #[arg(long)]
    data: String,
    /// Sizes of the model
    #[arg(long, value_enum, default_value = "micro")]
    preset: PresetName,
    /// The run is written to DIR/NAME
    #[arg(long, default_value = "run")]
    name: String,
    /// Directory of all runs
    #[arg(long, default_value = "runs", value_name = "DIR")]
    runs: PathBuf,
    /// Bring the images of a folder to this size [default: their own]
    #[arg(long, value_name = "HxW", value_parser = super::parse_size)]
    image_size: Option<(usize, usize)>,
    #[command(flatten)]
    recipe: Recipe,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    backend: BackendName,
    /// Say nothing but the result
    #[arg(long)]
    quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(super) enum PresetName {
    /// For tests: D 16, L 2, k 3, B 2
    Nano,
    /// For microcontrollers: D 32, L 2, k 4, B 4
    Micro,
    /// For large microcontrollers: D 64, L 2, k 4, B 6
    Small,
    /// The paper's MWT: D 128, L 4, k 6, B 10
    Base,
    /// The paper's MWT-W: base with an MLP four times as wide
    Wide,
    /// The paper's MWT-L: base with D 256
    Large,
}

impl PresetName {
    pub(super) const fn config(self) -> ModelConfig {
        match self {
            Self::Nano => ModelConfig::NANO,
            Self::Micro => ModelConfig::MICRO,
            Self::Small => ModelConfig::SMALL,
            Self::Base => ModelConfig::BASE,
            Self::Wide => ModelConfig::WIDE,
            Self::Large => ModelConfig::LARGE,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum DrawName {
    /// The paper's: fresh pixels for each step and image
    Random,
    /// One fixed shuffled partition of the pixels over the steps, the same for every image
    Partition,
}

/// What a run may be told besides data and model.
#[derive(Debug, Args)]
pub(super) struct Recipe {
    /// Seed of everything random
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Passes over the training images
    #[arg(long, default_value_t = 10)]
    epochs: u64,
    /// N: images an outer step
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// How SIREN and classifier are trained together
    #[arg(long, value_enum, default_value = "mwt")]
    mode: Mode,
    /// Weight of the classification loss's gradient on θ, α and the head
    #[arg(long, default_value_t = 0.01)]
    w_cls: f64,
    /// Share of the target that is spread over all classes evenly
    #[arg(long, default_value_t = 0.0)]
    label_smoothing: f64,
    /// Peak rate of θ and the head
    #[arg(long, default_value_t = 1e-3)]
    rate_siren: f64,
    /// Peak rate of α
    #[arg(long, default_value_t = 1e-2)]
    rate_alpha: f64,
    /// Peak rate of the Transformer and β
    #[arg(long, default_value_t = 1e-3)]
    rate_classifier: f64,
    /// Which pixels each inner step looks at
    #[arg(long, value_enum, default_value = "partition")]
    draw: DrawName,
    /// s: share of the pixels that each inner step looks at [default: the preset's]
    #[arg(long)]
    sampling: Option<f64>,
    /// Training images held out; the run reports its accuracy on them
    #[arg(long, default_value_t = 5000)]
    held_out: usize,
    /// Shift training images at random by up to so many pixels, reflected at the border
    #[arg(long, default_value_t = 0)]
    pad: usize,
    /// Mirror half of the training images left to right
    #[arg(long)]
    flip: bool,
    /// Turn training images at random by up to so many degrees
    #[arg(long, default_value_t = 0.0)]
    rotate: f32,
    /// Crop training images at random to no less than this share of their area
    #[arg(long, default_value_t = 1.0)]
    crop: f32,
    /// The most images of each split
    #[arg(long)]
    limit: Option<usize>,
    /// Seconds between two checkpoints; there is one at the end of each epoch besides
    #[arg(long, default_value_t = 60.0)]
    checkpoint_seconds: f64,
    /// What becomes of an outer step whose losses or gradients are not finite
    #[arg(long, value_enum, default_value = "stop")]
    on_divergence: OnDivergence,
}

impl Recipe {
    /// The settings of a run on this data set.
    fn settings(
        &self,
        data: DataSettings,
        set: &Dataset,
        preset: ModelConfig,
    ) -> Result<Settings, String> {
        let size = ImageSize { height: set.height(), width: set.width() };
        let mut model = preset.with_image(size, set.channels());
        model.classes = set.classes.len();
        if let Some(share) = self.sampling {
            if !(share > 0.0 && share <= 1.0) {
                return Err(format!("sampling is {share}, must be above 0 and at most 1"));
            }
            model.pixels_per_step = ((share * size.pixels() as f64) as usize).max(1);
        }
        let seed = self.seed as u32;
        model.draw = match self.draw {
            DrawName::Random => Draw::random(seed),
            DrawName::Partition => Draw::partition(seed),
        };
        let settings = Settings {
            data,
            train: TrainSettings {
                seed: self.seed,
                epochs: self.epochs,
                batch: self.batch,
                mode: self.mode,
                w_cls: self.w_cls,
                label_smoothing: self.label_smoothing,
                rate_siren: self.rate_siren,
                rate_alpha: self.rate_alpha,
                rate_classifier: self.rate_classifier,
                checkpoint_seconds: self.checkpoint_seconds,
                on_divergence: self.on_divergence,
                ..TrainSettings::default()
            },
            augment: AugmentSettings {
                pad: self.pad,
                flip: self.flip,
                rotate: self.rotate,
                crop: self.crop,
            },
            model,
        };
        settings.check()?;
        Ok(settings)
    }
}

impl Train {
    pub(super) fn run(&self) -> Result<(), String> {
        self.backend.check()?;
        let data = DataSettings {
            source: self.data.clone(),
            held_out: self.recipe.held_out,
            limit: self.recipe.limit,
            image_size: self.image_size,
            digits: LoadOptions::default().digits_train,
        };
        let set = data.load().map_err(|e| e.to_string())?;
        super::warn_of_left_out(&set);
        let settings = self.recipe.settings(data, &set, self.preset.config())?;
        let path = self.runs.join(&self.name);
        let run = RunDir::create(&path, &settings)?;
        with_backend!(self.backend, B, device => {
            let trainer = Trainer::<B>::new(&settings, &device);
            report(train(trainer, &settings, set, &run, &device, self.quiet)?, &path);
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
    /// Say nothing but the result
    #[arg(long)]
    quiet: bool,
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
            report(train(trainer, &settings, set, &run, &device, self.quiet)?, &self.run);
        });
        Ok(())
    }
}

/// Says what came of a run.
fn report(summary: Option<Summary>, path: &Path) {
    let Some(summary) = summary else {
        println!("stopped; go on with: mwt-train resume {}", path.display());
        return;
    };
    println!("trained: {}", path.display());
    if let (Some(accuracy), Some(psnr)) = (summary.accuracy, summary.psnr) {
        println!("held-out images: accuracy {:.2} %, PSNR {psnr:.2} dB", 100.0 * accuracy);
    }
    println!("next: mwt-train export {} -o model.mwt", path.display());
}

/// Trains to the end, or until Ctrl-C, and evaluates on the images held out. Gives nothing when stopped.
pub(super) fn train<B: TrainBackend>(
    mut trainer: Trainer<B>,
    settings: &Settings,
    set: Dataset,
    run: &RunDir,
    device: &B::Device,
    quiet: bool,
) -> Result<Option<Summary>, String> {
    let checkpoint_every = Duration::from_secs_f64(settings.train.checkpoint_seconds);
    // At most a fifth: a small set must keep enough to train on.
    let held_out = settings.data.held_out.min(set.train.len() / 5);
    let (split, held_out) = set.train.hold_out(held_out, settings.train.seed);
    let judged: Vec<usize> = (0..held_out.len().min(settings.train.epoch_images)).collect();
    let judged = held_out.select(&judged);
    let examples = golden_examples(&held_out, &split).images;
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
    let mut reporter = Reporter::new(settings.train.batch, quiet);
    let interrupted = interrupted();
    let mut saved = Instant::now();
    let mut tell = |trainer: &Trainer<B>, progress: &Progress, stop: bool| -> Result<(), String> {
        let mut row = Row { images_per_second: reporter.look(progress), ..Row::new(progress) };
        if progress.end_of_epoch && !judged.is_empty() {
            let batch = settings.train.batch;
            let evaluation = evaluate::on_backend(trainer.params(), &judged, batch, device);
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
        if stop || progress.end_of_epoch || saved.elapsed() >= checkpoint_every {
            checkpoint::save(run.path(), &trainer.state())?;
            saved = Instant::now();
        }
        Ok(())
    };
    let mut written = Ok(());
    let look = &mut |trainer: &Trainer<B>, progress: &Progress| {
        let stop = interrupted.load(Ordering::Relaxed);
        written = tell(trainer, progress, stop);
        if stop || written.is_err() { Next::Stop } else { Next::Continue }
    };
    let finished = trainer.run(&split, look);
    reporter.finish();
    let finished = finished.map_err(|e| match e {
        TrainError::Diverged { .. } => format!("{e}; {}", way_out(run.path())),
        TrainError::NoImages => e.to_string(),
    })?;
    written?;
    let skipped = trainer.position().skipped;
    if skipped > 0 {
        eprintln!("warning: {skipped} outer steps diverged and were left out");
    }
    if !finished {
        return Ok(None);
    }
    let evaluation = (!held_out.is_empty())
        .then(|| evaluate::on_backend(trainer.params(), &held_out, settings.train.batch, device));
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
