//! The outer loop.

use std::slice;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::batch::{self, Sampler};
use super::loader::{self, Batch};
use super::optim::{AdamW, AdamWConfig, OneCycle};
use super::position::Position;
use super::step::{Contribution, Objective, StepOutput, TrainedParts, outer_step};
use crate::data::{DataError, Split};
use crate::model::params::{Params, flat, host, initial};
use crate::model::{Product as _, TrainBackend};
use crate::ranks::Ranks;
use crate::settings::{Mode, OnDivergence, Precision, Settings};
use crate::weights::{Weights, join, specs, split};

/// Outer steps between two reports: reading the losses waits for the device. As many skipped in a row stop a run.
const REPORT_EVERY: usize = 10;

/// A report: means over the outer steps since the last one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Progress {
    /// Outer steps taken.
    pub step: u64,
    /// Outer steps in all.
    pub steps: u64,
    /// Epoch under way, from 0.
    pub epoch: u64,
    /// Whether this is its last step.
    pub end_of_epoch: bool,
    /// Reconstruction loss R.
    pub reconstruction: f32,
    /// Cross-entropy CE.
    pub classification: f32,
    /// Share of the training images classified right.
    pub accuracy: f32,
    /// Gradient norms of the groups before clipping.
    pub norms: [f32; 3],
    /// Learning rates of the groups.
    pub learning_rates: [f64; 3],
}

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A loss, or a gradient, is infinite or not a number.
    #[error(
        "training diverged at step {step}: reconstruction loss {reconstruction}, cross-entropy \
         {classification}, gradient norms {norms:?}"
    )]
    Diverged {
        /// Outer step.
        step: u64,
        /// R.
        reconstruction: f32,
        /// CE.
        classification: f32,
        /// Of the groups.
        norms: [f32; 3],
    },
    /// The training split is empty.
    #[error("there is no image to train on")]
    NoImages,
    /// Some of the processes would have nothing to do.
    #[error(
        "{count} processes for batches of {images} images: start fewer, or set a larger train.batch"
    )]
    TooManyRanks {
        /// Images of a batch.
        images: usize,
        /// Processes.
        count: usize,
    },
    /// A training image could not be read any more.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// All that a run needs to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// The learned values.
    pub weights: Weights,
    /// AdamW's moments (first, second) of every parameter, in the order of the specs.
    pub moments: Vec<(Vec<f32>, Vec<f32>)>,
    /// AdamW's steps.
    pub adamw_steps: u64,
    /// Where the run stands.
    pub position: Position,
    /// Of the steps since the last report, whose means the next one gives.
    pub pending: Vec<StepStats>,
}

impl State {
    /// Before the first step of a run from these values.
    pub fn beginning(weights: Weights) -> Self {
        let zeros =
            specs(weights.config()).iter().map(|spec| vec![0.0; spec.len()]).collect::<Vec<_>>();
        Self {
            moments: zeros.clone().into_iter().zip(zeros).collect(),
            weights,
            adamw_steps: 0,
            position: Position::default(),
            pending: Vec::new(),
        }
    }
}

/// Figures of one outer step: R, CE, images classified right, and the gradient norms of the three groups.
pub type StepStats = [f32; 6];

/// The answer to a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Continue,
    /// Stop here; [`Trainer::state`] is what it takes to go on later.
    Stop,
}

/// Who is told how training goes, and may stop it.
pub trait Watch<B: TrainBackend> {
    /// A report, every few steps and at the end of each epoch.
    fn on_progress(&mut self, trainer: &Trainer<B>, progress: &Progress) -> Next;

    /// Asked after every step.
    fn should_stop(&self, position: Position) -> bool {
        let _ = position;
        false
    }
}

/// A model in training.
#[derive(Debug)]
pub struct Trainer<B: TrainBackend> {
    settings: Settings,
    params: Params<B::InnerBackend>,
    optimizer: AdamW<B::InnerBackend>,
    sampler: Sampler,
    device: B::Device,
    position: Position,
    /// Figures of the steps since the last report that are on the host already, as those of a resumed run are.
    pending: Vec<StepStats>,
    /// Those of the steps after them, still on the device.
    pending_on_device: Vec<StepOutput<B::InnerBackend>>,
}

