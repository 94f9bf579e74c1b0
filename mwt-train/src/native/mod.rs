//! The inner loop as one differentiable operation on the CPU.
//!
//! (θ, α, head, pixels of k+1 draws) → (φ_k - θ, reconstruction loss), with its own backward. An image is
//! fitted by one thread, tile by tile, on mwt-infer's kernels; for the backward only φ_j and the gradient of
//! each step are kept. The tensor form in [`inner`](crate::model::inner) is the readable reference: the same
//! tests hold both.

mod image;
mod op;
mod tile;

use mwt_core::ModelConfig;
use mwt_infer::kernels::{Isa, Kernel};
use mwt_infer::with_kernel;
use rayon::prelude::*;

use image::{Grads, Image, Scratch};

/// What all images of a batch share: θ, α and the head, flat.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) config: ModelConfig,
    /// [|θ|].
    pub(crate) theta: Vec<f32>,
    /// [k or 1, |θ|].
    pub(crate) alpha: Vec<f32>,
    /// Wo [C, D], bo [C], out_scale [C].
    pub(crate) head: Vec<f32>,
}

/// The pixels of a batch: for each of the k+1 draws, [N, P, ·].
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
    /// φ_0, …, φ_k of each image, [N, k+1, |θ|].
    phi: Vec<f32>,
    /// The gradient of each step of each image, [N, k, |θ|].
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
    /// Fits each image: [N, |θ| + 1], φ_k - θ and then the reconstruction loss.
    pub(crate) fn forward(&self, pixels: &HostPixels) -> (Vec<f32>, Saved) {
        with_kernel!(Isa::detect(), kernel => self.forward_with(kernel, pixels))
    }

    fn forward_with<K: Kernel + Send + Sync>(
        &self,
        kernel: K,
        pixels: &HostPixels,
    ) -> (Vec<f32>, Saved) {
        let (m, k) = (self.config.theta_len(), self.config.steps);
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
        /// Images are summed in this many groups, one after the other within a group and then group by group:
        /// the order, and with it every bit, is the same however many threads there are.
        const GROUPS: usize = 16;
        let (m, k, n) = (self.config.theta_len(), self.config.steps, pixels.count);
        let per_group = n.div_ceil(GROUPS).max(1);
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

/// a += b.
fn add(a: &mut [f32], b: &[f32]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
}
