//! One image: its fit, and the adjoint of its fit.

use mwt_core::ModelConfig;
use mwt_infer::kernels::Kernel;

use super::rows::add;
use super::tile::Tile;
use super::values::{BatchFit, HostPixels};

/// An image of a batch.
pub(super) struct ImageFit<'a> {
    batch: &'a BatchFit,
    pixels: &'a HostPixels,
    n: usize,
}

/// The memory of a thread.
pub(super) struct Scratch<K> {
    tile: Tile<K>,
    /// φ̄, `[|θ|]`.
    phi_bar: Vec<f32>,
    /// ḡ = -α ⊙ φ̄, `[|θ|]`.
    gradient_bar: Vec<f32>,
    /// What one step adds to φ̄, `[|θ|]`.
    step_bar: Vec<f32>,
}

impl<K: Kernel> Scratch<K> {
    pub(super) fn new(kernel: K, config: &ModelConfig) -> Self {
        let values = || vec![0.0; config.theta_len()];
        Self {
            tile: Tile::new(kernel, config),
            phi_bar: values(),
            gradient_bar: values(),
            step_bar: values(),
        }
    }
}

/// Where an image adds its gradients.
pub(super) struct Grads<'g> {
    pub(super) theta: &'g mut [f32],
    pub(super) alpha: &'g mut [f32],
    pub(super) siren_head: &'g mut [f32],
}

impl<'a> ImageFit<'a> {
    pub(super) fn new(batch: &'a BatchFit, pixels: &'a HostPixels, n: usize) -> Self {
        Self { batch, pixels, n }
    }

    /// Coordinates and targets of draw `draw`.
    fn draw(&self, draw: usize) -> (&'a [f32], &'a [f32]) {
        let ModelConfig { pixels_per_step: p, channels: c, .. } = self.batch.config;
        let e = self.batch.config.axes();
        let coordinates = &self.pixels.coordinates[draw][self.n * p * e..][..p * e];
        (coordinates, &self.pixels.targets[draw][self.n * p * c..][..p * c])
    }

    /// α of a step.
    fn alpha_row(&self, step: usize) -> std::ops::Range<usize> {
        let m = self.batch.config.theta_len();
        let row = if self.batch.config.shared_alpha { 0 } else { step };
        row * m..(row + 1) * m
    }

    /// φ ← φ - α_j ⊙ ∇loss_j for j = 0..k, then the loss on the last draw.
    pub(super) fn fit<K: Kernel>(
        &self,
        scratch: &mut Scratch<K>,
        phi: &mut [f32],
        gradient: &mut [f32],
        out: &mut [f32],
    ) {
        let BatchFit { config, theta, alpha, siren_head } = self.batch;
        let m = config.theta_len();
        let (loss, offsets) = out.split_last_mut().expect("φ - θ and a loss");
        phi[..m].copy_from_slice(theta);
        for j in 0..config.inner_steps {
            let (now, next) = phi[j * m..(j + 2) * m].split_at_mut(m);
            let gradient = &mut gradient[j * m..(j + 1) * m];
            scratch.tile.gradient(config, siren_head, now, self.draw(j), gradient);
            let alpha_and_gradient = alpha[self.alpha_row(j)].iter().zip(gradient.iter());
            // φ is θ plus the offsets, rather than the old φ plus a change: one rounding, not k.
            let values = offsets.iter_mut().zip(next).zip(theta);
            for (((offset, next), theta), (alpha, g)) in values.zip(alpha_and_gradient) {
                *offset -= alpha * g;
                *next = theta + *offset;
            }
        }
        *loss = scratch.tile.loss(
            config,
            siren_head,
            &phi[config.inner_steps * m..],
            self.draw(config.inner_steps),
        );
    }

    /// Adds the gradients of θ, α and the SIREN's head, given that of [`fit`](Self::fit)'s output.
    pub(super) fn adjoint<K: Kernel>(
        &self,
        scratch: &mut Scratch<K>,
        phi: &[f32],
        gradient: &[f32],
        out_grad: &[f32],
        grads: Grads<'_>,
    ) {
        let BatchFit { config, alpha, siren_head, .. } = self.batch;
        let (m, k) = (config.theta_len(), config.inner_steps);
        let Scratch { tile, phi_bar, gradient_bar, step_bar } = scratch;
        let (loss_bar, offsets_bar) = out_grad.split_last().expect("φ - θ and a loss");
        phi_bar.copy_from_slice(offsets_bar);
        step_bar.fill(0.0);
        tile.loss_adjoint(
            config,
            siren_head,
            &phi[k * m..],
            self.draw(k),
            *loss_bar,
            step_bar,
            grads.siren_head,
        );
        add(phi_bar, step_bar);
        // θ reaches the output through each φ_j, but not through φ_k - θ itself.
        add(grads.theta, step_bar);
        for j in (0..k).rev() {
            let row = self.alpha_row(j);
            let gradient = &gradient[j * m..(j + 1) * m];
            let alpha_bar = grads.alpha[row.clone()].iter_mut().zip(gradient);
            alpha_bar.zip(&*phi_bar).for_each(|((a, g), bar)| *a -= g * bar);
            let bars = gradient_bar.iter_mut().zip(&alpha[row]).zip(&*phi_bar);
            bars.for_each(|((g, alpha), bar)| *g = -alpha * bar);
            step_bar.fill(0.0);
            let phi = &phi[j * m..(j + 1) * m];
            tile.gradient_adjoint(
                config,
                siren_head,
                phi,
                self.draw(j),
                gradient_bar,
                step_bar,
                grads.siren_head,
            );
            add(phi_bar, step_bar);
            add(grads.theta, step_bar);
        }
    }
}
