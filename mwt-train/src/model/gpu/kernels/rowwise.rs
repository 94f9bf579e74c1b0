//! Between the Transformer's products: a lane works on a row, its threads on every [`COLUMNS`]-th value of it.

use cubecl::prelude::*;

use super::{COLUMNS, LANES, ROWS, at, over_lanes};

/// The lanes' memory for sums and maxima.
const SHARED: usize = (COLUMNS * LANES) as usize;

/// Where the first value of this lane's row `[n, h, t]` of a tensor `[N, heads, T, ·]` lies, or of its row `[n, t]` when
/// there are no heads. A lane beyond the last row reads the last one, so that all meet at each barrier, and writes
/// nothing: it is not [`inside`].
#[cube]
fn row(tensor: &Tensor<f32>, #[comptime] heads: bool) -> usize {
    let t = (CUBE_POS_X * CUBE_DIM_Y + UNIT_POS_Y) as usize;
    let image = CUBE_POS_Y as usize;
    if heads {
        let heads = tensor.shape(1);
        let (n, h) = (image / heads, image % heads);
        let t = min(t, tensor.shape(2) - 1);
        n * tensor.stride(0) + h * tensor.stride(1) + t * tensor.stride(2)
    } else {
        at(tensor, image, min(t, tensor.shape(1) - 1), 0)
    }
}

/// Whether the lane has a row of its own, of as many as `rows`.
#[cube]
fn inside(rows: usize) -> bool {
    ((CUBE_POS_X * CUBE_DIM_Y + UNIT_POS_Y) as usize) < rows
}

/// The sum of the lane's values, in the same order each time, or the largest of them.
#[cube]
fn reduce(shared: &mut SharedMemory<f32>, value: f32, #[comptime] largest: bool) -> f32 {
    let place = UNIT_POS as usize;
    shared[place] = value;
    sync_cube();
    #[unroll]
    for halving in 1..=COLUMNS.ilog2() {
        let half = comptime!(COLUMNS >> halving);
        if UNIT_POS_X < half {
            let other = shared[place + half as usize];
            if largest {
                shared[place] = max(shared[place], other);
            } else {
                shared[place] += other;
            }
        }
        sync_cube();
    }
    let all = shared[(UNIT_POS_Y * COLUMNS) as usize];
    sync_cube();
    all
}

/// Mean and 1/√(variance + ε) of the lane's row, from where it starts.
#[cube]
fn moments(
    shared: &mut SharedMemory<f32>,
    x: &Tensor<f32>,
    start: usize,
    epsilon: f32,
) -> (f32, f32) {
    let (width, stride) = (x.shape(2), x.stride(2));
    let mut total = f32::new(0.0);
    let mut d = UNIT_POS_X as usize;
    while d < width {
        total += x[start + d * stride];
        d += COLUMNS as usize;
    }
    let mean = reduce(shared, total, false) / width as f32;
    let mut total = f32::new(0.0);
    let mut d = UNIT_POS_X as usize;
    while d < width {
        let apart = x[start + d * stride] - mean;
        total += apart * apart;
        d += COLUMNS as usize;
    }
    let variance = reduce(shared, total, false) / width as f32;
    (mean, f32::new(1.0) / (variance + epsilon).sqrt())
}

/// x̂ ⊙ w + b.
#[cube(launch)]
pub(in crate::model::gpu) fn layer_norm(
    x: &Tensor<f32>,
    weight: &Tensor<f32>,
    bias: &Tensor<f32>,
    y: &mut Tensor<f32>,
    epsilon: f32,
) {
    let mut shared = SharedMemory::<f32>::new(SHARED);
    let (start, out) = (row(x, false), row(y, false));
    let (mean, scale) = moments(&mut shared, x, start, epsilon);
    if inside(x.shape(1)) {
        let mut d = UNIT_POS_X as usize;
        while d < x.shape(2) {
            let normed = (x[start + d * x.stride(2)] - mean) * scale;
            y[out + d * y.stride(2)] =
                normed * weight[d * weight.stride(0)] + bias[d * bias.stride(0)];
            d += COLUMNS as usize;
        }
    }
}

