//! [`Product`] on GPUs. burn's own products take their factors as TF32 wherever the device has tensor cores, so exact
//! ones are launched from here.

use burn::tensor::backend::Backend;
use burn::tensor::{DType, FloatDType, Tensor, TensorMetadata};
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, FloatElement, IntElement};
use cubecl::ir::{ElemType, FloatKind};
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems};
use cubek::matmul::launch::{Strategy, launch_ref};
use cubek::std::InputBinding;

use super::{empty, tensor};
use crate::model::operation::primitive;
use crate::model::product::Product;
use crate::settings::Precision;

impl<R, F, I, T> Product for CubeBackend<R, F, I, T>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    T: BoolElement,
{
    fn product<const D: usize>(
        a: Tensor<Self, D>,
        b: Tensor<Self, D>,
        precision: Precision,
    ) -> Tensor<Self, D> {
        match precision {
            Precision::F32 => exact(a, b),
            Precision::Tf32 => a.matmul(b),
            Precision::Bf16 => {
                a.cast(FloatDType::BF16).matmul(b.cast(FloatDType::BF16)).cast(FloatDType::F32)
            }
        }
    }

    fn precision(device: &Self::Device, wanted: Precision) -> Precision {
        let client = R::client(device);
        let matmul = &client.properties().features.matmul;
        let has = |kind: FloatKind| {
            let element = ElemType::Float(kind).into();
            matmul.cmma.iter().chain(&matmul.mma).any(|config| config.a_type == element)
        };
        match wanted {
            Precision::Tf32 if has(FloatKind::TF32) => Precision::Tf32,
            Precision::Bf16
                if has(FloatKind::BF16)
                    && <Self as Backend>::supports_dtype(device, DType::BF16) =>
            {
                Precision::Bf16
            }
            _ => Precision::F32,
        }
    }
}

/// a·b by multiply-adds in f32.
fn exact<R, F, I, T, const D: usize>(
    a: Tensor<CubeBackend<R, F, I, T>, D>,
    b: Tensor<CubeBackend<R, F, I, T>, D>,
) -> Tensor<CubeBackend<R, F, I, T>, D>
where
    R: CubeRuntime,
    F: FloatElement,
    I: IntElement,
    T: BoolElement,
{
    // One matrix may meet many.
    let mut shape = std::array::from_fn::<_, D, _>(|dim| a.dims()[dim].max(b.dims()[dim]));
    (shape[D - 2], shape[D - 1]) = (a.dims()[D - 2], b.dims()[D - 1]);
    let (a, b) = (primitive(a), primitive(b));
    let out = empty(&a, shape.into());
    let launch = |strategy: Strategy| {
        let input = |x: &CubeTensor<R>| InputBinding::new(x.clone().binding(), x.dtype().into());
        let elements = MatmulGlobalElems {
            lhs: a.dtype().into(),
            rhs: b.dtype().into(),
            out: out.dtype().into(),
        };
        let mut elements = MatmulElems::from_globals(&elements);
        let (lhs, rhs, out) = (input(&a), input(&b), out.clone());
        launch_ref(&strategy, &a.client, lhs, rhs, out.binding(), &mut elements)
    };
    // The second takes any shape.
    launch(Strategy::SimpleUnit(Default::default()))
        .or_else(|_| launch(Strategy::Naive))
        .expect("a product of matrices in f32");
    tensor(out)
}
