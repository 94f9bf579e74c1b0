//! The SIREN's gradient and its adjoint on a tile of pixels (docs/METHOD.md, "The inner step's adjoint").

use mwt_core::ModelConfig;
use mwt_infer::kernels::{Init, Kernel, Mat, MatMut};

use super::rows;

/// Pixels of a tile: enough rows to use a weight that was loaded, few enough to stay in the second cache.
const ROWS: usize = 32;

/// The activations of a tile and their adjoints; each is [L+1][ROWS, D] where a layer has its own.
pub(super) struct Tile<K> {
    kernel: K,
    h: Vec<f32>,
    cos: Vec<f32>,
    delta: Vec<f32>,
    u: Vec<f32>,
    h_bar: Vec<f32>,
    delta_bar: Vec<f32>,
    a_bar: Vec<f32>,
    /// ū of the layer at hand, `[ROWS, D]`.
    u_bar: Vec<f32>,
    /// q = h_L·Woᵀ + bo, `[ROWS, C]`.
    q: Vec<f32>,
    /// e = q ⊙ out_scale - target, `[ROWS, C]`.
    e: Vec<f32>,
    /// W_lᵀ and ḡW_lᵀ of the hidden layers, [L][D, D].
    transposed: Vec<f32>,
    bar_transposed: Vec<f32>,
}

/// W_lᵀ of each hidden layer of `phi`.
fn transpose<K: Kernel>(kernel: K, config: &ModelConfig, phi: &[f32], out: &mut [f32]) {
    let d = config.dim;
    for (l, out) in out.chunks_exact_mut(d * d).enumerate() {
        let weight = Mat::dense(&phi[config.layer_ranges(l + 1).0], d, d);
        kernel.transpose(weight, MatMut::dense(out, d, d));
    }
}

/// The SIREN's head in its parts: Wo `[C, D]`, bo `[C]`, out_scale `[C]`.
fn split_siren_head<'h>(
    config: &ModelConfig,
    siren_head: &'h [f32],
) -> (&'h [f32], &'h [f32], &'h [f32]) {
    let (c, d) = (config.channels, config.dim);
    (&siren_head[..c * d], &siren_head[c * d..][..c], &siren_head[c * d + c..][..c])
}

/// Tiles of P pixels: first pixel and count.
fn tiles(p: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..p).step_by(ROWS).map(move |first| (first, ROWS.min(p - first)))
}

impl<K: Kernel> Tile<K> {
    pub(super) fn new(kernel: K, config: &ModelConfig) -> Self {
        let (d, l, c) = (config.dim, config.hidden_layers, config.channels);
        let layers = || vec![0.0; (l + 1) * ROWS * d];
        Self {
            kernel,
            h: layers(),
            cos: layers(),
            delta: layers(),
            u: layers(),
            h_bar: layers(),
            delta_bar: layers(),
            a_bar: layers(),
            u_bar: vec![0.0; ROWS * d],
            q: vec![0.0; ROWS * c],
            e: vec![0.0; ROWS * c],
            transposed: vec![0.0; l * d * d],
            bar_transposed: vec![0.0; l * d * d],
        }
    }

    /// ∇_φ of the mean squared error on a draw.
    pub(super) fn gradient(
        &mut self,
        config: &ModelConfig,
        siren_head: &[f32],
        phi: &[f32],
        (coordinates, targets): (&[f32], &[f32]),
        gradient: &mut [f32],
    ) {
        transpose(self.kernel, config, phi, &mut self.transposed);
        gradient.fill(0.0);
        for (first, n) in tiles(config.pixels_per_step) {
            let x = &coordinates[config.axes() * first..][..config.axes() * n];
            let t = &targets[config.channels * first..][..config.channels * n];
            self.forward(config, siren_head, phi, x, t);
            self.deltas(config, siren_head, n);
            let u = std::mem::take(&mut self.u);
            for (l, u) in u.chunks_exact(ROWS * config.dim).enumerate() {
                self.add_outer(config, l, x, &u[..n * config.dim], gradient);
            }
            self.u = u;
        }
    }

    /// The mean squared error on a draw.
    pub(super) fn loss(
        &mut self,
        config: &ModelConfig,
        siren_head: &[f32],
        phi: &[f32],
        (coordinates, targets): (&[f32], &[f32]),
    ) -> f32 {
        let c = config.channels;
        let mut sum = 0.0f64;
        for (first, n) in tiles(config.pixels_per_step) {
            let x = &coordinates[config.axes() * first..][..config.axes() * n];
            self.forward(config, siren_head, phi, x, &targets[c * first..][..c * n]);
            sum += self.e[..n * c].iter().map(|e| f64::from(e * e)).sum::<f64>();
        }
        (sum / (config.pixels_per_step * c) as f64) as f32
    }

