//! The inner loop with its adjoint in closed form, in tensor operations on any back end (docs/METHOD.md, "The inner
//! step's adjoint").
//!
//! Only φ_j - θ of each step is saved, where autodiff through [`inner::fit`](crate::model::inner::fit) keeps all
//! activations: they are computed again, one step at a time, so memory does not grow with k times their size. The matrix products are
//! exact; what lies between them is [`Pointwise`].

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use mwt_core::ModelConfig;

use crate::model::operation::{FitGrads, FitInputs, InnerLoopOp};
use crate::model::pointwise::Pointwise;
use crate::model::product::Product;
use crate::settings::Precision;

/// The inner loop that computes again what its backward needs.
#[derive(Debug)]
pub struct AdjointInnerLoop;

impl<B: Pointwise + Product> InnerLoopOp<B> for AdjointInnerLoop {
    /// φ_0 - θ, …, φ_k - θ, each `[N, |θ|]`.
    type Saved = Vec<Tensor<B, 2>>;

    fn forward(inputs: &FitInputs<B>) -> (Tensor<B, 2>, Self::Saved) {
        let fit = BatchFit::new(inputs);
        let mut saved =
            vec![Tensor::zeros([fit.n, fit.config.theta_len()], &inputs.theta.device())];
        for step in 0..fit.config.inner_steps {
            let pass = fit.pass(step, &saved[step]);
            let gradient = fit.gradient(&pass).flat;
            saved.push(saved[step].clone() - fit.alpha_row(step) * gradient);
        }
        let offsets = saved[fit.config.inner_steps].clone();
        let error = fit.pass(fit.config.inner_steps, &offsets).error;
        let loss = (error.clone() * error).reshape([fit.n, fit.p * fit.c]).mean_dim(1);
        (Tensor::cat(vec![offsets, loss], 1), saved)
    }

    fn backward(inputs: &FitInputs<B>, saved: &Self::Saved, out_bar: Tensor<B, 2>) -> FitGrads<B> {
        let fit = BatchFit::new(inputs);
        let (n, m, k) = (fit.n, fit.config.theta_len(), fit.config.inner_steps);
        let phi_bar = out_bar.clone().slice([0..n, 0..m]);
        // By way of [n]: burn-cubecl 0.21 gives a view of one column wrong strides when a dimension is added to it.
        let loss_bar = out_bar.slice([0..n, m..m + 1]).reshape([n]).reshape([n, 1, 1]);
        let mut head = HeadGrads::zeros(&fit);

        // The reconstruction loss on the last draw: ȳ = 2/(P·C)·e for each image.
        let pass = fit.pass(k, &saved[k]);
        let y_bar = pass.error.clone() * loss_bar * fit.mean;
        let top = fit.head_backward(&pass, y_bar, &mut head);
        let layers = (0..=fit.config.hidden_layers).map(|_| LayerGrads::default()).collect();
        // θ gets what reaches φ_j through the passes, φ_j - θ what reaches φ_{j+1} - θ besides.
        let mut theta_bar = fit.layers_backward(&pass, layers, top);
        let mut phi_bar = phi_bar + theta_bar.clone();

        let mut alpha = Vec::new();
        for step in (0..k).rev() {
            let pass = fit.pass(step, &saved[step]);
            let gradient = fit.gradient(&pass);
            alpha.push((gradient.flat.clone() * phi_bar.clone()).sum_dim(0).neg());
            let through = fit.step_backward(
                &pass,
                &gradient,
                fit.alpha_row(step) * phi_bar.clone(),
                &mut head,
            );
            theta_bar = theta_bar + through.clone();
            phi_bar = phi_bar + through;
        }
        alpha.reverse();
        let alpha = Tensor::cat(alpha, 0);
        FitGrads {
            theta: theta_bar.sum_dim(0).reshape([m]),
            alpha: if fit.config.shared_alpha { alpha.sum_dim(0) } else { alpha },
            siren_head: head.flat(),
        }
    }
}

