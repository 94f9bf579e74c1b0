//! The model on GPUs: [`FusedInnerLoop`](inner_loop::FusedInnerLoop), a kernel
//! a step; and [`AdjointTransformer`](crate::model::adjoint::AdjointTransformer) on the back end's matrix products, with
//! own kernels for attention and for what lies between the products.
//!
//! The kernels for what lies between the inner loop's products ([`pointwise`]) are those of
//! [`AdjointInnerLoop`](crate::model::adjoint::AdjointInnerLoop), which the fused ones have yet to be measured against on a
//! device: an image a cube leaves most of a large card idle where there are few images.

mod attention;
mod forms;
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

use burn::tensor::{Shape, Tensor, TensorMetadata, TensorPrimitive};
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use cubecl::prelude::CubeDim;

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
