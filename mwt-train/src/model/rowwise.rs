//! What the Transformer and its adjoint do to each row between their matrix products.
//!
//! A row is a token's `[D]` of `[N, T, D]`, or a query's scores of `[N, heads, T, T]`. Gradients of parameters are sums over
//! all rows; here they are sums over an image's rows, or over a part of them, `[G, 1, D]`, of which
//! [`pack`](super::pieces::pack) makes one. The functions are the readable reference, in ordinary tensor operations.

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
        beside: Tensor<Self, 3>,
    ) -> [Tensor<Self, 3>; 3] {
        norm_backward(x, weight, y_bar, beside)
    }

    /// As [`residual`].
    fn residual(
        x: Tensor<Self, 3>,
        product: Tensor<Self, 3>,
        bias: Tensor<Self, 1>,
        scale: Tensor<Self, 1>,
    ) -> Tensor<Self, 3> {
        residual(x, product, bias, scale)
    }

    /// As [`residual_backward`].
    fn residual_backward(
        out_bar: Tensor<Self, 3>,
        product: Tensor<Self, 3>,
        bias: Tensor<Self, 1>,
        scale: Tensor<Self, 1>,
    ) -> [Tensor<Self, 3>; 3] {
        residual_backward(out_bar, product, bias, scale)
    }

    /// As [`gelu_slope`].
    fn gelu_slope(product: Tensor<Self, 3>, bias: Tensor<Self, 1>) -> [Tensor<Self, 3>; 2] {
        gelu_slope(product, bias)
    }

    /// As [`hidden_backward`].
    fn hidden_backward(
        hidden_bar: Tensor<Self, 3>,
        slope: Tensor<Self, 3>,
    ) -> [Tensor<Self, 3>; 2] {
        hidden_backward(hidden_bar, slope)
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

/// The adjoint of [`norm`]: x̄ + `beside`, the gradient of x by other ways; the sums of ȳ ⊙ x̂, which are w̄; those of ȳ,
/// which are b̄.
pub fn norm_backward<B: Backend>(
    x: Tensor<B, 3>,
    weight: Tensor<B, 1>,
    y_bar: Tensor<B, 3>,
    beside: Tensor<B, 3>,
) -> [Tensor<B, 3>; 3] {
    let [normed, scale] = normed(x);
    let bar = y_bar.clone() * weight.unsqueeze();
    let along = (bar.clone() * normed.clone()).mean_dim(2);
    let x_bar = (bar.clone() - bar.mean_dim(2) - normed.clone() * along) * scale;
    [x_bar + beside, (y_bar.clone() * normed).sum_dim(1), y_bar.sum_dim(1)]
}

/// x + s ⊙ (p + b): a branch whose last product is p, scaled and added.
pub fn residual<B: Backend>(
    x: Tensor<B, 3>,
    product: Tensor<B, 3>,
    bias: Tensor<B, 1>,
    scale: Tensor<B, 1>,
) -> Tensor<B, 3> {
    x + (product + bias.unsqueeze()) * scale.unsqueeze()
}

/// The adjoint of [`residual`] to all but x, from the gradient ȳ of its value, which is x̄ too: p̄ = s ⊙ ȳ; its sums, which
/// are b̄; those of ȳ ⊙ (p + b), which are s̄.
pub fn residual_backward<B: Backend>(
    out_bar: Tensor<B, 3>,
    product: Tensor<B, 3>,
    bias: Tensor<B, 1>,
    scale: Tensor<B, 1>,
) -> [Tensor<B, 3>; 3] {
    let product_bar = out_bar.clone() * scale.unsqueeze();
    let scale_bar = out_bar * (product + bias.unsqueeze());
    [product_bar.clone(), product_bar.sum_dim(1), scale_bar.sum_dim(1)]
}

/// gelu(z) = z·Φ(z) and its slope Φ(z) + z·φ(z) at z = p + b, by the normal distribution. burn's own slope on GPUs is that
/// of the approximation by tanh.
pub fn gelu_slope<B: Backend>(product: Tensor<B, 3>, bias: Tensor<B, 1>) -> [Tensor<B, 3>; 2] {
    let z = product + bias.unsqueeze();
    let cumulative = (z.clone() * FRAC_1_SQRT_2).erf() * 0.5 + 0.5;
    let density = (z.clone() * z.clone() * -0.5).exp() * (2.0 * PI).sqrt().recip();
    [z.clone() * cumulative.clone(), cumulative + z * density]
}

/// The adjoint of gelu(p + b): p̄ = h̄ ⊙ slope, and its sums, which are b̄.
pub fn hidden_backward<B: Backend>(
    hidden_bar: Tensor<B, 3>,
    slope: Tensor<B, 3>,
) -> [Tensor<B, 3>; 2] {
    let z_bar = hidden_bar * slope;
    [z_bar.clone(), z_bar.sum_dim(1)]
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
