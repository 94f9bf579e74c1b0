//! What the inner loop and its adjoint do to each value between their matrix products.
//!
//! Activations are `[N, P, D]`, what an image has one row of is `[N, 1, D]`; `omega` is ω on the first layer and 1 on
//! the others. The functions are the readable reference, in ordinary tensor operations.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// A back end's own form of these functions, where it has a better one.
pub trait Pointwise: Backend {
    /// As [`sine`].
    fn sine(product: Tensor<Self, 3>, bias: Tensor<Self, 3>, omega: f64) -> [Tensor<Self, 3>; 2] {
        sine(product, bias, omega)
    }

    /// As [`sine_backward`].
    fn sine_backward(
        a_bar: Option<Tensor<Self, 3>>,
        h_bar: Tensor<Self, 3>,
        more: Option<Tensor<Self, 3>>,
        cosine: Tensor<Self, 3>,
        omega: f64,
    ) -> [Tensor<Self, 3>; 2] {
        sine_backward(a_bar, h_bar, more, cosine, omega)
    }

    /// As [`gate_backward`].
    fn gate_backward(
        direct: Tensor<Self, 3>,
        below: Option<Tensor<Self, 3>>,
        bias_bar: Tensor<Self, 3>,
        delta: Tensor<Self, 3>,
        waves: [Tensor<Self, 3>; 2],
        omega: f64,
    ) -> [Tensor<Self, 3>; 2] {
        gate_backward(direct, below, bias_bar, delta, waves, omega)
    }
}

/// sin a and cos a of a = ω·(h·W + b), where `product` is h·W.
pub fn sine<B: Backend>(
    product: Tensor<B, 3>,
    bias: Tensor<B, 3>,
    omega: f64,
) -> [Tensor<B, 3>; 2] {
    let a = (product + bias) * omega;
    [a.clone().sin(), a.cos()]
}

/// z̄ = ω·(ā + (h̄ + h̄')·c), the gradient of h·W, and its sum over an image's pixels, that of b; c = cos a, and ā and h̄',
/// `more`, may be absent.
pub fn sine_backward<B: Backend>(
    a_bar: Option<Tensor<B, 3>>,
    h_bar: Tensor<B, 3>,
    more: Option<Tensor<B, 3>>,
    cosine: Tensor<B, 3>,
    omega: f64,
) -> [Tensor<B, 3>; 2] {
    let mut z_bar = sum(h_bar, more) * cosine;
    if let Some(a_bar) = a_bar {
        z_bar = z_bar + a_bar;
    }
    let z_bar = z_bar * omega;
    [z_bar.clone(), z_bar.sum_dim(1)]
}

/// The adjoint of u = ω·δ·cos a: δ̄ = ω·ū·cos a and ā = -ω·ū·δ·sin a, where ū = `direct` + `below` + ḡb and `below` may
/// be absent; `waves` are sin a and cos a.
pub fn gate_backward<B: Backend>(
    direct: Tensor<B, 3>,
    below: Option<Tensor<B, 3>>,
    bias_bar: Tensor<B, 3>,
    delta: Tensor<B, 3>,
    [sine, cosine]: [Tensor<B, 3>; 2],
    omega: f64,
) -> [Tensor<B, 3>; 2] {
    let u_bar = (sum(direct, below) + bias_bar) * omega;
    [u_bar.clone() * cosine, (u_bar * delta * sine).neg()]
}

fn sum<B: Backend>(a: Tensor<B, 3>, b: Option<Tensor<B, 3>>) -> Tensor<B, 3> {
    match b {
        Some(b) => a + b,
        None => a,
    }
}
