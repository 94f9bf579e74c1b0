//! The optimiser's step: two launches for a gradient's norm and one for the rest.

use cubecl::prelude::*;

use super::{COLUMNS, LANES, over_cube};

/// Threads of a cube.
const THREADS: u32 = COLUMNS * LANES;

/// Each cube's share of Σ g², which depends on how many cubes there are, but not on when they run.
#[cube(launch)]
pub(in crate::model::gpu) fn squares(gradient: &Tensor<f32>, sums: &mut Tensor<f32>) {
    let mut shared = SharedMemory::<f32>::new(comptime!(THREADS as usize));
    let mut total = f32::new(0.0);
    let mut at = (CUBE_POS_X * THREADS + UNIT_POS) as usize;
    while at < gradient.shape(0) {
        let value = gradient[at * gradient.stride(0)];
        total += value * value;
        at += (CUBE_COUNT_X * THREADS) as usize;
    }
    let total = over_cube(&mut shared, total);
    if UNIT_POS == 0 {
        sums[CUBE_POS_X as usize] = total;
    }
}

/// √ of the sum of what the cubes of [`squares`] have.
#[cube(launch)]
pub(in crate::model::gpu) fn root_of_sum(sums: &Tensor<f32>, norm: &mut Tensor<f32>) {
    let mut shared = SharedMemory::<f32>::new(comptime!(THREADS as usize));
    let mut total = f32::new(0.0);
    let mut at = UNIT_POS as usize;
    while at < sums.shape(0) {
        total += sums[at];
        at += THREADS as usize;
    }
    let total = over_cube(&mut shared, total);
    if UNIT_POS == 0 {
        norm[0] = total.sqrt();
    }
}

/// AdamW on one value per thread.
#[cube(launch)]
pub(in crate::model::gpu) fn adamw(
    values: &Tensor<f32>,
    gradient: &Tensor<f32>,
    norm: &Tensor<f32>,
    m: &Tensor<f32>,
    v: &Tensor<f32>,
    next_values: &mut Tensor<f32>,
    next_m: &mut Tensor<f32>,
    next_v: &mut Tensor<f32>,
    clip: f32,
    clip_epsilon: f32,
    beta1: f32,
    new1: f32,
    beta2: f32,
    new2: f32,
    correction2: f32,
    epsilon: f32,
    rate: f32,
    kept: f32,
) {
    let at = (CUBE_POS_X * THREADS + UNIT_POS) as usize;
    if at < values.shape(0) {
        let scale = min(clip / (norm[0] + clip_epsilon), f32::new(1.0));
        let g = gradient[at * gradient.stride(0)] * scale;
        let first = m[at * m.stride(0)] * beta1 + g * new1;
        let second = v[at * v.stride(0)] * beta2 + g * g * new2;
        let update = first / ((second / correction2).sqrt() + epsilon) * rate;
        next_values[at] = values[at * values.stride(0)] * kept - update;
        next_m[at] = first;
        next_v[at] = second;
    }
}