/// What all steps share.
struct BatchFit<'i, B: Backend> {
    inputs: &'i FitInputs<B>,
    config: ModelConfig,
    n: usize,
    p: usize,
    c: usize,
    /// 2/(P·C): from an error to the gradient of the mean squared error.
    mean: f64,
    /// Wo, `[C, D]`.
    head_weight: Tensor<B, 2>,
    /// bo, `[1, C]`.
    head_bias: Tensor<B, 2>,
    /// out_scale, `[1, 1, C]`.
    out_scale: Tensor<B, 3>,
}

/// One SIREN pass of a batch over a draw.
struct Pass<B: Backend> {
    /// W_l of each layer, `[N, inputs, D]`.
    weights: Vec<Tensor<B, 3>>,
    /// h_{-1} = the coordinates `[N, P, 2]`, h_0, …, h_L `[N, P, D]`.
    h: Vec<Tensor<B, 3>>,
    /// cos a_0, …, cos a_L.
    cosine: Vec<Tensor<B, 3>>,
    /// h_L·Woᵀ + bo, `[N, P, C]`.
    raw: Tensor<B, 3>,
    /// y - t, `[N, P, C]`.
    error: Tensor<B, 3>,
}

/// The gradient of a draw's loss, with what its adjoint needs.
struct Gradient<B: Backend> {
    /// 2/(P·C)·(e ⊙ out_scale), `[N·P, C]`.
    scaled: Tensor<B, 2>,
    /// δ_0, …, δ_L.
    delta: Vec<Tensor<B, 3>>,
    /// u_0, …, u_L.
    u: Vec<Tensor<B, 3>>,
    /// ∇_φ, `[N, |θ|]`.
    flat: Tensor<B, 2>,
}

/// What the adjoint of the gradient gives of a layer, before the pass itself is gone back through.
struct LayerGrads<B: Backend> {
    /// ā_l.
    a_bar: Option<Tensor<B, 3>>,
    /// A part of h̄_l.
    h_bar: Option<Tensor<B, 3>>,
    /// A part of W̄_l.
    weight_bar: Option<Tensor<B, 3>>,
}

impl<B: Backend> Default for LayerGrads<B> {
    fn default() -> Self {
        Self { a_bar: None, h_bar: None, weight_bar: None }
    }
}

/// The head's gradients, summed over what was seen so far: `[C, D]`, `[1, C]`, `[1, 1, C]`.
struct HeadGrads<B: Backend> {
    weight: Tensor<B, 2>,
    bias: Tensor<B, 2>,
    scale: Tensor<B, 3>,
}

impl<'i, B: Pointwise + Product> BatchFit<'i, B> {
    fn new(inputs: &'i FitInputs<B>) -> Self {
        let config = inputs.config;
        let [n, p, c] = inputs.pixels.targets[0].dims();
        let d = config.dim;
        let part = |start: usize, len: usize| inputs.siren_head.clone().slice(start..start + len);
        Self {
            inputs,
            config,
            n,
            p,
            c,
            mean: 2.0 / (p * c) as f64,
            head_weight: part(0, c * d).reshape([c, d]),
            head_bias: part(c * d, c).reshape([1, c]),
            out_scale: part(c * d + c, c).reshape([1, 1, c]),
        }
    }

    /// ω on the first layer.
    fn omega(&self, layer: usize) -> f64 {
        if layer == 0 { f64::from(self.config.omega) } else { 1.0 }
    }

    /// α of a step, `[1, |θ|]`.
    fn alpha_row(&self, step: usize) -> Tensor<B, 2> {
        let row = if self.config.shared_alpha { 0 } else { step };
        self.inputs.alpha.clone().slice([row..row + 1, 0..self.config.theta_len()])
    }

    /// Takes something of φ's shape `[N, |θ|]` apart: each layer's `[N, inputs, D]` and `[N, 1, D]`.
    fn layers(&self, flat: &Tensor<B, 2>) -> Vec<[Tensor<B, 3>; 2]> {
        let (d, [n, _]) = (self.config.dim, flat.dims());
        let take = |range: std::ops::Range<usize>| {
            let rows = range.len() / d;
            flat.clone().slice([0..n, range]).reshape([n, rows, d])
        };
        (0..=self.config.hidden_layers)
            .map(|l| {
                let (weight, bias) = self.config.layer_ranges(l);
                [take(weight), take(bias)]
            })
            .collect()
    }

