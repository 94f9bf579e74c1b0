//! The inner loop as one operation of burn's autodiff graph, with a backward of its own.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorPrimitive};
use mwt_core::ModelConfig;

use super::inner::{Fitted, Pixels, Siren};

/// What the inner loop computes from.
#[derive(Clone, Debug)]
pub struct Inputs<B: Backend> {
    /// The model.
    pub config: ModelConfig,
    /// θ, `[|θ|]`.
    pub theta: Tensor<B, 1>,
    /// α, `[k, |θ|]` (one row when shared).
    pub alpha: Tensor<B, 2>,
    /// Wo `[C, D]`, bo `[C]` and out_scale `[C]`, flat.
    pub head: Tensor<B, 1>,
    /// k+1 draws.
    pub pixels: Pixels<B>,
}

/// The gradients of the inputs, in the inputs' shapes.
#[derive(Clone, Debug)]
pub struct InputGrads<B: Backend> {
    /// `[|θ|]`.
    pub theta: Tensor<B, 1>,
    /// `[k, |θ|]`, or one row when shared.
    pub alpha: Tensor<B, 2>,
    /// Flat, as the head.
    pub head: Tensor<B, 1>,
}

/// A way to fit a batch and to go back through it.
pub trait InnerLoop<B: Backend>: Debug + Send + 'static {
    /// What the backward needs of the forward.
    type Kept: Clone + Debug + Send + 'static;

    /// Fits each image: `[N, |θ| + 1]`, φ_k - θ and then the reconstruction loss on the last draw.
    fn forward(inputs: &Inputs<B>) -> (Tensor<B, 2>, Self::Kept);

    /// The gradients of the inputs from that of [`forward`](Self::forward)'s output.
    fn backward(inputs: &Inputs<B>, kept: &Self::Kept, out_bar: Tensor<B, 2>) -> InputGrads<B>;
}

impl<B: Backend> Inputs<B> {
    /// Takes the model's tensors together.
    pub fn new(
        config: &ModelConfig,
        siren: &Siren<B>,
        alpha: &Tensor<B, 2>,
        pixels: &Pixels<B>,
    ) -> Self {
        let (theta, head) = (siren.theta(), siren.head_values());
        Self { config: *config, theta, alpha: alpha.clone(), head, pixels: pixels.clone() }
    }
}

/// Fits a batch, as [`inner::fit`](super::inner::fit) does.
pub fn fit<L: InnerLoop<B>, B: Backend>(inputs: &Inputs<B>) -> Fitted<B> {
    apart(L::forward(inputs).0)
}

/// Fits a batch, differentiably.
pub fn fit_tracked<L: InnerLoop<B>, B: Backend, C: CheckpointStrategy>(
    inputs: Inputs<Autodiff<B, C>>,
) -> Fitted<Autodiff<B, C>> {
    let plain = Inputs {
        config: inputs.config,
        theta: inputs.theta.clone().inner(),
        alpha: inputs.alpha.clone().inner(),
        head: inputs.head.clone().inner(),
        pixels: Pixels {
            coordinates: inputs.pixels.coordinates.into_iter().map(Tensor::inner).collect(),
            targets: inputs.pixels.targets.into_iter().map(Tensor::inner).collect(),
        },
    };
    let (out, kept) = L::forward(&plain);
    let parents = [
        inputs.theta.into_primitive().tensor(),
        inputs.alpha.into_primitive().tensor(),
        inputs.head.into_primitive().tensor(),
    ];
    let nodes = parents.map(|parent| parent.node);
    let backward = FitBackward::<L>(PhantomData);
    let out = match backward.prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish((plain, kept), primitive(out)),
        OpsKind::UnTracked(op) => op.finish(primitive(out)),
    };
    apart(Tensor::from_primitive(TensorPrimitive::Float(out)))
}

/// Takes `[N, |θ| + 1]` apart.
fn apart<B: Backend>(out: Tensor<B, 2>) -> Fitted<B> {
    let [n, columns] = out.dims();
    Fitted {
        offsets: out.clone().slice([0..n, 0..columns - 1]),
        reconstruction: out.slice([0..n, columns - 1..columns]).reshape([n]),
    }
}

/// Its parents are θ, α and the head.
#[derive(Debug)]
struct FitBackward<L>(PhantomData<L>);

impl<L: InnerLoop<B>, B: Backend> Backward<B, 3> for FitBackward<L> {
    type State = (Inputs<B>, L::Kept);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (inputs, kept) = &ops.state;
        let out_bar = TensorPrimitive::Float(grads.consume::<B>(&ops.node));
        let bars = L::backward(inputs, kept, Tensor::from_primitive(out_bar));
        let bars = [primitive(bars.theta), primitive(bars.alpha), primitive(bars.head)];
        for (node, bar) in ops.parents.into_iter().zip(bars) {
            if let Some(node) = node {
                grads.register::<B>(node.id, bar);
            }
        }
    }
}

/// A tensor as the back end has it.
pub(crate) fn primitive<B: Backend, const R: usize>(
    tensor: Tensor<B, R>,
) -> B::FloatTensorPrimitive {
    tensor.into_primitive().tensor()
}
