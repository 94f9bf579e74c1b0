//! What the inner loop and its adjoint do to each value between their matrix products.
//!
//! Activations are `[N, P, D]`, what an image has one row of is `[N, 1, D]`, values of pixels `[N, P, C]`; `omega` is ω on the first layer and 1 on
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

    /// As [`readout`].
    fn readout(
        product: Tensor<Self, 3>,
        bias: Tensor<Self, 1>,
        out_scale: Tensor<Self, 1>,
        target: Tensor<Self, 3>,
    ) -> [Tensor<Self, 3>; 3] {
        readout(product, bias, out_scale, target)
    }

    /// As [`readout_backward`].
    fn readout_backward(
        bar: Tensor<Self, 3>,
        error: Option<Tensor<Self, 3>>,
        raw: Tensor<Self, 3>,
        out_scale: Tensor<Self, 1>,
    ) -> [Tensor<Self, 3>; 3] {
        readout_backward(bar, error, raw, out_scale)
    }

    /// As [`descend_backward`].
    fn descend_backward(
        phi_bar: Tensor<Self, 2>,
        through: Tensor<Self, 2>,
        gradient: Tensor<Self, 2>,
        alpha: Tensor<Self, 2>,
    ) -> [Tensor<Self, 2>; 4] {
        descend_backward(phi_bar, through, gradient, alpha)
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

/// 2/(P·C): from an error `[N, P, C]` to the gradient of an image's mean squared error.
pub fn mean_gradient<B: Backend>(error: &Tensor<B, 3>) -> f64 {
    let [_, p, c] = error.dims();
    2.0 / (p * c) as f64
}

/// What the SIREN's head makes of h_L·Woᵀ, `product` `[N, P, C]`: h_L·Woᵀ + bo, the error e = y - t with
/// y = (h_L·Woᵀ + bo) ⊙ out_scale, and 2/(P·C)·(e ⊙ out_scale), the loss's gradient of h_L·Woᵀ.
pub fn readout<B: Backend>(
    product: Tensor<B, 3>,
    bias: Tensor<B, 1>,
    out_scale: Tensor<B, 1>,
    target: Tensor<B, 3>,
) -> [Tensor<B, 3>; 3] {
    let raw = product + bias.unsqueeze();
    let error = raw.clone() * out_scale.clone().unsqueeze() - target;
    let mean = mean_gradient(&error);
    [raw, error.clone(), error * out_scale.unsqueeze() * mean]
}

/// The adjoint of y = `raw` ⊙ out_scale: the gradient of `raw`, its sum over an image's pixels, that of bo, and an image's
/// part of out_scale's gradient. `bar` is ȳ. Where `error` is given, what is gone back through is e's way to the loss's
/// gradient as well, and `bar` is the gradient of that one: ȳ = 2/(P·C)·`bar` ⊙ out_scale, and out_scale gets
/// 2/(P·C)·`bar` ⊙ e besides.
pub fn readout_backward<B: Backend>(
    bar: Tensor<B, 3>,
    error: Option<Tensor<B, 3>>,
    raw: Tensor<B, 3>,
    out_scale: Tensor<B, 1>,
) -> [Tensor<B, 3>; 3] {
    let mean = mean_gradient(&bar);
    let out_scale = out_scale.unsqueeze::<3>();
    let (y_bar, scale_bar) = match error {
        Some(error) => {
            let bar = bar * mean;
            let y_bar = bar.clone() * out_scale.clone();
            (y_bar.clone(), y_bar * raw + bar * error)
        }
        None => (bar.clone(), bar * raw),
    };
    let raw_bar = y_bar * out_scale;
    [raw_bar.clone(), raw_bar.sum_dim(1), scale_bar.sum_dim(1)]
}

/// The adjoint of φ' = φ - α ⊙ g, all `[N, |θ|]` but α `[1, |θ|]`: φ̄ = φ̄' + `through`, the sum of `through` over the
/// images, which is θ's, ᾱ = -Σ g ⊙ φ̄ over them, and ḡ = -α ⊙ φ̄. `through` is what reaches φ' = θ + (φ' - θ) by what
/// comes after it, so that θ gets it as well as φ' - θ, `phi_bar` what reaches φ' - θ alone.
pub fn descend_backward<B: Backend>(
    phi_bar: Tensor<B, 2>,
    through: Tensor<B, 2>,
    gradient: Tensor<B, 2>,
    alpha: Tensor<B, 2>,
) -> [Tensor<B, 2>; 4] {
    let bar = phi_bar + through.clone();
    let alpha_bar = (gradient * bar.clone()).sum_dim(0).neg();
    [bar.clone(), through.sum_dim(0), alpha_bar, (alpha * bar).neg()]
}

fn sum<B: Backend>(a: Tensor<B, 3>, b: Option<Tensor<B, 3>>) -> Tensor<B, 3> {
    match b {
        Some(b) => a + b,
        None => a,
    }
}
