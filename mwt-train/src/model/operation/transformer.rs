//! The Transformer as an operation.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use mwt_core::ModelConfig;

use super::{BackwardPass, primitive, tracked};
use crate::settings::Precision;

/// Inputs of the Transformer.
#[derive(Clone, Debug)]
pub struct TransformerInputs<B: Backend> {
    /// The model.
    pub config: ModelConfig,
    /// φ_k - θ, `[N, |θ|]`.
    pub offsets: Tensor<B, 2>,
    /// β, `[T, D+1]`.
    pub beta: Tensor<B, 2>,
    /// The Transformer's parameters, flat, in the order of [`specs`](crate::weights::specs).
    pub values: Tensor<B, 1>,
    /// Of the products, where the back end has a choice.
    pub precision: Precision,
}

/// The gradients of the inputs, in the inputs' shapes.
#[derive(Clone, Debug)]
pub struct TransformerGrads<B: Backend> {
    /// `[N, |θ|]`, 0 for the first layer, which no token shows.
    pub offsets: Tensor<B, 2>,
    /// `[T, D+1]`.
    pub beta: Tensor<B, 2>,
    /// Flat, as the parameters.
    pub values: Tensor<B, 1>,
}

/// A form of the Transformer: how to classify a batch, and how to go back through it.
pub trait TransformerOp<B: Backend>: Debug + Send + 'static {
    /// What the backward needs of the forward.
    type Saved: Clone + Debug + Send + 'static;

    /// Logits, `[N, K]`, of the tokens λ(φ_k - θ + β).
    fn forward(inputs: &TransformerInputs<B>) -> (Tensor<B, 2>, Self::Saved);

    /// The gradients of the inputs from that of the logits.
    fn backward(
        inputs: &TransformerInputs<B>,
        saved: &Self::Saved,
        logits_bar: Tensor<B, 2>,
    ) -> TransformerGrads<B>;
}

/// Logits `[N, K]` of a batch, as [`Transformer::forward`](crate::model::Transformer::forward) gives them.
pub fn transformer<R: TransformerOp<B>, B: Backend>(inputs: &TransformerInputs<B>) -> Tensor<B, 2> {
    R::forward(inputs).0
}

/// Logits of a batch, differentiably; the gradient of φ_k - θ is scaled by `w_cls`.
pub fn transformer_tracked<R: TransformerOp<B>, B: Backend, C: CheckpointStrategy>(
    inputs: TransformerInputs<Autodiff<B, C>>,
    w_cls: f64,
) -> Tensor<Autodiff<B, C>, 2> {
    let plain = TransformerInputs {
        config: inputs.config,
        offsets: inputs.offsets.clone().inner(),
        beta: inputs.beta.clone().inner(),
        values: inputs.values.clone().inner(),
        precision: inputs.precision,
    };
    let (logits, saved) = R::forward(&plain);
    let parents = [primitive(inputs.offsets), primitive(inputs.beta), primitive(inputs.values)];
    tracked::<TransformerBackward<R>, B, C>(parents, (plain, saved, w_cls), logits)
}

/// The backward pass of a form of the Transformer, to φ_k - θ, β and the parameters.
#[derive(Debug)]
struct TransformerBackward<R>(PhantomData<R>);

impl<R: TransformerOp<B>, B: Backend> BackwardPass<B> for TransformerBackward<R> {
    type State = (TransformerInputs<B>, R::Saved, f64);

    fn back((inputs, saved, w_cls): &Self::State, logits_bar: Tensor<B, 2>) -> [FloatTensor<B>; 3] {
        let bars = R::backward(inputs, saved, logits_bar);
        [primitive(bars.offsets * *w_cls), primitive(bars.beta), primitive(bars.values)]
    }
}
