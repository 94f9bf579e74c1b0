//! Between the inner loop's products: a cube works on [`COLUMNS`] neurons of one image, each lane on every
//! [`LANES`]-th pixel.

use cubecl::prelude::*;

use super::{COLUMNS, LANES, at, over_lanes};

/// sin and cos of a = ω·(h·W + b), where `product` is h·W.
#[cube(launch)]
pub(in crate::model::gpu) fn sine(
    product: &Tensor<f32>,
    bias: &Tensor<f32>,
    sine: &mut Tensor<f32>,
    cosine: &mut Tensor<f32>,
    omega: f32,
) {
    let d = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
    let n = CUBE_POS_Y as usize;
    if d < product.shape(2) {
        let b = bias[at(bias, n, 0, d)];
        let mut p = (CUBE_POS_Z * CUBE_DIM_Y + UNIT_POS_Y) as usize;
        while p < product.shape(1) {
            let a = omega * (product[at(product, n, p, d)] + b);
            let out = at(sine, n, p, d);
            sine[out] = a.sin();
            cosine[out] = a.cos();
            p += (CUBE_DIM_Y * CUBE_COUNT_Z) as usize;
        }
    }
}

/// z̄ = ω·(ā + (h̄ + h̄')·c) and its sum over an image's pixels; ā and h̄' only if they are given. One cube goes
/// through all pixels of its neurons, so that the sum needs no atomics and is the same each time.
#[cube(launch)]
pub(in crate::model::gpu) fn sine_backward(
    a_bar: &Tensor<f32>,
    h_bar: &Tensor<f32>,
    more_h_bar: &Tensor<f32>,
    cosine: &Tensor<f32>,
    z_bar: &mut Tensor<f32>,
    sum: &mut Tensor<f32>,
    omega: f32,
    #[comptime] a_given: bool,
    #[comptime] more_given: bool,
) {
    let d = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
    let n = CUBE_POS_Y as usize;
    let mut lanes = SharedMemory::<f32>::new(comptime!((COLUMNS * LANES) as usize));
    let mut total = f32::new(0.0);
    if d < cosine.shape(2) {
        let mut p = UNIT_POS_Y as usize;
        while p < cosine.shape(1) {
            let mut h = h_bar[at(h_bar, n, p, d)];
            if more_given {
                h += more_h_bar[at(more_h_bar, n, p, d)];
            }
            let mut a = h * cosine[at(cosine, n, p, d)];
            if a_given {
                a += a_bar[at(a_bar, n, p, d)];
            }
            let z = omega * a;
            let out = at(z_bar, n, p, d);
            z_bar[out] = z;
            total += z;
            p += CUBE_DIM_Y as usize;
        }
    }
    let total = over_lanes(&mut lanes, total);
    if UNIT_POS_Y == 0 && d < cosine.shape(2) {
        let out = at(sum, n, 0, d);
        sum[out] = total;
    }
}

/// The adjoint of u = ω·δ·c: δ̄ = ω·ū·c and ā = -ω·ū·δ·h, where ū = `direct` + `below` + ḡb; `below` only if it is
/// given.
#[cube(launch)]
pub(in crate::model::gpu) fn gate_backward(
    direct: &Tensor<f32>,
    below: &Tensor<f32>,
    bias_bar: &Tensor<f32>,
    delta: &Tensor<f32>,
    sine: &Tensor<f32>,
    cosine: &Tensor<f32>,
    delta_bar: &mut Tensor<f32>,
    a_bar: &mut Tensor<f32>,
    omega: f32,
    #[comptime] given: bool,
) {
    let d = (CUBE_POS_X * CUBE_DIM_X + UNIT_POS_X) as usize;
    let n = CUBE_POS_Y as usize;
    if d < cosine.shape(2) {
        let b = bias_bar[at(bias_bar, n, 0, d)];
        let mut p = (CUBE_POS_Z * CUBE_DIM_Y + UNIT_POS_Y) as usize;
        while p < cosine.shape(1) {
            let mut u = direct[at(direct, n, p, d)] + b;
            if given {
                u += below[at(below, n, p, d)];
            }
            let u = omega * u;
            let out = at(delta_bar, n, p, d);
            delta_bar[out] = u * cosine[at(cosine, n, p, d)];
            let wave = sine[at(sine, n, p, d)];
            a_bar[out] = -(u * delta[at(delta, n, p, d)] * wave);
            p += (CUBE_DIM_Y * CUBE_COUNT_Z) as usize;
        }
    }
}

/// Back through φ' = φ - α ⊙ g: φ̄ = φ̄' + `through`, the sums over the images of `through` and of -g ⊙ φ̄, and
/// ḡ = -α ⊙ φ̄. A thread goes through all images.
#[cube(launch)]
pub(in crate::model::gpu) fn descend_backward(
    phi_bar: &Tensor<f32>,
    through: &Tensor<f32>,
    gradient: &Tensor<f32>,
    alpha: &Tensor<f32>,
    sum: &mut Tensor<f32>,
    theta_bar: &mut Tensor<f32>,
    alpha_bar: &mut Tensor<f32>,
    gradient_bar: &mut Tensor<f32>,
) {
    let m = (CUBE_POS_X * (COLUMNS * LANES) + UNIT_POS) as usize;
    if m < phi_bar.shape(1) {
        let rate = alpha[m * alpha.stride(1)];
        let mut theta = f32::new(0.0);
        let mut along = f32::new(0.0);
        for n in 0..phi_bar.shape(0) {
            let more = through[n * through.stride(0) + m * through.stride(1)];
            let bar = phi_bar[n * phi_bar.stride(0) + m * phi_bar.stride(1)] + more;
            theta += more;
            along += gradient[n * gradient.stride(0) + m * gradient.stride(1)] * bar;
            let out = n * sum.stride(0) + m * sum.stride(1);
            sum[out] = bar;
            gradient_bar[out] = -(rate * bar);
        }
        theta_bar[m] = theta;
        alpha_bar[m] = -along;
    }
}
