//! The model as two differentiable operations on the CPU, on mwt-infer's kernels, an image a thread.
//!
//! - The inner loop: (θ, α, head, pixels of k+1 draws) → (φ_k - θ, reconstruction loss). Pixels go through in
//!   tiles; for the backward only φ_j and the gradient of each step are kept.
//! - The Transformer: (φ - θ, β, parameters) → logits. Kept are each block's input and what its attention gathered.
//!
//! The tensor forms in [`model`](crate::model) are the readable reference: the same tests hold both.

mod image;
mod op;
mod reader;
mod rows;
mod tile;
mod weights;

use mwt_core::ModelConfig;
use mwt_infer::kernels::{Isa, Kernel};
use mwt_infer::with_kernel;
use rayon::prelude::*;

use image::{Grads, Image, Scratch};
use reader::{Reader, Weights, kept_len};
use rows::add;

/// What all images of a batch share: θ, α and the head, flat.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) config: ModelConfig,
    /// `[|θ|]`.
    pub(crate) theta: Vec<f32>,
    /// `[k or 1, |θ|]`.
    pub(crate) alpha: Vec<f32>,
    /// Wo `[C, D]`, bo `[C]`, out_scale `[C]`.
    pub(crate) head: Vec<f32>,
}

/// The pixels of a batch: for each of the k+1 draws, `[N, P, ·]`.
#[derive(Clone, Debug)]
pub(crate) struct HostPixels {
    /// Images.
    pub(crate) count: usize,
    /// (y, x).
    pub(crate) coordinates: Vec<Vec<f32>>,
    /// Values.
    pub(crate) targets: Vec<Vec<f32>>,
}

/// What the backward needs of the forward.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    /// φ_0, …, φ_k of each image, `[N, k+1, |θ|]`.
    phi: Vec<f32>,
    /// The gradient of each step of each image, `[N, k, |θ|]`.
    gradient: Vec<f32>,
}

/// The gradients of the operation's inputs.
#[derive(Clone, Debug)]
pub(crate) struct InputGrads {
    pub(crate) theta: Vec<f32>,
    pub(crate) alpha: Vec<f32>,
    pub(crate) head: Vec<f32>,
}

impl Shared {
    /// Fits each image: `[N, |θ| + 1]`, φ_k - θ and then the reconstruction loss.
    pub(crate) fn forward(&self, pixels: &HostPixels) -> (Vec<f32>, Saved) {
        with_kernel!(Isa::detect(), kernel => self.forward_with(kernel, pixels))
    }

    fn forward_with<K: Kernel + Send + Sync>(
        &self,
        kernel: K,
        pixels: &HostPixels,
    ) -> (Vec<f32>, Saved) {
        let (m, k) = (self.config.theta_len(), self.config.inner_steps);
        let mut out = vec![0.0; pixels.count * (m + 1)];
        let mut saved = Saved {
            phi: vec![0.0; pixels.count * (k + 1) * m],
            gradient: vec![0.0; pixels.count * k * m],
        };
        out.par_chunks_exact_mut(m + 1)
            .zip(saved.phi.par_chunks_exact_mut((k + 1) * m))
            .zip(saved.gradient.par_chunks_exact_mut(k * m))
            .enumerate()
            .for_each_init(
                || Scratch::new(kernel, &self.config),
                |scratch, (n, ((out, phi), gradient))| {
                    Image::new(self, pixels, n).fit(scratch, phi, gradient, out);
                },
            );
        (out, saved)
    }

    /// The gradients of the inputs from the gradient of [`forward`](Self::forward)'s output.
    pub(crate) fn backward(
        &self,
        pixels: &HostPixels,
        saved: &Saved,
        out_grad: &[f32],
    ) -> InputGrads {
        with_kernel!(Isa::detect(), kernel => self.backward_with(kernel, pixels, saved, out_grad))
    }

    fn backward_with<K: Kernel + Send + Sync>(
        &self,
        kernel: K,
        pixels: &HostPixels,
        saved: &Saved,
        out_grad: &[f32],
    ) -> InputGrads {
        let (m, k, n) = (self.config.theta_len(), self.config.inner_steps, pixels.count);
        let per_group = group_len(n);
        let zero = || InputGrads {
            theta: vec![0.0; m],
            alpha: vec![0.0; self.alpha.len()],
            head: vec![0.0; self.head.len()],
        };
        let groups: Vec<InputGrads> = (0..n.div_ceil(per_group))
            .into_par_iter()
            .map_init(
                || Scratch::new(kernel, &self.config),
                |scratch, group| {
                    let mut sum = zero();
                    for n in group * per_group..((group + 1) * per_group).min(n) {
                        let phi = &saved.phi[n * (k + 1) * m..][..(k + 1) * m];
                        let gradient = &saved.gradient[n * k * m..][..k * m];
                        let out_grad = &out_grad[n * (m + 1)..][..m + 1];
                        let grads = Grads {
                            theta: &mut sum.theta,
                            alpha: &mut sum.alpha,
                            head: &mut sum.head,
                        };
                        Image::new(self, pixels, n)
                            .adjoint(scratch, phi, gradient, out_grad, grads);
                    }
                    sum
                },
            )
            .collect();
        let mut total = zero();
        for group in groups {
            add(&mut total.theta, &group.theta);
            add(&mut total.alpha, &group.alpha);
            add(&mut total.head, &group.head);
        }
        total
    }
}

