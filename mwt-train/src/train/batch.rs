//! From signals to the samples of a batch.

use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use mwt_core::ModelConfig;
use mwt_core::draw::{Draw, DrawKind, StepDraw};
use rayon::prelude::*;

use super::example::Example;
use crate::data::Split;
use crate::model::{MwtBackend, Pixels};
use crate::util::random::Rng;

/// The random stream that chooses the pixels of a training batch.
const DRAW_STREAM: u64 = 0x6472_6177;

/// Which seed random draws get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrawSeed {
    /// The bundle's: what a device draws.
    Inference,
    /// A fresh one for each outer step and image.
    Training {
        /// Seed of the run.
        seed: u64,
        /// Outer step.
        step: u64,
        /// Place of the first of these images in the step's batch, of which another process may have the beginning.
        first: usize,
    },
}

/// The pixels that were drawn of a batch's images, on the host.
///
/// They cross to the device as tensors on the CPU too, where the inner loop copies them out again: the inner loop
/// is an operation of burn's autodiff graph, whose inputs are tensors. The copy is 2 + C values per pixel,
/// against thousands of multiply-adds.
#[derive(Clone, Debug)]
pub struct DrawnPixels {
    /// N, P.
    shape: [usize; 2],
    /// Values of a pixel's coordinates, and C.
    columns: [usize; 2],
    /// Of each draw coordinates `[N, P, ·]` and values `[N, P, C]`, each from a multiple of [`ALIGNED`] on.
    values: Vec<f32>,
}

/// Values from one place to the next at which a tensor may start on any GPU, so that a batch is one tensor there, sent at
/// once, of which the draws are views.
const ALIGNED: usize = 128;

/// Values of a draw's coordinates and of its targets, for which there are `columns` per pixel, with what follows up to the
/// next place.
fn lengths([n, p]: [usize; 2], columns: [usize; 2]) -> [usize; 2] {
    columns.map(|columns| (n * p * columns).max(1).next_multiple_of(ALIGNED))
}

impl DrawnPixels {
    /// The same on a device.
    pub fn to_device<B: MwtBackend>(self, device: &B::Device) -> Pixels<B> {
        let ([n, p], lengths) = (self.shape, lengths(self.shape, self.columns));
        let all = self.values.len();
        let flat = Tensor::from_data(TensorData::new(self.values, [all]), device);
        let tensor = |start: usize, columns: usize| {
            B::data(&flat, start..start + n * p * columns).reshape([n, p, columns])
        };
        let draw = |start| {
            let targets = start + lengths[0];
            (tensor(start, self.columns[0]), tensor(targets, self.columns[1]))
        };
        let draws = (0..all).step_by(lengths.iter().sum());
        let (coordinates, targets) = draws.map(draw).unzip();
        Pixels { coordinates, targets }
    }
}

/// Draws pixels on the host, outside the autodiff graph.
#[derive(Clone, Debug)]
pub struct Sampler {
    config: ModelConfig,
    /// The E coordinates of every position.
    grid: Vec<f32>,
}

impl Sampler {
    /// A sampler for the images of a model.
    pub fn new(config: &ModelConfig) -> Self {
        let mut grid = vec![0.0; config.extents.positions() * config.axes()];
        for (position, at) in grid.chunks_exact_mut(config.axes()).enumerate() {
            config.extents.coordinates(position, at);
        }
        Self { config: *config, grid }
    }

    /// The k+1 draws of a batch. The last one, for the outer reconstruction loss, is always random.
    ///
    /// Where samples are missing a draw goes as far as mwt-infer's, and what it finds is repeated or cut off to P. mwt-infer
    /// takes each of them once: the same mean but for that.
    pub fn pixels<B: MwtBackend>(
        &self,
        examples: &[Example],
        seed: DrawSeed,
        device: &B::Device,
    ) -> Pixels<B> {
        self.draw(examples, seed).to_device(device)
    }

