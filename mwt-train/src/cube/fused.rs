//! burn's fusion merges elementwise operations itself, so what lies between the products is left to it.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn_fusion::{Fusion, FusionBackend};

use crate::model::MwtBackend;
use crate::model::adjoint::AdjointLoop;
use crate::model::inner::Fitted;
use crate::model::operation::{self, Inputs};
use crate::model::pointwise::Pointwise;

impl<B: FusionBackend> Pointwise for Fusion<B> {}

impl<B: FusionBackend> MwtBackend for Fusion<B> {
    fn fit(inputs: Inputs<Self>) -> Fitted<Self> {
        operation::fit::<AdjointLoop, _>(&inputs)
    }
}

impl<B: FusionBackend, C: CheckpointStrategy> MwtBackend for Autodiff<Fusion<B>, C> {
    fn fit(inputs: Inputs<Self>) -> Fitted<Self> {
        operation::fit_tracked::<AdjointLoop, _, _>(inputs)
    }
}
