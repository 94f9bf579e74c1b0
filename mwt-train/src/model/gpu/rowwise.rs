//! [`Rowwise`] with one kernel per function.

use burn::tensor::{Tensor, TensorMetadata};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use cubecl::prelude::CubeCount;
use mwt_core::math::NORM_EPS;

use super::kernels::{LANES, rowwise as kernels};
use super::{DIM, like, tensor};
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
    ) -> [Tensor<Self, 3>; 2] {
        let x = primitive(x);
        let [x_bar, weight_bar] = [like(&x), like(&x)];
        kernels::layer_norm_backward::launch::<R>(
            &x.client.clone(),
            cubes(&x),
            DIM,
            x.into_tensor_arg(),
            primitive(weight).into_tensor_arg(),
            primitive(y_bar).into_tensor_arg(),
            x_bar.clone().into_tensor_arg(),
            weight_bar.clone().into_tensor_arg(),
            NORM_EPS,
        );
        [tensor(x_bar), tensor(weight_bar)]
    }

    fn gelu_slope(z: Tensor<Self, 3>) -> [Tensor<Self, 3>; 2] {
        let z = primitive(z);
        let [gelu, slope] = [like(&z), like(&z)];
        kernels::gelu_slope::launch::<R>(
            &z.client.clone(),
            cubes(&z),
            DIM,
            z.into_tensor_arg(),
            gelu.clone().into_tensor_arg(),
            slope.clone().into_tensor_arg(),
        );
        [tensor(gelu), tensor(slope)]
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
