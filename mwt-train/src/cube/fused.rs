//! burn's fusion merges elementwise operations itself, so what lies between the products is left to it.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::tensor::Tensor;
use burn_fusion::{Fusion, FusionBackend};

use crate::model::MwtBackend;
use crate::model::adjoint::{AdjointLoop, AdjointReader};
use crate::model::inner::Fitted;
use crate::model::operation::{self, FitInputs, ReadInputs};
use crate::model::pointwise::Pointwise;
use crate::model::rowwise::Rowwise;

impl<B: FusionBackend> Pointwise for Fusion<B> {}

impl<B: FusionBackend> Rowwise for Fusion<B> {}

impl<B: FusionBackend> MwtBackend for Fusion<B> {
    fn fit(inputs: FitInputs<Self>) -> Fitted<Self> {
        operation::fit::<AdjointLoop, _>(&inputs)
    }

    fn read(inputs: ReadInputs<Self>, _w_cls: f64) -> Tensor<Self, 2> {
        operation::read::<AdjointReader, _>(&inputs)
    }
}

impl<B: FusionBackend, C: CheckpointStrategy> MwtBackend for Autodiff<Fusion<B>, C> {
    fn fit(inputs: FitInputs<Self>) -> Fitted<Self> {
        operation::fit_tracked::<AdjointLoop, _, _>(inputs)
    }

    fn read(inputs: ReadInputs<Self>, w_cls: f64) -> Tensor<Self, 2> {
        operation::read_tracked::<AdjointReader, _, _>(inputs, w_cls)
    }
}