impl<B: TrainBackend> Trainer<B> {
    /// A new run, from initial values that follow from the seed.
    pub fn new(settings: &Settings, device: &B::Device) -> Self {
        let weights = initial(&settings.model, settings.train.seed);
        let params = Params::from_weights(&weights, device);
        Self {
            settings: settings.clone(),
            optimizer: AdamW::new(&params, adamw(settings)),
            params,
            sampler: Sampler::new(&settings.model),
            device: device.clone(),
            position: Position::default(),
            pending: Vec::new(),
            pending_on_device: Vec::new(),
        }
    }

    /// A run that goes on where another stopped: on the CPU with the same numbers, bit for bit, as if it never had.
    pub fn resume(settings: &Settings, state: &State, device: &B::Device) -> Self {
        let specs = specs(&settings.model);
        let (m, v): (Vec<_>, Vec<_>) =
            state.moments.iter().map(|(m, v)| (m.as_slice(), v.as_slice())).unzip();
        let [m, v] = [m, v].map(|moments| join(&specs, moments).map(|values| flat(values, device)));
        let moments = std::array::from_fn(|group| (m[group].clone(), v[group].clone()));
        let params = Params::from_weights(&state.weights, device);
        Self {
            settings: settings.clone(),
            optimizer: AdamW::resume(adamw(settings), state.adamw_steps, moments),
            params,
            sampler: Sampler::new(&settings.model),
            device: device.clone(),
            position: state.position,
            pending: state.pending.clone(),
            pending_on_device: Vec::new(),
        }
    }

    /// All that it takes to go on from here.
    pub fn state(&self) -> State {
        let specs = specs(&self.settings.model);
        let moments = self.optimizer.moments();
        let m = split(&specs, &moments.each_ref().map(|(m, _)| host(m.clone())));
        let v = split(&specs, &moments.each_ref().map(|(_, v)| host(v.clone())));
        State {
            weights: self.weights(),
            moments: m.into_iter().zip(v).collect(),
            adamw_steps: self.optimizer.steps(),
            position: self.position,
            pending: self.pending(),
        }
    }

    /// Figures of the steps since the last report.
    fn pending(&self) -> Vec<StepStats> {
        [self.pending.clone(), stats(&self.pending_on_device)].concat()
    }

    /// The learned values as they are.
    pub fn weights(&self) -> Weights {
        self.params.to_weights()
    }

    /// Where the run stands.
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The precision of the Transformer's products: what the settings ask for where the device has it.
    pub fn precision(&self) -> Precision {
        B::InnerBackend::precision(&self.device, self.settings.train.precision)
    }

    /// The parameters as they are.
    pub const fn params(&self) -> &Params<B::InnerBackend> {
        &self.params
    }

    /// Trains to the end, or until `watch` stops it. Returns whether the run came to its end.
    ///
    /// # Errors
    /// A run that diverges, an empty split, or an image that cannot be read any more.
    pub fn run(&mut self, split: &Split, watch: &mut dyn Watch<B>) -> Result<bool, TrainError> {
        self.run_on(&Ranks::alone(), split, watch)
    }

    /// The same as one of several processes, each of which calls this with the same split.
    ///
    /// # Errors
    /// As [`run`](Self::run), and fewer images in a batch than processes.
    pub fn run_on(
        &mut self,
        ranks: &Ranks,
        split: &Split,
        watch: &mut dyn Watch<B>,
    ) -> Result<bool, TrainError> {
        if split.is_empty() {
            return Err(TrainError::NoImages);
        }
        let (images, count) = (self.settings.train.batch.min(split.len()), ranks.count());
        if images < count {
            return Err(TrainError::TooManyRanks { images, count });
        }
        let phases: &[TrainedParts] = match self.settings.train.mode {
            _ if self.settings.train.freeze_siren => &[TrainedParts::Classifier],
            Mode::Mwt | Mode::WtSimultaneous => &[TrainedParts::Both],
            Mode::WtSequential => &[TrainedParts::Siren, TrainedParts::Classifier],
        };
        while let Some(parts) = phases.get(self.position.phase) {
            if self.phase(ranks, split, *parts, phases.len() as u64, watch)? == Next::Stop {
                return Ok(false);
            }
            let Position { phase, total, skipped, .. } = self.position;
            self.position = Position { phase: phase + 1, total, skipped, ..Position::default() };
            self.optimizer = AdamW::new(&self.params, adamw(&self.settings));
        }
        Ok(true)
    }