/// x̄ + `beside`, and the sums of ȳ ⊙ x̂ and of ȳ over a cube's [`ROWS`] rows, one after the other for each lane.
/// `columns` are those of a thread.
#[cube(launch)]
pub(in crate::model::gpu) fn layer_norm_backward(
    x: &Tensor<f32>,
    weight: &Tensor<f32>,
    y_bar: &Tensor<f32>,
    beside: &Tensor<f32>,
    x_bar: &mut Tensor<f32>,
    weight_bar: &mut Tensor<f32>,
    bias_bar: &mut Tensor<f32>,
    epsilon: f32,
    #[comptime] columns: usize,
) {
    let mut shared = SharedMemory::<f32>::new(SHARED);
    let mut weight_sums = Array::<f32>::new(columns);
    let mut bias_sums = Array::<f32>::new(columns);
    #[unroll]
    for i in 0..columns {
        weight_sums[i] = f32::new(0.0);
        bias_sums[i] = f32::new(0.0);
    }
    let (n, width) = (CUBE_POS_Y as usize, x.shape(2));
    for round in 0..ROWS / LANES {
        let t = (CUBE_POS_X * ROWS + round * LANES + UNIT_POS_Y) as usize;
        let inside = t < x.shape(1);
        // As in `row`: all meet at each barrier.
        let t = min(t, x.shape(1) - 1);
        let (start, from) = (at(x, n, t, 0), at(y_bar, n, t, 0));
        let (mean, scale) = moments(&mut shared, x, start, epsilon);
        let mut total = f32::new(0.0);
        let mut along = f32::new(0.0);
        let mut d = UNIT_POS_X as usize;
        while d < width {
            let bar = y_bar[from + d * y_bar.stride(2)] * weight[d * weight.stride(0)];
            total += bar;
            along += bar * (x[start + d * x.stride(2)] - mean) * scale;
            d += COLUMNS as usize;
        }
        let total = reduce(&mut shared, total, false) / width as f32;
        let along = reduce(&mut shared, along, false) / width as f32;
        #[unroll]
        for i in 0..columns {
            let d = i * COLUMNS as usize + UNIT_POS_X as usize;
            if inside && d < width {
                let normed = (x[start + d * x.stride(2)] - mean) * scale;
                let bar = y_bar[from + d * y_bar.stride(2)];
                let inner = (bar * weight[d * weight.stride(0)] - total - normed * along) * scale;
                let place = at(x_bar, n, t, d);
                x_bar[place] = inner + beside[at(beside, n, t, d)];
                weight_sums[i] += bar * normed;
                bias_sums[i] += bar;
            }
        }
    }
    let chunk = n * CUBE_COUNT_X as usize + CUBE_POS_X as usize;
    #[unroll]
    for i in 0..columns {
        let d = i * COLUMNS as usize + UNIT_POS_X as usize;
        let weight_sum = over_lanes(&mut shared, weight_sums[i]);
        let bias_sum = over_lanes(&mut shared, bias_sums[i]);
        if UNIT_POS_Y == 0 && d < width {
            let place = at(weight_bar, chunk, 0, d);
            weight_bar[place] = weight_sum;
            bias_bar[place] = bias_sum;
        }
    }
}

/// softmax(scale·scores) of each row.
#[cube(launch)]
pub(in crate::model::gpu) fn attention_probs(
    scores: &Tensor<f32>,
    probs: &mut Tensor<f32>,
    scale: f32,
) {
    let mut shared = SharedMemory::<f32>::new(SHARED);
    let (start, out, width) = (row(scores, true), row(probs, true), scores.shape(3));
    let mut most = scores[start];
    let mut t = UNIT_POS_X as usize;
    while t < width {
        most = max(most, scores[start + t * scores.stride(3)]);
        t += COLUMNS as usize;
    }
    let most = reduce(&mut shared, most, true);
    let mut total = f32::new(0.0);
    let mut t = UNIT_POS_X as usize;
    while t < width {
        total += ((scores[start + t * scores.stride(3)] - most) * scale).exp();
        t += COLUMNS as usize;
    }
    let factor = f32::new(1.0) / reduce(&mut shared, total, false);
    if inside(scores.shape(2)) {
        let mut t = UNIT_POS_X as usize;
        while t < width {
            let share = ((scores[start + t * scores.stride(3)] - most) * scale).exp();
            probs[out + t * probs.stride(3)] = share * factor;
            t += COLUMNS as usize;
        }
    }
}

/// scale·p ⊙ (p̄ - Σ p ⊙ p̄).
#[cube(launch)]
pub(in crate::model::gpu) fn attention_probs_backward(
    probs: &Tensor<f32>,
    probs_bar: &Tensor<f32>,
    scores_bar: &mut Tensor<f32>,
    scale: f32,
) {
    let mut shared = SharedMemory::<f32>::new(SHARED);
    let (p, bar, out) = (row(probs, true), row(probs_bar, true), row(scores_bar, true));
    let width = probs.shape(3);
    let mut along = f32::new(0.0);
    let mut t = UNIT_POS_X as usize;
    while t < width {
        along += probs[p + t * probs.stride(3)] * probs_bar[bar + t * probs_bar.stride(3)];
        t += COLUMNS as usize;
    }
    let along = reduce(&mut shared, along, false);
    if inside(probs.shape(2)) {
        let mut t = UNIT_POS_X as usize;
        while t < width {
            let apart = probs_bar[bar + t * probs_bar.stride(3)] - along;
            scores_bar[out + t * scores_bar.stride(3)] =
                scale * probs[p + t * probs.stride(3)] * apart;
            t += COLUMNS as usize;
        }
    }
}
