//! Attention without T×T in memory (FlashAttention, arXiv 2205.14135): probabilities live in registers, and come from the
//! queries' log-sums again on the way back.
//!
//! A thread has a column of its head, a query or a key, and all `dim` values of it; the cube's threads go over the columns
//! of the other side together, [`HELD`] at a time in shared memory. What a thread reads there all its neighbours read too,
//! four columns at once, and each such read serves four multiply-adds. Nothing is summed across threads, so sums have the
//! same order each time. A thread has registers for two columns of 64 values, not for three: on the way back the third lies
//! in shared memory too ([`put`]), and keys and values have a pass each.

use cubecl::prelude::*;

use super::at;

/// Threads of a cube.
pub(in crate::model::gpu) const THREADS: u32 = 64;
/// Columns of the other side that a cube holds at once: with a column of each thread they take 24 KiB, and no device has to
/// have more than 32.
const HELD: usize = 16;
/// The same in fours.
const FOURS: usize = HELD / 4;
/// Below any score.
const LEAST: f32 = -1e30;

/// Four neighbouring columns.
type Four = Vector<f32, Const<4>>;

/// The head, of all images' heads, and the thread's column, of which a thread beyond the last has the last: all meet at
/// each barrier, and it writes nothing.
#[cube]
fn own(columns: usize) -> (usize, usize) {
    let t = (CUBE_POS_X * THREADS + UNIT_POS_X) as usize;
    (CUBE_POS_Y as usize, min(t, columns - 1))
}

/// Whether the thread has a column of its own.
#[cube]
fn inside(columns: usize) -> bool {
    ((CUBE_POS_X * THREADS + UNIT_POS_X) as usize) < columns
}

/// A column's rows from `row` on.
#[cube]
fn column(
    x: &Tensor<f32>,
    head: usize,
    row: usize,
    t: usize,
    #[comptime] dim: usize,
) -> Array<f32> {
    let mut values = Array::<f32>::new(dim);
    #[unroll]
    for d in 0..dim {
        values[d] = x[at(x, head, row + d, t)];
    }
    values
}

/// Writes a column's gradient into those of an image's queries, keys and values, `[N, 3·D, T]` of (q|k|v, head, dim).
#[cube]
fn keep(
    values: &Array<f32>,
    bars: &mut Tensor<f32>,
    head: usize,
    t: usize,
    #[comptime] part: usize,
    #[comptime] heads: usize,
    #[comptime] dim: usize,
) {
    let row = (part * heads + head % heads) * dim;
    #[unroll]
    for d in 0..dim {
        let place = at(bars, head / heads, row + d, t);
        bars[place] = values[d];
    }
}

/// Zeros.
#[cube]
fn zeros(#[comptime] dim: usize) -> Array<f32> {
    let mut values = Array::<f32>::new(dim);
    #[unroll]
    for d in 0..dim {
        values[d] = f32::new(0.0);
    }
    values
}

/// Holds `dim` rows from `row` on of the columns from `first` on, 0 beyond the last.
#[cube]
fn hold(
    held: &mut SharedMemory<Four>,
    x: &Tensor<f32>,
    head: usize,
    row: usize,
    first: usize,
    #[comptime] dim: usize,
) {
    let mut place = UNIT_POS_X as usize;
    while place < comptime!(dim * FOURS) {
        let t = first + place % FOURS * 4;
        let start = at(x, head, row + place / FOURS, t);
        let mut four = Four::new(0.0);
        #[unroll]
        for i in 0..4usize {
            if t + i < x.shape(2) {
                four[i] = x[start + i * x.stride(2)];
            }
        }
        held[place] = four;
        place += THREADS as usize;
    }
}

/// What a column has of four that are held: Σ column[d]·held[d].
#[cube]
fn dots(
    column: &Array<f32>,
    held: &SharedMemory<Four>,
    four: usize,
    #[comptime] dim: usize,
) -> Four {
    let mut sums = Four::new(0.0);
    #[unroll]
    for d in 0..dim {
        sums = fma(Four::new(column[d]), held[d * FOURS + four], sums);
    }
    sums
}

/// Puts a column's rows from `row` on where its thread alone looks: [`dots_of_put`].
#[cube]
fn put(
    own: &mut SharedMemory<f32>,
    x: &Tensor<f32>,
    head: usize,
    row: usize,
    t: usize,
    #[comptime] dim: usize,
) {
    for d in 0..dim {
        own[d * THREADS as usize + UNIT_POS_X as usize] = x[at(x, head, row + d, t)];
    }
}