    fn phase(
        &mut self,
        ranks: &Ranks,
        split: &Split,
        parts: TrainedParts,
        phases: u64,
        watch: &mut dyn Watch<B>,
    ) -> Result<Next, TrainError> {
        let train = self.settings.train.clone();
        let objective = Objective {
            parts,
            w_cls: if train.mode == Mode::Mwt { train.w_cls } else { 0.0 },
            label_smoothing: train.label_smoothing,
            precision: self.precision(),
        };
        let steps_per_epoch = (split.len() / train.batch).max(1) as u64;
        let schedule = OneCycle { steps: train.epochs * steps_per_epoch, warmup: train.warmup };
        let (sampler, settings, from) =
            (self.sampler.clone(), self.settings.clone(), self.position);
        loader::run_ahead(split, &sampler, &settings, from, ranks.share(), |batches| {
            self.steps(ranks, batches, objective, schedule, phases * schedule.steps, watch)
        })
    }

    /// The outer steps of a phase, a batch each.
    fn steps(
        &mut self,
        ranks: &Ranks,
        batches: &mut dyn Iterator<Item = Result<Batch, DataError>>,
        objective: Objective,
        schedule: OneCycle,
        steps: u64,
        watch: &mut dyn Watch<B>,
    ) -> Result<Next, TrainError> {
        let train = self.settings.train.clone();
        let peaks = [train.lr_siren, train.lr_alpha, train.lr_classifier];
        let mut skipped_in_a_row = 0;
        for batch in batches {
            let Batch { epoch, done, last, pixels, labels, images } = batch?;
            let step = self.position.step;
            let contribution = Contribution { ranks, weight: labels.len() as f32 / images as f32 };
            let pixels = pixels.to_device::<B>(&self.device);
            let labels = batch::labels::<B>(&labels, &self.device);
            let scheduled = peaks.map(|peak| schedule.at(step, peak));
            let skip = train.on_divergence == OnDivergence::Skip;
            let before = skip.then(|| (self.params.clone(), self.optimizer.clone()));
            let (params, optimizer) = (&mut self.params, &mut self.optimizer);
            let new =
                outer_step(params, optimizer, &pixels, labels, objective, scheduled, contribution);
            let total = self.position.total + 1;
            // Without a copy to go back to, the next report finds it out.
            let error = before
                .as_ref()
                .and_then(|_| means(&stats(slice::from_ref(&new)), 1).check(total).err());
            if let (Some(error), Some(before)) = (error, before) {
                (self.params, self.optimizer) = before;
                self.position.skipped += 1;
                skipped_in_a_row += 1;
                if skipped_in_a_row == REPORT_EVERY {
                    return Err(error);
                }
            } else {
                skipped_in_a_row = 0;
                self.pending_on_device.push(new);
            }
            self.position = Position { batch: done, step: step + 1, total, ..self.position };
            if last {
                self.position = Position { epoch: epoch + 1, batch: 0, ..self.position };
            }
            // At fixed places in the epoch, so that a resumed run reports the same means.
            if last || done % REPORT_EVERY == 0 {
                let pending = self.pending();
                (self.pending, self.pending_on_device) = (Vec::new(), Vec::new());
                if pending.is_empty() {
                    continue;
                }
                let progress = Progress {
                    step: total,
                    steps,
                    epoch,
                    end_of_epoch: last,
                    learning_rates: scheduled.map(|s| s.learning_rate),
                    ..means(&pending, images)
                };
                progress.check(total)?;
                if watch.on_progress(self, &progress) == Next::Stop {
                    return Ok(Next::Stop);
                }
            }
            if ranks.any(watch.should_stop(self.position)) {
                // What is kept of a run that stops here must be finite.
                means(&self.pending(), images).check(total)?;
                return Ok(Next::Stop);
            }
        }
        Ok(Next::Continue)
    }
}

fn adamw(settings: &Settings) -> AdamWConfig {
    let train = &settings.train;
    AdamWConfig { weight_decay: train.weight_decay, clip: train.clip, ..AdamWConfig::default() }
}

impl Progress {
    /// The norms tell that the gradients were finite, and so that the parameters still are: a checkpoint may be written.
    fn check(&self, step: u64) -> Result<(), TrainError> {
        let Self { reconstruction, classification, norms, .. } = *self;
        if [reconstruction, classification].iter().chain(&norms).all(|v| v.is_finite()) {
            return Ok(());
        }
        Err(TrainError::Diverged { step, reconstruction, classification, norms })
    }
}

