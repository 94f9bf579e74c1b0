//! The Transformer of a batch.

use mwt_core::ModelConfig;
use mwt_infer::kernels::{Isa, Kernel};
use mwt_infer::with_kernel;
use rayon::prelude::*;

use super::group_len;
use super::image_transformer::{ImageTransformer, TransformerWeights, saved_len};
use super::rows::add;

/// The Transformer of a batch.
#[derive(Clone, Debug)]
pub(super) struct BatchTransformer {
    config: ModelConfig,
    weights: TransformerWeights,
    /// β `[T, D+1]`.
    beta: Vec<f32>,
    /// φ - θ, `[N, |θ|]`.
    offsets: Vec<f32>,
}

/// The gradients of the Transformer's inputs.
#[derive(Clone, Debug)]
pub(super) struct FlatTransformerGrads {
    /// Of φ - θ, `[N, |θ|]`.
    pub(super) offsets: Vec<f32>,
    /// `[T, D+1]`.
    pub(super) beta: Vec<f32>,
    /// Of the parameters, flat.
    pub(super) values: Vec<f32>,
}

impl BatchTransformer {
    /// `weights` are the Transformer's parameters, flat.
    pub(super) fn new(
        config: ModelConfig,
        weights: Vec<f32>,
        beta: Vec<f32>,
        offsets: Vec<f32>,
    ) -> Self {
        let weights = with_kernel!(Isa::detect(), kernel => TransformerWeights::new(kernel, &config, weights));
        Self { config, weights, beta, offsets }
    }

    /// Logits `[N, K]`, and what the backward needs of each image.
    pub(super) fn forward(&self) -> (Vec<f32>, Vec<f32>) {
        with_kernel!(Isa::detect(), kernel => self.forward_with(kernel))
    }

    fn forward_with<K: Kernel + Send + Sync>(&self, kernel: K) -> (Vec<f32>, Vec<f32>) {
        let (m, saved_len) = (self.config.theta_len(), saved_len(&self.config));
        let n = self.offsets.len() / m;
        let mut logits = vec![0.0; n * self.config.classes];
        let mut saved = vec![0.0; n * saved_len];
        logits
            .par_chunks_exact_mut(self.config.classes)
            .zip(saved.par_chunks_exact_mut(saved_len))
            .zip(self.offsets.par_chunks_exact(m))
            .for_each_init(
                || ImageTransformer::new(kernel, &self.config),
                |image, ((logits, saved), offsets)| {
                    image.set_tokens(offsets, &self.beta);
                    image.forward(&self.weights, saved, logits);
                },
            );
        (logits, saved)
    }

    /// The gradients of φ - θ, β and the parameters from that of the logits.
    pub(super) fn backward(&self, saved: &[f32], logits_bar: &[f32]) -> FlatTransformerGrads {
        with_kernel!(Isa::detect(), kernel => self.backward_with(kernel, saved, logits_bar))
    }

    fn backward_with<K: Kernel + Send + Sync>(
        &self,
        kernel: K,
        saved: &[f32],
        logits_bar: &[f32],
    ) -> FlatTransformerGrads {
        let (m, saved_len) = (self.config.theta_len(), saved_len(&self.config));
        let group = group_len(self.offsets.len() / m);
        let mut offsets_bar = vec![0.0; self.offsets.len()];
        let groups: Vec<[Vec<f32>; 2]> = offsets_bar
            .par_chunks_mut(group * m)
            .zip(self.offsets.par_chunks(group * m))
            .zip(saved.par_chunks(group * saved_len))
            .zip(logits_bar.par_chunks(group * self.config.classes))
            .map_init(
                || ImageTransformer::new(kernel, &self.config),
                |image, (((offsets_bar, offsets), saved), logits_bar)| {
                    let mut values = vec![0.0; self.weights.values.len()];
                    let mut beta = vec![0.0; self.beta.len()];
                    let images = offsets_bar.chunks_exact_mut(m).zip(offsets.chunks_exact(m));
                    let images = images.zip(saved.chunks_exact(saved_len));
                    let logits = logits_bar.chunks_exact(self.config.classes);
                    for (((offsets_bar, offsets), saved), logits_bar) in images.zip(logits) {
                        image.set_tokens(offsets, &self.beta);
                        image.backward(&self.weights, saved, logits_bar, &mut values);
                        image.token_grads(offsets_bar, &mut beta);
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
        FlatTransformerGrads { offsets: offsets_bar, beta, values }
    }
}