    /// As [`pixels`](Self::pixels), on the host.
    pub fn draw(&self, examples: &[Example], seed: DrawSeed) -> DrawnPixels {
        let ModelConfig { channels: c, inner_steps: k, pixels_per_step: p, .. } = self.config;
        let n = examples.len();
        let draws: Vec<Vec<Draw>> = (0..n).map(|image| self.draws(image, seed)).collect();
        let (shape, columns @ [e, _]) = ([n, p], [self.config.axes(), c]);
        let lengths @ [coordinates_len, targets_len] = lengths(shape, columns);
        let mut values = vec![0.0f32; (k + 1) * lengths.iter().sum::<usize>()];
        for (step, values) in values.chunks_exact_mut(coordinates_len + targets_len).enumerate() {
            let (coordinates, targets) = values.split_at_mut(coordinates_len);
            let rows = coordinates[..n * p * e].par_chunks_mut(p * e);
            let rows = rows.zip(targets[..n * p * c].par_chunks_mut(p * c));
            rows.enumerate().for_each(|(image, (coordinates, targets))| {
                let example = &examples[image];
                let draw = draws[image][step].step(step, p, self.config.extents);
                let positions = self.positions(example, draw, step < k);
                let samples = coordinates.chunks_exact_mut(e).zip(targets.chunks_exact_mut(c));
                for ((at, values), position) in samples.zip(positions.into_iter().cycle()) {
                    at.copy_from_slice(&self.grid[position * e..][..e]);
                    values.copy_from_slice(&example.targets[position * c..][..c]);
                }
            });
        }
        DrawnPixels { shape, columns, values }
    }

    /// Which positions of a draw a step looks at: at least one.
    fn positions(&self, example: &Example, draw: StepDraw, inner: bool) -> Vec<usize> {
        let seen = |position: &usize| {
            if inner {
                example.may_be_seen(&self.config, *position)
            } else {
                example.is_known(self.config.channels, *position)
            }
        };
        if example.is_complete() {
            return (0..draw.count()).map(|i| draw.index(i)).collect();
        }
        let all = 0..self.config.extents.positions();
        let draw = draw.for_samples(all.clone().filter(seen).count());
        let drawn: Vec<_> = (0..draw.count()).map(|i| draw.index(i)).filter(seen).collect();
        if drawn.is_empty() { all.filter(seen).collect() } else { drawn }
    }

    /// The draw of each inner step of one image, and of the outer loss.
    fn draws(&self, image: usize, seed: DrawSeed) -> Vec<Draw> {
        let steps = self.config.inner_steps;
        let inner = self.config.draw;
        let fresh = match seed {
            DrawSeed::Inference => inner.seed,
            DrawSeed::Training { seed, step, first } => {
                // Independent of the batch's size, so that a draw is known by its place in the run.
                let stream = DRAW_STREAM ^ (step << 32);
                (Rng::new(seed, stream ^ (((first + image) as u64) << 8)).next_u64() >> 32) as u32
            }
        };
        let inner = match inner.kind {
            DrawKind::Partition => inner,
            DrawKind::Random | DrawKind::Stratified { .. } => Draw { seed: fresh, ..inner },
        };
        let mut draws = vec![inner; steps];
        draws.push(Draw::random(fresh));
        draws
    }

    /// Every position of the model's grid, `[N, H·W, E]`, the same for each of `n` images.
    pub fn all_coordinates<B: Backend>(&self, n: usize, device: &B::Device) -> Tensor<B, 3> {
        let e = self.config.axes();
        let data = TensorData::new(self.grid.clone(), [1, self.grid.len() / e, e]);
        let one = Tensor::<B, 3>::from_data(data, device);
        one.repeat_dim(0, n)
    }
}

/// Class indices of a batch, `[N]`.
pub fn labels<B: Backend>(labels: &[u16], device: &B::Device) -> Tensor<B, 1, Int> {
    let values: Vec<i64> = labels.iter().map(|l| i64::from(*l)).collect();
    Tensor::from_data(TensorData::new(values, [labels.len()]), device)
}

/// The order in which an epoch visits the images of a split, in batches; images that do not fill the last batch
/// are left out, unless there is no other.
pub fn epoch(split: &Split, batch: usize, seed: u64, epoch: u64) -> Vec<Vec<usize>> {
    /// The random streams of the epochs.
    const EPOCH_STREAM: u64 = 0x6570_6f63_6800_0000;
    let mut order: Vec<usize> = (0..split.len()).collect();
    Rng::new(seed, EPOCH_STREAM + epoch).shuffle(&mut order);
    if order.len() < batch {
        return vec![order];
    }
    order.chunks_exact(batch).map(<[usize]>::to_vec).collect()
}
