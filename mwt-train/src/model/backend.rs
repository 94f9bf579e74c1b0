//! What a back end has to offer to train a model.

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use mwt_core::ModelConfig;

use super::inner::{self, Fitted, Pixels, Siren};
use super::transformer::Transformer;

/// A back end that can fit and read a batch, differentiably if it has autodiff: with ordinary tensor operations
/// unless it has something better.
pub trait MwtBackend: Backend {
    /// Fits a batch in k gradient steps from θ, as [`inner::fit`] does.
    fn fit(
        config: &ModelConfig,
        siren: &Siren<Self>,
        alpha: &Tensor<Self, 2>,
        pixels: &Pixels<Self>,
    ) -> Fitted<Self> {
        inner::fit(config, siren, alpha, pixels)
    }

    /// Logits `[N, K]` from tokens `[N, T, D+1]`, as [`Transformer::forward`] gives them.
    fn read(
        _config: &ModelConfig,
        transformer: &Transformer<Self>,
        tokens: Tensor<Self, 3>,
    ) -> Tensor<Self, 2> {
        transformer.forward(tokens)
    }
}

#[cfg(feature = "cuda")]
impl MwtBackend for burn::backend::Cuda {}
#[cfg(feature = "cuda")]
impl MwtBackend for burn::backend::Autodiff<burn::backend::Cuda> {}
#[cfg(feature = "wgpu")]
impl MwtBackend for burn::backend::Wgpu {}
#[cfg(feature = "wgpu")]
impl MwtBackend for burn::backend::Autodiff<burn::backend::Wgpu> {}

/// A back end to train on.
pub trait TrainBackend: AutodiffBackend<InnerBackend: MwtBackend> + MwtBackend {}

impl<B: AutodiffBackend<InnerBackend: MwtBackend> + MwtBackend> TrainBackend for B {}