/// The Transformer of a batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchReader {
    config: ModelConfig,
    weights: Weights,
    /// β `[T, D+1]`.
    beta: Vec<f32>,
    /// φ - θ, `[N, |θ|]`.
    offsets: Vec<f32>,
}

/// The gradients of the Transformer's inputs.
#[derive(Clone, Debug)]
pub(crate) struct ReaderGrads {
    /// Of φ - θ, `[N, |θ|]`.
    pub(crate) offsets: Vec<f32>,
    /// `[T, D+1]`.
    pub(crate) beta: Vec<f32>,
    /// Of the parameters, flat.
    pub(crate) values: Vec<f32>,
}

impl BatchReader {
    /// `weights` are the Transformer's parameters, flat.
    pub(crate) fn new(
        config: ModelConfig,
        weights: Vec<f32>,
        beta: Vec<f32>,
        offsets: Vec<f32>,
    ) -> Self {
        let weights = with_kernel!(Isa::detect(), kernel => Weights::new(kernel, &config, weights));
        Self { config, weights, beta, offsets }
    }

    /// Logits `[N, K]`, and what the backward needs of each image.
    pub(crate) fn forward(&self) -> (Vec<f32>, Vec<f32>) {
        with_kernel!(Isa::detect(), kernel => self.forward_with(kernel))
    }

    fn forward_with<K: Kernel + Send + Sync>(&self, kernel: K) -> (Vec<f32>, Vec<f32>) {
        let (m, kept_len) = (self.config.theta_len(), kept_len(&self.config));
        let n = self.offsets.len() / m;
        let mut logits = vec![0.0; n * self.config.classes];
        let mut kept = vec![0.0; n * kept_len];
        logits
            .par_chunks_exact_mut(self.config.classes)
            .zip(kept.par_chunks_exact_mut(kept_len))
            .zip(self.offsets.par_chunks_exact(m))
            .for_each_init(
                || Reader::new(kernel, &self.config),
                |reader, ((logits, kept), offsets)| {
                    reader.set_tokens(offsets, &self.beta);
                    reader.forward(&self.weights, kept, logits);
                },
            );
        (logits, kept)
    }

    /// The gradients of φ - θ, β and the parameters from that of the logits.
    pub(crate) fn backward(&self, kept: &[f32], logits_bar: &[f32]) -> ReaderGrads {
        with_kernel!(Isa::detect(), kernel => self.backward_with(kernel, kept, logits_bar))
    }

    fn backward_with<K: Kernel + Send + Sync>(
        &self,
        kernel: K,
        kept: &[f32],
        logits_bar: &[f32],
    ) -> ReaderGrads {
        let (m, kept_len) = (self.config.theta_len(), kept_len(&self.config));
        let group = group_len(self.offsets.len() / m);
        let mut offsets_bar = vec![0.0; self.offsets.len()];
        let groups: Vec<[Vec<f32>; 2]> = offsets_bar
            .par_chunks_mut(group * m)
            .zip(self.offsets.par_chunks(group * m))
            .zip(kept.par_chunks(group * kept_len))
            .zip(logits_bar.par_chunks(group * self.config.classes))
            .map_init(
                || Reader::new(kernel, &self.config),
                |reader, (((offsets_bar, offsets), kept), logits_bar)| {
                    let mut values = vec![0.0; self.weights.values.len()];
                    let mut beta = vec![0.0; self.beta.len()];
                    let images = offsets_bar.chunks_exact_mut(m).zip(offsets.chunks_exact(m));
                    let images = images.zip(kept.chunks_exact(kept_len));
                    let logits = logits_bar.chunks_exact(self.config.classes);
                    for (((offsets_bar, offsets), kept), logits_bar) in images.zip(logits) {
                        reader.set_tokens(offsets, &self.beta);
                        reader.backward(&self.weights, kept, logits_bar, &mut values);
                        reader.token_grads(offsets_bar, &mut beta);
                    }
                    [beta, values]
                },
            )
            .collect();
        let mut total = [vec![0.0; self.beta.len()], vec![0.0; self.weights.values.len()]];
        for group in &groups {
            total.iter_mut().zip(group).for_each(|(total, group)| add(total, group));
        }
        let [beta, values] = total;
        ReaderGrads { offsets: offsets_bar, beta, values }
    }
}

/// Images of a group whose gradients are summed one after the other, before the groups' sums are added in order:
/// so the order, and with it every bit, is the same however many threads there are.
fn group_len(images: usize) -> usize {
    /// Each group takes the memory of a whole gradient.
    const GROUPS: usize = 16;
    images.div_ceil(GROUPS).max(1)
}
