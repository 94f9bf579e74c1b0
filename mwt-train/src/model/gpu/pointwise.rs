//! [`Pointwise`] with one kernel per function.

use burn::tensor::{Tensor, TensorMetadata};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use cubecl::prelude::CubeCount;

use super::kernels::{COLUMNS, LANES, pointwise as kernels, readout};
use super::{DIM, empty, like, tensor};
use crate::model::operation::primitive;
use crate::model::pointwise::{Pointwise, mean_gradient};

impl<R, F, I, T> Pointwise for CubeBackend<R, F, I, T>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    T: BoolElement,
{
    fn sine(product: Tensor<Self, 3>, bias: Tensor<Self, 3>, omega: f64) -> [Tensor<Self, 3>; 2] {
        let (z, bias) = (primitive(product), primitive(bias));
        let [sine, cosine] = [like(&z), like(&z)];
        kernels::sine::launch::<R>(
            &z.client.clone(),
            cubes(&z, true),
            DIM,
            z.into_tensor_arg(),
            bias.into_tensor_arg(),
            sine.clone().into_tensor_arg(),
            cosine.clone().into_tensor_arg(),
            omega as f32,
        );
        [tensor(sine), tensor(cosine)]
    }

    fn sine_backward(
        a_bar: Option<Tensor<Self, 3>>,
        h_bar: Tensor<Self, 3>,
        more: Option<Tensor<Self, 3>>,
        cosine: Tensor<Self, 3>,
        omega: f64,
    ) -> [Tensor<Self, 3>; 2] {
        let (a_given, more_given) = (a_bar.is_some(), more.is_some());
        let (h_bar, cosine) = (primitive(h_bar), primitive(cosine));
        // What is not given is not read.
        let a_bar = a_bar.map_or_else(|| h_bar.clone(), primitive);
        let more = more.map_or_else(|| h_bar.clone(), primitive);
        let [n, _, d] = cosine.shape().dims();
        let (z_bar, sum) = (like(&cosine), empty(&cosine, [n, 1, d].into()));
        kernels::sine_backward::launch::<R>(
            &cosine.client.clone(),
            cubes(&cosine, false),
            DIM,
            a_bar.into_tensor_arg(),
            h_bar.into_tensor_arg(),
            more.into_tensor_arg(),
            cosine.into_tensor_arg(),
            z_bar.clone().into_tensor_arg(),
            sum.clone().into_tensor_arg(),
            omega as f32,
            a_given,
            more_given,
        );
        [tensor(z_bar), tensor(sum)]
    }

    fn gate_backward(
        direct: Tensor<Self, 3>,
        below: Option<Tensor<Self, 3>>,
        bias_bar: Tensor<Self, 3>,
        delta: Tensor<Self, 3>,
        [sine, cosine]: [Tensor<Self, 3>; 2],
        omega: f64,
    ) -> [Tensor<Self, 3>; 2] {
        let (direct, cosine) = (primitive(direct), primitive(cosine));
        let given = below.is_some();
        let below = below.map_or_else(|| direct.clone(), primitive);
        let [delta_bar, a_bar] = [like(&cosine), like(&cosine)];
        kernels::gate_backward::launch::<R>(
            &cosine.client.clone(),
            cubes(&cosine, true),
            DIM,
            direct.into_tensor_arg(),
            below.into_tensor_arg(),
            primitive(bias_bar).into_tensor_arg(),
            primitive(delta).into_tensor_arg(),
            primitive(sine).into_tensor_arg(),
            cosine.into_tensor_arg(),
            delta_bar.clone().into_tensor_arg(),
            a_bar.clone().into_tensor_arg(),
            omega as f32,
            given,
        );
        [tensor(delta_bar), tensor(a_bar)]
    }

