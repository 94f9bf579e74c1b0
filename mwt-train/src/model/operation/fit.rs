//! The inner loop as an operation.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use mwt_core::ModelConfig;

use super::{BackwardPass, primitive, tracked};
use crate::model::inner::{Fitted, Pixels};
use crate::model::pieces::{Pieces, Terms, packed};

/// Inputs of the inner loop.
#[derive(Clone, Debug)]
pub struct FitInputs<B: Backend> {
    /// The model.
    pub config: ModelConfig,
    /// θ, `[|θ|]`.
    pub theta: Tensor<B, 1>,
    /// α, `[k, |θ|]` (one row when shared).
    pub alpha: Tensor<B, 2>,
    /// Wo `[C, D]`, bo `[C]` and out_scale `[C]`, flat.
    pub siren_head: Tensor<B, 1>,
    /// k+1 draws.
    pub pixels: Pixels<B>,
}

impl<B: Backend> FitInputs<B> {
    /// α of a step, `[1, |θ|]`.
    pub fn alpha_row(&self, step: usize) -> Tensor<B, 2> {
        let row = if self.config.shared_alpha { 0 } else { step };
        self.alpha.clone().slice([row..row + 1, 0..self.config.theta_len()])
    }
}

/// The gradients of the inputs, in the inputs' shapes.
#[derive(Clone, Debug)]
pub struct FitGrads<B: Backend> {
    /// `[|θ|]`.
    pub theta: Tensor<B, 1>,
    /// `[k, |θ|]`, or one row when shared.
    pub alpha: Tensor<B, 2>,
    /// Flat, as the SIREN's head.
    pub siren_head: Tensor<B, 1>,
}

impl<B: Pieces> FitGrads<B> {
    /// From what they are sums of: θ's, α's of each step from the last to the first, `[1, 1, |θ|]`, and those of the head's
    /// parts.
    pub fn packed(
        config: &ModelConfig,
        theta: Terms<B>,
        mut alpha: Terms<B>,
        head: Vec<Terms<B>>,
    ) -> Self {
        alpha.reverse();
        let alpha = if config.shared_alpha {
            vec![alpha]
        } else {
            alpha.into_iter().map(|row| vec![row]).collect()
        };
        let m = config.theta_len();
        Self {
            theta: packed(vec![theta]).reshape([m]),
            alpha: packed(alpha).reshape([config.alpha_rows(), m]),
            siren_head: packed(head).flatten(0, 1),
        }
    }
}

/// A form of the inner loop: how to fit a batch, and how to go back through it.
pub trait InnerLoopOp<B: Backend>: Debug + Send + 'static {
    /// What the backward needs of the forward.
    type Saved: Clone + Debug + Send + 'static;

    /// Fits each image: `[N, |θ| + 1]`, φ_k - θ and then the reconstruction loss on the last draw.
    fn forward(inputs: &FitInputs<B>) -> (Tensor<B, 2>, Self::Saved);

    /// The gradients of the inputs from that of [`forward`](Self::forward)'s output.
    fn backward(inputs: &FitInputs<B>, saved: &Self::Saved, out_bar: Tensor<B, 2>) -> FitGrads<B>;
}

/// Fits a batch, as [`inner::fit`](crate::model::inner::fit) does.
pub fn fit<L: InnerLoopOp<B>, B: Backend>(inputs: &FitInputs<B>) -> Fitted<B> {
    apart(L::forward(inputs).0)
}

/// Fits a batch, differentiably.
pub fn fit_tracked<L: InnerLoopOp<B>, B: Backend, C: CheckpointStrategy>(
    inputs: FitInputs<Autodiff<B, C>>,
) -> Fitted<Autodiff<B, C>> {
    let plain = FitInputs {
        config: inputs.config,
        theta: inputs.theta.clone().inner(),
        alpha: inputs.alpha.clone().inner(),
        siren_head: inputs.siren_head.clone().inner(),
        pixels: Pixels {
            coordinates: inputs.pixels.coordinates.into_iter().map(Tensor::inner).collect(),
            targets: inputs.pixels.targets.into_iter().map(Tensor::inner).collect(),
        },
    };
    let (out, saved) = L::forward(&plain);
    let parents = [primitive(inputs.theta), primitive(inputs.alpha), primitive(inputs.siren_head)];
    apart(tracked::<FitBackward<L>, B, C>(parents, (plain, saved), out))
}

/// Takes `[N, |θ| + 1]` apart.
fn apart<B: Backend>(out: Tensor<B, 2>) -> Fitted<B> {
    let [n, columns] = out.dims();
    Fitted {
        offsets: out.clone().slice([0..n, 0..columns - 1]),
        reconstruction: out.slice([0..n, columns - 1..columns]).reshape([n]),
    }
}

/// The backward pass of a form of the inner loop, to θ, α and the SIREN's head.
#[derive(Debug)]
struct FitBackward<L>(PhantomData<L>);

impl<L: InnerLoopOp<B>, B: Backend> BackwardPass<B> for FitBackward<L> {
    type State = (FitInputs<B>, L::Saved);

    fn back((inputs, saved): &Self::State, out_bar: Tensor<B, 2>) -> [FloatTensor<B>; 3] {
        let bars = L::backward(inputs, saved, out_bar);
        [primitive(bars.theta), primitive(bars.alpha), primitive(bars.siren_head)]
    }
}