/// Figures of outer steps, read from the device at once.
fn stats<B: Backend>(steps: &[StepOutput<B>]) -> Vec<StepStats> {
    if steps.is_empty() {
        return Vec::new();
    }
    let rows = steps.iter().map(|step| {
        let l = &step.losses;
        let row = [&l.reconstruction, &l.classification, &l.correct, &step.norms];
        Tensor::cat(row.into_iter().cloned().collect(), 0)
    });
    host(Tensor::<B, 1>::cat(rows.collect(), 0)).as_chunks().0.to_vec()
}

/// Means over outer steps of `batch` images each.
fn means(stats: &[StepStats], batch: usize) -> Progress {
    let n = stats.len().max(1) as f32;
    let mean = |column: usize| stats.iter().map(|row| row[column]).sum::<f32>() / n;
    Progress {
        reconstruction: mean(0),
        classification: mean(1),
        accuracy: mean(2) / batch as f32,
        norms: [mean(3), mean(4), mean(5)],
        ..Progress::default()
    }
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::backend::{Autodiff, Flex};
    use mwt_core::ModelConfig;

    use super::*;
    use crate::settings::TrainSettings;

    /// Collects what it is told.
    #[derive(Default)]
    struct Reports(Vec<Progress>);

    impl<B: TrainBackend> Watch<B> for Reports {
        fn on_progress(&mut self, _: &Trainer<B>, progress: &Progress) -> Next {
            self.0.push(*progress);
            Next::Continue
        }
    }

    /// α so large that every image but a black one diverges: θ draws black everywhere, so a black image has no error and
    /// no gradient.
    #[test]
    fn a_step_that_diverges_is_left_out_when_told_to() {
        let model = ModelConfig { classes: 2, ..ModelConfig::NANO };
        let mut arrays = initial(&model, 1).arrays().clone();
        for (name, array) in &mut arrays {
            let value = match name.as_str() {
                "siren_rgb.out.bias" => -1.0,
                "siren_rgb.out_scale" => 1.0,
                name if name.starts_with("siren_rgb.sirens") => 0.0,
                name if name.starts_with("meta_sgd") => 1e38,
                _ => continue,
            };
            array.values.fill(value);
        }
        let weights = Weights::new(model, arrays).unwrap();
        let images = [0u8, 255, 0, 255, 0, 255].map(|level| [level; 64]).concat();
        let split = Split::from_bytes(images, (8, 8, 1), vec![0, 1, 0, 1, 0, 1]).unwrap();
        let train = TrainSettings {
            epochs: 2,
            batch: 1,
            w_cls: 0.0,
            weight_decay: 0.0,
            ..TrainSettings::default()
        };
        let run = |on_divergence| {
            let train = TrainSettings { on_divergence, ..train.clone() };
            let settings = Settings { train, ..Settings::of(model) };
            let new = Trainer::<Autodiff<Flex>>::new(&settings, &Default::default()).state();
            let state = State { weights: weights.clone(), ..new };
            let mut trainer =
                Trainer::<Autodiff<Flex>>::resume(&settings, &state, &Default::default());
            let mut reports = Reports::default();
            let end = trainer.run(&split, &mut reports);
            (end, trainer.state(), reports.0)
        };
        let (end, _, reports) = run(OnDivergence::Stop);
        assert!(matches!(end, Err(TrainError::Diverged { .. })), "{end:?}");
        assert!(reports.is_empty());

        let (end, state, reports) = run(OnDivergence::Skip);
        assert!(end.unwrap());
        assert_eq!((state.position.total, state.position.skipped), (12, 6));
        assert!(reports.iter().all(|p| p.classification.is_finite() && p.reconstruction == 0.0));
        let (before, after) = (weights.arrays(), state.weights.arrays());
        assert!(after.values().all(|a| a.values.iter().all(|v| v.is_finite())));
        // The black images have trained what they could: the classifier, and nothing else.
        let siren = before.keys().filter(|name| !name.starts_with("classifier."));
        siren.for_each(|name| assert_eq!(before[name], after[name], "{name}"));
        assert_ne!(before["classifier.to_logits.bias"], after["classifier.to_logits.bias"]);
    }
}