    /// Adds to φ̄ and to the gradient of the SIREN's head what the loss on a draw contributes.
    #[allow(clippy::too_many_arguments)] // the operands of one equation
    pub(super) fn loss_adjoint(
        &mut self,
        config: &ModelConfig,
        siren_head: &[f32],
        phi: &[f32],
        (coordinates, targets): (&[f32], &[f32]),
        loss_bar: f32,
        phi_bar: &mut [f32],
        head_bar: &mut [f32],
    ) {
        transpose(self.kernel, config, phi, &mut self.transposed);
        let c = config.channels;
        let scale = loss_bar * 2.0 / (config.pixels_per_step * c) as f32;
        for (first, n) in tiles(config.pixels_per_step) {
            let x = &coordinates[config.axes() * first..][..config.axes() * n];
            self.forward(config, siren_head, phi, x, &targets[c * first..][..c * n]);
            self.h_bar.fill(0.0);
            self.a_bar.fill(0.0);
            for p in 0..n {
                for channel in 0..c {
                    let y_bar = scale * self.e[p * c + channel];
                    self.through_head(config, siren_head, p, channel, y_bar, head_bar);
                }
            }
            self.through_layers(config, x, n, phi_bar);
        }
    }

    /// Adds to φ̄ and to the gradient of the SIREN's head what the gradient of a step contributes, given ḡ.
    #[allow(clippy::too_many_arguments)] // the operands of one equation
    pub(super) fn gradient_adjoint(
        &mut self,
        config: &ModelConfig,
        siren_head: &[f32],
        phi: &[f32],
        (coordinates, targets): (&[f32], &[f32]),
        gradient_bar: &[f32],
        phi_bar: &mut [f32],
        head_bar: &mut [f32],
    ) {
        transpose(self.kernel, config, phi, &mut self.transposed);
        transpose(self.kernel, config, gradient_bar, &mut self.bar_transposed);
        let c = config.channels;
        for (first, n) in tiles(config.pixels_per_step) {
            let x = &coordinates[config.axes() * first..][..config.axes() * n];
            self.forward(config, siren_head, phi, x, &targets[c * first..][..c * n]);
            self.deltas(config, siren_head, n);
            self.h_bar.fill(0.0);
            self.up(config, phi, x, n, gradient_bar, phi_bar);
            self.top(config, siren_head, n, head_bar);
            self.through_layers(config, x, n, phi_bar);
        }
    }

    /// h_l = sin a_l, cos a_l, q and e.
    fn forward(
        &mut self,
        config: &ModelConfig,
        siren_head: &[f32],
        phi: &[f32],
        x: &[f32],
        t: &[f32],
    ) {
        let (d, c, n) = (config.dim, config.channels, x.len() / config.axes());
        let size = ROWS * d;
        let (weight, bias) = config.layer_ranges(0);
        let (weight, bias) = (&phi[weight], &phi[bias]);
        let h = &mut self.h;
        self.kernel.compiled(
            #[inline(always)]
            || {
                for (z, at) in h.chunks_exact_mut(d).zip(x.chunks_exact(config.axes())) {
                    z.iter_mut().zip(weight).for_each(|(z, w)| *z = at[0] * w);
                    for (at, weight) in at.iter().zip(weight.chunks_exact(d)).skip(1) {
                        rows::add_times(z, *at, weight);
                    }
                    z.iter_mut().zip(bias).for_each(|(z, b)| *z = config.omega * (*z + b));
                }
            },
        );
        self.kernel.sin_cos(&mut self.h[..n * d], &mut self.cos[..n * d]);
        for l in 1..=config.hidden_layers {
            let (weight, bias) = config.layer_ranges(l);
            let (below, z) = self.h[(l - 1) * size..].split_at_mut(size);
            let (below, weight) = (Mat::dense(below, n, d), Mat::dense(&phi[weight], d, d));
            self.kernel.gemm(below, weight, Init::Bias(&phi[bias]), MatMut::dense(z, n, d));
            self.kernel.sin_cos(&mut z[..n * d], &mut self.cos[l * size..][..n * d]);
        }
        let (weights, biases, scales) = split_siren_head(config, siren_head);
        let h = self.h[config.hidden_layers * size..].chunks_exact(d).take(n);
        for (p, h) in h.enumerate() {
            for channel in 0..c {
                let q = self.kernel.dot(h, &weights[channel * d..][..d]) + biases[channel];
                self.q[p * c + channel] = q;
                self.e[p * c + channel] = q * scales[channel] - t[p * c + channel];
            }
        }
    }