/// As [`dots`], of the column that the thread has put.
#[cube]
fn dots_of_put(
    own: &SharedMemory<f32>,
    held: &SharedMemory<Four>,
    four: usize,
    #[comptime] dim: usize,
) -> Four {
    // A compiler would take the column back into registers, if nothing could have changed it meanwhile.
    sync_cube();
    let mut sums = Four::new(0.0);
    #[unroll]
    for d in 0..dim {
        let value = own[d * THREADS as usize + UNIT_POS_X as usize];
        sums = fma(Four::new(value), held[d * FOURS + four], sums);
    }
    sums
}

/// Adds four columns that are held, each times its weight.
#[cube]
fn gather(
    sums: &mut Array<f32>,
    weights: Four,
    held: &SharedMemory<Four>,
    four: usize,
    #[comptime] dim: usize,
) {
    #[unroll]
    for d in 0..dim {
        let values = held[d * FOURS + four];
        let mut sum = sums[d];
        #[unroll]
        for i in 0..4usize {
            sum = fma(weights[i], values[i], sum);
        }
        sums[d] = sum;
    }
}

/// The fours of columns from `first` on that are held and not all beyond the last.
#[cube]
fn fours(columns: usize, first: usize) -> usize {
    min((columns - first).div_ceil(4), FOURS)
}

/// `values`, or `otherwise` for columns beyond the last.
#[cube]
fn within(values: Four, first: usize, columns: usize, otherwise: f32) -> Four {
    let mut all = values;
    #[unroll]
    for i in 0..4usize {
        if first + i >= columns {
            all[i] = otherwise;
        }
    }
    all
}

/// Σ softmax(scale·scores)·values of each query, and ln Σ exp(scale·score).
#[cube(launch)]
pub(in crate::model::gpu) fn attend(
    qkv: &Tensor<f32>,
    gathered: &mut Tensor<f32>,
    log_sums: &mut Tensor<f32>,
    scale: f32,
    #[comptime] dim: usize,
) {
    let mut keys = SharedMemory::<Four>::new(comptime!(dim * FOURS));
    let mut values = SharedMemory::<Four>::new(comptime!(dim * FOURS));
    let columns = qkv.shape(2);
    let (head, t) = own(columns);
    let query = column(qkv, head, 0, t, dim);
    let mut sums = zeros(dim);
    // The largest score so far, by which `sums` and `total` are scaled.
    let mut most = f32::new(LEAST);
    let mut total = f32::new(0.0);
    let mut first = 0usize;
    while first < columns {
        sync_cube();
        hold(&mut keys, qkv, head, dim, first, dim);
        hold(&mut values, qkv, head, comptime!(2 * dim), first, dim);
        sync_cube();
        for four in 0..fours(columns, first) {
            let scores = dots(&query, &keys, four, dim) * Four::new(scale);
            let scores = within(scores, first + four * 4, columns, f32::new(LEAST));
            let largest = max(max(scores[0], scores[1]), max(scores[2], scores[3]));
            if largest > most {
                let factor = (most - largest).exp();
                most = largest;
                total *= factor;
                #[unroll]
                for d in 0..dim {
                    sums[d] *= factor;
                }
            }
            let shares = (scores - Four::new(most)).exp();
            total += shares[0] + shares[1] + shares[2] + shares[3];
            gather(&mut sums, shares, &values, four, dim);
        }
        first += HELD;
    }
    if inside(columns) {
        let factor = f32::new(1.0) / total;
        #[unroll]
        for d in 0..dim {
            let place = at(gathered, head, d, t);
            gathered[place] = sums[d] * factor;
        }
        let place = at(log_sums, head, 0, t);
        log_sums[place] = most + total.ln();
    }
}

