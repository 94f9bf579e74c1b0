//! The inner loop: one gradient step at a time on the pixels drawn for it.
//!
//! Pixels go through in tiles: forward, gradient, and on to the next tile, so that no activation outlives its
//! tile. The gradient is in closed form (paper section 3, the SIREN's own chain rule):
//!
//! - forward, with h_{-1} the coordinates: a_l = (ω if l = 0)·(h_{l-1}·W_l + b_l), h_l = sin a_l, and
//!   out = (h_L·Woᵀ + bo) ⊙ out_scale;
//! - e = out - target, δ_L = 2/(P·C)·(e ⊙ out_scale)·Wo;
//! - for l = L..0: u_l = (ω if l = 0)·δ_l ⊙ cos a_l, ∇W_l = h_{l-1}ᵀ·u_l, ∇b_l = Σ u_l over the pixels, and
//!   δ_{l-1} = u_l·W_lᵀ.
//!
//! Both ω are moved to where the fewest values have to be scaled. docs/METHOD.md derives all of it.
//!
//! What is generic over the source is compiled in the crate that calls, with that crate's optimization; the arithmetic is
//! not, and is there once, however many kinds of sources a program has.

use mwt_core::grid::clamped_squared_error;
use mwt_core::quant::{Matrix, Values};
use mwt_core::{Bundle, ModelConfig};

use crate::arithmetic::Arithmetic;
use crate::error::Error;
use crate::kernels::panels::Step;
use crate::kernels::{Init, Isa, Kernel, Mat, MatMut, with_kernel};
use crate::range::Range;
use crate::source::SampleSource;
use crate::workspace::{Carve, Plan};

/// The samples that a step looks at.
pub(crate) struct Picked<'p, S, F> {
    pub(crate) source: &'p S,
    /// How many they are.
    pub(crate) count: usize,
    /// How many may be among them.
    pub(crate) candidates: usize,
    /// Index of the i-th candidate; `None` when it is not among them.
    pub(crate) index: F,
}

/// W and b of a sine layer in φ, or in anything laid out like it.
pub(crate) fn layer<'a>(
    config: &ModelConfig,
    phi: &'a [f32],
    layer: usize,
) -> (&'a [f32], &'a [f32]) {
    let (weight, bias) = config.layer_ranges(layer);
    let layer = phi.get(weight.start..bias.end).unwrap_or_default();
    layer.split_at_checked(weight.len()).unwrap_or_default()
}

pub(crate) fn layer_mut<'a>(
    config: &ModelConfig,
    phi: &'a mut [f32],
    layer: usize,
) -> (&'a mut [f32], &'a mut [f32]) {
    let (weight, bias) = config.layer_ranges(layer);
    let layer = phi.get_mut(weight.start..bias.end).unwrap_or_default();
    layer.split_at_mut_checked(weight.len()).unwrap_or_default()
}

/// φ ← θ.
pub(crate) fn start(bundle: &Bundle<'_>, phi: &mut [f32]) {
    let config = bundle.config();
    for l in 0..=config.hidden_layers {
        let theta = bundle.theta(l);
        let (weight, bias) = layer_mut(config, phi, l);
        for (i, row) in weight.chunks_exact_mut(config.dim.max(1)).enumerate() {
            theta.weight.read(i, 0, row);
        }
        bias.iter_mut().zip(theta.bias.iter()).for_each(|(b, v)| *b = v);
    }
}

/// The scratch of a fit.
pub(crate) struct FitScratch<'w> {
    pub(crate) gradient: &'w mut [f32],
    /// W_lᵀ of the hidden layers, `[L, D, D]`.
    pub(crate) transposed: &'w mut [f32],
    /// The step that the hidden layers' W are rounded to, where their products are those of integers.
    pub(crate) weights: Option<Step>,
    /// Wo ⊙ out_scale, `[C, D]`, then bo ⊙ out_scale, `[C]`.
    siren_head: &'w mut [f32],
    coordinates: &'w mut [f32],
    targets: &'w mut [f32],
    /// Prediction, then its error.
    errors: &'w mut [f32],
    /// h_l and cos a_l of each sine layer, `[L+1, tile, D]`.
    pub(crate) h: &'w mut [f32],
    pub(crate) cos: &'w mut [f32],
    pub(crate) delta: &'w mut [f32],
    /// Pixels of a tile.
    pub(crate) tile: usize,
    range: Range,
}

