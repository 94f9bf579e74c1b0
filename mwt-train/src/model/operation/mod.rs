//! The halves of the model, each as one operation of burn's autodiff graph with a backward of its own.
//!
//! [`fit()`]: (θ, α, the SIREN's head) → φ_k - θ and the reconstruction loss; [`transformer()`]: (φ_k - θ, β, parameters) →
//! logits. A back end chooses a form of each.

mod fit;
mod transformer;

pub use fit::{FitGrads, FitInputs, InnerLoopOp, fit, fit_tracked};
pub use transformer::{
    TransformerGrads, TransformerInputs, TransformerOp, transformer, transformer_tracked,
};

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorPrimitive};

/// The backward pass of a function of three tensors.
trait BackwardPass<B: Backend>: Debug + Send + 'static {
    /// What it takes.
    type State: Clone + Debug + Send + 'static;

    /// The gradients of the three from that of the function's value.
    fn back(state: &Self::State, out_bar: Tensor<B, 2>) -> [FloatTensor<B>; 3];
}

/// `out` as a function of its `parents`, through which `K` goes back.
fn tracked<K: BackwardPass<B>, B: Backend, C: CheckpointStrategy>(
    parents: [FloatTensor<Autodiff<B, C>>; 3],
    state: K::State,
    out: Tensor<B, 2>,
) -> Tensor<Autodiff<B, C>, 2> {
    let nodes = parents.map(|parent| parent.node);
    let out = match Node::<K>(PhantomData).prepare::<C>(nodes).compute_bound().stateful() {
        OpsKind::Tracked(op) => op.finish(state, primitive(out)),
        OpsKind::UnTracked(op) => op.finish(primitive(out)),
    };
    Tensor::from_primitive(TensorPrimitive::Float(out))
}

/// A node of the graph.
#[derive(Debug)]
struct Node<K>(PhantomData<K>);

impl<K: BackwardPass<B>, B: Backend> Backward<B, 3> for Node<K> {
    type State = K::State;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let out_bar = TensorPrimitive::Float(grads.consume::<B>(&ops.node));
        let bars = K::back(&ops.state, Tensor::from_primitive(out_bar));
        for (node, bar) in ops.parents.into_iter().zip(bars) {
            if let Some(node) = node {
                grads.register::<B>(node.id, bar);
            }
        }
    }
}

/// A tensor as the back end has it.
pub(crate) fn primitive<B: Backend, const R: usize>(tensor: Tensor<B, R>) -> FloatTensor<B> {
    tensor.into_primitive().tensor()
}
