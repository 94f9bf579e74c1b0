//! What a back end has to offer to train a model.

use std::ops::Range;

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use super::inner::Fitted;
use super::operation::{FitInputs, TransformerInputs};
use super::product::Product;
use super::update::Update;

/// A back end that can fit a batch and classify it, differentiably if it has autodiff.
pub trait MwtBackend: Backend {
    /// Fits a batch in k gradient steps from θ, as [`inner::fit`](super::inner::fit) does.
    fn fit(inputs: FitInputs<Self>) -> Fitted<Self>;

    /// A range of a flat tensor that nothing is differentiated by: a view of it where the back end has one.
    fn data(flat: &Tensor<Self, 1>, range: Range<usize>) -> Tensor<Self, 1> {
        flat.clone().slice(range)
    }

    /// Logits `[N, K]`, as [`Transformer::forward`](super::Transformer::forward) gives them for
    /// [`tokens`](super::tokens::tokens) behind the [`boundary`](super::tokens::boundary).
    fn transformer(inputs: TransformerInputs<Self>, w_cls: f64) -> Tensor<Self, 2>;
}

/// A back end to train on.
pub trait TrainBackend:
    AutodiffBackend<InnerBackend: MwtBackend + Product + Update> + MwtBackend
{
}

impl<B> TrainBackend for B where
    B: AutodiffBackend<InnerBackend: MwtBackend + Product + Update> + MwtBackend
{
}
