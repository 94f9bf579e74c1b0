//! The operation in burn's autodiff graph.

use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData, TensorPrimitive};
use mwt_core::ModelConfig;

use super::{HostPixels, Saved, Shared};
use crate::model::inner::{Fit, Fitted, Pixels, Siren};
use crate::model::params::host;

impl Fit for Flex {
    fn fit(
        config: &ModelConfig,
        siren: &Siren<Self>,
        alpha: &Tensor<Self, 2>,
        pixels: &Pixels<Self>,
    ) -> Fitted<Self> {
        let shared = Shared {
            config: *config,
            theta: host(siren.theta()),
            alpha: host(alpha.clone()),
            head: host(siren.head_values()),
        };
        let pixels = HostPixels::new(pixels);
        let (out, _) = shared.forward(&pixels);
        fitted(tensor(out, [pixels.count, config.theta_len() + 1]))
    }
}

impl<C: CheckpointStrategy> Fit for Autodiff<Flex, C> {
    fn fit(
        config: &ModelConfig,
        siren: &Siren<Self>,
        alpha: &Tensor<Self, 2>,
        pixels: &Pixels<Self>,
    ) -> Fitted<Self> {
        let (theta, head) = (siren.theta(), siren.head_values());
        let shared = Shared {
            config: *config,
            theta: host(theta.clone().inner()),
            alpha: host(alpha.clone().inner()),
            head: host(head.clone().inner()),
        };
        let pixels = HostPixels::new(pixels);
        let (out, saved) = shared.forward(&pixels);
        let out: Tensor<Flex, 2> = tensor(out, [pixels.count, config.theta_len() + 1]);
        let inputs = [
            theta.into_primitive().tensor(),
            alpha.clone().into_primitive().tensor(),
            head.into_primitive().tensor(),
        ];
        let out = out.into_primitive().tensor();
        let nodes = inputs.map(|input| input.node);
        let out = match FitBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish(Arc::new((shared, pixels, saved)), out),
            OpsKind::UnTracked(op) => op.finish(out),
        };
        fitted(Tensor::from_primitive(TensorPrimitive::Float(out)))
    }
}

/// The backward of the inner loop; its parents are θ [|θ|], α [k, |θ|] and the head.
#[derive(Debug)]
struct FitBackward;

impl Backward<Flex, 3> for FitBackward {
    type State = Arc<(Shared, HostPixels, Saved)>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (shared, pixels, saved) = &*ops.state;
        let out_grad = grads.consume::<Flex>(&ops.node);
        let out_grad = Tensor::<Flex, 2>::from_primitive(TensorPrimitive::Float(out_grad));
        let gradients = shared.backward(pixels, saved, &host(out_grad));
        let rows = shared.config.alpha_rows();
        let alpha_shape = [rows, shared.config.theta_len()];
        let [theta, alpha, head] = ops.parents;
        if let Some(node) = theta {
            let shape = [gradients.theta.len()];
            grads.register::<Flex>(node.id, primitive(tensor::<Flex, 1>(gradients.theta, shape)));
        }
        if let Some(node) = alpha {
            let alpha = tensor::<Flex, 2>(gradients.alpha, alpha_shape);
            grads.register::<Flex>(node.id, primitive(alpha));
        }
        if let Some(node) = head {
            let shape = [gradients.head.len()];
            grads.register::<Flex>(node.id, primitive(tensor::<Flex, 1>(gradients.head, shape)));
        }
    }
}

fn primitive<const R: usize>(
    tensor: Tensor<Flex, R>,
) -> <Flex as burn::tensor::backend::BackendTypes>::FloatTensorPrimitive {
    tensor.into_primitive().tensor()
}

fn tensor<B: Backend, const R: usize>(values: Vec<f32>, shape: [usize; R]) -> Tensor<B, R> {
    Tensor::from_data(TensorData::new(values, shape), &B::Device::default())
}

/// Takes [N, |θ| + 1] apart.
fn fitted<B: Backend>(out: Tensor<B, 2>) -> Fitted<B> {
    let [n, columns] = out.dims();
    Fitted {
        offsets: out.clone().slice([0..n, 0..columns - 1]),
        reconstruction: out.slice([0..n, columns - 1..columns]).reshape([n]),
    }
}

impl HostPixels {
    fn new<B: Backend>(pixels: &Pixels<B>) -> Self {
        let [count, ..] = pixels.coordinates[0].dims();
        Self {
            count,
            coordinates: pixels.coordinates.iter().cloned().map(host).collect(),
            targets: pixels.targets.iter().cloned().map(host).collect(),
        }
    }
}
