//! The operations in burn's autodiff graph: the inner loop, and the Transformer with its backward.

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
use crate::model::inner::{Fitted, Pixels};
use crate::model::operation::{self, InnerLoop, InputGrads, Inputs, primitive};
use crate::model::params::host;
use crate::model::pointwise::Pointwise;
use crate::model::{MwtBackend, Transformer};

/// What the backward of the inner loop needs, on the host.
#[derive(Clone, Debug)]
pub(crate) struct Kept(Arc<(Shared, HostPixels, Saved)>);

/// The inner loop on the CPU.
#[derive(Debug)]
pub(crate) struct NativeLoop;

impl InnerLoop<Flex> for NativeLoop {
    type Kept = Kept;

    fn forward(inputs: &Inputs<Flex>) -> (Tensor<Flex, 2>, Kept) {
        let shared = Shared {
            config: inputs.config,
            theta: host(inputs.theta.clone()),
            alpha: host(inputs.alpha.clone()),
            head: host(inputs.head.clone()),
        };
        let pixels = HostPixels::new(&inputs.pixels);
        let (out, saved) = shared.forward(&pixels);
        let out = tensor(out, [pixels.count, inputs.config.theta_len() + 1]);
        (out, Kept(Arc::new((shared, pixels, saved))))
    }

    fn backward(inputs: &Inputs<Flex>, kept: &Kept, out_bar: Tensor<Flex, 2>) -> InputGrads<Flex> {
        let (shared, pixels, saved) = &*kept.0;
        let bars = shared.backward(pixels, saved, &host(out_bar));
        InputGrads {
            theta: tensor(bars.theta, inputs.theta.dims()),
            alpha: tensor(bars.alpha, inputs.alpha.dims()),
            head: tensor(bars.head, inputs.head.dims()),
        }
    }
}

impl Pointwise for Flex {}

impl MwtBackend for Flex {
    fn fit(inputs: Inputs<Self>) -> Fitted<Self> {
        operation::fit::<NativeLoop, _>(&inputs)
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
    fn fit(inputs: Inputs<Self>) -> Fitted<Self> {
        operation::fit_tracked::<NativeLoop, _, _>(inputs)
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

fn tensor<B: Backend, const R: usize>(values: Vec<f32>, shape: [usize; R]) -> Tensor<B, R> {
    Tensor::from_data(TensorData::new(values, shape), &B::Device::default())
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
