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
use crate::model::pieces::{Pieces, Terms, packed};
use crate::model::pointwise::{Pointwise, mean_gradient};
use crate::model::product::Product;
use crate::settings::Precision;

/// The inner loop that computes again what its backward needs.
#[derive(Debug)]
pub struct AdjointInnerLoop;

impl<B: Pointwise + Product + Pieces> InnerLoopOp<B> for AdjointInnerLoop {
    /// φ_0 - θ, …, φ_k - θ, each `[N, |θ|]`.
    type Saved = Vec<Tensor<B, 2>>;

    fn forward(inputs: &FitInputs<B>) -> (Tensor<B, 2>, Self::Saved) {
        let fit = BatchFit::new(inputs);
        let mut saved =
            vec![Tensor::zeros([fit.n, fit.config.theta_len()], &inputs.theta.device())];
        for step in 0..fit.config.inner_steps {
            let pass = fit.pass(step, &saved[step]);
            let gradient = fit.gradient(&pass).flat;
            saved.push(saved[step].clone() - inputs.alpha_row(step) * gradient);
        }
        let offsets = saved[fit.config.inner_steps].clone();
        let error = fit.pass(fit.config.inner_steps, &offsets).error;
        let loss = (error.clone() * error).reshape([fit.n, fit.p * fit.c]).mean_dim(1);
        (Tensor::cat(vec![offsets, loss], 1), saved)
    }

    fn backward(inputs: &FitInputs<B>, saved: &Self::Saved, out_bar: Tensor<B, 2>) -> FitGrads<B> {
        let fit = BatchFit::new(inputs);
        let (n, m, k) = (fit.n, fit.config.theta_len(), fit.config.inner_steps);
        let mut phi_bar = out_bar.clone().slice([0..n, 0..m]);
        // By way of [n]: burn-cubecl 0.21 gives a view of one column wrong strides when a dimension is added to it.
        let loss_bar = out_bar.slice([0..n, m..m + 1]).reshape([n]).reshape([n, 1, 1]);
        let mut head = HeadTerms::default();

        // The reconstruction loss on the last draw: ȳ = 2/(P·C)·e for each image.
        let pass = fit.pass(k, &saved[k]);
        let y_bar = pass.error.clone() * (loss_bar * mean_gradient(&pass.error));
        let top = fit.head_backward(&pass, y_bar, None, &mut head);
        let layers = (0..=fit.config.hidden_layers).map(|_| LayerGrads::default()).collect();
        // What reaches φ_j through the passes: θ's as well as (φ_j - θ)'s.
        let mut through = fit.layers_backward(&pass, layers, top);

        let (mut theta, mut alpha) = (Terms::new(), Vec::new());
        for step in (0..k).rev() {
            let pass = fit.pass(step, &saved[step]);
            let gradient = fit.gradient(&pass);
            let (flat, rate) = (gradient.flat.clone(), inputs.alpha_row(step));
            let [bar, theta_bar, alpha_bar, gradient_bar] =
                B::descend_backward(phi_bar, through, flat, rate);
            phi_bar = bar;
            theta.push(theta_bar.reshape([1, 1, m]));
            alpha.push(alpha_bar.reshape([1, 1, m]));
            through = fit.step_backward(&pass, &gradient, gradient_bar, &mut head);
        }
        theta.push(through.reshape([n, 1, m]));
        let head = vec![head.weight, head.bias, head.scale];
        FitGrads::packed(&fit.config, theta, alpha, head)
    }
}

/// What all steps share.
struct BatchFit<'i, B: Backend> {
    inputs: &'i FitInputs<B>,
    config: ModelConfig,
    n: usize,
    p: usize,
    c: usize,
    /// Wo, `[C, D]`.
    head_weight: Tensor<B, 2>,
    /// bo, `[C]`.
    head_bias: Tensor<B, 1>,
    /// out_scale, `[C]`.
    out_scale: Tensor<B, 1>,
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
    /// 2/(P·C)·(e ⊙ out_scale), `[N, P, C]`: the loss's gradient of h_L·Woᵀ.
    scaled: Tensor<B, 3>,
}

/// The gradient of a draw's loss, with what its adjoint needs.
struct Gradient<B: Backend> {
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

/// What the head's gradients are sums of, an image's part `[N, 1, ·]` of each pass.
struct HeadTerms<B: Backend> {
    weight: Terms<B>,
    bias: Terms<B>,
    scale: Terms<B>,
}

impl<B: Backend> Default for HeadTerms<B> {
    fn default() -> Self {
        Self { weight: Vec::new(), bias: Vec::new(), scale: Vec::new() }
    }
}

impl<'i, B: Pointwise + Product + Pieces> BatchFit<'i, B> {
    fn new(inputs: &'i FitInputs<B>) -> Self {
        let config = inputs.config;
        let [n, p, c] = inputs.pixels.targets[0].dims();
        let d = config.dim;
        let part = |start: usize, len: usize| B::piece(&inputs.siren_head, start..start + len);
        Self {
            inputs,
            config,
            n,
            p,
            c,
            head_weight: part(0, c * d).reshape([c, d]),
            head_bias: part(c * d, c),
            out_scale: part(c * d + c, c),
        }
    }