    /// δ_L = 2/(P·C)·(e ⊙ out_scale)·Wo, then u_l = δ_l ⊙ cos a_l (times ω for l = 0) and δ_{l-1} = u_l·W_lᵀ.
    fn deltas(&mut self, config: &ModelConfig, siren_head: &[f32], n: usize) {
        let (d, c, size) = (config.dim, config.channels, ROWS * config.dim);
        let (weights, _, scales) = split_siren_head(config, siren_head);
        let scale = 2.0 / (config.pixels_per_step * c) as f32;
        let top = &mut self.delta[config.hidden_layers * size..];
        let e = &self.e;
        self.kernel.compiled(
            #[inline(always)]
            || {
                for (p, delta) in top.chunks_exact_mut(d).take(n).enumerate() {
                    delta.fill(0.0);
                    for channel in 0..c {
                        let e = scale * e[p * c + channel] * scales[channel];
                        rows::add_times(delta, e, &weights[channel * d..][..d]);
                    }
                }
            },
        );
        for l in (0..=config.hidden_layers).rev() {
            let omega = if l == 0 { config.omega } else { 1.0 };
            let at = l * size..l * size + n * d;
            let (delta, cos) = (&self.delta[at.clone()], &self.cos[at.clone()]);
            let u = &mut self.u[at.clone()];
            self.kernel.compiled(
                #[inline(always)]
                || {
                    for ((u, delta), cos) in u.iter_mut().zip(delta).zip(cos) {
                        *u = omega * delta * cos;
                    }
                },
            );
            if l > 0 {
                let u = Mat::dense(&self.u[at], n, d);
                let weight = Mat::dense(&self.transposed[(l - 1) * d * d..], d, d);
                let below = MatMut::dense(&mut self.delta[(l - 1) * size..], n, d);
                self.kernel.gemm(u, weight, Init::Zero, below);
            }
        }
    }

    /// Adds h_{l-1}ᵀ·v to W and Σ v to b of layer `l` of `out`.
    fn add_outer(&self, config: &ModelConfig, l: usize, x: &[f32], v: &[f32], out: &mut [f32]) {
        let (d, n) = (config.dim, x.len() / config.axes());
        let (weight, bias) = config.layer_ranges(l);
        let inputs = match l.checked_sub(1) {
            None => Mat::dense(x, n, config.axes()),
            Some(below) => Mat::dense(&self.h[below * ROWS * d..], n, d),
        };
        let rows = config.layer_inputs(l);
        self.kernel.gemm_tn(inputs, Mat::dense(v, n, d), MatMut::dense(&mut out[weight], rows, d));
        self.kernel.add_rows(Mat::dense(v, n, d), &mut out[bias]);
    }

    /// Step 1 of the adjoint: from the first layer up, ū, δ̄ and ā, and what W gets from δ_{l-1} = u_l·W_lᵀ.
    fn up(
        &mut self,
        config: &ModelConfig,
        phi: &[f32],
        x: &[f32],
        n: usize,
        gradient_bar: &[f32],
        phi_bar: &mut [f32],
    ) {
        let (d, size) = (config.dim, ROWS * config.dim);
        for l in 0..=config.hidden_layers {
            let (weight, bias) = config.layer_ranges(l);
            let at = l * size..l * size + n * d;
            let weight_bar = Mat::dense(&gradient_bar[weight.clone()], config.layer_inputs(l), d);
            let inputs = match l.checked_sub(1) {
                None => Mat::dense(x, n, config.axes()),
                Some(below) => Mat::dense(&self.h[below * size..], n, d),
            };
            let init = Init::Bias(&gradient_bar[bias]);
            self.kernel.gemm(inputs, weight_bar, init, MatMut::dense(&mut self.u_bar, n, d));
            if let Some(below) = l.checked_sub(1) {
                let delta_bar = Mat::dense(&self.delta_bar[below * size..], n, d);
                let u = Mat::dense(&self.u[at.clone()], n, d);
                let w = Mat::dense(&phi[weight.clone()], d, d);
                self.kernel.gemm(delta_bar, w, Init::Add, MatMut::dense(&mut self.u_bar, n, d));
                let transposed = Mat::dense(&self.bar_transposed[below * d * d..], d, d);
                let h_bar = MatMut::dense(&mut self.h_bar[below * size..], n, d);
                self.kernel.gemm(u, transposed, Init::Add, h_bar);
                self.kernel.gemm_tn(delta_bar, u, MatMut::dense(&mut phi_bar[weight], d, d));
            }
            let omega = if l == 0 { config.omega } else { 1.0 };
            let (cos, h) = (&self.cos[at.clone()], &self.h[at.clone()]);
            let (u_bar, delta) = (&self.u_bar, &self.delta[at.clone()]);
            let (delta_bar, a_bar) = (&mut self.delta_bar[at.clone()], &mut self.a_bar[at]);
            self.kernel.compiled(
                #[inline(always)]
                || {
                    let bars = delta_bar.iter_mut().zip(a_bar).zip(u_bar);
                    for ((((delta_bar, a_bar), u_bar), cos), (delta, h)) in
                        bars.zip(cos).zip(delta.iter().zip(h))
                    {
                        *delta_bar = omega * u_bar * cos;
                        *a_bar = -omega * u_bar * delta * h;
                    }
                },
            );
        }
    }

