//! burn's fusion merges elementwise operations itself, so what lies between the products is left to it.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::tensor::Tensor;
use burn_fusion::{Fusion, FusionBackend};
use mwt_core::ModelConfig;

use crate::model::MwtBackend;
use crate::model::adjoint::AdjointLoop;
use crate::model::inner::{Fitted, Pixels, Siren};
use crate::model::operation::{self, Inputs};
use crate::model::pointwise::Pointwise;

impl<B: FusionBackend> Pointwise for Fusion<B> {}

impl<B: FusionBackend> MwtBackend for Fusion<B> {
    fn fit(
        config: &ModelConfig,
        siren: &Siren<Self>,
        alpha: &Tensor<Self, 2>,
        pixels: &Pixels<Self>,
    ) -> Fitted<Self> {
        operation::fit::<AdjointLoop, _>(&Inputs::new(config, siren, alpha, pixels))
    }
}

impl<B: FusionBackend, C: CheckpointStrategy> MwtBackend for Autodiff<Fusion<B>, C> {
    fn fit(
        config: &ModelConfig,
        siren: &Siren<Self>,
        alpha: &Tensor<Self, 2>,
        pixels: &Pixels<Self>,
    ) -> Fitted<Self> {
        operation::fit_tracked::<AdjointLoop, _, _>(Inputs::new(config, siren, alpha, pixels))
    }
}