/// The gradient of each query, and what [`key_backward`] needs besides: Σ gathered·its gradient, which is Σ p·p̄ of the
/// query's probabilities. `heads` are those of an image.
#[cube(launch)]
pub(in crate::model::gpu) fn query_backward(
    qkv: &Tensor<f32>,
    gathered: &Tensor<f32>,
    gathered_bar: &Tensor<f32>,
    log_sums: &Tensor<f32>,
    bars: &mut Tensor<f32>,
    along: &mut Tensor<f32>,
    scale: f32,
    #[comptime] heads: usize,
    #[comptime] dim: usize,
) {
    let mut keys = SharedMemory::<Four>::new(comptime!(dim * FOURS));
    let mut values = SharedMemory::<Four>::new(comptime!(dim * FOURS));
    let columns = qkv.shape(2);
    let (head, t) = own(columns);
    let query = column(qkv, head, 0, t, dim);
    let mut bar = SharedMemory::<f32>::new(comptime!(dim * THREADS as usize));
    put(&mut bar, gathered_bar, head, 0, t, dim);
    let log_sum = log_sums[at(log_sums, head, 0, t)];
    let mut mean = f32::new(0.0);
    for d in 0..dim {
        let bar = gathered_bar[at(gathered_bar, head, d, t)];
        mean = fma(bar, gathered[at(gathered, head, d, t)], mean);
    }
    let mut sums = zeros(dim);
    let mut first = 0usize;
    while first < columns {
        sync_cube();
        hold(&mut keys, qkv, head, dim, first, dim);
        hold(&mut values, qkv, head, comptime!(2 * dim), first, dim);
        sync_cube();
        for four in 0..fours(columns, first) {
            // Keys beyond the last are 0 and add nothing, as long as their probabilities are finite.
            let scores = dots(&query, &keys, four, dim) * Four::new(scale);
            let scores = within(scores, first + four * 4, columns, f32::new(LEAST));
            let probs = (scores - Four::new(log_sum)).exp();
            let probs_bar = dots_of_put(&bar, &values, four, dim) - Four::new(mean);
            gather(&mut sums, probs * probs_bar * Four::new(scale), &keys, four, dim);
        }
        first += HELD;
    }
    if inside(columns) {
        keep(&sums, bars, head, t, 0usize, heads, dim);
        let place = at(along, head, 0, t);
        along[place] = mean;
    }
}

/// The gradient of each key.
#[cube(launch)]
pub(in crate::model::gpu) fn key_backward(
    qkv: &Tensor<f32>,
    gathered_bar: &Tensor<f32>,
    log_sums: &Tensor<f32>,
    along: &Tensor<f32>,
    bars: &mut Tensor<f32>,
    scale: f32,
    #[comptime] heads: usize,
    #[comptime] dim: usize,
) {
    let mut queries = SharedMemory::<Four>::new(comptime!(dim * FOURS));
    let mut gathered = SharedMemory::<Four>::new(comptime!(dim * FOURS));
    let mut log = SharedMemory::<Four>::new(FOURS);
    let mut mean = SharedMemory::<Four>::new(FOURS);
    let columns = qkv.shape(2);
    let (head, t) = own(columns);
    let key = column(qkv, head, dim, t, dim);
    let mut value = SharedMemory::<f32>::new(comptime!(dim * THREADS as usize));
    put(&mut value, qkv, head, comptime!(2 * dim), t, dim);
    let mut sums = zeros(dim);
    let mut first = 0usize;
    while first < columns {
        sync_cube();
        hold(&mut queries, qkv, head, 0, first, dim);
        hold(&mut gathered, gathered_bar, head, 0, first, dim);
        hold(&mut log, log_sums, head, 0, first, 1usize);
        hold(&mut mean, along, head, 0, first, 1usize);
        sync_cube();
        for four in 0..fours(columns, first) {
            // Queries beyond the last are 0 with log-sums of 0, and add nothing.
            let scores = dots(&key, &queries, four, dim) * Four::new(scale);
            let probs = (scores - log[four]).exp();
            let probs_bar = dots_of_put(&value, &gathered, four, dim) - mean[four];
            gather(&mut sums, probs * probs_bar * Four::new(scale), &queries, four, dim);
        }
        first += HELD;
    }
    if inside(columns) {
        keep(&sums, bars, head, t, 1usize, heads, dim);
    }
}

/// The gradient of each value.
#[cube(launch)]
pub(in crate::model::gpu) fn value_backward(
    qkv: &Tensor<f32>,
    gathered_bar: &Tensor<f32>,
    log_sums: &Tensor<f32>,
    bars: &mut Tensor<f32>,
    scale: f32,
    #[comptime] heads: usize,
    #[comptime] dim: usize,
) {
    let mut queries = SharedMemory::<Four>::new(comptime!(dim * FOURS));
    let mut gathered = SharedMemory::<Four>::new(comptime!(dim * FOURS));
    let mut log = SharedMemory::<Four>::new(FOURS);
    let columns = qkv.shape(2);
    let (head, t) = own(columns);
    let key = column(qkv, head, dim, t, dim);
    let mut sums = zeros(dim);
    let mut first = 0usize;
    while first < columns {
        sync_cube();
        hold(&mut queries, qkv, head, 0, first, dim);
        hold(&mut gathered, gathered_bar, head, 0, first, dim);
        hold(&mut log, log_sums, head, 0, first, 1usize);
        sync_cube();
        for four in 0..fours(columns, first) {
            let scores = dots(&key, &queries, four, dim) * Four::new(scale);
            let probs = (scores - log[four]).exp();
            gather(&mut sums, probs, &gathered, four, dim);
        }
        first += HELD;
    }
    if inside(columns) {
        keep(&sums, bars, head, t, 2usize, heads, dim);
    }
}