    /// Step 2: from δ̄_L to ē and the SIREN's head.
    fn top(&mut self, config: &ModelConfig, siren_head: &[f32], n: usize, head_bar: &mut [f32]) {
        let (d, c, size) = (config.dim, config.channels, ROWS * config.dim);
        let (weights, _, scales) = split_siren_head(config, siren_head);
        let scale = 2.0 / (config.pixels_per_step * c) as f32;
        for p in 0..n {
            for channel in 0..c {
                let delta_bar = &self.delta_bar[config.hidden_layers * size + p * d..][..d];
                let e = self.e[p * c + channel];
                let through = scale * self.kernel.dot(delta_bar, &weights[channel * d..][..d]);
                let (s, s_bar) = (scales[channel], &mut head_bar[c * d + c + channel]);
                *s_bar += e * through;
                rows::add_times(&mut head_bar[channel * d..][..d], scale * e * s, delta_bar);
                self.through_head(config, siren_head, p, channel, through * s, head_bar);
            }
        }
    }

    /// From ȳ of one value, y = (h_L·Wo + bo)·out_scale, to h̄_L and the SIREN's head.
    fn through_head(
        &mut self,
        config: &ModelConfig,
        siren_head: &[f32],
        p: usize,
        channel: usize,
        y_bar: f32,
        head_bar: &mut [f32],
    ) {
        let (d, c, size) = (config.dim, config.channels, ROWS * config.dim);
        let (weights, _, scales) = split_siren_head(config, siren_head);
        let v = y_bar * scales[channel];
        let at = config.hidden_layers * size + p * d;
        rows::add_times(&mut self.h_bar[at..][..d], v, &weights[channel * d..][..d]);
        rows::add_times(&mut head_bar[channel * d..][..d], v, &self.h[at..][..d]);
        head_bar[c * d + channel] += v;
        head_bar[c * d + c + channel] += y_bar * self.q[p * c + channel];
    }

    /// Step 3: from the last layer down, z̄ = ā + h̄ ⊙ cos a (times ω for l = 0) to W, b and h̄_{l-1}.
    fn through_layers(&mut self, config: &ModelConfig, x: &[f32], n: usize, phi_bar: &mut [f32]) {
        let (d, size) = (config.dim, ROWS * config.dim);
        for l in (0..=config.hidden_layers).rev() {
            let omega = if l == 0 { config.omega } else { 1.0 };
            let at = l * size..l * size + n * d;
            let (a_bar, h_bar, cos) =
                (&self.a_bar[at.clone()], &self.h_bar[at.clone()], &self.cos[at]);
            let mut z_bar = std::mem::take(&mut self.u_bar);
            self.kernel.compiled(
                #[inline(always)]
                || {
                    let values = z_bar.iter_mut().zip(a_bar).zip(h_bar).zip(cos);
                    for (((z_bar, a_bar), h_bar), cos) in values {
                        *z_bar = omega * (a_bar + h_bar * cos);
                    }
                },
            );
            self.add_outer(config, l, x, &z_bar[..n * d], phi_bar);
            if let Some(below) = l.checked_sub(1) {
                let transposed = Mat::dense(&self.transposed[below * d * d..], d, d);
                let h_bar = MatMut::dense(&mut self.h_bar[below * size..], n, d);
                self.kernel.gemm(Mat::dense(&z_bar, n, d), transposed, Init::Add, h_bar);
            }
            self.u_bar = z_bar;
        }
    }
}
