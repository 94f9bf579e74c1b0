//! A training run from its first file to its last: settings, metrics, checkpoints, the best model, resuming, stopping.
//!
//! ```no_run
//! # #[cfg(feature = "cpu")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use burn::backend::{Autodiff, Flex};
//! use mwt_train::run::Run;
//! use mwt_train::settings::Layers;
//!
//! let mut layers = Layers::default();
//! layers.assign("data.source=digits")?;
//! let run = Run::create("runs/digits".as_ref(), &layers)?;
//! run.train::<Autodiff<Flex>>(&Default::default(), &mut ())?;
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "cpu"))]
//! # fn main() {}
//! ```

mod agree;
pub mod checkpoint;
mod dir;
mod error;
mod facts;
mod interrupt;
pub mod latest;
pub mod metrics;
mod observer;
mod pace;
mod recorder;
mod start;

pub use dir::RunDir;
pub use error::RunError;
pub use facts::{DataFacts, load_data};
pub use interrupt::Interrupt;
pub use observer::{Observer, StopWhen};
pub use pace::Pace;
pub use start::Start;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::Array2;

use pace::Stopwatch;
use recorder::{ModelParts, Recorder};

use crate::data::{DataError, Dataset, Split};
use crate::evaluate;
use crate::export::golden;
use crate::model::TrainBackend;
use crate::ranks::Ranks;
use crate::settings::{Layers, Settings};
use crate::train::{State, Trainer};
use crate::weights::trained::Summary;

/// A run that is ready to train: its directory, locked, its settings, its images, and where it stands.
#[derive(Debug)]
pub struct Run {
    path: PathBuf,
    /// `None` in all processes but the first, where several train together.
    dir: Option<RunDir>,
    settings: Settings,
    data: Dataset,
    /// `None` before the first checkpoint: everything then follows from the seed.
    state: Option<State>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// All steps are taken, and the model is written.
    Finished(Box<Summary>),
    /// Stopped by its observer; a checkpoint is written, and [`Run::resume`] goes on from it.
    Stopped,
}

impl Run {
    /// A new run in the directory `path`, on the data set that the settings name.
    ///
    /// # Errors
    /// Settings that are refused, a data set that cannot be read, or a directory that holds a run already.
    pub fn create(path: &Path, layers: &Layers) -> Result<Self, RunError> {
        let mut layers = layers.clone();
        Start::of(&mut layers)?;
        let data = layers.data()?.load()?;
        let settings = layers.settings(Some(data.shape()))?;
        Self::with_data(&Ranks::alone(), path, settings, data)
    }

    /// A new run on a data set that is loaded already, as one of several processes or alone. Only the first process writes.
    ///
    /// # Errors
    /// Settings that are refused, a model to start from that is not the settings', a directory that holds a run already, or
    /// processes that do not have the same.
    pub fn with_data(
        ranks: &Ranks,
        path: &Path,
        settings: Settings,
        data: Dataset,
    ) -> Result<Self, RunError> {
        settings.check()?;
        settings.check_for(&data.shape())?;
        let facts = DataFacts::of(&data)?;
        let mut settings = settings;
        // The run may be resumed, and reported on, from another directory.
        settings.data.make_absolute();
        settings.train.make_absolute();
        let state = beginning(&settings, &data)?;
        agree::check(ranks, &settings, &facts, state.as_ref())?;
        let path = path.to_owned();
        if !ranks.is_first() {
            return Ok(Self { path, dir: None, settings, data, state });
        }
        let dir = RunDir::create(&path, &settings, &facts)?;
        if let Some(state) = &state {
            // What it started from may not be there any more when it is resumed.
            checkpoint::save(&path, state)?;
        }
        Ok(Self { path, dir: Some(dir), settings, data, state })
    }

    /// A run that was stopped, at its last checkpoint that is whole. On the CPU it goes on to the same bytes as if it had
    /// never been stopped.
    ///
    /// # Errors
    /// A directory that holds no run, or in which one is under way; a data set that cannot be read any more, or is not the
    /// run's.
    pub fn resume(path: &Path) -> Result<Self, RunError> {
        Self::resume_with(&Ranks::alone(), path, None)
    }

    /// The same as one of several processes or alone, and with the data set at another place, which the run remembers.
    ///
    /// # Errors
    /// As [`resume`](Self::resume), or processes that do not have the same.
    pub fn resume_with(ranks: &Ranks, path: &Path, source: Option<&str>) -> Result<Self, RunError> {
        let mut settings = RunDir::settings(path)?;
        if let Some(source) = source {
            source.clone_into(&mut settings.data.source);
            settings.data.make_absolute();
        }
        let state = match checkpoint::load(path)? {
            Some((state, file)) if *state.weights.config() != settings.model => {
                return Err(RunError::OtherModel { path: file });
            }
            saved => saved.map(|(state, _)| state),
        };
        let (data, facts) = facts::load_data_on(ranks, path, &settings)?;
        let state = match state {
            None => beginning(&settings, &data)?,
            state => state,
        };
        agree::check(ranks, &settings, &facts, state.as_ref())?;
        let path = path.to_owned();
        if !ranks.is_first() {
            return Ok(Self { path, dir: None, settings, data, state });
        }
        let dir = RunDir::open(&path, state.as_ref().map_or(0, |s| s.position.total))?;
        if source.is_some() {
            dir.write_settings(&settings)?;
        }
        Ok(Self { path, dir: Some(dir), settings, data, state })
    }

