//! The model on GPUs: [`FusedInnerLoop`], a kernel a step; and [`AdjointTransformer`] on the back end's matrix products, with
//! own kernels for attention and for what lies between the products.
//!
//! The kernels for what lies between the inner loop's products ([`pointwise`]) are those of
//! [`AdjointInnerLoop`](crate::model::adjoint::AdjointInnerLoop), which the fused ones have yet to be measured against on a
//! device: an image a cube leaves most of a large card idle where there are few images.

mod attention;
#[cfg(feature = "fusion")]
mod fused;
mod inner_loop;
mod kernels;
#[cfg(all(test, feature = "cuda"))]
mod nvrtc;
mod pieces;
mod pointwise;
mod product;
mod rowwise;
mod update;

use std::ops::Range;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::tensor::{Shape, Tensor, TensorMetadata, TensorPrimitive};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use cubecl::prelude::CubeDim;
use inner_loop::FusedInnerLoop;

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

/// Threads of a cube.
const DIM: CubeDim = CubeDim { x: kernels::COLUMNS, y: kernels::LANES, z: 1 };

/// Memory for a result of the same shape.
fn like<R: CubeRuntime>(tensor: &CubeTensor<R>) -> CubeTensor<R> {
    empty(tensor, tensor.shape())
}

fn empty<R: CubeRuntime>(beside: &CubeTensor<R>, shape: Shape) -> CubeTensor<R> {
    let (client, device) = (beside.client.clone(), beside.device.clone());
    empty_device_contiguous_dtype(client, device, shape, beside.dtype)
}

fn tensor<R, F, I, T, const D: usize>(tensor: CubeTensor<R>) -> Tensor<CubeBackend<R, F, I, T>, D>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    T: BoolElement,
{
    Tensor::from_primitive(TensorPrimitive::Float(tensor))
}
