//! The forms of both halves that GPUs train with.

use std::ops::Range;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::tensor::Tensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};

use super::inner_loop::FusedInnerLoop;
use crate::model::MwtBackend;
use crate::model::adjoint::AdjointTransformer;
use crate::model::inner::Fitted;
use crate::model::operation::{self, FitInputs, TransformerInputs};
use crate::model::pieces::Pieces;

impl<R, F, I, T> MwtBackend for CubeBackend<R, F, I, T>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    T: BoolElement,
{
    fn fit(inputs: FitInputs<Self>) -> Fitted<Self> {
        operation::fit::<FusedInnerLoop, _>(&inputs)
    }

    fn data(flat: &Tensor<Self, 1>, range: Range<usize>) -> Tensor<Self, 1> {
        Self::piece(flat, range)
    }

    fn transformer(inputs: TransformerInputs<Self>, _w_cls: f64) -> Tensor<Self, 2> {
        operation::transformer::<AdjointTransformer, _>(&inputs)
    }
}

impl<R, F, I, T, C> MwtBackend for Autodiff<CubeBackend<R, F, I, T>, C>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    T: BoolElement,
    C: CheckpointStrategy,
{
    fn fit(inputs: FitInputs<Self>) -> Fitted<Self> {
        operation::fit_tracked::<FusedInnerLoop, _, _>(inputs)
    }

    fn data(flat: &Tensor<Self, 1>, range: Range<usize>) -> Tensor<Self, 1> {
        Tensor::from_inner(CubeBackend::piece(&flat.clone().inner(), range))
    }

    fn transformer(inputs: TransformerInputs<Self>, w_cls: f64) -> Tensor<Self, 2> {
        operation::transformer_tracked::<AdjointTransformer, _, _>(inputs, w_cls)
    }
}