    fn readout(
        product: Tensor<Self, 3>,
        bias: Tensor<Self, 1>,
        out_scale: Tensor<Self, 1>,
        target: Tensor<Self, 3>,
    ) -> [Tensor<Self, 3>; 3] {
        let mean = mean_gradient(&product) as f32;
        let product = primitive(product);
        let [raw, error, scaled] = [like(&product), like(&product), like(&product)];
        let [n, p, c] = product.shape().dims();
        readout::readout::launch::<R>(
            &product.client.clone(),
            CubeCount::Static(((p * c) as u32).div_ceil(COLUMNS * LANES), n as u32, 1),
            DIM,
            product.into_tensor_arg(),
            primitive(bias).into_tensor_arg(),
            primitive(out_scale).into_tensor_arg(),
            primitive(target).into_tensor_arg(),
            raw.clone().into_tensor_arg(),
            error.clone().into_tensor_arg(),
            scaled.clone().into_tensor_arg(),
            mean,
        );
        [tensor(raw), tensor(error), tensor(scaled)]
    }

    fn readout_backward(
        bar: Tensor<Self, 3>,
        error: Option<Tensor<Self, 3>>,
        raw: Tensor<Self, 3>,
        out_scale: Tensor<Self, 1>,
    ) -> [Tensor<Self, 3>; 3] {
        let mean = mean_gradient(&bar) as f32;
        let (bar, given) = (primitive(bar), error.is_some());
        let error = error.map_or_else(|| bar.clone(), primitive);
        let [n, _, c] = bar.shape().dims();
        let raw_bar = like(&bar);
        let [bias_bar, scale_bar] = [(); 2].map(|()| empty(&bar, [n, 1, c].into()));
        readout::readout_backward::launch::<R>(
            &bar.client.clone(),
            CubeCount::Static(c as u32, n as u32, 1),
            DIM,
            bar.into_tensor_arg(),
            error.into_tensor_arg(),
            primitive(raw).into_tensor_arg(),
            primitive(out_scale).into_tensor_arg(),
            raw_bar.clone().into_tensor_arg(),
            bias_bar.clone().into_tensor_arg(),
            scale_bar.clone().into_tensor_arg(),
            mean,
            given,
        );
        [tensor(raw_bar), tensor(bias_bar), tensor(scale_bar)]
    }

    fn descend_backward(
        phi_bar: Tensor<Self, 2>,
        through: Tensor<Self, 2>,
        gradient: Tensor<Self, 2>,
        alpha: Tensor<Self, 2>,
    ) -> [Tensor<Self, 2>; 4] {
        let phi_bar = primitive(phi_bar);
        let [_, m] = phi_bar.shape().dims();
        let [sum, gradient_bar] = [like(&phi_bar), like(&phi_bar)];
        let [theta_bar, alpha_bar] = [(); 2].map(|()| empty(&phi_bar, [1, m].into()));
        kernels::descend_backward::launch::<R>(
            &phi_bar.client.clone(),
            CubeCount::Static((m as u32).div_ceil(COLUMNS * LANES), 1, 1),
            DIM,
            phi_bar.into_tensor_arg(),
            primitive(through).into_tensor_arg(),
            primitive(gradient).into_tensor_arg(),
            primitive(alpha).into_tensor_arg(),
            sum.clone().into_tensor_arg(),
            theta_bar.clone().into_tensor_arg(),
            alpha_bar.clone().into_tensor_arg(),
            gradient_bar.clone().into_tensor_arg(),
        );
        [tensor(sum), tensor(theta_bar), tensor(alpha_bar), tensor(gradient_bar)]
    }
}

/// Cubes for `[N, P, D]`: all neurons and images, and the pixels of an image `split` over several or not.
fn cubes<R: CubeRuntime>(activations: &CubeTensor<R>, split: bool) -> CubeCount {
    /// Pixels of a lane, so that what a thread reads once is used more than once.
    const PIXELS: u32 = 4;
    let [n, p, d] = activations.shape().dims();
    let pixels = if split { (p as u32).div_ceil(LANES * PIXELS) } else { 1 };
    CubeCount::Static((d as u32).div_ceil(COLUMNS), n as u32, pixels)
}
