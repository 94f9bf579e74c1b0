//! The operations in burn's autodiff graph.

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

use super::{BatchReader, HostPixels, Saved, Shared};
use crate::model::inner::{Fitted, Pixels, Siren};
use crate::model::params::host;
use crate::model::{MwtBackend, Transformer};

impl MwtBackend for Flex {
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

    fn read(
        config: &ModelConfig,
        transformer: &Transformer<Self>,
        beta: &Tensor<Self, 2>,
        offsets: Tensor<Self, 2>,
        _w_cls: f64,
    ) -> Tensor<Self, 2> {
        let [n, _] = offsets.dims();
        let (values, beta) = (host(transformer.values()), host(beta.clone()));
        let reader = BatchReader::new(*config, values, beta, host(offsets));
        tensor(reader.forward().0, [n, config.classes])
    }
}

impl<C: CheckpointStrategy> MwtBackend for Autodiff<Flex, C> {
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

    fn read(
        config: &ModelConfig,
        transformer: &Transformer<Self>,
        beta: &Tensor<Self, 2>,
        offsets: Tensor<Self, 2>,
        w_cls: f64,
    ) -> Tensor<Self, 2> {
        let ([n, _], values) = (offsets.dims(), transformer.values());
        let host_values = host(values.clone().inner());
        let host_beta = host(beta.clone().inner());
        let host_offsets = host(offsets.clone().inner());
        let reader = BatchReader::new(*config, host_values, host_beta, host_offsets);
        let (logits, kept) = reader.forward();
        let logits = primitive(tensor::<Flex, 2>(logits, [n, config.classes]));
        let inputs = [
            offsets.into_primitive().tensor(),
            beta.clone().into_primitive().tensor(),
            values.into_primitive().tensor(),
        ];
        let nodes = inputs.map(|input| input.node);
        let logits = match ReadBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(op) => op.finish(Arc::new((reader, kept, w_cls)), logits),
            OpsKind::UnTracked(op) => op.finish(logits),
        };
        Tensor::from_primitive(TensorPrimitive::Float(logits))
    }
}

/// The backward of the Transformer; its parents are φ - θ `[N, |θ|]`, β `[T, D+1]` and the flat parameters.
#[derive(Debug)]
struct ReadBackward;

impl Backward<Flex, 3> for ReadBackward {
    type State = Arc<(BatchReader, Vec<f32>, f64)>;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (reader, kept, w_cls) = &*ops.state;
        let logits_bar = grads.consume::<Flex>(&ops.node);
        let logits_bar = Tensor::<Flex, 2>::from_primitive(TensorPrimitive::Float(logits_bar));
        let [n, _] = logits_bar.dims();
        let bars = reader.backward(kept, &host(logits_bar), *w_cls as f32);
        let [offsets, beta, values] = ops.parents;
        if let Some(node) = offsets {
            let shape = [n, reader.config.theta_len()];
            grads.register::<Flex>(node.id, primitive(tensor::<Flex, 2>(bars.offsets, shape)));
        }
        if let Some(node) = beta {
            let shape = [reader.config.tokens(), reader.config.token_len()];
            grads.register::<Flex>(node.id, primitive(tensor::<Flex, 2>(bars.beta, shape)));
        }
        if let Some(node) = values {
            let shape = [bars.values.len()];
            grads.register::<Flex>(node.id, primitive(tensor::<Flex, 1>(bars.values, shape)));
        }
    }
}

/// The backward of the inner loop; its parents are θ `[|θ|]`, α `[k, |θ|]` and the head.
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

/// Takes `[N, |θ| + 1]` apart.
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