    /// ω on the first layer.
    fn omega(&self, layer: usize) -> f64 {
        if layer == 0 { f64::from(self.config.omega) } else { 1.0 }
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
        let product = exact(top, self.head_weight.clone().transpose());
        let product = product.reshape([self.n, self.p, self.c]);
        let (bias, scale) = (self.head_bias.clone(), self.out_scale.clone());
        let target = self.inputs.pixels.targets[draw].clone();
        let [raw, error, scaled] = B::readout(product, bias, scale, target);
        Pass { weights, h, cosine: cosines, raw, error, scaled }
    }

    /// ∇_φ of each image's mean squared error.
    fn gradient(&self, pass: &Pass<B>) -> Gradient<B> {
        let layers = self.config.hidden_layers + 1;
        let mut delta = self.images(exact(rows(pass.scaled.clone()), self.head_weight.clone()));
        // From the last layer to the first, and turned round at the end.
        let (mut deltas, mut us, mut parts) = (Vec::new(), Vec::new(), Vec::new());
        for l in (0..layers).rev() {
            let (cosine, omega) = (pass.cosine[l].clone(), self.omega(l));
            let [u, sum] = B::sine_backward(None, delta.clone(), None, cosine, omega);
            let weight = exact(pass.h[l].clone().swap_dims(1, 2), u.clone());
            parts.extend([vec![part(sum)], vec![part(weight)]]);
            deltas.push(delta.clone());
            if l > 0 {
                delta = exact(u.clone(), pass.weights[l].clone().swap_dims(1, 2));
            }
            us.push(u);
        }
        deltas.reverse();
        us.reverse();
        parts.reverse();
        Gradient { delta: deltas, u: us, flat: packed(parts) }
    }

    /// What reaches φ_j through the gradient of a step, `[N, |θ|]`, from that gradient's own.
    fn step_backward(
        &self,
        pass: &Pass<B>,
        gradient: &Gradient<B>,
        gradient_bar: Tensor<B, 2>,
        head: &mut HeadTerms<B>,
    ) -> Tensor<B, 2> {
        let mut layers = Vec::<LayerGrads<B>>::new();
        let mut delta_bar: Option<Tensor<B, 3>> = None;
        for (l, [weight_bar, bias_bar]) in self.layers(&gradient_bar).into_iter().enumerate() {
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
        let delta_bar = delta_bar.expect("at least one layer");
        let bar = exact(rows(delta_bar.clone()), self.head_weight.clone().transpose());
        let bar = bar.reshape([self.n, self.p, self.c]);
        let weight_bar = exact(pass.scaled.clone().swap_dims(1, 2), delta_bar);
        head.weight.push(image(weight_bar));
        let top = self.head_backward(pass, bar, Some(pass.error.clone()), head);
        self.layers_backward(pass, layers, top)
    }

    /// h̄_L through y = (h_L·Woᵀ + bo) ⊙ out_scale; `bar` and `error` as
    /// [`readout_backward`](crate::model::pointwise::readout_backward) has them.
    fn head_backward(
        &self,
        pass: &Pass<B>,
        bar: Tensor<B, 3>,
        error: Option<Tensor<B, 3>>,
        head: &mut HeadTerms<B>,
    ) -> Tensor<B, 3> {
        let [raw_bar, bias_bar, scale_bar] =
            B::readout_backward(bar, error, pass.raw.clone(), self.out_scale.clone());
        let top = pass.h[self.config.hidden_layers + 1].clone();
        head.weight.push(image(exact(raw_bar.clone().swap_dims(1, 2), top)));
        head.bias.push(bias_bar);
        head.scale.push(scale_bar);
        self.images(exact(rows(raw_bar), self.head_weight.clone()))
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
            let weight_bar = exact(pass.h[l].clone().swap_dims(1, 2), z_bar.clone());
            let weight_bar = known.weight_bar.into_iter().chain([weight_bar]);
            parts.extend([vec![part(sum)], weight_bar.map(|bar| part(bar)).collect()]);
            // The coordinates have no gradient.
            h_bar =
                if l > 0 { exact(z_bar, pass.weights[l].clone().swap_dims(1, 2)) } else { z_bar };
        }
        parts.reverse();
        packed(parts)
    }

    /// `[N·P, D]` as `[N, P, D]`.
    fn images(&self, rows: Tensor<B, 2>) -> Tensor<B, 3> {
        rows.reshape([self.n, self.p, self.config.dim])
    }
}

/// A layer's part of φ's gradient, `[1, N, ·]`.
fn part<B: Backend>(values: Tensor<B, 3>) -> Tensor<B, 3> {
    let [n, rows, d] = values.dims();
    values.reshape([1, n, rows * d])
}

/// An image's part of a gradient that all images share, `[N, 1, ·]`.
fn image<B: Backend>(values: Tensor<B, 3>) -> Tensor<B, 3> {
    let [n, rows, d] = values.dims();
    values.reshape([n, 1, rows * d])
}

/// a·b in exact f32: φ - θ is small beside φ, and the tokens are λ times it.
fn exact<B: Product, const R: usize>(a: Tensor<B, R>, b: Tensor<B, R>) -> Tensor<B, R> {
    B::product(a, b, Precision::F32)
}

/// `[N, P, ·]` as `[N·P, ·]`: one product over all rows of the batch.
fn rows<B: Backend>(values: Tensor<B, 3>) -> Tensor<B, 2> {
    values.flatten(0, 1)
}
