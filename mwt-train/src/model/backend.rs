//! What a back end has to offer to train a model.

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use mwt_core::ModelConfig;

use super::inner::Fitted;
use super::operation::Inputs;
use super::tokens;
use super::transformer::Transformer;

/// A back end that can fit and read a batch, differentiably if it has autodiff.
pub trait MwtBackend: Backend {
    /// Fits a batch in k gradient steps from θ, as [`inner::fit`](super::inner::fit) does.
    fn fit(inputs: Inputs<Self>) -> Fitted<Self>;

    /// Logits `[N, K]` from φ - θ `[N, |θ|]` and β `[T, D+1]`, as [`Transformer::forward`] gives them for
    /// [`tokens`](tokens::tokens) behind the [`boundary`](tokens::boundary): with ordinary tensor operations unless it has
    /// something better.
    fn read(
        config: &ModelConfig,
        transformer: &Transformer<Self>,
        beta: &Tensor<Self, 2>,
        offsets: Tensor<Self, 2>,
        w_cls: f64,
    ) -> Tensor<Self, 2> {
        let offsets = tokens::boundary(offsets, w_cls);
        transformer.forward(tokens::tokens(config, offsets, beta.clone()))
    }
}

/// A back end to train on.
pub trait TrainBackend: AutodiffBackend<InnerBackend: MwtBackend> + MwtBackend {}

impl<B: AutodiffBackend<InnerBackend: MwtBackend> + MwtBackend> TrainBackend for B {}
