//! The products of the fit's hidden layers in 16-bit integers, on kernels that are faster so: h, u and W are rounded, sums
//! are exact, everything else stays f32.
//!
//! Between two layers h_l and u_l are f32 in the memory of h_L, which takes no part in these products. What is kept of h_l
//! are its panels, in place of the f32 values: those of its rows for a_{l+1} = h_l·W, those of its columns for
//! ∇W = h_lᵀ·u. In the same way those of W and Wᵀ lie where Wᵀ would.

use mwt_core::ModelConfig;

use crate::fit::{FitScratch, layer, layer_mut};
use crate::kernels::panels::Step;
use crate::kernels::{Init, Kernel, Mat, MatMut};

/// The longest of all sums: of D values or of a tile's pixels.
fn terms(config: &ModelConfig, tile: usize) -> usize {
    config.dim.max(tile)
}

impl FitScratch<'_> {
    /// Packs the hidden layers' W, all rounded to one step.
    pub(crate) fn round_weights<K: Kernel>(
        &mut self,
        kernel: K,
        config: &ModelConfig,
        phi: &[f32],
    ) {
        let d = config.dim;
        let hidden = || (1..=config.hidden_layers).map(|l| layer(config, phi, l).0);
        let largest = hidden().map(|w| kernel.largest(w)).fold(0.0, f32::max);
        let step = Step::new(largest, terms(config, self.tile));
        for (weight, to) in hidden().zip(self.transposed.chunks_exact_mut((d * d).max(1))) {
            let (straight, transposed) = to.split_at_mut_checked(d * d / 2).unwrap_or_default();
            let weight = Mat::dense(weight, d, d);
            kernel.pack_b(weight, step.factor, straight);
            kernel.pack_b_t(weight, step.factor, self.delta, transposed);
        }
        self.weights = Some(step);
    }

    /// h_{l-1} to a_l, both in the memory of h_L.
    pub(crate) fn forward_int16<K: Kernel>(
        &mut self,
        kernel: K,
        config: &ModelConfig,
        phi: &[f32],
        l: usize,
        pixels: usize,
    ) {
        let (d, size) = (config.dim, self.tile * config.dim);
        let step = Step::new(1.0, terms(config, self.tile));
        let (kept, a) =
            self.h.split_at_mut_checked(config.hidden_layers * size).unwrap_or_default();
        let kept = kept.get_mut((l - 1) * size..l * size).unwrap_or_default();
        let (rows, columns) = kept.split_at_mut_checked(size / 2).unwrap_or_default();
        let a = a.get_mut(..pixels * d).unwrap_or_default();
        kernel.pack_a(Mat::dense(a, pixels, d), step.factor, rows);
        kernel.pack_a_t(Mat::dense(a, pixels, d), step.factor, columns);
        let (_, bias) = layer(config, phi, l);
        let weight = self.transposed.get((l - 1) * d * d..).unwrap_or_default();
        let scale = step.size * self.weights.map_or(0.0, |step| step.size);
        let a = MatMut::dense(a, pixels, d);
        kernel.product_i16(rows, weight, d, scale, Init::Bias(bias), a);
    }

    /// u_l, which lies in place of cos a_l, to δ_{l-1}; adds the tile's part of ∇W_l.
    pub(crate) fn backward_int16<K: Kernel>(
        &mut self,
        kernel: K,
        config: &ModelConfig,
        l: usize,
        pixels: usize,
    ) {
        let (d, size) = (config.dim, self.tile * config.dim);
        let h = Step::new(1.0, terms(config, self.tile));
        let u = self.cos.get(l * size..l * size + pixels * d).unwrap_or_default();
        let step = Step::new(kernel.largest(u), terms(config, self.tile));
        let u = Mat::dense(u, pixels, d);
        let (kept, scratch) =
            self.h.split_at_mut_checked(config.hidden_layers * size).unwrap_or_default();
        let (rows, columns) = scratch.split_at_mut_checked(size / 2).unwrap_or_default();

        kernel.pack_b(u, step.factor, columns);
        let inputs = kept.get((l - 1) * size + size / 2..l * size).unwrap_or_default();
        let (weight, _) = layer_mut(config, self.gradient, l);
        let weight = MatMut::dense(weight, d, d);
        kernel.product_tn_i16(inputs, columns, pixels, step.size * h.size, weight);

        kernel.pack_a(u, step.factor, rows);
        let transposed = self.transposed.get((2 * l - 1) * d * d / 2..).unwrap_or_default();
        let scale = step.size * self.weights.map_or(0.0, |step| step.size);
        let delta = self.delta.get_mut(..pixels * d).unwrap_or_default();
        let delta = MatMut::dense(delta, pixels, d);
        kernel.product_i16(rows, transposed, d, scale, Init::Zero, delta);
    }
}