    /// A pass over a draw with φ = θ + `offsets`.
    fn pass(&self, draw: usize, offsets: &Tensor<B, 2>) -> Pass<B> {
        let phi = offsets.clone() + self.inputs.theta.clone().unsqueeze();
        let mut h = vec![self.inputs.pixels.coordinates[draw].clone()];
        let (mut weights, mut cosines) = (Vec::new(), Vec::new());
        for (l, [weight, bias]) in self.layers(&phi).into_iter().enumerate() {
            let z = exact(h[l].clone(), weight.clone());
            let [sine, cosine] = B::sine(z, bias, self.omega(l));
            h.push(sine);
            cosines.push(cosine);
            weights.push(weight);
        }
        let top = rows(h[self.config.hidden_layers + 1].clone());
        let raw = exact(top, self.head_weight.clone().transpose());
        let raw = (raw + self.head_bias.clone()).reshape([self.n, self.p, self.c]);
        let error = raw.clone() * self.out_scale.clone() - self.inputs.pixels.targets[draw].clone();
        Pass { weights, h, cosine: cosines, raw, error }
    }

    /// ∇_φ of each image's mean squared error.
    fn gradient(&self, pass: &Pass<B>) -> Gradient<B> {
        let layers = self.config.hidden_layers + 1;
        let scaled = rows(pass.error.clone() * self.out_scale.clone() * self.mean);
        let mut delta = self.images(exact(scaled.clone(), self.head_weight.clone()));
        // From the last layer to the first, and turned round at the end.
        let (mut deltas, mut us, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for l in (0..layers).rev() {
            let (cosine, omega) = (pass.cosine[l].clone(), self.omega(l));
            let [u, sum] = B::sine_backward(None, delta.clone(), None, cosine, omega);
            let weight = exact(pass.h[l].clone().swap_dims(1, 2), u.clone());
            parts.extend([self.flat(sum), self.flat(weight)]);
            deltas.push(delta.clone());
            if l > 0 {
                delta = exact(u.clone(), pass.weights[l].clone().swap_dims(1, 2));
            }
            us.push(u);
        }
        deltas.reverse();
        us.reverse();
        parts.reverse();
        Gradient { scaled, delta: deltas, u: us, flat: Tensor::cat(parts, 1) }
    }

    /// What reaches φ_j through the gradient of a step, `[N, |θ|]`; `rated` is α ⊙ φ̄, so that ḡ = -α ⊙ φ̄.
    fn step_backward(
        &self,
        pass: &Pass<B>,
        gradient: &Gradient<B>,
        rated: Tensor<B, 2>,
        head: &mut HeadGrads<B>,
    ) -> Tensor<B, 2> {
        let mut layers = Vec::<LayerGrads<B>>::new();
        let mut delta_bar: Option<Tensor<B, 3>> = None;
        for (l, [weight_bar, bias_bar]) in self.layers(&rated.neg()).into_iter().enumerate() {
            let (weight, u) = (pass.weights[l].clone(), gradient.u[l].clone());
            let direct = exact(pass.h[l].clone(), weight_bar.clone());
            // The first layer's input is the coordinates, which have no gradient.
            if let Some(below) = layers.last_mut() {
                below.h_bar = Some(exact(u.clone(), weight_bar.swap_dims(1, 2)));
            }
            let below = delta_bar.clone().map(|bar| exact(bar, weight));
            let weight_bar = delta_bar.map(|bar| exact(bar.swap_dims(1, 2), u));
            let waves = [pass.h[l + 1].clone(), pass.cosine[l].clone()];
            let (delta, omega) = (gradient.delta[l].clone(), self.omega(l));
            let [bar, a_bar] = B::gate_backward(direct, below, bias_bar, delta, waves, omega);
            delta_bar = Some(bar);
            layers.push(LayerGrads { a_bar: Some(a_bar), h_bar: None, weight_bar });
        }
        // δ_L = 2/(P·C)·(e ⊙ out_scale)·Wo.
        let delta_bar = rows(delta_bar.expect("at least one layer"));
        let dot = exact(delta_bar.clone(), self.head_weight.clone().transpose());
        let dot = dot.reshape([self.n, self.p, self.c]) * self.mean;
        let scaled = gradient.scaled.clone().transpose();
        head.weight = head.weight.clone() + exact(scaled, delta_bar);
        head.scale = head.scale.clone() + total(pass.error.clone() * dot.clone());
        let top = self.head_backward(pass, dot * self.out_scale.clone(), head);
        self.layers_backward(pass, layers, top)
    }

    /// h̄_L from ȳ of y = (h_L·Woᵀ + bo) ⊙ out_scale.
    fn head_backward(
        &self,
        pass: &Pass<B>,
        y_bar: Tensor<B, 3>,
        head: &mut HeadGrads<B>,
    ) -> Tensor<B, 3> {
        let top = pass.h[self.config.hidden_layers + 1].clone();
        head.scale = head.scale.clone() + total(y_bar.clone() * pass.raw.clone());
        let raw_bar = rows(y_bar * self.out_scale.clone());
        head.weight = head.weight.clone() + exact(raw_bar.clone().transpose(), rows(top));
        head.bias = head.bias.clone() + raw_bar.clone().sum_dim(0);
        self.images(exact(raw_bar, self.head_weight.clone()))
    }

    /// φ̄ `[N, |θ|]` from h̄_L `top` and what is known of the layers already.
    fn layers_backward(
        &self,
        pass: &Pass<B>,
        layers: Vec<LayerGrads<B>>,
        top: Tensor<B, 3>,
    ) -> Tensor<B, 2> {
        let mut parts = Vec::new();
        let mut h_bar = top;
        for (l, known) in layers.into_iter().enumerate().rev() {
            let (cosine, omega) = (pass.cosine[l].clone(), self.omega(l));
            let [z_bar, sum] = B::sine_backward(known.a_bar, h_bar, known.h_bar, cosine, omega);
            let mut weight_bar = exact(pass.h[l].clone().swap_dims(1, 2), z_bar.clone());
            if let Some(known) = known.weight_bar {
                weight_bar = weight_bar + known;
            }
            parts.extend([self.flat(sum), self.flat(weight_bar)]);
            // The coordinates have no gradient.
            h_bar =
                if l > 0 { exact(z_bar, pass.weights[l].clone().swap_dims(1, 2)) } else { z_bar };
        }
        parts.reverse();
        Tensor::cat(parts, 1)
    }

    /// `[N·P, D]` as `[N, P, D]`.
    fn images(&self, rows: Tensor<B, 2>) -> Tensor<B, 3> {
        rows.reshape([self.n, self.p, self.config.dim])
    }

    /// What belongs to one image, `[N, ·]`.
    fn flat(&self, values: Tensor<B, 3>) -> Tensor<B, 2> {
        values.flatten(1, 2)
    }
}

impl<B: Backend> HeadGrads<B> {
    fn zeros(fit: &BatchFit<'_, B>) -> Self {
        Self {
            weight: fit.head_weight.zeros_like(),
            bias: fit.head_bias.zeros_like(),
            scale: fit.out_scale.zeros_like(),
        }
    }

    /// In the order of the head's values.
    fn flat(self) -> Tensor<B, 1> {
        let parts =
            vec![self.weight.flatten(0, 1), self.bias.flatten(0, 1), self.scale.flatten(0, 2)];
        Tensor::cat(parts, 0)
    }
}

/// a·b in exact f32: φ - θ is small beside φ, and the tokens are λ times it.
fn exact<B: Product, const R: usize>(a: Tensor<B, R>, b: Tensor<B, R>) -> Tensor<B, R> {
    B::product(a, b, Precision::F32)
}

/// `[N, P, ·]` as `[N·P, ·]`: one product over all rows of the batch.
fn rows<B: Backend>(values: Tensor<B, 3>) -> Tensor<B, 2> {
    values.flatten(0, 1)
}

/// The sum over all pixels of all images, `[1, 1, C]`.
fn total<B: Backend>(values: Tensor<B, 3>) -> Tensor<B, 3> {
    values.sum_dim(0).sum_dim(1)
}