impl<'w> FitScratch<'w> {
    /// Cuts up `scratch` and reads the SIREN's head, folding out_scale into it.
    pub(crate) fn new(
        bundle: &Bundle<'_>,
        range: Range,
        scratch: &'w mut [f32],
    ) -> Result<Self, Error> {
        let config = bundle.config();
        let (plan, mut scratch) = (Plan::new(config), Carve(scratch));
        let (tile, d) = (plan.pixels, config.dim);
        let layers = config.hidden_layers + 1;
        let scratch = Self {
            gradient: scratch.take(plan.gradient)?,
            transposed: scratch.take(plan.transposed)?,
            h: scratch.take(layers * tile * d)?,
            cos: scratch.take(layers * tile * d)?,
            delta: scratch.take(tile * d)?,
            coordinates: scratch.take(config.axes() * tile)?,
            targets: scratch.take(config.channels * tile)?,
            errors: scratch.take(config.channels * tile)?,
            siren_head: scratch.take(plan.siren_head)?,
            weights: None,
            tile,
            range,
        };
        let stored = bundle.siren_head();
        let (weights, biases) =
            scratch.siren_head.split_at_mut_checked(config.channels * d).unwrap_or_default();
        let scales = stored.scale.iter().zip(stored.bias.iter());
        let outputs = weights.chunks_exact_mut(d.max(1)).zip(biases);
        for (c, ((weight, bias), (scale, stored_bias))) in outputs.zip(scales).enumerate() {
            for (i, w) in weight.iter_mut().enumerate() {
                stored.weight.read(i, c, core::slice::from_mut(w));
                *w *= scale;
            }
            *bias = stored_bias * scale;
        }
        Ok(scratch)
    }

    /// Inner step `step`: φ ← φ - α ⊙ ∇loss over the picked samples. Gives the loss before the update.
    pub(crate) fn step<S: SampleSource>(
        &mut self,
        isa: Isa,
        arithmetic: Arithmetic,
        bundle: &Bundle<'_>,
        phi: &mut [f32],
        step: usize,
        picked: &Picked<'_, S, impl Fn(usize) -> Option<usize>>,
    ) -> Result<f32, Error> {
        let (config, count) = (bundle.config(), picked.count);
        self.clear(isa, arithmetic, config, phi);
        let (mut loss, mut next) = (0.0, 0);
        while next < picked.candidates {
            let pixels = self.load(bundle, picked, &mut next)?;
            if pixels == 0 {
                break;
            }
            loss += self.add_gradient(isa, config, phi, pixels, count);
        }
        loss /= (count * config.channels) as f32;
        // A NaN or an infinity anywhere in the gradient ends up in φ: one sum over φ finds it.
        let finite = self.descend(isa, bundle, phi, step);
        if loss.is_finite() && finite { Ok(loss) } else { Err(Error::Diverged) }
    }

    /// Mean squared error over all samples, and the same after clamping as PSNR wants it.
    pub(crate) fn quality<S: SampleSource>(
        &mut self,
        isa: Isa,
        bundle: &Bundle<'_>,
        phi: &[f32],
        source: &S,
    ) -> Result<(f32, f32), Error> {
        let config = bundle.config();
        let index = |i: usize| source.is_there(i).then_some(i);
        let picked = Picked { source, count: source.len(), candidates: source.len(), index };
        let (mut loss, mut clamped, mut n) = (Sum::default(), Sum::default(), 0);
        let mut next = 0;
        while next < picked.candidates {
            let pixels = self.load(bundle, &picked, &mut next)?;
            if pixels == 0 {
                break;
            }
            self.draw(isa, config, phi, pixels);
            let values = pixels * config.channels;
            n += values;
            for (out, target) in self.errors.iter().zip(self.targets.iter()).take(values) {
                loss.add((out - target) * (out - target));
                clamped.add(clamped_squared_error(*out, *target));
            }
        }
        if n == 0 {
            return Err(Error::NoSamples);
        }
        Ok((loss.total / n as f32, clamped.total / n as f32))
    }

    /// The prediction at `count` places, whose coordinates `coordinate` writes; gives each to `out` with its C values.
    pub(crate) fn predict(
        &mut self,
        isa: Isa,
        config: &ModelConfig,
        phi: &[f32],
        count: usize,
        coordinates: &impl Fn(usize, &mut [f32]),
        out: &mut impl FnMut(usize, &[f32]),
    ) {
        for first in (0..count).step_by(self.tile.max(1)) {
            let pixels = self.tile.min(count - first);
            let all = self.coordinates.chunks_exact_mut(config.axes().max(1)).take(pixels);
            all.enumerate().for_each(|(i, at)| coordinates(first + i, at));
            self.draw(isa, config, phi, pixels);
            let outputs = self.errors.chunks_exact(config.channels.max(1)).take(pixels);
            outputs.enumerate().for_each(|(i, values)| out(first + i, values));
        }
    }