    /// The run's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The run's images.
    pub const fn data(&self) -> &Dataset {
        &self.data
    }

    /// Trains to the end, or until the observer stops the run.
    ///
    /// # Errors
    /// A file that cannot be written, an image that cannot be read any more, or a step that diverged; what was saved
    /// before stays good.
    pub fn train<B: TrainBackend>(
        self,
        device: &B::Device,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RunError> {
        self.train_on::<B>(&Ranks::alone(), device, observer)
    }

    /// The same together with the other processes, each of which has the same run and calls this.
    ///
    /// # Errors
    /// As [`train`](Self::train).
    pub fn train_on<B: TrainBackend>(
        self,
        ranks: &Ranks,
        device: &B::Device,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RunError> {
        let Self { path, dir, settings, data, state } = self;
        let mut trainer = match &state {
            Some(state) => Trainer::<B>::resume(&settings, state, device),
            None => Trainer::<B>::new(&settings, device),
        };
        let (split, validation) = settings.split(&data);
        let facts = Summary {
            model: settings.model,
            labels: data.classes,
            data_set: data.name,
            seed: settings.train.seed,
            outer_steps: 0,
            accuracy: None,
            psnr: None,
            inputs: split.inputs().clone(),
            precision: Some(trainer.precision()),
        };
        observer.on_begin(trainer.precision());
        let examples = match &dir {
            Some(_) => golden_examples(&validation, &split)?,
            // The first process writes them.
            None => Array2::default((0, 0)),
        };
        let each_epoch = validation.clone().take(settings.train.validation_images);
        let mut recorder = Recorder::<B> {
            ranks,
            dir: dir.as_ref(),
            train: &settings.train,
            device,
            observer,
            model: ModelParts { facts, examples },
            validation: each_epoch,
            best: dir.as_ref().map(|dir| RunDir::best(dir.path())).transpose()?.flatten(),
            reported: trainer.position().total,
            stopwatch: Stopwatch::new(settings.train.batch),
            saved: Instant::now(),
            written: Ok(()),
        };
        let finished = trainer.run_on(ranks, &split, &mut recorder)?;
        let Recorder { observer, model, written, .. } = recorder;
        written?;
        observer.on_end(trainer.position());
        if !finished {
            if dir.is_some() {
                checkpoint::save(&path, &trainer.state())?;
            }
            return Ok(Outcome::Stopped);
        }
        let evaluation = (!validation.is_empty())
            .then(|| {
                let batch = settings.train.batch;
                evaluate::on_ranks(ranks, trainer.params(), &validation, batch, device)
            })
            .transpose()?;
        let model = model.of(&trainer, evaluation.as_ref());
        if let Some(dir) = &dir {
            dir.save(&model)?;
        }
        Ok(Outcome::Finished(Box::new(model.summary)))
    }
}

/// Where a run begins that starts from a model; `None` where everything follows from the seed.
fn beginning(settings: &Settings, data: &Dataset) -> Result<Option<State>, RunError> {
    let Some(path) = &settings.train.init else { return Ok(None) };
    let start = Start::load(Path::new(path))?;
    let weights = start.weights(&settings.model, &data.classes, settings.train.seed)?;
    Ok(Some(State::beginning(weights)))
}

/// Signals among which an export chooses golden samples, `[n, positions·C]`: whole ones, of as many classes as there
/// are.
fn golden_examples(validation: &Split, train: &Split) -> Result<Array2<f32>, DataError> {
    /// Signals looked at.
    const LOOKED_AT: usize = 256;
    /// Numbers that a trained model may keep of them.
    const NUMBERS: usize = 1 << 20;
    let from = if validation.is_empty() { train } else { validation };
    let len = from.extents().positions() * from.channels();
    // How many signals of its class come before each: the first of all classes, then the second.
    let (mut seen, mut whole) = (HashMap::new(), Vec::new());
    for (n, label) in from.labels.iter().enumerate().take(LOOKED_AT) {
        if !from.numbers(n)?.to_f32().iter().any(|v| v.is_nan()) {
            let before: &mut usize = seen.entry(*label).or_default();
            whole.push((*before, n));
            *before += 1;
        }
    }
    whole.sort();
    whole.truncate((NUMBERS / len.max(1)).clamp(golden::COUNT, golden::CANDIDATES));
    let mut values = Vec::with_capacity(whole.len() * len);
    for (_, n) in &whole {
        values.extend(from.numbers(*n)?.to_f32());
    }
    Ok(Array2::from_shape_vec((whole.len(), len), values).unwrap_or_default())
}
