//! burn's fusion merges elementwise operations itself, so what lies between the products is left to it.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::tensor::Tensor;
use burn_fusion::{Fusion, FusionBackend};

use crate::model::MwtBackend;
use crate::model::adjoint::{AdjointInnerLoop, AdjointTransformer};
use crate::model::attention::Attention;
use crate::model::inner::Fitted;
use crate::model::operation::{self, FitInputs, TransformerInputs};
use crate::model::pieces::Pieces;
use crate::model::pointwise::Pointwise;
use crate::model::product::Product;
use crate::model::rowwise::Rowwise;
use crate::model::update::Update;
use crate::settings::Precision;

impl<B: FusionBackend> Pointwise for Fusion<B> {}

impl<B: FusionBackend> Rowwise for Fusion<B> {}

impl<B: FusionBackend> Attention for Fusion<B> {}

impl<B: FusionBackend> Pieces for Fusion<B> {}

impl<B: FusionBackend> Update for Fusion<B> {}

/// burn's own products, whose factors are TF32 wherever the device has tensor cores.
impl<B: FusionBackend> Product for Fusion<B> {
    fn product<const R: usize>(
        a: Tensor<Self, R>,
        b: Tensor<Self, R>,
        _precision: Precision,
    ) -> Tensor<Self, R> {
        a.matmul(b)
    }

    fn precision(_device: &Self::Device, _wanted: Precision) -> Precision {
        Precision::Tf32
    }
}

impl<B: FusionBackend> MwtBackend for Fusion<B> {
    fn fit(inputs: FitInputs<Self>) -> Fitted<Self> {
        operation::fit::<AdjointInnerLoop, _>(&inputs)
    }

    fn transformer(inputs: TransformerInputs<Self>, _w_cls: f64) -> Tensor<Self, 2> {
        operation::transformer::<AdjointTransformer, _>(&inputs)
    }
}

impl<B: FusionBackend, C: CheckpointStrategy> MwtBackend for Autodiff<Fusion<B>, C> {
    fn fit(inputs: FitInputs<Self>) -> Fitted<Self> {
        operation::fit_tracked::<AdjointInnerLoop, _, _>(inputs)
    }

    fn transformer(inputs: TransformerInputs<Self>, w_cls: f64) -> Tensor<Self, 2> {
        operation::transformer_tracked::<AdjointTransformer, _, _>(inputs, w_cls)
    }
}
