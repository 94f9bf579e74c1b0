//! [`Rowwise`] with one kernel per function.

use burn::tensor::{Tensor, TensorMetadata};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use cubecl::prelude::CubeCount;
use mwt_core::math::NORM_EPS;

use super::kernels::{COLUMNS, LANES, ROWS, columns, rowwise as kernels};
use super::{DIM, empty, like, tensor};
use crate::model::operation::primitive;
use crate::model::rowwise::Rowwise;

impl<R, F, I, T> Rowwise for CubeBackend<R, F, I, T>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    T: BoolElement,
{
    fn norm(x: Tensor<Self, 3>, weight: Tensor<Self, 1>, bias: Tensor<Self, 1>) -> Tensor<Self, 3> {
        let x = primitive(x);
        let y = like(&x);
        kernels::layer_norm::launch::<R>(
            &x.client.clone(),
            cubes(&x),
            DIM,
            x.into_tensor_arg(),
            primitive(weight).into_tensor_arg(),
            primitive(bias).into_tensor_arg(),
            y.clone().into_tensor_arg(),
            NORM_EPS,
        );
        tensor(y)
    }

    fn norm_backward(
        x: Tensor<Self, 3>,
        weight: Tensor<Self, 1>,
        y_bar: Tensor<Self, 3>,
        beside: Tensor<Self, 3>,
    ) -> [Tensor<Self, 3>; 3] {
        let x = primitive(x);
        let (x_bar, [weight_bar, bias_bar]) = (like(&x), chunk_sums(&x));
        let [n, t, d] = x.shape().dims();
        kernels::layer_norm_backward::launch::<R>(
            &x.client.clone(),
            CubeCount::Static((t as u32).div_ceil(ROWS), n as u32, 1),
            DIM,
            x.into_tensor_arg(),
            primitive(weight).into_tensor_arg(),
            primitive(y_bar).into_tensor_arg(),
            primitive(beside).into_tensor_arg(),
            x_bar.clone().into_tensor_arg(),
            weight_bar.clone().into_tensor_arg(),
            bias_bar.clone().into_tensor_arg(),
            NORM_EPS,
            d.div_ceil(COLUMNS as usize),
        );
        [tensor(x_bar), tensor(weight_bar), tensor(bias_bar)]
    }

    fn residual(
        x: Tensor<Self, 3>,
        product: Tensor<Self, 3>,
        bias: Tensor<Self, 1>,
        scale: Tensor<Self, 1>,
    ) -> Tensor<Self, 3> {
        let product = primitive(product);
        let out = like(&product);
        columns::residual::launch::<R>(
            &product.client.clone(),
            chunks(&product),
            DIM,
            primitive(x).into_tensor_arg(),
            product.into_tensor_arg(),
            primitive(bias).into_tensor_arg(),
            primitive(scale).into_tensor_arg(),
            out.clone().into_tensor_arg(),
        );
        tensor(out)
    }

    fn residual_backward(
        out_bar: Tensor<Self, 3>,
        product: Tensor<Self, 3>,
        bias: Tensor<Self, 1>,
        scale: Tensor<Self, 1>,
    ) -> [Tensor<Self, 3>; 3] {
        let product = primitive(product);
        let (product_bar, [bias_bar, scale_bar]) = (like(&product), chunk_sums(&product));
        columns::residual_backward::launch::<R>(
            &product.client.clone(),
            chunks(&product),
            DIM,
            primitive(out_bar).into_tensor_arg(),
            product.into_tensor_arg(),
            primitive(bias).into_tensor_arg(),
            primitive(scale).into_tensor_arg(),
            product_bar.clone().into_tensor_arg(),
            bias_bar.clone().into_tensor_arg(),
            scale_bar.clone().into_tensor_arg(),
        );
        [tensor(product_bar), tensor(bias_bar), tensor(scale_bar)]
    }

    fn gelu_slope(product: Tensor<Self, 3>, bias: Tensor<Self, 1>) -> [Tensor<Self, 3>; 2] {
        let product = primitive(product);
        let [gelu, slope] = [like(&product), like(&product)];
        columns::gelu_slope::launch::<R>(
            &product.client.clone(),
            chunks(&product),
            DIM,
            product.into_tensor_arg(),
            primitive(bias).into_tensor_arg(),
            gelu.clone().into_tensor_arg(),
            slope.clone().into_tensor_arg(),
        );
        [tensor(gelu), tensor(slope)]
    }

    fn hidden_backward(
        hidden_bar: Tensor<Self, 3>,
        slope: Tensor<Self, 3>,
    ) -> [Tensor<Self, 3>; 2] {
        let slope = primitive(slope);
        let (z_bar, [bias_bar]) = (like(&slope), chunk_sums(&slope));
        columns::gelu_backward::launch::<R>(
            &slope.client.clone(),
            chunks(&slope),
            DIM,
            primitive(hidden_bar).into_tensor_arg(),
            slope.into_tensor_arg(),
            z_bar.clone().into_tensor_arg(),
            bias_bar.clone().into_tensor_arg(),
        );
        [tensor(z_bar), tensor(bias_bar)]
    }

    fn attention_probs(scores: Tensor<Self, 4>, scale: f64) -> Tensor<Self, 4> {
        let scores = primitive(scores);
        let probs = like(&scores);
        kernels::attention_probs::launch::<R>(
            &scores.client.clone(),
            cubes(&scores),
            DIM,
            scores.into_tensor_arg(),
            probs.clone().into_tensor_arg(),
            scale as f32,
        );
        tensor(probs)
    }

    fn attention_probs_backward(
        probs: Tensor<Self, 4>,
        probs_bar: Tensor<Self, 4>,
        scale: f64,
    ) -> Tensor<Self, 4> {
        let probs = primitive(probs);
        let scores_bar = like(&probs);
        kernels::attention_probs_backward::launch::<R>(
            &probs.client.clone(),
            cubes(&probs),
            DIM,
            probs.into_tensor_arg(),
            primitive(probs_bar).into_tensor_arg(),
            scores_bar.clone().into_tensor_arg(),
            scale as f32,
        );
        tensor(scores_bar)
    }
}

/// Cubes for `[…, T, ·]`: a lane for each of the T rows, of all images and heads.
fn cubes<R: CubeRuntime>(rows: &CubeTensor<R>) -> CubeCount {
    let dims = rows.shape();
    let (rank, dims) = (dims.num_dims(), dims.as_slice());
    let images: usize = dims[..rank - 2].iter().product();
    CubeCount::Static((dims[rank - 2] as u32).div_ceil(LANES), images as u32, 1)
}

/// Cubes for `[N, T, D]`: [`COLUMNS`] columns of [`ROWS`] rows each.
fn chunks<R: CubeRuntime>(rows: &CubeTensor<R>) -> CubeCount {
    let [n, t, d] = rows.shape().dims();
    CubeCount::Static((d as u32).div_ceil(COLUMNS), n as u32, (t as u32).div_ceil(ROWS))
}

/// Memory for sums over [`ROWS`] rows each of `[N, T, D]`, `[G, 1, D]`.
fn chunk_sums<R: CubeRuntime, const SUMS: usize>(rows: &CubeTensor<R>) -> [CubeTensor<R>; SUMS] {
    let [n, t, d] = rows.shape().dims();
    [(); SUMS].map(|()| empty(rows, [n * t.div_ceil(ROWS as usize), 1, d].into()))
}
