//! What the Transformer and its adjoint do to each row between their matrix products.
//!
//! A row is a token's `[D]` of `[N, T, D]`, or a query's scores of `[N, heads, T, T]`. The functions are the readable
//! reference, in ordinary tensor operations.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, activation};
use mwt_core::math::NORM_EPS;

/// A back end's own form of these functions, where it has a better one.
pub trait Rowwise: Backend {
    /// As [`norm`].
    fn norm(x: Tensor<Self, 3>, weight: Tensor<Self, 1>, bias: Tensor<Self, 1>) -> Tensor<Self, 3> {
        norm(x, weight, bias)
    }

    /// As [`norm_backward`].
    fn norm_backward(
        x: Tensor<Self, 3>,
        weight: Tensor<Self, 1>,
        y_bar: Tensor<Self, 3>,
    ) -> [Tensor<Self, 3>; 2] {
        norm_backward(x, weight, y_bar)
    }

    /// As [`gelu_slope`].
    fn gelu_slope(z: Tensor<Self, 3>) -> [Tensor<Self, 3>; 2] {
        gelu_slope(z)
    }

    /// As [`attention_probs`].
    fn attention_probs(scores: Tensor<Self, 4>, scale: f64) -> Tensor<Self, 4> {
        self::attention_probs(scores, scale)
    }

    /// As [`attention_probs_backward`].
    fn attention_probs_backward(
        probs: Tensor<Self, 4>,
        probs_bar: Tensor<Self, 4>,
        scale: f64,
    ) -> Tensor<Self, 4> {
        attention_probs_backward(probs, probs_bar, scale)
    }
}

/// x - mean(x) over √(var(x) + ε), and 1/√(var(x) + ε) `[N, T, 1]`.
fn normed<B: Backend>(x: Tensor<B, 3>) -> [Tensor<B, 3>; 2] {
    let centred = x.clone() - x.mean_dim(2);
    let variance = (centred.clone() * centred.clone()).mean_dim(2);
    let scale = (variance + NORM_EPS).sqrt().recip();
    [centred * scale.clone(), scale]
}

/// Layer norm: x̂ ⊙ w + b, where x̂ has the mean 0 and the variance 1.
pub fn norm<B: Backend>(x: Tensor<B, 3>, weight: Tensor<B, 1>, bias: Tensor<B, 1>) -> Tensor<B, 3> {
    let [normed, _] = normed(x);
    normed * weight.unsqueeze() + bias.unsqueeze()
}

/// The adjoint of [`norm`]: x̄, and ȳ ⊙ x̂, whose sum over all rows is w̄ (that of ȳ is b̄).
pub fn norm_backward<B: Backend>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 1>,
    y_bar: Tensor<B, 3>,
) -> [Tensor<B, 3>; 2] {
    let [normed, scale] = normed(x);
    let bar = y_bar.clone() * weight.unsqueeze();
    let along = (bar.clone() * normed.clone()).mean_dim(2);
    let x_bar = (bar.clone() - bar.mean_dim(2) - normed.clone() * along) * scale;
    [x_bar, y_bar * normed]
}

/// gelu(z) = z·Φ(z) and its slope Φ(z) + z·φ(z), by the normal distribution. burn's own slope on GPUs is that of the
/// approximation by tanh.
pub fn gelu_slope<B: Backend>(z: Tensor<B, 3>) -> [Tensor<B, 3>; 2] {
    let cumulative = (z.clone() * FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
    let density = (z.clone() * z.clone() * -0.5).exp() * (2.0 * PI).sqrt().recip();
    [z.clone() * cumulative.clone(), cumulative + z * density]
}

/// softmax(scale·scores) of each row.
pub fn attention_probs<B: Backend>(scores: Tensor<B, 4>, scale: f64) -> Tensor<B, 4> {
    activation::softmax(scores * scale, 3)
}

/// The adjoint of [`attention_probs`]: scale·p ⊙ (p̄ - Σ p ⊙ p̄) of each row's probs p.
pub fn attention_probs_backward<B: Backend>(
    probs: Tensor<B, 4>,
    probs_bar: Tensor<B, 4>,
    scale: f64,
) -> Tensor<B, 4> {
    let along = (probs.clone() * probs_bar.clone()).sum_dim(3);
    probs * (probs_bar - along) * scale
}
