//! The kernels in CubeCL: one source for CUDA, Vulkan, Metal and DirectX.
//!
//! A cube has [`COLUMNS`] × [`LANES`] threads: neighbouring threads on neighbouring columns, so that a row of them is one
//! transaction of memory. Tensors come with their strides: none is copied to be made contiguous.

pub(super) mod pointwise;
pub(super) mod rowwise;

use cubecl::prelude::*;

/// Columns that a cube works on at once.
pub(super) const COLUMNS: u32 = 32;
/// Rows that a cube works on at once.
pub(super) const LANES: u32 = 8;

/// Where `[n, p, d]` of a tensor `[N, P, D]` lies.
#[cube]
fn at(tensor: &Tensor<f32>, n: usize, p: usize, d: usize) -> usize {
    n * tensor.stride(0) + p * tensor.stride(1) + d * tensor.stride(2)
}