    /// Begins a step: no gradient yet, and the hidden layers transposed, or rounded to integers.
    #[inline(never)]
    fn clear(&mut self, isa: Isa, arithmetic: Arithmetic, config: &ModelConfig, phi: &[f32]) {
        let d = config.dim;
        self.gradient.fill(0.0);
        self.weights = None;
        if arithmetic == Arithmetic::Int8 && d >= with_kernel!(isa, kernel => shortest(kernel)) {
            with_kernel!(isa, kernel => self.round_weights(kernel, config, phi));
            return;
        }
        for l in 1..=config.hidden_layers {
            let (weight, _) = layer(config, phi, l);
            let to = self.transposed.get_mut((l - 1) * d * d..l * d * d).unwrap_or_default();
            let (from, to) = (Mat::dense(weight, d, d), MatMut::dense(to, d, d));
            with_kernel!(isa, kernel => kernel.transpose(from, to));
        }
    }

    /// The prediction of a tile, into `errors`.
    #[inline(never)]
    fn draw(&mut self, isa: Isa, config: &ModelConfig, phi: &[f32], pixels: usize) {
        with_kernel!(isa, kernel => self.forward(kernel, config, phi, pixels));
    }

    /// Adds a tile's part to the gradient, and gives its sum of squared errors.
    #[inline(never)]
    fn add_gradient(
        &mut self,
        isa: Isa,
        config: &ModelConfig,
        phi: &[f32],
        pixels: usize,
        count: usize,
    ) -> f32 {
        with_kernel!(isa, kernel => {
            self.forward(kernel, config, phi, pixels);
            let loss = self.errors(config, pixels, count);
            self.backward(kernel, config, pixels);
            loss
        })
    }

    /// Ends a step: φ ← φ - α_step ⊙ gradient. Gives whether φ is still finite.
    #[inline(never)]
    fn descend(&mut self, isa: Isa, bundle: &Bundle<'_>, phi: &mut [f32], step: usize) -> bool {
        let config = bundle.config();
        // ω of the first layer's u, which its whole gradient has as a factor.
        let (weight, bias) = layer_mut(config, self.gradient, 0);
        with_kernel!(isa, kernel => {
            kernel.scale(weight, config.omega);
            kernel.scale(bias, config.omega);
            self.update(kernel, bundle, phi, step)
        })
    }

    /// Fills a tile with picked samples from candidate `next` on, and gives how many there are.
    fn load<S: SampleSource>(
        &mut self,
        bundle: &Bundle<'_>,
        picked: &Picked<'_, S, impl Fn(usize) -> Option<usize>>,
        next: &mut usize,
    ) -> Result<usize, Error> {
        let (config, input) = (bundle.config(), &bundle.header().input);
        let coordinates = self.coordinates.chunks_exact_mut(config.axes().max(1));
        let targets = self.targets.chunks_exact_mut(config.channels.max(1));
        let mut pixels = 0;
        for (at, values) in coordinates.zip(targets) {
            let index = loop {
                if *next >= picked.candidates {
                    return Ok(pixels);
                }
                *next += 1;
                if let Some(index) = (picked.index)(*next - 1) {
                    break index;
                }
            };
            picked.source.coordinates(index, at);
            picked.source.values(index, input, values);
            if !at.iter().all(|c| c.abs() <= 1.0) {
                return Err(Error::SampleOutside);
            }
            if !values.iter().all(|v| v.is_finite()) {
                return Err(Error::NonFiniteSample);
            }
            self.range.apply(values)?;
            pixels += 1;
        }
        Ok(pixels)
    }

    /// h_l and cos a_l of every layer, and the prediction into `errors`.
    fn forward<K: Kernel>(&mut self, kernel: K, config: &ModelConfig, phi: &[f32], pixels: usize) {
        let d = config.dim;
        // ω·(x·W + b) as x·ωW + ωb, which lie where δ will: fewer values to scale than a_0 has.
        let first = config.layer_ranges(0).1.end;
        let scaled = self.delta.get_mut(..first).unwrap_or_default();
        scaled.iter_mut().zip(phi).for_each(|(scaled, phi)| *scaled = config.omega * phi);
        let (weight, bias) = scaled.split_at_checked(config.axes() * d).unwrap_or_default();
        let (size, used, last) = (self.tile * d, pixels * d, config.hidden_layers);
        let integers = self.weights.is_some();
        let start = if integers { last * size } else { 0 };
        let a = self.h.get_mut(start..start + used).unwrap_or_default();
        kernel.gemm(
            Mat::dense(self.coordinates, pixels, config.axes()),
            Mat::dense(weight, config.axes(), d),
            Init::Bias(bias),
            MatMut::dense(a, pixels, d),
        );
        kernel.sin_cos(a, self.cos.get_mut(..used).unwrap_or_default());
        for l in 1..=last {
            let start = if integers { last * size } else { l * size };
            if integers {
                self.forward_int16(kernel, config, phi, l, pixels);
            } else {
                let (h, a) = self.h.split_at_mut_checked(start).unwrap_or_default();
                let h = h.get(start - size..start - size + used).unwrap_or_default();
                let (weight, bias) = layer(config, phi, l);
                kernel.gemm(
                    Mat::dense(h, pixels, d),
                    Mat::dense(weight, d, d),
                    Init::Bias(bias),
                    MatMut::dense(a.get_mut(..used).unwrap_or_default(), pixels, d),
                );
            }
            let a = self.h.get_mut(start..start + used).unwrap_or_default();
            kernel.sin_cos(a, self.cos.get_mut(l * size..l * size + used).unwrap_or_default());
        }
        let h = self.h.get(last * size..).unwrap_or_default();
        let (weights, biases) =
            self.siren_head.split_at_checked(config.channels * d).unwrap_or_default();
        let pixels = h
            .chunks_exact(d.max(1))
            .zip(self.errors.chunks_exact_mut(config.channels.max(1)))
            .take(pixels);
        for (h, out) in pixels {
            for ((out, weight), bias) in
                out.iter_mut().zip(weights.chunks_exact(d.max(1))).zip(biases)
            {
                *out = kernel.dot(h, weight) + bias;
            }
        }
    }

