//! [`Update`] in one pass over the values. What adds up does so in the same order each time, so that a run gives the same
//! bits again.

use burn::tensor::{Tensor, TensorMetadata};
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use cubecl::prelude::CubeCount;

use super::kernels::{COLUMNS, LANES, update as kernels};
use super::{DIM, empty, like, tensor};
use crate::model::operation::primitive;
use crate::model::update::{CLIP_EPS, Rates, Update};

/// Threads of a cube.
const THREADS: u32 = COLUMNS * LANES;

impl<R, F, I, T> Update for CubeBackend<R, F, I, T>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    T: BoolElement,
{
    fn norm_of(gradient: Tensor<Self, 1>) -> Tensor<Self, 1> {
        /// Enough to read memory as fast as a card can.
        const CUBES: u32 = 256;
        let gradient = primitive(gradient);
        let client = gradient.client.clone();
        let [len] = gradient.shape().dims();
        let cubes = (len as u32).div_ceil(THREADS).clamp(1, CUBES);
        let (sums, norm) =
            (empty(&gradient, [cubes as usize].into()), empty(&gradient, [1].into()));
        kernels::squares::launch::<R>(
            &client,
            CubeCount::Static(cubes, 1, 1),
            DIM,
            gradient.into_tensor_arg(),
            sums.clone().into_tensor_arg(),
        );
        kernels::root_of_sum::launch::<R>(
            &client,
            CubeCount::Static(1, 1, 1),
            DIM,
            sums.into_tensor_arg(),
            norm.clone().into_tensor_arg(),
        );
        tensor(norm)
    }

    fn adamw(
        values: Tensor<Self, 1>,
        gradient: Tensor<Self, 1>,
        norm: Tensor<Self, 1>,
        [m, v]: [Tensor<Self, 1>; 2],
        rates: Rates,
    ) -> [Tensor<Self, 1>; 3] {
        let values = primitive(values);
        let [next_values, next_m, next_v] = [like(&values), like(&values), like(&values)];
        let [len] = values.shape().dims();
        kernels::adamw::launch::<R>(
            &values.client.clone(),
            CubeCount::Static((len as u32).div_ceil(THREADS), 1, 1),
            DIM,
            values.into_tensor_arg(),
            primitive(gradient).into_tensor_arg(),
            primitive(norm).into_tensor_arg(),
            primitive(m).into_tensor_arg(),
            primitive(v).into_tensor_arg(),
            next_values.clone().into_tensor_arg(),
            next_m.clone().into_tensor_arg(),
            next_v.clone().into_tensor_arg(),
            rates.clip as f32,
            CLIP_EPS as f32,
            rates.beta1 as f32,
            (1.0 - rates.beta1) as f32,
            rates.beta2 as f32,
            (1.0 - rates.beta2) as f32,
            rates.correction2 as f32,
            rates.epsilon as f32,
            rates.rate as f32,
            rates.kept as f32,
        );
        [tensor(next_values), tensor(next_m), tensor(next_v)]
    }
}
