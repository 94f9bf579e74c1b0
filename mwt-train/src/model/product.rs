//! Matrix products, exact in f32 or with their factors rounded.
//!
//! The inner loop's products are always exact: θ and φ differ by little, and the classifier reads the difference times
//! λ = 500. The Transformer's may be rounded ([`Precision`]), which is what tensor cores are fast at.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use crate::settings::Precision;

/// A back end's own form of the products.
pub trait Product: Backend {
    /// a·b, of matrices, or of as many on both sides or one on one of them, to a precision that [`precision`](Self::precision) gave.
    fn product<const R: usize>(
        a: Tensor<Self, R>,
        b: Tensor<Self, R>,
        precision: Precision,
    ) -> Tensor<Self, R> {
        product(a, b, precision)
    }

    /// What the device computes with where this is asked for: exact f32 where it has nothing faster.
    fn precision(_device: &Self::Device, _wanted: Precision) -> Precision {
        Precision::F32
    }
}

/// a·b as units of that precision compute it: factors rounded, sums in f32. The readable reference, on any back end.
pub fn product<B: Backend, const R: usize>(
    a: Tensor<B, R>,
    b: Tensor<B, R>,
    precision: Precision,
) -> Tensor<B, R> {
    rounded(a, precision).matmul(rounded(b, precision))
}

/// The nearest values with as many significant bits as the precision keeps; |x| is below 2^110.
pub fn rounded<B: Backend, const R: usize>(x: Tensor<B, R>, precision: Precision) -> Tensor<B, R> {
    // Of f32's 24 significant bits.
    let dropped = match precision {
        Precision::F32 => return x,
        Precision::Tf32 => 13,
        Precision::Bf16 => 16,
    };
    // Dekker's splitting: the rounding of c - (c - x) is that of x to the bits that are left.
    let c = x.clone() * f64::from((1u32 << dropped) + 1);
    c.clone() - (c - x)
}

#[cfg(all(test, feature = "cpu"))]
mod tests {
    use burn::backend::Flex;

    use super::*;
    use crate::model::params::host;

    /// By hand: 1 + 2⁻¹⁰ is a TF32, 1 + 2⁻¹¹ lies between two and goes to the even one, 1 + 3·2⁻¹¹ to the next.
    #[test]
    fn values_are_rounded_to_the_nearest() {
        let e = |n: i32| 2f32.powi(-n);
        let values = [
            1.0,
            1.0 + e(10),
            1.0 + e(11),
            1.0 + 3.0 * e(11),
            1.0 + e(12),
            -3.0 - e(20),
            1.0 + e(7),
        ];
        let tensor = || Tensor::<Flex, 1>::from_floats(values, &Default::default());
        assert_eq!(host(rounded(tensor(), Precision::F32)), values);
        let tf32 = [1.0, 1.0 + e(10), 1.0, 1.0 + e(9), 1.0, -3.0, 1.0 + e(7)];
        assert_eq!(host(rounded(tensor(), Precision::Tf32)), tf32);
        let bf16 = values.map(|v| half::bf16::from_f32(v).to_f32());
        assert_eq!(host(rounded(tensor(), Precision::Bf16)), bf16);
    }
}
