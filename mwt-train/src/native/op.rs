//! The operations on the CPU, in burn's flex tensors.

use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::{BatchReader, HostPixels, Saved, Shared};
use crate::model::MwtBackend;
use crate::model::inner::{Fitted, Pixels};
use crate::model::operation::{
    self, FitGrads, FitInputs, InnerLoop, ReadGrads, ReadInputs, Reader,
};
use crate::model::params::host;
use crate::model::pointwise::Pointwise;
use crate::model::rowwise::Rowwise;

impl Pointwise for Flex {}

impl Rowwise for Flex {}

impl MwtBackend for Flex {
    fn fit(inputs: FitInputs<Self>) -> Fitted<Self> {
        operation::fit::<NativeLoop, _>(&inputs)
    }

    fn read(inputs: ReadInputs<Self>, _w_cls: f64) -> Tensor<Self, 2> {
        operation::read::<NativeReader, _>(&inputs)
    }
}

impl<C: CheckpointStrategy> MwtBackend for Autodiff<Flex, C> {
    fn fit(inputs: FitInputs<Self>) -> Fitted<Self> {
        operation::fit_tracked::<NativeLoop, _, _>(inputs)
    }

    fn read(inputs: ReadInputs<Self>, w_cls: f64) -> Tensor<Self, 2> {
        operation::read_tracked::<NativeReader, _, _>(inputs, w_cls)
    }
}

/// What the backward of the inner loop needs, on the host.
#[derive(Clone, Debug)]
pub(crate) struct Fit(Arc<(Shared, HostPixels, Saved)>);

/// The inner loop on the CPU.
#[derive(Debug)]
pub(crate) struct NativeLoop;

impl InnerLoop<Flex> for NativeLoop {
    type Kept = Fit;

    fn forward(inputs: &FitInputs<Flex>) -> (Tensor<Flex, 2>, Fit) {
        let shared = Shared {
            config: inputs.config,
            theta: host(inputs.theta.clone()),
            alpha: host(inputs.alpha.clone()),
            head: host(inputs.head.clone()),
        };
        let pixels = HostPixels::new(&inputs.pixels);
        let (out, saved) = shared.forward(&pixels);
        let out = tensor(out, [pixels.count, inputs.config.theta_len() + 1]);
        (out, Fit(Arc::new((shared, pixels, saved))))
    }

    fn backward(inputs: &FitInputs<Flex>, kept: &Fit, out_bar: Tensor<Flex, 2>) -> FitGrads<Flex> {
        let (shared, pixels, saved) = &*kept.0;
        let bars = shared.backward(pixels, saved, &host(out_bar));
        FitGrads {
            theta: tensor(bars.theta, inputs.theta.dims()),
            alpha: tensor(bars.alpha, inputs.alpha.dims()),
            head: tensor(bars.head, inputs.head.dims()),
        }
    }
}

/// What the backward of the Transformer needs, on the host.
#[derive(Clone, Debug)]
pub(crate) struct Read(Arc<(BatchReader, Vec<f32>)>);

/// The Transformer on the CPU.
#[derive(Debug)]
pub(crate) struct NativeReader;

impl Reader<Flex> for NativeReader {
    type Kept = Read;

    fn forward(inputs: &ReadInputs<Flex>) -> (Tensor<Flex, 2>, Read) {
        let ReadInputs { config, offsets, beta, values } = inputs;
        let [n, _] = offsets.dims();
        let (values, beta) = (host(values.clone()), host(beta.clone()));
        let reader = BatchReader::new(*config, values, beta, host(offsets.clone()));
        let (logits, kept) = reader.forward();
        (tensor(logits, [n, config.classes]), Read(Arc::new((reader, kept))))
    }

    fn backward(
        inputs: &ReadInputs<Flex>,
        kept: &Read,
        logits_bar: Tensor<Flex, 2>,
    ) -> ReadGrads<Flex> {
        let (reader, kept) = &*kept.0;
        let bars = reader.backward(kept, &host(logits_bar));
        ReadGrads {
            offsets: tensor(bars.offsets, inputs.offsets.dims()),
            beta: tensor(bars.beta, inputs.beta.dims()),
            values: tensor(bars.values, inputs.values.dims()),
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
