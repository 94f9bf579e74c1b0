//! The operations on the CPU, in burn's flex tensors.

use std::sync::Arc;

use burn::backend::Autodiff;
use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};

use super::batch_transformer::BatchTransformer;
use super::values::{BatchFit, HostPixels, SavedSteps};
use crate::model::MwtBackend;
use crate::model::attention::Attention;
use crate::model::inner::{Fitted, Pixels};
use crate::model::operation::{
    self, FitGrads, FitInputs, InnerLoopOp, TransformerGrads, TransformerInputs, TransformerOp,
};
use crate::model::params::host;
use crate::model::pieces::Pieces;
use crate::model::pointwise::Pointwise;
use crate::model::product::Product;
use crate::model::rowwise::Rowwise;
use crate::model::update::Update;

impl Pointwise for Flex {}

impl Rowwise for Flex {}

impl Attention for Flex {}

impl Product for Flex {}

impl Pieces for Flex {}

impl Update for Flex {}

impl MwtBackend for Flex {
    fn fit(inputs: FitInputs<Self>) -> Fitted<Self> {
        operation::fit::<CpuInnerLoop, _>(&inputs)
    }

    fn transformer(inputs: TransformerInputs<Self>, _w_cls: f64) -> Tensor<Self, 2> {
        operation::transformer::<CpuTransformer, _>(&inputs)
    }
}

impl<C: CheckpointStrategy> MwtBackend for Autodiff<Flex, C> {
    fn fit(inputs: FitInputs<Self>) -> Fitted<Self> {
        operation::fit_tracked::<CpuInnerLoop, _, _>(inputs)
    }

    fn transformer(inputs: TransformerInputs<Self>, w_cls: f64) -> Tensor<Self, 2> {
        operation::transformer_tracked::<CpuTransformer, _, _>(inputs, w_cls)
    }
}

/// What the backward of the inner loop needs, on the host.
#[derive(Clone, Debug)]
pub(crate) struct SavedFit(Arc<(BatchFit, HostPixels, SavedSteps)>);

/// The inner loop on the CPU.
#[derive(Debug)]
pub(crate) struct CpuInnerLoop;

impl InnerLoopOp<Flex> for CpuInnerLoop {
    type Saved = SavedFit;

    fn forward(inputs: &FitInputs<Flex>) -> (Tensor<Flex, 2>, SavedFit) {
        let batch = BatchFit {
            config: inputs.config,
            theta: host(inputs.theta.clone()),
            alpha: host(inputs.alpha.clone()),
            siren_head: host(inputs.siren_head.clone()),
        };
        let pixels = HostPixels::new(&inputs.pixels);
        let (out, saved) = batch.forward(&pixels);
        let out = tensor(out, [pixels.count, inputs.config.theta_len() + 1]);
        (out, SavedFit(Arc::new((batch, pixels, saved))))
    }

    fn backward(
        inputs: &FitInputs<Flex>,
        saved: &SavedFit,
        out_bar: Tensor<Flex, 2>,
    ) -> FitGrads<Flex> {
        let (batch, pixels, saved) = &*saved.0;
        let bars = batch.backward(pixels, saved, &host(out_bar));
        FitGrads {
            theta: tensor(bars.theta, inputs.theta.dims()),
            alpha: tensor(bars.alpha, inputs.alpha.dims()),
            siren_head: tensor(bars.siren_head, inputs.siren_head.dims()),
        }
    }
}

/// What the backward of the Transformer needs, on the host.
#[derive(Clone, Debug)]
pub(crate) struct SavedTransformer(Arc<(BatchTransformer, Vec<f32>)>);

/// The Transformer on the CPU.
#[derive(Debug)]
pub(crate) struct CpuTransformer;

impl TransformerOp<Flex> for CpuTransformer {
    type Saved = SavedTransformer;

    fn forward(inputs: &TransformerInputs<Flex>) -> (Tensor<Flex, 2>, SavedTransformer) {
        let TransformerInputs { config, offsets, beta, values, .. } = inputs;
        let [n, _] = offsets.dims();
        let (values, beta) = (host(values.clone()), host(beta.clone()));
        let batch = BatchTransformer::new(*config, values, beta, host(offsets.clone()));
        let (logits, saved) = batch.forward();
        (tensor(logits, [n, config.classes]), SavedTransformer(Arc::new((batch, saved))))
    }

    fn backward(
        inputs: &TransformerInputs<Flex>,
        saved: &SavedTransformer,
        logits_bar: Tensor<Flex, 2>,
    ) -> TransformerGrads<Flex> {
        let (batch, saved) = &*saved.0;
        let bars = batch.backward(saved, &host(logits_bar));
        TransformerGrads {
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
