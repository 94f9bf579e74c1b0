//! A step of AdamW on a group's flat values, in one pass over them on a GPU. The functions are the readable reference, in
//! ordinary tensor operations.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// The numbers of a step: all but the values, their gradient and both moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Norm to which the gradient is clipped.
    pub clip: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// 1 - beta2 to the power of the steps taken, by which the second moment is too small.
    pub correction2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// Learning rate over 1 - beta1 to the power of the steps taken.
    pub rate: f64,
    /// What weight decay leaves of a value.
    pub kept: f64,
}

/// A back end's own form of these functions, where it has a better one.
pub trait Update: Backend {
    /// As [`norm`].
    fn norm_of(gradient: Tensor<Self, 1>) -> Tensor<Self, 1> {
        norm(gradient)
    }

    /// As [`adamw`].
    fn adamw(
        values: Tensor<Self, 1>,
        gradient: Tensor<Self, 1>,
        norm: Tensor<Self, 1>,
        moments: [Tensor<Self, 1>; 2],
        rates: Rates,
    ) -> [Tensor<Self, 1>; 3] {
        adamw(values, gradient, norm, moments, rates)
    }
}

/// √(Σ g²), `[1]`.
pub fn norm<B: Backend>(gradient: Tensor<B, 1>) -> Tensor<B, 1> {
    (gradient.clone() * gradient).sum().sqrt()
}

/// The next values and moments, from a gradient and its norm, which stays on the device.
pub fn adamw<B: Backend>(
    values: Tensor<B, 1>,
    gradient: Tensor<B, 1>,
    norm: Tensor<B, 1>,
    [m, v]: [Tensor<B, 1>; 2],
    rates: Rates,
) -> [Tensor<B, 1>; 3] {
    let Rates { clip, beta1, beta2, correction2, epsilon, rate, kept } = rates;
    let scale = (norm + CLIP_EPS).recip().mul_scalar(clip).clamp_max(1.0);
    let gradient = gradient * scale;
    let m = m * beta1 + gradient.clone() * (1.0 - beta1);
    let v = v * beta2 + gradient.clone() * gradient * (1.0 - beta2);
    let update = m.clone() / ((v.clone() / correction2).sqrt() + epsilon) * rate;
    [values * kept - update, m, v]
}

/// Added to the norm before it divides, as PyTorch does.
pub const CLIP_EPS: f64 = 1e-6;
