//! Between the Transformer's products, where parameters belong to columns: a cube works on [`COLUMNS`] columns of
//! [`ROWS`] rows of an image, each lane on every [`LANES`]-th row. What is summed over rows is summed over those of a cube, so
//! that there are as many sums `[·, 1, D]` as cubes, and all of a card has work.

use cubecl::prelude::*;

use super::{COLUMNS, LANES, ROWS, at, over_lanes};

/// The thread's column.
#[cube]
fn column() -> usize {
    (CUBE_POS_X * COLUMNS + UNIT_POS_X) as usize
}

/// The thread's first row, and where its cube's rows end.
#[cube]
fn lane_rows(rows: usize) -> (usize, usize) {
    let start = CUBE_POS_Z * ROWS;
    ((start + UNIT_POS_Y) as usize, min(rows, (start + ROWS) as usize))
}

/// x + s ⊙ (p + b), `product` p.
#[cube(launch)]
pub(in crate::model::gpu) fn residual(
    x: &Tensor<f32>,
    product: &Tensor<f32>,
    bias: &Tensor<f32>,
    scale: &Tensor<f32>,
    out: &mut Tensor<f32>,
) {
    let (n, d) = (CUBE_POS_Y as usize, column());
    if d < product.shape(2) {
        let (b, s) = (bias[d * bias.stride(0)], scale[d * scale.stride(0)]);
        let (mut t, end) = lane_rows(product.shape(1));
        while t < end {
            let place = at(out, n, t, d);
            out[place] = x[at(x, n, t, d)] + (product[at(product, n, t, d)] + b) * s;
            t += LANES as usize;
        }
    }
}

/// The adjoint of s ⊙ (p + b), from the gradient `out_bar` of what it is added to: p̄, whose sum over rows is b's gradient,
/// and the sum that is s's.
#[cube(launch)]
pub(in crate::model::gpu) fn residual_backward(
    out_bar: &Tensor<f32>,
    product: &Tensor<f32>,
    bias: &Tensor<f32>,
    scale: &Tensor<f32>,
    product_bar: &mut Tensor<f32>,
    bias_bar: &mut Tensor<f32>,
    scale_bar: &mut Tensor<f32>,
) {
    let mut lanes = SharedMemory::<f32>::new(comptime!((COLUMNS * LANES) as usize));
    let (n, d) = (CUBE_POS_Y as usize, column());
    let mut bias_total = f32::new(0.0);
    let mut scale_total = f32::new(0.0);
    if d < product.shape(2) {
        let (b, s) = (bias[d * bias.stride(0)], scale[d * scale.stride(0)]);
        let (mut t, end) = lane_rows(product.shape(1));
        while t < end {
            let bar = out_bar[at(out_bar, n, t, d)];
            scale_total += bar * (product[at(product, n, t, d)] + b);
            let bar = bar * s;
            bias_total += bar;
            let place = at(product_bar, n, t, d);
            product_bar[place] = bar;
            t += LANES as usize;
        }
    }
    let bias_total = over_lanes(&mut lanes, bias_total);
    let scale_total = over_lanes(&mut lanes, scale_total);
    if UNIT_POS_Y == 0 && d < product.shape(2) {
        let chunk = n * CUBE_COUNT_Z as usize + CUBE_POS_Z as usize;
        let place = at(bias_bar, chunk, 0, d);
        bias_bar[place] = bias_total;
        scale_bar[place] = scale_total;
    }
}

/// gelu(z) = z·Φ(z) and its slope Φ(z) + z·φ(z) at z = p + b, `product` p.
#[cube(launch)]
pub(in crate::model::gpu) fn gelu_slope(
    product: &Tensor<f32>,
    bias: &Tensor<f32>,
    gelu: &mut Tensor<f32>,
    slope: &mut Tensor<f32>,
) {
    let (n, d) = (CUBE_POS_Y as usize, column());
    if d < product.shape(2) {
        let b = bias[d * bias.stride(0)];
        let (mut t, end) = lane_rows(product.shape(1));
        while t < end {
            let z = product[at(product, n, t, d)] + b;
            let cumulative = Erf::erf(z * f32::new(FRAC_1_SQRT_2)) * 0.5 + 0.5;
            let density = (z * z * -0.5).exp() * f32::new(FRAC_1_SQRT_2PI);
            let place = at(gelu, n, t, d);
            gelu[place] = z * cumulative;
            slope[place] = cumulative + z * density;
            t += LANES as usize;
        }
    }
}

/// 1/√2.
const FRAC_1_SQRT_2: f32 = std::f32::consts::FRAC_1_SQRT_2;
/// 1/√(2π), the normal distribution's density at 0.
const FRAC_1_SQRT_2PI: f32 = 0.398_942_3;

/// z̄ = h̄ ⊙ slope, whose sum over rows is the gradient of b.
#[cube(launch)]
pub(in crate::model::gpu) fn gelu_backward(
    hidden_bar: &Tensor<f32>,
    slope: &Tensor<f32>,
    z_bar: &mut Tensor<f32>,
    bias_bar: &mut Tensor<f32>,
) {
    let mut lanes = SharedMemory::<f32>::new(comptime!((COLUMNS * LANES) as usize));
    let (n, d) = (CUBE_POS_Y as usize, column());
    let mut total = f32::new(0.0);
    if d < slope.shape(2) {
        let (mut t, end) = lane_rows(slope.shape(1));
        while t < end {
            let bar = hidden_bar[at(hidden_bar, n, t, d)] * slope[at(slope, n, t, d)];
            total += bar;
            let place = at(z_bar, n, t, d);
            z_bar[place] = bar;
            t += LANES as usize;
        }
    }
    let total = over_lanes(&mut lanes, total);
    if UNIT_POS_Y == 0 && d < slope.shape(2) {
        let place = at(bias_bar, n * CUBE_COUNT_Z as usize + CUBE_POS_Z as usize, 0, d);
        bias_bar[place] = total;
    }
}
