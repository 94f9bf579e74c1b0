//! [`Attention`] with own kernels where its products are exact. Where their factors are rounded, tensor cores do them, by
//! the back end's products.

use burn::tensor::Tensor;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use cubecl::prelude::{CubeCount, CubeDim};

use super::kernels::attention as kernels;
use super::{empty, tensor};
use crate::model::attention::{
    Attended, Attention, Heads, attend_in_groups, attend_in_groups_backward, score_scale,
};
use crate::model::operation::primitive;
use crate::settings::Precision;

/// Threads of a cube.
pub(super) const DIM: CubeDim = CubeDim { x: kernels::THREADS, y: 1, z: 1 };

impl<R, F, I, T> Attention for CubeBackend<R, F, I, T>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    T: BoolElement,
{
    fn attend(qkv: &Heads<Self>, precision: Precision) -> Attended<Self> {
        if precision != Precision::F32 {
            return attend_in_groups(qkv, precision);
        }
        let launch = Launch::new(qkv);
        let Launch { batch, dim, t, .. } = launch;
        let gathered = empty(&launch.qkv, [batch, dim, t].into());
        let log_sums = empty(&launch.qkv, [batch, 1, t].into());
        kernels::attend::launch::<R>(
            &launch.qkv.client,
            launch.cubes(),
            DIM,
            launch.qkv.clone().into_tensor_arg(),
            gathered.clone().into_tensor_arg(),
            log_sums.clone().into_tensor_arg(),
            launch.scale(),
            dim,
        );
        let gathered = tensor::<R, F, I, T, 3>(gathered);
        let gathered = gathered.reshape([batch / qkv.heads, qkv.heads * dim, t]);
        Attended { gathered, log_sums: Some(tensor(log_sums)) }
    }

    fn attend_backward(
        qkv: &Heads<Self>,
        attended: &Attended<Self>,
        gathered_bar: Tensor<Self, 3>,
        precision: Precision,
    ) -> Tensor<Self, 3> {
        let Some(log_sums) = &attended.log_sums else {
            return attend_in_groups_backward(qkv, gathered_bar, precision);
        };
        let launch = Launch::new(qkv);
        let Launch { batch, dim, t, .. } = launch;
        let of_heads = |of: Tensor<Self, 3>| primitive(of.reshape([batch, dim, t]));
        let (gathered, bar) = (of_heads(attended.gathered.clone()), of_heads(gathered_bar));
        let log_sums = primitive(log_sums.clone());
        let bars = empty(&launch.qkv, [batch / qkv.heads, 3 * qkv.heads * dim, t].into());
        let along = empty(&launch.qkv, [batch, 1, t].into());
        kernels::query_backward::launch::<R>(
            &launch.qkv.client,
            launch.cubes(),
            DIM,
            launch.qkv.clone().into_tensor_arg(),
            gathered.into_tensor_arg(),
            bar.clone().into_tensor_arg(),
            log_sums.clone().into_tensor_arg(),
            bars.clone().into_tensor_arg(),
            along.clone().into_tensor_arg(),
            launch.scale(),
            qkv.heads,
            dim,
        );
        kernels::key_backward::launch::<R>(
            &launch.qkv.client,
            launch.cubes(),
            DIM,
            launch.qkv.clone().into_tensor_arg(),
            bar.clone().into_tensor_arg(),
            log_sums.clone().into_tensor_arg(),
            along.into_tensor_arg(),
            bars.clone().into_tensor_arg(),
            launch.scale(),
            qkv.heads,
            dim,
        );
        kernels::value_backward::launch::<R>(
            &launch.qkv.client,
            launch.cubes(),
            DIM,
            launch.qkv.clone().into_tensor_arg(),
            bar.into_tensor_arg(),
            log_sums.into_tensor_arg(),
            bars.clone().into_tensor_arg(),
            launch.scale(),
            qkv.heads,
            dim,
        );
        tensor(bars)
    }
}

/// What all kernels are launched with.
struct Launch<R: CubeRuntime> {
    qkv: CubeTensor<R>,
    /// N·heads.
    batch: usize,
    dim: usize,
    t: usize,
}

impl<R: CubeRuntime> Launch<R> {
    fn new<F: FloatElement, I: IntElement, T: BoolElement>(
        qkv: &Heads<CubeBackend<R, F, I, T>>,
    ) -> Self {
        let [batch, rows, t] = qkv.qkv.dims();
        Self { qkv: primitive(qkv.qkv.clone()), batch, dim: rows / 3, t }
    }

    fn cubes(&self) -> CubeCount {
        CubeCount::Static((self.t as u32).div_ceil(kernels::THREADS), self.batch as u32, 1)
    }

    fn scale(&self) -> f32 {
        score_scale(self.dim) as f32
    }
}
