//! The outer loop.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::batch::{self, DrawSeed, Sampler};
use crate::data::Split;
use crate::model::TrainBackend;
use crate::model::params::{Params, host, initial};
use crate::optim::{AdamW, AdamWConfig, OneCycle};
use crate::settings::{Mode, Settings};
use crate::step::{Phase, Taken, outer_step};
use crate::weights::Weights;

/// Steps between two looks at the losses: each look waits for the device.
const READ_EVERY: usize = 10;

/// Means over the steps since the last look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Outer steps taken.
    pub step: u64,
    /// Outer steps in all.
    pub steps: u64,
    /// Epoch under way, from 0.
    pub epoch: u64,
    /// Reconstruction loss R.
    pub reconstruction: f32,
    /// Cross-entropy CE.
    pub classification: f32,
    /// Share of the training images classified right.
    pub accuracy: f32,
    /// Gradient norms of the groups before clipping.
    pub norms: [f32; 3],
    /// Rates of the groups.
    pub rates: [f64; 3],
}

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A loss is infinite or not a number.
    #[error(
        "training diverged at step {step}: reconstruction loss {reconstruction}, cross-entropy \
         {classification}; lower the rates"
    )]
    Diverged {
        /// Outer step.
        step: u64,
        /// R.
        reconstruction: f32,
        /// CE.
        classification: f32,
    },
    /// The training split is empty.
    #[error("there is no image to train on")]
    NoImages,
}

/// A run under way.
#[derive(Debug)]
pub struct Trainer<B: TrainBackend> {
    settings: Settings,
    params: Params<B::InnerBackend>,
    optimizer: AdamW<B::InnerBackend>,
    sampler: Sampler,
    device: B::Device,
}

impl<B: TrainBackend> Trainer<B> {
    /// A new run, from initial values that follow from the seed.
    pub fn new(settings: &Settings, device: &B::Device) -> Self {
        let weights = initial(&settings.model, settings.train.seed);
        let params = Params::from_weights(&weights, device);
        let train = &settings.train;
        let config = AdamWConfig {
            weight_decay: train.weight_decay,
            clip: train.clip,
            ..AdamWConfig::default()
        };
        Self {
            settings: settings.clone(),
            optimizer: AdamW::new(&params, config),
            params,
            sampler: Sampler::new(&settings.model),
            device: device.clone(),
        }
    }

    /// The learned values as they are.
    pub fn weights(&self) -> Weights {
        self.params.to_weights()
    }

    /// The parameters as they are.
    pub const fn params(&self) -> &Params<B::InnerBackend> {
        &self.params
    }

    /// Trains for all epochs; `look` is told how it goes every few steps and at the end of each epoch.
    ///
    /// # Errors
    /// A run that diverges, or an empty split.
    pub fn run(
        &mut self,
        split: &Split,
        look: &mut dyn FnMut(&Self, &Progress, bool),
    ) -> Result<(), TrainError> {
        if split.is_empty() {
            return Err(TrainError::NoImages);
        }
        let phases: &[Phase] = match self.settings.train.mode {
            Mode::Mwt | Mode::WtSimultaneous => &[Phase::Both],
            Mode::WtSequential => &[Phase::Siren, Phase::Classifier],
        };
        for phase in phases {
            self.phase(split, *phase, look)?;
        }
        Ok(())
    }

    fn phase(
        &mut self,
        split: &Split,
        phase: Phase,
        look: &mut dyn FnMut(&Self, &Progress, bool),
    ) -> Result<(), TrainError> {
        let train = self.settings.train.clone();
        let w_cls = if train.mode == Mode::Mwt { train.w_cls } else { 0.0 };
        let per_epoch = (split.len() / train.batch).max(1) as u64;
        let schedule = OneCycle { steps: train.epochs * per_epoch, rise: train.rise };
        let peaks = [train.rate_siren, train.rate_alpha, train.rate_classifier];
        let mut step = 0;
        for epoch in 0..train.epochs {
            let batches = batch::epoch(split, train.batch, train.seed, epoch);
            let mut taken = Vec::new();
            let last = batches.len() - 1;
            for (i, indices) in batches.into_iter().enumerate() {
                let images: Vec<_> = indices.iter().map(|n| split.image(*n)).collect();
                let labels: Vec<u16> = indices.iter().map(|n| split.labels[*n]).collect();
                let seed = DrawSeed::Training { seed: train.seed, step };
                let pixels = self.sampler.pixels::<B>(&images, seed, &self.device);
                let labels = batch::labels::<B>(&labels, &self.device);
                let rates = peaks.map(|peak| schedule.at(step, peak));
                let (params, optimizer) = (&mut self.params, &mut self.optimizer);
                taken.push(outer_step(params, optimizer, &pixels, labels, w_cls, phase, rates));
                step += 1;
                if taken.len() == READ_EVERY || i == last {
                    let means = means(&taken, images.len());
                    taken.clear();
                    let progress = Progress {
                        step,
                        steps: schedule.steps,
                        epoch,
                        rates: rates.map(|r| r.rate),
                        ..means
                    };
                    if !(means.reconstruction.is_finite() && means.classification.is_finite()) {
                        return Err(TrainError::Diverged {
                            step,
                            reconstruction: means.reconstruction,
                            classification: means.classification,
                        });
                    }
                    look(self, &progress, i == last);
                }
            }
        }
        Ok(())
    }
}

/// Means over steps of `batch` images, read from the device at once.
fn means<B: Backend>(taken: &[Taken<B>], batch: usize) -> Progress {
    let rows = taken.iter().map(|t| {
        let l = &t.losses;
        let row = [&l.reconstruction, &l.classification, &l.correct, &t.norms];
        Tensor::cat(row.into_iter().cloned().collect(), 0)
    });
    let rows = host(Tensor::<B, 1>::cat(rows.collect(), 0));
    let n = taken.len() as f32;
    let mean = |column: usize| rows.iter().skip(column).step_by(6).sum::<f32>() / n;
    Progress {
        step: 0,
        steps: 0,
        epoch: 0,
        reconstruction: mean(0),
        classification: mean(1),
        accuracy: mean(2) / batch as f32,
        norms: [mean(3), mean(4), mean(5)],
        rates: [0.0; 3],
    }
}
