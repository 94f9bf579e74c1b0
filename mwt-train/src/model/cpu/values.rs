//! What the inner loop of a batch works on and leaves for its backward pass.

use mwt_core::ModelConfig;

/// What all images of a batch share: θ, α and the SIREN's head, flat.
#[derive(Clone, Debug)]
pub(super) struct BatchFit {
    pub(super) config: ModelConfig,
    /// `[|θ|]`.
    pub(super) theta: Vec<f32>,
    /// `[k or 1, |θ|]`.
    pub(super) alpha: Vec<f32>,
    /// Wo `[C, D]`, bo `[C]`, out_scale `[C]`.
    pub(super) siren_head: Vec<f32>,
}

/// The pixels of a batch: for each of the k+1 draws, `[N, P, ·]`.
#[derive(Clone, Debug)]
pub(super) struct HostPixels {
    /// Images.
    pub(super) count: usize,
    /// (y, x).
    pub(super) coordinates: Vec<Vec<f32>>,
    /// Values.
    pub(super) targets: Vec<Vec<f32>>,
}

/// What the backward needs of the forward.
#[derive(Clone, Debug)]
pub(super) struct SavedSteps {
    /// φ_0, …, φ_k of each image, `[N, k+1, |θ|]`.
    pub(super) phi: Vec<f32>,
    /// The gradient of each step of each image, `[N, k, |θ|]`.
    pub(super) gradient: Vec<f32>,
}
