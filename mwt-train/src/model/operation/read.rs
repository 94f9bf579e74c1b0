//! The Transformer as an operation.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use mwt_core::ModelConfig;

use super::{Back, primitive, tracked};

/// What the Transformer computes from.
#[derive(Clone, Debug)]
pub struct ReadInputs<B: Backend> {
    /// The model.
    pub config: ModelConfig,
    /// φ_k - θ, `[N, |θ|]`.
    pub offsets: Tensor<B, 2>,
    /// β, `[T, D+1]`.
    pub beta: Tensor<B, 2>,
    /// The Transformer's parameters, flat, in the order of [`specs`](crate::weights::specs).
    pub values: Tensor<B, 1>,
}

/// The gradients of the inputs, in the inputs' shapes.
#[derive(Clone, Debug)]
pub struct ReadGrads<B: Backend> {
    /// `[N, |θ|]`, 0 for the first layer, which no token shows.
    pub offsets: Tensor<B, 2>,
    /// `[T, D+1]`.
    pub beta: Tensor<B, 2>,
    /// Flat, as the parameters.
    pub values: Tensor<B, 1>,
}

/// A way to read a batch and to go back through it.
pub trait Reader<B: Backend>: Debug + Send + 'static {
    /// What the backward needs of the forward.
    type Kept: Clone + Debug + Send + 'static;

    /// Logits, `[N, K]`, of the tokens λ(φ_k - θ + β).
    fn forward(inputs: &ReadInputs<B>) -> (Tensor<B, 2>, Self::Kept);

    /// The gradients of the inputs from that of the logits.
    fn backward(
        inputs: &ReadInputs<B>,
        kept: &Self::Kept,
        logits_bar: Tensor<B, 2>,
    ) -> ReadGrads<B>;
}

/// Logits `[N, K]` of a batch, as [`Transformer::forward`](crate::model::Transformer::forward) gives them.
pub fn read<R: Reader<B>, B: Backend>(inputs: &ReadInputs<B>) -> Tensor<B, 2> {
    R::forward(inputs).0
}

/// Logits of a batch, differentiably; the gradient of φ_k - θ is scaled by `w_cls`.
pub fn read_tracked<R: Reader<B>, B: Backend, C: CheckpointStrategy>(
    inputs: ReadInputs<Autodiff<B, C>>,
    w_cls: f64,
) -> Tensor<Autodiff<B, C>, 2> {
    let plain = ReadInputs {
        config: inputs.config,
        offsets: inputs.offsets.clone().inner(),
        beta: inputs.beta.clone().inner(),
        values: inputs.values.clone().inner(),
    };
    let (logits, kept) = R::forward(&plain);
    let parents = [primitive(inputs.offsets), primitive(inputs.beta), primitive(inputs.values)];
    tracked::<ReadBack<R>, B, C>(parents, (plain, kept, w_cls), logits)
}

/// Back through a reader to φ_k - θ, β and the parameters.
#[derive(Debug)]
struct ReadBack<R>(PhantomData<R>);

impl<R: Reader<B>, B: Backend> Back<B> for ReadBack<R> {
    type State = (ReadInputs<B>, R::Kept, f64);

    fn back((inputs, kept, w_cls): &Self::State, logits_bar: Tensor<B, 2>) -> [FloatTensor<B>; 3] {
        let bars = R::backward(inputs, kept, logits_bar);
        [primitive(bars.offsets * *w_cls), primitive(bars.beta), primitive(bars.values)]
    }
}
