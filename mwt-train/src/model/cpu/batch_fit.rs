//! The inner loop of a batch.

use mwt_infer::kernels::{Isa, Kernel};
use mwt_infer::with_kernel;
use rayon::prelude::*;

use super::group_len;
use super::image_fit::{Grads, ImageFit, Scratch};
use super::rows::add;
use super::values::{BatchFit, HostPixels, SavedSteps};

/// The gradients of the operation's inputs.
#[derive(Clone, Debug)]
pub(super) struct FlatFitGrads {
    pub(super) theta: Vec<f32>,
    pub(super) alpha: Vec<f32>,
    pub(super) siren_head: Vec<f32>,
}

impl BatchFit {
    /// Fits each image: `[N, |θ| + 1]`, φ_k - θ and then the reconstruction loss.
    pub(super) fn forward(&self, pixels: &HostPixels) -> (Vec<f32>, SavedSteps) {
        with_kernel!(Isa::detect(), kernel => self.forward_with(kernel, pixels))
    }

    fn forward_with<K: Kernel + Send + Sync>(
        &self,
        kernel: K,
        pixels: &HostPixels,
    ) -> (Vec<f32>, SavedSteps) {
        let (m, k) = (self.config.theta_len(), self.config.inner_steps);
        let mut out = vec![0.0; pixels.count * (m + 1)];
        let mut saved = SavedSteps {
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
                    ImageFit::new(self, pixels, n).fit(scratch, phi, gradient, out);
                },
            );
        (out, saved)
    }

    /// The gradients of the inputs from the gradient of [`forward`](Self::forward)'s output.
    pub(super) fn backward(
        &self,
        pixels: &HostPixels,
        saved: &SavedSteps,
        out_grad: &[f32],
    ) -> FlatFitGrads {
        with_kernel!(Isa::detect(), kernel => self.backward_with(kernel, pixels, saved, out_grad))
    }

    fn backward_with<K: Kernel + Send + Sync>(
        &self,
        kernel: K,
        pixels: &HostPixels,
        saved: &SavedSteps,
        out_grad: &[f32],
    ) -> FlatFitGrads {
        let (m, k, n) = (self.config.theta_len(), self.config.inner_steps, pixels.count);
        let len = group_len(n);
        let zero = || FlatFitGrads {
            theta: vec![0.0; m],
            alpha: vec![0.0; self.alpha.len()],
            siren_head: vec![0.0; self.siren_head.len()],
        };
        let groups: Vec<FlatFitGrads> = (0..n.div_ceil(len))
            .into_par_iter()
            .map_init(
                || Scratch::new(kernel, &self.config),
                |scratch, group| {
                    let mut sum = zero();
                    for n in group * len..((group + 1) * len).min(n) {
                        let phi = &saved.phi[n * (k + 1) * m..][..(k + 1) * m];
                        let gradient = &saved.gradient[n * k * m..][..k * m];
                        let out_grad = &out_grad[n * (m + 1)..][..m + 1];
                        let grads = Grads {
                            theta: &mut sum.theta,
                            alpha: &mut sum.alpha,
                            siren_head: &mut sum.siren_head,
                        };
                        ImageFit::new(self, pixels, n)
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
            add(&mut total.siren_head, &group.siren_head);
        }
        total
    }
}
