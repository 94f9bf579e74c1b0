//! Around the product with Wo: the SIREN's head, whose rows have one to three values.

use cubecl::prelude::*;

use super::{COLUMNS, LANES, at, over_cube};

/// h_L·Woᵀ + bo from h_L·Woᵀ, `product`; the error e; and 2/(P·C)·(e ⊙ out_scale). A thread has a value of an image.
#[cube(launch)]
pub(in crate::model::gpu) fn readout(
    product: &Tensor<f32>,
    bias: &Tensor<f32>,
    out_scale: &Tensor<f32>,
    target: &Tensor<f32>,
    raw: &mut Tensor<f32>,
    error: &mut Tensor<f32>,
    scaled: &mut Tensor<f32>,
    mean: f32,
) {
    let place = (CUBE_POS_X * (COLUMNS * LANES) + UNIT_POS) as usize;
    let n = CUBE_POS_Y as usize;
    let (p, c) = (place / product.shape(2), place % product.shape(2));
    if p < product.shape(1) {
        let scale = out_scale[c * out_scale.stride(0)];
        let value = product[at(product, n, p, c)] + bias[c * bias.stride(0)];
        let off = value * scale - target[at(target, n, p, c)];
        let out = at(raw, n, p, c);
        raw[out] = value;
        error[out] = off;
        scaled[out] = off * scale * mean;
    }
}

/// The adjoint of `raw` ⊙ out_scale, and where `error` is given, of 2/(P·C)·(e ⊙ out_scale) as well. A cube goes through
/// all pixels of an image.
#[cube(launch)]
pub(in crate::model::gpu) fn readout_backward(
    bar: &Tensor<f32>,
    error: &Tensor<f32>,
    raw: &Tensor<f32>,
    out_scale: &Tensor<f32>,
    raw_bar: &mut Tensor<f32>,
    bias_bar: &mut Tensor<f32>,
    scale_bar: &mut Tensor<f32>,
    mean: f32,
    #[comptime] given: bool,
) {
    let mut shared = SharedMemory::<f32>::new(comptime!((COLUMNS * LANES) as usize));
    let (c, n) = (CUBE_POS_X as usize, CUBE_POS_Y as usize);
    let scale = out_scale[c * out_scale.stride(0)];
    let mut bias_total = f32::new(0.0);
    let mut scale_total = f32::new(0.0);
    let mut p = UNIT_POS as usize;
    while p < bar.shape(1) {
        let mut y_bar = bar[at(bar, n, p, c)];
        if given {
            y_bar *= mean;
            scale_total += y_bar * error[at(error, n, p, c)];
            y_bar *= scale;
        }
        scale_total += y_bar * raw[at(raw, n, p, c)];
        let through = y_bar * scale;
        bias_total += through;
        let out = at(raw_bar, n, p, c);
        raw_bar[out] = through;
        p += (COLUMNS * LANES) as usize;
    }
    let bias_total = over_cube(&mut shared, bias_total);
    let scale_total = over_cube(&mut shared, scale_total);
    if UNIT_POS == 0 {
        let out = at(bias_bar, n, 0, c);
        bias_bar[out] = bias_total;
        scale_bar[out] = scale_total;
    }
}
