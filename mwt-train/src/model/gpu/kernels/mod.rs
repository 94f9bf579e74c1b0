//! The kernels in CubeCL: one source for CUDA, Vulkan, Metal and DirectX.
//!
//! A cube has [`COLUMNS`] × [`LANES`] threads: neighbouring threads on neighbouring columns, so that a row of them is one
//! transaction of memory. Tensors come with their strides: none is copied to be made contiguous.

pub(super) mod attention;
pub(super) mod columns;
pub(super) mod inner_loop;
pub(super) mod pieces;
pub(super) mod pointwise;
pub(super) mod readout;
pub(super) mod rowwise;
pub(super) mod update;
pub(super) mod work;

use cubecl::prelude::*;

/// Columns that a cube works on at once.
pub(super) const COLUMNS: u32 = 32;
/// Rows that a cube works on at once.
pub(super) const LANES: u32 = 8;
/// Rows whose sum a cube of the Transformer's kernels takes: few enough for many cubes, enough for few sums.
pub(super) const ROWS: u32 = 64;

/// Where `[n, p, d]` of a tensor `[N, P, D]` lies.
#[cube]
fn at(tensor: &Tensor<f32>, n: usize, p: usize, d: usize) -> usize {
    n * tensor.stride(0) + p * tensor.stride(1) + d * tensor.stride(2)
}

/// The sum over the lanes of a column, in the same order each time; for the first lane.
#[cube]
fn over_lanes(shared: &mut SharedMemory<f32>, value: f32) -> f32 {
    shared[UNIT_POS as usize] = value;
    sync_cube();
    let mut total = f32::new(0.0);
    if UNIT_POS_Y == 0 {
        for lane in 0..LANES {
            total += shared[(lane * COLUMNS + UNIT_POS_X) as usize];
        }
    }
    sync_cube();
    total
}

/// The sum over all threads of a cube, in the same order each time.
#[cube]
fn over_cube(shared: &mut SharedMemory<f32>, value: f32) -> f32 {
    let place = UNIT_POS as usize;
    shared[place] = value;
    sync_cube();
    #[unroll]
    for halving in 1..=(COLUMNS * LANES).ilog2() {
        let half = comptime!((COLUMNS * LANES) >> halving);
        if UNIT_POS < half {
            shared[place] += shared[place + half as usize];
        }
        sync_cube();
    }
    let all = shared[0];
    sync_cube();
    all
}