    /// Turns predictions into 2/(P·C)·(out - target) and gives the sum of squared errors of the tile.
    fn errors(&mut self, config: &ModelConfig, pixels: usize, count: usize) -> f32 {
        let scale = 2.0 / (count * config.channels) as f32;
        let mut sum = 0.0;
        let values = self.errors.iter_mut().zip(self.targets.iter());
        for (out, target) in values.take(pixels * config.channels) {
            let e = *out - target;
            sum += e * e;
            *out = scale * e;
        }
        sum
    }

    /// Adds the tile's part to the gradient.
    fn backward<K: Kernel>(&mut self, kernel: K, config: &ModelConfig, pixels: usize) {
        let d = config.dim;
        let size = self.tile * d;
        let used = pixels * d;
        let siren_head = self.siren_head.get(..config.channels * d).unwrap_or_default();
        kernel.gemm(
            Mat::dense(self.errors, pixels, config.channels),
            Mat::dense(siren_head, config.channels, d),
            Init::Zero,
            MatMut::dense(self.delta, pixels, d),
        );
        for l in (0..=config.hidden_layers).rev() {
            // u_l takes the place of cos a_l.
            let u = self.cos.get_mut(l * size..l * size + used).unwrap_or_default();
            kernel.multiply(u, self.delta);
            let u = Mat::dense(u, pixels, d);
            let (weight, bias) = layer_mut(config, self.gradient, l);
            kernel.add_rows(u, bias);
            let inputs = match l.checked_sub(1) {
                None => Mat::dense(self.coordinates, pixels, config.axes()),
                Some(_) if self.weights.is_some() => {
                    self.backward_int16(kernel, config, l, pixels);
                    continue;
                }
                Some(below) => {
                    let h = self.h.get(below * size..).unwrap_or_default();
                    let transposed = self.transposed.get(below * d * d..).unwrap_or_default();
                    let transposed = Mat::dense(transposed, d, d);
                    kernel.gemm(u, transposed, Init::Zero, MatMut::dense(self.delta, pixels, d));
                    Mat::dense(h, pixels, d)
                }
            };
            kernel.gemm_tn(inputs, u, MatMut::dense(weight, config.layer_inputs(l), d));
        }
    }

    /// φ ← φ - α_step ⊙ gradient. Gives whether φ is still finite.
    fn update<K: Kernel>(
        &mut self,
        kernel: K,
        bundle: &Bundle<'_>,
        phi: &mut [f32],
        step: usize,
    ) -> bool {
        let config = bundle.config();
        let mut finite = true;
        for l in 0..=config.hidden_layers {
            let alpha = bundle.alpha(step, l);
            let alpha_bias =
                Matrix { rows: 1, columns: config.dim, values: Values::F32(alpha.bias) };
            let (gradient, gradient_bias) = layer(config, self.gradient, l);
            let (weight, bias) = layer_mut(config, phi, l);
            finite &= kernel.descend(weight, &alpha.weight, gradient);
            finite &= kernel.descend(bias, &alpha_bias, gradient_bias);
        }
        finite
    }
}

/// The least D whose hidden layers a kernel computes in integers.
fn shortest<K: Kernel>(_: K) -> usize {
    K::SHORTEST
}

/// A sum of f32 that carries along what rounding took from it (Kahan): a signal may have a million samples, and f64 is
/// slow and large where there is no unit for it.
#[derive(Default)]
struct Sum {
    total: f32,
    lost: f32,
}

impl Sum {
    fn add(&mut self, value: f32) {
        let value = value - self.lost;
        let total = self.total + value;
        self.lost = (total - self.total) - value;
        self.total = total;
    }
}
